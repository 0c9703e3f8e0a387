"""The naive twin of `features.windows`: it keeps every event and thinks anew for each question."""

from features.windows import DAY, EVER, FIVE, HOUR, MINUTE, MINUTE_MS, QUARTER, WEEK, WINDOWS, Window

DAYS = 24 * HOUR * MINUTE_MS

# (up to so old, tiles of this width, in this wider tile the limit is rounded down), finest first
BROWSING = [
    (2 * HOUR, FIVE, HOUR),
    (2 * DAY, HOUR, DAY),
    (32 * DAY, DAY, WEEK),
    (92 * DAY, WEEK, QUARTER),
    (728 * DAY, QUARTER, QUARTER),
]
TRADING = [(2 * HOUR, MINUTE, HOUR), (2 * DAY, HOUR, DAY), (400 * DAY, DAY, QUARTER), (1092 * DAY, QUARTER, QUARTER)]
GRAINS = {
    "browsing": {"1h": FIVE, "1d": HOUR, "7d": DAY, "30d": DAY, "90d": WEEK, "365d": QUARTER},
    "trading": {"1h": MINUTE, "1d": HOUR, "7d": DAY, "30d": DAY, "90d": DAY, "365d": DAY},
}


class NaiveTiles:
    def __init__(self, kind: str, measures: int) -> None:
        self.levels = BROWSING if kind == "browsing" else TRADING
        self.grains = GRAINS[kind]
        self.measures = measures
        self.events: list[tuple[int, list[int]]] = []

    def add(self, at_ms: int, amounts: list[int]) -> None:
        self.events.append((at_ms, [*amounts, *[0] * (self.measures - len(amounts))]))

    def start_ms(self, at_ms: int) -> int:
        """Where the tile of an event starts, all events known."""
        head_hour = max(at_ms for at_ms, _ in self.events) // (HOUR * MINUTE_MS) * HOUR
        minute = at_ms // MINUTE_MS
        for keep, width, next_width in self.levels:
            if minute >= floor(head_hour - keep, next_width):
                return floor(minute, width) * MINUTE_MS
        return -EVER * MINUTE_MS

    def tiles(self) -> list[tuple[int, list[int]]]:
        starts = sorted({self.start_ms(at_ms) for at_ms, _ in self.events}, reverse=True)
        return [(start, self.sum(lambda s, start=start: s == start)) for start in starts]

    def sum(self, counts) -> list[int]:
        chosen = [amounts for at_ms, amounts in self.events if counts(self.start_ms(at_ms))]
        return [sum(amounts[index] for amounts in chosen) for index in range(self.measures)]

    def edge_ms(self, as_of_ms: int, window: Window) -> int:
        if window == "lifetime":
            return -2 * EVER * MINUTE_MS
        return floor(as_of_ms // MINUTE_MS - WINDOWS[window], self.grains[window]) * MINUTE_MS

    def read(self, as_of_ms: int, window: Window) -> list[int]:
        edge_ms = self.edge_ms(as_of_ms, window)
        return self.sum(lambda start_ms: edge_ms <= start_ms < as_of_ms)

    def read_between(self, from_ms: int, to_ms: int) -> list[int]:
        return self.sum(lambda start_ms: from_ms <= start_ms < to_ms)

    def read_exactly(self, as_of_ms: int, window: Window) -> list[int]:
        """What the window holds by the events' own times: no tiles but the finest, at the near edge."""
        finest_ms, edge_ms = self.levels[0][1] * MINUTE_MS, self.edge_ms(as_of_ms, window)
        chosen = [
            amounts for at_ms, amounts in self.events if edge_ms <= at_ms and at_ms // finest_ms * finest_ms < as_of_ms
        ]
        return [sum(amounts[index] for amounts in chosen) for index in range(self.measures)]

    def latest_ms(self, before_ms: int) -> int | None:
        starts = [self.start_ms(at_ms) for at_ms, _ in self.events]
        return max((start for start in starts if 0 <= start < before_ms), default=None)


def floor(minute: int, width: int) -> int:
    return minute // width * width
