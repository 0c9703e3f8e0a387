"""The simulated world: workers with the real shells, the simulated Kafka, the flaky store, a shop, and one seed for all.

Everything that happens, in which order, and what goes wrong follows from the seed. In the middle of any call other workers
may go on, so late writes and stale reads come at every moment there is. `World.run` lets the history pass under perils and
then, without perils, come to rest; whether what is left is right is `verdict.py`'s question.
"""

from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from schemas.events import AdvisorAssigned, SnapshotPublished
from streams.settings.keys import Batch
from tests.simulation.broker import TRANSACTION_TIMEOUT_MS, Broker
from tests.simulation.flaky_store import SharedStore
from tests.simulation.parts import Parts, Plan, read
from tests.simulation.perils import Perils, Rates
from tests.simulation.shop import DAY_MS, HOUR_MS, START_MS, Operator, Shop
from tests.simulation.workers import Actor, Worker

ROUNDS, IDLE_ROUNDS, GIVEN_UP = (
    500,
    3,
    30,
)  # at most; rounds without any change: all may be at rest; nothing will change any more
Act = tuple[Callable[[], None], float]  # what may happen, and its weight


class World:
    """`rng` draws what happens when, `chance` what goes wrong at a call: the one does not disturb the other."""

    def __init__(self, seed: int, plan: Plan, parts: Parts | None = None, rates: Rates | None = None) -> None:
        self.rng, self.chance = Random(f"{seed}"), Random(f"{seed}/chance")
        self.plan, self.parts = plan, parts or Parts()
        self.now_ms = START_MS
        self.broker = Broker(plan.topics, lambda: self.now_ms)
        self.shared = SharedStore()
        self.perils = Perils(self.chance, rates or Rates.drawn(self.chance))
        self.ids_stay = self.rng.random() < 0.7  # transactional ids survive a restart
        self.writes_at_once = self.rng.choice((1, 3, 5_000))
        self.settings = replace(plan.settings, time=self.rng.choice(("wall", "wall", "event")), batch=self._batch())
        self.shop = Shop(Random(f"{seed}/shop"), dict(plan.topics), plan.shop_topics, plan.records)
        self.operator = Operator(Random(f"{seed}/operator"))
        self.on_stack: list[Actor] = []
        self.workers = [Worker(self, f"w{number}") for number in range(self.rng.choice((1, 2, 2, 3)))]
        self.is_at_rest = False
        self._contacts = 0

    def _batch(self) -> Batch:
        return Batch(
            max_records=self.rng.choice((1, 3, 10, 40)),
            max_bytes=self.rng.choice((300, 5_000, 1_000_000)),
            allowed_lateness_ms=self.rng.choice((0, 60_000, HOUR_MS)),
            max_idle_ms=self.rng.choice((0, 50, 500)),
            buffer_records=self.rng.choice((1, 10, 1_000)),
        )

    # ---- the course of events --------------------------------------------------------------------------------------

    def run(self) -> None:
        for worker in self.workers:
            worker.start()
        acts = self._acts()
        while self.shop.publications:
            self._act(acts)
        for days in (1, 10, 30, 60):  # time goes on, so that everything falls due, under perils still
            self.pass_time(days * DAY_MS)
            for _ in range(40):
                self._act(acts)
        self.rest()

    def _acts(self) -> list[Act]:
        temper = self.perils.rates.temper
        return [
            (self._publish_some, 1),
            (self._let_an_actor_step, 30),
            (self._let_time_pass, 3),
            (self._deliver_a_marker, 10),
            (self.broker.expire, 0.5),
            (self._compact, 1),
            (self._evict, 1),
            (self._restart, 3),
            (self._kill, 0.1 * temper),
            (self._close, 0.1 * temper),
            (self._stall, 0.2 * temper),
            (self._turn_a_clock, 0.2 * temper),
            (self._lose_the_tail, 0.15 * temper),
            (self.shared.lose_everything, 0.1 * temper),
            (self._outage, 0.1 * temper),
        ]

    def _act(self, acts: list[Act]) -> None:
        self.rng.choices([act for act, _ in acts], [weight for _, weight in acts])[0]()

    def meanwhile(self, worker: Worker, *, is_stalled: bool) -> None:
        """Others go on while a call of this worker is under way; if it is stalled, until the group has given it up."""
        if len(self.on_stack) > 2:
            return
        was_stalled, worker.is_stalled = worker.is_stalled, worker.is_stalled or is_stalled
        if is_stalled:
            self._forget(worker, all_of_it=True)
            self.pass_time(self.rng.choice((0, 10_000, TRANSACTION_TIMEOUT_MS)))
        for _ in range(self.rng.choice((3, 10)) * (8 if is_stalled else 1)):
            self._let_an_actor_step()
            self._deliver_a_marker()
        temper = self.perils.rates.temper
        self._act([(lambda: None, 10), (self._lose_the_tail, temper), (self.shared.lose_everything, 0.2 * temper)])
        self.broker.expire()
        worker.is_stalled = was_stalled

    # ---- the shop --------------------------------------------------------------------------------------------------

    def _publish_some(self) -> None:
        self.publish(self.rng.choice((1, 2, 5, 12)))

    def publish(self, count: int) -> None:
        """The next records of the shop's history, as late as it is by then, and what an advisor has to say."""
        for publication in self.shop.publications[:count]:
            self.now_ms = max(self.now_ms, publication.at_ms)
            self.broker.publish(*publication[1:])
        del self.shop.publications[:count]
        if "contacts" in self.plan.shop_topics:
            self._report_a_contact()
        if any(role.name == "learner" for role in self.plan.roles):
            for choice in self.operator.choose(self._published, self.now_ms):
                self.broker.publish(*choice[1:])

    def _report_a_contact(self) -> None:
        logs = (self.broker.logs["assignments", p] for p in range(self.plan.topics["assignments"]))
        events = (read(message) for log in logs for message in log.committed())
        assigned = [event for event in events if isinstance(event, AdvisorAssigned)]
        if assigned:
            self._contacts += 1
            contact = self.shop.report_contact(assigned[-3:], self._contacts, self.now_ms)
            self.broker.publish(*contact[1:])

    def _published(self) -> list[SnapshotPublished]:
        events = map(read, self.broker.logs["snapshots", 0].committed())
        return [event for event in events if isinstance(event, SnapshotPublished)]

    # ---- time and Kafka --------------------------------------------------------------------------------------------

    def pass_time(self, by_ms: int) -> None:
        self.now_ms += by_ms

    def _let_time_pass(self) -> None:
        self.pass_time(self.rng.choice((10, 500, 5_000, TRANSACTION_TIMEOUT_MS // 2, 12 * HOUR_MS)))

    def _deliver_a_marker(self) -> None:
        if waiting := self.broker.on_their_way():
            self.broker.deliver(*self.rng.choice(waiting))

    def _compact(self) -> None:
        for (topic, _), log in self.broker.logs.items():
            if topic.endswith("changelog"):
                log.compact(self.now_ms, self.rng.choice((1, 5)))

    # ---- workers ---------------------------------------------------------------------------------------------------

    def _let_an_actor_step(self) -> None:
        actors = [a for w in self.workers if w.is_up and not w.is_stalled for a in w.actors]
        if actors:
            self.rng.choice(actors).step()

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
        self.rng.choice(self.workers).is_stalled = True

    def _turn_a_clock(self) -> None:
        self.rng.choice(self.workers).skew_ms = self.rng.choice((0, 1, -10, 120_000, -120_000, HOUR_MS, -HOUR_MS))

    def _outage(self) -> None:
        """Everybody is down for days, the store comes back without its tail, and Kafka went on compacting."""
        for worker in self.workers:
            worker.die()
        self._evict()
        self._lose_the_tail()
        self.pass_time(self.rng.choice((HOUR_MS, 9 * DAY_MS)))
        self.broker.expire()
        self._compact()

    def _lose_the_tail(self) -> None:
        """A failover: of the whole store, or of the node that holds one partition."""
        self.shared.lose(self.rng.randint(1, 8), self.rng.choice((None, 0, 1)))

    # ---- rest ------------------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """No perils any more: everything is consumed, or `is_at_rest` stays false."""
        self.perils.are_on = False
        self._restart()
        idle = 0
        for _ in range(ROUNDS):
            before = self._standing()
            self._round()
            idle = idle + 1 if self._standing() == before else 0
            self.is_at_rest = idle >= IDLE_ROUNDS and self._is_consumed()
            if self.is_at_rest or idle >= GIVEN_UP:
                break

    def _round(self) -> None:
        self.pass_time(61_000)  # longer than any tick, and than any transaction may be open
        self.broker.expire()
        self.deliver_markers()
        self._evict()
        for worker in self.workers:
            for actor in worker.actors:
                actor.drive()

    def deliver_markers(self) -> None:
        while waiting := self.broker.on_their_way():
            self.broker.deliver(*waiting[0])

    def _standing(self) -> object:
        return (
            [log.end for log in self.broker.logs.values()],
            [(group.generation, dict(group.offsets)) for group in self.broker.groups.values()],
            [(actor.cut, actor.shell._must_recover) for worker in self.workers for actor in worker.actors],
        )

    def _is_consumed(self) -> bool:
        return not any(
            any(self.broker.logs[topic, p].committed(self.broker.groups[role.name].offsets.get((topic, p), 0)))
            for role in self.plan.roles
            for topic in role.sources
            for p in range(role.partitions)
        )
