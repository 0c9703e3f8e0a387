"""Tasks of a fold on this machine: one after another, or beside each other in processes of their own.

Ctrl-C is heard by the driver alone, who ends its processes; if the driver is killed, they end with it. What was finished stays.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol

from schemas.errors import MaitredError
from streams.processes import pool_of
from streams.replay.stages import CoreFailed, Done, Task, Terms, perform


class ShardFailed(MaitredError):
    """A shard could not be folded. What was finished is kept: the next run begins with this shard."""

    def __init__(self, task: Task, why: str) -> None:
        super().__init__(f"fold: shard {task.name}: expected it to be folded, got {why}; mend that, then run it again")
        self.task, self.why = task, why


def reason(error: BaseException) -> str:
    return str(error) if isinstance(error, CoreFailed) else f"{type(error).__name__}: {error}"


class Workers(Protocol):
    """Who performs tasks. Results come in any order."""

    def run(self, tasks: Sequence[Task], terms: Terms, sources: Path, results: Path) -> Iterator[tuple[Task, Done]]: ...


class LocalWorkers:
    def __init__(self, processes: int) -> None:
        self._processes = processes

    def run(self, tasks: Sequence[Task], terms: Terms, sources: Path, results: Path) -> Iterator[tuple[Task, Done]]:
        """Each task with what came of it, as it is done. Raises `ShardFailed`."""
        if self._processes == 1 or len(tasks) <= 1:
            for task in tasks:
                yield task, _tried(task, terms, sources, results)
        else:
            yield from _beside(tasks, terms, sources, results, min(self._processes, len(tasks)))


def _tried(task: Task, terms: Terms, sources: Path, results: Path) -> Done:
    try:
        return perform(task, terms, sources, results)
    except Exception as error:
        raise ShardFailed(task, reason(error)) from error


def _beside(
    tasks: Sequence[Task], terms: Terms, sources: Path, results: Path, processes: int
) -> Iterator[tuple[Task, Done]]:
    with pool_of(processes) as pool:
        largest_first = sorted(tasks, key=lambda task: (-task.rows, task.name))
        waiting = {pool.submit(perform, task, terms, sources, results): task for task in largest_first}
        for done in as_completed(waiting):
            yield waiting[done], _result(waiting[done], done)


def _result(task: Task, future: "Future[Done]") -> Done:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise ShardFailed(task, "the end of a process, as for want of memory") from error
    except Exception as error:
        raise ShardFailed(task, reason(error)) from error
