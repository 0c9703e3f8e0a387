"""What-if: variants of a replay, as one TOML file describes them.

A variant is a piece of `maitred.toml` that goes over the settings in force, with a few keys of its own: features that are kept
from the model, and the service that is assumed where a log knows none (a roster, contacts). All that can change a decision can
be set: `[variant.scoring]`, `[variant.learning]`, `[variant.assignment]`, `[[variant.tiers]]` and so on.

Variants that differ in what the fold finds (horizons, outcomes, tiers, money, markets) need a fold of their own; the others share
one. `fold_key` tells which.
"""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Struct, json, to_builtins
from msgspec.structs import replace

from features.vector import SECOND_FEATURES
from schemas.errors import SettingsError
from streams.policies import scoring_policy
from streams.scoring.policy import Policy
from streams.settings import DECIDING, Settings, policy_version, read
from streams.settings.keys import Name, Word, says
from streams.settings.reading import Reader, Table

AS_CONFIGURED: Final = "as configured"
KEYS_OF_A_FILE: Final = ("variant",)


class Team(Struct, frozen=True, kw_only=True):
    """Advisors of one pool who are alike, at work since before the first look."""

    pool: Annotated[Name, says("Whom they serve.")] = "main"
    advisors: Annotated[int, says("How many they are.", ge=1, le=10_000)] = 1
    capacity: Annotated[int, says("Customers of each at a time.", ge=0, le=1_000_000)] = 25
    daily_intake: Annotated[int, says("New customers of each in a day.", ge=0, le=1_000_000)] = 5
    languages: Annotated[tuple[Word, ...], says("That they speak; none: any.")] = ()


class Assumed(Struct, frozen=True, kw_only=True):
    """The keys of a variant that are no settings."""

    name: Annotated[str, says("By which the results call it.", min_length=1, max_length=64)] = AS_CONFIGURED
    description: Annotated[str, says("In a sentence.", max_length=500)] = ""
    features_off: Annotated[tuple[str, ...], says("Features that the model sees as 0.")] = ()
    contact_after_hours: Annotated[
        int,
        says("How long after an assignment its advisor has made contact; 0: nobody calls anybody.", ge=0, le=8_760),
    ] = 24
    places_share: Annotated[
        float,
        says(
            "Where neither the log nor the variant knows a roster: places that come free each week, as a share of the "
            "first purchases of an average week.",
            gt=0,
            le=1,
        ),
    ] = 0.05
    roster: Annotated[tuple[Team, ...], says("Advisors, instead of those of the log.")] = ()


class Variant(Struct, frozen=True, kw_only=True):
    """One way to decide, whole: the settings in force and what is assumed besides."""

    assumed: Assumed
    settings: Settings
    changes: Mapping[str, Any] = {}  # Any: as the file has it

    @property
    def name(self) -> str:
        return self.assumed.name

    @property
    def masked(self) -> tuple[int, ...]:
        """Places in the vector that are kept from the model."""
        return tuple(SECOND_FEATURES.index(feature) for feature in self.assumed.features_off)

    def fold_policy(self) -> Policy:
        """All that the fold is told: equal for variants that share one. What names a version has no part in it."""
        return replace(scoring_policy(self.settings), version="", reasons=0)

    def fold_key(self) -> str:
        canonical = json.encode(to_builtins(self.fold_policy()), order="sorted")
        return blake2b(canonical, digest_size=8).hexdigest()


def as_configured(settings: Settings) -> Variant:
    """The settings in force, unchanged."""
    return Variant(assumed=Assumed(), settings=settings)


def with_horizon(settings: Settings, days: int) -> Settings:
    """The settings with another horizon. Raises `SettingsError` where looks would lie behind it."""
    return _over(settings, {"scoring": {"horizon_days": days}}, "--horizon-days")


# ---- reading -------------------------------------------------------------------------------------------------------


def load_variants(path: Path, settings: Settings) -> tuple[Variant, ...]:
    """The variants of a file, in its order. Raises `SettingsError` with everything that is wrong."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(str(path), "a file of variants", error.strerror, "name another with --variants") from error
    except ValueError as error:
        raise SettingsError(str(path), "TOML", str(error), "mend the line it names") from error
    return read_variants(raw, settings, str(path))


def read_variants(raw: Table, settings: Settings, file: str) -> tuple[Variant, ...]:
    """As `load_variants`, of a file's content."""
    problems = [_unknown(key, KEYS_OF_A_FILE, file) for key in raw if key not in KEYS_OF_A_FILE]
    rows = raw.get("variant", [])
    if not problems and not (isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)):
        problems = [SettingsError("variant", "one or more [[variant]]", rows, f"add one in {file}")]
    if problems:
        raise _all(problems)
    variants = []
    for number, row in enumerate(rows):
        try:
            variants.append(_variant(row, settings, file, f"variant[{number}]."))
        except SettingsError as error:
            problems += error.problems
    names = [variant.name for variant in variants]
    problems += [
        SettingsError("variant.name", "a name of its own for each variant", name, f"change one in {file}")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if problems:
        raise _all(problems)
    return tuple(variants)


def _variant(row: Table, settings: Settings, file: str, where: str) -> Variant:
    own = Assumed.__struct_fields__
    problems = [
        _unknown(where + key, [where + k for k in (*own, *DECIDING)], file) for key in row if key not in own + DECIDING
    ]
    if "name" not in row:
        problems.append(SettingsError(f"{where}name", "a name", None, f"add it in {file}"))
    reader = Reader(file, {})
    assumed = reader.read(Assumed, {key: value for key, value in row.items() if key in own}, where)
    problems += reader.problems
    problems += [
        _unknown(f"{where}features_off.{name}", [f"{where}features_off.{f}" for f in SECOND_FEATURES], file)
        for name in assumed.features_off
        if name not in SECOND_FEATURES
    ]
    changes = {key: value for key, value in row.items() if key in DECIDING}
    changed = settings
    try:
        changed = _over(settings, changes, file)
    except SettingsError as error:
        problems += [SettingsError(where + p.key, p.expected, p.got, p.cure) for p in error.problems]
    if problems:
        raise _all(problems)
    return Variant(
        assumed=assumed, settings=changed, changes={k: v for k, v in row.items() if k not in ("name", "description")}
    )


def _over(settings: Settings, changes: Table, file: str) -> Settings:
    """The settings with a variant's tables over them. What a change makes impossible beside it goes with it."""
    merged: Table = msgspec.json.decode(msgspec.json.encode({name: getattr(settings, name) for name in DECIDING}))
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged[name], dict)
        merged[name] = {**merged[name], **value} if both else value
    scoring = changes.get("scoring", {})
    if isinstance(scoring, dict):
        _reconcile(merged["scoring"], scoring)
    changed = read(merged, {}, file)
    return replace(settings, **{name: getattr(changed, name) for name in DECIDING})


def _reconcile(merged: Table, changed: Table) -> None:
    """Outcomes end with the horizon, and a VIP is either a tier or an amount: the one that was set goes before the other."""
    if "vip_tier" in changed and "vip_amount_minor" not in changed:
        merged["vip_amount_minor"] = None
    if "vip_amount_minor" in changed and "vip_tier" not in changed:
        merged["vip_tier"] = None
    horizon = changed.get("horizon_days")
    if not isinstance(horizon, int):
        return
    if "outcomes_days" not in changed:
        merged["outcomes_days"] = [days for days in merged["outcomes_days"] if days < horizon] + [horizon]
    if "look_days" not in changed:
        merged["look_days"] = [days for days in merged["look_days"] if days < horizon]
    if "looks_until_days" not in changed:
        merged["looks_until_days"] = min(merged["looks_until_days"], horizon - 1)


# ---- errors --------------------------------------------------------------------------------------------------------


def _unknown(key: str, known: Iterable[str], file: str) -> SettingsError:
    got, names = key.rpartition(".")[2], {name.rpartition(".")[2]: name for name in known}
    near = get_close_matches(got, names, n=1)
    cure = f"did you mean {names[near[0]]}?" if near else f"remove it from {file}; there are {', '.join(names)}"
    return SettingsError(key, "a known key", got, cure)


def _all(problems: list[SettingsError]) -> SettingsError:
    first, *others = problems
    return SettingsError(first.key, first.expected, first.got, first.cure, others)


def policy_name(variant: Variant) -> str:
    """The `policy_version` that the variant's decisions carry."""
    return policy_version(variant.settings)
