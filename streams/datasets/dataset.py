"""What a public data set is to us: where it comes from, what it lacks, and how its rows become events.

An adapter (one file beside this for each set) reads a set's files and gives events in event-time order, deterministically. It accounts for
every row in a `Tally`: each became a line of an order or return, or a browse event, or was left out for a named reason.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from heapq import heappop, heappush
from importlib.metadata import PackageNotFoundError
from importlib.metadata import files as distribution_files
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct, field

from schemas.errors import MaitredError
from schemas.events import Incoming
from streams.datasets.preset import NO_PRESET, Preset

ROWS_AT_ONCE = 16_384

Row = tuple[Any, ...]  # Any: a column may hold anything; adapters know which
Sent = tuple[str, Incoming]  # topic and event


class DatasetError(MaitredError):
    """A data set's files are not there, or not what they should be."""


class Tally(Struct):
    """What became of the rows read. `events` counts what was made of them, by kind."""

    rows: int = 0
    used: Counter[str] = field(default_factory=Counter)  # what a row became -> rows
    skipped: Counter[str] = field(default_factory=Counter)  # why a row was left out -> rows
    events: Counter[str] = field(default_factory=Counter)

    def skip(self, reason: str) -> None:
        self.skipped[reason] += 1

    @property
    def is_balanced(self) -> bool:
        """Whether every row is accounted for."""
        return self.rows == self.used.total() + self.skipped.total()


class Dataset(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    source: str
    licence: str
    files: tuple[str, ...]  # under the data folder
    lacks: tuple[str, ...]  # what it can't tell, said aloud
    events: Callable[[Path, Tally], Iterator[Sent]]  # of the data folder
    preset: Preset = NO_PRESET  # the settings that suit it
    package: str = ""  # a Python package that carries it, where there is one
    in_package: str = ""  # and as which file of it
    cure: str = "name its folder with --data"  # where to get it

    def found(self, data: Path | None) -> tuple[Path, ...]:
        """The files it is read from: under the data folder, else in the package. Raises `DatasetError` with the cure."""
        paths = tuple(data / file for file in self.files) if data is not None else ()
        if paths and all(path.is_file() for path in paths):
            return paths
        if self.package and (installed := installed_file(self.package, self.in_package)) is not None:
            return (installed,)
        lacking = next((str(path) for path in paths if not path.is_file()), f"{self.name}: {self.files[0]}")
        raise DatasetError(f"{lacking}: expected a file of {self.name}, got none; {self.cure}")


def installed_file(package: str, name: str) -> Path | None:
    """A file that came with an installed package, which is not imported; None where it is not installed."""
    try:
        carried = distribution_files(package) or []
    except PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in carried if file.as_posix() == name)
    return next((path for path in found if path.is_file()), None)


# ---- reading -------------------------------------------------------------------------------------------------------


def rows(path: Path, names: Sequence[str | Sequence[str]]) -> Iterator[Row]:
    """The rows of a Parquet file, as tuples of the columns named; of several names for a column one must be there."""
    if not path.exists():
        raise DatasetError(f"{path}: expected a Parquet file, got none; name its folder with --data")
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise DatasetError(f"{path}: expected Parquet, got something else ({error})") from error
    columns = [_column(path, file.schema_arrow.names, name) for name in names]
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
        yield from zip(*(_values(batch.column(name)) for name in columns), strict=True)


def _values(column: Any) -> list[Any]:  # Any: pyarrow ships no types; a column may hold anything
    """As `to_pylist`, which takes twenty times as long for times."""
    if pa.types.is_timestamp(column.type) and column.type.tz is None and not column.null_count:
        return list(column.to_numpy(zero_copy_only=False).astype("datetime64[us]").tolist())
    return list(column.to_pylist())


def _column(path: Path, present: Sequence[str], names: str | Sequence[str]) -> str:
    wanted = (names,) if isinstance(names, str) else names
    for name in wanted:
        if name in present:
            return name
    raise DatasetError(f"{path}: expected a column {' or '.join(wanted)}, got {', '.join(present)}")


@cache
def minor(amount: float) -> int:
    """An amount with two decimals in minor units, halves to the even neighbour.

    >>> minor(2.55), minor(0.001), minor(16.99)
    (255, 0, 1699)
    """
    return int((Decimal(repr(amount)) * 100).to_integral_value(ROUND_HALF_EVEN))


# ---- order ---------------------------------------------------------------------------------------------------------


class _Waiting(NamedTuple):
    at_ms: int
    rank: int  # among events of the same time: orders before returns
    number: int
    topic: str
    event: Incoming


class InOrder:
    """Puts events that come nearly in order of time into order: holds each until time has passed it."""

    RANKS: Mapping[str, int] = {"browse": 0, "orders": 1, "returns": 2}

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._number = 0

    def add(self, topic: str, event: Incoming) -> None:
        self._number += 1
        heappush(self._waiting, _Waiting(event.occurred_at_ms, self.RANKS[topic], self._number, topic, event))

    def until(self, at_ms: float) -> Iterator[Sent]:
        """Events before `at_ms`, in order."""
        while self._waiting and self._waiting[0].at_ms < at_ms:
            item = heappop(self._waiting)
            yield item.topic, item.event
