"""What a namespace was made with is written once on real servers, and nobody works in it with another `time` or currency."""

import os
import subprocess
import sys

import pytest

from streams import topics
from streams.namespace import Made, read_made
from streams.settings import load
from tests.integration.real_world import own_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def maitred(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_worker_that_is_set_otherwise_refuses_to_start() -> None:
    with own_namespace("made", MAITRED_TIME="event") as variables:
        worker = maitred({**variables, "MAITRED_TIME": "wall"}, "worker")
        assert worker.returncode == 2, worker.stderr
        assert "expected time = event, which the namespace was made with, got wall; set it back" in worker.stderr
        checked = maitred({**variables, "MAITRED_MONEY__BASE": "JPY"}, "topics", "check")
        assert checked.returncode == 1
        assert "money.base = EUR" in checked.stdout


def test_what_it_was_made_with_is_written_once() -> None:
    with own_namespace("made") as variables:
        settings = load(None, {**variables, "MAITRED_TIME": "event"})
        assert topics.create(settings) == []
        assert read_made(settings) == Made("wall", 4, "EUR")
        again = maitred(variables, "topics", "create")
        place = f"namespace {variables['MAITRED_NAMESPACE']} at {variables['MAITRED_KAFKA__BOOTSTRAP']}"
        assert again.stderr == f"all topics are there, in {place}\n"


def test_a_command_that_reads_partitions_that_are_not_there_names_the_setting() -> None:
    with own_namespace("made") as variables:
        tail = maitred({**variables, "MAITRED_PARTITIONS": "6"}, "assignments", "tail")
        assert tail.returncode == 1
        assert "set `partitions` to what the namespace was made with" in tail.stderr
        assert "Traceback" not in tail.stderr
