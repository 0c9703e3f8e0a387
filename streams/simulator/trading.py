"""What is bought and what comes back: the order's basket, and which of its lines return or are cancelled.

A basket is filled towards a target value with articles that cost about so much, so that order values keep the
distribution they were drawn from. What comes back depends on the category (sizes must fit), the size of the order
(who orders three dresses keeps one), the customer and the advisor.
"""

from schemas.events import ItemsReturned, OrderLine, OrderPlaced, ReturnLine
from streams.simulator.calendar import is_sale
from streams.simulator.catalogue import CATEGORIES, costing, price_in
from streams.simulator.chance import Draw, count, exponential, gamma
from streams.simulator.nature import Nature, category_of
from streams.simulator.plan import ShopPlan

CHANNELS = (("web", 0.62), ("app", 0.9), ("store", 0.97), ("phone", 1.0))
PAYMENTS = (("card", 0.5), ("paypal", 0.78), ("invoice", 0.93), ("wallet", 1.0))
REASONS = ("too small", "too large", "not as expected", "ordered several to choose", "no reason given")
MOST_LINES = 40
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
_FIT = {category.name: category.fit for category in CATEGORIES}


def lines_of(plan: ShopPlan, nature: Nature, value_minor: float, at_ms: int, draw: Draw) -> tuple[OrderLine, ...]:
    """Order lines that come to about `value_minor` euro cents, in the currency of the market."""
    number = max(1, min(MOST_LINES, round(value_minor / plan.line_minor * (0.6 + 0.8 * draw()))))
    currency, rate, sale = nature.market.currency, nature.market.rate, is_sale(at_ms)
    found: dict[str, OrderLine] = {}
    for left in range(number, 0, -1):
        category = nature.favourites[draw() < 0.4] if draw() < 0.65 else category_of(draw())
        quantity = 1 + count(draw, plan.pieces - 1.0)
        share = value_minor / left * (1.0 if left == 1 else 0.6 + 0.8 * draw())
        article = costing(category, share / quantity)
        price = price_in(article.price_minor, currency, rate)
        value_minor -= article.price_minor * quantity
        cut, is_reduced = (0.2, 0.3, 0.4)[int(draw() * 3)], draw() < (0.5 if sale else 0.06)
        discount = int(price * quantity * cut) if is_reduced else 0
        found[article.sku] = OrderLine(
            sku=article.sku, quantity=quantity, unit_price_minor=price, discount_minor=discount,
            category=CATEGORIES[category].name, brand=article.brand,
        )  # fmt: skip
        if value_minor <= 0.0:
            break
    return tuple(found.values())


def order(
    plan: ShopPlan, nature: Nature, order_id: str, customer_id: str | None, visitor_id: str | None, at_ms: int,
    spend: float, draw: Draw,
) -> OrderPlaced:  # fmt: skip
    """An order at `spend` times what this customer spends by themselves."""
    value = gamma(draw, plan.spend_shape) / plan.spend_shape * nature.spend_minor
    channel, payment, gift = _one_of(CHANNELS, draw()), _one_of(PAYMENTS, draw()), draw() < 0.05
    online = channel in ("web", "app")
    return OrderPlaced(
        order_id=order_id,
        occurred_at_ms=at_ms,
        currency=nature.market.currency,
        market=nature.market.code,
        lines=lines_of(plan, nature, value * spend, at_ms, draw),
        customer_id=customer_id,
        visitor_id=visitor_id if online else None,
        language=nature.language,
        sales_channel=channel,
        is_gift=gift,
        payment_method=payment,
    )


def parting_ms(plan: ShopPlan, draw: Draw) -> tuple[int, bool]:
    """How long after an order it is cancelled, or what does not please comes back; and which of the two."""
    if draw() < plan.cancelled:
        return int(300_000 + exponential(draw) * 2 * HOUR_MS), True
    return int((4 + 9 * gamma(draw, 2.0) / 2.0) * DAY_MS), False


def returned(
    plan: ShopPlan, nature: Nature, placed: OrderPlaced, return_id: str, at_ms: int, returns: float, number: int,
    draw: Draw, *, cancelled: bool,
) -> ItemsReturned | None:  # fmt: skip
    """What comes back of an order, if anything does. `returns` is an advisor's factor, `number` the order's."""
    experience = 0.9 ** min(number, 6)  # who has bought before knows their size
    size = 1.0 + 0.12 * min(len(placed.lines) - 1, 5)
    lines = []
    for line in placed.lines:
        chance = plan.returns * _FIT[line.category or ""] * nature.fit * experience * size * returns
        if draw() < chance or cancelled:
            refund = line.unit_price_minor * line.quantity - line.discount_minor
            lines.append(ReturnLine(sku=line.sku, quantity=line.quantity, refund_minor=refund, category=line.category))
    if not lines:
        return None
    return ItemsReturned(
        return_id=return_id,
        occurred_at_ms=at_ms,
        currency=placed.currency,
        lines=tuple(lines),
        kind="cancelled" if cancelled else "returned",
        customer_id=placed.customer_id,
        order_id=placed.order_id,
        reason=None if cancelled else REASONS[int(draw() * len(REASONS))],
    )


def _one_of(choices: tuple[tuple[str, float], ...], draw: float) -> str:
    return next(name for name, reached in choices if draw < reached)
