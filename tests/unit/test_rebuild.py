"""What is copied into a new namespace: all that was published, once, and nothing that the scorer will write anew."""

from collections.abc import Iterator

from schemas.codec import Schemas, write_event
from schemas.events import CustomersMerged, EventForwarded, ProfileMoved
from schemas.records import Record, Reroute
from schemas.registry import FileRegistry
from streams.log import Message, OutMessage
from streams.messages import Wire
from streams.rebuild import in_order

REGISTRY = FileRegistry()
AT_MS = 1_700_000_000_000
MERGED = CustomersMerged(merge_id="m", customer_id="c1", into_customer_id="c2", occurred_at_ms=AT_MS)
OURS = (
    ProfileMoved(id="p", customer_id="c2", from_customer_id="c1", occurred_at_ms=AT_MS, profile=b""),
    EventForwarded(id="f", customer_id="c2", from_customer_id="c1", occurred_at_ms=AT_MS, event="{}"),
)


class Partition:
    """A reader of records at hand."""

    def __init__(self, *messages: OutMessage) -> None:
        self.messages = [
            Message(m.topic, m.partition, offset, AT_MS, m.key, m.value, m.headers) for offset, m in enumerate(messages)
        ]

    def read(self, topic: str, partition: int, from_offset: int) -> Iterator[Message]:
        yield from self.messages[from_offset:]


def published(event: CustomersMerged | ProfileMoved | EventForwarded) -> OutMessage:
    return OutMessage("privacy", 0, b"c", write_event(event, REGISTRY.schema_id(type(event).__name__)))


def rerouted(message: OutMessage) -> OutMessage:
    record = Record(message.topic, 1, 7, AT_MS, message.key, message.value, (), MERGED)
    return Wire("/maitred/scorer", lambda _: 2, REGISTRY.schema_id).output(Reroute(record, 0))


def copied(*messages: OutMessage) -> list[int]:
    return [m.offset for _, m, _ in in_order(Partition(*messages), "privacy", 0, Schemas(REGISTRY))]


def test_what_a_merge_made_is_not_copied() -> None:
    """The merge is, and will move the profile and forward events anew."""
    assert copied(published(OURS[0]), published(MERGED), published(OURS[1])) == [1]


def test_a_record_that_lies_twice_is_copied_once() -> None:
    """Where it was published; its copy on the right partition would count it again."""
    assert copied(published(MERGED), rerouted(published(MERGED))) == [0]
