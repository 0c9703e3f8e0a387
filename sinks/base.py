"""A sink: where decisions go besides Kafka. This is what every sink promises, and what it is given.

Decisions reach Kafka in the commit; a sink is fed by a process of its own that reads them there (`streams/deliver`), so
the core never waits for one. A sink says how far it has delivered, and only up to there offsets move: what a crash
interrupts comes again, with the same id. All sinks pass the checks in `tests/unit/sink_checks.py`.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import NamedTuple, Protocol

from schemas.codec import event_id, rfc3339
from schemas.events import Event

Place = tuple[str, int]  # a topic, without the namespace, and a partition of it
Headers = tuple[tuple[str, bytes], ...]
TOMBSTONE = "Tombstone"  # the type of a record without a value: what its key names is over


class Delivery(NamedTuple):
    """A committed record on its way to a sink: as it lies in Kafka, and the event that its bytes say."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int  # the broker's
    key: bytes | None
    value: bytes | None
    headers: Headers
    event: Event | None  # None: a tombstone

    @property
    def place(self) -> Place:
        return self.topic, self.partition

    @property
    def where(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @property
    def key_text(self) -> str:
        return (self.key or b"").decode("utf-8", "backslashreplace")

    @property
    def id(self) -> str:
        """The event's id, the same however often it comes; a tombstone has none, its place must do."""
        return self.where if self.event is None else event_id(self.event)

    @property
    def type(self) -> str:
        return TOMBSTONE if self.event is None else type(self.event).__name__

    @property
    def customer(self) -> str:
        """Whose turn it is: records of one customer are delivered one after the other."""
        return getattr(self.event, "customer_id", None) or self.key_text

    @property
    def occurred_at_ms(self) -> int:
        return self.timestamp_ms if self.event is None else self.event.occurred_at_ms

    @property
    def attributes(self) -> dict[str, str]:
        """The context attributes of CloudEvents 1.0. `sequence` orders what has one source and one customer."""
        said = {name[3:]: value.decode() for name, value in self.headers if name.startswith("ce_")}
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/{self.topic}",
            "type": f"maitred.{self.type}",
            "time": rfc3339(self.occurred_at_ms),
            **said,
            "subject": self.customer,
            "partitionkey": self.key_text,
            "sequence": f"{self.offset:020d}",
        }


class Sink(Protocol):
    """Takes records in the order of their partitions. All calls come from one thread.

    Errors that a person must mend are `SinkUnavailable`: the process ends with them, and goes on where it stood when it
    is started again.
    """

    def open(self, places: Collection[Place]) -> Mapping[Place, int]:
        """These partitions are ours from now on. A sink that knows where it stands in one says which offset comes next."""
        ...

    def room(self) -> int:
        """How many records it would take now. While there is no room, none are read."""
        ...

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Take records, to deliver them sooner or later."""
        ...

    def settled(self) -> Mapping[Place, int]:
        """Do what is due; says of each open partition the offset before which everything is delivered."""
        ...

    def flush(self, seconds: float = inf) -> bool:
        """Deliver all that was put, taking about so long at most; says whether that is done."""
        ...

    def release(self) -> Mapping[Place, int]:
        """Our partitions go to others, or the process ends: finish what is under way and let go of the rest.

        Says how far each was delivered, as `settled` does.
        """
        ...

    def close(self) -> None:
        """Free what it holds, delivering nothing more."""
        ...


class Progress:
    """How far each partition is delivered, where records may be finished in any order."""

    def __init__(self) -> None:
        self._next: dict[Place, int] = {}
        self._unfinished: defaultdict[Place, dict[int, None]] = defaultdict(dict)  # offsets, ascending

    def __len__(self) -> int:
        """Records that are begun and not finished."""
        return sum(map(len, self._unfinished.values()))

    def begin(self, place: Place, offset: int) -> None:
        self._unfinished[place][offset] = None
        self._next[place] = offset + 1

    def finish(self, place: Place, offset: int) -> None:
        self._unfinished[place].pop(offset, None)

    def finish_all(self) -> None:
        self._unfinished.clear()

    def settled(self) -> dict[Place, int]:
        return {place: next(iter(self._unfinished[place]), after) for place, after in self._next.items()}

    def clear(self) -> None:
        self._next.clear()
        self._unfinished.clear()


class MemorySink:
    """A sink that keeps what it is given, in a list that outlives it: for tests and notebooks."""

    def __init__(self, received: list[Delivery] | None = None) -> None:
        self.received = [] if received is None else received
        self._waiting: list[Delivery] = []
        self._progress = Progress()

    def open(self, places: Collection[Place]) -> Mapping[Place, int]:  # noqa: ARG002  it starts anywhere
        self._let_go()
        return {}

    def room(self) -> int:
        return 1_000

    def put(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._progress.begin(delivery.place, delivery.offset)
            self._waiting.append(delivery)

    def settled(self) -> Mapping[Place, int]:
        self.flush()
        return self._progress.settled()

    def flush(self, seconds: float = inf) -> bool:  # noqa: ARG002  it takes no time
        self.received += self._waiting
        self._waiting.clear()
        self._progress.finish_all()
        return True

    def release(self) -> Mapping[Place, int]:
        reached = self.settled()
        self._let_go()
        return reached

    def close(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self._waiting.clear()
        self._progress.clear()
