"""The shuffle: a log in whatever order, to shards on disk that hold whole customers and whole visitors.

`shuffle(source, folder)` reads the log once. It sets aside what no customer's fold needs: what could not be read and guests are
counted, what the assigner is given is kept (`given.parquet`), what an earlier run of Maitred decided itself is dropped. The rest
goes to buckets: `customers-*.parquet` by customer, `visitors-*.parquet` by visitor, and for each order that names a visitor a
row in `asked-*.parquet`, by visitor: what was known of them just before that order?
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from schemas.events import CustomersMerged
from streams.replay.moments import MOMENT_SCHEMA, Given, GivenMoment, row_of, table_of
from streams.replay.rows import FAULT, Source, payload_decoder, read_fault
from streams.replay.shards import ASKED, BROWSED, KINDS, ORDERED, PLACE, ROWS, TOPIC_ORDER
from streams.replay.spill import UNKNOWN_SIZE_BUCKETS, Spill, buckets_for, hashes, writer

FOLDED: Final = frozenset({
    "OrderPlaced", "ItemsReturned", "PageBrowsed", "ConsentChanged", "ErasureRequested", "AssignmentWished", "CustomersMerged",
})  # fmt: skip
GIVEN: Final = frozenset(event.__name__ for event in get_args(Given))


class Shuffled(Struct, frozen=True, kw_only=True):
    """What came of it, besides the files."""

    rows: int
    start_ms: int
    end_ms: int
    buckets: int
    customers: tuple[int, ...]  # buckets with rows
    visitors: tuple[int, ...]
    sizes: dict[str, int]  # rows by file
    counts: dict[str, int]
    merged: tuple[tuple[str, str], ...]  # accounts that one event or another merged
    ordered: bool  # whether the log was in order of time


class _Named(Struct):
    """Whom an order or a step of browsing names; the rest of it is not read."""

    customer_id: str | None = None
    visitor_id: str | None = None


_named = msgspec.msgpack.Decoder(_Named).decode


def shuffle(source: Source, folder: Path, shards: int | None, on_rows: Callable[[int, int | None], None]) -> Shuffled:
    folder.mkdir(parents=True, exist_ok=True)
    total = source.total()
    shuffling = _Shuffling(folder, shards or (buckets_for(total) if total else None))
    for batch in source.batches():
        if len(batch):
            shuffling.take(batch)
            on_rows(shuffling.rows, total)
    return shuffling.close()


class _Shuffling:
    def __init__(self, folder: Path, buckets: int | None) -> None:
        self._folder, self._buckets = folder, buckets
        self._customers = Spill(folder, "customers", ROWS)
        self._visitors = Spill(folder, "visitors", ROWS)
        self._asked = Spill(folder, "asked", ASKED)
        self._given: list[tuple[int, int, int, int, str, bytes]] = []
        self._merged: set[tuple[str, str]] = set()
        self.counts: Counter[str] = Counter()
        self.rows = 0
        self._first_ms, self._last_ms, self._ordered = 1 << 62, 0, True

    def take(self, batch: pa.RecordBatch) -> None:
        """One batch of ROW_SCHEMA."""
        self.rows += len(batch)
        self._note_times(batch.column("at_ms").to_numpy())
        kinds = batch.column("kind").dictionary_encode()
        names = kinds.dictionary.to_pylist()
        kind = kinds.indices.to_numpy()
        for number, name in enumerate(names):
            self._count(batch, name, np.flatnonzero(kind == number))
        is_folded = np.array([name in FOLDED for name in names])[kind]
        is_someones = pc.not_equal(batch.column("who"), "").to_numpy(zero_copy_only=False)
        kept = np.flatnonzero(is_folded & is_someones)
        if len(kept):
            rows = _rows(batch, kind, names)
            self._divide(rows if len(kept) == len(batch) else rows.take(pa.array(kept)))
        if any(spill.is_full for spill in (self._customers, self._visitors, self._asked)):
            self._flush(self._buckets or UNKNOWN_SIZE_BUCKETS)

    def close(self) -> Shuffled:
        self._flush(self._buckets or buckets_for(self.rows))
        customers, visitors, _ = (spill.close() for spill in (self._customers, self._visitors, self._asked))
        self._write_given()
        return Shuffled(
            rows=self.rows,
            start_ms=self._first_ms if self.rows else 0,
            end_ms=self._last_ms,
            buckets=self._customers.buckets or 1,
            customers=tuple(customers),
            visitors=tuple(visitors),
            sizes={**self._customers.sizes, **self._visitors.sizes},
            counts=dict(sorted(self.counts.items())),
            merged=tuple(sorted(self._merged)),
            ordered=self._ordered,
        )

    def _flush(self, buckets: int) -> None:
        for spill in (self._customers, self._visitors, self._asked):
            spill.flush(buckets)

    def _note_times(self, at_ms: Any) -> None:  # Any: an array
        self._ordered = self._ordered and bool(at_ms[0] >= self._last_ms) and bool((np.diff(at_ms) >= 0).all())
        self._first_ms, self._last_ms = min(self._first_ms, int(at_ms.min())), max(self._last_ms, int(at_ms.max()))

    # ---- what is set aside -----------------------------------------------------------------------------------------

    def _count(self, batch: pa.RecordBatch, name: str, where: Any) -> None:  # Any: positions
        self.counts[name] += len(where)
        if name == FAULT:
            for index in where.tolist():
                self.counts[f"rejected {read_fault(batch.column('payload')[index].as_py()).error}"] += 1
            self.counts["rejected"] += len(where)
        elif name in GIVEN:
            self._keep_given(batch.take(pa.array(where)), name)
        elif name in FOLDED:
            guests = pc.sum(pc.equal(batch.column("who").take(pa.array(where)), "")).as_py()
            if name != "PageBrowsed":
                self.counts["guests"] += guests
        else:
            self.counts["recomputed"] += len(where)
        if name == CustomersMerged.__name__:
            for index in where.tolist():
                event = payload_decoder(name)(batch.column("payload")[index].as_py())
                self._merged.add((event.customer_id, event.into_customer_id))

    def _keep_given(self, batch: pa.RecordBatch, name: str) -> None:
        columns = [batch.column(column).to_pylist() for column in ("at_ms", "topic", "partition", "offset", "payload")]
        for at_ms, topic, partition, offset, payload in zip(*columns, strict=True):
            self._given.append((at_ms, TOPIC_ORDER.index(topic), partition, offset, name, payload))

    def _write_given(self) -> None:
        moments = [
            GivenMoment(at_ms, "", number, TOPIC_ORDER[topic], payload_decoder(name)(payload))
            for number, (at_ms, topic, _, _, name, payload) in enumerate(sorted(self._given))
        ]
        table = table_of(MOMENT_SCHEMA, [row_of(moment) for moment in moments])
        with writer(self._folder / "given.parquet", table.schema) as file:
            file.write_table(table)

    # ---- what is folded --------------------------------------------------------------------------------------------

    def _divide(self, rows: pa.RecordBatch) -> None:
        kind, hashed = rows.column("kind").to_numpy(), hashes(rows.column("who"))
        is_visitors = np.zeros(len(rows), bool)
        browsing = np.flatnonzero(kind == BROWSED)
        payloads = rows.column("payload")
        browsed = payloads.take(pa.array(browsing)).to_pylist()
        is_visitors[browsing] = [_named(payload).customer_id is None for payload in browsed]
        if is_visitors.any():
            theirs, others = np.flatnonzero(is_visitors), np.flatnonzero(~is_visitors)
            self._visitors.add(rows.take(pa.array(theirs)), hashed[theirs])
            self._ask(rows)
            rows, hashed = rows.take(pa.array(others)), hashed[others]
        else:
            self._ask(rows)
        self._customers.add(rows, hashed)

    def _ask(self, rows: pa.RecordBatch) -> None:
        ordering = np.flatnonzero(rows.column("kind").to_numpy() == ORDERED)
        orders = rows.take(pa.array(ordering))
        visitors = [_named(payload).visitor_id for payload in orders.column("payload").to_pylist()]
        names = pa.array(visitors, pa.string())
        known = np.flatnonzero(names.is_valid().to_numpy(zero_copy_only=False))
        if len(known):
            place = [orders.column(name) for name, _ in PLACE]
            asked = pa.RecordBatch.from_arrays([*place, names, orders.column("who")], schema=ASKED).take(
                pa.array(known)
            )
            self._asked.add(asked, hashes(asked.column("who")))


def _rows(batch: pa.RecordBatch, kind: Any, names: list[str]) -> pa.RecordBatch:  # Any: an array
    """The batch with small numbers for topics and kinds."""
    topic = batch.column("topic")
    topics = np.array([TOPIC_ORDER.index(name) for name in topic.dictionary.to_pylist()], np.int8)
    kinds = np.array([KINDS.index(name) for name in names], np.int8)
    columns = [
        batch.column("at_ms"),
        pa.array(topics[topic.indices.to_numpy()]),
        batch.column("partition"),
        batch.column("offset"),
        pa.array(kinds[kind]),
        batch.column("who"),
        batch.column("payload"),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=ROWS)
