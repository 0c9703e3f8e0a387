"""What looking again adds: at each kind of look, for the whole outcome and for money spent after the look only."""

from collections.abc import Iterable, Sequence
from typing import Final

from streams.replay.answer import reach
from streams.replay.report import charts
from streams.replay.report.parts import Figure, Section, Sheet
from streams.replay.report.shared import BASELINE, FEW, against_baseline, counted, ends, with_interval
from streams.replay.report.words import (
    NONE,
    between,
    look,
    looks_in_order,
    percent,
    percent_between,
    ratio,
    scorer,
    signed,
    signed_between,
)
from streams.replay.results import MODEL, Figures, Results

SHOWN: Final = (MODEL, BASELINE, "rule")
OUTCOMES: Final = {
    "whole": (
        "looks-whole",
        "The later the look, the surer the score",
        (
            "ROC AUC at each kind of look, for becoming a VIP over the whole horizon. What was spent before the look counts "
            "too, so some of it is already known by then."
        ),
    ),
    "after_look": (
        "looks-after",
        "The same for money that was still to come",
        (
            "ROC AUC for the top tenth by money spent after the look only: what an advisor given then could still serve. "
            "It is the harder question, and the fairer one."
        ),
    ),
}


def second_looks(results: Results) -> Section:
    section = Section(name="looks", title="What looking again adds")
    names = [name for name in looks_in_order(f.look for f in results.figures) if name != "all"]
    if len(names) < 2:
        if names:
            section.notes.append("Only first orders were looked at; there is nothing to compare with.")
        return section
    section.lead.append(
        "Each customer is scored again at further orders and returns and some days after the first order, with what was known "
        "then. First-order value cannot learn anything new; the fixed rule adds what was spent since."
    )
    for outcome, (name, title, how) in OUTCOMES.items():
        section.figures.extend(_figure(results, names, outcome, name, title, how))
    section.sheets.extend(_reached(results, names))
    return section


def _figure(results: Results, names: Sequence[str], outcome: str, name: str, title: str, how: str) -> Iterable[Figure]:
    found = [
        f
        for at in names
        for who in SHOWN
        for f in results.find(who, at, outcome=outcome)
        if f.roc_auc is not None and f.positives >= FEW
    ]
    order = [at for at in names if any(f.look == at for f in found)]
    who = [who for who in SHOWN if any(f.scorer == who for f in found)]
    if not order:
        return
    yield Figure(
        name=name,
        title=title,
        how=how,
        chart=charts.intervals(
            [
                {
                    "at": look(f.look),
                    "who": scorer(f.scorer),
                    "value": f.roc_auc,
                    **ends(f.roc_auc_ci95, f.roc_auc or 0.0),
                    "told": f"{ratio(f.roc_auc)} ({between(f.roc_auc_ci95)})",
                }
                for f in found
            ],
            x="look",
            y="ROC AUC",
            series=[scorer(one) for one in who],
            order=[look(at) for at in order],
        ),
        sheet=_sheet(results, found, outcome),
    )


def _sheet(results: Results, found: Sequence[Figures], outcome: str) -> Sheet:
    return Sheet(
        caption="By kind of look, with 95 % intervals",
        columns=(
            "look",
            "ranked by",
            "positives",
            "ROC AUC",
            "average precision",
            "VIPs in the top tenth",
            "AUC less first-order value",
        ),
        rows=tuple(
            (
                look(f.look),
                scorer(f.scorer),
                counted(f.positives, f.examples),
                with_interval(ratio(f.roc_auc), between(f.roc_auc_ci95)),
                with_interval(ratio(f.average_precision), between(f.average_precision_ci95)),
                with_interval(percent(f.capture_at_10), percent_between(f.capture_at_10_ci95)),
                _less_baseline(results, f, outcome),
            )
            for f in found
        ),
        words=2,
    )


def _less_baseline(results: Results, figures: Figures, outcome: str) -> str:
    found = against_baseline(results, figures.scorer, figures.look, outcome)
    return with_interval(signed(found[0].difference), signed_between(found[0].ci95)) if found else NONE


def _reached(results: Results, names: Sequence[str]) -> Iterable[Sheet]:
    found = [one for at in names if (one := reach(results, at)) is not None]
    if not found:
        return
    yield Sheet(
        caption="VIPs among the best-scored tenth, by people",
        columns=(
            "look",
            "customers looked at",
            "best tenth",
            "VIPs",
            "by Maitred",
            "by first-order value",
            "more",
            "95 % interval",
        ),
        rows=tuple(
            (
                look(one.look),
                f"{one.customers:,}",
                f"{one.top:,}",
                f"{one.vips:,}",
                f"{one.found:,}",
                f"{one.found_by_baseline:,}",
                signed(one.more, 0),
                signed_between(one.more_ci95, 0),
            )
            for one in found
        ),
    )
