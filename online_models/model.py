"""The model as the scorer uses it: pure Python, without River.

    load_model(payload, champion).score(look, vector) -> Scored

Before the first snapshot there is only the rule, and the version says so. Afterwards the champion is configured: `rule` by
default; `river` scores with what the River pipelines have learnt, but for kinds of look where they have not learnt enough or
where the rule is measurably better (the interval of the paired difference lies below zero): there the rule goes on scoring.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from features.vector import FEATURES, FEATURES_VERSION, NEUTRAL, SINCE_FEATURES, Reference
from online_models.explain import Linear, explain, probability
from online_models.rule import LOOKS, RULE, Rule
from online_models.snapshots import Snapshot, unpack
from schemas.events import Reason

COLD_START: Final = f"{RULE}@cold"
RIVER: Final = "river-1"
TRUSTED_AFTER: Final = 500  # examples; until then River has no verdict
NAMES: Final = (*FEATURES, *SINCE_FEATURES)

Champion = Literal["rule", "river"]


class Scored(NamedTuple):
    """A score with its reasons: base and contributions are log-odds and add up to the score's."""

    score: float
    base: float
    reasons: tuple[Reason, ...]


class Model(Struct, frozen=True):
    """A model version. Looks that have no `Linear` of their own don't exist."""

    version: str
    linears: Mapping[str, Linear]  # by look
    reference: Reference = NEUTRAL

    def score(self, look: str, vector: Sequence[float], reasons: int = 5) -> Scored:
        """P(VIP within the horizon), from FEATURES at the first look, FEATURES + SINCE_FEATURES at the others."""
        linear = self.linears[look]
        log_odds, why = explain(linear, vector, NAMES, reasons)
        return Scored(probability(log_odds), linear.intercept, why)


def load_model(payload: bytes | None, champion: str = "rule") -> Model:
    """The model in a snapshot's payload; None gives the cold start. Raises `BrokenPromise` on a damaged payload."""
    if payload is None:
        return Model(COLD_START, _by_rule(Rule()))
    snapshot = unpack(payload)
    rule, reference = _by_rule(snapshot.rule), snapshot.rule.reference()
    if champion != "river" or snapshot.features_version != FEATURES_VERSION:
        return Model(f"{RULE}@{snapshot.version}", rule, reference)
    return Model(f"{RIVER}@{snapshot.version}", {**rule, **_by_river(snapshot)}, reference)


def kind_of(look: str) -> str:
    """River learns two models: of first looks, and of all the others.

    >>> kind_of("first"), kind_of("day_7")
    ('first', 'second')
    """
    return "first" if look == "first" else "second"


def _by_rule(rule: Rule) -> dict[str, Linear]:
    return {look: rule.linear(look) for look in LOOKS}


def _by_river(snapshot: Snapshot) -> dict[str, Linear]:
    trusted = {
        kind: parameters.linear()
        for kind, parameters in snapshot.river.items()
        if parameters.learned >= TRUSTED_AFTER and not snapshot.verdicts[kind].is_worse
    }
    return {look: trusted[kind_of(look)] for look in LOOKS if kind_of(look) in trusted}
