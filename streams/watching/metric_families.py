"""Every metric there is, declared once: name, type, labels, and what it says. The only importer of prometheus_client.

Labels are bounded: processor, topic, partition, pool, class, look and the like; never a customer, never an advisor.
`docs/metrics.md` is written from this file; what sets these metrics is `metrics.py`.
"""

from collections import Counter as Tally
from collections.abc import Sequence
from importlib.metadata import version
from platform import python_version
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

# When each series began is half of the page, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]  # as it is
QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LATENCY: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
SIZES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000, 10000)


class Family(NamedTuple):
    name: str
    kind: str
    says: str
    labels: tuple[str, ...]


class Families:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.families: list[Family] = []
        self._counted: Tally[tuple[Counter, tuple[str, ...]]] = Tally()

        def declared(kind: str, name: str, says: str, labels: tuple[str, ...]) -> str:
            full = f"maitred_{name}"
            self.families.append(Family(f"{full}_total" if kind == "counter" else full, kind, says, labels))
            return full

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(declared("counter", name, says, labels), says, labels, registry=registry)

        def gauge(name: str, says: str, *labels: str) -> Gauge:
            return Gauge(declared("gauge", name, says, labels), says, labels, registry=registry)

        def histogram(name: str, says: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(
                declared("histogram", name, says, labels), says, labels, buckets=buckets, registry=registry
            )

        # ---- work done -------------------------------------------------------------------------------------------
        self.records = counter("records", "Source records applied.", "processor", "topic", "type")
        self.batch = histogram("batch_records", "Source records in a batch of one partition.", SIZES, "processor")
        self.commit = histogram("commit_seconds", "A commit, from loading to the store's answer.", QUICK, "processor")
        self.step = histogram(
            "commit_step_seconds",
            "The steps of a commit: load, decide (both for each partition), transaction, apply.",
            QUICK, "processor", "step",
        )  # fmt: skip
        self.from_event = histogram(
            "decision_from_event_seconds",
            "First looks: from the order's own time to the commit of its score. Not where time follows the records.",
            LATENCY,
        )
        self.from_arrival = histogram(
            "decision_from_arrival_seconds",
            "First looks: from the order's time in Kafka to the commit of its score.",
            LATENCY,
        )

        # ---- decisions -------------------------------------------------------------------------------------------
        self.looks = counter("looks", "Looks told, one that found no consent once more with it.", "pool", "look")
        self.refusals = counter("refusals", "Looks that led to no place, by the rule or the price.", "reason")
        self.assignments = counter("assignments", "Customers given an advisor.", "pool", "cause")
        self.withheld = counter("withheld", "Customers drawn into the control arm.", "pool")
        self.endings = counter("endings", "Assignments ended.", "pool", "reason")
        self.arms = counter(
            "arms", "First looks that passed rules and price while a place was free, by the arm drawn.",
            "pool", "experiment", "arm",
        )  # fmt: skip
        self.arms_expected = counter(
            "arms_control_expected", "How many of them the control arm should have, by propensity.",
            "pool", "experiment",
        )  # fmt: skip
        self.tiers = counter("tier_changes", "Tier changes announced.", "tier", "change")
        self.examples = counter("examples", "Examples made of looks with their outcomes.", "horizon_days", "arm", "vip")
        self.snapshots = counter("snapshots", "Snapshots published.")

        # ---- what was odd ----------------------------------------------------------------------------------------
        self.rejects = counter("rejects", "Records set aside.", "topic", "class")
        self.rerouted = counter("rerouted", "Records that came on the wrong partition and were sent on.", "topic")
        self.duplicates = counter("duplicates", "Documents that had been seen before.", "processor")
        self.guests = counter("guests", "Orders and returns without a customer.")

        # ---- how it does: set when asked for ---------------------------------------------------------------------
        self.ready = gauge("ready", "1 while the processor does its work, as /readyz says.", "processor")
        self.unready = gauge("unready_reasons", "Why it does not, by kind.", "processor", "kind")
        self.assigned = gauge("partitions_assigned", "Partitions this worker has.", "processor")
        self.stopped = gauge("partitions_stopped", "Partitions that stand still: a promise is broken.", "processor")
        self.lag = gauge("lag_records", "Committed records not applied yet.", "processor", "topic", "partition")
        self.buffered = gauge("buffered_records", "Records read and not applied.", "processor", "topic", "partition")
        self.stalled = gauge("stalled_seconds", "Time with work at hand and no commit.", "processor")
        self.recoveries = counter("recoveries", "Recoveries: after each rebalance, and each failure.", "processor")
        self.errors = counter("errors", "Failures of Kafka, Redis, the registry or a promise.", "processor", "kind")

        # ---- pools and the model ---------------------------------------------------------------------------------
        self.capacity = gauge("pool_capacity", "Customers the pool's active advisors can serve.", "pool")
        self.taken = gauge("pool_places_taken", "Customers served.", "pool")
        self.free = gauge("pool_places_free", "Places of active advisors, not absent, that nobody has.", "pool")
        self.paused = gauge("pool_paused", "1 while an operator has paused the pool.", "pool")
        self.waiting = gauge("pool_waiting", "Customers who passed and wait for a place.", "pool")
        self.version = gauge(
            "snapshot_version",
            "The snapshot: published (learner) or scored with (scorer), by the offset of its last example; -1: none.",
            "processor",
        )
        self.published = gauge("snapshot_published_timestamp_seconds", "When the last snapshot was published.")
        self.auc = gauge("validation_auc", "AUC on predictions made before outcomes were known.", "kind", "model")
        self.log_loss = gauge("validation_log_loss", "Log loss on the same predictions.", "kind", "model")
        self.difference = gauge(
            "validation_auc_difference", "AUC of a model less AUC of the rule, on the same examples.", "kind", "model"
        )
        self.half_width = gauge("validation_auc_difference_half_width", "Of its 95 % interval.", "kind", "model")
        self.judged = gauge("validation_examples", "Examples that were judged.", "kind", "outcome")
        self.champion = gauge("model_champion", "1: this one scores, in the snapshot published last.", "model")
        self.challenger = gauge("model_challenger", "1: this one scores beside it, and decides nothing.", "model")
        self.fallback = gauge(
            "model_fallback",
            "1 while the rule scores these looks in the champion's place: worse, drift, or untaught yet.",
            "kind", "why",
        )  # fmt: skip
        self.held = gauge("model_held", "1 while an operator or a setting holds an earlier version.")
        self.drifts = counter("model_drifts", "Changes that detectors found.", "kind", "series", "detector")

        build = gauge("build_info", "What runs here; always 1.", "version", "python", "river")
        build.labels(version("maitred"), python_version(), version("river")).set(1)
        ProcessCollector(registry=registry)

    def forget_what_moves(self) -> None:
        """Partitions, pools and the model move on to other workers: what is told of them is told anew each time."""
        for metric in (
            self.lag, self.buffered, self.unready, self.capacity, self.taken, self.free, self.waiting, self.paused,
            self.version, self.auc, self.log_loss, self.difference, self.half_width, self.judged, self.champion,
            self.challenger, self.fallback,
        ):  # fmt: skip
            metric.clear()
        self.published.set(0)
        self.held.set(0)

    def raise_to(self, metric: Counter, total: int, *labels: str) -> None:
        """A counter that somebody else counts."""
        key = (metric, labels)
        metric.labels(*labels).inc(total - self._counted[key])
        self._counted[key] = total

    def page(self, accept: str) -> tuple[bytes, str]:
        """All of it in the format that is accepted, and the content type of that."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
