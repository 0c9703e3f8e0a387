"""The examples, as they stand, on real servers: a shop publishes, a worker decides, an advisor tool reports."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.codec import Schemas, read_event
from schemas.events import AdvisorChanged, ContactReported
from schemas.ids import partition_of
from schemas.registry import FileRegistry
from sinks.kafka import KafkaPublisher
from streams.clients import AdvisorTool
from streams.clients.publishing import Publishing
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.log import Message
from streams.settings import Settings, load
from tests.integration.real_world import Processes, own_namespace
from tests.unit.test_clients import assigned, decide, ended, listen

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """A namespace of its own, where everybody who is good enough gets an advisor."""
    with own_namespace(
        "clients",
        MAITRED_ASSIGNMENT__CONTROL_SHARE="0",
        MAITRED_ASSIGNMENT__EXPECTED_LOOKS="1",
        MAITRED_ASSIGNMENT__PLANNING_WINDOW_DAYS="1",
        MAITRED_KAFKA__SESSION_TIMEOUT_MS="6000",
    ) as own:
        yield own


@pytest.fixture
def settings(variables: dict[str, str]) -> Settings:
    return load(None, variables)


def example(variables: dict[str, str], *command: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        cwd=ROOT / "examples",
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def read(settings: Settings, topic: str) -> list[Message]:
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.judge")
    found = [message for partition in range(settings.partitions) for message in reader.read(topic, partition, 0)]
    reader.close()
    return found


def until_there(settings: Settings, topic: str, count: int = 1) -> None:
    deadline = time.monotonic() + 60
    while len(read(settings, topic)) < count:
        assert time.monotonic() < deadline, f"nothing on {topic}"
        time.sleep(0.3)


def test_the_examples_work_as_they_stand(variables: dict[str, str], tmp_path: Path) -> None:
    """Orders lead to assignments, each is told once, its contact is believed, and who joins late is told who is served."""
    settings, processes = load(None, variables), Processes(variables, tmp_path / "worker.log")
    hire(Publishing(settings))
    try:
        processes.start()
        until_there(settings, "assigner.batch-log")  # the roster is applied: nothing else can have been
        said = example(variables, "shop.py")
        assert said[0].startswith("OrderPlaced: currency: expected `str` matching regex")
        assert said[-1] == "4 orders are with the brokers"
        until_there(settings, "assignments", 4)  # whichever was read first, a customer's consent or order
        first = example(variables, "advisor_tool.py", "--idle", "2")
        again = example(variables, "advisor_tool.py", "--idle", "2")
        late = example(variables, "advisor_tool.py", "--idle", "2", "--name", "late")
        served = sorted(line.split(" (")[0] for line in first)
        assert len(served) == 4
        assert all(line.startswith("mara serves ") for line in first)
        assert again == []
        assert sorted(line.split(" (")[0] for line in late) == served
        until_there(settings, "contacts", len(served))
        time.sleep(2)
        assert [message.value for message in read(settings, "rejected")] == []
    finally:
        processes.stop_all()
    contacts(settings)


def hire(publishing: Publishing) -> None:
    now_ms = time.time_ns() // 1_000_000
    advisor = AdvisorChanged(advisor_id="mara", pool="main", occurred_at_ms=now_ms, capacity=50, daily_intake=50)
    publishing.send("roster", advisor)
    publishing.flush()


def contacts(settings: Settings) -> None:
    """Reports lie on the pool's partition, under its key; said twice of one assignment they are one report."""
    schemas = Schemas(FileRegistry())
    reports = [(m, read_event("contacts", m.value, m.headers, schemas)) for m in read(settings, "contacts")]
    assert reports
    for message, event in reports:
        assert isinstance(event, ContactReported)
        assert (message.key, message.partition) == (b"main", partition_of("main", settings.partitions))
        assert event.outcome == "contacted"
    assert len({event.contact_id for _, event in reports if isinstance(event, ContactReported)}) <= len(reports)


# ---- what a tool is told -----------------------------------------------------------------------------------------


def test_each_decision_is_told_and_none_again(settings: Settings) -> None:
    decide(settings, *(assigned(n) for n in range(20)))
    assert sorted(listen(settings, start="earliest")) == sorted(f"a{n}" for n in range(20))
    decide(settings, ended(3))
    assert listen(settings) == ["a3"]
    assert listen(settings) == []


def test_a_decision_whose_turn_was_cut_short_comes_again(settings: Settings) -> None:
    """Those before it do not."""
    decide(settings, *(assigned(n, "c") for n in range(6)))
    seen: list[str] = []
    with pytest.raises(RuntimeError, match="a bug in the tool"):
        fail_at_the_fourth(settings, seen)
    assert seen == ["a0", "a1", "a2", "a3"]
    assert listen(settings) == ["a3", "a4", "a5"]


def test_by_hand_only_what_is_done_is_done(settings: Settings) -> None:
    decide(settings, *(assigned(n, "c") for n in range(6)))
    with AdvisorTool("tool", settings) as tool:
        for event in tool.subscribe(start="earliest", by_hand=True, until_idle_s=0.6):
            if event.assignment_id not in ("a2", "a4"):
                tool.done(event)
    assert listen(settings) == ["a2", "a3", "a4", "a5"]


def test_who_joins_late_is_told_who_is_served_and_goes_on_from_there(settings: Settings) -> None:
    """Those whose assignment has ended are not among them."""
    decide(settings, *(assigned(n) for n in range(8)), ended(2), ended(5))
    decide(settings, *(assigned(n) for n in range(8)), topic="current-assignments")
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    for number in (2, 5):
        home = partition_of(f"c{number}", settings.partitions)
        publisher.publish(f"{settings.namespace}.current-assignments", home, b"c%d" % number, None)
    publisher.flush()
    assert sorted(listen(settings)) == [f"a{n}" for n in (0, 1, 3, 4, 6, 7)]
    decide(settings, assigned(9))
    assert listen(settings) == ["a9"]
    with AdvisorTool("screen", settings) as tool:
        assert sorted(tool.current()) == [f"c{n}" for n in (0, 1, 3, 4, 6, 7)]


def test_a_late_joiner_interrupted_is_told_all_of_it_again(settings: Settings) -> None:
    decide(settings, *(assigned(n) for n in range(8)))
    decide(settings, *(assigned(n) for n in range(8)), topic="current-assignments")
    with AdvisorTool("tool", settings) as tool:
        for seen, _ in enumerate(tool.subscribe()):
            if seen == 4:
                break
    assert len(listen(settings)) >= 3
    decide(settings, assigned(9))
    assert listen(settings) == ["a9"]


def fail_at_the_fourth(settings: Settings, seen: list[str]) -> None:
    with AdvisorTool("tool", settings) as tool:
        for event in tool.subscribe(start="earliest"):
            seen.append(event.assignment_id)
            if len(seen) == 4:
                raise RuntimeError("a bug in the tool")
