"""Time to read and write one event: our codec beside bare fastavro, the avro package and JSON, in one run.

python -m benchmarks.codec
"""

import json
from collections.abc import Callable
from io import BytesIO
from timeit import repeat

import avro.io
import avro.schema
import fastavro
import msgspec
import orjson

from schemas.codec import Schemas, cloud_event_headers, read_event, write_event
from schemas.definitions import definition_of
from schemas.events import Brief, CustomerScored, Event, OrderLine, OrderPlaced, PageBrowsed, Reason
from schemas.records import Fault
from schemas.registry import FileRegistry

AT_MS = 1_290_000_000_000
ORDER = OrderPlaced(
    order_id="536365", occurred_at_ms=AT_MS, currency="GBP", market="GB", customer_id="17850",
    lines=tuple(OrderLine(sku=f"8512{n}A", quantity=6, unit_price_minor=255, category="home") for n in range(3)),
)  # fmt: skip
VIEW = PageBrowsed(
    event_id="v-0000000001", occurred_at_ms=AT_MS, customer_id="17850", sku="85123A", category="home",
    price_minor=255, currency="GBP", dwell_ms=3_000,
)  # fmt: skip
SCORED = CustomerScored(
    id="orders/3/1841/first/0", customer_id="17850", pool="uk", market="GB", occurred_at_ms=AT_MS, look="first",
    look_number=1, score=0.31, base=0.1, first_order_minor=4_590, is_vip=False, consent="granted",
    reasons=tuple(Reason(feature=f"feature_{n}", value=0.5, contribution=0.1) for n in range(8)),
    brief=Brief(bought=("85123A", "85124A", "85125A"), looked_at=("85123A",), first_order_minor=4_590, orders=1),
    model_version="rule-1@0", features_version="1a2b3c", policy_version="4d5e6f",
)  # fmt: skip


def microseconds(act: Callable[[], object], number: int) -> float:
    return min(repeat(act, number=number, repeat=7)) / number * 1e6


def measure(topic: str, event: Event, number: int = 20_000) -> None:
    name = type(event).__name__
    registry = FileRegistry()
    schemas, schema_id = Schemas(registry), registry.schema_id(name)
    in_avro, in_json = write_event(event, schema_id), msgspec.json.encode(event)
    fast = fastavro.parse_schema(json.loads(definition_of(name)))
    slow = avro.io.DatumReader(avro.schema.parse(definition_of(name)))
    for value in (in_avro, in_json):
        read = read_event(topic, value, (), schemas, AT_MS)
        assert not isinstance(read, Fault)
        assert read == event
    rows: list[tuple[str, Callable[[], object], int]] = [
        ("read_event, Avro", lambda: read_event(topic, in_avro, (), schemas, AT_MS), number),
        ("  of it fastavro", lambda: fastavro.schemaless_reader(BytesIO(in_avro[5:]), fast, None), number),
        ("  avro package", lambda: slow.read(avro.io.BinaryDecoder(BytesIO(in_avro[5:]))), number // 10),
        ("read_event, JSON", lambda: read_event(topic, in_json, (), schemas, AT_MS), number),
        ("  orjson to dict", lambda: orjson.loads(in_json), number),
        ("  json to dict", lambda: json.loads(in_json), number),
        ("write_event, Avro", lambda: write_event(event, schema_id), number),
        ("cloud_event_headers", lambda: cloud_event_headers(event, "/maitred", topic), number),
    ]
    print(f"{name}: {len(in_avro)} bytes in Avro, {len(in_json)} in JSON")
    for label, act, times in rows:
        print(f"  {label:<22}{microseconds(act, times):8.2f} µs")


if __name__ == "__main__":
    measure("orders", ORDER)
    measure("browse", VIEW)
    measure("scores", SCORED)
