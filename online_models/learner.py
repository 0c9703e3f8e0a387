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
from collections.abc import Mapping
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, field
from msgspec.msgpack import Decoder, Encoder

from features.vector import FEATURES_VERSION
from online_models import champions
from online_models.anchored import Anchored
from online_models.champions import Standing, proved_better, refuse
from online_models.drift import Lookout, has_worsened
from online_models.label_policies import STRATEGIES, Horizons, LabelPolicy, Lesson, Memory
from online_models.model import MODELS, kind_of, refuse_unusable
from online_models.pipelines import NAMES, RIVER_VERSION, SPEC, resume, start
from online_models.rule import LOOKS, Rule
from online_models.snapshots import Parameters, Snapshot, checksum_of, pack, refuse_payload
from online_models.validation import Ring, Told, compare, compare_each
from schemas.events import ExampleReady, ModelChosen, SnapshotPublished
from schemas.ids import caused_by_record
from schemas.records import Announcement, Batch, Decision, Fault, Needs, Output, Record, Rejection, State, Write

if TYPE_CHECKING:
    from online_models.river_pipeline import Pipeline

MODEL: Final = "model"
SNAPSHOT: Final = "snapshot"
KINDS: Final = tuple(NAMES)
Cause = Literal["examples", "promoted", "promoted_by_rule", "rolled_back", "followed", "warm_started", "drift"]


class LearnPolicy(Struct, frozen=True, kw_only=True):
    version: str = ""
    horizon_days: int = 180  # examples of this horizon teach the model
    reference_days: int = 30  # first looks of this one, the reference distributions
    snapshot_every: int = 200
    learn_from_treated: bool = False
    labels: LabelPolicy = "wait"
    champion: str = "rule"  # as configured
    challengers: tuple[str, ...] = ()  # score beside it
    promotes_by_rule: bool = False
    promote_after: int = 1_000  # examples of first looks
    drift_action: Literal["report", "fall_back", "forget"] = "report"
    fall_back_examples: int = 500  # of a kind of look, after drift


class Learned(Struct, array_like=True):
    """All the learner needs to go on: the value of key `model`."""

    features_version: str = FEATURES_VERSION
    seen: int = 0  # examples, of whatever kind
    taught: int = 0  # examples that changed something
    rule: Rule = field(default_factory=Rule)
    river: dict[str, Parameters] = field(default_factory=lambda: {kind: start(kind) for kind in KINDS})
    rings: dict[str, Ring] = field(default_factory=lambda: {kind: Ring() for kind in KINDS})
    standing: Standing = Standing()
    lookout: Lookout = field(default_factory=Lookout)
    anchored: Anchored = field(default_factory=Anchored)
    memory: Memory = field(default_factory=Memory)


_encoder = Encoder()
_decoder = Decoder(Learned)


def needs(_batch: Batch) -> Needs:
    return Needs(frozenset((MODEL,)))


def learn(state: State, batch: Batch, policy: LearnPolicy) -> Decision:
    """Everything that follows from a batch of examples."""
    lesson = _Lesson(recall(state.values.get(MODEL)), policy)
    for record in batch.records():
        match record.event:
            case ExampleReady() as example:
                lesson.take(record, example)
            case ModelChosen() as choice:
                lesson.obey(record, choice)
            case other:
                raise TypeError(f"{record.where}: {type(other).__name__} does not belong here")
    return lesson.decision()


def recall(value: bytes | None) -> Learned:
    """What was learnt so far. Other features than those: River starts again, the rule knows what it knew."""
    learned = Learned() if value is None else _decoder.decode(value)
    if learned.features_version == FEATURES_VERSION:
        return learned
    return Learned(seen=learned.seen, taught=learned.taught, rule=learned.rule, standing=learned.standing)


class Progress(Struct, array_like=True):
    """How far the learner has come: what `Learned` begins with, read without the rest."""

    features_version: str
    seen: int
    taught: int


def may_teach(example: ExampleReady, policy: LearnPolicy) -> bool:
    """False: it will change nothing, whatever was learnt before, and leads to no snapshot."""
    if example.horizon_days == policy.horizon_days or policy.labels != "wait":
        return True
    return example.look == "first" and example.horizon_days == policy.reference_days


class _Student:
    """One kind of look: a pipeline, and the predictions made in this batch."""

    def __init__(self, kind: str, learned: Learned) -> None:
        self._kind, self._learned = kind, learned
        self._told: list[Told] = []

    @cached_property
    def _pipeline(self) -> "Pipeline":
        return resume(self._kind, self._learned.river[self._kind])

    def practise(self, example: ExampleReady, lesson: Lesson, *, knows_amount: bool = True) -> None:
        """What a label policy makes of an example teaches the anchored model."""
        amount = example.outcome_minor if knows_amount else None
        self._learned.anchored.learn(
            self._learned.rule, example.look, example.features, amount, outcome=lesson.outcome, weight=lesson.weight
        )

    def take(self, example: ExampleReady, lesson: Lesson | None) -> dict[str, float]:
        """Predict, then learn. Returns what each model had said."""
        rule, outcome = self._learned.rule, example.is_vip
        by_anchored = self._learned.anchored.told(rule, example.look, example.features)
        if lesson is not None:
            self.practise(example, lesson)
        by_rule = rule.follow(example.look, example.features, outcome=outcome)
        by_river = self._pipeline.predict(example.features)
        self._told.append(Told(by_rule, by_river, by_anchored, outcome))
        self._pipeline.learn(example.features, outcome=outcome)
        return {"rule": by_rule, "river": by_river, "anchored": by_anchored}

    def forget(self) -> None:
        """What was learnt holds no more: both models start at the rule again."""
        self._learned.river[self._kind] = start(self._kind)
        vars(self).pop("_pipeline", None)
        for look in LOOKS:
            if kind_of(look) == self._kind:
                self._learned.anchored.forget(look)

    def hand_in(self) -> None:
        """Bring what was learnt into the state."""
        if self._told:
            self._learned.river[self._kind] = self._pipeline.parameters()
            self._learned.rings[self._kind] = self._learned.rings[self._kind].extended(self._told)
            self._told = []


def _malformed(example: ExampleReady) -> Fault | None:
    """Why nothing can be learnt from an example, if nothing can: one wrong number would stay in the model for ever."""
    got, count = example.features, len(NAMES[kind_of(example.look)])
    if len(got) == count and isfinite(sum(got)):
        return None
    told = f"{len(got)} of them" + ("" if len(got) != count else ", not all finite")
    return Fault("invalid", "features", f"{count} finite numbers", told, "leave the writing of examples to the scorer")


class _Lesson:
    """One batch being learnt."""

    def __init__(self, learned: Learned, policy: LearnPolicy) -> None:
        self.learned, self.policy = learned, policy
        self.students = {kind: _Student(kind, learned) for kind in KINDS}
        self.outputs: list[Output] = []
        self.scoring: bytes | None = None  # the payload that scores from now on, where that changes
        self.counts: Counter[str] = Counter()
        self.changed = False  # what scores must change before the next snapshot is due

    def take(self, record: Record, example: ExampleReady) -> None:
        self.learned.seen += 1
        if example.features_version != FEATURES_VERSION or example.look not in LOOKS:
            self.counts["examples_of_other_features"] += 1
            return
        if fault := _malformed(example):
            self.outputs.append(Rejection(record, fault))
            return
        met, taught = self._meet(example), self._teach(example)
        if not met and not taught:
            return
        self.learned.taught += 1
        if self.learned.taught % self.policy.snapshot_every == 0:
            self._publish(record, "promoted_by_rule" if self._promoted() else "examples")
        elif self.changed:
            self._publish(record, "drift")

    def _meet(self, example: ExampleReady) -> bool:
        if example.look != "first" or example.horizon_days != self.policy.reference_days:
            return False
        if example.arm != "treatment" or self.policy.learn_from_treated:
            self.learned.anchored.note(self.learned.rule, example.features, example.skus, example.outcome_minor)
        self.learned.rule.meet(example.market, example.features)
        self.learned.lookout.see_first_order(example.features, example.occurred_at_ms)
        return True

    def _teach(self, example: ExampleReady) -> bool:
        is_main = example.horizon_days == self.policy.horizon_days
        if not is_main:
            self.counts["examples_of_other_horizons"] += 1
            if self.policy.labels == "wait":
                return False
        if example.arm == "treatment" and not self.policy.learn_from_treated:
            self.counts["examples_of_treated"] += 1
            return False
        lesson, student = self._lesson(example), self.students[kind_of(example.look)]
        if not is_main:
            if lesson is not None:
                student.practise(example, lesson, knows_amount=False)
            return lesson is not None
        predicted = student.take(example, lesson)
        self._watch(example, predicted)
        self.counts["examples_learnt"] += 1
        return True

    def _lesson(self, example: ExampleReady) -> Lesson | None:
        """What the label policy makes of an example."""
        horizons = Horizons(self.policy.reference_days, self.policy.horizon_days)
        learned = self.learned

        def told() -> float:
            return learned.anchored.told(learned.rule, example.look, example.features)

        return STRATEGIES[self.policy.labels](example, horizons, learned.memory, told)

    def _publish(self, record: Record, cause: Cause, payload: bytes | None = None) -> None:
        """Publish what is learnt; `payload` is an earlier snapshot that scores instead."""
        assert isinstance(record.event, ExampleReady | ModelChosen)
        version, standing, self.changed = str(record.offset), self.learned.standing, False
        learnt = pack(self._snapshot(version))
        if payload is not None or not standing.held:
            self.scoring = payload or learnt
        published = SnapshotPublished(
            id=caused_by_record(record, "SnapshotPublished"),
            version=version,
            occurred_at_ms=record.event.occurred_at_ms,
            examples_seen=self.learned.seen,
            spec=SPEC,
            river_version=RIVER_VERSION,
            features_version=FEATURES_VERSION,
            payload=learnt,
            checksum=checksum_of(learnt),
            cause=cause,
            champion=standing.promoted,
            scoring_version=standing.held,
            drift=self.learned.lookout.tell(),
        )
        self.outputs.append(Announcement("snapshots", MODEL, published))

    # ---- who scores ------------------------------------------------------------------------------------------------

    def obey(self, record: Record, choice: ModelChosen) -> None:
        """What an operator has chosen is published at once; what can't be done is set aside."""
        fault = refuse(choice, MODELS)
        if not fault and choice.payload:
            fault = refuse_payload(choice.version or "", choice.payload) or refuse_unusable(choice.payload)
        if fault:
            self.outputs.append(Rejection(record, fault))
            return
        before, self.learned.standing = self.learned.standing, champions.obey(self.learned.standing, choice)
        if self.learned.standing.promoted != before.promoted:
            self.learned.lookout.forget_the_model()
        self._publish(record, choice.choice, choice.payload)

    def _promoted(self) -> bool:
        """Whether a challenger has just earned it."""
        if not self.policy.promotes_by_rule:
            return False
        self._hand_in()
        champion = self.learned.standing.champion(self.policy.champion)
        trials = {
            name: {kind: compare(self.learned.rings[kind].pairs(name, champion)) for kind in KINDS}
            for name in self.learned.standing.beside(self.policy.champion, self.policy.challengers)
        }
        winner = proved_better(trials, self.policy.promote_after)
        if winner is None:
            return False
        self.learned.standing = champions.promote(self.learned.standing, winner)
        self.learned.lookout.forget_the_model()
        return True

    def _watch(self, example: ExampleReady, predicted: Mapping[str, float]) -> None:
        """Look out for drift, and do about it what is configured."""
        kind, standing = kind_of(example.look), self.learned.standing
        by_champion = predicted[standing.champion(self.policy.champion)]
        found = self.learned.lookout.see_outcome(
            kind, by_champion, predicted["rule"], example.occurred_at_ms, outcome=example.is_vip
        )
        self.learned.standing = champions.pass_example(standing, kind)
        self.changed |= self.learned.standing.fallen_back.keys() != standing.fallen_back.keys()
        self.counts["drifts"] += len(found)
        if any(map(has_worsened, found)):
            self._answer(kind)

    def _answer(self, kind: str) -> None:
        match self.policy.drift_action:
            case "fall_back":
                self.learned.standing = champions.fall_back(self.learned.standing, kind, self.policy.fall_back_examples)
                self.changed = True
            case "forget":
                self.students[kind].forget()
                self.changed = True
            case "report":
                pass

    def _snapshot(self, version: str) -> Snapshot:
        self._hand_in()
        verdicts, guards = {}, {}
        for kind in KINDS:
            verdicts[kind], guards[kind] = compare_each(self.learned.rings[kind], ("river", "anchored"))
        return Snapshot(
            version=version,
            examples_seen=self.learned.seen,
            spec=SPEC,
            river_version=RIVER_VERSION,
            features_version=FEATURES_VERSION,
            rule=self.learned.rule,
            river=self.learned.river,
            verdicts=verdicts,
            anchored=self.learned.anchored,
            guards=guards,
            standing=self.learned.standing,
            challengers=self.learned.standing.beside(self.policy.champion, self.policy.challengers),
        )

    def _hand_in(self) -> None:
        for student in self.students.values():
            student.hand_in()

    def decision(self) -> Decision:
        self._hand_in()
        writes = [Write(MODEL, _encoder.encode(self.learned))]
        if self.scoring is not None:
            writes.append(Write(SNAPSHOT, self.scoring))
        return Decision(
            writes=tuple(writes),
            outputs=tuple(self.outputs),
            policy_version=self.policy.version,
            counts=dict(self.counts),
        )
