"""What the shop sells: categories with their prices, whether a size must fit, and when they are in season.

A category's skus stand in a ladder of prices, so that what somebody wants to spend finds a thing that costs about
that. A sku costs the same for everybody, but for the currency and the sales.
"""

from bisect import bisect_left
from functools import lru_cache
from typing import Final

from msgspec import Struct

from streams.settings.currencies import decimals

BRANDS: Final = (
    "Aurelian", "Brisa", "Calloway", "Dorn & Fell", "Elvane", "Fjordlys", "Garance", "Hartmann", "Isolde", "Juno Park",
    "Kestrel", "Lumen",
)  # fmt: skip
SKUS: Final = 180  # in a category


class Category(Struct, frozen=True):
    name: str
    low_minor: int  # the cheapest sku, in euro cents
    high_minor: int
    fit: float  # how much likelier than average it comes back: sizes
    weight: float
    winter: float = 1.0  # how much likelier it is bought from October to February


CATEGORIES: Final = (
    Category("dresses", 6_500, 380_000, 1.55, 16),
    Category("shoes", 7_500, 190_000, 1.45, 17),
    Category("bags", 9_000, 640_000, 0.55, 13),
    Category("knitwear", 5_500, 210_000, 1.05, 12, 1.7),
    Category("coats", 14_000, 520_000, 1.2, 8, 2.4),
    Category("shirts", 4_500, 90_000, 1.1, 12),
    Category("trousers", 5_500, 120_000, 1.4, 10),
    Category("jewellery", 3_500, 980_000, 0.3, 6, 1.3),
    Category("beauty", 1_500, 42_000, 0.12, 9),
    Category("home", 1_900, 260_000, 0.25, 7, 1.2),
)  # fmt: skip


class Article(Struct, frozen=True):
    sku: str
    category: int  # its place in CATEGORIES
    brand: str
    price_minor: int  # euro cents


def _ladder(number: int, category: Category) -> tuple[Article, ...]:
    """Prices grow by a steady factor; brands take turns, the dearer ones higher up."""
    step = (category.high_minor / category.low_minor) ** (1.0 / (SKUS - 1))
    articles, price = [], float(category.low_minor)
    for rung in range(SKUS):
        brand = BRANDS[(rung * 5 // SKUS + rung * 7) % len(BRANDS)]
        cents = max(500, round(price / 500) * 500 - 5) if price >= 5_000 else round(price / 100) * 100 - 5
        articles.append(Article(f"{category.name[:3].upper()}-{number}{rung:03d}", number, brand, cents))
        price *= step
    return tuple(articles)


LADDERS: Final = tuple(_ladder(number, category) for number, category in enumerate(CATEGORIES))
_PRICES: Final = tuple([article.price_minor for article in ladder] for ladder in LADDERS)


def costing(category: int, minor: float) -> Article:
    """The article of a category that costs about so much."""
    prices = _PRICES[category]
    above = bisect_left(prices, minor)
    if above in (0, SKUS):
        return LADDERS[category][max(0, above - 1)]
    return LADDERS[category][above if prices[above] + prices[above - 1] < 2 * minor else above - 1]


@lru_cache(maxsize=1 << 15)
def price_in(cents: int, currency: str, rate: float) -> int:
    """A price in the minor units of a currency, of which one whole unit is worth `rate` euros."""
    return cents if currency == "EUR" else max(1, round(cents / 100 / rate * 10 ** decimals(currency)))
