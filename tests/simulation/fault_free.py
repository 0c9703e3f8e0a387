"""A fault-free run of the core over a batch log: what should have come of it, rebuilt from what subscribers can read.

Each entry is decided anew, from the records, watermarks and model it names, and from the values of other partitions as of
the entries it names. Comparing the outcome with a world's is `verdict.py`'s work.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from features.store import MemoryStore, Position
from schemas.events import BatchCommitted
from schemas.records import Batch, Decision, Record, Run, Seen, State
from streams.commit import batch_entry
from streams.log import Message, OutMessage
from streams.messages import Wire
from streams.setting_aside import exclude, undigested
from tests.simulation.parts import Role, read
from tests.simulation.shop import REGISTRY
from tests.simulation.world import World


class Step(NamedTuple):
    """One entry of the batch log, decided anew."""

    role: str
    entry: BatchCommitted
    decision: Decision
    messages: list[OutMessage]


def committed(world: World, topic: str, partition: int) -> list[Message]:
    return [*world.broker.logs[topic, partition].committed()]


def events(world: World, topic: str) -> Iterator[object]:
    for partition in range(world.plan.topics[topic]):
        yield from map(read, committed(world, topic, partition))


class StuckError(Exception):
    pass


class Replay:
    """The core over the batch logs of one processor, partition by partition as their outside reads allow."""

    def __init__(self, world: World, role: Role) -> None:
        self.world, self.role = world, role
        self.store = MemoryStore()
        self._past: dict[tuple[int, str], list[tuple[int, bytes | None]]] = defaultdict(list)
        self._wire = Wire(f"/{world.settings.namespace}/{role.name}", world.plan.topics.__getitem__, REGISTRY.schema_id)
        self._processor = role.make({name: MemoryStore() for name in world.shared.memories})
        self._take_model = role.models(lambda topic: events(world, topic))
        self._records = {
            (topic, p): {m.offset: m for m in committed(world, topic, p)}
            for topic in role.sources
            for p in range(role.partitions)
        }

    def run(self, logs: Mapping[int, list[BatchCommitted]]) -> list[Step]:
        waiting = {p: entries for p, entries in logs.items() if entries}
        steps = []
        while waiting:
            ready = [p for p, entries in waiting.items() if self._is_ready(entries[0])]
            if not ready:
                raise StuckError(f"{self.role.name}: reads refer to entries that never were")
            for partition in ready:
                steps.append(self._step(waiting[partition][0]))
                if not (rest := waiting.pop(partition)[1:]):
                    continue
                waiting[partition] = rest
        return steps

    def _is_ready(self, entry: BatchCommitted) -> bool:
        return all(self.store.position(read.partition).entry >= read.entry for read in entry.reads)

    def _step(self, entry: BatchCommitted) -> Step:
        batch = self._batch(entry)
        self._take_model(self._processor, entry)
        decision = self._processor.decide(self._state(batch, entry), batch)
        after = Position(entry.entry + 1)
        self.store.apply(entry.partition, entry.entry, after, decision.writes)
        for write in decision.writes:
            self._past[entry.partition, write.key].append((entry.entry + 1, write.value))
        messages = [self._wire.output(output) for output in decision.outputs]
        messages.append(self._wire.batch_entry(batch_entry(self.role.name, batch, decision)))
        return Step(self.role.name, entry, decision, messages)

    def _batch(self, entry: BatchCommitted) -> Batch:
        runs = tuple(
            Run(
                run.topic,
                tuple(self._read(run.topic, entry.partition, run.from_offset, run.to_offset)),
                run.watermark_ms,
            )
            for run in entry.sequence
        )
        faults = {(e.topic, e.offset): undigested(e.error) for e in entry.excluded}
        return exclude(Batch(entry.partition, entry.entry, runs), faults)

    def _read(self, topic: str, partition: int, first: int, last: int) -> Iterator[Record]:
        for offset in range(first, last + 1):
            if (message := self._records[topic, partition].get(offset)) is not None:
                yield Record(*message, read(message))

    def _state(self, batch: Batch, entry: BatchCommitted) -> State:
        needs = self._processor.needs(batch)
        due = self.store.load(batch.partition, (), needs.due_by_ms).due
        keys = needs.keys | self._processor.companions(key for _, key in due)
        loaded = self.store.load(batch.partition, keys, needs.due_by_ms)
        outside = {r.key: Seen(r.entry, self._as_of(r.partition, r.key, r.entry)) for r in entry.reads}
        return State(loaded.values, outside, loaded.due)

    def _as_of(self, partition: int, key: str, entry: int) -> bytes | None:
        values = [value for at, value in self._past[partition, key] if at <= entry]
        return values[-1] if values else None
