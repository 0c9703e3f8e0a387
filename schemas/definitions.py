"""The `.avsc` files on disk: the current definition of each event, and every version of it that was ever committed.

`<folder>/<Name>.avsc` is what we write and read now; `<folder>/history/<Name>/<number>.avsc` are its versions, never
changed and never removed; `<folder>/history/ids.json` gives each version the id that it keeps for ever. Whether they
agree is `compatibility.py`'s question, what their bytes mean is `codec.py`'s.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

NAMESPACE = "maitred"
FOLDER = Path(__file__).parent


class Version(NamedTuple):
    name: str  # of the event, without the namespace
    number: int

    def __str__(self) -> str:
        return f"{self.name}/{self.number}"


class Definitions(NamedTuple):
    """A folder of definitions. All texts are JSON, as they stand in the files."""

    folder: Path = FOLDER

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self.folder.glob("*.avsc")))

    def current(self, name: str) -> str:
        return (self.folder / f"{name}.avsc").read_text("utf-8")

    def past_names(self) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in (self.folder / "history").glob("*") if path.is_dir()))

    def versions(self, name: str) -> dict[int, str]:
        """All committed versions of an event by number, the oldest first."""
        paths = {int(path.stem): path for path in (self.folder / "history" / name).glob("*.avsc")}
        return {number: paths[number].read_text("utf-8") for number in sorted(paths)}

    def ids(self) -> dict[int, Version]:
        """The id of each committed version."""
        path = self.folder / "history" / "ids.json"
        entries = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return {int(key): _version(entry) for key, entry in entries.items()}

    def add_version(self, name: str) -> tuple[int, Version]:
        """Commits the current definition as the next version, under the next free id."""
        version = Version(name, max(self.versions(name), default=0) + 1)
        path = self.folder / "history" / name / f"{version.number}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.current(name), "utf-8")
        ids = self.ids()
        schema_id = max(ids, default=0) + 1
        lines = (f'  "{key}": "{ids[key]}"' for key in sorted(ids))
        text = ",\n".join([*lines, f'  "{schema_id}": "{version}"'])
        (self.folder / "history" / "ids.json").write_text(f"{{\n{text}\n}}\n", "utf-8")
        return schema_id, version


def _version(entry: str) -> Version:
    name, _, number = entry.partition("/")
    return Version(name, int(number))


@cache
def definition_of(name: str) -> str:
    """The current definition of one of our events, read once."""
    return Definitions().current(name)


def meaning(text: str) -> Any:  # Any: JSON
    """A definition without its docs: two with one meaning are the same version, so docs may be mended freely."""
    return _without_docs(json.loads(text))


def _without_docs(part: Any) -> Any:  # Any: JSON
    if isinstance(part, dict):
        return {key: _without_docs(value) for key, value in part.items() if key != "doc"}
    return [_without_docs(item) for item in part] if isinstance(part, list) else part
