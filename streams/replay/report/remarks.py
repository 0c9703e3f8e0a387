"""What must be said beside the verdict: how it was counted, what it holds for, what it hides."""

from collections.abc import Iterable

from streams.replay.answer import reach
from streams.replay.report.shared import (
    BASELINE,
    FEW,
    against_baseline,
    between_variants,
    figures_of,
    is_alike,
    main_variant,
    quoted,
)
from streams.replay.report.words import between, look, looks_in_order, percent, ratio, signed, signed_between
from streams.replay.results import MODEL, Capacity, Results


def remarks(results: Results) -> list[str]:
    """A handful of sentences, each from numbers of the results."""
    return [
        *_variants(results),
        *_counted(results),
        *_late_customers(results),
        *_still_to_come(results),
        *_worst_quarter(results),
        *_captured(results),
    ]


def _variants(results: Results) -> Iterable[str]:
    """Of several variants, which rank better than the first, which the verdict is about."""
    if len(results.variants) < 2:
        return
    main = main_variant(results)
    found = {d.variant: d for d in between_variants(results) if d.than_variant == main}
    told: dict[str, list[str]] = {}
    for v in results.variants[1:]:
        d = found.get(v.name)
        if d is None or not is_alike(results, d):
            told.setdefault("another outcome, so not compared", []).append(quoted(v.name))
            continue
        low, high = d.ci95 or (0.0, 0.0)
        said = "better" if low > 0 else "worse" if high < 0 else "not shown to differ"
        told.setdefault(said, []).append(f"{quoted(v.name)} ({signed(d.difference)})")
    yield (
        f"This is said of {quoted(main)}, the first of {len(results.variants)} variants. Against it, by ROC AUC at the first order: "
        + "; ".join(f"{said}: {', '.join(names)}" for said, names in told.items())
        + "."
    )


def _counted(results: Results) -> Iterable[str]:
    first = reach(results, "first")
    if first is None:
        return
    yield (
        f"Found: among the best-scored tenth ({first.top:,}) of {first.customers:,} new customers whose outcome is known. "
        "Chance alone would find one VIP in ten."
    )


def _late_customers(results: Results) -> Iterable[str]:
    late = reach(results, "first", part="last_40")
    found = against_baseline(results, part="last_40")
    if late is None or not found:
        return
    yield (
        f"Of the last 40 % of customers alone: {late.found:,} of {late.vips:,} instead of {late.found_by_baseline:,} at the first order; "
        f"ROC AUC {signed(found[0].difference)} ({signed_between(found[0].ci95)}) against first-order value."
    )


def _still_to_come(results: Results) -> Iterable[str]:
    timed = [name for name in looks_in_order(f.look for f in results.figures) if name.startswith("day_")]
    for name in timed[-1:]:
        model, rule = (figures_of(results, who, name, "after_look") for who in (MODEL, BASELINE))
        if model is not None and rule is not None and model.roc_auc is not None:
            yield (
                f"Part of a VIP's money is spent by {look(name)} already. For the money still to come the ROC AUC is "
                f"{ratio(model.roc_auc)} ({between(model.roc_auc_ci95)}), that of first-order value {ratio(rule.roc_auc)}."
            )


def _worst_quarter(results: Results) -> Iterable[str]:
    sizes = {f.name: f.positives for f in results.find(part="quarter")}
    found = [d for d in against_baseline(results, part="quarter") if sizes.get(d.name, 0) >= FEW]
    if len(found) > 1:
        worst = min(found, key=lambda d: (d.difference, d.name))
        yield (
            f"In its worst quarter at the first order ({worst.name}) Maitred's ROC AUC was {signed(worst.difference)} against "
            f"first-order value ({signed_between(worst.ci95)})."
        )


def _captured(results: Results) -> Iterable[str]:
    if not results.examples:
        return
    main = main_variant(results)
    found: dict[str, Capacity] = {
        c.policy: c
        for c in results.capacity
        if (c.variant, c.scenario, c.second_looks) == (main, "balanced", True) and c.over_optimum is not None
    }
    if "maitred" in found:
        other = (
            f"; first come, first served {percent(found['first_come'].over_optimum)}" if "first_come" in found else ""
        )
        yield (
            f"With advisors for a balanced share of customers, assigning live captured {percent(found['maitred'].over_optimum)} of "
            f"what hindsight could have captured{other}."
        )
