"""Reading many partitions by turns with one reader: each a cursor that goes on page by page."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from streams.log import Message

PAGE = 5_000


class Reads(Protocol):
    """How topics are read: `KafkaReader` does it, and whoever holds records in memory. Only committed records."""

    def read(self, topic: str, partition: int, from_offset: int) -> Iterator[Message]: ...

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that is kept, and the one after the last."""
        ...


class Cursor:
    """One partition of a topic, from its beginning. `at` is the offset of what comes next, or a later one."""

    def __init__(self, reads: Reads, topic: str, partition: int) -> None:
        self._reads, self.topic, self.partition, self.at = reads, topic, partition, 0
        self._page: deque[Message] = deque()

    def peek(self) -> Message | None:
        """What comes next; None at the end as it stands now."""
        if not self._page:
            self._page.extend(islice(self._reads.read(self.topic, self.partition, self.at), PAGE))
        return self._page[0] if self._page else None

    def next(self) -> Message | None:
        message = self.peek()
        if message is not None:
            self._page.popleft()
            self.at = message.offset + 1
        return message

    def up_to(self, last: int) -> Iterator[Message]:
        """What lies at or before an offset."""
        while (message := self.peek()) is not None and message.offset <= last:
            self._page.popleft()
            self.at = message.offset + 1
            yield message
