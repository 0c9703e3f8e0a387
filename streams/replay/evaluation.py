"""Figures and differences of a replay, with their intervals."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from streams.replay.bootstrap import Floats, Ints, Population, interval
from streams.replay.measures import MEASURES, Truth, rank
from streams.replay.parts import BY_THE_CALENDAR, Cell, Frame, cells, scorers_of, truth
from streams.replay.results import MODEL, Difference, Figures

COMPARED: Final = ("roc_auc", "average_precision", "capture_at_10", "value_gini")
BETWEEN_VARIANTS: Final = ("all", "last_40", "rolling_origin")
DRAWS_OF_MONEY: Final = 100  # sums of money take long


class Judged(NamedTuple):
    """The figures of one ranking: as they are, and as each draw has them."""

    examples: int
    positives: int
    plain: dict[str, float | None]
    drawn: dict[str, Floats]

    def ci95(self, measure: str) -> tuple[float, float] | None:
        return interval(self.drawn[measure]) if self.plain[measure] is not None else None


def judge(scores: Floats, positive: Truth, value: Floats, rows: tuple[Ints, ...], weighing: "Weighing") -> Judged:
    """Figures of scores over sets of rows, averaged where there are several."""
    plain: dict[str, list[Floats]] = {measure: [] for measure in MEASURES}
    drawn: dict[str, list[Floats]] = {measure: [] for measure in MEASURES}
    for chosen in rows:
        if not len(chosen):
            continue
        told = scores[chosen], positive[chosen], value[chosen]
        once = rank(*told, np.ones((len(chosen), 1), np.uint8))
        weights = weighing.of(chosen)
        many = rank(*told, weights, with_money=False)
        money = rank(*told, weights[:, :DRAWS_OF_MONEY]) if weighing.with_money else None
        for measure in MEASURES:
            plain[measure].append(getattr(once, measure))
            of_money = measure.startswith("value") and money is not None
            drawn[measure].append(getattr(money if of_money else many, measure))
    together = np.unique(np.concatenate(rows)) if rows else np.zeros(0, np.int64)
    return Judged(
        examples=len(together),
        positives=int(positive[together].sum()),
        plain={measure: _number(_mean(found)) for measure, found in plain.items()},
        drawn={measure: _mean(found) for measure, found in drawn.items()},
    )


class Weighing:
    """How often each row was drawn."""

    def __init__(self, population: Population, frame: Frame, *, with_money: bool) -> None:
        self._population, self._frame, self.with_money = population, frame, with_money

    def of(self, rows: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return self._population.weights(self._frame.places[rows])


def _mean(found: list[Floats]) -> Floats:
    """The mean of those that could be told, draw by draw."""
    if not found:
        return np.full(1, np.nan)
    stacked = np.vstack(found)
    known = np.isfinite(stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = np.where(known, stacked, 0).sum(axis=0) / known.sum(axis=0)
    return mean


def _number(found: Floats) -> float | None:
    return round(float(found[0]), 6) if np.isfinite(found[0]) else None


# ---- one variant -----------------------------------------------------------------------------------------------------


class Evaluation:
    """All figures of one variant; those of whole cells are kept for comparisons."""

    def __init__(self, frame: Frame, population: Population, baselines: Sequence[str]) -> None:
        self.frame, self.population = frame, population
        self.scorers = tuple(scorer for scorer in scorers_of(frame) if scorer == MODEL or scorer in baselines)
        self.cells = tuple(cells(frame))
        self._judged: dict[tuple[str, tuple[str, str, str, str]], Judged] = {}

    def judged(self, scorer: str, cell: Cell, only: Truth | None = None) -> Judged:
        """Of the rows about which the scorer said something, and of these perhaps only some."""
        scores = self.frame.scores[scorer]
        known = np.isfinite(scores)
        wanted = known if only is None else known & only
        is_whole = only is None or bool((wanted == known).all())
        key = scorer, cell.key
        if is_whole and key in self._judged:
            return self._judged[key]
        positive, value = truth(self.frame, cell)
        rows = tuple(chosen[wanted[chosen]] for chosen in cell.rows)
        with_money = cell.part in ("all", "last_40") and cell.outcome == "whole" and cell.look in BY_THE_CALENDAR
        found = judge(scores, positive, value, rows, Weighing(self.population, self.frame, with_money=with_money))
        if is_whole:
            self._judged[key] = found
        return found

    def figures(self) -> Iterator[Figures]:
        for cell in self.cells:
            for scorer in self.scorers:
                found = self.judged(scorer, cell)
                if found.examples:
                    yield _figures(self.frame.variant, scorer, cell, found)

    def differences(self) -> Iterator[Difference]:
        """The model less each baseline, on the looks about which both said something."""
        for cell in self.cells:
            for scorer in self.scorers:
                if scorer != MODEL:
                    both = np.isfinite(self.frame.scores[scorer])
                    ours, theirs = self.judged(MODEL, cell, both), self.judged(scorer, cell)
                    yield from _differences(self.frame.variant, scorer, self.frame.variant, cell, ours, theirs)


def between(one: Evaluation, other: Evaluation) -> Iterator[Difference]:
    """The later variant's model less the earlier's, on the looks that both took."""
    theirs_of = {cell.key: cell for cell in one.cells}
    common = _keys(one.frame) & _keys(other.frame)
    here, there = _among(other.frame, common), _among(one.frame, common)
    for cell in other.cells:
        match = theirs_of.get(cell.key)
        if match is not None and cell.part in BETWEEN_VARIANTS:
            ours, theirs = other.judged(MODEL, cell, here), one.judged(MODEL, match, there)
            yield from _differences(other.frame.variant, MODEL, one.frame.variant, cell, ours, theirs)


def between_all(evaluations: Iterable[Evaluation]) -> Iterator[Difference]:
    for one, other in combinations(evaluations, 2):
        yield from between(one, other)


def _keys(frame: Frame) -> set[tuple[str, str, int]]:
    return set(zip(frame.customers, frame.looks.tolist(), frame.numbers.tolist(), strict=True))


def _among(frame: Frame, keys: set[tuple[str, str, int]]) -> Truth:
    told = zip(frame.customers, frame.looks.tolist(), frame.numbers.tolist(), strict=True)
    return np.array([key in keys for key in told], dtype=np.bool_)


def _figures(variant: str, scorer: str, cell: Cell, found: Judged) -> Figures:
    return Figures(
        variant=variant,
        scorer=scorer,
        look=cell.look,
        outcome=cell.outcome,
        part=cell.part,
        name=cell.name,
        examples=found.examples,
        positives=found.positives,
        roc_auc=found.plain["roc_auc"],
        roc_auc_ci95=found.ci95("roc_auc"),
        average_precision=found.plain["average_precision"],
        average_precision_ci95=found.ci95("average_precision"),
        capture_at_10=found.plain["capture_at_10"],
        capture_at_10_ci95=found.ci95("capture_at_10"),
        value_gini=found.plain["value_gini"],
        value_gini_ci95=found.ci95("value_gini"),
        value_at_10=found.plain["value_at_10"],
    )


def _differences(
    variant: str, than_scorer: str, than_variant: str, cell: Cell, ours: Judged, theirs: Judged
) -> Iterator[Difference]:
    for measure in COMPARED:
        one, other = ours.plain[measure], theirs.plain[measure]
        if one is None or other is None:
            continue
        yield Difference(
            variant=variant,
            scorer=MODEL,
            than_variant=than_variant,
            than_scorer=than_scorer,
            look=cell.look,
            outcome=cell.outcome,
            part=cell.part,
            name=cell.name,
            measure=measure,
            examples=min(ours.examples, theirs.examples),
            difference=round(one - other, 6),
            ci95=interval(ours.drawn[measure] - theirs.drawn[measure]),
        )
