"""Reading a topic's end for people: the last records of all its partitions, then those that come.

Only what is committed, without a consumer group: looking changes nothing. The reading itself is `reader.py`'s.
"""

import time
from collections import deque
from collections.abc import Iterator

from streams.kafka.client import KafkaSettings
from streams.kafka.reader import KafkaReader
from streams.log import Message

FOLLOW_S = 0.2


class Tail:
    """The records of one topic, in order of time across partitions, as far as they are there at once."""

    def __init__(self, settings: KafkaSettings, topic: str, partitions: int) -> None:
        self._reader = KafkaReader(settings, settings.wire("tail"))
        self._topic, self._partitions = topic, partitions
        self._next: dict[int, int] = {}

    def last(self, count: int) -> list[Message]:
        """The last `count` records, the oldest first."""
        found = [message for partition in range(self._partitions) for message in self._last(partition, count)]
        return _by_time(found)[-count:] if count else []

    def all(self) -> list[Message]:
        """All records that are kept."""
        return _by_time(message for partition in range(self._partitions) for message in self._read(partition, 0))

    def follow(self) -> Iterator[Message]:
        """Records after those already given, for ever."""
        while True:
            fresh = [
                message
                for partition in range(self._partitions)
                for message in self._read(partition, self._next.get(partition, 0))
            ]
            yield from _by_time(fresh)
            if not fresh:
                time.sleep(FOLLOW_S)

    def one(self, partition: int, offset: int) -> Message | None:
        """The record at a place; None if there is none."""
        found = next(self._reader.read(self._topic, partition, offset), None)
        return found if found is not None and found.offset == offset else None

    def close(self) -> None:
        self._reader.close()

    def _last(self, partition: int, count: int) -> Iterator[Message]:
        """Looks further back until enough is found: transaction markers take offsets, too."""
        low, end = self._reader.bounds(self._topic, partition)
        reach, found = max(16, 2 * count), deque[Message](maxlen=count)
        while True:
            start = max(low, end - reach)
            found.extend(self._read(partition, start))
            if len(found) == count or start == low:
                return iter(found)
            found.clear()
            reach *= 8

    def _read(self, partition: int, from_offset: int) -> Iterator[Message]:
        self._next.setdefault(partition, from_offset)
        for message in self._reader.read(self._topic, partition, from_offset):
            self._next[partition] = message.offset + 1
            yield message


def _by_time(messages: Iterator[Message] | list[Message]) -> list[Message]:
    return sorted(messages, key=lambda message: (message.timestamp_ms, message.partition, message.offset))
