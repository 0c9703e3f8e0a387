"""CDNOW: all purchases of the customers who came first in early 1997, up to mid-1998. The file is small: it is sorted here.

Where no data folder has it, it is taken from the package lifetimes, which carries it as text and is not imported.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from schemas.events import CustomerId, OrderLine, OrderPlaced
from streams.datasets.dataset import Dataset, DatasetError, Row, Sent, Tally, minor, rows
from streams.datasets.preset import Preset

FILE = "cdnow/cdnow_master.parquet"
COLUMNS = ("date", "customer_id", "number_of_cds", "dollar_value")
by_day_and_customer = itemgetter(0, 1)


def events(data: Path, tally: Tally) -> Iterator[Sent]:
    """One order a customer and day, by day and customer."""
    everything = sorted(_usable(data, tally), key=by_day_and_customer)  # stable: a day's lines stay as they were
    for (day, customer), lines in groupby(everything, by_day_and_customer):
        yield "orders", _order(day, customer, list(lines), tally)


def _usable(data: Path, tally: Tally) -> Iterator[Row]:
    for row in _rows(CDNOW.found(data)[0]):
        tally.rows += 1
        if row[2] < 1:
            tally.skip("no_quantity")
        elif row[3] < 0:
            tally.skip("negative_price")
        else:
            yield row


def _rows(path: Path) -> Iterator[Row]:
    return rows(path, COLUMNS) if path.suffix == ".parquet" else of_text(path)


def of_text(path: Path) -> Iterator[Row]:
    """The rows of CDNOW_master.txt: columns between blanks, the first line names them."""
    lines = path.read_text(encoding="ascii").splitlines()
    names = lines[0].split() if lines else []
    if sorted(names) != sorted(COLUMNS):
        raise DatasetError(f"{path}: expected columns {', '.join(COLUMNS)}, got {', '.join(names) or 'nothing'}")
    customer, day, quantity, value = (
        names.index(name) for name in ("customer_id", "date", "number_of_cds", "dollar_value")
    )
    for line in lines[1:]:
        if cells := line.split():
            yield cells[day], cells[customer], int(cells[quantity]), float(cells[value])


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
        "articles: every line is of the sku CD, with the number of discs, so breadth is the number of discs",
        "prices of one disc: they are the line's value divided, rounded to a cent",
        "returns, browse events, visitors, consent, languages, markets (US stands for all)",
        "customers who came after the first 84 days: at 180 days every first look is a cold start",
    ),
    events=events,
    preset=Preset(
        settings={
            "money": {"base": "USD"},
            "scoring": {"horizon_days": 180, "outcomes_days": (30, 180), "vip_amount_minor": 9_420},
            "assignment": {"consent": "not_withdrawn"},
            "learning": {"learn_from_treated": True},
        },
        horizons={
            30: {
                "scoring": {
                    "horizon_days": 30,
                    "outcomes_days": (30,),
                    "vip_amount_minor": 2_614,
                    "look_days": (7, 14),
                    "looks_until_days": 29,
                },
            },
        },
        because=(
            "all customers are new, from the first day: no burn-in",
            "a VIP spends 94.20 USD or more in the 180 days after the first order (26.14 USD in 30)",
            "that is the top tenth of the first 60 % of customers by first order, found on them alone",
            "nobody was asked for consent: who did not refuse counts",
            "nobody was served: whom the replay gives an advisor teaches, too, for nothing changed what became of them",
        ),
        reported_from="the last 40 % of customers by first order",
    ),
    package="lifetimes",
    in_package="lifetimes/datasets/CDNOW_master.txt",
    cure="`pip install lifetimes==0.11.3` (or maitred[replay]), which carries it, or name the folder that holds it with --data",
)
