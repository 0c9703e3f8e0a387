"""Event files as a source: JSON lines, Avro and Parquet, many at once, by name, by pattern or by folder.

Rows come in the order of the files, each in its own order; sorting them by time is the fold's work. Parts may be read in other
processes: `parts` gives the files one by one, and `laid` (rows.py) lays what they hold on partitions, in the order of the parts.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from schemas.codec import Schemas
from schemas.registry import FileRegistry
from streams.event_files import FORMS, EventFileError, count_avro, form_of, opened_parquet
from streams.replay.places import Places
from streams.replay.rows import Quality, laid
from streams.replay.sources.columns import rows_of_parquet
from streams.replay.sources.contents import contents
from streams.replay.sources.lines import Reader, rows_of_avro, rows_of_lines

CODE = "1"  # goes into the fingerprint: moves on when equal files make other rows

READERS: dict[str, Reader] = {
    ".jsonl": rows_of_lines,
    ".ndjson": rows_of_lines,
    ".json": rows_of_lines,
    ".avro": rows_of_avro,
    ".parquet": rows_of_parquet,
}


class FilePart(Struct, frozen=True):
    """One file; goes to another process as it is."""

    path: Path

    def loose(self) -> Iterator[Any]:  # Any: pyarrow ships no types
        """Its rows, without places."""
        return READERS[form_of(self.path)](self.path, Schemas(FileRegistry()))

    def total(self) -> int:
        """How many rows it has; of JSON how many lines."""
        form = form_of(self.path)
        if form == ".parquet":
            return int(opened_parquet(self.path).metadata.num_rows)
        return count_avro(self.path) if form == ".avro" else contents(self.path).newlines


class FileSource:
    """`named` are files, folders (all event files in them, and below) or patterns (`shop/Order*.parquet`)."""

    lacks: tuple[str, ...] = ()

    def __init__(self, named: Sequence[str | Path], partitions: int) -> None:
        """Raises `EventFileError` where there is nothing to read."""
        self.paths = files_of(named)
        self.parts = tuple(map(FilePart, self.paths))
        self.name = f"{len(self.paths)} files" if len(self.paths) > 1 else self.paths[0].name
        self.quality = Quality()
        self._partitions = partitions

    def fingerprint(self) -> str:
        """Of the files' names, contents and order."""
        said = [CODE, str(self._partitions)]
        for path in self.paths:
            said += [path.name, contents(path).name]
        return hashlib.blake2b("\n".join(said).encode(), digest_size=16).hexdigest()

    def total(self) -> int | None:
        return sum(part.total() for part in self.parts)

    def batches(self) -> Iterator[Any]:  # Any: pyarrow ships no types
        self.quality, places = Quality(), Places(self._partitions)
        for part in self.parts:
            for loose in part.loose():
                batch = laid(loose, places)
                self.quality.note(batch)
                yield batch


def files_of(named: Sequence[str | Path]) -> tuple[Path, ...]:
    """The event files that are meant, each once: in the order named, those of a folder or a pattern in order of name."""
    found = dict.fromkeys(path for name in named for path in _files(Path(name)))
    if not found:
        raise EventFileError("expected event files, got no name of any; name files, folders or patterns")
    return tuple(found)


def _files(named: Path) -> list[Path]:
    if named.is_dir():
        files = sorted(path for path in named.rglob("*") if path.suffix.lower() in FORMS and path.is_file())
        expected = f"event files in it, whose names end in {', '.join(FORMS)}"
    elif named.exists():
        form_of(named)
        return [named]
    else:
        pattern = str(named.relative_to(named.anchor)) if named.anchor else str(named)
        files = sorted(path for path in Path(named.anchor or ".").glob(pattern) if path.suffix.lower() in FORMS)
        expected = "a file, a folder, or a pattern that fits event files"
    if not files:
        raise EventFileError(f"{named}: expected {expected}, got none; look where the files are")
    return files
