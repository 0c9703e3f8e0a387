"""Single moments, by hand: what seldom meets in a drawn schedule. Workers do nothing but what a test tells them."""

from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from time import sleep

import pytest

from schemas.events import OrderLine, OrderPlaced, PageBrowsed
from schemas.ids import partition_of
from streams.log import Message
from streams.settings import Settings
from tests.simulation.broken import AT_RARE_MOMENTS, VARIANTS
from tests.simulation.diary import Diary
from tests.simulation.parts import Parts, Plan, Role
from tests.simulation.perils import Perils, Rates
from tests.simulation.shop import DAY_MS
from tests.simulation.simulated_log import SimulatedLog
from tests.simulation.verdict import findings
from tests.simulation.workers import Worker
from tests.simulation.world import World

PARTITIONS = 2
DIARY = Role("scorer", Diary.sources, PARTITIONS, lambda _: Diary(PARTITIONS))
PLAN = Plan(Settings(partitions=PARTITIONS), (DIARY,), Diary.sources, records=0)


class Moments(Perils):
    """Nothing goes wrong, but something may happen in the middle of the next call of a name."""

    def __init__(self, world: World) -> None:
        super().__init__(world.chance, Rates())
        self.next: dict[str, Callable[[], object]] = {}

    def strike(self, where: str, interrupt: Callable[[bool], None]) -> bool:
        if act := self.next.pop(where, None):
            act()
        return False


class Stage(World):
    """Two workers, w0 with partition 0 and w1 with partition 1, on a clock that moves as they do."""

    def __init__(self, parts: Parts | None = None, writes_at_once: int = 5_000) -> None:
        super().__init__(0, PLAN, parts)
        self.settings, self.writes_at_once = PLAN.settings, writes_at_once
        self.perils = self.moments = Moments(self)
        self.workers = [Worker(self, "w0"), Worker(self, "w1")]
        for worker in self.workers:
            worker.start()
        for _ in range(3):  # join, rebalance, recover
            self.drive(0)
            self.drive(1)

    def drive(self, number: int, times: int = 1) -> None:
        for _ in range(times):
            self.deliver_markers()
            self.pass_time(2_000)
            self.workers[number].actors[0].drive()

    def name(self, kind: str, partition: int, number: int = 0) -> str:
        """The `number`-th customer or visitor of a partition."""
        names = (f"{kind}{n}" for n in range(1_000))
        return [name for name in names if partition_of(name, PARTITIONS) == partition][number]

    def browse(self, visitor: str) -> None:
        event = PageBrowsed(event_id=f"b{self.now_ms}", occurred_at_ms=self.now_ms, visitor_id=visitor)
        self._put("browse", visitor, event)

    def order(self, customer: str, visitor: str) -> None:
        lines = (OrderLine(sku="s", quantity=1, unit_price_minor=1),)
        event = OrderPlaced(
            order_id="o", occurred_at_ms=self.now_ms, currency="EUR", market="DE", lines=lines,
            customer_id=customer, visitor_id=visitor,
        )  # fmt: skip
        self._put("orders", customer, event)

    def _put(self, topic: str, key: str, event: PageBrowsed | OrderPlaced) -> None:
        self.broker.publish(*self.shop._publication(topic, event, self.now_ms)[1:])

    def findings(self) -> list[str]:
        self.rest()
        return findings(self)


def a_zombie_passes_time(stage: Stage) -> Stage:
    """w0 stalls in the commit of what fell due, with no record in it; w1 has taken over when it goes on."""
    stage.browse(stage.name("v", 0))
    stage.drive(0, 3)
    stage.pass_time(2 * DAY_MS)

    def stall() -> None:
        stage._forget(stage.workers[0], all_of_it=True)
        stage.drive(1, 4)

    stage.moments.next["scorer.commit.begin"] = stall
    stage.drive(0)
    return stage


def an_order_meets_a_restore(stage: Stage) -> Stage:
    """While w1 restores a visitor's partition piece by piece, w0 reads the visitor from it."""
    visitor, other = stage.name("v", 1), stage.name("v", 1, 1)
    for seen in (other, visitor, visitor, other):
        stage.browse(seen)
        stage.drive(1, 3)
    stage.broker.logs["scorer.changelog", 1].compact(stage.now_ms, untouched=1)
    stage.shared.lose_everything()

    def order() -> None:
        stage.order(stage.name("c", 0), visitor)
        stage.drive(0, 3)

    stage.moments.next["scorer.store.applied"] = order
    stage.drive(1, 3)
    return stage


MOMENTS = {"TimeUnfenced": a_zombie_passes_time, "ShowsHalfARestore": an_order_meets_a_restore}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=lambda moment: moment.__name__)
def test_nothing_is_wrong(moment: Callable[[Stage], Stage]) -> None:
    """The moment passes without harm."""
    stage = moment(Stage(writes_at_once=1))
    assert not stage.moments.next, "the moment never came"
    assert not stage.findings()


@pytest.mark.parametrize("name", AT_RARE_MOMENTS)
def test_caught(name: str) -> None:
    """Without the precaution it does harm, and that is seen."""
    assert MOMENTS[name](Stage(VARIANTS[name], writes_at_once=1)).findings()


def test_a_wiped_store_is_noticed_without_records() -> None:
    """A store that is emptied while nothing comes in is restored at the next tick, and what is in it falls due."""
    stage = Stage()
    stage.browse(stage.name("v", 0))
    stage.drive(0, 3)
    stage.shared.lose_everything()
    stage.pass_time(2 * DAY_MS)
    stage.drive(0, 4)
    assert stage.shared.memory("scorer").position(0).entry == 2
    assert not stage.findings()


def test_a_zombie_does_not_cry_wolf() -> None:
    """Who recovers a partition that another one owns by now waits and learns so; no promise seems broken."""
    stage = Stage()
    visitor = stage.name("v", 0)
    stage.browse(visitor)
    stage.drive(0, 3)

    def stall() -> None:
        stage._forget(stage.workers[0], all_of_it=True)
        stage.browse(visitor)
        stage.drive(1, 4)

    for call in ("log.committed", "store.position", "log.last", "log.seek"):
        stage.moments.next[f"scorer.{call}"] = stall
        stage.workers[0].actors[0].shell.recover_soon()
        stage.drive(0)
        assert not stage.moments.next, "the moment never came"
        assert stage.workers[0].actors[0].shell.stopped == {}
        for _ in range(4):
            stage.drive(0)
            stage.drive(1)
    assert not stage.findings()


def test_nobody_is_put_out_of_the_group_by_a_silent_store() -> None:
    """A worker whose store does not answer goes on polling, so its partitions stay its own."""
    stage = Stage()

    class Silent(Moments):
        def strike(self, where: str, interrupt: Callable[[bool], None]) -> bool:
            return ".store." in where

    stage.perils = Silent(stage)
    stage.browse(stage.name("v", 0))
    before = stage.broker.groups["scorer"].generation
    stage.drive(0, 20)
    assert stage.broker.groups["scorer"].generation == before
    stage.perils = stage.moments
    assert not stage.findings()


class OneAtATime(SimulatedLog):
    """As with the real one, closing waits for the poll under way; which here meets a rebalance."""

    polling, is_polling = Lock(), Event()

    def poll(self, max_records: int, timeout_ms: int) -> Sequence[Message]:
        with self.polling:
            self.is_polling.set()
            sleep(0.05)
            return super().poll(max_records, timeout_ms)

    def close(self) -> None:
        with self.polling:
            super().close()


def test_closing_and_a_rebalance_do_not_wait_for_each_other() -> None:
    """A worker that is told to stop while its other thread learns of a rebalance comes to an end."""
    stage = Stage(Parts(log=OneAtATime))
    shell = stage.workers[0].actors[0].shell
    stage._forget(stage.workers[0], all_of_it=True)
    OneAtATime.is_polling.clear()
    polling = Thread(target=shell.poll, args=(0,), daemon=True)
    polling.start()
    OneAtATime.is_polling.wait(5)
    closing = Thread(target=shell.close, daemon=True)
    closing.start()
    for thread in (polling, closing):
        thread.join(5)
        assert not thread.is_alive()
