"""What was known at each look, kept until its outcome is: the value of a key of its own, `l/<customer_id>`.

A vector is packed as a bitmap of what is not zero and, for each of these, its place among the different numbers of all
looks, which are kept once: a visitor's last week is often all there is, and from day 7 to day 14 little changes. The
numbers are 32-bit floats, which is all that `vector.py` gives. A second look's vector begins with the first look's.
"""

from collections.abc import Iterable
from itertools import pairwise
from os.path import commonprefix
from struct import pack, unpack
from typing import Final

import msgspec
from msgspec import Struct

from features.profile import GRANTED
from features.vector import FEATURES_VERSION, Basket, basket_of
from schemas.events import OrderPlaced

UNTOLD: Final = "34dfb10e"  # the features of looks that were frozen before looks told which


class FrozenLook(Struct, frozen=True):
    """A look as it was taken. `vector` is in the order of `FEATURES`, a second look's of `SECOND_FEATURES`."""

    look: str
    number: int
    at_ms: int
    score: float
    model_version: str
    vector: tuple[float, ...]
    id: str  # of the CustomerScored it made


class Looks(Struct):
    """A customer's looks, with what the first basket held: different SKUs, categories and brands, the dearest first.

    `consent` is what the last look found; kept from before it was written down, it counts as granted. Vectors over other
    features than this release's give their examples as they are; nothing can be added to them (`is_current`).
    """

    customer_id: str
    skus: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    looks: list[FrozenLook] = []
    consent: int = GRANTED
    brands: tuple[str, ...] = ()
    features_version: str = FEATURES_VERSION

    @property
    def is_current(self) -> bool:
        """Whether today's models know the places of its vectors."""
        return self.features_version == FEATURES_VERSION

    def basket(self, market: str) -> Basket:
        return Basket(market, self.skus, self.categories, self.brands)


def new_looks(customer_id: str, first_order: OrderPlaced) -> Looks:
    held = basket_of(first_order)
    return Looks(customer_id, held.skus, held.categories, brands=held.brands)


class _PackedLook(Struct, frozen=True, array_like=True):
    look: str
    number: int
    at_ms: int
    score: float
    version: int  # its place in `_Packed.versions`
    features: int  # how many there are, behind the first look's if it `goes_on`
    goes_on: bool
    vector: bytes  # the bitmap, then for each number that is not zero its place in `_Packed.numbers`
    id_like: int  # so many letters of the id are those of the look before
    id: str  # the rest


class _Packed(Struct, frozen=True, array_like=True):
    customer_id: str
    skus: tuple[str, ...]
    categories: tuple[str, ...]
    versions: tuple[str, ...]
    numbers: bytes  # the different ones of all vectors, in order of appearance
    looks: tuple[_PackedLook, ...]
    consent: int = GRANTED
    brands: tuple[str, ...] = ()
    features_version: str = UNTOLD


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)


def encode_looks(looks: Looks) -> bytes:
    versions = tuple(dict.fromkeys(look.model_version for look in looks.looks))
    places = _places(look.vector for look in looks.looks)
    packed = tuple(
        _packed_look(look, looks.looks[0], before, versions.index(look.model_version), places)
        for before, look in pairwise([None, *looks.looks])
        if look
    )
    numbers = pack(f"<{len(places)}f", *places)
    basket = looks.customer_id, looks.skus, looks.categories
    found = looks.consent, looks.brands, looks.features_version
    return _encoder.encode(_Packed(*basket, versions, numbers, packed, *found))


def decode_looks(packed: bytes) -> Looks:
    known = _decoder.decode(packed)
    numbers = unpack(f"<{len(known.numbers) // 4}f", known.numbers)
    looks: list[FrozenLook] = []
    for look in known.looks:
        vector = (looks[0].vector if look.goes_on else ()) + _unpacked(look, numbers)
        look_id = (looks[-1].id[: look.id_like] if looks else "") + look.id
        version = known.versions[look.version]
        looks.append(FrozenLook(look.look, look.number, look.at_ms, look.score, version, vector, look_id))
    basket = known.customer_id, known.skus, known.categories
    return Looks(*basket, looks, known.consent, known.brands, known.features_version)


def _places(vectors: Iterable[tuple[float, ...]]) -> dict[float, int]:
    different = dict.fromkeys(number for vector in vectors for number in vector if number)
    return {number: place for place, number in enumerate(different)}


def _packed_look(
    look: FrozenLook, first: FrozenLook, before: FrozenLook | None, version: int, places: dict[float, int]
) -> _PackedLook:
    shared = len(first.vector)
    goes_on = before is not None and look.vector[:shared] == first.vector
    own = look.vector[shared:] if goes_on else look.vector
    like = len(commonprefix([before.id, look.id])) if before else 0  # noqa: RUF071  letter by letter, as is wanted
    vector = _packed_vector(own, places)
    return _PackedLook(
        look.look, look.number, look.at_ms, look.score, version, len(own), goes_on, vector, like, look.id[like:]
    )


def _packed_vector(vector: tuple[float, ...], places: dict[float, int]) -> bytes:
    present = sum(1 << index for index, number in enumerate(vector) if number)
    kept = [places[number] for number in vector if number]
    bitmap = present.to_bytes(_bitmap_size(len(vector)), "little")
    return bitmap + pack(f"<{len(kept)}{_width(len(places))}", *kept)


def _unpacked(look: _PackedLook, numbers: tuple[float, ...]) -> tuple[float, ...]:
    size = _bitmap_size(look.features)
    present = int.from_bytes(look.vector[:size], "little")
    kept = iter(unpack(f"<{present.bit_count()}{_width(len(numbers))}", look.vector[size:]))
    return tuple(numbers[next(kept)] if present >> index & 1 else 0.0 for index in range(look.features))


def _bitmap_size(features: int) -> int:
    return (features + 7) // 8


def _width(numbers: int) -> str:
    """The layout of a place among so many numbers: one byte each, or four for a customer with very many looks."""
    return "B" if numbers <= 256 else "I"
