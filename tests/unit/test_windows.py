"""Tiles are exact to the minute near the latest event, coarser with age, and bounded."""

from itertools import pairwise
from typing import ClassVar

import pytest
from msgspec import msgpack

from features.windows import (
    BROWSING_PLAN,
    DAY,
    DAY_MS,
    HOUR,
    MINUTE_MS,
    TRADING_PLAN,
    WINDOWS,
    Plan,
    Tiles,
    Window,
    far_edge,
    grain,
    trimmed,
)

HOUR_MS = 60 * MINUTE_MS
NOON_MS = 1_760_000_000_000 // DAY_MS * DAY_MS + 12 * HOUR_MS


class Traded(Tiles, array_like=True):
    plan: ClassVar[Plan] = TRADING_PLAN
    measures: ClassVar[int] = 2


class Browsed(Tiles, array_like=True):
    plan: ClassVar[Plan] = BROWSING_PLAN
    measures: ClassVar[int] = 2


def tiles_at(*times_ms: int) -> Traded:
    tiles = Traded()
    for at_ms in times_ms:
        tiles.add(at_ms, [1])
    return tiles


def count(tiles: Tiles, as_of_ms: int, window: Window = "lifetime") -> int:
    return tiles.read(as_of_ms, window)[0]


def test_nothing_was_counted_is_zeros_in_every_window() -> None:
    assert Traded().read_all(NOON_MS) == {window: [0, 0] for window in WINDOWS}
    assert Traded().latest_ms(NOON_MS) is None


def test_an_event_counts_once_its_tile_has_begun() -> None:
    tiles = tiles_at(NOON_MS + 20_000)
    assert count(tiles, NOON_MS) == 0
    assert count(tiles, NOON_MS + 1) == 1  # the resolution: within its minute it counts early
    assert count(tiles, NOON_MS + 60_000) == 1


@pytest.mark.parametrize(
    ("window", "reaches_back_to_ms"),
    [
        ("1h", NOON_MS + 30_000 - HOUR_MS - 30_000),  # the beginning of a minute
        ("1d", NOON_MS - DAY_MS),  # of an hour
        ("7d", NOON_MS - 12 * HOUR_MS - 7 * DAY_MS),  # of a day
        ("30d", NOON_MS - 12 * HOUR_MS - 30 * DAY_MS),
        ("90d", NOON_MS - 12 * HOUR_MS - 90 * DAY_MS),
        ("365d", NOON_MS - 12 * HOUR_MS - 365 * DAY_MS),
    ],
)
def test_a_window_reaches_back_to_the_beginning_of_its_grain(window: Window, reaches_back_to_ms: int) -> None:
    as_of_ms = NOON_MS + 30_000
    assert count(tiles_at(reaches_back_to_ms, as_of_ms), as_of_ms + 1, window) == 2
    assert count(tiles_at(reaches_back_to_ms - 1, as_of_ms), as_of_ms + 1, window) == 1
    assert count(tiles_at(reaches_back_to_ms - 1), as_of_ms, window) == 0  # no matter whether tiles were widened


def test_every_plan_reads_each_window_at_a_grain_of_at_most_a_quarter_of_it() -> None:
    for plan in (TRADING_PLAN, BROWSING_PLAN):
        for window, length in WINDOWS.items():
            if window != "lifetime":
                assert grain(plan, length) <= length / 4
                assert far_edge(plan, NOON_MS, length) <= NOON_MS // MINUTE_MS - length


def test_every_plan_is_nested_and_keeps_whole_hours_so_that_the_heads_hour_decides() -> None:
    for plan in (TRADING_PLAN, BROWSING_PLAN):
        for level, wider in pairwise(plan):
            assert level.next_width == wider.width
            assert wider.width % level.width == 0
            assert level.keep < wider.keep
        assert all(level.keep % HOUR == 0 for level in plan)


def test_adding_to_the_newest_tile_leaves_the_older_ones_packed() -> None:
    tiles = tiles_at(NOON_MS - 3 * DAY_MS, NOON_MS - HOUR_MS, NOON_MS)
    older = tiles.older
    tiles.add(NOON_MS + 59_999, [1, 5])
    assert (tiles.newest, tiles.older is older) == ([2, 5], True)


def test_what_is_older_than_all_levels_is_counted_in_a_lifetime_only() -> None:
    tiles = tiles_at(0, NOON_MS)
    assert count(tiles, NOON_MS + 1) == 2
    assert count(tiles, NOON_MS + 1, "365d") == 1
    assert tiles.latest_ms(NOON_MS) is None  # too old to tell


def test_large_and_small_numbers_survive_packing() -> None:
    amounts = [127, 128, 16_383, 16_384, 10**15]
    tiles = Traded()
    for minutes, amount in enumerate(amounts):
        tiles.add(NOON_MS + minutes * MINUTE_MS, [amount, 0 if minutes % 2 else amount + 1][: 2 - minutes % 2])
    copy = msgpack.decode(msgpack.encode(tiles), type=Traded)
    assert [sums[0] for _, _, sums in copy.tiles()] == amounts[::-1]
    assert copy.read(NOON_MS + HOUR_MS, "1h") == [sum(amounts), 127 + 16_383 + 10**15 + 3]


def test_trimmed_leaves_out_trailing_zeros_only() -> None:
    assert trimmed([0, 1, 0, 0]) == [0, 1]
    assert trimmed([0, 0]) == []


@pytest.mark.parametrize(("cls", "most_tiles"), [(Traded, 700), (Browsed, 160)])
def test_there_are_never_more_tiles_than_the_plan_has_places(cls: type[Tiles], most_tiles: int) -> None:
    tiles, head = cls(), NOON_MS + HOUR_MS - 1
    tiles.add(head, [1])
    for level in cls.plan:
        for back in range(0, level.keep + level.next_width, level.width):
            tiles.add(head - back * MINUTE_MS, [1])
    tiles.add(head - 4_000 * DAY * MINUTE_MS, [1])
    assert most_tiles - 30 < len(list(tiles.tiles())) <= most_tiles
