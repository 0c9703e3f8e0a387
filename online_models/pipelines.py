"""River's pipelines, and the only place that knows River.

A pipeline is a scaler and a logistic regression over one fixed list of features. It starts at the rule, not at zero: the
features that the rule looks at get the rule's weights. Everything it has learnt can be taken out as `Parameters` and put
back into a new pipeline, which then goes on learning bit for bit as the old one would have.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import river
from river import linear_model, optim, preprocessing
from river.utils import VectorDict

from features.vector import FEATURES, SINCE_FEATURES
from online_models.rule import LATER, PRIOR_LOG_ODDS, SECOND_SCALE, SKUS, SPEND
from online_models.snapshots import Parameters

RIVER_VERSION: Final[str] = river.__version__  # type: ignore[attr-defined]  # River does not list it
LEARNING_RATE: Final = 0.005
BOUND: Final = 5.0  # a feature that was never seen before would otherwise lie a hundred deviations out
SPEC: Final = f"StandardScaler within {BOUND} | LogisticRegression(SGD({LEARNING_RATE})) started at the rule"

NAMES: Final[Mapping[str, tuple[str, ...]]] = {"first": FEATURES, "second": FEATURES + SINCE_FEATURES}
RULE_WEIGHTS: Final[Mapping[str, Mapping[int, float]]] = {
    "first": {SPEND: 0.8, SKUS: 0.2},
    "second": {
        SPEND: SECOND_SCALE,
        LATER: 1.0,
    },  # later spend varies by some two log units: SECOND_SCALE * 2/3 * 2
}


class BoundedScaler(preprocessing.StandardScaler):
    def transform_one(self, x: dict[Hashable, Any]) -> dict[Hashable, Any]:  # Any: as River has it
        scaled = super().transform_one(x)  # type: ignore[no-untyped-call]  # River's own is untyped
        return {name: z if -BOUND <= z <= BOUND else (BOUND if z > 0 else -BOUND) for name, z in scaled.items()}


class Pipeline:
    """A River pipeline with its features, in their order."""

    def __init__(self, names: Sequence[str], parameters: Parameters) -> None:
        self.names, self.learned = names, parameters.learned
        self._scaler = BoundedScaler()
        for name, mean, variance in zip(names, parameters.means, parameters.variances, strict=True):
            self._scaler.counts[name] = parameters.learned
            self._scaler.means[name] = mean
            self._scaler.vars[name] = variance
        self._regression = linear_model.LogisticRegression(
            optimizer=optim.SGD(LEARNING_RATE),
            intercept_lr=LEARNING_RATE,
            intercept_init=parameters.intercept,
        )
        self._regression.optimizer.n_iterations = parameters.learned
        # River has no public way to put weights in; a test holds that this one loses nothing.
        self._regression._weights = VectorDict(dict(zip(names, parameters.weights, strict=True)))  # noqa: SLF001
        self._pipeline = self._scaler | self._regression

    def predict(self, vector: Sequence[float]) -> float:
        predicted: float = self._pipeline.predict_proba_one(dict(zip(self.names, vector, strict=True)))[True]
        return predicted

    def learn(self, vector: Sequence[float], *, outcome: bool) -> None:
        self._pipeline.learn_one(dict(zip(self.names, vector, strict=True)), outcome)
        self.learned += 1

    def parameters(self) -> Parameters:
        weights = self._regression.weights
        return Parameters(
            learned=self.learned,
            means=tuple(self._scaler.means[name] for name in self.names),
            variances=tuple(self._scaler.vars[name] for name in self.names),
            weights=tuple(weights[name] for name in self.names),
            intercept=self._regression.intercept,
            bound=BOUND,
        )


def start(kind: str) -> Parameters:
    """Parameters before the first example."""
    count = len(NAMES[kind])
    weights = tuple(RULE_WEIGHTS[kind].get(index, 0.0) for index in range(count))
    return Parameters(0, (0.0,) * count, (0.0,) * count, weights, PRIOR_LOG_ODDS, BOUND)


def resume(kind: str, parameters: Parameters) -> Pipeline:
    """The pipeline that goes on from these parameters."""
    return Pipeline(NAMES[kind], parameters)
