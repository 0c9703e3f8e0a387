"""Amounts become base minor units by integer arithmetic, halves to the even neighbour."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.money import Rates


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**9))
def test_conversion_rounds_as_decimals_do(minor: int, millionths: int) -> None:
    exact = Decimal(minor) * Decimal(millionths) / Decimal(10**6)
    wanted = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    assert Rates("EUR", {"GBP": millionths}).to_base(minor, "GBP") == wanted


def test_the_base_currency_is_known_and_stays_as_it_is() -> None:
    rates = Rates("EUR", {"GBP": 1_170_000})
    assert [rates.knows(currency) for currency in ("EUR", "GBP", "XXX")] == [True, True, False]
    assert rates.to_base(7, "EUR") == 7
    with pytest.raises(KeyError):
        rates.to_base(7, "XXX")
