"""The `.avsc` files are the truth: the classes of `events.py` say the same, field by field, in both directions."""

import json
from typing import Any, get_args

import avro.schema
import msgspec
import pytest
from msgspec import inspect

from schemas import events
from schemas.definitions import NAMESPACE, Definitions

EVENTS = {event.__name__: event for event in get_args(events.Event)}


def test_every_event_has_a_definition_and_every_definition_an_event():
    """No event without its file, no file without its event."""
    assert tuple(sorted(EVENTS)) == Definitions().names()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_class_and_definition_say_the_same(name):
    """Names, order, types, optionality, defaults and allowed values agree."""
    definition: Any = avro.schema.parse(Definitions().current(name))  # Any: has no types
    assert definition.fullname == f"{NAMESPACE}.{name}"
    assert said_by_avro(definition.to_json()) == said_by_class(EVENTS[name])


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_record_and_field_is_explained(name):
    """A doc on each, a sentence: it ends in a full stop."""
    for part in parts(json.loads(Definitions().current(name))):
        if "name" in part:
            assert part.get("doc", "").endswith("."), part


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_times_and_money_carry_their_unit_and_are_whole_numbers(name):
    """Fields ending in _ms or _minor are longs."""
    for part in parts(json.loads(Definitions().current(name))):
        if part.get("name", "").endswith(("_ms", "_minor")):
            assert part["type"] in ("long", ["null", "long"]), part


def test_records_used_in_several_definitions_are_the_same_everywhere():
    """A Reason is a Reason wherever it stands, docs included."""
    seen: dict[str, Any] = {}
    for name in Definitions().names():
        for part in parts(json.loads(Definitions().current(name))):
            if part.get("type") == "record" and "namespace" not in part:
                assert seen.setdefault(part["name"], part) == part
    assert {"Reason", "Brief", "OrderLine"} <= set(seen)


def parts(part):
    """All objects of a definition: records, fields, types."""
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from parts(value)
    elif isinstance(part, list):
        for item in part:
            yield from parts(item)


def said_by_avro(part):
    """A definition in plain words: per field name, type, default and values."""
    if isinstance(part, list):
        assert part[0] == "null"
        return ["optional", said_by_avro(part[1])]
    if isinstance(part, str):
        return {"float": "double"}.get(part, part)  # single precision is Avro's matter only
    if part["type"] == "array":
        return ["many", said_by_avro(part["items"])]
    fields = part["fields"]
    return [
        (f["name"], said_by_avro(f["type"]), f.get("default", "required"), sorted_or_none(f.get("values")))
        for f in fields
    ]


PLAIN: dict[Any, str] = {
    inspect.StrType: "string",
    inspect.LiteralType: "string",
    inspect.IntType: "long",
    inspect.BoolType: "boolean",
    inspect.FloatType: "double",
    inspect.BytesType: "bytes",
}


def said_by_class(kind):
    """A class in the same words."""
    return [
        (field.name, said_by_type(field.type), default_of(field), values_of(field.type))
        for field in struct_type(kind).fields
    ]


def struct_type(kind):
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found


def said_by_type(kind):
    if isinstance(kind, inspect.UnionType):
        (inner,) = (part for part in kind.types if not isinstance(part, inspect.NoneType))
        return ["optional", said_by_type(inner)]
    if isinstance(kind, inspect.VarTupleType):
        return ["many", said_by_type(kind.item_type)]
    if isinstance(kind, inspect.StructType):
        return said_by_class(kind.cls)
    return PLAIN[type(kind)]


def default_of(field):
    if field.required:
        return "required"
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return list(default) if isinstance(default, tuple) else default


def values_of(kind):
    return sorted(kind.values) if isinstance(kind, inspect.LiteralType) else None


def sorted_or_none(values):
    return values and sorted(values)
