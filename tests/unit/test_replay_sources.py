"""The same events give the same rows, whichever source they come through; what can't be read is a row too, and stops nothing."""

import ast
import json
import subprocess
import sys
from collections import Counter
from typing import Any

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.definitions import definition_of
from schemas.events import ConsentChanged, ItemsReturned, OrderLine, OrderPlaced, PageBrowsed, ReturnLine
from schemas.ids import partition_of
from schemas.registry import FileRegistry
from sinks.kafka import KafkaPublisher
from streams.embedded import embedded_broker
from streams.event_files import TOPIC_OF, EventFileError
from streams.kafka.client import KafkaSettings
from streams.kafka.spans import Wanted
from streams.messages import REROUTED_FROM
from streams.publish import Form, publish
from streams.replay.rows import ON_ONE_PARTITION, ROW_SCHEMA, TOPICS, batches_of, read_fault
from streams.replay.rows import read_payload as payload_of
from streams.replay.sources.files import FileSource, files_of
from streams.replay.sources.simulator import SimulatorSource
from streams.replay.sources.topics import SOURCES, TopicSource
from streams.simulator import Malformed, Shop, ShopPlan
from streams.simulator.files import arrow_schema, write_files
from streams.simulator.runs import entry_of
from streams.topics import partition_count

PLAN = ShopPlan(seed=3, customers=60, days=120, trouble=0.0, lookers=0.2)
PARTITIONS = 3
DAY = 1_300_000_000_000
LINE = OrderLine(sku="boot", quantity=1, unit_price_minor=49_000)


def read_payload(kind, payload) -> Any:
    return payload_of(kind, payload)


def everything():
    return [item for item in Shop(PLAN).events() if not isinstance(item, Malformed)]


def rows(source):
    """All rows in the order of a replay."""
    table = pa.Table.from_batches(list(source.batches()), ROW_SCHEMA).to_pylist()
    return sorted((tuple(row.values()) for row in table), key=lambda row: row[:4])


def written(folder, form, events):
    folder.mkdir()
    write_files([entry_of(event) for _, event in events], folder, form)
    return FileSource([folder], PARTITIONS)


def wanted(events):
    table = pa.Table.from_batches(list(batches_of(events, PARTITIONS))).to_pylist()
    return sorted((tuple(row.values()) for row in table), key=lambda row: row[:4])


# ---- rows ----------------------------------------------------------------------------------------------------------


def test_a_row_has_the_place_that_publishing_would_give_and_the_event_comes_back_from_its_payload():
    order = OrderPlaced(
        order_id="1", occurred_at_ms=DAY, currency="EUR", market="DE", lines=(LINE,), customer_id="anna"
    )
    seen = PageBrowsed(event_id="2", occurred_at_ms=DAY + 1, visitor_id="v", customer_id=None)
    guest = OrderPlaced(order_id="3", occurred_at_ms=DAY + 2, currency="EUR", market="DE", lines=(LINE,))
    found = wanted([("orders", order), ("browse", seen), ("orders", guest), ("orders", order)])
    assert [row[:6] for row in found] == [
        (DAY, "orders", partition_of("anna", 3), 0, "OrderPlaced", "anna"),
        (DAY, "orders", partition_of("anna", 3), 1, "OrderPlaced", "anna"),
        (DAY + 1, "browse", partition_of("v", 3), 0, "PageBrowsed", "v"),
        (DAY + 2, "orders", partition_of("3", 3), 0 if partition_of("3", 3) != partition_of("anna", 3) else 1, "OrderPlaced", ""),
    ]  # fmt: skip
    assert [read_payload(row[4], row[6]) for row in found] == [order, order, seen, guest]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "avro"])
def test_files_of_every_form_give_the_rows_of_the_events_themselves(tmp_path, form):
    events = everything()
    assert len({type(event) for _, event in events}) > 4
    source = written(tmp_path / form, form, events)
    assert without_offsets(rows(source)) == without_offsets(wanted(events))
    assert of_topic(rows(source), "orders", "browse") == of_topic(wanted(events), "orders", "browse")  # offsets, too
    assert source.total() == len(events) == source.quality.rows
    assert source.quality.faults == Counter()


def of_topic(found, *topics):
    return [row for row in found if row[1] in topics]


def without_offsets(found):
    return sorted((*row[:3], *row[4:]) for row in found)


def test_the_simulator_gives_the_rows_of_its_files(tmp_path):
    source = SimulatorSource(PLAN, PARTITIONS)
    assert rows(source) == rows(written(tmp_path / "shop", "jsonl", everything()))
    assert source.fingerprint() != SimulatorSource(ShopPlan(seed=4), PARTITIONS).fingerprint()


def test_malformed_records_of_the_simulator_are_faults():
    source = SimulatorSource(ShopPlan(seed=3, customers=60, days=120, trouble=0.05), PARTITIONS)
    found = rows(source)
    faults = [read_fault(row[6]) for row in found if row[4] == "Fault"]
    assert {"undecodable", "invalid", "absurd_time"} <= {fault.error for fault in faults}
    assert Counter(fault.error for fault in faults) == source.quality.faults


# ---- files ---------------------------------------------------------------------------------------------------------

GOOD = {"order_id": "1", "occurred_at_ms": DAY, "currency": "EUR", "market": "DE", "customer_id": "anna"} | {
    "lines": [{"sku": "boot", "quantity": 1, "unit_price_minor": 100}]
}
BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"lines": []}, "lines"),
    ({"lines": [{"sku": "boot", "quantity": 0, "unit_price_minor": 1}]}, "lines[0].quantity"),
    ({"lines": [{"sku": "", "quantity": 1, "unit_price_minor": 1}]}, "lines[0].sku"),
    ({"lines": [{"sku": "b", "quantity": 1, "unit_price_minor": None}]}, "lines[0].unit_price_minor"),
    ({"occurred_at_ms": DAY // 1_000}, "occurred_at_ms"),
    ({"occurred_at_ms": DAY * 1_000}, "occurred_at_ms"),
    ({"occurred_at_ms": None}, "occurred_at_ms"),
    ({"currency": "euro"}, "currency"),
    ({"order_id": ""}, "order_id"),
    ({"order_id": "x" * 129}, "order_id"),
    ({"market": None}, "market"),
    ({"customer_id": ""}, "customer_id"),
    ({"customer_since_ms": -1}, "customer_since_ms"),
)


@pytest.mark.parametrize(("change", "field"), BAD)
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_bad_row_is_a_fault_with_its_place_and_field_and_the_others_go_on(tmp_path, form, change, field):
    orders = [GOOD, GOOD | change, GOOD | {"order_id": "3"}]
    path = tmp_path / f"OrderPlaced.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps({"type": "OrderPlaced"} | order) + "\n" for order in orders))
    else:
        pq.write_table(pa.Table.from_pylist(orders, arrow_schema("OrderPlaced")), path)
    first, fault, last = rows_in_order(FileSource([path], PARTITIONS))
    assert (first[4], last[4]) == ("OrderPlaced", "OrderPlaced")
    assert (read_payload(first[4], first[6]).order_id, read_payload(last[4], last[6]).order_id) == ("1", "3")
    told = read_fault(fault[6])
    assert (fault[0], fault[4], told.where, told.field) == (DAY, "Fault", f"{path}:2", field)


def rows_in_order(source):
    return [tuple(row.values()) for batch in source.batches() for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"event_id": "1", "occurred_at_ms": DAY}, "customer_id"),
        ({"event_id": "1", "occurred_at_ms": DAY, "visitor_id": "v", "price_minor": 5}, "currency"),
        ({"event_id": "1", "occurred_at_ms": DAY, "visitor_id": "v", "kind": "stare"}, "kind"),
        ({"event_id": "1", "occurred_at_ms": DAY, "visitor_id": "v", "dwell_ms": 10**9}, "dwell_ms"),
    ],
)
def test_what_no_type_can_say_of_a_browse_event_is_asked_of_columns_too(tmp_path, event, field):
    path = tmp_path / "PageBrowsed.parquet"
    pq.write_table(pa.Table.from_pylist([event], arrow_schema("PageBrowsed")), path)
    ((*_, kind, _, payload),) = rows_in_order(FileSource([path], PARTITIONS))
    assert (kind, read_fault(payload).field) == ("Fault", field)


def test_parquet_as_others_write_it_is_read(tmp_path):
    """Words as dictionaries, 32-bit numbers, long lists, a column too many, types mixed in one file, no optional column."""
    lines = pa.large_list(pa.struct([("sku", pa.string()), ("quantity", pa.int32()), ("unit_price_minor", pa.int32())]))
    table = pa.table({
        "type": pa.array(["OrderPlaced", "ConsentChanged", "OrderPlaced", "Nonsense", None]),
        "order_id": pa.array(["1", None, "2", None, None], pa.large_string()),
        "customer_id": pa.array(["anna", "anna", "bob", None, None]).dictionary_encode(),
        "occurred_at_ms": [DAY, DAY + 1, DAY + 2, DAY + 3, DAY + 4],
        "currency": pa.array(["EUR", None, "EUR", None, None]).dictionary_encode(),
        "market": ["DE", None, "AT", None, None],
        "lines": pa.array([[{"sku": "b", "quantity": 1, "unit_price_minor": 5}], None] * 2 + [None], lines),
        "granted": [None, True, None, None, None],
        "colour": ["red"] * 5,
    })  # fmt: skip
    pq.write_table(table, tmp_path / "mixed.parquet")
    found = rows_in_order(FileSource([tmp_path], PARTITIONS))
    assert [row[4] for row in found] == ["OrderPlaced", "ConsentChanged", "OrderPlaced", "Fault", "Fault"]
    assert found[3][0] == DAY + 2
    assert read_payload(found[1][4], found[1][6]) == ConsentChanged(
        customer_id="anna", occurred_at_ms=DAY + 1, granted=True
    )
    order = read_payload(found[0][4], found[0][6])
    assert (order.lines[0].sku, order.lines[0].discount_minor, order.sales_channel) == ("b", 0, "web")


def test_a_return_by_a_customer_whose_visitor_is_named_lies_with_the_customer(tmp_path):
    event = {"return_id": "1", "occurred_at_ms": DAY, "currency": "EUR", "visitor_id": "v"} | {
        "lines": [{"sku": "b", "quantity": 1, "refund_minor": 5}]
    }
    for name, write in (("ItemsReturned.parquet", parquet), ("ItemsReturned.jsonl", lines_of)):
        write(tmp_path / name, event)
    one, other = (
        rows_in_order(FileSource([tmp_path / name], 50))[0] for name in ("ItemsReturned.parquet", "ItemsReturned.jsonl")
    )
    assert one == other
    assert one[2] == partition_of("1", 50)  # a guest's: by its own id
    assert read_payload(one[4], one[6]) == ItemsReturned(
        return_id="1", occurred_at_ms=DAY, currency="EUR", lines=(ReturnLine(sku="b", quantity=1, refund_minor=5),)
    )


def parquet(path, event):
    pq.write_table(pa.Table.from_pylist([event]), path)


def lines_of(path, event):
    path.write_text(json.dumps(event) + "\n")


def test_lines_that_are_no_json_are_faults_and_empty_ones_nothing(tmp_path):
    path = tmp_path / "events.jsonl"
    good = json.dumps({"type": "OrderPlaced"} | GOOD)
    path.write_bytes(f"{good}\n\n{{broken\n{good[:-1]}\n".encode() + b"\xff\xfe\n" + json.dumps(GOOD).encode())
    source = FileSource([path], PARTITIONS)
    found = rows_in_order(source)
    assert [row[4] for row in found] == ["OrderPlaced", "Fault", "Fault", "Fault", "Fault"]
    assert [read_fault(row[6]).where.rpartition(":")[2] for row in found[1:]] == ["3", "4", "5", "6"]
    assert source.quality.faults == {"undecodable": 3, "invalid": 1}


@pytest.mark.parametrize("name", ["events.jsonl", "OrderPlaced.parquet"])
def test_a_fault_at_the_very_beginning_has_the_time_of_what_follows_it(tmp_path, name):
    orders = [
        GOOD | {"lines": []},
        GOOD | {"currency": "x"},
        GOOD,
        GOOD | {"occurred_at_ms": DAY + 1},
        GOOD | {"lines": []},
    ]
    if name.endswith("jsonl"):
        (tmp_path / name).write_text("".join(json.dumps({"type": "OrderPlaced"} | order) + "\n" for order in orders))
    else:
        pq.write_table(pa.Table.from_pylist(orders, arrow_schema("OrderPlaced")), tmp_path / name)
    assert [row[0] for row in rows_in_order(FileSource([tmp_path], PARTITIONS))] == [DAY, DAY, DAY, DAY + 1, DAY + 1]


def test_files_are_found_by_name_by_folder_and_by_pattern_each_once_in_order(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "deep/c.parquet", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    names = [str(path.relative_to(tmp_path)) for path in files_of([tmp_path / "b.jsonl", tmp_path])]
    assert names == ["b.jsonl", "a.jsonl", "deep/c.parquet"]
    assert [path.name for path in files_of([f"{tmp_path}/*.jsonl"])] == ["a.jsonl", "b.jsonl"]
    assert [path.name for path in files_of([f"{tmp_path}/**/*.parquet"])] == ["c.parquet"]


@pytest.mark.parametrize("named", ["nothing.jsonl", "*.avro", "empty", "notes.txt"])
def test_where_there_is_nothing_to_read_it_is_said(tmp_path, named):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(EventFileError, match=named.replace("*", r"\*")):
        FileSource([tmp_path / named], PARTITIONS)


@pytest.mark.parametrize("name", ["x.parquet", "x.avro"])
def test_a_file_that_is_not_what_its_name_says_is_told(tmp_path, name):
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(EventFileError, match=f"{name}: expected"):
        list(FileSource([tmp_path / name], PARTITIONS).batches())


def test_the_fingerprint_changes_with_contents_names_order_and_partitions_and_with_nothing_else(tmp_path):
    def fingerprint(*names, partitions=PARTITIONS):
        return FileSource([tmp_path / name for name in names], partitions).fingerprint()

    for name in ("a.jsonl", "b.jsonl", "again/a.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"type": "OrderPlaced"} | GOOD))
    before = fingerprint("a.jsonl")
    assert before == fingerprint("again/a.jsonl")
    others = [fingerprint("b.jsonl"), fingerprint("a.jsonl", "b.jsonl"), fingerprint("b.jsonl", "a.jsonl"), fingerprint("a.jsonl", partitions=4)]  # fmt: skip
    (tmp_path / "a.jsonl").write_text(json.dumps({"type": "OrderPlaced"} | GOOD) + "\n")
    assert len({before, *others, fingerprint("a.jsonl")}) == 6


# ---- topics --------------------------------------------------------------------------------------------------------


@pytest.fixture
def kafka():
    with embedded_broker({f"shop.{topic}": PARTITIONS for topic in SOURCES}) as address:
        yield KafkaSettings(address, "shop", fetch_wait_max_ms=10, is_embedded=True)


def topics(kafka, wanted_spans=None):
    return TopicSource(kafka, FileRegistry(), dict.fromkeys(SOURCES, PARTITIONS), wanted_spans)


def put(kafka, events, encoding="avro"):
    form = Form(namespace="shop", partitions=PARTITIONS, encoding=encoding, keep_time=True)
    publish(events, KafkaPublisher(kafka.bootstrap), FileRegistry(), form)


@pytest.mark.parametrize("encoding", ["avro", "json"])
def test_topics_give_the_rows_of_the_events_published_to_them(kafka, encoding):
    events = everything()[:3_000]
    put(kafka, events, encoding)
    source = topics(kafka)
    assert rows(source) == wanted(events)
    assert source.total() == source.quality.rows == len(events)
    assert rows(source) == wanted(events)  # and again
    assert source.fingerprint() == topics(kafka).fingerprint()
    put(kafka, events[:1])
    assert source.fingerprint() != topics(kafka).fingerprint()


def test_a_stretch_by_offsets_is_all_that_is_read(kafka):
    events = everything()[:1_000]
    put(kafka, events)
    stretch = topics(kafka, Wanted(offsets={("browse", 0): (2, 5), ("browse", 1): (7, None), ("orders", 2): (None, 0)}))
    left_out = {("browse", 0): lambda n: not 2 <= n < 5, ("browse", 1): lambda n: n < 7, ("orders", 2): lambda _: True}
    whole = wanted(events)
    expected = [row for row in whole if row[1:3] not in left_out or not left_out[row[1:3]](row[3])]
    assert rows(stretch) == expected
    assert 0 < len(expected) < len(whole)


def test_records_that_cant_be_read_are_faults_at_their_place_and_time(kafka):
    publisher = KafkaPublisher(kafka.bootstrap)
    publisher.publish("shop.orders", 2, b"anna", b"\0\0\0\xff\xffnothing", (), DAY)
    publisher.publish("shop.browse", 1, b"anna", None, (), DAY + 1)
    publisher.flush()
    source = topics(kafka)
    found = rows(source)
    assert [row[:6] for row in found] == [(DAY, "orders", 2, 0, "Fault", ""), (DAY + 1, "browse", 1, 0, "Fault", "")]
    assert [(told.where, told.error) for told in (read_fault(row[6]) for row in found)] == [
        ("orders[2]@0", "unknown_schema"), ("browse[1]@0", "undecodable"),
    ]  # fmt: skip


def test_what_was_sent_on_to_its_partition_counts_once_unless_the_original_is_not_read(kafka):
    order = OrderPlaced(
        order_id="1", occurred_at_ms=DAY, currency="EUR", market="DE", lines=(LINE,), customer_id="anna"
    )
    right = partition_of("anna", PARTITIONS)
    wrong = (right + 1) % PARTITIONS
    publisher = KafkaPublisher(kafka.bootstrap)
    publisher.publish("shop.orders", wrong, b"anna", msgspec.json.encode(order), (), DAY)
    marked = [(REROUTED_FROM, f"orders[{wrong}]@0".encode())]
    publisher.publish("shop.orders", right, b"anna", msgspec.json.encode(order), marked, DAY)
    publisher.flush()
    source = topics(kafka)
    assert [row[2] for row in rows(source)] == [wrong]
    assert source.quality.left_out == {"rerouted_copy": 1}
    later = topics(kafka, Wanted(offsets={("orders", wrong): (1, None)}))
    assert [row[2] for row in rows(later)] == [right]


def test_empty_topics_have_no_rows(kafka):
    assert rows(topics(kafka)) == []


# ---- what the tests rest on ----------------------------------------------------------------------------------------


def test_every_event_that_is_published_can_be_a_row():
    assert set(TOPIC_OF.values()) <= set(TOPICS)
    assert {topic for topic in TOPICS if topic and partition_count(topic, 12) == 1} == set(ON_ONE_PARTITION)


def test_avro_with_several_types_in_one_file_is_read(tmp_path):
    union = [
        fastavro.parse_schema(json.loads(definition_of(name)), {}) for name in ("ConsentChanged", "ErasureRequested")
    ]
    consent = {"customer_id": "anna", "occurred_at_ms": DAY, "granted": True}
    with (tmp_path / "privacy.avro").open("wb") as file:
        fastavro.writer(file, union, [("maitred.ConsentChanged", consent)])
    ((*_, kind, who, _),) = rows_in_order(FileSource([tmp_path], PARTITIONS))
    assert (kind, who) == ("ConsentChanged", "anna")


def test_nothing_that_writes_is_imported_by_any_module_of_the_room():
    """import-linter does not see what a package's `__init__` imports; the interpreter does."""
    code = (
        "import importlib, pkgutil, sys, streams.replay as room\n"
        "for module in pkgutil.walk_packages(room.__path__, 'streams.replay.'):\n"
        "    if not module.name.endswith('ray_engine'): importlib.import_module(module.name)\n"
        "print([name for name in sys.modules if name.startswith(('streams.kafka.', 'sinks', 'redis', 'faust', 'features.redis',"
        " 'streams.assembly', 'streams.commit', 'streams.publish', 'streams.shell', 'streams.topics'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert set(ast.literal_eval(done.stdout)) == {f"streams.kafka.{name}" for name in ("client", "reader", "spans")}
