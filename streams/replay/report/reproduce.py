"""How to get the same report again, byte for byte, and what its words mean."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from streams.datasets import DATASETS
from streams.replay.report.glossary import MEANINGS
from streams.replay.report.parts import Command, Section, Sheet, Word
from streams.replay.results import Results

USUAL_HORIZON_DAYS: Final = 180


def reproduce(results: Results) -> Section:
    section = Section(name="again", title="How to get this again")
    section.lead.append(
        "The same inputs and configuration give the same decisions to the byte, whatever the number of processes: "
        "outputs_sha256 is over all of them, in order."
    )
    facts = [
        ("Maitred", results.maitred),
        ("source", results.source.title or results.source.name),
        ("its fingerprint", results.source.fingerprint),
        ("its licence", results.source.licence),
        ("order of events", results.source.ordering),
        ("outcome", results.outcome),
        ("horizon", f"{results.horizon_days} days"),
        ("base currency", results.base_currency),
        ("seed, bootstrap draws", f"{results.seed}, {results.bootstrap_draws:,}"),
        ("settings, by their hash", _policy_version(results.settings)),
        ("outputs_sha256", results.outputs_sha256),
        *((f"outputs of variant {v.name}", v.outputs_sha256) for v in results.variants),
    ]
    section.sheets.append(
        Sheet(
            caption="What made it",
            columns=("what", "which"),
            rows=tuple((name, value) for name, value in facts if value),
            words=2,
        )
    )
    if results.source.name in DATASETS:
        section.commands.append(Command(said="The command, with your folders:", typed=_command(results)))
    if results.settings:
        section.commands.append(
            Command(
                said="The settings that decided:",
                typed=json.dumps(results.settings, indent=1, sort_keys=True, default=str),
                is_long=True,
            )
        )
    section.notes.append("The same numbers are in results.json and, as tables, in the Parquet files beside this page.")
    return section


def _command(results: Results) -> str:
    horizon = f" --horizon-days {results.horizon_days}" if results.horizon_days != USUAL_HORIZON_DAYS else ""
    variants = " --variants variants.toml" if len(results.variants) > 1 else ""
    return f"maitred replay --dataset {results.source.name} --data data{variants}{horizon} --seed {results.seed} --to report"


def _policy_version(settings: Mapping[str, object]) -> str:
    """The name by which production's decisions call these settings (`streams.settings.policy_version`)."""
    canonical = msgspec.json.encode(settings, order="sorted")
    return blake2b(canonical, digest_size=4).hexdigest() if settings else ""


def glossary() -> Section:
    section = Section(name="words", title="Words")
    section.words = [Word(name=name, meaning=meaning) for name, meaning in MEANINGS]
    return section
