"""Records of our topics as events: what a worker, a replay and a verification read alike. Nothing here knows how to write."""

from collections.abc import Callable

from schemas.codec import Schemas, read_event
from schemas.errors import SequenceBroken
from schemas.events import BatchCommitted, Event
from schemas.records import Fault
from streams.log import Message
from streams.messages import BATCH_LOG

EventReader = Callable[[Message], Event | Fault]
EntryReader = Callable[[Message], BatchCommitted]


def event_reader(schemas: Schemas) -> EventReader:
    def read(message: Message) -> Event | Fault:
        return read_event(message.topic, message.value, message.headers, schemas, message.timestamp_ms)

    return read


def entry_reader(schemas: Schemas) -> EntryReader:
    def read(message: Message) -> BatchCommitted:
        entry = read_event(BATCH_LOG, message.value, message.headers, schemas, message.timestamp_ms)
        if not isinstance(entry, BatchCommitted):
            raise SequenceBroken(
                f"{message.topic}[{message.partition}]@{message.offset}: not a batch log entry: {entry}"
            )
        return entry

    return read
