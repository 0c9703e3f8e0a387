"""Parquet files of decisions: typed columns from the Avro definitions, one file for all events of a topic.

A topic may carry several types; a column that a type lacks is null in its rows, and `type` says which it is. Columns are
only ever added, as fields are: readers take several files together by name.
"""

import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.codec import TOPIC_EVENTS
from schemas.definitions import definition_of
from sinks.base import Delivery
from sinks.files import row_of

ROWS_AT_ONCE = 5_000  # a row group
ROW_BYTES = 200  # what a row is taken for until it is written

_PLAIN = {
    "string": pa.string(), "bytes": pa.binary(), "boolean": pa.bool_(),
    "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
}  # fmt: skip
KAFKA = pa.struct(
    [
        pa.field("topic", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("key", pa.string()),
        pa.field("timestamp_ms", pa.int64()),
    ]
)


class ParquetFile:
    """As `files.Writer`."""

    def __init__(self, path: Path, topic: str) -> None:
        self._file = path.open("wb")
        self._schema = schema_of(topic)
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []  # Any: as `Row`

    def write(self, delivery: Delivery) -> None:
        self._rows.append(row_of(delivery, (bytes,)))
        if len(self._rows) >= ROWS_AT_ONCE:
            self._write_group()

    def size(self) -> int:
        return self._file.tell() + ROW_BYTES * len(self._rows)

    def close(self) -> None:
        self._write_group()
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        with suppress(OSError):
            self._writer.close()
            self._file.close()

    def _write_group(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


@cache
def schema_of(topic: str) -> pa.Schema:
    """The columns of a topic: `type`, the fields of all its events, `kafka`."""
    columns = {"type": pa.string()}
    for event in TOPIC_EVENTS[topic]:
        for field in json.loads(definition_of(event.__name__))["fields"]:
            column = arrow_of(field["type"], {})
            known = columns.setdefault(field["name"], column)
            if known != column:
                raise TypeError(f"{topic}: {field['name']} is {known} and {column}: one name needs one type on a topic")
    return pa.schema([*columns.items(), ("kafka", KAFKA)])


def arrow_of(avro: Any, named: dict[str, pa.DataType]) -> pa.DataType:  # Any: JSON
    """The Arrow type of an Avro type. `named` are the records met so far, which Avro writes out only once."""
    match avro:
        case str():
            return _PLAIN[avro] if avro in _PLAIN else named[avro]
        case list():
            return arrow_of(next(part for part in avro if part != "null"), named)
        case {"type": "array", "items": items}:
            return pa.list_(arrow_of(items, named))
        case {"type": "record", "name": name, "fields": fields}:
            named[name] = pa.struct([(field["name"], arrow_of(field["type"], named)) for field in fields])
            return named[name]
        case {"type": inner}:
            return arrow_of(inner, named)
    raise TypeError(f"no Arrow type is known for {avro}")
