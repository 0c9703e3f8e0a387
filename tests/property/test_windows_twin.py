"""Tiles answer what a list of all events answers, in whatever order the events came, late ones and merged ones too."""

from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.windows import BROWSING_PLAN, HOUR, MINUTE_MS, TRADING_PLAN, WINDOWS, Plan, Tiles, trimmed
from tests.property.naive_windows import DAYS, NaiveTiles

NOW_MS = 1_760_000_000_000
MEASURES = 3


class Browsed(Tiles, array_like=True):
    plan: ClassVar[Plan] = BROWSING_PLAN
    measures: ClassVar[int] = MEASURES


class Traded(Tiles, array_like=True):
    plan: ClassVar[Plan] = TRADING_PLAN
    measures: ClassVar[int] = MEASURES


def ago(limit_ms: int):
    return st.integers(0, limit_ms).map(lambda ago_ms: NOW_MS - ago_ms)


MINUTES = 60_000
times = st.one_of(
    ago(5 * MINUTES), ago(4 * HOUR * MINUTES), ago(4 * DAYS), ago(40 * DAYS), ago(500 * DAYS), ago(40 * 365 * DAYS),
    st.integers(0, 100 * DAYS),  # the first days of all time
)  # fmt: skip
aligned = st.builds(
    lambda at_ms, width_ms: at_ms // width_ms * width_ms, times, st.sampled_from([MINUTES, 60 * MINUTES, DAYS])
)
amounts = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 10**13)), min_size=MEASURES, max_size=MEASURES).filter(
    any
)
events = st.lists(st.tuples(st.one_of(times, aligned), amounts), min_size=1, max_size=40)
kinds = pytest.mark.parametrize(("kind", "cls"), [("browsing", Browsed), ("trading", Traded)])


def tiles_of(cls, known) -> Tiles:
    tiles: Tiles = cls()
    for at_ms, summed in known:
        tiles.add(at_ms, trimmed(list(summed)))
    return tiles


def naive_of(kind, known) -> NaiveTiles:
    naive = NaiveTiles(kind, MEASURES)
    for at_ms, summed in known:
        naive.add(at_ms, summed)
    return naive


def moments(known):
    """Moments that matter: around events, around the edges of windows, and any."""
    around = [at_ms + step for at_ms, _ in known for step in (-1, 0, 1, MINUTES, 300_000)]
    edges = [at_ms + length * MINUTE_MS + DAYS for at_ms, _ in known for length in WINDOWS.values() if length < 10**7]
    return st.one_of(st.sampled_from([max(0, at_ms) for at_ms in around + edges]), times)


@kinds
@given(st.data())
def test_reads_equal_the_twin_as_of_any_moment(kind, cls, data) -> None:
    known = data.draw(events)
    tiles, naive = tiles_of(cls, known), naive_of(kind, known)
    as_of_ms = data.draw(moments(known))
    assert tiles.read_all(as_of_ms) == {window: naive.read(as_of_ms, window) for window in WINDOWS}
    for window in WINDOWS:
        assert tiles.read(as_of_ms, window) == naive.read(as_of_ms, window)
    assert tiles.latest_ms(as_of_ms) == naive.latest_ms(as_of_ms)
    from_ms = data.draw(moments(known))
    assert tiles.read_between(from_ms, as_of_ms) == naive.read_between(from_ms, as_of_ms)


@kinds
@given(st.data())
def test_since_an_hour_before_the_head_reads_are_exact(kind, cls, data) -> None:
    known = data.draw(events)
    head_hour_ms = max(at_ms for at_ms, _ in known) // (60 * MINUTES) * 60 * MINUTES
    after_ms = data.draw(st.one_of(st.integers(0, 3 * HOUR * MINUTES), st.integers(0, 800 * DAYS)))
    as_of_ms = max(0, head_hour_ms - 60 * MINUTES) + after_ms
    tiles, naive = tiles_of(cls, known), naive_of(kind, known)
    for window in WINDOWS:
        assert tiles.read(as_of_ms, window) == naive.read_exactly(as_of_ms, window)


@kinds
@given(st.data())
def test_the_order_of_arrival_leaves_no_trace(kind, cls, data) -> None:
    known = data.draw(events)
    shuffled = data.draw(st.permutations(known))
    assert msgspec.msgpack.encode(tiles_of(cls, known)) == msgspec.msgpack.encode(tiles_of(cls, shuffled))


@kinds
@given(st.data())
def test_merging_counts_what_both_counted(kind, cls, data) -> None:
    known, others = data.draw(events), data.draw(st.one_of(st.just([]), events))
    merged, other = tiles_of(cls, known), tiles_of(cls, others)
    before = msgspec.structs.replace(other)
    merged.merge(other)
    assert merged == tiles_of(cls, known + others)
    assert other == before
    from_nothing = cls()
    from_nothing.merge(merged)
    assert from_nothing == merged


@kinds
@given(st.data())
def test_the_tiles_themselves_are_the_twins(kind, cls, data) -> None:
    known = data.draw(events)
    tiles = msgspec.msgpack.decode(msgspec.msgpack.encode(tiles_of(cls, known)), type=cls)
    found = [(start * MINUTE_MS, [*sums, *[0] * (MEASURES - len(sums))]) for start, _, sums in tiles.tiles()]
    assert found == naive_of(kind, known).tiles()
