"""An advisor tool's side: who was given an advisor, each decision at least once, and what came of the contact.

    with AdvisorTool("clienteling") as tool:
        for event in tool.subscribe():
            if isinstance(event, AdvisorAssigned):
                tool.report(event, "contacted")

A decision counts as done when the loop asks for the next one. Where the loop is left in between, the decision comes again
with the next `subscribe`, and where the program ends, when it is started anew: its `id` tells. Reports are with the brokers before a decision counts as done.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self

from schemas.codec import Schemas, read_event
from schemas.events import AdvisorAssigned, AssignmentEnded, AssignmentWithheld, ContactReported
from schemas.records import Fault
from schemas.registry import open_registry
from streams.clients.publishing import Publishing, given, now_ms
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.kafka.subscription import Subscription
from streams.log import Message, TopicPartition
from streams.settings import Settings
from streams.topics import partition_count

Decision = AdvisorAssigned | AssignmentWithheld | AssignmentEnded
TOPIC, CURRENT = "assignments", "current-assignments"
AT_ONCE, POLL_MS = 500, 200
NOTE_S = 1.0  # how often what is done is noted
log = logging.getLogger("maitred")


class AdvisorTool:
    """`group`: the tool's name. Several processes of one name share the customers between them. Keep to one thread."""

    def __init__(self, group: str, settings: Settings | None = None) -> None:
        self._publishing = Publishing(settings)
        self.settings = self._publishing.settings
        self._kafka, self._group = kafka_config(self.settings), f"tool.{group}"
        self._schemas = Schemas(open_registry(self.settings.registry.url))
        self._subscription: Subscription | None = None
        self._fresh: list[Message] = []  # polled, and not taken yet
        self._polled: deque[tuple[TopicPartition, int, Message | Decision]] = deque()  # not given, or not yet done
        self._places: dict[str, set[tuple[TopicPartition, int]]] = {}  # event id -> where it lies, known again perhaps
        self._open: dict[TopicPartition, dict[int, None]] = {}  # offsets that are polled and not done, ascending
        self._done: dict[TopicPartition, int] = {}  # the offset that comes next, once all before it is done
        self._newcomers: dict[TopicPartition, int] = {}  # partitions never read before, and where reading starts
        self._floors: dict[TopicPartition, int] = {}  # where a late joiner has been told everything
        self._noted_s = time.monotonic()

    # ---- who is served by whom -------------------------------------------------------------------------------------

    def current(self) -> dict[str, AdvisorAssigned]:
        """Who is served by whom at this moment, by customer."""
        partitions = range(partition_count(CURRENT, self.settings.partitions))
        return {event.customer_id: event for partition in partitions for event in self._current_of(partition)}

    def subscribe(
        self,
        *,
        start: Literal["current", "earliest", "latest"] = "current",
        by_hand: bool = False,
        until_idle_s: float | None = None,
    ) -> Iterator[Decision]:
        """Every decision on an assignment, for ever, or until none has come for so many seconds.

        The first time the group reads, it is told who is served now and goes on from there (`current`), or reads all that is
        kept (`earliest`), or only what comes (`latest`); afterwards it goes on where it left off. With `by_hand` a decision is
        done only when `done` says so.
        """
        subscription = self._subscription = self._subscription or Subscription(
            self._kafka,
            self._group,
            [TOPIC],
            start="earliest" if start == "earliest" else "latest",
            assigned=self._assigned,
            met=self._joins_late if start == "current" else lambda _place, _start: True,
            revoked=self._reached,
        )
        idle_since = time.monotonic()
        while until_idle_s is None or time.monotonic() - idle_since < until_idle_s:
            if not self._polled:
                self._take(subscription.poll(AT_ONCE, POLL_MS))
            for event in self._decisions(by_hand=by_hand):
                yield event
                idle_since = time.monotonic()
                self._note(subscription)
            if not subscription.is_assigned:
                idle_since = time.monotonic()
            self._note(subscription)

    def done(self, event: Decision) -> None:
        """A decision need not come again. That is noted within a second, and when the tool is closed."""
        for place, offset in self._places.pop(event.id, ()):  # nothing where its partition is another process's by now
            self._finish(place, offset)

    # ---- what came of it -------------------------------------------------------------------------------------------

    def report(
        self,
        assignment: AdvisorAssigned,
        outcome: Literal["contacted", "accepted", "declined", "ended"],
        *,
        channel: str | None = None,
        contact_id: str | None = None,
        occurred_at_ms: int | None = None,
    ) -> None:
        """What the advisor did. Said twice of one assignment, without a `contact_id`, it is the same report."""
        event = ContactReported(
            contact_id=contact_id or f"{assignment.assignment_id}/{outcome}",
            assignment_id=assignment.assignment_id,
            customer_id=assignment.customer_id,
            advisor_id=assignment.advisor_id,
            pool=assignment.pool,
            occurred_at_ms=now_ms() if occurred_at_ms is None else occurred_at_ms,
            outcome=outcome,
            **given(channel=channel),
        )
        self._publishing.send("contacts", event)

    # ---- the rest --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Note what is done and leave the group, so that others take over at once."""
        self._publishing.flush()
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
            self._fresh.clear()
            self._polled.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- where decisions lie ---------------------------------------------------------------------------------------

    def _assigned(self, _places: object) -> Mapping[TopicPartition, int]:
        for kept in (
            self._fresh, self._polled, self._places, self._open, self._done, self._newcomers, self._floors,
        ):  # fmt: skip
            kept.clear()
        return {}

    def _joins_late(self, place: TopicPartition, start: int) -> bool:
        self._newcomers[place] = start
        return False

    def _take(self, messages: Sequence[Message]) -> None:
        """Of partitions never read: who is served now. They count as lying just before the offset where reading starts."""
        self._fresh.extend(messages)
        self._floors.update(self._newcomers)
        for place, start in list(self._newcomers.items()):
            events = self._current_of(place[1])  # where Kafka does not answer, all is taken by the next `subscribe`
            del self._newcomers[place]
            self._done[place] = start - len(events)
            self._polled.extend((place, number, event) for number, event in enumerate(events, self._done[place]))
        self._polled.extend(((message.topic, message.partition), message.offset, message) for message in self._fresh)
        self._fresh.clear()
        for place, offset, _ in self._polled:
            self._open.setdefault(place, {})[offset] = None

    def _decisions(self, *, by_hand: bool) -> Iterator[Decision]:
        """What was polled. What is not done with stays the first, to come again should the loop be left."""
        while self._polled:
            place, offset, said = self._polled[0]
            event = self._event(said) if isinstance(said, Message) else said
            if isinstance(event, AdvisorAssigned | AssignmentWithheld | AssignmentEnded):
                self._places.setdefault(event.id, set()).add((place, offset))
                if by_hand:
                    self._polled.popleft()
                yield event
                if by_hand:
                    continue
                self.done(event)
            else:
                self._finish(place, offset)
            self._polled.popleft()

    def _finish(self, place: TopicPartition, offset: int) -> None:
        still_open = self._open[place]
        still_open.pop(offset, None)
        self._done[place] = next(iter(still_open), max(offset + 1, self._done.get(place, 0)))

    def _reached(self) -> Mapping[TopicPartition, int]:
        """How far all is done; reports first. A late joiner who was not told everything yet is told all of it again."""
        self._publishing.flush()
        return {place: at for place, at in self._done.items() if at >= self._floors.get(place, 0)}

    def _note(self, subscription: Subscription) -> None:
        if time.monotonic() - self._noted_s >= NOTE_S:
            self._noted_s = time.monotonic()
            subscription.note(self._reached())

    def _current_of(self, partition: int) -> list[AdvisorAssigned]:
        reader, found = KafkaReader(self._kafka, self._kafka.wire(self._group)), {}
        for message in reader.read(CURRENT, partition, 0):
            found[message.key] = self._event(message) if message.value else None
        reader.close()
        return [event for event in found.values() if isinstance(event, AdvisorAssigned)]

    def _event(self, message: Message) -> object:
        """What nobody can read is passed over: it was not written by Maitred."""
        event = read_event(message.topic, message.value, message.headers, self._schemas)
        if isinstance(event, Fault):
            log.warning("%s[%d]@%d: passed over: %s", message.topic, message.partition, message.offset, event)
        return event
