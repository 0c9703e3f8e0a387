"""A profile keeps what later questions need, stays small, and counts every fact once."""

from random import Random

import pytest
from msgspec import msgpack

from features.money import Rates
from features.profile import (
    BROWSE_IDS_KEPT,
    CARTS,
    DOCUMENTS_KEPT,
    DWELL,
    MOST_MINOR,
    PRICE_POINTS,
    SESSIONS,
    UNPRICED,
    VIEWS,
    VISITORS_KEPT,
    Pending,
    Profile,
    TierStanding,
    Treatment,
    Visitor,
    absorb,
    browse_seen,
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
    next_due,
    next_spend_expiry_ms,
    orders_count,
    price_points,
    recognise,
    remind,
    remind_once,
    take_pending,
    visitor_is_linked,
)
from features.windows import DAY_MS
from schemas.events import ItemsReturned, OrderLine, OrderPlaced, PageBrowsed, ReturnLine

RATES = Rates("EUR", {"GBP": 1_200_000})
HORIZONS_MS = (30 * DAY_MS, 180 * DAY_MS)
MIDNIGHT_MS = 20_000 * DAY_MS
AT_MS = MIDNIGHT_MS + 15 * 3_600_000
MAX_BYTES = 32_768


def order(at_ms: int = AT_MS, minor: int = 10_000, **fields) -> OrderPlaced:
    line = OrderLine(sku="A", quantity=1, unit_price_minor=minor)
    given = {"order_id": "o1", "occurred_at_ms": at_ms, "currency": "EUR", "market": "DE", "lines": (line,), **fields}
    return OrderPlaced(**given)


def sent_back(at_ms: int = AT_MS, minor: int = 4_000, sku: str = "A") -> ItemsReturned:
    line = ReturnLine(sku=sku, quantity=1, refund_minor=minor)
    return ItemsReturned(return_id="r1", occurred_at_ms=at_ms, currency="EUR", lines=(line,))


def step(at_ms: int = AT_MS, **fields) -> PageBrowsed:
    return PageBrowsed(**{"event_id": "e1", "occurred_at_ms": at_ms, **fields})


def profile_of(*events: OrderPlaced | ItemsReturned | PageBrowsed) -> Profile:
    profile = new_profile("c1", AT_MS)
    for event in events:
        match event:
            case OrderPlaced():
                fold_order(profile, event, RATES, HORIZONS_MS)
            case ItemsReturned():
                fold_return(profile, event, RATES, HORIZONS_MS)
            case PageBrowsed():
                fold_browse(profile, event, RATES)
    return profile


# ---- recognising -----------------------------------------------------------------------------------------------------


def test_a_document_is_new_once_then_a_duplicate_and_a_conflict_if_its_content_differs() -> None:
    profile = new_profile("c1", AT_MS)
    assert recognise(profile, "o1", order()) == "new"
    assert recognise(profile, "o1", order()) == "duplicate"
    assert recognise(profile, "o1", order(minor=1)) == "conflict"
    assert recognise(profile, "o1", order()) == "duplicate"  # a conflict is not remembered
    assert recognise(profile, "o2", b"bytes will do") == "new"
    assert recognise(profile, "o2", b"bytes will do") == "duplicate"


def test_orders_and_returns_may_share_an_id() -> None:
    profile = new_profile("c1", AT_MS)
    assert [recognise(profile, "1", event) for event in (order(), sent_back())] == ["new", "new"]


def test_the_last_documents_are_known_and_only_they() -> None:
    profile = new_profile("c1", AT_MS)
    for number in range(DOCUMENTS_KEPT + 1):
        recognise(profile, f"o{number}", order())
    assert recognise(profile, "o1", order()) == "duplicate"
    assert recognise(profile, "o0", order()) == "new"


def test_the_last_browse_events_are_known_and_only_they() -> None:
    visitor = new_visitor("v1", AT_MS)
    ids = [f"e{number}" for number in range(BROWSE_IDS_KEPT + 1)]
    assert [browse_seen(visitor, event_id) for event_id in ids] == [False] * len(ids)
    assert [browse_seen(visitor, event_id) for event_id in ids[1:]] == [True] * (len(ids) - 1)
    assert not browse_seen(visitor, ids[0])


def test_bytes_that_span_two_remembered_ids_are_no_id() -> None:
    visitor = new_visitor("v1", AT_MS)
    browse_seen(visitor, "e1")
    visitor.browse_ids = b"?" + visitor.browse_ids + b"???"
    assert not browse_seen(visitor, "e1")


# ---- folding ---------------------------------------------------------------------------------------------------------


def test_the_first_order_is_the_first_purchase_and_sets_the_home_market() -> None:
    lines = (
        OrderLine(sku="A", quantity=2, unit_price_minor=5_000, discount_minor=1_000),
        OrderLine(sku="B", quantity=1, unit_price_minor=2_000, discount_minor=9_999),
        OrderLine(sku="A", quantity=1, unit_price_minor=0),
    )
    profile = profile_of(order(lines=lines, currency="GBP", market="UK", language="en"), order(AT_MS + 1))
    first = profile.first_purchase
    assert first is not None
    assert (first.at_ms, first.net_minor, first.discount_minor) == (AT_MS, 10_800, 3_600)
    assert (first.items, first.skus, first.lines) == (4, 2, 3)
    assert (profile.market, profile.language, profile.is_new) == ("UK", "en", True)


def test_an_older_order_that_comes_late_does_not_move_the_first_purchase() -> None:
    profile = profile_of(order(AT_MS), order(AT_MS - 5 * DAY_MS, market="FR"))
    assert profile.first_purchase is not None
    assert (profile.first_purchase.at_ms, profile.market) == (AT_MS, "DE")
    assert profile.outcomes == [0, 0]
    assert net_spend(profile, AT_MS, "365d") == 20_000


def test_who_was_a_customer_long_before_is_not_new() -> None:
    days_since = {days: profile_of(order(customer_since_ms=AT_MS - days * DAY_MS)).is_new for days in (0, 1, 2, 900)}
    assert days_since == {0: True, 1: True, 2: False, 900: False}


def test_outcomes_count_net_spend_after_the_first_order_by_event_time_to_the_end_of_each_horizon() -> None:
    profile = profile_of(
        order(AT_MS, 50_000),
        order(AT_MS + 180 * DAY_MS + 1, 7_000),  # beyond both
        order(AT_MS + 180 * DAY_MS, 300),
        order(AT_MS + 30 * DAY_MS, 20),  # late
        sent_back(AT_MS + DAY_MS, 1),
        sent_back(AT_MS - 1, 100_000),  # before
    )
    assert profile.outcomes == [19, 319]


def test_a_return_that_came_before_the_first_order_is_taken_off_if_it_happened_after_it() -> None:
    early = [sent_back(AT_MS - DAY_MS, 1), sent_back(AT_MS + DAY_MS, 20), sent_back(AT_MS + 30 * DAY_MS, 300)]
    assert profile_of(*early, order(AT_MS)).outcomes == [-320, -320]
    assert profile_of(*early, sent_back(AT_MS + 180 * DAY_MS, 4_000), order(AT_MS)).outcomes[1] == -4_320


def test_a_session_begins_after_half_an_hour_of_nothing() -> None:
    half_hour_ms = 30 * 60_000
    times = [AT_MS, AT_MS + half_hour_ms, AT_MS + 2 * half_hour_ms + 1, AT_MS + 5]
    profile = profile_of(*(step(at_ms) for at_ms in times))
    assert profile.browse.read(AT_MS + DAY_MS, "lifetime")[SESSIONS] == 2


def test_browsing_counts_views_dwelling_and_the_price_level_looked_at() -> None:
    profile = profile_of(
        step(kind="view", price_minor=10_000, currency="GBP", dwell_ms=14_999),
        step(kind="view", price_minor=5_000, dwell_ms=15_000),
        step(kind="view", price_minor=5_000, currency="XXX"),
        step(kind="add_to_cart", price_minor=5_000),
    )
    counted = profile.browse.read(AT_MS + DAY_MS, "lifetime")
    assert (counted[VIEWS], counted[UNPRICED], counted[CARTS]) == (3, 1, 1)
    assert (counted[DWELL], counted[PRICE_POINTS]) == (3, price_points(12_000) + price_points(5_000))


def test_the_last_skus_looked_at_and_returned_are_kept_latest_first() -> None:
    viewed = profile_of(*(step(AT_MS + n, sku=sku) for n, sku in enumerate("ABCDBA")), step(sku=None))
    assert viewed.viewed == ["A", "B", "D"]
    assert profile_of(*(sent_back(sku=sku) for sku in "ABCB")).returned == ["B", "C"]


def test_when_somebody_was_seen_is_known_to_the_second_whatever_the_order() -> None:
    profile = profile_of(step(AT_MS + 999), step(AT_MS - DAY_MS), order(AT_MS + 5_000), step(AT_MS + 1_000))
    assert (profile.first_seen_ms, profile.last_seen_ms) == (AT_MS - DAY_MS, AT_MS + 5_000)


def test_absurd_amounts_count_up_to_a_limit_and_can_be_encoded() -> None:
    absurd = OrderLine(sku="A", quantity=10**6, unit_price_minor=10**12)
    profile = profile_of(*(order(lines=(absurd,) * 10) for _ in range(1_000)))
    assert profile.first_purchase is not None
    assert profile.first_purchase.net_minor == MOST_MINOR
    assert decode_profile(encode(profile)) == profile


# ---- visitors --------------------------------------------------------------------------------------------------------


def visitor_of(*events: PageBrowsed) -> Visitor:
    visitor = new_visitor("v1", events[0].occurred_at_ms if events else AT_MS)
    for event in events:
        fold_browse(visitor, event, RATES)
    return visitor


def test_a_visitor_is_absorbed_once() -> None:
    profile, visitor = profile_of(order()), visitor_of(step(AT_MS - DAY_MS), step(AT_MS - 1))
    assert (absorb(profile, visitor), absorb(profile, visitor)) == (True, False)
    assert visitor_is_linked(profile, "v1")
    assert not visitor_is_linked(profile, "v2")
    assert profile.browse.read(AT_MS, "lifetime")[VIEWS] == 2
    assert (profile.first_seen_ms, profile.last_seen_ms) == (AT_MS - DAY_MS, AT_MS)


def test_the_last_visitors_are_known_and_only_they() -> None:
    profile = profile_of(order())
    for number in range(VISITORS_KEPT + 1):
        absorb(profile, new_visitor(f"v{number}", AT_MS))
    assert [visitor_is_linked(profile, f"v{number}") for number in range(3)] == [False, True, True]


@pytest.mark.parametrize(("minutes_later", "viewed"), [(1, ["B", "C", "A"]), (-1, ["A", "B", "C"])])
def test_absorbing_keeps_the_latest_skus_looked_at(minutes_later: int, viewed: list[str]) -> None:
    profile = profile_of(step(AT_MS, sku="A"))
    begun_ms = AT_MS + minutes_later * 60_000
    absorb(profile, visitor_of(*(step(begun_ms + n, sku=sku) for n, sku in enumerate("CB"))))
    assert profile.viewed == viewed


def test_a_visitor_who_never_browsed_changes_nothing_but_that_he_is_known() -> None:
    profile, same = profile_of(order()), profile_of(order())
    assert absorb(profile, visitor_of())
    same.visitors = profile.visitors
    assert profile == same


# ---- spending --------------------------------------------------------------------------------------------------------


def test_spend_counts_at_once_and_until_the_end_of_the_day_a_year_later() -> None:
    profile = profile_of(order(AT_MS, 10_000), sent_back(AT_MS + 2 * DAY_MS, 4_000))
    ends_ms = MIDNIGHT_MS + 366 * DAY_MS
    assert (net_spend(profile, AT_MS, "365d"), orders_count(profile, AT_MS, "365d")) == (10_000, 1)
    assert net_spend(profile, AT_MS + 2 * DAY_MS, "365d") == 6_000
    assert net_spend(profile, AT_MS + 3 * DAY_MS, "365d") == 6_000
    assert next_spend_expiry_ms(profile, AT_MS + 3 * DAY_MS, "365d") == ends_ms
    assert net_spend(profile, ends_ms - 1, 365 * DAY_MS) == 6_000
    assert net_spend(profile, ends_ms, 365 * DAY_MS) == -4_000
    assert (orders_count(profile, ends_ms - 1, "365d"), orders_count(profile, ends_ms, "365d")) == (1, 0)
    assert next_spend_expiry_ms(profile, ends_ms, "365d") == ends_ms + 2 * DAY_MS
    assert next_spend_expiry_ms(profile, ends_ms + 2 * DAY_MS, "365d") is None
    assert next_spend_expiry_ms(profile, AT_MS, "lifetime") is None


def test_what_remains_of_the_spend_is_what_is_still_inside_then() -> None:
    profile = profile_of(order(AT_MS, 10_000), order(AT_MS + 300 * DAY_MS, 500))
    as_of_ms = AT_MS + 301 * DAY_MS
    assert net_spend_remaining(profile, as_of_ms, as_of_ms + 30 * DAY_MS, "365d") == 10_500
    assert net_spend_remaining(profile, as_of_ms, as_of_ms + 90 * DAY_MS, "365d") == 500
    assert net_spend_remaining(profile, AT_MS, as_of_ms, "365d") == 10_000  # what came later is not known yet


# ---- reminders -------------------------------------------------------------------------------------------------------


def test_reminders_are_kept_in_order_of_time() -> None:
    profile = new_profile("c1", AT_MS)
    assert next_due(profile) is None
    remind(profile, 30, "day_30")
    remind(profile, 7, "day_7")
    remind_once(profile, 5, "tier")
    remind_once(profile, 9, "tier")
    assert next_due(profile) == 7
    assert [take_pending(profile) for _ in range(3)] == [Pending(7, "day_7"), Pending(9, "tier"), Pending(30, "day_30")]


# ---- bytes -----------------------------------------------------------------------------------------------------------


def test_encoding_loses_nothing() -> None:
    profile = profile_of(order(language="de"), sent_back(), step(sku="A"))
    profile.tier, profile.treatment = TierStanding(1, 2, 0, 5), Treatment("control", "a1", 0.25, AT_MS)
    remind(profile, 7, "day_7")
    assert decode_profile(encode(profile)) == profile
    visitor = visitor_of(step(sku="A"))
    assert decode_visitor(encode(visitor)) == visitor


def test_a_profile_from_before_a_field_was_added_is_still_read() -> None:
    profile = profile_of(order())
    shorter = msgpack.encode(msgpack.decode(encode(profile))[:-2])
    assert decode_profile(shorter) == profile


def test_a_profile_stays_bounded_whatever_comes() -> None:
    chance, profile = Random(7), new_profile("c" * 128, 0)
    for turn in range(100_000):
        at_ms, number = chance.randrange(30 * 365 * DAY_MS), chance.randrange(10_000)
        kind = chance.choices("orb", [1, 1, 98])[0]
        if kind == "b" and chance.random() < 0.8:
            at_ms = 30 * 365 * DAY_MS + turn * 100  # or the test takes half a minute
        match kind:
            case "o":
                big = OrderLine(sku="s" * 128, quantity=10**6, unit_price_minor=10**12)
                bought = order(at_ms, order_id=f"o{number}", lines=(big,))
                if recognise(profile, bought.order_id, bought) == "new":
                    fold_order(profile, bought, RATES, HORIZONS_MS)
            case "r":
                fold_return(profile, sent_back(at_ms, 10**12, f"{number:0128}"), RATES, HORIZONS_MS)
            case _ if not browse_seen(profile, f"e{number}"):
                event = step(at_ms, sku=f"{number:0128}", price_minor=10**12, dwell_ms=86_400_000, campaign="x")
                fold_browse(profile, event, RATES)
        if number % 100 == 0:
            absorb(profile, Visitor(visitor_id=f"v{at_ms}", first_seen_s=at_ms // 1_000))
    assert len(encode(profile)) < MAX_BYTES
    assert decode_profile(encode(profile)) == profile


def test_a_profile_with_something_in_every_place_stays_bounded_too() -> None:
    profile = new_profile("c1", 0)
    now_ms = MIDNIGHT_MS + 3_599_000
    for tiles, amounts in (
        (profile.purchases, [1, 10**13, 10**6, 10**12]),
        (profile.returns, [1, 10**13, 10**6]),
        (profile.browse, [1, 8_640, 220, 1, 1, 1, 1, 1, 1]),
    ):
        for level in reversed(tiles.plan):
            for back in range(level.keep + level.next_width, -1, -level.width):
                tiles.add(now_ms - back * 60_000, amounts)
    assert MAX_BYTES / 2 < len(encode(profile)) < MAX_BYTES
