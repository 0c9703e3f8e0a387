"""Who runs what: START HERE.

This process hosts the broker and the store's process, plays the shop on one thread and reads the topics on another; the worker
is a process of its own. `perform` brings them up, shows what happens until it is over or somebody asks for the end, and takes
them down in the reverse order, whatever happens.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Protocol

from schemas.errors import WorkerEnded
from schemas.registry import open_registry
from sinks.kafka import KafkaPublisher
from streams.demo.backstage import Worker, hired_worker
from streams.demo.ending import Ending
from streams.demo.observer import Observer
from streams.demo.plan import NAMESPACE, PARTITIONS, DemoPlan, variables
from streams.demo.playing import Outlet, Playing
from streams.demo.scene import Filming, Scene
from streams.demo.watching import Watching
from streams.embedded import embedded_servers
from streams.embedded.will import outlived_by_no_folder
from streams.kafka.client import publishing
from streams.publish import Form
from streams.settings import Settings, read
from streams.simulator import Shop

FRAME_S = 0.25
START_S, DRAIN_S = 120.0, 10.0


class Audience(Protocol):
    """Who watches."""

    def show(self, scene: Scene) -> None: ...


def perform(plan: DemoPlan, audience: Audience, ending: Ending, began_s: float) -> Scene:
    """Play the demo; returns its last scene. Raises `WorkerEnded` if the worker dies of itself."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="maitred-demo-")))
        stack.enter_context(outlived_by_no_folder(directory))
        servers = stack.enter_context(embedded_servers(directory, NAMESPACE, PARTITIONS))
        told = variables(plan, str(directory), servers.environment)
        worker = stack.enter_context(hired_worker(told, directory))
        ending.hurry = worker.hurry
        play = _Play(plan, read({}, told), worker, ending, began_s, stack)
        play.begin(audience)
        play.go_on(audience)
        return play.finish(audience)


class _Play:
    def __init__(
        self,
        plan: DemoPlan,
        settings: Settings,
        worker: Worker,
        ending: Ending,
        began_s: float,
        stack: ExitStack,
    ) -> None:
        self._plan, self._worker, self._ending = plan, worker, ending
        self._observer = Observer(settings.scoring.horizon_days)
        shop = Shop(plan.shop)
        self._playing = Playing(shop, _outlet(settings), self._observer, plan.speed)
        self._watching = Watching(settings, self._observer, shop)
        self._filming = Filming(plan, settings.money.base, self._observer, self._playing, began_s)
        for thread in (self._watching, self._playing):
            thread.start()
            stack.callback(thread.stop)

    def begin(self, audience: Audience) -> None:
        """Until the worker has committed its first batches; then the shop's time begins."""
        self._show_until(lambda: self._observer.is_attended, audience, "the worker starts", perf_counter() + START_S)
        if not self._observer.is_attended and not self._ending.is_asked:
            raise WorkerEnded(
                f"the worker did not begin within {START_S:.0f} s; its log ends:", self._worker.last_words()
            )
        self._filming.opened_s = perf_counter()
        self._playing.open_doors()

    def go_on(self, audience: Audience) -> None:
        closes_s = perf_counter() + self._plan.seconds
        self._show_until(lambda: not self._playing.is_alive(), audience, "the shop is open", closes_s)

    def finish(self, audience: Audience) -> Scene:
        """No further event; what is published is decided, unless somebody is in a hurry."""
        self._playing.stop()
        self._show_until(lambda: not self._playing.waiting, audience, "the last decisions", perf_counter() + DRAIN_S)
        sleep(FRAME_S)  # for what follows from the last scores
        scene = self._filming.scene("the shop is closed")
        audience.show(scene)
        return scene

    def _show_until(self, is_over: Callable[[], object], audience: Audience, phase: str, until_s: float) -> None:
        while not is_over() and not self._ending.is_asked and perf_counter() < until_s:
            self._check()
            audience.show(self._filming.scene(phase))
            sleep(FRAME_S)

    def _check(self) -> None:
        """Whether all who play are well."""
        for thread in (self._playing, self._watching):
            if thread.failure is not None:
                raise thread.failure
        if self._worker.has_ended and not self._ending.is_asked:
            raise WorkerEnded("the worker ended by itself; its log ends:", self._worker.last_words())


def _outlet(settings: Settings) -> Outlet:
    form = Form(namespace=settings.namespace, partitions=settings.partitions, keep_time=True)
    connection = publishing({}) | {"log_level": 0}  # it outlives the broker by a moment
    publisher = KafkaPublisher(settings.kafka.bootstrap, connection)
    return Outlet(publisher, open_registry(settings.registry.url), form)
