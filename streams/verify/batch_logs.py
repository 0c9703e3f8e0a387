"""The batch logs of a processor: its entries by turns, in the order of their commits, as far as their reads allow."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from schemas.events import BatchCommitted
from streams.reading import EntryReader
from streams.verify.cursors import Cursor, Reads
from streams.verify.given import CannotVerify, Wanted

IsReady = Callable[[BatchCommitted], bool]


class _Head(NamedTuple):
    """The next entry of a partition."""

    committed_ms: int
    entry: BatchCommitted


class BatchLogs:
    """All partitions of one processor's batch log, up to where they end now."""

    def __init__(self, reads: Reads, processor: str, partitions: int, read_entry: EntryReader) -> None:
        self.topic, self._reads, self._read_entry = f"{processor}.batch-log", reads, read_entry
        self._partitions = range(partitions)
        self._ends = {p: reads.bounds(self.topic, p)[1] for p in self._partitions}
        self._cursors = {p: Cursor(reads, self.topic, p) for p in self._partitions}
        self._heads: dict[int, _Head] = {}
        self._next: dict[int, int] = defaultdict(int)
        self.done, self.total = 0, 0

    def wanted(self) -> Wanted:
        """The keys that partitions read of others, found by reading through all entries once."""
        wanted: dict[int, set[str]] = defaultdict(set)
        for partition in self._partitions:
            cursor = Cursor(self._reads, self.topic, partition)
            for message in cursor.up_to(self._ends[partition] - 1):
                self.total += 1
                for read in self._read_entry(message).reads:
                    wanted[read.partition].add(read.key)
        return {partition: frozenset(keys) for partition, keys in wanted.items()}

    def entries(self, is_ready: IsReady) -> Iterator[BatchCommitted]:
        """Up to where the logs ended. What is given must be decided before the next is asked for."""
        return self._by_turns(is_ready, self._ends)

    def later(self, is_ready: IsReady) -> Iterator[BatchCommitted]:
        """What was committed since."""
        return self._by_turns(is_ready, {})

    def _by_turns(self, is_ready: IsReady, ends: dict[int, int]) -> Iterator[BatchCommitted]:
        going_on = set(self._partitions)
        while heads := self._refreshed(going_on, ends):
            ready = [head for head in heads if is_ready(head.entry)]
            if not ready:
                raise CannotVerify(
                    f"{heads[0].entry.id}: it read entries of other partitions that are not there; is {self.topic} whole?"
                )
            entry = min(ready, key=lambda head: (head.committed_ms, head.entry.partition)).entry
            self._cursors[entry.partition].next()
            del self._heads[entry.partition]
            self._check(entry)
            self.done += 1
            yield entry

    def _refreshed(self, going_on: set[int], ends: dict[int, int]) -> list[_Head]:
        """What comes next on each partition. One that has ended is not asked again."""
        for partition in sorted(going_on - self._heads.keys()):
            message = self._cursors[partition].peek()
            if message is not None and message.offset < ends.get(partition, message.offset + 1):
                self._heads[partition] = _Head(message.timestamp_ms, self._read_entry(message))
            else:
                going_on.discard(partition)
        return list(self._heads.values())

    def _check(self, entry: BatchCommitted) -> None:
        """Entries are numbered from 0 without a gap."""
        if entry.entry != self._next[entry.partition]:
            raise CannotVerify(
                f"{self.topic}[{entry.partition}]: expected entry {self._next[entry.partition]}, got {entry.entry}; "
                "keep batch logs for ever (retention.ms=-1; `maitred doctor` tells)"
            )
        self._next[entry.partition] += 1
