"""Whether every definition can still read, and be read by, everything that was ever written: FULL_TRANSITIVE.

All topics are replayed, so each version of a definition is compared with each other, both ways. `_broken_rules` names
what breaks field by field, with what Avro lets pass though it changes what a replay reads: other defaults, values taken
away, a rename in one step, string for bytes. What they pass, the avro package judges by Avro's own rules of resolution.
Where files lie is left to `definitions.py`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

from schemas.definitions import Definitions, Version, meaning
from schemas.errors import SchemaError

COMMIT = "run `maitred schemas commit`"
_NONE = object()
Definition = Mapping[str, Any]  # Any: a definition is JSON


class Problem(NamedTuple):
    """What is wrong with one definition. `uncommitted` is no breach: the definition has moved on, its history not yet."""

    name: str  # of the event
    field: str  # such as lines[].quantity; empty for the definition as a whole
    found: str
    cure: str
    uncommitted: bool = False

    def __str__(self) -> str:
        return f"{'.'.join(filter(None, (self.name, self.field)))}: {self.found}; {self.cure}"


def check_history(definitions: Definitions | None = None) -> list[Problem]:
    """All that is wrong with the definitions and their history; empty if nothing is."""
    folder = definitions or Definitions()
    names = sorted({*folder.names(), *folder.past_names()})
    return [problem for name in names for problem in _check(folder, name)] + _check_ids(folder)


def commit_history(definitions: Definitions | None = None) -> list[Version]:
    """Commits each definition that has moved on as its next version. Raises SchemaError, and commits none, on a breach."""
    folder = definitions or Definitions()
    problems = check_history(folder)
    if breaches := [str(problem) for problem in problems if not problem.uncommitted]:
        raise SchemaError("nothing committed:\n" + "\n".join(breaches))
    return [folder.add_version(problem.name)[1] for problem in problems]


def _check(folder: Definitions, name: str) -> Iterator[Problem]:
    versions = folder.versions(name)
    if list(versions) != list(range(1, len(versions) + 1)):
        found = f"versions {', '.join(map(str, versions))} are not 1 to {len(versions)}"
        yield Problem(name, "", found, "restore the missing versions: they are never removed")
    if name not in folder.names():
        yield Problem(name, "", f"{name}.avsc is missing", "restore it: what was written must stay readable")
        return
    texts = {f"version {number}": text for number, text in versions.items()}
    if not versions or meaning(folder.current(name)) != meaning(list(versions.values())[-1]):
        texts[f"{name}.avsc"] = folder.current(name)
        found = "it differs from its newest version" if versions else "it has no committed version"
        yield Problem(name, "", found, COMMIT, uncommitted=True)
    yield from _compare(name, texts)


def _check_ids(folder: Definitions) -> list[Problem]:
    given = list(folder.ids().values())
    there = {Version(name, number) for name in folder.past_names() for number in folder.versions(name)}
    odd = sorted(there.symmetric_difference(given)) + [v for v in sorted(set(given)) if given.count(v) > 1]
    cure = "restore history/ids.json: each version keeps one id for ever"
    return [
        Problem(version.name, "", f"version {version.number} does not have exactly one id", cure) for version in odd
    ]


def _compare(name: str, texts: Mapping[str, str]) -> Iterator[Problem]:
    """Problems between any two versions, each field named once."""
    try:
        parsed = {label: avro.schema.parse(text) for label, text in texts.items()}
    except (AvroException, json.JSONDecodeError) as error:
        yield Problem(name, "", f"not a valid Avro schema ({error})", f"correct {name}.avsc")
        return
    seen: set[str] = set()
    steps = set(pairwise(texts))
    for older, newer in combinations(texts, 2):
        between = f"from {older} to {newer}"
        found = list(_broken_rules(_fields(texts[older]), _fields(texts[newer]), in_one_step=(older, newer) in steps))
        for field, what, cure in found or _unreadable(parsed[older], parsed[newer], older, newer):
            if field not in seen:
                seen.add(field)
                yield Problem(name, field, f"{what} ({between})", cure)


# ---- our rules -------------------------------------------------------------------------------------------------------

Finding = tuple[str, str, str]  # field, what was found, cure


def _broken_rules(old: Definition, new: Definition, *, in_one_step: bool) -> Iterator[Finding]:
    """What breaks, by field. `old` and `new` are fields by path."""
    for path in sorted(old.keys() & new.keys()):
        yield from _changed(path, old[path], new[path])
    gone, come = _tops(old.keys() - new.keys()), _tops(new.keys() - old.keys())
    for path in gone:
        if "default" not in old[path]:
            yield path, "a field without a default was removed", "put it back: older readers need it"
        twins = [other for other in come if _shape(new[other]["type"]) == _shape(old[path]["type"])]
        if in_one_step and twins:
            cure = f"keep {path} beside the new field, move readers over, remove it in a later version"
            yield path, f"removed where {' or '.join(twins)} was added, as in a rename", cure
    for path in come:
        if "default" not in new[path]:
            yield path, "a field without a default was added", "give it a default: older records lack it"


def _changed(path: str, old: Definition, new: Definition) -> Iterator[Finding]:
    if (was := _shape(old["type"])) != (now := _shape(new["type"])):
        yield path, f"its type changed from {was} to {now}", "put it back and add a field with the new type"
    before, after = old.get("default", _NONE), new.get("default", _NONE)
    if _NONE not in (before, after) and json.dumps(before) != json.dumps(after):
        found = f"its default changed from {json.dumps(before)} to {json.dumps(after)}"
        yield path, found, "put it back: older records without it would change their meaning"
    if lost := [value for value in old.get("values", ()) if value not in new.get("values", [value])]:
        found = f"{' and '.join(lost)} no longer among its values"
        yield path, found, "put them back: records on the topics hold them"
    if "values" in new and "values" not in old:
        yield path, "its values were free", "leave them free: records on the topics may hold others"


def _tops(paths: Iterable[str]) -> list[str]:
    """The paths that are not below another."""
    ordered = sorted(paths)
    return [p for p in ordered if not any(p.startswith((f"{other}[]", f"{other}.")) for other in ordered)]


def _fields(text: str) -> dict[str, Definition]:
    """All fields of a definition by path, those of records inside it as lines[].quantity."""
    return dict(_walk(json.loads(text), ""))


def _walk(part: Any, path: str) -> Iterator[tuple[str, Definition]]:  # Any: JSON
    if isinstance(part, list):
        for branch in part:
            yield from _walk(branch, path)
    elif isinstance(part, dict) and part["type"] == "array":
        yield from _walk(part["items"], f"{path}[]")
    elif isinstance(part, dict) and part["type"] == "record":
        for field in part["fields"]:
            below = f"{path}.{field['name']}".lstrip(".")
            yield below, field
            yield from _walk(field["type"], below)


def _shape(part: Any) -> str:  # Any: JSON
    """A type in short, records by name: array of OrderLine."""
    if isinstance(part, list):
        return " or ".join(map(_shape, part))
    if isinstance(part, str):
        return part
    if part["type"] == "array":
        return f"array of {_shape(part['items'])}"
    return str(part.get("name") or part.get("logicalType") or part["type"])


# ---- Avro's own rules ----------------------------------------------------------------------------------------------


def _unreadable(old: Any, new: Any, older: str, newer: str) -> Iterator[Finding]:
    """Any: the avro package has no types."""
    checker: Any = ReaderWriterCompatibilityChecker  # Any: as above
    for reader, writer, by, of in ((new, old, newer, older), (old, new, older, newer)):
        result = checker().get_compatibility(reader, writer)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            kinds = " and ".join(sorted({kind.value.replace("_", " ") for kind in result.incompatibilities}))
            what = f"what {of} writes, {by} can't read: {kinds} at {' and '.join(sorted(result.locations))}"
            yield "", what, "give new fields a default, and keep the fields, types and names that are there"
