"""What a simulated world is told: which processors, which topics and settings, and of which parts an actor is made."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from features.store import Store
from schemas.codec import Schemas
from schemas.events import BatchCommitted
from streams.processors import Processor
from streams.reading import entry_reader, event_reader
from streams.settings import Settings
from streams.shell import Shell
from streams.topics import TOPICS
from tests.simulation.flaky_store import FlakyStore
from tests.simulation.shop import REGISTRY
from tests.simulation.simulated_log import SimulatedLog

Events = Callable[[str], Iterable[object]]

read = event_reader(Schemas(REGISTRY))
read_entry = entry_reader(Schemas(REGISTRY))


class Role(NamedTuple):
    """A processor as a worker runs it. `make` is given the stores of its worker, by processor.

    `models` is given the events of any topic, and makes what sets a replayed processor to the model of an entry.
    """

    name: str
    sources: tuple[str, ...]
    partitions: int
    make: Callable[[Mapping[str, Store]], Processor]
    models: Callable[[Events], Callable[[Processor, BatchCommitted], None]] = lambda _: lambda *_: None
    chokes: bool = False  # on some records, on purpose


class Plan(NamedTuple):
    """What is simulated, besides chance."""

    settings: Settings
    roles: tuple[Role, ...]
    shop_topics: tuple[str, ...]
    records: int

    @property
    def topics(self) -> dict[str, int]:
        return {topic.name: topic.partitions(self.settings.partitions) for topic in TOPICS}


class Parts(NamedTuple):
    """What an actor is made of. A broken variant exchanges one of them, or alters the shell that was made."""

    log: Callable[..., SimulatedLog] = SimulatedLog
    store: Callable[..., FlakyStore] = FlakyStore
    processor: Callable[[Processor], Processor] = lambda processor: processor
    alter: Callable[[Shell], object] = lambda _: None
