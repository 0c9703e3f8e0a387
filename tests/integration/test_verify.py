"""`maitred verify` on real servers: what a worker decided, killed and started again, is equal; what was added is found."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import monotonic, sleep

import pytest

from sinks.kafka import KafkaPublisher
from streams import topics
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.settings import Settings, load
from tests.integration.real_world import Processes, lag, own_namespace
from tests.simulation.plans import SHOP_TOPICS
from tests.simulation.shop import Shop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    with own_namespace(
        "verify",
        MAITRED_TIME="event",
        MAITRED_PARTITIONS="3",
        MAITRED_KAFKA__SESSION_TIMEOUT_MS="6000",
        MAITRED_ASSIGNMENT__CONSENT="not_withdrawn",
        MAITRED_LEARNING__SNAPSHOT_EVERY="20",
        MAITRED_MARKETS__POOLS='{"DE": "north", "FR": "south"}',
    ) as own:
        yield own


def publish(settings: Settings, records: int) -> None:
    counts = {topic.name: topic.partitions(settings.partitions) for topic in topics.TOPICS}
    shop = Shop(Random(4), counts, tuple(t for t in SHOP_TOPICS if t != "contacts"), records, customers=80)
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    for at_ms, topic, partition, key, value, headers in shop.publications:
        publisher.publish(f"{settings.namespace}.{topic}", partition, key, value, headers, at_ms)
    publisher.flush()


def verify(variables: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    code = "from streams.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "verify", "--json", *options],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def at_rest(settings: Settings) -> None:
    deadline = monotonic() + 120
    while lag(settings):
        assert monotonic() < deadline, "the worker does not come to rest"
        sleep(1)


def test_what_a_worker_decided_is_verified(variables: dict[str, str], tmp_path: Path) -> None:
    settings, processes = load(None, variables), Processes(variables, tmp_path / "worker.log")
    publish(settings, 2_000)
    try:
        processes.start()
        sleep(12)
        processes.kill(0)
        processes.start()
        sleep(8)
        live = verify(variables)  # while it runs on
        assert live.returncode == 0, live.stdout + live.stderr
        at_rest(settings)
    finally:
        processes.stop_all()

    done = verify(variables)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["is_equal"]
    assert verdict["records"]["scorer"] >= 2_000
    assert min(verdict["outputs"][topic] for topic in ("scores", "tier-changes", "assignments", "examples")) > 0

    other = verify({**variables, "MAITRED_SCORING__REASONS": "2"})
    assert other.returncode == 2
    assert "name the settings of then, too: --settings FILE" in other.stderr

    add_one_more_score(settings)
    forged = verify(variables, "--processor", "scorer")
    assert forged.returncode == 1
    (difference,) = json.loads(forged.stdout)["differences"]
    assert difference.startswith("scores[")
    assert "no entry of the batch log gives this record" in difference


def add_one_more_score(settings: Settings) -> None:
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.judge")
    score = next(m for p in range(settings.partitions) for m in reader.read("scores", p, 0))
    reader.close()
    headers = [(name, b"forged" if name == "ce_id" else value) for name, value in score.headers]
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    publisher.publish(f"{settings.namespace}.scores", score.partition, score.key, score.value, headers, None)
    publisher.flush()
