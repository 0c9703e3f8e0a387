"""Workers of the simulated world: processes with the real shells in them, that can stall, die, and start again."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from schemas.errors import LogUnavailable, RegistryUnavailable, StoreUnavailable
from schemas.events import Event
from schemas.records import Fault
from streams.assembly import station
from streams.log import Message
from streams.shell import Cut, Shell
from tests.simulation.flaky_store import FlakyStore
from tests.simulation.parts import Role, read
from tests.simulation.perils import Crashed
from tests.simulation.shop import REGISTRY

if TYPE_CHECKING:
    from tests.simulation.world import World

PASSING = (LogUnavailable, StoreUnavailable, RegistryUnavailable)


class Actor:
    """One processor in one worker: a shell and what it last cut."""

    def __init__(self, world: "World", worker: "Worker", role: Role) -> None:
        self.world, self.worker, self.role = world, worker, role
        self.cut: Cut | None = None
        self.log = world.parts.log(
            world.broker, world.broker.group(role.name, role.partitions), role.sources,
            f"{worker.name}.{worker.incarnation}", worker.transactional_id(role.name),
            worker.clock, self._strike, world.chance,
        )  # fmt: skip
        names = [other.name for other in world.plan.roles]
        self.shell = self._shell({name: world.parts.store(world.shared, name, self._strike) for name in names})

    def _shell(self, stores: Mapping[str, FlakyStore]) -> Shell:
        """The wiring of production, around this world's log, store and clock."""
        world, name = self.world, self.role.name
        processor = world.parts.processor(self.role.make(stores))
        made = station(processor, self.log, stores[name], REGISTRY, world.settings, self.worker.clock)
        made.shell.recovery.writes_at_once = world.writes_at_once
        made.shell.intake._read = self._read
        world.parts.alter(made.shell)
        return made.shell

    def _read(self, message: Message) -> Event | Fault:
        if self._strike("registry"):
            raise RegistryUnavailable("no answer")
        return read(message)

    def step(self) -> None:
        """One of the steps a worker may take now. What passes is taken as the worker takes it: it tries again."""
        if self in self.world.on_stack or not self.worker.is_up:
            return
        self.world.on_stack.append(self)
        try:
            self._step(self.world.rng.random())
        except PASSING:
            self.shell.recover_soon()
        except Crashed:
            self.worker.die()
        finally:
            self.world.on_stack.remove(self)

    def _step(self, chance: float) -> None:
        if self.cut and chance < 0.8:
            cut, self.cut = self.cut, None
            self.shell.process(cut)
        elif not self.cut and chance < 0.4:
            self.cut = self.shell.cut()
        else:
            self.shell.poll(0)
            batch = self.world.settings.batch
            assert max(self.shell.intake.buffered().values(), default=0) < batch.buffer_records + batch.max_records

    def drive(self) -> None:
        """All steps in a row, as an undisturbed worker would take them."""
        try:
            for chance in (1.0, 0.0, 0.0):
                self._step(chance)
        except PASSING:
            self.shell.recover_soon()

    def _strike(self, where: str) -> bool:
        self.world.pass_time(1)
        failed = self.world.perils.strike(f"{self.role.name}.{where}", self._interrupt)
        if not self.worker.is_up:  # it died while this call was under way
            raise Crashed
        return failed

    def _interrupt(self, is_stalled: bool) -> None:  # noqa: FBT001  # called in one place
        self.world.meanwhile(self.worker, is_stalled=is_stalled)


class Worker:
    """A process. After a crash it is started anew under its name; what it was in the group must be evicted first."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.incarnation, self.is_up, self.is_stalled = 0, False, False
        self.skew_ms = 0
        self.actors: list[Actor] = []

    def start(self) -> None:
        self.incarnation += 1
        self.is_up, self.is_stalled = True, False
        self.actors = [Actor(self.world, self, role) for role in self.world.plan.roles]

    def die(self) -> None:
        self.is_up = False

    def close(self) -> None:
        """A graceful end."""
        for actor in self.actors:
            if actor not in self.world.on_stack:
                actor.shell.close()
        self.die()

    def clock(self) -> int:
        return self.world.now_ms + self.skew_ms

    def transactional_id(self, processor: str) -> str:
        incarnation = "" if self.world.ids_stay else f".{self.incarnation}"
        return f"{processor}.{self.name}{incarnation}"
