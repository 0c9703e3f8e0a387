"""Event files of a simulated shop, as `maitred publish` reads them back: JSON lines, Parquet or Avro, in shards.

JSON lines hold all types in one order of time, malformed records included; Parquet and Avro have a file for each
type, and no malformed ones, which they could not hold. A shard is full after so many events and follows the one
before it in time. All is written into a folder of its own, and moved to its place when it is whole.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import fastavro
import fastavro.write
import msgspec
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from msgspec import Struct, field

from schemas.definitions import definition_of
from schemas.errors import MaitredError
from streams.simulator.runs import Entry
from streams.simulator.trouble import Malformed

SHARD = 1_000_000  # events
ROWS_AT_ONCE = 20_000
UNFINISHED = ".unfinished"

Form = Literal["jsonl", "parquet", "avro"]


class FolderError(MaitredError):
    """Events can't be written there."""


class Tally(Struct):
    """What was written, and what a form could not hold."""

    events: Counter[str] = field(default_factory=Counter)
    malformed: Counter[str] = field(default_factory=Counter)
    left_out: int = 0

    @property
    def total(self) -> int:
        return self.events.total() + self.malformed.total()


class Shard(Protocol):
    """An open file."""

    def add(self, value: bytes) -> None: ...

    def close(self) -> None: ...


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A folder to write into, whose files stand in `folder` once all went well; else nothing is left of it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found = f"one with {min(folder.iterdir()).name} in it" if folder.is_dir() else "a file"
        raise FolderError(f"{folder}: expected an empty or new folder, got {found}; name another")
    room = folder / UNFINISHED
    try:
        room.mkdir(parents=True)
        yield room
        for path in sorted(room.iterdir()):
            path.rename(folder / path.name)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def write_files(
    entries: Iterable[Entry], folder: Path, form: Form, *, shard: int = SHARD,
    on_event: Callable[[int], object] = lambda _: None,
) -> Tally:  # fmt: skip
    """Write everything into `folder`. `on_event` is told from time to time how much was written since."""
    tally, files = Tally(), _Files(folder, form, shard)
    try:
        for number, (kind, value) in enumerate(entries, start=1):
            if kind is Malformed:
                _add_malformed(files, form, value, tally)
            else:
                files.add(kind.__name__, value)
                tally.events[kind.__name__] += 1
            if not number % 10_000:
                on_event(10_000)
    finally:
        files.close()
    return tally


def _add_malformed(files: "_Files", form: Form, value: bytes, tally: Tally) -> None:
    broken = msgspec.json.decode(value, type=Malformed)
    if form != "jsonl" or not broken.is_json_line:
        tally.left_out += 1
        return
    files.add("", broken.value)
    tally.malformed[broken.error] += 1


class _Files:
    """The shards that are open: one for each type, of JSON lines one for all."""

    def __init__(self, folder: Path, form: Form, shard: int) -> None:
        self._folder, self._form, self._shard = folder, form, shard
        self._open: dict[str, Shard] = {}
        self._rows: Counter[str] = Counter()

    def add(self, kind: str, value: bytes) -> None:
        name = "events" if self._form == "jsonl" else kind
        number, row = divmod(self._rows[name], self._shard)
        if row == 0:
            if name in self._open:
                self._open.pop(name).close()
            self._open[name] = SHARDS[self._form](self._folder / f"{name}-{number:05d}.{self._form}", name)
        self._open[name].add(value)
        self._rows[name] += 1

    def close(self) -> None:
        for shard in self._open.values():
            shard.close()


# ---- forms -----------------------------------------------------------------------------------------------------------


class _JsonLines:
    def __init__(self, path: Path, _kind: str) -> None:
        self._file = path.open("wb", buffering=1 << 20)

    def add(self, value: bytes) -> None:
        self._file.write(value + b"\n")

    def close(self) -> None:
        self._file.close()


class _Avro:
    def __init__(self, path: Path, kind: str) -> None:
        self._file = path.open("wb")
        schema = _in_order(fastavro.parse_schema(json.loads(definition_of(kind))))
        # The marker between blocks is chance by default: equal plans make equal bytes.
        self._writer = fastavro.write.Writer(self._file, schema, codec="deflate", sync_marker=b"maitred-simulate")

    def add(self, value: bytes) -> None:
        self._writer.write(msgspec.json.decode(value))

    def close(self) -> None:
        self._writer.flush()
        self._file.close()


def _in_order(schema: Any) -> Any:  # Any: a definition is JSON
    """The same, with its keys in order: fastavro takes them from a set, whose order is chance."""
    return json.loads(json.dumps(schema, sort_keys=True))


class _Parquet:
    """Rows are gathered as JSON and read by Arrow, which is faster than one by one."""

    def __init__(self, path: Path, kind: str) -> None:
        self._schema = arrow_schema(kind)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._options = pyarrow.json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="ignore")
        self._rows: list[bytes] = []

    def add(self, value: bytes) -> None:
        self._rows.append(value)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._put()

    def _put(self) -> None:
        text = pa.py_buffer(b"\n".join(self._rows))
        reading = pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1)
        table = pyarrow.json.read_json(pa.BufferReader(text), reading, self._options)
        self._writer.write_table(table)
        self._rows.clear()

    def close(self) -> None:
        if self._rows:
            self._put()
        self._writer.close()


SHARDS: dict[Form, Callable[[Path, str], Shard]] = {"jsonl": _JsonLines, "avro": _Avro, "parquet": _Parquet}
_ARROW = {"string": pa.string(), "long": pa.int64(), "int": pa.int64(), "boolean": pa.bool_(), "double": pa.float64()}


def arrow_schema(name: str) -> Any:  # Any: pyarrow ships no types
    """The columns of an event, as its definition has them."""
    return pa.schema(_fields(json.loads(definition_of(name))))


def _fields(record: dict[str, Any]) -> list[Any]:  # Any: a definition is JSON, pyarrow ships no types
    return [pa.field(item["name"], _type(item["type"])) for item in record["fields"]]


def _type(said: Any) -> Any:  # Any: as above
    if isinstance(said, list):
        return _type(next(option for option in said if option != "null"))
    if isinstance(said, str):
        return _ARROW[said]
    if said["type"] == "array":
        return pa.list_(_type(said["items"]))
    if said["type"] == "record":
        return pa.struct(_fields(said))
    return pa.string() if said["type"] == "enum" else _type(said["type"])
