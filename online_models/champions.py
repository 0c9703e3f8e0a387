"""Who scores: the champion, whom an operator or the rule of promotion puts in its place, and the version it is held at.

    obey(standing, choice) -> Standing          an operator's word (`ModelChosen`)
    proved_better(trials, least) -> name | None the challenger that is better than the champion beyond doubt

What is decided here is written into the next snapshot and announced with it, by the learner alone. So which model scored is
a fact on the topics: a score names it and its version, and nothing else is needed to compute it again.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from schemas.events import ModelChosen
from schemas.records import Fault

CURE: Final = "`maitred model list` names models and versions"


class Standing(Struct, frozen=True, array_like=True):
    """Which model scores, as far as the learner decides it. A new one leaves everything as it is configured."""

    promoted: str = ""  # the champion; empty: the one that is configured
    held: str = ""  # the version that scores, whatever is published meanwhile; empty: always the newest
    fallen_back: dict[str, int] = {}  # kind of look -> examples of it during which the rule goes on scoring

    def champion(self, configured: str) -> str:
        return self.promoted or configured

    def beside(self, configured: str, challengers: tuple[str, ...]) -> tuple[str, ...]:
        """Who scores beside the champion: the challengers, and whoever had to make room for one."""
        champion = self.champion(configured)
        return tuple(name for name in dict.fromkeys((*challengers, configured)) if name != champion)


class Verdict(Protocol):
    """One model beside another on the same examples."""

    @property
    def examples(self) -> int: ...

    @property
    def difference(self) -> float: ...

    @property
    def half_width(self) -> float: ...


Trial = Mapping[str, Verdict]  # by kind of look: the challenger beside the champion


def refuse(choice: ModelChosen, models: tuple[str, ...]) -> Fault | None:
    """Why a choice can't be followed, if it can't. Whether a payload is whole, its reader says."""
    if choice.choice == "promoted" and choice.model not in models:
        return Fault("invalid", "model", f"one of {', '.join(models)}", choice.model or "none", CURE)
    if choice.choice == "rolled_back" and (not choice.version or not choice.payload):
        return Fault("invalid", "payload", "a version and its payload", "none", "use `maitred model rollback`")
    return None


def obey(standing: Standing, choice: ModelChosen) -> Standing:
    """Who scores once an operator has chosen. A choice counts until the next one."""
    match choice.choice:
        case "promoted":
            return replace(standing, promoted=choice.model or "", held="", fallen_back={})
        case "rolled_back":
            return replace(standing, held=choice.version or "")
        case "followed":
            return Standing()
        case "warm_started":
            return standing


def promote(standing: Standing, model: str) -> Standing:
    """A challenger that proved better takes over. A version that an operator holds stays."""
    return replace(standing, promoted=model, fallen_back={})


def proved_better(trials: Mapping[str, Trial], least: int) -> str | None:
    """The first challenger that has earned it: on first looks better beyond doubt, over enough examples, on second ones not
    worse beyond doubt.

    An interval that is endless (one of the outcomes is lacking yet) doubts everything.
    """
    return next((model for model, trial in trials.items() if _earned(trial, least)), None)


def _earned(trial: Trial, least: int) -> bool:
    first = trial.get("first")
    if first is None or first.examples < least or first.difference - first.half_width <= 0:
        return False
    return all(verdict.difference + verdict.half_width >= 0 for verdict in trial.values())


# ---- falling back ----------------------------------------------------------------------------------------------------


def fall_back(standing: Standing, kind: str, examples: int) -> Standing:
    """The rule scores this kind of look for so many examples more."""
    return replace(standing, fallen_back={**standing.fallen_back, kind: examples})


def pass_example(standing: Standing, kind: str) -> Standing:
    """One example of this kind later."""
    left = standing.fallen_back.get(kind, 0) - 1
    if left < 0:
        return standing
    others = {name: count for name, count in standing.fallen_back.items() if name != kind}
    return replace(standing, fallen_back=others if left == 0 else {**others, kind: left})
