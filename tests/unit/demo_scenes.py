"""Events as a subscriber of the demo reads them, and scenes made of them."""

from typing import Any

from features.vector import FEATURES_VERSION
from online_models.learner import Learned, LearnPolicy
from online_models.pipelines import RIVER_VERSION, SPEC
from online_models.snapshots import Snapshot, checksum_of, pack
from online_models.validation import Comparison
from schemas.events import (
    AdvisorAssigned,
    AdvisorChanged,
    AssignmentEnded,
    AssignmentWithheld,
    BatchCommitted,
    Brief,
    CustomerScored,
    ExampleReady,
    Reason,
    SequenceRun,
    SnapshotPublished,
    TierChanged,
)
from streams.demo.observer import Observer, Reject
from streams.demo.plan import DemoPlan
from streams.demo.scene import Scene

REASONS = (
    Reason(feature="log_first_spend", value=7.1, contribution=1.2),
    Reason(feature="spend_in_market", value=1.4, contribution=0.4),
    Reason(feature="log_skus", value=1.1, contribution=-0.2),
    Reason(feature="other", value=0.0, contribution=0.1),
)


def scored(customer: str, score: float, look: str = "first", **others: Any) -> CustomerScored:
    told: dict[str, Any] = {
        "id": f"{customer}/{look}", "customer_id": customer, "pool": "dach", "market": "DE", "occurred_at_ms": 1,
        "look": look, "look_number": 1, "score": score, "base": -2.0, "reasons": REASONS, "first_order_minor": 124_000,
        "is_vip": False, "consent": "granted", "brief": Brief(orders=1), "model_version": "rule-1@cold",
        "features_version": "f", "policy_version": "p",
    }  # fmt: skip
    return CustomerScored(**{**told, **others})


def hired(advisor: str, pool: str = "dach", capacity: int = 12, status: Any = "active") -> AdvisorChanged:
    return AdvisorChanged(advisor_id=advisor, pool=pool, occurred_at_ms=1, capacity=capacity, status=status)


def assigned(customer: str, advisor: str = "dach-001") -> AdvisorAssigned:
    return AdvisorAssigned(
        id=f"{customer}/a", assignment_id=f"{customer}/a", customer_id=customer, advisor_id=advisor, pool="dach",
        occurred_at_ms=1, cause="look", arm="treatment", propensity=0.9, experiment="e", score=0.5, threshold=0.3,
        look="first", look_id="l", reasons=REASONS, brief=Brief(), recommended_channel="email", contact_by_ms=2,
        service_until_ms=3, model_version="m", policy_version="p",
    )  # fmt: skip


def ended(customer: str, advisor: str = "dach-001") -> AssignmentEnded:
    return AssignmentEnded(
        id=f"{customer}/e", assignment_id=f"{customer}/a", customer_id=customer, advisor_id=advisor, pool="dach",
        occurred_at_ms=2, reason="service_ended",
    )  # fmt: skip


def withheld(customer: str) -> AssignmentWithheld:
    return AssignmentWithheld(
        id=f"{customer}/w", assignment_id=f"{customer}/w", customer_id=customer, pool="dach", occurred_at_ms=1,
        propensity=0.9, experiment="e", score=0.5, threshold=0.3, look="first", look_id="l",
        would_be_advisor_id="dach-001", was_free=True, reasons=REASONS, model_version="m", policy_version="p",
    )  # fmt: skip


def tier(customer: str, change: Any, missing_minor: int = 0) -> TierChanged:
    return TierChanged(
        id=f"{customer}/{change}", customer_id=customer, market="DE", occurred_at_ms=1, change=change, tier="gold",
        qualifying_minor=100_000, missing_minor=missing_minor, policy_version="p",
    )  # fmt: skip


def example(arm: Any, *, is_vip: bool, look: str = "first", horizon_days: int = 180) -> ExampleReady:
    return ExampleReady(
        id="x", customer_id="c", market="DE", look=look, look_id="l", looked_at_ms=1, occurred_at_ms=2,
        first_purchase_at_ms=1, horizon_days=horizon_days, features=(), features_version="f", first_order_minor=1,
        outcome_minor=1, is_vip=is_vip, score=0.1, model_version="m", arm=arm, assignment_id=None, propensity=None,
    )  # fmt: skip


def snapshot(**verdicts: Comparison) -> SnapshotPublished:
    learned = Learned()
    payload = pack(
        Snapshot(
            version="7", examples_seen=8, spec=SPEC, river_version=RIVER_VERSION, features_version=FEATURES_VERSION,
            rule=learned.rule, river=learned.river, verdicts=verdicts,
        )
    )  # fmt: skip
    return SnapshotPublished(
        id="s", version="7", occurred_at_ms=1, examples_seen=8, spec=SPEC, river_version=RIVER_VERSION,
        features_version=FEATURES_VERSION, payload=payload, checksum=checksum_of(payload),
    )  # fmt: skip


def committed(processor: str, *runs: tuple[str, int, int]) -> BatchCommitted:
    sequence = tuple(SequenceRun(topic=t, from_offset=a, to_offset=b, watermark_ms=1) for t, a, b in runs)
    return BatchCommitted(
        id="b", processor=processor, partition=0, entry=1, sequence=sequence, occurred_at_ms=1, model_version="m",
        policy_version="p",
    )  # fmt: skip


LEARNT = Comparison(examples=760, positives=61, rule_auc=0.82, river_auc=0.91, difference=0.09, half_width=0.04)
EARLY = Comparison(examples=20, positives=3, rule_auc=0.7, river_auc=0.6, difference=-0.1, half_width=0.3)
REJECT = Reject("orders", "invalid", "lines[0].quantity", "at least 1", "-1")


def busy_observer() -> Observer:
    """A whole year in a moment: something of everything."""
    observer = Observer(horizon_days=LearnPolicy().horizon_days)
    for pool in ("dach", "north", "overseas", "south"):
        for number in (1, 2):
            observer.take(hired(f"{pool}-00{number}", pool), 0.0)
    for number in range(60):
        customer, at_s = f"C{number:08}", float(number)
        observer.ordered(customer, at_s - 0.04)
        observer.take(scored(customer, number / 100), at_s)
        observer.take(scored(customer, 0.9, "order", brief=Brief(orders=2)), at_s)
        observer.take(assigned(customer, "dach-001") if number % 9 else withheld(customer), at_s)
        observer.take(tier(customer, ("reached", "near", "at_risk", "lost")[number % 4], 4_900), at_s)
        observer.take(REJECT, at_s)
        observer.take(example(("treatment", "control", "none")[number % 3], is_vip=number % 5 == 0), at_s)
    observer.take(snapshot(first=EARLY, second=LEARNT), 60.0)
    return observer


def scene_of(observer: Observer, at_s: float = 100.0, **others: Any) -> Scene:
    told: dict[str, Any] = {
        "plan": DemoPlan(), "phase": "the shop is open", "currency": "EUR", "glance": observer.glance(at_s),
        "events": 35_711, "events_s": 1_215.0, "scores_s": 46.0, "waiting": 3, "now_ms": 1_795_000_000_000, "day": 143,
        "elapsed_s": 31.0, "left_s": 29.0, "first_score_s": 4.9,
    }  # fmt: skip
    return Scene(**{**told, **others})
