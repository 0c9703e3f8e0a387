"""What goes wrong in a shop's publishing: events sent twice, and malformed records beside the good ones.

Every class of rejects that a shop's records can come to has a way here (`WAYS`), but for `too_large`: Kafka's own
client refuses such a record before it is sent. The good event is always sent too, so that trouble never changes what
happened.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from schemas.events import Incoming, OrderPlaced
from streams.simulator.chance import Draw

TWICE = 0.5  # of the trouble is a repeated event
Table = dict[str, Any]  # Any: an event as JSON, to be spoilt


class Malformed(Struct, frozen=True):
    """A record that Maitred must reject, with the class it must be rejected as. `at_ms` is when it is sent."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    at_ms: int
    error: str

    @property
    def is_json_line(self) -> bool:
        """Whether it can stand in a file of JSON lines."""
        return self.value[:1] == b"{" and b"\n" not in self.value


def malformed(topic: str, event: Incoming, draw: Draw) -> Malformed:
    """A spoilt copy of an event, under an id of its own."""
    is_guest = isinstance(event, OrderPlaced) and event.customer_id is None  # whose money and ids nobody keeps
    ways = [way for way in WAYS if topic in way.topics and not (is_guest and way.error in _OF_CUSTOMERS)]
    way = ways[int(draw() * len(ways))]
    value = way.spoil(_told(event, same=way.error == "conflict"))
    key = getattr(event, "customer_id", None) or getattr(event, "visitor_id", None) or "nobody"
    headers = (("ce_type", f"maitred.{type(event).__name__}".encode()),)
    return Malformed(topic, str(key).encode(), value, headers, event.occurred_at_ms, way.error)


class Way(Struct, frozen=True):
    error: str  # the class it is rejected as
    topics: tuple[str, ...]
    spoil: Callable[[Table], bytes]


def _told(event: Incoming, *, same: bool) -> Table:
    told: Table = msgspec.json.decode(msgspec.json.encode(event))
    for name in ("order_id", "return_id", "event_id"):
        if name in told and not same:
            told[name] += "!"
    return told


def _with(**changes: object) -> Callable[[Table], bytes]:
    return lambda told: msgspec.json.encode(told | changes)


def _cut_short(told: Table) -> bytes:
    return msgspec.json.encode(told)[:-9]


def _noise(told: Table) -> bytes:
    return b"\x93\x07" + msgspec.json.encode(told)[:40]


def _avro_cut_short(told: Table) -> bytes:
    return b"\0\0\0" + str(told.get("type"))[:1].encode()


def _unknown_schema(told: Table) -> bytes:
    return b"\0\0\0\xff\xff" + msgspec.json.encode(told)[:40]


def _negative(told: Table) -> bytes:
    told["lines"][0] |= {"quantity": -1}
    return msgspec.json.encode(told)


def _without_id(told: Table) -> bytes:
    return msgspec.json.encode({name: value for name, value in told.items() if not name.endswith("_id")})


def _in_seconds(told: Table) -> bytes:
    return msgspec.json.encode(told | {"occurred_at_ms": told["occurred_at_ms"] // 1_000})


def _in_text(told: Table) -> bytes:
    return msgspec.json.encode(told | {"occurred_at_ms": str(told["occurred_at_ms"])})


def _dearer(told: Table) -> bytes:
    told["lines"][0]["unit_price_minor"] += 100
    return msgspec.json.encode(told)


_OF_CUSTOMERS = ("wrong_currency", "conflict")
_TRADE, _ALL = ("orders", "returns"), ("orders", "returns", "browse")
WAYS = (
    Way("undecodable", _ALL, _cut_short),
    Way("undecodable", _ALL, _noise),
    Way("undecodable", _ALL, _avro_cut_short),
    Way("unknown_schema", _ALL, _unknown_schema),
    Way("invalid", _TRADE, _negative),
    Way("invalid", _ALL, _in_text),
    Way("invalid", ("browse",), _without_id),
    Way("invalid", ("orders",), _with(currency="euro")),
    Way("absurd_time", _ALL, _in_seconds),
    Way("wrong_currency", _TRADE, _with(currency="XTS")),
    Way("conflict", ("orders",), _dearer),
)
