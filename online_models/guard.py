"""The guard: for which looks the rule scores in the champion's place, and why. Told to people; `model.py` acts on the same."""

from collections.abc import Mapping
from typing import Final, Literal

from online_models.model import TRUSTED_AFTER
from online_models.snapshots import Snapshot
from online_models.validation import Comparison

Why = Literal["worse", "drift", "untaught"]
KINDS: Final = ("first", "second")


def beside_the_rule(snapshot: Snapshot) -> Mapping[str, Mapping[str, Comparison]]:
    """Each model beside the rule on the latest examples: model -> kind of look -> what came of it."""
    return {"anchored": snapshot.guards, "river": snapshot.verdicts}


def falls_back(snapshot: Snapshot, configured: str) -> dict[str, Why]:
    """The kinds of look that the rule scores in the champion's place.

    `worse`: the interval of the paired difference lies below zero. `drift`: its loss has changed, and `drift_action` says so.
    `untaught`: it has not learnt enough yet.
    """
    champion = snapshot.standing.champion(configured)
    found: dict[str, Why] = {}
    for kind in KINDS if champion in beside_the_rule(snapshot) else ():
        verdict = beside_the_rule(snapshot)[champion].get(kind)
        if kind in snapshot.standing.fallen_back:
            found[kind] = "drift"
        elif _is_untaught(snapshot, champion, kind):
            found[kind] = "untaught"
        elif verdict is not None and verdict.is_worse:
            found[kind] = "worse"
    return found


def _is_untaught(snapshot: Snapshot, champion: str, kind: str) -> bool:
    if champion == "river":
        return snapshot.river[kind].learned < TRUSTED_AFTER
    return snapshot.anchored.is_cold
