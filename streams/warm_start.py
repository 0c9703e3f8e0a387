"""Warm start: what a history would have taught, published as examples before the first customer is scored.

The history is folded by the scorer's core over a store in memory, a day at a time, with the learner's core beside it: each
look sees the model as it would have been by then, and each example what really came of it. The examples go to the topic that
the learner reads anyway, and behind them a `ModelChosen` that has the model published: so the learner goes on from there exactly,
and the model can be computed again from the topic alone.

Customers who bought first in the burn-in may be old ones, so they give no example; neither do those whom the worker will look
at itself (`scoring.decide_from`).
"""

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from features.store import MemoryStore, Position
from online_models.learner import LearnPolicy
from schemas.codec import Schemas, read_event
from schemas.errors import SettingsError
from schemas.events import Event, ExampleReady, ModelChosen
from schemas.records import Announcement, Batch, Decision, Fault, Record, Run, State
from schemas.registry import Registry
from streams.engine import SOURCES
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.processors import Learner, Processor, Scorer
from streams.rebuild import in_event_order
from streams.scoring.policy import DAY_MS, Policy
from streams.settings import Settings

EXAMPLES = "examples"
POLL_MS = 100


class Past(NamedTuple):
    """An event of the history."""

    at_ms: int
    topic: str
    event: Event


class Lessons(Struct):
    """What a history comes to. It fills while the examples are read."""

    events: int = 0
    first_ms: int = 0
    last_ms: int = 0
    burnt_in_ms: int = 0  # who bought first before this teaches nothing
    examples: int = 0
    positives: int = 0
    not_new: int = 0  # customers who bought first in the burn-in, or whom the shop calls old


class Plan(Struct, frozen=True, kw_only=True):
    """What is learnt, and from when to when."""

    scoring: Policy
    learning: LearnPolicy
    champion: str
    burn_in_days: int = 90
    until_ms: int | None = None  # nothing that was known only later is learnt


def examples(history: Iterable[Past], plan: Plan, lessons: Lessons) -> Iterator[ExampleReady]:
    """The examples of a history, in the order in which their outcomes were known. The history is in event-time order."""
    days = groupby((past for past in history if past.topic in SOURCES), key=lambda past: past.at_ms // DAY_MS)
    school: _School | None = None
    for day, events in days:
        if plan.until_ms is not None and day * DAY_MS >= plan.until_ms:
            break
        todays = [past for past in events if plan.until_ms is None or past.at_ms < plan.until_ms]
        if not todays:
            continue
        if school is None:
            lessons.first_ms = todays[0].at_ms
            lessons.burnt_in_ms = lessons.first_ms + plan.burn_in_days * DAY_MS
            school = _School(plan, lessons.burnt_in_ms)
        lessons.events, lessons.last_ms = lessons.events + len(todays), todays[-1].at_ms
        for example in school.live_through(todays):
            lessons.examples += 1
            lessons.positives += example.is_vip
            yield example
        lessons.not_new = school.not_new


class _School:
    """Scorer and learner, with their state in memory."""

    def __init__(self, plan: Plan, decide_from_ms: int) -> None:
        policy = replace(plan.scoring, partitions=1, decide_from_ms=decide_from_ms)
        self.store, self.lessons = MemoryStore(), MemoryStore()
        self.scorer = Scorer(policy, plan.champion, lambda: self.lessons.read({"snapshot": 0})["snapshot"])
        self.learner = Learner(plan.learning)
        self.not_new = 0
        self._offsets: dict[str, int] = {}

    def live_through(self, events: Iterable[Past]) -> list[ExampleReady]:
        """One day of the history, and the examples whose outcomes it brings."""
        self.scorer.prepare()
        decision = _decide(self.scorer, self.store, self._runs(events))
        self.not_new += decision.counts.get("not_new", 0)
        ready = [
            output.event
            for output in decision.outputs
            if isinstance(output, Announcement) and isinstance(output.event, ExampleReady)
        ]
        if ready:
            taught = tuple(self._record(EXAMPLES, example) for example in ready)
            _decide(self.learner, self.lessons, (Run(EXAMPLES, taught, ready[-1].occurred_at_ms),))
        return ready

    def _runs(self, events: Iterable[Past]) -> tuple[Run, ...]:
        """Before an event all that was due by then happens."""
        runs = []
        for at_ms, topic, event in events:
            runs += [Run("", (), at_ms - 1), Run(topic, (self._record(topic, event),), at_ms - 1)]
        return tuple(runs)

    def _record(self, topic: str, event: Event) -> Record:
        offset = self._offsets.get(topic, -1) + 1
        self._offsets[topic] = offset
        return Record(topic, 0, offset, event.occurred_at_ms, None, None, (), event)


def _decide(processor: Processor, store: MemoryStore, runs: tuple[Run, ...]) -> Decision:
    batch = Batch(0, store.position(0).entry, runs)
    needs = processor.needs(batch)
    loaded = store.load(0, needs.keys, needs.due_by_ms)
    more = store.load(0, processor.companions(key for _, key in loaded.due), -1).values
    decision = processor.decide(State({**loaded.values, **more}, {}, loaded.due), batch)
    store.apply(0, batch.entry, Position(batch.entry + 1), decision.writes)
    return decision


# ---- where histories come from ---------------------------------------------------------------------------------------


def of_topics(settings: Settings, registry: Registry) -> Iterator[Past]:
    """The history that lies on the namespace's own topics, by event time."""
    schemas, kafka = Schemas(registry), kafka_config(settings)

    def read(topic: str) -> Iterator[Past]:
        for message, _ in in_event_order(topic, settings, kafka, schemas):
            event = read_event(topic, message.value, message.headers, schemas, message.timestamp_ms)
            if not isinstance(event, Fault):
                yield Past(event.occurred_at_ms, topic, event)

    return _forwards(merge(*(read(topic) for topic in SOURCES), key=lambda past: past.at_ms))


def _forwards(history: Iterable[Past]) -> Iterator[Past]:
    """What comes late is told when it is read: time never goes back."""
    reached_ms = 0
    for past in history:
        reached_ms = max(reached_ms, past.at_ms)
        yield past._replace(at_ms=reached_ms)


# ---- where lessons go ------------------------------------------------------------------------------------------------


def refuse_taught(settings: Settings) -> None:
    """Raises `SettingsError` where the model has learnt something already: a warm start comes first, or not at all."""
    reader = KafkaReader(kafka_config(settings), f"{settings.namespace}.warm-start")
    try:
        low, end = reader.bounds(EXAMPLES, 0)
    finally:
        reader.close()
    if end > 0:
        raise SettingsError(
            "namespace",
            "one whose model has learnt nothing yet",
            f"{settings.namespace}, with {end - low} records on {settings.namespace}.{EXAMPLES}",
            "warm-start a new namespace: `maitred topics create` with another name, or `maitred rebuild --into`",
        )


def full_stop(lessons: Lessons) -> ModelChosen:
    """What comes behind the last example: the model is published as it is then."""
    return ModelChosen(
        choice_id=f"warm-start-{lessons.examples}", occurred_at_ms=lessons.last_ms, choice="warm_started"
    )


def learn_now(settings: Settings, has_learnt: Callable[[], bool], wait: Callable[[], object] = lambda: None) -> None:
    """Run the learner until `has_learnt`. Where a worker's learner runs already, that one does the work."""
    from streams.assembly import assemble  # noqa: PLC0415  # connects to the servers

    alone = replace(settings, worker=replace(settings.worker, processors=("learner",)))
    shell = assemble(alone).stations[0].shell
    try:
        while not has_learnt():
            shell.poll(POLL_MS)
            if cut := shell.cut():
                shell.process(cut)
            wait()
    finally:
        shell.close()
