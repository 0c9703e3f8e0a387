"""What was found out before anything is judged: values only, so that every wrong state can be written down in a test.

Times are milliseconds since the epoch, topics are named without the namespace.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from streams.namespace import Made
from streams.settings import Settings
from streams.topics import Described

Place = tuple[str, int]  # topic and partition


class Silence(Struct, frozen=True):
    """A part that could not be found out. `is_forbidden`: the server answered, and refused."""

    where: str
    said: str
    is_forbidden: bool = False


class Cluster(Struct, frozen=True):
    """The brokers. `config` is that of one of them; empty where it doesn't tell."""

    brokers: int
    config: Mapping[str, str]
    refused_transaction: str = ""  # what it said to a transactional producer; empty if it took it


class Group(Struct, frozen=True):
    """A processor's consumer group. `held` counts the partitions of each member by its host."""

    state: str
    held: tuple[tuple[str, int], ...] = ()
    waiting: Mapping[Place, int] = {}  # records after the committed offset, markers included


class OpenTransaction(NamedTuple):
    """The first record that readers of committed records wait for."""

    place: Place
    offset: int
    since_ms: int


class Sample(NamedTuple):
    """Where a source record lies, and what decides where it should."""

    place: Place
    key: str | None
    subject: str | None  # the customer, visitor or pool it is about; None where it can lie anywhere
    came_from: int | None = None  # the partition it was sent on from


class Entry(NamedTuple):
    """The last batch of a partition, of the batch log."""

    number: int
    written_ms: int
    watermark_ms: int
    policy_version: str
    has_ticked: bool  # in it or shortly before, time alone moved on


class Rejected(NamedTuple):
    topic: str
    error: str
    at_ms: int


class Learning(Struct, frozen=True):
    """The newest snapshot, None if there is none, and the examples that came after it (counted up to a bound)."""

    snapshot_ms: int | None
    examples_since: int


class Records(Struct, frozen=True):
    """What the topics hold."""

    samples: tuple[Sample, ...] = ()
    entries: Mapping[Place, Entry | None] = {}  # (processor, partition) -> its last batch; absent: not to be read
    rejected: tuple[Rejected, ...] = ()
    newest_ms: Mapping[str, int] = {}  # topic -> the latest time of a record
    learning: Learning = Learning(None, 0)

    def last_batches(self) -> Iterator[tuple[Place, Entry]]:
        return ((place, entry) for place, entry in self.entries.items() if entry is not None)


class Server(Struct, frozen=True):
    """A Redis server, by the fields of its INFO that matter; `saves` is its `save` setting, None if it doesn't tell."""

    version: str
    policy: str
    role: str = "master"
    aof: bool = False
    saves: str | None = None
    write_failed: str = ""
    used_bytes: int = 0
    limit_bytes: int = 0  # 0: none
    machine_bytes: int = 0
    evicted: int = 0
    is_loading: bool = False
    replicas: tuple[tuple[str, str, int], ...] = ()  # address, state, bytes behind


class Store(Struct, frozen=True):
    """What Redis says. `entries`: (processor, partition) -> batches applied. `ahead_ms`: its clock less ours."""

    servers: tuple[Server, ...]
    entries: Mapping[Place, int]
    ahead_ms: int


class Gathered(Struct, frozen=True):
    """All of it; what could not be found out is a `Silence`."""

    settings: Settings
    policy_version: str
    now_ms: int
    free_bytes: int  # of the disk that `worker.data_dir` is on
    cluster: Cluster | Silence
    topics: Mapping[str, Described] | Silence
    made: Made | Silence | None  # what the namespace was made with; None: not known
    groups: Mapping[str, Group] | Silence
    transactions: tuple[OpenTransaction, ...] | Silence
    records: Records | Silence
    store: Store | Silence
    registry: tuple[str, ...] | Silence  # what stands against our schemas
