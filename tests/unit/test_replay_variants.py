import tomllib
from pathlib import Path
from typing import Any

import pytest

from features.vector import FEATURES
from schemas.errors import SettingsError
from streams.replay.variants import as_configured, load_variants, read_variants, with_horizon
from streams.settings import Settings

SETTINGS = Settings()


def read(*rows: dict[str, Any], **others: Any):
    return read_variants({"variant": list(rows), **others}, SETTINGS, "what-if.toml")


def keys_of(error: pytest.ExceptionInfo[SettingsError]) -> list[str]:
    return [problem.key for problem in error.value.problems]


def test_a_variant_goes_over_the_settings_in_force() -> None:
    """Only what it names is changed."""
    (variant,) = read({"name": "half", "assignment": {"control_share": 0.5}, "features_off": ["basket_value"]})
    assert variant.settings.assignment.control_share == 0.5
    assert variant.settings.scoring == SETTINGS.scoring
    assert variant.settings.assignment.service_days == SETTINGS.assignment.service_days
    assert variant.masked == (FEATURES.index("basket_value"),)
    assert variant.changes == {"assignment": {"control_share": 0.5}, "features_off": ["basket_value"]}


def test_variants_that_find_the_same_share_a_fold() -> None:
    """Horizons, tiers and amounts need another one; control share, champion and masked features don't."""
    plain = as_configured(SETTINGS).fold_key()
    same = read(
        {"name": "a", "assignment": {"control_share": 0.5}},
        {"name": "b", "learning": {"champion": "river"}},
        {"name": "c", "features_off": ["log_skus"]},
        {"name": "d", "roster": [{"pool": "main", "advisors": 3}]},
    )
    other = read(
        {"name": "e", "scoring": {"horizon_days": 90}},
        {"name": "f", "scoring": {"vip_amount_minor": 5_000}},
        {"name": "g", "tiers": [{"name": "one", "qualifying_minor": 10_000}]},
        {"name": "h", "scoring": {"vip_tier": "gold"}},
    )
    assert {variant.fold_key() for variant in same} == {plain}
    assert len({plain, *(variant.fold_key() for variant in other)}) == 5


def test_what_a_change_makes_impossible_goes_with_it() -> None:
    """Outcomes end with the horizon; looks lie before it; a tier leaves no amount."""
    short, tier = read(
        {"name": "short", "scoring": {"horizon_days": 20}}, {"name": "tier", "scoring": {"vip_tier": "gold"}}
    )
    assert short.settings.scoring.outcomes_days == (20,)
    assert short.settings.scoring.look_days == (7, 14)
    assert short.settings.scoring.looks_until_days == 19
    assert tier.fold_policy().vip_amount_minor is None
    assert with_horizon(SETTINGS, 90).scoring.outcomes_days == (30, 90)


def test_an_unknown_key_is_told_with_the_one_that_was_meant() -> None:
    """Of the file, of a variant, of a section, of a list of features: all at once."""
    with pytest.raises(SettingsError) as error:
        read(
            {"name": "a", "features_of": [], "scorin": {}, "assignment": {"control_shar": 1}},
            {"features_off": ["basketvalue"]},
        )
    assert keys_of(error) == [
        "variant[0].features_of",
        "variant[0].scorin",
        "variant[0].assignment.control_shar",
        "variant[1].name",
        "variant[1].features_off.basketvalue",
    ]
    text = str(error.value)
    for meant in ("features_off?", "scoring?", "assignment.control_share?", "basket_value?"):
        assert f"did you mean {meant}" in text.replace("variant[0].", "").replace("variant[1].features_off.", "")
    with pytest.raises(SettingsError, match="did you mean variant"):
        read(varient=[])


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        ([], "variant"),
        ([{"name": "a"}, {"name": "a"}], "variant.name"),
        ([{"name": "a", "scoring": {"horizon_days": -1}}], "variant[0].scoring.horizon_days"),
        ([{"name": "a", "contact_after_hours": "soon"}], "variant[0].contact_after_hours"),
        ([{"name": "a", "roster": [{"capacity": -3}]}], "variant[0].roster[0].capacity"),
    ],
)
def test_what_is_wrong_is_named(rows: list[dict[str, Any]], key: str) -> None:
    """By its key, before anything is replayed."""
    with pytest.raises(SettingsError) as error:
        read(*rows)
    assert key in keys_of(error)


def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    """Missing, or not TOML."""
    with pytest.raises(SettingsError, match="a file of variants"):
        load_variants(tmp_path / "none.toml", SETTINGS)
    (tmp_path / "bad.toml").write_text("[[variant]\n")
    with pytest.raises(SettingsError, match="expected TOML"):
        load_variants(tmp_path / "bad.toml", SETTINGS)


def test_the_documented_example_is_read() -> None:
    """Every variant of docs/replay.md."""
    page = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()
    (block,) = [part for part in page.split("```") if part.startswith("toml")]
    variants = read_variants(tomllib.loads(block.removeprefix("toml")), SETTINGS, "docs/replay.md")
    assert [variant.name for variant in variants][:2] == ["as it is", "rule only"]
    assert variants[1].settings.learning.champion == "rule"
    assert variants[-1].assumed.roster[0].advisors == 4
