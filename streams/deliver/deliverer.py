"""From the decision topics to one sink: read what is committed, put it, and move the offsets after what is delivered.

The sink decides how soon it delivers and how many records it takes; here is only the way from Kafka to it. Each sink reads
in a consumer group of its own, so several processes of one name share the partitions, and none waits for another.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import structlog
from msgspec import Struct, field

from schemas.codec import Schemas, read_event
from schemas.errors import RegistryUnavailable, SinkUnavailable
from schemas.events import Event
from schemas.records import Fault
from schemas.registry import Registry
from sinks.base import Delivery, Place, Sink
from streams.kafka.client import KafkaSettings
from streams.kafka.subscription import Subscription
from streams.log import Message

DELIVERABLE = ("assignments", "current-assignments", "tier-changes", "scores", "examples", "snapshots")
AT_ONCE = 500
POLL_MS = 100
RETRY_S = 1.0
FLUSH_S = 1.0  # at a time: between two we are asked whether to stop, and the group hears of us
log = structlog.get_logger()


class Report(Struct):
    """What a run has done, by topic."""

    read: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    partitions: int = 0


class Deliverer:
    """`should_stop` is asked between two polls."""

    def __init__(
        self,
        kafka: KafkaSettings,
        sink: Sink,
        registry: Registry,
        *,
        name: str,
        topics: Sequence[str],
        start: Literal["earliest", "latest"] = "earliest",
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sink, self._schemas, self._should_stop = sink, Schemas(registry), should_stop
        self._is_sound = True  # the sink takes what it is given
        self.report = Report()
        self._subscription = Subscription(
            kafka, group_of(name), topics, start=start, assigned=self._assigned, revoked=self._revoked
        )

    def run(self, *, once: bool = False) -> Report:
        """Deliver until told to stop; with `once` until all is delivered that was committed. Then leave the group.

        Raises `SinkUnavailable` where a person must mend something.
        """
        is_read = False
        try:
            while not self._should_stop():
                self.step(reads=not is_read)
                is_read = once and self._subscription.has_ended
                if is_read and self._sink.flush(FLUSH_S):
                    break
        except BaseException:
            self._is_sound = False
            raise
        finally:
            self.report.partitions = len(self._subscription.held)
            self._subscription.close()
            self._sink.close()
        return self.report

    def step(self, *, reads: bool = True) -> None:
        """One poll, handed over; then the offsets follow. Without `reads` it only keeps us in the group."""
        room = min(self._sink.room(), AT_ONCE) if reads else 0
        messages = self._subscription.poll(room, POLL_MS)
        self.report.read.update(message.topic for message in messages)
        if deliveries := [found for message in messages if (found := self._read(message)) is not None]:
            self._sink.put(deliveries)
        self._subscription.note(self._sink.settled())

    def _assigned(self, places: Collection[Place]) -> Mapping[Place, int]:
        log.info("partitions_assigned", partitions=sorted(f"{topic}[{partition}]" for topic, partition in places))
        return self._sink.open(places)

    def _revoked(self) -> Mapping[Place, int]:
        return self._sink.release() if self._is_sound else {}

    def _read(self, message: Message) -> Delivery | None:
        """None of a record that nobody can read: it is told, and lies in its topic still.

        A schema that only this process does not know is no such case: workers may be newer than it.
        """
        event = None if message.value is None else self._event(message)
        if isinstance(event, Fault):
            where = f"{message.topic}[{message.partition}]@{message.offset}"
            if event.error == "unknown_schema":
                cure = "bring this process to the workers' version, and to their registry; it goes on from here"
                raise SinkUnavailable(where, event.expected, event.got, cure)
            self.report.unreadable[message.topic] += 1
            log.warning("record_unreadable", where=where, error=event.error, field=event.field, expected=event.expected)
            return None
        return Delivery(*message, event)

    def _event(self, message: Message) -> Event | Fault:
        while True:
            try:
                return read_event(message.topic, message.value, message.headers, self._schemas)
            except RegistryUnavailable as error:
                if self._should_stop():
                    raise
                log.warning("waiting_for_registry", error=str(error))
                time.sleep(RETRY_S)


def group_of(name: str) -> str:
    """The consumer group of a sink, without the namespace."""
    return f"deliver.{name}"
