"""Existing advisor relations from a CSV file, line by line: each an event to publish, or what is wrong with it.

    customer_id,advisor_id,pool,service_until,language
    13085,anna,main,2027-06-30,en

`service_until` (the last day of the service, UTC) and `language` may be empty or left out. What Maitred alone can know (is the
customer served by somebody else, was consent withdrawn) is for the assigner to say: it sets such a relation aside.
"""

import csv
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from schemas import faults
from schemas.errors import MaitredError
from schemas.events import RelationImported
from schemas.records import Fault

REQUIRED, OPTIONAL = ("customer_id", "advisor_id", "pool"), ("service_until", "language")


class RelationFileError(MaitredError):
    """A file as a whole can't be read."""


class Line(NamedTuple):
    path: Path
    number: int
    read: RelationImported | Fault

    def __str__(self) -> str:
        return f"{self.path}:{self.number}"


class Roll(NamedTuple):
    """What a line may name: the pools of the settings, and the advisors of the roster by pool."""

    pools: Collection[str]
    advisors: Collection[tuple[str, str]]


def read_relations(path: Path, at_ms: int, roll: Roll) -> Iterator[Line]:
    """The lines of a file below its head. Separated by commas, or by semicolons if the head is."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            separator = ";" if ";" in head else ","
            columns = [name.strip() for name in head.split(separator)]
            _check_columns(path, columns)
            seen: set[str] = set()
            rows = csv.reader(file, delimiter=separator)
            for cells in rows:
                if any(cells):
                    yield Line(path, rows.line_num + 1, _relation(columns, cells, at_ms, roll, seen))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RelationFileError(f"{path}: expected CSV in UTF-8, got {error}") from error


def _check_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in REQUIRED + OPTIONAL]
    if missing or unknown or len(set(columns)) < len(columns):
        raise RelationFileError(
            f"{path}:1: expected the columns {', '.join(REQUIRED)} and, if you like, {', '.join(OPTIONAL)}, "
            f"got {', '.join(columns) or 'an empty line'}; name them so in the first line"
        )


def _relation(columns: list[str], cells: list[str], at_ms: int, roll: Roll, seen: set[str]) -> RelationImported | Fault:
    if len(cells) != len(columns):
        cure = "quote cells that hold a separator"
        return Fault("invalid", "line", f"{len(columns)} cells", str(len(cells)), cure)
    said = {name: cell.strip() for name, cell in zip(columns, cells, strict=True) if cell.strip()}
    for name in REQUIRED:
        if name not in said:
            return Fault("invalid", name, "a value", "an empty cell", "fill it in, or leave the line out")
    until_ms = _end_of(said.pop("service_until", None))
    if isinstance(until_ms, Fault):
        return until_ms
    data = {**said, "service_until_ms": until_ms, "occurred_at_ms": at_ms, "relation_id": _id(said, until_ms)}
    try:
        relation = msgspec.convert(data, RelationImported)
    except msgspec.ValidationError as error:
        return replace(faults.violated(error, RelationImported, data), cure="mend the cell")
    return _unknown(relation, roll) or _again(relation, seen) or relation


def _end_of(day: str | None) -> int | Fault | None:
    """The first millisecond after a day."""
    if day is None:
        return None
    try:
        after = date.fromisoformat(day) + timedelta(days=1)
    except (ValueError, OverflowError):
        cure = "write it so, or leave it empty for the configured service period"
        return Fault("invalid", "service_until", "a day such as 2027-06-30", faults.shown(day), cure)
    return int(datetime(after.year, after.month, after.day, tzinfo=UTC).timestamp() * 1_000)


def _id(said: dict[str, str], until_ms: int | None) -> str:
    """The same line is the same relation, however often it is imported."""
    content = msgspec.json.encode([said.get("customer_id"), said.get("advisor_id"), said.get("pool"), until_ms])
    return f"import-{blake2b(content, digest_size=12).hexdigest()}"


def _unknown(relation: RelationImported, roll: Roll) -> Fault | None:
    if relation.pool not in roll.pools:
        cure = "name the pool of the customer's market, as the settings have it (markets.pools, markets.default_pool)"
        return Fault("invalid", "pool", " or ".join(sorted(roll.pools)), faults.shown(relation.pool), cure)
    if (relation.pool, relation.advisor_id) not in roll.advisors:
        cure = "enter the advisor first: `maitred roster set`"
        expected = f"an advisor of pool {relation.pool}"
        return Fault("unknown_advisor", "advisor_id", expected, faults.shown(relation.advisor_id), cure)
    if relation.service_until_ms is not None and relation.service_until_ms <= relation.occurred_at_ms:
        return Fault("invalid", "service_until", "a day to come", "one that is over", "leave out what has ended")
    return None


def _again(relation: RelationImported, seen: set[str]) -> Fault | None:
    if relation.customer_id in seen:
        cure = "keep the line that is true: a customer has one advisor"
        return Fault(
            "conflict", "customer_id", "each customer once", f"{faults.shown(relation.customer_id)} again", cure
        )
    seen.add(relation.customer_id)
    return None
