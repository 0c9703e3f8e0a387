"""The key figures, with their intervals."""

from collections.abc import Iterable

from streams.replay.report.parts import Card
from streams.replay.report.shared import BASELINE, figures_of, main_variant
from streams.replay.report.words import (
    NONE,
    between,
    count,
    look,
    looks_in_order,
    percent,
    percent_between,
    policy,
    ratio,
)
from streams.replay.results import MODEL, Results


def cards(results: Results) -> list[Card]:
    """A dozen at most, the most telling first; none of a number that isn't known."""
    return [
        card
        for card in (*_first(results), *_latest(results), *_service(results), *_size(results))
        if card.number != NONE
    ]


def _first(results: Results) -> Iterable[Card]:
    model, rule = figures_of(results), figures_of(results, BASELINE)
    if model is None or rule is None:
        return
    yield Card(
        name="ROC AUC at the first order",
        number=ratio(model.roc_auc),
        beside=f"{between(model.roc_auc_ci95)}; first-order value {ratio(rule.roc_auc)}",
    )
    yield Card(
        name="VIPs in the best-scored tenth",
        number=percent(model.capture_at_10),
        beside=f"{percent_between(model.capture_at_10_ci95)}; first-order value {percent(rule.capture_at_10)}",
    )
    yield Card(
        name="Average precision",
        number=ratio(model.average_precision),
        beside=f"{between(model.average_precision_ci95)}; first-order value {ratio(rule.average_precision)}",
    )
    yield Card(
        name="Gini of the money",
        number=ratio(model.value_gini, 2),
        beside=f"{between(model.value_gini_ci95, 2)}; first-order value {ratio(rule.value_gini, 2)}",
    )


def _latest(results: Results) -> Iterable[Card]:
    timed = [name for name in looks_in_order(f.look for f in results.figures) if name.startswith("day_")]
    for name in timed[-1:]:
        model, rule = figures_of(results, MODEL, name), figures_of(results, BASELINE, name)
        if model is not None and rule is not None:
            yield Card(
                name=f"ROC AUC at {look(name)}",
                number=ratio(model.roc_auc),
                beside=f"{between(model.roc_auc_ci95)}; first-order value {ratio(rule.roc_auc)}",
            )


def _service(results: Results) -> Iterable[Card]:
    if not results.examples:
        return
    main = main_variant(results)
    for c in results.capacity:
        if (c.variant, c.scenario, c.policy, c.second_looks) == (main, "balanced", "maitred", True):
            rivals = [
                f"{policy(o.policy)} {percent(o.over_optimum)}"
                for o in results.capacity
                if (o.variant, o.scenario, o.policy, o.second_looks) == (main, "balanced", "first_come", True)
            ]
            yield Card(
                name="Value captured, of the best that hindsight could do",
                number=percent(c.over_optimum),
                beside="; ".join(["balanced capacity", *rivals]),
            )
            return


def _size(results: Results) -> Iterable[Card]:
    yield Card(
        name="First purchases scored",
        number=count(results.first_purchases),
        beside=f"from {results.events:,} events",
    )
    if results.examples:
        yield Card(
            name="Outcomes known",
            number=count(results.examples),
            beside=f"{results.positives:,} VIPs ({percent(results.positives / results.examples, 1)})",
        )
