"""The commands of the daily programme, on embedded servers: what they publish, what they show, what they refuse."""

import json
from itertools import count

import pytest

from features.redis_store import RedisStore
from features.store import Position
from schemas.codec import Schemas, cloud_event_headers, read_event, write_event
from schemas.ids import partition_of
from schemas.records import Announcement, Batch, Run, State
from schemas.registry import FileRegistry
from sinks.kafka import KafkaPublisher
from streams.assignment import assign, needs
from streams.embedded import embedded_servers
from streams.kafka.client import kafka_config
from streams.kafka.tail import Tail
from streams.settings import load
from tests.property.assignment_worlds import POLICY, record, relation, roster
from tests.unit.test_cli import elsewhere, run

__all__ = ["elsewhere"]  # a fixture: no settings but those of a test
NUMBERS = count()
HERE = partition_of("main", 2)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with embedded_servers(tmp_path_factory.mktemp("servers"), partitions=2) as embedded:
        yield embedded.environment


@pytest.fixture
def own(tmp_path_factory):
    """Servers of a test's own: a roster is a whole topic."""
    with embedded_servers(tmp_path_factory.mktemp("own"), partitions=2) as embedded:
        yield embedded.environment


def last(servers, topic):
    """The last event of a topic."""
    settings = load(None, servers)
    tail = Tail(kafka_config(settings), topic, 2)
    (message,) = tail.last(1)
    tail.close()
    event = read_event(topic, message.value, message.headers, Schemas(FileRegistry()), message.timestamp_ms)
    assert message.partition == partition_of((message.key or b"").decode(), 2)
    return event


def assigned(customer, advisor):
    """What an assigner decides who was told that an advisor serves a customer."""
    now_ms = 1_700_000_000_000
    runs = (
        Run("roster", (record("roster", 0, roster(advisor, now_ms, "main", capacity=9)),), now_ms),
        Run("contacts", (record("roster", 1, relation(customer, advisor, now_ms, "main")),), now_ms),
    )
    return assign(State({}, {}, ()), Batch(HERE, 0, runs), POLICY)


def serve(servers, decision):
    """The entries of a decision, on the topic of those who are served."""
    publisher, registry = KafkaPublisher(servers["MAITRED_KAFKA__BOOTSTRAP"]), FileRegistry()
    for output in decision.outputs:
        if isinstance(output, Announcement) and output.topic == "current-assignments":
            value = write_event(output.event, registry.schema_id("AdvisorAssigned"))
            headers = cloud_event_headers(output.event, "/maitred", "current-assignments")
            home = partition_of(output.key, 2)
            publisher.publish("maitred.current-assignments", home, output.key.encode(), value, headers)
    publisher.flush()


# ---- wishes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "wish", "advisor"),
    [
        (["assign", "13085"], "manual", None),
        (["assign", "13085", "--advisor", "anna"], "manual", "anna"),
        (["never", "13085"], "never", None),
        (["lift", "13085"], "lifted", None),
        (["hand-over", "13085", "--to", "bela"], "manual", "bela"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_wish_is_published_with_an_id_and_told(servers, arguments, wish, advisor):
    """The same that is told on stdout lies on the topic, on the customer's partition."""
    for name in ("anna", "bela"):
        run("roster", "set", name, "--pool", "main", "--capacity", "1", "--daily-intake", "1", **servers)
    serve(servers, assigned("13085", "anna"))
    told = json.loads(run("assignments", *arguments, "--json", **servers).stdout)
    event = last(servers, "privacy")
    assert (event.customer_id, event.wish, event.advisor_id) == ("13085", wish, advisor)
    assert (told["topic"], told["partition"]) == ("maitred.privacy", partition_of("13085", 2))
    assert told["event"]["wish_id"] == event.wish_id
    text = run("assignments", *arguments, "--wish-id", f"w{next(NUMBERS)}", **servers).stdout
    assert f"wish={wish}" in text
    assert last(servers, "privacy").wish_id in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["assign", "13085", "--advisor", "nosuch"], "expected an advisor of the roster, got 'nosuch'"),
        (["hand-over", "13085", "--to", "nosuch"], "expected an advisor of the roster, got 'nosuch'"),
        (["hand-over", "nobody", "--to", "mara"], "expected a customer whom somebody serves, got 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wish_that_can_do_nothing_is_not_published(servers, arguments, said):
    run("roster", "set", "mara", "--pool", "main", "--capacity", "1", "--daily-intake", "1", **servers)
    run("assignments", "lift", "13085", **servers)
    before = last(servers, "privacy")
    assert said in run("assignments", *arguments, code=2, **servers).stderr
    assert last(servers, "privacy") == before


def test_a_wish_that_would_be_rejected_is_not_published(servers):
    assert (
        "customer_id: expected `str` of length <= 128"
        in run("assignments", "never", "x" * 129, code=2, **servers).stderr
    )


def test_in_a_history_a_command_must_say_when(servers):
    """The time of a history follows its records: one of today would make it jump."""
    history = {**servers, "MAITRED_TIME": "event"}
    assert "--at 2011-03-01" in run("assignments", "never", "13085", code=2, **history).stderr
    told = run("assignments", "never", "13085", "--at", "2011-03-01T12:00", "--json", **history).stdout
    assert json.loads(told)["event"]["occurred_at_ms"] == 1_298_980_800_000
    assert "expected a time such as" in run("pools", "pause", "main", "--at", "noon", code=2, **servers).stderr


def test_what_lies_too_far_ahead_is_not_published(servers):
    """The worker would set it aside; in a history the time of a record is its own."""
    assert "no more than a day ahead" in run("pools", "pause", "main", "--at", "2099-01-01", code=2, **servers).stderr
    history = {**servers, "MAITRED_TIME": "event"}
    assert run("pools", "resume", "main", "--at", "2099-01-01", **history).stdout


# ---- the roster -------------------------------------------------------------------------------------------------------


def test_an_advisor_is_entered_changed_away_and_gone(own):
    """Each command publishes a whole entry: what it does not change is what was said before."""
    assert "say --capacity" in run("roster", "set", "anna", "--pool", "main", code=2, **own).stderr
    run("roster", "set", "anna", "--pool", "main", "--capacity", "9", "--daily-intake", "3", "--language", "de", **own)
    run("roster", "set", "anna", "--capacity", "5", **own)
    entry = last(own, "roster")
    assert (entry.capacity, entry.daily_intake, entry.languages, entry.status) == (5, 3, ("de",), "active")
    run("roster", "absent", "anna", "--from", "2026-12-24", "--back", "2099-01-02", **own)
    run("roster", "absent", "anna", "--from", "2001-01-01", "--back", "2001-01-02", **own)
    run("roster", "set", "anna", "--status", "paused", "--language", "any", **own)
    entry = last(own, "roster")
    assert (entry.capacity, entry.languages, entry.status) == (5, (), "paused")
    assert len(entry.absences) == 2
    run("roster", "absent", "anna", "--from", "2099-05-01", "--back", "2099-06-01", **own)
    assert [absence.until_ms // 1000 for absence in last(own, "roster").absences] == [4_070_995_200, 4_083_955_200]
    (shown,) = run("roster", "list", "--json", **own).stdout.splitlines()
    assert json.loads(shown)["capacity"] == 5
    run("roster", "absent", "anna", "--clear", **own)
    assert last(own, "roster").absences == ()
    run("roster", "leave", "anna", **own)
    assert last(own, "roster").status == "left"
    assert run("roster", "list", **own).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["leave", "nobody"], "expected an advisor of the roster, got 'nobody'"),
        (["set", "nobody", "--capacity", "3"], "`maitred roster set` with --pool enters one"),
        (["absent", "eve", "--from", "2026-12-24"], "say --from and --back, or --clear"),
        (
            ["absent", "eve", "--from", "2026-12-24", "--back", "2026-12-23"],
            "absences[0].until_ms: expected a time after",
        ),
        (["set", "eve", "--pool", "other", "--capacity", "1", "--daily-intake", "1"], "an advisor has one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_told_and_not_published(servers, arguments, said):
    run("roster", "set", "eve", "--pool", "main", "--capacity", "1", "--daily-intake", "1", **servers)
    before = last(servers, "roster")
    assert said in run("roster", *arguments, code=2, **servers).stderr
    assert last(servers, "roster") == before


# ---- pools ------------------------------------------------------------------------------------------------------------


def test_a_pool_is_paused_and_resumed(servers):
    for command, status in (("pause", "paused"), ("resume", "assigning")):
        run("pools", command, "main", **servers)
        assert (last(servers, "roster").pool, last(servers, "roster").status) == ("main", status)


def test_only_a_pool_that_is_known_is_paused(servers):
    """By the settings, or by the roster; of the latter the settings' ignorance is told."""
    assert "expected a pool of the settings or the roster" in run("pools", "pause", "nosuch", code=2, **servers).stderr
    run("roster", "set", "nora", "--pool", "north", "--capacity", "1", "--daily-intake", "1", **servers)
    assert "the settings know no pool north" in run("pools", "pause", "north", **servers).stderr
    assert last(servers, "roster").pool == "north"


def decided(servers, *events):
    """What an assigner would leave in the store and on the topics."""
    topics = {"AdvisorChanged": "roster", "RelationImported": "contacts"}
    runs = [Run(topics[type(e).__name__], (record("roster", n, e),), e.occurred_at_ms) for n, e in enumerate(events)]
    batch = Batch(HERE, 0, tuple(runs))
    store = RedisStore(servers["MAITRED_REDIS__URL"], "maitred", "assigner")
    loaded = store.load(HERE, needs(batch, POLICY).keys, 0)
    decision = assign(State(loaded.values, {}, ()), batch, POLICY)
    store.apply(HERE, 0, Position(1), decision.writes)
    store.close()
    return decision


def test_pools_list_shows_what_the_assigner_has(own):
    now_ms = 1_700_000_000_000
    run("roster", "set", "anna", "--pool", "main", "--capacity", "2", "--daily-intake", "2", **own)
    decided(own, roster("anna", now_ms, "main", capacity=2), relation("c1", "anna", now_ms, "main"))
    (shown,) = run("pools", "list", "--json", **own).stdout.splitlines()
    facts = json.loads(shown)
    assert (facts["pool"], facts["status"], facts["capacity"], facts["served"], facts["free_now"]) == (
        "main", "assigning", 2, 1, 1,
    )  # fmt: skip
    assert facts["by_advisor"]["anna"]["served"] == 1
    assert run("pools", "list", **own).stdout == "main\tassigning\t1\t0\t2\t1\t1\t0\n"


# ---- who is served, and who was before --------------------------------------------------------------------------------


def test_current_shows_who_is_served_and_nobody_else(own):
    """The last word on each customer; a tombstone takes them out."""
    now_ms = 1_700_000_000_000
    told = [roster(name, now_ms, "main", capacity=9) for name in ("anna", "bela")]
    decision = decided(own, *told, *(relation(f"c{n}", ("anna", "bela")[n % 2], now_ms, "main") for n in range(4)))
    serve(own, decision)
    publisher = KafkaPublisher(own["MAITRED_KAFKA__BOOTSTRAP"])
    publisher.publish("maitred.current-assignments", partition_of("c2", 2), b"c2", None)
    publisher.flush()
    shown = [json.loads(line) for line in run("assignments", "current", "--json", **own).stdout.splitlines()]
    assert [(event["advisor_id"], event["customer_id"]) for event in shown] == [
        ("anna", "c0"), ("bela", "c1"), ("bela", "c3"),
    ]  # fmt: skip
    text = run("assignments", "current", "--advisor", "anna", "--pool", "main", **own).stdout
    assert text.split("\t")[:3] == ["main", "anna", "c0"]
    assert run("assignments", "current", "--pool", "other", **own).stdout == ""


def test_import_publishes_good_lines_and_tells_the_bad_ones(own, tmp_path):
    """Dry, nothing is published; strict, all or nothing; else the good ones."""
    run("roster", "set", "anna", "--pool", "main", "--capacity", "2", "--daily-intake", "2", **own)
    file = tmp_path / "relations.csv"
    file.write_text("customer_id,advisor_id,pool\nc1,anna,main\nc2,carl,main\nc3,anna,main\n")
    for options, published in ((["--dry-run"], 0), (["--strict"], 0), ([], 2)):
        result = run("assignments", "import", str(file), *options, "--json", code=1, **own)
        assert json.loads(result.stdout) == {"lines": 3, "good": 2, "bad": 1, "published": published}
        assert 'relations.csv:3: advisor_id: expected an advisor of pool main, got "carl"' in result.stderr
    assert last(own, "contacts").customer_id == "c3"
    file.write_text("customer_id,advisor_id,pool\nc4,anna,main\n")
    assert "published  1" in run("assignments", "import", str(file), "--strict", **own).stdout
    assert "expected CSV" in run("assignments", "import", str(tmp_path / "none.csv"), code=1, **own).stderr
