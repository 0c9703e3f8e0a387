"""Settings: what is wrong with them is said at once, by key; what is right is in force, by precedence."""

from pathlib import Path

import msgspec
import pytest

from schemas.errors import SettingsError
from streams.settings import Settings, load, policy_version, read
from streams.settings.currencies import millionths
from streams.settings.reading import is_section, keys_of, rows_of

ROOT = Path(__file__).parents[2]


def problems(raw, environment=None):
    with pytest.raises(SettingsError) as raised:
        read(raw, environment or {})
    return {problem.key: problem for problem in raised.value.problems}


def test_an_empty_file_gives_the_defaults():
    assert read({}, {}) == Settings()


def test_the_commented_file_at_the_root_gives_the_defaults():
    assert load(ROOT / "maitred.toml", {}) == Settings()


def test_the_environment_goes_before_the_file_and_the_file_before_the_defaults():
    raw = {"partitions": 8, "kafka": {"bootstrap": "file:1", "replication": 1}}
    settings = read(raw, {"MAITRED_KAFKA__BOOTSTRAP": "environment:1"})
    assert settings.kafka.bootstrap == "environment:1"
    assert (settings.kafka.replication, settings.partitions) == (1, 8)
    assert settings.namespace == Settings().namespace


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("MAITRED_NAMESPACE", "shop", "namespace", "shop"),
        ("MAITRED_PARTITIONS", "12", "partitions", 12),
        ("MAITRED_WORKER__INSTANCE", "007", "worker.instance", "007"),
        ("MAITRED_SCORING__OUTCOMES_DAYS", "[60, 180]", "scoring.outcomes_days", (60, 180)),
        ("MAITRED_MONEY__RATES", '{"GBP": 1.17}', "money.rates", {"GBP": 1.17}),
        ("MAITRED_SCORING__VIP_TIER", "", "scoring.vip_tier", None),
        ("MAITRED_ASSIGNMENT__CONTROL_SHARE", "0", "assignment.control_share", 0.0),
    ],
)
def test_a_variable_is_read_as_its_key_wants_it(variable, text, key, value):
    found = read({}, {variable: text})
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("raw", "key", "expected", "got", "cure"),
    [
        ({"partitons": 3}, "partitons", "a known key", 3, "did you mean partitions?"),
        ({"kafka": {"bootstraps": "x"}}, "kafka.bootstraps", "a known key", "x", "did you mean kafka.bootstrap?"),
        ({"kafka": {"replication": "3"}}, "kafka.replication", "a whole number, at least 1, at most 9", "3", "maitred.toml"),
        ({"kafka": {"replication": 0}}, "kafka.replication", "at least 1", 0, "maitred.toml"),
        ({"kafka": 3}, "kafka", "a table", 3, "maitred.toml"),
        ({"time": "walls"}, "time", '"wall" or "event"', "walls", "maitred.toml"),
        ({"namespace": "Main Street"}, "namespace", "matching", "Main Street", "maitred.toml"),
        ({"money": {"base": "euro"}}, "money.base", "matching ^[A-Z]{3}$", "euro", "maitred.toml"),
        ({"money": {"rates": {"GBP": -1}}}, "money.rates", "more than 0", {"GBP": -1}, "maitred.toml"),
        ({"scoring": {"decide_from": "2010-3-1"}}, "scoring.decide_from", "a date", "2010-3-1", "maitred.toml"),
        ({"scoring": {"look_days": [3]}}, "scoring.look_days", "7 or 14 or 30", [3], "maitred.toml"),
        ({"tiers": [{"name": "gold"}]}, "tiers[0].qualifying_minor", "a whole number", None, "maitred.toml"),
        ({"tiers": [{"nam": "gold"}]}, "tiers[0].nam", "a known key", "gold", "tiers[0].name"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_key_expectation_and_cure(raw, key, expected, got, cure):
    problem = problems(raw)[key]
    assert expected in problem.expected
    assert problem.got == got
    assert cure in problem.cure


def test_all_problems_are_told_at_once():
    found = problems({"partitions": 0, "batch": {"max_records": 0}, "tme": "event"}, {"MAITRED_TIM": "event"})
    assert found.keys() == {"partitions", "batch.max_records", "tme", "MAITRED_TIM"}


def test_a_variable_at_fault_is_named_in_the_cure():
    problem = problems({}, {"MAITRED_PARTITIONS": "many"})["partitions"]
    assert problem.got == "many"
    assert "MAITRED_PARTITIONS" in problem.cure


def test_a_variable_that_names_no_key_is_told_with_the_one_it_may_have_meant():
    assert "MAITRED_KAFKA__BOOTSTRAP" in problems({}, {"MAITRED_KAFKA_BOOTSTRAP": "x"})["MAITRED_KAFKA_BOOTSTRAP"].cure


def test_a_secret_is_not_repeated_in_an_error():
    with pytest.raises(SettingsError) as raised:
        read({"kafka": {"security": {"sasl.password": 12345}}}, {"MAITRED_REDIS__URL": "redis:/me:hush@host"})
    assert "12345" not in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"scoring": {"vip_tier": "gold", "vip_amount_minor": 5}}, "scoring.vip_tier"),
        ({"scoring": {"vip_tier": "golden"}}, "scoring.vip_tier"),
        ({"scoring": {"outcomes_days": [180, 30]}}, "scoring.outcomes_days"),
        ({"scoring": {"horizon_days": 90}}, "scoring.outcomes_days"),
        ({"scoring": {"look_days": [14, 7]}}, "scoring.look_days"),
        ({"scoring": {"horizon_days": 20, "outcomes_days": [20]}}, "scoring.horizon_days"),
        ({"tiers": [{"name": "a", "qualifying_minor": 2}, {"name": "b", "qualifying_minor": 1}]}, "tiers"),
        ({"tiers": [{"name": "a", "qualifying_minor": 1}, {"name": "a", "qualifying_minor": 2}]}, "tiers"),
        ({"money": {"base": "EUR", "rates": {"EUR": 2}}}, "money.rates.EUR"),
        ({"money": {"base": "EUR", "rates": {"XXX": 1e-9}}}, "money.rates.XXX"),
        ({"kafka": {"security": {"group.id": "x"}}}, "kafka.security.group.id"),
        ({"worker": {"processors": ["scorer", "scorer"]}}, "worker.processors"),
    ],
)
def test_values_that_contradict_each_other_are_refused(raw, key):
    assert key in problems(raw)


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("partitions = = 3")
    for path in (tmp_path / "none.toml", broken):
        with pytest.raises(SettingsError) as raised:
            load(path, {})
        assert raised.value.key == str(path)


# ---- the policy's version ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        {"money": {"rates": {"GBP": 1.17}}},
        {"markets": {"default_pool": "north"}},
        {"scoring": {"vip_amount_minor": 1}},
        {"tiers": []},
        {"tier_changes": {"cool_down_days": 1}},
        {"assignment": {"control_share": 0.2}},
        {"learning": {"champion": "river"}},
    ],
)
def test_whatever_can_change_a_decision_changes_the_policy_version(raw):
    assert policy_version(read(raw, {})) != policy_version(Settings())


@pytest.mark.parametrize(
    "raw",
    [
        {"namespace": "x"},
        {"batch": {"max_records": 7}},
        {"kafka": {"bootstrap": "x:1"}},
        {"logging": {"level": "error"}},
    ],
)
def test_what_changes_no_decision_leaves_the_policy_version(raw):
    assert policy_version(read(raw, {})) == policy_version(Settings())


def test_the_order_in_which_rates_are_written_does_not_matter():
    one = read({"money": {"rates": {"GBP": 1.17, "USD": 0.9}}}, {})
    other = read({"money": {"rates": {"USD": 0.9, "GBP": 1.17}}}, {})
    assert policy_version(one) == policy_version(other)


# ---- money -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "rate", "worth"),
    [
        ("EUR", {"USD": 0.92}, {"USD": 920_000}),
        ("EUR", {"JPY": 0.006}, {"JPY": 600_000}),
        ("EUR", {"KWD": 3.0}, {"KWD": 300_000}),
        ("JPY", {"EUR": 165.0}, {"EUR": 1_650_000}),
        ("KWD", {"JPY": 0.002}, {"JPY": 2_000_000}),
    ],
)
def test_rates_between_whole_units_become_rates_between_minor_units(base, rate, worth):
    assert millionths(base, rate) == worth


# ---- documentation -----------------------------------------------------------------------------------------------------


def test_every_key_says_what_it_is():
    silent = [key.name for key in keys_of(Settings) if not key.description]
    rows = [row for key in keys_of(Settings) if (row := rows_of(key.hint))]
    assert rows
    assert silent + [key.name for row in rows for key in keys_of(row) if not key.description] == []


def test_every_section_says_what_it_is():
    sections = [field.type for field in msgspec.structs.fields(Settings) if is_section(field.type)]
    assert sections
    assert [section.__name__ for section in sections if not section.__doc__] == []
