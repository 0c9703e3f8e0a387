"""How many decimals a currency's minor unit has (ISO 4217), and rates between minor units made of it."""

from collections.abc import Mapping
from fractions import Fraction

USUAL_DECIMALS = 2
DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def decimals(currency: str) -> int:
    """Digits behind the point of an amount in this currency.

    >>> decimals("EUR"), decimals("JPY"), decimals("KWD")
    (2, 0, 3)
    """
    return DECIMALS.get(currency, USUAL_DECIMALS)


def millionths(base: str, rates: Mapping[str, float]) -> dict[str, int]:
    """Millionths of a base minor unit that a minor unit of each currency is worth; `rates` are between whole units.

    At 0.006 EUR to the yen, a yen, which has no smaller unit, is worth 0.6 cents:

    >>> millionths("EUR", {"JPY": 0.006, "GBP": 1.17, "EUR": 1})
    {'GBP': 1170000, 'JPY': 600000}
    """
    return {
        currency: round(Fraction(str(rate)) * 10 ** decimals(base) / 10 ** decimals(currency) * 1_000_000)
        for currency, rate in sorted(rates.items())
        if currency != base
    }
