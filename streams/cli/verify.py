"""`maitred verify`: what production decided, decided anew from the topics and compared byte for byte. It writes nothing."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn, TimeRemainingColumn

from schemas.errors import MaitredError
from streams.cli.talk import NO, ConfigOption, JsonOption, explain, load_settings, put, put_line, registry_of, say

if TYPE_CHECKING:
    from streams.verify.verifying import Progress as OnProgress
    from streams.verify.verifying import Verdict

CANNOT = 2


class Name(StrEnum):
    SCORER = "scorer"
    ASSIGNER = "assigner"
    LEARNER = "learner"


def verify_command(
    processor: Annotated[
        list[Name] | None,
        typer.Option("--processor", help="Only this one. May be given several times; all three without it."),
    ] = None,
    before: Annotated[
        list[Path] | None,
        typer.Option(
            "--settings",
            help="A settings file by which older entries were decided; the environment adds nothing to it.",
        ),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="End at so many differences.")] = 1,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide anew, from the topics and the batch log, all that was decided, and compare.

    Exit 0: all that was decided is as it was recomputed, to the byte. Exit 1: the first difference, with both sides. Exit 2:
    it can't be told; records, snapshots or settings that the decisions rest on are not there. A worker may run meanwhile.
    """
    from schemas.codec import Schemas
    from streams.kafka.client import kafka_config
    from streams.kafka.reader import KafkaReader
    from streams.reading import event_reader
    from streams.settings import load
    from streams.verify.telling import told
    from streams.verify.verifying import PROCESSORS, verify

    settings = load_settings(config)
    registry = registry_of(settings)
    kafka = KafkaReader(kafka_config(settings), f"{settings.namespace}.verify")
    try:
        with _progress() as progress:
            verdict = verify(
                kafka,
                [settings, *(load(path, {}) for path in before or ())],  # today's environment is not that of then
                registry,
                processors=processor or PROCESSORS,
                most=most,
                progress=progress,
            )
    except MaitredError as error:
        explain(error)
        raise typer.Exit(CANNOT) from error
    finally:
        kafka.close()
    differences = [told(difference, event_reader(Schemas(registry))) for difference in verdict.differences]
    if as_json:
        put({**_counts(verdict), "is_equal": verdict.is_equal, "differences": differences})
    else:
        _tell(verdict, differences)
    if not verdict.is_equal:
        raise typer.Exit(NO)


def _counts(verdict: "Verdict") -> dict[str, Counter[str]]:
    return {
        "entries": verdict.entries,
        "records": verdict.records,
        "outputs": verdict.outputs,
        "keys": verdict.keys,
        "no_longer_kept": +verdict.no_longer_kept,
    }


def _tell(verdict: "Verdict", differences: list[str]) -> None:
    for name, entries in verdict.entries.items():
        records, keys = verdict.records[name], verdict.keys[name]
        put_line(f"{name:<10} {entries} entries, {records} records decided anew; {keys} keys of state compared")
    for topic, found in verdict.outputs.items():
        lost = verdict.no_longer_kept[topic]
        put_line(f"{topic:<22} {found} records as recomputed{f', {lost} no longer kept' if lost else ''}")
    for difference in differences:
        put_line(difference)
    if verdict.is_equal:
        say("equal: all that was decided is as it was recomputed, to the byte")
    else:
        say(f"different: {len(differences)} shown; what follows from a difference differs, too")


@contextmanager
def _progress() -> Iterator["OnProgress"]:
    """A bar for each processor, on a terminal."""
    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bars:

        def on_progress(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=max(done, total))

        yield on_progress
