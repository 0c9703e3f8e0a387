"""Drift: whether the customers of today are still those the model has learnt from, and the model as good as it was.

A few series are watched by River's detectors: of each kind of look the champion's loss, what it loses beyond the rule, and
how many become VIPs; of first looks besides some features. A detector's state can't be taken out of River as data, so the last values
are kept instead, and the detector is made from them anew: every `EVERY` values it sees what it has not seen. That depends on the
values alone, not on how they were cut into batches. After a change the past is forgotten, as River's detectors do.
"""

from collections.abc import Mapping, Sequence
from math import log
from struct import pack, unpack
from typing import Final

from msgspec import Struct, field

from features.vector import FEATURES
from online_models.detectors import ADWIN, PAGE_HINKLEY, drifts
from schemas.events import Drift

EVERY: Final = 50  # values between two looks at a series
KEPT: Final = 500  # values; then the older half goes
RECENT: Final = 20  # drifts that are remembered, to be shown

LOSS, LOSS_OVER_RULE, OUTCOME = "loss", "loss_over_rule", "outcome"
OF_THE_MODEL: Final = (LOSS, LOSS_OVER_RULE)  # a change in these is one that the model may answer
WATCHED: Final = ("log_first_spend", "log_skus", "discount_share", "has_browsed")
DETECTOR: Final[Mapping[str, str]] = {
    LOSS: ADWIN,
    LOSS_OVER_RULE: PAGE_HINKLEY,
    OUTCOME: ADWIN,
    **dict.fromkeys(WATCHED, ADWIN),
}
_AT: Final = {name: FEATURES.index(name) for name in WATCHED}


def told_series() -> list[tuple[str, str]]:
    """All that is watched: kind of look and series."""
    of_outcomes = [(kind, name) for kind in ("first", "second") for name in (LOSS, LOSS_OVER_RULE, OUTCOME)]
    return [*of_outcomes, *(("first", name) for name in WATCHED)]


class Series(Struct, array_like=True):
    """The values since the last change, packed as 32-bit floats, and those that wait to be looked at."""

    seen: bytes = b""
    waiting: bytes = b""

    def add(self, value: float, detector: str) -> tuple[float, float] | None:
        """The means before and after a change, where one is found with this value."""
        self.waiting += pack("<f", value)
        if len(self.waiting) < EVERY * 4:
            return None
        seen, new = _floats(self.seen), _floats(self.waiting)
        found = bool(seen) and drifts(detector, seen, new)
        self.seen, self.waiting = (b"" if found else self.seen) + self.waiting, b""
        if len(self.seen) > KEPT * 4:
            self.seen = self.seen[-KEPT * 2 :]
        return (sum(seen) / len(seen), sum(new) / len(new)) if found else None


def _floats(packed: bytes) -> tuple[float, ...]:
    return unpack(f"<{len(packed) // 4}f", packed)


class Lookout(Struct, array_like=True):
    """All series, by kind of look and name, and what was found in them last."""

    series: dict[str, Series] = field(default_factory=dict)
    found: tuple[Drift, ...] = ()  # the last `RECENT` ones
    untold: tuple[Drift, ...] = ()  # since the last snapshot
    count: dict[str, int] = field(default_factory=dict)  # by series, since ever

    def see_first_order(self, vector: Sequence[float], at_ms: int) -> tuple[Drift, ...]:
        """The features of a first look."""
        return self._see("first", {name: vector[at] for name, at in _AT.items()}, at_ms)

    def see_outcome(
        self, kind: str, by_champion: float, by_rule: float, at_ms: int, *, outcome: bool
    ) -> tuple[Drift, ...]:
        """What two models had said of a look, and what came of it."""
        lost = loss(by_champion, outcome=outcome)
        values = {LOSS: lost, LOSS_OVER_RULE: lost - loss(by_rule, outcome=outcome), OUTCOME: float(outcome)}
        return self._see(kind, values, at_ms)

    def _see(self, kind: str, values: Mapping[str, float], at_ms: int) -> tuple[Drift, ...]:
        found = []
        for name, value in values.items():
            key = f"{kind}/{name}"
            means = self.series.setdefault(key, Series()).add(value, DETECTOR[name])
            if means is not None:
                found.append(
                    Drift(
                        kind=kind,
                        series=name,
                        detector=DETECTOR[name],
                        before=means[0],
                        after=means[1],
                        occurred_at_ms=at_ms,
                    )
                )
                self.count[key] = self.count.get(key, 0) + 1
        if found:
            self.found = (*self.found, *found)[-RECENT:]
            self.untold = (*self.untold, *found)
        return tuple(found)

    def forget_the_model(self) -> None:
        """Another model scores: what the one before lost says nothing about it."""
        for name in [name for name in self.series if name.rpartition("/")[2] in OF_THE_MODEL]:
            del self.series[name]

    def tell(self) -> tuple[Drift, ...]:
        """What was found since it was last told."""
        told, self.untold = self.untold, ()
        return told


def has_worsened(drift: Drift) -> bool:
    """Whether the champion may have to answer for a change: it loses more than before, and where the rule is beside it, more
    than the rule. That it loses less is told as well, and nothing is to be done about it.
    """
    if drift.series not in OF_THE_MODEL or drift.after <= drift.before:
        return False
    return drift.series != LOSS_OVER_RULE or drift.after > 0


def loss(predicted: float, *, outcome: bool) -> float:
    """Log loss of one prediction.

    >>> round(loss(0.5, outcome=True), 3), round(loss(1.0, outcome=False), 1)
    (0.693, 20.7)
    """
    return -log(max(predicted if outcome else 1 - predicted, 1e-9))
