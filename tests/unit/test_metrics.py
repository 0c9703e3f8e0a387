"""What was committed is counted, once and with the right labels; what a partition or pool is at, when somebody asks."""

import pytest
from msgspec.structs import replace

from online_models.champions import Standing
from online_models.model import load_model
from online_models.pipelines import start
from online_models.rule import Rule
from online_models.snapshots import Snapshot
from online_models.validation import Comparison
from schemas.events import (
    AdvisorAssigned,
    AssignmentWithheld,
    Brief,
    CustomerScored,
    Drift,
    OrderLine,
    OrderPlaced,
    SnapshotPublished,
)
from schemas.records import Announcement, Batch, Decision, Fault, Record, Run, State
from streams import engine
from streams.assignment.pools import Advisor, Pool
from streams.commit import Committed
from streams.policies import scoring_policy
from streams.settings import Settings
from streams.watching.health import Condition, reasons
from streams.watching.metrics import Metrics, Reading
from streams.watching.probe import Findings, PoolFill, fill_of

AT_MS = 1_792_108_800_000
POLICY = replace(scoring_policy(Settings()), partitions=1)


def order(number, customer, **changed):
    values = {"currency": "EUR", "market": "DE", **changed}
    lines = (OrderLine(sku="boot-38", quantity=1, unit_price_minor=49_000),)
    return OrderPlaced(order_id=f"A-{number}", customer_id=customer, occurred_at_ms=AT_MS, lines=lines, **values)


def committed(*events, arrived_ms=AT_MS + 50):
    records = tuple(
        Record("orders", 0, offset, arrived_ms, (e.customer_id or "-").encode() if isinstance(e, OrderPlaced) else b"-",
               b"{}", (), e)
        for offset, e in enumerate(events)
    )  # fmt: skip
    batch = Batch(0, 0, (Run("orders", records, AT_MS),))
    return Committed(batch, engine.decide(State({}), batch, load_model(None), POLICY))


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def metrics():
    """At a moment two seconds after the orders."""
    return Metrics(now_s=lambda: AT_MS / 1000 + 2)


def test_a_first_purchase_is_a_record_a_look_and_a_latency(metrics):
    metrics.note("scorer", [committed(order(1, "c-1"), order(2, "c-2"))])
    assert value(metrics, "maitred_records_total", processor="scorer", topic="orders", type="OrderPlaced") == 2
    assert value(metrics, "maitred_looks_total", pool="main", look="first") == 2
    assert value(metrics, "maitred_batch_records_sum", processor="scorer") == 2
    assert value(metrics, "maitred_decision_from_event_seconds_sum") == 4.0
    assert value(metrics, "maitred_decision_from_arrival_seconds_sum") == pytest.approx(3.9)


def test_a_look_told_again_is_no_latency(metrics):
    """It is the consent's, whatever order lies at the same offset."""
    item = committed(order(1, "c-1"))
    (look,) = (output for output in item.decision.outputs if isinstance(output.event, CustomerScored))
    again = look._replace(event=replace(look.event, id="privacy/0/0/CustomerScored/0", occurred_at_ms=0))
    metrics.note("scorer", [Committed(item.batch, replace(item.decision, outputs=(look, again)))])
    assert value(metrics, "maitred_decision_from_event_seconds_sum") == 2.0


def test_time_that_follows_the_records_has_no_age():
    """Nor a time of arrival, where records are published with the times of their events."""
    metrics = Metrics(follows_clock=False)
    metrics.note("scorer", [committed(order(1, "c-1"), arrived_ms=AT_MS)])
    assert value(metrics, "maitred_decision_from_event_seconds_count") == 0
    assert value(metrics, "maitred_decision_from_arrival_seconds_count") == 0


def test_what_is_odd_is_counted_by_class_and_topic(metrics):
    fault = Fault("invalid", "lines", "an array", "null", "send lines")
    metrics.note(
        "scorer", [committed(order(1, "c-1"), order(1, "c-1"), order(2, None), fault, order(3, "c-3", currency="XXX"))]
    )
    assert value(metrics, "maitred_rejects_total", topic="orders", **{"class": "invalid"}) == 1
    assert value(metrics, "maitred_rejects_total", topic="orders", **{"class": "wrong_currency"}) == 1
    assert value(metrics, "maitred_duplicates_total", processor="scorer") == 1
    assert value(metrics, "maitred_guests_total") == 1


def assigned(look, cause="look", arm="treatment"):
    return AdvisorAssigned(
        id="a", assignment_id="a", customer_id="c-1", advisor_id="ada", pool="main", occurred_at_ms=AT_MS, cause=cause, arm=arm,
        propensity=0.9, experiment="advisors", score=0.3, threshold=0.2, look=look, look_id="l", reasons=(), brief=Brief(),
        recommended_channel="email", contact_by_ms=AT_MS, service_until_ms=AT_MS, model_version="", policy_version="",
    )  # fmt: skip


def withheld(look, *, was_free):
    return AssignmentWithheld(
        id="w", assignment_id="w", customer_id="c-2", pool="main", occurred_at_ms=AT_MS, propensity=0.9, experiment="advisors",
        score=0.3, threshold=0.2, look=look, look_id="l", would_be_advisor_id="ada", was_free=was_free, reasons=(),
        model_version="", policy_version="",
    )  # fmt: skip


def decided(*events):
    outputs = [Announcement("assignments", event.customer_id, event) for event in events]
    outputs += [Announcement("current-assignments", e.customer_id, e) for e in events if isinstance(e, AdvisorAssigned)]
    return Committed(Batch(0, 0, (Run("", (), AT_MS),)), Decision((), tuple(outputs)))


def test_an_assignment_counts_once_although_two_topics_tell_it(metrics):
    metrics.note("assigner", [decided(assigned("first"), assigned("day_7"), withheld("first", was_free=True))])
    assert value(metrics, "maitred_assignments_total", pool="main", cause="look") == 2
    assert value(metrics, "maitred_withheld_total", pool="main") == 1


def test_arms_are_compared_where_both_are_announced_alike(metrics):
    """First looks with a place free: no second looks, nobody who waited, no wishes."""
    told = [assigned("first"), assigned("day_7"), assigned("first", "waiting"), assigned("first", "manual", "none")]
    told += [withheld("first", was_free=True), withheld("first", was_free=False), withheld("order", was_free=True)]
    metrics.note("assigner", [decided(*told)])
    arms = {"pool": "main", "experiment": "advisors"}
    assert value(metrics, "maitred_arms_total", **arms, arm="treatment") == 1
    assert value(metrics, "maitred_arms_total", **arms, arm="control") == 1
    assert value(metrics, "maitred_arms_control_expected_total", **arms) == pytest.approx(0.2)


def test_no_label_names_a_customer_a_product_or_an_order(metrics):
    metrics.note("scorer", [committed(order(1, "c-secret"), order(2, "c-secret", market="XX"))])
    page = metrics.scrape([], [])[0].decode()
    assert "maitred_looks_total" in page
    assert [word for word in ("c-secret", "A-1", "boot-38") if word in page] == []


def test_a_commit_is_timed_whole_and_by_steps(metrics):
    watch = metrics.watch("scorer")
    with watch.commit({}), watch.step("decide"):
        pass
    assert value(metrics, "maitred_commit_seconds_count", processor="scorer") == 1
    assert value(metrics, "maitred_commit_step_seconds_count", processor="scorer", step="decide") == 1
    assert value(metrics, "maitred_commit_step_seconds_count", processor="scorer", step="apply") == 0


NOTHING = Findings()


def reading(findings=NOTHING, **condition):
    at = Condition(processor="assigner", partitions=(0, 1), **condition)
    return Reading(at, not reasons([at]), findings, {("scores", 0): 3}, 2, {"StoreUnavailable": 4})


def test_a_page_tells_what_was_found_last(metrics):
    found = Findings(lag={("scores", 1): 17}, pools={"main": PoolFill(capacity=12, taken=9, free=3, waiting=1)})
    metrics.scrape([reading(found)], [])
    assert value(metrics, "maitred_lag_records", processor="assigner", topic="scores", partition="1") == 17
    assert value(metrics, "maitred_pool_places_free", pool="main") == 3
    assert value(metrics, "maitred_errors_total", processor="assigner", kind="StoreUnavailable") == 4
    assert value(metrics, "maitred_recoveries_total", processor="assigner") == 2


def test_what_moved_on_is_no_longer_told_and_counters_do_not_count_twice(metrics):
    metrics.scrape([reading(Findings(lag={("scores", 1): 17}))], [])
    metrics.scrape([reading()], [])
    assert value(metrics, "maitred_lag_records", processor="assigner", topic="scores", partition="1") is None
    assert value(metrics, "maitred_errors_total", processor="assigner", kind="StoreUnavailable") == 4


def test_why_a_processor_is_not_ready_is_told_by_kind(metrics):
    read = reading(stopped={0: "the store is ahead"})
    metrics.scrape([read], reasons([read.condition]))
    assert value(metrics, "maitred_ready", processor="assigner") == 0
    assert value(metrics, "maitred_unready_reasons", processor="assigner", kind="stopped") == 1


def test_the_model_is_told_beside_the_rule_once_it_can_be_judged(metrics):
    verdicts = {
        "first": Comparison(examples=900, positives=60, rule_auc=0.7, river_auc=0.74, difference=0.04, half_width=0.03),
        "second": Comparison(examples=10, positives=0),
    }
    snapshot = Snapshot(
        version="1841", examples_seen=900, spec="", river_version="", features_version="", rule=Rule(), river={}, verdicts=verdicts
    )  # fmt: skip
    metrics.scrape([reading(Findings(snapshot=snapshot, snapshot_at_ms=AT_MS))], [])
    assert value(metrics, "maitred_snapshot_version", processor="learner") == 1841
    assert value(metrics, "maitred_snapshot_published_timestamp_seconds") == AT_MS / 1000
    assert value(metrics, "maitred_validation_auc", kind="first", model="river") == 0.74
    assert value(metrics, "maitred_validation_auc_difference", kind="first", model="river") == 0.04
    assert value(metrics, "maitred_validation_auc", kind="second", model="rule") is None
    assert value(metrics, "maitred_validation_examples", kind="second", outcome="other") == 10
    metrics.scrape([reading()], [])  # the learner is with another worker now, who tells it
    assert value(metrics, "maitred_snapshot_version", processor="learner") is None
    assert value(metrics, "maitred_snapshot_published_timestamp_seconds") == 0
    assert value(metrics, "maitred_validation_auc", kind="first", model="river") is None
    assert value(metrics, "maitred_validation_auc_difference", kind="first", model="river") is None


def test_who_scores_is_told_and_where_the_rule_does_instead(metrics):
    """The champion, who scores beside it, and the kinds of look where the guard or drift keeps it from scoring."""
    worse = Comparison(examples=900, positives=60, difference=-0.04, half_width=0.03)
    snapshot = Snapshot(
        version="1841", examples_seen=900, spec="", river_version="", features_version="", rule=Rule(),
        river={kind: start(kind) for kind in ("first", "second")}, challengers=("river", "anchored"),
        guards={"second": worse}, standing=Standing(promoted="anchored", fallen_back={"first": 12}),
    )  # fmt: skip
    metrics.scrape([reading(Findings(snapshot=snapshot, champion="river", is_held=True))], [])
    assert value(metrics, "maitred_model_champion", model="anchored") == 1
    assert value(metrics, "maitred_model_champion", model="river") is None
    assert value(metrics, "maitred_model_challenger", model="river") == 1
    assert value(metrics, "maitred_model_challenger", model="anchored") is None
    assert value(metrics, "maitred_model_fallback", kind="first", why="drift") == 1
    assert value(metrics, "maitred_model_fallback", kind="second", why="untaught") == 1
    assert value(metrics, "maitred_model_held") == 1
    metrics.scrape([reading()], [])
    assert value(metrics, "maitred_model_champion", model="anchored") is None
    assert value(metrics, "maitred_model_held") == 0


def test_drift_is_counted_as_it_is_published(metrics):
    found = Drift(kind="first", series="loss", detector="ADWIN", before=0.2, after=0.4, occurred_at_ms=AT_MS)
    event = SnapshotPublished(
        id="e", version="7", occurred_at_ms=AT_MS, examples_seen=8, spec="", river_version="", features_version="",
        payload=b"", checksum="", drift=(found, found),
    )  # fmt: skip
    decision = Decision(writes=(), outputs=(Announcement("snapshots", "model", event),))
    metrics.note("learner", [Committed(Batch(0, 0, (Run("examples", (), AT_MS),)), decision)])
    assert value(metrics, "maitred_model_drifts_total", kind="first", series="loss", detector="ADWIN") == 2
    assert value(metrics, "maitred_snapshots_total") == 1


def test_only_active_advisors_who_are_there_have_free_places():
    """Customers of one who is paused or absent count as taken all the same."""
    advisors = {
        "a": Advisor("active", 5, 2),
        "b": Advisor("paused", 5, 2),
        "c": Advisor("active", 4, 2, absences=((100, 200),)),
    }
    pool = Pool(advisors=advisors, ends={"a": [1, 2], "b": [3]}, clock_ms=150, status="paused")
    assert fill_of(pool) == PoolFill(capacity=9, taken=3, free=3, waiting=0, is_paused=True)


def test_names_follow_prometheus():
    """Prefix, base units, `_total` for what only grows, and labels that are few and bounded."""
    families = Metrics().families
    assert len(families) > 35
    for family in families:
        assert family.name.startswith("maitred_")
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert not any(unit in family.name for unit in ("_ms", "_minutes", "_percent")), family.name
        assert set(family.labels) <= {
            "processor", "topic", "type", "step", "pool", "look", "reason", "cause", "experiment", "arm", "tier", "change",
            "horizon_days", "vip", "class", "kind", "partition", "model", "outcome", "version", "python", "river", "why", "series",
            "detector",
        }  # fmt: skip
        assert family.says.endswith(".") or ":" in family.says, family.name
