"""All that can be set: one `maitred.toml`, over it the environment, under it the defaults.

What keys there are, and what each says, stands in `keys.py`; reading and checking values one by one is
`reading.py`'s work, what they must not contradict each other `contradictions.py`'s. What the core is
told is made from these settings in `policies.py`.
"""

import os
import tomllib
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec

from schemas.errors import SettingsError
from streams.settings.contradictions import contradictions
from streams.settings.keys import Settings
from streams.settings.reading import Reader, Table, overlay

__all__ = ["FILE", "Settings", "file_table", "load", "policy_version", "read"]

FILE = Path("maitred.toml")
# Variables with our prefix that are no settings: of the command line, the tests and the container.
OTHER_VARIABLES = (
    "MAITRED_CONFIG", "MAITRED_DATA", "MAITRED_HEALTH_URL", "MAITRED_REQUIRE_SERVERS", "MAITRED_SEED", "MAITRED_SEEDS",
    "MAITRED_WEBHOOK_SECRET",
)  # fmt: skip
DECIDING = ("money", "markets", "scoring", "tiers", "tier_changes", "assignment", "learning")


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a file (`maitred.toml` here, if there is one) and the environment over it, all of them checked.

    Raises `SettingsError` with everything that is wrong.
    """
    return read(file_table(path), environment, str(path or FILE))


def read(raw: Table, environment: Mapping[str, str], file: str = str(FILE)) -> Settings:
    """As `load`, of a file's content."""
    unknown = list(overlay(raw, Settings, environment, OTHER_VARIABLES))
    reader = Reader(file, environment)
    settings = reader.read(Settings, raw)
    problems = unknown + reader.problems
    if problems := problems or [
        SettingsError(found.key, found.expected, found.got, reader.cure(found.key))
        for found in contradictions(settings)
    ]:
        first, *others = problems
        raise SettingsError(first.key, first.expected, first.got, first.cure, others)
    return settings


def policy_version(settings: Settings) -> str:
    """A short name of everything that can change a decision: equal settings have equal names.

    >>> policy_version(Settings()) == policy_version(Settings(namespace="other"))
    True
    """
    deciding = {name: getattr(settings, name) for name in DECIDING}
    canonical = msgspec.json.encode(deciding, order="sorted")
    return blake2b(canonical, digest_size=4).hexdigest()


def file_table(path: Path | None) -> Table:
    """The content of a settings file (`maitred.toml` here, if there is one), not checked yet."""
    if path is None and not FILE.exists():
        return {}
    file = path or FILE
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            str(file), "a file that can be read", error.strerror, "name another with --config"
        ) from error
    except ValueError as error:  # TOML's own errors and those of decoding
        raise SettingsError(str(file), "TOML", str(error), "mend the line it names") from error
