"""Do scores hold as probabilities and expected values as money, and would early outcomes have told how the base rate moves?

    maitred replay --dataset online-retail-ii --data ../shared/data --to report
    python benchmarks/calibration.py report/runs/as-configured/examples.parquet

For each kind of look, over the first 60 % of customers by first order and the last 40 %: the expected calibration error over ten bins of equal
size, the slope of a logistic regression of the outcome on the score's log-odds, what was said and what came true; then by quarter of
the first order. Beside the scores as they were: the best single shift for the last 40 %, found in hindsight, which is the most
that any level could have given; and for first looks, levels corrected by what the outcomes at the short horizon of the last 60, 90 or 180
days told, with the share of VIPs that such outcomes had among customers whose whole outcome was known by then. Last the expected value:
its sum over what came, and the normalised Gini of money (over everybody, early, late, the mean within 30 days) beside first-order value.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
LOOKS = ("first", "day_7", "day_14", "day_30", "order", "return")
STEPS = {"came back": [1], "three steps": [1, 30_000]}  # of net spend since, in minor units
LEAST_KNOWN, LEAST_RECENT, LEAST_IN_MONTH = 150, 50, 40  # customers
PSEUDO = 5
Floats = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[np.generic]]


def log_odds(p: Floats) -> Floats:
    return np.log(p / (1 - p))


def probability(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))


def ece(said: Floats, true: Floats) -> float:
    bins = np.array_split(np.argsort(said, kind="stable"), 10)
    return float(sum(abs(said[b].mean() - true[b].mean()) * len(b) for b in bins) / len(said))


def slope(said: Floats, true: Floats) -> float:
    """By Newton's method."""
    weights, x = np.zeros(2), np.column_stack((np.ones(len(said)), log_odds(said)))
    for _ in range(30):
        p = probability(x @ weights)
        weights += np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]), x.T @ (true - p))
    return float(weights[1])


def best_shift(said: Floats, true: Floats) -> float:
    low, high = -3.0, 3.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if probability(log_odds(said) + middle).mean() > true.mean() else (middle, high)
    return low


def by_early_outcomes(main: Columns, early: Floats, steps: list[int], days: int) -> Floats:
    """The scores, shifted each week by how the latest early outcomes differ from those of customers who are fully known."""
    said, true = np.array(main["score"], dtype=np.float64), main["is_vip"].astype(float)
    at_ms = main["looked_at_ms"]
    step, week = np.digitize(early, steps), main["looked_at_ms"] // WEEK_MS
    for number in np.unique(week):
        now_ms = number * WEEK_MS
        known = main["known_at_ms"] <= now_ms
        recent = (at_ms <= now_ms - 30 * DAY_MS) & (at_ms > now_ms - (30 + days) * DAY_MS)
        if known.sum() < LEAST_KNOWN or recent.sum() < LEAST_RECENT:
            continue
        usual = true[known].mean()
        rates = np.array([
            (true[known & (step == s)].sum() + PSEUDO * usual) / ((known & (step == s)).sum() + PSEUDO)
            for s in range(len(steps) + 1)
        ])  # fmt: skip
        shift = log_odds(rates[step[recent]].mean()) - log_odds(rates[step[known]].mean())
        said[week == number] = probability(log_odds(said[week == number]) + shift)
    return said


def gini(money: Floats, by: Floats) -> float:
    def area(order: npt.NDArray[np.intp]) -> float:
        return float(np.cumsum(money[order]).sum() / money.sum() / len(money) - 0.5 - 0.5 / len(money))

    return area(np.argsort(-by, kind="stable")) / area(np.argsort(-money, kind="stable"))


def worth(look: str, part: Columns, late: npt.NDArray[np.bool_], quarters: npt.NDArray[np.str_]) -> None:
    value, came = part["expected_value_minor"].astype(float), part["outcome_minor"].astype(float)
    month = part["first_purchase_at_ms"] // (30 * DAY_MS)
    months = [
        m for m in (month == each for each in np.unique(month)) if m.sum() >= LEAST_IN_MONTH and came[m].max() > 0
    ]
    several = [q for q in (quarters == quarter for quarter in np.unique(quarters)) if q.sum() > LEAST_RECENT]
    ginis = []
    for by in (value, part["first_spend_minor"].astype(float)):
        found = [gini(np.maximum(0, came[p]), by[p]) for p in (late | ~late, ~late, late, *months)]
        ginis.append(" ".join(f"{each:.3f}" for each in (*found[:3], np.mean(found[3:]))))
    sums = " ".join(f"{value[p].sum() / came[p].sum():.2f}" for p in (late | ~late, ~late, late))
    by_quarter = " ".join(f"{value[p].mean() / 100:.0f}/{came[p].mean() / 100:.0f}" for p in several)
    print(f"{look + ', value':32} | sums {sums} | gini {ginis[0]} by first order {ginis[1]} | {by_quarter}", flush=True)


def told(name: str, said: Floats, true: Floats, late: npt.NDArray[np.bool_], quarters: npt.NDArray[np.str_]) -> None:
    parts = [
        f"{label} ece {ece(said[part], true[part]):.3f} slope {slope(said[part], true[part]):.2f} "
        f"said {said[part].mean():.3f} true {true[part].mean():.3f}"
        for label, part in (("early", ~late), ("late", late))
    ]
    by_quarter = [f"{q} {said[quarters == q].mean():.3f}/{true[quarters == q].mean():.3f}" for q in np.unique(quarters)]
    print(f"{name:32} | {' | '.join(parts)} | {' '.join(by_quarter)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", type=Path)
    given = parser.parse_args()
    table = pq.read_table(given.examples)
    rows: Columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.schema.names}
    horizons = np.unique(rows["horizon_days"])
    mains = {look: (rows["look"] == look) & (rows["horizon_days"] == horizons[-1]) for look in LOOKS}
    cut_ms = np.quantile(rows["first_purchase_at_ms"][mains["first"]], 0.6, method="lower")
    short = rows["horizon_days"] == horizons[0]
    early_of = dict(zip(rows["look_id"][short], rows["outcome_minor"][short], strict=True))
    for look, chosen in mains.items():
        part = {name: column[chosen] for name, column in rows.items()}
        if len(part["score"]) < LEAST_KNOWN:
            continue
        said, true, late = part["score"], part["is_vip"].astype(float), part["first_purchase_at_ms"] > cut_ms
        dates = [datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in part["first_purchase_at_ms"]]
        quarters = np.array([f"{date.year}-Q{(date.month + 2) // 3}" for date in dates])
        told(look, said, true, late, quarters)
        shift = best_shift(said[late], true[late])
        told(f"{look}, shifted in hindsight", probability(log_odds(said) + shift), true, late, quarters)
        if look == "first" and len(horizons) > 1:
            early = np.array([early_of.get(look_id, 0) for look_id in part["look_id"]])
            for name, steps in STEPS.items():
                for days in (60, 90, 180):
                    corrected = by_early_outcomes(part, early, steps, days)
                    told(f"{look}, by 30 days, {name}, {days}", corrected, true, late, quarters)
        worth(look, part, late, quarters)


if __name__ == "__main__":
    main()
