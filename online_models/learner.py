"""The learner's core: examples in order, each predicted first and learnt after.

    needs(batch) -> Needs
    learn(state, batch, policy) -> Decision

Pure, as the scorer's core is. What an example does:

- a first look at the reference horizon (the shortest: it is there months earlier) enters the reference distributions;
- one at the main horizon is predicted by the rule and by River, side by side, and then learnt by both;
- every `snapshot_every` examples that taught something, a snapshot is cut, named by the offset of its last example. Never
  at a batch's end: cutting the examples into other batches gives the same snapshots, byte for byte.

Customers whom the service changed are not like others: examples of the treatment arm teach nothing unless
`learn_from_treated` says so. Of those with high scores then only the control arm and whoever found no advisor teaches. That is
honest as a label, and thin: the base of the scores, not their ranking, suffers first. Weighing by propensity is open.
"""

from collections import Counter
from functools import cached_property
from typing import Final

from msgspec import Struct, field
from msgspec.msgpack import Decoder, Encoder

from features.vector import FEATURES_VERSION
from online_models.model import kind_of
from online_models.pipelines import NAMES, RIVER_VERSION, SPEC, Pipeline, resume, start
from online_models.rule import LOOKS, Rule
from online_models.snapshots import Parameters, Snapshot, checksum_of, pack
from online_models.validation import Pair, Ring, compare
from schemas.events import ExampleReady, SnapshotPublished
from schemas.ids import caused_by_record
from schemas.records import Announcement, Batch, Decision, Needs, Record, State, Write

MODEL: Final = "model"
SNAPSHOT: Final = "snapshot"
KINDS: Final = tuple(NAMES)


class LearnPolicy(Struct, frozen=True, kw_only=True):
    version: str = ""
    horizon_days: int = 180  # examples of this horizon teach the model
    reference_days: int = 30  # first looks of this one, the reference distributions
    snapshot_every: int = 200
    learn_from_treated: bool = False


class Learned(Struct, array_like=True):
    """All the learner needs to go on: the value of key `model`."""

    features_version: str = FEATURES_VERSION
    seen: int = 0  # examples, of whatever kind
    taught: int = 0  # examples that changed something
    rule: Rule = field(default_factory=Rule)
    river: dict[str, Parameters] = field(default_factory=lambda: {kind: start(kind) for kind in KINDS})
    rings: dict[str, Ring] = field(default_factory=lambda: {kind: Ring() for kind in KINDS})


_encoder = Encoder()
_decoder = Decoder(Learned)


def needs(_batch: Batch) -> Needs:
    return Needs(frozenset((MODEL,)))


def learn(state: State, batch: Batch, policy: LearnPolicy) -> Decision:
    """Everything that follows from a batch of examples."""
    lesson = _Lesson(_recall(state.values.get(MODEL)), policy)
    for record in batch.records():
        lesson.take(record, _example(record))
    return lesson.decision()


def _example(record: Record) -> ExampleReady:
    if not isinstance(record.event, ExampleReady):
        raise TypeError(f"{record.where}: {type(record.event).__name__} does not belong here")
    return record.event


def _recall(value: bytes | None) -> Learned:
    """What was learnt so far. Other features than those: River starts again, the rule knows what it knew."""
    learned = Learned() if value is None else _decoder.decode(value)
    if learned.features_version == FEATURES_VERSION:
        return learned
    return Learned(seen=learned.seen, taught=learned.taught, rule=learned.rule)


class _Student:
    """One kind of look: a pipeline, and the predictions made in this batch."""

    def __init__(self, kind: str, learned: Learned) -> None:
        self._kind, self._learned = kind, learned
        self._pairs: list[Pair] = []

    @cached_property
    def _pipeline(self) -> Pipeline:
        return resume(self._kind, self._learned.river[self._kind])

    def take(self, example: ExampleReady, by_rule: float) -> None:
        """Predict, then learn."""
        by_river = self._pipeline.predict(example.features)
        self._pairs.append(Pair(by_rule, by_river, example.is_vip))
        self._pipeline.learn(example.features, outcome=example.is_vip)

    def hand_in(self) -> None:
        """Bring what was learnt into the state."""
        if self._pairs:
            self._learned.river[self._kind] = self._pipeline.parameters()
            self._learned.rings[self._kind] = self._learned.rings[self._kind].extended(self._pairs)
            self._pairs = []


class _Lesson:
    """One batch being learnt."""

    def __init__(self, learned: Learned, policy: LearnPolicy) -> None:
        self.learned, self.policy = learned, policy
        self.students = {kind: _Student(kind, learned) for kind in KINDS}
        self.published: list[SnapshotPublished] = []
        self.counts: Counter[str] = Counter()

    def take(self, record: Record, example: ExampleReady) -> None:
        self.learned.seen += 1
        if example.features_version != FEATURES_VERSION or example.look not in LOOKS:
            self.counts["examples_of_other_features"] += 1
            return
        met, taught = self._meet(example), self._teach(example)
        if not met and not taught:
            return
        self.learned.taught += 1
        if self.learned.taught % self.policy.snapshot_every == 0:
            self._publish(record, example)

    def _meet(self, example: ExampleReady) -> bool:
        if example.look != "first" or example.horizon_days != self.policy.reference_days:
            return False
        self.learned.rule.meet(example.market, example.features)
        return True

    def _teach(self, example: ExampleReady) -> bool:
        if example.horizon_days != self.policy.horizon_days:
            self.counts["examples_of_other_horizons"] += 1
            return False
        if example.arm == "treatment" and not self.policy.learn_from_treated:
            self.counts["examples_of_treated"] += 1
            return False
        by_rule = self.learned.rule.follow(example.look, example.features, outcome=example.is_vip)
        self.students[kind_of(example.look)].take(example, by_rule)
        self.counts["examples_learnt"] += 1
        return True

    def _publish(self, record: Record, example: ExampleReady) -> None:
        payload = pack(self._snapshot(str(record.offset)))
        self.published.append(
            SnapshotPublished(
                id=caused_by_record(record, "SnapshotPublished"),
                version=str(record.offset),
                occurred_at_ms=example.occurred_at_ms,
                examples_seen=self.learned.seen,
                spec=SPEC,
                river_version=RIVER_VERSION,
                features_version=FEATURES_VERSION,
                payload=payload,
                checksum=checksum_of(payload),
            )
        )

    def _snapshot(self, version: str) -> Snapshot:
        self._hand_in()
        return Snapshot(
            version=version,
            examples_seen=self.learned.seen,
            spec=SPEC,
            river_version=RIVER_VERSION,
            features_version=FEATURES_VERSION,
            rule=self.learned.rule,
            river=self.learned.river,
            verdicts={kind: compare(self.learned.rings[kind].pairs()) for kind in KINDS},
        )

    def _hand_in(self) -> None:
        for student in self.students.values():
            student.hand_in()

    def decision(self) -> Decision:
        self._hand_in()
        writes = [Write(MODEL, _encoder.encode(self.learned))]
        if self.published:
            writes.append(Write(SNAPSHOT, self.published[-1].payload))
        return Decision(
            writes=tuple(writes),
            outputs=tuple(Announcement("snapshots", MODEL, published) for published in self.published),
            policy_version=self.policy.version,
            counts=dict(self.counts),
        )
