"""What Prometheus is told, and when. What there is to tell stands in `metric_families.py`.

Counters and histograms grow with every commit (`Metrics.note` and the `Onlooker` of each processor), by the batch and not by the
event; gauges are set when somebody asks (`Metrics.scrape`), from what `probe.py` found last.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, get_args

from online_models.drift import DETECTOR, told_series
from online_models.guard import beside_the_rule, falls_back
from online_models.validation import Comparison
from schemas.events import (
    AdvisorAssigned,
    AssignmentEnded,
    AssignmentWithheld,
    CustomerScored,
    ExampleReady,
    SnapshotPublished,
    TierChanged,
)
from schemas.ids import caused_by_record
from schemas.records import Announcement, Batch, Output, Rejection, Reroute
from streams.assignment.desk import CURRENT
from streams.commit import Committed, Pieces, Step
from streams.log import TopicPartition
from streams.watching.health import Condition, Reason
from streams.watching.metric_families import Families
from streams.watching.probe import Findings

NO_SNAPSHOT: Final = -1
REFUSED: Final = "refused_"  # so the assigner's counts of looks that met a rule begin
STEPS: Final[tuple[Step, ...]] = get_args(Step)


class Reading(NamedTuple):
    """All that is told of one processor when somebody asks."""

    condition: Condition
    is_ready: bool
    findings: Findings
    buffered: Mapping[TopicPartition, int]
    recoveries: int
    errors: Mapping[str, int]


class Metrics(Families):
    """The metrics of one worker. `follows_clock`: without it (histories) the age of an event means nothing."""

    def __init__(self, *, follows_clock: bool = True, now_s: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._follows_clock, self._now_s = follows_clock, now_s

        self._tallied: dict[
            type, tuple[Any, Callable[[Any], tuple[object, ...]]]
        ] = {  # Any: a counter; what the key says
            CustomerScored: (self.looks, lambda e: (e.pool, e.look)),
            AdvisorAssigned: (self.assignments, lambda e: (e.pool, e.cause)),
            AssignmentWithheld: (self.withheld, lambda e: (e.pool,)),
            AssignmentEnded: (self.endings, lambda e: (e.pool, e.reason)),
            TierChanged: (self.tiers, lambda e: (e.tier, e.change)),
            ExampleReady: (self.examples, lambda e: (e.horizon_days, e.arm, str(e.is_vip).lower())),
            Rejection: (self.rejects, lambda r: (r.record.topic, r.fault.error)),
            Reroute: (self.rerouted, lambda r: (r.record.topic,)),
        }
        self._scored_with: int | None = None
        for kind, series in told_series():  # a counter that appears with its first event has not grown
            self.drifts.labels(kind, series, DETECTOR[series])

    # ---- with every commit -----------------------------------------------------------------------------------------

    def watch(self, processor: str) -> "Onlooker":
        return Onlooker(self, processor)

    def note(self, processor: str, committed: Iterable[Committed]) -> None:
        """Count what was committed: by batches, and by the outputs, which are few beside the records."""
        for item in committed:
            self._note_records(processor, item.batch)
            self._note_counts(processor, item.decision.counts)
            outputs = by_kind(item.decision.outputs)
            for kind, told_of in outputs.items():
                if kind in self._tallied:
                    metric, labels = self._tallied[kind]
                    for values, count in Tally(map(labels, told_of)).items():
                        metric.labels(*values).inc(count)
            self._note_snapshots(outputs.get(SnapshotPublished, ()))
            self._note_draws(outputs)
            self._note_latency(item.batch, outputs.get(CustomerScored, ()))
            if processor == "scorer":
                self._scored_with = number_of(item.decision.model_version)

    def _note_records(self, processor: str, batch: Batch) -> None:
        seen: Tally[tuple[str, str]] = Tally()
        for run in batch.runs:
            for kind, count in Tally([type(record.event) for record in run.records]).items():
                seen[run.topic, kind.__name__] += count
        for (topic, name), count in seen.items():
            self.records.labels(processor, topic, name).inc(count)
        if seen:  # else time alone moved on
            self.batch.labels(processor).observe(seen.total())

    def _note_counts(self, processor: str, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            if name == "below_price" or name.startswith(REFUSED):
                self.refusals.labels(name.removeprefix(REFUSED)).inc(count)
        if repeated := counts.get("duplicates"):
            self.duplicates.labels(processor).inc(repeated)
        self.guests.inc(counts.get("guests", 0))

    def _note_snapshots(self, published: Sequence[SnapshotPublished]) -> None:
        self.snapshots.inc(len(published))
        for drift in (drift for event in published for drift in event.drift):
            self.drifts.labels(drift.kind, drift.series, drift.detector).inc()

    def _note_draws(self, outputs: Mapping[type, Sequence[Any]]) -> None:
        """First looks where a place was free: each customer counts once, and waiting, which only one arm does, not at all."""
        treated = [e for e in outputs.get(AdvisorAssigned, ()) if e.cause == "look" and e.arm == "treatment"]
        control = [e for e in outputs.get(AssignmentWithheld, ()) if e.was_free]
        for arm, drawn in (("treatment", treated), ("control", control)):
            for event in (e for e in drawn if e.look == "first"):
                self.arms.labels(event.pool, event.experiment, arm).inc()
                self.arms_expected.labels(event.pool, event.experiment).inc(1 - event.propensity)

    def _note_latency(self, batch: Batch, looks: Iterable[CustomerScored]) -> None:
        """How long first purchases waited. Both clocks are other people's, so a negative time counts as none.

        Of a history neither means much: its records are published with the times of their events.
        """
        first = {look.id: look for look in looks if look.look == "first"}
        now_s = self._now_s()
        for run in batch.runs if first else ():
            for record in run.records if run.topic == "orders" else ():
                look = first.get(caused_by_record(record, "CustomerScored"))
                if look is not None:
                    if self._follows_clock or record.timestamp_ms != look.occurred_at_ms:
                        self.from_arrival.observe(max(0.0, now_s - record.timestamp_ms / 1000))
                    if self._follows_clock:
                        self.from_event.observe(max(0.0, now_s - look.occurred_at_ms / 1000))

    # ---- when somebody asks ----------------------------------------------------------------------------------------

    def scrape(self, readings: Iterable[Reading], why: Sequence[Reason], accept: str = "") -> tuple[bytes, str]:
        """The page, and its content type."""
        self.forget_what_moves()
        for reason in why:
            self.unready.labels(reason.processor, reason.kind).inc()
        for reading in readings:
            self._read(reading)
        return self.page(accept)

    def _read(self, reading: Reading) -> None:
        at, found = reading.condition, reading.findings
        name = at.processor
        self.ready.labels(name).set(reading.is_ready)
        self.assigned.labels(name).set(len(at.partitions))
        self.stopped.labels(name).set(len(at.stopped))
        self.stalled.labels(name).set(at.stalled_s)
        self.raise_to(self.recoveries, reading.recoveries, name)
        for kind, count in reading.errors.items():
            self.raise_to(self.errors, count, name, kind)
        for metric, values in ((self.lag, found.lag), (self.buffered, reading.buffered)):
            for (topic, partition), value in values.items():
                metric.labels(name, topic, partition).set(value)
        for pool, fill in found.pools.items():
            self.capacity.labels(pool).set(fill.capacity)
            self.taken.labels(pool).set(fill.taken)
            self.free.labels(pool).set(fill.free)
            self.waiting.labels(pool).set(fill.waiting)
            self.paused.labels(pool).set(fill.is_paused)
        if name == "scorer" and at.partitions and self._scored_with is not None:
            self.version.labels(name).set(self._scored_with)
        if found.snapshot is not None:
            self._read_snapshot(found)

    def _read_snapshot(self, found: Findings) -> None:
        assert found.snapshot is not None
        self.version.labels("learner").set(int(found.snapshot.version))
        self.published.set(found.snapshot_at_ms / 1000)
        for model, verdicts in beside_the_rule(found.snapshot).items():
            for kind, verdict in verdicts.items():
                self._read_verdict(model, kind, verdict)
        standing = found.snapshot.standing
        self.champion.labels(standing.champion(found.champion)).set(1)
        for name in found.snapshot.challengers:
            if name != standing.champion(found.champion):
                self.challenger.labels(name).set(1)
        for kind, why in falls_back(found.snapshot, found.champion).items():
            self.fallback.labels(kind, why).set(1)
        self.held.set(found.is_held)

    def _read_verdict(self, model: str, kind: str, verdict: Comparison) -> None:
        self.judged.labels(kind, "vip").set(verdict.positives)
        self.judged.labels(kind, "other").set(verdict.examples - verdict.positives)
        if verdict.half_width >= 1:  # one of the outcomes is lacking yet
            return
        self.auc.labels(kind, "rule").set(verdict.rule_auc)
        self.auc.labels(kind, model).set(verdict.river_auc)
        self.log_loss.labels(kind, "rule").set(verdict.rule_log_loss)
        self.log_loss.labels(kind, model).set(verdict.river_log_loss)
        self.difference.labels(kind, model).set(verdict.difference)
        self.half_width.labels(kind, model).set(verdict.half_width)


class Onlooker:
    """Times the commits of one processor; also those that fail."""

    def __init__(self, metrics: Metrics, processor: str) -> None:
        self._commit = metrics.commit.labels(processor)
        self._steps = {step: metrics.step.labels(processor, step) for step in STEPS}

    def commit(self, _pieces: Pieces) -> AbstractContextManager[object]:
        return self._commit.time()

    def step(self, step: Step) -> AbstractContextManager[object]:
        return self._steps[step].time()


def by_kind(outputs: Iterable[Output]) -> dict[type, list[Any]]:  # Any: lists of what the key says
    """Events and other outputs. What `current-assignments` repeats of assignments is left out."""
    kinds: dict[type, list[Any]] = {}
    for output in outputs:
        if isinstance(output, Announcement):
            if output.topic != CURRENT:
                kinds.setdefault(type(output.event), []).append(output.event)
        else:
            kinds.setdefault(type(output), []).append(output)
    return kinds


def number_of(model_version: str) -> int:
    """The snapshot in a model's version.

    >>> number_of("rule@1841"), number_of("rule@cold")
    (1841, -1)
    """
    number = model_version.rpartition("@")[2]
    return int(number) if number.isdecimal() else NO_SNAPSHOT
