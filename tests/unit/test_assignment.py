import pytest

from schemas.errors import BrokenPromise
from schemas.events import AdvisorAssigned, AssignmentEnded, AssignmentWithheld, ContactReported
from schemas.ids import caused_by_record
from schemas.records import Batch, Needs, Rejection, Run, State
from streams.assignment import AssignmentPolicy, assign, is_control, needs
from streams.assignment.pools import Advisor
from streams.assignment.services import shard_keys
from tests.property.assignment_worlds import DAY_MS, HOUR_MS, START_MS, World, record, roster, scored, standing

POLICY = AssignmentPolicy(
    version="policy",
    control_share=0,
    planning_window_days=14,
    expected_looks=1,
    expected_weight_days=14,
    waiting_limit=2,
)  # any score passes


def open_world(*advisors, policy=POLICY, **entry):
    """A pool with these advisors, in which every look passes the price."""
    world = World(policy)
    world.tell(*(roster(advisor, START_MS, **{"capacity": 10, "daily_intake": 10, **entry}) for advisor in advisors))
    return world


def contact(assigned, outcome, contact_id="k1", at_ms=START_MS + HOUR_MS, **others):
    fields = {
        "assignment_id": assigned.assignment_id,
        "customer_id": assigned.customer_id,
        "advisor_id": assigned.advisor_id,
        "pool": assigned.pool,
        **others,
    }
    return ContactReported(contact_id=contact_id, occurred_at_ms=at_ms, outcome=outcome, **fields)


def whose(said):
    """Who was assigned to whom and why."""
    return [(e.customer_id, e.advisor_id, e.cause) for e in said if isinstance(e, AdvisorAssigned)]


def ends(said):
    return [(e.customer_id, e.reason) for e in said if isinstance(e, AssignmentEnded)]


# ---- a look ------------------------------------------------------------------------------------------------------------


def test_a_look_that_passes_gives_an_advisor_with_all_there_is_to_know():
    """The announcement carries score, threshold, reasons, brief, channel, deadlines, arm and versions."""
    world = open_world("ada")
    look = scored("c", START_MS + HOUR_MS, 0.4)
    (said,) = world.tell(look)
    assert isinstance(said, AdvisorAssigned)
    assert (said.customer_id, said.advisor_id, said.pool, said.cause, said.arm) == (
        "c",
        "ada",
        "north",
        "look",
        "treatment",
    )
    assert (said.score, said.threshold, said.look, said.look_id) == (0.4, 0.0, "first", look.id)
    assert (said.reasons, said.brief) == (look.reasons, look.brief)
    assert said.occurred_at_ms == START_MS + HOUR_MS
    assert said.contact_by_ms == said.occurred_at_ms + 48 * HOUR_MS
    assert said.service_until_ms == said.occurred_at_ms + 90 * DAY_MS
    assert (said.propensity, said.experiment, said.policy_version) == (1.0, "advisors", "policy")
    assert said.recommended_channel == "chat"  # seen this very moment


def test_ids_name_the_record_that_caused_them():
    """An output's id is made from the source record's place, nothing else."""
    world = open_world("ada")
    source = record("scores", 77, scored("c", START_MS, 0.4))
    (said,) = world.give([Run("scores", (source,), START_MS)])
    assert said.id == caused_by_record(source, "AdvisorAssigned")
    assert said.assignment_id == caused_by_record(source, "assignment")


@pytest.mark.parametrize(
    ("look", "refusal"),
    [
        ({"consent": "unknown"}, "consent"),
        ({"consent": "withdrawn"}, "consent"),
        ({"is_vip": True}, "vip"),
        ({"language": "fr"}, "language"),
    ],
)
def test_rules_come_first(look, refusal):
    """A look that breaks a rule is refused by it, and leaves no trace in the price."""
    world = open_world("ada", languages=("de", "en"))
    assert world.tell(scored("c", START_MS, 0.9, **look)) == []
    assert world.counts[f"refused_{refusal}"] == 1
    assert "price/north" not in world.store.contents(0)


def test_opt_out_takes_unknown_for_granted():
    """Where consent is asked for afterwards, only withdrawal forbids."""
    world = open_world(
        "ada", policy=AssignmentPolicy(control_share=0, expected_looks=1, expected_weight_days=14, consent="opt_out")
    )
    assert whose(world.tell(scored("c", START_MS, 0.9, consent="unknown"))) == [("c", "ada", "look")]
    assert world.tell(scored("d", START_MS, 0.9, consent="withdrawn")) == []


def test_a_regional_language_is_spoken_by_who_speaks_the_language():
    """de-CH is served by de; an advisor without languages serves everybody."""
    assert Advisor("active", 1, 1, ("de", "en")).speaks("de-CH")
    assert not Advisor("active", 1, 1, ("de", "en")).speaks("fr")
    assert Advisor("active", 1, 1).speaks("fr")
    assert Advisor("active", 1, 1, ("de",)).speaks(None)


def test_the_least_loaded_advisor_is_chosen_ties_by_id():
    """Load counts in proportion to capacity."""
    world = open_world("bo", "ada")
    world.tell(roster("cy", START_MS, capacity=2, daily_intake=10))
    said = world.tell(*(scored(f"c{n}", START_MS, 0.5) for n in range(6)))
    assert [advisor for _, advisor, _ in whose(said)] == ["ada", "bo", "cy", "ada", "bo", "ada"]


def test_who_is_served_is_not_assigned_again():
    """A later look renews what the next advisor would be told, no more."""
    world = open_world("ada")
    world.tell(scored("c", START_MS, 0.4))
    assert world.tell(scored("c", START_MS + HOUR_MS, 0.8, look="order")) == []
    (ended, moved) = world.tell(roster("bo", START_MS + HOUR_MS), roster("ada", START_MS + 2 * HOUR_MS, status="left"))
    assert (ended.reason, moved.score, moved.look) == ("advisor_left", 0.8, "order")


# ---- the arm ---------------------------------------------------------------------------------------------------------------


def test_the_arm_sticks_and_has_its_share():
    """The same customer is always in the same arm of an experiment; a quarter in control means about a quarter."""
    control = [is_control("e", f"c{n}", 250_000) for n in range(4_000)]
    assert control == [is_control("e", f"c{n}", 250_000) for n in range(4_000)]
    assert sum(control) == pytest.approx(1_000, abs=100)
    assert control != [is_control("another", f"c{n}", 250_000) for n in range(4_000)]


def test_control_is_withheld_once_with_the_advisor_it_would_have_been():
    """Of the control arm one announcement is made, however often it passes; nobody is assigned."""
    world = open_world(
        "ada", policy=AssignmentPolicy(control_share=1_000_000, expected_looks=1, expected_weight_days=14)
    )
    (said,) = world.tell(scored("c", START_MS, 0.4))
    assert isinstance(said, AssignmentWithheld)
    assert (said.would_be_advisor_id, said.was_free, said.propensity) == ("ada", True, 0.0)
    assert world.tell(scored("c", START_MS + HOUR_MS, 0.9)) == []
    assert world.counts["refused_control"] == 1


def test_control_says_when_no_advisor_was_free():
    """Then it names the one whose turn it would have been."""
    policy = AssignmentPolicy(control_share=1_000_000, expected_looks=1, expected_weight_days=14)
    world = open_world("ada", policy=policy, daily_intake=1)
    world.tell(standing("w", START_MS, "wish_manual"))
    (said,) = world.tell(scored("c", START_MS, 0.4))
    assert (said.would_be_advisor_id, said.was_free) == ("ada", False)


def test_the_arm_comes_after_the_price():
    """Who does not beat the price is in no arm."""
    world = World(AssignmentPolicy(control_share=1_000_000, expected_looks=400))
    world.tell(roster("ada", START_MS, capacity=1))
    assert world.tell(scored("c", START_MS, 0.9)) == []
    assert world.counts["below_price"] == 1


# ---- places --------------------------------------------------------------------------------------------------------------------


def test_a_place_that_comes_free_goes_to_the_best_who_waits():
    """Two wait; when the first customer declines, the better one is offered the place, with its own reasons."""
    world = open_world("ada", capacity=1)
    (first,) = world.tell(scored("a", START_MS, 0.5))
    world.tell(standing("b", START_MS, "wish_manual"))
    ended, then = world.tell(contact(first, "declined"))
    assert (ended.reason, then.customer_id, then.cause, then.arm) == ("declined", "b", "manual", "none")


def test_the_queue_is_bounded_and_keeps_the_best():
    """With places for the window but none today, looks wait; beyond the limit the lowest score goes."""
    world = open_world("ada", capacity=10, daily_intake=1)
    world.tell(*(scored(f"c{n}", START_MS + HOUR_MS, score) for n, score in enumerate((0.5, 0.2, 0.9, 0.4))))
    assert world.counts["waiting"] == 3
    assert world.counts["waited_in_vain"] == 1
    said = world.tell(watermark_ms=START_MS + 3 * DAY_MS - 1)
    assert whose(said) == [("c2", "ada", "waiting"), ("c3", "ada", "waiting")]
    assert [e.occurred_at_ms // DAY_MS for e in said if isinstance(e, AdvisorAssigned)] == [20_001, 20_002]


def test_contact_not_made_in_time_frees_the_place():
    """The deadline fires when the watermark passes it; the next is offered the place at that very time."""
    world = open_world("ada", daily_intake=1)
    world.tell(scored("a", START_MS, 0.5), roster("ada", START_MS, capacity=1, daily_intake=9))
    world.tell(standing("b", START_MS, "wish_manual"))
    assert world.tell(watermark_ms=START_MS + 48 * HOUR_MS - 1) == []
    said = world.tell(watermark_ms=START_MS + 60 * HOUR_MS)
    assert ends(said) == [("a", "not_contacted")]
    assert whose(said) == [("b", "ada", "manual")]
    assert {e.occurred_at_ms for e in said} == {START_MS + 48 * HOUR_MS}


def test_contact_made_keeps_the_place_until_the_service_ends():
    """Contacted, the customer is served for 90 days, then rests as long."""
    world = open_world("ada")
    (first,) = world.tell(scored("a", START_MS, 0.5))
    assert world.tell(contact(first, "contacted")) == []
    (ended,) = world.tell(watermark_ms=START_MS + 91 * DAY_MS)
    assert (ended.reason, ended.occurred_at_ms) == ("service_ended", START_MS + 90 * DAY_MS)
    assert world.tell(scored("a", START_MS + 100 * DAY_MS, 0.9)) == []
    assert world.counts["refused_rest"] == 1
    assert whose(world.tell(scored("a", START_MS + 181 * DAY_MS, 0.9))) == [("a", "ada", "look")]


def test_capacity_below_load_sends_nobody_away():
    """Nobody has to go, nobody new comes until there is room again."""
    world = open_world("ada")
    first, _ = world.tell(scored("a", START_MS, 0.5), scored("b", START_MS, 0.5))
    assert world.tell(roster("ada", START_MS, capacity=1)) == []
    assert whose(world.tell(standing("c", START_MS, "wish_manual"))) == []
    assert whose(world.tell(contact(first, "ended"))) == []
    assert len(world.active) == 1


def test_a_paused_advisor_keeps_customers_and_gets_none():
    """Back at work, who waited gets the place."""
    world = open_world("ada")
    world.tell(scored("a", START_MS, 0.5))
    world.tell(roster("ada", START_MS, status="paused"))
    assert world.tell(standing("b", START_MS, "wish_manual")) == []
    assert whose(world.tell(roster("ada", START_MS + HOUR_MS))) == [("b", "ada", "manual")]


def test_customers_of_an_advisor_who_leaves_go_to_others_or_wait():
    """The most promising first; what is left of the service goes on, with a new deadline for the first contact."""
    world = open_world("ada")
    before = world.tell(*(scored(f"c{n}", START_MS, 0.1 * (n + 1)) for n in range(3)))
    later_ms = START_MS + 10 * HOUR_MS
    world.tell(roster("bo", START_MS, capacity=2))
    said = world.tell(roster("ada", later_ms, status="left"))
    assert ends(said) == [("c2", "advisor_left"), ("c1", "advisor_left"), ("c0", "advisor_left")]
    assert whose(said) == [("c2", "bo", "reassigned"), ("c1", "bo", "reassigned")]
    moved = said[1]
    assert moved.service_until_ms == before[2].service_until_ms
    assert moved.contact_by_ms == later_ms + 48 * HOUR_MS
    assert moved.assignment_id != before[2].assignment_id
    assert whose(world.tell(roster("cy", later_ms))) == [("c0", "cy", "reassigned")]


# ---- the standing of a customer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "reason"),
    [("consent_withdrawn", "consent_withdrawn"), ("wish_never", "never_wished"), ("erased", "erased")],
)
def test_an_assignment_ends_with_consent_by_wish_and_with_the_customer(what, reason):
    """The place comes back at once."""
    world = open_world("ada", capacity=1)
    world.tell(scored("a", START_MS, 0.5))
    world.tell(standing("b", START_MS, "wish_manual"))
    said = world.tell(standing("a", START_MS, what))
    assert ends(said) == [("a", reason)]
    assert whose(said) == [("b", "ada", "manual")]


def test_never_means_never_until_a_person_says_otherwise():
    """No look assigns; a later manual wish does."""
    world = open_world("ada")
    world.tell(standing("a", START_MS, "wish_never"))
    assert world.tell(scored("a", START_MS, 0.9)) == []
    assert whose(world.tell(standing("a", START_MS, "wish_manual"))) == [("a", "ada", "manual")]
    world.tell(standing("a", START_MS, "erased"))
    assert whose(world.tell(scored("a", START_MS, 0.9))) == [("a", "ada", "look")]


def test_an_erased_customer_leaves_nothing_behind():
    """Neither served, nor waiting, nor resting, nor in control is their name anywhere in the state."""
    control = AssignmentPolicy(control_share=1_000_000, expected_looks=1, expected_weight_days=14)
    for policy, capacity in ((POLICY, 5), (POLICY, 0), (control, 5)):
        world = open_world("ada", policy=policy, capacity=capacity)
        world.tell(scored("secret", START_MS, 0.9))
        world.tell(standing("secret", START_MS, "wish_manual"))
        assert any(b"secret" in value or "secret" in key for key, value in world.store.contents(0).items())
        world.tell(standing("secret", START_MS, "erased"))
        assert not any(b"secret" in value or "secret" in key for key, value in world.store.contents(0).items())


def test_a_wish_goes_before_price_and_arm_but_not_before_capacity():
    """Any advisor or a named one, arm none; a full named one is waited for, whoever else is free."""
    control = AssignmentPolicy(control_share=1_000_000, expected_looks=400, version="p")
    world = open_world("ada", "bo", policy=control, capacity=1)
    (said,) = world.tell(standing("a", START_MS, "wish_manual"))
    assert (said.advisor_id, said.cause, said.arm, said.propensity, said.experiment) == (
        "ada",
        "manual",
        "none",
        1.0,
        "",
    )
    assert world.tell(standing("b", START_MS, "wish_manual", advisor_id="ada")) == []
    assert whose(world.tell(roster("ada", START_MS, capacity=2))) == [("b", "ada", "manual")]


def test_a_wish_moves_a_customer_if_there_is_room():
    """With room the old assignment ends as moved; without, it stays."""
    world = open_world("ada", "bo", capacity=1)
    world.tell(scored("a", START_MS, 0.5))
    said = world.tell(standing("a", START_MS, "wish_manual", advisor_id="bo"))
    assert ends(said) == [("a", "moved_by_wish")]
    assert whose(said) == [("a", "bo", "manual")]
    assert world.tell(standing("a", START_MS, "wish_manual")) == []
    world.tell(standing("b", START_MS, "wish_manual", advisor_id="ada"))
    assert world.tell(standing("a", START_MS, "wish_manual", advisor_id="ada")) == []
    assert (world.counts["wishes_met_already"], world.counts["wishes_unmet"]) == (1, 1)


def test_a_wish_is_nothing_against_the_customers_own_will():
    """Who withdrew consent is not served by a wish either, until they grant it again."""
    world = open_world("ada")
    world.tell(standing("a", START_MS, "consent_withdrawn"))
    assert world.tell(standing("a", START_MS, "wish_manual")) == []
    assert world.counts["wishes_without_consent"] == 1
    world.tell(standing("a", START_MS, "consent_granted"))
    assert whose(world.tell(standing("a", START_MS, "wish_manual"))) == [("a", "ada", "manual")]


def test_who_becomes_vip_while_waiting_waits_no_longer():
    """Who is served already is served to the end."""
    world = open_world("ada", daily_intake=1)
    world.tell(scored("a", START_MS, 0.5), scored("b", START_MS, 0.5))
    world.tell(standing("a", START_MS, "vip_reached"), standing("b", START_MS, "vip_reached"))
    assert world.counts["waited_in_vain"] == 1
    assert set(world.active) == {"a"}


# ---- contacts --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ({"assignment_id": "stale"}, "assignment_id"),
        ({"customer_id": "nobody"}, "assignment_id"),
        ({"advisor_id": "bo"}, "advisor_id"),
    ],
)
def test_a_report_that_fits_no_assignment_is_set_aside(others, field):
    """The rejection says which field, what was expected, what came and the cure; the assignment is as it was."""
    world = open_world("ada")
    (first,) = world.tell(scored("a", START_MS, 0.5))
    assert world.tell(contact(first, "declined", **others)) == []
    rejection = world.outputs[-1]
    assert isinstance(rejection, Rejection)
    assert (rejection.fault.error, rejection.fault.field) == ("unknown_assignment", field)
    assert rejection.fault.got == others[field] if field in others else first.assignment_id
    assert rejection.fault.expected
    assert rejection.fault.cure
    assert set(world.active) == {"a"}


def test_a_report_repeated_is_ignored():
    """Also when it had ended the assignment."""
    world = open_world("ada")
    (first,) = world.tell(scored("a", START_MS, 0.5))
    assert ends(world.tell(contact(first, "declined"))) == [("a", "declined")]
    outputs = len(world.outputs)
    assert world.tell(contact(first, "declined")) == []
    assert len(world.outputs) == outputs
    assert world.counts["duplicates"] == 1


# ---- state -------------------------------------------------------------------------------------------------------------------------


def test_needs_name_pools_customers_and_time():
    """What a batch needs is known from its records alone."""
    batch = Batch(0, 0, (Run("scores", (record("scores", 0, scored("c", START_MS, 0.5)),), START_MS + 5),))
    assert needs(batch, POLICY) == Needs(
        frozenset({"watermark", "pool/north", "price/north", "customer/c", *shard_keys("north")}),
        due_by_ms=START_MS + 5,
    )


def test_a_late_record_decides_at_the_watermark():
    """No deadline lies in the past: a look from last week is acted on now."""
    world = open_world("ada")
    world.tell(watermark_ms=START_MS + 7 * DAY_MS)
    (said,) = world.tell(scored("a", START_MS, 0.5))
    assert said.occurred_at_ms == START_MS + 7 * DAY_MS


def test_a_look_below_the_price_writes_no_customer():
    """Most looks don't pass: they cost their pool's price and nothing else."""
    world = open_world("ada", policy=AssignmentPolicy(control_share=0), capacity=1)
    before = world.store.contents(0)
    world.tell(scored("c", START_MS, 0.1))
    after = world.store.contents(0)
    assert {key for key in after if after[key] != before.get(key)} == {"price/north"}


def test_services_that_were_not_loaded_stop_the_assigner():
    """A shell that forgets the companions of a due pool meets a broken promise, not an empty pool."""
    world = open_world("ada")
    world.tell(scored("a", START_MS, 0.5))
    later_ms = START_MS + 3 * DAY_MS
    forgetful = world.store.load(0, {"watermark"}, later_ms)
    assert set(forgetful.values) == {"watermark", "pool/north"}
    with pytest.raises(BrokenPromise, match="served/north"):
        assign(State(forgetful.values, {}, forgetful.due), Batch(0, 9, (Run("scores", (), later_ms),)), POLICY)


def test_who_is_served_by_another_pool_gets_no_second_advisor():
    """As after a market was moved to another pool: the old service goes on to its end."""
    world = open_world("ada")
    world.tell(roster("bo", START_MS, pool="south"), scored("a", START_MS, 0.5))
    assert world.tell(scored("a", START_MS, 0.9, pool="south")) == []
    assert world.tell(standing("a", START_MS, "wish_manual", pool="south")) == []
    assert world.counts["refused_held_elsewhere"] == 1
