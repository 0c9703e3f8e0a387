"""Three real workers under load, one killed ten times, Redis emptied once: nothing is lost, nothing is decided twice.

The judge is the simulation's: every id once, every source record in exactly one applied range, and outputs, profiles and
changelog equal, byte for byte, to a fault-free run of the core over the batch log.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, cast

import pytest

from schemas.events import AdvisorAssigned, ExampleReady
from sinks.kafka import KafkaPublisher
from streams import topics
from streams.settings import Settings, load
from tests.integration.real_world import Processes, RealWorld, empty_redis, lag, own_namespace
from tests.simulation.parts import read
from tests.simulation.plans import SHOP_TOPICS
from tests.simulation.shop import Shop
from tests.simulation.verdict import findings

if TYPE_CHECKING:
    from tests.simulation.world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SEED = int(os.environ.get("MAITRED_SEED", "20261122"))
KILLS, RECORDS, SECONDS = 10, 8_000, 110


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """A namespace of its own on the real servers."""
    with own_namespace(
        "crash",
        MAITRED_TIME="event",
        MAITRED_KAFKA__SESSION_TIMEOUT_MS="6000",
        MAITRED_KAFKA__TRANSACTION_TIMEOUT_MS="5000",
        MAITRED_ASSIGNMENT__CONSENT="not_withdrawn",
        MAITRED_LEARNING__SNAPSHOT_EVERY="20",
        MAITRED_MARKETS__POOLS='{"DE": "north", "FR": "south"}',
    ) as own:
        yield own


def publish(settings: Settings, seed: int) -> None:
    """A shop's history, spread over the test's time."""
    counts = {topic.name: topic.partitions(settings.partitions) for topic in topics.TOPICS}
    shop = Shop(
        Random(seed), counts, tuple(t for t in SHOP_TOPICS if t != "contacts"), RECORDS, customers=400, pauses=0.08
    )
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    pause_s = SECONDS / len(shop.publications)
    for number, (at_ms, topic, partition, key, value, headers) in enumerate(shop.publications):
        publisher.publish(f"{settings.namespace}.{topic}", partition, key, value, headers, at_ms)
        if number % 50 == 0:
            sleep(50 * pause_s)
    publisher.flush()


def test_ten_kills_and_a_wiped_redis_change_nothing(variables: dict[str, str], tmp_path: Path) -> None:
    """What subscribers read and what Redis holds is what a run without faults would have left."""
    settings, rng = load(None, variables), Random(SEED)
    processes = Processes(variables, tmp_path / "workers.log")
    shop = Thread(target=publish, args=(settings, SEED))
    try:
        for _ in range(3):
            processes.start()
        shop.start()
        for kill in range(KILLS):
            sleep(rng.uniform(7, 14))
            processes.kill(rng.randrange(3))
            processes.start()
            if kill == KILLS // 2:
                assert empty_redis(settings) > 0
        shop.join()
        deadline = monotonic() + 180
        while (behind := lag(settings)) and monotonic() < deadline:
            sleep(2)
        assert behind == 0, (tmp_path / "workers.log").read_text()[-5_000:]
    finally:
        processes.stop_all()
    world = RealWorld(variables)
    decided = [
        read(m)
        for (topic, _), log in world.broker.logs.items()
        if topic in ("assignments", "examples")
        for m in log.committed()
    ]
    assert {AdvisorAssigned, ExampleReady} <= {type(event) for event in decided}, "there must be something to compare"
    assert not findings(cast("World", world)), f"seed {SEED}"
