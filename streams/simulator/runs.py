"""Any number of customers in constant memory: blocks of them live one after another, each block a sorted run on disk.

The runs are then merged, a few dozen at a time. A row's order is in its first bytes (when, whose, which in a row), so
that merging compares bytes and reads nothing. Blocks may be told in several processes: the order, and so every byte
of what comes out, does not depend on how many blocks or processes there were.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import ExitStack
from heapq import merge
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from schemas.events import (
    AdvisorChanged,
    ConsentChanged,
    ErasureRequested,
    Incoming,
    ItemsReturned,
    OrderPlaced,
    PageBrowsed,
)
from streams.processes import pool_of
from streams.simulator.plan import ShopPlan
from streams.simulator.telling import Row, slot, staff
from streams.simulator.trouble import Malformed

BLOCK = 2_000  # customers whose lives are in memory together, encoded
FAN_IN = 40  # runs that are merged together
_ORDER_BYTES = 33  # of a line: when, whose, which in a row; then a letter for what it is, then JSON
LETTERS: dict[type, bytes] = {
    PageBrowsed: b"B", OrderPlaced: b"O", ItemsReturned: b"R", ConsentChanged: b"C", ErasureRequested: b"E",
    AdvisorChanged: b"A", Malformed: b"M",
}  # fmt: skip
_CLASSES = {letter: kind for kind, letter in LETTERS.items()}
_encode = msgspec.json.Encoder().encode
_decoders: dict[bytes, msgspec.json.Decoder[Any]] = {
    letter: msgspec.json.Decoder(kind) for letter, kind in _CLASSES.items()
}


class Entry(NamedTuple):
    """What happened, in JSON. It is read only where that is needed."""

    kind: type
    value: bytes

    def read(self) -> Incoming | Malformed:
        return _decoders[LETTERS[self.kind]].decode(self.value)  # type: ignore[no-any-return]  # its own class


def entry_of(what: Incoming | Malformed) -> Entry:
    return Entry(type(what), _encode(what))


# ---- telling -------------------------------------------------------------------------------------------------------


def tell_block(plan: ShopPlan, first: int, last: int, path: Path) -> Path:
    """Write the run of the slots `first` to before `last`; the first block has the roster too."""
    lines = [_line(row) for row in staff(plan)] if first == 0 else []
    for number in range(first, last):
        for teller in slot(plan, number):
            while teller.next_ms is not None:
                lines += [_line(row) for row in teller.tell()]
    lines.sort()
    _write(path, lines)
    return path


def _line(row: Row) -> bytes:
    at_ms, origin, number, _, what = row
    return b"%013d%012x%08d%b%b\n" % (at_ms, origin, number, LETTERS[type(what)], _encode(what))


def _write(path: Path, lines: Sequence[bytes] | Iterator[bytes]) -> None:
    with pa.output_stream(str(path), compression="lz4") as raw, io.BufferedWriter(raw, 1 << 20) as file:
        file.writelines(lines)


def write_runs(
    plan: ShopPlan,
    folder: Path,
    *,
    processes: int = 1,
    block: int = BLOCK,
    on_block: Callable[[int], object] = lambda _: None,
) -> list[Path]:
    """The runs of all blocks. `on_block` is told how many customers have lived, block by block."""
    blocks = [
        (plan, first, min(first + block, plan.customers), folder / f"run-{first:012d}")
        for first in range(0, max(1, plan.customers), block)
    ]
    if processes == 1:
        for one in blocks:
            tell_block(*one)
            on_block(one[2] - one[1])
    else:
        _write_beside(blocks, processes, on_block)
    return [path for *_, path in blocks]


def _write_beside(
    blocks: list[tuple[ShopPlan, int, int, Path]], processes: int, on_block: Callable[[int], object]
) -> None:
    with pool_of(processes) as pool:
        waiting = {pool.submit(tell_block, *one): one for one in blocks}
        for done in as_completed(waiting):
            done.result()
            on_block(waiting[done][2] - waiting[done][1])


# ---- merging -------------------------------------------------------------------------------------------------------


def merged(runs: Sequence[Path], folder: Path) -> Iterator[Entry]:
    """Everything in all runs, in order. Runs are deleted as they are used up."""
    for line in _merged(_few(list(runs), folder)):
        yield Entry(_CLASSES[line[_ORDER_BYTES : _ORDER_BYTES + 1]], line[_ORDER_BYTES + 1 : -1])


def _few(runs: list[Path], folder: Path) -> list[Path]:
    """At most `FAN_IN` runs with the same lines."""
    level = 0
    while len(runs) > FAN_IN:
        level += 1
        longer = []
        for number in range(0, len(runs), FAN_IN):
            path = folder / f"merged-{level}-{number:08d}"
            _write(path, _merged(runs[number : number + FAN_IN]))
            longer.append(path)
        runs = longer
    return runs


def _merged(runs: list[Path]) -> Iterator[bytes]:
    with ExitStack() as opened:
        files = [opened.enter_context(_open(path)) for path in runs]
        yield from merge(*files)
    for path in runs:
        path.unlink()


def _open(path: Path) -> io.BufferedReader:
    return io.BufferedReader(pa.input_stream(str(path), compression="lz4"), 1 << 17)
