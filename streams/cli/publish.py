"""`maitred publish`: event files or a public data set to the topics."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import msgspec
import typer
from msgspec import Struct, field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from streams.cli.talk import (
    MISUSE,
    NO,
    ConfigOption,
    JsonOption,
    load_settings,
    moment,
    put,
    put_line,
    registry_of,
    say,
)
from streams.cli.topics import refuse_wrong_topics

if TYPE_CHECKING:
    from schemas.events import Event
    from schemas.records import Fault
    from streams.datasets.dataset import Dataset, Tally
    from streams.event_files import Place
    from streams.publish import Sent, Summary
    from streams.settings import Settings

SHOWN = 20  # bad lines that are told one by one


class BadLines(Struct):
    """Lines that could not be used: counted, and the first of them told."""

    by_error: Counter[str] = field(default_factory=Counter)

    def note(self, place: "Place", fault: "Fault") -> None:
        self.by_error[fault.error] += 1
        if self.by_error.total() <= SHOWN:
            say(f"{place}: {fault}")
        elif self.by_error.total() == SHOWN + 1:
            say("... further bad lines are only counted")


def publish_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Event files: .jsonl, .avro or .parquet.", show_default=False),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Or a public data set: online-retail-ii, cdnow or rees46.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", envvar="MAITRED_DATA", help="The folder with the data sets.")
    ] = None,
    encoding: Annotated[Literal["avro", "json"], typer.Option("--format", help="How events are written.")] = "avro",
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, help="Events a second; full speed without it.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="Stop after so many events.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish events to the topics, in event-time order, keyed and partitioned as Maitred reads them.

    Bad lines are told with their place and the cure, and the others go on; exit 1 if there were any. With time = "event" in
    the settings a record's time is its event's, else the present.
    """
    from sinks.kafka import KafkaPublisher
    from streams.datasets.dataset import Tally
    from streams.kafka.client import publishing
    from streams.publish import Form, publish

    settings = load_settings(config)
    chosen = _dataset(files, dataset, data)
    bad, tally = BadLines(), Tally()
    events = _of_dataset(chosen, data, tally) if chosen else _of_files(files or [], bad)
    refuse_wrong_topics(settings)
    publisher = KafkaPublisher(settings.kafka.bootstrap, publishing(settings.kafka.security))
    form = Form(
        namespace=settings.namespace,
        partitions=settings.partitions,
        encoding=encoding,
        keep_time=settings.time == "event",
    )
    with _progress(limit) as advance:
        summary = publish(events, publisher, registry_of(settings), form, rate=rate, limit=limit, on_event=advance)
    _warn_of_currencies(summary, settings)
    _tell(summary, bad, tally if chosen else None, as_json=as_json)
    if bad.by_error:
        raise typer.Exit(NO)


# ---- where events come from ----------------------------------------------------------------------------------------


def _dataset(files: list[Path] | None, name: str | None, data: Path | None) -> "Dataset | None":
    """The data set asked for, or None for files; what is asked must make sense."""
    from streams.datasets import DATASETS

    if bool(files) == (name is not None):
        _misuse("name event files, or a public data set with --dataset")
    if name is None:
        return None
    if name not in DATASETS:
        _misuse(f"--dataset: expected {' or '.join(DATASETS)}, got {name!r}")
    if data is None and not DATASETS[name].package:
        _misuse(f"--dataset {name} needs --data, the folder that holds {', '.join(DATASETS[name].files)}")
    return DATASETS[name]


def _misuse(text: str) -> NoReturn:
    say(f"error: {text}")
    raise typer.Exit(MISUSE)


def _of_dataset(dataset: "Dataset", data: Path | None, tally: "Tally") -> "Iterator[Sent]":
    say(f"{dataset.title}\nsource: {dataset.source}; licence: {dataset.licence}")
    for lack in dataset.lacks:
        say(f"lacks: {lack}")
    return dataset.events(data or Path(), tally)


def _of_files(files: list[Path], bad: BadLines) -> "Iterator[Sent]":
    from streams.event_files import read_files

    return ((found.topic, found.event) for found in read_files(files, bad.note))


# ---- what is told --------------------------------------------------------------------------------------------------


@contextmanager
def _progress(limit: int | None) -> "Iterator[Callable[[Event], None] | None]":
    """A progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("publishing", total=limit)

        def advance(event: "Event") -> None:
            progress.update(task, advance=1, description=moment(event.occurred_at_ms))

        yield advance


def _warn_of_currencies(summary: "Summary", settings: "Settings") -> None:
    money = settings.money
    for currency in sorted(summary.currencies.keys() - money.rates.keys() - {money.base}):
        say(
            f"warning: {summary.currencies[currency]} events are in {currency}, which the worker will reject: set "
            f"money.base or money.rates.{currency}"
        )


def _tell(summary: "Summary", bad: BadLines, tally: "Tally | None", *, as_json: bool) -> None:
    facts: dict[str, object] = {
        "published": summary.total,
        "topics": dict(summary.published),
        "first_event": None if summary.first_ms is None else moment(summary.first_ms),
        "last_event": None if summary.last_ms is None else moment(summary.last_ms),
        "seconds": round(summary.seconds, 3),
        "bad_lines": dict(bad.by_error),
    }
    if tally:
        facts["rows"] = {"read": tally.rows, "used": tally.used, "skipped": tally.skipped, "events": tally.events}
    if as_json:
        put(facts)
        return
    for name, value in facts.items():
        put_line(f"{name:<12} {msgspec.json.encode(value).decode() if isinstance(value, dict) else value}")
