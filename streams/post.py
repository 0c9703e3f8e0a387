"""A processor's place in the worker: its shell with the threads it runs on, and what can be said of how it does.

Nothing of Faust is here: `worker.py` calls these from its services, agents and timers, a test calls them as it likes.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Final, TypeVar

import structlog

from schemas.errors import BrokenPromise, MaitredError
from streams.assembly import Station
from streams.commit import Committed
from streams.shell import Cut
from streams.watching.health import Condition, Progress, Reason
from streams.watching.metrics import Reading
from streams.watching.probe import Findings, Probe

RETRY_S: Final = 1.0
PROBE_S: Final = 5.0
HOPELESS_S: Final = 600.0
HOPELESS: Final = 70  # the exit code: EX_SOFTWARE
Result = TypeVar("Result")
log = structlog.get_logger()


class Post:
    """A station with its two threads, shared by the service that takes records in and the agent that commits."""

    def __init__(
        self,
        station: Station,
        poll_ms: int,
        note: Callable[[str, Sequence[Committed]], None],
        probe: Probe,
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        self.station, self.note, self.probe = station, note, probe
        self.is_free = True
        self.is_closing = False
        self.findings = Findings()
        self.progress = Progress()
        self._poll_ms, self._clock_s = poll_ms, clock_s
        self._moved_s = self._answered_s = clock_s()
        self._trouble = ""
        self._polling = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-intake")
        self._committing = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-commit")
        self._probing = ThreadPoolExecutor(1, thread_name_prefix=f"{station.name}-probe")

    async def poll(self) -> None:
        """Take in what there is; while a server does not answer (Kafka, Redis, the registry), wait and try again."""
        shell = self.station.shell
        if self.is_closing:
            await asyncio.sleep(RETRY_S)
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._polling, shell.poll, self._poll_ms)
        except MaitredError as error:
            if not self.is_closing:
                log.warning("waiting_for_server", processor=self.station.name, error=str(error))
            shell.errors[type(error).__name__] += 1
            self._trouble = str(error)
            shell.recover_soon()
            await asyncio.sleep(RETRY_S)

    async def next_cut(self) -> Cut | None:
        """What has gathered, taken by whoever asks; until `work_off` has done with it nobody else gets any."""
        if not self.is_free or self._takes_no_more:
            return None
        self.is_free, cut = False, None
        try:
            cut = await self._on_commit_thread(self.station.shell.cut)
        finally:
            self.is_free = cut is None
        return cut

    @property
    def _takes_no_more(self) -> bool:
        return self.station.is_draining or self.is_closing

    async def work_off(self, cut: Cut) -> None:
        """Commit a cut, and then what has gathered meanwhile, until there is nothing."""
        try:
            await self._on_commit_thread(self._commit_all, cut)
        finally:
            self.is_free = True

    def _commit_all(self, first: Cut) -> None:
        """All on the commit thread: each way through the event loop would cost as much as deciding."""
        shell, cut = self.station.shell, first
        while True:
            try:
                committed = shell.process(cut)
            except BaseException:
                shell.recover_soon()  # what was cut and not committed must come again
                raise
            self.station.note(committed)
            self.note(self.station.name, committed)
            if committed:
                self._moved_s, self._trouble = self._clock_s(), ""
            following = None if self._takes_no_more else shell.cut()
            if following is None:
                return
            cut = following

    def stalled_s(self) -> float:
        """For how long there has been something to commit, and no commit."""
        shell, now_s = self.station.shell, self._clock_s()
        has_work = shell.failures or any(shell.intake.buffered().values())
        if not has_work or self.station.is_draining:
            self._moved_s = now_s
        return now_s - self._moved_s

    async def ask(self) -> None:
        """Ask the servers how we do. That they do not answer is an answer, too."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._probing, self.probe.ask)
        except MaitredError as error:
            self._trouble = str(error)
            if isinstance(error, BrokenPromise):  # told by the commits; Kafka and Redis did answer
                self._answered_s = self._clock_s()
            return
        self.findings, self._answered_s = found, self._clock_s()
        self.progress.see(found, self._answered_s)

    def condition(self) -> Condition:
        shell, now_s = self.station.shell, self._clock_s()
        return Condition(
            processor=self.station.name,
            has_joined=shell.recoveries > 0,
            is_draining=self.station.is_draining,
            partitions=shell.assigned_partitions,
            stopped={partition: str(error) for partition, error in shell.stopped.items()},
            lagging=self.progress.stuck(now_s),
            waiting=sum(shell.intake.buffered().values()),
            stalled_s=self.stalled_s(),
            silent_s=max(0.0, now_s - self._answered_s - PROBE_S),
            trouble=self._trouble,
        )

    def reading(self, why: Sequence[Reason]) -> Reading:
        shell, condition = self.station.shell, self.condition()
        is_ready = all(reason.processor != condition.processor for reason in why)
        fresh = self.findings if condition.silent_s == 0 else Findings()
        return Reading(condition, is_ready, fresh, shell.intake.buffered(), shell.recoveries, dict(shell.errors))

    async def close(self) -> None:
        """Finish the commit and the poll under way, then leave the group, so that others take over at once.

        The group is left on the polling thread: its client must not be closed while it is polled or made to seek.
        """
        self.is_closing = True
        await self._on_commit_thread(lambda: None)
        await asyncio.get_running_loop().run_in_executor(self._polling, self.station.shell.close)
        for threads in (self._polling, self._committing, self._probing):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _on_commit_thread(self, step: Callable[..., Result], *arguments: Any) -> Result:  # Any: the step's own
        return await asyncio.get_running_loop().run_in_executor(self._committing, step, *arguments)


def end_if_hopeless(posts: Iterable[Post], end: Callable[[int], object]) -> None:
    """An orderly end would wait for the threads that hang."""
    for post in posts:
        if (stalled_s := post.stalled_s()) > HOPELESS_S:
            log.error("no_progress", processor=post.station.name, stalled_s=round(stalled_s), exit_code=HOPELESS)
            end(HOPELESS)
