"""START HERE. The scorer's core: what every record and every due moment leads to.

    needs(batch, policy) -> Needs                           which profiles and visitors must be loaded
    decide(state, batch, model, policy) -> Decision         the new state, and all that is announced

Both are pure: no clock, no chance, nothing opened. Records are applied in the order of the batch; after each run the
watermark moves, and what falls due by then happens in the order (due time, key), with features read as of their due time.
Any two cuts of one applied sequence into batches give equal bytes (tests/property/test_engine_cuts.py).

Around it: `door.py` (which records come in), `working.py` (state while a batch is decided), `looks.py` (scoring),
`labels.py` (what came of it), `tiers.py`. The other two cores have the same shape: `assignment.py`, `online_models/learner.py`.
"""

from collections import Counter
from collections.abc import Iterable

from features.profile import (
    Profile,
    Treatment,
    Visitor,
    absorb,
    browse_seen,
    decode_visitor,
    fold_browse,
    fold_order,
    fold_return,
    recognise,
    take_pending,
    visitor_is_linked,
)
from online_models.model import Model
from schemas.events import (
    AdvisorAssigned,
    AssignmentEnded,
    AssignmentWished,
    AssignmentWithheld,
    ConsentChanged,
    CustomerStanding,
    ErasureRequested,
    Event,
    ItemsReturned,
    OrderPlaced,
    OutsideRead,
    PageBrowsed,
)
from schemas.ids import caused_by_record, caused_by_time, partition_of
from schemas.records import (
    Announcement,
    Batch,
    Decision,
    Fault,
    Needs,
    Output,
    Record,
    Rejection,
    Reroute,
    State,
)
from streams.door import Admitted, admit
from streams.labels import examples, schedule_outcomes, watch_vip
from streams.looks import Look, schedule_looks, take_look, wants_second_look
from streams.policy import Policy
from streams.tier_watch import announcement, watch_tier
from streams.working import LOOKS, PROFILE, VISITOR, WATERMARK, Working

SOURCES = ("orders", "returns", "browse", "privacy", "assignments")


# ---- what a batch needs --------------------------------------------------------------------------------------------


def needs(batch: Batch, policy: Policy) -> Needs:
    """Keys of this partition, and visitors of others that an order names."""
    keys = {WATERMARK}
    outside: dict[str, int] = {}
    for record in batch.records():
        event = record.event
        if isinstance(event, PageBrowsed):
            keys.add(PROFILE + event.customer_id if event.customer_id else VISITOR + (event.visitor_id or ""))
        elif not isinstance(event, Fault) and (customer := getattr(event, "customer_id", None)) is not None:
            keys.update((PROFILE + customer, LOOKS + customer))
            if isinstance(event, OrderPlaced) and event.visitor_id:
                home = partition_of(event.visitor_id, policy.partitions)
                if home == batch.partition:
                    keys.add(VISITOR + event.visitor_id)
                else:
                    outside[VISITOR + event.visitor_id] = home
    return Needs(frozenset(keys), outside, batch.watermark_ms)


def companions(due_keys: Iterable[str]) -> frozenset[str]:
    """A profile that falls due is read together with its frozen looks."""
    return frozenset(LOOKS + key[len(PROFILE) :] for key in due_keys if key.startswith(PROFILE))


# ---- deciding ------------------------------------------------------------------------------------------------------


def decide(state: State, batch: Batch, model: Model, policy: Policy) -> Decision:
    """Everything that follows from a batch."""
    scorer = _Scorer(state, batch, model, policy)
    for run in batch.runs:
        for record in run.records:
            scorer.apply(record)
            scorer.catch_up()
        scorer.pass_time(run.watermark_ms)
    return scorer.decision()


class _Scorer:
    """One batch being decided."""

    def __init__(self, state: State, batch: Batch, model: Model, policy: Policy) -> None:
        self.working = Working(state)
        self.partition, self.model, self.policy = batch.partition, model, policy
        self.outputs: list[Output] = []
        self.reads: list[OutsideRead] = []
        self.counts: Counter[str] = Counter()

    def decision(self) -> Decision:
        return Decision(
            writes=self.working.writes(),
            outputs=tuple(self.outputs),
            model_version=self.model.version,
            policy_version=self.policy.version,
            reads=tuple(self.reads),
            counts=dict(self.counts),
        )

    # ---- records -------------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        match admit(record, self.partition, self.policy.partitions):
            case Admitted(_, event):
                self.counts[type(event).__name__] += 1
                self._fold(record, event)
            case other:
                self.counts["rerouted" if isinstance(other, Reroute) else "rejected"] += 1
                self.outputs.append(other)

    def _fold(self, record: Record, event: Event) -> None:
        match event:
            case PageBrowsed():
                self._browsed(record, event)
            case OrderPlaced():
                self._ordered(record, event)
            case ItemsReturned():
                self._returned(record, event)
            case AdvisorAssigned() | AssignmentWithheld() | AssignmentEnded():
                self._treated(event)
            case ConsentChanged():
                self._consented(record, event)
            case AssignmentWished():
                self._wished(record, event)
            case ErasureRequested():
                self._erased(record, event)
            case _:
                raise TypeError(f"{record.where}: {type(event).__name__} does not belong here")

    def _browsed(self, record: Record, event: PageBrowsed) -> None:
        if event.currency is not None and not self._converts(record, event.currency):
            return
        at_ms = event.occurred_at_ms
        if event.customer_id is not None:
            profile = self.working.profile_or_new(event.customer_id, at_ms, record)
            if not self._is_repeated(profile, event):
                fold_browse(profile, event, self.policy.rates)
                self.working.touch_profile(event.customer_id, profile)
        elif event.visitor_id is not None:
            visitor = self.working.visitor_or_new(event.visitor_id, at_ms)
            if not self._is_repeated(visitor, event):
                fold_browse(visitor, event, self.policy.rates)
                visitor.forget_at_ms = visitor.forget_at_ms or at_ms + self.policy.visitor_kept_ms
                self.working.touch_visitor(event.visitor_id, visitor)

    def _ordered(self, record: Record, order: OrderPlaced) -> None:
        if order.customer_id is None:
            self.counts["guests"] += 1
            return
        if not self._converts(record, order.currency):
            return
        profile = self.working.profile_or_new(order.customer_id, order.occurred_at_ms, record)
        if not self._is_new(record, order, profile, "order_id", order.order_id):
            return
        self._meet_visitor(record, order, profile)
        is_first = profile.first_purchase is None
        fold_order(profile, order, self.policy.rates, self.policy.outcomes_ms)
        if is_first:
            self._first_purchase(record, order, profile)
        elif wants_second_look(profile, order.occurred_at_ms, self.policy):
            self._look(record, profile, Look("order", order.occurred_at_ms))
        self._after_money(record, profile)

    def _first_purchase(self, record: Record, order: OrderPlaced, profile: Profile) -> None:
        """A customer is met: market and pool are fixed for good, and the first look is taken."""
        profile.is_new = profile.is_new and order.occurred_at_ms >= self.policy.decide_from_ms
        if not profile.is_new:
            self.counts["not_new"] += 1
        else:
            self._look(record, profile, Look("first", order.occurred_at_ms, order))
            schedule_looks(profile, self.policy)
            schedule_outcomes(profile, self.policy)
        if profile.wish:
            self._stand(record, profile, order.occurred_at_ms, f"wish_{profile.wish}", profile.wish_advisor)

    def _returned(self, record: Record, event: ItemsReturned) -> None:
        if event.customer_id is None:
            self.counts["guests"] += 1
            return
        if not self._converts(record, event.currency):
            return
        profile = self.working.profile_or_new(event.customer_id, event.occurred_at_ms, record)
        if not self._is_new(record, event, profile, "return_id", event.return_id):
            return
        fold_return(profile, event, self.policy.rates, self.policy.outcomes_ms)
        if wants_second_look(profile, event.occurred_at_ms, self.policy):
            self._look(record, profile, Look("return", event.occurred_at_ms))
        self._after_money(record, profile)

    def _after_money(self, record: Record, profile: Profile) -> None:
        """Tiers and VIP status after an order or a return."""
        at_ms = max(profile.last_seen_ms, profile.tier.reviewed_ms)
        self._review_tier(profile, at_ms, caused_by_record(record, "TierChanged"))
        if watch_vip(profile, at_ms, self.policy):
            self._stand(record, profile, at_ms, "vip_reached")
        self.working.touch_profile(profile.customer_id, profile)

    def _treated(self, event: AdvisorAssigned | AssignmentWithheld | AssignmentEnded) -> None:
        """What the assigner decided comes back: examples carry the arm. An erased customer is not brought back by it."""
        profile = self.working.profile(event.customer_id)
        if profile is None or isinstance(event, AssignmentEnded):
            return
        arm = "control" if isinstance(event, AssignmentWithheld) else event.arm
        if profile.treatment is None or arm != "none":
            profile.treatment = Treatment(arm, event.assignment_id, event.propensity, event.occurred_at_ms)
            self.working.touch_profile(event.customer_id, profile)

    def _consented(self, record: Record, event: ConsentChanged) -> None:
        profile = self.working.profile_or_new(event.customer_id, event.occurred_at_ms, record)
        profile.consent = 1 if event.granted else 2
        standing = "consent_granted" if event.granted else "consent_withdrawn"
        self._stand(record, profile, event.occurred_at_ms, standing)
        self.working.touch_profile(event.customer_id, profile)

    def _wished(self, record: Record, event: AssignmentWished) -> None:
        profile = self.working.profile_or_new(event.customer_id, event.occurred_at_ms, record)
        profile.wish, profile.wish_advisor = event.wish, event.advisor_id
        self._stand(record, profile, event.occurred_at_ms, f"wish_{event.wish}", event.advisor_id)
        self.working.touch_profile(event.customer_id, profile)

    def _erased(self, record: Record, event: ErasureRequested) -> None:
        profile = self.working.profile(event.customer_id)
        if profile is None:
            return
        self._stand(record, profile, event.occurred_at_ms, "erased")
        self.working.touch_profile(event.customer_id, None)
        self.working.touch_looks(event.customer_id, None)

    # ---- what falls due ------------------------------------------------------------------------------------------

    def pass_time(self, watermark_ms: int) -> None:
        self.working.watermark_ms = max(self.working.watermark_ms, watermark_ms)
        self.catch_up()

    def catch_up(self) -> None:
        """Whatever is due by the watermark happens now: also what a late record makes due in the past."""
        while (item := self.working.pop_due()) is not None:
            due_ms, key = item
            if key.startswith(VISITOR):
                self._forget_visitor(key[len(VISITOR) :], due_ms)
            else:
                self._fall_due(key[len(PROFILE) :], due_ms)

    def _fall_due(self, customer_id: str, due_ms: int) -> None:
        profile = self.working.profile(customer_id)
        assert profile is not None  # only live profiles have something due
        kind = take_pending(profile).kind
        if kind.startswith("day_"):
            if wants_second_look(profile, due_ms, self.policy):
                self._look(None, profile, Look(kind, due_ms))
        elif kind.startswith("outcome_"):
            self._outcome(profile, int(kind.removeprefix("outcome_")), due_ms)
        else:
            profile.tier.reviewed_ms = due_ms
            self._review_tier(profile, due_ms, self._moment(profile, due_ms, "TierChanged"))
        self.working.touch_profile(customer_id, profile)

    def _outcome(self, profile: Profile, horizon_days: int, due_ms: int) -> None:
        """Examples of every frozen look; at the last horizon the looks have served."""
        looks = self.working.looks(profile.customer_id)
        if looks is None:
            return
        cause = self._moment(profile, due_ms, "ExampleReady")
        for example in examples(profile, looks, horizon_days, due_ms, cause, self.policy):
            self.outputs.append(Announcement("examples", profile.customer_id, example))
            self.counts["examples"] += 1
        if horizon_days == max(self.policy.outcomes_days):
            self.working.touch_looks(profile.customer_id, None)

    def _forget_visitor(self, visitor_id: str, due_ms: int) -> None:
        """A visitor who was not seen for long is forgotten; one who was gets another term."""
        visitor = self.working.visitor(visitor_id)
        assert visitor is not None
        until_ms = visitor.last_seen_ms + self.policy.visitor_kept_ms
        visitor.forget_at_ms = until_ms
        self.working.touch_visitor(visitor_id, visitor if until_ms > due_ms else None)

    # ---- shared steps --------------------------------------------------------------------------------------------

    def _is_new(
        self, record: Record, event: OrderPlaced | ItemsReturned, profile: Profile, field: str, document_id: str
    ) -> bool:
        """Neither a repetition nor another document under a known id."""
        known = recognise(profile, document_id, event)
        if known == "conflict":
            cure = f"give every document its own {field}; send corrections as returns or new orders"
            self._reject(record, Fault("conflict", field, "the content sent before under this id", document_id, cure))
        self.counts["duplicates"] += known == "duplicate"
        return known == "new"

    def _is_repeated(self, who: Profile | Visitor, event: PageBrowsed) -> bool:
        repeated = browse_seen(who, event.event_id)
        self.counts["duplicates"] += repeated
        return repeated

    def _converts(self, record: Record, currency: str) -> bool:
        """Whether amounts in this currency can be counted."""
        rates = self.policy.rates
        if not rates.knows(currency):
            cure = "add its rate to [money.rates], then retry"
            self._reject(
                record, Fault("wrong_currency", "currency", f"one of {', '.join(rates.known)}", currency, cure)
            )
        return rates.knows(currency)

    def _reject(self, record: Record, fault: Fault) -> None:
        self.counts["rejected"] += 1
        self.outputs.append(Rejection(record, fault))

    def _meet_visitor(self, record: Record, order: OrderPlaced, profile: Profile) -> None:
        """What the browser of this order looked at before is the customer's from now on, once for each visitor."""
        if order.visitor_id is None or visitor_is_linked(profile, order.visitor_id):
            return
        key = VISITOR + order.visitor_id
        home = partition_of(order.visitor_id, self.policy.partitions)
        if home == self.partition:
            visitor = self.working.visitor(order.visitor_id)
        else:
            seen = self.working.outside()[key]
            visitor = decode_visitor(seen.value) if seen.value is not None else None
            self.reads.append(
                OutsideRead(topic=record.topic, offset=record.offset, key=key, partition=home, entry=seen.entry)
            )
        if visitor is not None:
            absorb(profile, visitor)

    def _look(self, record: Record | None, profile: Profile, look: Look) -> None:
        looks = self.working.looks(profile.customer_id)
        if looks is None and look.order is None:  # a record so late that the looks have served already
            self.counts["looks_too_late"] += 1
            return
        cause = caused_by_record(record, "CustomerScored") if record else self._moment(profile, look.at_ms, look.name)
        scored, looks = take_look(profile, looks, look, cause, self.model, self.policy)
        self.outputs.append(Announcement("scores", scored.pool, scored))
        self.counts["looks"] += 1
        self.working.touch_looks(profile.customer_id, looks)

    def _moment(self, profile: Profile, due_ms: int, kind: str) -> str:
        """The id of what time alone causes."""
        return caused_by_time(self.partition, f"{profile.customer_id}/{profile.born}", due_ms, kind)

    def _review_tier(self, profile: Profile, at_ms: int, cause: str) -> None:
        for number, change in enumerate(watch_tier(profile, at_ms, self.policy)):
            announced = announcement(profile, change, at_ms, f"{cause}/{number}", self.policy)
            self.outputs.append(Announcement("tier-changes", profile.customer_id, announced))
            self.counts["tier_changes"] += 1

    def _stand(
        self, record: Record, profile: Profile, at_ms: int, standing: str, advisor_id: str | None = None
    ) -> None:
        """Tell the assigner; of a customer who has bought nothing yet it need not know."""
        if profile.market is None:
            return
        event = CustomerStanding(
            id=caused_by_record(record, standing),
            customer_id=profile.customer_id,
            pool=self.policy.pool_of(profile.market),
            occurred_at_ms=at_ms,
            standing=standing,  # type: ignore[arg-type]  # all callers pass one of the schema's words
            advisor_id=advisor_id,
            language=profile.language,
        )
        self.outputs.append(Announcement("scores", event.pool, event))
