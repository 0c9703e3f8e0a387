"""When a shop is visited: the course of the year, the week and the day, as a change of time.

Waiting is drawn in season-adjusted time, in which all hours are alike; the calendar says which moment that is. A sale
in January is a time that runs fast: whoever waits gets there sooner. So one table holds all seasons, no draw is
thrown away, and what comes later in one time comes later in the other.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate

HOUR_MS = 3_600_000
MONTHS = (
    1.12,
    0.84,
    0.93,
    0.97,
    0.99,
    0.95,
    1.03,
    0.82,
    0.96,
    1.03,
    1.21,
    1.32,
)  # sales in January and July, Christmas
WEEKDAYS = (1.03, 0.98, 0.96, 1.0, 0.88, 0.94, 1.21)  # Monday to Sunday
HOURS = (
    0.35, 0.18, 0.1, 0.07, 0.07, 0.12, 0.3, 0.6, 0.9, 1.1, 1.2, 1.2,
    1.3, 1.2, 1.1, 1.1, 1.15, 1.3, 1.45, 1.75, 2.1, 2.15, 1.6, 0.8,
)  # fmt: skip  # lunch breaks and evenings
BLACK_FRIDAY, CHRISTMAS_CLOSES = (11, 24, 30), (12, 22, 27)
BEYOND_DAYS = 400  # after the plan's end: outcomes are judged later than that


class Calendar:
    """Of one time zone. Before its beginning and after its end all hours are alike."""

    def __init__(self, from_ms: int, days: int, offset_hours: int, *, seasons: bool = True) -> None:
        self._from_ms = from_ms
        hours = (days + BEYOND_DAYS) * 24
        begin = datetime.fromtimestamp(from_ms / 1_000, UTC) + timedelta(hours=offset_hours)
        weights = [round(weight(begin + timedelta(hours=n)) * HOUR_MS) if seasons else HOUR_MS for n in range(hours)]
        self._weights = weights
        self._reached = [0, *accumulate(weights)]  # season-adjusted time at the beginning of each hour

    def adjusted(self, at_ms: float) -> float:
        """Season-adjusted time since the beginning."""
        since = at_ms - self._from_ms
        hour = int(since // HOUR_MS)
        if not 0 <= hour < len(self._weights):
            return since if hour < 0 else self._reached[-1] + since - len(self._weights) * HOUR_MS
        return self._reached[hour] + (since - hour * HOUR_MS) * self._weights[hour] / HOUR_MS

    def moment(self, adjusted: float) -> int:
        """The moment, on the full second, that season-adjusted time has reached this."""
        if adjusted < 0 or adjusted >= self._reached[-1]:
            since = adjusted if adjusted < 0 else adjusted - self._reached[-1] + len(self._weights) * HOUR_MS
        else:
            hour = bisect_right(self._reached, adjusted) - 1
            since = (hour + (adjusted - self._reached[hour]) / self._weights[hour]) * HOUR_MS
        return self._from_ms + int(since // 1_000) * 1_000

    def later(self, at_ms: int, wait_ms: float) -> int:
        """The moment so much season-adjusted time after another."""
        return max(at_ms, self.moment(self.adjusted(at_ms) + wait_ms))


def weight(at: datetime) -> float:
    """How much more is bought at this local hour than at an average one."""
    value = MONTHS[at.month - 1] * WEEKDAYS[at.weekday()] * HOURS[at.hour]
    for (month, first, last), factor in ((BLACK_FRIDAY, 1.8), (CHRISTMAS_CLOSES, 0.6)):
        if at.month == month and first <= at.day <= last:
            value *= factor
    return value


@lru_cache(maxsize=64)
def calendar_of(from_ms: int, days: int, offset_hours: int, seasons: bool) -> Calendar:  # noqa: FBT001  # a cache's key
    return Calendar(from_ms, days, offset_hours, seasons=seasons)


def is_sale(at_ms: int) -> bool:
    """Whether it is January, July or the end of November, when things are discounted."""
    at = datetime.fromtimestamp(at_ms / 1_000, UTC)
    return at.month in (1, 7) or (at.month == 11 and at.day >= 24)
