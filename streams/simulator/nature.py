"""Who somebody is: what the shop never sees, drawn once from (seed, number). All that a life becomes follows from it.

How fast a customer buys, when they are lost and what they spend are drawn as the models of purchasing have it; what
they show while they browse, and what an advisor does to them, depends on these and on luck.
"""

from functools import lru_cache
from itertools import accumulate
from math import exp, log

from msgspec import Struct
from msgspec.structs import replace

from streams.simulator.calendar import Calendar, calendar_of
from streams.simulator.catalogue import CATEGORIES
from streams.simulator.chance import Draw, Moment, beta, draws, exponential, gamma, normal
from streams.simulator.plan import DAY_MS, Market, ShopPlan

HIGH_TOUCH = frozenset({"bags", "coats", "jewellery"})  # where advice is worth most
HORIZON_DAYS = 180
_CATEGORY_WEIGHTS = tuple(accumulate(category.weight for category in CATEGORIES))


class Effect(Struct, frozen=True):
    """What an advisor changes, as factors: of the speed of buying, of order values, of the share that comes back."""

    speed: float = 1.0
    spend: float = 1.0
    returns: float = 1.0

    def by(self, skill: float) -> "Effect":
        """With an advisor of this skill, where 1 is average."""
        return Effect(self.speed**skill, self.spend**skill, self.returns**skill)


class Nature(Struct, frozen=True):
    market: Market
    language: str
    rate: float  # orders a day until dropping out
    dropout: float  # after each order
    spend_minor: float  # mean order value
    fit: float  # how much more than others they give back
    favourites: tuple[int, int]  # categories
    shown: float  # how interested they seem while they browse
    effect: Effect
    dislikes: bool  # being advised

    @property
    def expected_orders(self) -> float:
        """After the first one, within the horizon: dropping out included, seasons left out."""
        if self.dropout <= 0.0:
            return self.rate * HORIZON_DAYS
        return (1.0 - self.dropout) / self.dropout * (1.0 - exp(-self.rate * self.dropout * HORIZON_DAYS))


def nature(plan: ShopPlan, number: int) -> Nature:
    """The nature of the customer with this number."""
    draw = draws(plan.seed, Moment.NATURE, number)
    market = market_of(plan, draw())
    rate = max(1e-6, gamma(draw, plan.rate_shape) * plan.rate_mean / plan.rate_shape)
    dropout = beta(draw, plan.dropout_a, plan.dropout_b)
    spend = plan.spend_mean_minor * (plan.spend_spread - 1.0) / max(1e-3, gamma(draw, plan.spend_spread))
    favourites = (category_of(draw()), category_of(draw()))
    effect, dislikes = _effect(plan, draw, favourites)
    plain = Nature(
        market=market,
        language=language_of(market, draw()),
        rate=rate,
        dropout=dropout,
        spend_minor=spend,
        fit=gamma(draw, 4.0) / 4.0,
        favourites=favourites,
        shown=normal(draw),
        effect=effect,
        dislikes=dislikes,
    )
    return _showing(plain, plan.signal)


def _showing(plain: Nature, signal: float) -> Nature:
    """Interest shows in browsing: the orders to come, seen through noise."""
    interest = log((plain.expected_orders + 0.1) / 0.7)
    return replace(plain, shown=signal * 0.8 * interest + 0.6 * plain.shown)


def _effect(plan: ShopPlan, draw: Draw, favourites: tuple[int, int]) -> tuple[Effect, bool]:
    """Warmer where things need advice; some would rather be left alone."""
    dislikes = draw() < plan.dislike
    touch = sum(CATEGORIES[number].name in HIGH_TOUCH for number in favourites)
    warmth = gamma(draw, 2.5) / 2.5 * (0.75, 1.2, 1.5)[touch]
    if dislikes:
        return Effect(0.75, 0.95, 1.2).by(plan.effect), True
    return Effect(1.0 + 0.3 * warmth, 1.0 + 0.08 * warmth, 1.0 / (1.0 + 0.2 * warmth)).by(plan.effect), False


# ---- where they live -----------------------------------------------------------------------------------------------


def market_of(plan: ShopPlan, draw: float) -> Market:
    reached, total = 0.0, sum(market.weight for market in plan.markets)
    for market in plan.markets:
        reached += market.weight / total
        if draw < reached:
            return market
    return plan.markets[-1]


def language_of(market: Market, draw: float) -> str:
    return market.second_language if market.second_language and draw < 0.25 else market.language


def category_of(draw: float) -> int:
    """A category, by how much is bought of each."""
    return next(n for n, reached in enumerate(_CATEGORY_WEIGHTS) if draw * _CATEGORY_WEIGHTS[-1] < reached)


# ---- when they come ------------------------------------------------------------------------------------------------


def clock_of(plan: ShopPlan, market: Market) -> Calendar:
    return calendar_of(plan.from_ms, plan.days, market.offset_hours, plan.seasons)


@lru_cache(maxsize=64)
def _whole(plan_key: tuple[int, int, bool]) -> tuple[Calendar, float]:
    from_ms, days, seasons = plan_key
    clock = calendar_of(from_ms, days, 0, seasons)
    return clock, clock.adjusted(from_ms + days * DAY_MS)


def begins_ms(plan: ShopPlan, number: int) -> int:
    """From when on a slot is to be watched. Slots follow one another: a later number never begins earlier."""
    clock, whole = _whole((plan.from_ms, plan.days, plan.seasons))
    place = number + draws(plan.seed, Moment.ARRIVAL, number)()
    return clock.moment(place / plan.customers * whole)


def first_visit_ms(plan: ShopPlan, market: Market, number: int) -> int:
    """Within a day of that, at an hour when people are awake where they live."""
    draw = draws(plan.seed, Moment.ARRIVAL, number)
    draw()
    return clock_of(plan, market).later(begins_ms(plan, number), draw() * DAY_MS)


def wait_ms(plan: ShopPlan, number: int, after: int, mean_ms: float) -> tuple[float, float]:
    """Season-adjusted time until the order after this one, and the chance that decides whether there is one."""
    draw = draws(plan.seed, Moment.WAIT, number, after)
    return exponential(draw) * mean_ms, draw()
