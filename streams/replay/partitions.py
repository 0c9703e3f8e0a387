"""The partitions of many keys at once, as `schemas.ids.partition_of` gives them one by one: murmur2 in columns."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_SEED, _M = np.uint32(0x9747B28C), np.uint32(0x5BD1E995)
Words = npt.NDArray[np.uint32]


def partitions_of(keys: Any, partitions: int) -> Any:  # Any: pyarrow ships no types; strings in, int32 out
    """The partition of every key."""
    seen = pc.dictionary_encode(keys)
    hashes = _hashes(seen.dictionary.cast(pa.binary()))
    numbers = ((hashes & np.uint32(0x7FFFFFFF)) % np.uint32(partitions)).astype(np.int32)
    return pa.array(numbers[seen.indices.to_numpy(zero_copy_only=False)], pa.int32())


def _hashes(keys: Any) -> Words:  # Any: as above
    """Keys of one length at a time: their bytes are a table then, whose columns are mixed in as MurmurHash2 mixes bytes."""
    hashes = np.zeros(len(keys), np.uint32)
    offsets = np.frombuffer(keys.buffers()[1], np.int32)[keys.offset : keys.offset + len(keys) + 1]
    data = np.frombuffer(keys.buffers()[2] or b"", np.uint8)
    lengths = np.diff(offsets)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        table = data[offsets[rows][:, None] + np.arange(length)] if length else np.empty((len(rows), 0), np.uint8)
        hashes[rows] = _murmur2(table)
    return hashes


def _murmur2(table: npt.NDArray[np.uint8]) -> Words:
    """The hash of each row of bytes. Arithmetic is modulo 2**32, as the array's type has it."""
    count, length = table.shape
    whole = length & ~3
    hashes = np.full(count, _SEED ^ np.uint32(length), np.uint32)
    for start in range(0, whole, 4):
        word = _little_endian(table[:, start : start + 4]) * _M
        hashes = (hashes * _M) ^ ((word ^ (word >> np.uint32(24))) * _M)
    if length > whole:
        hashes = (hashes ^ _little_endian(table[:, whole:])) * _M
    hashes = (hashes ^ (hashes >> np.uint32(13))) * _M
    return hashes ^ (hashes >> np.uint32(15))


def _little_endian(columns: npt.NDArray[np.uint8]) -> Words:
    words = np.zeros(len(columns), np.uint32)
    for place in range(columns.shape[1]):
        words |= columns[:, place].astype(np.uint32) << np.uint32(8 * place)
    return words
