"""What a web server would not take: kept with its reason, behind it the customer's later events, until somebody decides.

The sink that delivers owns the entries; a person may ask for a retry or drop one meanwhile, and the sink hears of it through
`changes`. Where entries are kept is `streams/deliver`'s business; `MemoryUndelivered` is for tests.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from sinks.base import Delivery, Place

Lane = tuple[int, str]  # a partition and a customer of it: one after the other


class Parcel(NamedTuple):
    """A record made ready to be posted. `sequence` is the order in which the sink got them."""

    topic: str
    partition: int
    offset: int
    customer: str
    type: str
    body: str
    sequence: int

    @property
    def id(self) -> str:
        """The same however often it is posted."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def place(self) -> Place:
        return self.topic, self.partition

    @property
    def lane(self) -> Lane:
        return self.partition, self.customer


def parcel_of(delivery: Delivery, body: str, sequence: int) -> Parcel:
    return Parcel(delivery.topic, delivery.partition, delivery.offset, delivery.customer, delivery.type, body, sequence)


class Entry(Struct, frozen=True, kw_only=True):
    """A parcel that is kept. The first of a customer's has failed, or is to be tried again; the others wait behind it."""

    sink: str
    topic: str
    partition: int
    offset: int
    customer: str
    type: str
    body: str
    sequence: int
    state: Literal["failed", "behind", "retry"]
    kept_at_ms: int
    failure: str = ""
    may_pass: bool = False  # the failure: worth trying again without anybody's doing
    attempts: int = 0
    tried_at_ms: int = 0

    @property
    def parcel(self) -> Parcel:
        return Parcel(self.topic, self.partition, self.offset, self.customer, self.type, self.body, self.sequence)

    @property
    def where(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Undelivered(Protocol):
    """The entries of one sink."""

    def open(self, partitions: Collection[int]) -> Sequence[Entry]:
        """All entries of these partitions, which are ours from now on."""
        ...

    def keep(self, entries: Sequence[Entry]) -> None:
        """Keep entries, or change them; returns once they are safe."""
        ...

    def forget(self, entries: Sequence[Entry]) -> None:
        """They are delivered; returns once that is safe."""
        ...

    def changes(self) -> Mapping[str, Entry | None]:
        """What has become of entries since the last call, by parcel id; None: there is no such entry any more."""
        ...

    def close(self) -> None: ...


class MemoryUndelivered:
    """Entries in a dict that outlives it: two of them with one dict are a sink and the person at the command line."""

    def __init__(self, entries: dict[str, Entry] | None = None) -> None:
        self.entries = {} if entries is None else entries
        self._known: dict[str, Entry] = {}

    def open(self, partitions: Collection[int]) -> Sequence[Entry]:
        self._known = {name: entry for name, entry in self.entries.items() if entry.partition in partitions}
        return list(self._known.values())

    def keep(self, entries: Sequence[Entry]) -> None:
        kept = {entry.parcel.id: entry for entry in entries}
        self.entries.update(kept)
        self._known.update(kept)

    def forget(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.entries.pop(entry.parcel.id, None)
            self._known.pop(entry.parcel.id, None)

    def changes(self) -> Mapping[str, Entry | None]:
        names = self._known.keys() | self.entries.keys()
        found = {name: self.entries.get(name) for name in names if self.entries.get(name) != self._known.get(name)}
        self._known = dict(self.entries)
        return found

    def close(self) -> None:
        pass
