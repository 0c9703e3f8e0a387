"""The ground truth: what a shop never knows, and a simulation does. For reports and tests; it is never published.

Outcomes are those of Maitred: net spend after the first order within the horizon, returns taken off, in euro cents.
Both are the same life with the same luck, once left alone and once advised by an average advisor from a day after the
first order, for 90 days; their difference is what an advisor is worth to this customer.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from schemas.events import Incoming, ItemsReturned, OrderPlaced
from streams.settings.currencies import decimals
from streams.simulator.customer import Life, customer_id_of
from streams.simulator.nature import HORIZON_DAYS, Effect, nature
from streams.simulator.plan import DAY_MS, Market, ShopPlan

SERVICE_DAYS = 90
ROWS_AT_ONCE = 10_000


class Truth(Struct, frozen=True, kw_only=True):
    """Of one customer."""

    customer_id: str
    market: str
    rate: float  # orders a day until dropping out
    dropout: float  # the chance of it, after each order
    spend_minor: float  # mean order value
    fit: float  # how much more than others they give back
    dislikes_advice: bool
    effect: Effect  # of an average advisor
    first_order_at_ms: int
    first_order_minor: int
    expected_orders: float  # after the first, within the horizon
    expected_minor: float  # what they come to, before returns
    outcome_minor: int  # without an advisor
    advised_outcome_minor: int  # with one
    orders: int  # within the horizon, the first included; without an advisor
    advised_orders: int

    @property
    def gain_minor(self) -> int:
        return self.advised_outcome_minor - self.outcome_minor


class _Account(Struct):
    """What a customer comes to."""

    market: Market
    until_ms: int = 1 << 62  # the horizon's end, once there was an order
    first_at_ms: int = 0
    first_minor: int = 0
    later_minor: int = 0
    orders: int = 0

    def open(self, first: OrderPlaced) -> None:
        self.first_at_ms, self.first_minor = first.occurred_at_ms, _cents(first, self.market)
        self.until_ms, self.orders = first.occurred_at_ms + HORIZON_DAYS * DAY_MS, 1

    def count(self, event: Incoming) -> None:
        """What comes after the first order."""
        if event.occurred_at_ms > self.until_ms:
            return
        if isinstance(event, OrderPlaced):
            self.orders += 1
            self.later_minor += _cents(event, self.market)
        elif isinstance(event, ItemsReturned):
            self.later_minor -= in_cents(sum(line.refund_minor for line in event.lines), self.market)


def truth(plan: ShopPlan, number: int) -> Truth:
    """What is true of the customer with this number."""
    alone, advised = _account(plan, number, advised=False), _account(plan, number, advised=True)
    who = nature(plan, number)
    return Truth(
        customer_id=customer_id_of(number),
        market=who.market.code,
        rate=who.rate,
        dropout=who.dropout,
        spend_minor=who.spend_minor,
        fit=who.fit,
        dislikes_advice=who.dislikes,
        effect=who.effect,
        first_order_at_ms=alone.first_at_ms,
        first_order_minor=alone.first_minor,
        expected_orders=who.expected_orders,
        expected_minor=who.expected_orders * who.spend_minor,
        outcome_minor=alone.later_minor,
        advised_outcome_minor=advised.later_minor,
        orders=alone.orders,
        advised_orders=advised.orders,
    )


def truths(plan: ShopPlan) -> Iterator[Truth]:
    return (truth(plan, number) for number in range(plan.customers))


def _account(plan: ShopPlan, number: int, *, advised: bool) -> _Account:
    """A life to the end of its horizon."""
    life, changes = Life(plan, number, browse=False), list[tuple[int, Effect]]()
    account = _Account(life.nature.market)
    while (next_ms := life.next_ms) is not None and next_ms <= account.until_ms:
        if changes and changes[0][0] <= next_ms:
            life.advise(*changes.pop(0))
            continue
        for _, event in life.step():
            if account.orders or not isinstance(event, OrderPlaced):
                account.count(event)
                continue
            account.open(event)
            if advised:
                begin_ms = event.occurred_at_ms + DAY_MS
                changes = [(begin_ms, life.nature.effect), (begin_ms + SERVICE_DAYS * DAY_MS, Effect())]
    return account


def _cents(order: OrderPlaced, market: Market) -> int:
    return in_cents(sum(n.quantity * n.unit_price_minor - n.discount_minor for n in order.lines), market)


def in_cents(minor: int, market: Market) -> int:
    """An amount in a market's currency as euro cents."""
    return round(minor * market.rate * 10.0 ** (2 - decimals(market.currency)))


# ---- written down ----------------------------------------------------------------------------------------------------


def write_truths(plan: ShopPlan, path: Path, on_customer: Callable[[int], object] = lambda _: None) -> None:
    """The truth of every customer, in a file of JSON lines or Parquet; it has its name only when it is whole."""
    room = path.with_name(f".{path.name}.unfinished")
    try:
        write = _write_parquet if path.suffix == ".parquet" else _write_json_lines
        write(_told(truths(plan), on_customer), room)
        room.rename(path)
    finally:
        room.unlink(missing_ok=True)


def _told(all_truths: Iterator[Truth], on_customer: Callable[[int], object]) -> Iterator[dict[str, Any]]:
    """With the effect's parts as columns of their own, and the gain."""
    for one in all_truths:
        told: dict[str, Any] = msgspec.to_builtins(one)
        told |= {f"effect_{name}": value for name, value in told.pop("effect").items()}
        yield told | {"gain_minor": one.gain_minor}
        on_customer(1)


def _write_json_lines(rows: Iterator[dict[str, Any]], path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)


def _write_parquet(rows: Iterator[dict[str, Any]], path: Path) -> None:
    first = list(islice(rows, ROWS_AT_ONCE))
    schema = pa.Table.from_pylist(first).schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while first:
            writer.write_table(pa.Table.from_pylist(first, schema=schema))
            first = list(islice(rows, ROWS_AT_ONCE))
