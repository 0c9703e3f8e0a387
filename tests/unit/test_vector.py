"""A vector has a fixed order, says what a look sees, and survives freezing bit for bit."""

import math
import struct

import pytest

from features.money import Rates
from features.profile import (
    Profile,
    absorb,
    fold_browse,
    fold_order,
    fold_return,
    new_profile,
    new_visitor,
)
from features.vector import (
    FEATURES,
    FEATURES_VERSION,
    SECOND_FEATURES,
    SINCE_FEATURES,
    Reference,
    Spread,
    first_vector,
    since_vector,
)
from features.windows import DAY_MS
from schemas.events import ItemsReturned, OrderLine, OrderPlaced, PageBrowsed, ReturnLine

RATES = Rates("EUR", {"GBP": 1_200_000})
HORIZONS_MS = (180 * DAY_MS,)
AT_MS = 20_000 * DAY_MS + 18 * 3_600_000
HOUR_MS = 3_600_000


def order(at_ms: int = AT_MS, minor: int = 10_000, **fields) -> OrderPlaced:
    line = OrderLine(sku="A", quantity=1, unit_price_minor=minor)
    given = {"order_id": "o1", "occurred_at_ms": at_ms, "currency": "EUR", "market": "DE", "lines": (line,), **fields}
    return OrderPlaced(**given)


def browse(profile: Profile, at_ms: int, **fields) -> None:
    fold_browse(profile, PageBrowsed(**{"event_id": "e", "occurred_at_ms": at_ms, **fields}), RATES)


def first(profile: Profile, bought: OrderPlaced, reference: Reference | None = None) -> dict[str, float]:
    vector = first_vector(profile, bought, RATES, reference or Reference())
    return dict(zip(FEATURES, vector, strict=True))


def since(profile: Profile, as_of_ms: int) -> dict[str, float]:
    return dict(zip(SINCE_FEATURES, since_vector(profile, as_of_ms), strict=True))


def log1p(number: float) -> float:
    """As a vector holds it."""
    (held,) = struct.unpack("<f", struct.pack("<f", math.log1p(number)))
    return float(held)


def test_there_are_enough_features_and_no_name_twice() -> None:
    assert len(FEATURES) >= 60
    assert 15 <= len(SINCE_FEATURES) <= 30
    assert SECOND_FEATURES == FEATURES + SINCE_FEATURES
    assert len(set(SECOND_FEATURES)) == len(SECOND_FEATURES)


def test_the_version_names_the_features_and_their_order() -> None:
    """If this fails, models learnt on the old features can't read the new ones: a release, not a refactoring."""
    assert FEATURES_VERSION == "34dfb10e"


def test_the_features_models_ask_for_by_name_are_there() -> None:
    assert {"log_first_spend", "log_skus"} <= set(FEATURES)
    assert "log_later_net_spend" in SINCE_FEATURES


def test_a_first_purchase_without_browsing_is_described_by_itself() -> None:
    lines = (
        OrderLine(sku="A", quantity=3, unit_price_minor=2_000, discount_minor=500, category="coats", brand="x"),
        OrderLine(sku="B", quantity=1, unit_price_minor=4_000, category="bags"),
    )
    seen = first(new_profile("c1", AT_MS), order(lines=lines, is_gift=True, sales_channel="phone"))
    assert seen["log_first_spend"] == log1p(95)
    assert (seen["log_skus"], seen["log_items"]) == (log1p(2), log1p(4))
    assert (seen["log_categories"], seen["log_brands"]) == (log1p(2), log1p(1))
    assert seen["discount_share"] == pytest.approx(0.05)
    assert (seen["log_max_price"], seen["log_min_price"], seen["log_mean_price"]) == (log1p(40), log1p(20), log1p(25))
    assert (seen["top_line_share"], seen["items_per_line"]) == pytest.approx((0.6, 2))
    assert (seen["is_gift"], seen["channel_phone"], seen["channel_web"], seen["has_browsed"]) == (1, 1, 0, 0)
    assert (seen["hour_sin"], seen["hour_cos"]) == pytest.approx((-1, 0), abs=1e-6)


def test_amounts_are_in_the_base_currency() -> None:
    in_pounds = first(new_profile("c1", AT_MS), order(currency="GBP"))
    assert in_pounds["log_first_spend"] == log1p(120) == in_pounds["log_max_price"]
    assert in_pounds["is_base_currency"] == 0


def test_an_unknown_channel_is_other() -> None:
    seen = first(new_profile("c1", AT_MS), order(sales_channel="carrier pigeon"))
    assert [seen[f"channel_{name}"] for name in ("web", "app", "store", "phone", "other")] == [0, 0, 0, 0, 1]


def test_spend_is_placed_among_first_orders_of_the_shop_and_the_market() -> None:
    reference = Reference(Spread(math.log1p(100), 0.5), {"DE": Spread(math.log1p(100) - 1, 2.0)})
    known, abroad = (first(new_profile("c1", AT_MS), order(market=market), reference) for market in ("DE", "FR"))
    close = 1e-6  # log first spend is a 32-bit float by then
    assert (known["spend_in_shop"], known["spend_in_market"]) == pytest.approx((0, 0.5), abs=close)
    assert (abroad["spend_in_shop"], abroad["spend_in_market"]) == pytest.approx((0, 0), abs=close)
    assert (known["is_known_market"], abroad["is_known_market"]) == (1, 0)
    assert first(new_profile("c1", AT_MS), order())["spend_in_market"] == 0


def test_what_was_browsed_before_counts_and_what_comes_after_does_not() -> None:
    profile = new_profile("c1", AT_MS)
    browse(profile, AT_MS - 3 * DAY_MS, price_minor=5_000, dwell_ms=30_000, campaign="x")
    browse(profile, AT_MS - HOUR_MS // 2, price_minor=20_000)
    browse(profile, AT_MS - HOUR_MS // 2 + 1, kind="add_to_cart")
    before = first(profile, order())
    browse(profile, AT_MS + 5 * 60_000)
    assert first(profile, order()) == before
    assert (before["log_views_1h"], before["log_views_7d"], before["log_carts_1h"]) == (log1p(1), log1p(2), log1p(1))
    assert (before["log_sessions_1d"], before["log_sessions_ever"]) == (log1p(1), log1p(2))
    assert before["carts_per_step"] == pytest.approx(1 / 3)
    assert before["log_days_since_first_visit"] == log1p(3)
    assert (before["came_by_campaign_1d"], before["campaigns_per_step"]) == pytest.approx((0, 1 / 3))
    assert before["looked_price_level"] == pytest.approx(math.log1p(100), abs=0.1)  # between 50 and 200
    assert before["bought_against_looked"] == pytest.approx(0, abs=0.1)
    assert before["log_hours_since_last_step"] == log1p(0.5)


def test_what_is_browsed_at_the_very_moment_of_the_order_does_not_count() -> None:
    profile = new_profile("c1", AT_MS)
    browse(profile, AT_MS)
    assert first(profile, order())["has_browsed"] == 0
    assert first(profile, order(AT_MS + 1))["has_browsed"] == 1


def test_a_visitors_browsing_counts_once_absorbed() -> None:
    visitor, profile = new_visitor("v1", AT_MS - DAY_MS), new_profile("c1", AT_MS)
    fold_browse(visitor, PageBrowsed(event_id="e", occurred_at_ms=AT_MS - DAY_MS), RATES)
    absorb(profile, visitor)
    seen = first(profile, order())
    assert (seen["log_views_7d"], seen["log_days_since_first_visit"]) == (log1p(1), log1p(1))


def bought_again() -> Profile:
    profile = new_profile("c1", AT_MS)
    fold_order(profile, order(AT_MS, 10_000), RATES, HORIZONS_MS)
    fold_order(profile, order(AT_MS + 5 * DAY_MS, 6_000), RATES, HORIZONS_MS)
    lines = (ReturnLine(sku="A", quantity=2, refund_minor=1_000),)
    returned = ItemsReturned(return_id="r1", occurred_at_ms=AT_MS + 6 * DAY_MS, currency="EUR", lines=lines)
    fold_return(profile, returned, RATES, HORIZONS_MS)
    return profile


def test_a_second_look_sees_what_happened_since_the_first_purchase() -> None:
    profile = bought_again()
    browse(profile, AT_MS + 6 * DAY_MS + HOUR_MS, price_minor=5_000)
    seen = since(profile, AT_MS + 7 * DAY_MS)
    assert (seen["log_days_since_first"], seen["log_later_orders"]) == (log1p(7), log1p(1))
    assert (seen["log_later_gross"], seen["log_refund"]) == (log1p(60), log1p(10))
    assert seen["log_later_net_spend"] == log1p(50)
    assert (seen["log_returns"], seen["log_returned_items"]) == (log1p(1), log1p(2))
    assert (seen["has_ordered_again"], seen["log_days_since_last_order"]) == (1, log1p(2))
    assert (seen["log_later_views"], seen["log_views_lately_1d"]) == (log1p(1), log1p(1))
    assert seen["log_hours_since_last_visit"] == log1p(23)


def test_a_second_look_includes_what_happens_at_its_very_moment_and_nothing_later() -> None:
    profile = bought_again()
    assert since(profile, AT_MS + 5 * DAY_MS - 1)["log_later_orders"] == 0
    assert since(profile, AT_MS + 5 * DAY_MS)["log_later_net_spend"] == log1p(60)
    assert since(profile, AT_MS + 6 * DAY_MS)["log_later_net_spend"] == log1p(50)


def test_a_returned_first_order_leaves_no_negative_spend() -> None:
    profile = new_profile("c1", AT_MS)
    fold_order(profile, order(AT_MS, 10_000), RATES, HORIZONS_MS)
    lines = (ReturnLine(sku="A", quantity=1, refund_minor=10_000),)
    returned = ItemsReturned(return_id="r1", occurred_at_ms=AT_MS + 1, currency="EUR", lines=lines)
    fold_return(profile, returned, RATES, HORIZONS_MS)
    seen = since(profile, AT_MS + DAY_MS)
    assert (seen["log_later_net_spend"], seen["refund_share"], seen["later_against_first_spend"]) == (0, 1, 0)


def test_without_a_first_purchase_there_is_nothing_since() -> None:
    with pytest.raises(ValueError, match="c1: expected a first purchase, got none"):
        since_vector(new_profile("c1", AT_MS), AT_MS)


def test_all_values_are_finite_32_bit_floats_without_negative_zeros() -> None:
    free = OrderLine(sku="A", quantity=1, unit_price_minor=0)
    profile = new_profile("c1", AT_MS)
    vector = first_vector(profile, order(lines=(free,)), RATES)
    fold_order(profile, order(lines=(free,)), RATES, HORIZONS_MS)
    vector += since_vector(profile, AT_MS)
    assert all(math.isfinite(value) for value in vector)
    assert struct.unpack(f"<{len(vector)}f", struct.pack(f"<{len(vector)}f", *vector)) == vector
    assert not any(value == 0 and math.copysign(1, value) < 0 for value in vector)
