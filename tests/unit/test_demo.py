"""`maitred demo` as a person and as a program start it: it shows a year of a shop, ends, and leaves nothing behind."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(240)

DEMO = (sys.executable, "-c", "from streams.cli import main; main()", "demo")
PATIENCE_S = 120.0
COUNTS = (
    "events", "first_purchases", "scores", "second_looks", "examples", "assignments", "control", "tier_changes", "rejected",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path):
    """Where a demo makes its folder; afterwards nothing may lie there, and no process know of it."""
    short = Path("/tmp") / f"m{os.getpid()}{tmp_path.name[-1]}"  # noqa: S108  the store's socket needs a short path
    short.mkdir()
    yield short
    assert list(short.iterdir()) == []
    assert those_who_know(short) == []
    short.rmdir()


def started(folder: Path, *options: str, start_new_session: bool = False, **variables: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "TMPDIR": str(folder), "MAITRED_PARTITIONS": "not for the demo", **variables}
    return subprocess.Popen(
        [*DEMO, *options], env=environment, start_new_session=start_new_session, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def those_who_know(folder: Path) -> list[str]:
    """Processes that were given the folder, by their command line or their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it has just ended, or is somebody else's
            continue
        if str(folder).encode() in known:
            found.append(process.name)
    return found


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_json_object_is_sane(folder: Path, tmp_path: Path) -> None:
    """Every number is there and they agree with one another; the picture is written beside it."""
    demo = started(folder, "--seconds", "10", "--json", "--picture", str(tmp_path / "demo.svg"))
    out, said = demo.communicate()
    assert demo.returncode == 0, said
    told = json.loads(out)
    assert all(told[name] > 0 for name in COUNTS)
    assert told["scores"] == told["first_purchases"] + told["second_looks"]
    assert told["events"] > told["scores"]
    assert 0 < told["decision_p50_ms"] <= told["decision_p99_ms"]
    assert 10 <= told["wall_s"] <= PATIENCE_S
    assert (tmp_path / "demo.svg").read_text().startswith("<svg")
    assert all(pool["serving"] <= pool["places"] for pool in told["capacity"].values())


def test_without_a_terminal_it_prints_lines_and_a_summary(folder: Path) -> None:
    """Letters only, no control sequences."""
    out, said = (demo := started(folder, "--seconds", "1")).communicate()
    assert demo.returncode == 0, said
    assert "\x1b" not in out
    assert re.search(r"day +\d+ +[\d,]+ events", out)
    assert "from order to score" in out
    assert "What to try next" in out


@pytest.mark.parametrize("send", [lambda pid: os.killpg(pid, signal.SIGINT), lambda pid: os.kill(pid, signal.SIGTERM)])
def test_a_signal_ends_it_with_a_summary(folder: Path, send: Callable[[int], None]) -> None:
    """Ctrl-C reaches all processes of a terminal, SIGTERM one."""
    demo = started(folder, start_new_session=True)
    assert demo.stdout is not None
    while "events" not in (line := demo.stdout.readline()):
        assert line, demo.stderr and demo.stderr.read()
    send(demo.pid)
    out, said = demo.communicate()
    assert (demo.returncode, said) == (0, "")
    assert "What to try next" in out


def test_a_signal_while_it_starts_ends_it(folder: Path) -> None:
    """As soon as something of it is there."""
    demo = started(folder)
    wait_until(lambda: list(folder.iterdir()))
    demo.send_signal(signal.SIGINT)
    demo.communicate()
    assert demo.returncode == 0


def test_whoever_asks_twice_waits_for_nobody(folder: Path) -> None:
    demo = started(folder)
    assert demo.stdout is not None
    while "events" not in demo.stdout.readline():
        pass
    for _ in range(3):
        demo.send_signal(signal.SIGINT)
        time.sleep(0.1)
    demo.communicate()
    assert demo.returncode == 0


def test_a_reader_who_leaves_ends_it(folder: Path) -> None:
    """As in `maitred demo | head -1`."""
    demo = started(folder)
    assert demo.stdout is not None
    demo.stdout.readline()
    demo.stdout.close()
    assert demo.stderr is not None
    with demo.stderr as said:
        assert (said.read(), demo.wait()) == ("", 0)


def test_a_worker_that_dies_is_told_of(folder: Path) -> None:
    """With the end of its log, and exit code 1."""
    demo = started(folder)
    wait_until(lambda: list(folder.glob("*/worker.log")) and len(those_who_know(folder)) >= 3)
    for process in those_who_know(folder):
        if b"worker" in Path("/proc", process, "cmdline").read_bytes().split(b"\0"):
            os.kill(int(process), signal.SIGKILL)
    _, said = demo.communicate()
    assert demo.returncode == 1
    assert "the worker ended by itself" in said
    assert "exit code -9" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_nothing_outlives_a_demo_that_is_killed(folder: Path, number: signal.Signals) -> None:
    """With Ctrl-backslash, for one. It can put nothing away then: the worker, the store and the folder go all the same."""
    demo = started(folder)
    wait_until(lambda: list(folder.glob("*/worker.log")) and len(those_who_know(folder)) >= 3)
    demo.send_signal(number)
    demo.communicate()
    assert demo.returncode == -number
    wait_until(lambda: not those_who_know(folder))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["demo.png", "no-such-folder/demo.svg", "folder.svg"])
def test_a_picture_that_cannot_be_written_is_told_of_at_once(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.svg").mkdir()
    _, said = (demo := started(folder, "--picture", str(tmp_path / name))).communicate()
    assert demo.returncode == 2
    assert said.startswith("error: --picture: expected ")


def test_a_terminal_without_our_letters_is_no_trouble(folder: Path) -> None:
    """It shows a question mark instead."""
    demo = started(folder, "--seconds", "1", PYTHONIOENCODING="ascii")
    out, said = demo.communicate()
    assert (demo.returncode, said) == (0, "")
    assert re.search(r"bought for \? [\d,]+", out)


def test_on_a_terminal_it_shows_the_view_and_brings_back_what_was_there(folder: Path) -> None:
    """On a screen of its own; the summary stays."""
    parent, child = pty.openpty()
    size = {"COLUMNS": "100", "LINES": "34", "TERM": "xterm-256color"}
    demo = subprocess.Popen(
        [*DEMO, "--seconds", "1"],
        env={**os.environ, **size, "TMPDIR": str(folder)},
        stdout=child,
        stderr=child,
        stdin=child,
    )
    os.close(child)
    shown = everything(parent)
    assert demo.wait() == 0
    assert shown.index("\x1b[?1049h") < shown.index("First purchases") < shown.index("\x1b[?1049l")
    assert shown.index("\x1b[?1049l") < shown.index("What to try next")


def everything(terminal: int) -> str:
    shown = b""
    while True:
        try:
            shown += (read := os.read(terminal, 65_536))
        except OSError:  # the other end is closed
            return shown.decode()
        if not read:
            return shown.decode()
