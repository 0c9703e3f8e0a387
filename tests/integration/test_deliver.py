"""Decisions delivered from a real Kafka by processes that are killed: files exactly once, web servers at least once."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from standardwebhooks import Webhook

from schemas.events import TierChanged
from schemas.registry import FileRegistry
from sinks.files import positions
from sinks.kafka import COPIED_FROM, KafkaPublisher
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.publish import Form, Writer
from streams.settings import Settings, load
from tests.integration.real_world import own_namespace
from tests.unit.programs import needed
from tests.unit.test_sinks import rows_of
from tests.unit.web_server import Answer, Server, web_server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SECRET = "whsec_" + "c2VjcmV0IGZvciB0ZXN0cywgMzIgYnl0ZXMgbG9uZyEhIQ=="
TOPIC = "tier-changes"
PATIENCE_S = 60


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    with own_namespace(
        "deliver",
        MAITRED_KAFKA__SESSION_TIMEOUT_MS="6000",
        MAITRED_WEBHOOK__FIRST_WAIT_MS="10",
        MAITRED_WEBHOOK__MOST_WAIT_MS="50",
        MAITRED_FILES__ROTATE_SECONDS="1",
        MAITRED_FILES__ROTATE_BYTES="20000",
        MAITRED_WEBHOOK_SECRET=SECRET,
        MAITRED_DELIVER__TOPICS=json.dumps([TOPIC]),
    ) as own:
        yield own


def decide(settings: Settings, numbers: range) -> None:
    """Decisions in transactions, every fifth of which is aborted: nobody must ever see those."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": settings.namespace})
    producer.init_transactions(30)
    write = Writer(FileRegistry(), Form(namespace=settings.namespace, partitions=settings.partitions))
    for start in range(numbers.start, numbers.stop, 10):
        is_aborted = start // 10 % 5 == 4
        producer.begin_transaction()
        for number in range(start, min(start + 10, numbers.stop)):
            topic, partition, key, value, headers, _ = write(TOPIC, change(number, is_aborted=is_aborted))
            producer.produce(topic, value, key, partition, headers=list(headers))
        producer.flush(30)
        (producer.abort_transaction if is_aborted else producer.commit_transaction)(30)


def change(number: int, *, is_aborted: bool = False) -> TierChanged:
    return TierChanged(
        id=f"{'aborted' if is_aborted else 'change'}-{number}", customer_id=f"c{number % 37}", market="DE",
        occurred_at_ms=1_792_108_800_000 + number, change="reached", tier="gold", qualifying_minor=1, missing_minor=0,
        policy_version="p",
    )  # fmt: skip


def committed(settings: Settings) -> dict[tuple[int, int], str]:
    """What any reader of committed records finds: place and customer."""
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.judge")
    found = {
        (message.partition, message.offset): (message.key or b"").decode()
        for partition in range(settings.partitions)
        for message in reader.read(TOPIC, partition, 0)
    }
    reader.close()
    return found


def start(variables: dict[str, str], log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from streams.cli import main; main()", "deliver", *arguments]
    with log.open("ab") as output:
        return subprocess.Popen(command, env={**os.environ, **variables}, stdout=output, stderr=output)


def run(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from streams.cli import main; main()", "deliver", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def until(holds: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, log.read_text()[-3_000:]
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes], number: int) -> int:
    process.send_signal(number)
    return process.wait(PATIENCE_S)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_files_hold_every_committed_decision_exactly_once(variables: dict[str, str], tmp_path: Path, form: str) -> None:
    """Whenever the process is killed."""
    settings, chance = load(None, variables), random.Random(form)
    root, log = tmp_path / "decisions", tmp_path / "log"
    for round_number in range(3):
        decide(settings, range(round_number * 400, round_number * 400 + 400))
        before = sum(positions(root).values())
        process = start(variables, log, "files", "--to", str(root), "--format", form)
        until(lambda before=before: sum(positions(root).values()) > before, log)  # type: ignore[misc]  # bound now
        time.sleep(chance.random() / 2)
        end(process, signal.SIGKILL)
    last = run(variables, "files", "--to", str(root), "--format", form, "--once")
    assert last.returncode == 0, last.stderr
    rows = [row for path in root.glob("*/date=*/*") for row in rows_of(path)]
    expected = committed(settings)
    assert len(expected) == 960
    assert Counter((row["kafka"]["partition"], row["kafka"]["offset"]) for row in rows) == Counter(expected.keys())
    assert all(row["id"].startswith("change-") for row in rows)
    assert list((root / ".open").iterdir()) == []


def test_web_server_gets_every_committed_decision_in_order(variables: dict[str, str], tmp_path: Path) -> None:
    """Though it fails now and then, and the process is killed now and then; what comes twice has its id."""
    settings, chance, log = load(None, variables), random.Random(7), tmp_path / "log"
    with web_server() as server:
        troubles = [Answer(500), Answer(drop=True), Answer(after_s=0.05), *[Answer()] * 12]
        server.answer = lambda _: chance.choice(troubles)
        for round_number in range(3):
            decide(settings, range(round_number * 200, round_number * 200 + 200))
            process = start(variables, log, "webhook", "--url", server.url)
            enough = len(server.accepted) + 60
            until(lambda enough=enough: len(server.accepted) >= enough, log)  # type: ignore[misc]  # bound now
            end(process, signal.SIGKILL)
        assert run(variables, "webhook", "--url", server.url, "--once").returncode == 0
        expected = committed(settings)
        first = list(dict.fromkeys(server.ids()))
        assert len(expected) == 480
        assert {place(name) for name in first} == expected.keys()
        for customer in set(expected.values()):
            mine = [place(name) for name in first if expected[place(name)] == customer]
            assert mine == sorted(mine)
        for posted in server.posted:
            Webhook(SECRET).verify(posted.body, posted.headers)
        before = len(server.posted)
        process = start(variables, log, "webhook", "--url", server.url)
        decide(settings, range(600, 620))
        until(lambda: len(set(server.ids())) == 500, log)
        assert end(process, signal.SIGTERM) == 0
        assert run(variables, "webhook", "--url", server.url, "--once").returncode == 0
        assert {place(posted.id) for posted in server.posted[before:]}.isdisjoint(expected), (
            "a clean stop repeats nothing"
        )


def place(name: str) -> tuple[int, int]:
    _, partition, offset = name.split("/")
    return int(partition), int(offset)


def test_what_a_web_server_refuses_is_listed_retried_and_dropped(variables: dict[str, str], tmp_path: Path) -> None:
    settings, log = load(None, variables), tmp_path / "log"
    with web_server() as server:
        refuse(server, "c1", "c2")
        decide(settings, range(38))
        process = start(variables, log, "webhook", "--url", server.url)
        until(lambda: len(server.accepted) == 36, log)
        listed = [json.loads(line) for line in run(variables, "undelivered", "list", "--json").stdout.splitlines()]
        assert {(entry["customer"], entry["state"]) for entry in listed} == {("c1", "failed"), ("c2", "failed")}
        assert run(variables, "undelivered", "retry", "--customer", "c1").returncode == 1
        decide(settings, range(38, 40))  # c1 and c2 again: they wait behind
        until(lambda: run(variables, "undelivered", "list").stdout.count("behind") >= 2, log)
        refuse(server, "c2")
        retried = run(variables, "undelivered", "retry", "--customer", "c1")
        assert retried.returncode == 0, retried.stderr
        assert "2 delivered, 0 still undelivered" in retried.stderr
        refuse(server)
        dropped = next(e for e in listed if e["customer"] == "c2")
        where = f"{dropped['topic']}[{dropped['partition']}]@{dropped['offset']}"
        assert run(variables, "undelivered", "drop", where).returncode == 0
        until(lambda: run(variables, "undelivered", "list").stdout == "", log)
        assert end(process, signal.SIGINT) == 0
        assert [p.event["id"] for p in server.accepted if p.customer == "c1"] == ["change-1", "change-38"]
        assert [p.event["id"] for p in server.accepted if p.customer == "c2"] == ["change-39"]


def test_a_single_run_ends_when_it_is_told_to_however_long_the_server_asks_it_to_wait(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """What was not delivered is not noted, and comes with the next run."""
    log = tmp_path / "log"
    decide(load(None, variables), range(10))
    with web_server() as server:
        server.answer = lambda _: Answer(503, (("retry-after", "3000"),))
        process = start(variables, log, "webhook", "--url", server.url, "--once")
        until(lambda: len(server.posted) == 10, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        server.answer = lambda _: Answer()
        assert run(variables, "webhook", "--url", server.url, "--once").returncode == 0
        assert len(set(server.ids())) == 10


def refuse(server: Server, *customers: str) -> None:
    server.answer = lambda posted: Answer(422, (), b"unknown customer") if posted.customer in customers else Answer()


def test_a_copy_under_another_name_has_the_same_records(variables: dict[str, str]) -> None:
    """Keys lie where murmur2 puts them, though there are more partitions."""
    settings = load(None, variables)
    prefix = f"{settings.namespace}-copy"
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap})
    admin.create_topics([NewTopic(f"{prefix}.{TOPIC}", 6, 1)])[f"{prefix}.{TOPIC}"].result()
    decide(settings, range(100))
    for _ in range(2):
        assert run(variables, "kafka", "--prefix", prefix, "--once").returncode == 0
    reader = KafkaReader(kafka_config(load(None, {**variables, "MAITRED_NAMESPACE": prefix})), prefix)
    copies = [message for partition in range(6) for message in reader.read(TOPIC, partition, 0)]
    reader.close()
    admin.delete_topics([f"{prefix}.{TOPIC}"])[f"{prefix}.{TOPIC}"].result()
    sources = [dict(copy.headers)[COPIED_FROM].decode() for copy in copies]
    expected = committed(settings)
    assert sorted(sources) == sorted(f"{TOPIC}[{p}]@{offset}" for p, offset in expected)
    assert len(copies) == 80
    assert len({copy.partition for copy in copies}) > 4


def test_a_second_process_may_not_write_to_the_same_folder(variables: dict[str, str], tmp_path: Path) -> None:
    log, root = tmp_path / "log", tmp_path / "decisions"
    process = start(variables, log, "files", "--to", str(root))
    until((root / ".lock").exists, log)
    until(lambda: "partitions_assigned" in log.read_text(), log)
    second = run(variables, "files", "--to", str(root), "--once")
    assert second.returncode == 1
    assert "expected to be its only writer, got another process; stop the other one" in second.stderr
    assert end(process, signal.SIGTERM) == 0


def test_records_nobody_can_read_are_told_and_passed_over(variables: dict[str, str], tmp_path: Path) -> None:
    settings = load(None, variables)
    decide(settings, range(10))
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    publisher.publish(f"{settings.namespace}.{TOPIC}", 0, b"c", b"nonsense")
    publisher.flush()
    decide(settings, range(10, 20))
    done = run(variables, "files", "--to", str(tmp_path / "decisions"), "--once", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"read": {TOPIC: 21}, "unreadable": {TOPIC: 1}}
    assert "record_unreadable" in done.stderr


def test_a_schema_newer_than_the_process_stops_it_before_the_record(variables: dict[str, str], tmp_path: Path) -> None:
    """Who is older than the workers must not pass over what they decide."""
    settings = load(None, variables)
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    publisher.publish(f"{settings.namespace}.{TOPIC}", 0, b"c", b"\0" + (999).to_bytes(4, "big") + b"newer")
    publisher.flush()
    for _ in range(2):
        done = run(variables, "files", "--to", str(tmp_path / "decisions"), "--once")
        assert done.returncode == 1
        assert f"{TOPIC}[0]@0: expected an id that the registry knows, got 999" in done.stderr


@pytest.mark.parametrize("receiver", [[sys.executable, "webhook_receiver.py"], ["node", "webhook_receiver.mjs"]])
def test_the_example_receivers_verify_what_is_posted(
    variables: dict[str, str], tmp_path: Path, receiver: list[str]
) -> None:
    """With the right secret they take everything, also while secrets are rotated; with another one nothing."""
    needed(receiver[0], "nodejs")
    decide(load(None, variables), range(10))
    port, out = free_port(), tmp_path / "out"
    environment = {**os.environ, "MAITRED_WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    folder = Path(__file__).parents[2] / "examples"
    with out.open("wb") as output, (tmp_path / "err").open("wb") as errors:
        process = subprocess.Popen(receiver, cwd=folder, env=environment, stdout=output, stderr=errors)
    try:
        until(lambda: is_listening(port), tmp_path / "err")
        other = {**variables, "MAITRED_WEBHOOK_SECRET": "whsec_" + "b3RoZXIgc2VjcmV0IGZvciB0ZXN0cywgMzIgYnl0ZXM="}
        both = {**variables, "MAITRED_WEBHOOK_SECRET": f"{other['MAITRED_WEBHOOK_SECRET']} {SECRET}"}
        for number, said in enumerate((variables, both, other)):
            url = f"http://127.0.0.1:{port}/"
            done = run(said, "webhook", "--url", url, "--name", f"n{number}", "--once", "--json")
            report = json.loads(done.stdout)
            assert report.get("failed" if said is other else "delivered") == 10, done.stderr
            assert done.returncode == (1 if said is other else 0)
    finally:
        process.terminate()
        process.wait(10)
    assert len(out.read_text().splitlines()) == 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
