"""Parquet is read by columns and JSON line by line, and both find the same: the same events to the byte, the same faults."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import partition_of
from streams.replay.partitions import partitions_of
from streams.replay.rows import read_fault
from streams.replay.sources.files import FileSource
from streams.simulator.files import arrow_schema

TEXTS = st.sampled_from(
    ["", "a", "EUR", "euro", "ä" * 31, "x" * 32, "x" * 64, "ü" * 128, "x" * 129, "𝄞" * 256, "y" * 257, "v\n\0"]
)
NUMBERS = st.sampled_from(
    [-1, 0, 1, 99, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 10**6, 10**12, 10**12 + 1, 2**62]
)
TIMES = st.sampled_from([-1, 0, 10**9, 631_151_999_999, 631_152_000_000, 1_300_000_000_000, 4_102_444_800_001])


def maybe(values):
    return st.one_of(st.none(), values)


LINE = st.fixed_dictionaries({
    "sku": maybe(st.one_of(st.just("boot"), TEXTS)), "quantity": maybe(st.one_of(st.just(1), NUMBERS)),
    "unit_price_minor": maybe(NUMBERS), "discount_minor": maybe(NUMBERS), "category": maybe(TEXTS), "brand": st.none(),
})  # fmt: skip
ORDER = st.fixed_dictionaries({
    "order_id": maybe(st.one_of(st.just("1"), TEXTS)), "occurred_at_ms": maybe(st.one_of(st.just(1_300_000_000_000), TIMES)),
    "currency": maybe(st.sampled_from(["EUR", "GBP", "euro", ""])), "market": maybe(st.just("DE")),
    "lines": maybe(st.lists(st.one_of(st.just({"sku": "b", "quantity": 1, "unit_price_minor": 5}), LINE), max_size=20)),
    "customer_id": maybe(TEXTS), "visitor_id": maybe(TEXTS), "language": maybe(TEXTS), "is_gift": maybe(st.booleans()),
    "customer_since_ms": maybe(TIMES),
})  # fmt: skip
BROWSE = st.fixed_dictionaries({
    "event_id": maybe(st.one_of(st.just("1"), TEXTS)), "occurred_at_ms": maybe(st.one_of(st.just(1_300_000_000_000), TIMES)),
    "kind": maybe(st.sampled_from(["view", "search", "wishlist", "stare", ""])), "customer_id": maybe(st.just("anna")),
    "visitor_id": maybe(st.one_of(st.just("v"), TEXTS)), "price_minor": maybe(NUMBERS),
    "currency": maybe(st.sampled_from(["EUR", "e"])), "dwell_ms": maybe(NUMBERS), "campaign": maybe(TEXTS),
})  # fmt: skip


def found(path):
    for batch in FileSource([path], 7).batches():
        for row in batch.to_pylist():
            fault = read_fault(row["payload"]) if row["kind"] == "Fault" else None
            told = (
                (fault.where.rpartition(":")[2], fault.error, fault.field, fault.got) if fault else row.pop("payload")
            )
            yield {name: value for name, value in row.items() if name != "payload"}, told


def as_told(data, order):
    """A row as JSON holds it: without nulls, its fields in the order of the columns (of several faults the first is told)."""
    told = {field.name: data[field.name] for field in order if data.get(field.name) is not None}
    if "lines" in told:
        told["lines"] = [as_told(line, order.field("lines").type.value_type) for line in told["lines"]]
    return told


def compare(kind, rows):
    with TemporaryDirectory() as folder:
        lines, table = Path(folder, f"{kind}.jsonl"), Path(folder, f"{kind}.parquet")
        lines.write_text("".join(json.dumps(as_told(row, arrow_schema(kind))) + "\n" for row in rows))
        pq.write_table(pa.Table.from_pylist(rows, arrow_schema(kind)), table)
        assert list(found(table)) == list(found(lines))


@given(st.lists(ORDER, min_size=1, max_size=12))
def test_orders_are_the_same_by_columns_and_by_lines(rows):
    compare("OrderPlaced", rows)


@given(st.lists(BROWSE, min_size=1, max_size=12))
def test_browse_events_are_the_same_by_columns_and_by_lines(rows):
    compare("PageBrowsed", rows)


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(1, 5_000))
def test_partitions_of_many_keys_are_those_of_each(keys, partitions):
    assert partitions_of(pa.array(keys, pa.string()), partitions).to_pylist() == [
        partition_of(key, partitions) for key in keys
    ]
