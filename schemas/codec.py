"""From bytes to events and back: the only importer of fastavro. `read_event` is on the hot path of everything.

In: Avro in Confluent wire format (byte 0, schema id, body) or one JSON object; both end in one msgspec class, so that
what an event may hold is said once, in `events.py`. Bytes never raise: what can't be read becomes a `Fault`. Only an
unreachable registry raises, because that says nothing about the record. Out: Avro in Confluent wire format, with the
headers of CloudEvents 1.0. How a fault reads is `faults.py`'s work, where rejected records go `rejects.py`'s.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple, get_args

import fastavro
import msgspec

from schemas import events, faults
from schemas.definitions import NAMESPACE, definition_of
from schemas.records import Fault
from schemas.registry import Registry

MAX_RECORD_BYTES = 1 << 20
EARLIEST_MS = 631_152_000_000  # 1990-01-01
LATEST_AHEAD_MS = 86_400_000  # a shop's clock may be this far before the broker's

Headers = Iterable[tuple[str, bytes | None]]
Class = type[Any]  # Any: one of the event classes; a union of them is no type[] for msgspec

# The events that belong on a topic. A topic with one type needs no mention of it; on the others JSON says which, but for
# those in UNTYPED.
TOPIC_EVENTS: Mapping[str, tuple[Class, ...]] = {
    "orders": (events.OrderPlaced,),
    "returns": (events.ItemsReturned,),
    "browse": (events.PageBrowsed,),
    "privacy": (
        events.ConsentChanged,
        events.ErasureRequested,
        events.AssignmentWished,
        events.CustomersMerged,
        events.ProfileMoved,
        events.EventForwarded,
    ),
    "roster": (events.AdvisorChanged, events.PoolChanged),
    "contacts": (events.ContactReported, events.RelationImported),
    "scores": (events.CustomerScored, events.CustomerStanding),
    "assignments": (events.AdvisorAssigned, events.AssignmentWithheld, events.AssignmentEnded),
    "current-assignments": (events.AdvisorAssigned,),
    "tier-changes": (events.TierChanged,),
    "examples": (events.ExampleReady, events.ModelChosen),
    "snapshots": (events.SnapshotPublished,),
    "batch-log": (events.BatchCommitted,),
}
UNTYPED: Mapping[str, Class] = {
    "roster": events.AdvisorChanged,
    "contacts": events.ContactReported,
    "examples": events.ExampleReady,
}

# What one of our processors tells another over a topic that others write to. It is believed as it stands, so it is not
# taken from JSON, which any shop may send; who may write to the topic at all is for Kafka's access control.
OUR_OWN = frozenset({events.ProfileMoved, events.EventForwarded})

_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)  # what decoding JSON raises
_CLASSES: Mapping[str, Class] = {event.__name__: event for event in get_args(events.Event)}
_FROM_OUTSIDE = frozenset(get_args(events.Incoming))


class _Topic(NamedTuple):
    """What reading a record of a topic needs, worked out beforehand."""

    classes: frozenset[Class]
    names: tuple[str, ...]
    json: msgspec.json.Decoder[Any]  # by the `type` field, or the topic's only type
    json_by_type: Mapping[bytes, msgspec.json.Decoder[Any]]  # by the last part of ce_type
    names_in_json: tuple[str, ...]


class _Reader(NamedTuple):
    """How to read what was written with one schema."""

    event: Class | None  # None: a schema of something else
    name: str
    writer: Any  # Any: fastavro's parsed schema
    ours: Any  # None where it is the same


class Schemas:
    """The registry's schemas by id, made ready to read with. Each is asked for once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._readers: dict[int, _Reader] = {}

    def reader(self, schema_id: int) -> _Reader | None:
        """None if the registry doesn't know the id. Raises RegistryUnavailable."""
        if (reader := self._readers.get(schema_id)) is None:
            if (text := self._registry.writer_schema(schema_id)) is None:
                return None
            reader = self._readers[schema_id] = _reader(text)
        return reader


def read_event(
    topic: str,
    value: bytes | None,
    headers: Headers,
    schemas: Schemas,
    timestamp_ms: int = 0,
    max_bytes: int = MAX_RECORD_BYTES,
) -> events.Event | Fault:
    """What a record of `topic` says, or the fault that keeps it from saying it.

    `timestamp_ms` is the broker's time of the record (0: unknown), that no event may be far ahead of. A record without
    a type takes its topic's only or usual one; of a key twice in JSON the last counts. Raises RegistryUnavailable, and nothing else.
    """
    if not value:
        return faults.no_value() if value is None else faults.empty()
    if len(value) > max_bytes:
        return faults.too_large(len(value), max_bytes)
    known = _TOPICS[topic]
    read = _read_avro(topic, known, value, schemas) if value[0] == 0 else _read_json(topic, known, value, headers)
    return read if type(read) is Fault else _plausible(read, timestamp_ms)


def _read_avro(topic: str, known: _Topic, value: bytes, schemas: Schemas) -> Any:
    if len(value) < 5:
        return faults.undecodable("5 bytes of Confluent wire format", value.hex(" "), "publish the whole value")
    schema_id = int.from_bytes(value[1:5], "big")
    if (reader := schemas.reader(schema_id)) is None:
        return faults.unknown_schema(schema_id)
    if reader.event not in known.classes:
        return faults.misplaced("type", topic, known.names, reader.name)
    body = BytesIO(value)
    body.seek(5)
    data: Any = None
    try:
        data = fastavro.schemaless_reader(body, reader.writer, reader.ours)
        event = msgspec.convert(data, reader.event)
    except msgspec.ValidationError as error:
        return faults.violated(error, reader.event, data)
    except fastavro.read.SchemaResolutionError as error:
        return faults.unreadable_schema(schema_id, reader.name, error)
    except Exception as error:  # on bad bytes fastavro raises whatever Python raises
        return faults.bad_avro(reader.name, schema_id, error)
    if body.tell() != len(value):
        return faults.trailing(reader.name, schema_id, len(value) - body.tell())
    return event


def _read_json(topic: str, known: _Topic, value: bytes, headers: Headers) -> Any:
    decoder, allowed = known.json, known.names_in_json
    for name, content in headers:
        if name == "ce_type" and content is not None:
            found = known.json_by_type.get(content.rpartition(b".")[2])
            if found is None:
                return faults.misplaced("ce_type", topic, known.names_in_json, content.decode("utf-8", "replace"))
            decoder, allowed = found, (found.type.__name__,)
    try:
        return decoder.decode(value)
    except _UNREADABLE as error:
        if len(allowed) > 1 and topic in UNTYPED and _says_no_type(value):
            return _read_json(topic, known, value, (("ce_type", UNTYPED[topic].__name__.encode()),))
        return _json_fault(topic, allowed, value, error)


def _says_no_type(value: bytes) -> bool:
    try:
        data = msgspec.json.decode(value)
    except _UNREADABLE:
        return False
    return isinstance(data, dict) and "type" not in data


def _json_fault(topic: str, allowed: tuple[str, ...], value: bytes, error: Exception) -> Fault:
    """The typed decoder stops at the first thing it finds: whether the rest is JSON at all decides the class."""
    try:
        data = msgspec.json.decode(value)
    except _UNREADABLE as malformed:
        return faults.bad_json(malformed, value)
    if not isinstance(error, msgspec.ValidationError):
        return faults.bad_json(error, value)
    said = data.get("type") if isinstance(data, dict) else allowed[0]
    if said not in allowed and not (said is None and len(allowed) == 1):
        return faults.misplaced("type", topic, allowed, said)
    return faults.violated(error, _CLASSES[said or allowed[0]], data)


def _plausible(event: Any, timestamp_ms: int) -> Any:
    """The event, or what is wrong with it that no type can say. What we wrote ourselves is not doubted."""
    kind = type(event)
    if kind not in _FROM_OUTSIDE:
        return event
    at_ms = event.occurred_at_ms
    if at_ms < EARLIEST_MS:
        return faults.absurd_time(f"at least {EARLIEST_MS} (1990-01-01)", at_ms)
    if at_ms > timestamp_ms + LATEST_AHEAD_MS and timestamp_ms > 0:
        return faults.absurd_time(f"at most {timestamp_ms + LATEST_AHEAD_MS} (a day after the broker's time)", at_ms)
    if kind is events.PageBrowsed:
        if event.customer_id is None and event.visitor_id is None:
            return faults.nobody()
        if event.price_minor is not None and event.currency is None:
            return faults.no_currency(event.price_minor)
    elif kind is events.AdvisorChanged:
        for number, absence in enumerate(event.absences):
            if absence.until_ms <= absence.from_ms:
                return faults.backwards(f"absences[{number}].until_ms", absence.from_ms, absence.until_ms)
    elif kind is events.CustomersMerged and event.customer_id == event.into_customer_id:
        return faults.into_itself(event.customer_id)
    return event


# ---- out ---------------------------------------------------------------------------------------------------------


def write_event(event: events.Event, schema_id: int) -> bytes:
    """The event in Confluent wire format. `schema_id` is what the registry calls the event's current definition."""
    body = BytesIO()
    body.write(b"\0" + schema_id.to_bytes(4, "big"))
    data = msgspec.to_builtins(event, builtin_types=(bytes,))
    fastavro.schemaless_writer(body, _parsed(type(event).__name__), data)
    return body.getvalue()


def cloud_event_headers(event: events.Event, source: str, topic: str) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 in Kafka's binary mode. `source` says who publishes, such as /maitred."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id(event).encode()),
        ("ce_source", f"{source}/{topic}".encode()),
        ("ce_type", _CE_TYPES[type(event)]),
        ("ce_time", rfc3339(event.occurred_at_ms).encode()),
        ("content-type", b"application/avro"),
    ]


def event_id(event: events.Event) -> str:
    """What tells this event from all others of its type."""
    match event:
        case events.ConsentChanged() | events.ErasureRequested():
            return f"{event.customer_id}/{event.occurred_at_ms}"
        case events.AdvisorChanged():
            return f"{event.advisor_id}/{event.occurred_at_ms}"
        case events.PoolChanged():
            return f"{event.pool}/{event.occurred_at_ms}"
    return str(getattr(event, _ID_FIELDS[type(event)]))


def rfc3339(at_ms: int) -> str:
    """A time as text.

    >>> rfc3339(1_290_000_000_123)
    '2010-11-17T13:20:00.123Z'
    """
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


# ---- worked out beforehand ---------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CE_TYPES = {event: f"{NAMESPACE}.{name}".encode() for name, event in _CLASSES.items()}
_ID_FIELDS: Mapping[Class, str] = dict.fromkeys(get_args(events.Outgoing), "id") | {
    events.OrderPlaced: "order_id",
    events.ItemsReturned: "return_id",
    events.PageBrowsed: "event_id",
    events.AssignmentWished: "wish_id",
    events.CustomersMerged: "merge_id",
    events.RelationImported: "relation_id",
    events.ContactReported: "contact_id",
    events.ModelChosen: "choice_id",
}


def _topic(classes: tuple[Class, ...]) -> _Topic:
    in_json = [event for event in classes if event not in OUR_OWN]
    union: Any = in_json[0]  # Any: a union is a form, not a type
    for event in in_json[1:]:
        union = union | event
    by_type = {event.__name__.encode(): msgspec.json.Decoder(event) for event in in_json}
    names, names_in_json = (tuple(event.__name__ for event in some) for some in (classes, in_json))
    return _Topic(frozenset(classes), names, msgspec.json.Decoder(union), by_type, names_in_json)


_TOPICS = {topic: _topic(classes) for topic, classes in TOPIC_EVENTS.items()}


def _reader(text: str) -> _Reader:
    """Schemas of the same name are ours whatever their namespace, as Avro's rules for resolution have it."""
    try:
        writer: Any = fastavro.parse_schema(json.loads(text), {})
        name = writer["name"].rpartition(".")[2]
        event = _CLASSES.get(name)
        ours = _parsed(name) if event and not _same(writer, _parsed(name)) else None
    except (
        ValueError,
        TypeError,
        KeyError,
        fastavro.schema.UnknownType,
        fastavro.schema.SchemaParseException,
    ):
        return _Reader(None, faults.cut(text), None, None)
    return _Reader(event, name, writer, ours)


def _same(one: Any, other: Any) -> bool:
    form = fastavro.schema.to_parsing_canonical_form
    return form(one) == form(other)


@cache
def _parsed(name: str) -> Any:  # Any: fastavro's parsed schema
    return fastavro.parse_schema(json.loads(definition_of(name)), {})
