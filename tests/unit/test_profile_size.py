"""A typical customer costs less than 400 bytes, and the frozen looks less than 800 more (issue 2)."""

from random import Random
from statistics import median, quantiles

from benchmarks.profile_size import LOOKS_LIMIT, PROFILE_LIMIT, SEED, Year, history
from features.frozen import decode_looks, encode_looks
from features.profile import ORDERS, RETURNS, VIEWS, encode
from schemas.events import ItemsReturned, OrderPlaced, PageBrowsed


def test_typical_profiles_and_their_looks_stay_small() -> None:
    chance = Random(SEED)
    histories = [history(chance, number) for number in range(60)]
    for events in histories:
        kinds = [sum(isinstance(event, kind) for event in events) for kind in (PageBrowsed, OrderPlaced, ItemsReturned)]
        assert kinds == [150, 6, 1]
    years = [Year(events) for events in histories]
    for year in years:
        assert year.profile is not None
        assert year.looks is not None
        ever_ms = year.profile.last_seen_ms + 1_000
        assert year.profile.purchases.read(ever_ms, "lifetime")[ORDERS] == 6
        assert year.profile.returns.read(ever_ms, "lifetime")[RETURNS] == 1
        assert year.profile.browse.read(ever_ms, "lifetime")[VIEWS] > 90
        assert [look.look for look in year.looks.looks] == ["first", "day_7", "day_14", "day_30", "order"]
        assert decode_looks(encode_looks(year.looks)) == year.looks
    profiles = [len(encode(year.profile)) for year in years if year.profile]
    looks = [len(encode_looks(year.looks)) for year in years if year.looks]
    assert median(profiles) < PROFILE_LIMIT
    assert quantiles(profiles, n=10)[8] < PROFILE_LIMIT * 1.05
    assert quantiles(looks, n=10)[8] < LOOKS_LIMIT
