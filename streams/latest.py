"""What topics say last: who is served by whom, who is on the roster, which pools pause. Read once, as it stands now.

The topics are the truth for a command that changes an entry; what the assigner has made of them so far lies in its store.
"""

from collections.abc import Iterator

from msgspec import Struct, field

from schemas.codec import Schemas, read_event
from schemas.events import AdvisorAssigned, AdvisorChanged, Event, PoolChanged
from schemas.ids import partition_of
from schemas.records import Fault
from schemas.registry import Registry
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.log import Message
from streams.settings import Settings
from streams.topics import partition_count

ROSTER, CURRENT = "roster", "current-assignments"


class Roster(Struct):
    """The last word on each advisor of a pool, and on each pool of which anything was said."""

    advisors: dict[tuple[str, str], AdvisorChanged] = field(default_factory=dict)  # by pool and advisor
    pools: dict[str, PoolChanged] = field(default_factory=dict)

    def of(self, advisor_id: str) -> list[AdvisorChanged]:
        """The entries of an advisor who has not left: one, unless pools were confused."""
        return [e for (_, name), e in self.advisors.items() if name == advisor_id and e.status != "left"]


def current_assignments(settings: Settings, registry: Registry) -> list[AdvisorAssigned]:
    """Whoever is served, in the order of pools, advisors and customers."""
    found: dict[bytes, AdvisorAssigned] = {}
    schemas = Schemas(registry)
    for message in _messages(settings, CURRENT):
        event = _event(message, schemas)
        if isinstance(event, AdvisorAssigned):
            found[message.key or b""] = event
        elif message.value is None:
            found.pop(message.key or b"", None)
    return sorted(found.values(), key=lambda event: (event.pool, event.advisor_id, event.customer_id))


def roster(settings: Settings, registry: Registry) -> Roster:
    """As the assigner will have it. A record on another partition than its pool's counts where it is sent on to."""
    found, schemas = Roster(), Schemas(registry)
    for message in _messages(settings, ROSTER):
        event = _event(message, schemas)
        if not isinstance(event, AdvisorChanged | PoolChanged):
            continue
        if message.partition != partition_of(event.pool, settings.partitions):
            continue
        if isinstance(event, AdvisorChanged):
            found.advisors[event.pool, event.advisor_id] = event
        else:
            found.pools[event.pool] = event
    return found


def _event(message: Message, schemas: Schemas) -> Event | Fault:
    return read_event(message.topic, message.value, message.headers, schemas, message.timestamp_ms)


def _messages(settings: Settings, topic: str) -> Iterator[Message]:
    """All that is kept, each partition in its order: what comes later under a key lies behind, whatever clocks say."""
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.latest")
    try:
        for partition in range(partition_count(topic, settings.partitions)):
            yield from reader.read(topic, partition, 0)
    finally:
        reader.close()
