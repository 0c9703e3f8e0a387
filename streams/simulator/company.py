"""Who else comes: visitors who only look, guests who order without an account, and bots."""

from schemas.events import PageBrowsed
from streams.simulator.browsing import Browser, session
from streams.simulator.catalogue import CATEGORIES, LADDERS, price_in
from streams.simulator.chance import Draw, Moment, count, draws, exponential
from streams.simulator.customer import Said
from streams.simulator.nature import Nature, clock_of, nature
from streams.simulator.plan import DAY_MS, ShopPlan
from streams.simulator.trading import order

MOST = 15  # with one customer
BEYOND_CUSTOMERS = 1 << 45  # the natures of others are drawn from numbers that no customer has


class Companion:
    """Somebody who comes along with a customer's slot, and does one thing."""

    __slots__ = ("_happens", "_number", "_place", "_plan", "next_ms")

    def __init__(self, plan: ShopPlan, number: int, place: int, at_ms: int, happens: str) -> None:
        self._plan, self._number, self._place, self._happens = plan, number, place, happens
        self.next_ms: int | None = at_ms

    def step(self) -> list[Said]:
        at_ms, self.next_ms = self.next_ms or 0, None
        plan, owner = self._plan, BEYOND_CUSTOMERS + (self._number << 4) + self._place
        who = nature(plan, owner)
        draw = draws(plan.seed, Moment.COMPANY, self._number, self._place)
        visitor_id = f"V{self._number:08d}{'xyzuvwqrstmnopk'[self._place - 1]}"
        if self._happens == "bot":
            return _crawl(who, visitor_id, at_ms, draw)
        said = self._look(who, visitor_id, at_ms, draw) if plan.browse else []
        if self._happens == "guest":
            placed = order(
                plan, who, f"G{self._number:08d}-{self._place}", None, visitor_id, at_ms + 900_000, 1.0, draw
            )
            said = [look for look in said if look[1].occurred_at_ms < placed.occurred_at_ms]
            said.append(("orders", placed))
        return said

    def _look(self, who: Nature, visitor_id: str, at_ms: int, draw: Draw) -> list[Said]:
        browser, line_minor = Browser(None, visitor_id), self._plan.line_minor
        name = f"B{self._number:08d}-v{self._place}"
        return [("browse", event) for event in session(who, line_minor, browser, name, at_ms, draw)]


def company(plan: ShopPlan, number: int, begins_ms: int) -> list[Companion]:
    """Everybody who comes along with this slot."""
    draw = draws(plan.seed, Moment.COMPANY, number)
    happens = ["guest"] * _times(plan.guests, draw) + ["bot"] * _times(plan.bots, draw) * plan.browse
    if plan.browse:
        happens += ["look"] * _times(plan.lookers, draw)
    clock = clock_of(plan, plan.markets[0])
    return [
        Companion(plan, number, place, clock.later(begins_ms, draw() * DAY_MS), what)
        for place, what in enumerate(happens[:MOST], start=1)
    ]


def _times(mean: float, draw: Draw) -> int:
    """A number with this mean: all of its whole part, and the rest by chance."""
    whole = int(mean)
    return whole + (draw() < mean - whole)


def _crawl(who: Nature, visitor_id: str, at_ms: int, draw: Draw) -> list[Said]:
    """A bot reads one page after another, never for long, and puts nothing into a cart."""
    said: list[Said] = []
    for step in range(60 + count(draw, 80)):
        article = LADDERS[int(draw() * len(CATEGORIES))][int(draw() * 180)]
        at_ms += 200 + int(exponential(draw) * 700)
        event = PageBrowsed(
            event_id=f"{visitor_id}.{step}", occurred_at_ms=at_ms, visitor_id=visitor_id, sku=article.sku,
            category=CATEGORIES[article.category].name, brand=article.brand,
            price_minor=price_in(article.price_minor, who.market.currency, who.market.rate),
            currency=who.market.currency, dwell_ms=0,
        )  # fmt: skip
        said.append(("browse", event))
    return said
