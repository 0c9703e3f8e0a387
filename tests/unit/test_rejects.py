"""Every malformed record becomes a fault that names class, field, what was expected, what came and the cure."""

import base64
import hashlib
import json
from typing import Any

import msgspec
import pytest

from schemas.codec import MAX_RECORD_BYTES, Schemas, read_event, write_event
from schemas.errors import RegistryUnavailable
from schemas.events import ItemsReturned, OrderLine, OrderPlaced, PageBrowsed, ReturnLine
from schemas.records import Fault, Record
from schemas.registry import FileRegistry
from schemas.rejects import is_whole, original_headers, rejected_value, rejection_headers

AT_MS = 1_290_000_000_000
DAY_MS = 86_400_000
REGISTRY = FileRegistry()
SCHEMAS = Schemas(REGISTRY)

ORDER: dict[str, Any] = {
    "order_id": "536365",
    "occurred_at_ms": AT_MS,
    "currency": "GBP",
    "market": "GB",
    "customer_id": "17850",
    "lines": [{"sku": "85123A", "quantity": 6, "unit_price_minor": 255}],
}
VIEW = {"event_id": "v1", "occurred_at_ms": AT_MS, "customer_id": "17850"}
PRIVACY = "ConsentChanged or ErasureRequested or AssignmentWished or CustomersMerged on privacy"
ROSTER = "AdvisorChanged or PoolChanged on roster"
ENTRY = {"advisor_id": "ann", "pool": "main", "occurred_at_ms": AT_MS, "capacity": 5}
MERGED = {
    "type": "CustomersMerged",
    "merge_id": "m1",
    "customer_id": "1",
    "into_customer_id": "2",
    "occurred_at_ms": AT_MS,
}
CONSENT = {"type": "ConsentChanged", "customer_id": "17850", "occurred_at_ms": AT_MS, "granted": True}


def as_json(base, **changes):
    return json.dumps({k: v for k, v in {**base, **changes}.items() if v is not ...}).encode()


def line(**changes):
    return as_json(ORDER, lines=[ORDER["lines"][0], {**ORDER["lines"][0], **changes}])


def as_avro(event):
    return write_event(event, REGISTRY.schema_id(type(event).__name__))


GOOD_ORDER = as_avro(msgspec.convert(ORDER, OrderPlaced))
NEGATIVE = OrderPlaced(
    order_id="1", occurred_at_ms=AT_MS, currency="GBP", market="GB",
    lines=(OrderLine(sku="a", quantity=-6, unit_price_minor=255),),
)  # fmt: skip
RETURNED = ItemsReturned(
    return_id="1",
    occurred_at_ms=AT_MS,
    currency="GBP",
    lines=(ReturnLine(sku="a", quantity=1, refund_minor=1),),
)

# case: topic, value, error, field, expected, got, part of the cure
TABLE = {
    "tombstone": ("orders", None, "undecodable", "value", "an event", "no value (a tombstone)", "ErasureRequested"),
    "empty body": ("orders", b"", "undecodable", "value", "an event", "0 bytes", "publish Avro"),
    "noise": ("orders", b"\x93\x07noise", "undecodable", "value", "JSON in UTF-8",
              "JSON is malformed: invalid character (byte 0): \\x93\x07noise", "publish one JSON object"),
    "invalid UTF-8": ("orders", b'{"order_id": "\xff\xfe"}', "undecodable", "value", "JSON in UTF-8",
                      "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte: {\"ord...", "publish one JSON object"),
    "byte order mark": ("orders", b"\xef\xbb\xbf{}", "undecodable", "value", "JSON in UTF-8",
                        "JSON is malformed: invalid character (byte 0): \ufeff{}", "publish one JSON object"),
    "JSON cut short": ("orders", as_json(ORDER)[:-9], "undecodable", "value", "JSON in UTF-8",
                       'Input data was truncated: {"order_id": "536365", "occurred_at_ms": 1290000000...', "publish one JSON object"),
    "JSON with more behind it": ("orders", as_json(VIEW) + b"{}", "undecodable", "value", "JSON in UTF-8",
                                 'JSON is malformed: trailing characters (byte 76): {"event_id": "v1", "occurre...', "publish one JSON object"),
    "deep nesting": ("orders", b'{"x":' + b"[" * 100_000, "undecodable", "value", "JSON in UTF-8",
                     'maximum recursion depth exceeded while deserializing an object: {"x":[[[[[[[[...', "publish one JSON object"),
    "NaN": ("orders", as_json(ORDER, occurred_at_ms=float("nan")), "undecodable", "value", "JSON in UTF-8",
            'JSON is malformed: invalid character (byte 41): {"order_id": "536365", "occur...', "publish one JSON object"),
    "JSON array": ("orders", as_json(ORDER).join((b"[", b"]")), "invalid", "value", "`object`",
                   '[{"order_id":"536365","occurred_at_ms":1290000000000,"currency":"GBP","market...', "correct the event"),
    "JSON string": ("orders", b'"order"', "invalid", "value", "`object`", '"order"', "correct the event"),
    "JSON null": ("orders", b"null", "invalid", "value", "`object`", "null", "correct the event"),
    "10 MB record": ("orders", b"{" + b" " * 10_000_000 + b"}", "too_large", "value", f"at most {MAX_RECORD_BYTES} bytes",
                     "10000002 bytes", "split the event"),
    "wrong type": ("orders", as_json(ORDER, order_id=536365), "invalid", "order_id", "`str`", "536365", "correct order_id where OrderPlaced"),
    "text for a number": ("orders", line(quantity="6"), "invalid", "lines[1].quantity", "`int`", '"6"', "correct lines[1].quantity"),
    "half a piece": ("orders", line(quantity=0.5), "invalid", "lines[1].quantity", "`int`", "0.5", "correct lines[1].quantity"),
    "true for a number": ("orders", line(quantity=True), "invalid", "lines[1].quantity", "`int`", "true", "correct"),
    "negative quantity": ("orders", line(quantity=-6), "invalid", "lines[1].quantity", "`int` >= 1", "-6", "correct lines[1].quantity"),
    "nothing bought": ("orders", as_json(ORDER, lines=[]), "invalid", "lines", "`array` of length >= 1", "[]", "correct lines"),
    "one line, not a list": ("orders", as_json(ORDER, lines={}), "invalid", "lines", "`array`", "{}", "correct lines"),
    "field missing": ("orders", as_json(ORDER, currency=...), "invalid", "currency", "a value", "no such field", "correct"),
    "field missing in a line": ("orders", line(sku="b", quantity=1).replace(b'"sku": "b", ', b""), "invalid", "lines[1].sku",
                                "a value", "no such field", "correct lines[1]"),
    "null for a value": ("orders", as_json(ORDER, market=None), "invalid", "market", "`str`", "null", "correct market"),
    "empty id": ("orders", as_json(ORDER, order_id=""), "invalid", "order_id", "`str` of length >= 1", '""', "correct order_id"),
    "endless id": ("orders", as_json(ORDER, order_id="x" * 129), "invalid", "order_id", "`str` of length <= 128",
                   '"' + "x" * 76 + "...", "correct order_id"),
    "no currency code": ("orders", as_json(ORDER, currency="pounds"), "invalid", "currency", "`str` matching regex '^[A-Z]{3}$'",
                         '"pounds"', "correct currency"),
    "huge integer": ("orders", line(unit_price_minor=10**30), "invalid", "lines[1].unit_price_minor", "`int` <= 1000000000000", ..., "correct"),
    "float beyond all bounds": ("orders", as_json(ORDER).replace(b"255", b"1e999"),
                                "undecodable", "value", "JSON in UTF-8", ..., "publish one JSON object"),
    "unknown kind": ("browse", as_json(VIEW, kind="peek"), "invalid", "kind",
                     '"view" or "search" or "add_to_cart" or "wishlist"', '"peek"', "correct kind"),
    "year 2199": ("orders", as_json(ORDER, occurred_at_ms=7_226_582_400_000), "absurd_time", "occurred_at_ms",
                  "a time from 1990 to 2099", "7226582400000", "milliseconds"),
    "before 1970": ("orders", as_json(ORDER, occurred_at_ms=-1), "absurd_time", "occurred_at_ms", "a time from 1990 to 2099", "-1", "milliseconds"),
    "seconds for milliseconds": ("orders", as_json(ORDER, occurred_at_ms=AT_MS // 1000), "absurd_time", "occurred_at_ms",
                                 "at least 631152000000 (1990-01-01)", "1290000000", "not seconds"),
    "microseconds": ("orders", as_json(ORDER, occurred_at_ms=AT_MS * 1000), "absurd_time", "occurred_at_ms",
                     "a time from 1990 to 2099", "1290000000000000", "not microseconds"),
    "the day after tomorrow": ("orders", as_json(ORDER, occurred_at_ms=AT_MS + DAY_MS + 1), "absurd_time", "occurred_at_ms",
                               f"at most {AT_MS + DAY_MS} (a day after the broker's time)", str(AT_MS + DAY_MS + 1), "a clock that is right"),
    "text for a time": ("orders", as_json(ORDER, occurred_at_ms="2010-11-17"), "invalid", "occurred_at_ms", "`int`", '"2010-11-17"', "correct"),
    "nobody browsed": ("browse", as_json(VIEW, customer_id=...), "invalid", "customer_id", "a customer_id or a visitor_id", "neither", "say who"),
    "price without currency": ("browse", as_json(VIEW, price_minor=255), "invalid", "currency", "the currency of price_minor 255", "null", "send price and currency"),
    "event of another topic": ("orders", as_json(VIEW, type="PageBrowsed"), "invalid", "type", "OrderPlaced on orders", '"PageBrowsed"', "its own topic"),
    "type unheard of": ("orders", as_json(ORDER, type="Order"), "invalid", "type", "OrderPlaced on orders", '"Order"', "ce_type"),
    "type is a number": ("orders", as_json(ORDER, type=7), "invalid", "type", "OrderPlaced on orders", "7", "ce_type"),
    "type not said where it must be": ("privacy", as_json(CONSENT, type=...), "invalid", "type",
                                       PRIVACY, "null", "ce_type"),
    "wrong type among several": ("privacy", as_json(CONSENT, granted="yes"), "invalid", "granted", "`bool`", '"yes"', "where ConsentChanged"),
    "type is a list": ("privacy", as_json(CONSENT, type=[]), "invalid", "type",
                       PRIVACY, "[]", "ce_type"),
    "type unheard of among several": ("roster", as_json(ENTRY, type="Advisor"), "invalid", "type", ROSTER, '"Advisor"', "ce_type"),
    "no type where one is usual": ("roster", as_json(ENTRY, capacity=-1), "invalid", "capacity", "`int` >= 0", "-1", "where AdvisorChanged"),
    "absence that ends before it begins": ("roster", as_json(ENTRY, absences=[{"from_ms": 9, "until_ms": 8}]), "invalid", "absences[0].until_ms",
                                           "a time after from_ms 9", "8", "the first after it"),
    "absence of no length": ("roster", as_json(ENTRY, absences=[{"from_ms": 1, "until_ms": 2}, {"from_ms": 9, "until_ms": 9}]), "invalid",
                             "absences[1].until_ms", "a time after from_ms 9", "9", "the first after it"),
    "merged into itself": ("privacy", as_json(MERGED, into_customer_id="1"), "invalid", "into_customer_id", "another customer than customer_id", '"1"',
                           "the one that goes on"),
    "unknown schema id": ("orders", b"\0\0\0\xff\xff" + GOOD_ORDER[5:], "unknown_schema", "schema id", "an id that the registry knows",
                          "65535", "maitred rejected retry"),
    "Avro of another topic": ("orders", as_avro(RETURNED), "invalid", "type", "OrderPlaced on orders", '"ItemsReturned"', "its own topic"),
    "Avro, header only in part": ("orders", b"\0\0\1", "undecodable", "value", "5 bytes of Confluent wire format", "00 00 01", "whole value"),
    "Avro without a body": ("orders", GOOD_ORDER[:5], "undecodable", "value", "OrderPlaced in Avro, as schema 1 has it", ..., "with that schema"),
    "Avro cut short": ("orders", GOOD_ORDER[:-3], "undecodable", "value", "OrderPlaced in Avro, as schema 1 has it", ..., "with that schema"),
    "Avro with more behind it": ("orders", GOOD_ORDER + b"!!", "undecodable", "value", "the end of OrderPlaced, as schema 1 has it", "2 more bytes", "one event per record"),
    "Avro, invalid UTF-8": ("orders", GOOD_ORDER.replace(b"536365", b"\xff36365"), "undecodable", "value", "OrderPlaced in Avro, as schema 1 has it",
                            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte", "with that schema"),
    "Avro, negative quantity": ("orders", as_avro(NEGATIVE), "invalid", "lines[0].quantity", "`int` >= 1", "-6", "correct lines[0].quantity"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_a_malformed_record_becomes_a_fault(case):
    """Class, field, expected, got and cure are exact."""
    topic, value, error, field, expected, got, cure = TABLE[case]
    fault = read_event(topic, value, (), SCHEMAS, AT_MS)
    assert isinstance(fault, Fault), fault
    assert (fault.error, fault.field, fault.expected) == (error, field, expected)
    assert got is ... or fault.got == got
    assert len(fault.got) <= 80
    assert cure in fault.cure


def test_the_table_starts_from_records_that_are_fine():
    """Nothing above is rejected for another reason than its own."""
    for topic, value in (
        ("orders", as_json(ORDER)),
        ("orders", GOOD_ORDER),
        ("browse", as_json(VIEW)),
        ("privacy", as_json(CONSENT)),
        ("privacy", as_json(MERGED)),
        ("roster", as_json(ENTRY)),
    ):
        assert not isinstance(read_event(topic, value, (), SCHEMAS, AT_MS), Fault)


def test_a_header_with_a_type_of_another_topic_is_named():
    """The header decides, and is told where it is wrong."""
    fault = read_event("orders", as_json(ORDER), (("ce_type", b"maitred.PageBrowsed"),), SCHEMAS, AT_MS)
    assert isinstance(fault, Fault)
    assert (fault.error, fault.field, fault.expected, fault.got) == (
        "invalid", "ce_type", "OrderPlaced on orders", '"maitred.PageBrowsed"',
    )  # fmt: skip


def test_with_a_type_in_the_header_the_fault_is_where_it_is():
    """A record whose header says its type needs no `type` field; one that contradicts the header is told so."""
    headers = (("ce_type", b"maitred.ConsentChanged"),)
    fault = read_event("privacy", as_json(CONSENT, type=..., granted="yes"), headers, SCHEMAS, AT_MS)
    assert isinstance(fault, Fault)
    assert (fault.field, fault.got) == ("granted", '"yes"')
    fault = read_event("privacy", as_json(CONSENT, type="ErasureRequested"), headers, SCHEMAS, AT_MS)
    assert isinstance(fault, Fault)
    assert (fault.field, fault.expected, fault.got) == (
        "type",
        "ConsentChanged on privacy",
        '"ErasureRequested"',
    )


def test_of_a_key_twice_the_last_counts():
    """As in most JSON readers: it is no fault."""
    event = read_event("orders", as_json(ORDER).replace(b"{", b'{"market": "FR", ', 1), (), SCHEMAS, AT_MS)
    assert isinstance(event, OrderPlaced)
    assert event.market == "GB"


def test_an_unreachable_registry_rejects_nothing():
    """It says nothing about the record: the error goes up, and the record is read again later."""

    class Silent(FileRegistry):
        def writer_schema(self, schema_id):
            raise RegistryUnavailable("the registry does not answer")

    with pytest.raises(RegistryUnavailable):
        read_event("orders", GOOD_ORDER, (), Schemas(Silent()), AT_MS)


def rejected(value, headers=(), key=b"17850"):
    fault = Fault("invalid", "lines[0].quantity", "`int` >= 1", "-6", "correct it")
    return Record("orders", 3, 1841, AT_MS, key, value, headers, fault)


def test_a_rejected_record_travels_unchanged_with_its_reasons():
    """Value and own headers as they came; ours beside them, with a message for people."""
    record = rejected(b"{}", (("trace", b"7"), ("rejected_error", b"from an earlier time")))
    assert isinstance(record.event, Fault)
    headers = rejection_headers(record, record.event)
    assert rejected_value(record) == b"{}"
    assert headers == [
        ("trace", b"7"),
        ("rejected_topic", b"orders"),
        ("rejected_partition", b"3"),
        ("rejected_offset", b"1841"),
        ("rejected_timestamp_ms", b"1290000000000"),
        ("rejected_content", b"whole"),
        ("rejected_error", b"invalid"),
        ("rejected_field", b"lines[0].quantity"),
        ("rejected_expected", b"`int` >= 1"),
        ("rejected_got", b"-6"),
        ("rejected_cure", b"correct it"),
        ("rejected_message", b"orders[3]@1841: lines[0].quantity: expected `int` >= 1, got -6; correct it"),
    ]
    assert original_headers(headers) == [("trace", b"7")]


def test_a_record_too_large_to_send_on_travels_as_a_reference():
    """Where it lies, its length, hash and head; small enough for any broker."""
    value = b"x" * 2_000_000
    record = rejected(value, (("padding", b"y" * 70_000),))
    reference = json.loads(rejected_value(record) or b"")
    assert not is_whole(record)
    assert isinstance(record.event, Fault)
    assert dict(rejection_headers(record, record.event))["rejected_content"] == b"reference"
    assert "padding" not in dict(rejection_headers(record, record.event))
    assert reference == {
        "topic": "orders",
        "partition": 3,
        "offset": 1841,
        "bytes": 2_000_000,
        "sha256": hashlib.sha256(value).hexdigest(),
        "head_base64": base64.b64encode(value[:1024]).decode(),
    }


def test_a_tombstone_stays_a_tombstone():
    """No value is rejected as no value."""
    assert rejected_value(rejected(None)) is None


def test_page_browsed_by_a_visitor_is_fine():
    """One of the two names is enough."""
    value = as_json(VIEW, customer_id=..., visitor_id="w1", price_minor=255, currency="GBP")
    assert isinstance(read_event("browse", value, (), SCHEMAS, AT_MS), PageBrowsed)
