"""Rows that don't fit in memory: gathered, divided by a hash of whose they are, and written to Parquet, one file a bucket.

Memory is bounded by `BUFFER_BYTES`, whatever comes. How many buckets there are is settled when the first rows are written:
a log that fits into the buffer needs few. What is folded of them does not depend on it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BUFFER_BYTES: Final = 128 << 20
ROWS_IN_A_BUCKET: Final = 400_000
MOST_BUCKETS: Final = 192  # files that are open at once
UNKNOWN_SIZE_BUCKETS: Final = 128
COMPRESSION: Final = "zstd"


def hashes(names: pa.Array) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """A hash of each name, the same in every process and on every machine."""
    encoded = names.dictionary_encode()
    known = np.array([crc32(name.encode()) for name in encoded.dictionary.to_pylist()], np.uint32)
    return known[encoded.indices.to_numpy()] if len(known) else known


def buckets_for(rows: int) -> int:
    return max(4, min(MOST_BUCKETS, -(-rows // ROWS_IN_A_BUCKET)))


class Spill:
    """Writes tables of one schema to `folder/name-<bucket>.parquet`. Buckets without rows have no file."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        self._folder, self._name, self._schema = folder, name, schema
        self.buckets: int | None = None
        self._writers: dict[int, pq.ParquetWriter] = {}
        self._waiting: list[tuple[pa.RecordBatch, Any]] = []  # with the hash of each row
        self._bytes = 0
        self.sizes: dict[str, int] = {}  # rows by file

    def add(self, batch: pa.RecordBatch, hashed: Any) -> None:  # Any: an array of hashes
        if len(batch):
            self._waiting.append((batch, hashed))
            self._bytes += batch.nbytes

    @property
    def is_full(self) -> bool:
        return self._bytes >= BUFFER_BYTES

    def flush(self, buckets: int) -> None:
        """Write what waits. The number of buckets is that of the first time."""
        self.buckets = self.buckets or buckets
        if not self._waiting:
            return
        table = pa.Table.from_batches([batch for batch, _ in self._waiting], schema=self._schema).combine_chunks()
        bucket = np.concatenate([hashed for _, hashed in self._waiting]) % self.buckets
        self._waiting, self._bytes = [], 0
        order = np.argsort(bucket.astype(np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(bucket, minlength=self.buckets))
        table, start = table.take(pa.array(order)), 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                self._writer(number).write_table(table.slice(start, end - start))
                name = file_of(self._name, number)
                self.sizes[name] = self.sizes.get(name, 0) + end - start
            start = end

    def _writer(self, number: int) -> pq.ParquetWriter:
        if number not in self._writers:
            self._writers[number] = writer(self._folder / file_of(self._name, number), self._schema)
        return self._writers[number]

    def close(self) -> list[int]:
        """The buckets that have rows."""
        assert not self._waiting
        for each in self._writers.values():
            each.close()
        return sorted(self._writers)


def file_of(name: str, bucket: int) -> str:
    return f"{name}-{bucket:04d}.parquet"


def writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression=COMPRESSION, compression_level=1, use_dictionary=False,
                            write_statistics=False)  # fmt: skip


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A table of one piece."""
    return pq.read_table(path, columns=columns, memory_map=False, use_threads=False).combine_chunks()
