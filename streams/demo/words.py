"""What a person reads: reasons, looks, amounts and rejects in words.

A reason is a fact about a customer, with an arrow that says whether it raised the score or lowered it. Features that tell the
same fact, such as an amount and its place among others, share their words.
"""

from collections.abc import Callable, Iterable
from math import expm1
from typing import Final

from online_models.explain import OTHER
from schemas.events import CustomerScored, Reason, TierChanged
from streams.demo.observer import Reject

SYMBOLS: Final = {"EUR": "€", "GBP": "£", "USD": "$", "CHF": "CHF", "JPY": "¥"}
SPANS: Final = {"1h": "in the last hour", "1d": "today", "7d": "in 7 days", "30d": "in 30 days", "90d": "in 90 days"}
UP, DOWN = "↑", "↓"
FEW_KNOWN, FEW_VIPS = 100, 10
Phrase = Callable[[float, str], str]  # of a feature's value, and the base currency


def money(minor: float, currency: str) -> str:
    """An amount for people.

    >>> money(124_050, "EUR"), money(99_00, "SEK")
    ('€ 1,240', '99 SEK')
    """
    symbol, amount = SYMBOLS.get(currency), f"{int(minor / 100):,}"
    return f"{symbol} {amount}" if symbol else f"{amount} {currency}"


def percent(share: float) -> str:
    """A share for people.

    >>> percent(0.084), percent(0.0004)
    ('8 %', '0 %')
    """
    return f"{share:.0%}".replace("%", " %")


def many(number: float, what: str, plural: str = "") -> str:
    """A number of things for people.

    >>> many(1, "visit"), many(3, "category", "categories")
    ('1 visit', '3 categories')
    """
    return f"{round(number):,} {what if round(number) == 1 else plural or what + 's'}"


def are_few(vips: int, known: int) -> bool:
    """Whether nothing should be concluded from so many VIPs among outcomes that are known."""
    return known < FEW_KNOWN or vips < FEW_VIPS


# ---- reasons -----------------------------------------------------------------------------------------------------------


def _count(what: str, plural: str = "", when: str = "") -> Phrase:
    return lambda value, _: f"{many(expm1(value), what, plural)} {when}".strip()


def _amount(text: str, nothing: str = "") -> Phrase:
    return lambda value, currency: (
        text.format(money(100 * expm1(value), currency)) if value > 0 or not nothing else nothing
    )


def _share(text: str) -> Phrase:
    return lambda value, _: f"{percent(value)} {text}"


def _days(text: str) -> Phrase:
    return lambda value, _: f"{text} {many(expm1(value), 'day')}"


def _hours(text: str) -> Phrase:
    return lambda value, _: f"{text} {many(expm1(value), 'hour')} ago"


def _either(yes: str, no: str) -> Phrase:
    return lambda value, _: yes if value > 0 else no


def _just(text: str) -> Phrase:
    return lambda _value, _currency: text


def _minutes(when: str) -> Phrase:
    return lambda value, _: f"{many(expm1(value) / 6, 'minute')} of looking {when}"  # counted in tens of seconds


PHRASES: Final[dict[str, Phrase]] = {
    "log_first_spend": _just("order value"),
    "spend_in_shop": _just("order value"),
    "spend_in_market": _just("order value"),
    "log_skus": _count("article"),
    "log_lines": _count("article"),
    "log_items": _count("piece"),
    "log_categories": _count("category", "categories"),
    "log_brands": _count("brand"),
    "items_per_line": _just("pieces of one article"),
    "discount_share": _share("discount"),
    "is_discounted": _either("bought at a discount", "paid the full price"),
    "log_max_price": _amount("dearest piece {}"),
    "log_mean_price": _amount("pieces of about {}"),
    "log_min_price": _amount("cheapest piece {}"),
    "price_spread": _just("prices far apart"),
    "top_line_share": _share("in one article"),
    "top_category_share": _share("in one category"),
    "basket_value": _just("what was bought"),
    "is_gift": _either("bought a gift", "no gift"),
    "has_payment_method": _either("payment known", "payment unknown"),
    "has_language": _either("language known", "language unknown"),
    "has_visitor": _either("known from browsing", "not known from browsing"),
    **{f"channel_{name}": _either(f"bought {where}", f"not {where}") for name, where in {
        "web": "on the web", "app": "in the app", "store": "in a store", "phone": "by phone", "other": "elsewhere",
    }.items()},
    **dict.fromkeys(("hour_sin", "hour_cos"), _just("time of day")),
    **dict.fromkeys(("weekday_sin", "weekday_cos"), _just("day of the week")),
    "is_base_currency": _either("pays in our currency", "pays in another currency"),
    "is_known_market": _either("market known well", "market still new"),
    **{f"log_views_{window}": _count("page", when=when) for window, when in SPANS.items()},
    **{f"log_dwell_{window}": _minutes(when) for window, when in SPANS.items()},
    **{f"log_carts_{window}": _count("piece", when=f"into the cart {when}") for window, when in SPANS.items()},
    **{f"log_sessions_{window}": _count("visit", when=when) for window, when in SPANS.items()},
    "log_views_ever": _count("page", when="so far"),
    "log_dwell_ever": _minutes("so far"),
    "log_carts_ever": _count("piece", when="into the cart so far"),
    "log_sessions_ever": _count("visit", when="so far"),
    "log_searches_ever": _count("search", "searches"),
    "log_wishlists_ever": _count("wish", "wishes", "noted"),
    "carts_per_step": _share("of steps to the cart"),
    "searches_per_step": _share("of steps a search"),
    "wishlists_per_step": _share("of steps to the wish list"),
    "campaigns_per_step": _share("of steps from a campaign"),
    "came_by_campaign_1d": _either("came by a campaign", "came by no campaign"),
    "log_dwell_per_view": lambda value, _: f"{expm1(value) * 10:.0f} s on a page",
    "log_views_per_session": lambda value, _: f"{many(expm1(value), 'page')} a visit",
    "looked_price_level": _amount("looks at about {}"),
    "looked_price_level_1d": _amount("looked today at about {}"),
    "bought_against_looked": _either("bought dearer than looked at", "bought cheaper than looked at"),
    "has_browsed": _either("browsed before buying", "did not browse before"),
    "log_days_since_first_visit": _days("known for"),
    "log_hours_since_last_step": _hours("last step"),
    "log_days_since_first": _days("a customer for"),
    "log_days_since_last_order": _days("no order for"),
    "log_later_net_spend": _amount("spent {} since", "nothing spent since"),
    "log_later_orders": _count("further order"),
    "log_later_items": _count("further piece"),
    "log_later_gross": _amount("bought for {} since", "nothing bought since"),
    "later_discount_share": _share("discount since"),
    "has_ordered_again": _either("ordered again", "no second order yet"),
    "later_against_first_spend": _just("later orders against the first"),
    "log_returns": _count("return"),
    "log_returned_items": _count("piece", when="sent back"),
    "log_refund": _amount("refunded {}", "nothing refunded"),
    "refund_share": _share("sent back"),
    "log_later_views": _count("page", when="since"),
    "log_later_carts": _count("piece", when="into the cart since"),
    "log_later_sessions": _count("visit", when="since"),
    "log_later_wishlists": _count("wish", "wishes", "since"),
    **{f"log_views_lately_{window}": _count("page", when=SPANS[window]) for window in ("1d", "7d", "30d")},
    **{f"log_carts_lately_{window}": _count("piece", when=f"into the cart {SPANS[window]}") for window in ("1d", "7d", "30d")},
    **{f"log_sessions_lately_{window}": _count("visit", when=SPANS[window]) for window in ("1d", "7d", "30d")},
    "later_price_level": _amount("looks since at about {}"),
    "log_hours_since_last_visit": _hours("last visit"),
    OTHER: _just("the rest together"),
}  # fmt: skip


def told_reasons(reasons: Iterable[Reason], currency: str, at_most: int = 4) -> list[tuple[str, str]]:
    """Arrow and words of the reasons that weigh most; what has the same words is summed up, the rest left out."""
    together: dict[str, float] = {}
    for reason in reasons:
        if reason.feature != OTHER:
            words = PHRASES[reason.feature](reason.value, currency)
            together[words] = together.get(words, 0.0) + reason.contribution
    ranked = sorted(together.items(), key=lambda item: -abs(item[1]))
    return [(UP if weight > 0 else DOWN, words) for words, weight in ranked[:at_most]]


# ---- the rest ----------------------------------------------------------------------------------------------------------


def told_look(look: CustomerScored) -> str:
    match look.look:
        case "first":
            return "first purchase"
        case "order":
            return "ordered again"
        case "return":
            return "sent goods back"
        case _:
            days = look.look.removeprefix("day_")
            return f"{days} days, no order" if look.brief.orders <= 1 else f"{days} days on"


def told_tier(change: TierChanged, currency: str) -> str:
    match change.change:
        case "near":
            return f"{money(change.missing_minor, currency)} from {change.tier}"
        case "at_risk":
            return f"may lose {change.tier}"
        case _:
            return f"{change.change} {change.tier}"


def told_reject(reject: Reject) -> str:
    return f"{reject.field}: expected {reject.expected}, got {reject.got}"
