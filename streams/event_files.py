"""Event files, read back: JSON lines, Avro object containers and Parquet, in event-time order across all of them.

A line of JSON says its type in a `type` field; an Avro file's type is its schema's name; a Parquet file has a `type` column.
Any file may begin its name with the type instead (`OrderPlaced-2024.parquet`). What can't be read becomes a fault with its
place, and the others go on. A file need not be in order: each is sorted in a window, so that memory stays bounded. For a replay
files are read faster: `replay/sources/files.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappushpop, merge
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, get_args

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import faults
from schemas.codec import TOPIC_EVENTS, Schemas, read_event
from schemas.errors import MaitredError
from schemas.events import Event, Incoming
from schemas.records import Fault
from schemas.registry import FileRegistry

WINDOW = 200_000  # events of a file that may be out of order
ROWS_AT_ONCE = 4_096
TOPIC_OF = {
    event.__name__: topic for topic, events in TOPIC_EVENTS.items() for event in events if event in get_args(Incoming)
}


class EventFileError(MaitredError):
    """A file as a whole can't be read."""


class Place(NamedTuple):
    """Where an event stands: the line of a text file, else the number of the record, counted from 1."""

    path: Path
    number: int

    def __str__(self) -> str:
        return f"{self.path}:{self.number}"


class Found(NamedTuple):
    at_ms: int
    place: Place
    topic: str
    event: Event


OnFault = Callable[[Place, Fault], None]


def read_files(paths: Sequence[Path], on_fault: OnFault, window: int = WINDOW) -> Iterator[Found]:
    """The events of all files in event-time order; at equal times in the order of the files and their lines."""
    return merge(*(in_order(read_file(path, on_fault), window) for path in paths), key=lambda found: found.at_ms)


def in_order(events: Iterable[Found], window: int) -> Iterator[Found]:
    """Sort what is out of order by less than `window` events. Raises `EventFileError` where it is more."""
    reached_ms = 0
    for found in _through_window(events, window):
        if found.at_ms < reached_ms:
            raise EventFileError(
                f"{found.place}: expected events in order of occurred_at_ms, give or take {window}, got one that belongs "
                f"{reached_ms - found.at_ms} ms earlier; sort the file first"
            )
        reached_ms = found.at_ms
        yield found


def _through_window(events: Iterable[Found], window: int) -> Iterator[Found]:
    """Always the earliest of those in the window."""
    remaining = iter(events)
    waiting = [(found.at_ms, found.place.number, found) for found in islice(remaining, window)]
    heapify(waiting)
    for found in remaining:
        yield heappushpop(waiting, (found.at_ms, found.place.number, found))[2]
    while waiting:
        yield heappop(waiting)[2]


# ---- one file ------------------------------------------------------------------------------------------------------


def read_file(path: Path, on_fault: OnFault) -> Iterator[Found]:
    """The events of a file as they stand in it."""
    schemas, by_name = Schemas(FileRegistry()), type_in_name(path)
    for number, said, value in FORMS[form_of(path)](path):
        place = Place(path, number)
        read = read_item(by_name or said, value, schemas)
        if isinstance(read, Fault):
            on_fault(place, read)
        else:
            yield Found(read.occurred_at_ms, place, TOPIC_OF[type(read).__name__], read)


def form_of(path: Path) -> str:
    """The key of `FORMS` for a file that is there. Raises `EventFileError`."""
    form = path.suffix.lower()
    if form not in FORMS:
        raise EventFileError(
            f"{path}: expected a name that ends in {', '.join(FORMS)}, got {path.name}; unpack or rename it"
        )
    if not path.is_file():
        raise EventFileError(f"{path}: expected a file, got none")
    return form


def type_in_name(path: Path) -> str | None:
    """The type that a file's name begins with, if it does."""
    return next((name for name in TOPIC_OF if path.name.startswith(name)), None)


class _Typed(msgspec.Struct):
    type: str = ""


_type_of = msgspec.json.Decoder(_Typed).decode


def read_item(said: str | None, value: bytes, schemas: Schemas) -> Event | Fault:
    """An event as JSON, read. `said` is the type's name where the file has it, else the value says it itself."""
    try:
        name = said or _type_of(value).type
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return faults.bad_json(error, value)
    if name not in TOPIC_OF:
        return Fault("invalid", "type", " or ".join(TOPIC_OF), name or "none", "say what happened")
    return read_event(TOPIC_OF[name], value, [("ce_type", name.encode())], schemas)


def _json_lines(path: Path) -> Iterator[tuple[int, str | None, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, None, line.strip()


def _avro(path: Path) -> Iterator[tuple[int, str | None, bytes]]:
    for number, (name, data) in enumerate(avro_records(path), start=1):
        yield number, name, as_json(data)


def avro_records(path: Path) -> Iterator[tuple[str, Any]]:  # Any: whatever the file holds
    """The records of an Avro file, each with its type's name."""
    with path.open("rb") as file:
        try:
            reader = fastavro.reader(file, return_record_name=True)
            schema: Any = reader.writer_schema  # Any: JSON
            outer = schema["name"].rpartition(".")[2] if isinstance(schema, dict) else None
            for item in reader:
                yield (outer, item) if outer else _of_union(item)
        except (ValueError, EOFError, KeyError, TypeError) as error:
            raise EventFileError(f"{path}: expected an Avro object container of events, got {error!r}") from error


def count_avro(path: Path) -> int:
    """How many records an Avro file has."""
    with path.open("rb") as file:
        try:
            return sum(block.num_records for block in fastavro.block_reader(file))
        except (ValueError, EOFError, KeyError, TypeError) as error:
            raise EventFileError(f"{path}: expected an Avro object container of events, got {error!r}") from error


def _of_union(item: Any) -> tuple[str, Any]:  # Any: a record, of several a pair of name and record
    name, data = item
    return name.rpartition(".")[2], data


def _parquet(path: Path) -> Iterator[tuple[int, str | None, bytes]]:
    number = 0
    for batch in opened_parquet(path).iter_batches(ROWS_AT_ONCE):
        for row in batch.to_pylist():
            number += 1
            yield number, None, as_json(row)


def opened_parquet(path: Path) -> Any:  # Any: pyarrow ships no types
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise EventFileError(f"{path}: expected Parquet, got something else ({error})") from error


def as_json(data: Any) -> bytes:  # Any: whatever the file holds
    """A record as JSON, without what is null in it."""
    return msgspec.json.encode(_without_nulls(data), enc_hook=repr)


def _without_nulls(data: Any) -> Any:
    """What a columnar file has to fill in is the same as left out."""
    if isinstance(data, dict):
        return {name: _without_nulls(value) for name, value in data.items() if value is not None}
    if isinstance(data, list | tuple):
        return [_without_nulls(item) for item in data]
    return data


FORMS: dict[str, Callable[[Path], Iterator[tuple[int, str | None, bytes]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_lines,
    ".avro": _avro,
    ".parquet": _parquet,
}
