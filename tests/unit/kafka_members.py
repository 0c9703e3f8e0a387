"""Members of consumer groups on a broker, for the checks of `KafkaLog`: on the mock broker, and on a real Kafka."""

from collections.abc import Sequence
from itertools import count
from time import monotonic
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.kafka.log import KafkaLog, KafkaSettings
from tests.unit.log_checks import PATIENCE_S, SOURCES, Member

PARTITIONS = 4
TOPICS = (*SOURCES, "scores", "changelog", "batch-log")
RUN, _NUMBERS = f"test-{uuid4().hex[:8]}", count()  # what this process names begins with its run


def fresh_settings(bootstrap: str, **others: Any) -> KafkaSettings:
    """Settings with a namespace that nobody has used."""
    return KafkaSettings(bootstrap, f"{RUN}-{next(_NUMBERS)}", fetch_wait_max_ms=10, **others)


def create_topics(settings: KafkaSettings, counts: dict[str, int] | None = None) -> None:
    counts = counts or dict.fromkeys(TOPICS, PARTITIONS)
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    topics = [NewTopic(settings.wire(topic), partitions, 1) for topic, partitions in counts.items()]
    for created in admin.create_topics(topics).values():
        created.result()
    while {topic.topic for topic in topics} - set(admin.list_topics(timeout=PATIENCE_S).topics):
        pass  # a broker may know of a topic a moment later than the controller that made it


def member_of(settings: KafkaSettings, instance: str = "a", sources: Sequence[str] = SOURCES) -> Member:
    """A member that has not joined yet: it joins while it polls."""
    producer = Producer({"bootstrap.servers": settings.bootstrap, "linger.ms": 0, "log_level": 0})

    def put(topic: str, partition: int, values: Sequence[bytes]) -> None:
        for value in values:
            producer.produce(settings.wire(topic), value, partition=partition)
        assert producer.flush(PATIENCE_S) == 0

    return Member(KafkaLog(settings, "scorer", sources, instance), put)


def join(members: Sequence[Member]) -> None:
    """Poll them all until each has partitions and knows where they start."""
    deadline = monotonic() + PATIENCE_S
    while not all(member.partitions and not member.must_recover for member in members):
        assert monotonic() < deadline, f"no assignment within {PATIENCE_S} s"
        for member in members:
            member.poll(5)
