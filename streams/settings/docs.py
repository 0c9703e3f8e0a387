"""`docs/configuration.md` and the commented `maitred.toml`, from the settings' own descriptions (`make docs`)."""

from collections.abc import Iterator
from datetime import date
from textwrap import wrap
from typing import Any

import msgspec
from msgspec import Struct

from streams.settings.keys import Settings
from streams.settings.reading import Key, description_of, expected, is_section, keys_of, rows_of

WIDTH = 118

OPENING = """\
# Configuration

*Written by `make docs` from `streams/settings/keys.py`; a test fails where the two differ.*

Maitred reads `maitred.toml` in the folder where it is started, or the file named by `--config PATH` or `MAITRED_CONFIG`.
Every key has a default, so there need not be one; the `maitred.toml` at the root of the repository shows them all.
`maitred settings check` says everything that is wrong with a file, `maitred settings show` what is in force.

**Environment variables override the file.** The name is `MAITRED_`, the section, two underscores, the key, in capitals:
`MAITRED_KAFKA__BOOTSTRAP` for `bootstrap` under `[kafka]`, `MAITRED_NAMESPACE` for a key at the top. Lists and tables are
written as JSON: `MAITRED_SCORING__OUTCOMES_DAYS='[30, 180]'`. An empty variable leaves an optional key unset. A variable
that begins so and names no key is an error, so a slip of the pen is never silently ignored.

Everything is checked before a worker starts: unknown keys, wrong types, impossible values, keys that contradict each
other. The sections from `[money]` to `[learning]`, and `[[tiers]]`, can change a decision: a short hash of them is the
`policy_version` that every decision carries.
"""


def configuration_page() -> str:
    """The content of `docs/configuration.md`."""
    return "\n".join([OPENING, *_sections()]).rstrip() + "\n"


def commented_defaults() -> str:
    """The content of `maitred.toml`: every key with its default, or commented out where it has none."""
    lines = [
        "# Maitred's settings, each with its default: docs/configuration.md says what can be set, and how.",
        "",
    ]
    lines += _commented(Settings, "")
    return "\n".join(lines).rstrip() + "\n"


# ---- the page ------------------------------------------------------------------------------------------------------


def _sections() -> Iterator[str]:
    yield "## At the top\n"
    yield from _table(key for key in keys_of(Settings) if "." not in key.name and not rows_of(key.hint))
    for field in msgspec.structs.fields(Settings):
        section = field.type if is_section(field.type) else rows_of(field.type)
        if section is not None:
            yield f"## `{_header(field.name, field.type)}`\n\n{section.__doc__}\n"
            yield from _table(keys_of(section, f"{field.name}." if is_section(field.type) else ""))
            if not is_section(field.type):
                yield f"Default: {_cell(field.default)}\n"


def _table(keys: Iterator[Key]) -> Iterator[str]:
    yield "| key | default | expected | what it says |"
    yield "|---|---|---|---|"
    for key in keys:
        default = "none" if key.default is None else _cell(key.default)
        name = key.name.rpartition(".")[2]
        yield f"| `{name}` | {default} | {_escaped(expected(key.hint))} | {_escaped(key.description)} |"
    yield ""


def _header(name: str, hint: Any) -> str:  # Any: a type, as in `settings_reading`
    return f"[{name}]" if is_section(hint) else f"[[{name}]]"


def _cell(value: object) -> str:
    return f"`{_escaped(_toml(value))}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


# ---- the file ------------------------------------------------------------------------------------------------------


def _commented(tree: type[Struct], section: str) -> Iterator[str]:
    """Plain keys first: in TOML what follows a table's header belongs to it."""
    fields = msgspec.structs.fields(tree)
    for field in fields:
        if not is_section(field.type) and not rows_of(field.type):
            default = (
                field.default_factory()
                if field.required is False and callable(field.default_factory)
                else field.default
            )
            yield from _key(field.name, field.type, default)
    for field in fields:
        if is_section(field.type):
            yield f"[{section}{field.name}]  # {field.type.__doc__}"
            yield from _commented(field.type, f"{section}{field.name}.")
        elif rows_of(field.type):
            yield from _rows(field.name, field.default)


def _key(name: str, hint: Any, default: object) -> Iterator[str]:  # Any: as above
    yield from (f"# {line}" for line in wrap(description_of(hint), WIDTH))
    yield f"{'# ' if default is None else ''}{name} = {_toml(default)}"
    yield ""


def _rows(name: str, rows: tuple[Struct, ...]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"[[{name}]]" + (f"  # {type(row).__doc__}" if number == 0 else "")
        for field in msgspec.structs.fields(type(row)):
            comment = f"  # {description_of(field.type)}" if number == 0 else ""
            yield f"{field.name} = {_toml(getattr(row, field.name))}{comment}"
        yield ""


def _toml(value: object) -> str:
    match value:
        case None:
            return "..."
        case bool() | str():
            return msgspec.json.encode(value).decode()
        case int():
            return f"{value:_}" if value >= 10_000 else str(value)
        case float():
            return repr(value)
        case date():
            return value.isoformat()
        case tuple() | list():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case dict():
            pairs = [f"{msgspec.json.encode(key).decode()} = {_toml(item)}" for key, item in value.items()]
            return f"{{{' ' if pairs else ''}{', '.join(pairs)}{' ' if pairs else ''}}}"
        case Struct():
            return _toml(msgspec.structs.asdict(value))
    raise TypeError(type(value).__name__)
