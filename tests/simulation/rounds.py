"""A world whose schedule leaves nothing to chance but the faults: with and without them the same must come out.

One worker. In each round some records are published, time stands still, and the processors take turns: everything is
read before anything is cut, each cut takes all there is, and state that was lost is restored before anybody reads it.
Offsets are dense, since ids name them and a transaction that is aborted must not shift those that follow.
"""

from streams.settings.keys import Batch
from streams.shell import Shell
from tests.simulation.parts import Parts, Plan
from tests.simulation.perils import Crashed, Rates
from tests.simulation.shop import DAY_MS
from tests.simulation.workers import PASSING, Actor, Worker
from tests.simulation.world import World

TURNS = ("learner", "scorer", "assigner")
CALM = Rates()
STORMY = Rates(fails=0.006, crashes=0.003)
LOSSES = 0.05  # before each step


class RoundsWorld(World):
    def __init__(self, seed: int, plan: Plan, rates: Rates) -> None:
        super().__init__(seed, plan, Parts(alter=_tick_always), rates)
        self.broker.markers = False
        self.ids_stay = True
        self.workers = [Worker(self, "w")]
        self.losses = LOSSES if rates is STORMY else 0.0
        self.lost = 0

    def _batch(self) -> Batch:
        return Batch(max_records=10_000, buffer_records=10_000, allowed_lateness_ms=self.rng.choice((0, 60_000)))

    def pass_time(self, by_ms: int) -> None:
        """Not by itself."""

    def run(self) -> None:
        self.workers[0].start()
        while self.shop.publications:
            self.publish(self.rng.choice((1, 5, 20)))
            self._take_turns()
        for days in (1, 10, 30, 60):
            self.now_ms += days * DAY_MS
            self._take_turns()
        self.perils.are_on, self.losses = False, 0.0
        self._restore()
        self.is_at_rest = self._is_consumed()

    def _take_turns(self) -> None:
        moved = True
        while moved:
            moved = sum(self._work_off(name) for name in TURNS) > 0  # all of them, not only up to the first

    def _work_off(self, name: str) -> bool:
        """Let one processor decide all there is for it; whether there was anything."""
        before = self._ends()
        while self._try_to_decide(name):
            pass
        return self._ends() != before

    def _ends(self) -> list[int]:
        return [log.end for log in self.broker.logs.values()]

    def _try_to_decide(self, name: str) -> bool:
        """Read, cut, commit; false when nothing is left to be decided, true also where it must be tried again."""
        try:
            self._lose_something()
            actor = self._actor(name)
            actor.shell.recover_soon()  # reading begins afresh, as it does after a fault
            self._restore()
            self._read_all(actor)
            self.perils.are_on = False  # the schedule fixes what is cut
            cut = actor.shell.cut()
            self.perils.are_on = True
            if cut is None:
                return False
            actor.shell.process(cut)
        except Crashed:
            self._start_again()
        except PASSING:
            pass
        return True

    def _read_all(self, actor: Actor) -> None:
        self.deliver_markers()
        is_new = True
        while is_new:
            is_new = actor.shell._must_recover  # a poll that recovers reads nothing
            is_new = actor.shell.poll(0) > 0 or is_new or self._lags(actor)

    def _lags(self, actor: Actor) -> bool:
        logs = self.broker.logs
        return any(logs[source].last_stable > at for source, at in actor.log._positions.items())

    def _restore(self) -> None:
        """Let every processor recover, so that nobody reads a store that lacks something."""
        for actor in self.workers[0].actors:
            while actor.shell._must_recover or not actor.shell.assigned_partitions:
                actor.shell.poll(0)

    def _lose_something(self) -> None:
        if self.perils.are_on and self.chance.random() < self.losses:
            self.lost += 1
            self.shared.lose(self.chance.choice((1, 3, 100)))
            for actor in self.workers[0].actors:
                actor.shell.recover_soon()

    def _start_again(self) -> None:
        self.workers[0].die()
        self._evict()
        self.workers[0].start()

    def _actor(self, name: str) -> Actor:
        return next(actor for actor in self.workers[0].actors if actor.role.name == name)


def _tick_always(shell: Shell) -> None:
    shell._tick_ms = 0
