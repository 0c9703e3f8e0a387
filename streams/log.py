"""What the shells ask of Kafka: the `Log` protocol and the messages that pass through it.

`KafkaLog` (in `kafka/log.py`) is the real one; `SimulatedLog` (in the simulation tests) keeps the same contract in a
world where everything can fail. Topics are named without the namespace; offsets are Kafka's.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

Headers = tuple[tuple[str, bytes], ...]
TopicPartition = tuple[str, int]


class Message(NamedTuple):
    """A record as it lies in the log."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class OutMessage(NamedTuple):
    """A record to be written. The partition is always chosen by us."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None


class Listener(Protocol):
    """Who is told of rebalances; always called from within `Log.poll`."""

    def assigned(self, partitions: Collection[int]) -> None: ...

    def revoked(self, partitions: Collection[int]) -> None: ...


class Log(Protocol):
    """One processor's place at Kafka: a member of its consumer group, with a transactional producer of its own.

    Partition *p* of every source is always assigned together. Reading is read_committed. Failures of the connection
    are raised as `LogUnavailable`; whenever a transaction may not have ended as asked, as `CommitUnsettled`.
    """

    def subscribe(self, listener: Listener) -> None: ...

    def poll(self, max_records: int, timeout_ms: int) -> Sequence[Message]: ...

    def committed(self, partitions: Collection[int]) -> dict[TopicPartition, int]:
        """The next offset to be read of every source; waits for transactions that are still open."""
        ...

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read on from these positions. Sources that are not named rest until they are; pauses are over."""
        ...

    def pause(self, sources: Collection[TopicPartition]) -> None: ...

    def resume(self, sources: Collection[TopicPartition]) -> None: ...

    def is_lagging(self, topic: str, partition: int, next_offset: int) -> bool:
        """Whether committed records are known to lie at or after `next_offset` that `poll` has not given yet."""
        ...

    def commit(
        self, messages: Sequence[OutMessage], offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Write all messages and the consumed offsets in one transaction.

        Returns the offset after the last message written, for every partition written to.
        """
        ...

    def renew(self) -> None:
        """A new producer in place of the old one; afterwards no transaction of the old one is open or can be."""
        ...

    def last(self, topic: str, partition: int) -> Message | None:
        """The last committed record of a partition; waits for transactions that are still open there."""
        ...

    def read(self, topic: str, partition: int, from_offset: int) -> Iterator[Message]:
        """The committed records from an offset to the end as it stands now; waits as `last` does."""
        ...

    def close(self) -> None: ...


Clock = Callable[[], int]  # milliseconds since the epoch
