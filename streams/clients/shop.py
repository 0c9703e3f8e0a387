"""A shop's side: what happened there, published as Maitred reads it.

    with Shop() as shop:
        shop.order("A-1", customer_id="c-7", currency="EUR", market="DE", lines=[Line(sku="boot", quantity=1, unit_price_minor=49_000)])

Times are milliseconds since 1970 (UTC), now where none is given; amounts integer minor units (cents) of the event's currency.
An id makes an event unique: the same order published twice counts once.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self
from uuid import uuid4

from schemas.events import (
    ConsentChanged,
    CustomersMerged,
    ErasureRequested,
    ItemsReturned,
    OrderLine,
    OrderPlaced,
    PageBrowsed,
    ReturnLine,
)
from streams.clients.publishing import Publishing, given, now_ms
from streams.settings import Settings

Line = OrderLine
Returned = ReturnLine


class Shop:
    """Publishes in the background, in order for each customer. Leave it by `with`, or `flush` before the program ends.

    Every method raises `EventRefused`, with field, expected, got and cure, before anything is sent; and `LogUnavailable` once
    Kafka has not taken an earlier event for two minutes.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._publishing = Publishing(settings)

    def order(
        self,
        order_id: str,
        *,
        currency: str,
        market: str,
        lines: Sequence[Line],
        customer_id: str | None = None,
        visitor_id: str | None = None,
        occurred_at_ms: int | None = None,
        language: str | None = None,
        sales_channel: str | None = None,
        is_gift: bool = False,
        payment_method: str | None = None,
        customer_since_ms: int | None = None,
    ) -> None:
        """An order. Without `customer_id` it is a guest's; `visitor_id` ties to it what was browsed before."""
        optional = given(
            customer_id=customer_id,
            visitor_id=visitor_id,
            language=language,
            sales_channel=sales_channel,
            payment_method=payment_method,
            customer_since_ms=customer_since_ms,
        )
        event = OrderPlaced(
            order_id=order_id,
            occurred_at_ms=_at(occurred_at_ms),
            currency=currency,
            market=market,
            lines=tuple(lines),
            is_gift=is_gift,
            **optional,
        )
        self._publishing.send("orders", event)

    def returned(
        self,
        return_id: str,
        *,
        currency: str,
        lines: Sequence[Returned],
        customer_id: str | None = None,
        order_id: str | None = None,
        kind: Literal["returned", "cancelled"] = "returned",
        reason: str | None = None,
        occurred_at_ms: int | None = None,
    ) -> None:
        """Goods sent back, or an order cancelled before it was sent."""
        event = ItemsReturned(
            return_id=return_id,
            occurred_at_ms=_at(occurred_at_ms),
            currency=currency,
            lines=tuple(lines),
            kind=kind,
            **given(customer_id=customer_id, order_id=order_id, reason=reason),
        )
        self._publishing.send("returns", event)

    def browsed(
        self,
        *,
        customer_id: str | None = None,
        visitor_id: str | None = None,
        kind: Literal["view", "search", "add_to_cart", "wishlist"] = "view",
        sku: str | None = None,
        category: str | None = None,
        brand: str | None = None,
        price_minor: int | None = None,
        currency: str | None = None,
        dwell_ms: int = 0,
        campaign: str | None = None,
        event_id: str | None = None,
        occurred_at_ms: int | None = None,
    ) -> None:
        """One step of browsing, by a customer who is logged in or by a visitor."""
        event = PageBrowsed(
            event_id=event_id or uuid4().hex,
            occurred_at_ms=_at(occurred_at_ms),
            kind=kind,
            dwell_ms=dwell_ms,
            **given(
                customer_id=customer_id,
                visitor_id=visitor_id,
                sku=sku,
                category=category,
                brand=brand,
                price_minor=price_minor,
                currency=currency,
                campaign=campaign,
            ),
        )
        self._publishing.send("browse", event)

    def consent(self, customer_id: str, *, granted: bool, occurred_at_ms: int | None = None) -> None:
        """Whether a customer wants to be advised personally."""
        event = ConsentChanged(customer_id=customer_id, granted=granted, occurred_at_ms=_at(occurred_at_ms))
        self._publishing.send("privacy", event)

    def erase(self, customer_id: str, *, occurred_at_ms: int | None = None) -> None:
        """A customer asks to be forgotten."""
        event = ErasureRequested(customer_id=customer_id, occurred_at_ms=_at(occurred_at_ms))
        self._publishing.send("privacy", event)

    def merged(self, customer_id: str, *, into: str, merge_id: str, occurred_at_ms: int | None = None) -> None:
        """Two accounts were one customer: `customer_id` ends, `into` goes on."""
        event = CustomersMerged(
            merge_id=merge_id, customer_id=customer_id, into_customer_id=into, occurred_at_ms=_at(occurred_at_ms)
        )
        self._publishing.send("privacy", event)

    def flush(self) -> None:
        """Return once the brokers have everything. Raises `LogUnavailable` where they don't take it."""
        self._publishing.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()


def _at(occurred_at_ms: int | None) -> int:
    return now_ms() if occurred_at_ms is None else occurred_at_ms
