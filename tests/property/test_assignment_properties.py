from collections import Counter
from typing import get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.events import (
    AdvisorAssigned,
    AdvisorChanged,
    AssignmentEnded,
    AssignmentWithheld,
    CustomerStanding,
    PoolChanged,
)
from streams.assignment import is_control
from streams.assignment.notices import Ending, Why
from tests.property.assignment_worlds import DAY_MS, POLICY, World, announced, history, reported

seeds = st.integers(0, 2**32 - 1)
thorough = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def lived(seed):
    """Each event of a history, with what the core announced at once."""
    world = World()
    for run in reported(history(seed)):
        for record in run.records:
            yield record.event, world.give([run._replace(records=(record,), watermark_ms=world.watermark_ms)])
        yield None, world.give([run._replace(records=())])


FACTS = ("imported", "merged")  # whom they concern is served already, whatever we think of it


@thorough
@given(seeds)
def test_nobody_has_more_than_their_capacity_their_intake_or_one_advisor(seed):
    """By our decision: no new customer beyond capacity or daily intake, none for who is paused, gone or away; of anybody's: never
    two advisors for one customer."""
    advisors, served = {}, {}
    taken: Counter[tuple[str, str, int]] = Counter()
    for event, said in lived(seed):
        if isinstance(event, AdvisorChanged):
            advisors[event.pool, event.advisor_id] = event
        for out in said:
            if isinstance(out, AdvisorAssigned):
                entry = advisors[out.pool, out.advisor_id]
                assert out.customer_id not in served
                served[out.customer_id] = (out.pool, out.advisor_id)
                if out.cause in FACTS:
                    continue
                assert entry.status == "active"
                assert not any(a.from_ms <= out.occurred_at_ms < a.until_ms for a in entry.absences)
                assert Counter(served.values())[out.pool, out.advisor_id] <= entry.capacity
                day = out.occurred_at_ms // DAY_MS
                taken[out.pool, out.advisor_id, day] += 1
                assert taken[out.pool, out.advisor_id, day] <= entry.daily_intake
            elif isinstance(out, AssignmentEnded):
                assert served.pop(out.customer_id) == (out.pool, out.advisor_id)


@thorough
@given(seeds)
def test_every_ended_assignment_was_announced_and_every_announced_one_ends(seed):
    """Assigned and ended pair up by assignment_id, in this order; ids are unique; after long silence nobody is served."""
    begun, ended, ids = {}, set(), set()
    for _, said in lived(seed):
        for out in said:
            assert out.id not in ids
            ids.add(out.id)
            if isinstance(out, AdvisorAssigned):
                assert out.assignment_id not in begun
                begun[out.assignment_id] = out
                assert out.occurred_at_ms < out.contact_by_ms or out.cause in FACTS
                assert out.occurred_at_ms < out.service_until_ms
            elif isinstance(out, AssignmentEnded):
                assert out.assignment_id not in ended
                ended.add(out.assignment_id)
                assert begun[out.assignment_id].customer_id == out.customer_id
                assert begun[out.assignment_id].advisor_id == out.advisor_id
    assert ended == set(begun)


@thorough
@given(seeds)
def test_the_control_arm_is_never_assigned_by_the_model(seed):
    """Who is withheld is withheld once, and has an advisor only by a person's wish, an import, or as another account's heir."""
    withheld, heirs = set(), set()
    for event, said in lived(seed):
        if isinstance(event, CustomerStanding) and event.standing == "merged":
            heirs.add(event.into_customer_id)
        for out in said:
            control = is_control(POLICY.experiment, out.customer_id, POLICY.control_share)
            if isinstance(out, AssignmentWithheld):
                assert control
                assert out.propensity == POLICY.propensity
                assert out.was_free <= (out.would_be_advisor_id is not None)
                withheld.add(out.customer_id)
            elif isinstance(out, AdvisorAssigned):
                assert out.arm == "none" or not control or out.customer_id in heirs
                assert out.arm == ("none" if out.cause in ("manual", "imported") else out.arm)


@thorough
@given(seeds)
def test_a_paused_pool_gives_places_by_a_persons_wish_alone(seed):
    """Neither a look nor waiting nor an advisor who left leads to an assignment until the pool goes on."""
    resting: set[str] = set()
    for event, said in lived(seed):
        if isinstance(event, PoolChanged):
            (resting.add if event.status == "paused" else resting.discard)(event.pool)
        for out in said:
            if isinstance(out, AdvisorAssigned) and out.pool in resting:
                assert out.cause in ("manual", *FACTS)


@thorough
@given(seeds)
def test_what_current_assignments_holds_is_what_assignments_add_up_to(seed):
    """For a tool that joins late: the last AdvisorAssigned of whoever is served, and of nobody else."""
    world = World()
    for run in reported(history(seed)):
        world.give([run])
        assert world.current == world.active


@thorough
@given(seeds, st.randoms(use_true_random=False))
def test_any_two_cuts_give_equal_bytes(seed, chance):
    """Cut at any records: a piece of a run keeps the watermark that stood, the last one has the run's."""
    runs = reported(history(seed))
    whole, cut = World(), World()
    whole.give(runs)
    pieces, watermark_ms = [], 0
    for run in runs:
        records = list(run.records)
        while records and chance.random() < 0.5:
            count = chance.randint(1, len(records))
            pieces.append([run._replace(records=tuple(records[:count]), watermark_ms=watermark_ms)])
            records = records[count:]
        last = run._replace(records=tuple(records))
        if pieces and chance.random() < 0.5:
            pieces[-1].append(last)
        else:
            pieces.append([last])
        watermark_ms = run.watermark_ms
    for piece in pieces:
        cut.give(piece)
    assert cut.outputs == whole.outputs
    assert cut.store.contents(0) == whole.store.contents(0)


def test_histories_are_worth_the_name():
    """What the properties above look at does happen in the histories they draw."""
    seen: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(120):
        world = World()
        world.give(reported(history(seed)))
        said = announced(world.outputs)
        seen.update(world.counts)
        causes.update(event.cause for event in said if isinstance(event, AdvisorAssigned))
        reasons.update(event.reason for event in said if isinstance(event, AssignmentEnded))
    assert min(causes[why] for why in get_args(Why)) > 3, causes
    assert min(reasons[ending] for ending in get_args(Ending)) > 10, reasons
    assert min(seen[name] for name in COUNTED) > 10, seen


COUNTED = (
    "AssignmentWithheld", "refused_consent", "refused_vip", "refused_never", "refused_control", "refused_rest",
    "refused_language", "below_price", "waiting", "waited_in_vain", "duplicates", "rejected",
    "wishes_met_already", "wishes_unmet", "relations_known",
)  # fmt: skip
