"""START of verifying: one processor after the other, entry by entry, against all that it wrote.

    verify(reads, settings, registry) -> Verdict

Entries are taken in the order of their commits, so that both sides move on together and little has to wait. The first
difference ends it, unless more are asked for: most of what follows from it differs, too.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import islice

from msgspec import Struct, field

from schemas.codec import Schemas
from schemas.events import BatchCommitted
from schemas.registry import Registry
from streams.log import Message, TopicPartition
from streams.messages import Wire
from streams.reading import entry_reader, event_reader
from streams.settings import Settings
from streams.topics import partition_count
from streams.verify.batch_logs import BatchLogs
from streams.verify.cursors import Reads
from streams.verify.deciders import COMPACTED, Deciders, is_written_by, written_by
from streams.verify.matching import Difference, Matching, Origin, Said
from streams.verify.models import Models
from streams.verify.recomputing import Recomputing, Step
from streams.verify.states import state_differences

PROCESSORS = ("scorer", "assigner", "learner")
LATER_ENTRIES = 1_000  # of a worker that runs on: so far may the entries lie that say what was written

Progress = Callable[[str, int, int], object]  # processor, entries done, entries there are


class Verdict(Struct):
    """What was compared, and where both sides part. Equal means: to the byte."""

    entries: Counter[str] = field(default_factory=Counter)  # decided anew, by processor
    records: Counter[str] = field(default_factory=Counter)  # of the sources, applied anew, by processor
    outputs: Counter[str] = field(default_factory=Counter)  # found as recomputed, by topic
    no_longer_kept: Counter[str] = field(default_factory=Counter)  # recomputed, but out of the topic's retention
    keys: Counter[str] = field(default_factory=Counter)  # of the state, held against the changelog, by processor
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        return not self.differences


def verify(
    reads: Reads,
    settings: Sequence[Settings],
    registry: Registry,
    *,
    processors: Sequence[str] = PROCESSORS,
    most: int = 1,
    progress: Progress = lambda *_: None,
) -> Verdict:
    """Recompute what was decided. `settings` are the namespace's: those of now, then of earlier times in any order.

    Ends at `most` differences. Raises `CannotVerify` where something that the core was given is not there any more.
    """
    verdict = Verdict()
    for name in processors:
        comparing = _Comparing(name, reads, settings, registry, verdict)
        try:
            verdict.differences += islice(comparing.differences(progress), most - len(verdict.differences))
        finally:
            comparing.count()
        if len(verdict.differences) >= most:
            break
    return verdict


class _Comparing:
    """One processor being decided anew, beside what it wrote."""

    def __init__(
        self, name: str, reads: Reads, settings: Sequence[Settings], registry: Registry, verdict: Verdict
    ) -> None:
        self.name, self.reads, self.verdict = name, reads, verdict
        now, schemas = settings[0], Schemas(registry)
        self.partitions = partition_count(f"{name}.batch-log", now.partitions)
        self._count = partial(partition_count, partitions=now.partitions)
        wire = Wire(f"/{now.namespace}/{name}", self._count, cache(registry.schema_id))
        self._places = {place: self._matching(place, now) for place in self._written()}  # their ends first
        self._logs = BatchLogs(reads, name, self.partitions, entry_reader(schemas))
        deciders = Deciders(name, settings, Models(reads, event_reader(schemas)))
        self._core = Recomputing(name, deciders.of, reads, event_reader(schemas), wire, self._logs.wanted())
        self._said: Counter[int] = Counter()

    def _written(self) -> list[TopicPartition]:
        return [(topic, p) for topic in written_by(self.name) for p in range(self._count(topic))]

    def _matching(self, place: TopicPartition, settings: Settings) -> Matching:
        def is_ours(message: Message) -> bool:
            return is_written_by(self.name, message, settings.namespace)

        return Matching(self.reads, *place, is_ours)

    # ---- entry by entry --------------------------------------------------------------------------------------------

    def differences(self, progress: Progress) -> Iterator[Difference]:
        for entry in self._logs.entries(self._core.is_ready):
            yield from self._step(entry)
            progress(self.name, self._logs.done, self._logs.total)
        for place in self._places.values():
            yield from place.finish()
        for entry in islice(self._logs.later(self._core.is_ready), LATER_ENTRIES):
            if entry.reads or not any(place.unsaid() for place in self._places.values()):
                break  # of what only later entries read nothing was remembered
            yield from self._step(entry)
        yield from self._left()

    def _step(self, entry: BatchCommitted) -> Iterator[Difference]:
        step = self._core.step(entry)
        self.verdict.entries[self.name] += 1
        self.verdict.records[self.name] += sum(len(run.records) for run in step.batch.runs)
        yield from self._say(step)
        yield from self._passed_over()

    def _say(self, step: Step) -> Iterator[Difference]:
        partition = step.entry.partition
        origin, touched = Origin(self.name, partition, step.entry.entry), dict[TopicPartition, Matching]()
        for message in step.messages:
            if message.topic in COMPACTED:
                continue
            place = message.topic, message.partition
            touched[place] = self._places[place]
            self._said[partition] += 1
            yield from touched[place].say(Said(message, origin, self._said[partition]))
        for matching in touched.values():
            yield from matching.read_on()

    def _passed_over(self) -> Iterator[Difference]:
        """Records of the sources that lie in no applied range."""
        for message in self._core.given.passed_over:
            yield Difference("not applied", message.topic, message.partition, found=message)
        self._core.given.passed_over.clear()

    def _left(self) -> Iterator[Difference]:
        for place in self._places.values():
            yield from place.left()
        for partition in range(self.partitions):
            yield from state_differences(self.reads, self.name, partition, self._core.store)
            self.verdict.keys[self.name] += len(self._core.store.contents(partition))

    def count(self) -> None:
        """Bring what was matched into the verdict."""
        for (topic, _), place in self._places.items():
            self.verdict.outputs[topic] += place.matched
            self.verdict.no_longer_kept[topic] += place.no_longer_kept
