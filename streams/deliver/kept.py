"""The topic `undelivered`: what a web server would not take, compacted, so that it holds what is still open.

An entry lies on the partition of its record, which is also that of the process that delivers it. The key names sink and
record; a tombstone ends an entry, whether it was delivered or dropped by hand. Who may decide what is `sinks/webhook.py`'s.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from sinks.kafka import KafkaPublisher
from sinks.undelivered import Entry
from streams.kafka.client import KafkaSettings, publishing
from streams.kafka.reader import KafkaReader

TOPIC = "undelivered"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class KafkaUndelivered:
    """As `sinks.undelivered.Undelivered`, of one sink."""

    def __init__(self, kafka: KafkaSettings, sink: str) -> None:
        self._kafka, self._sink = kafka, sink
        self._publisher = KafkaPublisher(kafka.bootstrap, publishing(kafka.security))
        self._reader = KafkaReader(kafka, kafka.wire(f"deliver.{sink}.{TOPIC}"))
        self._next: dict[int, int] = {}

    def open(self, partitions: Collection[int]) -> Sequence[Entry]:
        self._next = dict.fromkeys(partitions, 0)
        return [entry for entry in self.changes().values() if entry is not None]

    def keep(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._publish(entry, _encode(entry))
        self._publisher.flush()

    def forget(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._publish(entry, None)
        self._publisher.flush()

    def changes(self) -> Mapping[str, Entry | None]:
        """The last word on each entry, our own included."""
        found: dict[str, Entry | None] = {}
        for partition, start in list(self._next.items()):
            _, end = self._reader.bounds(TOPIC, partition)
            if end > start:
                read = self._read(partition, start)
                found.update({name: entry for sink, name, entry in read if sink == self._sink})
        return found

    def _read(self, partition: int, start: int) -> Iterator[tuple[str, str, Entry | None]]:
        for message in self._reader.read(TOPIC, partition, start):
            self._next[partition] = message.offset + 1
            sink, _, name = (message.key or b"").decode().partition("/")
            yield sink, name, None if message.value is None else _decode(message.value)

    def _publish(self, entry: Entry, value: bytes | None) -> None:
        key = f"{entry.sink}/{entry.parcel.id}".encode()
        self._publisher.publish(self._kafka.wire(TOPIC), entry.partition, key, value)

    def close(self) -> None:
        self._reader.close()


def read_entries(kafka: KafkaSettings, partitions: int) -> list[Entry]:
    """The entries of all sinks, those of a customer in their order."""
    reader = KafkaReader(kafka, kafka.wire(f"{TOPIC}.list"))
    messages = (message for partition in range(partitions) for message in reader.read(TOPIC, partition, 0))
    last = {message.key: message.value for message in messages}
    reader.close()
    entries = [_decode(value) for value in last.values() if value is not None]
    return sorted(entries, key=lambda entry: (entry.sink, entry.partition, entry.customer, entry.sequence))
