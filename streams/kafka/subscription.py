"""A place in a consumer group, for who reads decisions: committed records only, offsets moved by hand, after the work.

Unlike `log.py`'s it writes nothing to Kafka but offsets, so what is not yet noted when a reader dies comes again. Which
partitions it has, Kafka decides; from where to read them, the reader may.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from schemas.errors import LogUnavailable, SettingsError
from streams.kafka.client import (
    END_OF_PARTITION,
    POLLED_TOO_LATE,
    KafkaSettings,
    answering,
    cause,
    explain,
    persist,
    received,
)
from streams.log import Message, TopicPartition

Assigned = Callable[[Collection[TopicPartition]], Mapping[TopicPartition, int]]
Met = Callable[[TopicPartition, int], bool]
Revoked = Callable[[], Mapping[TopicPartition, int]]
# The partitions went to another member meanwhile: whoever has them now reads from the last offset that was noted.
_NO_LONGER_OURS = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._NO_OFFSET,  # noqa: SLF001  librdkafka's own errors begin so
}
_HOPELESS = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001  as above
}
log = structlog.get_logger()


def _nowhere(_: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
    return {}


def _as_usual(_place: TopicPartition, _start: int) -> bool:
    return True


def _nothing() -> Mapping[TopicPartition, int]:
    return {}


class Subscription:
    """`assigned` says from where to read (where it says nothing: from the group's offset, or else from `start`); `met`
    is told of partitions that the group never read, and where it starts, and says whether to note that at once; `revoked` says how far the work has come. They are
    called from within `poll` and `close`. Belongs to one thread.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        *,
        start: Literal["earliest", "latest"] = "earliest",
        assigned: Assigned = _nowhere,
        met: Met = _as_usual,
        revoked: Revoked = _nothing,
    ) -> None:
        self._settings, self._start = settings, start
        self._assigned_to, self._met, self._revoked_from = assigned, met, revoked
        self._group = settings.wire(group)
        self._topics = {settings.wire(topic): topic for topic in topics}
        self._held: set[TopicPartition] | None = None  # None: not told yet
        self._ended: set[TopicPartition] = set()
        self._noted: dict[TopicPartition, int] = {}
        self._begun: dict[
            TopicPartition, int
        ] = {}  # noted by the next poll: who starts at the end must not start there twice
        self._paused = False
        self._failure: Exception | None = None  # raised within a callback, where librdkafka would swallow it
        self._consumer = self._opened()
        with answering(f"group {self._group}"):
            self._consumer.subscribe(list(self._topics), on_assign=self._on_assign, on_revoke=self._on_revoke)

    def _opened(self) -> Consumer:
        timeout_ms = self._settings.session_timeout_ms
        try:
            return Consumer(
                self._settings.reading(
                    self._group,
                    fetch_wait_max_ms=self._settings.fetch_wait_max_ms,
                    partition_assignment_strategy="range",
                    session_timeout_ms=timeout_ms,
                    heartbeat_interval_ms=min(3_000, timeout_ms // 3),
                    max_poll_interval_ms=max(self._settings.max_poll_interval_ms, timeout_ms),
                )
            )
        except KafkaException as error:
            got = explain(cause(error))
            raise SettingsError("kafka.security", "options that librdkafka knows", got, "correct it") from error

    # ---- the group -------------------------------------------------------------------------------------------------

    def _on_assign(self, consumer: Consumer, places: list[Place]) -> None:
        try:
            starts = self._starts(places)
            consumer.assign(starts)
            consumer.resume(starts)  # a pause outlives an assignment
        except Exception as error:  # told by `poll`
            self._failure = error
            consumer.assign([])

    def _starts(self, places: list[Place]) -> list[Place]:
        held = {self._key(place) for place in places}
        chosen = self._assigned_to(held)
        self._held, self._paused, self._noted, self._begun = held, False, {}, {}
        self._ended.clear()
        committed = self._consumer.committed(places, self._settings.unsettled_ms / 1_000) if places else []
        return [Place(p.topic, p.partition, self._from(p, chosen.get(self._key(p)))) for p in committed]

    def _from(self, committed: Place, chosen: int | None) -> int:
        where = f"group {self._group}: {committed.topic}[{committed.partition}]"
        if committed.error:
            raise LogUnavailable(f"{where}: committed offset: {committed.error}")
        with answering(where):
            low, end = persist(
                lambda left: self._consumer.get_watermark_offsets(committed, left), self._settings.answer_timeout_ms
            )
        known = chosen if chosen is not None else committed.offset if committed.offset >= 0 else None
        if known is None:
            begin = int(low if self._start == "earliest" else end)
            if self._met(self._key(committed), begin):
                self._begun[self._key(committed)] = begin
            return begin
        if known > end:
            raise LogUnavailable(f"{where}: expected to go on at offset {known}, got a partition that ends at {end}: the topic "
                                 "was made anew, or Kafka has lost data; start under another name")  # fmt: skip
        if known < low:
            log.warning("records_expired", where=where, expected=known, got=low)
        return int(max(known, low))

    def _on_revoke(self, consumer: Consumer, _: list[Place]) -> None:
        try:
            self._hand_over()
        except Exception as error:  # told by `poll`, or by `close`
            self._failure = error
        consumer.unassign()

    def _hand_over(self) -> None:
        try:
            if self._held is not None:
                self.note(self._revoked_from())
        finally:
            self._held = None

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Move the group's offsets to what comes next; partitions that are not ours any more are passed over.

        Whether Kafka answers is asked first: a commit would wait for a broker that hangs, and a process that waits does not end.
        """
        fresh = {place: at for place, at in offsets.items() if self._noted.get(place) != at}
        fresh = {place: at for place, at in fresh.items() if place in (self._held or ())}
        if not fresh:
            return
        places = [Place(self._settings.wire(topic), partition, at) for (topic, partition), at in fresh.items()]
        with answering(f"group {self._group}"):
            self._consumer.committed(places, self._settings.answer_timeout_ms / 1_000)
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            if cause(error).code() not in _NO_LONGER_OURS:
                raise LogUnavailable(f"group {self._group}: {explain(cause(error))}") from error
        self._noted.update(fresh)

    # ---- reading ---------------------------------------------------------------------------------------------------

    def poll(self, max_records: int, timeout_ms: int) -> list[Message]:
        """Wait for a record, then take what lies at hand. With `max_records` 0 nothing is read, and membership is kept."""
        self._raise_failure()
        if self._begun:
            begun, self._begun = self._begun, {}
            self.note(begun)
        self._rest(max_records == 0)
        with answering(f"group {self._group}"):
            first = self._consumer.poll(timeout_ms / 1_000)
            taken = [] if first is None else [first]
            if first is not None and max_records > 1:
                taken += self._consumer.consume(max_records - 1, 0)
        messages = []
        for item in taken:
            place = self._topics.get(item.topic() or "", ""), item.partition() or 0
            if (error := item.error()) is None:
                messages.append(received(place[0], item))
            elif error.code() == END_OF_PARTITION:
                self._ended.add(place)
            else:
                self._failed(f"group {self._group}: {item.topic()}[{item.partition()}]: {explain(error)}", error)
        if not messages:
            self._raise_failure()
        return messages

    def _failed(self, said: str, error: KafkaError) -> None:
        """What may pass is only told. The rest is raised by the next poll: this one has records to hand over."""
        if error.fatal() or error.code() in _HOPELESS:
            self._failure = LogUnavailable(said)
        elif error.code() != POLLED_TOO_LATE:  # the revocation that follows says it all
            log.warning("kafka_reading", error=said)

    @property
    def has_ended(self) -> bool:
        """Whether each of our partitions was read to its end once since it was assigned."""
        return self._held is not None and self._held <= self._ended

    @property
    def is_assigned(self) -> bool:
        """Whether the group has told us our partitions, be they none."""
        return self._held is not None

    @property
    def held(self) -> Collection[TopicPartition]:
        return self._held or ()

    def _rest(self, should: bool) -> None:  # noqa: FBT001  the state asked for
        if should == self._paused or not self._held:
            return
        places = [Place(self._settings.wire(topic), partition) for topic, partition in self._held]
        with answering(f"group {self._group}"):
            (self._consumer.pause if should else self._consumer.resume)(places)
        self._paused = should

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _key(self, place: Place) -> TopicPartition:
        return self._topics[place.topic], place.partition

    def close(self) -> None:
        """Leave the group, so that others take over at once; `revoked` is asked how far the work has come."""
        try:
            self._hand_over()  # a consumer that is being closed can't be asked whether Kafka answers
        finally:
            with answering(f"group {self._group}"):
                self._consumer.close()
        self._raise_failure()
