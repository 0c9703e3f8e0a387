"""How well the model ranks on real data, and what each of its parts is worth: one line for each variant and look.

    python benchmarks/model_quality.py --data ../shared/data [--dataset online-retail-ii|cdnow] [--only basket]

It folds customers with the features' own code and plays looks and outcomes in time order through the learner's and the model's own:
labels when they are known, a new version every 200 examples. A variant changes one constant. `early` is the first 60 % of customers
by first order, which is what choices were made on; `late` the last 40 %; `rolling` the mean of eleven monthly cuts, each
over the 60 days after it (Online Retail II); `worst` the worst quarter against rank by first-order value.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from features.money import Rates
from features.profile import fold_order, fold_return, new_profile
from features.vector import FEATURES_VERSION, Basket, basket_of, first_vector, refer, since_vector
from online_models import anchored, articles, rule
from online_models.learner import LearnPolicy, learn
from online_models.model import Model, load_model
from schemas.events import ExampleReady, ItemsReturned, OrderPlaced, SnapshotPublished
from schemas.records import Batch, Record, Run, State
from streams.datasets.cdnow import CDNOW
from streams.datasets.dataset import Tally
from streams.datasets.online_retail_ii import ONLINE_RETAIL_II

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
LOOK_DAYS = (7, 14, 30)
KINDS = ("first", "day_7", "day_14", "day_30", "order", "return")
Floats = npt.NDArray[np.float64]


class Look(NamedTuple):
    kind: str
    at_ms: int
    since: tuple[float, ...]


class Customer(NamedTuple):
    customer_id: str
    first_ms: int
    first_minor: int
    basket: Basket
    vector: tuple[float, ...]
    looks: list[Look]
    flows: list[tuple[int, int]]  # when, net minor units

    def outcome(self, days: int, after_ms: int = 0) -> int:
        return sum(minor for at_ms, minor in self.flows if after_ms < at_ms <= self.first_ms + days * DAY_MS)


class Judged(NamedTuple):
    """A set, with the question asked of it."""

    name: str
    customers: list[Customer]
    end_ms: int
    horizon_days: int
    vip_minor: int
    cuts: tuple[int, ...] = ()


# ---- folding -----------------------------------------------------------------------------------------------------------


def customers_of(data: Path, dataset: Any, base: str) -> tuple[list[Customer], int]:  # Any: as streams.datasets has it
    rates, by_customer, end_ms = Rates(base), dict[str, list[Any]](), 0
    for _, event in dataset.events(data, Tally()):
        end_ms = max(end_ms, event.occurred_at_ms)
        if event.customer_id is not None:
            by_customer.setdefault(event.customer_id, []).append(event)
    folded = [fold(name, events, rates, end_ms) for name, events in by_customer.items()]
    return sorted((c for c in folded if c), key=lambda c: (c.first_ms, c.customer_id)), end_ms


def fold(name: str, events: list[OrderPlaced | ItemsReturned], rates: Rates, end_ms: int) -> Customer | None:
    profile, customer, due = new_profile(name, events[0].occurred_at_ms), None, list[tuple[int, str]]()

    def catch_up(until_ms: int) -> None:
        while customer and due and due[0][0] <= until_ms:
            at_ms, kind = due.pop(0)
            customer.looks.append(Look(kind, at_ms, since_vector(profile, at_ms)))

    for event in events:
        at_ms = event.occurred_at_ms
        catch_up(at_ms - 1)
        if isinstance(event, OrderPlaced):
            vector = first_vector(profile, event, rates) if customer is None else ()
            fold_order(profile, event, rates, (180 * DAY_MS,))
            minor = sum(line.quantity * line.unit_price_minor - line.discount_minor for line in event.lines)
            if customer is None:
                customer = Customer(name, at_ms, minor, basket_of(event), vector, [Look("first", at_ms, ())], [])
                due += [(-(-(at_ms + days * DAY_MS) // HOUR_MS) * HOUR_MS, f"day_{days}") for days in LOOK_DAYS]
                continue
            kind = "order"
        else:
            fold_return(profile, event, rates, (180 * DAY_MS,))
            minor, kind = -sum(line.refund_minor for line in event.lines), "return"
        if customer is not None:
            customer.flows.append((at_ms, minor))
            if at_ms - customer.first_ms <= 30 * DAY_MS + HOUR_MS and len(customer.looks) < 16:
                customer.looks.append(Look(kind, at_ms, since_vector(profile, at_ms)))
    catch_up(end_ms)
    return customer


# ---- playing -----------------------------------------------------------------------------------------------------------


class Said(NamedTuple):
    rank: float
    score: float
    value: float


def play(asked: Judged, champion: str, **policy: Any) -> dict[tuple[int, int], Said]:  # Any: fields of LearnPolicy
    """What the champion said at each look, by places of customer and look."""
    terms = LearnPolicy(version="b", horizon_days=asked.horizon_days, **policy)
    values, waiting, model = dict[str, bytes](), list[Record](), load_model(None, champion)
    said, seen, offset = dict[tuple[int, int], Said](), dict[tuple[int, int], tuple[float, ...]](), 0
    for at_ms, horizon_days, place, number in _moments(asked):
        customer = asked.customers[place]
        if horizon_days == 0:
            if len(waiting) >= 50:
                model, waiting = _taught(values, waiting, terms, champion) or model, []
            look = customer.looks[number]
            vector = refer(customer.vector + look.since, customer.basket, model.reference)
            seen[place, number] = vector
            scored = model.score(look.kind, vector, 0)
            said[place, number] = Said(scored.rank, scored.score, scored.expected_value_minor)
            continue
        outcome = customer.outcome(horizon_days)
        for number_of, look in enumerate(customer.looks):
            if look.at_ms <= at_ms and (place, number_of) in seen:
                offset += 1
                example = _example(asked, customer, look, seen[place, number_of], at_ms, horizon_days, outcome)
                waiting.append(Record("examples", 0, offset, at_ms, None, None, (), example))
    return said


def _moments(asked: Judged) -> Iterator[tuple[int, int, int, int]]:
    """(when, horizon or 0 for a look, customer, look), outcomes before looks of the same time."""
    moments = []
    for place, customer in enumerate(asked.customers):
        moments += [(look.at_ms, 1, 0, place, number) for number, look in enumerate(customer.looks)]
        for days in sorted({30, asked.horizon_days}):
            if customer.first_ms + days * DAY_MS <= asked.end_ms:
                moments.append((customer.first_ms + days * DAY_MS, 0, days, place, 0))
    return ((at_ms, days, place, number) for at_ms, _, days, place, number in sorted(moments))


def _taught(values: dict[str, bytes], waiting: list[Record], terms: LearnPolicy, champion: str) -> Model | None:
    decision = learn(State(dict(values)), Batch(0, 0, (Run("examples", tuple(waiting), 0),)), terms)
    values.update({write.key: write.value or b"" for write in decision.writes})
    published = [o.event for o in decision.outputs if isinstance(getattr(o, "event", None), SnapshotPublished)]
    return load_model(published[-1].payload, champion) if published else None


def _example(
    asked: Judged, customer: Customer, look: Look, vector: tuple[float, ...], at_ms: int, days: int, outcome: int
) -> ExampleReady:
    return ExampleReady(
        id="", customer_id=customer.customer_id, market=customer.basket.market, look=look.kind,
        look_id=f"{customer.customer_id}/{look.kind}/{look.at_ms}", looked_at_ms=look.at_ms, occurred_at_ms=at_ms,
        first_purchase_at_ms=customer.first_ms, horizon_days=days, features=vector, features_version=FEATURES_VERSION,
        first_order_minor=customer.first_minor, outcome_minor=outcome, is_vip=outcome >= asked.vip_minor, score=0.0,
        model_version="", arm="none", assignment_id=None, propensity=None, skus=customer.basket.skus,
    )  # fmt: skip


# ---- judging -----------------------------------------------------------------------------------------------------------


def auc(scores: Floats, truth: npt.NDArray[np.bool_]) -> float:
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def gini(money: Floats, scores: Floats) -> float:
    def area(order: npt.NDArray[np.intp]) -> float:
        return float(np.cumsum(money[order]).sum() / money.sum() / len(money) - 0.5 - 0.5 / len(money))

    return area(np.argsort(-scores, kind="stable")) / area(np.argsort(-money, kind="stable"))


def ece(said: Floats, truth: npt.NDArray[np.bool_]) -> float:
    bins = np.array_split(np.argsort(said, kind="stable"), 10)
    return float(sum(abs(said[b].mean() - truth[b].mean()) * len(b) for b in bins) / len(said))


def judge(asked: Judged, name: str, said: dict[tuple[int, int], Said]) -> None:
    for kind in KINDS:
        chosen = [
            (place, number)
            for place, customer in enumerate(asked.customers)
            if customer.first_ms + asked.horizon_days * DAY_MS <= asked.end_ms
            for number, look in enumerate(customer.looks)
            if look.kind == kind
        ]
        if len(chosen) > 100:
            _line(asked, name, kind, chosen, np.array([said[at] for at in chosen]))


def _line(asked: Judged, name: str, kind: str, chosen: list[tuple[int, int]], said: Floats) -> None:
    customers = [asked.customers[place] for place, _ in chosen]
    first_ms = np.array([c.first_ms for c in customers])
    money = np.array([c.outcome(asked.horizon_days) for c in customers], dtype=np.float64)
    later = np.array(
        [c.outcome(asked.horizon_days, c.looks[number].at_ms) for c, (_, number) in zip(customers, chosen, strict=True)]
    )
    spend = np.array([c.first_minor for c in customers], dtype=np.float64)
    vip, vip_later = money >= asked.vip_minor, (later >= np.quantile(later, 0.9)) & (later > 0)
    rank, score, value = said.T
    tested = int(len(chosen) * 0.6)

    def rolling(scores: Floats, truth: npt.NDArray[np.bool_]) -> float:
        parts = [(first_ms >= cut) & (first_ms < cut + 60 * DAY_MS) for cut in asked.cuts]
        return float(np.mean([auc(scores[part], truth[part]) for part in parts])) if parts else float("nan")

    quarters = np.array(
        [(d.year, (d.month - 1) // 3) for d in (datetime.fromtimestamp(t / 1000, UTC) for t in first_ms)]
    )
    apart = [
        auc(rank[part], vip[part]) - auc(spend[part], vip[part])
        for quarter in np.unique(quarters, axis=0)
        if vip[part := (quarters == quarter).all(axis=1)].sum() >= 5
    ]
    print(
        f"{name:24} {kind:7} {len(chosen):6} | early {auc(rank[:tested], vip[:tested]):.4f} "
        f"late {auc(rank[tested:], vip[tested:]):.4f} rolling {rolling(rank, vip):.4f} worst {min(apart):+.3f} "
        f"| money after: late {auc(rank[tested:], vip_later[tested:]):.4f} rolling {rolling(rank, vip_later):.4f} "
        f"| score: late {auc(score[tested:], vip[tested:]):.4f} ece {ece(score, vip):.3f} {ece(score[tested:], vip[tested:]):.3f} "
        f"said {score[tested:].mean():.3f} true {vip[tested:].mean():.3f} "
        f"| gini {gini(np.maximum(0, money), value):.3f} by spend {gini(np.maximum(0, money), spend):.3f}",
        flush=True,
    )


# ---- variants ----------------------------------------------------------------------------------------------------------

Change = Callable[[ExitStack], dict[str, Any]]  # fields of LearnPolicy


def setting(module: Any, **constants: Any) -> Change:  # Any: a module and its constants
    def change(stack: ExitStack) -> dict[str, Any]:
        for constant, value in constants.items():
            stack.enter_context(patch.object(module, constant, value))
        return {}

    return change


def policy(**fields: Any) -> Change:  # Any: fields of LearnPolicy
    return lambda _stack: fields


def fewer_skus(count: int) -> Change:
    """Only the dearest articles of a basket are known."""

    def change(stack: ExitStack) -> dict[str, Any]:
        whole = articles.Articles.note

        def note(self: articles.Articles, skus: tuple[str, ...], *others: Any) -> None:
            whole(self, skus[:count], *others)

        stack.enter_context(patch.object(articles.Articles, "note", note))
        return {}

    return change


VARIANTS: dict[str, Change] = {
    "as it is": policy(),
    "basket: off": setting(anchored, BASKET_WEIGHT=0.0),
    "basket: weight 0.5": setting(anchored, BASKET_WEIGHT=0.5),
    "basket: weight 1.0": setting(anchored, BASKET_WEIGHT=1.0),
    "basket: 10 pseudo": setting(articles, PSEUDO=10),
    "basket: 100 pseudo": setting(articles, PSEUDO=100),
    "basket: 5 dearest": fewer_skus(5),
    "breadth: off": setting(rule, BREADTH_WEIGHT=0.0),
    "breadth: weight 0.3": setting(rule, BREADTH_WEIGHT=0.3),
    "departure: none": setting(anchored, PRIOR_VARIANCES=dict.fromkeys(rule.LOOKS, 1e-9)),
    "departure: 0.003 all": setting(anchored, PRIOR_VARIANCES=dict.fromkeys(rule.LOOKS, 0.003)),
    "departure: 0.01 all": setting(anchored, PRIOR_VARIANCES=dict.fromkeys(rule.LOOKS, 0.01)),
    "departure: 0.1 all": setting(anchored, PRIOR_VARIANCES=dict.fromkeys(rule.LOOKS, 0.1)),
    "labels: early": policy(labels="early"),
    "labels: head start": policy(labels="head_start"),
    "base: follows 500": setting(anchored, LEAST_BASE_VARIANCE=1 / (500 * 0.09)),
}


def asked_of(data: Path, dataset: str) -> Iterator[Judged]:
    if dataset == "online-retail-ii":
        customers, end_ms = customers_of(data, ONLINE_RETAIL_II, "GBP")
        new = [c for c in customers if c.first_ms >= _ms(2010, 3)]  # those before were mostly customers already
        cuts = tuple(_ms(2010 + (5 + n) // 12, (5 + n) % 12 + 1) for n in range(11))
        yield Judged("Online Retail II, 180 days, 1,199 GBP", new, end_ms, 180, 119_900, cuts)
        return
    customers, end_ms = customers_of(data, CDNOW, "USD")
    for days in (30, 180):
        outcomes = sorted(customer.outcome(days) for customer in customers)
        yield Judged(
            f"CDNOW, {days} days, top tenth", customers, end_ms, days, max(1, outcomes[int(len(outcomes) * 0.9)])
        )


def _ms(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dataset", choices=("online-retail-ii", "cdnow"), default="online-retail-ii")
    parser.add_argument("--only", default="", help="variants whose names begin so")
    given = parser.parse_args()
    for asked in asked_of(given.data, given.dataset):
        print(f"{asked.name}: {len(asked.customers)} new customers")
        if not given.only:
            judge(asked, "the rule", play(asked, "rule"))
            judge(asked, "River", play(asked, "river"))
        for name, change in VARIANTS.items():
            if name.startswith(given.only):
                with ExitStack() as stack:
                    judge(asked, name, play(asked, "anchored", **change(stack)))


if __name__ == "__main__":
    main()
