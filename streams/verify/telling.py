"""A difference in words: where, which entry said it, and both sides, field by field where they can be read."""

from collections.abc import Iterator
from typing import Any

from msgspec import to_builtins

from schemas.records import Fault
from streams.log import Headers, Message, OutMessage
from streams.messages import BATCH_LOG, REJECTED
from streams.reading import EventReader
from streams.verify.matching import Difference

SHORTENED = 300  # letters of a value
MOST_FIELDS = 20


def told(difference: Difference, read: EventReader) -> str:
    """Several lines, for people."""
    return "\n".join([_headline(difference), *(f"  {line}" for line in _sides(difference, read))])


def _headline(difference: Difference) -> str:
    place = f"{difference.topic}[{difference.partition}]"
    if difference.found is not None:
        place += f"@{difference.found.offset}"
    match difference.kind:
        case "differs":
            return f"{place}: differs from what {difference.origin} gives when it is decided anew"
        case "lacking":
            return f"{place}: lacks what {difference.origin} gives when it is decided anew"
        case "too much":
            return f"{place}: no entry of the batch log gives this record"
        case "out of order":
            return f"{place}: does not lie where its place among the outputs of {difference.origin} is"
        case "not applied":
            return f"{place}: lies in no applied range of the batch log"
        case _:
            return f"{place}: the state after {difference.origin} is another"


def _sides(difference: Difference, read: EventReader) -> Iterator[str]:
    if difference.note:
        yield _short(difference.note)
    recomputed, found = difference.recomputed, difference.found
    if recomputed is not None and found is not None:
        yield from _unlike(_fields(_as_lying(recomputed, found), read), _fields(found, read))
    elif recomputed is not None:
        yield from _listed("recomputed", _fields(_as_lying(recomputed), read))
    elif found is not None:
        yield from _listed("found", _fields(found, read))


def _unlike(recomputed: dict[str, object], found: dict[str, object]) -> Iterator[str]:
    names = [name for name in {**recomputed, **found} if recomputed.get(name) != found.get(name)]
    for name in names[:MOST_FIELDS]:
        yield f"{name}: found {_short(found.get(name))}"
        yield f"{' ' * len(name)}  recomputed {_short(recomputed.get(name))}"
    if names[MOST_FIELDS:]:
        yield f"and {len(names) - MOST_FIELDS} more fields"


def _listed(side: str, fields: dict[str, object]) -> Iterator[str]:
    for name, value in [*fields.items()][:MOST_FIELDS]:
        yield f"{side} {name}: {_short(value)}"


def _as_lying(message: OutMessage, at: Message | None = None) -> Message:
    """What was recomputed, as if it lay there."""
    offset, timestamp_ms = (at.offset, at.timestamp_ms) if at else (-1, message.timestamp_ms or 0)
    return Message(message.topic, message.partition, offset, timestamp_ms, message.key, message.value, message.headers)


def _fields(message: Message, read: EventReader) -> dict[str, object]:
    is_entry = message.topic.endswith(f".{BATCH_LOG}")
    event = read(message._replace(topic=BATCH_LOG) if is_entry else message)
    if isinstance(event, Fault) or message.topic == REJECTED:
        said: dict[str, object] = {"value": message.value}
    else:
        data: Any = to_builtins(event)  # Any: whatever the event holds
        said = dict(_flat("", data))
    return {"key": message.key, **said, **_headers(message.headers)}


def _headers(headers: Headers) -> dict[str, object]:
    return {f"header {name}": value for name, value in headers}


def _flat(prefix: str, data: Any) -> Iterator[tuple[str, object]]:  # Any: as above
    """Nested fields under dotted names, so that what differs is named exactly."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _flat(f"{prefix}.{name}" if prefix else name, value)
    elif isinstance(data, list | tuple) and data and isinstance(data[0], dict):
        for number, value in enumerate(data):
            yield from _flat(f"{prefix}[{number}]", value)
    else:
        yield prefix, data


def _short(value: object) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= SHORTENED else f"{text[:SHORTENED]}… ({len(text)} letters)"
