"""`maitred simulate --to-topics` on a real Kafka: what is published is the shop, record by record, malformed ones
included.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.settings import load
from streams.simulator import Malformed, Shop, ShopPlan, shop_settings
from tests.integration.real_world import own_namespace

pytestmark = pytest.mark.integration

PLAN = ShopPlan(seed=9, customers=60, trouble=0.02)
COMMAND = (sys.executable, "-c", "from streams.cli import main; main()", "simulate", "--customers", "60", "--seed", "9")
TOPICS = ("orders", "returns", "browse", "privacy", "roster")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def variables():
    with own_namespace("simulate", MAITRED_TIME="event", **shop_settings(PLAN)) as variables:
        yield variables


def started(variables, *options):
    return subprocess.Popen(
        [*COMMAND, "--to-topics", "--json", *options],
        env={**os.environ, **variables},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def on_topics(variables):
    """All records: topic, key, value and time."""
    settings = load(None, variables)
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.test")
    found = [
        (topic, message) for topic in TOPICS for partition in range(settings.partitions)
        for message in reader.read(topic, partition, 0)
    ]  # fmt: skip
    reader.close()
    return found


def test_the_whole_shop_arrives_with_its_times_and_its_trouble(variables):
    running = started(variables, "--trouble", "0.02")
    said, told = running.communicate(timeout=100)
    assert running.returncode == 0, told
    items = list(Shop(PLAN).events())
    expected = Counter(i.topic if isinstance(i, Malformed) else i[0] for i in items)
    times = Counter(i.at_ms if isinstance(i, Malformed) else i[1].occurred_at_ms for i in items)
    found = on_topics(variables)
    malformed = Counter(i.value for i in items if isinstance(i, Malformed))
    assert Counter(topic for topic, _ in found) == expected
    assert Counter(message.timestamp_ms for _, message in found) == times
    assert malformed.total() > 20
    assert not malformed - Counter(message.value for _, message in found)
    assert json.loads(said)["events"] == len(items)


def test_an_interrupted_command_says_what_was_published(variables):
    """What was acknowledged stays, and is counted."""
    running = started(variables, "--rate", "200", "--trouble", "0")
    while not on_topics(variables):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert told.decode() == f"stopped: {len(on_topics(variables))} records were published, and stay\n"
