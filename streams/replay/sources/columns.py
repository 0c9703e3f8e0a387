"""Parquet as rows, by columns: a million browse events take about two seconds, and no object is made of any.

What is not surely an event goes through the reader of single rows, which finds it to be one or says what is wrong with it.
Types that are few (privacy, roster, contacts) always go there.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.codec import EARLIEST_MS, Schemas
from schemas.events import ItemsReturned, OrderPlaced, PageBrowsed
from schemas.records import Fault
from streams.event_files import TOPIC_OF, Place, as_json, opened_parquet, read_item, type_in_name
from streams.replay.packing import pack
from streams.replay.rows import LOOSE_SCHEMA, ROWS_AT_ONCE, TOPIC_NUMBER, UNTIMED, LooseRows, timed

Batch = Any  # Any: pyarrow ships no types
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


def rows_of_parquet(path: Path, schemas: Schemas) -> Iterator[Batch]:
    """The rows of a file, in its order, without places."""
    by_name, before, last_ms = type_in_name(path), 0, 0
    for batch in opened_parquet(path).iter_batches(ROWS_AT_ONCE):
        if not len(batch):
            continue
        gathered = _Gathered()
        for name, numbers in _by_type(batch, by_name):
            _read(name, numbers, batch, Place(path, before), schemas, gathered)
        rows = gathered.in_order(last_ms)
        last_ms, before = rows.column("at_ms")[-1].as_py(), before + len(batch)
        yield rows


def _by_type(batch: Batch, by_name: str | None) -> Iterator[tuple[str | None, Numbers]]:
    """The numbers of the rows of each type that the file says."""
    everything = np.arange(len(batch))
    if by_name is not None or "type" not in batch.schema.names:
        yield by_name, everything
        return
    types = batch.column("type").cast(pa.string())
    for name in types.unique().to_pylist():
        of_it = types.is_null() if name is None else pc.equal(types, name).fill_null(False)
        yield name, everything[of_it.to_numpy(zero_copy_only=False)]


class _Gathered:
    """What was read by columns and what row by row, to be put together in the file's order."""

    def __init__(self) -> None:
        self._parts: list[Batch] = []
        self._numbers: list[Numbers] = []

    def add(self, part: Batch, numbers: Numbers) -> None:
        self._parts.append(part)
        self._numbers.append(numbers)

    def in_order(self, last_ms: int) -> Batch:
        """All rows. `last_ms` is when what stands before them happened."""
        whole = pa.Table.from_batches(self._parts).combine_chunks().to_batches()[0]
        if len(self._parts) > 1:
            whole = whole.take(pa.array(np.argsort(np.concatenate(self._numbers), kind="stable")))
        return timed(whole, last_ms)


def _read(
    name: str | None, numbers: Numbers, batch: Batch, before: Place, schemas: Schemas, gathered: _Gathered
) -> None:
    """Read the rows of one type."""
    sure = np.zeros(len(numbers), np.bool_)
    if name is not None and name in _FAST:
        rows = batch if len(numbers) == len(batch) else batch.take(pa.array(numbers))
        sure, part = _by_columns(name, rows)
        gathered.add(part, numbers[sure])
    if not sure.all():
        gathered.add(_one_by_one(name, numbers[~sure], batch, before, schemas), numbers[~sure])


def _one_by_one(name: str | None, numbers: Numbers, batch: Batch, before: Place, schemas: Schemas) -> Batch:
    rows = LooseRows()
    for number, row in zip(numbers.tolist(), batch.take(pa.array(numbers)).to_pylist(), strict=True):
        read = read_item(name, as_json(row), schemas)
        if isinstance(read, Fault):
            rows.add_fault(UNTIMED, str(Place(before.path, before.number + number + 1)), read)
        else:
            rows.add(TOPIC_OF[type(read).__name__], read)
    return rows.take()


# ---- by columns ----------------------------------------------------------------------------------------------------


def _by_columns(name: str, rows: Batch) -> tuple[Mask, Batch]:
    """Which rows are surely events of a type, and those."""
    event, id_field, subjects, is_plausible = _FAST[name]
    packed = pack(rows, event)
    sure = packed.is_sure & is_plausible(rows) if packed.is_sure.any() else packed.is_sure
    chosen = pa.array(sure)
    rows, payloads, count = rows.filter(chosen), packed.values.filter(chosen), int(sure.sum())
    subject = _whose(rows, subjects)
    who = subject if event is PageBrowsed else _whose(rows, ("customer_id",))
    key = pc.if_else(pc.equal(subject, ""), _text(rows, id_field), subject)
    at_ms = rows.column("occurred_at_ms").cast(pa.int64()) if count else pa.array([], pa.int64())
    columns = [
        at_ms,
        _all(TOPIC_NUMBER[TOPIC_OF[name]], pa.int8(), count),
        _all(name, pa.string(), count),
        who,
        key,
        payloads,
    ]
    return sure, pa.record_batch(columns, LOOSE_SCHEMA)


def _all(value: object, of: Any, count: int) -> Any:  # Any: pyarrow ships no types
    return pa.repeat(pa.scalar(value, of), count)


def _text(rows: Batch, name: str) -> Any:  # Any: as above
    if not len(rows) or name not in rows.schema.names:
        return _all("", pa.string(), len(rows))
    return rows.column(name).cast(pa.string()).fill_null("")


def _whose(rows: Batch, names: tuple[str, ...]) -> Any:  # Any: as above
    """The first of several ids that is there, else nobody's."""
    whose = _text(rows, names[-1])
    for name in names[-2::-1]:
        nearer = _text(rows, name)
        whose = pc.if_else(pc.equal(nearer, ""), whose, nearer)
    return whose


def _happened(rows: Batch) -> Mask:
    times = rows.column("occurred_at_ms")
    if not pa.types.is_integer(times.type):
        return np.zeros(len(rows), np.bool_)
    happened: Mask = pc.greater_equal(times, EARLIEST_MS).fill_null(False).to_numpy(zero_copy_only=False)
    return happened


def _seen(rows: Batch) -> Mask:
    """By somebody, at a price in some currency."""
    said = {name: _is_there(rows, name) for name in ("customer_id", "visitor_id", "price_minor", "currency")}
    return _happened(rows) & (said["customer_id"] | said["visitor_id"]) & (~said["price_minor"] | said["currency"])


def _is_there(rows: Batch, name: str) -> Mask:
    if name not in rows.schema.names:
        return np.zeros(len(rows), np.bool_)
    there: Mask = rows.column(name).is_valid().to_numpy(zero_copy_only=False)
    return there


# Class, the field of its id, whose it may be (the first decides its partition), and what no type can say of it.
_FAST: dict[str | None, tuple[type[Any], str, tuple[str, ...], Callable[[Batch], Mask]]] = {  # Any: an event's class
    "OrderPlaced": (OrderPlaced, "order_id", ("customer_id", "visitor_id"), _happened),
    "ItemsReturned": (ItemsReturned, "return_id", ("customer_id",), _happened),
    "PageBrowsed": (PageBrowsed, "event_id", ("customer_id", "visitor_id"), _seen),
}
