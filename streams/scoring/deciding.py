"""What all decisions of the scorer share: one batch being decided, the state it works on, and what follows so far.

What happens to a customer is decided next door (`shopping.py`, `privacy.py`, `accounts.py`, `due.py`); here is how a look
is taken, a tier reviewed, the assigner told, a record set aside.
"""

from collections import Counter

from features.profile import WITHDRAWN, Profile
from online_models.model import Model
from schemas.events import Brief, CustomerStanding, Event, OutsideRead
from schemas.ids import caused_by_record, caused_by_time
from schemas.records import Announcement, Batch, Decision, Fault, Output, Record, Rejection, State
from streams.scoring.labels import watch_vip
from streams.scoring.looks import Look, brief, take_look, tell_again, waits_for_consent
from streams.scoring.policy import Policy
from streams.scoring.tier_watch import announcement, watch_tier
from streams.scoring.working import Working

CONSENT_STANDINGS = ("", "consent_granted", "consent_withdrawn")


class Deciding:
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

    # ---- what is said --------------------------------------------------------------------------------------------

    def announce(self, topic: str, key: str, event: Event) -> None:
        self.outputs.append(Announcement(topic, key, event))

    def reject(self, record: Record, fault: Fault) -> None:
        self.counts["rejected"] += 1
        self.outputs.append(Rejection(record, fault))

    def stand(self, record: Record, profile: Profile, at_ms: int, standing: str, into: str | None = None) -> None:
        """Tell the assigner; of a customer who has bought nothing yet, and is not served, it need not know."""
        is_wish = standing == "wish_manual"
        for ordinal, pool in enumerate(self.pools_of(profile)[: 1 if is_wish else None]):
            event = CustomerStanding(
                id=caused_by_record(record, standing, ordinal),
                customer_id=profile.customer_id,
                pool=pool,
                occurred_at_ms=at_ms,
                standing=standing,  # type: ignore[arg-type]  # all callers pass one of the schema's words
                advisor_id=profile.wish_advisor if is_wish else None,
                language=profile.language,
                into_customer_id=into,
                brief=self._brief(profile) if is_wish else None,
            )
            self.announce("scores", pool, event)

    def pools_of(self, profile: Profile) -> tuple[str, ...]:
        """The pools that are to know of a customer: that of the home market, and all that ever decided about them."""
        home = () if profile.market is None else (self.policy.pool_of(profile.market),)
        return tuple(dict.fromkeys((*home, *profile.pools)))

    def stand_by_consent(self, record: Record, profile: Profile, at_ms: int) -> None:
        self.stand(record, profile, at_ms, CONSENT_STANDINGS[profile.consent])

    def stand_by_wish(self, record: Record, profile: Profile, at_ms: int) -> None:
        self.stand(record, profile, at_ms, f"wish_{profile.wish or 'lifted'}")

    def warn(self, record: Record, profile: Profile, at_ms: int) -> None:
        """Tell pools that have just learnt of a customer what they must not go against."""
        if profile.consent == WITHDRAWN:
            self.stand_by_consent(record, profile, at_ms)
        if profile.wish == "never":
            self.stand_by_wish(record, profile, at_ms)

    def _brief(self, profile: Profile) -> Brief:
        return brief(profile, self.working.looks(profile.customer_id))

    # ---- what follows from more than one kind of event -----------------------------------------------------------

    def look(self, record: Record | None, profile: Profile, look: Look) -> None:
        """Score a customer. Time alone causes it where there is no record."""
        looks = self.working.looks(profile.customer_id)
        if looks is None and look.order is None:  # a record so late that the looks have served already
            self.counts["looks_too_late"] += 1
            return
        if looks is not None and look.order is None and not looks.is_current:  # frozen by an earlier release
            self.counts["looks_of_other_features"] += 1
            return
        cause = caused_by_record(record, "CustomerScored") if record else self.moment(profile, look.at_ms, look.name)
        scored, looks = take_look(profile, looks, look, cause, self.model, self.policy)
        self.announce("scores", scored.pool, scored)
        self.counts["looks"] += 1
        self.working.touch_looks(profile.customer_id, looks)

    def look_with_consent(self, record: Record, profile: Profile, at_ms: int) -> None:
        """Consent may be there now that the last look had to do without."""
        looks = self.working.looks(profile.customer_id)
        if looks is not None and waits_for_consent(profile, looks, at_ms, self.policy):
            cause = caused_by_record(record, "CustomerScored")
            scored = tell_again(profile, looks, at_ms, cause, self.model, self.policy)
            self.announce("scores", scored.pool, scored)
            self.counts["looks_told_again"] += 1
            self.working.touch_looks(profile.customer_id, looks)

    def moment(self, profile: Profile, due_ms: int, kind: str) -> str:
        """The id of what time alone causes."""
        return caused_by_time(self.partition, f"{profile.customer_id}/{profile.born}", due_ms, kind)

    def after_money(self, record: Record, profile: Profile) -> None:
        """Tiers and VIP status after what was bought or sent back is counted."""
        at_ms = max(profile.last_seen_ms, profile.tier.reviewed_ms)
        self.review_tier(profile, at_ms, caused_by_record(record, "TierChanged"))
        if watch_vip(profile, at_ms, self.policy):
            self.stand(record, profile, at_ms, "vip_reached")
        self.working.touch_profile(profile.customer_id, profile)

    def review_tier(self, profile: Profile, at_ms: int, cause: str) -> None:
        for number, change in enumerate(watch_tier(profile, at_ms, self.policy)):
            announced = announcement(profile, change, at_ms, f"{cause}/{number}", self.policy)
            self.announce("tier-changes", profile.customer_id, announced)
            self.counts["tier_changes"] += 1
