"""Public data sets become events without a row unaccounted for: on handmade tables always, on the real files where they are."""

import os
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from schemas.codec import Schemas, event_id, read_event
from schemas.registry import FileRegistry
from streams.datasets import DATASETS
from streams.datasets.cdnow import of_text
from streams.datasets.dataset import DatasetError, Tally, installed_file
from streams.datasets.preset import load_with

REPO = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("MAITRED_DATA", REPO.parent / "shared" / "data"))
SOLD = ("Invoice", "StockCode", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")
SOLD_LATER = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
JANUARY, JUNE = datetime.fromisoformat("2010-01-18T09:00"), datetime.fromisoformat("2010-06-18T09:00")


def at(moment, minute=0, hour=0):
    return moment.replace(minute=minute, hour=moment.hour + hour)


def write(path, names, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    pq.write_table(pa.table(dict(zip(names, map(list, columns), strict=True))), path)


def told(name, data):
    tally = Tally()
    sent = list(DATASETS[name].events(data, tally))
    assert tally.is_balanced
    return sent, tally


# ---- Online Retail II ----------------------------------------------------------------------------------------------


def sold(data, first, later=()):
    default = ("999999", "10000", 1, datetime.fromisoformat("2011-12-01"), 1.0, 1, "France")
    write(data / "online_retail_ii/year_2009_2010.parquet", SOLD, first or [default])
    write(data / "online_retail_ii/year_2010_2011.parquet", SOLD_LATER, later or [default])
    sent, tally = told("online-retail-ii", data)
    return [item for item in sent if getattr(item[1], "order_id", "") != "999999"], tally


def test_the_lines_of_an_invoice_become_one_order_even_if_others_lie_between_and_equal_lines_are_kept(tmp_path):
    rows = [
        ("500001", "85048", 12, at(JANUARY), 6.95, 13085, "United Kingdom"),
        ("500002", "22041", 1, at(JANUARY), 2.10, 13086, "EIRE"),
        ("500001", "85048", 12, at(JANUARY, 1), 6.95, 13085, "United Kingdom"),
    ]
    sent, tally = sold(tmp_path, rows)
    (topic, order), (_, other) = sent
    assert (topic, order.order_id, order.customer_id, order.market, order.currency) == (
        "orders", "500001", "13085", "United Kingdom", "GBP",
    )  # fmt: skip
    assert [(l.sku, l.quantity, l.unit_price_minor) for l in order.lines] == [("85048", 12, 695)] * 2
    assert order.occurred_at_ms == 1_263_805_200_000  # 2010-01-18 09:00 UTC: the first of its two times
    assert other.order_id == "500002"
    assert tally.events["orders"] == 3


def test_local_time_becomes_utc(tmp_path):
    rows = [("500001", "85048", 1, at(JUNE), 1.0, 1, "France")]
    ((_, order),), _ = sold(tmp_path, rows)
    assert order.occurred_at_ms == 1_276_848_000_000  # 08:00 UTC in British summer time


def test_what_lies_in_both_sheets_counts_once(tmp_path):
    both = ("536365", "85123A", 6, datetime.fromisoformat("2010-12-01T08:26"), 2.55, 17850, "United Kingdom")
    sent, tally = sold(tmp_path, [both], [both])
    assert len(sent) == 1
    assert tally.skipped == {"in_both_sheets": 1}


def test_an_invoice_without_customer_is_a_guests_order(tmp_path):
    ((_, order),), tally = sold(
        tmp_path,
        [
            ("500001", "85048", 1, at(JANUARY), 1.0, None, "France"),
        ],
    )
    assert order.customer_id is None
    assert tally.events["guest_orders"] == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("A500001", "B", 1, at(JANUARY), -53594.36, None, "United Kingdom"), "bad_debt"),
        (("500001", "POST", 1, at(JANUARY), 18.0, 1, "France"), "not_a_product"),
        (("500001", "m", 1, at(JANUARY), 18.0, 1, "France"), "not_a_product"),
        (("C500001", "BANK CHARGES", -1, at(JANUARY), 18.0, None, "France"), "not_a_product"),
        (("500001", "85048", -7, at(JANUARY), 0.0, None, "France"), "stock_correction"),
        (("C500001", "85048", 1, at(JANUARY), 3.0, 1, "France"), "impossible_quantity"),
        (("500001", "85048", 0, at(JANUARY), 3.0, 1, "France"), "impossible_quantity"),
        (("500001", "85048", 1, at(JANUARY), -3.0, 1, "France"), "negative_price"),
    ],
)
def test_what_is_no_line_of_an_order_is_left_out_for_a_named_reason(tmp_path, row, reason):
    sent, tally = sold(tmp_path, [row])
    assert sent == []
    assert tally.skipped == {reason: 1}


def test_lines_at_price_zero_are_free_lines(tmp_path):
    ((_, order),), _ = sold(tmp_path, [("500001", "85048", 2, at(JANUARY), 0.0, 1, "France")])
    assert [(l.quantity, l.unit_price_minor) for l in order.lines] == [(2, 0)]


def test_a_c_invoice_of_things_bought_today_is_a_cancellation_and_otherwise_a_return(tmp_path):
    rows = [
        ("500001", "85048", 12, at(JANUARY), 6.95, 1, "France"),
        ("C500002", "85048", -12, at(JANUARY, 15), 6.95, 1, "France"),
        ("C500003", "22041", -1, at(JANUARY, 20), 2.10, 1, "France"),
        ("C500004", "85048", -1, at(JUNE), 6.95, 1, "France"),
    ]
    sent, tally = sold(tmp_path, rows)
    returns = [event for topic, event in sent if topic == "returns"]
    assert [(r.return_id, r.kind) for r in returns] == [
        ("C500002", "cancelled"), ("C500003", "returned"), ("C500004", "returned"),
    ]  # fmt: skip
    assert [(l.sku, l.quantity, l.refund_minor) for l in returns[0].lines] == [("85048", 12, 8_340)]
    assert tally.used == {"order_lines": 2, "return_lines": 3}


def test_at_equal_times_an_order_comes_before_its_cancellation(tmp_path):
    rows = [
        ("C500001", "85048", -1, at(JANUARY), 6.95, 1, "France"),
        ("500002", "85048", 1, at(JANUARY), 6.95, 1, "France"),
    ]
    sent, _ = sold(tmp_path, rows)
    assert [topic for topic, _ in sent] == ["orders", "returns"]


def test_an_invoice_that_comes_back_after_hours_is_not_announced_twice(tmp_path):
    rows = [
        ("500001", "85048", 1, at(JANUARY), 1.0, 1, "France"),
        ("500002", "85048", 1, at(JANUARY, hour=2), 1.0, 1, "France"),
        ("500001", "22041", 1, at(JANUARY, hour=2), 1.0, 1, "France"),
    ]
    sent, tally = sold(tmp_path, rows)
    assert [event.order_id for _, event in sent] == ["500001", "500002"]
    assert tally.skipped == {"invoice_reopened": 1}


# ---- CDNOW ---------------------------------------------------------------------------------------------------------


def test_cdnow_rows_of_a_customer_and_day_are_one_order_and_orders_come_by_day(tmp_path):
    rows = [
        ("00001", "19970105", 1, 11.77), ("00002", "19970101", 1, 12.00), ("00002", "19970101", 5, 77.00),
        ("00003", "19970101", 2, 29.33), ("00004", "19970102", 1, 0.0),
    ]  # fmt: skip
    write(tmp_path / "cdnow/cdnow_master.parquet", ("customer_id", "date", "number_of_cds", "dollar_value"), rows)
    sent, tally = told("cdnow", tmp_path)
    assert [event.order_id for _, event in sent] == [
        "00002-19970101", "00003-19970101", "00004-19970102", "00001-19970105",
    ]  # fmt: skip
    assert [(l.quantity, l.unit_price_minor) for l in sent[0][1].lines] == [(1, 1200), (5, 1540)]
    assert sent[1][1].lines[0].unit_price_minor == 1466  # half of 29.33, rounded
    assert (tally.rows, tally.events) == (5, {"orders": 4})


# ---- REES46 --------------------------------------------------------------------------------------------------------

SEEN = ("event_time", "event_type", "product_id", "category_code", "brand", "price", "user_id", "user_session")


def seen(data, *rows):
    full = [
        (f"2019-10-01 {time} UTC", kind, sku, "shoes.boots", None, 1.5, user, session)
        for time, kind, sku, user, session in rows
    ]
    write(data / "rees46_2019oct_slice/2019-Oct.parquet", SEEN, full)
    return told("rees46", data)


def test_a_user_is_a_visitor_until_the_first_purchase_and_a_customer_afterwards(tmp_path):
    sent, _ = seen(
        tmp_path,
        ("08:00:00", "view", "a", "7", "s"),
        ("08:00:05", "purchase", "a", "7", "s"),
        ("09:00:00", "cart", "b", "7", "t"),
    )
    (_, view), (_, order), (_, cart) = sent
    assert (view.visitor_id, view.customer_id, view.kind) == ("v7", None, "view")
    assert (order.visitor_id, order.customer_id) == ("v7", "7")
    assert (cart.visitor_id, cart.customer_id, cart.kind) == ("v7", "7", "add_to_cart")


def test_purchases_of_a_session_are_one_order_at_the_last_of_them_and_equal_rows_are_pieces(tmp_path):
    sent, tally = seen(
        tmp_path,
        ("08:00:00", "purchase", "a", "7", "s"),
        ("08:01:00", "purchase", "a", "7", "s"),
        ("08:02:00", "view", "c", "8", "u"),
        ("08:05:00", "purchase", "b", "7", "s"),
        ("09:00:00", "purchase", "d", "7", "s"),
    )
    orders = [event for topic, event in sent if topic == "orders"]
    assert [topic for topic, _ in sent] == ["browse", "orders", "orders"]
    assert [[l.sku for l in order.lines] for order in orders] == [["a", "a", "b"], ["d"]]
    assert len({order.order_id for order in orders}) == 2
    assert tally.used == {"order_lines": 4, "browse": 1}


def test_equal_views_are_events_of_their_own_and_unknown_kinds_are_left_out(tmp_path):
    sent, tally = seen(
        tmp_path,
        ("08:00:00", "view", "a", "7", "s"),
        ("08:00:00", "view", "a", "7", "s"),
        ("08:00:01", "remove_from_cart", "a", "7", "s"),
    )
    assert [event.event_id for _, event in sent] == ["2019-Oct/1", "2019-Oct/2"]
    assert tally.skipped == {"event_type_remove_from_cart": 1}


# ---- files that are not there, or not what they should be ----------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_file_is_named_with_the_cure(tmp_path, name):
    dataset = replace(DATASETS[name], package="")
    with pytest.raises(DatasetError, match=f"{dataset.files[0]}: expected a file of {name}, got none; .*--data"):
        dataset.found(tmp_path)
    with pytest.raises(DatasetError, match=f"{name}: .*--data"):
        dataset.found(None)


def test_cdnow_is_found_in_an_installed_package_which_is_not_imported(tmp_path):
    if installed_file("lifetimes", "lifetimes/datasets/CDNOW_master.txt") is None:
        pytest.skip("needs the package lifetimes")
    assert [path.name for path in DATASETS["cdnow"].found(tmp_path)] == ["CDNOW_master.txt"]
    sent, tally = told("cdnow", tmp_path)
    assert (tally.rows, len(sent)) == (69_659, 67_591)
    assert "lifetimes" not in sys.modules
    if (REAL / DATASETS["cdnow"].files[0]).exists():
        assert sent == told("cdnow", REAL)[0]


def test_a_file_of_a_package_that_is_not_installed_or_has_none_such_is_not_there():
    assert installed_file("no-such-package", "x.txt") is None
    assert installed_file("msgspec", "msgspec/no-such-file") is None


def test_text_with_other_columns_is_told(tmp_path):
    path = tmp_path / "CDNOW_master.txt"
    path.write_text(" customer date\n 1 19970101\n")
    with pytest.raises(DatasetError, match=r"expected columns date, customer_id, .* got customer, date"):
        list(of_text(path))


def test_a_missing_column_is_named(tmp_path):
    write(tmp_path / "cdnow/cdnow_master.parquet", ("customer", "date"), [("1", "19970101")])
    with pytest.raises(DatasetError, match="expected a column customer_id, got customer, date"):
        list(DATASETS["cdnow"].events(tmp_path, Tally()))


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_says_where_it_is_from_and_what_it_lacks(name):
    dataset = DATASETS[name]
    assert all((dataset.title, dataset.source, dataset.licence, dataset.files, dataset.lacks))


# ---- presets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_a_preset_makes_settings_that_hold_together_at_every_horizon(name):
    preset = DATASETS[name].preset
    for horizon in (None, *preset.horizons):
        settings = load_with(preset, None, {}, horizon)
        assert settings.scoring.horizon_days == (horizon or preset.main_horizon_days)
    assert preset.because


def test_the_presets_say_what_was_decided_beforehand():
    retail, cdnow = (load_with(DATASETS[name].preset, None, {}) for name in ("online-retail-ii", "cdnow"))
    assert (retail.money.base, retail.scoring.vip_amount_minor, str(retail.scoring.decide_from)) == (
        "GBP",
        119_900,
        "2010-03-01",
    )
    assert (cdnow.money.base, cdnow.scoring.decide_from, cdnow.scoring.outcomes_days) == ("USD", None, (30, 180))
    assert load_with(DATASETS["cdnow"].preset, None, {}, 30).scoring.outcomes_days == (30,)


@pytest.mark.parametrize(("horizon", "amount_minor"), [(180, 9_420), (30, 2_614)])
def test_the_amount_of_cdnow_is_the_top_tenth_of_the_first_60_percent_of_customers(horizon, amount_minor):
    sent, _ = told("cdnow", REAL)
    first: dict[str, int] = {}
    after = Counter[str]()
    for _, order in sent:
        at_ms = first.setdefault(order.customer_id, order.occurred_at_ms)
        if 0 < order.occurred_at_ms - at_ms <= horizon * 86_400_000:
            after[order.customer_id] += sum(l.quantity * l.unit_price_minor for l in order.lines)
    customers = sorted(first, key=lambda customer: (first[customer], customer))
    outcomes = sorted(after[customer] for customer in customers[: len(customers) * 6 // 10])
    assert abs(outcomes[len(outcomes) * 9 // 10] - amount_minor) <= 20  # prices of one disc are rounded to a cent


def test_what_the_file_and_the_environment_set_goes_before_the_preset_but_not_repeated_defaults(tmp_path):
    path, preset = tmp_path / "maitred.toml", DATASETS["online-retail-ii"].preset
    path.write_text('partitions = 12\n[money]\nbase = "EUR"\nrates = {EUR = 1.0}\n[scoring]\nvip_amount_minor = 5\n')
    settings = load_with(preset, path, {"MAITRED_SCORING__DECIDE_FROM": "2010-05-01"})
    assert (settings.partitions, settings.money.base, settings.scoring.vip_amount_minor) == (12, "GBP", 5)
    assert str(settings.scoring.decide_from) == "2010-05-01"
    path.write_text('[scoring]\nvip_tier = "gold"\n')
    assert load_with(preset, path, {}).scoring.vip_amount_minor is None


# ---- the real files ------------------------------------------------------------------------------------------------

COUNTS = {
    "online-retail-ii": (
        1_067_370,
        {"orders": 36_597, "guest_orders": 4_783, "returns": 7_283, "guest_returns": 124},
        {"in_both_sheets": 22_523, "not_a_product": 5_705, "stock_correction": 3_392, "bad_debt": 6},
    ),
    "cdnow": (69_659, {"orders": 67_591}, {}),
    "rees46": (5_019, {"browse": 4_965, "orders": 50}, {}),
}


@pytest.mark.parametrize("name", DATASETS)
def test_the_real_files_give_valid_events_in_order_each_with_an_id_of_its_own(name):
    try:
        DATASETS[name].found(REAL)
    except DatasetError:
        pytest.skip(f"needs the files of {name}; set MAITRED_DATA")
    tally, schemas = Tally(), Schemas(FileRegistry())
    reached_ms, ids = 0, set()
    for number, (topic, event) in enumerate(DATASETS[name].events(REAL, tally)):
        assert event.occurred_at_ms >= reached_ms
        reached_ms = event.occurred_at_ms
        ids.add(event_id(event))
        if number % 20 == 0:
            assert read_event(topic, msgspec.json.encode(event), (), schemas) == event
    assert len(ids) == tally.events.total()
    assert tally.is_balanced
    assert (tally.rows, tally.events, tally.skipped) == COUNTS[name]
