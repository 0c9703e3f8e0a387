"""A fault-free run of the core over a world's batch logs: what should have come of it, as `maitred verify` recomputes it.

Comparing the outcome with a world's is `verdict.py`'s work.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from features.store import MemoryStore
from schemas.events import BatchCommitted
from streams.log import Message
from streams.messages import Wire
from streams.processors import Processor
from streams.verify.recomputing import Recomputing, Step
from tests.simulation.parts import Role, read
from tests.simulation.shop import REGISTRY
from tests.simulation.world import World


def committed(world: World, topic: str, partition: int) -> list[Message]:
    return [*world.broker.logs[topic, partition].committed()]


def events(world: World, topic: str) -> Iterator[object]:
    for partition in range(world.plan.topics[topic]):
        yield from map(read, committed(world, topic, partition))


class WorldReads:
    """A world's topics, as a subscriber reads them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read: dict[tuple[str, int], list[Message]] = {}

    def _all(self, topic: str, partition: int) -> list[Message]:
        if (topic, partition) not in self._read:
            self._read[topic, partition] = committed(self._world, topic, partition)
        return self._read[topic, partition]

    def read(self, topic: str, partition: int, from_offset: int) -> Iterator[Message]:
        return (message for message in self._all(topic, partition) if message.offset >= from_offset)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        messages = self._all(topic, partition)
        return 0, messages[-1].offset + 1 if messages else 0


class StuckError(Exception):
    pass


class Replay:
    """The core over the batch logs of one processor, partition by partition as their outside reads allow."""

    def __init__(self, world: World, role: Role) -> None:
        self.world, self.role = world, role
        self._processor = role.make({name: MemoryStore() for name in world.shared.memories})
        self._take_model = role.models(lambda topic: events(world, topic))

    def run(self, logs: Mapping[int, list[BatchCommitted]]) -> list[Step]:
        wire = Wire(
            f"/{self.world.settings.namespace}/{self.role.name}", self.world.plan.topics.__getitem__, REGISTRY.schema_id
        )
        core = Recomputing(self.role.name, self._decider, WorldReads(self.world), read, wire, _wanted(logs))
        self.store = core.store
        waiting = {p: entries for p, entries in logs.items() if entries}
        steps = []
        while waiting:
            ready = [p for p, entries in waiting.items() if core.is_ready(entries[0])]
            if not ready:
                raise StuckError(f"{self.role.name}: reads refer to entries that never were")
            for partition in ready:
                steps.append(core.step(waiting[partition][0]))
                if not (rest := waiting.pop(partition)[1:]):
                    continue
                waiting[partition] = rest
        return steps

    def _decider(self, entry: BatchCommitted) -> Processor:
        self._take_model(self._processor, entry)
        return self._processor


def _wanted(logs: Mapping[int, list[BatchCommitted]]) -> dict[int, frozenset[str]]:
    wanted: dict[int, set[str]] = defaultdict(set)
    for read_outside in (r for entries in logs.values() for entry in entries for r in entry.reads):
        wanted[read_outside.partition].add(read_outside.key)
    return {partition: frozenset(keys) for partition, keys in wanted.items()}
