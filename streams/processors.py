"""The three processors: a name, the sources, and a pure core each, in the one shape that the shells drive."""

from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec.structs import replace

from online_models import learner
from online_models.learner import LearnPolicy
from online_models.model import Model, load_model
from schemas.records import Batch, Decision, Needs, Output, Record, Rejection, Run, Seen, State
from streams import assignment, engine
from streams.assignment import AssignmentPolicy
from streams.door import Admitted, admit
from streams.scoring.policy import Policy


class Processor(Protocol):
    """A pure core with a name. `prepare` is the one moment, between batches, when a newer model may come in."""

    @property
    def name(self) -> str: ...

    @property
    def sources(self) -> tuple[str, ...]: ...

    def prepare(self) -> None: ...

    def needs(self, batch: Batch) -> Needs: ...

    def companions(self, due_keys: Iterable[str]) -> frozenset[str]:
        """Keys that must be loaded along with keys that fall due."""
        ...

    def decide(self, state: State, batch: Batch) -> Decision: ...


class Scorer:
    """Sole writer of profiles. `read_snapshot` gives the learner's newest snapshot and the entry it belongs to."""

    name = "scorer"
    sources = engine.SOURCES

    def __init__(self, policy: Policy, champion: str, read_snapshot: Callable[[], Seen]) -> None:
        self.policy, self.champion = policy, champion
        self._read_snapshot = read_snapshot
        self._entry = 0
        self._payload: bytes | None = None
        self.model: Model = load_model(None, champion)

    def prepare(self) -> None:
        """Take the newest model; a store that was set back never brings back an older one."""
        seen = self._read_snapshot()
        if seen.entry > self._entry and seen.value is not None:
            self._entry = seen.entry
            if seen.value != self._payload:  # most of the learner's entries publish nothing
                self._payload, self.model = seen.value, load_model(seen.value, self.champion)

    def needs(self, batch: Batch) -> Needs:
        return engine.needs(batch, self.policy)

    def companions(self, due_keys: Iterable[str]) -> frozenset[str]:
        return engine.companions(due_keys)

    def decide(self, state: State, batch: Batch) -> Decision:
        return engine.decide(state, batch, self.model, self.policy)


class Assigner:
    """Sole writer of loads, thresholds, waiting lists and assignments of its pools."""

    name = "assigner"
    sources = ("scores", "roster", "contacts")

    def __init__(self, policy: AssignmentPolicy, partitions: int) -> None:
        self.policy, self.partitions = policy, partitions

    def prepare(self) -> None:
        pass

    def needs(self, batch: Batch) -> Needs:
        admitted, _ = at_the_door(batch, self.partitions)
        return assignment.needs(admitted, self.policy)

    def companions(self, due_keys: Iterable[str]) -> frozenset[str]:
        return assignment.companions(due_keys)

    def decide(self, state: State, batch: Batch) -> Decision:
        admitted, turned_away = at_the_door(batch, self.partitions)
        return _with(turned_away, assignment.assign(state, admitted, self.policy), batch)


class Learner:
    """Sole writer of the model."""

    name = "learner"
    sources = ("examples",)

    def __init__(self, policy: LearnPolicy) -> None:
        self.policy = policy

    def prepare(self) -> None:
        pass

    def needs(self, batch: Batch) -> Needs:
        return learner.needs(batch)

    def companions(self, _due_keys: Iterable[str]) -> frozenset[str]:
        return frozenset()

    def decide(self, state: State, batch: Batch) -> Decision:
        admitted, turned_away = at_the_door(batch, 1)
        return _with(turned_away, learner.learn(state, admitted, self.policy), batch)


def at_the_door(batch: Batch, partitions: int) -> tuple[Batch, tuple[Output, ...]]:
    """The batch with the records that come in, and what becomes of the others."""
    turned_away: list[Output] = []

    def comes_in(record: Record) -> bool:
        verdict = admit(record, batch.partition, partitions)
        if isinstance(verdict, Admitted):
            return True
        turned_away.append(verdict)
        return False

    runs = tuple(Run(r.topic, tuple(filter(comes_in, r.records)), r.watermark_ms) for r in batch.runs)
    return replace(batch, runs=runs), tuple(turned_away)


def _with(turned_away: tuple[Output, ...], decision: Decision, batch: Batch) -> Decision:
    """The decision with what was turned away; rejections stand in the order of their records, whoever rejected."""
    if not turned_away:
        return decision
    place = {(record.topic, record.offset): number for number, record in enumerate(batch.records())}
    outputs = turned_away + decision.outputs
    rejections = [output for output in outputs if isinstance(output, Rejection)]
    rejections.sort(key=lambda rejection: place[rejection.record.topic, rejection.record.offset])
    others = (output for output in outputs if not isinstance(output, Rejection))
    return replace(decision, outputs=(*others, *rejections))
