"""How many false alarms drift detection gives on Online Retail II, and how soon it finds a model that broke.

    python benchmarks/drift.py ../shared/data

The history is folded as a warm start does. What the lookout was shown is kept, and shown again to others: as it was, and with the
champion's predictions of first looks at random, or turned round, from 60 % on.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from unittest.mock import patch

from river import drift

from online_models import detectors
from online_models.drift import Lookout
from streams.datasets import DATASETS
from streams.datasets.dataset import Tally
from streams.policies import learn_policy, scoring_policy
from streams.settings import load
from streams.warm_start import Lessons, Past, Plan, examples

SETTINGS = {"MAITRED_MONEY__BASE": "GBP", "MAITRED_SCORING__VIP_AMOUNT_MINOR": "119900"}
BREAKS_AT = 0.6
Break = Callable[[float], float]


def recorded(data: Path) -> list[tuple]:
    """Everything the learner's lookout is shown while it learns the history."""
    calls: list[tuple] = []

    class Recorder(Lookout):
        def see_outcome(self, *shown, outcome):
            calls.append((*shown, outcome))
            return ()

        def see_first_order(self, vector, at_ms):
            calls.append((vector, at_ms))
            return ()

    settings = load(None, SETTINGS)
    plan = Plan(scoring=scoring_policy(settings), learning=learn_policy(settings), champion="anchored")
    events = DATASETS["online-retail-ii"].events(data, Tally())
    methods = {name: getattr(Recorder, name) for name in ("see_outcome", "see_first_order")}
    with patch.multiple(Lookout, **methods):
        for _ in examples((Past(e.occurred_at_ms, topic, e) for topic, e in events), plan, Lessons()):
            pass
    return calls


def shown_again(calls: list[tuple], breaks: Break | None) -> list[tuple[str, int]]:
    """What is found, with the number of first looks since the break."""
    lookout, found, since = Lookout(), [], 0
    for number, call in enumerate(calls):
        if len(call) == 2:
            drifts = lookout.see_first_order(*call)
        else:
            kind, by_champion, by_rule, at_ms, outcome = call
            if breaks and kind == "first" and number >= BREAKS_AT * len(calls):
                since, by_champion = since + 1, breaks(by_champion)
            drifts = lookout.see_outcome(kind, by_champion, by_rule, at_ms, outcome=outcome)
        found += [(f"{drift.kind}/{drift.series}", since) for drift in drifts]
    return found


def at_random(predicted: list[float]) -> Break:
    chance = Random(1)
    return lambda _: chance.choice(predicted)


def main() -> None:
    calls = recorded(Path(sys.argv[1]))
    predicted = [call[1] for call in calls if len(call) == 5 and call[0] == "first"]
    print(f"{len(calls)} values shown, {len(predicted)} of them first looks with their outcomes")
    for confidence in (0.0002, 0.002, 0.02):
        detectors._MAKERS["ADWIN"] = lambda delta=confidence: drift.ADWIN(delta=delta)  # noqa: SLF001  # what is tried
        breaks = {"as it is": None, "at random": at_random(predicted), "turned round": lambda p: 1 - p}
        for what, how in breaks.items():
            found = shown_again(calls, how)
            late = [(series, since) for series, since in found if since]
            first = f", first after {late[0][1]} first looks ({late[0][0]})" if late else ""
            print(f"{confidence:<7} {what:<13} {len(found):>3} found{first}")


if __name__ == "__main__":
    main()
