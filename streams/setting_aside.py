"""A record that the core cannot digest: found, set aside with its fault, and passed over, so that the others go on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

from msgspec.structs import replace

from schemas.errors import BrokenPromise, MaitredError
from schemas.records import Batch, Fault, Record, Run

Decided = TypeVar("Decided")


def setting_aside(decide: Callable[[Batch], Decided], batch: Batch, name: str) -> Decided:
    """What `decide` makes of a batch; a record on which it fails is found, marked as a fault of class `core`, and passed over.

    `decide` is pure, so trying shorter pieces of the batch costs time and nothing else. What is raised on purpose is no
    record's fault, and passes through.
    """
    while True:
        try:
            return decide(batch)
        except MaitredError:
            raise
        except Exception as error:  # whatever the core may raise: it must not stop the partition
            batch = mark(batch, _culprit(decide, batch, name, error), error)


def _culprit(decide: Callable[[Batch], Decided], batch: Batch, name: str, error: Exception) -> Record:
    """The last record of the shortest failing piece, by bisection."""
    records = list(batch.records())
    low, high = 0, len(records)  # the first `low` records can be decided, the first `high` cannot
    if not records or _fails(decide, up_to(batch, 0)):
        raise BrokenPromise(f"{name}[{batch.partition}]: what fell due could not be decided: {named(error)}") from error
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fails(decide, up_to(batch, middle)) else (middle, high)
    culprit = records[high - 1]
    if isinstance(culprit.event, Fault):
        raise BrokenPromise(f"{name}: {culprit.where} fails even when set aside: {named(error)}") from error
    return culprit


def _fails(decide: Callable[[Batch], Decided], batch: Batch) -> bool:
    try:
        decide(batch)
    except MaitredError:
        raise
    except Exception:  # the question is only whether
        return True
    return False


def up_to(batch: Batch, count: int) -> Batch:
    """The first `count` records of a batch. A run that is cut leaves the watermark where it stood before it."""
    runs, watermark = [], 0
    for run in batch.runs:
        if len(run.records) > count:
            runs.append(Run(run.topic, run.records[:count], watermark))
            break
        runs.append(run)
        count, watermark = count - len(run.records), run.watermark_ms
    return replace(batch, runs=tuple(runs))


def mark(batch: Batch, culprit: Record, error: Exception) -> Batch:
    return exclude(batch, {(culprit.topic, culprit.offset): undigested(named(error))})


def named(error: Exception) -> str:
    """An error of the core by kind and place. Its message stays out of logs and the batch log: it may quote the record.

    >>> named(KeyError("c-17"))
    'KeyError'
    """
    frames = extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def undigested(error: str) -> Fault:
    """The fault of a record that the core failed on. `error` is what the batch log keeps of it."""
    return Fault("core", "$", "a record the core can decide", error, "report it with the record; then retry")


def exclude(batch: Batch, faults: Mapping[tuple[str, int], Fault]) -> Batch:
    """The batch with these records turned into faults; replay and verification do the same from the batch log."""
    runs = tuple(
        run._replace(records=tuple(r._replace(event=faults.get((r.topic, r.offset), r.event)) for r in run.records))
        for run in batch.runs
    )
    return replace(batch, runs=runs)
