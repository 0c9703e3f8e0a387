"""A public data set by name. What it lacks is said aloud, and the settings that suit it come with it (`Dataset.preset`)."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streams.datasets import DATASETS
from streams.datasets.dataset import DatasetError, Tally
from streams.replay.rows import Quality, batches_of
from streams.replay.sources.contents import contents_hash

CODE = "2"  # goes into the fingerprint: moves on when an adapter makes other events of the same files


class NamedSource:
    """`data` is the folder with the data sets; None looks only where packages carry one."""

    def __init__(self, name: str, data: Path | None, partitions: int) -> None:
        """Raises `DatasetError` if there is no such set, or its files are not there."""
        if name not in DATASETS:
            raise DatasetError(f"--dataset: expected {' or '.join(DATASETS)}, got {name!r}")
        self.dataset, self.quality, self.tally = DATASETS[name], Quality(), Tally()
        self.preset = self.dataset.preset
        self.name, self.lacks = self.dataset.name, self.dataset.lacks
        self._paths, self._data, self._partitions = self.dataset.found(data), data, partitions

    def fingerprint(self) -> str:
        said = [CODE, self.name, str(self._partitions), *map(contents_hash, self._paths)]
        return hashlib.blake2b("\n".join(said).encode(), digest_size=16).hexdigest()

    def total(self) -> int | None:
        """How many events there are can't be told from how many rows a file has."""
        return None

    def batches(self) -> Iterator[Any]:  # Any: pyarrow ships no types
        self.quality, self.tally = Quality(), Tally()
        for batch in batches_of(self.dataset.events(self._data or Path(), self.tally), self._partitions):
            self.quality.note(batch)
            yield batch
        self.quality.left_out.update(self.tally.skipped)
