"""The commit: decide batches, write everything that follows from them in one Kafka transaction, then let the store follow.

    load what the batch needs -> decide -> [ outputs, batch log, changelog, source offsets ] in one transaction -> store

The transaction is the commit point. Before it nothing has happened; after it nothing is decided again: the changelog holds
what the store still lacks, and the entry number keeps the store from taking a batch twice or leaving one out.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

from msgspec import Struct

from features.store import Applied, Move, Position, Store
from schemas.errors import BrokenPromise, StoreUnavailable
from schemas.events import BatchCommitted, Exclusion
from schemas.records import Batch, Decision, Fault, Run, sequence_of
from streams.loading import Loader, Ready
from streams.log import Clock, Log, OutMessage, TopicPartition
from streams.messages import Wire
from streams.processors import Processor
from streams.setting_aside import setting_aside

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
    outputs: list[OutMessage]  # of the decision, as records
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
        """An output that can't be written tells of a record that must not have been believed: it counts as not decided."""

        def decide(batch: Batch) -> _Decided:
            decision = self.processor.decide(ready.state, batch)
            return _Decided(batch, decision, [self.wire.output(output) for output in decision.outputs], ready.position)

        try:
            return setting_aside(decide, ready.batch, self.processor.name)
        except BrokenPromise as error:
            error.partition = ready.batch.partition
            raise

    # ---- commit --------------------------------------------------------------------------------------------------

    def _commit(self, decided: Sequence[_Decided]) -> dict[TopicPartition, int]:
        messages = [message for item in decided for message in self._messages(item)]
        offsets = {tp: offset for item in decided for tp, offset in next_offsets(item.batch).items()}
        return self.log.commit(messages, offsets)

    def _messages(self, item: _Decided) -> list[OutMessage]:
        name, batch, decision = self.processor.name, item.batch, item.decision
        return [
            *item.outputs,
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
