"""Steps of browsing counted many at once leave the very bytes that they leave one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from features import windows
from features.money import Rates
from features.profile import (
    Browsing,
    Purchases,
    browse_seen,
    encode,
    fold_browse,
    fold_browsing,
    new_profile,
    new_visitor,
    repetitions,
)
from features.windows import trimmed
from schemas.events import PageBrowsed

DAY_MS = 86_400_000
NOW_MS = 1_760_000_000_000
RATES = Rates("EUR", {"GBP": 1_170_001})

times = st.one_of(
    st.integers(NOW_MS - 600_000, NOW_MS), st.integers(NOW_MS - 2 * DAY_MS, NOW_MS), st.integers(0, 2 * NOW_MS)
)
steps = st.builds(
    PageBrowsed,
    event_id=st.sampled_from([f"e{number}" for number in range(12)]),
    occurred_at_ms=times,
    kind=st.sampled_from(["view", "view", "view", "search", "add_to_cart", "wishlist"]),
    sku=st.sampled_from([None, "a", "b", "c", "d", "e"]),
    price_minor=st.one_of(st.none(), st.integers(0, 90_000)),
    currency=st.sampled_from([None, "EUR", "GBP"]),
    dwell_ms=st.integers(0, 600_000),
    campaign=st.sampled_from([None, "spring"]),
)


def one_by_one(who, events):
    repeated = 0
    for event in events:
        if browse_seen(who, event.event_id):
            repeated += 1
        else:
            fold_browse(who, event, RATES)
    return repeated


@given(st.lists(st.lists(steps, max_size=15), min_size=1, max_size=5), st.booleans())
@settings(max_examples=300, deadline=None)
def test_many_at_once_are_as_many_one_by_one(runs, is_visitor):
    """In any runs, from any state that runs before have left; so are the repetitions, for whom nobody asks."""
    one, many = (new_visitor("v", NOW_MS) if is_visitor else new_profile("c", NOW_MS) for _ in range(2))
    for events in runs:
        assert repetitions(many, events) == one_by_one(one, events) == fold_browsing(many, events, RATES)
        assert encode(many) == encode(one)


amounts = st.lists(st.integers(0, 300), min_size=1, max_size=4).map(lambda numbers: [*numbers[:3], 1])


@given(st.lists(st.tuples(times, amounts), min_size=1, max_size=40), st.sampled_from([Browsing, Purchases]), st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_known_of_packed_tiles_never_shows(events, kind, data):
    """Tiles are packed piece by piece from what was packed before; forgetting all of that at any time gives the same bytes."""
    remembering, forgetting = kind(), kind()
    for at_ms, counted in events:
        remembering.add(at_ms, trimmed(list(counted)))
    for at_ms, counted in events:
        if data.draw(st.booleans()):
            windows._known.clear()
        forgetting.add(at_ms, trimmed(list(counted)))
    assert forgetting == remembering
    windows._known.clear()
    assert [*forgetting.tiles()] == [*remembering.tiles()]
