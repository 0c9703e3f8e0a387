"""The plan of a simulated shop: everything that can be chosen about it. Equal plans make equal bytes.

The defaults are a premium fashion house in ten markets. Whose life it becomes is `nature.py`'s work.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, convert, structs

DAY_MS = 86_400_000
OPENING_MS = 1_704_067_200_000  # 2024-01-01

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Mean = Annotated[float, Meta(ge=0)]


class Market(Struct, frozen=True, kw_only=True):
    """Where customers live."""

    code: str
    pool: str
    currency: str
    language: str
    weight: float  # how many live there, against the other markets
    rate: float  # what one unit of the currency is worth in euros
    offset_hours: int  # of its clocks against UTC; summer time is left out
    second_language: str | None = None  # of every fourth customer


MARKETS = (
    Market(code="DE", pool="dach", currency="EUR", language="de", weight=26, rate=1.0, offset_hours=1),
    Market(code="AT", pool="dach", currency="EUR", language="de", weight=5, rate=1.0, offset_hours=1),
    Market(code="CH", pool="dach", currency="CHF", language="de", weight=7, rate=1.04, offset_hours=1, second_language="fr"),
    Market(code="FR", pool="south", currency="EUR", language="fr", weight=15, rate=1.0, offset_hours=1),
    Market(code="IT", pool="south", currency="EUR", language="it", weight=11, rate=1.0, offset_hours=1),
    Market(code="ES", pool="south", currency="EUR", language="es", weight=6, rate=1.0, offset_hours=1),
    Market(code="GB", pool="north", currency="GBP", language="en", weight=14, rate=1.17, offset_hours=0),
    Market(code="SE", pool="north", currency="SEK", language="sv", weight=4, rate=0.088, offset_hours=1, second_language="en"),
    Market(code="US", pool="overseas", currency="USD", language="en", weight=9, rate=0.92, offset_hours=-5, second_language="es"),
    Market(code="JP", pool="overseas", currency="JPY", language="ja", weight=3, rate=0.0061, offset_hours=9),
)  # fmt: skip


class ShopPlan(Struct, frozen=True, kw_only=True):
    """A shop. Rates are by customer and day of season-adjusted time, amounts in euro cents."""

    # ---- how much of it
    seed: Annotated[int, Meta(ge=0, lt=1 << 62)] = 1
    customers: Annotated[int, Meta(ge=0, lt=1 << 40)] = (
        2_000  # who buy; they come one after another, evenly but for the season
    )
    from_ms: Annotated[int, Meta(ge=631_152_000_000, le=4_000_000_000_000)] = OPENING_MS  # the first day begins, UTC
    days: Annotated[int, Meta(ge=1, le=3_650)] = 365
    browse: bool = True  # False: no browse events at all
    markets: tuple[Market, ...] = MARKETS

    # ---- how they buy (MBG/NBD: Batislam et al. 2007): at a gamma-distributed rate, until they drop out after an order
    rate_shape: Positive = 1.3
    rate_mean: Positive = 1 / 60  # orders a day of a customer who has not dropped out
    dropout_a: Positive = 0.9  # beta-distributed: after each order, the first too, this share is never seen again
    dropout_b: Positive = 2.4

    # ---- what they spend (gamma-gamma: Fader and Hardie 2013): order values vary about a customer's own mean
    spend_mean_minor: Positive = 42_000
    spend_shape: Positive = 3.2  # p: how alike the orders of a customer are
    spend_spread: Annotated[float, Meta(gt=1)] = 3.4  # q: how alike customers are
    line_minor: Positive = 18_000  # an order has a line for about so much
    pieces: Annotated[float, Meta(ge=1)] = 1.06  # of each sku in a line, on average

    # ---- what they give back
    returns: Share = 0.19  # of the lines in a category that neither fits badly nor well
    cancelled: Share = 0.025  # of orders, within hours

    # ---- when they buy
    seasons: bool = True  # the year's course, the week's and the day's; False: all hours are alike

    # ---- what they show before they buy
    sessions: Mean = 1.6  # of browsing before an order, besides the one it is placed in
    signal: Mean = 1.0  # how strongly browsing tells who somebody is; 0: not at all
    untied: Share = 0.15  # of first orders that carry no visitor_id

    # ---- what they agree to
    consent: Share = 0.72  # grant it with the first order; half of the others later, if they stay
    withdrawn: Share = 0.08  # of those take it back within a year
    erased: Share = 0.01  # of customers ask to be forgotten within a year

    # ---- what an advisor does to them (`advisors.py`)
    advisors_per_thousand: Positive = 6.0  # customers who come in a year
    advisor_capacity: Annotated[int, Meta(ge=1, le=1_000_000)] = 12
    advisor_intake: Annotated[int, Meta(ge=1, le=1_000_000)] = 2
    effect: Mean = 1.0  # of all that an advisor changes; 0: nothing
    dislike: Share = 0.12  # who would rather be left alone: less, later, more returns

    # ---- who else comes, for each customer
    lookers: Mean = 0.8  # visitors who browse and never buy
    guests: Mean = 0.06  # orders without an account
    bots: Mean = 0.003  # robots that open a hundred pages in minutes
    trouble: Share = 0.002  # of events that are repeated, or followed by a malformed record

    @property
    def until_ms(self) -> int:
        return self.from_ms + self.days * DAY_MS

    def checked(self) -> "ShopPlan":
        """Itself, if every field is within its limits; else raises `msgspec.ValidationError`."""
        return convert(structs.asdict(self), ShopPlan)


Like = Literal["premium", "online-retail-ii"]
