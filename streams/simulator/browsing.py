"""Sessions: what somebody looks at, how long, and what it costs. It tells of them, not surely.

Who will buy often looks longer, deeper and at more, comes by themselves rather than by a campaign, and puts things on
the wishlist; who spends much looks at dear things. How clearly, `ShopPlan.signal` says.
"""

from math import exp
from typing import Literal, NamedTuple

from schemas.events import PageBrowsed
from streams.simulator.catalogue import CATEGORIES, costing, price_in
from streams.simulator.chance import Draw, count, exponential, normal
from streams.simulator.nature import Nature, category_of

CAMPAIGNS = ("newsletter", "spring-collection", "instagram", "search-ad", "retargeting")
MOST_STEPS = 60
STEP_MS = 26_000  # mean time at a page

Kind = Literal["view", "search", "add_to_cart", "wishlist"]


class Browser(NamedTuple):
    """Whose steps they are. A customer who is logged in, a visitor, or both in one."""

    customer_id: str | None
    visitor_id: str | None


def session(
    nature: Nature, line_minor: float, browser: Browser, name: str, at_ms: int, draw: Draw
) -> list[PageBrowsed]:
    """The steps of one visit. `name` begins their ids; `line_minor` is what the browser spends on a thing."""
    shown = max(-2.5, min(2.5, nature.shown))
    steps = min(MOST_STEPS, 2 + count(draw, 3.0 * exp(0.3 * shown)))
    campaign = CAMPAIGNS[int(draw() * len(CAMPAIGNS))] if draw() < 0.28 * exp(-0.4 * shown) else None
    pace_ms, wishes = STEP_MS * exp(0.25 * shown), 0.035 * exp(0.5 * shown)
    carts, category = 0.06 * exp(0.2 * shown), nature.favourites[draw() < 0.4]
    customer_id, visitor_id = browser
    currency, rate = nature.market.currency, nature.market.rate
    events = []
    for number in range(steps):
        if draw() < 0.3:
            category = nature.favourites[draw() < 0.4] if draw() < 0.6 else category_of(draw())
        dwell_ms = int(exponential(draw) * pace_ms)
        kind, about = _kind(draw(), wishes, carts), CATEGORIES[category].name
        if kind == "search":
            event = PageBrowsed(
                event_id=f"{name}.{number}", occurred_at_ms=at_ms, kind=kind, customer_id=customer_id,
                visitor_id=visitor_id, category=about, dwell_ms=dwell_ms, campaign=campaign,
            )  # fmt: skip
        else:
            article = costing(category, line_minor * exp(0.45 * normal(draw)))
            event = PageBrowsed(
                event_id=f"{name}.{number}", occurred_at_ms=at_ms, kind=kind, customer_id=customer_id,
                visitor_id=visitor_id, sku=article.sku, category=about, brand=article.brand,
                price_minor=price_in(article.price_minor, currency, rate), currency=currency,
                dwell_ms=dwell_ms, campaign=campaign,
            )  # fmt: skip
        events.append(event)
        campaign = None
        at_ms += dwell_ms + 900 + int(draw() * 4_000)
    return events


def _kind(draw: float, wishes: float, carts: float) -> Kind:
    if draw < wishes:
        return "wishlist"
    if draw < wishes + carts:
        return "add_to_cart"
    return "search" if draw > 0.91 else "view"
