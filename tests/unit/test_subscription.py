"""A member of a group that reads by itself ends when it is told to, whatever has become of Kafka."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic

import pytest
from confluent_kafka import Producer

from schemas.errors import LogUnavailable
from streams.kafka.client import KafkaSettings
from streams.kafka.offsets import GroupOffsets
from streams.kafka.reader import KafkaReader
from streams.kafka.subscription import Subscription

BROKER = """
from confluent_kafka import Producer
host = Producer({"test.mock.num.brokers": 1, "log_level": 2})
print(*(f"{b.host}:{b.port}" for b in host.list_topics(timeout=10).brokers.values()), flush=True)
input()
"""


@pytest.fixture
def broker() -> Iterator[subprocess.Popen[str]]:
    """The broker inside librdkafka, in a process of its own, so that it can hang."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", BROKER], stdin=pipe, stdout=pipe, text=True)
    yield process
    process.kill()
    process.communicate()


def test_leaving_a_group_notes_how_far_the_work_has_come(broker: subprocess.Popen[str]) -> None:
    settings, reached = begun(broker)
    subscription = Subscription(settings, "tool", ["orders"], revoked=lambda: reached)
    while not reached:
        reached |= {(m.topic, m.partition): m.offset + 1 for m in subscription.poll(10, 100)}
    subscription.close()
    again = Subscription(settings, "tool", ["orders"])
    read = []
    while not again.has_ended:
        read += again.poll(10, 100)
    again.close()
    assert (reached, read) == ({("orders", 0): 1}, [])


def test_leaving_a_group_does_not_wait_for_a_broker_that_hangs(broker: subprocess.Popen[str]) -> None:
    settings, reached = begun(broker)
    subscription = Subscription(settings, "tool", ["orders"], revoked=lambda: reached)
    while not reached:
        reached |= {(m.topic, m.partition): m.offset + 1 for m in subscription.poll(10, 100)}
    os.kill(broker.pid, signal.SIGSTOP)
    began_s = monotonic()
    with pytest.raises(LogUnavailable, match="Timed out"):
        subscription.close()
    assert monotonic() - began_s < 20


def test_after_a_failure_another_client_asks() -> None:
    """One that met a broker that hung was seen to miss the leaders for a quarter of an hour after it answered again."""
    settings = KafkaSettings("127.0.0.1:1", answer_timeout_ms=1_000)
    reader, offsets = KafkaReader(settings, "reader"), GroupOffsets(settings, "tool", ["orders"], timeout_s=0.5)
    asking, admin = reader._asked(), offsets._admin
    with pytest.raises(LogUnavailable):
        reader.bounds("orders", 0)
    with pytest.raises(LogUnavailable):
        offsets.standings([0])
    assert reader._asked() is not asking
    assert offsets._admin is not admin
    reader.close()


def begun(broker: subprocess.Popen[str]) -> tuple[KafkaSettings, dict[tuple[str, int], int]]:
    """A broker with one record, and a place for how far it was read."""
    assert broker.stdout
    settings = KafkaSettings(broker.stdout.readline().strip(), fetch_wait_max_ms=10, answer_timeout_ms=1_000)
    producer = Producer({"bootstrap.servers": settings.bootstrap, "log_level": 0})
    producer.produce(settings.wire("orders"), b"one", partition=0)
    assert producer.flush(10) == 0
    return settings, {}
