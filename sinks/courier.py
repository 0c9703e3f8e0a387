"""Carries parcels: one after the other for a customer, many customers at once, again and again with growing waits.

It runs an event loop on a thread of its own. Only a bounded number of posts is under way at any time; a parcel that waits
for its next attempt takes none of these places, so a customer whose parcels fail holds up nobody else. After a failure for
good the customer's lane is blocked: what comes for it is handed back untried, until it is unblocked. How a parcel is posted
is `post.py`'s work, what becomes of failures `webhook.py`'s.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from sinks.undelivered import Lane, Parcel

LONGEST_RETRY_AFTER_S = 3_600.0


class Failure(Exception):
    """A post that was not accepted. `may_pass`: worth another attempt; `retry_after_s`: not before that."""

    def __init__(self, said: str, *, may_pass: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(said)
        self.said, self.may_pass, self.retry_after_s = said, may_pass, retry_after_s


class Outcome(NamedTuple):
    """What became of a parcel: delivered, failed after so many attempts, or handed back untried behind one that failed."""

    parcel: Parcel
    attempts: int
    failure: Failure | None

    @property
    def is_delivered(self) -> bool:
        return self.attempts > 0 and self.failure is None


class Post(Protocol):
    """Posts one parcel. Raises `Failure` where it is not accepted."""

    async def __call__(self, parcel: Parcel) -> None: ...

    async def close(self) -> None: ...


class Patience(Struct, frozen=True, kw_only=True):
    """How hard it is tried. Waits double from the first to the longest, with some chance in them."""

    attempts: int = 8
    first_wait_s: float = 0.5
    most_wait_s: float = 60.0
    in_flight: int = 8


class _Stopped(Exception):
    pass


class Courier:
    def __init__(self, post: Post, patience: Patience) -> None:
        self._post, self._patience = post, patience
        self._backoff = wait_exponential_jitter(
            multiplier=patience.first_wait_s, max=patience.most_wait_s, jitter=patience.first_wait_s
        )
        self._lanes: dict[Lane, deque[Parcel]] = {}  # of the loop's thread, like all below but outcomes
        self._blocked: set[Lane] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(patience.in_flight)
        self._stopping = asyncio.Event()
        self._outcomes: deque[Outcome] = deque()
        self._news = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="courier", daemon=True)
        self._thread.start()

    # ---- from the sink's thread ------------------------------------------------------------------------------------

    def send(self, parcels: Sequence[Parcel]) -> None:
        self._loop.call_soon_threadsafe(self._accept, list(parcels))

    def block(self, lane: Lane) -> None:
        self._loop.call_soon_threadsafe(self._blocked.add, lane)

    def unblock(self, lane: Lane) -> None:
        self._loop.call_soon_threadsafe(self._blocked.discard, lane)

    def outcomes(self) -> list[Outcome]:
        """What became of parcels since the last call; of one lane in their order."""
        self._news.clear()
        return [self._outcomes.popleft() for _ in range(len(self._outcomes))]

    def wait(self, seconds: float) -> None:
        """Until there are outcomes, at most so long."""
        self._news.wait(seconds)

    def stop(self) -> None:
        """Finish the posts under way and begin no other; `outcomes` tells what was done until then."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ---- on the loop's thread --------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        await self._post.close()

    def _accept(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            if parcel.lane in self._blocked:
                self._report(Outcome(parcel, 0, None))
            elif parcel.lane in self._lanes:
                self._lanes[parcel.lane].append(parcel)
            else:
                self._lanes[parcel.lane] = deque([parcel])
                task = self._loop.create_task(self._work_off(parcel.lane))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _work_off(self, lane: Lane) -> None:
        waiting = self._lanes[lane]
        while waiting and not self._stopping.is_set():
            outcome = await self._carry(waiting[0])
            if outcome is None:
                break
            waiting.popleft()
            self._report(outcome)
            if outcome.failure is not None:
                self._blocked.add(lane)
                for parcel in waiting:
                    self._report(Outcome(parcel, 0, None))
                break
        del self._lanes[lane]

    async def _carry(self, parcel: Parcel) -> Outcome | None:
        """All attempts for one parcel; None if we are to stop."""
        attempts = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Failure) and error.may_pass),
            stop=stop_after_attempt(self._patience.attempts),
            wait=self._wait_s,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            await attempts(self._try_once, parcel)
        except Failure as failure:
            return Outcome(parcel, attempts.statistics["attempt_number"], failure)
        except _Stopped:
            return None
        return Outcome(parcel, attempts.statistics["attempt_number"], None)

    async def _try_once(self, parcel: Parcel) -> None:
        async with self._places:
            if self._stopping.is_set():
                raise _Stopped
            try:
                await self._post(parcel)
            except Failure:
                raise
            except Exception as error:  # a bug of ours: the event is kept, and the others go on
                raise Failure(f"{type(error).__name__}: {error}", may_pass=False) from error

    def _wait_s(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.retry_after_s if isinstance(failure, Failure) else 0.0
        return max(self._backoff(state), min(asked, LONGEST_RETRY_AFTER_S))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise _Stopped

    def _report(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._news.set()
