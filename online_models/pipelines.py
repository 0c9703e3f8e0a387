"""River's pipelines: what they are made of, and what they have learnt, as data. `river_pipeline.py` runs them.

A pipeline is a scaler and a logistic regression over one fixed list of features. It starts at the rule, not at zero: the
features that the rule looks at get the rule's weights. Everything it has learnt can be taken out as `Parameters` and put
back into a new pipeline, which then goes on learning bit for bit as the old one would have.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from features.vector import FEATURES, SINCE_FEATURES
from online_models.rule import LATER, PRIOR_LOG_ODDS, SECOND_SCALE, SKUS, SPEND
from online_models.snapshots import Parameters

if TYPE_CHECKING:
    from online_models.river_pipeline import Pipeline

RIVER_VERSION: Final = version("river")
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


def start(kind: str) -> Parameters:
    """Parameters before the first example."""
    count = len(NAMES[kind])
    weights = tuple(RULE_WEIGHTS[kind].get(index, 0.0) for index in range(count))
    return Parameters(0, (0.0,) * count, (0.0,) * count, weights, PRIOR_LOG_ODDS, BOUND)


def resume(kind: str, parameters: Parameters) -> "Pipeline":
    """The pipeline that goes on from these parameters."""
    from online_models.river_pipeline import Pipeline  # noqa: PLC0415  # River takes seconds to import

    return Pipeline(NAMES[kind], parameters)
