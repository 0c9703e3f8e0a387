"""Decisions as Kafka records: which topic, partition, key, headers and bytes each output has."""

from collections.abc import Callable

from msgspec import Struct

from schemas.codec import cloud_event_headers, write_event
from schemas.events import BatchCommitted
from schemas.ids import partition_of
from schemas.records import Announcement, Output, Rejection, Reroute, Retraction, Write
from schemas.rejects import rejected_value, rejection_headers
from streams.log import Message, OutMessage

BATCH_LOG, CHANGELOG, REJECTED = "batch-log", "changelog", "rejected"
REROUTED_FROM = (
    "maitred_rerouted_from"  # header of our copy of a record that came on the wrong partition: where it lies
)
RETRACTED_BY = "maitred_retracted_by"  # header of a tombstone: the id of the event that ended what it takes back
LONGEST_KEY = 4_096  # of a rejected record; a longer one is told by hash and head only


class Change(Struct, frozen=True):
    """A record of the changelog, read back."""

    entry: int
    write: Write


class Wire:
    """How outputs are written. `partitions` tells a topic's count, `schema_id` a schema's number in the registry."""

    def __init__(self, source: str, partitions: Callable[[str], int], schema_id: Callable[[str], int]) -> None:
        self._source, self._partitions, self._schema_id = source, partitions, schema_id

    def changelog(self, processor: str) -> str:
        return f"{processor}.{CHANGELOG}"

    def batch_log(self, processor: str) -> str:
        return f"{processor}.{BATCH_LOG}"

    def output(self, output: Output) -> OutMessage:
        match output:
            case Announcement():
                return self._announcement(output)
            case Retraction(topic, key, because):
                partition = partition_of(key, self._partitions(topic))
                return OutMessage(topic, partition, key.encode(), None, ((RETRACTED_BY, because.encode()),))
            case Rejection():
                return self._rejection(output)
            case Reroute(record, partition):
                marked = (*record.headers, (REROUTED_FROM, record.where.encode()))
                return OutMessage(record.topic, partition, record.key, record.value, marked, record.timestamp_ms)

    def _announcement(self, output: Announcement) -> OutMessage:
        event, name = output.event, type(output.event).__name__
        return OutMessage(
            output.topic,
            partition_of(output.key, self._partitions(output.topic)),
            output.key.encode(),
            write_event(event, self._schema_id(name)),
            tuple(cloud_event_headers(event, self._source, output.topic)),
        )

    def _rejection(self, output: Rejection) -> OutMessage:
        record = output.record
        headers = tuple(rejection_headers(record, output.fault))
        partition = record.partition % self._partitions(REJECTED)
        key = record.key if len(record.key or b"") <= LONGEST_KEY else None
        return OutMessage(REJECTED, partition, key, rejected_value(record), headers)

    def batch_entry(self, entry: BatchCommitted) -> OutMessage:
        topic = self.batch_log(entry.processor)
        value = write_event(entry, self._schema_id("BatchCommitted"))
        headers = tuple(cloud_event_headers(entry, self._source, topic))
        return OutMessage(topic, entry.partition, str(entry.entry).encode(), value, headers)

    def change(self, processor: str, partition: int, entry: int, write: Write) -> OutMessage:
        """A write as a record of the compacted changelog: a deletion is a tombstone."""
        headers: tuple[tuple[str, bytes], ...] = (("entry", b"%d" % entry),)
        if write.due_ms is not None:
            headers += (("due", b"%d" % write.due_ms),)
        return OutMessage(self.changelog(processor), partition, write.key.encode(), write.value, headers)


def read_change(message: Message) -> Change:
    headers = dict(message.headers)
    due = headers.get("due")
    write = Write((message.key or b"").decode(), message.value, int(due) if due is not None else None)
    return Change(int(headers["entry"]), write)
