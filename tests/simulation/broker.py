"""A Kafka in memory, as far as a transaction, a consumer group or a crash can tell it from a real one.

Markers take offsets; a transaction that has been decided becomes visible partition by partition, as its markers arrive; a
read_committed reader sees nothing at or after the first record of a transaction without its marker. What goes wrong, and
when, is not decided here: `perils.py` and `world.py` do that.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from schemas.errors import CommitUnsettled
from streams.log import Headers, Message, OutMessage, TopicPartition
from tests.simulation.group import Group

TRANSACTION_TIMEOUT_MS = 60_000
TOMBSTONES_KEPT_MS = 7 * 86_400_000  # delete.retention.ms of the changelog


class Transaction:
    """What one producer writes at once. `unmarked` are the places that do not know of its end yet."""

    def __init__(self, opened_ms: int) -> None:
        self.opened_ms = opened_ms
        self.outcome: str | None = None  # committed or aborted
        self.unmarked: dict[TopicPartition | Group, None] = {}  # in the order in which they were written to
        self.offsets: dict[TopicPartition, int] = {}


class Stored(NamedTuple):
    message: Message
    transaction: Transaction | None

    @property
    def is_committed(self) -> bool:
        return self.transaction is None or self.transaction.outcome == "committed"


class PartitionLog:
    """One partition: records by offset. Offsets without a record are markers, or records that compaction took."""

    def __init__(self) -> None:
        self.records: list[Stored] = []
        self.end = 0
        self.unsettled: dict[Transaction, int] = {}  # -> the offset of its first record here

    @property
    def last_stable(self) -> int:
        return min(self.unsettled.values(), default=self.end)

    def append(self, message: Message, transaction: Transaction | None) -> None:
        self.records.append(Stored(message, transaction))
        self.end = message.offset + 1
        if transaction:
            self.unsettled.setdefault(transaction, message.offset)

    def settle(self, transaction: Transaction, *, marker: bool) -> None:
        """The marker of a transaction arrives. Without markers (a dense log) an aborted record gives its offset back."""
        del self.unsettled[transaction]
        if marker:
            self.end += 1
        elif transaction.outcome == "aborted":
            self.records = [stored for stored in self.records if stored.transaction is not transaction]
            self.end = self.records[-1].message.offset + 1 if self.records else 0

    def committed(self, from_offset: int = 0, until: int | None = None) -> Iterator[Message]:
        """What a read_committed reader is given."""
        until = self.last_stable if until is None else until
        for index in range(bisect_left(self.records, from_offset, key=lambda s: s.message.offset), len(self.records)):
            stored = self.records[index]
            if stored.message.offset >= until:
                return
            if stored.is_committed:
                yield stored.message

    def compact(self, now_ms: int, untouched: int) -> None:
        """Keep the last committed value of each key; the `untouched` last records are the active segment."""
        limit = min(self.last_stable, self.records[-untouched].message.offset) if len(self.records) > untouched else 0
        below = [s for s in self.records if s.message.offset < limit and s.is_committed]
        latest = {s.message.key: s.message.offset for s in below}
        self.records = [s for s in self.records if s.message.offset >= limit or _stays(s, latest, now_ms)]


def _stays(stored: Stored, latest: Mapping[bytes | None, int], now_ms: int) -> bool:
    message = stored.message
    if not stored.is_committed or latest[message.key] != message.offset:
        return False
    return message.value is not None or message.timestamp_ms > now_ms - TOMBSTONES_KEPT_MS


class _Producer:
    def __init__(self) -> None:
        self.epoch = 0
        self.transaction: Transaction | None = None


class Broker:
    """Topics, transactional producers and consumer groups. `partitions` is each topic's count."""

    def __init__(self, partitions: Mapping[str, int], clock: Callable[[], int], *, markers: bool = True) -> None:
        self.partitions, self.clock, self.markers = dict(partitions), clock, markers
        self.logs = {(topic, p): PartitionLog() for topic, count in partitions.items() for p in range(count)}
        self.groups: dict[str, Group] = {}
        self._producers: dict[str, _Producer] = {}

    def group(self, name: str, partitions: int) -> Group:
        return self.groups.setdefault(name, Group(partitions))

    def publish(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> Message:
        """A record outside any transaction, as a shop writes it."""
        log = self.logs[topic, partition]
        message = Message(topic, partition, log.end, self.clock(), key, value, headers)
        log.append(message, None)
        return message

    # ---- transactions ----------------------------------------------------------------------------------------------

    def init(self, transactional_id: str) -> int:
        """A new epoch of a producer. What the old one left open is aborted, what it had decided is completed."""
        producer = self._producers.setdefault(transactional_id, _Producer())
        self._close(producer)
        producer.epoch += 1
        return producer.epoch

    def begin(self, transactional_id: str, epoch: int) -> Transaction:
        producer = self._check(transactional_id, epoch)
        if producer.transaction:
            if producer.transaction.outcome is None:
                raise CommitUnsettled("a transaction is open already")
            self._complete(producer.transaction)
        producer.transaction = Transaction(self.clock())
        return producer.transaction

    def write(self, transactional_id: str, epoch: int, message: OutMessage, timestamp_ms: int) -> int:
        """Append to a partition within the open transaction; returns the offset."""
        transaction = self._open(transactional_id, epoch)
        topic, partition = message.topic, message.partition
        log = self.logs[topic, partition]
        at_ms = timestamp_ms if message.timestamp_ms is None else message.timestamp_ms
        log.append(Message(topic, partition, log.end, at_ms, message.key, message.value, message.headers), transaction)
        transaction.unmarked[topic, partition] = None
        return log.end - 1

    def write_offsets(
        self, transactional_id: str, epoch: int, group: Group, offsets: Mapping[TopicPartition, int]
    ) -> None:
        transaction = self._open(transactional_id, epoch)
        transaction.offsets.update(offsets)
        transaction.unmarked[group] = None
        group.pending[transaction] = None

    def end(self, transactional_id: str, epoch: int, *, commit: bool) -> None:
        """Decide a transaction. Its markers are still on their way."""
        self._open(transactional_id, epoch).outcome = "committed" if commit else "aborted"

    def expire(self) -> None:
        """Abort transactions that were open for too long; their producers are fenced."""
        for producer in self._producers.values():
            transaction = producer.transaction
            if transaction and transaction.outcome is None and self._is_overdue(transaction):
                self._close(producer)
                producer.epoch += 1

    def _is_overdue(self, transaction: Transaction) -> bool:
        return self.clock() - transaction.opened_ms >= TRANSACTION_TIMEOUT_MS

    def _check(self, transactional_id: str, epoch: int) -> _Producer:
        producer = self._producers[transactional_id]
        if producer.epoch != epoch:
            raise CommitUnsettled(f"producer {transactional_id} of epoch {epoch} is fenced by {producer.epoch}")
        return producer

    def _open(self, transactional_id: str, epoch: int) -> Transaction:
        transaction = self._check(transactional_id, epoch).transaction
        if transaction is None or transaction.outcome is not None:
            raise CommitUnsettled("no transaction is open")
        return transaction

    def _close(self, producer: _Producer) -> None:
        if transaction := producer.transaction:
            transaction.outcome = transaction.outcome or "aborted"
            self._complete(transaction)
            producer.transaction = None

    # ---- markers ---------------------------------------------------------------------------------------------------

    def on_their_way(self) -> list[tuple[Transaction, TopicPartition | Group]]:
        """Markers of decided transactions that have not arrived."""
        decided = [p.transaction for p in self._producers.values() if p.transaction and p.transaction.outcome]
        return [(transaction, place) for transaction in decided for place in transaction.unmarked]

    def deliver(self, transaction: Transaction, place: TopicPartition | Group) -> None:
        del transaction.unmarked[place]
        if isinstance(place, Group):
            place.settle(transaction)
        else:
            self.logs[place].settle(transaction, marker=self.markers)

    def _complete(self, transaction: Transaction) -> None:
        for place in list(transaction.unmarked):
            self.deliver(transaction, place)

    def await_stable(self, place: TopicPartition | Group) -> bool:
        """Wait for decided transactions at a place; false if one is undecided, so that waiting must go on."""
        waiting = place.pending if isinstance(place, Group) else self.logs[place].unsettled
        for transaction in list(waiting):
            if transaction.outcome is None:
                return False
            self.deliver(transaction, place)
        return True
