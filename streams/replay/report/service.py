"""What advisors would have had to do: assignments against capacity, who waited, what was captured, days to VIP."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from statistics import median
from typing import Final, NamedTuple

from streams.replay.evidence import lead_days
from streams.replay.parts import quarter
from streams.replay.report import charts
from streams.replay.report.parts import Figure, Section, Sheet
from streams.replay.report.shared import capital, ends, main_variant, with_interval
from streams.replay.report.words import (
    count,
    date,
    money,
    percent,
    percent_between,
    policy,
)
from streams.replay.results import Capacity, DaysToVip, Results, Week
from streams.replay.run import Run

WEEK_MS: Final = 7 * 86_400_000
SCENARIOS: Final = ("scarce", "balanced", "ample", "as_configured")
ARMS: Final = {
    "all": "all customers",
    "treatment": "with an advisor",
    "control": "control",
    "none": "never chosen",
}


class Total(NamedTuple):
    """A week over all pools."""

    week_ms: int
    capacity: int
    served: int
    waiting: int
    assigned: int
    withheld: int
    ended: int
    looks: int


def service(results: Results, run: Run | None) -> Section:
    section = Section(name="service", title="What it would have meant for advisors")
    weeks = _totals(results)
    if weeks and any(w.assigned or w.withheld for w in weeks):
        section.lead.append(_said(results, weeks, run))
        section.figures.extend((_given(weeks), _places(weeks)))
        section.figures.extend(_waiting(weeks))
        section.sheets.append(_quarters(weeks))
    elif weeks:
        section.notes.append(
            "No advisor was assigned in this replay: there was no roster, or no look passed the threshold."
        )
    if results.examples:  # else nobody can have become a VIP, and no money is known
        section.figures.extend(_captured(results))
        section.figures.extend(_days(results))
    return section


def _totals(results: Results) -> list[Total]:
    main = main_variant(results)
    found = sorted((w for w in results.weeks if w.variant == main), key=lambda w: w.week_ms)
    weeks = [_total(at, list(pools)) for at, pools in groupby(found, key=lambda w: w.week_ms)]
    busy = [at for at, w in enumerate(weeks) if w.looks or w.served or w.assigned or w.withheld or w.waiting]
    return weeks[busy[0] : busy[-1] + 1] if busy else weeks


def _total(week_ms: int, pools: Sequence[Week]) -> Total:
    names = ("capacity", "served", "waiting", "assigned", "withheld", "ended", "looks")
    return Total(week_ms, *(sum(getattr(pool, name) for pool in pools) for name in names))


def _said(results: Results, weeks: Sequence[Total], run: Run | None) -> str:
    facts = results.variants[0]
    assigned, withheld = facts.assigned, facts.withheld
    words = (
        f"In {len(weeks):,} weeks {assigned:,} customers got an advisor. {withheld:,} more had passed and were kept as control "
        f"({percent(withheld / max(1, assigned + withheld))} of those chosen), so that the worth of advisors can be measured. The lot "
        "is drawn whenever a customer passes: control counts those, too, who passed while no place was free, so it may be a larger part "
        "of the chosen than assignment.control_share says."
    )
    leads = lead_days(run) if run is not None else []
    if leads:
        words += (
            f" {len(leads):,} of the customers who became VIPs had their advisor before, "
            f"half of them {median(leads):.0f} days or more."
        )
    return words


def _given(weeks: Sequence[Total]) -> Figure:
    series = ["got an advisor", "control"]
    rows = [
        {
            **_week(w),
            "who": who,
            "y": number,
            "told": f"week of {date(w.week_ms)}: {number:,}",
        }
        for w in weeks
        for who, number in zip(series, (w.assigned, w.withheld), strict=True)
    ]
    return Figure(
        name="assignments",
        title="Assignments a week",
        how="Customers who got an advisor, and those who passed but were kept as control.",
        chart=charts.stacked(rows, [], y="customers a week", series=series),
        sheet=_week_sheet("Assignments by week", weeks),
    )


def _places(weeks: Sequence[Total]) -> Figure:
    rows = [
        {
            **_week(w),
            "who": "served",
            "y": w.served,
            "told": f"week of {date(w.week_ms)}: {w.served:,} of {w.capacity:,}",
        }
        for w in weeks
    ]
    lines = [{**_week(w), "y": w.capacity, "told": f"capacity {w.capacity:,}"} for w in weeks]
    return Figure(
        name="places",
        title="Customers served, against capacity",
        how="Bars: customers with an advisor at the end of the week. Dashed: what the roster could serve. It is never exceeded.",
        chart=charts.stacked(rows, lines, y="customers served", series=["served"]),
        sheet=_week_sheet("Places by week", weeks),
    )


def _waiting(weeks: Sequence[Total]) -> Iterable[Figure]:
    if not any(w.waiting for w in weeks):
        return
    rows = [
        {**_week(w), "who": "waiting", "y": w.waiting, "told": f"week of {date(w.week_ms)}: {w.waiting:,}"}
        for w in weeks
    ]
    yield Figure(
        name="waiting",
        title="Customers waiting for an advisor",
        how="Those who are held for the next free place, at the end of the week.",
        chart=charts.stacked(rows, [], y="customers waiting", series=["waiting"]),
        sheet=_week_sheet("Waiting by week", weeks),
    )


def _week(w: Total) -> charts.Row:
    return {"x": _iso(w.week_ms), "until": _iso(w.week_ms + WEEK_MS)}


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _week_sheet(caption: str, weeks: Sequence[Total]) -> Sheet:
    return Sheet(
        caption=f"{caption}, all pools (by pool: weeks.parquet)",
        columns=("week of", "looks", "assigned", "control", "ended", "served", "capacity", "waiting"),
        rows=tuple(
            (
                date(w.week_ms),
                *(count(n) for n in (w.looks, w.assigned, w.withheld, w.ended, w.served, w.capacity, w.waiting)),
            )
            for w in weeks
        ),
    )


def _quarters(weeks: Sequence[Total]) -> Sheet:
    rows = []
    for name, group in groupby(weeks, key=lambda w: quarter(w.week_ms)):
        found = list(group)
        assigned, withheld = sum(w.assigned for w in found), sum(w.withheld for w in found)
        capacity = sum(w.capacity for w in found)
        used = sum(w.served for w in found) / capacity if capacity else None
        share = withheld / (assigned + withheld) if assigned + withheld else None
        rows.append((
            name,
            count(assigned),
            count(withheld),
            percent(share),
            percent(used),
            f"{sum(w.waiting for w in found) / len(found):,.1f}",
        ))  # fmt: skip
    return Sheet(
        caption="By quarter",
        columns=("quarter", "assigned", "control", "control share", "capacity used", "waiting, on average"),
        rows=tuple(rows),
    )


# ---- value captured ------------------------------------------------------------------------------------------------


def _captured(results: Results) -> Iterable[Figure]:
    main = main_variant(results)
    found = [c for c in results.capacity if c.variant == main and c.policy != "optimum" and c.over_optimum is not None]
    if not found:
        return
    found.sort(key=lambda c: SCENARIOS.index(c.scenario) if c.scenario in SCENARIOS else len(SCENARIOS))
    order = list(dict.fromkeys(_scene(c) for c in found))
    series = list(dict.fromkeys(policy(c.policy) for c in found))
    yield Figure(
        name="captured",
        title="Value captured, over the best that hindsight could do",
        how="100 %: the advisors given as if every score had been known beforehand. The same looks, places and service periods "
        "for each way of choosing.",
        chart=charts.dots(
            [
                {
                    "label": _scene(c),
                    "who": policy(c.policy),
                    "value": c.over_optimum,
                    **ends(c.ci95, c.over_optimum or 0.0),
                    "told": f"{percent(c.over_optimum, 1)}, {c.assigned:,} assigned, {c.vips:,} VIPs",
                }
                for c in found
            ],
            x="share of the optimum",
            series=series,
            order=order,
        ),
        sheet=_captured_sheet(results, main),
    )


def _captured_sheet(results: Results, main: str) -> Sheet:
    return Sheet(
        caption="Value captured",
        columns=(
            "capacity",
            "policy",
            "places",
            "assigned",
            "VIPs",
            "of the optimum",
            "of the money",
            "money captured",
        ),
        rows=tuple(
            (
                _scene(c),
                policy(c.policy),
                count(c.places),
                count(c.assigned),
                count(c.vips),
                with_interval(percent(c.over_optimum, 1), percent_between(c.ci95, 1)),
                percent(c.value_over_optimum, 1),
                money(c.captured_minor, results.base_currency),
            )
            for c in results.capacity
            if c.variant == main
        ),
        words=2,
    )


def _scene(c: Capacity) -> str:
    looks = "with second looks" if c.second_looks else "first looks only"
    return f"{capital(c.scenario.replace('_', ' '))}, {looks}"


# ---- days to VIP ---------------------------------------------------------------------------------------------------


def _days(results: Results) -> Iterable[Figure]:
    main = main_variant(results)
    found = [d for d in results.days_to_vip if d.variant == main]
    arms = [arm for arm in ARMS if any(d.arm == arm for d in found)]
    if not arms:
        return
    series = [ARMS[arm] for arm in arms]
    yield Figure(
        name="days-to-vip",
        title="Days until a customer is a VIP",
        how="The share of customers who were VIPs by so many days after the first order. In a replay nobody was really served, so "
        "the arms differ only by whom the model chose: this shows whom it finds, not what an advisor is worth.",
        chart=charts.steps(
            [
                {
                    "x": d.days,
                    "y": d.share,
                    "low": d.ci95[0],
                    "high": d.ci95[1],
                    "who": ARMS[d.arm],
                    "told": f"day {d.days}: {percent(d.share, 1)}",
                }
                for arm in arms
                for d in found
                if d.arm == arm
            ],
            x="days since the first order",
            y="share who are VIPs",
            series=series,
            banded=True,
        ),
        sheet=Sheet(
            caption="Share of customers who are VIPs, with 95 % intervals (Kaplan-Meier)",
            columns=("days", *series),
            rows=tuple(_days_row(day, arms, found) for day in _milestones(found)),
        ),
    )


def _milestones(found: Sequence[DaysToVip]) -> list[int]:
    days = sorted({d.days for d in found})
    return days if len(days) <= 24 else days[:: -(-len(days) // 24)]


def _days_row(day: int, arms: Sequence[str], found: Sequence[DaysToVip]) -> tuple[str, ...]:
    cells = {d.arm: with_interval(percent(d.share, 1), percent_between(d.ci95, 1)) for d in found if d.days == day}
    return count(day), *(cells.get(arm, "") for arm in arms)
