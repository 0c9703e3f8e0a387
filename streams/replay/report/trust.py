"""Whether scores hold as probabilities, and where they lie: over time, by market, by look."""

from collections.abc import Iterable, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from streams.replay.report import charts
from streams.replay.report.parts import Figure, Section, Sheet
from streams.replay.report.shared import main_variant
from streams.replay.report.words import count, look, percent, percent_between, ratio
from streams.replay.results import Calibration, Results

PERCENTILES: Final = ("p05", "p25", "p50", "p75", "p95")
KINDS: Final = {
    "quarter": ("scores-over-time", "Scores of first orders over time", "quarter of the look"),
    "market": ("scores-by-market", "Scores of first orders by market", "the markets with most customers"),
    "look": ("scores-by-look", "Scores by kind of look", "all looks"),
}


def trust(results: Results, spread: pa.Table) -> Section:
    section = Section(name="trust", title="Whether a score can be taken at its word")
    section.figures.extend(_reliability(results))
    section.figures.extend(_drift(results))
    for kind, (name, title, what) in KINDS.items():
        section.figures.extend(_spread(spread, kind, name, title, what))
    if section.figures:
        section.lead.append(
            "A score is also a probability: of customers with a score of 20 %, 20 in 100 should become VIPs. Thresholds are "
            "quantiles of recent scores, so a score that is off as a probability changes no ranking and no assignment."
        )
    return section


def _reliability(results: Results) -> Iterable[Figure]:
    found = [
        b for b in results.calibration_bins if b.variant == main_variant(results) and b.look == "first" and b.examples
    ]
    if not found:
        return
    whole = [c for c in _periods(results) if c.period == "all"]
    words = f" Mean error: {ratio(whole[0].error)}; slope: {ratio(whole[0].slope, 2)}." if whole else ""
    yield Figure(
        name="calibration",
        title="What was said, and what came true",
        how="First looks in bins of like scores. On the dashed line a score is exactly true; above it too modest, below it too bold."
        + words,
        chart=charts.reliability(
            [
                {
                    "said": b.said,
                    "came_true": b.came_true,
                    "low": b.ci95[0],
                    "high": b.ci95[1],
                    "told": f"said {percent(b.said, 1)}, came true {percent(b.came_true, 1)} of {b.examples:,}",
                }
                for b in found
            ]
        ),
        sheet=Sheet(
            caption="Calibration of first looks",
            columns=("scores", "customers", "said", "came true", "95 % interval"),
            rows=tuple(
                (
                    f"{percent(b.low, 1)} to {percent(b.high, 1)}",
                    count(b.examples),
                    percent(b.said, 1),
                    percent(b.came_true, 1),
                    percent_between(b.ci95, 1),
                )
                for b in found
            ),
        ),
    )


def _drift(results: Results) -> Iterable[Figure]:
    found = [c for c in _periods(results) if c.period != "all"]
    if len(found) < 2:
        return
    said, true = "mean score", "share of VIPs"
    rows = [
        {"at": c.period, "who": who, "value": value, "low": value, "high": value, "told": percent(value, 1)}
        for c in found
        for who, value in ((said, c.said), (true, c.came_true))
    ]
    yield Figure(
        name="calibration-drift",
        title="Whether scores kept up with the share of VIPs",
        how="Where the two marks of a quarter lie together, scores were right on average. The share of VIPs moves by itself; "
        "the model learns of it only when outcomes come due.",
        chart=charts.intervals(
            rows,
            x="quarter of the first order",
            y="share",
            series=[said, true],
            order=[c.period for c in found],
            form="%",
        ),
        sheet=Sheet(
            caption="Calibration by quarter. Error: expected calibration error. Perfect: error 0, slope 1.",
            columns=("quarter", "customers", "said", "came true", "error", "slope", "Brier score"),
            rows=tuple(_calibration_row(c) for c in found),
        ),
    )


def _calibration_row(c: Calibration) -> tuple[str, ...]:
    said, true = percent(c.said, 1), percent(c.came_true, 1)
    return c.period, count(c.examples), said, true, ratio(c.error), ratio(c.slope, 2), ratio(c.brier)


def _periods(results: Results) -> list[Calibration]:
    found = [c for c in results.calibration if c.variant == main_variant(results) and c.look == "first"]
    return sorted(found, key=lambda c: c.period)


def _spread(spread: pa.Table, kind: str, name: str, title: str, what: str) -> Iterable[Figure]:
    rows: list[Mapping[str, object]] = spread.filter(pc.equal(spread["kind"], kind)).to_pylist()
    if not rows or (len(rows) == 1 and kind != "look"):
        return
    label = look if kind == "look" else str
    order = [label(str(row["name"])) for row in rows]
    yield Figure(
        name=name,
        title=title,
        how=f"Thick: the middle half of the scores; thin: nine in ten of them; the mark is the median. Shown: {what}.",
        chart=charts.spread(
            [{"label": at, **_shares(row), "told": _said(row)} for at, row in zip(order, rows, strict=True)],
            x="score",
            order=order,
        ),
        sheet=Sheet(
            caption="Percentiles of scores",
            columns=(kind, "looks", "5 %", "25 %", "median", "75 %", "95 %"),
            rows=tuple(
                (at, count(_number(row["looks"])), *(percent(_number(row[p]), 1) for p in PERCENTILES))
                for at, row in zip(order, rows, strict=True)
            ),
        ),
    )


def _shares(row: Mapping[str, object]) -> dict[str, object]:
    return {p: row[p] for p in PERCENTILES}


def _said(row: Mapping[str, object]) -> str:
    median, low, high = (percent(_number(row[p]), 1) for p in ("p50", "p25", "p75"))
    return f"median {median}, middle half {low} to {high}"


def _number(cell: object) -> float:
    assert isinstance(cell, int | float)
    return float(cell)
