"""Learning in one pass, with its own doubt: a logistic and a linear regression that carry a covariance.

Each example is one Newton step from the belief before it, whose covariance is the inverse of all the curvature seen so far (an
extended Kalman filter: Fahrmeir, JASA 87, 1992; for the linear case it is recursive least squares). A tight prior
moves only where there is evidence; a wide one follows at once. Plain loops over few numbers: the same bits everywhere.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from online_models.explain import probability

LEAST_CURVATURE: Final = 1e-3  # of one example: a surprise where the model was sure must not throw it far


class Belief(Struct, array_like=True):
    """A normal distribution over weights."""

    mean: list[float]
    covariance: list[list[float]]
    learned: int = 0

    def told(self, x: Sequence[float]) -> float:
        return sum([weight * value for weight, value in zip(self.mean, x, strict=True)])

    def spread(self, x: Sequence[float]) -> list[float]:
        """The covariance times x."""
        return [sum([c * value for c, value in zip(row, x, strict=True)]) for row in self.covariance]


def belief(means: Sequence[float], variances: Sequence[float]) -> Belief:
    """A prior of independent weights."""
    size = range(len(means))
    return Belief(list(means), [[variances[i] if i == j else 0.0 for j in size] for i in size])


def learn_outcome(
    known: Belief, x: Sequence[float], *, outcome: bool, offset: float = 0.0, weight: float = 1.0, least: float = 0.0
) -> None:
    """One step of a logistic regression: log-odds = offset + weights x. `least` is the variance that the first weight keeps."""
    expected = probability(offset + known.told(x))
    curvature = weight * max(LEAST_CURVATURE, expected * (1.0 - expected))
    _step(known, x, weight * (outcome - expected), curvature)
    known.covariance[0][0] = max(known.covariance[0][0], least)


def learn_amount(known: Belief, x: Sequence[float], amount: float) -> None:
    """One step of a linear regression; the variances of the prior are in units of the noise's."""
    _step(known, x, amount - known.told(x), 1.0)


def _step(known: Belief, x: Sequence[float], error: float, curvature: float) -> None:
    spread = known.spread(x)
    shrink = curvature / (1.0 + curvature * sum([value * s for value, s in zip(x, spread, strict=True)]))
    for row, s in zip(known.covariance, spread, strict=True):
        by = shrink * s
        for column, other in enumerate(spread):
            row[column] -= by * other
    step = error * shrink / curvature  # the new covariance times x, times the error
    known.mean = [weight + step * s for weight, s in zip(known.mean, spread, strict=True)]
    known.learned += 1
