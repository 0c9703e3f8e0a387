"""One customer's story through the scorer's core, as the bytes it gives. The file changes only with a commit that says why.

To write it anew: MAITRED_WRITE_GOLDEN=1 python -m pytest tests/golden
"""

import os
from pathlib import Path

import msgspec

from features.store import MemoryStore, Position
from online_models.model import load_model
from schemas.events import Event, ItemsReturned, OrderLine, OrderPlaced, PageBrowsed, ReturnLine
from schemas.records import Announcement, Batch, Record, Run, State
from streams import engine
from tests.property.histories import CUSTOMERS, DAY_MS, HERE, POLICY, START_MS, VISITORS

GOLDEN = Path(__file__).with_name("first_purchase.jsonl")
DAY = START_MS + 10 * DAY_MS
CUSTOMER, VISITOR = CUSTOMERS[0], VISITORS[0]

STORY: tuple[tuple[str, Event | None], ...] = (
    ("browse", PageBrowsed(event_id="e1", occurred_at_ms=DAY, visitor_id=VISITOR, sku="bag", price_minor=40_000, currency="EUR", dwell_ms=90_000)),
    ("browse", PageBrowsed(event_id="e2", occurred_at_ms=DAY + 60_000, kind="add_to_cart", visitor_id=VISITOR, sku="bag")),
    ("orders", OrderPlaced(
        order_id="o1", occurred_at_ms=DAY + 120_000, currency="EUR", market="DE", language="de", customer_id=CUSTOMER, visitor_id=VISITOR,
        lines=(OrderLine(sku="bag", quantity=1, unit_price_minor=40_000, category="bags"), OrderLine(sku="belt", quantity=1, unit_price_minor=9_000, discount_minor=900)),
    )),
    ("returns", ItemsReturned(return_id="r1", occurred_at_ms=DAY + 9 * DAY_MS, currency="EUR", customer_id=CUSTOMER, lines=(ReturnLine(sku="belt", quantity=1, refund_minor=8_100),))),
    ("orders", OrderPlaced(order_id="o2", occurred_at_ms=DAY + 20 * DAY_MS, currency="GBP", market="DE", customer_id=CUSTOMER, lines=(OrderLine(sku="coat", quantity=1, unit_price_minor=70_000),))),
    ("", None),
)  # fmt: skip


def told() -> list[str]:
    """What is announced, one JSON line each, a batch for each event, and a year of silence after them."""
    store, lines = MemoryStore(), []
    for entry, (topic, event) in enumerate(STORY):
        records = () if event is None else (Record(topic, HERE, entry, event.occurred_at_ms, None, b"", (), event),)
        watermark_ms = DAY + 400 * DAY_MS if event is None else event.occurred_at_ms
        batch = Batch(HERE, entry, (Run(topic, records, watermark_ms),))
        needs = engine.needs(batch, POLICY)
        loaded = store.load(HERE, needs.keys, needs.due_by_ms)
        more = store.load(HERE, engine.companions(key for _, key in loaded.due), -1).values
        decision = engine.decide(State({**loaded.values, **more}, {}, loaded.due), batch, load_model(None), POLICY)
        store.apply(HERE, entry, Position(entry + 1), decision.writes)
        announced = [output for output in decision.outputs if isinstance(output, Announcement)]
        lines += [f"{output.topic} {msgspec.json.encode(output.event).decode()}" for output in announced]
    return lines


def test_the_story_is_told_as_before() -> None:
    """First look with the visitor's browsing, second looks, tiers, examples at both horizons."""
    lines = told()
    if os.environ.get("MAITRED_WRITE_GOLDEN"):
        GOLDEN.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == GOLDEN.read_text(encoding="utf-8").splitlines()
