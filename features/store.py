"""Where state lives between batches: the `Store` protocol, and `MemoryStore`, a whole small implementation of it.

State is keyed bytes, in partitions. Each partition stands at an *entry*: the number of batches applied to it.
`apply` moves it by exactly one, or says why not, so that a late writer, a second delivery or a crash in between can
never apply a batch twice or skip one. `RedisStore` (in `redis_store.py`) passes the same list of checks.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from schemas.records import Seen, Write


class Position(NamedTuple):
    """Where a partition of the store stands.

    `entry` is the number of batches applied, so the next to come is batch number `entry`. `changelog_offset` is
    where in the changelog the first write not applied yet may lie; `committed_ms` the time of the last applied commit,
    or UNFINISHED while the partition is restored piece by piece: then its values are those of no entry.
    """

    entry: int
    changelog_offset: int = 0
    committed_ms: int = 0


NOWHERE = Position(entry=0)
UNFINISHED = -1


class Loaded(NamedTuple):
    position: Position
    values: Mapping[str, bytes]
    due: tuple[tuple[int, str], ...]  # (due_ms, key) with due_ms <= due_by_ms, in order


class Asked(NamedTuple):
    """What `Store.load` is asked, for `load_each`."""

    partition: int
    keys: Iterable[str]
    due_by_ms: int


class Move(NamedTuple):
    """What `Store.apply` is told, for `apply_each`."""

    partition: int
    before: int
    after: Position
    writes: Sequence[Write]


class Applied(Enum):
    DONE = "done"
    ALREADY = "already"  # the store stands at or past this entry
    BEHIND = "behind"  # an earlier entry is missing


class Store(Protocol):
    """The state of one processor, in partitions. Errors of the connection are raised as `StoreUnavailable`."""

    def position(self, partition: int) -> Position: ...

    def load(self, partition: int, keys: Iterable[str], due_by_ms: int) -> Loaded:
        """The values of `keys` and of every key due by `due_by_ms`, with the position they belong to, in one step."""
        ...

    def read(self, keys: Mapping[str, int]) -> dict[str, Seen]:
        """Values of other partitions: for each key -> partition, its value and that partition's entry, read together.

        A partition that is being restored is read as empty, at entry 0: what it holds belongs to no entry.
        """
        ...

    def apply(self, partition: int, before: int, after: Position, writes: Sequence[Write]) -> Applied:
        """Apply all writes and move from entry `before` to `after`, or none of it."""
        ...

    def load_each(self, asked: Sequence[Asked]) -> list[Loaded]:
        """`load`, of several partitions in as few round trips as the store can. Each is read in one step, not all together."""
        ...

    def apply_each(self, moves: Sequence[Move]) -> list[Applied]:
        """`apply`, to several partitions likewise. Where this raises, some may have moved and others not."""
        ...

    def clear(self, partition: int) -> None:
        """Forget a partition, position and all, before it is restored from the changelog."""
        ...

    def close(self) -> None: ...


class OneByOne:
    """A store for which several partitions are nothing but one after the other."""

    def load_each(self: Store, asked: Sequence[Asked]) -> list[Loaded]:
        return [self.load(*one) for one in asked]

    def apply_each(self: Store, moves: Sequence[Move]) -> list[Applied]:
        return [self.apply(*move) for move in moves]


def seen(position: Position, value: bytes | None) -> Seen:
    """A value as `Store.read` gives it."""
    return Seen(0, None) if position.committed_ms == UNFINISHED else Seen(position.entry, value)


class _Partition:
    def __init__(self) -> None:
        self.position = NOWHERE
        self.values: dict[str, bytes] = {}
        self.due_of: dict[str, int] = {}
        self.due: list[tuple[int, str]] = []


class MemoryStore(OneByOne):
    """A store in this process: for tests, simulation and replay."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def _at(self, partition: int) -> _Partition:
        return self._partitions.setdefault(partition, _Partition())

    def position(self, partition: int) -> Position:
        return self._at(partition).position

    def load(self, partition: int, keys: Iterable[str], due_by_ms: int) -> Loaded:
        held = self._at(partition)
        due = []
        for item in held.due:
            if item[0] > due_by_ms:
                break
            due.append(item)
        wanted = dict.fromkeys([*keys, *(key for _, key in due)])
        return Loaded(held.position, {k: held.values[k] for k in wanted if k in held.values}, tuple(due))

    def read(self, keys: Mapping[str, int]) -> dict[str, Seen]:
        return {key: seen(self._at(p).position, self._at(p).values.get(key)) for key, p in keys.items()}

    def apply(self, partition: int, before: int, after: Position, writes: Sequence[Write]) -> Applied:
        held = self._at(partition)
        if held.position.entry != before:
            return Applied.ALREADY if held.position.entry > before else Applied.BEHIND
        for write in writes:
            self._put(held, write)
        held.position = after
        return Applied.DONE

    def _put(self, held: _Partition, write: Write) -> None:
        due_ms = None if write.value is None else write.due_ms
        if write.value is None:
            held.values.pop(write.key, None)
        else:
            held.values[write.key] = write.value
        if due_ms != held.due_of.get(write.key):
            self._move(held, write.key, due_ms)

    def _move(self, held: _Partition, key: str, due_ms: int | None) -> None:
        if (was := held.due_of.pop(key, None)) is not None:
            del held.due[bisect_left(held.due, (was, key))]  # searched, not scanned: replays hold many customers
        if due_ms is not None:
            held.due_of[key] = due_ms
            insort(held.due, (due_ms, key))

    def clear(self, partition: int) -> None:
        self._partitions.pop(partition, None)

    def close(self) -> None:
        pass

    def keys(self, partition: int) -> Iterator[str]:
        """The keys of a partition, for tools."""
        return iter([*self._at(partition).values])

    def contents(self, partition: int) -> dict[str, bytes]:
        """All values of a partition, for comparisons."""
        return dict(self._at(partition).values)
