"""The fold in recorded order: exactly the batches that production cut, as the scorer's batch log tells.

Late records are late again, records of several topics follow one another as they did, and time stands where it stood; what an
order read of a visitor on another partition is what it read then. So the moments are production's own, under settings that may
be others. It runs on one core, with all customers of the namespace in memory; `fold.py` is the fast way, where the order of
event time will do.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq

from features.profile import Visitor, encode
from schemas.codec import Schemas
from schemas.events import BatchCommitted, Event, EventForwarded, ProfileMoved
from schemas.records import Batch, Fault, Seen, State
from schemas.registry import Registry
from streams import engine
from streams.reading import EventReader, entry_reader, event_reader
from streams.replay.fold import Folded, Progress
from streams.replay.households import Household
from streams.replay.moments import MOMENT_SCHEMA, GivenMoment, Moment, Row, row_of, table_of
from streams.replay.moments import Given as GivenEvent
from streams.replay.shards import SPEND
from streams.replay.spending import encode_spending
from streams.scoring.policy import Policy
from streams.scoring.working import VISITOR, Working
from streams.verify.batch_logs import BatchLogs
from streams.verify.cursors import Cursor, Reads
from streams.verify.given import Given, Past

SCORER, ASSIGNMENTS = "scorer", "assignments"
GIVEN = get_args(GivenEvent)
Spent = dict[str, list[tuple[int, int]]]  # by customer: when, and how much; returns are negative
LACKS = ("The order of batches is the scorer's, as production recorded it; the assigner takes looks by event time.",)


class RecordedPartition(Household):
    """One partition, batch after batch, as if it were one household. What it sent itself comes back as it was recorded."""

    def __init__(
        self, partition: int, policy: Policy, on_moment: Callable[[Moment], None], past: Past, spent: Spent
    ) -> None:
        """`spent` is shared by all partitions: accounts that are merged may lie on several."""
        super().__init__(policy, policy.partitions, on_moment)
        self._spent = spent
        self.partition, self.entries, self._past = partition, 0, past
        self._outside: dict[str, Seen] = {}
        self._remembering = _Remembering(State({}, self._outside))
        self.working = self._remembering

    def take(self, batch: Batch, entry: BatchCommitted) -> None:
        """What follows from an entry of the batch log."""
        self._outside.clear()
        self._outside.update(self._past.outside(entry))
        for run in batch.runs:
            self._at_ms = self.working.watermark_ms
            for record in run.records:
                if run.topic != ASSIGNMENTS:  # the sequel decides them anew
                    engine.apply(self, record)
            self.pass_time(run.watermark_ms)
        self.entries += 1
        for visitor_id in sorted(self._remembering.changed):
            if self._past.wants(self.partition, VISITOR + visitor_id):
                visitor = self.working.visitor(visitor_id)
                value = None if visitor is None else encode(visitor)
                self._past.remember(self.partition, self.entries, VISITOR + visitor_id, value)
        self._remembering.changed.clear()

    def announce(self, topic: str, key: str, event: Event) -> None:
        if not isinstance(event, ProfileMoved | EventForwarded):
            super().announce(topic, key, event)


class _Remembering(Working):
    """Notes which visitors change."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.changed: set[str] = set()

    def touch_visitor(self, visitor_id: str, visitor: Visitor | None) -> None:
        super().touch_visitor(visitor_id, visitor)
        self.changed.add(visitor_id)


def fold_recorded(
    reads: Reads,
    namespace: str,
    partitions: int,
    registry: Registry,
    policy: Policy,
    folder: Path,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Folded:
    """The moments of a namespace, in recorded order. Raises `CannotVerify` where records or entries were not kept."""
    schemas, rows = Schemas(registry), list[Row]()
    logs, counts = BatchLogs(reads, SCORER, partitions, entry_reader(schemas)), Counter[str]()
    past, given = Past(logs.wanted()), Given(reads, event_reader(schemas))
    shared: Spent = {}
    taking = [RecordedPartition(p, policy, lambda m: rows.append(row_of(m)), past, shared) for p in range(partitions)]
    start_ms, end_ms = None, 0
    for entry in logs.entries(lambda entry: all(taking[r.partition].entries >= r.entry for r in entry.reads)):
        batch = given.batch(entry)
        taking[entry.partition].take(batch, entry)
        for record in batch.records():
            counts["events"] += record.topic != ASSIGNMENTS
            at_ms = record.timestamp_ms if isinstance(record.event, Fault) else record.event.occurred_at_ms
            start_ms = at_ms if start_ms is None else min(start_ms, at_ms)
        end_ms = max(end_ms, batch.watermark_ms)
        progress("recorded", logs.done, logs.total)
    for partition in taking:
        counts.update(partition.counts)
    for moment in _given(reads, partitions, event_reader(schemas)):
        counts.update((type(moment.event).__name__, "events"))
        rows.append(row_of(moment))
    spent = sorted((each.customer_id, encode_spending(each)) for partition in taking for each in partition.spent())
    rows.sort(key=itemgetter(0, 1, 2, 3))
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "recorded-moments.parquet", folder / "recorded-spend.parquet"
    for file, table in zip(files, (table_of(MOMENT_SCHEMA, rows), table_of(SPEND, spent)), strict=True):
        pq.write_table(table, file)
    return Folded(
        source=f"{namespace}, in recorded order",
        lacks=LACKS,
        fingerprint=_fingerprint(rows, spent, counts),
        events=counts.pop("events"),
        start_ms=start_ms or 0,
        end_ms=end_ms,
        counts=dict(sorted(counts.items())),
        moment_files=(str(files[0]),),
        spend_files=(str(files[1]),),
    )


def _fingerprint(rows: Sequence[Row], spent: Sequence[tuple[str, bytes]], counts: Mapping[str, int]) -> str:
    """Of all that was found: a namespace that goes on, or is made anew under its name, has another."""
    digest = hashlib.blake2b(repr(sorted(counts.items())).encode(), digest_size=16)
    for row in chain(rows, spent):
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _given(reads: Reads, partitions: int, read: EventReader) -> Iterator[GivenMoment]:
    """What the namespace's topics say to the assigner, by event time."""
    found: list[tuple[int, str, int, int, GivenEvent]] = []
    for topic in ("roster", "contacts"):
        for partition in range(partitions):
            cursor = Cursor(reads, topic, partition)
            while (message := cursor.next()) is not None:
                event = read(message)
                if isinstance(event, GIVEN):
                    found.append((event.occurred_at_ms, topic, partition, message.offset, event))
    found.sort(key=itemgetter(0, 1, 2, 3))
    for number, (at_ms, topic, _, _, event) in enumerate(found):
        yield GivenMoment(at_ms, "", number, topic, event)
