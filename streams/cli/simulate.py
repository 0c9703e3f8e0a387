"""`maitred simulate`: a simulated shop, to files or to the topics, at any size."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from streams.cli.talk import (
    INTERRUPTED,
    MISUSE,
    NO,
    ConfigOption,
    JsonOption,
    interruptible,
    load_settings,
    moment,
    put,
    put_line,
    registry_of,
    say,
)
from streams.cli.topics import refuse_wrong_topics

if TYPE_CHECKING:
    from sinks.kafka import KafkaPublisher
    from streams.publish import Sent
    from streams.settings import Settings
    from streams.simulator import ShopPlan
    from streams.simulator.runs import Entry
    from streams.simulator.shop import Item

AT_ONCE = 50_000  # more customers than this live block by block, on disk

Advance = Callable[[int], None]


def simulate_command(
    customers: Annotated[int, typer.Option("--customers", min=1, max=10**9, help="How many buy.")] = 2_000,
    days: Annotated[int, typer.Option("--days", min=1, max=3_650, help="How long it is watched.")] = 365,
    from_day: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, UTC.", show_default="2024-01-01")
    ] = datetime(2024, 1, 1, tzinfo=UTC),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds make equal bytes.")] = 1,
    like: Annotated[
        Literal["premium", "online-retail-ii"], typer.Option("--like", help="Which kind of shop.")
    ] = "premium",
    browse: Annotated[
        bool | None, typer.Option("--browse/--no-browse", help="With browse events.", show_default="as in that kind of shop")
    ] = None,
    trouble: Annotated[
        float, typer.Option("--trouble", min=0, max=1, help="Share of events repeated, or followed by a malformed record.")
    ] = 0.002,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Write event files into this folder.")] = None,
    to_topics: Annotated[bool, typer.Option("--to-topics", help="Or publish to the topics.")] = False,
    form: Annotated[
        Literal["jsonl", "parquet", "avro"] | None,
        typer.Option("--format", help="Of files; on topics avro or jsonl.", show_default="jsonl; on topics avro"),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, help="Events a second on topics; full speed without it.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="Stop after so many events.")] = None,
    processes: Annotated[int, typer.Option("--processes", min=1, max=64, help="Lives told beside each other.")] = 1,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="Write what is true of every customer: .jsonl or .parquet.")
    ] = None,
    settings_only: Annotated[
        bool, typer.Option("--settings", help="Print the settings that suit the shop, as environment variables.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Simulate a premium shop: its customers browse, buy, send back, agree and are lost, all from one seed.

    Files are read back by `maitred publish`. Memory does not grow with the number of customers: beyond 50,000 their events are
    sorted on disk, beside the files, or in TMPDIR for the topics. What it knows of its customers, a shop never could: --truth.
    """
    from streams.simulator.presets import plan_like

    try:
        plan = plan_like(
            like,
            seed=seed,
            customers=customers,
            days=days,
            from_ms=int(from_day.replace(tzinfo=UTC).timestamp()) * 1_000,
            trouble=trouble,
            **({} if browse is None else {"browse": browse}),
        )
    except msgspec.ValidationError as error:
        _misuse(f"there is no such shop: {error}")
    if settings_only:
        _put_settings(plan)
        return
    _refuse_nonsense(to, form, truth, to_topics=to_topics, rate=rate)
    began, facts = time.monotonic(), dict[str, object](customers=plan.customers, seed=plan.seed)
    with interruptible():
        if to is not None:
            facts |= _to_files(plan, to, form or "jsonl", limit, processes)
        if to_topics:
            facts |= _to_topics(plan, load_settings(config), form, rate=rate, limit=limit, processes=processes)
        if truth is not None:
            facts["truth"] = _to_truth(plan, truth)
    _tell(facts | {"seconds": round(time.monotonic() - began, 3)}, as_json=as_json)


def _refuse_nonsense(
    to: Path | None, form: str | None, truth: Path | None, *, to_topics: bool, rate: float | None
) -> None:
    if to is not None and to_topics:
        _misuse("choose --to DIR or --to-topics, not both")
    if to is None and not to_topics and truth is None:
        _misuse("say where to: --to DIR, --to-topics or --truth FILE")
    if to_topics and form == "parquet":
        _misuse("--format parquet is for files; on topics events are avro or jsonl")
    if rate is not None and not to_topics:
        _misuse("--rate goes with --to-topics; files are written at full speed")
    if truth is not None and truth.suffix not in (".jsonl", ".parquet"):
        _misuse(f"--truth: expected a name that ends in .jsonl or .parquet, got {truth.name}")
    if truth is not None and truth.parent != to and not truth.absolute().parent.is_dir():
        _misuse(f"--truth: expected a file in a folder that is there, got {truth}")


def _misuse(text: str) -> NoReturn:
    say(f"error: {text}")
    raise typer.Exit(MISUSE)


@contextmanager
def _writing(path: Path) -> "Iterator[None]":
    """What the system says when it can't be done, as an error of ours."""
    try:
        yield
    except OSError as error:
        say(f"error: {path}: expected to write there, got: {error.strerror or error}")
        raise typer.Exit(NO) from error


def _put_settings(plan: "ShopPlan") -> None:
    """In quotes, as a shell and an env file take them."""
    from streams.simulator import shop_settings

    for name, value in shop_settings(plan).items():
        put_line(f"export {name}='{value}'")


# ---- files ---------------------------------------------------------------------------------------------------------


def _to_files(
    plan: "ShopPlan", folder: Path, form: Literal["jsonl", "parquet", "avro"], limit: int | None, processes: int
) -> dict[str, object]:
    from streams.simulator.files import unfinished, write_files

    try:
        with _writing(folder), unfinished(folder) as room, _progress() as bar:
            entries = _entries(plan, room, limit, processes, bar)
            tally = write_files(entries, room, form, on_event=bar("writing events", limit))
            names = sorted(path.name for path in room.iterdir())
    except KeyboardInterrupt:
        say(f"stopped: nothing is left in {folder}")
        raise typer.Exit(INTERRUPTED) from None
    return {
        "events": tally.total,
        "types": dict(tally.events),
        "malformed": dict(tally.malformed),
        "left_out": tally.left_out,
        "files": [str(folder / name) for name in names],
    }


def _entries(
    plan: "ShopPlan", room: Path, limit: int | None, processes: int, bar: "Callable[[str, int | None], Advance]"
) -> "Iterator[Entry]":
    """All at once if there are few, else block by block on disk: the same entries."""
    from streams.simulator import Malformed, Shop
    from streams.simulator.runs import entry_of, merged, write_runs

    if limit is not None or (plan.customers <= AT_ONCE and processes == 1):
        items = (entry_of(i if isinstance(i, Malformed) else i[1]) for i in Shop(plan).events())
        return islice(items, limit)
    runs = write_runs(plan, room, processes=processes, on_block=bar("living customers", plan.customers))
    return merged(runs, room)


# ---- topics --------------------------------------------------------------------------------------------------------


def _to_topics(
    plan: "ShopPlan", settings: "Settings", form: str | None, *, rate: float | None, limit: int | None, processes: int
) -> dict[str, object]:
    from sinks.kafka import KafkaPublisher
    from streams.kafka.client import publishing
    from streams.publish import Form, Summary, publish

    refuse_wrong_topics(settings)
    _warn_of_currencies(plan, settings)
    publisher = KafkaPublisher(settings.kafka.bootstrap, publishing(settings.kafka.security))
    form_of = Form(
        namespace=settings.namespace,
        partitions=settings.partitions,
        encoding="json" if form == "jsonl" else "avro",
        keep_time=settings.time == "event",
    )
    malformed: dict[str, int] = {}
    with TemporaryDirectory(prefix="maitred-") as folder, _progress() as bar:
        items = islice(_items(plan, Path(folder), limit, processes, bar), limit)
        advance = bar("publishing", limit)
        try:
            summary = publish(
                _good(items, publisher, settings, malformed),
                publisher,
                registry_of(settings),
                form_of,
                rate=rate,
                on_event=lambda _: advance(1),
            )
        except KeyboardInterrupt:
            publisher.flush()
            say(f"stopped: {publisher.delivered.total()} records were published, and stay")
            raise typer.Exit(INTERRUPTED) from None
    assert isinstance(summary, Summary)
    return {
        "events": summary.total + sum(malformed.values()),
        "topics": dict(summary.published),
        "malformed": malformed,
        "first_event": None if summary.first_ms is None else moment(summary.first_ms),
        "last_event": None if summary.last_ms is None else moment(summary.last_ms),
    }


def _warn_of_currencies(plan: "ShopPlan", settings: "Settings") -> None:
    unknown = {market.currency for market in plan.markets} - settings.money.rates.keys() - {settings.money.base}
    if unknown:
        say(
            f"warning: the worker will reject amounts in {', '.join(sorted(unknown))}: give it the settings that suit the "
            "shop, as `maitred simulate --settings` prints them"
        )


def _items(
    plan: "ShopPlan", folder: Path, limit: int | None, processes: int, bar: "Callable[[str, int | None], Advance]"
) -> "Iterator[Item]":
    """The same, to be published."""
    from streams.event_files import TOPIC_OF
    from streams.simulator import Malformed, Shop

    if limit is not None or plan.customers <= AT_ONCE:
        yield from Shop(plan).events()
        return
    for entry in _entries(plan, folder, limit, processes, bar):
        what = entry.read()
        yield what if isinstance(what, Malformed) else (TOPIC_OF[entry.kind.__name__], what)


def _good(
    items: "Iterable[Item]", publisher: "KafkaPublisher", settings: "Settings", malformed: dict[str, int]
) -> "Iterator[Sent]":
    """The events. Malformed records go out as they are, between them."""
    from schemas.ids import partition_of
    from streams.simulator import Malformed
    from streams.topics import partition_count

    for item in items:
        if not isinstance(item, Malformed):
            yield item
            continue
        partition = partition_of(item.key.decode(), partition_count(item.topic, settings.partitions))
        at_ms = item.at_ms if settings.time == "event" else None
        wire = f"{settings.namespace}.{item.topic}"
        publisher.publish(wire, partition, item.key, item.value, item.headers, at_ms)
        malformed[item.error] = malformed.get(item.error, 0) + 1


# ---- the truth -------------------------------------------------------------------------------------------------------


def _to_truth(plan: "ShopPlan", path: Path) -> str:
    from streams.simulator.truth import write_truths

    with _writing(path), _progress() as bar:
        write_truths(plan, path, on_customer=bar("telling the truth", plan.customers))
    return str(path)


# ---- what is told ------------------------------------------------------------------------------------------------------


@contextmanager
def _progress() -> "Iterator[Callable[[str, int | None], Advance]]":
    """Starts bars on a terminal: each call another, which is advanced by what it returns. Nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _, __: lambda _: None
        return
    columns = (
        "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:

        def start(what: str, total: int | None) -> Advance:
            task = progress.add_task(what, total=total)
            return lambda steps: progress.update(task, advance=steps)

        yield start


def _tell(facts: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        put(facts)
        return
    for name, value in facts.items():
        if isinstance(value, list):
            put_line(f"{name:<12} {len(value)}: {', '.join(map(str, value[:3]))}{' ...' if len(value) > 3 else ''}")
        else:
            text = msgspec.json.encode(value).decode() if isinstance(value, dict) else value
            put_line(f"{name:<12} {text}")
