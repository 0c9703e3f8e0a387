"""Each wrong state is really made, on real servers, and the doctor names it: in namespaces and on a Redis of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, but not to type checkers
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.ids import partition_of
from tests.integration.real_world import Processes, own_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

CUSTOMERS = [f"doctor-{number}" for number in range(40)]


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    with own_namespace("doctor", MAITRED_KAFKA__ANSWER_TIMEOUT_MS="3000") as own:
        yield own


class Told:
    """What the doctor said: exit code, and the verdict of each check."""

    def __init__(self, variables: dict[str, str], **more: str) -> None:
        code = "from streams.cli import main; main()"
        command = [sys.executable, "-c", code, "doctor", "--json"]
        done = subprocess.run(
            command, env={**os.environ, **variables, **more}, capture_output=True, text=True, check=False, timeout=100
        )
        self.talk, self.exit_code = done.stderr, done.returncode
        assert self.exit_code in (0, 1), self.talk
        assert "Traceback" not in self.talk
        assert done.stdout, self.talk
        self.verdicts = {verdict["check"]: verdict for verdict in map(json.loads, done.stdout.splitlines())}

    def wrong(self) -> dict[str, str]:
        """All that was found by check, as text."""
        return {
            check: json.dumps(verdict["findings"]) for check, verdict in self.verdicts.items() if verdict["findings"]
        }


def admin(variables: dict[str, str]) -> AdminClient:
    return AdminClient({"bootstrap.servers": variables["MAITRED_KAFKA__BOOTSTRAP"]})


def set_option(variables: dict[str, str], topic: str, name: str, value: str) -> None:
    client = admin(variables)
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(
        ResourceType.TOPIC, f"{variables['MAITRED_NAMESPACE']}.{topic}", incremental_configs=[entry]
    )
    for altered in client.incremental_alter_configs([resource]).values():
        altered.result()


def order(customer: str, **more: object) -> bytes:
    line = {"sku": "boot", "quantity": 1, "unit_price_minor": 10_000}
    placed = {"order_id": f"o-{customer}", "customer_id": customer, "occurred_at_ms": time.time_ns() // 1_000_000}
    return json.dumps({**placed, "currency": "EUR", "market": "DE", "lines": [line], **more}).encode()


def publish(variables: dict[str, str], records: Sequence[tuple[str | None, bytes]], **options: object) -> None:
    """As a shop does with librdkafka's own defaults, CRC32 among them."""
    producer = Producer({"bootstrap.servers": variables["MAITRED_KAFKA__BOOTSTRAP"], **options})
    for key, value in records:
        producer.produce(f"{variables['MAITRED_NAMESPACE']}.orders", value, key)
    assert producer.flush(30) == 0


def test_nothing_is_wrong_with_a_fresh_namespace(variables) -> None:
    told = Told(variables)
    assert told.wrong() == {}
    assert told.exit_code == 0
    assert "all is well" in told.talk


def test_topics_that_were_made_or_changed_otherwise(variables) -> None:
    """Retention below the horizon, a changelog that is not compacted, sources not co-partitioned."""
    set_option(variables, "orders", "retention.ms", str(86_400_000))
    set_option(variables, "scorer.changelog", "cleanup.policy", "delete")
    returns = f"{variables['MAITRED_NAMESPACE']}.returns"
    client = admin(variables)
    client.delete_topics([returns])[returns].result()
    recreated = f"topic {returns} was not deleted in time"
    for _ in range(100):  # a topic is gone a moment after its deletion was taken
        try:
            client.create_topics([NewTopic(returns, 3, 1)])[returns].result()
            recreated = ""
            break
        except Exception:  # noqa: S112  # as said
            continue
    assert not recreated
    told = Told(variables)
    assert told.exit_code == 1
    assert "less than the horizon" in told.wrong()["retention"]
    assert "cleanup.policy=compact" in told.wrong()["topics"]
    assert "4 partitions" in told.wrong()["topics"]


@pytest.mark.parametrize(("keyed", "said"), [
    (lambda customer: customer, "they lie where CRC32 puts their keys"),
    (lambda customer: f"o-{customer}", "they lie where CRC32 puts their keys"),
    (lambda customer: None, "they have no key"),
])  # fmt: skip
def test_a_shop_with_another_partitioner(variables, keyed, said) -> None:
    publish(variables, [(keyed(customer), order(customer)) for customer in CUSTOMERS])
    told = Told(variables)
    assert said in told.wrong()["keys"]


def test_a_shop_that_keys_by_order(variables) -> None:
    records = [(f"o-{customer}", order(customer)) for customer in CUSTOMERS]
    publish(variables, records, partitioner="murmur2_random")
    assert "keyed by something else" in Told(variables).wrong()["keys"]


def test_records_of_the_future(variables) -> None:
    topic = f"{variables['MAITRED_NAMESPACE']}.orders"
    producer = Producer({"bootstrap.servers": variables["MAITRED_KAFKA__BOOTSTRAP"]})
    ahead_ms = time.time_ns() // 1_000_000 + 600_000
    producer.produce(topic, order("a"), "a", partition_of("a", 4), timestamp=ahead_ms)
    assert producer.flush(30) == 0
    assert "s ahead" in Told(variables).wrong()["stamps"]


def test_a_transaction_left_open(variables) -> None:
    """Its first record is older than any transaction may be."""
    bootstrap, namespace = variables["MAITRED_KAFKA__BOOTSTRAP"], variables["MAITRED_NAMESPACE"]
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{namespace}.somebody"})
    producer.init_transactions(20)
    producer.begin_transaction()
    long_ago_ms = time.time_ns() // 1_000_000 - 3_600_000
    producer.produce(f"{namespace}.scores", b"x", partition=1, timestamp=long_ago_ms)
    producer.flush(20)
    told = Told(variables)
    producer.abort_transaction(20)
    assert "scores[1]" in told.wrong()["transactions"]
    assert "--start-offset 0" in told.wrong()["transactions"]


def test_what_a_worker_leaves_is_well_and_what_is_then_broken_is_named(variables, tmp_path: Path) -> None:
    """Rejects, other settings, the store ahead of its log: after a worker that really ran."""
    broken = order("broken", currency="XXX")
    publish(
        variables,
        [*((customer, order(customer)) for customer in CUSTOMERS), ("broken", broken), ("garbage", b"\xff")],
        partitioner="murmur2_random",
    )
    assert "none, and" in Told(variables).wrong()["groups"]
    processes = Processes(variables, tmp_path / "worker.log")
    try:
        processes.start()
        told = await_calm(variables)
        assert set(told.wrong()) == {"rejected"}, told.wrong()
        assert "1 as undecodable" in told.wrong()["rejected"]
        assert told.exit_code == 0, "what was rejected lately is a note"
        assert "1 worker" in told.verdicts["groups"]["said"]
        other = Told(variables, MAITRED_SCORING__REASONS="2")
        assert "restart the workers" in other.wrong()["policy"]
    finally:
        processes.stop_all()
    namespace = variables["MAITRED_NAMESPACE"]
    server = redis.Redis.from_url(variables["MAITRED_REDIS__URL"])
    server.hset(f"{{{namespace}:scorer:2}}:state", "@position", "9999 0 0")
    server.close()
    assert "Kafka has lost committed data" in Told(variables).wrong()["positions"]


def test_a_namespace_that_told_time_otherwise(tmp_path: Path) -> None:
    """Orders of last year folded by their own time, then a setting that would make all that follows due at once."""
    with own_namespace("doctor", MAITRED_TIME="event") as variables:
        long_ago_ms = time.time_ns() // 1_000_000 - 365 * 86_400_000
        orders = [(customer, order(customer, occurred_at_ms=long_ago_ms)) for customer in CUSTOMERS]
        publish(variables, orders, partitioner="murmur2_random")
        processes = Processes(variables, tmp_path / "worker.log")
        try:
            processes.start()
            assert await_calm(variables).wrong() == {}
        finally:
            processes.stop_all()
        assert "time = event, which the namespace was made with" in Told(variables, MAITRED_TIME="wall").wrong()["time"]


def await_calm(variables: dict[str, str]) -> Told:
    """What the doctor says once a worker has applied what there is."""
    deadline = time.monotonic() + 90
    while True:
        told = Told(variables)
        if "groups" not in told.wrong() and '", as before' in told.verdicts["time"]["said"]:
            return told
        assert time.monotonic() < deadline, told.wrong()


def test_servers_that_do_not_answer_are_findings(variables) -> None:
    """Each once; whoever does answer is examined all the same."""
    nobody = free_port()
    told = Told(
        variables, MAITRED_KAFKA__BOOTSTRAP=f"127.0.0.1:{nobody}", MAITRED_REGISTRY__URL=f"http://127.0.0.1:{nobody}"
    )
    assert set(told.wrong()) == {"kafka", "registry"}
    assert told.verdicts["redis"]["status"] == "well"
    assert told.verdicts["topics"]["status"] == "skipped"
    told = Told(variables, MAITRED_REDIS__URL=f"redis://127.0.0.1:{nobody}/0")
    assert set(told.wrong()) == {"redis"}
    assert told.verdicts["topics"]["status"] == "well"


# ---- a Redis that is not as it should be


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OwnRedis:
    def __init__(self, home: Path, *options: str) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is not installed"
        self.port = free_port()
        home.mkdir()
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(home), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < deadline

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[OwnRedis]:
    """Evicts, saves nothing, and has little memory."""
    server = OwnRedis(tmp_path / "careless", "--save", "", "--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")
    yield server
    server.stop()


def test_a_redis_that_evicts_saves_nothing_and_is_full(variables, careless: OwnRedis) -> None:
    for number in range(20):
        careless.client.set(f"filler-{number}", b"x" * 1_000_000)
    told = Told(variables, MAITRED_REDIS__URL=careless.url)
    assert set(told.wrong()) == {"redis", "persistence", "memory"}
    assert "allkeys-lru" in told.wrong()["redis"]


def test_a_replica_is_named_as_one_and_watched_from_its_primary(variables, careless: OwnRedis, tmp_path: Path) -> None:
    replica = OwnRedis(tmp_path / "replica", "--replicaof", "127.0.0.1", str(careless.port))
    try:
        deadline = time.monotonic() + 30
        while careless.client.info("replication").get("slave0", {}).get("state") != "online":
            assert time.monotonic() < deadline
        assert "a slave" in Told(variables, MAITRED_REDIS__URL=replica.url).wrong()["redis"]
        told = Told(variables, MAITRED_REDIS__URL=careless.url)
        assert told.verdicts["replicas"]["said"] == "1 replicas, up to date"
    finally:
        replica.stop()


def test_a_redis_that_asks_for_a_password(variables, tmp_path: Path) -> None:
    server = OwnRedis(tmp_path / "locked")
    try:
        server.client.config_set("requirepass", "secret")
        assert '"to be allowed"' in Told(variables, MAITRED_REDIS__URL=server.url).wrong()["redis"]
        named = Told(variables, MAITRED_REDIS__URL=server.url.replace("//", "//:secret@"))
        assert named.verdicts["redis"]["status"] == "well"
        assert "secret" not in json.dumps(named.verdicts)
    finally:
        server.client.close()
        server.client = redis.Redis(port=server.port, password="secret")  # noqa: S106  # of this test
        server.stop()
