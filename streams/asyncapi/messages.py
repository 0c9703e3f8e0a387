"""What can lie on a topic: each event in Avro, those from outside in JSON too, and the records that are no events."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec

from schemas.codec import TOPIC_EVENTS
from schemas.definitions import NAMESPACE, definition_of
from schemas.events import Event, Incoming
from schemas.rejects import PREFIX
from streams.asyncapi.examples import example_of

AVRO, JSON_SCHEMA = "application/vnd.apache.avro+json;version=1.9.0", "application/schema+json;version=draft-07"
BINDING = "0.5.0"
Part = dict[str, Any]  # Any: JSON
KINDS: Mapping[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
FROM_OUTSIDE = {kind.__name__ for kind in get_args(Incoming)}
REJECTED_HEADERS = ("topic", "partition", "offset", "timestamp_ms", "content", "error", "field", "expected", "got", "cure",
                    "message")  # fmt: skip


def messages_on(topic: str) -> tuple[str, ...]:
    """The names of the messages on a topic.

    >>> messages_on("orders"), messages_on("scorer.batch-log"), messages_on("learner.changelog")
    (('OrderPlaced', 'OrderPlacedJson'), ('BatchCommitted',), ('Change',))
    """
    kind = topic.rpartition(".")[2]
    if kind in TOPIC_EVENTS:
        return tuple(name for event in TOPIC_EVENTS[kind] for name in _forms(event.__name__))
    return {
        "changelog": ("Change",),
        "rejected": ("Rejected",),
        "undelivered": ("Undelivered",),
        "control": ("Command",),
        "namespace": ("Made",),
    }[kind]


def _forms(name: str) -> tuple[str, ...]:
    return (name, f"{name}Json") if name in FROM_OUTSIDE else (name,)


def messages() -> Part:
    """All messages by name."""
    events = {name: _avro(name) for name in KINDS} | {f"{name}Json": _json(name) for name in sorted(FROM_OUTSIDE)}
    return events | _others()


def schemas() -> Part:
    """The JSON Schemas that the JSON messages refer to."""
    kinds = [KINDS[name] for name in sorted(FROM_OUTSIDE)]
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return {**found, "CloudEvent": _cloud_event()}


# ---- events --------------------------------------------------------------------------------------------------------


def _avro(name: str) -> Part:
    definition = json.loads(definition_of(name))
    body, _, key = definition["doc"].partition("Key: ")
    return {
        "name": f"{NAMESPACE}.{name}",
        "title": name,
        "summary": body.strip(),
        "contentType": "application/avro",
        "headers": {"$ref": "#/components/schemas/CloudEvent"},
        "payload": {"schemaFormat": AVRO, "schema": definition},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": key.strip()},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "RecordNameStrategy",
                "bindingVersion": BINDING,
            }
        },
        "examples": [{"name": name, "headers": _headers(name), "payload": _plain(example_of(KINDS[name]))}],
    }


def _json(name: str) -> Part:
    told = json.loads(definition_of(name))["doc"].partition("Key: ")
    return {
        "name": f"{NAMESPACE}.{name}",
        "title": f"{name} as JSON",
        "summary": f"{told[0].strip()} As one JSON object; its type by the field `type` or the header `ce_type`, on topics "
        "with one type by neither.",
        "contentType": "application/json",
        "payload": {"schemaFormat": JSON_SCHEMA, "schema": {"$ref": f"#/components/schemas/{name}"}},
        "bindings": {"kafka": {"key": {"type": "string", "description": told[2].strip()}, "bindingVersion": BINDING}},
        "examples": [{"name": f"{name}Json", "payload": {"type": name, **_plain(example_of(KINDS[name]))}}],
    }


def _plain(value: Any) -> Any:  # Any: JSON, or bytes in it
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _cloud_event() -> Part:
    said = {
        "ce_specversion": "Always 1.0.",
        "ce_id": "What tells this event from all others of its type. Deterministic: a repetition has the same.",
        "ce_source": "Who wrote it, such as /maitred/scorer/scores.",
        "ce_type": "The event's type, such as maitred.CustomerScored.",
        "ce_time": "When it happened, by RFC 3339.",
        "content-type": "application/avro",
    }
    return {
        "type": "object",
        "description": "CloudEvents 1.0, binary mode. From outside they are welcome, not needed.",
        "properties": {name: {"type": "string", "description": text} for name, text in said.items()},
    }


def _headers(name: str) -> Part:
    return {
        "ce_specversion": "1.0", "ce_id": f"example-{name}", "ce_source": f"/{NAMESPACE}", "ce_type": f"{NAMESPACE}.{name}",
        "ce_time": "2026-09-21T13:33:20.000Z", "content-type": "application/avro",
    }  # fmt: skip


# ---- the others ----------------------------------------------------------------------------------------------------


def _others() -> Part:
    binary = {"type": "string", "format": "binary"}
    return {
        "Rejected": {
            "title": "Rejected",
            "summary": "A record that could not be used, unchanged, with headers that say what is wrong with it.",
            "headers": _texts((PREFIX + name for name in REJECTED_HEADERS), "rejected records"),
            "payload": binary,
        },
        "Change": {
            "title": "Change",
            "summary": "A value of our state, by its key; internal: its form may change with any version.",
            "headers": _texts(("entry", "due"), "changes"),
            "payload": binary,
        },
        "Undelivered": {
            "title": "Undelivered",
            "summary": "A decision that a web server would not take; internal: see `maitred deliver undelivered`.",
            "payload": binary,
        },
        "Command": {
            "title": "Command",
            "summary": "What operators tell all workers.",
            "contentType": "application/json",
            "payload": {
                "type": "object",
                "required": ["command"],
                "properties": {"command": {"type": "string", "enum": ["drain", "resume"]}},
            },
            "examples": [{"name": "Drain", "payload": {"command": "drain"}}],
        },
        "Made": {
            "title": "Made",
            "summary": "What the namespace was made with, and workers refuse to change; `maitred topics create` writes it.",
            "contentType": "application/json",
            "payload": {
                "type": "object",
                "required": ["time", "partitions", "base"],
                "properties": {
                    "time": {"type": "string", "enum": ["wall", "event"]},
                    "partitions": {"type": "integer"},
                    "base": {"type": "string"},
                },
            },
            "examples": [{"name": "Made", "payload": {"time": "wall", "partitions": 4, "base": "EUR"}}],
        },
    }


def _texts(names: Iterable[str], of: str) -> Part:
    return {
        "type": "object",
        "description": f"Headers of {of}.",
        "properties": {name: {"type": "string"} for name in names},
    }
