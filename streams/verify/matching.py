"""What should lie on the topics against what lies there: each record once, byte for byte, in the order of its decisions.

A record of ours has a name: the id of its event, the place of the record it rejects or sends on, what it retracts. Several
partitions write to one topic, in an order that is Kafka's, so records are matched by name as both sides come; what is still
without its like waits, and at the end is lacking or too much.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Literal, NamedTuple

from streams.log import Message, OutMessage
from streams.messages import REJECTED, REROUTED_FROM
from streams.verify.cursors import Cursor, Reads

Name = tuple[bytes, ...]
Kind = Literal["differs", "lacking", "too much", "out of order", "not applied", "state differs"]
IsOurs = Callable[[Message], bool]

LOOK_AHEAD = 20_000  # records read beyond what is looked for, before it is left to wait


class Origin(NamedTuple):
    """The entry of a batch log that says a record."""

    processor: str
    partition: int
    entry: int

    def __str__(self) -> str:
        return f"{self.processor}[{self.partition}] entry {self.entry}"


class Difference(NamedTuple):
    """Where production and what is recomputed part."""

    kind: Kind
    topic: str
    partition: int
    origin: Origin | None = None  # of what should be
    recomputed: OutMessage | None = None
    found: Message | None = None
    note: str = ""


class Said(NamedTuple):
    """What should lie there. `number` counts what the partition that says it has said so far."""

    message: OutMessage
    origin: Origin
    number: int


def name_of(message: Message | OutMessage) -> Name:
    """What tells a record of ours from all others of its topic."""
    headers: Mapping[str, bytes] = dict(message.headers)
    if message.topic == REJECTED and "rejected_topic" in headers:
        return (headers["rejected_topic"], headers["rejected_partition"], headers["rejected_offset"])
    if REROUTED_FROM in headers:
        return (b"rerouted", headers[REROUTED_FROM])
    return (headers.get("ce_type", b""), headers.get("ce_id", b""))


class Matching:
    """One partition of a topic that a processor writes to. `is_ours` tells its records from those of others."""

    def __init__(self, reads: Reads, topic: str, partition: int, is_ours: IsOurs) -> None:
        self.topic, self.partition, self._is_ours = topic, partition, is_ours
        self.first_kept, self.end = reads.bounds(topic, partition)
        self.matched = self.no_longer_kept = 0
        self._cursor = Cursor(reads, topic, partition)
        self._said: dict[Name, Said] = {}
        self._found: dict[Name, Message] = {}
        self._reached: dict[int, tuple[int, int]] = {}  # by partition that says: the last number, and its offset

    def say(self, said: Said) -> Iterator[Difference]:
        """Something should lie here."""
        name = name_of(said.message)
        if (found := self._found.pop(name, None)) is not None:
            yield from self._compared(said, found)
        else:
            self._said[name] = said

    def read_on(self, most: int = LOOK_AHEAD) -> Iterator[Difference]:
        """Look for what was said, as far as it may lie ahead."""
        for _ in range(most):
            if not self._said or not (yield from self._take()):
                return

    def finish(self) -> Iterator[Difference]:
        """Read up to where the topic ended when this began, and on for what is still looked for."""
        while (self._said or self._cursor.at < self.end) and (yield from self._take()):
            pass

    def left(self) -> Iterator[Difference]:
        """What is without its like, when all is said and read. What fell out of retention is no difference."""
        for said in self._said.values():
            if self.first_kept > 0:
                self.no_longer_kept += 1
            else:
                yield Difference("lacking", self.topic, self.partition, said.origin, recomputed=said.message)
        for found in self.unsaid():
            yield Difference("too much", self.topic, self.partition, found=found)

    def unsaid(self) -> list[Message]:
        return [message for message in self._found.values() if message.offset < self.end]

    def _take(self) -> Generator[Difference, None, bool]:
        """Takes the next record; returns whether there was one."""
        message = self._cursor.next()
        if message is None:
            return False
        if self._is_ours(message):
            name = name_of(message)
            if (said := self._said.pop(name, None)) is not None:
                yield from self._compared(said, message)
            elif name in self._found:
                yield Difference("too much", self.topic, self.partition, found=message, note="it came before")
            else:
                self._found[name] = message
        return True

    def _compared(self, said: Said, found: Message) -> Iterator[Difference]:
        self.matched += 1
        expected, partition = said.message, said.origin.partition
        if (expected.key, expected.value, expected.headers) != (found.key, found.value, found.headers):
            yield Difference("differs", self.topic, self.partition, said.origin, expected, found)
        number, offset = self._reached.get(partition, (-1, -1))
        if (said.number > number) != (found.offset > offset):
            yield Difference("out of order", self.topic, self.partition, said.origin, expected, found)
        self._reached[partition] = max((number, offset), (said.number, found.offset))
