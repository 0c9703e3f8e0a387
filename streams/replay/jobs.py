"""Variants and baselines side by side: each is one job for one process, which leaves its tables as files.

Ctrl-C is heard by the driver alone, who ends the others. A job that is done is kept under a name made of all that decides it,
with the code itself, and is not done again.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow.parquet as pq
from msgspec import Struct

import features
import online_models
import schemas
import streams
from streams.assignment.policy import AssignmentPolicy
from streams.processes import SPAWNED, pool_of
from streams.replay.baselines import score_baselines
from streams.replay.capacity import capacity_report
from streams.replay.fold import Folded
from streams.replay.results import Capacity
from streams.replay.run import read_run, write_run
from streams.replay.sequel import play
from streams.replay.variants import Variant

DONE: Final = "done"
POLL_S: Final = 0.2
Tick = Callable[[int], None]


class PlayJob(Struct, frozen=True):
    """A variant's pass over a fold."""

    folded: Folded
    variant: Variant
    folder: Path

    @property
    def moments(self) -> int:
        return moments_of(self.folded)

    def perform(self, tick: Tick) -> None:
        write_run(play(self.folded, self.variant, tick), self.folder)


class BaselinesJob(Struct, frozen=True):
    """What the baselines say of a fold's looks."""

    folded: Folded
    horizon_days: int
    names: tuple[str, ...]
    seed: int
    folder: Path

    moments: int = 0  # its progress is not told

    def perform(self, _tick: Tick) -> None:
        scores = score_baselines(self.folded, self.horizon_days, self.names, self.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(scores, self.folder / "baselines.parquet", compression="zstd")


class CapacityJob(Struct, frozen=True):
    """How much of what the places could have captured was captured, in one scenario over the run that lies in a folder."""

    run: Path
    policy: AssignmentPolicy
    scenario: str
    folder: Path

    moments: int = 0

    def perform(self, _tick: Tick) -> None:
        found = capacity_report(read_run(self.run), self.policy, (self.scenario,))
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "capacity.json").write_bytes(msgspec.json.encode(found))

    def found(self) -> tuple[Capacity, ...]:
        return msgspec.json.decode((self.folder / "capacity.json").read_bytes(), type=tuple[Capacity, ...])


Job = PlayJob | BaselinesJob | CapacityJob


def moments_of(folded: Folded) -> int:
    return sum(pq.ParquetFile(file).metadata.num_rows for file in folded.moment_files)


def is_done(job: Job) -> bool:
    return (job.folder / DONE).exists()


def run_jobs(jobs: Sequence[Job], processes: int, tick: Tick, meanwhile: Callable[[], None] | None = None) -> None:
    """Do what is not done yet; `tick` hears of moments passed. `meanwhile` is done here, beside the others if it can be."""
    missing = [job for job in jobs if not is_done(job)]
    alone = processes == 1 or not missing or (len(missing) == 1 and meanwhile is None)
    if alone:
        for job in missing:
            _perform(job, tick)
        if meanwhile is not None:
            meanwhile()
        return
    passed = SPAWNED.Value("q", 0)
    with pool_of(min(processes, len(missing)), _begin, (passed,)) as pool:
        futures = [pool.submit(_perform_there, job) for job in missing]
        if meanwhile is not None:
            meanwhile()
        _watch(futures, passed, tick)


def _watch(futures: "list[Future[None]]", passed: Any, tick: Tick) -> None:  # Any: a value shared by processes
    told, waiting = 0, set(futures)
    while waiting:
        done, waiting = wait(waiting, POLL_S)
        now = int(passed.value)
        if now > told:
            tick(now - told)
            told = now
        for future in done:
            future.result()


def _perform(job: Job, tick: Tick) -> None:
    job.perform(tick)
    (job.folder / DONE).touch()


# ---- in a process of its own -------------------------------------------------------------------------------------------

_passed: Any = None  # Any: as above


def _begin(passed: Any) -> None:  # Any: as above
    global _passed  # noqa: PLW0603  # one value for the whole process, set once
    _passed = passed


def _perform_there(job: Job) -> None:
    def tick(moments: int) -> None:
        with _passed.get_lock():
            _passed.value += moments

    _perform(job, tick)


# ---- names of what is kept -----------------------------------------------------------------------------------------------


def name_of(*facts: object) -> str:
    """A short name of facts and of the code that makes something of them."""
    said = msgspec.json.encode((code_version(), *facts), order="sorted")
    return blake2b(said, digest_size=12).hexdigest()


@cache
def code_version() -> str:
    """A hash of all code that a pass may run: another version of it plays anew."""
    digest = blake2b(digest_size=12)
    for package in (features, online_models, schemas, streams):
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")) if package is not streams else _of_streams(root):
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _of_streams(root: Path) -> Iterator[Path]:
    yield from sorted([*root.glob("*.py"), *(root / "replay").glob("*.py")])
    for room in ("assignment", "scoring", "settings"):
        yield from sorted((root / room).rglob("*.py"))
