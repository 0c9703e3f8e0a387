"""What happened when, in tiles: counts by minute near the latest event, by hour, day, week and quarter further back.

`Tiles` answers "how much in the last hour, day, ... year, ever, as of then?" from a bounded number of tiles. Three rules
make the answer the same in whatever order events arrive:

1. Tiles are aligned and nested. How wide the tile of a minute is depends on that minute and on the *head*, the hour of
   the latest event, alone: everything older than `keep` stands in the next wider tile.
2. An event stands at the start of its tile. It counts as of `as_of_ms` if that start lies before it.
3. A window's far edge is rounded down to the width of the tiles that stand there (its grain). So 365 days of purchases
   reach back to the start of a day, and it makes no difference whether a tile was widened already.

As of any time since an hour before the head, reads are exact: to the minute at the near edge, to the grain at the far one.
Tiles are kept packed, so that the many events that only add to the newest one don't pay for the others.
What is counted, and in which order, is `profile.py`'s to say.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final, Literal, NamedTuple

from msgspec import Struct, field

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

MINUTE, HOUR, DAY, WEEK, QUARTER = 1, 60, 1_440, 10_080, 131_040  # in minutes
EVER: Final = 1 << 40  # the width of the one tile for all that is older

Window = Literal["1h", "1d", "7d", "30d", "90d", "365d", "lifetime"]
WINDOWS: Final[dict[Window, int]] = {
    "1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY, "365d": 365 * DAY, "lifetime": EVER,
}  # fmt: skip


class Level(NamedTuple):
    """Tiles of `width` minutes stand for what is up to `keep` minutes older than the head, rounded up to wider tiles."""

    width: int
    keep: int


Plan = tuple[Level, ...]

BROWSING_PLAN: Final[Plan] = (
    Level(MINUTE, 2 * HOUR), Level(HOUR, 2 * DAY), Level(DAY, 32 * DAY), Level(WEEK, 92 * DAY), Level(QUARTER, 728 * DAY),
)  # fmt: skip
TRADING_PLAN: Final[Plan] = (  # tiers ask for days a year back
    Level(MINUTE, 2 * HOUR), Level(HOUR, 2 * DAY), Level(DAY, 400 * DAY), Level(QUARTER, 1_092 * DAY),
)  # fmt: skip

Tile = tuple[int, Sequence[int]]  # start in minutes since the epoch, measures without trailing zeros


class Tiles(Struct, array_like=True):
    """Sums of `measures` non-negative numbers by time. Equal events give equal tiles, in whatever order they came."""

    plan: ClassVar[Plan]
    measures: ClassVar[int]
    newest_at: int = 0  # the minute of the latest event
    newest: list[int] = field(default_factory=list)
    older: bytes = b""  # packed, newest first

    def add(self, at_ms: int, measures: Sequence[int]) -> None:
        """Count an event. `measures` are >= 0 and not all zero; trailing zeros may be left out."""
        minute = at_ms // MINUTE_MS
        if minute == self.newest_at and self.newest:
            _add(self.newest, _trimmed(measures))
        elif minute > self.newest_at and minute // HOUR == self.newest_at // HOUR and self.newest:
            self.older = _packed_tile(minute - self.newest_at, self.newest) + self.older
            self.newest_at, self.newest = minute, _trimmed(measures)
        else:
            self._rebuild([(minute, measures), *self.tiles()])

    def merge(self, other: "Tiles") -> None:
        """Count all that `other` has counted."""
        if other.newest:
            self._rebuild([*self.tiles(), *other.tiles()])

    def read(self, as_of_ms: int, window: Window) -> list[int]:
        """The measures of one window as of a moment."""
        return self._sum(far_edge(self.plan, as_of_ms, WINDOWS[window]), _near_edge(as_of_ms))

    def read_between(self, from_ms: int, to_ms: int) -> list[int]:
        """The measures of the tiles that start within `[from_ms, to_ms)`."""
        return self._sum(_near_edge(from_ms), _near_edge(to_ms))

    def read_all(self, as_of_ms: int) -> dict[Window, list[int]]:
        """What `read` gives for each window, in one pass."""
        end, read = _near_edge(as_of_ms), {}
        waiting = [(far_edge(self.plan, as_of_ms, length), window) for window, length in WINDOWS.items()]
        waiting.reverse()
        total = [0] * self.measures
        for start, measures in self.tiles():
            while start < waiting[-1][0]:
                read[waiting.pop()[1]] = total.copy()
            if start < end:
                _add(total, measures)
        return read | {window: total.copy() for _, window in reversed(waiting)}

    def latest_ms(self, before_ms: int) -> int | None:
        """When the last tile starts that starts before a moment; None if there is none, or it is too old to tell."""
        end = _near_edge(before_ms)
        return next((start * MINUTE_MS for start, _ in self.tiles() if 0 <= start < end), None)

    def _sum(self, first: int, end: int) -> list[int]:
        total = [0] * self.measures
        for start, measures in self.tiles():
            if start < first:
                break
            if start < end:
                _add(total, measures)
        return total

    def tiles(self) -> Iterator[Tile]:
        """All tiles, newest first."""
        if self.newest:
            yield self.newest_at, self.newest
            yield from _unpacked(self.older, self.newest_at, self.plan)

    def _rebuild(self, tiles: Iterable[Tile]) -> None:
        summed = _tiled(tiles, self.plan)
        starts = sorted(summed, reverse=True)
        self.newest_at, self.newest = starts[0], _trimmed(summed[starts[0]])
        self.older = _packed([(start, summed[start]) for start in starts], self.plan)


def far_edge(plan: Plan, as_of_ms: int, window: int) -> int:
    """The first minute that belongs to a window of so many minutes."""
    grain = next((level.width for level in plan if level.keep > window), EVER)
    return _floor((as_of_ms // MINUTE_MS) - window, grain)


def boundaries(plan: Plan, head: int) -> list[tuple[int, int]]:
    """(first minute, width) of the tiles of each level, finest first, when the latest event is in minute `head`."""
    hour = _floor(head, HOUR)
    coarser = [level.width for level in plan[1:]] + [plan[-1].width]
    first = [
        (_floor(hour - level.keep, wider), level.width) for level, wider in zip(plan, coarser, strict=True)
    ]
    return [*first, (-EVER, EVER)]


def _near_edge(as_of_ms: int) -> int:
    """The first minute that does not start before a moment."""
    return -(-as_of_ms // MINUTE_MS)


def _floor(minute: int, width: int) -> int:
    return minute // width * width


def _tiled(tiles: Iterable[Tile], plan: Plan) -> dict[int, list[int]]:
    """Measures by the start of the tile they belong to, seen from the latest of them."""
    known = list(tiles)
    levels = boundaries(plan, max(start for start, _ in known))
    summed: dict[int, list[int]] = {}
    for start, measures in known:
        width = next(width for first, width in levels if start >= first)
        _add(summed.setdefault(_floor(start, width) if width < EVER else -EVER, []), measures)
    return summed


def _add(total: list[int], measures: Sequence[int]) -> None:
    missing = len(measures) - len(total)
    if missing > 0:
        total += [0] * missing
    for index, amount in enumerate(measures):
        if amount:
            total[index] += amount


def _trimmed(measures: Sequence[int]) -> list[int]:
    kept = len(measures)
    while kept and not measures[kept - 1]:
        kept -= 1
    return list(measures[:kept])


# ---- packed tiles: for each its distance from the newer one, which measures are not zero, and these ------------------
# Numbers are in base 128, least first, the high bit says that more follows. Distances are in widths of the tile's
# level and at least 1, so a distance of 0 can say: from here on, tiles of the next wider level.


def _packed(tiles: Sequence[Tile], plan: Plan) -> bytes:
    """All tiles but the newest, which only tells where to start from."""
    levels = boundaries(plan, tiles[0][0])
    out = bytearray()
    level, before = 0, tiles[0][0]
    for start, measures in tiles[1:]:
        while start < levels[level][0]:
            level += 1
            out.append(0)
        width = levels[level][1]
        out += _packed_tile(before // width - start // width, measures)
        before = start
    return bytes(out)


def _packed_tile(distance: int, measures: Sequence[int]) -> bytes:
    present, values = 0, []
    for index, amount in enumerate(measures):
        if amount:
            present |= 1 << index
            values.append(amount)
    numbers = [distance, present, *values]
    return bytes(numbers) if max(numbers) < 128 else b"".join(map(_packed_number, numbers))


def _packed_number(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _unpacked(packed: bytes, newest_at: int, plan: Plan) -> Iterator[Tile]:
    numbers = _numbers(packed)
    widths = iter([*(level.width for level in plan[1:]), EVER])
    start, width = newest_at, plan[0].width
    for distance in numbers:
        if distance == 0:
            width = next(widths)
            continue
        start = (start // width - distance) * width
        present = next(numbers)
        yield start, [next(numbers) if present >> index & 1 else 0 for index in range(present.bit_length())]


def _numbers(packed: bytes) -> Iterator[int]:
    number, shift = 0, 0
    for byte in packed:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number, shift = 0, 0
