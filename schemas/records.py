"""What the core is given and what it gives back: batches of records in, decisions out.

A `Batch` is a piece of one partition's applied sequence: runs of records, each run with the watermark that stands
once it is applied. A `Decision` is everything that follows from it. Neither knows of Kafka or Redis.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from schemas.events import Event, Exclusion, OutsideRead, SequenceRun


class Fault(Struct, frozen=True):
    """Why a record can't be used, in four answers: where, what was expected, what came, and the cure."""

    # The class: undecodable, unknown_schema, invalid, wrong_currency, absurd_time, too_large; conflict (it contradicts what
    # is known), unknown_assignment, unknown_advisor; core (the core failed on it).
    error: str
    field: str
    expected: str
    got: str
    cure: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, got {self.got}; {self.cure}"


class Record(NamedTuple):
    """A source record, read. `event` is what its bytes say, or the fault that keeps them from saying it."""

    topic: str  # without the namespace
    partition: int
    offset: int
    timestamp_ms: int  # the broker's
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    event: Event | Fault

    @property
    def where(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Run(NamedTuple):
    """Records of one topic, applied in a row; afterwards the partition's watermark stands at `watermark_ms`."""

    topic: str
    records: tuple[Record, ...]  # may be empty: time alone moved on
    watermark_ms: int


class Batch(Struct, frozen=True):
    partition: int
    entry: int  # the number this batch will have in its partition's batch log; the first is 0
    runs: tuple[Run, ...]

    @property
    def watermark_ms(self) -> int:
        return self.runs[-1].watermark_ms

    def records(self) -> Iterator[Record]:
        return (record for run in self.runs for record in run.records)


class Needs(Struct, frozen=True):
    """What must be loaded before a batch can be decided."""

    keys: frozenset[str]  # of this partition
    outside: Mapping[str, int] = {}  # key -> the partition that holds it
    due_by_ms: int = 0  # and every key with something due by then


class Seen(NamedTuple):
    """A value of another partition, with the number of entries that partition had committed when it was read."""

    entry: int
    value: bytes | None


class State(Struct, frozen=True):
    """What the store holds of the keys asked for. A key that is asked for and absent has no value yet."""

    values: Mapping[str, bytes]
    outside: Mapping[str, Seen] = {}
    due: tuple[tuple[int, str], ...] = ()  # (due_ms, key), in order; includes all up to `due_by_ms`


class Write(NamedTuple):
    """The new value of a key (None deletes it) and when the key next wants attention (None: never)."""

    key: str
    value: bytes | None
    due_ms: int | None = None


class Announcement(NamedTuple):
    """An event to be published. `partition` is given where the key does not decide it."""

    topic: str
    key: str
    event: Event


class Retraction(NamedTuple):
    """A tombstone: what a compacted topic holds of a key holds no more, because of the event with this id."""

    topic: str
    key: str
    because: str


class Rejection(NamedTuple):
    """A record set aside, unchanged, with what is wrong with it."""

    record: Record
    fault: Fault


class Reroute(NamedTuple):
    """A record that came on the wrong partition, sent on unchanged to the right one."""

    record: Record
    partition: int


Output = Announcement | Retraction | Rejection | Reroute


class Decision(Struct, frozen=True):
    writes: tuple[Write, ...]
    outputs: tuple[Output, ...]
    model_version: str = ""
    policy_version: str = ""
    reads: tuple[OutsideRead, ...] = ()
    excluded: tuple[Exclusion, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)  # for metrics only: guests, duplicates, rerouted ...


def sequence_of(batch: Batch) -> tuple[SequenceRun, ...]:
    """The applied sequence as the batch log keeps it. A run without records has from = to + 1 = 0."""
    return tuple(
        SequenceRun(
            topic=run.topic,
            from_offset=run.records[0].offset if run.records else 0,
            to_offset=run.records[-1].offset if run.records else -1,
            watermark_ms=run.watermark_ms,
        )
        for run in batch.runs
    )
