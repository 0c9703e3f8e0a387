"""The assigner and the learner of a replay: the processors that workers run, with their state in memory.

Both are cut into batches as it is quick: any cut gives the same decisions. Two things must not be late, though. An assigner's
batch ends before a contact that follows from it is reported; and the learner's ends before a look that its snapshot scores.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import groupby
from operator import attrgetter
from typing import Final

from msgspec import Struct
from msgspec.msgpack import Decoder

from features.store import MemoryStore, Position
from online_models.learner import MODEL, SNAPSHOT, Progress, may_teach
from schemas.events import (
    AdvisorAssigned,
    AssignmentEnded,
    AssignmentWithheld,
    ContactReported,
    Event,
    ExampleReady,
    SnapshotPublished,
)
from schemas.ids import partition_of
from schemas.records import Announcement, Batch, Decision, Record, Run, Seen, State
from streams.assignment.desk import ALL, POOL
from streams.assignment.pools import Pool, decode_pool
from streams.processors import Assigner, Learner, Processor

HOUR_MS: Final = 3_600_000
AT_ONCE: Final = 2_000
NOTHING_DUE: Final = -1
_progress = Decoder(Progress)
Decided = AdvisorAssigned | AssignmentWithheld | AssignmentEnded


class Core:
    """A processor with its store, and the numbers of its records."""

    def __init__(self, processor: Processor) -> None:
        self.processor, self.store = processor, MemoryStore()
        self.counts: Counter[str] = Counter()
        self._offsets: Counter[tuple[str, int]] = Counter()

    def record(self, topic: str, partition: int, at_ms: int, event: Event) -> Record:
        offset = self._offsets[topic, partition]
        self._offsets[topic, partition] += 1
        return Record(topic, partition, offset, at_ms, None, None, (), event)

    def decide(self, partition: int, runs: tuple[Run, ...]) -> Decision:
        """What follows from records that come in a row; the state moves on."""
        entry = self.store.position(partition).entry
        batch = Batch(partition, max(0, entry), runs)
        needs = self.processor.needs(batch)
        loaded = self.store.load(partition, needs.keys, needs.due_by_ms)
        values = dict(loaded.values)
        if more := self.processor.companions(key for _, key in loaded.due) - needs.keys:
            values |= self.store.load(partition, more, NOTHING_DUE).values
        decision = self.processor.decide(State(values, {}, loaded.due), batch)
        self.store.apply(partition, entry, Position(entry + 1, batch.watermark_ms), decision.writes)
        self.counts.update(decision.counts)
        return decision


# ---- assigning -----------------------------------------------------------------------------------------------------


class _Given(Struct, frozen=True):
    at_ms: int
    topic: str
    event: Event


class Assigning:
    """`assigned` hears of every decision, in order. Contacts are reported `contact_ms` after an assignment; 0: never."""

    def __init__(self, processor: Assigner, contact_ms: int, assigned: Callable[[int, Decided], None]) -> None:
        self.core, self.partitions = Core(processor), processor.partitions
        self._contact_ms, self._assigned = contact_ms, assigned
        self._pending: dict[int, list[_Given]] = {}  # by partition
        self._waiting_records = 0
        self._contacts: list[tuple[int, str, int, ContactReported]] = []  # a heap, by time and id
        self._active: set[str] = set()
        self.since_ms = 0  # all before it is decided

    def add(self, topic: str, at_ms: int, pool: str, event: Event) -> None:
        """A record for the assigner, not before any that came earlier."""
        if self._waiting_records >= AT_ONCE:
            self.decide_before(at_ms)
        self._pending.setdefault(partition_of(pool, self.partitions), []).append(_Given(at_ms, topic, event))
        self._waiting_records += 1

    def decide_before(self, until_ms: int) -> None:
        """Everything that comes before a moment, time included. In steps, so that contacts come in their time."""
        step_ms = self._contact_ms or until_ms
        if not self.since_ms:
            first = min((given[0].at_ms for given in self._pending.values() if given), default=until_ms)
            self.since_ms = min(first, until_ms)
        while self.since_ms < until_ms:
            end_ms = min(until_ms, self.since_ms + step_ms)
            self._step(end_ms)
            self.since_ms = end_ms

    def pools(self) -> Iterator[tuple[str, Pool]]:
        """Every pool as it stands."""
        for partition in sorted(self._pending):
            for key in sorted(k for k in self.core.store.keys(partition) if k.startswith(POOL)):
                value = self.core.store.read({key: partition})[key].value
                yield key.removeprefix(POOL), decode_pool(value)

    def _step(self, until_ms: int) -> None:
        reports: dict[int, list[_Given]] = {}
        while self._contacts and self._contacts[0][0] < until_ms:
            at_ms, _, partition, report = heappop(self._contacts)
            if report.assignment_id in self._active:
                reports.setdefault(partition, []).append(_Given(at_ms, "contacts", report))
        for partition, pending in self._pending.items():
            now = [given for given in pending if given.at_ms < until_ms]
            self._pending[partition] = pending[len(now) :]
            self._waiting_records -= len(now)
            self._decide(partition, sorted(reports.get(partition, []) + now, key=attrgetter("at_ms")), until_ms)

    def _decide(self, partition: int, given: list[_Given], until_ms: int) -> None:
        """Before a record at t all happens that is due before t; records of one time come in their order."""
        runs: list[Run] = []
        for at_ms, together in groupby(given, attrgetter("at_ms")):
            runs.append(Run("scores", (), at_ms - 1))
            for topic, same in groupby(together, attrgetter("topic")):
                records = tuple(self.core.record(topic, partition, g.at_ms, g.event) for g in same)
                runs.append(Run(topic, records, at_ms - 1))
        runs.append(Run("scores", (), until_ms - 1))
        decision = self.core.decide(partition, tuple(runs))
        for output in decision.outputs:
            if isinstance(output, Announcement) and output.topic == ALL:
                assert isinstance(output.event, Decided)
                self._note(partition, output.event)

    def _note(self, partition: int, decided: Decided) -> None:
        if isinstance(decided, AdvisorAssigned):
            self._active.add(decided.assignment_id)
            if self._contact_ms and decided.contact_by_ms:
                report = _report(decided, decided.occurred_at_ms + self._contact_ms)
                heappush(self._contacts, (report.occurred_at_ms, report.contact_id, partition, report))
        elif isinstance(decided, AssignmentEnded):
            self._active.discard(decided.assignment_id)
        self._assigned(partition, decided)


def _report(assigned: AdvisorAssigned, at_ms: int) -> ContactReported:
    return ContactReported(
        contact_id=f"assumed/{assigned.assignment_id}"[-128:],
        assignment_id=assigned.assignment_id,
        customer_id=assigned.customer_id,
        advisor_id=assigned.advisor_id,
        pool=assigned.pool,
        occurred_at_ms=at_ms,
        outcome="contacted",
        channel=assigned.recommended_channel,
    )


# ---- learning ------------------------------------------------------------------------------------------------------


class Learning:
    """`published` hears of every snapshot. Examples are learnt when a snapshot may come of them, or there are many."""

    def __init__(self, processor: Learner, published: Callable[[SnapshotPublished], None]) -> None:
        self.core, self._published = Core(processor), published
        self._policy, self._every = processor.policy, processor.policy.snapshot_every
        self._pending: list[Record] = []
        self._telling = 0  # of them: those that may teach something
        self._until_snapshot = self._every  # examples that must come before the next one can

    def add(self, example: ExampleReady) -> None:
        self._pending.append(self.core.record("examples", 0, example.occurred_at_ms, example))
        self._telling += may_teach(example, self._policy)
        if len(self._pending) >= AT_ONCE:
            self.learn()

    @property
    def may_publish(self) -> bool:
        return self._telling >= self._until_snapshot

    def newest(self) -> Seen:
        return self.core.store.read({SNAPSHOT: 0})[SNAPSHOT]

    def learn(self) -> bool:
        """Learn what is there; true if a snapshot came of it."""
        if not self._pending:
            return False
        records, self._pending, self._telling = tuple(self._pending), [], 0
        decision = self.core.decide(0, (Run("examples", records, records[-1].timestamp_ms),))
        snapshots = [
            o.event for o in decision.outputs if isinstance(o, Announcement) and isinstance(o.event, SnapshotPublished)
        ]
        for snapshot in snapshots:
            self._published(snapshot)
        self._until_snapshot = self._every - self._taught() % self._every
        return bool(snapshots)

    def _taught(self) -> int:
        """How many examples taught something so far: snapshots are counted by them."""
        value = self.core.store.read({MODEL: 0})[MODEL].value
        return 0 if value is None else _progress.decode(value).taught
