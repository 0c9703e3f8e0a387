"""Whatever the bytes: an event or a fault, never an exception; and every event comes back as it went."""

from typing import get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import events
from schemas.codec import TOPIC_EVENTS, Schemas, read_event, write_event
from schemas.records import Fault
from schemas.registry import FileRegistry

REGISTRY = FileRegistry()
SCHEMAS = Schemas(REGISTRY)
IDS = {event: REGISTRY.schema_id(event.__name__) for event in get_args(events.Event)}
TOPICS = st.sampled_from(sorted(TOPIC_EVENTS))

text = st.text(min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
lines = st.builds(
    events.OrderLine,
    sku=text, quantity=st.integers(1, 10**6), unit_price_minor=st.integers(0, 10**12),
    discount_minor=st.integers(0, 10**12), category=st.none() | text, brand=st.none() | text,
)  # fmt: skip
orders = st.builds(
    events.OrderPlaced,
    order_id=text, occurred_at_ms=st.integers(631_152_000_000, 4_102_444_800_000),
    currency=st.from_regex(r"\A[A-Z]{3}\Z"), market=text, lines=st.lists(lines, min_size=1, max_size=5).map(tuple),
    customer_id=st.none() | text, visitor_id=st.none() | text, language=st.none() | text, sales_channel=text,
    is_gift=st.booleans(), payment_method=st.none() | text, customer_since_ms=st.none() | st.integers(0, 4_102_444_800_000),
)  # fmt: skip


def is_well_read(topic, value, headers=()):
    read = read_event(topic, value, headers, SCHEMAS, 1_290_000_000_000)
    if isinstance(read, Fault):
        assert all((read.error, read.field, read.expected, read.got, read.cure))
        assert len(read.got) <= 80
        assert str(read).encode()
    else:
        assert type(read) in TOPIC_EVENTS[topic]


@given(TOPICS, st.binary(max_size=200))
@settings(max_examples=500)
def test_any_bytes_are_read_or_faulted(topic, value):
    """Noise."""
    is_well_read(topic, value)


@given(TOPICS, st.sampled_from(sorted(IDS.values())), st.binary(max_size=200))
@settings(max_examples=500)
def test_any_bytes_behind_a_good_header_are_read_or_faulted(topic, schema_id, value):
    """Noise behind Confluent's five bytes."""
    is_well_read(topic, b"\0" + schema_id.to_bytes(4, "big") + value)


@given(orders, st.data())
@settings(max_examples=300)
def test_a_record_with_one_byte_changed_is_read_or_faulted(order, data):
    """Nearly right, in both forms."""
    for value in (write_event(order, IDS[events.OrderPlaced]), msgspec.json.encode(order)):
        at = data.draw(st.integers(0, len(value) - 1))
        is_well_read("orders", value[:at] + bytes([data.draw(st.integers(0, 255))]) + value[at + 1 :])


@given(TOPICS, json_values, st.none() | st.binary(max_size=30))
@settings(max_examples=300)
def test_any_json_is_read_or_faulted(topic, value, ce_type):
    """Any JSON, under any type a header may claim."""
    is_well_read(topic, msgspec.json.encode(value), (("ce_type", ce_type),))


@given(TOPICS, st.sampled_from(sorted(IDS, key=str)), st.data())
@settings(max_examples=300)
def test_any_object_with_our_fields_is_read_or_faulted(topic, kind, data):
    """The right names, any values."""
    names = ["type", *(field.name for field in msgspec.structs.fields(kind))]
    value = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, json_values)))
    is_well_read(topic, msgspec.json.encode(value))


@given(orders)
@settings(max_examples=300)
def test_every_order_comes_back_as_it_went(order):
    """In Avro and in JSON, and both read the same."""
    assert read_event("orders", write_event(order, IDS[events.OrderPlaced]), (), SCHEMAS) == order
    assert read_event("orders", msgspec.json.encode(order), (), SCHEMAS) == order
