"""A River pipeline at work. Imported when an example is learnt (`pipelines.resume`): who only scores need not wait for River."""

from collections.abc import Hashable, Sequence
from typing import Any

from river import linear_model, optim, preprocessing
from river.utils import VectorDict

from online_models.pipelines import BOUND, LEARNING_RATE
from online_models.snapshots import Parameters


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
