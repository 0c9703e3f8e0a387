"""A flat table becomes orders and returns; what can't be used is told with its column, and the others go on."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.events import OrderPlaced
from streams.datasets import DATASETS
from streams.datasets.dataset import Tally, installed_file
from streams.replay.sources.table import TableError, events_of_table, load_layout

LEAST = '[columns]\ncustomer = "who"\ntime = "when"\nprice = "paid"\n[values]\ncurrency = "EUR"\n'
LINES = LEAST.replace("[values]", 'order = "order"\nsku = "sku"\nquantity = "pieces"\n[values]')


def made(tmp_path, layout, table, name="table.csv"):
    (tmp_path / "layout.toml").write_text(layout)
    if isinstance(table, str):
        (tmp_path / name).write_text(table)
    else:
        pq.write_table(table, tmp_path / name)
    told: list[str] = []
    found = events_of_table(
        tmp_path / name, load_layout(tmp_path / "layout.toml"), lambda at, fault: told.append(f"{at}: {fault}")
    )
    return found, told


def test_customer_time_and_price_are_enough_and_events_come_in_order_of_time(tmp_path):
    found, told = made(tmp_path, LEAST, "who,when,paid\nbob,2024-03-06,7\nanna,2024-03-05,4.35\n")
    assert [(e.customer_id, e.lines[0].unit_price_minor, e.lines[0].sku) for e in found] == [("anna", 435, "any"), ("bob", 700, "any")]  # fmt: skip
    assert told == []


def test_rows_of_an_order_are_its_lines_wherever_they_stand_and_those_below_zero_a_return(tmp_path):
    table = "who;when;order;sku;pieces;paid\na;2024-03-05T09:00;1;x;2;1,50\nb;2024-03-05T09:00;2;x;1;1,50\na;2024-03-05T09:01;1;y;1;1.000,00\na;2024-03-05T09:01;1;x;-1;1,50\n"
    found, _ = made(tmp_path, LINES + '[amounts]\ndecimal = ","\n', table)
    first, other, back = found
    assert [(l.sku, l.quantity, l.unit_price_minor) for l in first.lines] == [("x", 2, 150), ("y", 1, 100_000)]
    assert (other.order_id, back.return_id, back.lines[0].refund_minor) == ("2", "1", 150)


def test_amounts_of_a_row_are_divided_among_its_pieces_and_a_negative_one_came_back(tmp_path):
    table = "who,when,order,sku,pieces,paid\na,2024-03-05,1,x,3,10\na,2024-03-06,2,x,3,-10\n"
    (order, back), _ = made(tmp_path, LINES + '[amounts]\nare = "of the row"\n', table)
    assert (order.lines[0].quantity, order.lines[0].unit_price_minor) == (3, 333)
    assert (back.lines[0].quantity, back.lines[0].refund_minor) == (3, 999)


def test_times_are_of_the_zone_named_and_of_the_format_named(tmp_path):
    layout = LEAST + '[times]\nformat = "%d.%m.%Y %H:%M"\nzone = "Europe/Berlin"\n'
    (order,), _ = made(tmp_path, layout, "who,when,paid\na,05.03.2024 09:12,1\n")
    assert order.occurred_at_ms == 1_709_626_320_000


def test_minor_units_are_those_of_the_currency(tmp_path):
    layout = LEAST.replace('"paid"', '"paid"\ncurrency = "money"').replace('[values]\ncurrency = "EUR"\n', "")
    found, _ = made(tmp_path, layout, "who,when,paid,money\na,2024-03-05,500,JPY\nb,2024-03-06,5.125,KWD\n")
    assert [e.lines[0].unit_price_minor for e in found] == [500, 5_125]


def test_guests_are_those_without_a_name_or_with_one_that_is_none(tmp_path):
    layout = LINES + 'guest = ["unknown"]\n'
    table = "who,when,order,sku,pieces,paid\n,2024-03-05,1,x,1,1\nunknown,2024-03-05,2,x,1,1\n"
    found, _ = made(tmp_path, layout, table)
    assert [e.customer_id for e in found] == [None, None]


def test_parquet_is_read_with_its_types(tmp_path):
    table = pa.table({
        "who": pa.array([17.0, None]), "when": [datetime.fromisoformat("2024-03-05T09:12")] * 2, "paid": [4.35, 1.0],
        "order": [1, 2], "sku": ["x", "y"], "pieces": [1, 2],
    })  # fmt: skip
    found, _ = made(tmp_path, LINES, table, "table.parquet")
    assert [(e.customer_id, e.order_id, e.lines[0].unit_price_minor) for e in found] == [
        ("17", "1", 435),
        (None, "2", 100),
    ]


@pytest.mark.parametrize(
    ("form", "when", "at_ms"),
    [
        ("unix seconds", "1604531163", 1_604_531_163_000),
        ("unix milliseconds", "1604531163123", 1_604_531_163_123),
        ("Excel", "44139.5", 1_604_487_600_000),  # 2020-11-04 12:00 in Berlin is 11:00 UTC
        ("Excel", "44139", 1_604_444_400_000),
    ],
)
def test_times_may_be_numbers(tmp_path, form, when, at_ms):
    layout = LEAST + f'[times]\nformat = "{form}"\nzone = "Europe/Berlin"\n'
    (order,), told = made(tmp_path, layout, f"who,when,paid\na,{when},1\nb,yesterday,1\nc,1e30,1\n")
    assert order.occurred_at_ms == at_ms
    assert [line.split(", got")[0] for line in told] == [
        f"table.csv:{row}: when: expected a time written as {form}" for row in (3, 4)
    ]


def test_a_time_that_no_zone_has_is_told_and_the_others_go_on(tmp_path):
    layout = LEAST + '[times]\nzone = "Europe/Berlin"\n'
    found, told = made(tmp_path, layout, "who,when,paid\na,0001-01-01,1\nb,2024-03-05,1\n")
    assert ([e.customer_id for e in found], len(told)) == (["b"], 1)


def test_a_point_that_groups_no_thousands_is_never_passed_over(tmp_path):
    table = "who;when;paid\na;2024-03-05;12.50\nb;2024-03-05;1.234.567,5\nc;2024-03-05;10.626\n"
    found, told = made(tmp_path, LEAST + '[amounts]\ndecimal = ","\n', table)
    assert [e.lines[0].unit_price_minor for e in found] == [123_456_750, 1_062_600]
    assert [line.split(";")[0] for line in told] == ['table.csv:2: paid: expected a number, got "12.50"']


def test_numbers_of_parquet_have_no_decimal_marks(tmp_path):
    table = pa.table({"who": ["a"], "when": ["2024-03-05"], "paid": [12.5]})
    (order,), _ = made(tmp_path, LEAST + '[amounts]\ndecimal = ","\n', table, "table.parquet")
    assert order.lines[0].unit_price_minor == 1_250


def test_a_table_in_another_encoding_is_told_with_the_cure(tmp_path):
    (tmp_path / "layout.toml").write_text(LEAST)
    (tmp_path / "old.csv").write_bytes("who,when,paid\nMüller,2024-03-05,1\n".encode("latin-1"))
    with pytest.raises(TableError, match="expected text in UTF-8, got the byte 0xfc; save it as UTF-8"):
        events_of_table(tmp_path / "old.csv", load_layout(tmp_path / "layout.toml"), lambda _at, _fault: None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,05/03/24,1,x,1,1", "table.csv:2: when: expected a time such as 2024-03-05"),
        ("a,2024-03-05,1,x,1.5,1", "table.csv:2: pieces: expected a whole number but 0, got"),
        ("a,2024-03-05,1,x,0,1", "table.csv:2: pieces: expected a whole number but 0, got"),
        ("a,2024-03-05,1,x,1,free", "table.csv:2: paid: expected a number, got"),
        ("a,2024-03-05,1,x,,1", "table.csv:2: pieces: expected a number, got"),
        ("a,2024-03-05,1," + "x" * 200 + ",1,1", "table.csv: 1: lines[0].sku: expected"),
    ],
)
def test_a_row_that_cant_be_used_is_told_and_the_others_go_on(tmp_path, row, said):
    found, told = made(tmp_path, LINES, f"who,when,order,sku,pieces,paid\n{row}\nb,2024-03-05,9,y,1,1\n")
    assert [e.order_id for e in found] == ["9"]
    assert [line[: len(said)] for line in told] == [said]


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (LEAST.replace('"who"', '"whom"'), "expected a column whom .columns.customer., got who, when, paid"),
        (LEAST.replace('customer = "who"', ""), "layout.toml: Object missing required field `customer`"),
        (LEAST + 'colour = "red"\n', "layout.toml: Object contains unknown field `colour`"),
        (LEAST.replace('currency = "EUR"', ""), "values.currency: expected"),
        (LEAST + '[times]\nzone = "Nowhere"\n', "times.zone: expected"),
        ("[columns", "layout.toml: "),
    ],
)
def test_what_is_wrong_with_a_layout_is_said(tmp_path, layout, said):
    with pytest.raises(TableError, match=said):
        made(tmp_path, layout, "who,when,paid\n")


def test_cdnow_as_a_table_gives_the_orders_of_its_adapter(tmp_path):
    path = installed_file("lifetimes", "lifetimes/datasets/CDNOW_master.txt")
    if path is None:
        pytest.skip("needs the package lifetimes")
    rows = [line.split() for line in path.read_text().splitlines()[:2_000]]
    layout = '[columns]\ncustomer = "customer_id"\ntime = "date"\nquantity = "number_of_cds"\nprice = "dollar_value"\n[values]\ncurrency = "USD"\n[times]\nformat = "%Y%m%d"\n[amounts]\nare = "of the row"\n'
    found, told = made(tmp_path, layout, "\n".join(",".join(row) for row in rows))
    assert told == []
    customers = {row[0] for row in rows[1:-10]}
    adapted = {
        (e.customer_id, e.occurred_at_ms): [(l.quantity, l.unit_price_minor) for l in e.lines]
        for _, e in DATASETS["cdnow"].events(Path(), Tally())
        if isinstance(e, OrderPlaced) and e.customer_id in customers
    }
    assert {
        (e.customer_id, e.occurred_at_ms): [(l.quantity, l.unit_price_minor) for l in e.lines]
        for e in found
        if isinstance(e, OrderPlaced) and e.customer_id in customers and (e.customer_id, e.occurred_at_ms) in adapted
    }.items() <= adapted.items()
    assert len(adapted) > 500
