"""Looks: when a customer is scored, on which features, and what is announced and frozen.

The first look is taken at the first purchase. Second looks follow at each further order or return, and at set days, as long
as the customer is new (DESIGN 6). A look freezes its features, so that the example made of it months later is exactly what
was scored. Where a release has changed the features meanwhile, there are no second looks at what was frozen under the earlier ones.

A look that found no consent led to nothing. When consent comes, the last look is told again: a shop publishes a customer's
consent and order at once, on two topics, and either may be read first (docs/decisions/0011-consent-after-the-look.md).
"""

from typing import Literal, NamedTuple

from msgspec.structs import replace

from features.frozen import FrozenLook, Looks, new_looks
from features.profile import GRANTED, UNKNOWN, Profile, orders_count, remind
from features.vector import FEATURES_VERSION, first_vector, refer, since_vector
from online_models.model import Model, Scored
from schemas.events import Brief, CustomerScored, OrderPlaced
from streams.scoring.policy import DAY_MS, Policy

HOUR_MS = 3_600_000
CONSENTS: tuple[Literal["unknown", "granted", "withdrawn"], ...] = ("unknown", "granted", "withdrawn")


class Look(NamedTuple):
    """A moment of scoring. The first look has the order; features are read as of `at_ms`."""

    name: str  # first, order, return, day_7 ...
    at_ms: int
    order: OrderPlaced | None = None


def schedule_looks(profile: Profile, policy: Policy) -> None:
    """Second looks by the calendar, on the full hour: there the windows read exactly."""
    assert profile.first_purchase is not None
    for days in policy.look_days:
        due_ms = -(-(profile.first_purchase.at_ms + days * DAY_MS) // HOUR_MS) * HOUR_MS
        remind(profile, due_ms, f"day_{days}")


def wants_second_look(profile: Profile, at_ms: int, policy: Policy) -> bool:
    """Whether a customer who was scored before is to be looked at again."""
    if profile.first_purchase is None or profile.looks == 0:
        return False
    since_ms = at_ms - profile.first_purchase.at_ms
    return 0 <= since_ms <= _new_for_ms(policy) and profile.looks < policy.looks_kept


def waits_for_consent(profile: Profile, looks: Looks, at_ms: int, policy: Policy) -> bool:
    """Whether the last look found no consent, and only now there is one, while the customer is new.

    Looks over other features than today's wait in vain: no model knows them any more.
    """
    if profile.consent != GRANTED or profile.first_purchase is None or profile.looks == 0 or not looks.looks:
        return False
    if not looks.is_current:
        return False
    found_none = looks.consent != GRANTED and (policy.asks_consent or looks.consent != UNKNOWN)
    return found_none and at_ms - profile.first_purchase.at_ms <= _new_for_ms(policy)


def _new_for_ms(policy: Policy) -> int:
    return policy.looks_until_days * DAY_MS + HOUR_MS


def stop_looking(profile: Profile) -> None:
    """No more looks, and no outcomes to wait for: of all that is to be done only the review of tiers remains."""
    profile.looks = 0
    profile.pending = [item for item in profile.pending if item.kind == "tier"]


def take_look(
    profile: Profile, looks: Looks | None, look: Look, cause: str, model: Model, policy: Policy
) -> tuple[CustomerScored, Looks]:
    """Score a customer, and freeze what was scored."""
    if look.order is not None:
        looks = new_looks(profile.customer_id, look.order)
        vector = first_vector(profile, look.order, policy.rates, model.reference)
    else:
        assert looks is not None  # a second look follows a first one
        assert profile.market is not None
        first = refer(looks.looks[0].vector, looks.basket(profile.market), model.reference)
        vector = first + since_vector(profile, look.at_ms)
    scored = model.score(look.name, vector, policy.reasons)
    profile.looks += 1
    taken = FrozenLook(look.name, profile.looks, look.at_ms, scored.score, model.version, vector, cause)
    if profile.vip_at_ms == 0:  # who is VIP already gives no example
        looks.looks.append(taken)
    looks.consent = profile.consent
    return _announcement(profile, looks, taken, scored, policy), looks


def tell_again(profile: Profile, looks: Looks, at_ms: int, cause: str, model: Model, policy: Policy) -> CustomerScored:
    """The last look under its number: what it froze, as the model of today scores it. Its example follows from this one."""
    assert profile.market is not None
    last = looks.looks[-1]
    vector = refer(last.vector, looks.basket(profile.market), model.reference)
    scored = model.score(last.look, vector, policy.reasons)
    told = replace(last, vector=vector, score=scored.score, model_version=model.version, id=cause)
    looks.looks[-1], looks.consent = told, profile.consent
    return replace(_announcement(profile, looks, told, scored, policy), occurred_at_ms=max(at_ms, last.at_ms))


def _announcement(profile: Profile, looks: Looks, look: FrozenLook, scored: Scored, policy: Policy) -> CustomerScored:
    assert profile.first_purchase is not None
    assert profile.market is not None
    return CustomerScored(
        id=look.id,
        customer_id=profile.customer_id,
        pool=policy.pool_of(profile.market),
        market=profile.market,
        occurred_at_ms=look.at_ms,
        look=look.look,  # type: ignore[arg-type]  # looks are made with the schema's words only
        look_number=look.number,
        score=scored.score,
        base=scored.base,
        reasons=scored.reasons,
        first_order_minor=profile.first_purchase.net_minor,
        is_vip=profile.vip_at_ms > 0,
        consent=CONSENTS[profile.consent],
        brief=brief(profile, looks),
        model_version=look.model_version,
        features_version=FEATURES_VERSION,
        policy_version=policy.version,
        language=profile.language,
        expected_value_minor=scored.expected_value_minor,
        rule_score=scored.rule_score,
        rank=scored.rank,
        challengers=scored.challengers,
    )


def brief(profile: Profile, looks: Looks | None) -> Brief:
    """What the advisor wants to know before the first contact. What was bought first is known while looks are kept."""
    first = profile.first_purchase
    return Brief(
        bought=(*looks.skus[:5], *looks.categories) if looks else (),
        looked_at=tuple(profile.viewed),
        returned=tuple(profile.returned),
        first_order_minor=first.net_minor if first else 0,
        spent_since_minor=profile.outcomes[-1] if first else 0,
        orders=orders_count(profile, profile.last_seen_ms, "lifetime"),
        price_level_minor=first.net_minor // max(1, first.items) if first else 0,
        language=profile.language,
        last_seen_at_ms=profile.last_seen_ms,
    )
