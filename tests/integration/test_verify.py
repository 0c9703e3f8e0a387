"""`maitred verify` and `maitred replay --topics --order recorded` on real servers, over what a worker decided that was killed twice.

Meanwhile a model was promoted, a version rolled back to, and a setting changed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import monotonic, sleep

import pyarrow.parquet as pq
import pytest

from schemas.events import CustomerScored
from sinks.kafka import KafkaPublisher
from streams import topics
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.log import Message
from streams.settings import Settings, load
from tests.integration.real_world import Processes, lag, own_namespace
from tests.simulation.parts import read
from tests.simulation.plans import SHOP_TOPICS
from tests.simulation.shop import Shop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

OF_THEN = """
[assignment]
consent = "not_withdrawn"
[learning]
snapshot_every = 20
challengers = ["river", "rule"]
[markets]
pools = {DE = "north", FR = "south"}
"""
Variables = dict[str, str]


def maitred(variables: Variables, *words: str) -> subprocess.CompletedProcess[str]:
    code = "from streams.cli import main; main()"
    command = [sys.executable, "-c", code, *words]
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=150)


def publish(settings: Settings, seed: int, records: int) -> None:
    counts = {topic.name: topic.partitions(settings.partitions) for topic in topics.TOPICS}
    shop = Shop(Random(seed), counts, tuple(t for t in SHOP_TOPICS if t != "contacts"), records, customers=80)
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    for at_ms, topic, partition, key, value, headers in shop.publications:
        publisher.publish(f"{settings.namespace}.{topic}", partition, key, value, headers, at_ms)
    publisher.flush()


def await_snapshots(settings: Settings) -> None:
    await_that(lambda: bool(lying(settings, "snapshots", 1)), "no model is published")


def await_rest(settings: Settings) -> None:
    await_that(lambda: not lag(settings), "the worker does not come to rest")


def await_that(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = monotonic() + 120
    while not is_so():
        assert monotonic() < deadline, otherwise
        sleep(1)


def lying(settings: Settings, topic: str, partitions: int) -> list[Message]:
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.judge")
    messages = [message for p in range(partitions) for message in reader.read(topic, p, 0)]
    reader.close()
    return messages


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Variables]:
    """The variables of now, of a namespace whose history began under the settings OF_THEN."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "then.toml").write_text(OF_THEN)
    with own_namespace(
        "verify",
        MAITRED_CONFIG=str(folder / "then.toml"),
        MAITRED_TIME="event",
        MAITRED_PARTITIONS="3",
        MAITRED_KAFKA__SESSION_TIMEOUT_MS="6000",
    ) as then:
        settings = load(folder / "then.toml", then)
        now = {**then, "MAITRED_SCORING__REASONS": "2"}
        work(then, settings, Processes(then, folder / "worker.log"))
        processes = Processes(now, folder / "worker.log")
        publish(settings, 5, 150)
        try:
            processes.start()
            await_rest(settings)
        finally:
            processes.stop_all()
        yield now


def work(then: Variables, settings: Settings, processes: Processes) -> None:
    """Killed before and after a promotion, and verified while it runs."""
    publish(settings, 4, 2_000)
    try:
        processes.start()
        await_snapshots(settings)
        processes.kill(0)
        processes.start()
        promoted = maitred(then, "model", "promote", "river", "--at", "2021-06-01")
        assert promoted.returncode == 0, promoted.stderr
        live = maitred(then, "verify")
        assert live.returncode == 0, live.stdout + live.stderr
        processes.kill(0)
        processes.start()
        await_rest(settings)
        version = json.loads(maitred(then, "model", "list", "--json").stdout.splitlines()[0])["version"]
        rolled_back = maitred(then, "model", "rollback", version, "--at", "2021-07-01")
        assert rolled_back.returncode == 0, rolled_back.stderr
        await_rest(settings)
    finally:
        processes.stop_all()


def test_what_a_worker_decided_is_verified(decided: Variables) -> None:
    done = maitred(decided, "verify", "--json", "--settings", decided["MAITRED_CONFIG"])
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["is_equal"]
    assert verdict["records"]["scorer"] >= 2_000
    assert min(verdict["outputs"][topic] for topic in ("scores", "tier-changes", "assignments", "examples")) > 0
    snapshots = map(read, lying(load(None, decided), "snapshots", 1))
    assert {"promoted", "rolled_back"} <= {snapshot.cause for snapshot in snapshots}  # type: ignore[union-attr]  # all of one type


def test_settings_of_then_are_asked_for(decided: Variables) -> None:
    done = maitred(decided, "verify", "--processor", "learner")
    assert done.returncode == 2
    assert "name the settings of then, too: --settings FILE" in done.stderr


def test_a_replay_in_recorded_order_takes_the_looks_that_were_announced(decided: Variables, tmp_path: Path) -> None:
    options = (
        "--baselines",
        "none",
        "--work",
        str(tmp_path / "work"),
        "--to",
        str(tmp_path / "out"),
        "--processes",
        "1",
    )
    done = maitred(decided, "replay", "--topics", "--order", "recorded", "--json", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    settings = load(None, decided)
    events = map(read, lying(settings, "scores", settings.partitions))
    announced = {event.id: event for event in events if isinstance(event, CustomerScored)}
    (file,) = (tmp_path / "out" / "runs").glob("*/looks.parquet")
    replayed = {row["look_id"]: row for row in pq.read_table(file).to_pylist()}
    assert replayed.keys() == announced.keys()
    for name, row in replayed.items():
        event = announced[name]
        assert (row["customer_id"], row["look"], row["first_spend_minor"]) == (
            event.customer_id, event.look, event.first_order_minor,
        )  # fmt: skip
        if row["model_version"] == event.model_version and event.model_version.endswith("@cold"):
            assert row["score"] == event.score
    assert not [note for note in json.loads(done.stdout)["notes"] if "roster" in note]  # it is the topics' own


def test_what_was_added_is_found(decided: Variables) -> None:
    """Last of all: it leaves a forged score and a tier change that lies there twice."""
    settings = load(None, decided)
    score = lying(settings, "scores", settings.partitions)[0]
    change = lying(settings, "tier-changes", settings.partitions)[0]
    forged = score._replace(headers=tuple((n, b"forged" if n == "ce_id" else v) for n, v in score.headers))
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    for message in (forged, change):
        place = f"{settings.namespace}.{message.topic}", message.partition
        publisher.publish(*place, message.key, message.value, [*message.headers], None)
    publisher.flush()
    options = ("--processor", "scorer", "--settings", decided["MAITRED_CONFIG"])
    done = maitred(decided, "verify", "--json", "--most", "2", *options)
    assert done.returncode == 1
    differences = json.loads(done.stdout)["differences"]
    assert {text.split("[")[0] for text in differences} == {"scores", "tier-changes"}
    assert all("no entry of the batch log gives this record" in text for text in differences)
