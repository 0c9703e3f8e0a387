"""The topics of a namespace as a source: all of them, or a stretch by offsets or by time.

Places are the log's own. What the scorer wrote to its own sources is left out, and counted: a replay moves and forwards merged
accounts anew, and a record that was sent on to its right partition lies there twice. Nothing is written, no group joined.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.codec import Schemas, read_event
from schemas.events import EventForwarded, ProfileMoved
from schemas.records import Fault
from schemas.registry import Registry
from streams.kafka.client import KafkaSettings
from streams.kafka.spans import Span, Spans, Wanted
from streams.log import Message, TopicPartition
from streams.messages import REROUTED_FROM
from streams.replay.rows import ROWS_AT_ONCE, Quality, Rows

SOURCES = ("roster", "orders", "returns", "browse", "privacy", "contacts")
ASSIGNMENTS = "assignments"  # which contacts are about, where reported ones are to be followed
CODE = "1"  # goes into the fingerprint: moves on when equal records make other rows
_PLACE = re.compile(r"(?P<topic>[a-z-]+)\[(?P<partition>\d+)\]@(?P<offset>\d+)")


class TopicSource:
    lacks: tuple[str, ...] = ()

    def __init__(
        self, kafka: KafkaSettings, registry: Registry, topics: Mapping[str, int], wanted: Wanted | None = None
    ) -> None:
        """`topics` are names with their partitions. What is there is asked for once, here; raises `LogUnavailable`."""
        self.name = f"topics of {kafka.namespace}"
        self.quality = Quality()
        self._registry, self._reader = registry, Spans(kafka, "replay")
        self.spans = tuple(self._reader.find(topics, wanted or Wanted()))
        self._by_place: dict[TopicPartition, Span] = {(span.topic, span.partition): span for span in self.spans}
        self._kafka = kafka

    def fingerprint(self) -> str:
        """Of where the records lie: what was written once stays as it is."""
        said = [CODE, self._kafka.bootstrap, self._kafka.namespace, *map(repr, self.spans)]
        return hashlib.blake2b("\n".join(said).encode(), digest_size=16).hexdigest()

    def total(self) -> int | None:
        """Offsets; some of them are markers of transactions, and no rows."""
        return sum(span.end - span.start for span in self.spans)

    def batches(self) -> Iterator[Any]:  # Any: pyarrow ships no types
        self.quality, rows, schemas = Quality(), Rows(), Schemas(self._registry)
        for messages in self._reader.read(self.spans):
            for message in messages:
                self._add(rows, message, schemas)
            if len(rows) >= ROWS_AT_ONCE:
                yield self._noted(rows)
        if len(rows):
            yield self._noted(rows)

    def _add(self, rows: Rows, message: Message, schemas: Schemas) -> None:
        topic, partition, offset, at_ms, _, value, headers = message
        event = read_event(topic, value, headers, schemas, at_ms)
        if headers and self._is_copy(headers):
            self.quality.left_out["rerouted_copy"] += 1
        elif isinstance(event, ProfileMoved | EventForwarded):
            self.quality.left_out[type(event).__name__] += 1
        elif isinstance(event, Fault):
            rows.add_fault(at_ms, topic, partition, offset, f"{topic}[{partition}]@{offset}", event)
        else:
            rows.add(topic, partition, offset, event)

    def _is_copy(self, headers: tuple[tuple[str, bytes], ...]) -> bool:
        """Whether it was sent on from a place that is read, too."""
        for name, value in headers:
            if name == REROUTED_FROM and (place := _PLACE.fullmatch(value.decode("utf-8", "replace"))):
                span = self._by_place.get((place["topic"], int(place["partition"])))
                return span is not None and int(place["offset"]) in span
        return False

    def _noted(self, rows: Rows) -> Any:  # Any: as above
        batch = rows.take()
        self.quality.note(batch)
        return batch
