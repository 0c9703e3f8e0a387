"""Rebuild: copy the source topics of a namespace into a new one, where workers decide everything anew.

For more partitions, and for what a lost Kafka or a changed time mode can't be cured of otherwise. Records go over
unchanged, merged by event time across the old partitions and laid on the new ones by key. Decisions are not copied:
assignments get new ids, so contacts that name old ones will be rejected by the new assigner and said to be. Neither is what
the scorer wrote to its own sources: re-routed records lie there twice, and merges will move and forward anew.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import merge
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from schemas.codec import Schemas, read_event
from schemas.errors import LogUnavailable, SettingsError
from schemas.events import EventForwarded, ProfileMoved
from schemas.ids import partition_of
from schemas.records import Fault
from schemas.registry import Registry
from streams import topics
from streams.door import subject_of
from streams.kafka.client import KafkaSettings
from streams.kafka.reader import KafkaReader
from streams.log import Message
from streams.messages import REROUTED_FROM
from streams.publish import Publisher
from streams.settings import Settings

NAMESPACE = "[a-z0-9][a-z0-9._-]{0,99}"  # as the settings have it
SOURCES = ("roster", "orders", "returns", "browse", "privacy", "contacts")


class Copied(Struct, frozen=True):
    """What went over, by topic, and what a worker needs to be told."""

    records: Counter[str]
    settings: Settings


def rebuild(
    settings: Settings,
    *,
    into: str,
    partitions: int,
    kafka: Callable[[Settings], KafkaSettings],
    registry: Registry,
    publisher: Publisher,
    on_record: Callable[[], object] = lambda: None,
) -> Copied:
    """Copy all sources into namespace `into`, of so many partitions.

    Raises `SettingsError` if it exists already, `LogUnavailable` where the copy ends half-way: it can't be gone on with.
    """
    target = replace(settings, namespace=into, partitions=partitions)
    if not re.fullmatch(NAMESPACE, into):
        raise SettingsError("--into", f"a name like {NAMESPACE}", into, "choose another")
    if there := topics.existing(target):
        raise SettingsError("--into", "a namespace without topics", there[0], "choose a new name, or delete its topics")
    topics.create(target)
    try:
        records = _copy(settings, target, kafka(settings), Schemas(registry), publisher, on_record)
    except LogUnavailable as error:
        cure = f"to begin anew delete the topics {into}.*, or choose another namespace with --into"
        raise LogUnavailable(f"{error}; {into} is copied in part: {cure}") from error
    return Copied(records, target)


def _copy(
    settings: Settings,
    target: Settings,
    kafka: KafkaSettings,
    schemas: Schemas,
    publisher: Publisher,
    on_record: Callable[[], object],
) -> Counter[str]:
    records: Counter[str] = Counter()
    for topic in SOURCES:
        for message, subject in in_event_order(topic, settings, kafka, schemas):
            partition = message.partition % target.partitions
            if subject is not None:
                partition = partition_of(subject, target.partitions)
            to = f"{target.namespace}.{topic}"
            publisher.publish(to, partition, message.key, message.value, message.headers, message.timestamp_ms)
            records[topic] += 1
            on_record()
    publisher.flush()
    return records


def in_event_order(
    topic: str, settings: Settings, kafka: KafkaSettings, schemas: Schemas
) -> Iterator[tuple[Message, str | None]]:
    """The records of all partitions of a topic with who they are about, by event time, none before its predecessor."""
    readers = [KafkaReader(kafka, f"{settings.namespace}.rebuild") for _ in range(settings.partitions)]
    try:
        streams = [in_order(reader, topic, partition, schemas) for partition, reader in enumerate(readers)]
        for _, message, subject in merge(*streams, key=lambda item: item[0]):
            yield message, subject
    finally:
        for reader in readers:
            reader.close()


class Reads(Protocol):
    def read(self, topic: str, partition: int, from_offset: int) -> Iterator[Message]: ...


def in_order(reader: Reads, topic: str, partition: int, schemas: Schemas) -> Iterator[tuple[int, Message, str | None]]:
    """What others published on one partition, each record with the event time reached by then and who it is about."""
    reached_ms = 0
    for message in reader.read(topic, partition, 0):
        event = read_event(topic, message.value, message.headers, schemas, message.timestamp_ms)
        if isinstance(event, ProfileMoved | EventForwarded) or _is_rerouted(message):
            continue
        if not isinstance(event, Fault):
            reached_ms = max(reached_ms, event.occurred_at_ms)
        yield reached_ms, message, None if isinstance(event, Fault) else subject_of(event)


def _is_rerouted(message: Message) -> bool:
    """Whether this is our copy of a record that lies, unchanged, on another partition."""
    return any(name == REROUTED_FROM for name, _ in message.headers)
