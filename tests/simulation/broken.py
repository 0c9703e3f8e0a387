"""Maitred with one thing wrong: each variant breaks one promise of DESIGN 5 in a few lines, and the verdict must notice.

They show that the checks bite, and what each precaution is there for.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from features.store import Applied, Position
from schemas.errors import CommitUnsettled
from schemas.events import BatchCommitted
from schemas.records import Announcement, Batch, Decision, Fault, Needs, Record, Run, Seen, State, Write
from streams.commit import Committed, Committer
from streams.loading import Loader
from streams.log import Message, OutMessage, TopicPartition
from streams.processors import Processor
from streams.recovery import Recovery, Standing
from streams.shell import Cut, Shell
from tests.simulation.flaky_store import FlakyStore
from tests.simulation.parts import Parts
from tests.simulation.simulated_log import SimulatedLog

VARIANTS: dict[str, Parts] = {}
AT_RARE_MOMENTS = ("TimeUnfenced", "ShowsHalfARestore")  # caught by `test_moments.py`; seeds would take long


# ---- the commit ----------------------------------------------------------------------------------------------------


class StoreFirst(Committer):
    """The store is written before the transaction."""

    def process(self, pieces: Mapping[int, tuple[Run, ...]]) -> list[Committed]:
        ready = self.loader.load([Batch(p, self.entries[p], runs) for p, runs in sorted(pieces.items())])
        decided = [self._decide(item) for item in ready]
        self._apply(decided, {})
        self._commit(decided)
        return []


class TriesAgain(Committer):
    """An unknown outcome is taken for a failure."""

    def process(self, pieces: Mapping[int, tuple[Run, ...]]) -> list[Committed]:
        try:
            return super().process(pieces)
        except CommitUnsettled:
            self.log.renew()
            return super().process(pieces)


class TrustsTheStore(Committer):
    """Whatever entry the store stands at, its values are decided on."""

    def process(self, pieces: Mapping[int, tuple[Run, ...]]) -> list[Committed]:
        self.entries.update({partition: self.store.position(partition).entry for partition in pieces})
        return super().process(pieces)


class ForgetsAChange(Committer):
    """The changelog lacks the last write of each batch."""

    def _messages(self, item: Any) -> list[OutMessage]:  # Any: as above
        messages = super()._messages(item)
        return messages[:-1] if item.decision.writes else messages


class ForgetsWhenDue(Committer):
    """The changelog does not say when a key wants attention."""

    def _messages(self, item: Any) -> list[OutMessage]:  # Any: as above
        return [m._replace(headers=tuple(h for h in m.headers if h[0] != "due")) for m in super()._messages(item)]


class ReadsWithoutPosition(Committer):
    """Values of other partitions are read, and as of when is not noted."""

    def process(self, pieces: Mapping[int, tuple[Run, ...]]) -> list[Committed]:
        self.loader = _LoaderWithoutPosition(self.processor, self.store)
        return super().process(pieces)


class _LoaderWithoutPosition(Loader):
    def _outside(self, needs: Sequence[Needs]) -> Mapping[str, Seen]:
        return {key: Seen(0, seen.value) for key, seen in super()._outside(needs).items()}


class HasNoEras(Shell):
    """What was cut before a rebalance or a recovery is committed after it."""

    def process(self, cut: Cut) -> Sequence[Committed]:
        cut = Cut(self._era, {p: runs for p, runs in cut.pieces.items() if p in self.committer.entries})
        return super().process(cut)


# ---- the log -------------------------------------------------------------------------------------------------------


class OffsetsApart(SimulatedLog):
    """Offsets are committed after the transaction."""

    def commit(
        self, messages: Sequence[OutMessage], offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        ends = super().commit(messages, offsets)
        self._ask_to_commit("offsets apart")
        if self._is_member():
            self.group.offsets.update(offsets)
        return ends

    def _write_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        if not self._is_member():
            raise CommitUnsettled("fenced")


class OutputsApart(SimulatedLog):
    """Outputs are written on their own, the rest in the transaction."""

    def _write(self, message: OutMessage) -> int:
        if "." in message.topic:
            return super()._write(message)
        return self.broker.publish(*message[:5]).offset


class Unfenced(SimulatedLog):
    """A commit does not say of which generation it is."""

    def _is_member(self) -> bool:
        return True


class TimeUnfenced(SimulatedLog):
    """A batch of time alone carries no offsets, so there is nothing to be fenced by."""

    def _held_back(self, *_: object) -> dict[TopicPartition, int]:
        return {}


class ReadsUncommitted(SimulatedLog):
    """Records of transactions that may still be aborted are read."""

    def _fetch(self, source: TopicPartition, at_most: int) -> list[Message]:
        log, start = self.broker.logs[source], self._positions[source]
        found = [s.message for s in log.records if s.message.offset >= start][:at_most]
        self._known[source] = log.end
        self._positions[source] = found[-1].offset + 1 if found else start
        return found


class OverlooksPendingOffsets(SimulatedLog):
    """Committed offsets are taken as they stand, while a transaction may still change them."""

    def committed(self, partitions: Collection[int]) -> dict[TopicPartition, int]:
        sources = dict.fromkeys(self.sources)
        return {tp: offset for p in partitions for tp, offset in self.group.committed(sources, p).items()}


class OverlooksMarkers(SimulatedLog):
    """The end of a log is read before the markers of decided transactions have arrived there."""

    def _await_stable(self, place: TopicPartition) -> None:
        pass


# ---- the store -----------------------------------------------------------------------------------------------------


class AppliesAnything(FlakyStore):
    """The store does not check the entry number."""

    def _apply(self, partition: int, before: int, after: Position, writes: Sequence[Write]) -> Applied:
        return super()._apply(partition, self.memory.position(partition).entry, after, writes)


# ---- recovery ------------------------------------------------------------------------------------------------------


class SkipsAnEntry(Recovery):
    """Catching up leaves out the first entry that is missing."""

    def _catch_up(self, partition: int, position: Position, entries: int) -> None:
        after = position._replace(entry=position.entry + 1)
        self.store.apply(partition, position.entry, after, [])
        super()._catch_up(partition, after, entries)


class DecidesAnew(Recovery):
    """What was decided last is read and decided again, whatever the batch log says of it."""

    def _partition(self, partition: int, positions: dict[str, int]) -> Standing:
        standing = super()._partition(partition, positions)
        message = self.log.last(self.batch_log, partition)
        if message is None:
            return standing
        return replace(standing, positions=_rewound(positions, self.read_entry(message)))


def _rewound(positions: dict[str, int], entry: BatchCommitted) -> dict[str, int]:
    starts = {run.topic: run.from_offset for run in reversed(entry.sequence) if run.topic}
    return {topic: min(at, starts.get(topic, at)) for topic, at in positions.items()}


class LosesTheWatermark(Recovery):
    """Time begins anew after a recovery."""

    def _partition(self, partition: int, positions: dict[str, int]) -> Standing:
        return replace(super()._partition(partition, positions), watermark_ms=0)


class TrustsOldChangelogs(Recovery):
    """Catching up goes on from where the store stands, though tombstones may have gone since."""

    def _starting_point(self, partition: int, position: Position) -> Position:
        return position


class ShowsHalfARestore(Recovery):
    """Between two pieces of a restore the store seems to stand at an entry."""

    def _missing(self, *arguments: Any) -> Any:  # Any: passed on
        for writes, position in super()._missing(*arguments):
            yield writes, position._replace(committed_ms=0)


# ---- the core ------------------------------------------------------------------------------------------------------


class Wrapped:
    """A processor that does everything as another one does."""

    def __init__(self, processor: Processor) -> None:
        self.processor = processor

    def __getattr__(self, name: str) -> Any:  # Any: whatever the processor has
        return getattr(self.processor, name)


class Resorts(Wrapped):
    """Records are applied by event time within a run, whatever the log says."""

    def decide(self, state: State, batch: Batch) -> Decision:
        runs = tuple(run._replace(records=tuple(sorted(run.records, key=_at_ms))) for run in batch.runs)
        return self.processor.decide(state, replace(batch, runs=runs))


def _at_ms(record: Record) -> int:
    return 0 if isinstance(record.event, Fault) else record.event.occurred_at_ms


class InventsIds(Wrapped):
    """Ids are counted in the process."""

    numbers = count()

    def decide(self, state: State, batch: Batch) -> Decision:
        decision = self.processor.decide(state, batch)
        return replace(decision, outputs=tuple(map(self._renamed, decision.outputs)))

    def _renamed(self, output: Any) -> Any:  # Any: an output
        if not isinstance(output, Announcement):
            return output
        return output._replace(event=replace(output.event, id=f"{next(self.numbers)}"))


# ---- how they come in ----------------------------------------------------------------------------------------------


def _committer(kind: type[Committer]) -> Parts:
    def alter(shell: Shell) -> None:
        had = shell.committer
        shell.committer = kind(had.processor, had.log, had.store, had.wire, had.clock)

    return Parts(alter=alter)


def _recovery(kind: type[Recovery]) -> Parts:
    def alter(shell: Shell) -> None:
        had = shell.recovery
        shell.recovery = kind(
            had.processor, had.log, had.store, had.batch_log, had.changelog, had.read_entry, had.clock
        )
        shell.recovery.writes_at_once = had.writes_at_once

    return Parts(alter=alter)


def _shell(kind: type[Shell]) -> Parts:
    def alter(shell: Shell) -> None:
        shell.__class__ = kind

    return Parts(alter=alter)


def _variants() -> dict[str, Parts]:
    made: list[tuple[type, Callable[[Any], Parts]]] = [
        *((kind, _committer) for kind in Committer.__subclasses__()),
        *((kind, _recovery) for kind in Recovery.__subclasses__()),
        *((kind, _shell) for kind in Shell.__subclasses__()),
        *((kind, lambda log: Parts(log=log)) for kind in SimulatedLog.__subclasses__()),
        *((kind, lambda store: Parts(store=store)) for kind in FlakyStore.__subclasses__()),
        *((kind, lambda processor: Parts(processor=processor)) for kind in Wrapped.__subclasses__()),
    ]
    return {kind.__name__: make(kind) for kind, make in made}


VARIANTS.update(_variants())
