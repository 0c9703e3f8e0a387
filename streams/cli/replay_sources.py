"""What `maitred replay` reads: the source asked for, with the settings that suit it."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import typer

from streams.cli.talk import MISUSE, load_settings, registry_of, say

if TYPE_CHECKING:
    from streams.datasets.preset import Preset
    from streams.kafka.spans import Wanted
    from streams.replay.replay import Folding
    from streams.replay.rows import Source
    from streams.settings import Settings

PLACE = re.compile(r"(?P<topic>[a-z-]+)\[(?P<partition>\d+)\]@(?P<offset>\d+)")
RECORDED = (
    "events were applied in recorded order: as the scorer's batch log has them, with the watermarks that stood then"
)

FROM_THE_MIDDLE = (
    "what lies before --from is not known: who bought before counts as new, and a roster entered before is none (to know "
    "both, leave --from out and set scoring.decide_from)"
)


class Asked(NamedTuple):
    """The options that say what is replayed."""

    files: list[Path]
    dataset: str | None
    data: Path | None
    topics: bool
    from_: list[str]
    until: list[str]
    simulate: int | None
    recorded: bool
    horizon_days: int | None
    config: Path | None
    seed: int


class Chosen(NamedTuple):
    source: "Source"
    settings: "Settings"
    title: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
    folding: "Folding | None" = None
    ordering: str = ""


def choose(asked: Asked) -> Chosen:
    """The source and its settings. What makes no sense is told, with exit 2."""
    named = [bool(asked.files), asked.dataset is not None, asked.topics, asked.simulate is not None]
    if sum(named) != 1:
        misuse("name one thing to replay: event files, --dataset NAME, --topics or --simulate N")
    if (asked.from_ or asked.until or asked.recorded) and not asked.topics:
        misuse("--from, --until and --order recorded go with --topics")
    if asked.data is not None and asked.dataset is None:
        misuse("--data goes with --dataset")
    if asked.dataset is not None:
        return _named(asked)
    if asked.simulate is not None:
        return _simulated(asked, asked.simulate)
    return _topics(asked) if asked.topics else _files(asked)


def misuse(text: str) -> NoReturn:
    say(f"error: {text}")
    raise typer.Exit(MISUSE)


# ---- each of them ----------------------------------------------------------------------------------------------------


def _named(asked: Asked) -> Chosen:
    from streams.datasets import DATASETS
    from streams.replay.sources.named import NamedSource

    name = asked.dataset or ""
    if name not in DATASETS:
        misuse(f"--dataset: expected {' or '.join(DATASETS)}, got {name!r}")
    dataset = DATASETS[name]
    settings, said = _suited(dataset.preset, asked)
    source = NamedSource(name, asked.data, settings.partitions)
    return Chosen(source, settings, dataset.title, dataset.licence, (*dataset.preset.because, *said))


def _suited(preset: "Preset", asked: Asked) -> "tuple[Settings, tuple[str, ...]]":
    """The preset's settings for a horizon that it knows; for another, those of its main one with that horizon."""
    from streams.datasets.preset import load_with
    from streams.replay.variants import with_horizon

    days = asked.horizon_days
    if days is None or days == preset.main_horizon_days:
        return load_with(preset, asked.config), ()
    if days in preset.horizons:
        return load_with(preset, asked.config, horizon_days=days), (f"the outcome is that of {days} days",)
    said = f"the outcome is that of {days} days, with the amount that was fixed for {preset.main_horizon_days}"
    return with_horizon(load_with(preset, asked.config), days), (said,)


def _plain(asked: Asked, overrides: dict[str, str] | None = None) -> "Settings":
    from streams.replay.variants import with_horizon

    settings = load_settings(asked.config, overrides or {})
    return settings if asked.horizon_days is None else with_horizon(settings, asked.horizon_days)


def _files(asked: Asked) -> Chosen:
    from streams.replay.sources.files import FileSource

    settings = _plain(asked)
    return Chosen(FileSource(asked.files, settings.partitions), settings)


def _simulated(asked: Asked, customers: int) -> Chosen:
    import os

    from streams.replay.sources.simulator import SimulatorSource
    from streams.simulator import ShopPlan, shop_settings

    plan = ShopPlan(customers=customers, days=730, seed=asked.seed).checked()
    suited = {name: value for name, value in shop_settings(plan).items() if name not in os.environ}
    settings = _plain(asked, suited)
    title = f"A simulated shop: {customers:,} customers in two years, seed {asked.seed}"
    return Chosen(SimulatorSource(plan, settings.partitions), settings, title, notes=("the shop is a simulated one",))


def _topics(asked: Asked) -> Chosen:
    from streams.kafka.client import kafka_config
    from streams.replay.sources.topics import SOURCES, TopicSource
    from streams.topics import partition_count

    settings = _plain(asked)
    topics = {topic: partition_count(topic, settings.partitions) for topic in SOURCES}
    source = TopicSource(kafka_config(settings), registry_of(settings), topics, _wanted(asked))
    title = f"The topics of namespace {settings.namespace} at {settings.kafka.bootstrap}"
    if not asked.recorded:
        return Chosen(source, settings, title, notes=(FROM_THE_MIDDLE,) if asked.from_ else ())
    if asked.from_ or asked.until:
        misuse("--order recorded replays a namespace from its beginning: leave out --from and --until")
    return Chosen(source, settings, title, folding=_as_recorded(settings), ordering=RECORDED)


def _as_recorded(settings: "Settings") -> "Folding":
    """The fold in the order in which production applied the records."""
    from streams.kafka.client import kafka_config
    from streams.kafka.reader import KafkaReader
    from streams.replay.fold import Folded
    from streams.replay.fold import Progress as OnProgress
    from streams.replay.recorded import fold_recorded
    from streams.scoring.policy import Policy

    def folding(policy: Policy, folder: Path, progress: OnProgress) -> Folded:
        reads = KafkaReader(kafka_config(settings), f"{settings.namespace}.replay")
        try:
            return fold_recorded(
                reads, settings.namespace, settings.partitions, registry_of(settings), policy, folder, progress
            )
        finally:
            reads.close()

    return folding


# ---- stretches of topics -----------------------------------------------------------------------------------------------


def _wanted(asked: Asked) -> "Wanted":
    from streams.kafka.spans import Wanted

    from_ms, starts = _bounds("--from", asked.from_)
    to_ms, ends = _bounds("--until", asked.until)
    places = dict.fromkeys([*starts, *ends])
    return Wanted(from_ms, to_ms, {place: (starts.get(place), ends.get(place)) for place in places})


def _bounds(option: str, words: list[str]) -> tuple[int | None, dict[tuple[str, int], int]]:
    """A time, or offsets of partitions: `2024-06-01`, `2024-06-01T12:00`, `orders[0]@1200`."""
    at_ms: int | None = None
    offsets: dict[tuple[str, int], int] = {}
    for word in words:
        if place := PLACE.fullmatch(word):
            offsets[place["topic"], int(place["partition"])] = int(place["offset"])
            continue
        try:
            day = datetime.fromisoformat(word)
        except ValueError:
            misuse(
                f"{option}: expected a time such as 2024-06-01T12:00, or a place such as orders[0]@1200, got {word!r}"
            )
        at_ms = round((day if day.tzinfo else day.replace(tzinfo=UTC)).timestamp() * 1_000)
    return at_ms, offsets
