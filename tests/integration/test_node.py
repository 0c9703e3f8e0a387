"""The contract in another language: the official AsyncAPI parser, and a shop and an advisor tool in Node."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import Schemas, read_event
from schemas.definitions import Definitions
from schemas.events import Event
from schemas.ids import partition_of
from schemas.records import Fault
from schemas.registry import FileRegistry
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.log import Message
from streams.settings import load
from tests.integration.real_world import Processes, own_namespace
from tests.unit.programs import needed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

FOLDER = Path(__file__).parents[1] / "node"
CUSTOMERS = [f"node-{number}-ä" for number in range(60)]


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the packages that package-lock.json names."""
    found, npm = needed("node", "nodejs"), needed("npm", "npm")
    lock, stamp = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=200)
    return found


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """A namespace of its own, where everybody who is good enough gets an advisor, or is in control."""
    with own_namespace(
        "node",
        MAITRED_ASSIGNMENT__CONSENT="not_withdrawn",
        MAITRED_ASSIGNMENT__CONTROL_SHARE="0.3",
        MAITRED_ASSIGNMENT__EXPECTED_LOOKS="1",
        MAITRED_ASSIGNMENT__PLANNING_WINDOW_DAYS="1",
    ) as own:
        yield own


def run(node: str, script: str, *arguments: str, lines: str = "") -> str:
    done = subprocess.run(
        [node, str(FOLDER / script), *arguments], input=lines, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr + done.stdout[-3_000:]
    return done.stdout


def test_the_official_parser_accepts_our_asyncapi_document(node: str, tmp_path: Path) -> None:
    """No errors; and it finds every topic, and in the Avro messages the fields of our schemas."""
    path = tmp_path / "asyncapi.yaml"
    code = "from streams.cli import main; main()"
    defaults = {name: value for name, value in os.environ.items() if not name.startswith("MAITRED_")}
    command = [sys.executable, "-c", code, "asyncapi"]
    path.write_bytes(subprocess.run(command, env=defaults, check=True, capture_output=True).stdout)
    said = json.loads(run(node, "validate_asyncapi.mjs", str(path)))
    assert said["errors"] == []
    assert {warning["code"] for warning in said["warnings"]} <= {"asyncapi-latest-version"}
    found = {message["name"]: message for message in said["found"]["messages"]}
    for name in Definitions().names():
        fields = [field["name"] for field in json.loads(Definitions().current(name))["fields"]]
        assert found[name]["fields"] == fields
    assert "send maitred.assignments" in said["found"]["operations"]


def test_the_official_parser_would_tell_of_a_mistake(node: str, tmp_path: Path) -> None:
    """So that no errors means something."""
    path = tmp_path / "asyncapi.yaml"
    text = (Path(__file__).parents[2] / "docs" / "asyncapi.yaml").read_text()
    path.write_text(text.replace("action: receive", "action: overhear", 1))
    command = [node, str(FOLDER / "validate_asyncapi.mjs"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert json.loads(done.stdout)["errors"]


def test_a_shop_and_an_advisor_tool_in_node(node: str, variables: dict[str, str], tmp_path: Path) -> None:
    """Its orders land on the right partitions; it reads every decision just as Python does, and no aborted one."""
    bootstrap, namespace = variables["MAITRED_KAFKA__BOOTSTRAP"], variables["MAITRED_NAMESPACE"]
    processes = Processes(variables, tmp_path / "worker.log")
    try:
        processes.start()
        hire(variables)
        await_records(variables, "assigner.batch-log")  # whoever is scored before anybody is hired is not assigned
        run(node, "publish_orders.mjs", bootstrap, namespace, lines=orders())
        await_records(variables, "tier-changes", len(CUSTOMERS) // 2)
        await_records(variables, "assignments", 10)
        await_rest(variables)
    finally:
        processes.stop_all()
    for topic in ("assignments", "current-assignments", "tier-changes", "scores"):
        by_node = [
            json.loads(line) for line in run(node, "read_decisions.mjs", bootstrap, namespace, topic).splitlines()
        ]
        by_node.sort(key=lambda read: (read["partition"], read["offset"]))
        assert by_node == [as_read(message) for message in records(variables, topic)]
        assert by_node, topic
    placed = records(variables, "orders")
    assert len(placed) == len(CUSTOMERS), "nothing was sent on"
    assert all(message.partition == partition_of((message.key or b"").decode(), 4) for message in placed)


def orders() -> str:
    now_ms = time.time_ns() // 1_000_000
    return "".join(
        json.dumps({
            "order_id": f"o-{customer}", "customer_id": customer, "occurred_at_ms": now_ms, "currency": "EUR", "market": "DE",
            "lines": [{"sku": "boot", "quantity": 1, "unit_price_minor": 5_000 * number}],
        }) + "\n"
        for number, customer in enumerate(CUSTOMERS, 1)
    )  # fmt: skip


def hire(variables: dict[str, str]) -> None:
    from sinks.kafka import KafkaPublisher

    advisor = {"advisor_id": "anna", "pool": "main", "occurred_at_ms": time.time_ns() // 1_000_000, "capacity": 50}
    value = json.dumps({**advisor, "daily_intake": 50}).encode()
    publisher = KafkaPublisher(variables["MAITRED_KAFKA__BOOTSTRAP"])
    publisher.publish(f"{variables['MAITRED_NAMESPACE']}.roster", partition_of("main", 4), b"main", value)
    publisher.flush()


def records(variables: dict[str, str], topic: str) -> list[Message]:
    """As Python reads them, by partition and offset."""
    settings = load(None, variables)
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.test")
    found = [message for partition in range(4) for message in reader.read(topic, partition, 0)]
    reader.close()
    return found


def await_records(variables: dict[str, str], topic: str, count: int = 1) -> None:
    deadline = time.monotonic() + 60
    while len(records(variables, topic)) < count:
        assert time.monotonic() < deadline, f"fewer than {count} records on {topic}"


def await_rest(variables: dict[str, str]) -> None:
    """Until the decisions are as many as a moment before: time alone may bring more, but not now."""
    before = -1
    while before != (now := sum(len(records(variables, topic)) for topic in ("scores", "assignments"))):
        before = now
        time.sleep(2)


def as_read(message: Message) -> dict[str, Any]:  # Any: JSON
    """What the Node reader prints of a record, by our own codec."""
    read = {
        "partition": message.partition,
        "offset": message.offset,
        "key": (message.key or b"").decode(),
        "headers": {name: value.decode() for name, value in message.headers},
    }
    if message.value is None:
        return {**read, "record": None}
    event = event_of(message)
    schema_id = int.from_bytes(message.value[1:5], "big")
    return {**read, "id": schema_id, "type": f"maitred.{type(event).__name__}", "record": as_json(event)}


def event_of(message: Message) -> Event:
    event = read_event(message.topic, message.value, message.headers, Schemas(FileRegistry()), message.timestamp_ms)
    assert not isinstance(event, Fault), event
    return event


def as_json(event: Event) -> dict[str, Any]:  # Any: JSON
    import msgspec

    data: dict[str, Any] = json.loads(msgspec.json.encode(event))
    data.pop("type")
    return data
