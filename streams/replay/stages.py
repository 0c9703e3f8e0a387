"""The stages of a fold, as tasks that any process can perform: files in, files out, nothing else.

    visitors-3, asked-3     ──[visitors 3]────> answers-3                         what was known of visitors, order by order
    customers-3, seen-3     ──[customers 3]───> moments-3, spend-3, left-3        left: accounts that are merged at some time
    households-1            ──[households 1]──> moments-h1, spend-h1

Whoever drives a fold puts `seen-*` (the answers, by customer) and `households-*` (what was left, by household) there between
stages. A task's outputs depend on its inputs alone, and are put in place whole: who dies in between leaves nothing half done.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from msgspec import Struct

from schemas.errors import MaitredError
from streams.replay.households import Household, undivided
from streams.replay.moments import MOMENT_SCHEMA, Moment, Row, row_of, table_of
from streams.replay.shards import ASKED, ASKS, LEFT, ROWS, SEEN, SPEND, LogRow, grouped
from streams.replay.spending import encode_spending
from streams.replay.spill import read, writer
from streams.scoring.policy import Policy

Stage = Literal["visitors", "customers", "households"]


class Task(Struct, frozen=True, kw_only=True):
    """`inputs` that are not there are empty. All are names of files within one folder."""

    stage: Stage
    number: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: int  # about how much work it is

    @property
    def name(self) -> str:
        return f"{self.stage}-{self.number:04d}"


class Terms(Struct, frozen=True, kw_only=True):
    """What all tasks of a fold are told besides their files."""

    policy: Policy
    end_ms: int  # the last event of the whole log
    households: dict[str, str] = {}  # account -> household, of those that are merged at some time


class Done(Struct, frozen=True, kw_only=True):
    rows: int
    counts: Mapping[str, int]


class CoreFailed(MaitredError):
    """The core failed on an event, which the text names. It passes from process to process as it is."""


def perform(task: Task, terms: Terms, sources: Path, results: Path) -> Done:
    """Do a task. Inputs lie in `results` (what earlier stages gave) or `sources` (what the shuffle gave)."""
    tables = [_find(name, sources, results) for name in task.inputs]
    rows, found, counts = _STAGES[task.stage](tables, terms)
    for name, table in zip(task.outputs, found, strict=True):
        _put(results / name, table)
    return Done(rows=rows, counts=dict(sorted(counts.items())))


def _find(name: str, sources: Path, results: Path) -> pa.Table | None:
    for folder in (results, sources):
        if (folder / name).exists():
            return read(folder / name)
    return None


def _put(path: Path, table: pa.Table) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    with writer(part, table.schema) as file:
        file.write_table(table)
    part.rename(path)


Found = tuple[int, tuple[pa.Table, ...], Counter[str]]


# ---- visitors ----------------------------------------------------------------------------------------------------------


def _visitors(tables: list[pa.Table | None], terms: Terms) -> Found:
    """What was known of visitors when orders named them."""
    rows, asked = (table or schema.empty_table() for table, schema in zip(tables, (ROWS, ASKED), strict=True))
    counts, answers = Counter[str](), list[tuple[Any, ...]]()
    policy = undivided(terms.policy)
    for visitor_id, events in grouped(_with_questions(rows, asked)):
        if len(events) == 1 and events[0][4] == ASKS:
            continue  # nobody has seen them before
        household = Household(policy, terms.policy.partitions, _nothing_follows)
        for steps, question in _between_questions(events):
            household.fold(steps)
            if question is not None:
                at_ms, topic, partition, offset, _, customer_id, _ = question
                known = household.ask(at_ms, visitor_id)
                if known is not None:
                    answers.append((topic, partition, offset, customer_id.decode(), known))
        household.end(0)
        counts.update(household.counts)
    return len(rows), (table_of(SEEN, answers),), counts


def _with_questions(rows: pa.Table, asked: pa.Table) -> pa.Table:
    """Steps of browsing and questions in one table; a question's payload is the customer who asks."""
    nothing = pa.nulls(len(asked), pa.binary())
    kind = pa.array(np.full(len(asked), ASKS, np.int8))
    names = asked.column("customer_id").cast(pa.binary())
    columns = [asked.column(name) for name in ("at_ms", "topic", "partition", "offset")]
    questions = pa.Table.from_arrays([*columns, kind, asked.column("who"), names, nothing], schema=LEFT)
    return pa.concat_tables([_unseen(rows), questions]).combine_chunks()


def _between_questions(events: list[LogRow]) -> "list[tuple[list[LogRow], LogRow | None]]":
    """Steps up to each question, and those after the last one."""
    asks = [index for index, row in enumerate(events) if row[4] == ASKS]
    begins = [0, *(index + 1 for index in asks)]
    questions: list[LogRow | None] = [*(events[index] for index in asks), None]
    ends = [*asks, len(events)]
    return [(events[begin:end], row) for begin, end, row in zip(begins, ends, questions, strict=True)]


def _nothing_follows(moment: Moment) -> None:
    raise TypeError(f"a visitor's browsing leads to nothing, got {moment}")


# ---- customers -----------------------------------------------------------------------------------------------------------


def _customers(tables: list[pa.Table | None], terms: Terms) -> Found:
    """Customers who have one account. The rows of others are left, to be brought together."""
    rows = tables[0] or ROWS.empty_table()
    known = _unseen(rows) if tables[1] is None else _seen(rows, tables[1])
    left = LEFT.empty_table()
    if terms.households:
        who = known.column("who").combine_chunks().dictionary_encode()
        is_merged = np.array([name in terms.households for name in who.dictionary.to_pylist()], bool)[
            who.indices.to_numpy()
        ]
        left = known.take(pa.array(np.flatnonzero(is_merged)))
        known = known.take(pa.array(np.flatnonzero(~is_merged)))
    moments, spend, counts = _folded(known, terms)
    return len(rows), (moments, spend, left), counts


def _households(tables: list[pa.Table | None], terms: Terms) -> Found:
    """All accounts of customers who have more than one."""
    rows = tables[0] or LEFT.empty_table()
    moments, spend, counts = _folded(rows, terms)
    return len(rows), (moments, spend), counts


def _folded(rows: pa.Table, terms: Terms) -> tuple[pa.Table, pa.Table, Counter[str]]:
    counts, found, spent = Counter[str](), list[Row](), list[tuple[str, bytes]]()
    policy = undivided(terms.policy)
    for _, events in grouped(rows, terms.households):
        household = Household(policy, terms.policy.partitions, lambda moment: found.append(row_of(moment)))
        try:
            household.fold(events)
            household.end(terms.end_ms)
        except Exception as error:
            raise CoreFailed(f"{household.where}: {type(error).__name__}: {error}") from error
        counts.update(household.counts)
        spent += [(each.customer_id, encode_spending(each)) for each in household.spent()]
    found.sort(key=itemgetter(0, 1, 2, 3))
    return table_of(MOMENT_SCHEMA, found), table_of(SPEND, sorted(spent)), counts


def _unseen(rows: pa.Table) -> pa.Table:
    return pa.Table.from_arrays([*rows.columns, pa.nulls(len(rows), pa.binary())], schema=LEFT)


def _seen(rows: pa.Table, seen: pa.Table) -> pa.Table:
    """Each order with what was known of its visitor."""
    places = zip(*(seen.column(name).to_pylist() for name in ("topic", "partition", "offset")), strict=True)
    known = dict(zip(places, seen.column("visitor").to_pylist(), strict=True))
    topic, partition, offset = (rows.column(name).to_pylist() for name in ("topic", "partition", "offset"))
    values = [known.get(place) for place in zip(topic, partition, offset, strict=True)]
    return pa.Table.from_arrays([*rows.columns, pa.array(values, pa.binary())], schema=LEFT)


_STAGES: Final[Mapping[str, Callable[[list[pa.Table | None], Terms], Found]]] = {
    "visitors": _visitors,
    "customers": _customers,
    "households": _households,
}
