"""Tasks of a fold on a Ray cluster: an existing one, or one that is started on this machine and ended with the fold.

Nodes need no common disk: a task's files go there and its results come back through Ray. What they do need is the same version
of Maitred, which each task makes sure of. The only module that imports Ray.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import ray
from ray._private import ray_constants

from schemas.errors import MaitredError
from streams.replay.stages import Done, Task, Terms, perform
from streams.replay.work import core_version
from streams.replay.workers import ShardFailed, reason

LOOPBACK, OBJECT_STORE_BYTES = "127.0.0.1", 512 << 20  # of a cluster that is started here
AHEAD = 2  # tasks for each CPU that are on their way, so that their files don't fill the driver's memory

Files = dict[str, bytes]


class OtherVersion(MaitredError):
    """A node folds with other code: what it gives could differ."""


class RayWorkers:
    """`processes` is the number of CPUs where a cluster is started here; an existing one has its own."""

    def __init__(self, processes: int, address: str | None) -> None:
        self._processes, self._address = processes, address

    def run(self, tasks: Sequence[Task], terms: Terms, sources: Path, results: Path) -> Iterator[tuple[Task, Done]]:
        """Each task with what came of it, as it is done. Raises `ShardFailed`."""
        if not tasks:
            return
        with _Cluster(self._processes, self._address) as cluster:
            told = ray.put(terms)
            waiting: dict[Any, Task] = {}  # Any: Ray's references
            ahead = sorted(tasks, key=lambda task: (task.rows, task.name))  # the largest is taken first
            while ahead or waiting:
                while ahead and len(waiting) < cluster.cpus * AHEAD:
                    task = ahead.pop()
                    files = {name: data for name in task.inputs if (data := _found(name, results, sources)) is not None}
                    waiting[_remote().remote(task, told, files, core_version())] = task
                (reference,), _ = ray.wait(list(waiting), num_returns=1)
                task = waiting.pop(reference)
                done, made = _result(task, reference)
                for name, data in made.items():
                    _put(results / name, data)
                yield task, done


class _Cluster:
    def __init__(self, processes: int, address: str | None) -> None:
        self._processes, self._address = processes, address
        self.cpus = processes

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._is_ours, self._reaches_others = not ray.is_initialized(), ray_constants.ENABLE_RAY_CLUSTER
        if self._is_ours:
            settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}  # Any: Ray's own
            if self._address is None:
                # Else Ray puts the machine's own address in the place of loopback, and listens on all of them.
                ray_constants.ENABLE_RAY_CLUSTER = False
                settings |= {"num_cpus": self._processes, "include_dashboard": False, "_node_ip_address": LOOPBACK}
                settings |= {"object_store_memory": OBJECT_STORE_BYTES}
            else:
                settings["address"] = self._address
            ray.init(**settings)
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's
        self.cpus = max(1, int(resources.get("CPU", 1)))
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            ray.shutdown()
            ray_constants.ENABLE_RAY_CLUSTER = self._reaches_others


def _remote() -> Any:  # Any: Ray's decorator gives a class of its own
    return ray.remote(num_cpus=1, max_retries=2)(perform_there)


def perform_there(task: Task, terms: Terms, files: Files, version: str) -> tuple[Done, Files]:
    """Do a task on a node, with files that came along; its results go back as they are."""
    if core_version() != version:
        raise OtherVersion(
            f"this node: expected the driver's version of Maitred ({version}), got another ({core_version()}); "
            "install the same one on all nodes"
        )
    with TemporaryDirectory(prefix="maitred-fold-") as name:
        folder = Path(name)
        for given, data in files.items():
            _put(folder / given, data)
        done = perform(task, terms, folder, folder)
        return done, {made: (folder / made).read_bytes() for made in task.outputs}


def _result(task: Task, reference: Any) -> tuple[Done, Files]:  # Any: as above
    try:
        found: tuple[Done, Files] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise ShardFailed(task, reason(error.cause or error)) from error
    except ray.exceptions.RayError as error:
        raise ShardFailed(task, reason(error)) from error
    return found


def _found(name: str, *folders: Path) -> bytes | None:
    return next(((folder / name).read_bytes() for folder in folders if (folder / name).exists()), None)


def _put(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.rename(path)
