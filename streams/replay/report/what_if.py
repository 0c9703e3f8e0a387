"""The variants of this replay and the baselines, compared pair by pair."""

import json
from collections.abc import Iterable

from streams.replay.report import charts
from streams.replay.report.parts import Figure, Section, Sheet
from streams.replay.report.shared import ends
from streams.replay.report.words import count, scorer, signed, signed_between
from streams.replay.results import MODEL, Difference, Results

PARTS = {"all": "all customers", "last_40": "the last 40 % of customers", "rolling_origin": "rolling origin"}


def what_if(results: Results) -> Section:
    section = Section(name="variants", title="Variants and baselines, pair by pair")
    for part, said in PARTS.items():
        section.figures.extend(_forest(results, part, said))
    if section.figures:
        section.lead.append(
            "Both of a pair ranked the very same first orders. A pair whose interval crosses the dashed line is not told apart "
            "by this log."
        )
    if results.variants:
        section.sheets.append(_facts(results))
    return section


def _forest(results: Results, part: str, said: str) -> Iterable[Figure]:
    found = [
        d
        for d in results.differences
        if (d.look, d.outcome, d.part, d.measure) == ("first", "whole", part, "roc_auc") and _is_telling(results, d)
    ]
    if not found:
        return
    rows = [
        {
            "label": _pair(results, d),
            "value": d.difference,
            **ends(d.ci95, d.difference),
            "told": f"{signed(d.difference)} ({signed_between(d.ci95)})",
        }
        for d in found
        if d.than_scorer != "random"
    ]
    yield Figure(
        name=f"pairs-{part.replace('_', '-')}",
        title=f"How much better Maitred ranks: {said}",
        how="Difference of the ROC AUC. Right of the dashed line Maitred, the first of a pair, ranked better. At random: in the table only.",
        chart=charts.forest(rows, x="difference of the ROC AUC", order=[str(row["label"]) for row in rows]),
        sheet=Sheet(
            caption=f"Differences of the ROC AUC, {said}",
            columns=("pair", "customers", "difference", "95 % interval"),
            rows=tuple(
                (_pair(results, d), count(d.examples), signed(d.difference), signed_between(d.ci95)) for d in found
            ),
        ),
    )


def _is_telling(results: Results, d: Difference) -> bool:
    """Of the first variant all pairs, of the others those of models."""
    main = results.variants[0].name if results.variants else d.variant
    return d.variant == main == d.than_variant or (d.scorer == MODEL == d.than_scorer)


def _pair(results: Results, d: Difference) -> str:
    if len(results.variants) == 1 and d.scorer == MODEL:
        return f"against {_named(results, d.than_variant, d.than_scorer)}"
    return f"{_named(results, d.variant, d.scorer)} less {_named(results, d.than_variant, d.than_scorer)}"


def _named(results: Results, variant: str, who: str) -> str:
    if who == MODEL and len(results.variants) > 1:
        return f"{scorer(who)} \N{LEFT SINGLE QUOTATION MARK}{variant}\N{RIGHT SINGLE QUOTATION MARK}"
    return scorer(who)


def _facts(results: Results) -> Sheet:
    return Sheet(
        caption="Variants of this replay",
        columns=("variant", "what it changes", "looks", "examples", "VIPs", "assigned", "control", "model versions"),
        rows=tuple(
            (
                v.name,
                v.description
                or (json.dumps(v.changes, sort_keys=True) if v.changes else "nothing: the settings as they are"),
                *(count(n) for n in (v.looks, v.examples, v.positives, v.assigned, v.withheld, v.snapshots)),
            )
            for v in results.variants
        ),
        words=2,
    )
