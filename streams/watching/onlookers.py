"""Who looks on while commits are made: metrics always, traces where they are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from schemas.errors import SettingsError
from streams.commit import Pieces, Step, Watch
from streams.settings import Settings
from streams.watching.metrics import Metrics

if TYPE_CHECKING:
    from streams.watching.tracing import Traces


@contextmanager
def tracing(settings: Settings) -> Iterator["Traces | None"]:
    """The traces, where they are asked for; else nothing of theirs is even imported."""
    if not settings.tracing.endpoint:
        yield None
        return
    try:
        from streams.watching.tracing import Traces  # noqa: PLC0415  # as said
    except ModuleNotFoundError as error:
        cure = "pip install 'maitred[tracing]', or leave the endpoint empty"
        raise SettingsError("tracing.endpoint", "the extra `tracing` to be installed", error.name, cure) from error
    with Traces(settings.tracing, settings.namespace, settings.worker.instance) as traces:
        yield traces


def onlookers(processor: str, metrics: Metrics, traces: "Traces | None") -> Watch:
    timed = metrics.watch(processor)
    return Both(traces.watch(processor), timed) if traces else timed


class Both:
    """Two onlookers as one."""

    def __init__(self, outer: Watch, inner: Watch) -> None:
        self._outer, self._inner = outer, inner

    @contextmanager
    def commit(self, pieces: Pieces) -> Iterator[None]:
        with self._outer.commit(pieces), self._inner.commit(pieces):
            yield

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        with self._outer.step(step), self._inner.step(step):
            yield
