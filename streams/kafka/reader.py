"""The looking-up half of the Kafka log: what is committed in a partition, without being anybody's consumer.

`Recovery` reads the end of a batch log with it, and the part of a changelog that the store still lacks. It must miss
nothing: a transaction may be committed and its records still be hidden, until the broker has marked every partition. So
the end is what has been *written* when asked (the high watermark), and reading waits for transactions open before it.
"""

from collections.abc import Iterator
from time import monotonic

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as Place

from schemas.errors import LogUnavailable
from streams.kafka.client import (
    END_OF_PARTITION,
    NO_PARTITION,
    KafkaSettings,
    answering,
    cause,
    explain,
    persist,
    received,
)
from streams.log import Message

AT_ONCE = 2_000
WAIT_MS = 10  # for the next record; the end of a partition is told only when this wait is over
STEPS = (2, 8, 64, 512, 8_192, 131_072)  # how far back to look for the last record; then from the beginning

_NO_PARTITION = (
    "{0}[{1}]: expected a partition {1}, got none; set `partitions` to what the namespace was made with, which "
    "`maitred topics check` names"
)


class KafkaReader:
    """Reads one partition at a time: starting another read ends the one before."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._config = settings.reading(group, fetch_wait_max_ms=min(WAIT_MS, settings.fetch_wait_max_ms))
        self._consumer: Consumer | None = None
        self._asking: Consumer | None = None  # sees what is not committed too
        self._turn = 0

    def last(self, topic: str, partition: int) -> Message | None:
        """The last committed record. Transaction markers and aborted records may lie behind it, so the search widens."""
        low, end = self.bounds(topic, partition)
        for start in (*(end - step for step in STEPS if end - step > low), low):
            found = None
            for message in self._scan(topic, partition, start, end):
                found = message
            if found:
                return found
        return None

    def read(self, topic: str, partition: int, from_offset: int) -> Iterator[Message]:
        """The committed records from an offset (or from the first that is kept) to the end as it stands now."""
        low, end = self.bounds(topic, partition)
        return self._scan(topic, partition, max(low, from_offset), end)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that is kept, and the one after the last that is written, committed or not."""
        place = Place(self._settings.wire(topic), partition)
        with answering(f"{place.topic}[{partition}]"):
            try:
                return persist(
                    lambda left: self._asked().get_watermark_offsets(place, left), self._settings.answer_timeout_ms
                )
            except KafkaException as error:
                self._asking = None  # one that met a broker that hung may miss the leaders for ever after
                if cause(error).code() == NO_PARTITION:
                    raise LogUnavailable(_NO_PARTITION.format(place.topic, partition)) from error
                raise

    def close(self) -> None:
        for consumer in (self._consumer, self._asking):
            if consumer is not None:
                consumer.close()
        self._consumer = self._asking = None

    def _asked(self) -> Consumer:
        self._asking = self._asking or Consumer({**self._config, "isolation.level": "read_uncommitted"})
        return self._asking

    def _opened(self) -> Consumer:
        self._consumer = self._consumer or Consumer(self._config)
        return self._consumer

    def _scan(self, topic: str, partition: int, start: int, end: int) -> Iterator[Message]:
        """Committed records with start <= offset < end. What is no record (a marker) ends in an end-of-partition event."""
        if start >= end:
            return
        self._turn += 1
        turn, consumer = self._turn, self._opened()
        consumer.assign([Place(self._settings.wire(topic), partition, start)])
        deadline = self._deadline()
        while True:
            if turn != self._turn:
                raise RuntimeError(f"the read of {topic}[{partition}] was ended by another")
            with answering(f"{topic}[{partition}]"):
                messages = consumer.consume(AT_ONCE, self._settings.fetch_wait_max_ms / 1000)
            for message in messages:
                offset, error = message.offset() or 0, message.error()
                if error and error.code() != END_OF_PARTITION:
                    raise LogUnavailable(f"{topic}[{partition}]: {explain(error)}")
                if offset >= end:
                    return
                if not error:
                    yield received(topic, message)
                    if offset + 1 == end:
                        return
            if messages:
                deadline = self._deadline()
            elif monotonic() > deadline:
                self._consumer = None  # as above
                raise LogUnavailable(
                    f"{topic}[{partition}]: neither a record nor the end within {self._settings.unsettled_ms} ms"
                )

    def _deadline(self) -> float:
        return monotonic() + self._settings.unsettled_ms / 1000
