"""How numbers, times and names are said in the report, in one way everywhere."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from streams.settings.currencies import decimals

MINUS: Final = "\N{MINUS SIGN}"
TIE: Final = "\N{NO-BREAK SPACE}"
NONE: Final = "\N{EN DASH}"  # for a number that can't be given
SHORT: Final = {
    "model": "Maitred",
    "spend": "first-order value",
    "rule": "fixed rule",
    "logistic": "logistic regression",
    "lightgbm": "LightGBM",
    "random": "at random",
}
POLICIES: Final = {
    "maitred": "Maitred",
    "first_come": "first come, first served",
    "fixed_threshold": "fixed threshold",
    "random": "at random",
    "optimum": "optimum in hindsight",
}


def ratio(number: float | None, digits: int = 3) -> str:
    return NONE if number is None else f"{number:.{digits}f}".replace("-", MINUS)


def signed(number: float | None, digits: int = 3) -> str:
    """With its sign.

    >>> signed(0.0123)
    '+0.012'
    """
    return NONE if number is None else f"{number:+.{digits}f}".replace("-", MINUS)


def percent(share: float | None, digits: int = 0) -> str:
    r"""A share of one, in hundredths.

    >>> percent(0.256)
    '26\xa0%'
    """
    return NONE if share is None else f"{100 * share:.{digits}f}{TIE}%".replace("-", MINUS)


def count(number: float | None) -> str:
    return NONE if number is None else f"{number:,.0f}".replace("-", MINUS)


def between(ci95: tuple[float, float] | None, digits: int = 3) -> str:
    return NONE if ci95 is None else f"{ratio(ci95[0], digits)} to {ratio(ci95[1], digits)}"


def signed_between(ci95: tuple[float, float] | None, digits: int = 3) -> str:
    return NONE if ci95 is None else f"{signed(ci95[0], digits)} to {signed(ci95[1], digits)}"


def percent_between(ci95: tuple[float, float] | None, digits: int = 0) -> str:
    if ci95 is None:
        return NONE
    return f"{100 * ci95[0]:.{digits}f} to {100 * ci95[1]:.{digits}f}{TIE}%".replace("-", MINUS)


def money(minor: int | None, currency: str) -> str:
    """Whole units of the currency.

    >>> money(119_900, "GBP")
    '1,199 GBP'
    """
    if minor is None:
        return NONE
    return f"{minor / 10 ** decimals(currency):,.0f} {currency}".replace("-", MINUS)


def day(at_ms: int | None) -> str:
    """A date as it is written in a sentence.

    >>> day(1_260_000_000_000)
    '5 December 2009'
    """
    if at_ms is None:
        return NONE
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at.day} {at:%B %Y}"


def date(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d}"


def scorer(name: str) -> str:
    return SHORT.get(name, name)


def policy(name: str) -> str:
    return POLICIES.get(name, name.replace("_", " "))


def look(name: str) -> str:
    """A kind of look, for people.

    >>> look("first"), look("day_30"), look("return")
    ('first order', 'day 30', 'at a return')
    """
    known = {"first": "first order", "order": "at a further order", "return": "at a return", "all": "all looks"}
    return known.get(name, name.replace("_", " "))


def looks_in_order(names: Iterable[str]) -> list[str]:
    """First orders, then the timed looks by their day, then those that an event brings.

    >>> looks_in_order(["order", "day_14", "first", "day_7"])
    ['first', 'day_7', 'day_14', 'order']
    """

    def rank(name: str) -> tuple[int, int, str]:
        if name == "first":
            return 0, 0, name
        digits = name.removeprefix("day_")
        return (1, int(digits), name) if digits.isdigit() else (2, 0, name)

    return sorted(set(names), key=rank)


def feature(name: str) -> str:
    """A feature's name for people.

    >>> feature("log_first_spend"), feature("log_carts_7d")
    ('first spend', 'carts, 7 d')
    """
    words = name.removeprefix("log_").split("_")
    if words[-1][:-1].isdigit():
        return f"{' '.join(words[:-1])}, {words[-1][:-1]} {words[-1][-1]}"
    return " ".join(words)
