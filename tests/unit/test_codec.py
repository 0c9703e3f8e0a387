"""What is written is read again, by us, by the avro package and by the cloudevents package."""

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import avro.io
import avro.schema
import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.base import Format
from msgspec import inspect

from schemas import events
from schemas.codec import (
    OUR_OWN,
    TOPIC_EVENTS,
    UNTYPED,
    Schemas,
    cloud_event_headers,
    event_id,
    read_event,
    write_event,
)
from schemas.definitions import Definitions
from schemas.records import Fault
from schemas.registry import FileRegistry

AT_MS = 1_290_000_000_123
REGISTRY = FileRegistry()
SCHEMAS = Schemas(REGISTRY)
PLACES = [(topic, event) for topic, classes in TOPIC_EVENTS.items() for event in classes]


def example(kind, *, full):
    """An event of this class; `full`: with every optional field too."""
    fields = [f for f in msgspec.structs.fields(kind) if full or f.required or f.name == "visitor_id"]
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    types = {field.name: field.type for field in shape.fields}
    return kind(**{field.name: value_of(field.name, types[field.name], full=full) for field in fields})


def value_of(name, kind, *, full):
    if isinstance(kind, inspect.UnionType):
        kind = next(part for part in kind.types if not isinstance(part, inspect.NoneType))
    if isinstance(kind, inspect.VarTupleType):
        return (value_of(name, kind.item_type, full=full),) * 2
    if isinstance(kind, inspect.StructType):
        return example(kind.cls, full=full)
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.IntType):
        return {"occurred_at_ms": AT_MS, "until_ms": 8}.get(name, 7)
    if isinstance(kind, inspect.StrType):
        return "EUR" if name == "currency" else f"{name} ä€😀"
    plain: dict[Any, object] = {inspect.FloatType: 0.5, inspect.BoolType: True, inspect.BytesType: b"\0\xff"}
    return plain[type(kind)]


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(("topic", "kind"), PLACES)
def test_every_event_survives_avro_and_json(topic, kind, full):
    """With all its fields and with the required ones only; the avro package reads the same bytes."""
    event = example(kind, full=full)
    written = write_event(event, REGISTRY.schema_id(kind.__name__))
    assert read_event(topic, written, (), SCHEMAS, AT_MS) == event
    assert read_by_avro(kind, written) == event
    headers = cloud_event_headers(event, "/maitred", topic)
    assert read_event(topic, written, headers, SCHEMAS, AT_MS) == event
    if kind in OUR_OWN:
        return
    assert read_event(topic, msgspec.json.encode(event), headers, SCHEMAS, AT_MS) == event
    assert read_event(topic, msgspec.json.encode(event), (), SCHEMAS, AT_MS) == event


def read_by_avro(kind, written):
    schema = avro.schema.parse(Definitions().current(kind.__name__))
    body = BytesIO(written[5:])
    data = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(body))
    assert body.read() == b""
    return msgspec.convert(data, kind)


def test_a_type_may_be_named_by_header_by_field_or_by_the_topic():
    """Three ways for JSON; the shop's own namespace before the type is no obstacle."""
    event = example(events.ConsentChanged, full=True)
    plain = msgspec.json.encode({k: v for k, v in msgspec.to_builtins(event).items() if k != "type"})
    for name in (b"maitred.ConsentChanged", b"ConsentChanged", b"com.shop.ConsentChanged"):
        assert read_event("privacy", plain, (("ce_id", b"1"), ("ce_type", name)), SCHEMAS) == event
    order = example(events.OrderPlaced, full=True)
    plain = msgspec.json.encode({k: v for k, v in msgspec.to_builtins(order).items() if k != "type"})
    assert read_event("orders", plain, (("other", None),), SCHEMAS) == order


@pytest.mark.parametrize("topic", UNTYPED)
def test_on_some_topics_one_type_is_meant_where_none_is_said(topic):
    """What a roster or an advisor tool sent before there were other types is read as before; the others are named."""
    usual, other = TOPIC_EVENTS[topic]
    assert usual is UNTYPED[topic]
    for kind in (usual, other):
        event = example(kind, full=True)
        plain = msgspec.json.encode({k: v for k, v in msgspec.to_builtins(event).items() if k != "type"})
        named = read_event(topic, plain, (("ce_type", kind.__name__.encode()),), SCHEMAS)
        assert named == event
        assert (read_event(topic, plain, (), SCHEMAS) == event) == (kind is usual)


def test_our_own_word_between_scorers_is_not_taken_from_json():
    """A profile on its way is believed as it is: whoever can only send JSON can not make one up."""
    event = example(events.ProfileMoved, full=True)
    for headers in ((), (("ce_type", b"maitred.ProfileMoved"),)):
        fault = read_event("privacy", msgspec.json.encode(event), headers, SCHEMAS, AT_MS)
        assert isinstance(fault, Fault)
        assert "ProfileMoved" in fault.got
        assert "ProfileMoved" not in fault.expected


def test_fields_we_do_not_know_are_passed_over():
    """A shop may send more than we asked for."""
    order = example(events.OrderPlaced, full=True)
    more = msgspec.json.encode(msgspec.to_builtins(order) | {"colour": {"deep": [1, 2]}})
    assert read_event("orders", more, (), SCHEMAS) == order


class OneSchema(FileRegistry):
    """A registry with one more schema: a shop's own."""

    def __init__(self, schema):
        super().__init__()
        self.text = schema if isinstance(schema, str) else json.dumps(schema)

    def writer_schema(self, schema_id):
        return self.text if schema_id == 4711 else super().writer_schema(schema_id)


def by_shop(schema, data):
    """What the shop writes by its own schema, with the avro package."""
    body = BytesIO()
    avro.io.DatumWriter(avro.schema.parse(json.dumps(schema))).write(data, avro.io.BinaryEncoder(body))
    return b"\0" + (4711).to_bytes(4, "big") + body.getvalue()


def test_what_was_written_with_another_schema_is_resolved_to_ours():
    """An older or a shop's own schema: int for long, fields missing, fields more, other order, other namespace."""
    schema = {
        "type": "record", "name": "ConsentChanged", "namespace": "com.shop",
        "fields": [
            {"name": "granted", "type": "boolean"},
            {"name": "source", "type": "string"},
            {"name": "occurred_at_ms", "type": "long"},
            {"name": "customer_id", "type": "string"},
        ],
    }  # fmt: skip
    value = by_shop(schema, {"granted": True, "source": "web", "occurred_at_ms": AT_MS, "customer_id": "7"})
    event = read_event("privacy", value, (), Schemas(OneSchema(schema)))
    assert event == events.ConsentChanged(customer_id="7", occurred_at_ms=AT_MS, granted=True)


def test_a_schema_that_ours_cannot_be_read_from_is_a_fault():
    """The record can't be read, and it is the schema's doing."""
    schema = {
        "type": "record",
        "name": "ErasureRequested",
        "fields": [{"name": "customer", "type": "string"}],
    }
    fault = read_event("privacy", by_shop(schema, {"customer": "7"}), (), Schemas(OneSchema(schema)))
    assert isinstance(fault, Fault)
    assert (fault.error, fault.field, fault.expected) == (
        "invalid", "schema id", "a schema that ErasureRequested can be read from",
    )  # fmt: skip
    assert "ErasureRequested.avsc" in fault.cure


@pytest.mark.parametrize("schema", ["no json", '"string"', '{"type": "record"}', '{"type": "Unheard"}', "[]"])
def test_a_schema_of_something_else_is_a_fault(schema):
    """Whatever the registry holds under an id: the record doesn't belong here."""
    fault = read_event("orders", b"\0" + (4711).to_bytes(4, "big") + b"\2", (), Schemas(OneSchema(schema)))
    assert isinstance(fault, Fault)
    assert (fault.error, fault.field) == ("invalid", "type")


class Bytes(Format):
    """Leaves the data as it is."""

    def read_data(self, data, content_type):
        return data

    def read(self, *args):
        raise NotImplementedError

    def write(self, *args):
        raise NotImplementedError

    def write_data(self, *args):
        raise NotImplementedError

    def get_content_type(self):
        return "application/avro"


def test_the_cloudevents_package_reads_our_headers():
    """CloudEvents 1.0, binary mode: id, source, type and time are what we meant."""
    event = example(events.CustomerScored, full=True)
    value = write_event(event, REGISTRY.schema_id("CustomerScored"))
    message = KafkaMessage(dict(cloud_event_headers(event, "/maitred", "scores")), None, value)
    read = from_binary(message, Bytes())
    assert read.get_attributes() == {
        "specversion": "1.0",
        "id": event.id,
        "source": "/maitred/scores",
        "type": "maitred.CustomerScored",
        "time": datetime(2010, 11, 17, 13, 20, 0, 123_000, tzinfo=UTC),
        "datacontenttype": "application/avro",
    }
    assert read.get_data() == value


@pytest.mark.parametrize(("topic", "kind"), PLACES)
def test_every_event_has_an_id_and_a_time(topic, kind):
    """Also those whose class has no id field."""
    event = example(kind, full=True)
    assert event_id(event)
    assert ("ce_time", b"2010-11-17T13:20:00.123Z") in cloud_event_headers(event, "/maitred", topic)
