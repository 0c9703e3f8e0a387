"""A worker that is told to stop stops, whenever it is told: while it starts, joins, recovers or commits."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from os import environ

import pytest

from tests.integration.real_world import own_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

WORKER = [sys.executable, "-c", "from streams.cli import main; main()", "worker"]
STARTED = b"worker_started"


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    """A namespace of its own."""
    with own_namespace("stop") as own:
        yield own


def started(variables: dict[str, str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(WORKER, env={**environ, **variables}, stderr=subprocess.PIPE)
    assert process.stderr is not None
    while STARTED not in (line := process.stderr.readline()):
        assert line, "the worker ended before it had started"
    return process


@pytest.mark.parametrize("after_s", [0.3, 0.6, 0.9, 1.2, 1.5, 2.0, 4.0])
def test_sigterm_ends_it(variables: dict[str, str], after_s: float) -> None:
    """At any time after it has begun."""
    with started(variables) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 0


def test_sigint_ends_it_when_nobody_reads_what_it_says(variables: dict[str, str]) -> None:
    """As in `maitred worker 2>&1 | head -1`."""
    with started(variables) as process:
        assert process.stderr is not None
        process.stderr.close()
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        assert process.wait(25) == 0
