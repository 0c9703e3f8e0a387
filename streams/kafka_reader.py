"""The looking-up half of the Kafka log: what is committed in a partition, without being anybody's consumer.

`Recovery` reads the end of a batch log with it, and the part of a changelog that the store still lacks.
"""

from collections.abc import Iterator
from time import monotonic

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Place

from schemas.errors import LogUnavailable
from streams.kafka_client import END_OF_PARTITION, KafkaSettings, answering, explain, received
from streams.log import Message

AT_ONCE = 2_000
WAIT_MS = 10  # for the next record; the end of a partition is told only when this wait is over
STEPS = (2, 8, 64, 512, 8_192, 131_072)  # how far back to look for the last record; then from the beginning


class KafkaReader:
    """Reads one partition at a time: starting another read ends the one before."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._config = settings.reading(group, fetch_wait_max_ms=min(WAIT_MS, settings.fetch_wait_max_ms))
        self._consumer: Consumer | None = None
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
        """The first offset that is kept, and the one after the last that is committed (the last stable offset)."""
        place = Place(self._settings.wire(topic), partition)
        with answering(f"{place.topic}[{partition}]"):
            return self._opened().get_watermark_offsets(place, self._settings.answer_timeout_ms / 1000)

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

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
                raise LogUnavailable(
                    f"{topic}[{partition}]: no record or end within {self._settings.answer_timeout_ms} ms"
                )

    def _deadline(self) -> float:
        return monotonic() + self._settings.answer_timeout_ms / 1000
