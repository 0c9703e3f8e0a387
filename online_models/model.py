"""The model as the scorer uses it: pure Python, without River.

    load_model(payload, champion).score(look, vector) -> Scored

Before the first snapshot there is only the rule, and the version says so. Afterwards the champion is configured: `anchored` by
default, which starts at the rule and departs from it with evidence; `river` scores with what the River pipelines have learnt;
`rule` alone. The rule is the shadow of them all: it scores beside each, and in its place for kinds of look where the model has
not learnt enough, or is measurably worse (the interval of the paired difference lies below zero).

`_MAKERS` is the one table of models.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

from msgspec import Struct
from msgspec.structs import replace

from features.vector import FEATURES, FEATURES_VERSION, NEUTRAL, SINCE_FEATURES, UNIT_MINOR, Reference
from online_models.anchored import ANCHORED, Anchored
from online_models.explain import Linear, explain, probability
from online_models.rule import LOOKS, RULE, SPEND, Rule
from online_models.snapshots import Snapshot, unpack
from online_models.value import Value
from schemas.events import Challenge, Reason
from schemas.records import Fault

COLD_START: Final = f"{RULE}@cold"
RIVER: Final = "river-1"
TRUSTED_AFTER: Final = 500  # examples; until then River has no verdict
NAMES: Final = (*FEATURES, *SINCE_FEATURES)

Champion = Literal["anchored", "rule", "river"]
MODELS: Final[tuple[str, ...]] = get_args(Champion)


class Scored(NamedTuple):
    """A score with its reasons: base and contributions are log-odds and add up to the score's.

    `rank` is log-odds on a base that never moves: looks compare by it across versions of a model, while the score's base
    follows outcomes. The rule's score stands on such a base, too.
    """

    score: float
    base: float
    reasons: tuple[Reason, ...]
    expected_value_minor: int = 0  # net spend after the first order within the horizon
    rule_score: float = 0.0  # what the rule alone would have said
    rank: float = 0.0
    challengers: tuple[Challenge, ...] = ()  # what the models beside it say


class Worth(Struct, frozen=True):
    """What ranks of one kind of look are worth: amounts by the distance from the usual rank."""

    value: Value
    linear: Linear  # that ranks for it
    usual: float  # rank
    typical: float  # log first spend

    def expected_minor(self, log_odds: float, log_spend: float) -> int:
        rank = self.linear.rank(log_odds) - self.usual
        return round(self.value.expected(rank, log_spend - self.typical, self.typical) * UNIT_MINOR)


class Model(Struct, frozen=True):
    """A model version. Looks that have no `Linear` of their own don't exist."""

    version: str
    linears: Mapping[str, Linear]  # by look
    reference: Reference = NEUTRAL
    rule: Mapping[str, Linear] = {}  # the shadow, by look
    worths: Mapping[str, Worth] = {}  # by look
    challengers: tuple["Model", ...] = ()

    def score(self, look: str, vector: Sequence[float], reasons: int = 5) -> Scored:
        """P(VIP within the horizon), from FEATURES at the first look, FEATURES + SINCE_FEATURES at the others."""
        linear, rule, worth = self.linears[look], self.rule[look], self.worths[look]
        log_odds, why = explain(linear, vector, NAMES, reasons)
        by_rule = log_odds if rule is linear else rule.log_odds(vector)
        worth_odds = log_odds if worth.linear is linear else worth.linear.log_odds(vector)
        return Scored(
            probability(log_odds),
            linear.intercept,
            why,
            worth.expected_minor(worth_odds, vector[SPEND]),
            probability(rule.rank(by_rule)),
            linear.rank(log_odds),
            self._challenged(look, vector),
        )

    def _challenged(self, look: str, vector: Sequence[float]) -> tuple[Challenge, ...]:
        return tuple(
            Challenge(model=model.version, score=probability(model.linears[look].log_odds(vector)))
            for model in self.challengers
        )


def load_model(payload: bytes | None, champion: str = "anchored") -> Model:
    """The model in a snapshot's payload; None gives the cold start. Raises `BrokenPromise` on a damaged payload."""
    if payload is None:
        rule = _by_rule(Rule())
        return Model(COLD_START, rule, rule=rule, worths=_worths(Anchored(), Rule(), rule))
    snapshot = unpack(payload)
    name = snapshot.standing.champion(champion)
    challengers = tuple(_model_of(snapshot, challenger) for challenger in snapshot.challengers if challenger != name)
    return replace(_model_of(snapshot, name, is_champion=True), challengers=challengers)


def refuse_unusable(payload: bytes) -> Fault | None:
    """Why a whole payload can't score here, if it can't: scorers would stop at it. It may name a model of another release."""
    try:
        for champion in MODELS:
            model = load_model(payload, champion)
            for look in LOOKS:
                model.score(look, (0.0,) * len(NAMES))
    except (LookupError, ArithmeticError, ValueError) as error:
        got = f"{type(error).__name__}: {error}"
        return Fault("invalid", "payload", "a snapshot that this release can score with", got, "choose another version")
    return None


def kind_of(look: str) -> str:
    """River learns two models, and models are compared on two kinds of looks: first ones, and all the others.

    >>> kind_of("first"), kind_of("day_7")
    ('first', 'second')
    """
    return "first" if look == "first" else "second"


# ---- models in a snapshot ---------------------------------------------------------------------------------------------


def _model_of(snapshot: Snapshot, name: str, *, is_champion: bool = False) -> Model:
    """One of the models in a snapshot; the champion with the rule in its place where it must not score."""
    rule = _by_rule(snapshot.rule)
    reference = snapshot.rule.reference(snapshot.anchored.articles.encoding())
    model, linears = _MAKERS[name](snapshot, is_champion)
    held = snapshot.standing.fallen_back if is_champion else {}
    own = {look: linear for look, linear in linears.items() if kind_of(look) not in held}
    scoring = {look: own.get(look, rule[look]) for look in LOOKS}
    return Model(
        f"{model if own else RULE}@{snapshot.version}",
        scoring,
        reference,
        rule,
        _worths(snapshot.anchored, snapshot.rule, scoring),
    )


Made = tuple[str, Mapping[str, Linear]]  # what it is called in versions, and the looks that it scores


def _rule_alone(_snapshot: Snapshot, _is_champion: bool) -> Made:  # noqa: FBT001  # as all makers
    return RULE, {}


def _by_anchored(snapshot: Snapshot, is_champion: bool) -> Made:  # noqa: FBT001  # as all makers
    """It is called the rule as long as it is nothing else."""
    if snapshot.features_version != FEATURES_VERSION or snapshot.anchored.is_cold:
        return RULE, {}
    kinds = [kind for kind, verdict in snapshot.guards.items() if is_champion and verdict.is_worse]
    return ANCHORED, {
        look: snapshot.anchored.linear(snapshot.rule, look) for look in LOOKS if kind_of(look) not in kinds
    }


def _by_river(snapshot: Snapshot, is_champion: bool) -> Made:  # noqa: FBT001  # as all makers
    if snapshot.features_version != FEATURES_VERSION:
        return RULE, {}
    trusted = {
        kind: parameters.linear()
        for kind, parameters in snapshot.river.items()
        if not is_champion or (parameters.learned >= TRUSTED_AFTER and not snapshot.verdicts[kind].is_worse)
    }
    return RIVER, {look: trusted[kind_of(look)] for look in LOOKS if kind_of(look) in trusted}


_MAKERS: Final[Mapping[str, Callable[[Snapshot, bool], Made]]] = {
    "anchored": _by_anchored,
    "rule": _rule_alone,
    "river": _by_river,
}


def _by_rule(rule: Rule) -> dict[str, Linear]:
    return {look: rule.linear(look) for look in LOOKS}


def _worths(anchored: Anchored, rule: Rule, scoring: Mapping[str, Linear]) -> dict[str, Worth]:
    """Amounts by the anchored model's ranks, whoever scores."""
    worths = {}
    for look in LOOKS:
        linear = anchored.linear(rule, look)
        same = scoring[look] if scoring[look] == linear else linear
        worths[look] = Worth(anchored.looks[look].value, same, rule.origin(look), rule.spend.mean)
    return worths
