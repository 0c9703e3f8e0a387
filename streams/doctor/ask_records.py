"""What the topics hold: samples of the sources, the ends of the batch logs, what was rejected, what was learnt.

Reads committed records only, as nobody's consumer; judges nothing.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from schemas.codec import Schemas, read_event
from schemas.errors import RegistryUnavailable
from schemas.events import BatchCommitted, Event, SnapshotPublished
from schemas.records import Fault
from schemas.rejects import PREFIX
from streams.doctor.gathered import Entry, Learning, Place, Records, Rejected, Sample
from streams.door import subject_of
from streams.kafka.reader import KafkaReader
from streams.log import Message
from streams.messages import REROUTED_FROM

SAMPLED_PARTITIONS = 8  # of a topic, evenly spread: a wrong partitioner shows in each
SAMPLED_RECORDS = 200  # of a partition, the latest
ENTRIES = 20  # of a batch log, the latest
EXAMPLES_COUNTED = 20_000
REROUTED = re.compile(rb".*\[(\d+)\]@\d+")


class TopicReader:
    """`counts` are the partitions of the topics that are there."""

    def __init__(self, reader: KafkaReader, schemas: Schemas, counts: Mapping[str, int]) -> None:
        self._reader, self._schemas, self._counts = reader, schemas, counts

    def read(self, sources: Iterable[str], processors: Iterable[str]) -> Records:
        sampled = {topic: list(self._sampled(topic)) for topic in sources if topic in self._counts}
        return Records(
            samples=tuple(self._sample(message) for messages in sampled.values() for message in messages),
            entries=dict(self._entries(processors)),
            rejected=tuple(self._rejected()),
            newest_ms={topic: max(m.timestamp_ms for m in messages) for topic, messages in sampled.items() if messages},
            learning=self._learning(),
        )

    # ---- sources ---------------------------------------------------------------------------------------------------

    def _sampled(self, topic: str) -> Iterator[Message]:
        count = self._counts[topic]
        for partition in range(0, count, -(-count // SAMPLED_PARTITIONS)):
            yield from self._latest(topic, partition, SAMPLED_RECORDS)

    def _latest(self, topic: str, partition: int, count: int) -> Iterable[Message]:
        _, end = self._reader.bounds(topic, partition)
        return deque(self._reader.read(topic, partition, max(0, end - 2 * count)), count)

    def _sample(self, message: Message) -> Sample:
        event, headers = self._event(message), dict(message.headers)
        came = REROUTED.fullmatch(headers.get(REROUTED_FROM, b""))
        return Sample(
            (message.topic, message.partition),
            message.key.decode("utf-8", "replace") if message.key is not None else None,
            subject_of(event) if event is not None else None,
            int(came[1]) if came else None,
        )

    def _event(self, message: Message, topic: str = "") -> Event | None:
        """None for what can't be read: that is not this reader's matter."""
        try:
            event = read_event(
                topic or message.topic, message.value, message.headers, self._schemas, message.timestamp_ms
            )
        except RegistryUnavailable:
            return None
        return None if isinstance(event, Fault) else event

    # ---- what came of them -----------------------------------------------------------------------------------------

    def _entries(self, processors: Iterable[str]) -> Iterator[tuple[Place, Entry | None]]:
        for processor in processors:
            topic = f"{processor}.batch-log"
            for partition in range(self._counts.get(topic, 0)):
                latest = list(self._latest(topic, partition, ENTRIES)) or self._last(topic, partition)
                read = [(message.timestamp_ms, self._event(message, "batch-log")) for message in latest]
                entries = [(written, entry) for written, entry in read if isinstance(entry, BatchCommitted)]
                if not latest:
                    yield (processor, partition), None
                elif len(entries) == len(latest):
                    yield (processor, partition), _entry(entries)

    def _last(self, topic: str, partition: int) -> list[Message]:
        """Where marks and aborted records are all that lies near the end."""
        last = self._reader.last(topic, partition)
        return [last] if last else []

    def _rejected(self) -> Iterator[Rejected]:
        for partition in range(self._counts.get("rejected", 0)):
            for message in self._latest("rejected", partition, SAMPLED_RECORDS):
                said = {name: value.decode("utf-8", "replace") for name, value in message.headers}
                if f"{PREFIX}error" in said:
                    yield Rejected(said.get(f"{PREFIX}topic", "?"), said[f"{PREFIX}error"], message.timestamp_ms)

    def _learning(self) -> Learning:
        last = self._reader.last("snapshots", 0) if "snapshots" in self._counts else None
        snapshot = self._event(last) if last else None
        if not isinstance(snapshot, SnapshotPublished) or last is None:
            return Learning(None, self._examples_from(0))
        return Learning(last.timestamp_ms, self._examples_from(int(snapshot.version) + 1))

    def _examples_from(self, offset: int) -> int:
        if "examples" not in self._counts:
            return 0
        return sum(1 for _ in islice(self._reader.read("examples", 0, offset), EXAMPLES_COUNTED))


def _entry(entries: Sequence[tuple[int, BatchCommitted]]) -> Entry:
    """The last one; whether time moved on alone in any of them."""
    written_ms, last = entries[-1]
    has_ticked = any(not run.topic for _, entry in entries for run in entry.sequence)
    return Entry(last.entry, written_ms, last.occurred_at_ms, last.policy_version, has_ticked)
