"""The variants of this replay and the baselines, compared pair by pair."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from streams.replay.report import charts
from streams.replay.report.parts import Figure, Section, Sheet
from streams.replay.report.shared import BASELINE, between_variants, ends, is_alike, main_variant, quoted
from streams.replay.report.words import NONE, count, percent, ratio, scorer, signed, signed_between
from streams.replay.results import MODEL, Difference, Results, VariantFacts

PARTS: Final = {"all": "all customers", "last_40": "the last 40 % of customers", "rolling_origin": "rolling origin"}


def what_if(results: Results) -> Section:
    section = Section(
        name="variants",
        title="How the variants compare" if len(results.variants) > 1 else "Against the baselines, one by one",
    )
    for part, said in PARTS.items():
        section.figures.extend(_forest(results, part, said))
    if section.figures:
        section.lead.append(
            "Both of a pair ranked the very same first orders. A pair whose interval crosses the dashed line is not told apart "
            "by this log."
        )
    if any(not is_alike(results, d) for d in between_variants(results)):
        section.lead.append(
            "Variants that mean something else by a VIP answer another question: their pairs stand in the tables only, marked so. "
            "Hold each of them against first-order value on its own customers."
        )
    if results.variants:
        section.sheets.append(_facts(results))
    return section


def _forest(results: Results, part: str, said: str) -> Iterable[Figure]:
    """The plot: the first variant against baselines, the others against it. The table: every pair."""
    main = main_variant(results)
    beside = [
        d
        for d in results.differences
        if (d.look, d.outcome, d.part, d.measure) == ("first", "whole", part, "roc_auc")
        and (d.variant, d.scorer, d.than_variant) == (main, MODEL, main)
    ]
    pairs = between_variants(results, part)
    if not beside and not pairs:
        return
    shown = [d for d in beside if d.than_scorer != "random"]
    shown += [d for d in pairs if d.than_variant == main and is_alike(results, d)]
    rows = [
        {
            "label": _pair(results, d),
            "value": d.difference,
            **ends(d.ci95, d.difference),
            "told": f"{signed(d.difference)} ({signed_between(d.ci95)})",
        }
        for d in shown
    ]
    yield Figure(
        name=f"pairs-{part.replace('_', '-')}",
        title=f"How much better Maitred ranks: {said}",
        how="Difference of the ROC AUC. Right of the dashed line Maitred, or the first of a pair of variants, ranked better. "
        "In the table also: at random, and every pair of variants.",
        chart=charts.forest(rows, x="difference of the ROC AUC", order=[str(row["label"]) for row in rows]),
        sheet=Sheet(
            caption=f"Differences of the ROC AUC, {said}",
            columns=("pair", "customers", "difference", "95 % interval"),
            rows=tuple(
                (_marked(results, d), count(d.examples), signed(d.difference), signed_between(d.ci95))
                for d in (*beside, *pairs)
            ),
        ),
    )


def _marked(results: Results, d: Difference) -> str:
    return _pair(results, d) + ("" if is_alike(results, d) else " (another outcome)")


def _pair(results: Results, d: Difference) -> str:
    if len(results.variants) == 1:
        return f"against {scorer(d.than_scorer)}"
    than = quoted(d.than_variant) if d.than_scorer == MODEL else scorer(d.than_scorer)
    return f"{quoted(d.variant)} less {than}"


def _facts(results: Results) -> Sheet:
    return Sheet(
        caption="Variants of this replay. Found: among the best-scored tenth at the first order. Served: had an advisor before they "
        "became VIP.",
        columns=(
            "variant",
            "what it changes",
            "VIPs",
            "ROC AUC",
            "of first-order value",
            "found",
            "by first-order value",
            "got an advisor",
            "control",
            "VIPs served",
        ),
        rows=tuple(
            (
                v.name,
                v.description or _changes(v.changes) or "nothing: the settings as they are",
                count(v.positives),
                *_ranked(results, v),
                *(count(n) for n in (v.assigned, v.withheld, v.vips_served)),
            )
            for v in results.variants
        ),
        words=2,
    )


def _ranked(results: Results, variant: VariantFacts) -> tuple[str, ...]:
    """ROC AUC, and the share of VIPs found, each of the model and of the one-line rule."""
    found = [next(iter(results.find(who, variant=variant.name)), None) for who in (MODEL, BASELINE)]
    aucs = (NONE if f is None else ratio(f.roc_auc) for f in found)
    captured = (NONE if f is None else percent(f.capture_at_10) for f in found)
    return (*aucs, *captured)


def _changes(changes: Mapping[str, object], above: str = "") -> str:
    """As `maitred.toml` would say it, in a line.

    >>> _changes({"learning": {"champion": "rule"}, "features_off": ["basket_value"]})
    'learning.champion = "rule"; features_off = ["basket_value"]'
    """
    return "; ".join(
        _changes(value, f"{above}{key}.") if isinstance(value, Mapping) else f"{above}{key} = {json.dumps(value)}"
        for key, value in changes.items()
    )
