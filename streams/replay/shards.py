"""What lies in the files of a fold, and how its rows become customers: grouped by whose they are, each group in order of time."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, get_args

import numpy as np
import pyarrow as pa

from schemas.events import Event
from streams.replay.rows import FAULT, TOPICS, payload_decoder

TOPIC_ORDER: Final = tuple(
    sorted(TOPICS)
)  # a topic's place in it is its number: rows of one time are in order of topics
KINDS: Final = (*(event.__name__ for event in get_args(Event)), FAULT)
BROWSED, ORDERED = KINDS.index("PageBrowsed"), KINDS.index("OrderPlaced")
ASKS: Final = -1  # in place of a kind: what is known of the visitor now?
DECODERS: Final[tuple[Callable[[bytes], Any], ...]] = tuple(map(payload_decoder, KINDS[:-1]))

PLACE: Final = (("at_ms", pa.int64()), ("topic", pa.int8()), ("partition", pa.int32()), ("offset", pa.int64()))
ROWS: Final = pa.schema([*PLACE, ("kind", pa.int8()), ("who", pa.string()), ("payload", pa.binary())])
ASKED: Final = pa.schema([*PLACE, ("who", pa.string()), ("customer_id", pa.string())])  # who: the visitor
SEEN: Final = pa.schema([*PLACE[1:], ("customer_id", pa.string()), ("visitor", pa.binary())])  # the answers to ASKED
LEFT: Final = ROWS.append(pa.field("visitor", pa.binary()))  # with what was known of the visitor an order names
SPEND: Final = pa.schema([("customer_id", pa.string()), ("payload", pa.binary())])

AT_ONCE: Final = 50_000  # rows that are Python objects at one time; more if one customer has more

# at_ms, topic, partition, offset, kind, payload, visitor
LogRow = tuple[int, int, int, int, int, bytes, bytes | None]


def grouped(table: pa.Table, households: dict[str, str] | None = None) -> Iterator[tuple[str, list[LogRow]]]:
    """The rows of each customer, visitor or household, in order. `table` is of the schema LEFT."""
    if not len(table):
        return
    who = table.column("who").combine_chunks().dictionary_encode()
    names = who.dictionary.to_pylist()
    code = who.indices.to_numpy()
    if households:
        names, code = _by_household(names, code, households)
    order = _order(table, code)
    code = code[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(code)) + 1, [len(code)]])
    for first, last in _pieces(starts):
        piece = order[starts[first] : starts[last]]
        part = table.take(pa.array(piece))
        columns = [
            part.column(name).to_pylist() for name in ("at_ms", "topic", "partition", "offset", "kind", "payload")
        ]
        rows: list[LogRow] = list(zip(*columns, _visitors(part), strict=True))
        base = int(starts[first])
        for group in range(first, last):
            start, end = int(starts[group]) - base, int(starts[group + 1]) - base
            yield names[code[starts[group]]], rows[start:end]


def _visitors(part: pa.Table) -> Iterable[bytes | None]:
    column = part.column("visitor")
    return [None] * len(part) if column.null_count == len(part) else column.to_pylist()


def _order(table: pa.Table, code: Any) -> Any:  # Any: arrays
    """By code, then by place. Rows that lie in order of place already need one stable sort."""
    place = [table.column(name).to_numpy() for name, _ in PLACE]
    if _is_sorted(place):
        return np.argsort(code, kind="stable")
    return np.lexsort((*reversed(place), code))


def _is_sorted(place: list[Any]) -> bool:  # Any: arrays
    equal = np.ones(len(place[0]) - 1, bool)
    for column in place:
        step = np.diff(column)
        if (step[equal] < 0).any():
            return False
        equal &= step == 0
    return True


def _pieces(starts: Any) -> Iterator[tuple[int, int]]:  # Any: an array
    """Ranges of groups with about `AT_ONCE` rows each."""
    first, groups = 0, len(starts) - 1
    while first < groups:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + AT_ONCE)))
        yield first, min(last, groups)
        first = min(last, groups)


def _by_household(names: list[str], code: Any, households: dict[str, str]) -> tuple[list[str], Any]:  # Any: arrays
    places: dict[str, int] = {}
    new = np.array([places.setdefault(households.get(name, name), len(places)) for name in names])
    return list(places), new[code]
