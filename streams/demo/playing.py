"""The shop at play: a thread that publishes its events at the pace of its own, faster time, and hears of assignments."""

from collections import Counter
from threading import Event as Flag
from threading import Thread
from time import perf_counter

from schemas.events import OrderPlaced
from schemas.ids import partition_of
from schemas.registry import Registry
from streams.demo.observer import SHOP_TOPICS, Observer
from streams.publish import Form, Publisher, Writer
from streams.simulator import Malformed, Shop
from streams.simulator.shop import Item
from streams.topics import partition_count

AHEAD_S = 0.005  # events so close together are published at once
PATIENCE_S = 0.05
MOST_WAITING = 3_000  # records the worker has not decided on; beyond it the shop's time stands still


class Pace:
    """The shop's time: how many of its milliseconds pass in one of ours. It can be held."""

    def __init__(self, from_ms: int, speed: float) -> None:
        self._from_ms, self._speed = from_ms, speed
        self._began_s = perf_counter()

    def ahead_s(self, at_ms: int) -> float:
        """How long until a moment of the shop's time."""
        return self._began_s + (at_ms - self._from_ms) / 1000 / self._speed - perf_counter()

    def hold(self, seconds: float) -> None:
        self._began_s += seconds


class Outlet:
    """Where the shop's records go out."""

    def __init__(self, publisher: Publisher, registry: Registry, form: Form) -> None:
        self.published: Counter[str] = Counter()  # by topic
        self._publisher, self._form, self._write = publisher, form, Writer(registry, form)

    def publish(self, item: Item) -> None:
        if isinstance(item, Malformed):
            self._publish_malformed(item)
            self.published[item.topic] += 1
        else:
            self._publisher.publish(*self._write(*item))
            self.published[item[0]] += 1

    def _publish_malformed(self, item: Malformed) -> None:
        key, form = item.key.decode(errors="replace"), self._form
        partition = partition_of(key, partition_count(item.topic, form.partitions))
        name = f"{form.namespace}.{item.topic}"
        self._publisher.publish(name, partition, item.key, item.value, item.headers, item.at_ms)

    def flush(self) -> None:
        self._publisher.flush()

    @property
    def for_scorer(self) -> int:
        return sum(self.published[topic] for topic in SHOP_TOPICS)


class Playing(Thread):
    """Plays until the shop's events are over or it is told to stop.

    The first events go out at once. Then time stands still until the doors open, so that nothing waits for a worker that is
    still starting.
    """

    def __init__(self, shop: Shop, outlet: Outlet, observer: Observer, speed: float) -> None:
        super().__init__(name="demo-shop", daemon=True)
        self.outlet = outlet
        self.now_ms = 0  # the shop's time
        self.failure: Exception | None = None
        self._shop, self._observer, self._speed = shop, observer, speed
        self._pace: Pace | None = None  # None: the doors are closed
        self._customers: set[str] = set()
        self._doors, self._over = Flag(), Flag()

    def open_doors(self) -> None:
        self._doors.set()

    def stop(self) -> None:
        self._over.set()
        self._doors.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        try:
            for item in self._shop.events():
                self._wait_for(item.at_ms if isinstance(item, Malformed) else item[1].occurred_at_ms)
                if self._over.is_set():
                    break
                self._note(item)
                self.outlet.publish(item)
            self.outlet.flush()
        except Exception as error:  # whoever performs looks at it, and raises it there
            self.failure = error

    def _wait_for(self, at_ms: int) -> None:
        """Until this time of the shop's has come, and the worker can take more."""
        if self._pace is None and self.outlet.for_scorer:
            self._doors.wait()
            self._pace = Pace(at_ms, self._speed)
        if self._pace is not None:
            while not self._over.is_set() and (ahead_s := self._pace.ahead_s(at_ms)) > AHEAD_S:
                self._over.wait(min(ahead_s, PATIENCE_S))
            while not self._over.is_set() and self.waiting > MOST_WAITING:
                self._over.wait(PATIENCE_S)
                self._pace.hold(PATIENCE_S)
        self.now_ms = max(self.now_ms, at_ms)

    @property
    def waiting(self) -> int:
        """Records that were published and not decided on yet."""
        return max(0, self.outlet.for_scorer - self._observer.applied)

    def _note(self, item: Item) -> None:
        """A first order, and when it was handed over. Before the doors open everything waits for the worker."""
        event = None if isinstance(item, Malformed) else item[1]
        if isinstance(event, OrderPlaced) and event.customer_id and event.customer_id not in self._customers:
            self._customers.add(event.customer_id)
            if self._pace is not None:
                self._observer.ordered(event.customer_id, perf_counter())
