"""What one pass over a log gave, as tables: all that measures, capacity and report are made of.

A `Run` belongs to one variant. Its tables are plain Arrow with the schemas below, rows in the order of time in which they were
decided; the same inputs and configuration give the same bytes, written or not. `outputs_sha256` is over every decision in
order: scores, assignments, snapshots, tier changes.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

_word = pa.dictionary(pa.int32(), pa.string())

LOOKS: Final = pa.schema([
    ("look_id", pa.string()),
    ("at_ms", pa.int64()),
    ("customer_id", pa.string()),
    ("market", _word),
    ("pool", _word),
    ("look", _word),  # first, order, return, day_7, day_14, day_30
    ("look_number", pa.int32()),
    ("score", pa.float64()),
    ("expected_value_minor", pa.int64()),
    ("rule_score", pa.float64()),
    ("first_spend_minor", pa.int64()),
    ("model_version", _word),
    ("is_vip_already", pa.bool_()),
    ("consent", _word),
])  # fmt: skip
# A look whose outcome came due within the log: what it said, and what came of it. The scores of baselines stand beside the
# model's own (null: the baseline was not asked for, or had nothing to learn from yet).
EXAMPLES: Final = pa.schema([
    ("look_id", pa.string()),
    ("customer_id", pa.string()),
    ("market", _word),
    ("pool", _word),
    ("look", _word),
    ("look_number", pa.int32()),
    ("looked_at_ms", pa.int64()),
    ("first_purchase_at_ms", pa.int64()),
    ("first_spend_minor", pa.int64()),
    ("horizon_days", pa.int32()),
    ("known_at_ms", pa.int64()),
    ("outcome_minor", pa.int64()),
    ("money_after_look_minor", pa.int64()),
    ("is_vip", pa.bool_()),
    ("arm", _word),
    ("score", pa.float64()),
    ("rank", pa.float64()),  # what ranks looks across versions of the model; the score is the probability
    ("expected_value_minor", pa.int64()),
    ("rule_score", pa.float64()),
    ("model_version", _word),
    ("is_vip_already", pa.bool_()),  # at the look: its customer teaches nothing, and is not to be found any more
    ("by_spend", pa.float64()),
    ("by_logistic", pa.float64()),
    ("by_lightgbm", pa.float64()),
    ("by_random", pa.float64()),
])  # fmt: skip
# A service: from AdvisorAssigned to AssignmentEnded. `ended_at_ms` is null where the log ends first. Of the control arm there
# is a row, too, without an advisor: `withheld` is true and nothing ends.
ASSIGNMENTS: Final = pa.schema([
    ("at_ms", pa.int64()),
    ("customer_id", pa.string()),
    ("advisor_id", _word),
    ("pool", _word),
    ("arm", _word),
    ("cause", _word),
    ("look", _word),
    ("look_id", pa.string()),
    ("score", pa.float64()),
    ("threshold", pa.float64()),
    ("withheld", pa.bool_()),
    ("assignment_id", pa.string()),
    ("ended_at_ms", pa.int64()),
    ("reason", _word),
])  # fmt: skip
# How full the pools were, at the end of each week (Monday 0:00 UTC): as the assigner's own state had it. The last week is cut
# short where the log ends.
WEEKS: Final = pa.schema([
    ("week_ms", pa.int64()),  # when it began
    ("pool", _word),
    ("capacity", pa.int32()),
    ("served", pa.int32()),  # at its end
    ("waiting", pa.int32()),  # at its end
    ("assigned", pa.int32()),  # within it
    ("withheld", pa.int32()),
    ("ended", pa.int32()),
    ("first_purchases", pa.int32()),
    ("looks", pa.int32()),
])  # fmt: skip
ROSTER: Final = pa.schema([
    ("at_ms", pa.int64()),
    ("advisor_id", _word),
    ("pool", _word),
    ("status", _word),
    ("capacity", pa.int32()),
    ("daily_intake", pa.int32()),
])  # fmt: skip
SNAPSHOTS: Final = pa.schema([
    ("at_ms", pa.int64()),
    ("version", pa.string()),
    ("examples_seen", pa.int64()),
    ("bytes", pa.int64()),
    ("checksum", pa.string()),
])  # fmt: skip
# Why looks were scored as they were: per kind of look and quarter, the reasons given, summed up.
REASONS: Final = pa.schema([
    ("look", _word),
    ("feature", _word),
    ("period", _word),  # a quarter
    ("looks", pa.int64()),  # that named it
    ("mean_contribution", pa.float64()),  # log-odds
    ("mean_size", pa.float64()),  # of its absolute value
])  # fmt: skip
TIER_CHANGES: Final = pa.schema([
    ("at_ms", pa.int64()),
    ("customer_id", pa.string()),
    ("market", _word),
    ("change", _word),
    ("tier", _word),
    ("qualifying_minor", pa.int64()),
    ("missing_minor", pa.int64()),
])  # fmt: skip
# When customers became VIP: days from the first purchase, with the arm they were in by then.
VIPS: Final = pa.schema([
    ("customer_id", pa.string()),
    ("market", _word),
    ("first_purchase_at_ms", pa.int64()),
    ("vip_at_ms", pa.int64()),
    ("days", pa.float64()),
    ("arm", _word),
])  # fmt: skip

TABLES: Final[Mapping[str, pa.Schema]] = {
    "looks": LOOKS,
    "examples": EXAMPLES,
    "assignments": ASSIGNMENTS,
    "weeks": WEEKS,
    "roster": ROSTER,
    "snapshots": SNAPSHOTS,
    "reasons": REASONS,
    "tier_changes": TIER_CHANGES,
    "vips": VIPS,
}


class Run(Struct, frozen=True, kw_only=True):
    """One variant's pass. `counts` are of the assigner and the learner; those of the fold are in `Folded`."""

    variant: str
    looks: pa.Table
    examples: pa.Table
    assignments: pa.Table
    weeks: pa.Table
    roster: pa.Table
    snapshots: pa.Table
    reasons: pa.Table
    tier_changes: pa.Table
    vips: pa.Table
    horizon_days: int
    from_ms: int  # the first look
    end_ms: int  # the last event of the log
    counts: Mapping[str, int]
    notes: tuple[str, ...]  # what was assumed, said aloud
    outputs_sha256: str

    def table(self, name: str) -> pa.Table:
        table: pa.Table = getattr(self, name)
        return table


class Rows:
    """A table being written, row by row, by position; held as columns of chunks so that years of looks stay small."""

    CHUNK: Final = 20_000

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[tuple[Any, ...]] = []  # Any: cells of all columns
        self._chunks: list[pa.RecordBatch] = []

    def __len__(self) -> int:
        return len(self._rows) + self.CHUNK * len(self._chunks)

    def add(self, *cells: Any) -> None:  # Any: as above
        self._rows.append(cells)
        if len(self._rows) >= self.CHUNK:
            self._seal()

    def table(self) -> pa.Table:
        if self._rows:
            self._seal()
        return pa.Table.from_batches(self._chunks, schema=self._schema).unify_dictionaries().combine_chunks()

    def _seal(self) -> None:
        self._chunks.append(batch_of(self._schema, self._rows))
        self._rows = []


def batch_of(schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> pa.RecordBatch:  # Any: cells
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [_array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(cells: tuple[Any, ...], kind: pa.DataType) -> pa.Array:  # Any: cells
    if pa.types.is_dictionary(kind):
        return pa.array(cells, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(cells, kind)


# ---- on disk -------------------------------------------------------------------------------------------------------


def write_run(run: Run, folder: Path) -> None:
    """One Parquet file a table, and what is no table in `run.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        pq.write_table(run.table(name), folder / f"{name}.parquet", compression="zstd")
    facts = {name: getattr(run, name) for name in run.__struct_fields__ if name not in TABLES}
    text = json.dumps(facts, indent=1, sort_keys=True)
    (folder / "run.json").write_text(text + "\n", encoding="utf-8")


def read_run(folder: Path) -> Run:
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    facts["notes"] = tuple(facts["notes"])
    tables = {name: pq.read_table(folder / f"{name}.parquet", schema=schema) for name, schema in TABLES.items()}
    return Run(**tables, **facts)
