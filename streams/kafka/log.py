"""`KafkaLog`, the `Log` of production: a member of the consumer group, with a transactional producer beside it.

Three things keep a worker that has lost its partitions from writing for them (KIP-447):

- The group's metadata is taken when partitions are assigned and used until they are revoked. Asked for later, it may be
  that of a newer assignment, or of no member at all, which the broker accepts unchecked.
- Every transaction carries offsets of every partition it decided for, also where only time moved on: they are what the
  broker checks, and what a new owner's `committed` waits for.
- Nothing is fetched between an assignment and `seek`, which says from where.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import Message as KafkaMessage
from confluent_kafka import TopicPartition as Place

from schemas.errors import CommitUnsettled, LogUnavailable, SettingsError
from streams.kafka.client import (
    END_OF_PARTITION,
    POLLED_TOO_LATE,
    KafkaSettings,
    answering,
    cause,
    explain,
    received,
)
from streams.kafka.reader import KafkaReader
from streams.kafka.transactions import Transactions
from streams.log import Listener, Message, OutMessage, TopicPartition

__all__ = ["KafkaLog", "KafkaSettings"]


class KafkaLog:
    """One processor's place at Kafka. `poll`, `seek` and `committed` belong to one thread; `commit` may have another."""

    def __init__(self, settings: KafkaSettings, processor: str, sources: Sequence[str], instance: str) -> None:
        self._settings = settings
        self._topics = {settings.wire(topic): topic for topic in sources}
        self._group_id = settings.wire(processor)
        self._consumer = self._opened()
        self._transactions = Transactions(settings, f"{self._group_id}.{instance}")
        self._reader = KafkaReader(settings, self._group_id)
        self._listener: Listener | None = None
        self._membership: Any = None  # Any: librdkafka keeps the group's metadata opaque
        self._positions: dict[TopicPartition, int] = {}  # committed, of what was last sought
        self._given: dict[TopicPartition, int] = {}  # offset after the last record that `poll` gave
        self._ended: dict[TopicPartition, int] = {}  # where the end of the partition was last seen
        self._is_drained = False  # the last poll took all there was
        self._ends: dict[TopicPartition, int] = {}  # of what is read, as far as the last poll knew
        self._failure = ""  # told by the next poll: this one has records to hand over
        self._uneven: dict[str, set[int]] = {}  # an assignment that can't be worked on
        self._polling = Lock()
        self._is_closed = False

    def _opened(self) -> Consumer:
        try:
            return Consumer(self._config())
        except KafkaException as error:
            got = explain(cause(error))
            raise SettingsError("kafka.security", "options that librdkafka knows", got, "correct it") from error

    def _config(self) -> dict[str, Any]:
        settings = self._settings
        return settings.reading(
            self._group_id,
            fetch_wait_max_ms=settings.fetch_wait_max_ms,
            partition_assignment_strategy="range",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=min(3_000, settings.session_timeout_ms // 3),
            max_poll_interval_ms=max(settings.max_poll_interval_ms, settings.session_timeout_ms),
        )

    # ---- the group -------------------------------------------------------------------------------------------------

    def subscribe(self, listener: Listener) -> None:
        self._listener = listener
        with answering(f"group {self._group_id}"):
            self._consumer.subscribe(list(self._topics), on_assign=self._assigned, on_revoke=self._revoked)

    # Called by librdkafka from within `poll` and `close`; what they raise would be lost.

    def _assigned(self, consumer: Consumer, places: list[Place]) -> None:
        consumer.assign([])
        if self._is_closed:
            return
        self._membership = consumer.consumer_group_metadata()
        held = {wire: {p.partition for p in places if p.topic == wire} for wire in self._topics}
        self._uneven = {} if len(set(map(frozenset, held.values()))) == 1 else held
        if self._listener and not self._uneven:
            self._listener.assigned({place.partition for place in places})

    def _revoked(self, consumer: Consumer, places: list[Place]) -> None:
        if self._listener:
            self._listener.revoked({place.partition for place in places})
        self._membership, self._uneven = None, {}
        self._stand_at({})
        consumer.unassign()

    def _check_even(self) -> None:
        """Refuse to work on sources that do not share their partitions."""
        if not self._uneven:
            return
        counts = ", ".join(f"{wire} {count}" for wire, count in sorted(self._counts().items()))
        raise LogUnavailable(
            f"group {self._group_id}: expected the same partitions of every source, got "
            f"{ {wire: sorted(held) for wire, held in self._uneven.items()} }; partitions there are: {counts}. "
            "Sources need equal counts, and every member of the group the same sources"
        )

    def _counts(self) -> dict[str, int]:
        with answering("metadata"):
            topics = self._consumer.list_topics(timeout=self._settings.answer_timeout_ms / 1000).topics
        return {wire: len(topics[wire].partitions) if wire in topics else 0 for wire in self._topics}

    # ---- reading ---------------------------------------------------------------------------------------------------

    def poll(self, max_records: int, timeout_ms: int) -> Sequence[Message]:
        failure, self._failure = self._failure, ""
        if failure:
            raise LogUnavailable(failure)
        with self._polling:
            if self._is_closed:
                return ()
            with answering(f"group {self._group_id}"):
                taken = self._take(max_records, timeout_ms / 1000)
        self._check_even()
        return self._hand_over(taken, max_records)

    def _take(self, max_records: int, timeout_s: float) -> list[KafkaMessage]:
        """Wait for the first record, then take what lies at hand: `consume` alone would wait for as many as it may take."""
        first = self._consumer.poll(timeout_s)
        return [] if first is None else [first, *self._consumer.consume(max_records - 1, 0)]

    def _hand_over(self, taken: list[KafkaMessage], max_records: int) -> list[Message]:
        messages, ended = [], {}
        for item in taken:
            topic = self._topics.get(item.topic() or "", "")
            error = item.error()
            if error is None:
                messages.append(received(topic, item))
            elif error.code() == END_OF_PARTITION:
                ended[topic, item.partition() or 0] = item.offset() or 0
            elif error.code() != POLLED_TOO_LATE:  # the revocation that follows says it all
                self._failure = f"{item.topic()}[{item.partition()}]: {explain(error)}"
        self._given.update({(m.topic, m.partition): m.offset + 1 for m in messages})
        self._ended.update(ended)
        self._is_drained = len(taken) < max_records
        self._ends = {place: self._known_end(*place) for place in list(self._positions)}
        return messages

    def _known_end(self, topic: str, partition: int) -> int:
        """Asked for on the polling thread only: from another one this call waits until a poll is over."""
        place = Place(self._settings.wire(topic), partition)
        _, end = self._consumer.get_watermark_offsets(place, cached=True)
        return int(end)

    def is_lagging(self, topic: str, partition: int, next_offset: int) -> bool:
        """As `Log` says; also while nothing is known of the end yet, or records given are still on their way.

        After a record its transaction's marker may be all that follows: one offset more is no lag.
        """
        place = (topic, partition)
        if self._given.get(place, 0) > next_offset:
            return True
        end = self._ends.get(place, -1)
        known = max(next_offset, self._ended.get(place, 0))
        return end < 0 or end - known > (1 if self._is_drained else 0)

    def drained(self) -> dict[TopicPartition, int]:
        """Where sources were found to end whose records are all committed. Beyond the last record lie its markers."""
        done = self._positions
        return {place: at for place, at in [*self._ended.items()] if self._given.get(place, 0) <= done.get(place, 0)}

    def committed(self, partitions: Collection[int]) -> dict[TopicPartition, int]:
        """As `Log` says. A source never committed starts at the first record that is kept."""
        self._check_open()
        places = [Place(wire, partition) for wire in self._topics for partition in sorted(partitions)]
        found = self._stable_offsets(places) if places else []
        return {self._key(place): self._start(place) for place in found}

    def _stable_offsets(self, places: list[Place]) -> list[Place]:
        """Waits: librdkafka asks for stable offsets, again and again while a transaction holds some back."""
        with answering(f"group {self._group_id}: committed offsets"):
            found = self._consumer.committed(places, self._settings.unsettled_ms / 1000)
        for place in found:
            if place.error:
                raise LogUnavailable(f"committed offset of {place.topic}[{place.partition}]: {place.error}")
        return found

    def _start(self, place: Place) -> int:
        if place.offset >= 0:
            return place.offset
        low, _ = self._reader.bounds(self._topics[place.topic], place.partition)
        return low

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read on from these positions. What is not named rests until it is."""
        self._stand_at(positions)
        with answering(f"group {self._group_id}"):
            self._consumer.assign(self._places(positions, positions))
            self._consumer.resume(self._places(positions))  # a pause outlives an assignment

    def _stand_at(self, positions: Mapping[TopicPartition, int]) -> None:
        self._positions = dict(positions)
        self._given, self._ended, self._ends, self._is_drained, self._failure = {}, {}, {}, False, ""

    def pause(self, sources: Collection[TopicPartition]) -> None:
        with answering(f"group {self._group_id}"):
            self._consumer.pause(self._places(sources))

    def resume(self, sources: Collection[TopicPartition]) -> None:
        with answering(f"group {self._group_id}"):
            self._consumer.resume(self._places(sources))

    def last(self, topic: str, partition: int) -> Message | None:
        return self._reader.last(topic, partition)

    def read(self, topic: str, partition: int, from_offset: int) -> Iterator[Message]:
        return self._reader.read(topic, partition, from_offset)

    # ---- writing ---------------------------------------------------------------------------------------------------

    def renew(self) -> None:
        self._check_open()
        self._transactions.renew()

    def commit(
        self, messages: Sequence[OutMessage], offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        membership = self._membership
        if membership is None:
            raise CommitUnsettled(f"group {self._group_id}: the partitions are no longer ours")
        offsets = {**self._held_back(messages, offsets), **offsets}
        ends = self._transactions.commit(messages, offsets, membership)
        self._positions.update(offsets)
        if self._settings.is_embedded:
            self._commit_apart(offsets)
        return ends

    def _commit_apart(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The embedded broker takes the offsets of a transaction and forgets them."""
        with answering(f"group {self._group_id}"):
            self._consumer.commit(offsets=self._places(offsets, offsets), asynchronous=False)

    def _held_back(
        self, messages: Sequence[OutMessage], offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """An offset, unchanged, for each partition written to that consumed nothing: the broker must check it too."""
        missing = {message.partition for message in messages} - {partition for _, partition in offsets}
        return {
            (topic, partition): at
            for (topic, partition), at in self._positions.items()
            if partition in missing and topic == self._first_source
        }

    @property
    def _first_source(self) -> str:
        return next(iter(self._topics.values()))

    # ---- the rest --------------------------------------------------------------------------------------------------

    def _key(self, place: Place) -> TopicPartition:
        return self._topics[place.topic], place.partition

    def _places(
        self, sources: Iterable[TopicPartition], offsets: Mapping[TopicPartition, int] | None = None
    ) -> list[Place]:
        wire = self._settings.wire
        return [
            Place(wire(topic), partition, offsets[topic, partition]) if offsets else Place(wire(topic), partition)
            for topic, partition in sources
        ]

    def _check_open(self) -> None:
        if self._is_closed:
            raise LogUnavailable(f"group {self._group_id}: closed")

    def close(self) -> None:
        """Leave the group, so that others take over at once. The listener is told of the revocation."""
        self._is_closed = True
        with self._polling:
            self._consumer.close()
        self._transactions.close()
        self._reader.close()
