"""The commit: decide batches, write everything that follows from them in one Kafka transaction, then let the store follow.

    load what the batch needs -> decide -> [ outputs, batch log, changelog, source offsets ] in one transaction -> store

The transaction is the commit point. Before it nothing has happened; after it nothing is decided again: the changelog holds
what the store still lacks, and the entry number keeps the store from taking a batch twice or leaving one out.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from traceback import extract_tb
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from features.store import Applied, Move, Position, Store
from schemas.errors import BrokenPromise, StoreUnavailable
from schemas.events import BatchCommitted, Exclusion
from schemas.records import Batch, Decision, Fault, Record, Run, State, sequence_of
from streams.loading import Loader, Ready
from streams.log import Clock, Log, OutMessage, TopicPartition
from streams.messages import Wire
from streams.processors import Processor

Pieces = Mapping[int, tuple[Run, ...]]
Step = Literal["load", "decide", "transaction", "apply"]


class Watch(Protocol):
    """Who looks on while a commit goes through its steps, for metrics and traces. It changes nothing."""

    def commit(self, pieces: Pieces) -> AbstractContextManager[object]: ...

    def step(self, step: Step) -> AbstractContextManager[object]: ...


class Unwatched:
    """The `Watch` that sees nothing."""

    def commit(self, _pieces: Pieces) -> AbstractContextManager[object]:
        return nullcontext()

    def step(self, _step: Step) -> AbstractContextManager[object]:
        return nullcontext()


class Committed(Struct, frozen=True):
    """A batch and what it led to, both now facts."""

    batch: Batch
    decision: Decision


class _Decided(Struct, frozen=True):
    batch: Batch
    decision: Decision
    position: Position  # of the store, before


class Committer:
    """Takes batches of one processor through decision, transaction and store. `entries` is where each partition stands."""

    def __init__(
        self, processor: Processor, log: Log, store: Store, wire: Wire, clock: Clock, watch: Watch | None = None
    ) -> None:
        self.processor, self.log, self.store, self.wire, self.clock = processor, log, store, wire, clock
        self.loader = Loader(processor, store)
        self.watch: Watch = watch or Unwatched()
        self.entries: dict[int, int] = {}

    def process(self, pieces: Pieces) -> list[Committed]:
        """Decide and commit one batch per partition; when this returns, log and store agree.

        Raises `CommitUnsettled` where recovery must find out what happened, `StoreUnavailable` where the store is gone:
        the transaction may be committed by then, and recovery brings the store up to it.
        """
        with self.watch.commit(pieces):
            self.processor.prepare()
            with self.watch.step("load"):
                ready = self.loader.load([Batch(p, self.entries[p], runs) for p, runs in sorted(pieces.items())])
            with self.watch.step("decide"):
                decided = [self._decide(item) for item in ready]
            with self.watch.step("transaction"):
                ends = self._commit(decided)
            with self.watch.step("apply"):
                self._apply(decided, ends)
        return [Committed(item.batch, item.decision) for item in decided]

    # ---- decide --------------------------------------------------------------------------------------------------

    def _decide(self, ready: Ready) -> _Decided:
        try:
            batch, decision = decide_setting_aside(self.processor, ready.state, ready.batch)
        except BrokenPromise as error:
            error.partition = ready.batch.partition
            raise
        return _Decided(batch, decision, ready.position)

    # ---- commit --------------------------------------------------------------------------------------------------

    def _commit(self, decided: Sequence[_Decided]) -> dict[TopicPartition, int]:
        messages = [message for item in decided for message in self._messages(item)]
        offsets = {tp: offset for item in decided for tp, offset in next_offsets(item.batch).items()}
        return self.log.commit(messages, offsets)

    def _messages(self, item: _Decided) -> list[OutMessage]:
        name, batch, decision = self.processor.name, item.batch, item.decision
        return [
            *(self.wire.output(output) for output in decision.outputs),
            self.wire.batch_entry(batch_entry(name, batch, decision)),
            *(self.wire.change(name, batch.partition, batch.entry, write) for write in decision.writes),
        ]

    # ---- let the store follow ------------------------------------------------------------------------------------

    def _apply(self, decided: Sequence[_Decided], ends: Mapping[TopicPartition, int]) -> None:
        moves = [self._move(item, ends) for item in decided]
        for move in moves:
            self.entries[move.partition] = move.after.entry
        for move, applied in zip(moves, self.store.apply_each(moves), strict=True):
            if applied is Applied.BEHIND:
                raise StoreUnavailable(
                    f"{self.processor.name}[{move.partition}]: the store fell behind entry {move.before}"
                )

    def _move(self, item: _Decided, ends: Mapping[TopicPartition, int]) -> Move:
        partition, entry = item.batch.partition, item.batch.entry
        changelog = self.wire.changelog(self.processor.name)
        after = Position(entry + 1, ends.get((changelog, partition), item.position.changelog_offset), self.clock())
        return Move(partition, entry, after, item.decision.writes)


def next_offsets(batch: Batch) -> dict[TopicPartition, int]:
    return {(record.topic, record.partition): record.offset + 1 for record in batch.records()}


def batch_entry(processor: str, batch: Batch, decision: Decision) -> BatchCommitted:
    return BatchCommitted(
        id=f"{processor}/{batch.partition}/{batch.entry}",
        processor=processor,
        partition=batch.partition,
        entry=batch.entry,
        sequence=sequence_of(batch),
        occurred_at_ms=batch.watermark_ms,
        model_version=decision.model_version,
        policy_version=decision.policy_version,
        reads=decision.reads,
        excluded=tuple(
            Exclusion(topic=r.topic, offset=r.offset, error=r.event.got)
            for r in batch.records()
            if isinstance(r.event, Fault) and r.event.error == "core"
        ),
    )


# ---- a record that the core cannot digest --------------------------------------------------------------------------


def decide_setting_aside(processor: Processor, state: State, batch: Batch) -> tuple[Batch, Decision]:
    """Decide a batch; a record on which the core fails is found, marked as a fault of class `core`, and passed over.

    Decisions are pure, so trying shorter pieces of the batch costs time and nothing else.
    """
    while True:
        try:
            return batch, processor.decide(state, batch)
        except BrokenPromise:
            raise
        except Exception as error:  # whatever the core may raise: it must not stop the partition
            batch = mark(batch, _culprit(processor, state, batch, error), error)


def _culprit(processor: Processor, state: State, batch: Batch, error: Exception) -> Record:
    """The last record of the shortest failing piece, by bisection."""
    records = list(batch.records())
    low, high = 0, len(records)  # the first `low` records can be decided, the first `high` cannot
    if not records or _fails(processor, state, up_to(batch, 0)):
        raise BrokenPromise(
            f"{processor.name}[{batch.partition}]: what fell due could not be decided: {named(error)}"
        ) from error
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fails(processor, state, up_to(batch, middle)) else (middle, high)
    culprit = records[high - 1]
    if isinstance(culprit.event, Fault):
        raise BrokenPromise(f"{processor.name}: {culprit.where} fails even when set aside: {named(error)}") from error
    return culprit


def _fails(processor: Processor, state: State, batch: Batch) -> bool:
    try:
        processor.decide(state, batch)
    except Exception:  # the question is only whether
        return True
    return False


def up_to(batch: Batch, count: int) -> Batch:
    """The first `count` records of a batch. A run that is cut leaves the watermark where it stood before it."""
    runs, watermark = [], 0
    for run in batch.runs:
        if len(run.records) > count:
            runs.append(Run(run.topic, run.records[:count], watermark))
            break
        runs.append(run)
        count, watermark = count - len(run.records), run.watermark_ms
    return replace(batch, runs=tuple(runs))


def mark(batch: Batch, culprit: Record, error: Exception) -> Batch:
    return exclude(batch, {(culprit.topic, culprit.offset): undigested(named(error))})


def named(error: Exception) -> str:
    """An error of the core by kind and place. Its message stays out of logs and the batch log: it may quote the record.

    >>> named(KeyError("c-17"))
    'KeyError'
    """
    frames = extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def undigested(error: str) -> Fault:
    """The fault of a record that the core failed on. `error` is what the batch log keeps of it."""
    return Fault("core", "$", "a record the core can decide", error, "report it with the record; then retry")


def exclude(batch: Batch, faults: Mapping[tuple[str, int], Fault]) -> Batch:
    """The batch with these records turned into faults; replay and verification do the same from the batch log."""
    runs = tuple(
        run._replace(records=tuple(r._replace(event=faults.get((r.topic, r.offset), r.event)) for r in run.records))
        for run in batch.runs
    )
    return replace(batch, runs=runs)
