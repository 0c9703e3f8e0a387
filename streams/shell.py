"""The shell around a processor: polls the log, cuts batches, has them committed, and recovers whenever it must.

Single steps, each called by whoever drives it: the Faust worker from its service and its agent, the simulation from a
schedule. `poll` may run on one thread, `cut` and `process` on another: one lock keeps rebalances and recovery out of a commit,
a second one guards the buffers, so that records are read while a transaction waits for its answer.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from threading import RLock
from typing import NamedTuple

import structlog

from schemas.errors import BrokenPromise, MaitredError, StoreUnavailable
from schemas.records import Record, Run
from streams.commit import Committed, Committer
from streams.intake import Intake
from streams.log import Clock, Log, Message
from streams.recovery import Recovery

NEVER_MS = -(2**53)


class Cut(NamedTuple):
    """What was cut for the next commit, and in which era: a rebalance or a recovery begins a new one."""

    era: int
    pieces: Mapping[int, tuple[Run, ...]]


class Shell:
    def __init__(
        self,
        intake: Intake,
        committer: Committer,
        recovery: Recovery,
        log: Log,
        clock: Clock,
        tick_ms: int = 1_000,
    ) -> None:
        self.intake, self.committer, self.recovery, self.log, self.clock = (
            intake,
            committer,
            recovery,
            log,
            clock,
        )
        self.stopped: dict[int, BrokenPromise] = {}  # partitions that must not go on
        self.failures = 0  # commits that failed since the last that did not
        self.recoveries = 0  # since the start, as what follows
        self.errors: Counter[str] = Counter()  # by kind
        self._assigned: set[int] = set()
        self._era = 0
        self._must_recover = False
        self._paused: set[tuple[str, int]] = set()
        self._tick_ms, self._ticked_ms = tick_ms, 0
        self._polled_ms = 0  # what is known of the log is known as of then
        self._commit_lock = RLock()
        self._buffer_lock = RLock()
        self._events = structlog.get_logger(processor=committer.processor.name)
        log.subscribe(self)

    # ---- rebalances: called by the log from within poll ------------------------------------------------------------

    def assigned(self, partitions: Collection[int]) -> None:
        with self._commit_lock:
            self._assigned.update(partitions)
            self._must_recover = True

    def revoked(self, partitions: Collection[int]) -> None:
        """Waits for a commit that is under way, then lets go. What was cut is dropped, so what is kept is recovered."""
        with self._commit_lock, self._buffer_lock:
            self.recover_soon()
            for partition in partitions:
                self._assigned.discard(partition)
                self._forget(partition)

    def _forget(self, partition: int) -> None:
        self.intake.stop(partition)
        self.committer.entries.pop(partition, None)
        self.stopped.pop(partition, None)

    # ---- steps -----------------------------------------------------------------------------------------------------

    def poll(self, timeout_ms: int) -> int:
        """Take in what the log has; recover instead, if need be. Returns the number of records.

        The log is polled in any case, and first: so a worker learns that it has lost its partitions before it looks
        after them, and stays in its group however long the store does not answer.
        """
        asked_ms = self.clock()
        messages = self.log.poll(self.intake.policy.max_records, timeout_ms)
        if self._must_recover:
            self.recover()
            return 0
        records = self._read(messages)
        with self._buffer_lock:
            if not self._must_recover:  # else they come again, after the seek
                self.intake.offer(records)
                self._polled_ms = asked_ms
                self._press_back()
        return len(messages)

    def _read(self, messages: Sequence[Message]) -> list[Record]:
        """What messages say. If that can't be told now (the registry is silent), they are not lost: they come again."""
        try:
            return self.intake.read(messages)
        except Exception:
            self.recover_soon()
            raise

    def cut(self) -> Cut | None:
        """The next batches, or None. A cut that is not processed must be followed by `recover_soon`.

        Time stands where the log was last polled: a process that stood still since must not run ahead of what it missed.
        """
        with self._buffer_lock:
            if self._must_recover:
                return None
            now_ms = self._polled_ms
            pieces = dict(self.intake.cut(now_ms, self.log.is_lagging))
            if not 0 <= now_ms - self._ticked_ms < self._tick_ms:  # clocks are set back, too
                self._ticked_ms = now_ms
                pieces.update(self._ticks(now_ms, pieces))
            return Cut(self._era, pieces) if pieces else None

    def process(self, cut: Cut) -> Sequence[Committed]:
        """Decide and commit. Whatever goes wrong, nothing is lost: the next `poll` recovers."""
        with self._commit_lock:
            if cut.era != self._era or self._must_recover:
                return ()
            try:
                committed = self.committer.process(cut.pieces)
            except BrokenPromise as error:
                self._stop(cut.pieces if error.partition is None else (error.partition,), error)
                return ()
            except MaitredError as error:
                self.failures += 1
                self.errors[type(error).__name__] += 1
                self._events.warning("commit_interrupted", error=str(error), kind=type(error).__name__)
                self.recover_soon()
                return ()
            self.failures = 0
            return committed

    def recover_soon(self) -> None:
        self._era += 1
        self._must_recover = True

    def recover(self) -> None:
        """Find out anew where every assigned partition stands; raises as long as log or store does not answer."""
        with self._commit_lock, self._buffer_lock:
            self._era += 1
            self.log.renew()
            standings = self.recovery.recover(self._assigned - set(self.stopped))
            seeks = {}
            for partition, standing in standings.items():
                if isinstance(standing, BrokenPromise):
                    self._stop({partition: ()}, standing)
                    continue
                self.intake.start(partition, standing.positions, standing.watermark_ms)
                self.committer.entries[partition] = standing.entry
                seeks.update({(topic, partition): at for topic, at in standing.positions.items()})
            self.log.seek(seeks)
            self._paused.clear()
            self._must_recover = False
            self.recoveries += 1

    # ---- the rest --------------------------------------------------------------------------------------------------

    def _ticks(self, now_ms: int, pieces: Mapping[int, tuple[Run, ...]]) -> dict[int, tuple[Run, ...]]:
        """Runs without records for partitions where time alone makes something due."""
        ticks = {}
        for partition in self.intake.partitions:
            if partition not in pieces and partition not in self.stopped:
                reached = self.intake.tick(partition, now_ms, self.log.is_lagging)
                if self._is_due(partition, reached) and reached is not None:
                    ticks[partition] = self.intake.advance(partition, reached)
        return ticks

    def _is_due(self, partition: int, by_ms: int | None) -> bool:
        """Whether something is due. A store that was set back is noticed here, where no record would tell."""
        try:
            loaded = self.committer.store.load(partition, (), NEVER_MS if by_ms is None else by_ms)
        except StoreUnavailable:
            return False  # the next commit will say so
        except BrokenPromise as error:
            self._stop((partition,), error)
            return False
        if loaded.position.entry != self.committer.entries[partition]:
            self.recover_soon()
        return bool(loaded.due)

    def _press_back(self) -> None:
        """Pause sources whose buffer is full, resume those that are half empty again."""
        limit, buffered = self.intake.policy.buffer_records, self.intake.buffered()
        full = {tp for tp, waiting in buffered.items() if waiting >= limit} - self._paused
        eased = {tp for tp in self._paused if buffered.get(tp, 0) <= limit // 2}
        if full:
            self.log.pause(full)
        if eased:
            self.log.resume(eased)
        self._paused = (self._paused | full) - eased

    def _stop(self, partitions: Collection[int] | Mapping[int, object], error: BrokenPromise) -> None:
        """A promise of ours is broken: these partitions stand still, with their offsets where they are."""
        self._events.error("partition_stopped", partitions=sorted(partitions), error=str(error))
        self.errors[type(error).__name__] += 1
        with self._buffer_lock:
            for partition in partitions:
                self._forget(partition)
                self.stopped[partition] = error
        self.recover_soon()

    @property
    def assigned_partitions(self) -> tuple[int, ...]:
        return tuple(sorted(self._assigned))

    def close(self) -> None:
        """Finish the commit under way, for which `revoked` waits, then leave the group."""
        self.recover_soon()  # and begin no other
        self.log.close()
