"""The command line: every command shows an example, data and talk are apart, errors name what is wrong and how to mend it."""

import io
import json
import os
import shlex
from importlib.metadata import version
from itertools import count

import pytest
import typer
from confluent_kafka import Producer
from msgspec.structs import replace
from typer.testing import CliRunner

from features.frozen import FrozenLook, Looks
from features.profile import FirstPurchase, Pending, encode, new_profile
from features.redis_store import RedisStore
from features.store import Applied, Position
from schemas.codec import write_event
from schemas.events import AssignmentEnded
from schemas.ids import partition_of
from schemas.records import Fault, Record, Write
from schemas.registry import FileRegistry
from schemas.rejects import rejected_value, rejection_headers
from sinks.kafka import KafkaPublisher
from streams.cli import app, talk
from streams.cli.portrait import portrait
from streams.cli.talk import put_table
from streams.embedded import embedded_store
from streams.kafka.tail import Tail
from streams.settings import load

ENDED = AssignmentEnded(
    id="i", assignment_id="a1", customer_id="13085", advisor_id="ann", pool="main", occurred_at_ms=1_300_000_000_000,
    reason="declined",
)  # fmt: skip
BROKEN = Fault("undecodable", "value", "JSON in UTF-8", "{broken", "publish one JSON object")
NUMBERS = count()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No settings file, and no variable of ours, but those a test sets."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MAITRED_")]:
        monkeypatch.delenv(name)


def run(*arguments, code=0, **environment):
    result = CliRunner().invoke(app, arguments, env=environment, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def leaves(command, path=()):
    if isinstance(command, typer.core.TyperGroup):
        for name, child in command.commands.items():
            yield from leaves(child, (*path, name))
    else:
        yield path, command


COMMANDS = dict(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_json_is_json_on_any_terminal(encoding, monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out, encoding=encoding))
    talk.put({"name": "Ärger 店 😀"})
    assert json.loads(out.getvalue()) == {"name": "Ärger 店 😀"}


def test_there_are_the_commands_that_are_promised():
    assert {" ".join(path) for path in COMMANDS} >= {
        "worker", "topics create", "topics check", "schemas check", "schemas register", "schemas commit", "publish",
        "customer", "assignments tail", "assignments current", "assignments assign", "assignments never", "assignments lift",
        "assignments hand-over", "assignments import", "pools list", "pools pause", "pools resume", "roster list",
        "roster set", "roster leave", "roster absent", "rejected list", "rejected retry", "model show", "rebuild", "settings check",
        "settings show",
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_says_what_a_command_does_shows_an_example_and_explains_every_option(path):
    text = run(*path, "--help").stdout
    _, _, example = text.partition("Example: ")
    assert f"maitred {' '.join(path)}" in example
    assert COMMANDS[path].help
    assert [option.name for option in COMMANDS[path].params if not getattr(option, "help", None)] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_an_example_is_one_command_as_it_would_be_typed(path):
    _, _, command = (COMMANDS[path].epilog or "").partition("maitred ")  # variables may go before
    words = shlex.split(command.partition(" > ")[0])
    assert tuple(words[: len(path)]) == path
    assert "or" not in words
    COMMANDS[path].make_context(" ".join(path), words[len(path) :])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_options_are_long(path):
    options = [text for option in COMMANDS[path].params for text in option.opts if text.startswith("-")]
    assert [text for text in options if not text.startswith("--")] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["topics", "check"],
        ["settings", "check"],
        ["settings", "show"],
        ["worker"],
        ["customer", "1"],
        ["schemas", "check"],
    ],
    ids=" ".join,
)
def test_a_wrong_setting_ends_every_command_with_its_key_and_the_cure(arguments):
    result = run(*arguments, code=2, MAITRED_PARTITIONS="many")
    assert "partitions: expected a whole number" in result.stderr
    assert "MAITRED_PARTITIONS" in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_all_that_is_wrong_in_a_file_is_told_each_on_a_line(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('tme = "event"\npartitions = 0\n')
    lines = run("settings", "check", "--config", str(file), code=2).stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["tme", "partitions"]
    assert all(line.startswith("error: ") for line in lines)


def test_settings_show_says_where_a_value_is_from_and_hides_passwords():
    secret = {
        "MAITRED_REDIS__URL": "redis://me:hush@host/0",
        "MAITRED_KAFKA__SECURITY": '{"sasl.password": "hush"}',
    }
    plain = run("settings", "show", **secret).stdout
    assert "partitions\t4\tdefault" in plain
    assert 'redis.url\t"redis://me:***@host/0"\tMAITRED_REDIS__URL' in plain
    as_json = run("settings", "show", "--json", **secret).stdout
    assert json.loads(as_json)["kafka"]["security"] == {"sasl.password": "***"}
    assert "hush" not in plain + as_json


def test_the_schemas_are_compatible_with_their_history():
    assert "each compatible" in run("schemas", "check").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name event files, or a public data set"),
        (["--dataset", "cdnov"], "expected online-retail-ii or cdnow or rees46, got 'cdnov'"),
        (["--dataset", "online-retail-ii"], "needs --data"),
        (["x.jsonl", "--dataset", "cdnow", "--data", "."], "name event files, or a public data set"),
    ],
)
def test_publish_says_what_it_needs(arguments, said):
    assert said in run("publish", *arguments, code=2).stderr


def test_the_version_is_told():
    assert run("--version").stdout == f"maitred {version('maitred')}\n"


def test_retry_needs_places_or_all():
    assert "name places" in run("rejected", "retry", code=2).stderr


def test_kafka_that_does_not_answer_is_one_clear_line():
    unreachable = {"MAITRED_KAFKA__BOOTSTRAP": "127.0.0.1:1", "MAITRED_KAFKA__ANSWER_TIMEOUT_MS": "1000"}
    stderr = run("topics", "check", code=1, **unreachable).stderr
    assert "error: topics at 127.0.0.1:1" in stderr
    assert "Traceback" not in stderr


# ---- at a broker ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker():
    """The broker inside librdkafka: topics have 4 partitions there."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    metadata = host.list_topics(timeout=10)
    yield ",".join(f"{b.host}:{b.port}" for b in metadata.brokers.values())
    del host


@pytest.fixture
def kafka(broker):
    """A namespace of the test's own."""
    namespace = f"test-{next(NUMBERS)}"
    return {
        "MAITRED_KAFKA__BOOTSTRAP": broker,
        "MAITRED_KAFKA__FETCH_WAIT_MAX_MS": "10",
        "MAITRED_NAMESPACE": namespace,
    }


def test_missing_topics_are_told_one_by_one_with_the_cure(kafka):
    result = run("topics", "check", "--json", code=1, **kafka)
    problems = [json.loads(line) for line in result.stdout.splitlines()]
    assert f"{kafka['MAITRED_NAMESPACE']}.orders" in {problem["topic"] for problem in problems}
    assert {problem["cure"] for problem in problems} == {"run `maitred topics create`"}


@pytest.mark.parametrize("arguments", [["worker"], ["publish", "events.jsonl"]], ids=" ".join)
def test_what_needs_topics_refuses_to_start_without_them(kafka, arguments):
    assert "run `maitred topics create`" in run(*arguments, code=1, **kafka).stderr


def put(kafka, topic, *records):
    publisher = KafkaPublisher(kafka["MAITRED_KAFKA__BOOTSTRAP"])
    for partition, key, value, headers in records:
        publisher.publish(f"{kafka['MAITRED_NAMESPACE']}.{topic}", partition, key, value, headers)
    publisher.flush()


def test_assignments_tail_shows_the_last_ones_across_partitions(kafka):
    schema_id = FileRegistry().schema_id("AssignmentEnded")
    events = [replace(ENDED, id=f"i{n}", occurred_at_ms=ENDED.occurred_at_ms + n) for n in range(40)]
    put(kafka, "assignments", *((n % 4, b"13085", write_event(event, schema_id), []) for n, event in enumerate(events)))
    shown = [
        json.loads(line) for line in run("assignments", "tail", "--last", "4", "--json", **kafka).stdout.splitlines()
    ]
    assert len(shown) == 4
    assert {(event["type"], event["reason"]) for event in shown} == {("AssignmentEnded", "declined")}
    text = run("assignments", "tail", "--last", "1", **kafka).stdout
    assert text.split("\t")[1:5] == ["ended", "13085", "ann", "main"]


def rejected(offset, value=b"{broken", size=0, error="undecodable"):
    fault = replace(BROKEN, error=error)
    record = Record("orders", 2, offset, 1_300_000_000_000, b"13085", value + b" " * size, (("mine", b"x"),), fault)
    return (2, record.key, rejected_value(record), rejection_headers(record, fault))


def test_rejected_records_are_listed_with_what_is_wrong_and_go_back_unchanged(kafka, broker):
    put(kafka, "rejected", rejected(17), rejected(18, error="invalid"))
    (line,) = run("rejected", "list", "--error", "undecodable", "--json", **kafka).stdout.splitlines()
    told = json.loads(line)
    assert (told["place"], told["topic"], told["partition"], told["offset"]) == ("2@0", "orders", "2", "17")
    assert all(told[name] for name in ("expected", "got", "cure", "message"))
    put(kafka, "orders", (0, b"another", b"order", []))  # the broker makes the topic
    assert "1 records published once more" in run("rejected", "retry", "2@0", **kafka).stderr
    (back,) = [m for m in at_end(kafka, "orders") if m.key == b"13085"]
    assert (back.partition, back.value) == (2, b"{broken")
    assert back.headers == (("mine", b"x"), ("maitred_retried_from", b"rejected[2]@0"))


def test_what_can_not_go_back_is_told(kafka):
    put(kafka, "rejected", rejected(17, size=1_000_000, error="too_large"))
    put(kafka, "orders", (0, b"another", b"order", []))
    stderr = run("rejected", "retry", "2@0", "3@9", code=1, **kafka).stderr
    assert "publish orders[2]@17 anew" in stderr
    assert "3@9: no rejected record there" in stderr
    assert "0 records published" in stderr


def test_retry_of_all_leaves_out_what_was_retried_and_what_no_retry_cures(kafka):
    """A copy that was rejected again stands for its original; each run adds no more than still fails."""
    put(kafka, "orders", (2, b"another", b"order", []))
    put(kafka, "rejected", rejected(0, error="unknown_schema"), rejected(0, error="wrong_currency"), rejected(0))
    first = run("rejected", "retry", "--all", **kafka).stderr
    assert "2 records published once more" in first
    assert "1 left out: unchanged they would be rejected again (undecodable 1)" in first
    again = run("rejected", "retry", "--all", **kafka).stderr
    assert "2 left out: retried before" in again
    assert "0 records published" in again
    put(kafka, "rejected", rejected(1, error="unknown_schema"))
    assert "1 records published once more" in run("rejected", "retry", "--all", **kafka).stderr
    assert "1 records published once more" in run("rejected", "retry", "2@2", **kafka).stderr


def at_end(kafka, topic):
    from streams.kafka.client import KafkaSettings

    settings = KafkaSettings(kafka["MAITRED_KAFKA__BOOTSTRAP"], kafka["MAITRED_NAMESPACE"], fetch_wait_max_ms=10)
    return Tail(settings, topic, 4).all()


# ---- at a store ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with embedded_store(tmp_path_factory.mktemp("store")) as url:
        yield {"MAITRED_REDIS__URL": url}


def test_customer_shows_what_the_store_holds_and_says_no_of_a_stranger(store):
    home = partition_of("13085", 4)
    profile = new_profile("13085", 1_300_000_000_000)
    profile.market = "DE"
    held = RedisStore(store["MAITRED_REDIS__URL"], "maitred", "scorer")
    assert held.apply(home, 0, Position(1), [Write("p/13085", encode(profile))]) is Applied.DONE
    facts = json.loads(run("customer", "13085", "--json", **store).stdout)
    assert (facts["customer_id"], facts["market"], facts["consent"], facts["looks"]) == ("13085", "DE", "unknown", [])
    text = run("customer", "13085", **store).stdout
    assert "first seen         2011-03-13 07:06:40\n" in text
    assert "_ms" not in text
    assert "nothing is known of customer 1" in run("customer", "1", code=1, **store).stderr


def test_a_customer_is_described_in_dates_and_amounts():
    """No time is shown that was never set, no field by its name in the code; a look is a line."""
    profile = new_profile("13085", 1_300_000_000_000)
    profile.first_purchase = FirstPurchase(1_300_000_000_000, 123_456, 0, 3, 2, 2)
    profile.pending = [Pending(1_300_600_000_000, "day_7")]
    look = FrozenLook("first", 1, 1_300_000_000_000, 0.73, "rule-1", (1.0,), "i")
    lines = list(portrait(profile, Looks("13085", looks=[look]), load(None, {"MAITRED_MONEY__BASE": "EUR"})))
    told = dict(lines)
    assert told["first purchase"] == "2011-03-13 07:06:40  1,234.56 EUR, 3 items, known before"
    assert told["to come"] == "day_7 2011-03-20 05:46:40"
    assert told["look"] == "2011-03-13 07:06:40  first    0.730  by rule-1"
    assert (told["last seen"], told["VIP since"], told["arm"], told["wish"]) == ("-", "-", "-", "-")
    assert "1970" not in str(lines)


def test_model_show_names_the_rule_before_the_first_snapshot(store):
    facts = json.loads(run("model", "show", "--json", **store).stdout)
    assert (facts["champion"], facts["promoted"], facts["held"]) == ("anchored", None, None)
    assert facts["model_version"].startswith("rule-")


@pytest.mark.parametrize("terminal", ["", "1"])
def test_no_id_of_a_shop_breaks_a_table_or_a_terminal(terminal, monkeypatch, capsys):
    """Neither a tab nor an escape sequence, nor what rich takes for markup."""
    monkeypatch.setenv("FORCE_COLOR", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    put_table(("customer", "advisor"), [("a\tb\x1b]0;owned\x07", "[/bold] [red]x[/red]")])
    shown = capsys.readouterr().out
    assert r"a\tb\x1b]0;owned\x07" in shown
    assert "[/bold] [red]x[/red]" in shown
