"""What a shop could do without forecasting: first come, first served; one threshold for good; a lottery.

Each takes customers while a place is free and holds the place for the service period; nobody waits. The looks come in order.
"""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from schemas.ids import hash64
from streams.replay.offline_optimum import Chance

Wants = Callable[[int, Chance], bool]
WHOLE = 1 << 64
DAY_MS = 86_400_000


def taken_by(chances: Sequence[Chance], wants: Wants, places: int, service_days: int) -> list[int]:
    """Which chances are taken, if all that are wanted are while there is a place."""
    ends: list[int] = []
    served: set[str] = set()
    taken = []
    for index, chance in enumerate(chances):
        while ends and ends[0] <= chance.at_ms:
            heappop(ends)
        if chance.who not in served and len(ends) < places and wants(index, chance):
            served.add(chance.who)
            heappush(ends, chance.at_ms + service_days * DAY_MS)
            taken.append(index)
    return taken


def everybody(_index: int, chance: Chance) -> bool:
    """First come, first served."""
    return chance.value > 0


def above(threshold: float) -> Wants:
    return lambda _, chance: chance.value > threshold


def fixed_threshold(chances: Sequence[Chance], places: int, service_days: int, watched_days: int) -> float:
    """The threshold that would have sold the places just as they come free, over the first days: a shop sets it once.

    It is the quantile of what customers said at their best in that time, for so many of them as places come free in it.
    """
    best: dict[str, float] = {}
    until_ms = chances[0].at_ms + watched_days * DAY_MS if chances else 0
    for chance in chances:
        if chance.at_ms < until_ms:
            best[chance.who] = max(chance.value, best.get(chance.who, 0.0))
    ranked = sorted(best.values(), reverse=True)
    for_sale = int(places * watched_days / service_days)
    return ranked[for_sale] if for_sale < len(ranked) else 0.0


def lottery(chances: Sequence[Chance], places: int, service_days: int, seed: int) -> Wants:
    """A share of customers drawn by lot, at their first look: as many as there will be places for, on average."""
    customers = len({chance.who for chance in chances})
    span_ms = max(1, chances[-1].at_ms - chances[0].at_ms) if chances else 1
    share = min(1.0, places * (1 + span_ms / (service_days * DAY_MS)) / max(1, customers))
    return lambda _, chance: hash64(f"{seed}/{chance.who}") < share * WHOLE
