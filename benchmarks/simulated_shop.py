"""The figures and pictures of docs/simulator.md: the simulated shop beside Online Retail II.

    python benchmarks/simulated_shop.py --data ../shared/data

prints the tables as Markdown and writes docs/images/simulator-*.png. Equal code makes equal figures.
"""

import argparse
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, quantiles, stdev

import altair as alt
import numpy as np

from schemas.events import ItemsReturned, OrderPlaced, PageBrowsed
from streams.datasets.dataset import Tally
from streams.datasets.online_retail_ii import ONLINE_RETAIL_II
from streams.simulator import Malformed, Shop, shop_settings
from streams.simulator.plan import DAY_MS
from streams.simulator.presets import plan_like
from streams.simulator.truth import in_cents, truths

IMAGES = Path(__file__).parent.parent / "docs" / "images"
CUSTOMERS = 6_000
ORII, PREMIUM, PRESET = "Online Retail II", "premium shop", "preset online-retail-ii"
COLOURS = alt.Scale(domain=[ORII, PRESET, PREMIUM], range=["#6b7280", "#93c5fd", "#b45309"])


class Histories:
    """Orders and refunds by customer, in euros; only those whose first order is watched for a year."""

    def __init__(self, events, from_ms, until_ms, euros):
        self.orders, self.refunds = defaultdict(list), defaultdict(list)
        for event in events:
            if isinstance(event, OrderPlaced) and event.customer_id:
                value = sum(n.quantity * n.unit_price_minor - n.discount_minor for n in event.lines)
                self.orders[event.customer_id].append((event.occurred_at_ms, euros(value, event)))
            elif isinstance(event, ItemsReturned) and event.customer_id:
                refund = sum(line.refund_minor for line in event.lines)
                self.refunds[event.customer_id].append((event.occurred_at_ms, euros(refund, event)))
        kept = {c for c, made in self.orders.items() if from_ms <= made[0][0] < until_ms - 365 * DAY_MS}
        year = {c: self.orders[c][0][0] + 365 * DAY_MS for c in kept}
        self.orders = {c: [o for o in self.orders[c] if o[0] < year[c]] for c in sorted(kept)}
        self.refunds = {c: [r for r in self.refunds[c] if r[0] < year[c]] for c in self.orders}

    @property
    def values(self):
        return [value for made in self.orders.values() for _, value in made if value > 0]

    @property
    def waits(self):
        """Days between one order of a customer and the next."""
        return [(b[0] - a[0]) / DAY_MS for made in self.orders.values() for a, b in pairwise(made)]

    @property
    def counts(self):
        return [len(made) for made in self.orders.values()]

    def outcomes(self, days=180):
        """Net spend after the first order."""
        for customer, made in self.orders.items():
            end = made[0][0] + days * DAY_MS
            later = sum(v for at, v in made[1:] if at <= end)
            yield later - sum(v for at, v in self.refunds[customer] if at <= end)

    def marginals(self):
        values, waits, counts = self.values, self.waits, self.counts
        back = sum(v for made in self.refunds.values() for _, v in made)
        outcomes = sorted(self.outcomes(), reverse=True)
        top = sum(outcomes[: len(outcomes) // 10]) / sum(v for v in outcomes if v > 0)
        low, high = quantiles(values, n=10)[0], quantiles(values, n=10)[-1]
        return {
            "customers watched for a year": f"{len(counts):,}",
            "order value, median (EUR)": f"{median(values):,.0f}",
            "order value, 10 % to 90 % (EUR)": f"{low:,.0f} to {high:,.0f}",
            "deviation of log order value": f"{stdev(np.log(values)):.2f}",
            "orders in a year, mean": f"{mean(counts):.2f}",
            "customers who order again within a year": f"{mean(n > 1 for n in counts):.0%}",
            "customers with ten orders or more": f"{mean(n >= 10 for n in counts):.1%}",
            "days to the next order, median": f"{median(waits):.0f}",
            "days to the next order, 90 %": f"{quantiles(waits, n=10)[-1]:.0f}",
            "refunds, share of order value": f"{back / sum(values):.1%}",
            "customers who gave something back": f"{mean(bool(r) for r in self.refunds.values()):.0%}",
            "the best 10 % hold of later net spend": f"{top:.0%}",
        }


def online_retail(data):
    events = (event for _, event in ONLINE_RETAIL_II.events(data, Tally()))
    begin = int(datetime(2010, 3, 1, tzinfo=UTC).timestamp() * 1_000)
    end = int(datetime(2011, 12, 9, tzinfo=UTC).timestamp() * 1_000)
    return Histories(events, begin, end, lambda minor, _: minor / 100 * 1.17)


def simulated(like, customers=CUSTOMERS):
    plan = plan_like(like, customers=customers, days=730, browse=False, trouble=0.0)
    markets = {market.currency: market for market in plan.markets}

    def euros(minor, event):
        return in_cents(minor, markets[event.currency]) / 100

    return Histories((item[1] for item in Shop(plan).events()), plan.from_ms, plan.until_ms, euros)


# ---- signal --------------------------------------------------------------------------------------------------------


def auc(scores, labels):
    """The share of pairs, one VIP and one not, that stand in the right order; ties count half."""
    scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = ranks[labels].sum() - labels.sum() * (labels.sum() + 1) / 2
    return wins / (labels.sum() * (~labels).sum())


def interval(value, labels):
    """95 %, by Hanley and McNeil 1982."""
    n1, n0 = sum(labels), len(labels) - sum(labels)
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value) + (n1 - 1) * (q1 - value**2) + (n0 - 1) * (q2 - value**2)
    return 1.96 * (spread / (n1 * n0)) ** 0.5


def browsing(plan):
    """What customers showed before their first order, as the shop can know it, and that order's value."""
    steps, rows, markets = defaultdict(list), {}, {market.currency: market for market in plan.markets}
    for item in Shop(plan).events():
        event = None if isinstance(item, Malformed) else item[1]
        if isinstance(event, PageBrowsed):
            steps[event.visitor_id].append(event)
        elif isinstance(event, OrderPlaced) and event.customer_id and event.customer_id not in rows:
            seen = steps.get(event.visitor_id, []) if event.visitor_id else []
            cents = sum(n.quantity * n.unit_price_minor - n.discount_minor for n in event.lines)
            rows[event.customer_id] = _features(seen, markets) | {
                "first order value": in_cents(cents, markets[event.currency]) / 100,
                "tied": bool(seen),
            }
    return rows


def _features(seen, markets):
    views = [e for e in seen if e.price_minor is not None]
    looked = [in_cents(e.price_minor, markets[e.currency]) for e in views]
    return {
        "steps": len(seen),
        "days since the first visit": (seen[-1].occurred_at_ms - seen[0].occurred_at_ms) / DAY_MS if seen else 0.0,
        "time on pages": sum(e.dwell_ms for e in seen) / 60_000,
        "wishlist": sum(e.kind == "wishlist" for e in seen),
        "came by a campaign": sum(e.campaign is not None for e in seen),
        "price level looked at": median(looked) / 100 if looked else 0.0,
    }


def ranked(features, train, labels):
    """Least squares on log features, learned on one half of the customers."""
    table = np.column_stack([np.ones(len(features)), np.log1p(np.asarray(features, float))])
    weights, *_ = np.linalg.lstsq(table[train], labels[train].astype(float), rcond=None)
    return table @ weights


def signal(customers=2 * CUSTOMERS):
    plan = plan_like("premium", customers=customers, trouble=0.0, days=540)
    bar = int(shop_settings(plan)["MAITRED_SCORING__VIP_AMOUNT_MINOR"])
    rows = browsing(plan)
    known = [t for t in truths(plan) if t.first_order_at_ms < plan.until_ms]
    labels = np.array([t.outcome_minor >= bar for t in known])
    names = [n for n in next(iter(rows.values())) if n != "tied"]
    table = np.array([[rows[t.customer_id][name] for name in names] for t in known])
    train = np.arange(len(known)) % 2 == 0
    test = ~train
    scores = {name: table[:, column] for column, name in enumerate(names)}
    scores["all browsing"] = ranked(table[:, :-1], train, labels)
    scores["all browsing and first order value"] = ranked(table, train, labels)
    scores["(what nobody sees: expected spend)"] = np.array([t.expected_minor for t in known])
    found = {name: auc(score[test], labels[test]) for name, score in scores.items()}
    return labels[test], found, {name: score[test] for name, score in scores.items()}


def effects(customers=CUSTOMERS):
    plan = plan_like("premium", customers=customers)
    bar = int(shop_settings(plan)["MAITRED_SCORING__VIP_AMOUNT_MINOR"])
    return plan, bar, list(truths(plan))


# ---- pictures ------------------------------------------------------------------------------------------------------


def density(series, field, title, edges, log):
    """Shares of a series in the cells between the edges."""
    rows = []
    for name, values in series.items():
        shares, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        centres = np.sqrt(edges[1:] * edges[:-1]) if log else (edges[1:] + edges[:-1]) / 2
        rows += [
            {"shop": name, field: float(c), "share": float(s / len(values))}
            for c, s in zip(centres, shares, strict=True)
        ]
    scale = alt.Scale(type="log" if log else "linear", nice=False)
    axis = alt.Axis(values=[10, 100, 1_000, 10_000]) if log else alt.Axis()
    return (
        alt.Chart(alt.Data(values=rows), width=300, height=170, title=title)
        .mark_line(interpolate="monotone", strokeWidth=2)
        .encode(
            x=alt.X(f"{field}:Q", scale=scale, axis=axis, title=field),
            y=alt.Y("share:Q", axis=alt.Axis(format="%"), title="share"),
            color=alt.Color("shop:N", scale=COLOURS, title=None),
        )
    )


def picture_marginals(shops):
    values = density(
        {n: h.values for n, h in shops.items()}, "EUR", "Order value", np.geomspace(5, 10_000, 32), log=True
    )
    waits = density(
        {n: h.waits for n, h in shops.items()}, "days", "Days to the next order", np.arange(0, 361, 15.0), log=False
    )
    counts = density(
        {n: h.counts for n, h in shops.items()},
        "orders",
        "Orders within a year of the first",
        np.arange(0.5, 16, 1),
        log=False,
    )
    later = {n: [o for o in h.outcomes() if o > 0] for n, h in shops.items()}
    spend = density(
        later,
        "EUR",
        "Net spend after the first order, 180 days, of those who spent",
        np.geomspace(5, 20_000, 30),
        log=True,
    )
    save((values | waits) & (counts | spend), "marginals")


def picture_signal(labels, scores):
    rows = []
    for name in ("first order value", "all browsing", "all browsing and first order value"):
        order = np.argsort(scores[name], kind="stable")
        for tenth, part in enumerate(np.array_split(order, 10), start=1):
            rows.append({"ranked by": name, "tenth": tenth, "VIPs": float(labels[part].mean())})
    chart = (
        alt.Chart(alt.Data(values=rows), width=420, height=190, title="VIPs among customers, by tenths of a ranking")
        .mark_line(point=True)
        .encode(
            x=alt.X("tenth:O", title="tenth of the ranking, the best on the right"),
            y=alt.Y("VIPs:Q", axis=alt.Axis(format="%")),
            color=alt.Color("ranked by:N", title="ranked by", scale=alt.Scale(range=["#93c5fd", "#b45309", "#6b7280"])),
        )
    )
    save(chart, "signal")


def picture_seasons(plan):
    """When a German customer's orders are placed, by local hour and weekday."""
    cells = defaultdict(int)
    for item in Shop(plan).events():
        event = item[1]
        if isinstance(event, OrderPlaced) and event.market == "DE":
            at = datetime.fromtimestamp(event.occurred_at_ms / 1_000 + 3_600, UTC)
            cells[at.strftime("%a"), at.hour] += 1
    rows = [{"day": day, "hour": hour, "orders": count} for (day, hour), count in sorted(cells.items())]
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    chart = (
        alt.Chart(alt.Data(values=rows), width=420, height=140, title="Orders by weekday and hour, German customers")
        .mark_rect()
        .encode(
            x=alt.X("hour:O", title="hour of the day"),
            y=alt.Y("day:N", sort=days, title=None),
            color=alt.Color("orders:Q", scale=alt.Scale(scheme="oranges")),
        )
    )
    save(chart, "seasons")


def save(chart, name):
    chart.save(IMAGES / f"simulator-{name}.png", scale_factor=1.1)


# ---- tables --------------------------------------------------------------------------------------------------------


def put_table(head, rows):
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main(data):
    shops = {ORII: online_retail(data), PRESET: simulated("online-retail-ii"), PREMIUM: simulated("premium")}
    told = {name: shop.marginals() for name, shop in shops.items()}
    put_table(["", *told], [[row, *(told[name][row] for name in told)] for row in told[ORII]])
    picture_marginals(shops)

    labels, found, scores = signal()
    put_table(
        ["ranked by", "AUC"],
        [[name, f"{value:.3f} ± {interval(value, labels):.3f}"] for name, value in found.items()],
    )
    print(f"\n{labels.sum()} VIPs of {len(labels)} customers tested")
    picture_signal(labels, scores)

    plan, bar, all_truths = effects()
    groups = {
        "all": all_truths,
        "who like advice": [t for t in all_truths if not t.dislikes_advice],
        "who dislike it": [t for t in all_truths if t.dislikes_advice],
    }
    rows = []
    for name, group in groups.items():
        gains = [t.gain_minor / 100 for t in group]
        before = mean(t.outcome_minor >= bar for t in group)
        after = mean(t.advised_outcome_minor >= bar for t in group)
        error = 1.96 * stdev(gains) / len(gains) ** 0.5
        spend = mean(t.outcome_minor for t in group) / 100
        rows.append([name, f"{len(group):,}", f"{spend:,.0f}", f"{mean(gains):+,.0f} ± {error:.0f}",
                     f"{before:.1%}", f"{after:.1%}"])  # fmt: skip
    put_table(
        ["customers", "number", "spend alone (EUR)", "gain by an advisor (EUR)", "VIPs alone", "VIPs advised"], rows
    )
    picture_seasons(plan_like("premium", customers=plan.customers, browse=False, trouble=0.0))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="the folder with online_retail_ii/")
    main(options.parse_args().data)
