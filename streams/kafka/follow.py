"""Following topics as they grow, for whoever watches: every committed record from the first that is kept, of all partitions.

No consumer group: watching changes nothing, and each who watches sees everything. Reading the end of a topic for people is
`tail.py`'s, one partition at a time `reader.py`'s.
"""

from collections.abc import Mapping

from confluent_kafka import OFFSET_BEGINNING, Consumer
from confluent_kafka import TopicPartition as Place

from schemas.errors import LogUnavailable
from streams.kafka.client import END_OF_PARTITION, KafkaSettings, answering, explain, received
from streams.log import Message


class Follower:
    """`topics` names them without the namespace, with their partitions. Belongs to one thread."""

    def __init__(self, settings: KafkaSettings, topics: Mapping[str, int]) -> None:
        self._topics = {settings.wire(topic): topic for topic in topics}
        self._consumer = Consumer(
            settings.reading(settings.wire("follower"), fetch_wait_max_ms=settings.fetch_wait_max_ms)
        )
        wanted = [Place(settings.wire(topic), p, OFFSET_BEGINNING) for topic, n in topics.items() for p in range(n)]
        with answering("following"):
            self._consumer.assign(wanted)

    def poll(self, max_records: int, timeout_ms: int) -> list[Message]:
        """What has come, after waiting for the first at most so long. Raises `LogUnavailable` when something is lost."""
        with answering("following"):
            first = self._consumer.poll(timeout_ms / 1000)
            found = [] if first is None else [first, *self._consumer.consume(max_records - 1, 0)]
        messages = []
        for item in found:
            if (error := item.error()) is None:
                messages.append(received(self._topics[item.topic() or ""], item))
            elif error.code() != END_OF_PARTITION:
                raise LogUnavailable(f"{item.topic()}[{item.partition()}]: {explain(error)}")
        return messages

    def close(self) -> None:
        self._consumer.close()
