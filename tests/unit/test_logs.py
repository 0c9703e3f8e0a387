"""Logs are JSON lines with fields, ours and those of libraries alike, and hold no personal data, whatever fails."""

import io
import json
import logging

import pytest
import structlog

from schemas.errors import BrokenPromise, StoreUnavailable
from schemas.events import OrderLine, OrderPlaced
from schemas.records import Batch, Fault, Record, Run
from streams.setting_aside import named, setting_aside
from streams.settings.keys import Logging
from streams.watching.logs import SELDOM_S, Seldom, configure_logging

SECRETS = ("c-31415", "boot-38", "ada@example.org")
ORDER = OrderPlaced(
    order_id="A-1",
    customer_id=SECRETS[0],
    occurred_at_ms=1,
    currency="EUR",
    market="DE",
    lines=(OrderLine(sku=SECRETS[1], quantity=1, unit_price_minor=100),),
)
RECORD = Record("orders", 0, 7, 1, SECRETS[0].encode(), b'{"email": "ada@example.org"}', (), ORDER)
BATCH = Batch(0, 0, (Run("orders", (RECORD,), 1),))


@pytest.fixture
def lines():
    """What was logged so far, parsed; the loggers are put back afterwards."""
    stream, before = io.StringIO(), (list(logging.root.handlers), logging.root.level)
    configure_logging(Logging(level="debug"), stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.root.handlers[:], _ = before
    logging.root.setLevel(before[1])


def holds_secrets(lines):
    return [secret for secret in SECRETS if secret in json.dumps(lines)]


def choking(*, always):
    """A core that quotes the record it fails on. With `always`, also once that is set aside."""

    def decide(batch: Batch) -> Batch:
        for record in batch.records():
            if always or record.event is ORDER:
                raise KeyError(f"no price for {record.key!r} {record.value!r} {ORDER}")
        return batch

    return decide


def test_our_events_are_objects_with_fields(lines):
    structlog.get_logger(processor="scorer").warning(
        "waiting_for_server", error=str(StoreUnavailable("store x: no answer"))
    )
    (line,) = lines()
    assert line["event"] == "waiting_for_server"
    assert (line["processor"], line["level"], line["error"]) == ("scorer", "warning", "store x: no answer")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("name", ["faust.agents.agent", "aiokafka", "librdkafka", "py.warnings"])
def test_libraries_speak_in_the_same_form(lines, name):
    logging.getLogger(name).warning("lost %s of %d", "node 1", 3)
    (line,) = lines()
    assert (line["event"], line["logger"], line["level"]) == ("lost node 1 of 3", name, "warning")


def test_what_the_core_failed_on_is_set_aside_without_quoting_it():
    """The batch log outlives an erasure."""
    (record,) = setting_aside(choking(always=False), BATCH, "scorer").records()
    assert isinstance(record.event, Fault)
    assert record.event.error == "core"
    assert record.event.got.startswith("KeyError at test_logs.py:")
    assert holds_secrets([record.event.got]) == []


def test_a_partition_that_stops_does_not_quote_the_record():
    with pytest.raises(BrokenPromise) as stopped:
        setting_aside(choking(always=True), BATCH, "scorer")
    assert "fails even when set aside: KeyError at test_logs.py:" in str(
        stopped.value
    ) or "could not be decided" in str(stopped.value)
    assert holds_secrets([str(stopped.value)]) == []


def failing() -> Exception:
    """Raised from another, and both quote a customer."""
    prices: dict[str, int] = {}
    try:
        prices[SECRETS[0]] += 1
    except KeyError as cause:
        return raised(ValueError(f"order of {SECRETS[2]}: {ORDER}"), cause)
    return AssertionError("it did not fail")


def raised(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except ValueError as caught:
        return caught


@pytest.mark.parametrize(
    "say",
    [
        lambda error: structlog.get_logger().error("failed", exc_info=error),
        lambda error: logging.getLogger("faust").error("[%s] Crashed: %r", "agent", error, exc_info=error),
        lambda error: logging.getLogger("faust").error("Cannot handle %r", BATCH),
        lambda error: logging.getLogger("faust").error("Values: %(values)s", {"values": [RECORD], "error": error}),
        lambda error: logging.getLogger("faust").error(error),
    ],
)  # fmt: skip
def test_an_exception_is_told_without_what_it_quotes(lines, say):
    say(failing())
    assert len(lines()) == 1
    assert holds_secrets(lines()) == []


def test_an_exception_is_told_by_kind_place_and_cause(lines):
    structlog.get_logger().error("failed", exc_info=failing())
    (line,) = lines()
    assert line["exception"].startswith("ValueError at test_logs.py:")
    assert "<- KeyError at test_logs.py:" in line["exception"]


def test_our_own_exceptions_keep_their_words(lines):
    structlog.get_logger().error("failed", exc_info=StoreUnavailable("store x: expected an answer, got none"))
    assert "StoreUnavailable: store x: expected an answer, got none" in lines()[0]["exception"]


def test_the_same_trouble_is_told_once_in_a_while():
    """A server that is down is met ten times a second."""
    now_s = [0.0]
    seldom = Seldom(lambda: now_s[0])
    record = logging.LogRecord("aiokafka", logging.ERROR, "client.py", 464, "Unable to connect", None, None)
    told = []
    for now_s[0] in (0, 0.1, SELDOM_S - 1, SELDOM_S, SELDOM_S + 1):
        told.append(seldom.record(record))
    assert told == [True, False, False, True, False]


def test_other_trouble_is_told_at_once(lines):
    logger = structlog.get_logger()
    for error in ("a", "a", "b"):
        logger.warning("commit_interrupted", error=error)
    logger.info("worker_started")
    logger.info("worker_started")
    assert [line.get("error") for line in lines()] == ["a", "b", None, None]


def test_an_error_is_named_by_kind_and_place():
    assert named(failing()).startswith("ValueError at test_logs.py:")


def test_columns_for_people(capsys):
    stream = io.StringIO()
    before = list(logging.root.handlers), logging.root.level
    configure_logging(Logging(format="console"), stream)
    structlog.get_logger().info("worker_started", instance="a")
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = before[0]
    logging.root.setLevel(before[1])
    assert "worker_started" in stream.getvalue()
    assert "instance=a" in stream.getvalue()
