"""Deterministic names: ids of outputs, hashes of ids, and the partition a key belongs to."""

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.records import Record


def caused_by_record(record: "Record", kind: str, ordinal: int = 0) -> str:
    """The id of the `ordinal`-th output of this kind that a source record causes."""
    return f"{record.topic}/{record.partition}/{record.offset}/{kind}/{ordinal}"


def caused_by_time(partition: int, key: str, due_ms: int, kind: str) -> str:
    """The id of an output that a due item causes. The key is hashed: ids outlive an erasure."""
    return f"due/{partition}/{hash64(key):016x}/{due_ms}/{kind}"


def hash64(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


@lru_cache(maxsize=1 << 18)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as Kafka's Java client computes it (murmur2, seed 0x9747b28c).

    >>> partition_of("21", 1000), partition_of("foobar", 1000)
    (340, 166)
    """
    return (_murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2, 32 bits, little-endian blocks."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    length = len(data)
    h = (0x9747B28C ^ length) & mask
    whole = length & ~3
    for start in range(0, whole, 4):
        k = (int.from_bytes(data[start : start + 4], "little") * m) & mask
        k = ((k ^ (k >> 24)) * m) & mask
        h = ((h * m) & mask) ^ k
    if tail := data[whole:]:
        h = ((h ^ int.from_bytes(tail, "little")) * m) & mask
    h = ((h ^ (h >> 13)) * m) & mask
    return h ^ (h >> 15)
