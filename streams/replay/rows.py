"""What a replay reads: rows of a log, in Arrow's record batches, from whatever source.

A row is an event with its place: (at_ms, topic, partition, offset) is the order of a replay. Its payload is the event in
msgpack, as `read_payload` takes it back. What could not be read is a row too, of the kind "Fault", with where and why.
Sources give rows in the order in which they read them; putting them into the order of time is the fold's work.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, get_args

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, field

from schemas.codec import event_id
from schemas.events import Event, Incoming, PageBrowsed
from schemas.records import Fault
from streams.door import subject_of
from streams.replay.places import Places

FAULT = "Fault"  # the kind of a row that could not be read
ROWS_AT_ONCE = 32_768

ROW_SCHEMA = pa.schema(
    [
        pa.field("at_ms", pa.int64(), nullable=False),
        pa.field("topic", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # the name of the event's class, or "Fault"
        pa.field("who", pa.string(), nullable=False),  # the customer, else the browsing visitor; "" for guests
        pa.field("payload", pa.binary(), nullable=False),
    ]
)
NO_TOPIC = ""  # of what can't be read in a file, where no record says its topic
TOPICS = ("orders", "returns", "browse", "privacy", "roster", "contacts", "assignments", "examples", NO_TOPIC)
ON_ONE_PARTITION = ("examples",)
TOPIC_NUMBER = {topic: number for number, topic in enumerate(TOPICS)}
_BOUGHT = pa.array(("OrderPlaced", "ItemsReturned"))
_TOPIC_NAMES = pa.array(TOPICS, pa.string())


class Unreadable(Struct, frozen=True):
    """Why there is no event in a row, as a `Fault` says it, and where the row came from."""

    where: str
    error: str
    field: str
    expected: str
    got: str
    cure: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: expected {self.expected}, got {self.got}; {self.cure}"


def unreadable(where: str, fault: Fault) -> Unreadable:
    return Unreadable(where, fault.error, fault.field, fault.expected, fault.got, fault.cure)


class Quality(Struct):
    """What a source met besides good rows. It is filled while rows are read, and complete after the last."""

    rows: int = 0
    faults: Counter[str] = field(default_factory=Counter)  # by class of error
    guests: int = 0  # orders and returns without a customer
    left_out: Counter[str] = field(default_factory=Counter)  # what became no row, by reason

    def note(self, batch: Any) -> None:  # Any: pyarrow ships no types
        """Count a batch of rows."""
        self.rows += len(batch)
        kinds = batch.column("kind")
        of_nobody = pc.and_(pc.equal(batch.column("who"), ""), pc.is_in(kinds, _BOUGHT))
        self.guests += pc.sum(of_nobody).as_py() or 0
        for payload in batch.column("payload").filter(pc.equal(kinds, FAULT)).to_pylist():
            self.faults[read_fault(payload).error] += 1


class Source(Protocol):
    """Where rows come from. Equal fingerprints mean equal rows at equal places, in equal order on each partition."""

    @property
    def name(self) -> str: ...

    @property
    def lacks(self) -> tuple[str, ...]:
        """What it can't tell, to be said aloud."""
        ...

    @property
    def quality(self) -> Quality:
        """What was met so far."""
        ...

    def fingerprint(self) -> str:
        """Changes when the input does."""
        ...

    def total(self) -> int | None:
        """How many rows there will be, about; None if that can't be known beforehand."""
        ...

    def batches(self) -> Iterator[Any]:  # Any: pyarrow ships no types; RecordBatches of ROW_SCHEMA
        """All rows, from the first; each call begins anew."""
        ...


# ---- payloads ------------------------------------------------------------------------------------------------------

encode_payload: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_decoders: dict[str, Callable[[bytes], Any]] = {
    event.__name__: msgspec.msgpack.Decoder(event).decode for event in get_args(Event)
}
_decode_fault = msgspec.msgpack.Decoder(Unreadable).decode


def payload_decoder(kind: str) -> Callable[[bytes], Any]:
    """What reads payloads of an event's class."""
    return _decoders[kind]


def read_payload(kind: str, payload: bytes) -> Event:
    event: Event = _decoders[kind](payload)
    return event


def read_fault(payload: bytes) -> Unreadable:
    """The payload of a row of kind "Fault"."""
    return _decode_fault(payload)


# ---- making batches ------------------------------------------------------------------------------------------------


class Rows:
    """Gathers rows, column by column, into a batch."""

    def __init__(self) -> None:
        self._at_ms: list[int] = []
        self._topics: list[int] = []
        self._partitions: list[int] = []
        self._offsets: list[int] = []
        self._kinds: list[str] = []
        self._whose: list[str] = []
        self._payloads: list[bytes] = []

    def __len__(self) -> int:
        return len(self._at_ms)

    def add(self, topic: str, partition: int, offset: int, event: Event) -> None:
        who: str | None = getattr(event, "customer_id", None)
        if who is None and topic == "browse":
            who = event.visitor_id  # type: ignore[union-attr]  # only PageBrowsed is on browse
        self._put(
            event.occurred_at_ms, topic, partition, offset, type(event).__name__, who or "", encode_payload(event)
        )

    def add_fault(self, at_ms: int, topic: str, partition: int, offset: int, where: str, fault: Fault) -> None:
        """`at_ms` is when it came, as far as that is known: the broker's time, or the time of what came before it."""
        self._put(at_ms, topic, partition, offset, FAULT, "", encode_payload(unreadable(where, fault)))

    def _put(self, at_ms: int, topic: str, partition: int, offset: int, kind: str, who: str, payload: bytes) -> None:
        self._at_ms.append(at_ms)
        self._topics.append(TOPIC_NUMBER[topic])
        self._partitions.append(partition)
        self._offsets.append(offset)
        self._kinds.append(kind)
        self._whose.append(who)
        self._payloads.append(payload)

    def take(self) -> Any:  # Any: pyarrow ships no types
        """The rows gathered so far as a RecordBatch; none are left."""
        batch = batch_of(
            pa.array(self._at_ms, pa.int64()),
            pa.array(self._topics, pa.int8()),
            pa.array(self._partitions, pa.int32()),
            pa.array(self._offsets, pa.int64()),
            pa.array(self._kinds, pa.string()),
            pa.array(self._whose, pa.string()),
            pa.array(self._payloads, pa.binary()),
        )
        self.__init__()  # type: ignore[misc]  # empty again
        return batch


def batch_of(at_ms: Any, topics: Any, partitions: Any, offsets: Any, kinds: Any, whose: Any, payloads: Any) -> Any:
    """A RecordBatch of ROW_SCHEMA from its columns; topics by their number in `TOPICS`. (Any: Arrow arrays.)"""
    topic = pa.DictionaryArray.from_arrays(topics, _TOPIC_NAMES)
    return pa.record_batch([at_ms, topic, partitions, offsets, kinds, whose, payloads], schema=ROW_SCHEMA)


LOOSE_SCHEMA = pa.schema(
    [
        pa.field("at_ms", pa.int64(), nullable=False),
        pa.field("topic", pa.int8(), nullable=False),  # its number in TOPICS
        pa.field("kind", pa.string(), nullable=False),
        pa.field("who", pa.string(), nullable=False),
        pa.field("key", pa.string()),  # null of what could not be read, or lies on a topic with one partition
        pa.field("payload", pa.binary(), nullable=False),
    ]
)


class LooseRows:
    """Gathers rows that have no place yet: `laid` gives them one."""

    def __init__(self) -> None:
        self._at_ms: list[int] = []
        self._topics: list[int] = []
        self._kinds: list[str] = []
        self._whose: list[str] = []
        self._keys: list[str | None] = []
        self._payloads: list[bytes] = []

    def __len__(self) -> int:
        return len(self._at_ms)

    def add(self, topic: str, event: Event) -> None:
        if type(event) is PageBrowsed:  # nearly all of them are: what follows holds for these, too
            key: str | None
            key = who = event.customer_id or event.visitor_id or ""
        else:
            who, key = who_of(event), None if topic in ON_ONE_PARTITION else key_of(event)
        self._at_ms.append(event.occurred_at_ms)
        self._topics.append(TOPIC_NUMBER[topic])
        self._kinds.append(type(event).__name__)
        self._whose.append(who)
        self._keys.append(key)
        self._payloads.append(encode_payload(event))

    def add_fault(self, at_ms: int, where: str, fault: Fault) -> None:
        self._at_ms.append(at_ms)
        self._topics.append(TOPIC_NUMBER[NO_TOPIC])
        self._kinds.append(FAULT)
        self._whose.append("")
        self._keys.append(None)
        self._payloads.append(encode_payload(unreadable(where, fault)))

    def take(self) -> Any:  # Any: pyarrow ships no types
        """The rows gathered so far as a RecordBatch of LOOSE_SCHEMA; none are left."""
        columns = (self._at_ms, self._topics, self._kinds, self._whose, self._keys, self._payloads)
        batch = pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, LOOSE_SCHEMA, strict=True)], LOOSE_SCHEMA)
        self.__init__()  # type: ignore[misc]  # empty again
        return batch


UNTIMED = -1  # the time of a fault that says none


def timed(loose: Any, last_ms: int) -> Any:  # Any: pyarrow ships no types
    """The same rows; what says no time happened when the row before it did, at the very beginning when the one after it did."""
    at_ms = loose.column("at_ms").to_numpy()
    if (at_ms != UNTIMED).all():
        return loose
    times = pc.fill_null_forward(pa.array(at_ms, mask=at_ms == UNTIMED))
    times = times.fill_null(last_ms) if last_ms else pc.fill_null_backward(times).fill_null(0)
    return loose.set_column(0, LOOSE_SCHEMA.field("at_ms"), times)


def laid(loose: Any, places: Places) -> Any:  # Any: pyarrow ships no types
    """Rows of LOOSE_SCHEMA on the partitions, and at the offsets, that publishing them next would give."""
    at_ms, topics, kinds, whose, keys, payloads = loose.columns
    partitions, offsets = places.lay(topics.to_numpy(), keys)
    return batch_of(at_ms, topics, partitions, offsets, kinds, whose, payloads)


def key_of(event: Event) -> str:
    """What decides an event's partition: the pool, the customer, the visitor; for a guest the event's own id."""
    return subject_of(event) or event_id(event)


def who_of(event: Event) -> str:
    """Whose row it is: the customer's, else the browsing visitor's; nobody's of guests and advisors."""
    who: str | None = getattr(event, "customer_id", None)
    if who is None and type(event) is PageBrowsed:
        who = event.visitor_id
    return who or ""


def batches_of(
    events: Iterable[tuple[str, Incoming]], partitions: int, at_once: int = ROWS_AT_ONCE
) -> Iterator[Any]:  # Any: pyarrow ships no types
    """Rows of (topic, event) in the order given, on the partitions and at the offsets that publishing them would give."""
    rows, places = LooseRows(), Places(partitions)
    for topic, event in events:
        rows.add(topic, event)
        if len(rows) >= at_once:
            yield laid(rows.take(), places)
    if len(rows):
        yield laid(rows.take(), places)
