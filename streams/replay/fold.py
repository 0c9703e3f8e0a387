"""The fold of a replay: the rows of a log in, moments out.

    folded = fold(source, work_dir, policy, processes=2)
    for moment in folded.moments(): ...

The log is shuffled to shards on disk (`shuffle.py`), each shard is folded by the core, customer by customer (`stages.py`), on
this machine or a cluster (`workers.py`, `ray_engine.py`), and the moments are merged as they are read. Neither the number of
shards nor of processes shows in them. What is finished is kept (`work.py`): a run that was stopped goes on where it was.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct
from msgspec.structs import replace

from streams.replay.moments import Moment, Row, decode_moment, rows_of
from streams.replay.rows import Source
from streams.replay.shards import KINDS, LEFT, SEEN
from streams.replay.shuffle import Shuffled, shuffle
from streams.replay.spending import Spending, decode_spending
from streams.replay.spill import ROWS_IN_A_BUCKET, Spill, file_of, hashes
from streams.replay.stages import Done, Stage, Task, Terms
from streams.replay.work import empty, fold_folder, held, log_folder, note, noted
from streams.replay.workers import LocalWorkers, Workers
from streams.scoring.policy import Policy

ROWS_AT_ONCE = 1_024  # of each shard, while moments are merged
Progress = Callable[[str, int, int | None], None]  # stage ("read" or "fold"), rows done, rows in all if that is known


class Folded(Struct, frozen=True, kw_only=True):
    """What a fold found, on disk."""

    source: str
    lacks: tuple[str, ...]
    fingerprint: str  # of the source
    events: int  # rows of the log
    start_ms: int
    end_ms: int  # the last event of the log: what was due by then has happened
    counts: Mapping[
        str, int
    ]  # events by kind, rejects ("rejected conflict"), tier changes ("tier gold reached"), guests, rows of a data set left out ...
    moment_files: tuple[str, ...]
    spend_files: tuple[str, ...]
    was_in_order: bool = True  # the log came in order of time
    was_reused: bool = False

    def moments(self) -> Iterator[Moment]:
        """All of them, in their order."""
        for row in merge(*map(_rows, self.moment_files), key=itemgetter(0, 1, 2, 3)):
            yield decode_moment(row[4])

    def spend(self) -> Iterator[Spending]:
        """What each customer spent since the first purchase, in order of their ids."""
        yield from (decode_spending(payload) for _, payload in merge(*map(_spent, self.spend_files)))


def _rows(file: str) -> Iterator[Row]:
    for batch in pq.ParquetFile(file).iter_batches(ROWS_AT_ONCE):
        yield from rows_of(batch)


def _spent(file: str) -> Iterator[tuple[str, bytes]]:
    for batch in pq.ParquetFile(file).iter_batches(ROWS_AT_ONCE):
        yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)


def fold(
    source: Source,
    work_dir: Path,
    policy: Policy,
    *,
    processes: int = 1,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    shards: int | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Folded:
    """Fold a log, or take what an earlier run has left. `address` is a Ray cluster's; None starts one here. `shards` is
    as many as suit the log where it is not said.

    Raises `ShardFailed` if a shard can't be folded, `FolderInUse` if another replay is at work in the folder.
    """
    fingerprint = source.fingerprint()
    folder = log_folder(work_dir, f"{fingerprint}/{shards or 'suited'}")
    with held(folder):
        results = fold_folder(folder, policy)
        known = noted(results / "folded.json", Folded)
        if known is not None and all(Path(file).exists() for file in (*known.moment_files, *known.spend_files)):
            return replace(known, was_reused=True)
        shuffled = _shuffled(source, folder, shards, progress)
        workers = LocalWorkers(processes) if engine == "local" else _ray(processes, address)
        counts = _Fold(folder / "rows", results, shuffled, policy, workers, progress).run()
        folded = Folded(
            source=source.name,
            lacks=tuple(source.lacks),
            fingerprint=fingerprint,
            events=shuffled.rows,
            start_ms=shuffled.start_ms,
            end_ms=shuffled.end_ms,
            counts=dict(sorted(counts.items())),
            moment_files=(str(folder / "rows" / "given.parquet"), *_files(results, "moments")),
            spend_files=_files(results, "spend"),
            was_in_order=shuffled.ordered,
        )
        note(results / "folded.json", folded)
        return folded


def _ray(processes: int, address: str | None) -> Workers:
    from streams.replay.ray_engine import RayWorkers  # noqa: PLC0415  # Ray is an extra, and slow to import

    return RayWorkers(processes, address)


def _files(folder: Path, name: str) -> tuple[str, ...]:
    return tuple(sorted(str(path) for path in folder.glob(f"{name}-*.parquet")))


def _shuffled(source: Source, folder: Path, shards: int | None, progress: Progress) -> Shuffled:
    known = noted(folder / "shuffled.json", Shuffled)
    if known is None:
        known = shuffle(source, empty(folder / "rows"), shards, lambda rows, total: progress("read", rows, total))
        left_out = {f"left_out {reason}": rows for reason, rows in sorted(source.quality.left_out.items())}
        known = replace(known, counts={**known.counts, **left_out})
        note(folder / "shuffled.json", known)
    return known


class _Fold:
    """The stages, one after another; each task that is done is noted, and not done again."""

    def __init__(
        self, rows: Path, results: Path, shuffled: Shuffled, policy: Policy, workers: Workers, progress: Progress
    ) -> None:
        self._rows, self._results, self._shuffled, self._workers = rows, results, shuffled, workers
        households = _households(shuffled.merged)
        self._terms = Terms(policy=policy, end_ms=shuffled.end_ms, households=households)
        self._progress, self._done, self._total = progress, 0, sum(shuffled.sizes.values())
        self._counts = Counter(shuffled.counts)
        results.mkdir(parents=True, exist_ok=True)

    def run(self) -> Counter[str]:
        self._perform([self._visitors_task(number) for number in self._shuffled.visitors])
        self._bring_together("answers", "seen", SEEN, self._shuffled.buckets, "customer_id")
        self._perform([self._customers_task(number) for number in self._shuffled.customers])
        buckets = self._bring_together("left", "households", LEFT, None, "who")
        self._perform([self._households_task(number) for number in range(buckets)])
        return self._counts

    # ---- tasks -----------------------------------------------------------------------------------------------------

    def _visitors_task(self, number: int) -> Task:
        return self._task("visitors", number, ("visitors", "asked"), ("answers",))

    def _customers_task(self, number: int) -> Task:
        return self._task("customers", number, ("customers", "seen"), ("moments", "spend", "left"))

    def _households_task(self, number: int) -> Task:
        return self._task("households", number, ("households",), ("moments-merged", "spend-merged"))

    def _task(self, stage: Stage, number: int, inputs: Sequence[str], outputs: Sequence[str]) -> Task:
        return Task(
            stage=stage,
            number=number,
            inputs=tuple(file_of(name, number) for name in inputs),
            outputs=tuple(file_of(name, number) for name in outputs),
            rows=self._shuffled.sizes.get(file_of(stage, number), 0),
        )

    def _perform(self, tasks: Sequence[Task]) -> None:
        marks = {task.name: noted(self._results / f"{task.name}.json", Done) for task in tasks}
        for task in tasks:
            self._take(task, marks[task.name])
        missing = [task for task in tasks if marks[task.name] is None]
        for task, done in self._workers.run(missing, self._terms, self._rows, self._results):
            note(self._results / f"{task.name}.json", done)
            self._take(task, done)

    def _take(self, task: Task, done: Done | None) -> None:
        if done is None:
            return
        self._counts.update({name: number for name, number in done.counts.items() if name not in KINDS and number})
        if task.stage != "households":  # their rows were counted when they were left
            self._done += done.rows
        self._progress("fold", self._done, self._total)

    # ---- between stages --------------------------------------------------------------------------------------------

    def _bring_together(self, given: str, wanted: str, schema: pa.Schema, buckets: int | None, by: str) -> int:
        """Divide one stage's outputs anew, for the next. Returns the number of buckets."""
        mark = self._results / f"{wanted}.json"
        known = noted(mark, int)
        if known is not None:
            return known
        for path in _files(self._results, wanted):
            Path(path).unlink()
        files = [pq.ParquetFile(path) for path in _files(self._results, given)]
        rows = sum(file.metadata.num_rows for file in files)
        if not rows:
            return 0
        divided_into = buckets or -(-rows // ROWS_IN_A_BUCKET)
        spill = Spill(self._results, wanted, schema)
        for batch in chain.from_iterable(file.iter_batches() for file in files):
            names = batch.column(by)
            spill.add(batch, hashes(self._whose(names) if wanted == "households" else names))
            if spill.is_full:
                spill.flush(divided_into)
        spill.flush(divided_into)
        spill.close()
        note(mark, divided_into)
        return divided_into

    def _whose(self, names: pa.Array) -> pa.Array:
        """The households of accounts that are merged at some time."""
        return pa.array([self._terms.households[name] for name in names.to_pylist()], pa.string())


def _households(merged: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The household of each account that is merged at some time: the least of its accounts."""
    leads: dict[str, str] = {}

    def root(name: str) -> str:
        while (found := leads.setdefault(name, name)) != name:
            leads[name] = leads[found]
            name = found
        return name

    for one, other in merged:
        least, greatest = sorted((root(one), root(other)))
        leads[greatest] = least
    return {name: root(name) for name in list(leads)}
