"""Events out of columns: a table of one event's fields becomes msgpack, column by column, without an object a row.

`pack` gives, for each row, the very bytes that `encode_payload` gives for the event, and whether the row is surely one: all that
`schemas.events` asks of its fields holds. What is not surely an event is left to the reader that goes row by row, and says why.
Only fields that need no more than their own type are checked here.
"""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

NIL = b"\xc0"
LONGEST = 1_024  # bytes of a text whose header is looked up; longer ones go row by row
_encode = msgspec.msgpack.Encoder().encode
Column = Any  # Any: pyarrow ships no types


class Packed(NamedTuple):
    values: Column  # binary, no nulls
    is_sure: npt.NDArray[np.bool_]


def pack(rows: Column, event: type[Any]) -> Packed:  # Any: an event's class; a struct array or a batch
    """The rows of an event's table as msgpack. Columns that the event does not know are passed over."""
    present = {field.name for field in rows.type} if isinstance(rows, pa.StructArray) else set(rows.schema.names)
    told = msgspec.inspect.type_info(event)
    assert isinstance(told, msgspec.inspect.StructType)
    sure, pieces, gap = np.ones(len(rows), np.bool_), [], _head(told)
    for field in told.fields:
        gap += _encode(field.encode_name)
        default = None if field.default is msgspec.NODEFAULT else _encode(field.default)
        if field.name not in present:
            if default is None:
                return Packed(_empty(len(rows)), np.zeros(len(rows), np.bool_))
            gap += default
            continue
        column = rows.field(field.name) if isinstance(rows, pa.StructArray) else rows.column(field.name)
        packed = _column(column, field.type, default)
        pieces += [pa.scalar(gap, pa.binary()), packed.values]
        sure, gap = sure & packed.is_sure, b""
    pieces.append(pa.scalar(gap, pa.binary()))
    return Packed(pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.binary())), sure)


def _head(told: msgspec.inspect.StructType) -> bytes:
    size = len(told.fields) + (told.tag is not None)
    head = bytes([0x80 | size]) if size < 16 else b"\xde" + size.to_bytes(2, "big")
    return head if told.tag is None else head + _encode(told.tag_field) + _encode(told.tag)


# ---- one column ----------------------------------------------------------------------------------------------------


def _column(column: Column, hint: msgspec.inspect.Type, default: bytes | None) -> Packed:
    """A null is as good as left out: the default stands for it, where there is one."""
    if isinstance(hint, msgspec.inspect.UnionType):
        hint = next(option for option in hint.types if not isinstance(option, msgspec.inspect.NoneType))
    there = pc.is_valid(column).to_numpy(zero_copy_only=False)
    packed = _packer(column.type, hint)(column, hint)
    if there.all():
        return packed
    filled = pc.if_else(pa.array(there), packed.values, pa.scalar(default or b"", pa.binary()))
    return Packed(filled, np.where(there, packed.is_sure, default is not None))


def _packer(held: Column, hint: msgspec.inspect.Type) -> Callable[[Column, Any], Packed]:  # Any: the hint it is for
    match hint:
        case msgspec.inspect.StrType(pattern=None) if _is_text(held):
            return _texts
        case msgspec.inspect.StrType() | msgspec.inspect.LiteralType() if _is_text(held):
            return _words
        case msgspec.inspect.IntType() if pa.types.is_integer(held):
            return _numbers
        case msgspec.inspect.BoolType() if pa.types.is_boolean(held):
            return _words
        case msgspec.inspect.VarTupleType() if _is_list(held) and pa.types.is_struct(held.value_type):
            return _lists
    return _unsure


def _unsure(column: Column, _hint: msgspec.inspect.Type) -> Packed:
    return Packed(_empty(len(column)), np.zeros(len(column), np.bool_))


def _empty(count: int) -> Column:
    return pa.repeat(pa.scalar(b"", pa.binary()), count)


def _is_text(held: Column) -> bool:
    held = held.value_type if pa.types.is_dictionary(held) else held
    return bool(pa.types.is_string(held) or pa.types.is_large_string(held))


def _is_list(held: Column) -> bool:
    return bool(pa.types.is_list(held) or pa.types.is_large_list(held))


def _words(column: Column, hint: Any) -> Packed:  # Any: a word of few, or a truth
    """Few values, many times: each is checked once."""
    seen = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    allowed = _hinted(hint)
    tried = [_tried(value, allowed) for value in seen.dictionary.to_pylist()] or [(b"", False)]
    numbers = seen.indices.fill_null(0).to_numpy(zero_copy_only=False)
    values = pa.array([value for value, _ in tried], pa.binary()).take(pa.array(numbers))
    return Packed(values, np.array([is_sure for _, is_sure in tried])[numbers])


def _hinted(hint: Any) -> Any:  # Any: a type that msgspec converts to
    match hint:
        case msgspec.inspect.LiteralType(values):
            return Literal[tuple(values)]
        case msgspec.inspect.BoolType():
            return bool
    return Annotated[str, msgspec.Meta(pattern=hint.pattern, min_length=hint.min_length, max_length=hint.max_length)]


def _tried(value: object, allowed: Any) -> tuple[bytes, bool]:  # Any: as above
    try:
        return _encode(msgspec.convert(value, allowed)), True
    except msgspec.ValidationError:
        return b"", False


def _texts(column: Column, hint: Any) -> Packed:  # Any: StrType
    texts = column.cast(pa.string()).fill_null("")
    characters = pc.utf8_length(texts).to_numpy()
    plain = texts.cast(pa.binary())
    lengths = pc.binary_length(plain).to_numpy()
    sure = (characters >= (hint.min_length or 0)) & (lengths < LONGEST)
    if hint.max_length is not None:
        sure &= characters <= hint.max_length
    heads = _text_heads().take(pa.array(np.minimum(lengths, LONGEST - 1)))
    return Packed(pc.binary_join_element_wise(heads, plain, pa.scalar(b"", pa.binary())), sure)


@cache
def _text_heads() -> Column:
    """What goes before a text in msgpack, by its length in bytes."""
    return pa.array([_encode("x" * length)[: -length or None] for length in range(LONGEST)], pa.binary())


# Of msgpack's forms of a whole number: from where on, the byte before it, and how many bytes it takes.
_FORMS = ((0, None, 1), (1 << 7, 0xCC, 1), (1 << 8, 0xCD, 2), (1 << 16, 0xCE, 4), (1 << 32, 0xCF, 8))
_FROM = np.array([least for least, _, _ in _FORMS[1:]])
_TAKES = np.array([width + (lead is not None) for _, lead, width in _FORMS])


def _numbers(column: Column, hint: Any) -> Packed:  # Any: IntType
    """Whole numbers from 0, each in msgpack's shortest form."""
    if pa.types.is_uint64(column.type):
        return _unsure(column, hint)
    values = column.cast(pa.int64()).fill_null(0).to_numpy()
    sure = values >= max(hint.ge or 0, 0)
    if hint.le is not None:
        sure &= values <= hint.le
    values = np.where(sure, values, 0)
    forms = np.searchsorted(_FROM, values, side="right")
    offsets = np.concatenate([[0], np.cumsum(_TAKES[forms])])
    data = np.zeros(int(offsets[-1]), np.uint8)
    for form, (_, lead, width) in enumerate(_FORMS):
        rows = np.flatnonzero(forms == form)
        at, held = offsets[rows], values[rows]
        if lead is not None:
            data[at] = lead
            at = at + 1
        for place in range(width):
            data[at + place] = (held >> (8 * (width - 1 - place))) & 0xFF
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return Packed(pa.Array.from_buffers(pa.binary(), len(values), buffers), sure)


def _lists(column: Column, hint: Any) -> Packed:  # Any: VarTupleType of a struct
    lengths = pc.list_value_length(column).fill_null(0).to_numpy().astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    items = pack(column.flatten(), hint.item_type.cls)
    there = pc.is_valid(column.flatten()).to_numpy(zero_copy_only=False)
    bad = np.concatenate([[0], np.cumsum(~(items.is_sure & there))])
    sure = (lengths >= (hint.min_length or 0)) & (bad[offsets[1:]] == bad[offsets[:-1]])
    if hint.max_length is not None:
        sure &= lengths <= hint.max_length
    each = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items.values)
    heads = _list_heads().take(pa.array(np.minimum(lengths, len(_list_heads()) - 1)))
    joined = pc.binary_join(each, pa.scalar(b"", pa.binary()))
    return Packed(pc.binary_join_element_wise(heads, joined, pa.scalar(b"", pa.binary())), sure)


@cache
def _list_heads() -> Column:
    """What goes before the items of a list in msgpack, by their number."""
    few = [bytes([0x90 | count]) for count in range(16)]
    return pa.array([*few, *(b"\xdc" + count.to_bytes(2, "big") for count in range(16, 5_001))], pa.binary())
