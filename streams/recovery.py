"""Where a partition stands, found out anew: on assignment, and after anything went wrong.

The committed offsets say what was consumed, the end of the batch log what was decided, the store's entry number what it
has seen of it. What the store lacks lies in the changelog. No decision is made again.
"""

from collections.abc import Callable, Collection, Iterator

from msgspec import Struct

from features.store import NOWHERE, Applied, Position, Store
from schemas.errors import SequenceBroken, StoreAhead
from schemas.events import BatchCommitted
from schemas.records import Write
from streams.log import Log, Message
from streams.messages import Change, read_change

TOMBSTONES_KEPT_MS = 5 * 86_400_000  # well within the changelog's delete.retention.ms of seven days
WRITES_AT_ONCE = 5_000


EntryReader = Callable[[Message], BatchCommitted]


class Standing(Struct, frozen=True):
    """Where a partition goes on: next offset of every source, next entry, and the watermark that was reached."""

    positions: dict[str, int]
    entry: int
    watermark_ms: int


class Recovery:
    def __init__(
        self, processor: str, log: Log, store: Store, batch_log: str, changelog: str, read_entry: EntryReader
    ) -> None:
        self.processor, self.log, self.store = processor, log, store
        self.batch_log, self.changelog, self.read_entry = batch_log, changelog, read_entry

    def recover(self, partitions: Collection[int]) -> dict[int, Standing | StoreAhead]:
        """Bring the store up to the batch log and say where each partition goes on.

        The committed offsets are asked for first: that waits for transactions of a former owner that are still open.
        A partition whose store is ahead of the log gets the error instead: it must not go on.
        """
        offsets = self.log.committed(partitions)
        return {
            p: self._partition(p, {topic: at for (topic, number), at in offsets.items() if number == p})
            for p in sorted(partitions)
        }

    def _partition(self, partition: int, positions: dict[str, int]) -> Standing | StoreAhead:
        message = self.log.last(self.batch_log, partition)
        last = self.read_entry(message) if message else None
        entries = last.entry + 1 if last else 0
        position = self.store.position(partition)
        if position.entry > entries:
            return StoreAhead(self.processor, partition, position.entry, entries)
        if last:
            self._check(last, positions)
        if message and position.entry < entries:
            self._catch_up(
                partition, self._starting_point(partition, position, message.timestamp_ms), entries
            )
        return Standing(positions, entries, last.occurred_at_ms if last else 0)

    def _check(self, last: BatchCommitted, positions: dict[str, int]) -> None:
        for run in last.sequence:
            if run.topic and positions.get(run.topic, 0) <= run.to_offset:
                raise SequenceBroken(
                    f"{self.processor}[{last.partition}]: entry {last.entry} applied {run.topic} up to {run.to_offset}, "
                    f"but the group's committed offset is {positions.get(run.topic)}: were the offsets reset? "
                    "Set them back, or `maitred rebuild` into a new namespace"
                )

    def _starting_point(self, partition: int, position: Position, now_ms: int) -> Position:
        """Where catching up starts: anew, if tombstones may have gone from the changelog since."""
        if position == NOWHERE or now_ms - position.committed_ms <= TOMBSTONES_KEPT_MS:
            return position
        self.store.clear(partition)
        return NOWHERE

    def _catch_up(self, partition: int, position: Position, entries: int) -> None:
        """Apply what the changelog holds beyond the store's entry, several entries at once."""
        for writes, after in self._missing(partition, position, entries):
            if self.store.apply(partition, position.entry, after, writes) is not Applied.DONE:
                raise SequenceBroken(
                    f"{self.processor}[{partition}]: somebody else moved the store during catch-up"
                )
            position = after

    def _missing(
        self, partition: int, position: Position, entries: int
    ) -> Iterator[tuple[list[Write], Position]]:
        """Writes in pieces that end where an entry ends, each with the position reached by it."""
        writes: dict[str, Write] = {}
        entry, offset, time_ms = position.entry, position.changelog_offset, position.committed_ms
        for message in self.log.read(self.changelog, partition, position.changelog_offset):
            change = read_change(message)
            if change.entry < position.entry:
                continue
            if change.entry >= entries:  # committed since: its own owner applies it
                break
            if change.entry > entry and len(writes) >= WRITES_AT_ONCE:
                yield list(writes.values()), Position(change.entry, offset, time_ms)
                writes = {}
            _collect(writes, change)
            entry, offset, time_ms = change.entry, message.offset + 1, message.timestamp_ms
        yield list(writes.values()), Position(entries, offset, time_ms)


def _collect(writes: dict[str, Write], change: Change) -> None:
    writes.pop(change.write.key, None)
    writes[change.write.key] = change.write
