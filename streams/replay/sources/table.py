"""A flat table of purchases as events: CSV or Parquet, a row a line of an order, with a small TOML that says which column is what.

    [columns]                      [values]                  [times]                       [amounts]
    customer = "Customer ID"       currency = "GBP"          format = "%Y-%m-%d %H:%M"     are = "of one piece"
    time = "InvoiceDate"           market = "UK"             zone = "Europe/London"
    order = "Invoice"
    sku = "StockCode"
    quantity = "Quantity"
    price = "Price"

Rows with the same order, customer and sign are one event: the rows of an order may lie apart, so the table is held in memory. Rows
below zero are returns. What can't be used is told with its row and column, and the others go on.
"""

import csv
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from schemas import faults
from schemas.errors import MaitredError
from schemas.events import Incoming, ItemsReturned, OrderLine, OrderPlaced, ReturnLine
from schemas.records import Fault
from streams.event_files import opened_parquet
from streams.settings.currencies import decimals

EXCEL = datetime(1899, 12, 30)  # noqa: DTZ001  # day 0 of a spreadsheet's dates; the zone follows
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBERED: Mapping[str, Callable[[Decimal], datetime]] = {  # formats of times that are numbers
    "unix seconds": lambda number: EPOCH + timedelta(milliseconds=int(number * 1_000)),
    "unix milliseconds": lambda number: EPOCH + timedelta(milliseconds=int(number)),
    "Excel": lambda number: EXCEL + timedelta(seconds=round(number * 86_400)),
}
GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+")  # what stands before the comma: 1.234.567

Text = Annotated[str, Meta(min_length=1)]
Row = Mapping[str, Any]  # Any: whatever a cell holds
OnFault = Callable[[str, Fault], None]


class TableError(MaitredError):
    """The table as a whole, or what is said of it, can't be used."""


class Columns(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which column is what."""

    customer: Text
    time: Text
    price: Text
    order: Text | None = None
    sku: Text | None = None
    quantity: Text | None = None
    currency: Text | None = None
    market: Text | None = None
    category: Text | None = None
    brand: Text | None = None


class Values(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds for every row, where no column says it."""

    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    market: Text = "all"
    guest: tuple[str, ...] = ("",)  # customers who are none


class Times(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: Text | None = None  # as Python's strptime has it, or one of `NUMBERED`; None: ISO 8601
    zone: Text = "UTC"  # of times that name none


class Amounts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    are: Literal["of one piece", "of the row"] = "of one piece"
    decimal: Literal[".", ","] = "."


class Layout(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    columns: Columns
    values: Values = Values()
    times: Times = Times()
    amounts: Amounts = Amounts()


class _Piece(Struct, frozen=True):
    """A row, understood. `quantity` is below zero of what came back."""

    customer: str | None
    order: str
    currency: str
    market: str
    at_ms: int
    sku: str
    quantity: int
    price_minor: int
    category: str | None
    brand: str | None


class _Unusable(Exception):  # it carries what is told
    def __init__(self, column: str, expected: str, got: object, cure: str) -> None:
        self.fault = Fault("invalid", column, expected, faults.shown(got), cure)


# ---- reading -------------------------------------------------------------------------------------------------------


def load_layout(path: Path) -> Layout:
    """What is said of a table. Raises `TableError` with what is wrong."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Layout)
    except OSError as error:
        raise TableError(f"{path}: expected a file that can be read, got: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise TableError(f"{path}: {error}; docs/event-files.md shows one that is whole") from error


def events_of_table(path: Path, layout: Layout, on_fault: OnFault) -> list[Incoming]:
    """The events of a table, in order of time. Raises `TableError` where a column lacks."""
    groups: dict[tuple[str | None, str, str, bool], list[_Piece]] = {}
    reader = _Reader(layout)
    for number, row in _rows(path, layout.columns):
        try:
            piece = reader.read(row)
        except _Unusable as error:
            on_fault(f"{path.name}:{number}", error.fault)
            continue
        key = (piece.customer, piece.order, piece.currency, piece.quantity < 0)
        groups.setdefault(key, []).append(piece)
    found = []
    for (_, order, _, _), pieces in groups.items():
        event = _order(pieces) if pieces[0].quantity > 0 else _return(pieces)
        try:
            found.append(msgspec.convert(msgspec.to_builtins(event), type(event)))
        except msgspec.ValidationError as error:
            on_fault(f"{path.name}: {order}", faults.violated(error, type(event), msgspec.to_builtins(event)))
    return sorted(found, key=lambda event: event.occurred_at_ms)


def _rows(path: Path, columns: Columns) -> Iterator[tuple[int, Row]]:
    """The rows, by the number of their line, or of their record in Parquet."""
    if not path.is_file():
        raise TableError(f"{path}: expected a table in CSV or Parquet, got no file")
    if path.suffix.lower() == ".parquet":
        file = opened_parquet(path)
        _check_columns(path, columns, file.schema_arrow.names)
        yield from enumerate((row for batch in file.iter_batches(16_384) for row in batch.to_pylist()), start=1)
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            head = file.readline()
            separator = max(",;\t|", key=head.count)
            file.seek(0)
            table = csv.DictReader(file, delimiter=separator)
            _check_columns(path, columns, table.fieldnames or ())
            for row in table:
                yield table.line_num, row
        except UnicodeDecodeError as error:
            got = f"the byte 0x{error.object[error.start]:02x}"
            cure = "save it as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8, or the spreadsheet's own way)"
            raise TableError(f"{path}: expected text in UTF-8, got {got}; {cure}") from error
        except csv.Error as error:
            raise TableError(f"{path}: expected CSV, got: {error}; mend the quotes") from error


def _check_columns(path: Path, columns: Columns, present: Any) -> None:  # Any: names
    for field, name in msgspec.structs.asdict(columns).items():
        if name is not None and name not in present:
            raise TableError(f"{path}: expected a column {name} (columns.{field}), got {', '.join(present) or 'none'}")


class _Reader:
    """Rows by a layout."""

    def __init__(self, layout: Layout) -> None:
        self._columns, self._values, self._times, self._amounts = (
            layout.columns,
            layout.values,
            layout.times,
            layout.amounts,
        )
        try:
            self._zone = ZoneInfo(layout.times.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise TableError(
                f"times.zone: expected a time zone such as Europe/Berlin, got {layout.times.zone!r}"
            ) from error
        if layout.columns.currency is None and layout.values.currency is None:
            raise TableError(
                'values.currency: expected a currency such as "EUR", got neither that nor columns.currency'
            )

    def read(self, row: Row) -> _Piece:
        """Raises `_Unusable`."""
        columns = self._columns
        customer, at_ms = self._text(row, columns.customer), self._at_ms(row)
        who = None if customer in (None, *self._values.guest) else customer
        currency = self._text(row, columns.currency) or self._values.currency or ""
        quantity, price_minor = self._bought(row, currency)
        return _Piece(
            customer=who,
            order=self._text(row, columns.order) or f"{customer}-{at_ms}",
            currency=currency,
            market=self._text(row, columns.market) or self._values.market,
            at_ms=at_ms,
            sku=self._text(row, columns.sku) or "any",
            quantity=quantity,
            price_minor=price_minor,
            category=self._text(row, columns.category),
            brand=self._text(row, columns.brand),
        )

    def _text(self, row: Row, column: str | None) -> str | None:
        value = None if column is None else row.get(column)
        if isinstance(value, float) and value.is_integer():  # a number with gaps, as pandas writes it
            value = int(value)
        return None if value is None or value != value else str(value).strip() or None  # noqa: PLR0124  # NaN

    def _at_ms(self, row: Row) -> int:
        value, column = row.get(self._columns.time), self._columns.time
        try:
            if isinstance(value, datetime):
                moment = value
            elif isinstance(value, date):
                moment = datetime(value.year, value.month, value.day)  # noqa: DTZ001  # the zone follows
            elif (of_number := NUMBERED.get(self._times.format or "")) is not None:
                moment = of_number(_decimal(str(value).strip()))
            elif self._times.format is not None:
                moment = datetime.strptime(str(value).strip(), self._times.format)  # noqa: DTZ007  # as above
            else:
                moment = datetime.fromisoformat(str(value).strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
            return (moment.astimezone(UTC) - EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):
            example = "such as 2024-03-05 or 2024-03-05T09:12"
            expected = f"a time {example if self._times.format is None else f'written as {self._times.format}'}"
            cure = f"say how times are written in times.format (as strptime has it, or {', '.join(NUMBERED)}), or correct it"
            raise _Unusable(column, expected, value, cure) from None

    def _bought(self, row: Row, currency: str) -> tuple[int, int]:
        """Pieces, below zero of what came back, and what one of them costs in minor units."""
        pieces = Decimal(1) if self._columns.quantity is None else self._number(row, self._columns.quantity)
        price = self._number(row, self._columns.price)
        if pieces != pieces.to_integral_value() or not pieces:
            raise _Unusable(
                str(self._columns.quantity),
                "a whole number but 0",
                str(pieces),
                "leave such rows out, or count in smaller pieces",
            )
        if self._amounts.are == "of the row":
            price = price / abs(pieces)
        sign = -1 if (pieces < 0) != (price < 0) else 1
        minor = (abs(price) * 10 ** decimals(currency)).to_integral_value(ROUND_HALF_EVEN)
        return sign * int(abs(pieces)), int(minor)

    def _number(self, row: Row, column: str) -> Decimal:
        value = row.get(column)
        text = str(value).strip() if value is not None else ""
        if self._amounts.decimal == "," and isinstance(value, str):  # numbers of Parquet have no marks
            whole, comma, rest = text.partition(",")
            if "." in whole and not GROUPED.fullmatch(whole):  # 12.50 is not 1250
                whole = ""
            text = whole.replace(".", "") + comma.replace(",", ".") + rest
        try:
            return _decimal(text)
        except ValueError:
            cure = f"correct it, or leave the row out; the decimal is {self._amounts.decimal!r} (amounts.decimal)"
            raise _Unusable(column, "a number", value, cure) from None


def _decimal(text: str) -> Decimal:
    """Raises `ValueError` where it is no finite number."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite():
        raise ValueError(text)
    return number


# ---- making events -------------------------------------------------------------------------------------------------


def _order(pieces: list[_Piece]) -> OrderPlaced:
    first = min(pieces, key=lambda piece: piece.at_ms)
    return OrderPlaced(
        order_id=first.order,
        customer_id=first.customer,
        occurred_at_ms=first.at_ms,
        currency=first.currency,
        market=first.market,
        lines=tuple(
            OrderLine(
                sku=p.sku, quantity=p.quantity, unit_price_minor=p.price_minor, category=p.category, brand=p.brand
            )
            for p in pieces
        ),
    )


def _return(pieces: list[_Piece]) -> ItemsReturned:
    first = min(pieces, key=lambda piece: piece.at_ms)
    return ItemsReturned(
        return_id=first.order,
        customer_id=first.customer,
        occurred_at_ms=first.at_ms,
        currency=first.currency,
        lines=tuple(
            ReturnLine(sku=p.sku, quantity=-p.quantity, refund_minor=-p.quantity * p.price_minor, category=p.category)
            for p in pieces
        ),
    )
