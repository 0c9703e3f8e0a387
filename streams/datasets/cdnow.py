"""CDNOW: all purchases of the customers who came first in early 1997, up to mid-1998. The file is small: it is sorted here."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from schemas.events import CustomerId, OrderLine, OrderPlaced
from streams.datasets.dataset import Dataset, Row, Sent, Tally, minor, rows

FILE = "cdnow/cdnow_master.parquet"
COLUMNS = ("date", "customer_id", "number_of_cds", "dollar_value")
by_day_and_customer = itemgetter(0, 1)


def events(data: Path, tally: Tally) -> Iterator[Sent]:
    """One order a customer and day, by day and customer."""
    everything = sorted(_usable(data, tally), key=by_day_and_customer)  # stable: a day's lines stay as they were
    for (day, customer), lines in groupby(everything, by_day_and_customer):
        yield "orders", _order(day, customer, list(lines), tally)


def _usable(data: Path, tally: Tally) -> Iterator[Row]:
    for row in rows(data / FILE, COLUMNS):
        tally.rows += 1
        if row[2] < 1:
            tally.skip("no_quantity")
        elif row[3] < 0:
            tally.skip("negative_price")
        else:
            yield row


def _order(day: str, customer: str, lines: list[Row], tally: Tally) -> OrderPlaced:
    tally.used["order_lines"] += len(lines)
    tally.events["orders"] += 1
    return OrderPlaced(
        order_id=f"{customer}-{day}",
        customer_id=CustomerId(customer),
        occurred_at_ms=int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 1_000,
        currency="USD",
        market="US",
        lines=tuple(
            OrderLine(sku="CD", quantity=quantity, unit_price_minor=minor(value / quantity))
            for _, _, quantity, value in lines
        ),
    )


CDNOW = Dataset(
    name="cdnow",
    title="CDNOW: the whole histories of a cohort of 23,570 customers, 1997-01-01 to 1998-06-30",
    source="Fader & Hardie, brucehardie.com; also in the Python package lifetimes 0.11.3 (CDNOW_master.txt)",
    licence="none stated",
    files=(FILE,),
    lacks=(
        "order ids and times of day: an order is a customer and a day, at midnight UTC",
        "articles: every line is of the sku CD, with the number of discs",
        "prices of one disc: they are the line's value divided, rounded to a cent",
        "returns, browse events, visitors, consent, languages, markets (US stands for all)",
        "customers who came after the first 84 days",
    ),
    events=events,
)
