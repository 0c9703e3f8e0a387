"""What happened when, in tiles: sums by minutes near the latest event, by hour, day, week and quarter further back.

`Tiles` answers "how much in the last hour, day, ... year, ever, as of then?" from a bounded number of tiles. Three rules
make the answer the same in whatever order events arrive:

1. Tiles are aligned and nested. How wide the tile of a moment is depends on that moment and on the *head*, the hour of
   the latest event, alone: what is older than a level keeps stands in tiles of the next wider level.
2. An event stands at the start of its tile. It counts as of `as_of_ms` if that start lies before it.
3. A window's far edge is rounded down to the width of the tiles that may stand there, its *grain*. So 365 days of
   purchases reach back to the start of a day, and it makes no difference which of them were widened already.

As of any time since an hour before the head reads are exact: to the finest tiles at the near edge (a minute for trade,
five for browsing), to the grain at the far one. Tiles are kept packed, so that the many events that only add to the
newest one don't pay for the others. What is counted is `profile.py`'s to say.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import ClassVar, Final, Literal, NamedTuple

from msgspec import Struct, field

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

# Time in here is in minutes since the epoch.
MINUTE, FIVE, HOUR, DAY, WEEK, QUARTER = 1, 5, 60, 1_440, 10_080, 131_040
EVER: Final = 1 << 40  # the width of the one tile for all that is older; it starts at -EVER

Window = Literal["1h", "1d", "7d", "30d", "90d", "365d", "lifetime"]
WINDOWS: Final[dict[Window, int]] = {
    "1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY, "365d": 365 * DAY, "lifetime": EVER,
}  # fmt: skip


class Level(NamedTuple):
    """Tiles of `width` stand for what is at most `keep` older than the head, rounded up to tiles of the next width."""

    width: int
    keep: int
    next_width: int


Plan = tuple[Level, ...]

BROWSING_PLAN: Final[Plan] = (
    Level(FIVE, 2 * HOUR, HOUR),
    Level(HOUR, 2 * DAY, DAY),
    Level(DAY, 32 * DAY, WEEK),
    Level(WEEK, 92 * DAY, QUARTER),
    Level(QUARTER, 728 * DAY, QUARTER),
)
TRADING_PLAN: Final[Plan] = (  # a customer buys seldom, and tiers ask for days a year back
    Level(MINUTE, 2 * HOUR, HOUR),
    Level(HOUR, 2 * DAY, DAY),
    Level(DAY, 400 * DAY, QUARTER),
    Level(QUARTER, 1_092 * DAY, QUARTER),
)


# Where it starts, its level's place in the plan (behind the last: EVER), its sums (trimmed).
Tile = tuple[int, int, Sequence[int]]


class Tiles(Struct, array_like=True):
    """Sums of `measures` non-negative numbers by time. Equal events give equal tiles, in whatever order they came."""

    plan: ClassVar[Plan]
    measures: ClassVar[int]

    newest_at: int = 0  # where the newest tile starts
    newest: list[int] = field(default_factory=list)  # its sums, without trailing zeros
    older: bytes = b""  # the other tiles, packed, newest first

    def add(self, at_ms: int, amounts: Sequence[int]) -> None:
        """Count an event. Amounts are >= 0 and `trimmed`: the last one is not zero."""
        width = self.plan[0].width
        start = at_ms // MINUTE_MS // width * width
        if start == self.newest_at and self.newest:
            _add(self.newest, amounts)
        elif start > self.newest_at and start // HOUR == self.newest_at // HOUR and self.newest:
            known, before = self._older(), len(self.older)
            self.older = _packed_tile((start - self.newest_at) // width, self.newest) + self.older
            _remember(self.older, start, self.plan, [(self.newest_at, 0, self.newest, before), *known])
            self.newest_at, self.newest = start, list(amounts)
        else:
            self._rebuild([(start, 0, amounts), *self.tiles()])

    def add_all(self, sums: dict[int, list[int]]) -> None:
        """Count many events at once: sums (not zero, and trimmed) by the start of the tile they belong to, in minutes."""
        if sums:
            self._rebuild([*((start, 0, amounts) for start, amounts in sums.items()), *self.tiles()])

    def merge(self, other: "Tiles") -> None:
        """Count all that `other` has counted."""
        if other.newest:
            self._rebuild([*self.tiles(), *other.tiles()])

    def read(self, as_of_ms: int, window: Window) -> list[int]:
        """The sums of one window as of a moment."""
        return self._sum(far_edge(self.plan, as_of_ms, WINDOWS[window]), _near_edge(as_of_ms))

    def read_between(self, from_ms: int, to_ms: int) -> list[int]:
        """The sums of the tiles that start within `[from_ms, to_ms)`."""
        return self._sum(_near_edge(from_ms), _near_edge(to_ms))

    def read_all(self, as_of_ms: int) -> dict[Window, list[int]]:
        """What `read` gives for each window, in one pass."""
        end, found = _near_edge(as_of_ms), dict[Window, list[int]]()
        edges = [(far_edge(self.plan, as_of_ms, length), window) for window, length in reversed(WINDOWS.items())]
        total = [0] * self.measures
        for start, _, sums in self.tiles():
            while start < edges[-1][0]:
                found[edges.pop()[1]] = total.copy()
            if start < end:
                _add(total, sums)
        return found | {window: total.copy() for _, window in reversed(edges)}

    def latest_ms(self, before_ms: int) -> int | None:
        """Where the last tile starts that starts before a moment; None if there is none, or it is too old to tell."""
        end = _near_edge(before_ms)
        return next((start * MINUTE_MS for start, _, _ in self.tiles() if 0 <= start < end), None)

    def tiles(self) -> list[Tile]:
        """All tiles, newest first."""
        if not self.newest:
            return []
        return [(self.newest_at, 0, self.newest), *[(start, level, sums) for start, level, sums, _ in self._older()]]

    def _older(self) -> "Sequence[_Packed]":
        return _unpacked(self.older, self.newest_at, self.plan) if self.older else ()

    def _sum(self, first: int, end: int) -> list[int]:
        total = [0] * self.measures
        if first <= self.newest_at < end:
            _add(total, self.newest)
        for start, _, sums, _ in self._older():
            if start < first:
                break
            if start < end:
                _add(total, sums)
        return total

    def _rebuild(self, tiles: list[Tile]) -> None:
        known = self._older()
        (self.newest_at, _, newest), *older = _tiled(tiles, self.plan)
        self.newest, self.older = list(newest), _packed(self.newest_at, older, self.plan, known, self.older)


def trimmed(amounts: list[int]) -> list[int]:
    """The same list, without trailing zeros."""
    while amounts and not amounts[-1]:
        amounts.pop()
    return amounts


@lru_cache(maxsize=256)
def grain(plan: Plan, window: int) -> int:
    """The width of the tiles that may stand at a window's far edge."""
    return next((level.width for level in plan if level.keep > window), EVER)


def far_edge(plan: Plan, as_of_ms: int, window: int) -> int:
    """The first minute that belongs to a window of so many minutes."""
    minute = as_of_ms // MINUTE_MS - window
    return minute - minute % grain(plan, window)


def _near_edge(as_of_ms: int) -> int:
    """The first minute that does not start before a moment."""
    return -(-as_of_ms // MINUTE_MS)


def _tiled(tiles: list[Tile], plan: Plan) -> list[Tile]:
    """The tiles, newest first, each as wide as seen from the newest of them it must be."""
    tiles.sort(key=itemgetter(0), reverse=True)
    newest_at = tiles[0][0]
    firsts = [*((newest_at - level.keep) // level.next_width * level.next_width for level in plan), -EVER]
    widened: list[Tile] = []
    place, last, total = 0, None, list[int]()
    for start, _, sums in tiles:
        while start < firsts[place]:
            place += 1
        begin = start - start % plan[place].width if place < len(plan) else -EVER
        if begin == last:
            _add(total, sums)
        else:
            last, total = begin, list(sums)
            widened.append((begin, place, total))
    return widened


def _add(total: list[int], amounts: Sequence[int]) -> None:
    missing = len(amounts) - len(total)
    if missing > 0:
        total += [0] * missing
    for index, amount in enumerate(amounts):
        if amount:
            total[index] += amount


# ---- packed tiles: for each its distance from the newer one, which sums are not zero, and these ----------------------
# Numbers are in base 128, least first, the high bit says that more follows. Distances are in widths of the tile's
# level and at least 1, so a distance of 0 can say: from here on, tiles of the next wider level.


# A tile as above, and how many bytes follow it.
_Packed = tuple[int, int, Sequence[int], int]
# What was packed or unpacked last: whoever is decided about is asked several things in a row, and grows by a tile at a time.
_known: dict[tuple[bytes, int, int], Sequence[_Packed]] = {}
_KNOWN_KEPT: Final = 64


def _remember(packed: bytes, newest_at: int, plan: Plan, tiles: Sequence[_Packed]) -> None:
    if len(_known) >= _KNOWN_KEPT:
        _known.clear()
    _known[packed, newest_at, id(plan)] = tiles


def _packed(newest_at: int, older: Sequence[Tile], plan: Plan, known: Sequence[_Packed], known_bytes: bytes) -> bytes:
    """The bytes of tiles. Those at the far end that are `known` already keep theirs."""
    alike = _alike(older, known)
    fresh = len(older) - alike
    follow = known[len(known) - alike :] if alike else ()
    # the first of the tiles that are alike stands behind another one than before: its distance may be new
    tail = known_bytes[len(known_bytes) - follow[0][3] :] if follow else b""
    widths, pieces = [*(level.width for level in plan), EVER], []
    before, known_level = newest_at, 0
    for start, level, sums in older[: fresh + 1]:
        width = widths[level]
        pieces.append(bytes(level - known_level) + _packed_tile(before // width - start // width, sums))
        before, known_level = start, level
    follows, placed = len(tail), list[_Packed]()
    for (start, level, sums), piece in zip(reversed(older[: fresh + 1]), reversed(pieces), strict=True):
        placed.append((start, level, sums, follows))
        follows += len(piece)
    placed.reverse()
    packed = b"".join([*pieces, tail])
    _remember(packed, newest_at, plan, [*placed, *follow[1:]])
    return packed


def _alike(older: Sequence[Tile], known: Sequence[_Packed]) -> int:
    """How many tiles at the far end are the same."""
    count = 0
    for (start, level, sums), (known_start, known_level, known_sums, _) in zip(
        reversed(older), reversed(known), strict=False
    ):
        if start != known_start or level != known_level or sums != known_sums:
            break
        count += 1
    return count


def _packed_tile(distance: int, sums: Sequence[int]) -> bytes:
    present, numbers = 0, [distance, 0]
    for index, amount in enumerate(sums):
        if amount:
            present |= 1 << index
            numbers.append(amount)
    numbers[1] = present
    return bytes(numbers) if max(numbers) < 128 else _packed_numbers(numbers)


def _packed_numbers(numbers: Iterable[int]) -> bytes:
    packed = bytearray()
    for number in numbers:
        rest = number
        while rest > 127:
            packed.append(rest & 127 | 128)
            rest >>= 7
        packed.append(rest)
    return bytes(packed)


def _unpacked(packed: bytes, newest_at: int, plan: Plan) -> Sequence[_Packed]:
    known = _known.get((packed, newest_at, id(plan)))
    if known is None:
        known = list(_read(packed, newest_at, plan))
        _remember(packed, newest_at, plan, known)
    return known


def _read(packed: bytes, newest_at: int, plan: Plan) -> Iterator[_Packed]:
    numbers, ends = (packed, range(1, len(packed) + 1)) if packed.isascii() else _numbers(packed)
    start, level, width = newest_at, 0, plan[0].width
    place, count = 0, len(numbers)
    while place < count:
        distance = numbers[place]
        place += 1
        if distance == 0:
            level += 1
            width = plan[level].width if level < len(plan) else EVER
            continue
        start = (start // width - distance) * width
        present = numbers[place]
        place += 1
        sums = []
        while present:
            if present & 1:
                sums.append(numbers[place])
                place += 1
            else:
                sums.append(0)
            present >>= 1
        yield start, level, sums, len(packed) - ends[place - 1]


def _numbers(packed: bytes) -> tuple[list[int], list[int]]:
    """The numbers, and where each ends."""
    found, ends, number, shift = list[int](), list[int](), 0, 0
    for end, byte in enumerate(packed, 1):
        if byte < 128:
            found.append(number | byte << shift)
            ends.append(end)
            number, shift = 0, 0
        else:
            number |= (byte & 127) << shift
            shift += 7
    return found, ends
