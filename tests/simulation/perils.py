"""What may go wrong at a call, and how often: each seed draws its own mixture, some of them calm in one respect."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

WORST = 3  # in the middle of a commit all perils are so much likelier


class Crashed(BaseException):
    """The process ends here, whatever it was doing. No `except Exception` may stop it."""


class Rates(NamedTuple):
    """Chances at every call of a log or a store, and how rough the world is between calls."""

    fails: float = 0.0  # no answer; whether the request was served is another chance
    crashes: float = 0.0
    interrupted: float = 0.0  # others take some steps in the middle of the call
    stalls: float = 0.0  # the process stands still until it has lost its partitions, then goes on: a zombie
    temper: float = 0.0  # how often, between calls, processes end, stall, or read a wrong clock, and stores lose data

    @classmethod
    def drawn(cls, rng: Random) -> "Rates":
        def one_of(*rates: float) -> float:
            return rng.choice(rates)

        return cls(
            fails=one_of(0, 0.002, 0.01, 0.03),
            crashes=one_of(0, 0.002, 0.005, 0.015),
            interrupted=one_of(0, 0.01, 0.03),
            stalls=one_of(0, 0.003, 0.02),
            temper=one_of(0.3, 1, 3),
        )


class Perils:
    """Asked at every call. `interrupt(stalled)` lets the rest of the world go on meanwhile."""

    def __init__(self, rng: Random, rates: Rates) -> None:
        self.rng, self.rates, self.are_on = rng, rates, True
        self.struck: dict[str, int] = {}  # kind of peril and place -> how often, to show that a run was eventful

    def strike(self, where: str, interrupt: Callable[[bool], None]) -> bool:
        """Whether the call fails. May not return at all, or only after others have moved on."""
        if not self.are_on:
            return False
        chance = self.rng.random()
        for kind in ("fails", "crashes", "interrupted", "stalls"):
            chance -= getattr(self.rates, kind) * (WORST if "commit." in where else 1)
            if chance < 0:
                self.struck[f"{kind} {where}"] = self.struck.get(f"{kind} {where}", 0) + 1
                return self._strike(kind, interrupt)
        return False

    def _strike(self, kind: str, interrupt: Callable[[bool], None]) -> bool:
        if kind == "crashes":
            raise Crashed
        if kind in ("interrupted", "stalls"):
            interrupt(kind == "stalls")
        return kind == "fails"


Strike = Callable[[str], bool]
