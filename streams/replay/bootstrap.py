"""Intervals by bootstrap over customers: whoever is drawn brings all of their looks along.

The draws are made once for a whole replay, so that any two scorers, and any two variants, are compared on the very same
customers. Figures are no decisions: here NumPy may sum as it likes.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.uint8]

DRAWS: Final = 400
MOST_CELLS: Final = 400_000_000  # customers x draws held in memory; with more customers there are fewer draws
LEAST_DRAWS: Final = 50
SEED: Final = 20_101_201


class Population:
    """Customers, and how often each was drawn in each draw."""

    def __init__(self, customers: Iterable[str], draws: int = DRAWS, seed: int = SEED) -> None:
        names = sorted(set(customers))
        self._places = {name: place for place, name in enumerate(names)}
        self.draws = max(LEAST_DRAWS, min(draws, MOST_CELLS // max(1, len(names)))) if names else 0
        generator = np.random.Generator(np.random.PCG64(seed))
        self._drawn = np.zeros((len(names), self.draws), np.uint8)
        for draw in range(self.draws):
            chosen = generator.integers(0, len(names), len(names))
            self._drawn[:, draw] = np.minimum(np.bincount(chosen, minlength=len(names)), 255)

    def __len__(self) -> int:
        return len(self._places)

    def places(self, customers: Sequence[str]) -> Ints:
        """Of each look its customer's column."""
        return np.fromiter((self._places[name] for name in customers), np.int64, len(customers))

    def weights(self, places: Ints) -> Counts:
        """How often each look was drawn: a row for each look, a column for each draw."""
        return self._drawn[places]


def interval(drawn: npt.NDArray[Any]) -> tuple[float, float] | None:  # Any: floats of some size
    """The middle 95 % of what was found; None where hardly any draw found anything."""
    found = drawn[np.isfinite(drawn)]
    if len(found) < max(2, len(drawn) // 2):
        return None
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
