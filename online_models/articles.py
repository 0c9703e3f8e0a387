"""What became of customers who first bought an article: one number for each, learnt from short outcomes.

A month after a first order it is known what was spent since. How far that lies above or below what the order's value and breadth
let expect, in log units, is noted for each article it held. An article says the mean of its notes, shrunken as if `PSEUDO`
customers had been as expected; a basket says the sum over its articles by the root of their number (`features.vector.Encoding`).
Nothing is said before `TOLD_AFTER` outcomes.

Catalogues change, memory does not grow: at `KEPT` articles the one goes that no new customer has bought for longest, and a
long SKU is kept by its digest, so that a snapshot always fits in a record.
"""

from collections.abc import Sequence
from math import log1p
from typing import Final

from msgspec import Struct, field

from features.vector import UNIT_MINOR, Encoding, name_of
from online_models.bayes import Belief, belief, learn_amount

PSEUDO: Final = 30
TOLD_AFTER: Final = 50
KEPT: Final = 8_192


class Articles(Struct, array_like=True):
    """Sums of residuals and numbers of customers by name of the SKU, the one bought longest ago first."""

    outcomes: int = 0
    expectation: Belief = field(default_factory=lambda: belief((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    notes: dict[str, tuple[float, int]] = {}

    def note(self, skus: Sequence[str], spend: float, breadth: float, outcome_minor: int) -> None:
        """What came of one more first order. Spend and breadth as their distances from the usual."""
        x = (1.0, spend, breadth)
        amount = log1p(max(0, outcome_minor) / UNIT_MINOR)
        residual = amount - self.expectation.told(x)
        learn_amount(self.expectation, x, amount)
        self.outcomes += 1
        notes = self.notes
        for name in map(name_of, skus):
            total, count = notes.pop(name, (0.0, 0))
            notes[name] = total + residual, count + 1
        while len(notes) > KEPT:
            del notes[next(iter(notes))]

    def encoding(self) -> Encoding:
        if self.outcomes < TOLD_AFTER:
            return Encoding()
        return Encoding({sku: total / (count + PSEUDO) for sku, (total, count) in self.notes.items()})
