"""What sections share: how a number and its interval stand together, and where an interval ends."""

from typing import Final

from streams.replay.report.words import NONE, TIE
from streams.replay.results import MODEL, Difference, Figures, Interval, Results

FEW: Final = 5  # VIPs, below which figures of a part say nothing
BASELINE: Final = "spend"  # the one-line rule that everything is held against


def main_variant(results: Results) -> str:
    """The variant that the report tells of: the first."""
    return results.variants[0].name if results.variants else ""


def figures_of(
    results: Results, scorer: str = MODEL, look: str = "first", outcome: str = "whole", part: str = "all"
) -> Figures | None:
    """Those of the main variant; None where there are none."""
    found = results.find(scorer, look, outcome, part)
    return found[0] if found else None


def against_baseline(
    results: Results, scorer: str = MODEL, look: str = "first", outcome: str = "whole", part: str = "all"
) -> list[Difference]:
    """Differences of the ROC AUC from the one-line rule, by name: one for a part that is not divided further."""
    main = main_variant(results)
    wanted = (main, scorer, main, BASELINE, look, outcome, part, "roc_auc")
    found = [
        d
        for d in results.differences
        if (d.variant, d.scorer, d.than_variant, d.than_scorer, d.look, d.outcome, d.part, d.measure) == wanted
    ]
    return sorted(found, key=lambda d: d.name)


def between_variants(results: Results, part: str = "all") -> list[Difference]:
    """Differences of the ROC AUC at the first order, one variant less another: the later less the earlier."""
    wanted = ("first", "whole", part, "roc_auc")
    return [
        d
        for d in results.differences
        if (d.look, d.outcome, d.part, d.measure) == wanted and d.scorer == MODEL == d.than_scorer
    ]


def is_alike(results: Results, d: Difference) -> bool:
    """Whether both variants mean the same by a VIP. Else one of them only has the easier question."""
    outcomes = {v.name: v.outcome for v in results.variants}
    return outcomes.get(d.variant) == outcomes.get(d.than_variant)


def quoted(name: str) -> str:
    return f"\N{LEFT SINGLE QUOTATION MARK}{name}\N{RIGHT SINGLE QUOTATION MARK}"


def ends(ci95: Interval | None, value: float) -> dict[str, float]:
    """Where an interval is drawn; without one it has no length."""
    low, high = ci95 or (value, value)
    return {"low": low, "high": high}


def with_interval(number: str, interval: str) -> str:
    r"""A number with its interval behind it, where there is one; a line breaks only between them.

    >>> with_interval("0.735", "0.70 to 0.77")
    '0.735 (0.70\xa0to\xa00.77)'
    """
    return number if interval == NONE else f"{number} ({interval.replace(' ', TIE)})"


def counted(positives: int, of: int) -> str:
    r"""How many of how many.

    >>> counted(103, 1236)
    '103\xa0of\xa01,236'
    """
    return f"{positives:,}{TIE}of{TIE}{of:,}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
