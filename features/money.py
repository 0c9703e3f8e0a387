"""Money in one currency: what an amount is worth in minor units of the base currency.

Rates are fixed by configuration, so a replay converts as the live worker did. Whether a currency is known is asked at
the edge (`knows`); where amounts are folded, it is.
"""

from collections.abc import Mapping

from msgspec import Struct

MILLION = 1_000_000


class Rates(Struct, frozen=True):
    """`millionths[currency]`: millionths of a base minor unit that one minor unit of a currency is worth."""

    base: str
    millionths: Mapping[str, int] = {}

    def knows(self, currency: str) -> bool:
        return currency == self.base or currency in self.millionths

    @property
    def known(self) -> tuple[str, ...]:
        return tuple(sorted({self.base, *self.millionths}))

    def to_base(self, minor: int, currency: str) -> int:
        """The amount in base minor units, halves to the even neighbour. An unknown currency raises `KeyError`.

        >>> Rates("EUR", {"GBP": 1_170_000}).to_base(1_000, "GBP")
        1170
        >>> [Rates("EUR", {"XXX": 500_000}).to_base(minor, "XXX") for minor in (1, 2, 3, -1)]
        [0, 1, 2, 0]
        """
        if currency == self.base:
            return minor
        whole, rest = divmod(minor * self.millionths[currency], MILLION)
        return whole + (2 * rest > MILLION or (2 * rest == MILLION and whole % 2 == 1))
