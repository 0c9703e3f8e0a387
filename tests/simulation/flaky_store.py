"""The store of the simulated world: one for all workers, as Redis is; what it applied last, or all, may be lost.

`SharedStore` is the server, `FlakyStore` one worker's connection to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy

from features.store import Applied, Loaded, MemoryStore, OneByOne, Position
from schemas.errors import StoreUnavailable
from schemas.records import Seen, Write
from tests.simulation.perils import Strike

REMEMBERED = 12  # changes that a failover may lose


class SharedStore:
    def __init__(self) -> None:
        self.memories: dict[str, MemoryStore] = {}
        self._undo: list[tuple[str, int, object]] = []  # the partition as it was before each change

    def memory(self, processor: str) -> MemoryStore:
        return self.memories.setdefault(processor, MemoryStore())

    def remember(self, processor: str, partition: int) -> None:
        held = copy(self.memory(processor)._at(partition))
        held.values, held.due_of, held.due = dict(held.values), dict(held.due_of), list(held.due)
        self._undo = [*self._undo[-REMEMBERED + 1 :], (processor, partition, held)]

    def lose(self, changes: int, of: int | None = None) -> None:
        """A failover to a copy that lacks the last changes, of all partitions or of one."""
        lost = [change for change in self._undo if of is None or change[1] == of][-changes:]
        self._undo = [change for change in self._undo if change not in lost]
        for processor, partition, held in reversed(lost):
            self.memory(processor)._partitions[partition] = held  # type: ignore[assignment]  # private, as it was

    def lose_everything(self) -> None:
        self._undo.clear()
        for memory in self.memories.values():
            memory._partitions.clear()


class FlakyStore(OneByOne):
    def __init__(self, shared: SharedStore, processor: str, strike: Strike) -> None:
        self.shared, self.processor, self._strike = shared, processor, strike
        self.memory = shared.memory(processor)

    def position(self, partition: int) -> Position:
        self._ask("position")
        return self.memory.position(partition)

    def load(self, partition: int, keys: Iterable[str], due_by_ms: int) -> Loaded:
        self._ask("load")
        return self.memory.load(partition, keys, due_by_ms)

    def read(self, keys: Mapping[str, int]) -> dict[str, Seen]:
        self._ask("read")
        return self.memory.read(keys)

    def apply(self, partition: int, before: int, after: Position, writes: Sequence[Write]) -> Applied:
        self._ask("apply")
        self.shared.remember(self.processor, partition)
        applied = self._apply(partition, before, after, writes)
        self._ask("applied")  # the reply may be lost
        return applied

    def _apply(self, partition: int, before: int, after: Position, writes: Sequence[Write]) -> Applied:
        return self.memory.apply(partition, before, after, writes)

    def clear(self, partition: int) -> None:
        self._ask("clear")
        self.shared.remember(self.processor, partition)
        self.memory.clear(partition)
        self._ask("cleared")

    def close(self) -> None:
        pass

    def _ask(self, where: str) -> None:
        if self._strike(f"store.{where}"):
            raise StoreUnavailable(f"{where}: no answer")
