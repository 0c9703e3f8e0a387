"""How well scores rank: ROC AUC, average precision, capture, normalised Gini of the money, for many weightings at once.

Each column of `weights` is one draw of a bootstrap, each row a look; a column of ones gives the plain figure. Looks with equal
scores are in no order: they count as if every order of theirs were tried (half a pair each for the AUC, in proportion for a cut
through them).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.replay.bootstrap import Counts, Floats, Ints

TOP_SHARE: Final = 0.1
MEASURES: Final = ("roc_auc", "average_precision", "capture_at_10", "value_gini", "value_at_10")
Truth = npt.NDArray[np.bool_]


class Ranked(NamedTuple):
    """Figures of one ranking, one for each column of weights; NaN where a class, or money, is lacking."""

    roc_auc: Floats
    average_precision: Floats
    capture_at_10: Floats
    value_gini: Floats
    value_at_10: Floats


class Curve(NamedTuple):
    """The best-scored `share` of the looks hold `gain` of the VIPs and `value` of the money."""

    share: Floats
    gain: Floats
    value: Floats


class Groups:
    """Looks in groups of equal score, the best first."""

    def __init__(self, scores: Floats) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
        self.all_differ = len(self.starts) == len(scores)

    def up_to(self, per_look: npt.NDArray[np.generic], kind: type = np.float64) -> Floats:
        """By group: the sum of all looks from the best to its last."""
        sums: Floats = np.cumsum(per_look[self.order], axis=0, dtype=kind)
        if self.all_differ:
            return sums
        ends = np.append(self.starts[1:], len(per_look)) - 1
        last: Floats = sums[ends]
        return last

    def with_any(self, chosen: Truth) -> Ints:
        """The groups that hold a chosen look."""
        if self.all_differ:
            return np.flatnonzero(chosen[self.order])
        return np.flatnonzero(np.add.reduceat(chosen[self.order], self.starts, dtype=np.int64))


def rank(scores: Floats, positive: Truth, value: Floats, weights: Counts, *, with_money: bool = True) -> Ranked:
    """Figures of scores; `value` is the money that came, not below 0. Needs at least one look."""
    groups, draws = Groups(scores), weights.shape[1]
    looks = groups.up_to(weights, np.float32 if len(scores) < 1 << 20 else np.float64)
    telling = groups.with_any(positive)
    nothing = np.full(draws, np.nan)
    if len(telling):
        auc, average, capture = _of_vips(groups, looks, telling, positive, weights)
    else:
        auc = average = capture = nothing
    if not with_money or not value.any():
        return Ranked(auc, average, capture, nothing, nothing)
    spent = groups.up_to(weights * value[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        return Ranked(auc, average, capture, _area(looks, spent) / _best_area(value, weights), _top(looks, spent))


def curve(scores: Floats, positive: Truth, value: Floats, steps: int = 20) -> Curve:
    """Gain and value by share of looks, in equal steps."""
    groups, ones = Groups(scores), np.ones((len(scores), 1), np.uint8)
    looks, vips = groups.up_to(ones), groups.up_to(ones * positive[:, None])
    spent = groups.up_to(ones * value[:, None])
    shares = np.arange(1, steps + 1) / steps
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.array([_top(looks, vips, share)[0] for share in shares])
        worth = np.array([_top(looks, spent, share)[0] for share in shares])
    return Curve(shares, gain, worth)


def _of_vips(
    groups: Groups, looks: Floats, telling: Ints, positive: Truth, weights: Counts
) -> tuple[Floats, Floats, Floats]:
    """AUC, average precision and capture, from the groups that hold a VIP alone: they are few."""
    chosen = np.where(positive[groups.order])[0]
    true = weights[groups.order[chosen]].astype(np.float64)
    if not groups.all_differ:
        first = np.searchsorted(chosen, groups.starts[telling])
        true = np.add.reduceat(true, first, axis=0)
    vips = np.cumsum(true, axis=0)
    all_vips, all_looks = vips[-1], looks[-1].astype(np.float64)
    here = looks[telling].astype(np.float64)
    before = np.where(telling[:, None] > 0, looks[telling - 1], 0)
    # others ranked below: all but those in groups before, and half of those in the group itself
    others_to_here, others_before = here - vips, before - (vips - true)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = (all_looks - all_vips) - (others_to_here + others_before) / 2
        auc = (true * below).sum(axis=0) / (all_vips * (all_looks - all_vips))
        average = (true * vips / np.where(here > 0, here, 1)).sum(axis=0) / all_vips
        capture = _top_of_few(looks, telling, true, vips) / all_vips
    return auc, average, capture


def _top_of_few(looks: Floats, telling: Ints, true: Floats, vips: Floats) -> Floats:
    group, inside = _cut(looks, TOP_SHARE)
    columns = np.arange(looks.shape[1])
    known = np.searchsorted(telling, group)  # telling groups before the one that is cut
    before = np.where(known > 0, vips[known - 1, columns], 0)
    place = np.minimum(known, len(telling) - 1)
    is_telling = (known < len(telling)) & (telling[place] == group)
    return before + np.where(is_telling, true[place, columns] * inside, 0)


def _top(looks: Floats, part: Floats, share: float = TOP_SHARE) -> Floats:
    """The share of something that lies in the best-scored share of looks; a group that is cut gives its proportion."""
    group, inside = _cut(looks, share)
    columns = np.arange(looks.shape[1])
    before = np.where(group > 0, part[group - 1, columns], 0)
    found: Floats = (before + (part[group, columns] - before) * inside) / part[-1]
    return found


def _cut(looks: Floats, share: float) -> tuple[Ints, Floats]:
    """The group in which the best-scored share ends, and how much of it lies inside."""
    cut = share * looks[-1].astype(np.float64)
    group = np.minimum((looks < cut - 1e-6).sum(axis=0), len(looks) - 1)
    columns = np.arange(looks.shape[1])
    before = np.where(group > 0, looks[group - 1, columns], 0).astype(np.float64)
    size = looks[group, columns] - before
    return group, np.clip((cut - before) / np.where(size > 0, size, 1), 0, 1)


def _area(looks: Floats, spent: Floats) -> Floats:
    """Between the curve of the money and the diagonal, by trapezoids."""
    drawn = np.diff(looks.astype(np.float64), axis=0, prepend=0)
    middle = spent - np.diff(spent, axis=0, prepend=0) / 2
    area: Floats = (drawn * middle).sum(axis=0) / (looks[-1] * spent[-1]) - 0.5
    return area


def _best_area(value: Floats, weights: Counts) -> Floats:
    best = Groups(value)
    return _area(best.up_to(weights), best.up_to(weights * value[:, None]))
