"""The simulated world: workers with the real shells, the simulated Kafka, the flaky store, a shop, and one seed for all.

Everything that happens, in which order, and what goes wrong follows from the seed. In the middle of any call other workers
may go on, so late writes and stale reads come at every moment there is. `World.run` lets the history pass under perils and
then, without perils, come to rest; whether what is left is right is `verdict.py`'s question.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from features.store import Store
from schemas.codec import Schemas
from schemas.errors import LogUnavailable, MaitredError, StoreUnavailable
from schemas.events import AdvisorAssigned, BatchCommitted
from streams.assembly import entry_reader, reader, station
from streams.processors import Processor
from streams.settings import Settings
from streams.settings_keys import Batch
from streams.shell import Cut, Shell
from streams.topics import TOPICS
from tests.simulation.broker import TRANSACTION_TIMEOUT_MS, Broker
from tests.simulation.flaky_store import FlakyStore, SharedStore
from tests.simulation.perils import Crashed, Perils, Rates
from tests.simulation.shop import DAY_MS, HOUR_MS, REGISTRY, START_MS, Shop
from tests.simulation.simulated_log import SimulatedLog

IDLE_ROUNDS, GIVEN_UP = 3, 30  # rounds without any change: all may be at rest; nothing will change any more

Events = Callable[[str], Iterable[object]]


class Role(NamedTuple):
    """A processor as a worker runs it. `make` is given the stores of its worker, by processor.

    `models` is given the events of any topic, and makes what sets a replayed processor to the model of an entry.
    """

    name: str
    sources: tuple[str, ...]
    partitions: int
    make: Callable[[Mapping[str, Store]], Processor]
    models: Callable[[Events], Callable[[Processor, BatchCommitted], None]] = lambda _: lambda processor, entry: None
    chokes: bool = False  # on some records, on purpose


class Plan(NamedTuple):
    """What is simulated, besides chance."""

    settings: Settings
    roles: tuple[Role, ...]
    shop_topics: tuple[str, ...]
    records: int

    @property
    def topics(self) -> dict[str, int]:
        return {topic.name: topic.partitions(self.settings.partitions) for topic in TOPICS}


class Parts(NamedTuple):
    """What an actor is made of. A broken variant exchanges one of them, or alters the shell that was made."""

    log: Callable[..., SimulatedLog] = SimulatedLog
    store: Callable[..., FlakyStore] = FlakyStore
    processor: Callable[[Processor], Processor] = lambda processor: processor
    alter: Callable[[Shell], object] = lambda shell: None


read = reader(Schemas(REGISTRY))
read_entry = entry_reader(Schemas(REGISTRY))


class Actor:
    """One processor in one worker: a shell and what it last cut."""

    def __init__(self, world: "World", worker: "Worker", role: Role) -> None:
        self.world, self.worker, self.role = world, worker, role
        self.cut: Cut | None = None
        self.log = world.parts.log(
            world.broker, world.broker.group(role.name, role.partitions), role.sources,
            f"{worker.name}.{worker.incarnation}", worker.transactional_id(role.name),
            worker.clock, self._strike, world.rng,
        )  # fmt: skip
        stores = {
            other.name: world.parts.store(world.shared, other.name, self._strike) for other in world.plan.roles
        }
        self.shell = self._shell(stores)

    def _shell(self, stores: Mapping[str, FlakyStore]) -> Shell:
        """The wiring of production, around this world's log, store and clock."""
        world, name = self.world, self.role.name
        processor = world.parts.processor(self.role.make(stores))
        made = station(processor, self.log, stores[name], REGISTRY, world.settings, self.worker.clock)
        made.shell.recovery.writes_at_once = world.writes_at_once
        world.parts.alter(made.shell)
        return made.shell

    def step(self) -> None:
        """One of the steps a worker may take now. What passes is taken as the worker takes it: it tries again."""
        world = self.world
        if self in world.on_stack or not self.worker.is_up:
            return
        with world.stacked(self):
            try:
                self._step(world.rng.random())
            except (LogUnavailable, StoreUnavailable):
                pass
            except Crashed:
                self.worker.die()

    def _step(self, chance: float) -> None:
        if self.cut and chance < 0.8:
            cut, self.cut = self.cut, None
            self.shell.process(cut)
        elif not self.cut and chance < 0.4:
            self.cut = self.shell.cut()
        else:
            self.shell.poll(0)

    def drive(self) -> None:
        """All steps in a row, as an undisturbed worker would take them."""
        for chance in (1.0, 0.0, 0.0):
            self._step(chance)

    def _strike(self, where: str) -> bool:
        self.world.now_ms += 1
        failed = self.world.perils.strike(f"{self.role.name}.{where}", self._interrupt)
        if not self.worker.is_up:  # it died while this call was under way
            raise Crashed
        return failed

    def _interrupt(self, stalled: bool) -> None:  # noqa: FBT001  # called in one place
        self.world.meanwhile(self.worker, stalled=stalled)


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


class World:
    def __init__(self, seed: int, plan: Plan, parts: Parts | None = None, rates: Rates | None = None) -> None:
        self.rng = Random(seed)
        self.plan, self.parts = plan, parts or Parts()
        self.now_ms = START_MS
        self.broker = Broker(plan.topics, lambda: self.now_ms)
        self.shared = SharedStore()
        self.perils = Perils(self.rng, rates or Rates.drawn(self.rng))
        self.ids_stay = self.rng.random() < 0.7  # transactional ids survive a restart
        self.writes_at_once = self.rng.choice((1, 3, 5_000))
        self.settings = replace(
            plan.settings,
            time=self.rng.choice(("wall", "wall", "event")),
            batch=Batch(
                max_records=self.rng.choice((1, 3, 10, 40)),
                max_bytes=self.rng.choice((300, 5_000, 1_000_000)),
                allowed_lateness_ms=self.rng.choice((0, 60_000, HOUR_MS)),
                max_idle_ms=self.rng.choice((0, 50, 500)),
                buffer_records=self.rng.choice((2, 10, 1_000)),
            ),
        )
        self.shop = Shop(self.rng, dict(plan.topics), plan.shop_topics, plan.records)
        self.on_stack: list[Actor] = []
        self.workers = [Worker(self, f"w{number}") for number in range(self.rng.choice((1, 2, 2, 3)))]
        self.is_at_rest = False
        self._contacts = 0

    # ---- the course of events --------------------------------------------------------------------------------------

    def run(self) -> None:
        for worker in self.workers:
            worker.start()
        acts = [act for act, _ in self._acts()]
        weights = [weight for _, weight in self._acts()]
        while self.shop.publications:
            self._act(acts, weights)
        self._last_days(acts, weights)
        self.rest()

    def _acts(self) -> list[tuple[Callable[[], None], float]]:
        temper = self.rng.choice((0.3, 1.0, 3.0))
        return [
            (self._publish, 1),
            (self._let_an_actor_step, 30),
            (self._let_time_pass, 3),
            (self._deliver_a_marker, 10),
            (self._expire, 0.5),
            (self._compact, 0.5),
            (self._evict, 1),
            (self._restart, 3),
            (self._kill, 0.1 * temper),
            (self._close, 0.1 * temper),
            (self._stall, 0.2 * temper),
            (self._turn_a_clock, 0.2 * temper),
            (self._lose_the_tail, 0.15 * temper),
            (self._lose_everything, 0.05 * temper),
            (self._outage, 0.03 * temper),
        ]

    def _act(self, acts: list[Callable[[], None]], weights: list[float]) -> None:
        self.rng.choices(acts, weights)[0]()

    def _last_days(self, acts: list[Callable[[], None]], weights: list[float]) -> None:
        """After the last record time goes on, so that everything falls due, under perils still."""
        for days in (1, 10, 30, 60):
            self.now_ms += days * DAY_MS
            for _ in range(40):
                self._act(acts[1:], weights[1:])

    def meanwhile(self, worker: Worker, *, stalled: bool) -> None:
        """Others go on while a call of this worker is under way; if it is stalled, until the group has given it up."""
        if len(self.on_stack) > 2:
            return
        was_stalled, worker.is_stalled = worker.is_stalled, worker.is_stalled or stalled
        if stalled:
            self._forget(worker, all_of_it=True)
            self.now_ms += self.rng.choice((0, 10_000, TRANSACTION_TIMEOUT_MS))
        for _ in range(self.rng.choice((3, 10)) * (8 if stalled else 1)):
            self._let_an_actor_step()
            self._deliver_a_marker()
        if self.rng.random() < 0.1:
            self._lose_the_tail()
        if self.rng.random() < 0.02:
            self._lose_everything()
        self._expire()
        worker.is_stalled = was_stalled

    # ---- acts ------------------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        for _ in range(min(self.rng.choice((1, 2, 5, 12)), len(self.shop.publications))):
            publication = self.shop.publications.pop(0)
            self.now_ms = max(self.now_ms, publication.at_ms)
            self.broker.publish(*publication[1:])
        self._report_a_contact()

    def _report_a_contact(self) -> None:
        if "contacts" not in self.plan.shop_topics:
            return
        logs = (self.broker.logs["assignments", p] for p in range(self.plan.topics["assignments"]))
        events = (read(message) for log in logs for message in log.committed())
        assigned = [event for event in events if isinstance(event, AdvisorAssigned)]
        if assigned:
            self._contacts += 1
            contact = self.shop.report_contact(self.rng.choice(assigned[-3:]), self._contacts, self.now_ms)
            self.broker.publish(*contact[1:])

    def _let_an_actor_step(self) -> None:
        actors = [a for w in self.workers if w.is_up and not w.is_stalled for a in w.actors]
        if actors:
            self.rng.choice(actors).step()

    def _let_time_pass(self) -> None:
        self.now_ms += self.rng.choice((10, 500, 5_000, TRANSACTION_TIMEOUT_MS // 2))

    def _deliver_a_marker(self) -> None:
        if waiting := self.broker.on_their_way():
            self.broker.deliver(*self.rng.choice(waiting))

    def _expire(self) -> None:
        self.broker.expire()

    def _compact(self) -> None:
        for name, log in self.broker.logs.items():
            if name[0].endswith("changelog"):
                log.compact(self.now_ms, self.rng.choice((1, 5)))

    def _evict(self) -> None:
        """The group gives up members of which nothing was heard."""
        for worker in self.workers:
            self._forget(worker, all_of_it=not worker.is_up or (worker.is_stalled and self.rng.random() < 0.5))

    def _forget(self, worker: Worker, *, all_of_it: bool) -> None:
        """Evict a worker's members: those of former lives, or all."""
        for group in self.broker.groups.values():
            for member in [m for m in group.members if m.startswith(f"{worker.name}.")]:
                if all_of_it or not member.startswith(f"{worker.name}.{worker.incarnation}."):
                    group.leave(member)

    def _restart(self) -> None:
        for worker in self.workers:
            if not worker.is_up:
                worker.start()
            worker.is_stalled = False

    def _kill(self) -> None:
        self.rng.choice(self.workers).die()

    def _close(self) -> None:
        worker = self.rng.choice(self.workers)
        if worker.is_up and not worker.is_stalled:
            worker.close()

    def _stall(self) -> None:
        worker = self.rng.choice(self.workers)
        worker.is_stalled = True

    def _turn_a_clock(self) -> None:
        self.rng.choice(self.workers).skew_ms = self.rng.choice((0, 1, -10, 120_000, -120_000, HOUR_MS, -HOUR_MS))

    def _lose_the_tail(self) -> None:
        """A failover: of the whole store, or of the node that holds one partition."""
        self.shared.lose(self.rng.randint(1, 8), self.rng.choice((None, 0, 1)))

    def _lose_everything(self) -> None:
        self.shared.lose_everything()

    def _outage(self) -> None:
        """Everybody is down for days; Kafka goes on compacting."""
        for worker in self.workers:
            worker.die()
        self._evict()
        self.now_ms += self.rng.choice((HOUR_MS, 6 * DAY_MS, 9 * DAY_MS))
        self._expire()
        self._compact()

    @contextmanager
    def stacked(self, actor: Actor) -> Iterator[None]:
        self.on_stack.append(actor)
        try:
            yield
        finally:
            self.on_stack.remove(actor)

    # ---- rest ------------------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """No perils any more: everything is consumed, or `is_at_rest` stays false."""
        self.perils.are_on = False
        self._restart()
        idle = 0
        while idle < GIVEN_UP and not self.is_at_rest:
            before = self._standing()
            self._round()
            idle = idle + 1 if self._standing() == before else 0
            self.is_at_rest = idle >= IDLE_ROUNDS and self._is_consumed()

    def _is_consumed(self) -> bool:
        return not any(
            any(self.broker.logs[topic, p].committed(self.broker.groups[role.name].offsets.get((topic, p), 0)))
            for role in self.plan.roles
            for topic in role.sources
            for p in range(role.partitions)
        )

    def _round(self) -> None:
        self.now_ms += 61_000  # longer than any tick
        self._expire()
        while waiting := self.broker.on_their_way():
            self.broker.deliver(*waiting[0])
        self._evict()
        for worker in self.workers:
            for actor in worker.actors:
                try:
                    actor.drive()
                except MaitredError as error:
                    if not isinstance(error, LogUnavailable | StoreUnavailable):
                        raise

    def _standing(self) -> object:
        return (
            [log.end for log in self.broker.logs.values()],
            [group.offsets for group in self.broker.groups.values()],
            [group.generation for group in self.broker.groups.values()],
            [(actor.cut, actor.shell._must_recover) for worker in self.workers for actor in worker.actors],
        )
