"""How a rejected record travels: unchanged on the topic `rejected`, with headers that say what is wrong and where it was.

A record too large to be sent on whole travels as a reference instead: where it lies, its hash, its length, its head.
What is wrong is decided elsewhere (`codec.py`, the engine); what goes back to its topic is `original_headers`.
"""

import base64
import hashlib
from collections.abc import Iterable

import msgspec

from schemas.records import Fault, Record

PREFIX = "rejected_"
WHOLE_UP_TO_BYTES = 900_000  # key, value and headers; below the brokers' default message.max.bytes of 1,048,588
HEAD_BYTES = 1024
INCURABLE = frozenset({"invalid", "undecodable", "too_large", "conflict", "absurd_time"})  # unchanged they come back
_HEADERS_UP_TO_BYTES = 65_536  # more of the record's own headers than this are left out

Headers = list[tuple[str, bytes]]


def rejection_headers(record: Record, fault: Fault) -> Headers:
    """The record's own headers, then ours: source, error, field, expected, got, cure and message."""
    said = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp_ms": str(record.timestamp_ms),
        "content": "whole" if is_whole(record) else "reference",
        "error": fault.error,
        "field": fault.field,
        "expected": fault.expected,
        "got": fault.got,
        "cure": fault.cure,
        "message": f"{record.where}: {fault}",
    }
    own = original_headers(record.headers)
    own = own if _size(own) <= _HEADERS_UP_TO_BYTES else []
    return own + [(PREFIX + name, text.encode()) for name, text in said.items()]


def rejected_value(record: Record) -> bytes | None:
    """The record's value as it came, or as JSON where it lies and what it looks like."""
    return record.value if is_whole(record) else _reference(record, record.value or b"")


def is_whole(record: Record) -> bool:
    """Whether the record can be sent on as it is."""
    size = len(record.key or b"") + len(record.value or b"") + _size(record.headers)
    return size <= WHOLE_UP_TO_BYTES


def original_headers(headers: Iterable[tuple[str, bytes]]) -> Headers:
    """The headers a record had before it was rejected."""
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]


def _reference(record: Record, value: bytes) -> bytes:
    return msgspec.json.encode(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "bytes": len(value),
            "sha256": hashlib.sha256(value).hexdigest(),
            "head_base64": base64.b64encode(value[:HEAD_BYTES]).decode(),
        }
    )


def _size(headers: Iterable[tuple[str, bytes | None]]) -> int:
    return sum(len(name) + len(value or b"") for name, value in headers)
