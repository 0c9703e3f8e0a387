"""The worker of the demo: `maitred worker`, as in production, in a process of its own with a log file.

It is a session of its own, so that Ctrl-C on the terminal reaches only the demo, which then ends things in their order.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from streams.embedded.will import outlived_by_no_process

COMMAND = (sys.executable, "-c", "from streams.cli import main; main()", "worker")
STOP_S = 15.0
TAIL_BYTES = 4_000
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # Faust hides the cursor even in a file


class Worker:
    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process, self._log = process, log

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def last_words(self) -> str:
        """The end of its log, and how it ended."""
        text = CONTROL_SEQUENCE.sub("", self._log.read_bytes()[-TAIL_BYTES:].decode(errors="replace"))
        return f"{text.strip()}\n(exit code {self._process.poll()})"

    def hurry(self) -> None:
        """End it now, without its goodbyes."""
        if not self.has_ended:
            self._process.kill()

    def stop(self) -> None:
        """As an operator would: SIGTERM, so that it finishes what it is committing."""
        if not self.has_ended:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def hired_worker(variables: Mapping[str, str], directory: Path) -> Iterator[Worker]:
    """A worker with these settings and no others, while the context lasts."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAITRED_")}
    nothing = directory / "maitred.toml"
    nothing.touch()
    environment = {**inherited, "MAITRED_CONFIG": str(nothing), **variables}
    log = directory / "worker.log"
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603  our own command
            COMMAND, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    worker = Worker(process, log)
    with outlived_by_no_process(process):
        try:
            yield worker
        finally:
            worker.stop()
