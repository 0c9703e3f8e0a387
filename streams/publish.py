"""Publishing events to the topics, in event-time order, keyed and partitioned as Maitred reads them.

Where events come from (`event_files.py`, `datasets.py`) and how records reach Kafka (`sinks/kafka.py`) is left to others.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, Protocol

import msgspec
from msgspec import Struct, field

from schemas.codec import cloud_event_headers, event_id, write_event
from schemas.events import Event
from schemas.ids import partition_of
from schemas.registry import Registry
from streams.door import subject_of
from streams.topics import partition_count

Sent = tuple[str, Event]  # topic and event
Headers = Sequence[tuple[str, bytes]]


class Publisher(Protocol):
    """What takes records to their topics: `sinks.kafka.KafkaPublisher`, or a list in a test."""

    def publish(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None,
        headers: Headers = (), timestamp_ms: int | None = None,
    ) -> None: ...  # fmt: skip

    def flush(self) -> None: ...


class Form(Struct, frozen=True, kw_only=True):
    """How events are written. `keep_time`: a record's time is its event's (for histories), not the present."""

    namespace: str
    partitions: int
    encoding: Literal["avro", "json"] = "avro"
    keep_time: bool = False


class Summary(Struct):
    """What was published."""

    published: Counter[str] = field(default_factory=Counter)  # topic -> events
    currencies: Counter[str] = field(default_factory=Counter)
    first_ms: int | None = None
    last_ms: int | None = None
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return self.published.total()

    def note(self, topic: str, event: Event) -> None:
        self.published[topic] += 1
        self.first_ms = event.occurred_at_ms if self.first_ms is None else self.first_ms
        self.last_ms = event.occurred_at_ms
        if (currency := getattr(event, "currency", None)) is not None:
            self.currencies[currency] += 1


def publish(
    events: Iterable[Sent],
    publisher: Publisher,
    registry: Registry,
    form: Form,
    *,
    rate: float | None = None,
    limit: int | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Summary:
    """Publish events, at most `limit`, at full speed or `rate` a second; returns once all are acknowledged."""
    write, summary, began = Writer(registry, form), Summary(), time.monotonic()
    for topic, event in paced(islice(events, limit), rate):
        publisher.publish(*write(topic, event))
        summary.note(topic, event)
        if on_event is not None:
            on_event(event)
    publisher.flush()
    summary.seconds = time.monotonic() - began
    return summary


class Writer:
    """An event as the arguments of `Publisher.publish`."""

    def __init__(self, registry: Registry, form: Form) -> None:
        self._form, self._registry = form, registry
        self._schema_ids: dict[str, int] = {}

    def __call__(self, topic: str, event: Event) -> tuple[str, int, bytes, bytes, Headers, int | None]:
        form, key = self._form, key_of(event)
        return (
            f"{form.namespace}.{topic}",
            partition_of(key, partition_count(topic, form.partitions)),
            key.encode(),
            self._value(event),
            self._headers(topic, event),
            event.occurred_at_ms if form.keep_time else None,
        )

    def _value(self, event: Event) -> bytes:
        if self._form.encoding == "json":
            return msgspec.json.encode(event)
        name = type(event).__name__
        if name not in self._schema_ids:
            self._schema_ids[name] = self._registry.schema_id(name)
        return write_event(event, self._schema_ids[name])

    def _headers(self, topic: str, event: Event) -> Headers:
        headers = cloud_event_headers(event, f"/{self._form.namespace}/publish", topic)
        if self._form.encoding == "avro":
            return headers
        return [*(header for header in headers if header[0] != "content-type"), ("content-type", b"application/json")]


def key_of(event: Event) -> str:
    """What decides an event's partition: the pool, the customer, the visitor; for a guest the event's own id."""
    return subject_of(event) or event_id(event)


def paced(
    events: Iterable[Sent],
    rate: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Sent]:
    """The events no sooner than at `rate` a second, counted from the first: what was late is caught up."""
    began = clock()
    for number, item in enumerate(events):
        if rate is not None and (ahead := began + number / rate - clock()) > 0:
            sleep(ahead)
        yield item
