"""Which advisor of a pool has a place to give, and how many places there will be.

An advisor gives a place while they are active, not away, below their capacity and their daily intake.
"""

from bisect import bisect_right

from streams.assignment.pools import DAY_MS, MILLION, Advisor, Pool


def free_advisor(pool: Pool, now_ms: int, language: str | None, wanted: str | None = None) -> str | None:
    """The advisor to give a customer to: eligible, least loaded for their capacity, ties by id."""
    return min(
        (
            (_fill(pool, advisor_id, advisor), advisor_id)
            for advisor_id, advisor in pool.advisors.items()
            if free_places(pool, advisor_id, advisor, now_ms) > 0
            and advisor.speaks(language)
            and wanted in (None, advisor_id)
        ),
        default=(0, None),
    )[1]


def likely_advisor(pool: Pool, now_ms: int, language: str | None) -> str | None:
    """The advisor whose turn it would be if nobody were full."""
    at_work = [
        (_fill(pool, advisor_id, advisor), advisor_id)
        for advisor_id, advisor in pool.advisors.items()
        if advisor.status == "active" and not advisor.is_away(now_ms) and advisor.speaks(language)
    ]
    return min(at_work)[1] if at_work else None


def places_until(pool: Pool, until_ms: int, day: int) -> int:
    """Places free on this day or coming free by then, as far as intakes and absences allow, less those waited for."""
    places = sum(
        _places_with(pool, advisor_id, advisor, until_ms, day)
        for advisor_id, advisor in pool.advisors.items()
        if advisor.status == "active"
    )
    return max(0, places - len(pool.waiting))


def _places_with(pool: Pool, advisor_id: str, advisor: Advisor, until_ms: int, today: int) -> int:
    days = advisor.days_at_work(today, (until_ms - 1) // DAY_MS)
    if not days:
        return 0
    ending = bisect_right(pool.ends.get(advisor_id, ()), min(until_ms, (days[-1] + 1) * DAY_MS))
    room = advisor.capacity - pool.load(advisor_id) + ending
    is_there_today = days[0] == today
    intake = advisor.intake_left(today) * is_there_today + advisor.daily_intake * (len(days) - is_there_today)
    return max(0, min(room, intake))


def free_places(pool: Pool, advisor_id: str, advisor: Advisor, now_ms: int) -> int:
    """How many customers an advisor can be given now; less than none where facts have gone beyond their capacity."""
    if advisor.status != "active" or advisor.is_away(now_ms):
        return 0
    return min(advisor.capacity - pool.load(advisor_id), advisor.intake_left(now_ms // DAY_MS))


def _fill(pool: Pool, advisor_id: str, advisor: Advisor) -> int:
    return pool.load(advisor_id) * MILLION // max(1, advisor.capacity)
