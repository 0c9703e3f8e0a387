"""What suits a data set: the settings it is replayed with, unless somebody sets them otherwise, and why they are what they are.

A preset stands under the settings file and the environment: what is set there goes before it, but for what the file repeats of
the defaults (`maitred.toml` as it comes names all of them). The amount that makes a VIP is a number fixed on a part of the set
that is not reported; the preset says on which.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, json

from streams.settings import FILE, Settings, file_table, read
from streams.settings.reading import Table


class Preset(Struct, frozen=True, kw_only=True):
    """`settings` are tables as in `maitred.toml`; `horizons` what changes in them for another horizon, in days."""

    settings: Mapping[str, Mapping[str, Any]]  # Any: whatever a setting may be
    because: tuple[str, ...]  # said aloud
    horizons: Mapping[int, Mapping[str, Mapping[str, Any]]] = {}  # Any: as above
    reported_from: str = ""  # which customers no number was chosen on

    @property
    def main_horizon_days(self) -> int:
        return int(self.settings["scoring"]["horizon_days"])

    def tables(self, horizon_days: int | None = None) -> Table:
        """The tables for a horizon, the main one without it. Raises `KeyError` for one that the preset does not know."""
        changes = {} if horizon_days in (None, self.main_horizon_days) else self.horizons[horizon_days or 0]
        return {section: {**self.settings.get(section, {}), **changes.get(section, {})} for section in self.settings}


NO_PRESET = Preset(settings={"scoring": {"horizon_days": 180}}, because=())


def load_with(
    preset: Preset,
    path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    horizon_days: int | None = None,
) -> Settings:
    """As `streams.settings.load`, with the preset under what is set. Raises `SettingsError` likewise."""
    return read(under(preset.tables(horizon_days), file_table(path), environment), environment, str(path or FILE))


def under(suited: Table, chosen: Table, environment: Mapping[str, str] = os.environ) -> Table:
    """The tables of a preset, with those of a settings file over them. A tier chosen as the VIP's leaves no amount under it.

    >>> under({"money": {"base": "GBP"}}, {"money": {"base": "EUR", "rates": {"EUR": 0.86}}, "partitions": 12}, {})
    {'money': {'base': 'GBP', 'rates': {'EUR': 0.86}}, 'partitions': 12}
    """
    merged: Table = {section: dict(table) for section, table in suited.items()}
    for name, value in chosen.items():
        if not isinstance(value, dict):
            merged[name] = value
            continue
        usual = _DEFAULTS.get(name, {})
        ours = merged.setdefault(name, {})
        ours.update({key: said for key, said in value.items() if key not in ours or said != usual.get(key)})
    if "vip_tier" in chosen.get("scoring", {}) or "MAITRED_SCORING__VIP_TIER" in environment:
        merged.get("scoring", {}).pop("vip_amount_minor", None)
    return merged


_DEFAULTS: Table = json.decode(json.encode(Settings()))
