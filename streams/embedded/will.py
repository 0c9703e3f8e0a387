"""What becomes of our processes and files if this one is killed before it can put them away: SIGKILL, SIGQUIT, no memory left.

A shell waits at the other end of a pipe. A line means that all was put away in order; the end of the pipe without one means that
this process is gone, however it went. It works wherever there is a `/bin/sh`, and needs no thread and no signal of ours.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KILL = 'read -r line || kill -KILL "$1"'
REMOVE = (
    'read -r line || for _ in 1 2 3; do sleep 1; rm -rf -- "$1"; done'  # who writes there is killed in the meantime
)


@contextmanager
def outlived_by_no_process(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """If this process is killed while the context lasts, that one is killed too."""
    with _will(KILL, str(process.pid)):
        yield


@contextmanager
def outlived_by_no_folder(folder: Path) -> Iterator[None]:
    """If this process is killed while the context lasts, the folder is removed."""
    with _will(REMOVE, str(folder.resolve())):
        yield


@contextmanager
def _will(script: str, what: str) -> Iterator[None]:
    """The script, executed by a shell that no signal of our terminal reaches."""
    shell = subprocess.Popen(  # noqa: S603  our own script; what it is about is an argument, never part of it
        ["/bin/sh", "-c", script, "maitred", what],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
    )  # fmt: skip
    try:
        yield
    finally:
        shell.communicate(b"\n")  # in vain, and without an error, if it is gone
