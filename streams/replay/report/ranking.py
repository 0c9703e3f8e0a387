"""How well first orders were ranked: over time, by market, against the rule and the other baselines."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from streams.replay.report import charts
from streams.replay.report.parts import Figure, Section, Sheet
from streams.replay.report.shared import (
    BASELINE,
    FEW,
    against_baseline,
    capital,
    counted,
    ends,
    main_variant,
    with_interval,
)
from streams.replay.report.words import (
    NONE,
    between,
    count,
    percent,
    percent_between,
    ratio,
    scorer,
    signed,
    signed_between,
)
from streams.replay.results import MODEL, SCORERS, CurvePoint, Difference, Figures, Results

MARKETS: Final = 12


class Measure(NamedTuple):
    field: str
    name: str
    title: str
    how: str
    chance: float | None
    form: str = ".2f"


MEASURES: Final = (
    Measure(
        "roc_auc",
        "auc",
        "ROC AUC",
        "How often a later VIP was scored above another customer. 0.5 (dashed) is a coin. Lines are 95 % intervals.",
        0.5,
    ),
    Measure(
        "average_precision",
        "precision",
        "average precision",
        "The share of VIPs down the list, averaged over the places where VIPs stand. Higher is better; where VIPs are rarer it is lower.",
        None,
    ),
    Measure(
        "capture_at_10",
        "capture",
        "share of VIPs in the best-scored tenth",
        "Of all later VIPs, how many stood in the best-scored tenth. Chance gives 10 % (dashed).",
        0.1,
        "%",
    ),
    Measure(
        "value_gini",
        "gini",
        "normalised Gini of the money spent",
        "Whether those scored high also spent much: 1 is the perfect order by money, 0 chance (dashed).",
        0.0,
    ),
)


def ranking(results: Results) -> Section:
    section = Section(name="ranking", title="How well first orders are ranked")
    whole = _of(results, "all")
    if not whole:
        section.notes.append("No outcome is known in this log, so there is nothing to hold the ranking against.")
        return section
    section.lead.append(
        "Every customer was scored at the first order with what was known then, and outcomes were learnt only when they came "
        "due (progressive validation). All are ranked anew by each of the baselines, on the very same customers."
    )
    section.sheets.append(_everybody(results))
    section.lead.extend(_fewer(whole))
    over_time = [_over_time(results, measure) for measure in MEASURES if _has_quarters(results, measure)]
    section.figures = [
        *_curves(results),
        *over_time[:1],
        *_difference_over_time(results),
        *over_time[1:],
        *_markets(results),
    ]
    return section


def _fewer(whole: Sequence[Figures]) -> Iterable[str]:
    """Who could not score everybody."""
    most = max(f.examples for f in whole)
    late = [f for f in whole if f.examples < most]
    if late:
        names = " and ".join(scorer(f.scorer) for f in late)
        yield (
            f"{capital(names)} had no outcomes to learn from at first and could score {late[0].examples:,} of {most:,}; "
            "wherever they are compared, it is on those alone."
        )


def _everybody(results: Results) -> Sheet:
    parts = {"all": "all", "last_40": "last 40 %", "rolling_origin": "rolling origin"}
    rows = [
        (
            scorer(f.scorer),
            said,
            counted(f.positives, f.examples),
            with_interval(ratio(f.roc_auc), between(f.roc_auc_ci95)),
            with_interval(ratio(f.average_precision), between(f.average_precision_ci95)),
            with_interval(percent(f.capture_at_10), percent_between(f.capture_at_10_ci95)),
            with_interval(ratio(f.value_gini, 2), between(f.value_gini_ci95, 2)),
            percent(f.value_at_10),
        )
        for part, said in parts.items()
        for f in _of(results, part)
    ]
    return Sheet(
        caption="First looks, the whole outcome, with 95 % intervals. Rolling origin: month by month, the customers of the next "
        "60 days, averaged.",
        columns=(
            "ranked by",
            "customers",
            "VIPs",
            "ROC AUC",
            "average precision",
            "VIPs in the top tenth",
            "Gini of money",
            "money in the top tenth",
        ),
        rows=tuple(rows),
        words=2,
    )


def _has_quarters(results: Results, measure: Measure) -> bool:
    return len({f.name for f in _quarters(results) if getattr(f, measure.field) is not None}) > 1


def _over_time(results: Results, measure: Measure) -> Figure:
    found = [f for f in _quarters(results) if getattr(f, measure.field) is not None]
    quarters = sorted({f.name for f in found})
    rows = [
        {
            "at": f.name,
            "who": scorer(f.scorer),
            "value": getattr(f, measure.field),
            **ends(getattr(f, f"{measure.field}_ci95"), getattr(f, measure.field)),
            "told": f"{ratio(getattr(f, measure.field))} ({between(getattr(f, f'{measure.field}_ci95'))}), "
            f"{f.positives:,} VIPs of {f.examples:,}",
        }
        for f in found
        if f.scorer in (MODEL, BASELINE)
    ]
    everyone = [name for name in SCORERS if any(f.scorer == name for f in found)]
    sheet = Sheet(
        caption=f"{capital(measure.title)} of first looks by quarter of the first order",
        columns=("quarter", "VIPs", *(scorer(name) for name in everyone), "95 % interval of Maitred"),
        rows=tuple(
            _quarter_row(quarter, [f for f in found if f.name == quarter], everyone, measure) for quarter in quarters
        ),
    )
    return Figure(
        name=f"{measure.name}-over-time",
        title=f"{capital(measure.title)} over time, against first-order value",
        how=measure.how,
        chart=charts.intervals(
            rows,
            x="quarter of the first order",
            y=measure.title,
            series=_two(),
            order=quarters,
            level=measure.chance,
            form=measure.form,
        ),
        sheet=sheet,
    )


def _quarter_row(quarter: str, found: Sequence[Figures], everyone: Sequence[str], measure: Measure) -> tuple[str, ...]:
    by_name = {f.scorer: f for f in found}
    any_one = found[0]
    cells = (ratio(getattr(by_name[name], measure.field)) if name in by_name else ratio(None) for name in everyone)
    ci95 = getattr(by_name[MODEL], f"{measure.field}_ci95") if MODEL in by_name else None
    return quarter, counted(any_one.positives, any_one.examples), *cells, between(ci95)


def _difference_over_time(results: Results) -> Iterable[Figure]:
    found = against_baseline(results, part="quarter")
    if len(found) < 2:
        return
    yield Figure(
        name="difference-over-time",
        title="Maitred less first-order value, quarter by quarter",
        how="Difference of the ROC AUC on the same customers. Above the dashed line Maitred ranked better. Where the interval "
        "crosses the line, chance alone could have made the difference.",
        chart=charts.differences(
            [
                {
                    "at": d.name,
                    "value": d.difference,
                    **ends(d.ci95, d.difference),
                    "told": f"{signed(d.difference)} ({signed_between(d.ci95)})",
                }
                for d in found
            ],
            x="quarter of the first order",
            y="difference of the ROC AUC",
            order=[d.name for d in found],
        ),
        sheet=_difference_sheet("Difference of the ROC AUC by quarter", "quarter", found),
    )


def _markets(results: Results) -> Iterable[Figure]:
    found = [
        f
        for f in _of(results, "market")
        if f.roc_auc is not None and f.positives >= FEW and f.scorer in (MODEL, BASELINE)
    ]
    sizes = {f.name: f.examples for f in found}
    order = sorted(sizes, key=lambda name: (-sizes[name], name))[:MARKETS]
    if not order:
        return
    shown = [f for name in order for f in found if f.name == name]
    rows = [
        {
            "label": f.name,
            "who": scorer(f.scorer),
            "value": f.roc_auc,
            **ends(f.roc_auc_ci95, f.roc_auc or 0.0),
            "told": f"{ratio(f.roc_auc)} ({between(f.roc_auc_ci95)}), {f.positives:,} VIPs of {f.examples:,}",
        }
        for f in shown
    ]
    differences = {d.name: d for d in against_baseline(results, part="market")}
    yield Figure(
        name="by-market",
        title="ROC AUC by market",
        how=f"Markets with at least {FEW} VIPs, the largest first. Few VIPs make wide intervals.",
        chart=charts.dots(rows, x="ROC AUC", series=_two(), order=order, form=".2f"),
        sheet=Sheet(
            caption="First looks by market",
            columns=(
                "market",
                "ranked by",
                "VIPs",
                "ROC AUC",
                "average precision",
                "VIPs in the top tenth",
                "Gini of money",
                "AUC less first-order value",
            ),
            rows=tuple(
                (
                    f.name,
                    scorer(f.scorer),
                    counted(f.positives, f.examples),
                    with_interval(ratio(f.roc_auc), between(f.roc_auc_ci95)),
                    with_interval(ratio(f.average_precision), between(f.average_precision_ci95)),
                    with_interval(percent(f.capture_at_10), percent_between(f.capture_at_10_ci95)),
                    ratio(f.value_gini, 2),
                    _signed_of(differences.get(f.name)) if f.scorer == MODEL else "",
                )
                for f in shown
            ),
            words=2,
        ),
    )


def _curves(results: Results) -> Iterable[Figure]:
    main = main_variant(results)
    found = [p for p in results.curves if p.variant == main and p.look == "first"]
    names: list[str] = [name for name in SCORERS if any(p.scorer == name for p in found)]
    if not names:
        return
    by_name = {name: sorted((p for p in found if p.scorer == name), key=lambda p: p.share) for name in names}
    shares = sorted({round(p.share, 4) for p in found})
    series = [scorer(name) for name in names]
    yield Figure(
        name="gain",
        title="How many VIPs the best-scored part of the customers holds",
        how="Go right along the customers, best-scored first; the height is the share of all VIPs found so far. "
        "The higher the better; the upright line is the best-scored tenth.",
        chart=charts.curves(
            [_point(p, p.gain, percent(p.gain)) for points in by_name.values() for p in points] + _origin(names),
            x="best-scored share of customers",
            y="share of all VIPs found",
            series=series,
            mark=0.1,
        ),
        sheet=_curve_sheet("Share of the VIPs found (cumulative gain)", shares, by_name, lambda p: percent(p.gain)),
    )
    yield Figure(
        name="lift",
        title="How many times better than chance",
        how="The same, divided by what random choice would find: 1 (dashed) is chance.",
        chart=charts.curves(
            [_point(p, p.lift, ratio(p.lift, 2)) for points in by_name.values() for p in points if p.share >= 0.02],
            x="best-scored share of customers",
            y="lift (times chance)",
            series=series,
            form=".1f",
            level=1.0,
        ),
        sheet=_curve_sheet("Lift", shares, by_name, lambda p: ratio(p.lift, 2)),
    )
    yield Figure(
        name="value",
        title="How much of the money the best-scored part of the customers spent",
        how="As above, counting the money spent within the horizon instead of VIPs.",
        chart=charts.curves(
            [_point(p, p.value, percent(p.value)) for points in by_name.values() for p in points] + _origin(names),
            x="best-scored share of customers",
            y="share of the money",
            series=series,
        ),
        sheet=_curve_sheet("Share of the money", shares, by_name, lambda p: percent(p.value)),
    )


# ---- what they share -----------------------------------------------------------------------------------------------


def _point(point: CurvePoint, height: float, told: str) -> charts.Row:
    return {
        "x": point.share,
        "y": height,
        "who": scorer(point.scorer),
        "told": f"best {percent(point.share)}: {told}",
    }


def _origin(names: Sequence[str]) -> list[charts.Row]:
    """Of nobody, nothing is found: where the curves begin."""
    return [{"x": 0.0, "y": 0.0, "who": scorer(name), "told": ""} for name in names]


def _curve_sheet(
    caption: str,
    shares: Sequence[float],
    by_name: Mapping[str, Sequence[CurvePoint]],
    cell: Callable[[CurvePoint], str],
) -> Sheet:
    """Of the shares the round ones: a table of a hundred lines is read by nobody."""
    shown = [share for share in shares if share in (0.01, 0.05) or (share > 0 and round(share * 100) % 10 == 0)]
    cells = {(name, round(p.share, 4)): cell(p) for name, points in by_name.items() for p in points}
    return Sheet(
        caption=caption,
        columns=("best-scored", *(scorer(name) for name in by_name)),
        rows=tuple((percent(share), *(cells.get((name, share), NONE) for name in by_name)) for share in shown),
    )


def _difference_sheet(caption: str, what: str, found: Sequence[Difference]) -> Sheet:
    return Sheet(
        caption=caption,
        columns=(what, "customers", "difference", "95 % interval"),
        rows=tuple((d.name, count(d.examples), signed(d.difference), signed_between(d.ci95)) for d in found),
    )


def _signed_of(difference: Difference | None) -> str:
    return NONE if difference is None else with_interval(signed(difference.difference), signed_between(difference.ci95))


def _of(results: Results, part: str) -> list[Figures]:
    """First looks of the first variant, in the order of scorers."""
    return [f for name in SCORERS for f in results.find(name, part=part)]


def _quarters(results: Results) -> list[Figures]:
    return [f for f in _of(results, "quarter") if f.positives >= FEW]


def _two() -> list[str]:
    return [scorer(MODEL), scorer(BASELINE)]
