"""Who advises in a replay: the roster that a variant or the log names, else one that is assumed and said aloud."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil
from typing import Final, NamedTuple

from schemas.events import AdvisorChanged
from streams.replay.spending import Spending
from streams.replay.variants import Team, Variant

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
PLACES_OF_ONE: Final = 25


class Flow(NamedTuple):
    """First purchases by market, from the first that may be scored to the last."""

    by_market: Counter[str]
    from_ms: int
    until_ms: int

    @property
    def weeks(self) -> float:
        return max(1.0, (self.until_ms - self.from_ms) / WEEK_MS)


def flow_of(spending: Iterable[Spending], decide_from_ms: int) -> Flow:
    by_market: Counter[str] = Counter()
    from_ms, until_ms = 1 << 62, 0
    for one in spending:
        if one.first_purchase_at_ms >= decide_from_ms:
            by_market[one.market] += 1
            from_ms, until_ms = min(from_ms, one.first_purchase_at_ms), max(until_ms, one.first_purchase_at_ms)
    return Flow(by_market, min(from_ms, until_ms), until_ms)


def assumed_teams(variant: Variant, flow: Flow) -> tuple[tuple[Team, ...], str]:
    """A roster that frees `places_share` of the first purchases of an average week, in every pool; and that in words."""
    policy, share = variant.fold_policy(), variant.assumed.places_share
    service_days = variant.settings.assignment.service_days
    by_pool: Counter[str] = Counter()
    for market, count in flow.by_market.items():
        by_pool[policy.pool_of(market)] += count
    teams, places = [], 0
    for pool in sorted(by_pool):
        held = max(1, round(share * by_pool[pool] / flow.weeks * service_days / 7))
        advisors = ceil(held / PLACES_OF_ONE)
        capacity = ceil(held / advisors)
        teams.append(Team(pool=pool, advisors=advisors, capacity=capacity, daily_intake=max(1, ceil(capacity / 5))))
        places += advisors * capacity
    said = (
        f"no roster is known: {places} advisor places were assumed, so that in an average week as many come free as "
        f"{share:.0%} of its first purchases (a service lasts {service_days} days); name one with [[variant.roster]]"
    )
    return tuple(teams), said


def entries(teams: Iterable[Team], at_ms: int) -> Iterator[AdvisorChanged]:
    """The roster entries of teams, as the roster topic would have them."""
    numbers: Counter[str] = Counter()
    for team in teams:
        for _ in range(team.advisors):
            numbers[team.pool] += 1
            yield AdvisorChanged(
                advisor_id=f"{team.pool}-{numbers[team.pool]}",
                pool=team.pool,
                occurred_at_ms=at_ms,
                capacity=team.capacity,
                daily_intake=team.daily_intake,
                languages=team.languages,
            )
