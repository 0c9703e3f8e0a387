"""The observer's eyes: a thread that reads the topics as any subscriber does, and tells the observer what it read."""

from threading import Event, Thread
from time import perf_counter
from typing import Any

from schemas.codec import Schemas, read_event
from schemas.events import AdvisorAssigned, AssignmentEnded
from schemas.records import Fault
from schemas.registry import open_registry
from streams.demo.observer import Observer, Reject
from streams.kafka.client import kafka_config
from streams.kafka.follow import Follower
from streams.log import Message
from streams.messages import BATCH_LOG, REJECTED
from streams.settings import Settings
from streams.simulator import Shop
from streams.topics import partition_count

FOLLOWED = (
    "scores", "assignments", "tier-changes", "examples", "snapshots", REJECTED, "roster",
    f"scorer.{BATCH_LOG}", f"assigner.{BATCH_LOG}",
)  # fmt: skip
AT_ONCE, WAIT_MS = 500, 50


class Watching(Thread):
    """Reads until it is told to stop. The shop is told of assignments as well: its advisors act on them."""

    def __init__(self, settings: Settings, observer: Observer, shop: Shop) -> None:
        super().__init__(name="demo-watching", daemon=True)
        self.failure: Exception | None = None
        self._observer, self._shop = observer, shop
        self._schemas = Schemas(open_registry(settings.registry.url))
        counts = {topic: partition_count(topic, settings.partitions) for topic in FOLLOWED}
        self._follower = Follower(kafka_config(settings), counts)
        self._over = Event()

    def run(self) -> None:
        try:
            while not self._over.is_set():
                messages = self._follower.poll(AT_ONCE, WAIT_MS)
                at_s = perf_counter()
                for message in messages:
                    self._tell(self._read(message), at_s)
        except Exception as error:  # whoever performs looks at it, and raises it there
            self.failure = error
        finally:
            self._follower.close()

    def _tell(self, seen: Any, at_s: float) -> None:  # Any: as `Observer.take`
        self._observer.take(seen, at_s)
        match seen:
            case AdvisorAssigned():
                self._shop.assigned(seen)
            case AssignmentEnded():
                self._shop.ended(seen)

    def _read(self, message: Message) -> Any:  # Any: an event, or a `Reject`
        if message.topic == REJECTED:
            return reject_of(message)
        topic = BATCH_LOG if message.topic.endswith(BATCH_LOG) else message.topic
        read = read_event(topic, message.value, message.headers, self._schemas, message.timestamp_ms)
        return None if isinstance(read, Fault) else read  # what others wrote there is not ours to show

    def stop(self) -> None:
        self._over.set()
        if self.is_alive():
            self.join()


def reject_of(message: Message) -> Reject:
    """A record of `rejected`, by what its headers say."""
    said = {name: value.decode(errors="replace") for name, value in message.headers if name.startswith("rejected_")}
    return Reject(*(said.get(f"rejected_{name}", "") for name in Reject._fields))
