"""A moment of the demo, as values: what the views show and the report tells."""

from collections import deque
from time import perf_counter
from typing import NamedTuple

from streams.demo.observer import Glance, Observer
from streams.demo.plan import DAY_MS, DemoPlan
from streams.demo.playing import Playing

WINDOW_S = 3.0  # rates are of the last few seconds


class Scene(NamedTuple):
    plan: DemoPlan
    phase: str  # a few words: what is happening
    currency: str  # the base currency, in which amounts are
    glance: Glance
    events: int  # published by the shop
    events_s: float  # a second
    scores_s: float
    waiting: int  # records published and not decided on yet
    now_ms: int  # the shop's time
    day: int  # of the shop's time, from 1
    elapsed_s: float  # since the command was given
    left_s: float  # until the shop closes
    first_score_s: float | None  # from the command to the first score read


class Filming:
    """Makes scenes, and remembers what rates need."""

    def __init__(self, plan: DemoPlan, currency: str, observer: Observer, playing: Playing, began_s: float) -> None:
        self.opened_s: float | None = None
        self._plan, self._currency, self._observer, self._playing = plan, currency, observer, playing
        self._began_s = began_s
        self._first_score_s: float | None = None
        self._samples: deque[tuple[float, int, int]] = deque()

    def scene(self, phase: str) -> Scene:
        now_s = perf_counter()
        glance = self._observer.glance(now_s)
        events, scores = self._playing.outlet.published.total(), glance.counts.get("scores", 0)
        if scores and self._first_score_s is None:
            self._first_score_s = now_s - self._began_s
        events_s, scores_s = self._rates(now_s, events, scores)
        now_ms = self._playing.now_ms or self._plan.from_ms
        open_s = now_s - self.opened_s if self.opened_s is not None else 0.0
        return Scene(
            plan=self._plan,
            phase=phase,
            currency=self._currency,
            glance=glance,
            events=events,
            events_s=events_s,
            scores_s=scores_s,
            waiting=self._playing.waiting,
            now_ms=now_ms,
            day=(now_ms - self._plan.from_ms) // DAY_MS + 1,
            elapsed_s=now_s - self._began_s,
            left_s=max(0.0, self._plan.seconds - open_s),
            first_score_s=self._first_score_s,
        )

    def _rates(self, now_s: float, events: int, scores: int) -> tuple[float, float]:
        self._samples.append((now_s, events, scores))
        while now_s - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()
        then_s, events_then, scores_then = self._samples[0]
        span_s = max(now_s - then_s, 0.001)
        return (events - events_then) / span_s, (scores - scores_then) / span_s
