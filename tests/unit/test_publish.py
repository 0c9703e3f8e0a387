"""Publishing: events leave in event-time order, on the topic and partition where they are read, each exactly once or told."""

import json
from collections import defaultdict
from typing import Any, get_args

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from schemas import events
from schemas.codec import Schemas, read_event
from schemas.definitions import definition_of
from schemas.errors import LogUnavailable
from schemas.ids import partition_of
from schemas.records import Record
from schemas.registry import FileRegistry
from sinks.kafka import KafkaPublisher
from streams.door import Admitted, admit
from streams.event_files import EventFileError, read_files
from streams.publish import Form, key_of, paced, publish
from streams.topics import partition_count

PARTITIONS = 4
LINE = {"sku": "a", "quantity": 1, "unit_price_minor": 500}


def order(number, at_ms=1_300_000_000_000, customer="c1", **others):
    return {
        "type": "OrderPlaced", "order_id": f"o{number}", "occurred_at_ms": at_ms, "currency": "EUR", "market": "DE",
        "customer_id": customer, "lines": [LINE], **others,
    }  # fmt: skip


def json_lines(path, *items):
    path.write_text("".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in items))
    return path


def read(*paths, window=200_000):
    bad = []
    found = list(read_files(paths, lambda place, fault: bad.append((place, fault)), window))
    return found, bad


class Published(list[Any]):
    """A publisher that keeps what it is given."""

    def publish(self, *record):
        self.append(record)

    def flush(self):
        self.is_flushed = True


# ---- event files ---------------------------------------------------------------------------------------------------


def test_files_are_merged_in_event_time_order_even_if_each_is_out_of_order(tmp_path):
    one = json_lines(tmp_path / "one.jsonl", order(3, 1_300_000_000_003), order(1, 1_300_000_000_001))
    two = json_lines(tmp_path / "two.jsonl", order(2, 1_300_000_000_002), order(4, 1_300_000_000_003))
    found, bad = read(one, two)
    assert [f.event.order_id for f in found] == ["o1", "o2", "o3", "o4"]
    assert bad == []


def test_a_file_more_out_of_order_than_the_window_is_refused_with_its_line(tmp_path):
    late = [order(n, 1_300_000_000_000 + n) for n in (5, 6, 7, 8, 1)]
    with pytest.raises(EventFileError, match=r"late.jsonl:5: expected events in order"):
        read(json_lines(tmp_path / "late.jsonl", *late), window=2)


def test_json_lines_avro_and_parquet_say_the_same(tmp_path):
    items = [order(n, 1_300_000_000_000 + n, visitor_id="v" if n % 2 else None) for n in range(5)]
    bare = [{name: value for name, value in item.items() if name != "type"} for item in items]
    schema = fastavro.parse_schema(json.loads(definition_of("OrderPlaced")))
    with (tmp_path / "orders.avro").open("wb") as file:
        fastavro.writer(file, schema, bare)
    pq.write_table(pa.Table.from_pylist(bare), tmp_path / "OrderPlaced-2011.parquet")
    pq.write_table(pa.Table.from_pylist(items), tmp_path / "typed.parquet")
    json_lines(tmp_path / "orders.jsonl", *items)
    by_file = {path.name: read(path) for path in tmp_path.iterdir()}
    assert len(by_file) == 4
    expected = [f.event for f in by_file["orders.jsonl"][0]]
    assert len(expected) == 5
    assert {name: ([f.event for f in found], bad) for name, (found, bad) in by_file.items()} == dict.fromkeys(
        by_file, (expected, [])
    )


@pytest.mark.parametrize(
    ("line", "error", "field"),
    [
        ("{not json", "undecodable", "value"),
        ("\0\0\0\0\1", "undecodable", "value"),
        ({"order_id": "o"}, "invalid", "type"),
        ({"type": "OrderPlased"}, "invalid", "type"),
        ({"type": "CustomerScored"}, "invalid", "type"),
        (order(1) | {"lines": [LINE | {"quantity": -2}]}, "invalid", "lines[0].quantity"),
        (order(1) | {"occurred_at_ms": 1_300_000_000}, "absurd_time", "occurred_at_ms"),
    ],
)
def test_a_bad_line_is_told_with_its_place_and_the_others_go_on(tmp_path, line, error, field):
    path = json_lines(tmp_path / "mixed.jsonl", order(1), "", line, order(2))
    found, ((place, fault),) = read(path)
    assert [f.event.order_id for f in found] == ["o1", "o2"]
    assert str(place) == f"{path}:3"
    assert (fault.error, fault.field) == (error, field)
    assert all((fault.expected, fault.got, fault.cure))


@pytest.mark.parametrize("name", ["none.jsonl", "orders.csv", "broken.avro", "broken.parquet"])
def test_a_file_that_can_not_be_read_is_named(tmp_path, name):
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(EventFileError, match=name):
        read(tmp_path / name)


# ---- where events go -----------------------------------------------------------------------------------------------

SAMPLES = [
    order(1, customer="13085"),
    order(2, customer=None, visitor_id="v7"),
    order(3, customer=None),
    {"type": "ItemsReturned", "return_id": "r1", "occurred_at_ms": 1_300_000_000_000, "currency": "EUR",
     "customer_id": "13085", "lines": [{"sku": "a", "quantity": 1, "refund_minor": 500}]},
    {"type": "PageBrowsed", "event_id": "e1", "occurred_at_ms": 1_300_000_000_000, "visitor_id": "v7"},
    {"type": "ConsentChanged", "customer_id": "13085", "occurred_at_ms": 1_300_000_000_000, "granted": True},
    {"type": "ErasureRequested", "customer_id": "13085", "occurred_at_ms": 1_300_000_000_000},
    {"type": "AssignmentWished", "wish_id": "w1", "customer_id": "13085", "occurred_at_ms": 1_300_000_000_000,
     "wish": "never"},
    {"type": "AdvisorChanged", "advisor_id": "a1", "pool": "north", "occurred_at_ms": 1_300_000_000_000},
    {"type": "ContactReported", "contact_id": "k1", "assignment_id": "x", "customer_id": "13085", "advisor_id": "a1",
     "pool": "north", "occurred_at_ms": 1_300_000_000_000, "outcome": "accepted"},
    {"type": "CustomersMerged", "merge_id": "m1", "customer_id": "13085", "into_customer_id": "13086",
     "occurred_at_ms": 1_300_000_000_000},
    {"type": "PoolChanged", "pool": "north", "occurred_at_ms": 1_300_000_000_000, "status": "paused"},
    {"type": "RelationImported", "relation_id": "r1", "customer_id": "13085", "advisor_id": "a1", "pool": "north",
     "occurred_at_ms": 1_300_000_000_000},
    {"type": "ModelChosen", "choice_id": "m1", "occurred_at_ms": 1_300_000_000_000, "choice": "promoted", "model": "rule"},
]  # fmt: skip
KEYS = ["13085", "v7", "o3", "13085", "v7", "13085", "13085", "13085", "north", "north", "13085", "north", "north",
        "model"]  # fmt: skip
TOPICS = ["orders"] * 3 + [
    "returns",
    "browse",
    "privacy",
    "privacy",
    "privacy",
    "roster",
    "contacts",
    "privacy",
    "roster",
    "contacts",
    "examples",
]


def published(tmp_path, form=None, **options):
    found, _ = read(json_lines(tmp_path / "samples.jsonl", *SAMPLES))
    records = Published()
    sent = [(f.topic, f.event) for f in found]
    form = form or Form(namespace="shop", partitions=PARTITIONS)
    summary = publish(sent, records, FileRegistry(), form, **options)
    assert records.is_flushed
    return sent, records, summary


def test_each_event_goes_to_its_topic_with_its_key_on_its_partition(tmp_path):
    sent, records, summary = published(tmp_path)
    assert [key_of(event) for _, event in sent] == KEYS
    assert [(topic, partition, key) for topic, partition, key, *_ in records] == [
        (f"shop.{topic}", partition_of(key, partition_count(topic, PARTITIONS)), key.encode())
        for topic, key in zip(TOPICS, KEYS, strict=True)
    ]
    assert summary.total == len(SAMPLES)
    assert summary.currencies == {"EUR": 4}


def test_no_record_has_to_be_rerouted_by_who_reads_it(tmp_path):
    sent, records, _ = published(tmp_path)
    for (topic, event), (_, partition, key, value, *_) in zip(sent, records, strict=True):
        record = Record(topic, partition, 0, 0, key, value, (), event)
        assert admit(record, partition, partition_count(topic, PARTITIONS)) == Admitted(record, event)


@pytest.mark.parametrize("encoding", ["avro", "json"])
def test_what_is_written_is_read_back_equal(tmp_path, encoding):
    sent, records, _ = published(tmp_path, Form(namespace="shop", partitions=PARTITIONS, encoding=encoding))
    schemas = Schemas(FileRegistry())
    for (topic, event), (_, _, _, value, headers, _) in zip(sent, records, strict=True):
        assert read_event(topic, value, headers, schemas) == event
        assert dict(headers)["content-type"] == f"application/{encoding}".encode()


def test_a_history_keeps_its_times_and_the_present_does_not(tmp_path):
    _, present, _ = published(tmp_path)
    _, history, _ = published(tmp_path, Form(namespace="shop", partitions=PARTITIONS, keep_time=True))
    assert {record[5] for record in present} == {None}
    assert {record[5] for record in history} == {1_300_000_000_000}


def test_a_limit_ends_it(tmp_path):
    _, records, summary = published(tmp_path, limit=3)
    assert (len(records), summary.total) == (3, 3)


def test_a_rate_is_kept_and_what_was_late_is_caught_up():
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    times = []
    event = events.ErasureRequested(customer_id="c", occurred_at_ms=0)
    for number, _ in enumerate(paced([("privacy", event)] * 6, 10, lambda: now[0], sleep)):
        times.append(round(now[0], 6))
        now[0] += 0.25 if number == 1 else 0.01
    assert times == [0, 0.1, 0.35, 0.36, 0.4, 0.5]
    assert len(slept) == 3


# ---- at a broker ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker():
    """The broker inside librdkafka: it lives as long as this producer."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    metadata = host.list_topics(timeout=10)
    yield ",".join(f"{b.host}:{b.port}" for b in metadata.brokers.values())
    del host


def records_of(bootstrap, topic, partitions):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "t", "fetch.wait.max.ms": 10})
    found: defaultdict[int, list[Message]] = defaultdict(list)
    for partition in range(partitions):
        low, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        consumer.assign([TopicPartition(topic, partition, low)])
        while len(found[partition]) < end - low:
            found[partition] += [m for m in consumer.consume(1000, 1.0) if not m.error()]
    consumer.close()
    return found


def test_our_partition_is_that_of_librdkafkas_murmur2(broker):
    """Java's default: whoever publishes with `murmur2_random` agrees with us on every key."""
    theirs = Producer({"bootstrap.servers": broker, "partitioner": "murmur2_random"})
    keys = [*(f"customer-{n}" for n in range(300)), "13085", "a", "ä", "日本", "x" * 100]
    for key in keys:
        theirs.produce("murmur", key.encode(), key.encode())
    assert theirs.flush(20) == 0
    found = records_of(broker, "murmur", 4)
    assert sum(map(len, found.values())) == len(keys)
    assert {m.key().decode(): p for p, messages in found.items() for m in messages} == {
        key: partition_of(key, 4) for key in keys
    }
    assert all(found[partition] for partition in range(4))


def test_records_arrive_whole_on_the_partition_chosen_and_are_counted(broker):
    publisher = KafkaPublisher(broker)
    publisher.publish("whole", 3, b"key", b"value", [("ce_type", b"x")], 1_300_000_000_000)
    publisher.publish("whole", 1, b"key", b"now")
    publisher.flush()
    found = records_of(broker, "whole", 4)
    (message,) = found[3]
    assert (message.key(), message.value(), message.headers()) == (b"key", b"value", [("ce_type", b"x")])
    assert message.timestamp()[1] == 1_300_000_000_000
    assert found[1][0].timestamp()[1] > 1_700_000_000_000
    assert (publisher.published, publisher.delivered) == (2, {"whole": 2})


def test_what_is_not_delivered_is_told_and_never_dropped():
    publisher = KafkaPublisher("127.0.0.1:1", {"log_level": 0}, give_up_ms=200)
    publisher.publish("nowhere", 0, b"key", b"value")
    with pytest.raises(LogUnavailable, match=r"0 of 1 records were delivered|1 of 1 records are not acknowledged"):
        publisher.flush()


def test_the_samples_hold_every_event_that_can_be_published():
    assert {sample["type"] for sample in SAMPLES} == {event.__name__ for event in get_args(events.Incoming)}
