"""`maitred events check` tells what is wrong with event files, what was hardly meant, and which settings would suit them."""

import json
import tomllib
from pathlib import Path
from typing import Any

import fastavro
import pytest
from typer.testing import CliRunner

from schemas.definitions import definition_of
from streams.cli import app
from streams.settings import read

DAY_MS = 86_400_000
FROM_MS = 1_293_840_000_000  # 2011-01-01
LINE = {"sku": "boot", "quantity": 1, "unit_price_minor": 10_000}


def order(number, customer, day, **changes) -> dict[str, Any]:
    return {
        "type": "OrderPlaced", "order_id": str(number), "customer_id": customer, "occurred_at_ms": FROM_MS + day * DAY_MS,
        "currency": "EUR", "market": "DE", "lines": [LINE],
    } | changes  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(*events, name="events.jsonl"):
    Path(name).write_text("".join(json.dumps(event) + "\n" for event in events))


def checked(*options, exit_code=0):
    result = CliRunner().invoke(app, ["events", "check", "events.jsonl", "--json", *options], catch_exceptions=False)
    assert result.exit_code == exit_code
    return json.loads(result.stdout)


def remarks(*events, exit_code=0):
    write(*events)
    return " / ".join(checked(exit_code=exit_code)["remarks"])


def test_problems_are_told_one_by_one_and_the_rest_counted():
    write(*(order(number, "a", 0, lines=[]) for number in range(5)), order(9, "a", 1))
    result = CliRunner().invoke(app, ["events", "check", "events.jsonl", "--problems", "2"])
    told = [line for line in result.stderr.splitlines() if line.startswith(("events", "..."))]
    assert [line[:22] for line in told] == ["events.jsonl:1: lines:", "events.jsonl:2: lines:", "... and 3 more"]
    facts = checked(exit_code=1)
    assert (facts["rows"], facts["would_be_rejected"], facts["by_error"]) == (6, 5, {"invalid": 5})
    assert [problem["field"] for problem in facts["problems"]] == ["lines"] * 5


def test_a_field_of_another_name_is_told_with_the_one_that_may_be_meant():
    event = order(1, None, 0) | {"customerId": "anna", "colour": "red", "lines": [LINE | {"Category": "shoes"}]}
    told = remarks(event)
    assert "the field customerId of OrderPlaced is passed over: is it customer_id?" in told
    assert "the field colour of OrderPlaced is passed over /" in told + " /"
    assert "the field lines[].Category of OrderPlaced is passed over: is it category?" in told
    assert "no order names a customer" in told


def test_fields_of_avro_are_looked_at_too():
    schema = json.loads(definition_of("ConsentChanged"))
    schema["fields"].append({"name": "reason", "type": "string"})
    with Path("events.avro").open("wb") as file:
        fastavro.writer(file, schema, [{"customer_id": "a", "occurred_at_ms": FROM_MS, "granted": True, "reason": "x"}])
    result = CliRunner().invoke(app, ["events", "check", "events.avro"])
    assert "the field reason of ConsentChanged is passed over" in result.stderr


def test_an_id_used_for_two_orders_is_a_conflict_and_the_same_order_twice_a_repetition():
    write(order(1, "a", 0), order(1, "a", 0), order(1, "a", 3), order(1, "b", 3))
    facts = checked(exit_code=1)
    assert (facts["repeated"], facts["by_error"], facts["customers"]) == (1, {"conflict": 1}, 2)
    assert "OrderPlaced 1 of a: 1 more with other content" in " ".join(facts["remarks"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"currency": "GBP"}, '2 orders and returns are in GBP, which the settings do not know: they will be rejected; set money.base = "GBP"'),
        ({"lines": [LINE | {"unit_price_minor": 49}]}, "more than half of the lines cost less than one unit"),
        ({}, "every line is of one sku, boot"),
        ({}, "less than 60 days"),
        ({}, "no ItemsReturned"),
    ],
)  # fmt: skip
def test_what_was_hardly_meant_is_remarked(changes, said):
    assert said in remarks(order(1, "a", 0, **changes), order(2, "b", 1, **changes))


def test_small_prices_are_right_where_a_currency_has_no_smaller_unit():
    yen = {"currency": "JPY", "lines": [LINE | {"unit_price_minor": 49}]}
    assert "less than one unit" not in remarks(order(1, "a", 0, **yen), order(2, "b", 1, **yen))


def test_unusable_rows_of_a_table_are_told_one_by_one_and_the_rest_counted():
    Path("layout.toml").write_text('[columns]\ncustomer = "c"\ntime = "t"\nprice = "p"\n[values]\ncurrency = "EUR"\n')
    Path("sales.csv").write_text("c,t,p\n" + "a,yesterday,1\n" * 5)
    make = ["events", "make", "sales.csv", "--layout", "layout.toml", "--problems", "2", "--to"]
    result = CliRunner().invoke(app, [*make, "sales.jsonl"])
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [
        "sales.csv:2",
        "sales.csv:3",
        "... and 3 more",
    ]
    lost = CliRunner().invoke(app, [*make, "nowhere/sales.jsonl"])
    assert lost.exit_code == 1
    assert "error: nowhere/sales.jsonl: No such file or directory; look where it is" in lost.stderr


def test_without_orders_it_is_said_that_there_is_nobody():
    assert "nobody to look at" in remarks(
        {"type": "ConsentChanged", "customer_id": "a", "occurred_at_ms": FROM_MS, "granted": True}
    )


def suggestion(*events):
    write(*events)
    result = CliRunner().invoke(app, ["events", "check", "events.jsonl", "--suggest"], catch_exceptions=False)
    table = tomllib.loads(result.stdout)
    read(table, {})  # settings that hold together
    return table


def shop(come_on):
    """Ten customers for each day; each comes back after 20 days, for as many cents as their number."""
    for day in come_on:
        for number in range(10):
            who, line = f"{day}-{number}", LINE | {"unit_price_minor": 1 + number}
            yield order(f"{who}-1", who, day)
            yield order(f"{who}-2", who, day + 20, lines=[line])


def test_a_shop_that_goes_on_is_burnt_in_and_the_amount_is_what_a_tenth_of_the_earlier_customers_reached():
    table = suggestion(*shop(range(0, 600, 10)))
    assert table["money"] == {"base": "EUR"}
    assert str(table["scoring"].pop("decide_from")) == "2011-04-01"
    assert table["scoring"] == {"horizon_days": 180, "outcomes_days": [30, 180], "vip_amount_minor": 9}
    assert table["assignment"] == {"consent": "not_withdrawn"}


def test_the_amount_does_not_know_of_later_customers():
    rich = [order(f"{n}-2", f"590-{n}", 610, lines=[LINE | {"unit_price_minor": 10**6}]) for n in range(10)]
    assert suggestion(*shop(range(0, 600, 10)), *rich) == suggestion(*shop(range(0, 600, 10)))


def test_a_cohort_is_not_burnt_in():
    scoring = suggestion(*shop(range(0, 60, 10)), order("last", "0-0", 400))["scoring"]
    assert "decide_from" not in scoring
    assert scoring["vip_amount_minor"] == 9


def test_a_short_history_has_a_short_horizon():
    scoring = suggestion(*shop(range(0, 50, 10)))["scoring"]
    assert (scoring["horizon_days"], scoring["look_days"]) == (30, [7, 14])


def test_rates_that_nobody_has_set_are_to_be_filled_in():
    events = [*shop(range(0, 600, 10)), *(order(f"g{n}", f"g{n}", n, currency="GBP") for n in range(20))]
    assert suggestion(*events)["money"] == {"base": "EUR", "rates": {"GBP": 1.0}}


def test_without_customers_nothing_is_suggested():
    assert suggestion(order(1, None, 0)) == {}
