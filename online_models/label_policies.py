"""Label policies: when an example teaches, what, and with which weight.

    wait        the outcome at the main horizon, once it is known (the default)
    early       at the short horizon already: whoever is VIP by then as a VIP, all others as none, both weighted by what the model
                thinks of them; who becomes VIP later is learnt then (fake negatives, importance weighted: Ktena et al., RecSys 2019)
    head_start  until the first outcomes are there, first looks learn from the short horizon instead: whether the customer
                came back, at a quarter of an example's weight

What each is worth, measured: docs/model.md.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from schemas.events import ExampleReady

LabelPolicy = Literal["wait", "early", "head_start"]
REMEMBERED: Final = 8_192  # looks that were learnt as VIP early
HEAD_START_ENDS: Final = 200  # examples of the main horizon
HEAD_START_WEIGHT: Final = 0.25


Told = Callable[[], float]


class Lesson(NamedTuple):
    outcome: bool
    weight: float = 1.0


class Horizons(NamedTuple):
    short_days: int
    main_days: int


class Memory(Struct, array_like=True):
    """What a policy must remember between batches."""

    learnt_early: dict[str, bool] = {}  # looks that were learnt as VIP, the oldest first
    outcomes: int = 0  # examples of the main horizon


# What an example teaches, if anything; `told` asks what the model says of it now.
Strategy = Callable[[ExampleReady, Horizons, Memory, Told], Lesson | None]


def wait(example: ExampleReady, horizons: Horizons, memory: Memory, _told: Told) -> Lesson | None:
    return Lesson(example.is_vip) if _is_main(example, horizons, memory) else None


def early(example: ExampleReady, horizons: Horizons, memory: Memory, told: Told) -> Lesson | None:
    if example.horizon_days == horizons.short_days:
        p = told()
        if example.is_vip:
            memory.learnt_early[example.look_id] = True
            while len(memory.learnt_early) > REMEMBERED:
                del memory.learnt_early[next(iter(memory.learnt_early))]
            return Lesson(outcome=True, weight=1 + p)
        return Lesson(outcome=False, weight=(1 - p) * (1 + p))
    was_learnt = memory.learnt_early.pop(example.look_id, False)
    if not _is_main(example, horizons, memory) or was_learnt or not example.is_vip:
        return None
    return Lesson(outcome=True, weight=1 + told())


def head_start(example: ExampleReady, horizons: Horizons, memory: Memory, _told: Told) -> Lesson | None:
    if _is_main(example, horizons, memory):
        return Lesson(example.is_vip)
    young = memory.outcomes < HEAD_START_ENDS and example.horizon_days == horizons.short_days
    return Lesson(example.outcome_minor > 0, HEAD_START_WEIGHT) if young and example.look == "first" else None


def _is_main(example: ExampleReady, horizons: Horizons, memory: Memory) -> bool:
    is_main = example.horizon_days == horizons.main_days
    memory.outcomes += is_main
    return is_main


STRATEGIES: Final[Mapping[LabelPolicy, Strategy]] = {"wait": wait, "early": early, "head_start": head_start}
