"""Where a partition stands, found out anew: on assignment, and after anything went wrong.

The committed offsets say what was consumed, the end of the batch log what was decided, the store's entry number what it
has seen of it. What the store lacks lies in the changelog. No decision is made again.

Who asks may have lost the partition without knowing, while its new owner goes on. Whatever then does not fit together is
raised as unavailability, to be asked again, and never applied.
"""

from collections.abc import Collection, Iterator

from msgspec import Struct

from features.store import NOWHERE, UNFINISHED, Applied, Position, Store
from schemas.errors import BrokenPromise, LogUnavailable, SequenceBroken, StoreAhead, StoreUnavailable
from schemas.events import BatchCommitted
from schemas.records import Write
from streams.log import Clock, Log
from streams.messages import Change, read_change
from streams.reading import EntryReader

TOMBSTONES_KEPT_MS = 5 * 86_400_000  # well within the changelog's delete.retention.ms of seven days
WRITES_AT_ONCE = 5_000


class Standing(Struct, frozen=True):
    """Where a partition goes on: next offset of every source, next entry, and the watermark that was reached."""

    positions: dict[str, int]
    entry: int
    watermark_ms: int


class Recovery:
    def __init__(
        self,
        processor: str,
        log: Log,
        store: Store,
        batch_log: str,
        changelog: str,
        read_entry: EntryReader,
        clock: Clock,
    ) -> None:
        self.processor, self.log, self.store = processor, log, store
        self.batch_log, self.changelog, self.read_entry, self.clock = batch_log, changelog, read_entry, clock
        self.writes_at_once = WRITES_AT_ONCE

    def recover(self, partitions: Collection[int]) -> dict[int, Standing | BrokenPromise]:
        """Bring the store up to the batch log and say where each partition goes on.

        The committed offsets are asked for first: that waits for transactions of a former owner that are still open.
        A partition that must not go on gets the reason instead: its store is ahead of the log, or offsets were reset.
        """
        offsets = self.log.committed(partitions)
        return {
            p: self._standing(p, {topic: at for (topic, number), at in offsets.items() if number == p})
            for p in sorted(partitions)
        }

    def _standing(self, partition: int, positions: dict[str, int]) -> Standing | BrokenPromise:
        try:
            return self._partition(partition, positions)
        except BrokenPromise as error:
            return error

    def _partition(self, partition: int, positions: dict[str, int]) -> Standing:
        position = self.store.position(partition)  # before the log, which a new owner may be moving on
        message = self.log.last(self.batch_log, partition)
        last = self.read_entry(message) if message else None
        entries = last.entry + 1 if last else 0
        if position.entry > entries:
            raise StoreAhead(self.processor, partition, position.entry, entries)
        if last:
            self._check(last, positions)
        if position.entry < entries:
            self._catch_up(partition, self._starting_point(partition, position), entries)
        return Standing(positions, entries, last.occurred_at_ms if last else 0)

    def _check(self, last: BatchCommitted, positions: dict[str, int]) -> None:
        for run in last.sequence:
            if run.topic and positions.get(run.topic, 0) <= run.to_offset:
                self._check_unmoved(last.partition, positions)
                raise SequenceBroken(
                    f"{self.processor}[{last.partition}]: entry {last.entry} applied {run.topic} up to {run.to_offset}, "
                    f"but the group's committed offset is {positions.get(run.topic)}: were the offsets reset? "
                    "Set them back, or `maitred rebuild` into a new namespace"
                )

    def _check_unmoved(self, partition: int, positions: dict[str, int]) -> None:
        """Offsets that changed since they were asked for are no sign of a reset: somebody else goes on."""
        now = {topic: at for (topic, _), at in self.log.committed([partition]).items()}
        if now != positions:
            raise LogUnavailable(f"{self.processor}[{partition}]: somebody else is committing: {positions} -> {now}")

    def _starting_point(self, partition: int, position: Position) -> Position:
        """Where catching up starts: anew, if a restore was broken off, or tombstones may have gone from the changelog."""
        is_recent = position.committed_ms != UNFINISHED and self.clock() - position.committed_ms <= TOMBSTONES_KEPT_MS
        if position == NOWHERE or is_recent:
            return position
        self.store.clear(partition)
        return NOWHERE

    def _catch_up(self, partition: int, position: Position, entries: int) -> None:
        """Apply what the changelog holds beyond the store's entry, several entries at once."""
        for writes, after in self._missing(partition, position, entries):
            if self.store.apply(partition, position.entry, after, writes) is not Applied.DONE:
                raise StoreUnavailable(f"{self.processor}[{partition}]: somebody else moved the store during catch-up")
            position = after

    def _missing(self, partition: int, position: Position, entries: int) -> Iterator[tuple[list[Write], Position]]:
        """Writes in pieces that end where an entry ends, each with the position reached by it.

        Compaction has left out what later pieces bring anew, so that only the last piece completes the state of an entry.
        """
        writes: dict[str, Write] = {}
        entry, offset, now_ms = position.entry, position.changelog_offset, self.clock()
        for message in self.log.read(self.changelog, partition, position.changelog_offset):
            change = read_change(message)
            if change.entry < position.entry:
                continue
            if change.entry >= entries:  # and may have replaced what was written up to `entries`
                raise StoreUnavailable(f"{self.processor}[{partition}]: somebody else commits entry {change.entry}")
            if change.entry > entry and len(writes) >= self.writes_at_once:
                yield list(writes.values()), Position(change.entry, offset, UNFINISHED)
                writes = {}
            _collect(writes, change)
            entry, offset = change.entry, message.offset + 1
        yield list(writes.values()), Position(entries, offset, now_ms)


def _collect(writes: dict[str, Write], change: Change) -> None:
    writes.pop(change.write.key, None)
    writes[change.write.key] = change.write
