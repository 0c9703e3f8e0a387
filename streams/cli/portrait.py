"""What is known of a customer, as lines for people. Programs get it whole and raw (`maitred customer --json`).

The reasons of a look are told with its event and not kept: `maitred assignments tail` shows who was assigned.
"""

from collections.abc import Iterator

from features.frozen import FrozenLook, Looks
from features.profile import GRANTED, UNKNOWN, FirstPurchase, Profile, net_spend, orders_count
from streams.cli.talk import moment
from streams.settings import Settings
from streams.settings.currencies import decimals

Line = tuple[str, str]
UNSET = "-"


def portrait(profile: Profile, looks: Looks | None, settings: Settings) -> Iterator[Line]:
    """Names and texts, in the order in which one would ask."""
    yield "customer", profile.customer_id
    yield "market", profile.market or UNSET
    yield "language", profile.language or UNSET
    yield "consent", {UNKNOWN: "unknown", GRANTED: "granted"}.get(profile.consent, "withdrawn")
    yield "first seen", _when(profile.first_seen_ms)
    yield "last seen", _when(profile.last_seen_ms)
    yield from _bought(profile, settings.money.base)
    yield from _standing(profile, settings)
    yield from _ahead(profile)
    yield "merged from", ", ".join(profile.merged) or UNSET
    for look in looks.looks if looks else ():
        yield "look", _look(look)


def _bought(profile: Profile, currency: str) -> Iterator[Line]:
    at_ms = profile.last_seen_ms
    yield "first purchase", _first(profile.first_purchase, currency, is_new=profile.is_new)
    yield "orders", str(orders_count(profile, at_ms, "lifetime"))
    yield "net spend", _amount(net_spend(profile, at_ms, "lifetime"), currency)
    yield "of that, 365 days", _amount(net_spend(profile, at_ms, "365d"), currency)


def _standing(profile: Profile, settings: Settings) -> Iterator[Line]:
    tier, treatment = profile.tier.tier, profile.treatment
    yield "tier", settings.tiers[tier - 1].name if 0 < tier <= len(settings.tiers) else UNSET
    yield "VIP since", _when(profile.vip_at_ms)
    yield "arm", f"{treatment.arm} since {_when(treatment.at_ms)}" if treatment else UNSET
    yield "wish", f"{profile.wish} {profile.wish_advisor or ''}".strip() or UNSET
    yield "pools", ", ".join(profile.pools) or UNSET


def _ahead(profile: Profile) -> Iterator[Line]:
    yield "looked at", ", ".join(profile.viewed) or UNSET
    yield "to come", ", ".join(f"{pending.kind} {_when(pending.due_ms)}" for pending in profile.pending) or UNSET


def _first(first: FirstPurchase | None, currency: str, *, is_new: bool) -> str:
    if first is None:
        return UNSET
    known = "a new customer" if is_new else "known before"
    return f"{_when(first.at_ms)}  {_amount(first.net_minor, currency)}, {first.items} items, {known}"


def _look(look: FrozenLook) -> str:
    return f"{_when(look.at_ms)}  {look.look:<8} {look.score:.3f}  by {look.model_version}"


def _when(at_ms: int) -> str:
    """0 is how a profile says never."""
    return moment(at_ms) if at_ms else UNSET


def _amount(minor: int, currency: str) -> str:
    places = decimals(currency)
    return f"{minor / 10**places:,.{places}f} {currency}"
