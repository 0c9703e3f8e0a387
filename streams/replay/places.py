"""Where rows lie that come from no log: on the partitions that publishing them would give, numbered in reading order."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.replay.partitions import partitions_of

_TOPICS_AT_MOST = 1 << 16  # partitions of a topic have fewer numbers


class Places:
    """Running offsets by topic and partition. Rows without a key (they could not be read) lie on partition 0."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._next: dict[int, int] = {}

    def lay(self, topics: npt.NDArray[np.int8], keys: Any) -> tuple[Any, Any]:  # Any: pyarrow ships no types
        """The partitions and offsets of rows, by their topics' numbers and their keys (None: no key)."""
        partitions = partitions_of(keys.fill_null(""), self._partitions).to_numpy()
        lying = np.where(keys.is_valid().to_numpy(zero_copy_only=False), partitions, 0).astype(np.int32)
        return pa.array(lying, pa.int32()), pa.array(self._numbered(topics, lying), pa.int64())

    def _numbered(self, topics: npt.NDArray[np.int8], partitions: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        places = topics.astype(np.int64) * _TOPICS_AT_MOST + partitions
        order = np.argsort(places, kind="stable")
        found, starts, counts = np.unique(places[order], return_index=True, return_counts=True)
        offsets = np.empty(len(places), np.int64)
        for place, start, count in zip(found.tolist(), starts.tolist(), counts.tolist(), strict=True):
            first = self._next.get(place, 0)
            offsets[order[start : start + count]] = np.arange(first, first + count)
            self._next[place] = first + count
        return offsets
