"""The answer of a replay, before its evidence: how many VIPs would the best-scored tenth have held, by Maitred and by the rule.

Counts of people, since a director reads those: shares of `Figures.capture_at_10` times the VIPs there were. Whether one is
better than the other is said by the interval of the difference alone; where it holds zero, nothing is shown.
"""

from typing import Final

from streams.replay.results import MODEL, Answer, Difference, Figures, Reach, Results, Standing

BASELINE: Final = "spend"
FIRST: Final = "first"
EVERYBODY: Final = "all"


def reach(results: Results, look: str, part: str = "all") -> Reach | None:
    """The counts of one kind of look; None where it has no outcomes or no baseline."""
    model = _only(results.find(MODEL, look, part=part))
    baseline = _only(results.find(BASELINE, look, part=part))
    if model is None or baseline is None or model.capture_at_10 is None or baseline.capture_at_10 is None:
        return None
    found, by_baseline = (round(f * model.positives) for f in (model.capture_at_10, baseline.capture_at_10))
    ci95 = None
    difference = _difference(results, look, part)
    if difference is not None and difference.ci95 is not None:
        ci95 = _counted(difference.ci95[0], model.positives), _counted(difference.ci95[1], model.positives)
    return Reach(
        look=look,
        part=part,
        customers=model.examples,
        top=max(1, model.examples // 10),
        vips=model.positives,
        found=found,
        found_by_baseline=by_baseline,
        more=found - by_baseline,
        more_ci95=ci95,
        standing=_standing(difference),
    )


def answer(results: Results) -> Answer:
    """What the replay says. Ask when everything else is in `results`."""
    first, later = reach(results, FIRST), _later(results)
    if first is None:
        return Answer(standing="unknown", sentence=_silence(results), first=None, later=None)
    sentence = (
        f"Choosing by Maitred instead of by first-order value would have found {first.found:,} of {first.vips:,} VIPs at the first "
        f"order instead of {first.found_by_baseline:,} ({_compared(first)})"
    )
    if later is not None:
        days = later.look.removeprefix("day_")
        of = "" if later.vips == first.vips else f" of {later.vips:,}"
        sentence += f", and {later.found:,}{of} instead of {later.found_by_baseline:,} by looking again {days} days later ({_compared(later)})"
    standing = later.standing if later is not None and first.standing != "worse" else first.standing
    return Answer(standing=standing, sentence=f"{sentence}.", first=first, later=later)


def _later(results: Results) -> Reach | None:
    days = sorted({int(f.look[4:]) for f in results.figures if f.look.startswith("day_") and f.look[4:].isdigit()})
    found = [reach(results, f"day_{day}") for day in days]
    known = [one for one in found if one is not None]
    return known[-1] if known else None


def _compared(one: Reach) -> str:
    """The difference with its interval, and what follows from it where that is not plain."""
    how_many = f"{abs(one.more):,} {'more' if one.more > 0 else 'fewer'}" if one.more else "no difference"
    if one.more_ci95 is None:
        return f"{how_many}; no interval is known"
    low, high = one.more_ci95
    said = {"better": "", "worse": ": the rule is better", "not-shown": ": not shown to differ", "unknown": ""}
    return f"{how_many}, 95 % interval {_signed(low)} to {_signed(high)}{said[one.standing]}"


def _silence(results: Results) -> str:
    if not results.first_purchases:
        return "Nothing can be said: no first purchase was found in this log."
    if not results.examples:
        return (
            "Nothing can be said about who became a VIP: no outcome came due within this log, so a score could not be held "
            f"against what followed. {results.first_purchases:,} first purchases were scored."
        )
    if not results.positives:
        return (
            f"Nothing can be said about VIPs: of {results.examples:,} customers whose outcome is known none became one."
        )
    return "Nothing can be said about Maitred against first-order value: they were not compared."


def _standing(difference: Difference | None) -> Standing:
    if difference is None or difference.ci95 is None:
        return "unknown"
    low, high = difference.ci95
    if low > 0:
        return "better"
    return "worse" if high < 0 else "not-shown"


def _difference(results: Results, look: str, part: str) -> Difference | None:
    wanted = results.variants[0].name if results.variants else ""
    asked = (wanted, MODEL, wanted, BASELINE, look, "whole", part, "capture_at_10")
    for one in results.differences:
        if (
            one.variant,
            one.scorer,
            one.than_variant,
            one.than_scorer,
            one.look,
            one.outcome,
            one.part,
            one.measure,
        ) == asked:
            return one
    return None


def _only(found: tuple[Figures, ...]) -> Figures | None:
    return found[0] if found else None


def _counted(share: float, of: int) -> float:
    """People; in tenths where whole ones would hide on which side of zero it is."""
    exact = share * of
    return float(round(exact)) if abs(exact) >= 1 else round(exact, 1)


def _signed(number: float) -> str:
    """With a sign that is one.

    >>> _signed(0.0), _signed(4.0)
    ('0', '+4')
    """
    return f"{number:+,.10g}".replace("-", "\N{MINUS SIGN}") if number else "0"
