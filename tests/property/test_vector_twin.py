"""Vectors, spending and outcomes equal what a list of all raw events gives, however late the events came."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.money import Rates
from features.profile import (
    absorb,
    decode_profile,
    decode_visitor,
    encode,
    fold_browse,
    fold_order,
    fold_return,
    net_spend,
    net_spend_remaining,
    new_profile,
    new_visitor,
    next_spend_expiry_ms,
    orders_count,
)
from features.vector import FEATURES, SINCE_FEATURES, Encoding, Reference, Spread, first_vector, since_vector
from schemas.events import ItemsReturned, OrderLine, OrderPlaced, PageBrowsed, ReturnLine
from tests.property.naive_customer import NaiveBrowser, NaiveCustomer
from tests.property.naive_windows import DAYS

NOW_MS = 1_760_000_000_000
RATES = Rates("EUR", {"GBP": 1_170_001})
HORIZONS_DAYS = (30, 180)
HORIZONS_MS = tuple(days * DAYS for days in HORIZONS_DAYS)
SPREADS = {"shop": (4.0, 1.5), "DE": (4.5, 1.0), "IT": (4.5, 0.0), "sku a": (0.5, 0.0), "sku b": (-0.25, 0.0)}
ENCODING = Encoding({"a": 0.5, "b": -0.25})
REFERENCE = Reference(Spread(4.0, 1.5), {"DE": Spread(4.5, 1.0), "IT": Spread(4.5, 0.0)}, ENCODING)

times = st.one_of(
    *(st.integers(NOW_MS - limit_ms, NOW_MS) for limit_ms in (600_000, DAYS // 3, 40 * DAYS, 200 * DAYS, 600 * DAYS)),
    st.integers(0, 40).map(lambda days: (NOW_MS // DAYS - days) * DAYS),
)
texts = st.sampled_from([None, "a", "b", "c", ""])
money = st.one_of(st.integers(0, 50_000), st.just(0))
order_lines = st.builds(
    OrderLine,
    sku=st.sampled_from("abcdefgh"),
    quantity=st.integers(1, 4),
    unit_price_minor=money,
    discount_minor=money,
    category=texts,
    brand=texts,
)
orders = st.builds(
    OrderPlaced,
    order_id=st.just("o"),
    occurred_at_ms=times,
    currency=st.sampled_from(["EUR", "GBP"]),
    market=st.sampled_from(["DE", "FR", "IT"]),
    lines=st.lists(order_lines, min_size=1, max_size=4).map(tuple),
    visitor_id=st.sampled_from([None, "v"]),
    language=texts,
    sales_channel=st.sampled_from(["web", "app", "store", "phone", "fax"]),
    is_gift=st.booleans(),
    payment_method=texts,
)
returns = st.builds(
    ItemsReturned,
    return_id=st.just("r"),
    occurred_at_ms=times,
    currency=st.sampled_from(["EUR", "GBP"]),
    lines=st.lists(
        st.builds(ReturnLine, sku=st.sampled_from("abc"), quantity=st.integers(1, 3), refund_minor=money),
        min_size=1,
        max_size=3,
    ).map(tuple),
)
browsing = st.builds(
    PageBrowsed,
    event_id=st.just("b"),
    occurred_at_ms=times,
    kind=st.sampled_from(["view", "view", "view", "search", "add_to_cart", "wishlist"]),
    sku=texts.filter(lambda sku: sku != ""),
    price_minor=st.one_of(st.none(), money),
    currency=st.sampled_from([None, "EUR", "GBP", "XXX"]),
    dwell_ms=st.integers(0, 600_000),
    campaign=texts,
)
by_visitor = st.lists(browsing, max_size=12)
by_customer = st.lists(st.one_of(browsing, browsing, orders, returns), min_size=1, max_size=25)


@st.composite
def histories(draw):
    """A profile and its twin after some events, with a visitor absorbed at some moment."""
    since_ms = draw(times)
    visitor, naive_visitor = new_visitor("v", since_ms), NaiveBrowser(since_ms)
    for event in draw(by_visitor):
        fold_browse(visitor, event, RATES)
        naive_visitor.apply(event)
    events = draw(by_customer)
    absorbed_at = draw(st.integers(0, len(events)))
    profile, naive = new_profile("c", events[0].occurred_at_ms), NaiveCustomer(events[0].occurred_at_ms)
    for number, event in enumerate(events):
        if number == absorbed_at:
            absorb(profile, decode_visitor(encode(visitor)))
            naive.absorb(naive_visitor)
        fold(profile, event)
        naive.apply(event)
        profile = decode_profile(encode(profile))
    return profile, naive


def fold(profile, event) -> None:
    match event:
        case OrderPlaced():
            fold_order(profile, event, RATES, HORIZONS_MS)
        case ItemsReturned():
            fold_return(profile, event, RATES, HORIZONS_MS)
        case PageBrowsed():
            fold_browse(profile, event, RATES)


def assert_same(names, vector, naive) -> None:
    assert set(names) == set(naive)
    wrong = {name: (got, naive[name]) for name, got in zip(names, vector, strict=True) if not close(got, naive[name])}
    assert wrong == {}


def close(got: float, wanted: float) -> bool:
    assert got == struct.unpack("<f", struct.pack("<f", got))[0]
    return got == pytest.approx(wanted, rel=2e-6, abs=2e-6)


@given(histories(), orders)
def test_first_vectors_equal_the_twins(history, order) -> None:
    profile, naive = history
    vector = first_vector(profile, order, RATES, REFERENCE)
    assert_same(FEATURES, vector, naive.first_vector(order, RATES, SPREADS))
    if order.occurred_at_ms >= profile.first_seen_ms:
        fold_order(profile, order, RATES, HORIZONS_MS)
        assert first_vector(profile, order, RATES, REFERENCE) == vector


@given(histories(), times)
def test_since_vectors_equal_the_twins(history, as_of_ms) -> None:
    profile, naive = history
    if profile.first_purchase is None:
        with pytest.raises(ValueError, match="first purchase"):
            since_vector(profile, as_of_ms)
        return
    assert_same(SINCE_FEATURES, since_vector(profile, as_of_ms), naive.since_vector(as_of_ms, RATES))


@given(histories(), st.integers(0, 400 * DAYS), st.integers(0, 60 * DAYS), st.sampled_from([30, 365]))
def test_net_spend_counts_whole_days_since_the_head(history, after_ms, ahead_ms, days) -> None:
    profile, naive = history
    as_of_ms = max([0, *(event.occurred_at_ms for event in [*naive.orders, *(r for r, _ in naive.returns)])]) + after_ms
    until_ms, window_ms = as_of_ms + ahead_ms, days * DAYS
    wanted = naive.net_spend(as_of_ms, as_of_ms, days, RATES)
    assert net_spend(profile, as_of_ms, window_ms) == wanted
    assert net_spend_remaining(profile, as_of_ms, until_ms, window_ms) == naive.net_spend(
        as_of_ms, until_ms, days, RATES
    )
    expiry_ms = next_spend_expiry_ms(profile, as_of_ms, window_ms)
    if expiry_ms is None:
        assert wanted == 0 == orders_count(profile, as_of_ms, window_ms)
    else:
        assert expiry_ms > as_of_ms
        assert net_spend_remaining(profile, as_of_ms, expiry_ms - 1, window_ms) == wanted
        known = (orders_count(profile, moment_ms, window_ms) for moment_ms in (expiry_ms - 1, expiry_ms))
        returned = (
            profile.returns.read_between((moment_ms - window_ms) // DAYS * DAYS, moment_ms)
            for moment_ms in (expiry_ms - 1, expiry_ms)
        )
        before, after = zip(known, (counted[0] for counted in returned), strict=True)
        assert sum(after) < sum(before)


@given(histories())
def test_outcomes_are_by_event_time(history) -> None:
    profile, naive = history
    wanted = [naive.outcome(days, RATES) for days in HORIZONS_DAYS] if naive.orders else []
    assert profile.outcomes == wanted
