"""The report's numbers as Parquet: one file for each kind of figure, intervals as two columns, `..._low` and `..._high`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from streams.replay.parts import quarter
from streams.replay.report.words import looks_in_order
from streams.replay.results import (
    Calibration,
    CalibrationBin,
    Capacity,
    CurvePoint,
    DaysToVip,
    Difference,
    Figures,
    ReasonWeight,
    Results,
    ScoreBin,
    SnapshotFacts,
    Week,
)
from streams.replay.run import Run

KINDS: Final[Mapping[str, type[Struct]]] = {
    "figures": Figures,
    "differences": Difference,
    "curves": CurvePoint,
    "calibration": Calibration,
    "calibration_bins": CalibrationBin,
    "scores": ScoreBin,
    "weeks": Week,
    "days_to_vip": DaysToVip,
    "reasons": ReasonWeight,
    "snapshots": SnapshotFacts,
    "capacity": Capacity,
}
ARROW: Final[Mapping[object, pa.DataType]] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
PERCENTS: Final = (5, 25, 50, 75, 95)
SCORE_SPREAD: Final = pa.schema(
    [("kind", pa.string()), ("name", pa.string()), ("looks", pa.int64())]
    + [(f"p{p:02d}", pa.float64()) for p in PERCENTS]
)
MARKETS: Final = 12


def write_tables(results: Results, spread: pa.Table, folder: Path) -> None:
    """All of `results` that is a table, and how scores were spread, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in KINDS.items():
        pq.write_table(table_of(kind, getattr(results, name)), folder / f"{name}.parquet", compression="zstd")
    pq.write_table(spread, folder / "score_spread.parquet", compression="zstd")


def table_of(kind: type[Struct], rows: Sequence[Struct]) -> pa.Table:
    """Structs as a table with the columns of their kind, even where there are no rows."""
    columns = list(_columns(kind))
    cells: dict[str, list[Any]] = {name: [] for name, _, _, _ in columns}  # Any: cells are words or numbers
    for row in rows:
        for name, field, end, _ in columns:
            value = getattr(row, field)
            cells[name].append(value if end is None or value is None else value[end])
    schema = pa.schema([(name, arrow) for name, _, _, arrow in columns])
    return pa.table({name: pa.array(cells[name], arrow) for name, _, _, arrow in columns}, schema=schema)


def _columns(kind: type[Struct]) -> Iterator[tuple[str, str, int | None, pa.DataType]]:
    """Name of the column, of the field, which end of an interval, type."""
    for field, hint in get_type_hints(kind).items():
        plain = _without_none(hint)
        if get_origin(plain) is tuple:
            stem = field.removesuffix("_ci95").removesuffix("ci95")
            for end, word in enumerate(("low", "high")):
                yield f"{stem}_ci95_{word}".lstrip("_"), field, end, pa.float64()
        elif get_origin(plain) is Literal:
            yield field, field, None, pa.string()
        else:
            yield field, field, None, ARROW[plain]


def _without_none(hint: Any) -> Any:  # Any: type hints have no common type
    if get_origin(hint) in (UnionType, Union):
        return next(kind for kind in get_args(hint) if kind is not NoneType)
    return hint


# ---- how scores were spread ----------------------------------------------------------------------------------------


def score_spread(run: Run) -> pa.Table:
    """Percentiles of scores: of first looks by quarter and by market, of all looks by their kind."""
    first = run.looks.filter(pc.equal(_plain(run.looks["look"]), "first"))
    rows: list[dict[str, Any]] = []  # Any: cells are words or numbers
    rows += _percentiles("quarter", [quarter(at) for at in first["at_ms"].to_pylist()], _scores(first), sorted)
    rows += _percentiles("market", _plain(first["market"]).to_pylist(), _scores(first), sorted, at_most=MARKETS)
    rows += _percentiles("look", _plain(run.looks["look"]).to_pylist(), _scores(run.looks), looks_in_order)
    return pa.Table.from_pylist(rows, schema=SCORE_SPREAD)


def _percentiles(
    kind: str,
    names: Sequence[str],
    scores: np.ndarray[Any, np.dtype[np.float64]],
    order: Any,
    at_most: int | None = None,
) -> Iterable[dict[str, Any]]:  # Any: numpy's shapes, a function that puts names in order, cells
    column = np.array(names, dtype=object)
    groups = {name: scores[column == name] for name in order(set(names))}
    if at_most is not None:
        largest = sorted(groups, key=lambda name: (-len(groups[name]), name))[:at_most]
        groups = {name: groups[name] for name in largest}
    for name, group in groups.items():
        marks = {f"p{p:02d}": float(np.percentile(group, p)) for p in PERCENTS}
        yield {"kind": kind, "name": name, "looks": len(group), **marks}


def _scores(looks: pa.Table) -> np.ndarray[Any, np.dtype[np.float64]]:  # Any: numpy's shapes
    scores: np.ndarray[Any, np.dtype[np.float64]] = looks["score"].to_numpy()
    return scores


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())
