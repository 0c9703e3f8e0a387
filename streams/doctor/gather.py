"""Asks every server, each for itself: one that does not answer leaves a `Silence`, and the rest goes on."""

import shutil
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from schemas.codec import Schemas
from schemas.definitions import Definitions
from schemas.errors import MaitredError
from schemas.registry import FileRegistry, Registry, open_registry
from streams.doctor.ask_brokers import Brokers
from streams.doctor.ask_records import TopicReader
from streams.doctor.ask_store import ask_store
from streams.doctor.gathered import Gathered, Place, Records, Silence
from streams.kafka.client import KafkaSettings, kafka_config
from streams.kafka.reader import KafkaReader
from streams.processors import Assigner, Learner, Scorer
from streams.settings import Settings, policy_version
from streams.topics import Described, described, made, partition_count

Found = TypeVar("Found")
SOURCES: Mapping[str, tuple[str, ...]] = {kind.name: kind.sources for kind in (Scorer, Assigner, Learner)}
FORBIDDEN = (  # as Kafka, Redis and registries say it
    "AUTHORIZATION_FAILED", "AUTHENTICATION", "AuthenticationError", "NOPERM", "NoPermission", "WRONGPASS",
    "answers 401", "answers 403",
)  # fmt: skip
ALL_SOURCES = sorted({topic for sources in SOURCES.values() for topic in sources})


def gather(settings: Settings) -> Gathered:
    """All that the checks want to know.

    Workers go on meanwhile. So the store is asked before the batch logs, which it must not be ahead of, and the clock last.
    """
    kafka = kafka_config(settings)
    brokers = Brokers(kafka)
    registry = attempt("the registry", lambda: _against(open_registry(settings.registry.url)))
    readable = open_registry(settings.registry.url) if not isinstance(registry, Silence) else FileRegistry()
    store = attempt("Redis", lambda: ask_store(settings, [(n, p) for n in SOURCES for p in _partitions(n, settings)]))
    cluster = attempt(f"Kafka at {kafka.bootstrap}", brokers.cluster)
    topics = _unless(cluster, "the topics", lambda: described(settings))
    there = topics if not isinstance(topics, Silence) else {}
    sources: dict[str, list[Place]] = {name: _places(there, SOURCES[name]) for name in settings.worker.processors}
    return Gathered(
        settings=settings,
        policy_version=policy_version(settings),
        free_bytes=_free_bytes(Path(settings.worker.data_dir)),
        cluster=cluster,
        topics=topics,
        made=_unless(topics, "what the namespace was made with", lambda: made(there, settings)),
        groups=_unless(cluster, "the consumer groups", lambda: brokers.groups(sources)),
        transactions=_unless(cluster, "open transactions", lambda: brokers.open_transactions(_places(there, there))),
        records=_unless(cluster, "the records", lambda: _records(kafka, there, readable)),
        store=store,
        registry=registry,
        now_ms=time.time_ns() // 1_000_000,
    )


def attempt(where: str, ask: Callable[[], Found]) -> Found | Silence:
    """What `ask` finds out, or that it could not."""
    try:
        return ask()
    except MaitredError as error:
        said = str(error)
    except Exception as error:  # a client library's own error is a finding as well: the other checks go on
        said = f"{type(error).__name__}: {error}"
    return Silence(where, said, any(word in said for word in FORBIDDEN))


def _unless(silent: object, where: str, ask: Callable[[], Found]) -> Found | Silence:
    """As `attempt`, without asking once more a server that did not answer."""
    return silent if isinstance(silent, Silence) else attempt(where, ask)


def _places(there: Mapping[str, Described], topics: Collection[str]) -> list[Place]:
    return [(topic, p) for topic, found in there.items() if topic in topics for p in range(found.partitions)]


def _partitions(processor: str, settings: Settings) -> range:
    return range(partition_count(f"{processor}.batch-log", settings.partitions))


def _records(kafka: KafkaSettings, there: Mapping[str, Described], registry: Registry) -> Records:
    reader = KafkaReader(kafka, kafka.wire("doctor"))
    counts = {topic: found.partitions for topic, found in there.items()}
    try:
        return TopicReader(reader, Schemas(registry), counts).read(ALL_SOURCES, SOURCES)
    finally:
        reader.close()


def _against(registry: Registry) -> tuple[str, ...]:
    """What stands against our schemas: unknown to the registry, or incompatible there."""
    problems = [problem for name in Definitions().names() for problem in registry.check(name)]
    for name in Definitions().names():
        found = attempt(name, lambda name=name: registry.schema_id(name))  # type: ignore[misc]  # bound at once
        problems += [found.said] if isinstance(found, Silence) and found.said not in problems else []
    return tuple(problems)


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free
