"""The sequel of a fold: score, learn and assign, in one pass through its moments.

    run = play(folded, variant)

Customers fold independently; only these three depend on each other. Each is the very core that workers run: a look gets the
features that refer to the model, and is scored by the model of that time; what is scored goes through the assigner; an outcome
that comes due makes examples, with the arm known by then, and they go through the learner, whose newest snapshot scores from
then on. Rows for tables are gathered on the way (`recording.py`).

Nothing here knows of processes: one pass is one core's work, and variants are played side by side (`replay.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from features.vector import FEATURES_VERSION, Basket, refer
from online_models.model import Model, Scored
from schemas.events import (
    AdvisorChanged,
    AssignmentEnded,
    AssignmentWithheld,
    ContactReported,
    CustomerScored,
    ExampleReady,
    PoolChanged,
    RelationImported,
)
from streams.policies import assignment_policy, learn_policy, scoring_policy
from streams.processors import Assigner, Learner, Scorer
from streams.replay.cores import HOUR_MS, Assigning, Decided, Learning
from streams.replay.moments import GivenMoment, LookMoment, Moment, OutcomeMoment, StandingMoment, TierMoment
from streams.replay.recording import Recording, Taken, packed, unpacked
from streams.replay.roster import DAY_MS, WEEK_MS, assumed_teams, entries, flow_of
from streams.replay.run import Run
from streams.replay.spending import Spending
from streams.replay.variants import Variant

MONDAY_MS: Final = 4 * DAY_MS  # 1970-01-05
EVERY: Final = 2_000  # moments between two words about progress


class Fold(Protocol):
    """What the sequel asks of a fold."""

    @property
    def start_ms(self) -> int: ...

    @property
    def end_ms(self) -> int: ...

    @property
    def counts(self) -> Mapping[str, int]: ...

    def moments(self) -> Iterator[Moment]: ...

    def spend(self) -> Iterator[Spending]: ...


class Arm(NamedTuple):
    """Whether, and how, a customer was treated."""

    arm: str
    assignment_id: str | None
    propensity: float | None


UNTREATED: Final = Arm("none", None, None)


def play(folded: Fold, variant: Variant, progress: Callable[[int], None] = lambda _moments: None) -> Run:
    """Everything that a variant decides over a fold's moments."""
    return _Sequel(folded, variant).play(progress)


class _Customer(Struct):
    """What a sequel keeps of a customer until the outcome is known."""

    looks: dict[int, tuple[Taken, Basket, bytes]] = {}
    last_ms: int = 0  # of the last thing that may have made the assigner act on them


class _Sequel:
    def __init__(self, folded: Fold, variant: Variant) -> None:
        self.folded, self.variant, settings = folded, variant, variant.settings
        self.policy, terms = scoring_policy(settings), assignment_policy(settings)
        self.recording = Recording(variant.name, self.policy)
        self.assigning = Assigning(
            Assigner(terms, settings.partitions), variant.assumed.contact_after_hours * HOUR_MS, self._hear
        )
        self.learning = Learning(Learner(learn_policy(settings)), self.recording.snapshot)
        self.scorer = Scorer(self.policy, settings.learning.champion, self.learning.newest)
        self.masked, self.acts_for_ms = variant.masked, max(terms.waiting_ms, WEEK_MS) + DAY_MS
        self.customers: dict[str, _Customer] = {}
        self.arms: dict[str, Arm] = {}
        self.notes: list[str] = []
        self.next_week_ms = 0
        self.has_own_roster = False
        self.contacts_left_out = 0

    # ---- the pass ------------------------------------------------------------------------------------------------------

    def play(self, progress: Callable[[int], None]) -> Run:
        spent = {one.customer_id: one for one in self.folded.spend()}
        self._hire(spent)
        for number, moment in enumerate(self.folded.moments(), 1):
            self._pass_weeks(moment.at_ms)
            self._take(moment, spent)
            if number % EVERY == 0:
                progress(EVERY)
        self._pass_weeks(self.folded.end_ms)
        self.assigning.decide_before(self.folded.end_ms + 1)
        self.recording.week(self.next_week_ms - WEEK_MS, self.assigning.pools())  # the one under way
        self.learning.learn()
        if self.contacts_left_out:
            self.notes.append(
                f"{self.contacts_left_out} contacts of the log were left out: they answer to assignments of their own time"
            )
        counts = {**self.assigning.core.counts, **self.learning.core.counts}
        return self.recording.run(self.folded.end_ms, counts, tuple(self.notes))

    def _take(self, moment: Moment, spent: dict[str, Spending]) -> None:
        match moment:
            case LookMoment():
                self._look(moment)
            case OutcomeMoment():
                self._outcome(moment, spent.get(moment.customer_id))
            case StandingMoment():
                self._touch(moment.customer_id, moment.at_ms)
                self.assigning.add("scores", moment.at_ms, moment.standing.pool, moment.standing)
                if moment.standing.standing == "vip_reached":
                    self.recording.vip(moment, self._arm_of(moment.customer_id, moment.at_ms).arm)
            case TierMoment():
                self.recording.tier(moment)
            case GivenMoment():
                self._given(moment)

    # ---- looks -----------------------------------------------------------------------------------------------------------

    def _look(self, moment: LookMoment) -> None:
        if self.learning.may_publish and self.learning.learn():
            self.scorer.prepare()
        model = self.scorer.model
        vector = self._seen(moment, model)
        scored = model.score(moment.scored.look, vector, self.policy.reasons)
        event = self._announced(moment.scored, scored, model)
        taken = self.recording.look(moment.at_ms, event)
        customer = self.customers.setdefault(moment.customer_id, _Customer())
        customer.looks[event.look_number] = taken, moment.basket, packed(vector)
        customer.last_ms = moment.at_ms
        self.assigning.add("scores", moment.at_ms, event.pool, event)

    def _seen(self, moment: LookMoment, model: Model) -> tuple[float, ...]:
        """The vector as the model sees it: with what it refers to, without what the variant keeps from it."""
        vector = refer(moment.vector, moment.basket, model.reference)
        if not self.masked:
            return vector
        hidden = list(vector)
        for place in self.masked:
            if place < len(hidden):
                hidden[place] = 0.0
        return tuple(hidden)

    def _announced(self, neutral: CustomerScored, scored: Scored, model: Model) -> CustomerScored:
        return replace(
            neutral,
            score=scored.score,
            base=scored.base,
            reasons=scored.reasons,
            expected_value_minor=scored.expected_value_minor,
            rule_score=scored.rule_score,
            rank=scored.rank,
            challengers=scored.challengers,
            model_version=model.version,
            policy_version=self.policy.version,
        )

    # ---- outcomes --------------------------------------------------------------------------------------------------------

    def _outcome(self, moment: OutcomeMoment, spent: Spending | None) -> None:
        customer = self.customers.get(moment.customer_id)
        if customer is None:
            return
        arm = self._arm_of(moment.customer_id, moment.at_ms)
        frozen = dict(moment.looks)
        for number, (taken, basket, vector) in customer.looks.items():
            is_example = number in frozen
            if is_example:
                example = self._example(moment, number, arm, taken, basket, vector)
                self.recording.digest.note("examples", example)
                self.learning.add(example)
            if is_example or moment.horizon_days == self.policy.horizon_days:
                self.recording.example(moment, taken, arm.arm, spent)
        if moment.horizon_days == self.policy.horizon_days:
            del self.customers[moment.customer_id]

    def _example(
        self, moment: OutcomeMoment, number: int, arm: Arm, taken: Taken, basket: Basket, vector: bytes
    ) -> ExampleReady:
        return ExampleReady(
            id=f"{moment.cause}/{moment.horizon_days}/{number}",
            customer_id=moment.customer_id,
            market=moment.market,
            look=taken.look,
            look_id=taken.look_id,
            looked_at_ms=taken.at_ms,
            occurred_at_ms=moment.at_ms,
            first_purchase_at_ms=moment.first_purchase_at_ms,
            horizon_days=moment.horizon_days,
            features=unpacked(vector),
            features_version=FEATURES_VERSION,
            first_order_minor=moment.first_order_minor,
            outcome_minor=moment.outcome_minor,
            is_vip=moment.is_vip,
            score=taken.score,
            model_version=taken.model_version,
            arm=arm.arm,  # type: ignore[arg-type]  # as the assigner's own events have it
            assignment_id=arm.assignment_id,
            propensity=arm.propensity,
            skus=basket.skus,
            categories=basket.categories,
            brands=basket.brands,
        )

    def _arm_of(self, customer_id: str, at_ms: int) -> Arm:
        """How a customer was treated before a moment. Whoever may be waiting for a place: the assigner is asked first."""
        customer = self.customers.get(customer_id)
        if customer is not None and at_ms - customer.last_ms <= self.acts_for_ms:
            self.assigning.decide_before(at_ms)
        return self.arms.get(customer_id, UNTREATED)

    def _touch(self, customer_id: str, at_ms: int) -> None:
        customer = self.customers.get(customer_id)
        if customer is not None:
            customer.last_ms = at_ms

    # ---- what is given from outside ------------------------------------------------------------------------------------

    def _hire(self, spent: dict[str, Spending]) -> None:
        """The variant's roster, else the log's, else one that is assumed."""
        assumed = self.variant.assumed
        teams = assumed.roster
        if not teams and not self.folded.counts.get(AdvisorChanged.__name__):
            teams, said = assumed_teams(self.variant, flow_of(spent.values(), self.policy.decide_from_ms))
            self.notes.append(said)
        self.has_own_roster = bool(teams)
        for entry in entries(teams, self.folded.start_ms):
            self.recording.advisor(entry)
            self.assigning.add("roster", self.folded.start_ms, entry.pool, entry)
        hours = assumed.contact_after_hours
        self.notes.append(
            f"contacts are assumed to be made {hours} hours after an assignment"
            if hours
            else "nobody is assumed to make contact: every service ends when its contact is overdue"
        )

    def _given(self, moment: GivenMoment) -> None:
        event = moment.event
        match event:
            case ContactReported():
                self.contacts_left_out += 1
                return
            case AdvisorChanged():
                if self.has_own_roster:
                    return
                self.recording.advisor(event)
            case RelationImported():
                self._touch(event.customer_id, moment.at_ms)
            case PoolChanged():
                pass
        self.assigning.add(moment.topic, moment.at_ms, event.pool, event)

    # ---- what is heard -------------------------------------------------------------------------------------------------

    def _hear(self, partition: int, decided: Decided) -> None:
        self.recording.decided(partition, decided)
        if isinstance(decided, AssignmentEnded):
            return
        arm = "control" if isinstance(decided, AssignmentWithheld) else decided.arm
        if decided.customer_id not in self.arms or arm != "none":  # as the scorer remembers it
            self.arms[decided.customer_id] = Arm(arm, decided.assignment_id, decided.propensity)

    def _pass_weeks(self, at_ms: int) -> None:
        """How full the pools are is noted at the end of each week, once all before it is decided."""
        if not self.next_week_ms:
            self.next_week_ms = (at_ms - MONDAY_MS) // WEEK_MS * WEEK_MS + MONDAY_MS + WEEK_MS
        while at_ms >= self.next_week_ms:
            self.assigning.decide_before(self.next_week_ms)
            self.recording.week(self.next_week_ms - WEEK_MS, self.assigning.pools())
            self.next_week_ms += WEEK_MS
