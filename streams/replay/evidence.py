"""What else a run tells: gain and lift, calibration and its drift, scores over time, places by the week, days to VIP, reasons."""

from collections.abc import Iterator, Sequence
from math import isfinite, sqrt
from typing import Any, Final

import numpy as np
import pyarrow as pa

from streams.replay.bootstrap import Floats, Ints
from streams.replay.measures import Truth, curve
from streams.replay.parts import BY_THE_CALENDAR, DAY_MS, Frame, quarters
from streams.replay.results import (
    Calibration,
    CalibrationBin,
    CurvePoint,
    DaysToVip,
    ReasonWeight,
    ScoreBin,
    SnapshotFacts,
    Week,
)
from streams.replay.run import Run

BINS: Final = 10
SCORE_BINS: Final = 20
LEAST_FOR_A_SLOPE: Final = 5  # of each class
EVERYTHING: Final = "all"
Z: Final = 1.96


# ---- ranking ---------------------------------------------------------------------------------------------------------


def curves(frame: Frame, scorers: Sequence[str]) -> Iterator[CurvePoint]:
    for look in BY_THE_CALENDAR:
        rows = np.flatnonzero(frame.looks == look)
        if not len(rows) or not frame.is_vip[rows].any():
            continue
        for scorer in scorers:
            known = rows[np.isfinite(frame.scores[scorer][rows])]
            if not len(known) or not frame.is_vip[known].any():
                continue
            found = curve(frame.scores[scorer][known], frame.is_vip[known], frame.money[known])
            for share, gain, value in zip(*found, strict=True):
                yield CurvePoint(
                    variant=frame.variant,
                    scorer=scorer,
                    look=look,
                    share=round(float(share), 6),
                    gain=round(float(gain), 6),
                    lift=round(float(gain / share), 6),
                    value=round(float(value), 6) if isfinite(value) else 0.0,
                )


# ---- calibration -----------------------------------------------------------------------------------------------------


def calibration(frame: Frame) -> Iterator[Calibration]:
    """Of looks at customers who were not VIP already: over everything, and quarter by quarter of the look."""
    for look in (*BY_THE_CALENDAR, EVERYTHING):
        rows = _open_rows(frame, look)
        if len(rows):
            yield _calibration(frame, look, EVERYTHING, rows)
            yield from (_calibration(frame, look, name, r) for name, r in quarters(frame.looked_at_ms, rows))


def calibration_bins(frame: Frame) -> Iterator[CalibrationBin]:
    for look in (*BY_THE_CALENDAR, EVERYTHING):
        rows = _open_rows(frame, look)
        for part in _bins(frame.said[rows]):
            said, came_true = frame.said[rows][part], frame.is_vip[rows][part]
            yield CalibrationBin(
                variant=frame.variant,
                look=look,
                low=round(float(said.min()), 6),
                high=round(float(said.max()), 6),
                examples=len(part),
                said=round(float(said.mean()), 6),
                came_true=round(float(came_true.mean()), 6),
                ci95=wilson(int(came_true.sum()), len(part)),
            )


def _open_rows(frame: Frame, look: str) -> Ints:
    chosen = ~frame.is_vip_already
    return np.flatnonzero(chosen if look == EVERYTHING else chosen & (frame.looks == look))


def _calibration(frame: Frame, look: str, period: str, rows: Ints) -> Calibration:
    said, came_true = frame.said[rows], frame.is_vip[rows]
    held = np.clip(said, 1e-9, 1 - 1e-9)
    error = sum(abs(float(said[b].mean()) - float(came_true[b].mean())) * len(b) for b in _bins(said)) / len(rows)
    line = _logistic_line(np.log(held / (1 - held)), came_true)
    return Calibration(
        variant=frame.variant,
        look=look,
        period=period,
        examples=len(rows),
        said=round(float(said.mean()), 6),
        came_true=round(float(came_true.mean()), 6),
        error=round(error, 6),
        slope=None if line is None else line[1],
        intercept=None if line is None else line[0],
        brier=round(float(((said - came_true) ** 2).mean()), 6),
        log_loss=round(float(-np.where(came_true, np.log(held), np.log(1 - held)).mean()), 6),
    )


def _bins(said: Floats) -> list[Ints]:
    """Ten bins of about equal size, by score."""
    return [part for part in np.array_split(np.argsort(said, kind="stable"), BINS) if len(part)]


def _logistic_line(log_odds: Floats, came_true: Truth) -> tuple[float, float] | None:
    """Intercept and slope of the outcome on the log-odds that were said, by Newton's method (Cox, Biometrika 45, 1958)."""
    positives = int(came_true.sum())
    if min(positives, len(came_true) - positives) < LEAST_FOR_A_SLOPE or float(log_odds.std()) < 1e-9:
        return None
    intercept, slope = 0.0, 1.0
    for _ in range(50):
        expected = 1 / (1 + np.exp(-np.clip(intercept + slope * log_odds, -30, 30)))
        weight, wrong = expected * (1 - expected), came_true - expected
        a, b, c = float(weight.sum()), float((weight * log_odds).sum()), float((weight * log_odds**2).sum())
        g, h = float(wrong.sum()), float((wrong * log_odds).sum())
        determinant = a * c - b * b
        if determinant < 1e-12:
            return None
        step = (c * g - b * h) / determinant, (a * h - b * g) / determinant
        intercept, slope = intercept + step[0], slope + step[1]
        if abs(step[0]) + abs(step[1]) < 1e-9:
            return round(intercept, 6), round(slope, 6)
    return None


def wilson(found: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, JASA 22, 1927).

    >>> wilson(5, 50)
    (0.043475, 0.213605)
    """
    if of == 0:
        return 0.0, 1.0
    share, squared = found / of, Z * Z
    middle = (share + squared / (2 * of)) / (1 + squared / of)
    half = Z / (1 + squared / of) * sqrt(share * (1 - share) / of + squared / (4 * of * of))
    return round(max(0.0, middle - half), 6), round(min(1.0, middle + half), 6)


# ---- scores over time ------------------------------------------------------------------------------------------------


def score_bins(run: Run) -> Iterator[ScoreBin]:
    """All looks, with or without a known outcome: their number by score, over everything and by quarter."""
    kinds = np.array(run.looks["look"].cast(pa.string()).to_pylist(), dtype=np.str_)
    scores, at_ms = run.looks["score"].to_numpy(), run.looks["at_ms"].to_numpy()
    edges = np.arange(SCORE_BINS + 1) / SCORE_BINS
    for look in BY_THE_CALENDAR:
        rows = np.flatnonzero(kinds == look)
        if not len(rows):
            continue
        for period, chosen in ((EVERYTHING, rows), *quarters(at_ms, rows)):
            counts, _ = np.histogram(scores[chosen], edges)
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
                if count:
                    yield ScoreBin(
                        variant=run.variant,
                        look=look,
                        period=period,
                        low=round(float(low), 6),
                        high=round(float(high), 6),
                        looks=int(count),
                    )


# ---- service ---------------------------------------------------------------------------------------------------------


def weeks(run: Run) -> Iterator[Week]:
    return (Week(variant=run.variant, **row) for row in _rows(run, "weeks"))


def lead_days(run: Run) -> list[float]:
    """Days from an assignment to becoming a VIP, of those who had an advisor before."""
    assigned: dict[str, int] = {}
    for row in _rows(run, "assignments"):
        if not row["withheld"]:
            assigned.setdefault(row["customer_id"], row["at_ms"])
    return [
        (row["vip_at_ms"] - assigned[row["customer_id"]]) / DAY_MS
        for row in _rows(run, "vips")
        if assigned.get(row["customer_id"], row["vip_at_ms"]) < row["vip_at_ms"]
    ]


def days_to_vip(run: Run, horizon_days: int) -> Iterator[DaysToVip]:
    """Kaplan-Meier, with Greenwood's interval: customers whose time is not over yet count for as long as they were seen."""
    arms = {row["customer_id"]: row["arm"] for row in _rows(run, "assignments") if row["arm"] != "none"}
    reached = {row["customer_id"]: row["days"] for row in _rows(run, "vips")}
    lives: dict[str, list[tuple[float, bool]]] = {EVERYTHING: []}
    looks = zip(*(run.looks[name].to_pylist() for name in ("customer_id", "at_ms", "look")), strict=True)
    for customer, at_ms, look in looks:
        if look != "first":
            continue
        seen = min(horizon_days, (run.end_ms - at_ms) / DAY_MS)
        days = reached.get(customer)
        life = (days, True) if days is not None and days <= seen else (seen, False)
        for arm in (EVERYTHING, arms.get(customer, "none")):
            lives.setdefault(arm, []).append(life)
    for arm in sorted(lives):
        yield from _kaplan_meier(run.variant, arm, lives[arm], horizon_days)


def _kaplan_meier(variant: str, arm: str, lives: list[tuple[float, bool]], horizon_days: int) -> Iterator[DaysToVip]:
    if not lives:
        return
    step = max(1, horizon_days // 36)
    ended = sorted(lives, key=lambda life: (life[0], not life[1]))  # who becomes one on a day was still there that day
    left, survived, variance, place = len(ended), 1.0, 0.0, 0
    for day in range(0, horizon_days + 1, step):
        while place < len(ended) and ended[place][0] <= day:
            if ended[place][1] and left > 1:
                survived *= 1 - 1 / left
                variance += 1 / (left * (left - 1))
            left, place = left - 1, place + 1
        share, half = 1 - survived, Z * survived * sqrt(variance)
        yield DaysToVip(
            variant=variant,
            arm=arm,
            days=day,
            customers=len(ended),
            share=round(share, 6),
            ci95=(round(max(0.0, share - half), 6), round(min(1.0, share + half), 6)),
        )


# ---- the model -------------------------------------------------------------------------------------------------------


def reasons(run: Run) -> Iterator[ReasonWeight]:
    """Over everything, the heaviest first, then quarter by quarter."""
    rows = _rows(run, "reasons")
    summed: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        sums = summed.setdefault((row["look"], row["feature"]), [0, 0.0, 0.0])
        for at, share in enumerate((1, row["mean_contribution"], row["mean_size"])):
            sums[at] += row["looks"] * share
    for (look, feature), (looks, moved, size) in sorted(summed.items(), key=lambda e: (e[0][0], -e[1][2], e[0][1])):
        yield _weight(run, look, feature, EVERYTHING, int(looks), moved / looks, size / looks)
    for row in sorted(rows, key=lambda row: (row["look"], row["period"], row["feature"])):
        yield _weight(run, *(row[n] for n in ("look", "feature", "period", "looks", "mean_contribution", "mean_size")))


def _weight(run: Run, look: str, feature: str, period: str, looks: int, moved: float, size: float) -> ReasonWeight:
    return ReasonWeight(
        variant=run.variant,
        look=look,
        feature=feature,
        period=period,
        looks=looks,
        mean_contribution=round(moved, 6),
        mean_size=round(size, 6),
    )


def snapshots(run: Run) -> Iterator[SnapshotFacts]:
    for row in _rows(run, "snapshots"):
        yield SnapshotFacts(
            variant=run.variant, **{name: row[name] for name in ("at_ms", "version", "examples_seen", "bytes")}
        )


def _rows(run: Run, table: str) -> list[dict[str, Any]]:  # Any: cells
    rows: list[dict[str, Any]] = run.table(table).to_pylist()
    return rows
