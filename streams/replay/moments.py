"""What a fold finds: the moments at which something was decided or became known, in one total order.

All that happened in between (browsing, counting, waiting) is folded away. What follows from moments needs one pass: scores,
what is learnt, who is assigned. A moment stands at the replay's own time: that of the record that caused it, or when it fell due.

The order is (at_ms, rank, customer_id, number): at one time comes first what was given from outside (the roster, contacts),
then what customers did, each customer's in the order in which it happened, then outcomes that came due. It does not depend on
shards, processes or engines.
"""

from collections.abc import Callable, Iterator, Sequence
from struct import Struct as Layout
from typing import Any, Final

import msgspec
import pyarrow as pa
from msgspec import Struct

from features.vector import Basket
from schemas.events import (
    AdvisorChanged,
    ContactReported,
    CustomerScored,
    CustomerStanding,
    PoolChanged,
    RelationImported,
    TierChanged,
)

Given = AdvisorChanged | PoolChanged | ContactReported | RelationImported


class GivenMoment(Struct, frozen=True, array_like=True, tag="given"):
    """What the log says to the assigner itself: its roster, pools, contacts, relations it is to take over."""

    at_ms: int
    customer_id: str  # empty: it is of nobody in particular, as far as the order goes
    number: int
    topic: str
    event: Given


class LookMoment(Struct, frozen=True, array_like=True, tag="look"):
    """A look as the core announced it, not scored yet: score, reasons and versions are to come.

    `vector` is what a model sees, but for what it refers to itself: `features.vector.refer(vector, basket, reference)` fills
    that in. A look told again, with consent, has the number it had.
    """

    at_ms: int
    customer_id: str
    number: int
    scored: CustomerScored
    vector: tuple[float, ...]
    basket: Basket


class StandingMoment(Struct, frozen=True, array_like=True, tag="standing"):
    """What the assigner must know besides looks."""

    at_ms: int
    customer_id: str
    number: int
    standing: CustomerStanding


class TierMoment(Struct, frozen=True, array_like=True, tag="tier"):
    at_ms: int
    customer_id: str
    number: int
    change: TierChanged


class OutcomeMoment(Struct, frozen=True, array_like=True, tag="outcome"):
    """What came of a first purchase `horizon_days` later. Each look frozen by then makes an example.

    `looks` are their numbers and the ids they were told under last; an example's id is `f"{cause}/{horizon_days}/{number}"`.
    """

    at_ms: int
    customer_id: str
    number: int
    cause: str
    market: str
    horizon_days: int
    first_purchase_at_ms: int
    first_order_minor: int
    outcome_minor: int
    is_vip: bool
    looks: tuple[tuple[int, str], ...]


Moment = GivenMoment | LookMoment | StandingMoment | TierMoment | OutcomeMoment
Key = tuple[int, int, str, int]

RANKS: Final[dict[type, int]] = {GivenMoment: 0, LookMoment: 1, StandingMoment: 1, TierMoment: 1, OutcomeMoment: 2}


def key(moment: Moment) -> Key:
    """What puts moments in order."""
    return moment.at_ms, RANKS[type(moment)], moment.customer_id, moment.number


# ---- encoding: an array in msgpack, a look's vector as the 32-bit floats that it consists of -----------------------------


class _PackedLook(Struct, frozen=True, array_like=True, tag="look"):
    at_ms: int
    customer_id: str
    number: int
    scored: CustomerScored
    vector: bytes
    basket: Basket


Kept = GivenMoment | _PackedLook | StandingMoment | TierMoment | OutcomeMoment

_encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


def encode_moment(moment: Moment) -> bytes:
    if not isinstance(moment, LookMoment):
        return _encode(moment)
    vector = _floats(len(moment.vector)).pack(*moment.vector)
    return _encode(_PackedLook(moment.at_ms, moment.customer_id, moment.number, moment.scored, vector, moment.basket))


def decode_moment(payload: bytes) -> Moment:
    found: Kept = _decode(payload)
    if not isinstance(found, _PackedLook):
        return found
    vector = _floats(len(found.vector) // 4).unpack(found.vector)
    return LookMoment(found.at_ms, found.customer_id, found.number, found.scored, vector, found.basket)


_layouts: dict[int, Layout] = {}


def _floats(count: int) -> Layout:
    if count not in _layouts:
        _layouts[count] = Layout(f"<{count}f")
    return _layouts[count]


# ---- Parquet -----------------------------------------------------------------------------------------------------------

MOMENT_SCHEMA: Final = pa.schema(
    [
        pa.field("at_ms", pa.int64(), nullable=False),
        pa.field("rank", pa.int8(), nullable=False),
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("payload", pa.binary(), nullable=False),
    ]
)
Row = tuple[int, int, str, int, bytes]  # a moment's key, and the moment as it is kept


def row_of(moment: Moment) -> Row:
    return (*key(moment), encode_moment(moment))


def table_of(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:  # Any: cells
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def rows_of(batch: pa.RecordBatch) -> Iterator[Row]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)
