"""Loyalty tiers: what a customer's qualifying spend makes of their standing, and which changes are announced.

Pure functions on amounts: reading the amounts from a profile, and coming back when time alone may change them, is
`tier_watch.py`'s work. Four changes, each announced once:

- `reached`: the highest tier that spend and orders now qualify for. A jump over several tiers is one announcement.
- `lost`: one for each tier that no longer holds, the highest first: after the last of them the customer's tier is known.
- `near`: the next tier lies within the near distance. Said again only after the customer was clearly away from it
  (hysteresis) and the cool-down is over; a tier just lost counts as said, since `lost` names what is missing too.
- `at_risk`: if nothing is bought, the tier will be lost within `at_risk_within_ms`.

A tier asks for spend and for orders, both within the window. `missing_minor` is what is missing to reach the tier again
(near, lost) or to keep it (at_risk).
"""

from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from features.profile import TierStanding
from schemas.errors import SettingsError

DAY_MS = 86_400_000
MILLION = 1_000_000

Change = Literal["reached", "near", "at_risk", "lost"]


class Tier(Struct, frozen=True):
    name: str
    qualifying_minor: int
    orders: int = 0


class TierPolicy(Struct, frozen=True, kw_only=True):
    """The tiers, the lowest first. Shares are in millionths."""

    tiers: tuple[Tier, ...] = ()
    window_ms: int = 365 * DAY_MS
    near_share: int = 100_000  # of the tier's amount: near when no more than that is missing
    near_hysteresis: int = 250_000  # of the near distance: near no more when that much further away
    near_orders: int = 1  # and no more orders than that are missing
    cool_down_ms: int = 30 * DAY_MS
    at_risk_within_ms: int = 30 * DAY_MS

    def __post_init__(self) -> None:
        for number, (lower, higher) in enumerate(zip(self.tiers, self.tiers[1:], strict=False), start=1):
            if higher.qualifying_minor <= lower.qualifying_minor or higher.orders < lower.orders:
                raise SettingsError(
                    f"tiers[{number}]",
                    f"more than {lower.name!r} asks for ({lower.qualifying_minor}, {lower.orders} orders)",
                    f"{higher.name!r} ({higher.qualifying_minor}, {higher.orders} orders)",
                    "list the tiers from the lowest to the highest",
                )


class TierChange(NamedTuple):
    change: Change
    tier: str
    tier_index: int  # counted from 1
    qualifying_minor: int
    missing_minor: int


class Review(NamedTuple):
    """A new standing, what is to be announced, and when time alone asks for the next review (None: it doesn't)."""

    standing: TierStanding
    changes: tuple[TierChange, ...]
    next_ms: int | None


class _Spend(NamedTuple):
    now_minor: int
    now_orders: int
    soon_minor: int  # what is left of it when `at_risk_within_ms` have passed without an order
    soon_orders: int


def review(
    standing: TierStanding,
    *,
    qualifying_minor: int,
    orders: int,
    qualifying_soon_minor: int,
    at_ms: int,
    policy: TierPolicy,
    orders_soon: int | None = None,
) -> Review:
    """The standing that follows from amounts as of `at_ms`.

    `next_ms` names the end of a cool-down that holds an announcement back. Whoever keeps the amounts comes back besides
    when spend expires, and `at_risk_within_ms` before that.
    """
    spend = _Spend(qualifying_minor, orders, qualifying_soon_minor, orders if orders_soon is None else orders_soon)
    moved, changes = _move(standing, spend, at_ms, policy)
    warned, warnings = _warn(moved, spend, policy)
    told, hints, next_ms = _hint(warned, spend, at_ms, policy)
    return Review(told, (*changes, *warnings, *hints), next_ms)


def _move(
    standing: TierStanding, spend: _Spend, at_ms: int, policy: TierPolicy
) -> tuple[TierStanding, list[TierChange]]:
    """Reached and lost: facts, never held back."""
    reached = _reached(spend, policy)
    if reached > standing.tier:
        return replace(standing, tier=reached, near=0), [_change("reached", reached, spend, policy)]
    if reached == standing.tier:
        return standing, []
    lost = [_change("lost", index, spend, policy) for index in range(standing.tier, reached, -1)]
    quiet_until_ms = at_ms + policy.cool_down_ms
    return replace(standing, tier=reached, near=reached + 1, at_risk=0, quiet_until_ms=quiet_until_ms), lost


def _warn(standing: TierStanding, spend: _Spend, policy: TierPolicy) -> tuple[TierStanding, list[TierChange]]:
    """At risk: once for a tier, until it is safe again."""
    held = standing.tier
    if held == 0 or _qualifies(spend.soon_minor, spend.soon_orders, policy.tiers[held - 1]):
        return replace(standing, at_risk=0) if standing.at_risk else standing, []
    if standing.at_risk == held:
        return standing, []
    return replace(standing, at_risk=held), [_change("at_risk", held, spend, policy)]


def _hint(
    standing: TierStanding, spend: _Spend, at_ms: int, policy: TierPolicy
) -> tuple[TierStanding, list[TierChange], int | None]:
    """Near: with hysteresis, and not before the cool-down ends."""
    aim = standing.tier + 1
    said = standing.near == aim
    if aim > len(policy.tiers) or not _is_near(spend, policy.tiers[aim - 1], policy, said=said):
        return replace(standing, near=0) if standing.near else standing, [], None
    if said:
        return standing, [], None
    if at_ms < standing.quiet_until_ms:
        return replace(standing, near=0), [], standing.quiet_until_ms
    quiet_until_ms = at_ms + policy.cool_down_ms
    near = replace(standing, near=aim, quiet_until_ms=quiet_until_ms)
    return near, [_change("near", aim, spend, policy)], None


def _reached(spend: _Spend, policy: TierPolicy) -> int:
    """The highest tier that qualifies, counted from 1; 0 is none."""
    return sum(_qualifies(spend.now_minor, spend.now_orders, tier) for tier in policy.tiers)


def _qualifies(spend_minor: int, orders: int, tier: Tier) -> bool:
    return spend_minor >= tier.qualifying_minor and orders >= tier.orders


def _is_near(spend: _Spend, tier: Tier, policy: TierPolicy, *, said: bool) -> bool:
    distance_minor = tier.qualifying_minor * policy.near_share // MILLION
    if said:
        distance_minor += distance_minor * policy.near_hysteresis // MILLION
    missing_orders = tier.orders - spend.now_orders
    return tier.qualifying_minor - spend.now_minor <= distance_minor and missing_orders <= policy.near_orders


def _change(change: Change, index: int, spend: _Spend, policy: TierPolicy) -> TierChange:
    tier = policy.tiers[index - 1]
    held_minor = spend.soon_minor if change == "at_risk" else spend.now_minor
    missing_minor = 0 if change == "reached" else max(0, tier.qualifying_minor - held_minor)
    return TierChange(change, tier.name, index, spend.now_minor, missing_minor)
