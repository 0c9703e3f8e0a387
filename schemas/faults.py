"""What is wrong with a record, said so that it can be mended: where, what was expected, what came, and the cure.

msgspec says which type or bound was missed and at which path; here that becomes a `Fault` with the offending value.
Finding out that something is wrong is left to `codec.py`. Every `got` is cut to 80 characters.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from schemas.records import Fault

WHOLE = "value"  # the field of a fault that concerns the record as a whole
SHOWN = 80  # characters of an offending value

_AT = re.compile(r"^(?P<said>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_MISTYPED = re.compile(r"Expected (.+), got `(.+)`")
_TIME_CURE = "send milliseconds since 1970-01-01 UTC (not seconds, not microseconds), from a clock that is right"


def shown(value: object) -> str:
    """A value as JSON, cut to what fits in a message."""
    try:
        text = msgspec.json.encode(value, enc_hook=repr).decode()
    except (TypeError, ValueError, RecursionError):
        text = repr(type(value))
    return cut(text)


def cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def undecodable(expected: str, got: str, cure: str) -> Fault:
    return Fault("undecodable", WHOLE, expected, cut(got), cure)


def no_value() -> Fault:
    return undecodable("an event", "no value (a tombstone)", "publish an event; to erase, publish ErasureRequested")


def empty() -> Fault:
    return undecodable("an event", "0 bytes", "publish Avro in Confluent wire format, or JSON")


def bad_json(error: Exception, value: bytes) -> Fault:
    got = f"{str(error) or type(error).__name__}: {value[:SHOWN].decode('utf-8', 'backslashreplace')}"
    return undecodable("JSON in UTF-8", got, "publish one JSON object, or Avro in Confluent wire format")


def bad_avro(name: str, schema_id: int, error: Exception) -> Fault:
    got = str(error) or type(error).__name__
    return undecodable(f"{name} in Avro, as schema {schema_id} has it", got, "write the value with that schema")


def trailing(name: str, schema_id: int, count: int) -> Fault:
    expected = f"the end of {name}, as schema {schema_id} has it"
    return undecodable(expected, f"{count} more bytes", "write one event per record, with the schema its id names")


def unknown_schema(schema_id: int) -> Fault:
    return Fault(
        "unknown_schema", "schema id", "an id that the registry knows", str(schema_id),
        "register the schema, or set `registry.url` to the registry of the serializer; then `maitred rejected retry`",
    )  # fmt: skip


def unreadable_schema(schema_id: int, name: str, error: Exception) -> Fault:
    return Fault(
        "invalid", "schema id", f"a schema that {name} can be read from", cut(f"{schema_id}: {error}"),
        f"write with a schema that is compatible with {name}.avsc",
    )  # fmt: skip


def misplaced(field: str, topic: str, allowed: Iterable[str], got: object) -> Fault:
    cure = "publish it to its own topic, or name its type in the header ce_type or the field type"
    return Fault("invalid", field, f"{' or '.join(allowed)} on {topic}", shown(got), cure)


def too_large(size: int, limit: int) -> Fault:
    return Fault(
        "too_large",
        WHOLE,
        f"at most {limit} bytes",
        f"{size} bytes",
        "split the event: the limit is fixed",
    )


def absurd_time(expected: str, got: object) -> Fault:
    return Fault("absurd_time", "occurred_at_ms", expected, shown(got), _TIME_CURE)


def nobody() -> Fault:
    return Fault(
        "invalid",
        "customer_id",
        "a customer_id or a visitor_id",
        "neither",
        "say who browsed, or don't publish it",
    )


def no_currency(price_minor: int) -> Fault:
    return Fault("invalid", "currency", f"the currency of price_minor {price_minor}", "null", "send price and currency")


def backwards(field: str, from_ms: int, until_ms: int) -> Fault:
    cure = "say the first moment of the absence, and the first after it"
    return Fault("invalid", field, f"a time after from_ms {from_ms}", shown(until_ms), cure)


def into_itself(customer_id: str) -> Fault:
    cure = "name the account that ends in customer_id, and the one that goes on in into_customer_id"
    return Fault("invalid", "into_customer_id", "another customer than customer_id", shown(customer_id), cure)


def violated(error: msgspec.ValidationError, event: type, data: object) -> Fault:
    """What msgspec found, with the value it found at that place in `data`."""
    found = _AT.match(str(error))
    said, path = (found["said"], found["path"] or "") if found else (str(error), "")
    field, got = path.lstrip("."), shown(_value_at(data, path))
    cure = f"correct {field or 'the event'} where {event.__name__} is published, and publish it again"
    if missing := _MISSING.fullmatch(said):
        return Fault("invalid", f"{field}.{missing[1]}".lstrip("."), "a value", "no such field", cure)
    if field == "occurred_at_ms" and said.startswith(("Expected `int` ", "Integer value out of range")):
        return absurd_time("a time from 1990 to 2099", _value_at(data, path))
    return Fault("invalid", field or WHOLE, _expected(said, event, field), got, cure)


def _expected(said: str, event: type, field: str) -> str:
    if mistyped := _MISTYPED.fullmatch(said):
        return mistyped[1]
    if said.startswith("Invalid enum value"):
        return " or ".join(msgspec.json.encode(choice).decode() for choice in _choices(event, field))
    return said.removeprefix("Expected ")


def _choices(event: type, field: str) -> tuple[object, ...]:
    """The values that a Literal field of the event's own level may have."""
    fields = msgspec.structs.fields(event)
    return next((getattr(f.type, "__args__", ()) for f in fields if f.name == field), ())


def _value_at(data: Any, path: str) -> object:  # Any: whatever the record held
    for name, index in _STEP.findall(path):
        try:
            data = data[int(index)] if index else data[name]
        except (LookupError, TypeError):
            return None
    return data
