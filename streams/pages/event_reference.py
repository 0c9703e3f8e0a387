"""`docs/events.md`: every event, field by field, from the `.avsc` files."""

import json
from collections.abc import Iterator
from typing import Any, get_args

from schemas.codec import TOPIC_EVENTS
from schemas.definitions import Definitions, definition_of
from schemas.events import Incoming, Outgoing

OPENING = """\
# Events

*Written by `make docs` from `schemas/*.avsc`.*

Times are milliseconds since 1970-01-01 UTC. Money is in integer minor units: of the event's own currency on the way in, of the
base currency on the way out. A field with a default may be left out. In JSON an event is one object with these fields, and
`"type"` where its topic holds several kinds.
"""

Schema = dict[str, Any]  # Any: Avro in JSON


def event_reference_page() -> str:
    return "\n".join([OPENING, *_part("In", Incoming), *_part("Out", Outgoing)]).rstrip() + "\n"


def _part(title: str, events: Any) -> Iterator[str]:  # Any: a union is a form, not a type
    yield f"## {title}\n"
    known = set(Definitions().names())
    for event in get_args(events):
        assert event.__name__ in known
        yield from _event(json.loads(definition_of(event.__name__)))


def _event(schema: Schema) -> Iterator[str]:
    topics = [topic for topic, kinds in TOPIC_EVENTS.items() if schema["name"] in {kind.__name__ for kind in kinds}]
    yield f"### {schema['name']}\n"
    yield f"{schema['doc']} Topic: {', '.join(f'`{topic}`' for topic in topics)}.\n"
    yield from _table(schema)


def _table(schema: Schema) -> Iterator[str]:
    yield "| field | type | default | what it says |"
    yield "|---|---|---|---|"
    nested = []
    for field in schema["fields"]:
        kind, records = _kind(field["type"])
        nested += records
        values = f" One of {', '.join(f'`{value}`' for value in field['values'])}." if "values" in field else ""
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        yield f"| `{field['name']}` | {kind} | {default} | {field['doc']}{values} |"
    yield ""
    for record in nested:
        yield f"`{record['name']}`: {record['doc']}\n"
        yield from _table(record)


def _kind(kind: Any) -> tuple[str, list[Schema]]:  # Any: as `Schema`
    """A type in words, and the records within it."""
    match kind:
        case str():
            return kind, []
        case ["null", other]:
            words, records = _kind(other)
            return f"{words} or null", records
        case {"type": "array", "items": items}:
            words, records = _kind(items)
            return f"list of {words}", records
        case {"type": "record", "name": name}:
            return f"`{name}`", [kind]
        case {"type": other}:
            return _kind(other)
    raise TypeError(f"expected an Avro type, got {kind!r}; teach `_kind` about it")
