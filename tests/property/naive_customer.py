"""The naive twin of profiles and vectors: it keeps the raw events and works everything out from them when asked."""

from math import cos, exp, log, pi, sin, sqrt

from features.money import Rates
from schemas.events import ItemsReturned, OrderPlaced, PageBrowsed
from tests.property.naive_windows import DAYS, NaiveTiles

HOURS = DAYS // 24
VIEWS, DWELL, POINTS, SESSIONS, CARTS, SEARCHES, WISHLISTS, CAMPAIGNS, UNPRICED = range(9)


class NaiveBrowser:
    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self.steps: list[tuple[PageBrowsed, bool]] = []  # with whether it began a session
        self.moments_ms: list[int] = []

    def apply(self, event: PageBrowsed) -> None:
        last_s = max((at_ms // 1000 for at_ms in self.moments_ms), default=0)
        self.steps.append((event, event.occurred_at_ms > last_s * 1000 + 30 * 60_000))
        self.moments_ms.append(event.occurred_at_ms)

    def tiles(self, rates: Rates) -> NaiveTiles:
        naive = NaiveTiles("browsing", 9)
        for event, begins in self.steps:
            is_view = event.kind == "view"
            price = None
            if is_view and event.price_minor and (event.currency is None or rates.knows(event.currency)):
                price = rates.to_base(event.price_minor, event.currency or rates.base)
            amounts = [0] * 9
            amounts[VIEWS] = is_view
            amounts[DWELL] = int(event.dwell_ms / 10_000 + 0.5)
            amounts[POINTS] = round(8 * log(1 + price)) if price else 0
            amounts[SESSIONS] = begins
            amounts[CARTS] = event.kind == "add_to_cart"
            amounts[SEARCHES] = event.kind == "search"
            amounts[WISHLISTS] = event.kind == "wishlist"
            amounts[CAMPAIGNS] = event.campaign is not None
            amounts[UNPRICED] = is_view and not amounts[POINTS]
            naive.add(event.occurred_at_ms, amounts)
        return naive


class NaiveCustomer(NaiveBrowser):
    def __init__(self, since_ms: int) -> None:
        super().__init__(since_ms)
        self.orders: list[OrderPlaced] = []
        self.returns: list[tuple[ItemsReturned, bool]] = []  # with whether it was known before the first order
        self.absorbed: list[NaiveBrowser] = []

    def apply(self, event: OrderPlaced | ItemsReturned | PageBrowsed) -> None:
        match event:
            case PageBrowsed():
                super().apply(event)
            case OrderPlaced():
                self.orders.append(event)
                self.moments_ms.append(event.occurred_at_ms)
            case ItemsReturned():
                self.returns.append((event, not self.orders))
                self.moments_ms.append(event.occurred_at_ms)

    def absorb(self, visitor: NaiveBrowser) -> None:
        if visitor not in self.absorbed:
            self.absorbed.append(visitor)
            self.steps += visitor.steps
            self.moments_ms += visitor.moments_ms
            self.since_ms = min(self.since_ms, visitor.since_ms)

    # ---- money ----

    def purchase_tiles(self, rates: Rates) -> NaiveTiles:
        naive = NaiveTiles("trading", 4)  # orders, gross, items, discount
        for order in self.orders:
            naive.add(order.occurred_at_ms, [1, gross(order, rates), items(order), discount(order, rates)])
        return naive

    def return_tiles(self, rates: Rates) -> NaiveTiles:
        naive = NaiveTiles("trading", 3)  # returns, refund, items
        for event, _ in self.returns:
            naive.add(event.occurred_at_ms, [1, refund(event, rates), sum(line.quantity for line in event.lines)])
        return naive

    def net_spend(self, as_of_ms: int, until_ms: int, days: int, rates: Rates) -> int:
        """By whole days: what is bought counts until the end of the day on which `days` have passed."""
        total = 0
        for order in self.orders:
            if counts(order.occurred_at_ms, as_of_ms, until_ms, days):
                total += gross(order, rates) - discount(order, rates)
        for event, _ in self.returns:
            if counts(event.occurred_at_ms, as_of_ms, until_ms, days):
                total -= refund(event, rates)
        return total

    def outcome(self, days: int, rates: Rates) -> int:
        """Net spend within so many days after the first order, which is the first that came."""
        first, *others = self.orders
        end_ms = first.occurred_at_ms + days * DAYS
        bought = sum(
            gross(order, rates) - discount(order, rates)
            for order in others
            if first.occurred_at_ms <= order.occurred_at_ms <= end_ms
        )
        early = NaiveTiles("trading", 3)
        for event, _ in (known for known in self.returns if known[1]):
            early.add(event.occurred_at_ms, [0, refund(event, rates), 0])
        sent_back = sum(
            refund(event, rates)
            for event, was_early in self.returns
            if not was_early and first.occurred_at_ms <= event.occurred_at_ms <= end_ms
        )
        if early.events:
            sent_back += early.read_between(first.occurred_at_ms, end_ms + 1)[1]
        return bought - sent_back

    # ---- vectors ----

    def first_vector(
        self, order: OrderPlaced, rates: Rates, spreads: dict[str, tuple[float, float]]
    ) -> dict[str, float]:
        return bought(order, rates) | around(order, rates, spreads) | self.browsed_before(order, rates)

    def browsed_before(self, order: OrderPlaced, rates: Rates) -> dict[str, float]:
        at_ms, browse = order.occurred_at_ms, self.tiles(rates)
        if not self.steps:
            windows = {window: [0] * 9 for window in ("1h", "1d", "7d", "30d", "90d", "lifetime")}
            last_ms = None
        else:
            windows = {window: browse.read(at_ms, window) for window in ("1h", "1d", "7d", "30d", "90d", "lifetime")}
            last_ms = browse.latest_ms(at_ms)
        ever = windows["lifetime"]
        steps = ever[VIEWS] + ever[CARTS] + ever[SEARCHES] + ever[WISHLISTS]
        mean_price = gross(order, rates) / items(order) / 100
        looked, looked_1d = geometric_mean(windows["30d"]), geometric_mean(windows["1d"])
        first_s = min(self.since_ms // 1000, *(at // 1000 for at in [*self.moments_ms, self.since_ms]))
        values = {
            "log_searches_ever": plus_one(ever[SEARCHES]),
            "log_wishlists_ever": plus_one(ever[WISHLISTS]),
            "carts_per_step": ratio(ever[CARTS], steps),
            "searches_per_step": ratio(ever[SEARCHES], steps),
            "wishlists_per_step": ratio(ever[WISHLISTS], steps),
            "campaigns_per_step": ratio(ever[CAMPAIGNS], steps),
            "came_by_campaign_1d": float(windows["1d"][CAMPAIGNS] > 0),
            "log_dwell_per_view": plus_one(ratio(ever[DWELL], ever[VIEWS])),
            "log_views_per_session": plus_one(ratio(ever[VIEWS], ever[SESSIONS])),
            "looked_price_level": plus_one(looked / 100),
            "looked_price_level_1d": plus_one(looked_1d / 100),
            "bought_against_looked": plus_one(mean_price) - plus_one(looked / 100) if looked else 0.0,
            "has_browsed": float(steps > 0),
            "log_days_since_first_visit": plus_one(max(0, at_ms - first_s * 1000) / DAYS),
            "log_hours_since_last_step": plus_one((at_ms - last_ms) / HOURS) if last_ms is not None else 0.0,
        }
        for name, window in [
            ("1h", "1h"),
            ("1d", "1d"),
            ("7d", "7d"),
            ("30d", "30d"),
            ("90d", "90d"),
            ("ever", "lifetime"),
        ]:
            for what, index in [("views", VIEWS), ("dwell", DWELL), ("carts", CARTS), ("sessions", SESSIONS)]:
                values[f"log_{what}_{name}"] = plus_one(windows[window][index])
        return values

    def since_vector(self, as_of_ms: int, rates: Rates) -> dict[str, float]:
        return self.bought_since(as_of_ms, rates) | self.browsed_since(as_of_ms, rates)

    def bought_since(self, as_of_ms: int, rates: Rates) -> dict[str, float]:
        first = self.orders[0]
        day_ms = first.occurred_at_ms // DAYS * DAYS
        purchases, returns = self.purchase_tiles(rates), self.return_tiles(rates)
        bought = purchases.read_between(day_ms, as_of_ms + 1)
        sent_back = returns.read_between(day_ms, as_of_ms + 1) if self.returns else [0, 0, 0]
        own = [1, gross(first, rates), items(first), discount(first, rates)]
        orders, spent, units, off = (max(0, total - first_part) for total, first_part in zip(bought, own, strict=True))
        net = max(0, spent - off - sent_back[1])
        first_net = own[1] - own[3]
        last_ms = purchases.latest_ms(as_of_ms + 1)
        return {
            "log_days_since_first": plus_one(max(0, as_of_ms - first.occurred_at_ms) / DAYS),
            "log_days_since_last_order": plus_one((as_of_ms - last_ms) / DAYS) if last_ms is not None else 0.0,
            "log_later_net_spend": plus_one(net / 100),
            "log_later_orders": plus_one(orders),
            "log_later_items": plus_one(units),
            "log_later_gross": plus_one(spent / 100),
            "later_discount_share": ratio(off, spent),
            "has_ordered_again": float(orders > 0),
            "later_against_first_spend": ratio(net, net + first_net),
            "log_returns": plus_one(sent_back[0]),
            "log_returned_items": plus_one(sent_back[2]),
            "log_refund": plus_one(sent_back[1] / 100),
            "refund_share": ratio(sent_back[1], first_net + spent - off),
        }

    def browsed_since(self, as_of_ms: int, rates: Rates) -> dict[str, float]:
        nothing, browse = [0] * 9, self.tiles(rates)
        later = browse.read_between(self.orders[0].occurred_at_ms, as_of_ms + 1) if self.steps else nothing
        last_ms = browse.latest_ms(as_of_ms + 1) if self.steps else None
        values = {
            "log_later_views": plus_one(later[VIEWS]),
            "log_later_carts": plus_one(later[CARTS]),
            "log_later_sessions": plus_one(later[SESSIONS]),
            "log_later_wishlists": plus_one(later[WISHLISTS]),
            "later_price_level": plus_one(geometric_mean(later) / 100),
            "log_hours_since_last_visit": plus_one((as_of_ms - last_ms) / HOURS) if last_ms is not None else 0.0,
        }
        for window in ("1d", "7d", "30d"):
            lately = browse.read(as_of_ms + 1, window) if self.steps else nothing
            for what, index in [("views", VIEWS), ("carts", CARTS), ("sessions", SESSIONS)]:
                values[f"log_{what}_lately_{window}"] = plus_one(lately[index])
        return values


def bought(order: OrderPlaced, rates: Rates) -> dict[str, float]:
    lines = order.lines
    prices = sorted(plus_one(rates.to_base(line.unit_price_minor, order.currency) / 100) for line in lines)
    values = [line.unit_price_minor * line.quantity for line in lines]
    categories = {line.category for line in lines} - {None, ""}
    by_category = [sum(v for v, l in zip(values, lines, strict=True) if l.category == c) for c in categories]
    off, full = discount(order, rates), gross(order, rates)
    return {
        "log_first_spend": plus_one((full - off) / 100),
        "log_skus": plus_one(len({line.sku for line in lines})),
        "log_lines": plus_one(len(lines)),
        "log_items": plus_one(items(order)),
        "log_categories": plus_one(len(categories)),
        "log_brands": plus_one(len({line.brand for line in lines} - {None, ""})),
        "items_per_line": items(order) / len(lines),
        "discount_share": ratio(off, full),
        "is_discounted": float(off > 0),
        "log_max_price": prices[-1],
        "log_mean_price": plus_one(full / items(order) / 100),
        "log_min_price": prices[0],
        "price_spread": prices[-1] - prices[0],
        "top_line_share": ratio(max(values), sum(values)),
        "top_category_share": ratio(max(by_category, default=0), sum(values)),
    }


def around(order: OrderPlaced, rates: Rates, spreads: dict[str, tuple[float, float]]) -> dict[str, float]:
    hours, spend = order.occurred_at_ms / HOURS, plus_one((gross(order, rates) - discount(order, rates)) / 100)

    def place(market: str) -> float:
        mean, deviation = spreads[market]
        return (spend - mean) / deviation if deviation else 0.0

    channel = order.sales_channel if order.sales_channel in ("web", "app", "store", "phone") else "other"
    return {f"channel_{name}": float(name == channel) for name in ("web", "app", "store", "phone", "other")} | {
        "is_gift": float(order.is_gift),
        "has_payment_method": float(order.payment_method is not None),
        "has_language": float(order.language is not None),
        "has_visitor": float(order.visitor_id is not None),
        "hour_sin": sin(hours % 24 / 12 * pi),
        "hour_cos": cos(hours % 24 / 12 * pi),
        "weekday_sin": sin(hours % 168 / 84 * pi),
        "weekday_cos": cos(hours % 168 / 84 * pi),
        "is_base_currency": float(order.currency == rates.base),
        "spend_in_shop": place("shop"),
        "spend_in_market": place(order.market if order.market in spreads else "shop"),
        "is_known_market": float(order.market in spreads),
        "basket_value": basket_value(order, spreads),
    }


def basket_value(order: OrderPlaced, spreads: dict[str, tuple[float, float]]) -> float:
    """Of the twenty articles that most was paid for, what is known under `sku <name>`."""
    paid = sorted((-line.quantity * line.unit_price_minor, line.sku) for line in order.lines)
    skus: list[str] = []
    for _, sku in paid:
        if sku not in skus and len(skus) < 20:
            skus.append(sku)
    return sum(spreads.get(f"sku {sku}", (0.0, 0.0))[0] for sku in skus) / sqrt(len(skus))


def gross(order: OrderPlaced, rates: Rates) -> int:
    return rates.to_base(sum(line.unit_price_minor * line.quantity for line in order.lines), order.currency)


def discount(order: OrderPlaced, rates: Rates) -> int:
    off = [min(line.discount_minor, line.unit_price_minor * line.quantity) for line in order.lines]
    return rates.to_base(sum(off), order.currency)


def items(order: OrderPlaced) -> int:
    return sum(line.quantity for line in order.lines)


def refund(event: ItemsReturned, rates: Rates) -> int:
    return rates.to_base(sum(line.refund_minor for line in event.lines), event.currency)


def counts(at_ms: int, as_of_ms: int, until_ms: int, days: int) -> bool:
    return at_ms // 60_000 * 60_000 <= as_of_ms and at_ms // DAYS + days >= until_ms // DAYS


def geometric_mean(amounts: list[int]) -> float:
    priced = amounts[VIEWS] - amounts[UNPRICED]
    return exp(amounts[POINTS] / 8 / priced) - 1 if priced > 0 else 0.0


def plus_one(number: float) -> float:
    return log(1 + number)


def ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
