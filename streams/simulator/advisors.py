"""The advisors: who they are, whether and when they get in touch, and what becomes of it.

Their effect on a customer lies in the customer's nature; an advisor's skill makes more or less of it. It begins with
the contact, not with the assignment, and ends with the service.
"""

from collections.abc import Iterator

from msgspec import Struct

from schemas.events import Absence, AdvisorAssigned, AdvisorChanged, ContactReported
from schemas.ids import hash64
from streams.simulator.chance import Moment, draws, exponential
from streams.simulator.nature import Effect, Nature, clock_of
from streams.simulator.plan import DAY_MS, ShopPlan

HOUR_MS = 3_600_000
FORGOTTEN, LEAVES = 0.06, 0.1  # assignments that an advisor overlooks; advisors who leave within a year
DECLINED, DECLINED_BY_WARY = 0.05, 0.45


class Contact(Struct, frozen=True):
    """A report and, if the customer is advised from then on, the effect that begins with it."""

    event: ContactReported
    effect: Effect | None


def roster(plan: ShopPlan) -> list[AdvisorChanged]:
    """Everybody who works here at the beginning, two weeks of holidays a year included."""
    return [_hired(plan, pool, number, plan.from_ms, "") for pool, number in _desks(plan)]


def changes(plan: ShopPlan) -> list[AdvisorChanged]:
    """What becomes of the roster: some leave, others take their place. In order of time."""
    changed = []
    for owner, (pool, number) in enumerate(_desks(plan)):
        draw = draws(plan.seed, Moment.ROSTER, owner, 1)
        at_ms = plan.from_ms + int((30 + draw() * 335) * DAY_MS)
        if draw() < LEAVES and at_ms < plan.until_ms:
            gone = _hired(plan, pool, number, at_ms, "")
            changed.append(AdvisorChanged(advisor_id=gone.advisor_id, pool=pool, occurred_at_ms=at_ms, status="left"))
            changed.append(_hired(plan, pool, number, at_ms + HOUR_MS, "-next"))
    return sorted(changed, key=lambda event: (event.occurred_at_ms, event.advisor_id))


def _desks(plan: ShopPlan) -> Iterator[tuple[str, int]]:
    """Pool and number of every advisor: as many as the plan has for the customers of the pool's markets, at least one."""
    total = sum(market.weight for market in plan.markets)
    wanted = plan.customers * 365 / plan.days * plan.advisors_per_thousand / 1_000
    for pool in sorted({market.pool for market in plan.markets}):
        weight = sum(market.weight for market in plan.markets if market.pool == pool)
        yield from ((pool, number) for number in range(max(1, round(wanted * weight / total))))


def _hired(plan: ShopPlan, pool: str, number: int, at_ms: int, suffix: str) -> AdvisorChanged:
    draw = draws(plan.seed, Moment.ROSTER, hash64(f"{pool}/{number}{suffix}") >> 24)
    away_ms = plan.from_ms + int(draw() * 350) * DAY_MS
    return AdvisorChanged(
        advisor_id=f"{pool}-{number + 1:03d}{suffix}",
        pool=pool,
        occurred_at_ms=at_ms,
        capacity=plan.advisor_capacity,
        daily_intake=plan.advisor_intake,
        languages=_languages(plan, pool, number),
        absences=(Absence(from_ms=away_ms, until_ms=away_ms + 14 * DAY_MS),) if away_ms > at_ms else (),
    )


def _languages(plan: ShopPlan, pool: str, number: int) -> tuple[str, ...]:
    """The first advisor of a pool speaks all its languages, the others English and one in turn."""
    markets = [market for market in plan.markets if market.pool == pool]
    spoken = dict.fromkeys(language for m in markets for language in (m.language, m.second_language) if language)
    if number == 0:
        return tuple(dict.fromkeys((*spoken, "en")))
    return tuple(dict.fromkeys((list(spoken)[number % len(spoken)], "en")))


def contact(plan: ShopPlan, nature: Nature, number: int, assigned: AdvisorAssigned, now_ms: int) -> Contact | None:
    """The report an assignment leads to; None if the advisor overlooks it, or is late."""
    draw = draws(plan.seed, Moment.CONTACT, number, hash64(assigned.assignment_id) & 0xFFFFF)
    overlooked, declines = draw() < FORGOTTEN, draw() < (DECLINED_BY_WARY if nature.dislikes else DECLINED)
    at_ms = clock_of(plan, nature.market).later(now_ms, (0.5 + 5.0 * exponential(draw)) * HOUR_MS)
    if overlooked or at_ms >= assigned.contact_by_ms:
        return None
    accepts = draw() < 0.8
    event = ContactReported(
        contact_id=f"K{assigned.assignment_id}"[:128],
        assignment_id=assigned.assignment_id,
        customer_id=assigned.customer_id,
        advisor_id=assigned.advisor_id,
        pool=assigned.pool,
        occurred_at_ms=at_ms,
        outcome="declined" if declines else "accepted" if accepts else "contacted",
        channel=assigned.recommended_channel,
    )
    return Contact(event, None if declines else nature.effect.by(skill(assigned.advisor_id)))


def skill(advisor_id: str) -> float:
    """Between 0.7 and 1.3, for good: what this advisor makes of the effect that an average one would have."""
    return 0.7 + 0.6 * (hash64(advisor_id) % 1_000) / 999
