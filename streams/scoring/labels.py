"""Labels: what came of a first purchase, and the examples made of it.

The outcome is net spend after the first order (returns taken off) within a horizon, by event time. At each horizon every
look frozen by then becomes one example; the learner waits for the main horizon (label policies: DESIGN 6).
"""

from features.frozen import Looks
from features.profile import Pending, Profile, remind
from schemas.events import ExampleReady
from streams.scoring.policy import DAY_MS, Policy

OUTCOME, FORGET_LOOKS = "outcome_", "forget_looks"


def schedule_outcomes(profile: Profile, policy: Policy) -> None:
    assert profile.first_purchase is not None
    for days in policy.outcomes_days:
        remind(profile, profile.first_purchase.at_ms + days * DAY_MS, f"{OUTCOME}{days}")


def give_no_examples(profile: Profile) -> None:
    """Nothing is learnt from this customer; the frozen looks serve second looks until the last horizon, as ever."""
    outcomes = [item for item in profile.pending if item.kind.startswith(OUTCOME)]
    others = [item for item in profile.pending if item not in outcomes]
    profile.pending = sorted([*others, *(Pending(item.due_ms, FORGET_LOOKS) for item in outcomes[-1:])])


def examples(
    profile: Profile, looks: Looks, horizon_days: int, due_ms: int, cause: str, policy: Policy
) -> list[ExampleReady]:
    """One example for each look frozen by now."""
    first, treatment = profile.first_purchase, profile.treatment
    assert first is not None
    outcome_minor = profile.outcomes[policy.outcomes_days.index(horizon_days)]
    return [
        ExampleReady(
            id=f"{cause}/{horizon_days}/{look.number}",
            customer_id=profile.customer_id,
            market=profile.market or "",
            look=look.look,
            look_id=look.id,
            looked_at_ms=look.at_ms,
            occurred_at_ms=due_ms,
            first_purchase_at_ms=first.at_ms,
            horizon_days=horizon_days,
            features=look.vector,
            features_version=looks.features_version,
            first_order_minor=first.net_minor,
            outcome_minor=outcome_minor,
            is_vip=is_vip(profile, outcome_minor, policy),
            score=look.score,
            model_version=look.model_version,
            arm=treatment.arm if treatment else "none",  # type: ignore[arg-type]  # one of the schema's words
            assignment_id=treatment.assignment_id if treatment else None,
            propensity=treatment.propensity if treatment else None,
            skus=looks.skus,
            categories=looks.categories,
            brands=looks.brands,
        )
        for look in looks.looks
    ]


def is_vip(profile: Profile, outcome_minor: int, policy: Policy) -> bool:
    """Whether the outcome makes a VIP: by tier where one is configured, else by amount."""
    if policy.vip_tier is not None:
        return profile.vip_at_ms > 0
    return policy.vip_amount_minor is not None and outcome_minor >= policy.vip_amount_minor


def watch_vip(profile: Profile, at_ms: int, policy: Policy) -> bool:
    """Note the moment a customer becomes VIP; true at that moment only."""
    if profile.vip_at_ms > 0 or profile.first_purchase is None:
        return False
    if policy.vip_tier is not None:
        reached = profile.tier.tier >= policy.vip_tier
    else:
        reached = is_vip(profile, profile.outcomes[-1], policy)
    if reached:
        profile.vip_at_ms = at_ms
    return reached
