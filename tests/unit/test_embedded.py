"""The embedded broker and store are what the rest takes for Kafka and Redis, and are gone afterwards."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.redis_store import RedisStore
from features.store import NOWHERE
from sinks.kafka import KafkaPublisher
from streams import topics
from streams.embedded import embedded_broker, embedded_servers
from streams.kafka.client import KafkaSettings, kafka_config
from streams.kafka.follow import Follower
from streams.settings import Settings, load
from tests.unit.kafka_members import join, member_of
from tests.unit.log_checks import PATIENCE_S, SOURCES, check_offsets_are_committed_with_messages


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with embedded_servers(tmp_path_factory.mktemp("servers"), "home", partitions=3) as servers:
        yield load(None, servers.environment)


@pytest.mark.timeout(30)
def test_all_topics_are_as_a_worker_wants_them(settings: Settings) -> None:
    """Names and partition counts, those with a single partition too; and it is known at once."""
    assert topics.check(settings) == []
    assert len(topics.existing(settings)) == len(topics.TOPICS)


def test_the_store_answers(settings: Settings) -> None:
    store = RedisStore(settings.redis.url, settings.namespace, "scorer")
    assert store.position(0) == NOWHERE
    store.close()


def test_a_follower_sees_every_partition_from_the_beginning(settings: Settings) -> None:
    """Also what was written before it came."""
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    for number in range(30):
        publisher.publish("home.scores", number % 3, b"key", b"%d" % number)
    publisher.flush()
    follower = Follower(kafka_config(settings), {"scores": 3, "examples": 1})
    found: list[int] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < 30:
        assert time.monotonic() < deadline, f"got {len(found)} of 30 records"
        found += [int(message.value or b"") for message in follower.poll(7, 20)]
    follower.close()
    assert sorted(found) == list(range(30))


def test_groups_and_transactions_work() -> None:
    """What was committed with messages is known to the next who asks."""
    with embedded_broker({f"home.{topic}": 4 for topic in (*SOURCES, "scores")}) as address:
        member = member_of(KafkaSettings(address, "home", fetch_wait_max_ms=10, is_embedded=True))
        join([member])
        check_offsets_are_committed_with_messages(member)
        member.log.close()


def test_nobody_answers_afterwards(tmp_path: Path) -> None:
    with embedded_servers(tmp_path) as servers:
        host, port = servers.environment["MAITRED_KAFKA__BOOTSTRAP"].split(":")
        socket.create_connection((host, int(port))).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    assert not (tmp_path / "store.sock").exists()
