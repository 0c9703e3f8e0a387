"""Stretches of partitions, read all at once and at full speed: what a replay asks of Kafka.

A span is fixed before it is read, by offsets or by the time of records, and ends at what was written when it was asked for. Only
what is committed is given; records of one partition come in order, those of several as they arrive.
"""

from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as Place
from msgspec import Struct

from schemas.errors import LogUnavailable
from streams.kafka.client import END_OF_PARTITION, KafkaSettings, answering, cause, explain, persist, received
from streams.kafka.reader import KafkaReader
from streams.log import Message, TopicPartition

AT_ONCE = 10_000
NEVER = -1  # what Kafka answers for a time after the last record


class Span(NamedTuple):
    """Offsets `start` to before `end` of a partition. `oldest` is the first offset that is kept."""

    topic: str
    partition: int
    start: int
    end: int
    oldest: int

    def __contains__(self, offset: object) -> bool:
        return isinstance(offset, int) and self.start <= offset < self.end


class Wanted(Struct, frozen=True):
    """What to read of every partition: all of it, or from and to (exclusive) a time of records, or offsets by place."""

    from_ms: int | None = None
    to_ms: int | None = None
    offsets: Mapping[TopicPartition, tuple[int | None, int | None]] = {}


class Spans:
    """Finds spans, and reads them. Belongs to one thread."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings, self._group = settings, settings.wire(group)

    def find(self, topics: Mapping[str, int], wanted: Wanted) -> list[Span]:
        """The spans of topics (name to partitions), without those that are empty. Raises `LogUnavailable`."""
        reader = KafkaReader(self._settings, self._group)
        places = [(topic, partition) for topic, count in topics.items() for partition in range(count)]
        try:
            bounds = {place: reader.bounds(*place) for place in places}
        finally:
            reader.close()
        first, last = self._at(wanted.from_ms, places), self._at(wanted.to_ms, places)
        spans = []
        for place in places:
            oldest, end = bounds[place]
            start, stop = wanted.offsets.get(place, (None, None))
            begins = max(oldest, _or(start, oldest), end if first.get(place) == NEVER else first.get(place, oldest))
            ends = min(end, _or(stop, end), end if last.get(place, NEVER) == NEVER else last[place])
            if begins < ends:
                spans.append(Span(*place, begins, ends, oldest))
        return spans

    def _at(self, at_ms: int | None, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset of each partition whose record is at or after a time."""
        if at_ms is None:
            return {}
        asked = [Place(self._settings.wire(topic), partition, at_ms) for topic, partition in places]
        consumer = Consumer(self._settings.reading(self._group))
        try:
            with answering("offsets by time"):
                patience_ms = self._settings.answer_timeout_ms
                found = persist(lambda left: consumer.offsets_for_times(asked, timeout=left), patience_ms)
        finally:
            consumer.close()
        return {place: answer.offset for place, answer in zip(places, found, strict=True)}

    def read(self, spans: Sequence[Span]) -> Iterator[list[Message]]:
        """Everything in the spans. Raises `LogUnavailable` where neither a record nor the end comes."""
        if not spans:
            return
        left = {(self._settings.wire(span.topic), span.partition): span for span in spans}
        consumer = Consumer(self._settings.reading(self._group, fetch_wait_max_ms=self._settings.fetch_wait_max_ms))
        try:
            with answering("reading"):
                consumer.assign([Place(wire, partition, span.start) for (wire, partition), span in left.items()])
            yield from self._read(consumer, left)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, left: dict[tuple[str, int], Span]) -> Iterator[list[Message]]:
        deadline = self._deadline()
        while left:
            with answering("reading"):
                items = consumer.consume(AT_ONCE, 0.2)
            if not items:
                if monotonic() > deadline:
                    waited = f"neither a record nor the end within {self._settings.unsettled_ms} ms"
                    raise LogUnavailable(f"{', '.join(f'{wire}[{p}]' for wire, p in sorted(left))}: {waited}")
                continue
            deadline, messages = self._deadline(), []
            for item in items:
                key = (item.topic() or "", item.partition() or 0)
                error, span, offset = item.error(), left.get(key), item.offset() or 0
                if error is not None and error.code() != END_OF_PARTITION:
                    raise LogUnavailable(f"{key[0]}[{key[1]}]: {explain(error)}")
                if span is None:
                    continue
                if error is None and offset < span.end:
                    messages.append(received(span.topic, item))
                if offset + (error is None) >= span.end:
                    del left[key]
                    self._rest(consumer, key)
            if messages:
                yield messages

    def _rest(self, consumer: Consumer, key: tuple[str, int]) -> None:
        """Fetch no more of a partition that is read."""
        try:
            consumer.pause([Place(*key)])
        except KafkaException as error:
            raise LogUnavailable(f"{key[0]}[{key[1]}]: {explain(cause(error))}") from error

    def _deadline(self) -> float:
        return monotonic() + self._settings.unsettled_ms / 1000


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
