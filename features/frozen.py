"""What was known at each look, kept until its outcome is: the value of a key of its own, `l/<customer_id>`.

Vectors are packed as a bitmap of what is not zero and 32-bit floats, which is all that `vector.py` gives. A second look's
vector begins with the first look's; that part is kept once.
"""

from collections.abc import Sequence
from struct import pack, unpack
from typing import Final

import msgspec
from msgspec import Struct

from schemas.events import OrderPlaced

SKUS_KEPT: Final = 20
CATEGORIES_KEPT: Final = 3


class FrozenLook(Struct, frozen=True):
    """A look as it was taken. `vector` is in the order of `FEATURES`, a second look's of `SECOND_FEATURES`."""

    look: str
    number: int
    at_ms: int
    score: float
    model_version: str
    vector: tuple[float, ...]
    id: str = ""  # of the CustomerScored it made; "" where that can be derived


class Looks(Struct):
    """A customer's looks, with what the first basket held: different SKUs and categories, the dearest first."""

    customer_id: str
    skus: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    looks: list[FrozenLook] = []


def new_looks(customer_id: str, first_order: OrderPlaced) -> Looks:
    dearest = sorted(first_order.lines, key=lambda line: (-line.quantity * line.unit_price_minor, line.sku))
    skus = dict.fromkeys(line.sku for line in dearest)
    categories = dict.fromkeys(line.category for line in dearest if line.category)
    return Looks(customer_id, tuple(skus)[:SKUS_KEPT], tuple(categories)[:CATEGORIES_KEPT])


class _PackedLook(Struct, frozen=True, array_like=True):
    look: str
    number: int
    at_ms: int
    score: float
    version: int  # its place in `_Packed.versions`
    is_whole: bool  # or goes on where the first look's vector ends
    vector: bytes
    id: str


class _Packed(Struct, frozen=True, array_like=True):
    customer_id: str
    skus: tuple[str, ...]
    categories: tuple[str, ...]
    versions: tuple[str, ...]
    looks: tuple[_PackedLook, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)


def encode_looks(looks: Looks) -> bytes:
    versions = tuple(dict.fromkeys(look.model_version for look in looks.looks))
    shared = looks.looks[0].vector if looks.looks else ()
    packed = tuple(
        _packed_look(look, versions, shared if place else ()) for place, look in enumerate(looks.looks)
    )
    return _encoder.encode(_Packed(looks.customer_id, looks.skus, looks.categories, versions, packed))


def decode_looks(packed: bytes) -> Looks:
    known = _decoder.decode(packed)
    looks: list[FrozenLook] = []
    for look in known.looks:
        shared = () if look.is_whole else looks[0].vector
        vector = shared + unpack_vector(look.vector)
        version = known.versions[look.version]
        looks.append(FrozenLook(look.look, look.number, look.at_ms, look.score, version, vector, look.id))
    return Looks(known.customer_id, known.skus, known.categories, looks)


def _packed_look(look: FrozenLook, versions: tuple[str, ...], shared: tuple[float, ...]) -> _PackedLook:
    goes_on = bool(shared) and look.vector[: len(shared)] == shared
    vector = pack_vector(look.vector[len(shared) :] if goes_on else look.vector)
    version = versions.index(look.model_version)
    return _PackedLook(look.look, look.number, look.at_ms, look.score, version, not goes_on, vector, look.id)


def pack_vector(vector: Sequence[float]) -> bytes:
    """The length, a bitmap of what is not zero, and that as 32-bit floats. Exact for values that `vector.py` gives.

    >>> unpack_vector(pack_vector((0.0, 1.5, 0.0)))
    (0.0, 1.5, 0.0)
    """
    present = sum(1 << index for index, value in enumerate(vector) if value)
    values = [value for value in vector if value]
    bitmap = present.to_bytes((len(vector) + 7) // 8, "little")
    return pack(f"<H{len(bitmap)}s{len(values)}f", len(vector), bitmap, *values)


def unpack_vector(packed: bytes) -> tuple[float, ...]:
    (length,) = unpack("<H", packed[:2])
    start = 2 + (length + 7) // 8
    present = int.from_bytes(packed[2:start], "little")
    values = iter(unpack(f"<{present.bit_count()}f", packed[start:]))
    return tuple(next(values) if present >> index & 1 else 0.0 for index in range(length))
