"""What both clients publish with: the checks a worker would make, made before anything is sent, and the right partition.

How records reach Kafka is `sinks/kafka.py`'s work, which partition and headers they get `publish.py`'s.
"""

import time
from typing import Any

import msgspec

from schemas.codec import Schemas, read_event
from schemas.errors import MaitredError
from schemas.events import Incoming
from schemas.records import Fault
from schemas.registry import FileRegistry, open_registry
from sinks.kafka import KafkaPublisher
from streams.kafka.client import publishing
from streams.publish import Form, Writer
from streams.settings import Settings, load


class EventRefused(MaitredError):
    """An event that Maitred would reject. Nothing was sent. `fault` says field, expected, got and cure."""

    def __init__(self, kind: str, fault: Fault) -> None:
        super().__init__(f"{kind}: {fault}")
        self.kind, self.fault = kind, fault


class Publishing:
    """Sends events in the background, in their order; `flush` waits for the brokers. Keep to one thread."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load()
        kafka = self.settings.kafka
        form = Form(
            namespace=self.settings.namespace,
            partitions=self.settings.partitions,
            keep_time=self.settings.time == "event",
        )
        self._write = Writer(open_registry(self.settings.registry.url), form)
        self._publisher = KafkaPublisher(kafka.bootstrap, publishing(kafka.security))

    def send(self, topic: str, event: Incoming) -> None:
        """Raises `EventRefused` for what is wrong with the event, `LogUnavailable` once an earlier one was not delivered."""
        check(topic, event)
        try:
            written = self._write(topic, event)
        except (TypeError, ValueError, AttributeError) as error:  # bytes for text, which JSON would have passed over
            raise _refused(event, error) from error
        self._publisher.publish(*written)

    def flush(self) -> None:
        self._publisher.flush()


_SCHEMAS = Schemas(FileRegistry())


def check(topic: str, event: Incoming) -> None:
    """Raise `EventRefused` where a worker would reject the event."""
    kind = type(event).__name__
    try:
        value = msgspec.json.encode(event)
    except (TypeError, ValueError) as error:
        raise _refused(event, error) from error
    read = read_event(topic, value, [("ce_type", kind.encode())], _SCHEMAS, now_ms())
    if isinstance(read, Fault):
        raise EventRefused(kind, read)


def _refused(event: Incoming, error: Exception) -> EventRefused:
    fault = Fault("invalid", "value", "text, numbers and the like", str(error), "pass other arguments")
    return EventRefused(type(event).__name__, fault)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def given(**fields: Any) -> dict[str, Any]:  # Any: arguments of an event
    """The fields that were given; the others have the event's own defaults."""
    return {name: value for name, value in fields.items() if value is not None}
