"""`maitred replay`: what the settings, or variants of them, would have done to years of events."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as BarTask
from rich.text import Text

from streams.cli.replay_sources import Asked, Chosen, choose, misuse
from streams.cli.talk import INTERRUPTED, ConfigOption, JsonOption, interruptible, moment, put, put_line, put_table, say

if TYPE_CHECKING:
    from streams.replay.replay import Plan, Replayed
    from streams.replay.replay import Progress as OnProgress
    from streams.replay.results import Results
    from streams.replay.variants import Variant

STARTED_S = time.perf_counter()
SEED = 20_101_201
SAID_EVERY_S = 15
STAGES = {
    "read": "reading the log",
    "fold": "folding customers",
    "recorded": "folding batches",
    "play": "scoring, learning, assigning",
    "judge": "measuring",
}


def replay_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Event files, folders of them or patterns.", show_default=False),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="A public data set: online-retail-ii, cdnow or rees46.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The folder that holds the data set.")] = None,
    topics: Annotated[bool, typer.Option("--topics", help="The topics of the namespace. They are read only.")] = False,
    from_: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="WHEN", help="Of topics: from this time or place on: 2024-06-01, orders[0]@1200."),
    ] = None,
    until: Annotated[
        list[str] | None, typer.Option("--until", metavar="WHEN", help="Of topics: up to this time or place, exclusive.")
    ] = None,
    order: Annotated[
        Literal["event-time", "recorded"],
        typer.Option("--order", help="recorded: of topics, as production applied them, by its batch log."),
    ] = "event-time",
    simulate: Annotated[
        int | None, typer.Option("--simulate", min=1, max=10**8, metavar="N", help="Two years of a simulated shop.")
    ] = None,
    variants: Annotated[
        Path | None, typer.Option("--variants", metavar="TOML", help="What-if: variants of the settings (docs/replay.md).")
    ] = None,
    horizon_days: Annotated[
        int | None, typer.Option("--horizon-days", min=1, max=3_650, help="Judge outcomes after so many days.")
    ] = None,
    baselines: Annotated[
        list[str] | None,
        typer.Option("--baselines", help="Beside spend, of rule, logistic, lightgbm and random, by commas; none: no others.",
                     show_default="all that are installed"),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Leave report.html, results.json and the tables there.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option("--work", metavar="DIR", help="Where folds are kept.", show_default="~/.cache/maitred")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Go on where an earlier run was stopped, or begin anew.")
    ] = True,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, max=256, help="Beside each other.", show_default="one for each core")
    ] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option("--engine", help="Where the fold runs.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", help="Of a Ray cluster; one is started here without it.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of intervals, random scores, the simulated shop.")] = SEED,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Replay a log over the same core as the worker's: score, learn, assign, and measure it against simple rules.

    Equal inputs and settings give equal bytes, whatever the number of processes. Nothing is ever written to topics or keys.
    Ctrl-C keeps what is finished; the same command goes on with it.
    """
    from streams.replay.baselines import check, installed
    from streams.replay.leaving import lacking_for_a_report, leave, refuse_foreign
    from streams.replay.replay import replay
    from streams.replay.work import forget, held

    if to is not None:
        refuse_foreign(to)
        if (lacking := lacking_for_a_report()) is not None:
            say(f"warning: {lacking}; results.json and the tables are written without it")
    if ray_address is not None and engine != "ray":
        misuse("--ray-address goes with --engine ray")
    chosen = choose(
        Asked(
            files or [], dataset, data, topics, from_ or [], until or [], simulate, order == "recorded", horizon_days, config,
            seed % (1 << 31),
        )
    )  # fmt: skip
    names = check(_words(baselines)) if baselines else installed()
    at_once = Engine(processes or os.cpu_count() or 1, engine, ray_address)
    plan = _plan(chosen, _variants(variants, chosen), work or _cache(), names, seed, at_once)
    _say_aloud(chosen)
    try:
        with interruptible(), held(plan.work_dir), _progress() as progress:
            if not resume:
                forget(plan.work_dir)
            replayed = replay(plan, progress, STARTED_S)
            if to is not None:
                leave(replayed, to)
    except KeyboardInterrupt:
        say("stopped; what was finished is kept: the same command goes on with it (--fresh begins anew)")
        raise typer.Exit(INTERRUPTED) from None
    _tell(replayed, chosen.notes, to, as_json=as_json)


def _words(given: Iterable[str]) -> list[str]:
    """What is named by commas, by several options, or both."""
    return [word for text in given for word in (part.strip() for part in text.split(",")) if word != "none"]


class Engine(NamedTuple):
    processes: int
    name: Literal["local", "ray"]
    ray_address: str | None


def _plan(
    chosen: Chosen, variants: "tuple[Variant, ...]", work: Path, baselines: tuple[str, ...], seed: int, engine: Engine
) -> "Plan":
    from streams.replay.replay import BY_EVENT_TIME, Plan

    return Plan(
        source=chosen.source,
        variants=variants,
        work_dir=work / _folder_name(chosen),
        processes=engine.processes,
        engine=engine.name,
        ray_address=engine.ray_address,
        baselines=baselines,
        seed=seed,
        title=chosen.title,
        licence=chosen.licence,
        notes=chosen.notes,
        folding=chosen.folding,
        ordering=chosen.ordering or BY_EVENT_TIME,
    )


def _variants(path: Path | None, chosen: Chosen) -> "tuple[Variant, ...]":
    from streams.replay.variants import as_configured, load_variants

    return (as_configured(chosen.settings),) if path is None else load_variants(path, chosen.settings)


def _folder_name(chosen: Chosen) -> str:
    """A folder for each source, so that --fresh forgets this one only."""
    return "replay-" + "".join(c if c.isalnum() or c in "-_." else "-" for c in chosen.source.name)[:60]


def _cache() -> Path:
    """Where this user keeps what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maitred"


# ---- what is told ------------------------------------------------------------------------------------------------------


def _say_aloud(chosen: Chosen) -> None:
    if chosen.title:
        say(chosen.title + (f"; licence: {chosen.licence}" if chosen.licence else ""))
    for lack in chosen.source.lacks:
        say(f"lacks: {lack}")
    for note in chosen.notes:
        say(f"note: {note}")


@contextmanager
def _progress() -> "Iterator[OnProgress]":
    """A bar on a terminal, with rate and time left; a line now and then elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int | None) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(STAGES.get(stage, stage), total=total)
            progress.update(bars[stage], completed=done, total=total)

        yield advance


class _Rate(ProgressColumn):
    """What is done in a second."""

    def render(self, task: BarTask) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


def _lines() -> "Callable[[str, int, int | None], None]":
    said_s, last = 0.0, ""

    def advance(stage: str, done: int, total: int | None) -> None:
        nonlocal said_s, last
        now_s = time.monotonic()
        if stage == last and now_s - said_s < SAID_EVERY_S:
            return
        of = f" of {total:,}" if total else ""
        say(f"{STAGES.get(stage, stage)}: {done:,}{of}")
        said_s, last = now_s, stage

    return advance


def _tell(replayed: "Replayed", told: tuple[str, ...], to: Path | None, *, as_json: bool) -> None:
    from streams.replay.leaving import brief

    results = replayed.results
    for note in results.notes:
        if note not in told:
            say(f"note: {note}")
    if as_json:
        put(brief(results))
        return
    if results.answer is not None:
        put_line(results.answer.sentence)
    put_table(("look", "customers", "VIPs", *(_TITLES[s] for s in _TITLES)), _rows(results))
    put_line(f"events {results.events:,}, first purchases {results.first_purchases:,}, {_span(results)}")
    put_line(f"outcome: {results.outcome}")
    put_line(f"order: {results.source.ordering}")
    for line in _between_variants(results):
        put_line(line)
    put_line(f"outputs {results.outputs_sha256}")
    put_line(f"{results.wall_s:.1f} s" + ("" if to is None else f"; written to {to}"))


_TITLES = {
    "model": "model",
    "spend": "first value",
    "rule": "rule",
    "logistic": "logistic",
    "lightgbm": "LightGBM",
    "random": "random",
}


def _rows(results: "Results") -> "Iterator[tuple[object, ...]]":
    """ROC AUC by kind of look."""
    for look in ("first", "day_7", "day_14", "day_30", "order", "return"):
        found = {s: next(iter(results.find(s, look)), None) for s in _TITLES}
        model = found["model"]
        if model is not None:
            aucs = ("" if f is None or f.roc_auc is None else f"{f.roc_auc:.3f}" for f in found.values())
            yield (look, model.examples, model.positives, *aucs)


def _between_variants(results: "Results") -> "Iterator[str]":
    """The AUC of each variant's first looks less that of the first variant; `--to` leaves every pair."""
    outcomes = {variant.name: variant.outcome for variant in results.variants}
    for d in results.differences:
        wanted = ("first", "all", "whole", "roc_auc")
        main = results.variants[0].name
        if (d.look, d.part, d.outcome, d.measure) == wanted and d.variant != d.than_variant == main:
            ci95 = "" if d.ci95 is None else f" [{d.ci95[0]:+.3f}, {d.ci95[1]:+.3f}]"
            other = (
                "" if outcomes[d.variant] == outcomes[main] else "; not to be compared: a VIP is another thing there"
            )
            yield f"{d.variant} less {main}: AUC {d.difference:+.3f}{ci95}{other}"


def _span(results: "Results") -> str:
    first, last = results.quality.first_event_ms, results.quality.last_event_ms
    return "no time" if first is None or last is None else f"{moment(first)} to {moment(last)} UTC"
