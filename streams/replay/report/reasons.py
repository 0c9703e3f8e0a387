"""Which reasons mattered: the features that moved scores, and the model versions that named them."""

from collections.abc import Iterable
from typing import Final

from streams.replay.report import charts
from streams.replay.report.parts import Figure, Section, Sheet
from streams.replay.report.shared import main_variant
from streams.replay.report.words import count, day, feature, look, looks_in_order, ratio, signed
from streams.replay.results import ReasonWeight, Results

SHOWN: Final = 12
OVER_TIME: Final = 6


def reasons(results: Results) -> Section:
    section = Section(name="reasons", title="The reasons that mattered")
    main = main_variant(results)
    found = [r for r in results.reasons if r.variant == main]
    looks = looks_in_order(r.look for r in found)
    timed = [name for name in looks if name.startswith("day_")] or looks
    for name in looks:
        if name in (looks[0], timed[-1]):
            section.figures.extend(_figure(name, [r for r in found if r.look == name and r.period == "all"]))
        if name == "first":
            section.figures.extend(_over_time(name, [r for r in found if r.look == name]))
    between = [r for r in found if r.period == "all" and r.look not in (*looks[:1], *timed[-1:])]
    section.sheets.extend(_others(between))
    if section.figures:
        section.lead.append(
            "Each score comes with its reasons: exact parts of it, in log-odds. Shown is how far a feature moved the scores in "
            "which it was named, up or down, weighed by how many looks named it."
        )
    versions = sorted((s for s in results.snapshots if s.variant == main), key=lambda s: s.at_ms)
    if versions:
        last = versions[-1]
        section.notes.append(
            f"The model published {len(versions):,} versions, the first on {day(versions[0].at_ms)}, the last on "
            f"{day(last.at_ms)} with {last.examples_seen:,} examples."
        )
    return section


def _figure(name: str, found: list[ReasonWeight]) -> Iterable[Figure]:
    looks = max((r.looks for r in found), default=1)
    ranked = sorted(found, key=lambda r: (-r.mean_size * r.looks, r.feature))[:SHOWN]
    ranked = [r for r in ranked if r.mean_size > 0]
    if not ranked:
        return
    rows = [
        {
            "label": feature(r.feature),
            "value": r.mean_size * r.looks / looks,
            "told": f"moved {r.looks:,} looks by {ratio(r.mean_size, 2)} on average ({signed(r.mean_contribution, 2)})",
        }
        for r in ranked
    ]
    yield Figure(
        name=f"reasons-{name.replace('_', '-')}",
        title=f"What moved scores: {look(name)}",
        how="Mean size of the contribution over the looks, in log-odds: 0.7 doubles the odds or halves them.",
        chart=charts.bars(
            rows, x="mean size of the contribution (log-odds)", order=[str(r["label"]) for r in rows], form=".2f"
        ),
        sheet=Sheet(
            caption="Reasons given",
            columns=("feature", "looks that named it", "mean size", "mean contribution"),
            rows=tuple(
                (feature(r.feature), count(r.looks), ratio(r.mean_size), signed(r.mean_contribution)) for r in ranked
            ),
        ),
    )


def _over_time(name: str, found: list[ReasonWeight]) -> Iterable[Figure]:
    """The few heaviest, quarter by quarter."""
    periods = sorted({r.period for r in found} - {"all"})
    whole = [r for r in found if r.period == "all" and r.mean_size > 0]
    features = [r.feature for r in sorted(whole, key=lambda r: (-r.mean_size * r.looks, r.feature))[:OVER_TIME]]
    if len(periods) < 2 or not features:
        return
    most = {period: max(r.looks for r in found if r.period == period) for period in periods}
    shown = {(r.period, r.feature): r.mean_size * r.looks / most[r.period] for r in found if r.period != "all"}
    rows = [
        {
            "at": period,
            "who": feature(one),
            "value": shown.get((period, one), 0.0),
            "told": ratio(shown.get((period, one), 0.0), 2),
        }
        for period in periods
        for one in features
    ]
    names = [feature(one) for one in features]
    yield Figure(
        name=f"reasons-over-time-{name}",
        title=f"What moved scores over time: {look(name)}",
        how="The same by quarter of the look, for what moved scores most. At first there is only the rule; what the model "
        "learns comes in as outcomes come due.",
        chart=charts.moving(rows, x="quarter of the look", y="mean size (log-odds)", series=names, order=periods),
        sheet=Sheet(
            caption="Mean size of the contribution by quarter",
            columns=("quarter", *names),
            rows=tuple((period, *(ratio(shown.get((period, one), 0.0)) for one in features)) for period in periods),
        ),
    )


def _others(found: list[ReasonWeight]) -> Iterable[Sheet]:
    """The looks between, in one table: the few heaviest of each."""
    rows = []
    for name in looks_in_order(r.look for r in found):
        ranked = sorted((r for r in found if r.look == name), key=lambda r: (-r.mean_size * r.looks, r.feature))
        rows += [
            (look(name), feature(r.feature), count(r.looks), ratio(r.mean_size), signed(r.mean_contribution))
            for r in ranked[:OVER_TIME]
        ]
    if rows:
        columns = ("look", "feature", "looks that named it", "mean size", "mean contribution")
        yield Sheet(caption="At the other looks", columns=columns, rows=tuple(rows), words=2)
