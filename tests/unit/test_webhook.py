"""Webhooks at a real web server that misbehaves: signed, retried, in order for each customer, undeliverable ones kept."""

import gzip
import random
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from msgspec.structs import replace
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from schemas.errors import LogUnavailable, SettingsError
from sinks.base import Delivery
from sinks.courier import Patience
from sinks.post import WebhookPost, retry_after
from sinks.undelivered import Entry, MemoryUndelivered, Parcel
from sinks.webhook import Tries, WebhookSink
from tests.unit.sink_checks import FIRST, delivery
from tests.unit.web_server import Answer, Posted, Server, web_server

OLD = "whsec_" + "b2xkIHNlY3JldCBmb3IgdGVzdHMsIDMyIGJ5dGVzLi4uLi4="
NEW = "whsec_" + "bmV3IHNlY3JldCBmb3IgdGVzdHMsIDMyIGJ5dGVzLi4uLi4="
OK = Answer()


@pytest.fixture
def server() -> Iterator[Server]:
    with web_server() as running:
        yield running


class Bench:
    """A sink at a server, and what outlives it."""

    def __init__(self, server: Server, attempts: int = 4) -> None:
        self.server, self.entries = server, dict[str, Entry]()
        self.patience = Patience(attempts=attempts, first_wait_s=0.01, most_wait_s=0.02, in_flight=4)
        self.again_s, self.timeout_s, self.secrets = 3_600.0, 1.0, [NEW]
        self.sink = self.opened()

    def opened(self) -> WebhookSink:
        self.undelivered = MemoryUndelivered(self.entries)
        tries = Tries(patience=self.patience, again_s=self.again_s, look_s=0.0)
        self.sink = WebhookSink(
            "webhook", lambda: WebhookPost(self.server.url, self.secrets, self.timeout_s), self.undelivered, tries
        )
        self.sink.open([FIRST])
        return self.sink

    def deliver(self, *sent: Delivery) -> None:
        self.sink.put(sent)
        self.sink.flush()

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline
            self.sink.settled()
            time.sleep(0.005)

    def kill(self) -> None:
        assert self.sink._courier
        self.sink._courier.stop()

    def by_hand(self) -> MemoryUndelivered:
        return MemoryUndelivered(self.entries)


@pytest.fixture
def bench(server: Server) -> Iterator[Bench]:
    made = Bench(server)
    yield made
    made.sink.close()


def of(customer: str, *offsets: int) -> list[Delivery]:
    return [delivery(offset, customer=customer) for offset in offsets]


def offsets(posted: list[Posted]) -> list[int]:
    return [int(p.id.rpartition("/")[2]) for p in posted]


# ---- what is posted ------------------------------------------------------------------------------------------------


def test_an_event_is_a_cloud_event_that_an_independent_reader_understands(bench: Bench) -> None:
    bench.deliver(*of("c-7", 17))
    (posted,) = bench.server.accepted
    event = from_http_event(HTTPMessage(posted.headers, posted.body))
    assert event.get_id() == "orders/0/17/TierChanged/0"
    assert event.get_source() == "/maitred/tier-changes"
    assert event.get_type() == "maitred.TierChanged"
    assert event.get_subject() == "c-7"
    assert event.get_extension("sequence") == f"{17:020d}"
    data = event.get_data()
    assert isinstance(data, dict)
    assert (data["customer_id"], data["tier"]) == ("c-7", "gold")
    assert posted.headers["content-type"].startswith("application/cloudevents+json")


def test_the_signature_is_verified_by_the_package_that_receivers_use(bench: Bench) -> None:
    """And not for another body, id, time or secret."""
    bench.deliver(*of("Jürgen 東京", 1))
    (posted,) = bench.server.accepted
    assert Webhook(NEW).verify(posted.body, posted.headers)["subject"] == "Jürgen 東京"
    forged = [
        (NEW, posted.body + b" ", posted.headers),
        (NEW, posted.body, {**posted.headers, "webhook-id": "tier-changes/0/2"}),
        (NEW, posted.body, {**posted.headers, "webhook-timestamp": str(int(posted.headers["webhook-timestamp"]) + 1)}),
        (OLD, posted.body, posted.headers),
    ]
    for secret, body, headers in forged:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers)


def test_while_a_secret_is_rotated_both_verify(bench: Bench) -> None:
    bench.secrets = [NEW, OLD]
    bench.sink.close()
    bench.opened()
    bench.deliver(*of("c", 1))
    (posted,) = bench.server.accepted
    for secret in (NEW, OLD):
        Webhook(secret).verify(posted.body, posted.headers)


@pytest.mark.parametrize("secrets", [[], ["my secret"], ["whsec_"], ["whsec_c2hvcnQ="], ["whsec_?"], [NEW, "x"]])
def test_a_bad_secret_is_refused_and_never_shown(secrets: list[str]) -> None:
    with pytest.raises(SettingsError, match="MAITRED_WEBHOOK_SECRET") as raised:
        WebhookPost("http://127.0.0.1:1/", secrets)
    assert not any(secret in str(raised.value) for secret in secrets if secret not in ("whsec_", "x"))


@pytest.mark.parametrize("url", ["", "ftp://x/", "127.0.0.1:80", "http://", "http://[::1"])
def test_a_bad_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"webhook\.url"):
        WebhookPost(url, [NEW])


# ---- servers that misbehave ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [Answer(500), Answer(503), Answer(429), Answer(408), Answer(drop=True), Answer(500, after_s=1.5)],
    ids=["500", "503", "429", "408", "dropped", "timeout"],
)
def test_what_may_pass_is_tried_again_under_the_same_id(bench: Bench, bad: Answer) -> None:
    bench.server.answer = lambda posted: bad if posted.attempt < 3 else OK
    bench.deliver(*of("c", 1, 2))
    assert bench.sink.settled() == {FIRST: 3}
    assert [p.attempt for p in bench.server.posted if p.id.endswith("/1")] == [1, 2, 3]
    assert offsets(bench.server.accepted[-2:]) == [1, 2]
    assert bench.entries == {}
    for posted in bench.server.posted:
        Webhook(NEW).verify(posted.body, posted.headers)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413, 422, 301, 307])
def test_what_is_refused_is_tried_once_and_kept(bench: Bench, status: int) -> None:
    refused = Answer(status, (("location", bench.server.url),), b"no thanks")
    bench.server.answer = lambda posted: refused if posted.customer == "bad" else OK
    bench.deliver(*of("bad", 1), *of("good", 2))
    assert offsets(bench.server.accepted) == [2]
    assert [p.attempt for p in bench.server.posted] == [1, 1]
    (entry,) = bench.entries.values()
    assert (entry.where, entry.customer, entry.state, entry.may_pass) == ("tier-changes[0]@1", "bad", "failed", False)
    assert entry.failure.startswith(f"HTTP {status}")
    assert ("redirects are not followed" if status < 400 else "no thanks") in entry.failure
    assert bench.sink.settled() == {FIRST: 3}


@pytest.mark.parametrize("body", [b"", b'{"ok": true}'])
def test_a_connection_serves_one_post_after_the_other(bench: Bench, body: bytes) -> None:
    bench.server.answer = lambda _: Answer(200, (), body)
    bench.deliver(*of("c", *range(20)))
    assert (len(bench.server.accepted), bench.server.connections) == (20, 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [(gzip.compress(b"no thanks", mtime=0), "HTTP 400: (in gzip)"), (b"not packed at all", "HTTP 400: (in gzip)")],
)
def test_an_answer_is_never_unpacked(bench: Bench, body: bytes, said: str) -> None:
    """It might be huge, or not what it says: the status counts, and this one is not tried again."""
    bench.server.answer = lambda _: Answer(400, (("content-encoding", "gzip"),), body)
    bench.deliver(*of("c", 1))
    (entry,) = bench.entries.values()
    assert (entry.failure, entry.attempts, entry.may_pass) == (said, 1, False)


@pytest.mark.parametrize("status", [400, 307])
def test_what_a_server_says_does_not_steer_the_terminal_that_lists_it(bench: Bench, status: int) -> None:
    said = "\x1b[2J\x07 http://tool.example/\x9b"
    bench.server.answer = lambda _: Answer(status, (("location", said),), said.encode())
    bench.deliver(*of("c", 1))
    (entry,) = bench.entries.values()
    assert "http://tool.example/" in entry.failure
    assert entry.failure.isprintable()


@pytest.mark.parametrize("said", ["1", "date"])
def test_a_server_is_left_alone_for_as_long_as_it_asks(bench: Bench, said: str) -> None:
    """A number of seconds or a date; the growing waits of our own would have been over long before."""
    value = formatdate(time.time() + 2, usegmt=True) if said == "date" else said
    bench.server.answer = lambda posted: Answer(503, (("retry-after", value),)) if posted.attempt == 1 else OK
    bench.deliver(*of("c", 1))
    first, second = bench.server.posted
    assert second.at_s - first.at_s >= 0.9


def test_flushing_takes_no_longer_than_it_may(bench: Bench) -> None:
    bench.server.answer = lambda _: Answer(503, (("retry-after", "60"),))
    bench.sink.put(of("c", 1))
    assert not bench.sink.flush(0.2)
    assert bench.sink.settled() == {FIRST: 1}
    assert bench.entries == {}


def test_retry_after_is_read_as_number_or_date() -> None:
    assert retry_after("", 0) == retry_after("-3", 0) == retry_after("nonsense", 0) == 0
    assert retry_after("99999999999", 0) == retry_after("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", 0) == 0
    assert retry_after("Thu, 01 Jan 1970 00:00:10 GMT", 50) == 0


def test_a_customer_whose_events_fail_holds_up_nobody(bench: Bench) -> None:
    """However many such customers wait for their next attempt: waiting takes no place."""
    bench.sink.close()
    bench.patience = Patience(attempts=50, first_wait_s=0.2, most_wait_s=0.5, in_flight=2)
    bench.opened()
    bench.server.answer = lambda posted: Answer(500) if posted.customer.startswith("bad") else OK
    bench.sink.put([delivery(n, customer=f"bad{n}") for n in range(20)])
    bench.sink.put([delivery(100 + n, customer=f"good{n % 10}") for n in range(100)])
    bench.until(lambda: len(bench.server.accepted) == 100)
    assert bench.sink.settled() == {FIRST: 0}
    assert bench.server.most_at_once <= 2


def test_never_two_of_one_customer_at_once_and_many_customers_are(bench: Bench) -> None:
    bench.server.answer = lambda posted: OK._replace(after_s=0.01)
    bench.deliver(*(delivery(n, customer=f"c{n % 8}") for n in range(80)))
    assert bench.server.most_of_one_customer == 1
    assert 2 <= bench.server.most_at_once <= 4
    assert len(bench.server.accepted) == 80


# ---- what is kept --------------------------------------------------------------------------------------------------


def refusing(bench: Bench) -> None:
    """Offset 1 of customer `bad` is refused; 2 and 4 wait behind it, 3 is another's."""
    bench.server.answer = lambda posted: Answer(422) if posted.id.endswith("/1") else OK
    bench.deliver(*of("bad", 1, 2), *of("good", 3))
    bench.deliver(*of("bad", 4))
    assert offsets(bench.server.accepted) == [3]
    assert [(e.offset, e.state) for e in bench.entries.values()] == [(1, "failed"), (2, "behind"), (4, "behind")]
    assert bench.sink.settled() == {FIRST: 5}


def test_later_events_of_the_customer_wait_behind_and_a_retry_delivers_them_in_order(bench: Bench) -> None:
    refusing(bench)
    bench.server.answer = lambda _: OK
    hand = bench.by_hand()
    (first, *_) = hand.open([0])
    hand.keep([replace(first, state="retry")])
    bench.until(lambda: not bench.entries)
    bench.deliver(*of("bad", 5))
    assert offsets(bench.server.accepted) == [3, 1, 2, 4, 5]


def test_a_retry_that_fails_keeps_all_of_them_in_their_order(bench: Bench) -> None:
    refusing(bench)
    hand = bench.by_hand()
    (first, *_) = hand.open([0])
    hand.keep([replace(first, state="retry")])
    bench.until(lambda: bench.entries["tier-changes/0/1"].attempts == 2)
    assert [(e.offset, e.state) for e in bench.entries.values()] == [(1, "failed"), (2, "behind"), (4, "behind")]
    assert offsets(bench.server.accepted) == [3]


def test_dropping_the_first_delivers_what_waits_behind_it(bench: Bench) -> None:
    refusing(bench)
    hand = bench.by_hand()
    (first, *_) = hand.open([0])
    hand.forget([first])
    bench.until(lambda: not bench.entries)
    bench.deliver(*of("bad", 5))
    assert offsets(bench.server.accepted) == [3, 2, 4, 5]


def test_dropping_all_frees_the_customer(bench: Bench) -> None:
    refusing(bench)
    hand = bench.by_hand()
    hand.forget(list(hand.open([0])))
    bench.until(lambda: not bench.sink._kept)
    bench.deliver(*of("bad", 5))
    assert offsets(bench.server.accepted) == [3, 5]


def test_whoever_comes_next_finds_what_is_kept_and_repeats_nothing(bench: Bench) -> None:
    """Also where the offsets had not been noted: what is kept is known by its place."""
    refusing(bench)
    bench.kill()
    bench.opened()
    bench.deliver(*of("bad", 1, 2), *of("good", 3), *of("bad", 4, 5))
    assert [(e.offset, e.state) for e in bench.entries.values()] == [
        (1, "failed"), (2, "behind"), (4, "behind"), (5, "behind"),
    ]  # fmt: skip
    assert offsets(bench.server.accepted) == [3, 3]


def test_what_may_have_passed_is_tried_again_by_itself(server: Server) -> None:
    bench = Bench(server, attempts=1)
    bench.again_s = 0.05
    bench.sink.close()
    bench.opened()
    server.answer = lambda posted: Answer(500) if posted.attempt < 4 else OK
    bench.deliver(*of("c", 1, 2))
    bench.until(lambda: not bench.entries)
    assert offsets(server.accepted) == [1, 2]
    bench.sink.close()


def test_offsets_wait_until_what_failed_is_safely_kept(bench: Bench) -> None:
    bench.server.answer = lambda _: Answer(410)

    def fails(_entries: object) -> None:
        raise LogUnavailable("Kafka does not answer")

    bench.undelivered.keep = fails  # type: ignore[method-assign, assignment]  # the store's failure is the point
    with pytest.raises(LogUnavailable):
        bench.deliver(*of("c", 1))
    assert bench.sink._progress.settled() == {FIRST: 1}


# ---- everything at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_none_is_lost_and_each_customer_keeps_the_order(server: Server, seed: int) -> None:
    """Refusals, errors, lost connections, kills and retries by hand, at random: first arrivals are in order."""
    chance, moods = random.Random(seed), random.Random(-seed - 1)
    bench = Bench(server, attempts=2)
    misbehaves = [Answer(500), Answer(drop=True), Answer(410), OK, OK, OK, OK, OK, OK]
    server.answer = lambda _: moods.choice(misbehaves)
    noted, sent, kills = 0, 0, 0
    while sent < 80 or kills < 3:
        count = chance.randint(1, 15)
        bench.sink.put([delivery(n, customer=f"c{n % 6}") for n in range(sent, sent + count)])
        sent += count
        time.sleep(0.02)
        noted = max(noted, bench.sink.settled().get(FIRST, 0))
        if chance.random() < 0.25:
            bench.kill()
            kills += 1
            bench.opened()
            sent = noted
        if chance.random() < 0.5:
            ask_again(bench, chance)
    server.answer = lambda _: OK
    bench.sink.flush()
    while bench.entries:
        ask_again(bench, chance)
        bench.sink.settled()
        time.sleep(0.01)
    bench.sink.close()
    first_arrivals = list(dict.fromkeys(offsets(server.accepted)))
    assert set(first_arrivals) >= set(range(sent))
    for customer in range(6):
        mine = [n for n in first_arrivals if n % 6 == customer]
        assert mine == sorted(mine)


def ask_again(bench: Bench, chance: random.Random) -> None:
    hand = bench.by_hand()
    failed = [entry for entry in hand.open([0]) if entry.state == "failed"]
    for entry in failed[: chance.randint(1, 3)]:
        hand.keep([replace(entry, state="retry")])


def test_a_long_answer_of_refusal_is_not_read_whole(bench: Bench, tmp_path: Path) -> None:
    bench.server.answer = lambda _: Answer(400, (), b"x" * 5_000_000)
    bench.deliver(*of("c", 1))
    (entry,) = bench.entries.values()
    assert len(entry.failure) < 300


def test_a_bug_in_posting_keeps_the_event_and_stops_nobody(server: Server) -> None:
    bench = Bench(server)
    assert bench.sink._courier

    async def fails(parcel: Parcel) -> None:
        raise ZeroDivisionError(f"of {parcel.customer}")

    bench.sink._courier._post = type(
        "Buggy", (), {"__call__": staticmethod(fails), "close": bench.sink._courier._post.close}
    )()
    bench.deliver(*of("c", 1))
    (entry,) = bench.entries.values()
    assert entry.failure == "ZeroDivisionError: of c"
    assert bench.sink.settled() == {FIRST: 2}
    bench.sink.close()
