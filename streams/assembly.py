"""What a worker is made of: for each processor a log, a store and a shell, put together from the settings.

Tests call this too, so that what they try is what runs in earnest.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from uuid import uuid4

import structlog
from msgspec import Struct, field

from features.redis_store import RedisStore
from features.store import Store
from schemas.codec import Schemas
from schemas.records import Seen
from schemas.registry import Registry, open_registry
from streams.commit import Committed, Committer, Watch
from streams.intake import Intake
from streams.kafka.client import kafka_config
from streams.kafka.log import KafkaLog
from streams.log import Clock, Log, TopicPartition
from streams.messages import Wire
from streams.policies import intake_policy, processor_of
from streams.processors import Processor
from streams.reading import entry_reader, event_reader
from streams.recovery import Recovery
from streams.settings import Settings
from streams.shell import Shell
from streams.topics import partition_count
from streams.versions import pinned

LEARNER_PARTITION = 0


class Station(Struct):
    """A processor at work in this process, with what it has done so far."""

    name: str
    shell: Shell
    is_draining: bool = False
    drained: Callable[[], Mapping[TopicPartition, int]] = dict  # where sources end whose records are all committed
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, committed: Iterable[Committed]) -> None:
        for item in committed:
            self.counts.update(item.decision.counts)
            self.counts["batches"] += 1
            self.counts["records"] += sum(len(run.records) for run in item.batch.runs)
            self.counts["outputs"] += len(item.decision.outputs)


class Assembly(Struct, frozen=True):
    instance: str
    stations: tuple[Station, ...]


def assemble(settings: Settings, watch: Callable[[str], Watch] | None = None) -> Assembly:
    """The stations this worker runs, each connected but not yet a member of its group; `watch` makes each its onlooker.

    Raises `SettingsError` where the store's server would lose state by itself.
    """
    instance = settings.worker.instance or uuid4().hex[:12]
    registry = open_registry(settings.registry.url)
    stations = []
    for name in settings.worker.processors:
        processor, store = processor_of(name, settings, snapshot_source), store_of(name, settings)
        for warning in store.verify_server():
            structlog.get_logger().warning("store", processor=name, warning=warning)
        log = KafkaLog(kafka_config(settings), name, processor.sources, instance)
        made = station(processor, log, store, registry, settings, watch=watch(name) if watch else None)
        made.drained = log.drained
        stations.append(made)
    return Assembly(instance, tuple(stations))


def station(
    processor: Processor,
    log: Log,
    store: Store,
    registry: Registry,
    settings: Settings,
    clock: Clock | None = None,
    watch: Watch | None = None,
) -> Station:
    """A shell around a processor: the wiring that worker and simulation share."""
    clock = clock or (lambda: time.time_ns() // 1_000_000)
    wire = Wire(
        source=f"/{settings.namespace}/{processor.name}",
        partitions=lambda topic: partition_count(topic, settings.partitions),
        schema_id=cache(registry.schema_id),  # asked for with every output
    )
    schemas = Schemas(registry)
    intake = Intake(processor.sources, event_reader(schemas), intake_policy(settings))
    names = wire.batch_log(processor.name), wire.changelog(processor.name)
    recovery = Recovery(processor.name, log, store, *names, entry_reader(schemas), clock)
    committer = Committer(processor, log, store, wire, clock, watch)
    return Station(processor.name, Shell(intake, committer, recovery, log, clock))


def snapshot_source(settings: Settings) -> Callable[[], Seen]:
    """Where scorers find the model: in the learner's own state, or where the settings pin it."""
    if settings.learning.pin:
        pin = Seen(1, pinned(settings, open_registry(settings.registry.url)))
        return lambda: pin
    store = store_of("learner", settings)
    return lambda: store.read({"snapshot": LEARNER_PARTITION})["snapshot"]


def store_of(processor: str, settings: Settings) -> RedisStore:
    return RedisStore(settings.redis.url, settings.namespace, processor)
