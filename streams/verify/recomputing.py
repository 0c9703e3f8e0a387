"""One processor, decided anew entry by entry, as its batch logs tell.

Each entry is decided from the records, watermarks, model and policy it names, and from the values of other partitions as of
the entries it names. The state is kept in memory; of other partitions' past only the values that are asked for are.
"""

from collections.abc import Callable
from typing import NamedTuple

from features.store import MemoryStore, Position
from schemas.events import BatchCommitted
from schemas.records import Batch, Decision, State
from streams.commit import batch_entry
from streams.log import OutMessage
from streams.messages import Wire
from streams.processors import Processor
from streams.reading import EventReader
from streams.verify.cursors import Reads
from streams.verify.given import Given, Past, Wanted

ProcessorOf = Callable[[BatchCommitted], Processor]  # as it was when it decided an entry: its policy and its model


class Step(NamedTuple):
    """One entry of a batch log, decided anew: what should lie on the topics."""

    entry: BatchCommitted
    batch: Batch
    decision: Decision
    messages: list[OutMessage]


class Recomputing:
    """The core of one processor over its batch logs. Entries of a partition must come in their order."""

    def __init__(
        self, name: str, processor_of: ProcessorOf, reads: Reads, read: EventReader, wire: Wire, wanted: Wanted
    ) -> None:
        self.name, self.store = name, MemoryStore()
        self._processor_of, self._wire = processor_of, wire
        self.given, self._past = Given(reads, read), Past(wanted)

    def is_ready(self, entry: BatchCommitted) -> bool:
        """Whether all that the entry read of other partitions was decided by now."""
        return all(self.store.position(read.partition).entry >= read.entry for read in entry.reads)

    def step(self, entry: BatchCommitted) -> Step:
        """Decide an entry. Raises `CannotVerify` where its records are not there any more."""
        processor = self._processor_of(entry)
        batch = self.given.batch(entry)
        decision = processor.decide(self._state(processor, batch, entry), batch)
        self.store.apply(entry.partition, entry.entry, Position(entry.entry + 1), decision.writes)
        for write in decision.writes:
            if self._past.wants(entry.partition, write.key):
                self._past.remember(entry.partition, entry.entry + 1, write.key, write.value)
        messages = [self._wire.output(output) for output in decision.outputs]
        messages.append(self._wire.batch_entry(batch_entry(self.name, batch, decision)))
        return Step(entry, batch, decision, messages)

    def _state(self, processor: Processor, batch: Batch, entry: BatchCommitted) -> State:
        needs = processor.needs(batch)
        due = self.store.load(batch.partition, (), needs.due_by_ms).due
        keys = needs.keys | processor.companions(key for _, key in due)
        loaded = self.store.load(batch.partition, keys, needs.due_by_ms)
        return State(loaded.values, self._past.outside(entry), loaded.due)
