"""When a customer's tier is reviewed, and on which amounts: `tiers.py` decides, this module asks it."""

from features.outlook import Outlook, outlook
from features.profile import Profile, TierStanding, remind_once
from schemas.events import TierChanged
from streams.scoring.policy import Policy
from streams.scoring.tiers import TierChange, review


def watch_tier(profile: Profile, at_ms: int, policy: Policy) -> tuple[TierChange, ...]:
    """Review the tier as of `at_ms`, and schedule the next review that time alone will make necessary.

    Before `decide_from` tiers are kept and nothing is announced.
    """
    tiers = policy.tiers
    ahead = outlook(profile, at_ms, tiers.window_ms, tiers.at_risk_within_ms)
    reviewed = review(
        profile.tier,
        qualifying_minor=ahead.net_minor,
        orders=ahead.orders,
        qualifying_soon_minor=ahead.soon_minor,
        at_ms=at_ms,
        policy=tiers,
    )
    profile.tier = reviewed.standing
    remind_once(profile, _next_review_ms(profile.tier, at_ms, ahead, reviewed.next_ms), "tier")
    return reviewed.changes if at_ms >= policy.decide_from_ms else ()


def _next_review_ms(standing: TierStanding, at_ms: int, ahead: Outlook, cool_down_ends_ms: int | None) -> int | None:
    """When spend next leaves the window, or comes within the warning before it, or a cool-down ends."""
    moments = [cool_down_ends_ms]
    if standing.tier or standing.near:
        moments.append(ahead.expires_ms)
    if standing.tier and not standing.at_risk:
        moments.append(ahead.soon_expires_ms)
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
