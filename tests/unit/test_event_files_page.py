"""docs/event-files.md, from which a stranger makes event files: what it shows is run here, in a folder of its own."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.replay.rows import read_payload
from streams.replay.sources.files import FileSource

PAGE = Path(__file__).resolve().parents[2] / "docs" / "event-files.md"
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
OUTPUTS = re.findall(r"<!-- output: maitred (.*?) -->\n```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


def events(name) -> list[Any]:
    rows = [row for batch in FileSource([name], 4).batches() for row in batch.to_pylist()]
    return [read_payload(row["kind"], row["payload"]) for row in rows]


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_the_example_makes_orders_returns_and_a_guest_of_a_table_of_lines():
    runpy.run_path("make_events.py")
    found = events("sales.jsonl")
    assert [type(event).__name__ for event in found] == ["OrderPlaced"] * 4 + ["ItemsReturned"]
    assert [event.customer_id for event in found] == ["17", None, "18", "17", "18"]
    assert found[0].occurred_at_ms == 1_709_626_320_000  # 08:12 UTC
    assert [(line.sku, line.quantity, line.unit_price_minor) for line in found[0].lines] == [
        ("boot-38", 1, 49_000),
        ("laces", 2, 495),
    ]
    assert found[4].lines[0].refund_minor == 129_000


def test_the_outputs_shown_are_those_of_the_commands():
    runpy.run_path("make_events.py")
    assert OUTPUTS
    for command, shown in OUTPUTS:
        result = run(*command.split())
        assert (result.exit_code, [line.rstrip() for line in result.stdout.splitlines()]) == (
            0, [line.rstrip() for line in shown.splitlines()],
        )  # fmt: skip


def test_the_smallest_event_is_one():
    (line,) = re.findall(r"```json\n(.*?)\n```", PAGE.read_text(encoding="utf-8"))
    Path("one.jsonl").write_text(line)
    assert events("one.jsonl")[0].order_id == "A-1"


def test_the_layout_makes_the_very_events_of_the_program():
    runpy.run_path("make_events.py")
    by_program = events("sales.jsonl")
    assert run("events", "make", "sales.csv", "--layout", "sales.toml", "--to", "again.jsonl").exit_code == 0
    assert sorted(map(repr, events("again.jsonl"))) == sorted(map(repr, by_program))


def test_customer_date_and_amount_are_enough():
    Path("purchases.csv").write_text("customer,date,amount\n7,2024-03-05,4.35\n8,2024-03-06,20\n")
    runpy.run_path("purchases.py")
    assert [(event.customer_id, event.lines[0].unit_price_minor) for event in events("purchases.jsonl")] == [
        ("7", 435),
        ("8", 2_000),
    ]


def test_the_parquet_example_is_read():
    runpy.run_path("parquet.py")
    assert [(event.order_id, event.customer_id, event.lines[0].sku) for event in events("OrderPlaced-2024.parquet")] == [
        ("A-1", "c-7", "boot-38"), ("A-2", None, "laces"),
    ]  # fmt: skip


LINE = {"sku": "boot-38", "quantity": 1, "unit_price_minor": 49_000}
ORDER = {
    "type": "OrderPlaced", "order_id": "A-1", "customer_id": "c-7", "occurred_at_ms": 1_290_000_000_000, "currency": "EUR",
    "market": "DE", "lines": [LINE],
}  # fmt: skip
MADE = {
    "an amount with a point": ORDER | {"lines": [LINE | {"unit_price_minor": 490.0}]},
    "a negative quantity": ORDER | {"lines": [LINE | {"quantity": -1}]},
    "seconds": ORDER | {"occurred_at_ms": 1_290_000_000},
    "a date as text": ORDER | {"occurred_at_ms": "2010-11-17"},
    "no lines": ORDER | {"lines": []},
    "a number as id": ORDER | {"order_id": 1001},
    "no type": {name: value for name, value in ORDER.items() if name != "type"},
    "an empty customer": ORDER | {"customer_id": ""},
}


def problems():
    Path("sales.jsonl").write_text("".join(json.dumps(event) + "\n" for event in MADE.values()))
    result = run("events", "check", "sales.jsonl")
    assert result.exit_code == 1
    return [line for line in result.stderr.splitlines() if line.startswith("sales.jsonl:")]


def test_the_problems_shown_are_told_so():
    shown = re.findall(r"^\| ([^|]+) \| `` (sales\.jsonl:.*?) `` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert shown == list(zip(MADE, problems(), strict=True))
