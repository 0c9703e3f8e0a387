"""When a customer's tier is reviewed, and on which amounts: `tiers.py` decides, this module asks it."""

from features.profile import (
    Profile,
    net_spend,
    net_spend_remaining,
    next_spend_expiry_ms,
    orders_count,
    remind_once,
)
from schemas.events import TierChanged
from streams.policy import Policy
from streams.tiers import TierChange, review


def watch_tier(profile: Profile, at_ms: int, policy: Policy) -> tuple[TierChange, ...]:
    """Review the tier as of `at_ms`, and schedule the next review that time alone will make necessary.

    Before `decide_from` tiers are kept and nothing is announced.
    """
    tiers = policy.tiers
    reviewed = review(
        profile.tier,
        qualifying_minor=net_spend(profile, at_ms, tiers.window_ms),
        orders=orders_count(profile, at_ms, tiers.window_ms),
        qualifying_soon_minor=net_spend_remaining(profile, at_ms, at_ms + tiers.at_risk_within_ms, tiers.window_ms),
        at_ms=at_ms,
        policy=tiers,
    )
    profile.tier = reviewed.standing
    remind_once(profile, _next_review_ms(profile, at_ms, reviewed.next_ms, policy), "tier")
    return reviewed.changes if at_ms >= policy.decide_from_ms else ()


def _next_review_ms(profile: Profile, at_ms: int, cool_down_ends_ms: int | None, policy: Policy) -> int | None:
    """When spend next leaves the window, or comes within the warning before it, or a cool-down ends."""
    tiers, moments = policy.tiers, [cool_down_ends_ms]
    if profile.tier.tier > 0 or profile.tier.near > 0:
        moments.append(next_spend_expiry_ms(profile, at_ms, tiers.window_ms))
    if profile.tier.tier > 0 and profile.tier.at_risk == 0:
        moments.append(next_spend_expiry_ms(profile, at_ms, tiers.window_ms - tiers.at_risk_within_ms))
    return min((moment for moment in moments if moment is not None and moment > at_ms), default=None)


def announcement(profile: Profile, change: TierChange, at_ms: int, cause: str, policy: Policy) -> TierChanged:
    return TierChanged(
        id=cause,
        customer_id=profile.customer_id,
        market=profile.market,
        occurred_at_ms=at_ms,
        change=change.change,
        tier=change.tier,
        qualifying_minor=change.qualifying_minor,
        missing_minor=change.missing_minor,
        policy_version=policy.version,
    )
