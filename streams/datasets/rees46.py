"""REES46: views, carts and purchases of a multi-category store, second by second.

A user is a visitor until the first purchase and a customer from then on. The purchase rows of a session are one order,
placed at the last of them; a session that buys again half an hour later makes another.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from schemas.events import CustomerId, Incoming, OrderLine, OrderPlaced, PageBrowsed, VisitorId
from streams.datasets.dataset import Dataset, InOrder, Sent, Tally, minor, rows
from streams.datasets.preset import Preset

FILE = "rees46_2019oct_slice/2019-Oct.parquet"
COLUMNS = (
    "event_time", "event_type", "product_id", "category_code", "brand", "price", "user_id", "user_session",
)  # fmt: skip
OPEN_MS = 1_800_000
CURRENCY, MARKET = "USD", "rees46"
VISITOR = "v"  # goes before a user's number, so that visitors and customers are told apart
KINDS: dict[str, Literal["view", "add_to_cart"]] = {"view": "view", "cart": "add_to_cart"}


class _Row(NamedTuple):
    time: str
    type: str
    sku: str
    category: str | None
    brand: str | None
    price: float
    user: str
    session: str | None


class _Basket(Struct):
    user: str
    first_ms: int
    last_ms: int
    lines: list[OrderLine] = field(default_factory=list)


def events(data: Path, tally: Tally) -> Iterator[Sent]:
    """Browse events and orders in order of time."""
    shop = _Shop(tally, Path(FILE).stem)
    for row in map(_Row._make, rows(data / FILE, COLUMNS)):
        tally.rows += 1
        yield from shop.take(row)
    yield from shop.close()


class _Shop:
    def __init__(self, tally: Tally, file: str) -> None:
        self._tally, self._file = tally, file
        self._baskets: dict[str, _Basket] = {}
        self._customers: set[str] = set()
        self._ordered = InOrder()
        self._frontier_ms = 0

    def take(self, row: _Row) -> Iterator[Sent]:
        at_ms = _utc_ms(row.time)
        if at_ms > self._frontier_ms:
            self._frontier_ms = at_ms
            yield from self._close_before(at_ms - OPEN_MS)
        if row.price < 0:
            self._tally.skip("negative_price")
        elif row.type == "purchase":
            self._buy(row, at_ms)
        elif row.type in KINDS:
            self._ordered.add("browse", self._browse(row, at_ms))
        else:
            self._tally.skip(f"event_type_{row.type}")

    def close(self) -> Iterator[Sent]:
        return self._close_before(float("inf"))

    def _close_before(self, at_ms: float) -> Iterator[Sent]:
        """Whatever happened before `at_ms`: baskets still open will be orders later than that."""
        for session in [session for session, basket in self._baskets.items() if basket.last_ms < at_ms]:
            self._ordered.add("orders", self._order(session, self._baskets.pop(session)))
        for topic, event in self._ordered.until(at_ms):
            yield topic, self._named(event)

    def _named(self, event: Incoming) -> Incoming:
        """A browse event of someone who has bought names the customer."""
        if isinstance(event, OrderPlaced) and event.customer_id is not None:
            self._customers.add(event.customer_id)
        elif isinstance(event, PageBrowsed) and event.visitor_id is not None:
            user = event.visitor_id.removeprefix(VISITOR)
            if user in self._customers:
                return replace(event, customer_id=CustomerId(user))
        return event

    def _buy(self, row: _Row, at_ms: int) -> None:
        self._tally.used["order_lines"] += 1
        basket = self._baskets.setdefault(row.session or row.user, _Basket(row.user, at_ms, at_ms))
        basket.last_ms = at_ms
        basket.lines.append(
            OrderLine(
                sku=row.sku,
                quantity=1,
                unit_price_minor=minor(row.price),
                category=row.category,
                brand=row.brand,
            )
        )

    def _order(self, session: str, basket: _Basket) -> OrderPlaced:
        self._tally.events["orders"] += 1
        return OrderPlaced(
            order_id=f"{session}-{basket.first_ms // 1_000}",
            customer_id=CustomerId(basket.user),
            visitor_id=VisitorId(VISITOR + basket.user),
            occurred_at_ms=basket.last_ms,
            currency=CURRENCY,
            market=MARKET,
            lines=tuple(basket.lines),
        )

    def _browse(self, row: _Row, at_ms: int) -> PageBrowsed:
        """Rows that are equal are events of their own: the id is the row's number."""
        self._tally.used["browse"] += 1
        self._tally.events["browse"] += 1
        return PageBrowsed(
            event_id=f"{self._file}/{self._tally.rows}",
            occurred_at_ms=at_ms,
            kind=KINDS[row.type],
            visitor_id=VisitorId(VISITOR + row.user),
            sku=row.sku,
            category=row.category,
            brand=row.brand,
            price_minor=minor(row.price),
            currency=CURRENCY,
        )


def _utc_ms(text: str) -> int:
    moment = datetime.strptime(text.removesuffix(" UTC"), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000


REES46 = Dataset(
    name="rees46",
    title="REES46: two and a half hours of a multi-category store's browsing, 2019-10-01",
    source="REES46 (rees46.com), eCommerce behavior data from multi category store",
    licence="free to use; name REES46",
    files=(FILE,),
    lacks=(
        "the currency (taken for USD) and the market",
        "order ids and quantities: the purchase rows of a session are one order, a row is one piece",
        "whether somebody was logged in: a user counts as a visitor until the first purchase",
        "months of customers: what browsing is worth later can't be learnt from it",
        "returns, consent, languages, dwell times, searches, campaigns",
    ),
    events=events,
    preset=Preset(
        settings={
            "money": {"base": "USD"},
            "scoring": {"horizon_days": 180, "outcomes_days": (30, 180)},
            "assignment": {"consent": "not_withdrawn"},
        },
        because=(
            "two and a half hours: no outcome comes to be known, so nothing is learnt and nothing can be measured",
            "nobody was asked for consent: who did not refuse counts",
        ),
    ),
    cure="name the folder that holds it with --data; the whole set is on kaggle.com, eCommerce behavior data from multi category store",
)
