"""The anchored regression as a River classifier: the same core (`bayes.py`), for any features, in any River pipeline.

River has logistic regressions learnt by gradients, and a Bayesian linear regression; none that starts at a rule and knows how
sure it is. The learner uses the core by itself, over fixed features; this class is for experiments beside River's own.
"""

from collections.abc import Mapping
from typing import Any

from river import base

from online_models.bayes import belief, learn_outcome
from online_models.explain import probability


class AnchoredLogistic(base.Classifier):
    """A Bayesian logistic regression in one pass, whose prior mean is a rule.

    Parameters
    ----------
    anchor
        The rule: weights by feature, in log-odds. Features that it doesn't name start at 0.
    intercept
        The log-odds where all features are 0, as far as is known before.
    variance
        Of each weight's departure from the anchor: the smaller, the more evidence it takes.
    intercept_variance
        Of the intercept.

    Examples
    --------
    >>> model = AnchoredLogistic({"spend": 1.0}, intercept=-2.0)
    >>> round(model.predict_proba_one({"spend": 2.0})[True], 3)
    0.5
    >>> for _ in range(50):
    ...     model.learn_one({"spend": 2.0}, False)
    >>> round(model.predict_proba_one({"spend": 2.0})[True], 3)
    0.075

    """

    def __init__(
        self,
        anchor: Mapping[str, float] | None = None,
        intercept: float = 0.0,
        variance: float = 0.01,
        intercept_variance: float = 1.0,
    ) -> None:
        self.anchor = anchor
        self.intercept = intercept
        self.variance = variance
        self.intercept_variance = intercept_variance
        self._names: dict[Any, int] = {}  # Any: features are called as River's users like
        self._belief = belief((intercept,), (intercept_variance,))

    @property
    def _multiclass(self) -> bool:
        return False

    def learn_one(self, x: dict[Any, Any], y: bool | str | int, w: float = 1.0) -> None:  # noqa: FBT001  # as River has it
        for name in x:
            self._meet(name)
        learn_outcome(self._belief, self._row(x), outcome=bool(y), offset=self._by_rule(x), weight=w)

    def predict_proba_one(self, x: dict[Any, Any], **_more: Any) -> dict[Any, float]:
        p = probability(self._by_rule(x) + self._belief.told(self._row(x)))
        return {False: 1.0 - p, True: p}

    def _by_rule(self, x: Mapping[Any, float]) -> float:
        anchor = self.anchor or {}
        return sum([weight * x.get(name, 0.0) for name, weight in anchor.items()])

    def _row(self, x: Mapping[Any, float]) -> list[float]:
        return [1.0, *(float(x.get(name, 0.0)) for name in self._names)]

    def _meet(self, name: Any) -> None:
        """A feature that was never seen before starts at the anchor, independent of all others."""
        if name in self._names:
            return
        self._names[name] = len(self._names) + 1
        known = self._belief
        known.mean.append(0.0)
        for row in known.covariance:
            row.append(0.0)
        known.covariance.append([*(0.0 for _ in known.mean[1:]), self.variance])
