"""The clients: what is wrong is said before it is sent, what is right lies where the worker reads it, nothing is skipped."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.codec import Schemas, read_event, write_event
from schemas.events import AdvisorAssigned, AssignmentEnded, Brief, ContactReported, Event
from schemas.ids import partition_of
from schemas.records import Fault
from schemas.registry import FileRegistry
from sinks.kafka import KafkaPublisher
from streams.clients import AdvisorTool, EventRefused, Line, Returned, Shop
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.publish import Form, Writer
from streams.settings import Settings, load

BOOT = Line(sku="boot-38", quantity=1, unit_price_minor=49_000)


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """The broker inside librdkafka: it lives as long as this producer."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    metadata = host.list_topics(timeout=10)
    yield ",".join(f"{b.host}:{b.port}" for b in metadata.brokers.values())
    del host


@pytest.fixture
def settings(bootstrap: str, request: pytest.FixtureRequest) -> Settings:
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())[:60]
    return load(
        None,
        {
            "MAITRED_KAFKA__BOOTSTRAP": bootstrap,
            "MAITRED_KAFKA__EMBEDDED": "true",
            "MAITRED_KAFKA__FETCH_WAIT_MAX_MS": "10",
            "MAITRED_NAMESPACE": name,
        },
    )


def assigned(number: int, customer: str | None = None) -> AdvisorAssigned:
    return AdvisorAssigned(
        id=f"scores/0/{number}/AdvisorAssigned/0", assignment_id=f"a{number}", customer_id=customer or f"c{number}",
        advisor_id="mara", pool="main", occurred_at_ms=1_792_108_800_000 + number, cause="look", arm="treatment",
        propensity=0.9, experiment="e", score=0.5, threshold=0.1, look="first", look_id="l", reasons=(), brief=Brief(),
        recommended_channel="email", contact_by_ms=0, service_until_ms=0, model_version="m", policy_version="p",
    )  # fmt: skip


def ended(number: int) -> AssignmentEnded:
    return AssignmentEnded(
        id=f"contacts/0/{number}/AssignmentEnded/0", assignment_id=f"a{number}", customer_id=f"c{number}",
        advisor_id="mara", pool="main", occurred_at_ms=1_792_108_900_000, reason="declined",
    )  # fmt: skip


def decide(settings: Settings, *events: Event, topic: str = "assignments") -> None:
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    write = Writer(FileRegistry(), Form(namespace=settings.namespace, partitions=settings.partitions))
    for event in events:
        publisher.publish(*write(topic, event))
    publisher.flush()


def listen(settings: Settings, name: str = "tool", **how: Any) -> list[str]:
    with AdvisorTool(name, settings) as tool:
        return [event.assignment_id for event in tool.subscribe(until_idle_s=0.6, **how)]


# ---- a shop --------------------------------------------------------------------------------------------------------


def test_everything_a_shop_can_say_lies_where_the_worker_reads_it(settings: Settings) -> None:
    with Shop(settings) as shop:
        shop.order("o1", customer_id="c1", visitor_id="v", currency="EUR", market="DE", lines=[BOOT], language="de")
        shop.order("o2", currency="EUR", market="DE", lines=[BOOT])
        shop.returned(
            "r1", customer_id="c1", currency="EUR", lines=[Returned(sku="boot-38", quantity=1, refund_minor=9)]
        )
        shop.browsed(visitor_id="v", sku="boot-38", price_minor=1, currency="EUR")
        shop.consent("c1", granted=False)
        shop.merged("c1", into="c2", merge_id="m1")
        shop.erase("c2")
    found = {topic: records(settings, topic) for topic in ("orders", "returns", "browse", "privacy")}
    keys = {topic: sorted(key for key, _ in of_topic) for topic, of_topic in found.items()}
    assert keys == {"orders": ["c1", "o2"], "returns": ["c1"], "browse": ["v"], "privacy": ["c1", "c1", "c2"]}
    assert [event for of_topic in found.values() for _, event in of_topic if not hasattr(event, "occurred_at_ms")] == []


def records(settings: Settings, topic: str) -> list[tuple[str, Event | Fault]]:
    reader, schemas, found = KafkaReader(kafka_config(settings), "judge"), Schemas(FileRegistry()), []
    for partition in range(settings.partitions):
        for message in reader.read(topic, partition, 0):
            key = (message.key or b"").decode()
            assert partition == partition_of(key, settings.partitions)
            found.append((key, read_event(topic, message.value, message.headers, schemas, message.timestamp_ms)))
    reader.close()
    return found


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("currency", {"currency": "euro"}),
        ("lines", {"lines": []}),
        ("lines[0].quantity", {"lines": [Line(sku="s", quantity=0, unit_price_minor=1)]}),
        ("lines[0].unit_price_minor", {"lines": [Line(sku="s", quantity=1, unit_price_minor=19.9)]}),  # type: ignore[arg-type]
        ("occurred_at_ms", {"occurred_at_ms": 1_792_108_800}),
        ("occurred_at_ms", {"occurred_at_ms": 4_000_000_000_000}),
        ("customer_id", {"customer_id": ""}),
        ("customer_id", {"customer_id": 17}),
        ("value", {"customer_id": b"c"}),
        ("value", {"customer_id": "c\ud800"}),
    ],
)
def test_what_a_worker_would_reject_is_refused_before_it_is_sent(
    settings: Settings, field: str, wrong: dict[str, Any]
) -> None:
    order: dict[str, Any] = {"customer_id": "c", "currency": "EUR", "market": "DE", "lines": [BOOT], **wrong}
    shop = Shop(settings)
    with pytest.raises(EventRefused) as raised:
        shop.order("o", **order)
    fault = raised.value.fault
    assert fault.field == field
    assert all((fault.expected, fault.got, fault.cure))
    assert shop._publishing._publisher.published == 0


# ---- an advisor tool -----------------------------------------------------------------------------------------------


def test_a_report_names_its_assignment_and_has_one_id(settings: Settings) -> None:
    with AdvisorTool("tool", settings) as tool:
        tool.report(assigned(1), "accepted", channel="phone")
        with pytest.raises(EventRefused, match="outcome"):
            tool.report(assigned(1), "called")  # type: ignore[arg-type]  # the point
    ((key, event),) = records(settings, "contacts")
    assert key == "main"
    assert isinstance(event, ContactReported)
    assert (event.contact_id, event.customer_id) == ("a1/accepted", "c1")
    assert (event.outcome, event.channel) == ("accepted", "phone")


def test_a_tool_is_told_every_decision_and_what_nobody_can_read_is_passed_over(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = KafkaPublisher(settings.kafka.bootstrap)
    home = partition_of("c1", settings.partitions)
    for value in (b"nonsense", write_event(assigned(1), FileRegistry().schema_id("AdvisorAssigned"))):
        publisher.publish(f"{settings.namespace}.assignments", home, b"c1", value)
    publisher.flush()
    decide(settings, *(assigned(n) for n in range(2, 9)))
    assert sorted(listen(settings, start="earliest")) == [f"a{n}" for n in range(1, 9)]
    assert "passed over" in caplog.text


def test_a_loop_that_is_left_goes_on_where_it_was_left(settings: Settings) -> None:
    """Many decisions are polled at once: those not given yet, and the one it was left at, come with the next loop."""
    decide(settings, *(assigned(number) for number in range(40)))
    given: list[str] = []
    with AdvisorTool("tool", settings) as tool:
        for many in (1, 7, 20, 100):
            for count, event in enumerate(tool.subscribe(start="earliest", until_idle_s=0.6), start=1):
                given.append(event.assignment_id)
                if count == many:
                    break
    assert len(given) == 40 + 3
    assert len(set(given)) == 40
    assert listen(settings, start="earliest") == []


def test_what_was_left_undone_comes_again_with_the_next_program(settings: Settings) -> None:
    decide(settings, *(assigned(number) for number in range(40)))
    done: set[str] = set()
    with AdvisorTool("tool", settings) as tool:
        for event in tool.subscribe(start="earliest", until_idle_s=0.6):
            if len(done) == 25:
                break
            done.add(event.assignment_id)
    again = listen(settings, start="earliest")
    assert len(again) == len(set(again)) < 40
    assert done | set(again) == {f"a{number}" for number in range(40)}


def test_importing_the_clients_brings_neither_faust_nor_river() -> None:
    code = "import sys, streams.clients; print(sorted({'faust', 'river', 'redis', 'pyarrow', 'httpx2'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
