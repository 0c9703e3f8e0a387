"""The worker's own rules: when a process is hopeless, which port is refused, what operators may say."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.errors import LogUnavailable, SettingsError
from streams.assembly import Station
from streams.post import HOPELESS, HOPELESS_S, Post, end_if_hopeless
from streams.settings import Settings
from streams.settings.keys import Worker
from streams.watching.probe import Findings
from streams.worker import obey, refuse_taken_port


class Shell:
    """As much of a shell as a post asks for; `process` hangs until it is let go."""

    def __init__(self) -> None:
        self.waiting = 0
        self.intake = SimpleNamespace(buffered=lambda: {("orders", 0): self.waiting})
        self.failures, self.recoveries, self.assigned_partitions = 0, 1, (0,)
        self.stopped: dict[int, Exception] = {}
        self.errors: dict[str, int] = {}
        self.let_go = threading.Event()

    def process(self, _cut):
        self.let_go.wait(30)
        return ()

    def cut(self):
        return None


class Probe:
    def __init__(self) -> None:
        self.answer = Findings()

    def ask(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def post():
    shell: Any = Shell()
    probe: Any = Probe()
    now = [0.0]
    made: Any = Post(Station("scorer", shell), 100, lambda *_: None, probe, lambda: now[0])
    made.now = now
    yield made
    shell.let_go.set()


def ended(*posts):
    codes: list[int] = []
    end_if_hopeless(posts, codes.append)
    return codes


def test_a_worker_without_work_is_not_hopeless_however_long(post):
    for post.now[0] in (0, 300, 10_000):
        assert ended(post) == []


def test_a_worker_whose_commit_hangs_ends_so_that_another_is_started(post):
    """Records wait, the commit thread does not come back: after ten minutes the process ends with a code that says so."""
    post.station.shell.waiting = 5
    with ThreadPoolExecutor(1) as thread:
        thread.submit(post._commit_all, None)
        post.now[0] = HOPELESS_S
        assert ended(post) == []
        post.now[0] = HOPELESS_S + 1
        assert ended(post) == [HOPELESS]
        post.station.shell.let_go.set()


def test_failing_commits_are_no_progress(post):
    post.station.shell.failures = 3
    post.now[0] = HOPELESS_S + 1
    assert ended(post) == [HOPELESS]


def test_a_worker_that_was_told_to_drain_is_not_hopeless(post):
    post.station.shell.waiting, post.station.is_draining = 5, True
    post.now[0] = 10_000
    assert ended(post) == []
    assert post.condition().is_draining


@pytest.mark.parametrize(("now_s", "silent_s"), [(4, 0), (60, 55)])
def test_servers_that_do_not_answer_are_silent_from_the_next_time_they_should(post, now_s, silent_s):
    post.now[0] = now_s
    assert post.condition().silent_s == silent_s


async def _ask(post):
    await post.ask()


def test_what_the_servers_said_last_is_told_until_they_are_silent(post):
    import asyncio

    post.probe.answer = Findings(lag={("orders", 0): 7})
    asyncio.run(_ask(post))
    assert post.reading([]).findings.lag == {("orders", 0): 7}
    post.probe.answer = LogUnavailable("group scorer: no answer")
    post.now[0] = 30
    asyncio.run(_ask(post))
    assert post.reading([]).findings.lag == {}
    assert post.condition().trouble == "group scorer: no answer"


def test_a_taken_port_is_refused_with_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(worker=replace(Worker(), web_port=port))
        with pytest.raises(SettingsError) as refused:
            refuse_taken_port(settings)
    assert refused.value.key == "worker.web_port"
    assert "stop what listens there" in refused.value.cure
    refuse_taken_port(settings)


def test_no_port_is_never_taken():
    refuse_taken_port(Settings(worker=replace(Worker(), web_port=0)))


def test_an_operator_drains_and_resumes():
    shell: Any = Shell()
    stations = [Station("scorer", shell), Station("assigner", shell)]
    obey(b'{"command": "drain"}', stations)
    assert [station.is_draining for station in stations] == [True, True]
    for said in (b"rubbish", b"", None, b"[]", b'"drain"'):
        obey(said, stations)
    obey(b'{"command": "dance"}', stations)
    assert [station.is_draining for station in stations] == [True, True]
    obey(b'{"command": "resume"}', stations)
    assert [station.is_draining for station in stations] == [False, False]
