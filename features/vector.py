"""What a look sees: the feature vectors, in one fixed order.

`first_vector` describes a first purchase as of its own time: what was bought, at which price level, and what was browsed
before. `since_vector` describes what happened since, as of a second look; a second look sees the frozen first vector
and, behind it, this one. Amounts and counts go in as log(1 + x), so that no wholesaler drowns the others; what is unknown
is 0. Values are rounded to 32-bit floats, so that freezing a vector loses nothing.

A few features depend on a model besides (`REFERRED`): how an order compares with others, what became of those who bought
the same. All of them are filled in by `refer`, from the vector, the basket and the model's `Reference` alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from math import cos, expm1, log1p, pi, sin, sqrt
from struct import Struct as Layout
from struct import pack, unpack
from typing import Final

from msgspec import Struct

from features.money import Rates
from features.profile import (
    CAMPAIGNS,
    CARTS,
    DISCOUNT,
    DWELL,
    GROSS,
    ITEMS,
    ORDERS,
    POINTS_PER_LOG,
    PRICE_POINTS,
    REFUND,
    RETURNED_ITEMS,
    RETURNS,
    SEARCHES,
    SESSIONS,
    UNPRICED,
    VIEWS,
    WISHLISTS,
    FirstPurchase,
    Profile,
    order_amounts,
)
from features.windows import DAY_MS, MINUTE_MS, Window
from schemas.events import OrderPlaced

HOUR_MS: Final = 60 * MINUTE_MS
SKUS_KEPT: Final = 20
CATEGORIES_KEPT: Final = 3
BRANDS_KEPT: Final = 3
LONGEST_NAME: Final = 32  # characters of a SKU where thousands are kept
UNIT_MINOR: Final = 100  # amounts are counted in hundreds of minor units: a scale, whatever the currency
COUNTED: Final = {"views": VIEWS, "dwell": DWELL, "carts": CARTS, "sessions": SESSIONS}
COUNTED_LATELY: Final = {"views": VIEWS, "carts": CARTS, "sessions": SESSIONS}
CHANNELS: Final = ("web", "app", "store", "phone")
BEFORE: Final[tuple[Window, ...]] = ("1h", "1d", "7d", "30d", "90d")
LATELY: Final[tuple[Window, ...]] = ("1d", "7d", "30d")

FEATURES: Final[tuple[str, ...]] = (
    # what was bought
    "log_first_spend", "log_skus", "log_lines", "log_items", "log_categories", "log_brands", "items_per_line",
    "discount_share", "is_discounted", "log_max_price", "log_mean_price", "log_min_price", "price_spread",
    "top_line_share", "top_category_share", "basket_value",
    # how, where and when
    "is_gift", "has_payment_method", "has_language", "has_visitor",
    *(f"channel_{channel}" for channel in CHANNELS), "channel_other",
    "hour_sin", "hour_cos", "weekday_sin", "weekday_cos",
    "is_base_currency", "spend_in_shop", "spend_in_market", "is_known_market",
    # what was browsed before
    *(f"log_{what}_{window}" for window in BEFORE for what in COUNTED),
    "log_views_ever", "log_dwell_ever", "log_carts_ever", "log_sessions_ever", "log_searches_ever", "log_wishlists_ever",
    "carts_per_step", "searches_per_step", "wishlists_per_step", "campaigns_per_step", "came_by_campaign_1d",
    "log_dwell_per_view", "log_views_per_session",
    "looked_price_level", "looked_price_level_1d", "bought_against_looked",
    "has_browsed", "log_days_since_first_visit", "log_hours_since_last_step",
)  # fmt: skip

SINCE_FEATURES: Final[tuple[str, ...]] = (
    "log_days_since_first", "log_days_since_last_order",
    "log_later_net_spend", "log_later_orders", "log_later_items", "log_later_gross", "later_discount_share",
    "has_ordered_again", "later_against_first_spend",
    "log_returns", "log_returned_items", "log_refund", "refund_share",
    "log_later_views", "log_later_carts", "log_later_sessions", "log_later_wishlists",
    *(f"log_{what}_lately_{window}" for window in LATELY for what in COUNTED_LATELY),
    "later_price_level", "log_hours_since_last_visit",
)  # fmt: skip

# What the model's reference fills in.
REFERRED: Final[tuple[str, ...]] = ("basket_value", "spend_in_shop", "spend_in_market", "is_known_market")
_REFERRED_AT: Final = tuple(FEATURES.index(name) for name in REFERRED)
_SPEND_AT: Final = FEATURES.index("log_first_spend")
_FLOATS: Final = Layout(f"<{len(REFERRED)}f")

SECOND_FEATURES: Final = FEATURES + SINCE_FEATURES
FEATURES_VERSION: Final = blake2b("\n".join((*FEATURES, "", *SINCE_FEATURES)).encode(), digest_size=4).hexdigest()


class Spread(Struct, frozen=True):
    """Mean and standard deviation of log first spend. Without a deviation it says nothing."""

    mean: float = 0.0
    deviation: float = 0.0

    def place(self, log_spend: float) -> float:
        return (log_spend - self.mean) / self.deviation if self.deviation > 0 else 0.0


class Basket(Struct, frozen=True):
    """What a first order held, and where: different articles, categories and brands, the dearest first."""

    market: str = ""
    skus: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()


def basket_of(order: OrderPlaced) -> Basket:
    """As much of it as is kept for learning: what is scored and what is learnt from are the same."""
    dearest = sorted(order.lines, key=lambda line: (-line.quantity * line.unit_price_minor, line.sku))
    return Basket(
        order.market,
        tuple(dict.fromkeys(line.sku for line in dearest))[:SKUS_KEPT],
        tuple(dict.fromkeys(line.category for line in dearest if line.category))[:CATEGORIES_KEPT],
        tuple(dict.fromkeys(line.brand for line in dearest if line.brand))[:BRANDS_KEPT],
    )


def name_of(sku: str) -> str:
    """What an article is called where thousands are kept: itself, or a digest where that is long.

    >>> name_of("85123A"), name_of("85123A" * 10)
    ('85123A', 'ba937652c77eefd1d6e1ee8b3db1a3dc')
    """
    if len(sku) <= LONGEST_NAME and sku.isascii():
        return sku
    return blake2b(sku.encode(), digest_size=LONGEST_NAME // 2).hexdigest()


class Encoding(Struct, frozen=True):
    """What became of earlier customers whose first order held an article, as one number for each; unknown ones say 0."""

    skus: dict[str, float] = {}

    def value(self, basket: Basket) -> float:
        """The sum over the different articles, by the root of their number: a long list is no better than a short one."""
        known = self.skus
        if not known or not basket.skus:
            return 0.0
        return sum([known.get(name_of(sku), 0.0) for sku in basket.skus]) / sqrt(len(basket.skus))


class Reference(Struct, frozen=True):
    """What first orders come to elsewhere: in the shop, by market, by what they held. It comes frozen in a snapshot."""

    shop: Spread = Spread()
    markets: dict[str, Spread] = {}
    encoding: Encoding = Encoding()


NEUTRAL: Final = Reference()


def first_vector(
    profile: Profile, order: OrderPlaced, rates: Rates, reference: Reference = NEUTRAL
) -> tuple[float, ...]:
    """`FEATURES` of an order as a first purchase, with what `profile` browsed before it.

    It makes no difference whether the order was folded already.
    """
    bought = _bought(order, rates)
    values = bought | _circumstances(order, rates) | _browsed_before(profile, order, bought["log_mean_price"])
    return refer(_in_order(FEATURES, values), basket_of(order), reference)


def refer(vector: Sequence[float], basket: Basket, reference: Reference) -> tuple[float, ...]:
    """The vector, of a first or a second look, with what this reference says of the first order."""
    log_spend, market = vector[_SPEND_AT], reference.markets.get(basket.market)
    told = (
        reference.encoding.value(basket),
        reference.shop.place(log_spend),
        (market or reference.shop).place(log_spend),
        float(market is not None),
    )
    referred = list(vector)
    for index, value in zip(_REFERRED_AT, _FLOATS.unpack(_FLOATS.pack(*told)), strict=True):
        referred[index] = value
    return tuple(referred)


def since_vector(profile: Profile, as_of_ms: int) -> tuple[float, ...]:
    """`SINCE_FEATURES`, up to and including a moment. Needs a first purchase."""
    first = profile.first_purchase
    if first is None:
        raise ValueError(f"{profile.customer_id}: expected a first purchase, got none; fold the order first")
    return _in_order(SINCE_FEATURES, _bought_since(profile, first, as_of_ms) | _browsed_since(profile, first, as_of_ms))


def _in_order(names: tuple[str, ...], values: Mapping[str, float]) -> tuple[float, ...]:
    """The values in their order, as 32-bit floats hold them."""
    layout = f"<{len(names)}f"
    return unpack(layout, pack(layout, *[values[name] + 0.0 for name in names]))  # + 0.0: no negative zeros


# ---- the first purchase ------------------------------------------------------------------------------------------------


def _bought(order: OrderPlaced, rates: Rates) -> dict[str, float]:
    amounts, lines = order_amounts(order, rates), order.lines
    prices = [_log_money(rates.to_base(line.unit_price_minor, order.currency)) for line in lines]
    values = [line.quantity * line.unit_price_minor for line in lines]
    by_category = Counter[str]()
    for line, value in zip(lines, values, strict=True):
        if line.category:
            by_category[line.category] += value
    return {
        "log_first_spend": _log_money(amounts.net_minor),
        "log_skus": log1p(len({line.sku for line in lines})),
        "log_lines": log1p(len(lines)),
        "log_items": log1p(amounts.items),
        "log_categories": log1p(len(by_category)),
        "log_brands": log1p(len({line.brand for line in lines if line.brand})),
        "items_per_line": amounts.items / len(lines),
        "discount_share": _share(amounts.discount_minor, amounts.gross_minor),
        "is_discounted": amounts.discount_minor > 0,
        "log_max_price": max(prices),
        "log_mean_price": _log_money(amounts.gross_minor / amounts.items),
        "log_min_price": min(prices),
        "price_spread": max(prices) - min(prices),
        "top_line_share": _share(max(values), sum(values)),
        "top_category_share": _share(max(by_category.values(), default=0), sum(values)),
    }


def _circumstances(order: OrderPlaced, rates: Rates) -> dict[str, float]:
    day, week = (order.occurred_at_ms % length_ms / length_ms * 2 * pi for length_ms in (DAY_MS, 7 * DAY_MS))
    channel = order.sales_channel if order.sales_channel in CHANNELS else "other"
    return (
        {f"channel_{name}": name == channel for name in (*CHANNELS, "other")}
        | {
            "is_gift": order.is_gift,
            "has_payment_method": order.payment_method is not None,
            "has_language": order.language is not None,
            "has_visitor": order.visitor_id is not None,
            "hour_sin": sin(day),
            "hour_cos": cos(day),
            "weekday_sin": sin(week),
            "weekday_cos": cos(week),
            "is_base_currency": order.currency == rates.base,
        }
        | dict.fromkeys(REFERRED, 0.0)
    )


def _browsed_before(profile: Profile, order: OrderPlaced, log_bought_price: float) -> dict[str, float]:
    at_ms = order.occurred_at_ms
    browsed, last_ms = profile.browse.read_all(at_ms), profile.browse.latest_ms(at_ms)
    ever, looked_minor = browsed["lifetime"], _looked_price_minor(browsed["30d"])
    steps = ever[VIEWS] + ever[CARTS] + ever[SEARCHES] + ever[WISHLISTS]
    values = _log_counts(ever, COUNTED, "ever")
    for window in BEFORE:
        values |= _log_counts(browsed[window], COUNTED, window)
    return values | {
        "log_searches_ever": log1p(ever[SEARCHES]),
        "log_wishlists_ever": log1p(ever[WISHLISTS]),
        "carts_per_step": _share(ever[CARTS], steps),
        "searches_per_step": _share(ever[SEARCHES], steps),
        "wishlists_per_step": _share(ever[WISHLISTS], steps),
        "campaigns_per_step": _share(ever[CAMPAIGNS], steps),
        "came_by_campaign_1d": browsed["1d"][CAMPAIGNS] > 0,
        "log_dwell_per_view": log1p(_share(ever[DWELL], ever[VIEWS])),
        "log_views_per_session": log1p(_share(ever[VIEWS], ever[SESSIONS])),
        "looked_price_level": _log_money(looked_minor),
        "looked_price_level_1d": _log_money(_looked_price_minor(browsed["1d"])),
        "bought_against_looked": log_bought_price - _log_money(looked_minor) if looked_minor else 0.0,
        "has_browsed": steps > 0,
        "log_days_since_first_visit": log1p(max(0, at_ms - profile.first_seen_ms) / DAY_MS),
        "log_hours_since_last_step": log1p((at_ms - last_ms) / HOUR_MS) if last_ms is not None else 0.0,
    }


# ---- since then --------------------------------------------------------------------------------------------------------


def _bought_since(profile: Profile, first: FirstPurchase, as_of_ms: int) -> dict[str, float]:
    """Purchases and returns since the day of the first purchase, less that purchase itself."""
    since_ms, until_ms = first.at_ms // DAY_MS * DAY_MS, as_of_ms + 1
    bought = profile.purchases.read_between(since_ms, until_ms)
    returned = profile.returns.read_between(since_ms, until_ms)
    orders, items = max(0, bought[ORDERS] - 1), max(0, bought[ITEMS] - first.items)
    gross = max(0, bought[GROSS] - first.net_minor - first.discount_minor)
    discount = max(0, bought[DISCOUNT] - first.discount_minor)
    net, last_ms = max(0, gross - discount - returned[REFUND]), profile.purchases.latest_ms(until_ms)
    return {
        "log_days_since_first": log1p(max(0, as_of_ms - first.at_ms) / DAY_MS),
        "log_days_since_last_order": log1p((as_of_ms - last_ms) / DAY_MS) if last_ms is not None else 0.0,
        "log_later_net_spend": _log_money(net),
        "log_later_orders": log1p(orders),
        "log_later_items": log1p(items),
        "log_later_gross": _log_money(gross),
        "later_discount_share": _share(discount, gross),
        "has_ordered_again": orders > 0,
        "later_against_first_spend": _share(net, net + first.net_minor),
        "log_returns": log1p(returned[RETURNS]),
        "log_returned_items": log1p(returned[RETURNED_ITEMS]),
        "log_refund": _log_money(returned[REFUND]),
        "refund_share": _share(returned[REFUND], first.net_minor + gross - discount),
    }


def _browsed_since(profile: Profile, first: FirstPurchase, as_of_ms: int) -> dict[str, float]:
    until_ms = as_of_ms + 1
    lately, last_ms = profile.browse.read_all(until_ms), profile.browse.latest_ms(until_ms)
    later = profile.browse.read_between(first.at_ms, until_ms)
    values: dict[str, float] = {}
    for window in LATELY:
        values |= _log_counts(lately[window], COUNTED_LATELY, f"lately_{window}")
    return values | {
        "log_later_views": log1p(later[VIEWS]),
        "log_later_carts": log1p(later[CARTS]),
        "log_later_sessions": log1p(later[SESSIONS]),
        "log_later_wishlists": log1p(later[WISHLISTS]),
        "later_price_level": _log_money(_looked_price_minor(later)),
        "log_hours_since_last_visit": log1p((as_of_ms - last_ms) / HOUR_MS) if last_ms is not None else 0.0,
    }


# ---- scales ------------------------------------------------------------------------------------------------------------


def _log_counts(measures: Sequence[int], counted: Mapping[str, int], when: str) -> dict[str, float]:
    return {name: log1p(measures[index]) for name, index in _counted_names(tuple(counted.items()), when)}


@lru_cache(maxsize=64)
def _counted_names(counted: tuple[tuple[str, int], ...], when: str) -> tuple[tuple[str, int], ...]:
    """Made once: a look asks for the same names each time."""
    return tuple((f"log_{what}_{when}", index) for what, index in counted)


def _log_money(minor: float) -> float:
    return log1p(minor / UNIT_MINOR)


def _looked_price_minor(measures: Sequence[int]) -> float:
    """The geometric mean of the prices looked at; 0 if none is known."""
    priced = measures[VIEWS] - measures[UNPRICED]
    return expm1(measures[PRICE_POINTS] / POINTS_PER_LOG / priced) if priced > 0 else 0.0


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
