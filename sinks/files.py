"""Decisions as files: `ROOT/<topic>/date=<day>/<topic>-<partition>-<first offset>-<last offset>.jsonl` or `.parquet`.

Each record is in exactly one file, by construction. A file is written aside, under `ROOT/.open`, and renamed when it is
whole; its name carries the offsets it holds, so the files themselves say where to go on, and what was written aside when
a process died is thrown away and read again. One process writes to a folder: a lock holds that, which dies with it.

How a line looks is decided here, how a Parquet file does in `parquet.py`.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from schemas.errors import SinkUnavailable
from sinks.base import Delivery, Place

Format = Literal["jsonl", "parquet"]
Row = dict[str, Any]  # Any: whatever the event holds
_NAME = re.compile(r"(?P<topic>.+)-(?P<partition>\d+)-(?P<first>\d{20})-(?P<last>\d{20})\.(jsonl|parquet)")


class Rotation(Struct, frozen=True, kw_only=True):
    """When a file is whole: at this size, after this time, and at the end of a day."""

    most_bytes: int = 64_000_000
    most_seconds: float = 300.0


class Writer(Protocol):
    """Writes one file."""

    def write(self, delivery: Delivery) -> None: ...

    def size(self) -> int:
        """Bytes so far, more or less."""
        ...

    def close(self) -> None:
        """The file is whole, and on the disk."""
        ...

    def discard(self) -> None: ...


class _Part:
    """A file that is being written."""

    def __init__(self, path: Path, writer: Writer, first: Delivery, began_s: float) -> None:
        self.path, self.writer, self.began_s = path, writer, began_s
        self.place, self.day = first.place, day_of(first)
        self.first = self.last = first.offset

    def add(self, delivery: Delivery) -> None:
        self.writer.write(delivery)
        self.last = delivery.offset


class FileSink:
    """`clock` tells seconds; only differences count."""

    def __init__(
        self,
        root: Path,
        form: Format = "jsonl",
        rotation: Rotation = Rotation(),  # noqa: B008  frozen
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._form, self._rotation, self._clock = root, form, rotation, clock
        self._aside = root / ".open"
        self._parts: dict[Place, _Part] = {}
        self._reached: dict[Place, int] = {}
        with self._writing(root):
            self._aside.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(root / ".lock")

    def open(self, places: Collection[Place]) -> Mapping[Place, int]:
        self._let_go()
        with self._writing(self._aside):
            for left in self._aside.iterdir():
                left.unlink()
        found = {place: after for place, after in positions(self._root).items() if place in set(places)}
        self._reached = dict(found)
        return found

    def room(self) -> int:
        return 10_000

    def put(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            with self._writing(self._root / delivery.topic):
                self._put(delivery)

    def _put(self, delivery: Delivery) -> None:
        part = self._parts.get(delivery.place)
        if part is not None and part.day != day_of(delivery):
            self._publish(part)
            part = None
        if part is None:
            part = self._parts[delivery.place] = self._begun(delivery)
        part.add(delivery)
        if part.writer.size() >= self._rotation.most_bytes:
            self._publish(part)

    def settled(self) -> Mapping[Place, int]:
        now = self._clock()
        for part in list(self._parts.values()):
            if now - part.began_s >= self._rotation.most_seconds:
                self._publish(part)
        return dict(self._reached)

    def flush(self, seconds: float = inf) -> bool:  # noqa: ARG002  it takes no longer than the disk does
        for part in list(self._parts.values()):
            self._publish(part)
        return True

    def release(self) -> Mapping[Place, int]:
        self.flush()
        reached = dict(self._reached)
        self._let_go()
        return reached

    def close(self) -> None:
        self._let_go()
        os.close(self._lock)

    # ---- one file ------------------------------------------------------------------------------------------------

    def _begun(self, first: Delivery) -> _Part:
        path = self._aside / f"{first.topic}-{first.partition}.{self._form}"
        return _Part(path, self._writer(path, first.topic), first, self._clock())

    def _writer(self, path: Path, topic: str) -> Writer:
        if self._form == "jsonl":
            return JsonLines(path)
        from sinks.parquet import ParquetFile  # noqa: PLC0415  # 0.2 s, only if it is used

        return ParquetFile(path, topic)

    def _publish(self, part: _Part) -> None:
        """The moment at which its records are delivered is that of the renaming."""
        topic, partition = part.place
        folder = self._root / topic / f"date={part.day}"
        with self._writing(folder):
            part.writer.close()
            folder.mkdir(parents=True, exist_ok=True)
            part.path.rename(folder / f"{topic}-{partition}-{part.first:020d}-{part.last:020d}.{self._form}")
            _to_disk(folder)
        del self._parts[part.place]
        self._reached[part.place] = part.last + 1

    def _let_go(self) -> None:
        for part in self._parts.values():
            part.writer.discard()
        self._parts.clear()
        self._reached.clear()

    @contextmanager
    def _writing(self, where: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cure = "free space or set its permissions, then start again: it goes on where the files end"
            raise SinkUnavailable(str(where), "a folder to write to", error.strerror or repr(error), cure) from error


class JsonLines:
    """One event a line, its type first, where it lay in Kafka last."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, delivery: Delivery) -> None:
        self._file.write(msgspec.json.encode(row_of(delivery)) + b"\n")

    def size(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()


def row_of(delivery: Delivery, builtin_types: tuple[type, ...] = ()) -> Row:
    """A record as columns: the event's fields, and `kafka`. `builtin_types` are those that need not become text."""
    event = delivery.event
    said = {} if event is None else msgspec.to_builtins(event, builtin_types=builtin_types)
    kafka = {
        "topic": delivery.topic,
        "partition": delivery.partition,
        "offset": delivery.offset,
        "key": delivery.key_text,
        "timestamp_ms": delivery.timestamp_ms,
    }
    return {"type": delivery.type, **said, "kafka": kafka}


# ---- what the files say ----------------------------------------------------------------------------------------------


def positions(root: Path) -> dict[Place, int]:
    """The offset that comes next in each partition, as the names of the files say."""
    found: dict[Place, int] = {}
    for path in root.glob("*/date=*/*"):
        if name := _NAME.fullmatch(path.name):
            place = name["topic"], int(name["partition"])
            found[place] = max(found.get(place, 0), int(name["last"]) + 1)
    return found


def day_of(delivery: Delivery) -> str:
    """The day (UTC) on which the record was written, which never goes back within a partition for long."""
    return datetime.fromtimestamp(delivery.timestamp_ms / 1_000, UTC).strftime("%Y-%m-%d")


def _locked(path: Path) -> int:
    """A lock that ends with the process, however it ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        cure = "stop the other one, or write to another folder under another --name"
        raise SinkUnavailable(str(path.parent), "to be its only writer", "another process", cure) from error
    return lock


def _to_disk(folder: Path) -> None:
    """A renamed file is there after a power cut only if its folder is on the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
