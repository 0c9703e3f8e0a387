"""The daily life of an advisor programme: pauses, absences, imported relations, merged accounts, wishes taken back."""

import pytest
from msgspec import msgpack

from schemas.events import Absence, AdvisorAssigned, AssignmentEnded, AssignmentWithheld, Brief
from schemas.records import Announcement, Batch, Rejection, Retraction, Run
from streams.assignment import AssignmentPolicy, is_control, needs
from streams.assignment.places import places_until
from streams.assignment.pools import Advisor, Pool, decode_pool, encode, joined
from tests.property.assignment_worlds import (
    DAY_MS,
    HOUR_MS,
    START_MS,
    paused,
    record,
    relation,
    resumed,
    roster,
    scored,
    standing,
)
from tests.unit.test_assignment import POLICY, contact, ends, open_world, whose

CONTROL = AssignmentPolicy(version="policy", control_share=1_000_000, expected_looks=1, expected_weight_days=14)


def away(from_days, until_days):
    return Absence(from_ms=START_MS + int(from_days * DAY_MS), until_ms=START_MS + int(until_days * DAY_MS))


def merged(ended, survivor, at_ms=START_MS + HOUR_MS):
    return standing(ended, at_ms, "merged", into_customer_id=survivor)


def rejection(world):
    found = world.outputs[-1]
    assert isinstance(found, Rejection)
    return found.fault


# ---- a pool that pauses ------------------------------------------------------------------------------------------------


def test_while_a_pool_is_paused_who_passes_waits_and_the_best_are_served_first_when_it_goes_on():
    """Scores go on counting for the price; nobody is assigned by a look; at the end of the pause the queue is served in order."""
    world = open_world("ada", capacity=2)
    world.tell(paused(START_MS))
    assert world.tell(scored("low", START_MS, 0.2), scored("high", START_MS, 0.9)) == []
    said = world.tell(resumed(START_MS + HOUR_MS))
    assert whose(said) == [("high", "ada", "waiting"), ("low", "ada", "waiting")]
    assert {e.occurred_at_ms for e in said} == {START_MS + HOUR_MS}


def test_a_paused_pool_prices_looks_as_ever():
    """The same looks leave the same price, paused or not, but for the places that are waited for instead of taken."""
    prices = []
    for before in ([], [paused(START_MS)]):
        world = open_world("ada", capacity=1)
        world.tell(*before, *(scored(f"c{n}", START_MS, 0.1 * n) for n in range(8)))
        prices.append(world.store.contents(0)["price/north"])
    assert prices[0] == prices[1]


def test_in_a_paused_pool_the_control_arm_is_drawn_and_told_that_nobody_was_free():
    """So that it compares with the treated who could not be served at once either."""
    world = open_world("ada", policy=CONTROL)
    world.tell(paused(START_MS))
    (said,) = world.tell(scored("c", START_MS, 0.4))
    assert isinstance(said, AssignmentWithheld)
    assert (said.would_be_advisor_id, said.was_free) == ("ada", False)


def test_a_persons_wish_is_served_in_a_paused_pool_too():
    """The pause is for the machine. Hand-overs, reports, endings and imports go on as well."""
    world = open_world("ada", "bo")
    world.tell(paused(START_MS))
    (by_wish,) = world.tell(standing("a", START_MS, "wish_manual"))
    assert by_wish.cause == "manual"
    assert whose(world.tell(standing("a", START_MS, "wish_manual", advisor_id="bo"))) == [("a", "bo", "manual")]
    assert whose(world.tell(relation("b", "ada", START_MS))) == [("b", "ada", "imported")]
    assert ends(world.tell(contact(world.active["b"], "ended"))) == [("b", "ended_by_advisor")]


def test_customers_of_an_advisor_who_leaves_a_paused_pool_wait():
    """Giving them to somebody else is a decision of ours; it is taken when the pool goes on."""
    world = open_world("ada", "bo")
    world.tell(scored("a", START_MS, 0.5), paused(START_MS))
    assert whose(world.tell(roster("ada", START_MS, status="left"))) == []
    assert whose(world.tell(resumed(START_MS))) == [("a", "bo", "reassigned")]


def test_a_pause_told_twice_changes_nothing():
    """Nor does resuming what was not paused."""
    world = open_world("ada")
    before = world.store.contents(0)
    world.tell(resumed(START_MS))
    assert world.store.contents(0) == before


def test_a_pool_from_before_there_were_pauses_is_read_as_assigning():
    """Values written by the version before decode: what is new has its default."""
    pool = Pool(advisors={"ada": Advisor("active", 3, 2, ("de",), 7, 1, ((1, 2),))}, clock_ms=5)
    old = msgpack.decode(encode(pool))
    old[0]["ada"] = old[0]["ada"][:6]
    read = decode_pool(msgpack.encode(old[:6]))
    assert (read.status, read.relations, read.clock_ms) == ("assigning", [], 5)
    assert read.advisors["ada"] == Advisor("active", 3, 2, ("de",), 7, 1)


# ---- absences ------------------------------------------------------------------------------------------------------------


def test_in_an_absence_an_advisor_keeps_customers_and_gets_none_until_it_ends():
    """At its end, to the millisecond, who waited gets the place."""
    world = open_world("ada", absences=(away(1, 3),))
    (before,) = world.tell(scored("a", START_MS, 0.5))
    assert world.tell(contact(before, "contacted")) == []
    assert world.tell(standing("b", START_MS + DAY_MS, "wish_manual")) == []
    assert world.tell(watermark_ms=START_MS + 3 * DAY_MS - 1) == []
    (after,) = world.tell(watermark_ms=START_MS + 4 * DAY_MS)
    assert (after.customer_id, after.cause, after.occurred_at_ms) == ("b", "manual", START_MS + 3 * DAY_MS)
    assert set(world.active) == {"a", "b"}


def test_others_are_given_the_customers_meanwhile():
    """Even if they are fuller."""
    world = open_world("ada", "bo", absences=(away(0, 3),))
    world.tell(roster("bo", START_MS, capacity=10))
    assert [a for _, a, _ in whose(world.tell(*(scored(f"c{n}", START_MS, 0.5) for n in range(3))))] == ["bo"] * 3


def test_control_would_not_have_had_who_is_away():
    """Nobody was free, and it would have been nobody's turn."""
    world = open_world("ada", policy=CONTROL, absences=(away(0, 3),))
    world.tell(roster("bo", START_MS, capacity=0))
    (said,) = world.tell(scored("c", START_MS, 0.4))
    assert (said.would_be_advisor_id, said.was_free) == ("bo", False)


@pytest.mark.parametrize(
    ("absences", "places"),
    [
        ((), 10),  # 14 days at one a day, room for ten
        (((0, 14),), 0),
        (((0, 8),), 6),
        (((4, 20),), 4),
        (((3, 5), (7, 9)), 10),
        (((2, 13),), 3),
        (((2.5, 12.5),), 5),  # of the days it begins and ends on something is left
    ],
)
def test_the_plan_counts_on_nobody_who_is_away(absences, places):
    """Places until the plan ends: room for ten, one a day on the days at work."""
    spans = joined((int(f * DAY_MS), int(u * DAY_MS)) for f, u in absences)
    pool = Pool(advisors={"ada": Advisor("active", 10, 1, absences=spans)})
    assert places_until(pool, 14 * DAY_MS, 0) == places


def test_a_service_that_ends_when_its_advisor_is_away_frees_no_place_in_the_plan():
    """Unless they are back before the plan ends."""
    pool = Pool(ends={"ada": [5 * DAY_MS]})
    for until_day, places in ((14, 0), (10, 1)):
        pool.advisors["ada"] = Advisor("active", 1, 9, absences=((4 * DAY_MS, until_day * DAY_MS),))
        assert places_until(pool, 14 * DAY_MS, 0) == places


def test_whoever_waits_comes_before_who_comes_after_the_place_has_opened():
    """A look dated after midnight does not take the new day's place from the queue, though the watermark lags behind."""
    world = open_world("ada", daily_intake=1)
    world.tell(scored("first", START_MS, 0.5), scored("waits", START_MS, 0.9))
    said = world.tell(scored("late", START_MS + DAY_MS + 1, 0.6))
    assert whose(said) == [("waits", "ada", "waiting")]
    (then,) = whose(world.tell(watermark_ms=START_MS + 2 * DAY_MS))
    assert then[:2] == ("late", "ada")


# ---- relations from before -------------------------------------------------------------------------------------------------


def test_an_imported_relation_is_a_service_outside_the_experiment():
    """Cause imported, arm none, contact made, until the time given or for the usual period; nothing is due before its end."""
    world = open_world("ada", policy=CONTROL)
    until_ms = START_MS + 30 * DAY_MS
    first, second = world.tell(
        relation("a", "ada", START_MS, service_until_ms=until_ms, language="fr"), relation("b", "ada", START_MS)
    )
    assert (first.cause, first.arm, first.propensity, first.experiment) == ("imported", "none", 1.0, "")
    assert (first.contact_by_ms, first.service_until_ms, first.brief) == (0, until_ms, Brief(language="fr"))
    assert second.service_until_ms == START_MS + 90 * DAY_MS
    assert world.tell(watermark_ms=until_ms - 1) == []
    assert ends(world.tell(watermark_ms=until_ms)) == [("a", "service_ended")]


def test_an_imported_relation_takes_a_place_also_where_there_is_none():
    """It is a fact; then nobody new comes until there is room again. Neither pause nor absence nor intake stand against it."""
    world = open_world("ada", capacity=1, daily_intake=1, absences=(away(0, 1),))
    said = world.tell(*(relation(f"c{n}", "ada", START_MS) for n in range(3)))
    assert len(whose(said)) == 3
    world.tell(roster("ada", START_MS, capacity=3, daily_intake=1), standing("d", START_MS, "wish_manual"))
    assert set(world.active) == {"c0", "c1", "c2"}
    assert whose(world.tell(contact(world.active["c0"], "ended"))) == [("d", "ada", "manual")]


def test_an_imported_customer_leaves_the_queue_with_what_is_known_of_them():
    """Whoever waited does so no longer; score and reasons go along, the arm does not."""
    world = open_world("ada", daily_intake=1)
    world.tell(scored("x", START_MS, 0.5), scored("a", START_MS, 0.7))
    (said,) = world.tell(relation("a", "ada", START_MS))
    assert (said.cause, said.arm, said.score, said.brief.bought) == ("imported", "none", 0.7, ("sku",))
    assert whose(world.tell(watermark_ms=START_MS + 2 * DAY_MS)) == []


def test_a_relation_told_again_is_dropped():
    """Under the same id, or as one that holds already."""
    world = open_world("ada")
    world.tell(relation("a", "ada", START_MS))
    assert world.tell(relation("a", "ada", START_MS, relation_id="another")) == []
    world.tell(standing("a", START_MS, "erased"))
    assert world.tell(relation("a", "ada", START_MS)) == []
    assert (world.counts["relations_known"], world.counts["duplicates"]) == (1, 1)
    assert not any(isinstance(output, Rejection) for output in world.outputs)


@pytest.mark.parametrize(
    ("before", "told", "error", "field", "got"),
    [
        ((), {"advisor_id": "nobody"}, "unknown_advisor", "advisor_id", "nobody"),
        ((roster("cy", START_MS, status="left"),), {"advisor_id": "cy"}, "unknown_advisor", "advisor_id", "cy"),
        ((relation("a", "bo", START_MS),), {}, "conflict", "advisor_id", "ada"),
        ((standing("a", START_MS, "consent_withdrawn"),), {}, "conflict", "customer_id", "consent withdrawn"),
        ((standing("a", START_MS, "wish_never"),), {}, "conflict", "customer_id", "one who is never to be"),
        ((), {"service_until_ms": START_MS}, "invalid", "service_until_ms", str(START_MS)),
    ],
)
def test_a_relation_that_contradicts_what_is_known_is_set_aside(before, told, error, field, got):
    """With class, field, what was expected, what came and the cure; once mended it may come again under its id."""
    world = open_world("ada", "bo")
    world.tell(roster("cy", START_MS), *before)
    event = relation("a", **{"advisor_id": "ada", "at_ms": START_MS, "relation_id": "r1", **told})
    assert world.tell(event) == []
    fault = rejection(world)
    assert (fault.error, fault.field, fault.got) == (error, field, got)
    assert fault.expected
    assert fault.cure


def test_a_relation_whose_service_has_ended_here_is_not_begun_again():
    """As when a file is imported once more, months later."""
    world = open_world("ada")
    (said,) = world.tell(relation("a", "ada", START_MS))
    world.tell(contact(said, "declined"))
    world.tell(relation("a", "ada", START_MS + 2 * HOUR_MS, relation_id="again"))
    assert (rejection(world).error, rejection(world).field) == ("conflict", "customer_id")


def test_a_relation_in_another_pool_than_where_the_customer_is_or_waits_is_set_aside():
    """Nobody has two places, whoever confuses the pools; once they are free it is taken in."""
    for capacity in (1, 0):
        world = open_world("ada", capacity=capacity)
        world.tell(roster("bo", START_MS, pool="south"), standing("a", START_MS, "wish_manual"))
        assert world.tell(relation("a", "bo", START_MS, pool="south")) == []
        assert (rejection(world).field, rejection(world).got) == ("pool", "south")
        world.tell(standing("a", START_MS, "erased", pool="south"), standing("a", START_MS, "erased"))
        assert whose(world.tell(relation("a", "bo", START_MS, pool="south"))) == [("a", "bo", "imported")]


def test_a_relation_put_right_is_taken_in_under_the_same_id():
    """What was set aside is not remembered."""
    world = open_world("ada")
    world.tell(relation("a", "bo", START_MS))
    said = world.tell(roster("bo", START_MS), relation("a", "bo", START_MS))
    assert whose(said) == [("a", "bo", "imported")]


# ---- merged accounts -----------------------------------------------------------------------------------------------------------


def test_a_service_goes_over_to_the_account_that_goes_on():
    """The same advisor, the rest of the service, the same arm and reasons, contact as it stands; the place is never free."""
    world = open_world("ada", capacity=1)
    (before,) = world.tell(scored("former", START_MS, 0.5, id="look/1"))
    world.tell(standing("waits", START_MS, "wish_manual"), contact(before, "contacted"))
    ended, after = world.tell(merged("former", "new"))
    assert (ended.customer_id, ended.reason) == ("former", "merged")
    assert (after.customer_id, after.advisor_id, after.cause, after.arm) == ("new", "ada", "merged", "treatment")
    assert (after.service_until_ms, after.look_id, after.contact_by_ms) == (before.service_until_ms, before.look_id, 0)
    assert after.assignment_id != before.assignment_id
    assert not any(b"former" in value or "former" in key for key, value in world.store.contents(0).items())


def test_contact_that_is_still_due_stays_due():
    """No new deadline begins."""
    world = open_world("ada")
    (before,) = world.tell(scored("former", START_MS, 0.5))
    _, after = world.tell(merged("former", "new"))
    assert after.contact_by_ms == before.contact_by_ms
    assert ends(world.tell(watermark_ms=before.contact_by_ms)) == [("new", "not_contacted")]


@pytest.mark.parametrize("what", ["served", "wish_never", "consent_withdrawn"])
def test_nothing_goes_over_to_who_is_served_or_must_not_be(what):
    """The service of the account that ended is over, and the place goes to who waits."""
    world = open_world("ada", "bo", capacity=1)
    world.tell(scored("former", START_MS, 0.5))
    world.tell(scored("new", START_MS, 0.6) if what == "served" else standing("new", START_MS, what))
    world.tell(roster("bo", START_MS, capacity=1), standing("w", START_MS, "wish_manual", advisor_id="ada"))
    said = world.tell(merged("former", "new"))
    assert ends(said) == [("former", "merged")]
    assert whose(said) == [("w", "ada", "manual")]


def test_neither_arm_nor_rest_part_a_customer_and_their_advisor():
    """A survivor in control or at rest goes on with the other account's advisor; afterwards they are in control still."""
    halves = AssignmentPolicy(
        version="policy", control_share=500_000, expected_looks=1, expected_weight_days=14, rest_days=0
    )
    names = [f"c{n}" for n in range(40)]
    treated = next(name for name in names if not is_control("advisors", name, 500_000))
    control = next(name for name in names if is_control("advisors", name, 500_000))
    world = open_world("ada", policy=halves)
    world.tell(scored(treated, START_MS, 0.5), scored(control, START_MS, 0.5))
    _, after = world.tell(merged(treated, control))
    assert (after.customer_id, after.cause) == (control, "merged")
    world.tell(contact(after, "ended"))
    assert world.tell(scored(control, START_MS + DAY_MS, 0.9)) == []
    assert world.counts["refused_control"] == 1


def test_a_wish_that_waits_in_vain_does_not_end_a_rest():
    """It goes before rest while it lasts; afterwards no look assigns them, as before. So also after a merge."""
    for who in ("former", "new"):
        world = open_world("ada", capacity=2)
        (first,) = world.tell(scored("former", START_MS, 0.9))
        world.tell(contact(first, "declined"))
        world.tell(standing("former", START_MS, "wish_manual", advisor_id="bo"))
        if who == "new":
            world.tell(merged("former", "new"))
        assert world.tell(watermark_ms=START_MS + POLICY.waiting_ms + DAY_MS) == []
        assert world.counts["waited_in_vain"] == 1
        assert world.tell(scored(who, START_MS + 10 * DAY_MS, 0.9)) == []
        assert world.counts["refused_rest"] == 1


def test_a_full_queue_turns_nobody_away_for_whom_a_place_has_opened():
    """A day begins with a look that has to wait its turn: who waited overnight is not dropped for it, but served."""
    world = open_world(
        "ada",
        capacity=9,
        daily_intake=2,
        policy=AssignmentPolicy(waiting_limit=1, control_share=0, expected_looks=1, expected_weight_days=14),
    )
    world.tell(*(scored(who, START_MS, 0.5) for who in "abc"))
    assert world.counts["waiting"] == 1
    assert whose(world.tell(scored("d", START_MS + DAY_MS, 0.7))) == [("d", "ada", "waiting"), ("c", "ada", "waiting")]


def test_a_hand_over_changes_nothing_where_the_room_that_opened_is_anothers():
    """Bo's place of the new day is for who waited for it overnight; the customer keeps the advisor they have."""
    world = open_world(
        "ada", capacity=1, policy=AssignmentPolicy(control_share=0, expected_looks=1, expected_weight_days=14)
    )
    world.tell(roster("bo", START_MS, capacity=9, daily_intake=1))
    for who, advisor in (("hers", "ada"), ("today", "bo")):
        world.tell(standing(who, START_MS, "wish_manual", advisor_id=advisor))
    world.tell(scored("waits", START_MS, 0.9), standing("waits", START_MS, "wish_manual", advisor_id="bo"))
    said = world.tell(standing("hers", START_MS + DAY_MS, "wish_manual", advisor_id="bo"))
    assert whose(said) == [("waits", "bo", "manual")]
    assert world.counts["wishes_unmet"] == 1


def test_a_place_in_the_queue_goes_over():
    """With its rank and score; of two places the first in line is kept."""
    world = open_world("ada", daily_intake=1)
    world.tell(scored("x", START_MS, 0.5), scored("former", START_MS, 0.7), scored("new", START_MS, 0.6))
    assert world.tell(merged("former", "new")) == []
    (said,) = world.tell(watermark_ms=START_MS + DAY_MS)
    assert (said.customer_id, said.score) == ("new", 0.7)


def test_what_keeps_one_account_from_being_assigned_keeps_the_other():
    """The control arm sticks to the person; a survivor who waits by a look waits no longer."""
    for before, refusal in (("control", "control"), ("wish_never", "never"), ("declined", "rest")):
        world = open_world("ada", policy=CONTROL if before == "control" else POLICY)
        first = world.tell(
            standing("former", START_MS, before) if "wish" in before else scored("former", START_MS, 0.5)
        )
        if before == "declined":
            world.tell(contact(first[0], "declined"))
        if before != "control":
            world.tell(roster("ada", START_MS, capacity=9, daily_intake=1, absences=(away(0, 9),)))
            world.tell(scored("new", START_MS, 0.9))
        world.policy = POLICY
        world.tell(merged("former", "new", START_MS + 2 * HOUR_MS))
        assert world.tell(scored("new", START_MS + DAY_MS, 0.9)) == []
        assert world.counts[f"refused_{refusal}"] == 1
        assert whose(world.tell(watermark_ms=START_MS + 12 * DAY_MS)) == []


def test_needs_name_the_account_that_goes_on():
    """Its memory decides whether anything goes over."""
    batch = Batch(0, 0, (Run("scores", (record("scores", 0, merged("former", "new")),), START_MS),))
    assert {"customer/former", "customer/new"} <= needs(batch, POLICY).keys


# ---- wishes ------------------------------------------------------------------------------------------------------------------------


def test_a_wish_taken_back_leaves_the_queue_and_the_model_decides_again():
    """A "never" is forgotten; a service under way goes on."""
    world = open_world("ada", capacity=1)
    world.tell(standing("served", START_MS, "wish_manual"), standing("waits", START_MS, "wish_manual"))
    world.tell(*(standing(name, START_MS, "wish_lifted") for name in ("served", "waits")))
    assert set(world.active) == {"served"}
    assert whose(world.tell(roster("ada", START_MS, capacity=5, daily_intake=5))) == []
    assert whose(world.tell(scored("waits", START_MS, 0.5))) == [("waits", "ada", "look")]
    world.tell(standing("shy", START_MS, "wish_never"), standing("shy", START_MS, "wish_lifted"))
    assert whose(world.tell(scored("shy", START_MS, 0.5))) == [("shy", "ada", "look")]


def test_a_wish_for_somebody_unknown_here_tells_the_advisor_what_the_scorer_knows():
    """The brief of the standing; who waits or is served has one of their own."""
    world = open_world("ada")
    brief = Brief(bought=("coat",), orders=3, language="fr")
    (said,) = world.tell(standing("a", START_MS, "wish_manual", brief=brief))
    assert said.brief == brief


# ---- the next best -------------------------------------------------------------------------------------------------------------------


def test_a_declined_place_is_offered_to_the_next_best_not_to_the_same_customer():
    """Who declined rests; no look brings them back at once."""
    world = open_world("ada", daily_intake=9, capacity=1)
    (first,) = world.tell(scored("a", START_MS, 0.9))
    world.tell(roster("ada", START_MS, capacity=2, daily_intake=1), scored("b", START_MS, 0.5))
    world.tell(roster("ada", START_MS, capacity=2, daily_intake=9))
    said = world.tell(contact(first, "declined"))
    assert ends(said) == [("a", "declined")]
    assert whose(world.tell(scored("a", START_MS + 2 * HOUR_MS, 0.9))) == []
    assert world.counts["refused_rest"] == 1


def test_an_uncontacted_place_is_offered_to_the_next_best_and_not_to_the_same_customer():
    """The deadline passes: the place goes to who waits, or stays free; only a later look may bring the customer back."""
    world = open_world("ada")
    world.tell(scored("a", START_MS, 0.9))
    said = world.tell(watermark_ms=START_MS + 49 * HOUR_MS)
    assert (ends(said), whose(said)) == ([("a", "not_contacted")], [])
    assert whose(world.tell(watermark_ms=START_MS + 5 * DAY_MS)) == []
    assert whose(world.tell(scored("a", START_MS + 6 * DAY_MS, 0.9))) == [("a", "ada", "look")]


# ---- who is served now -------------------------------------------------------------------------------------------------------------------


def test_current_assignments_hold_the_last_word_and_a_tombstone_names_what_ended_it():
    """Each AdvisorAssigned once more, then a tombstone that names the AssignmentEnded; what is withheld is not there."""
    world = open_world("ada")
    (first,) = world.tell(scored("a", START_MS, 0.5))
    (ended,) = world.tell(contact(first, "ended"))
    assert isinstance(first, AdvisorAssigned)
    assert isinstance(ended, AssignmentEnded)
    current = [output for output in world.outputs if getattr(output, "topic", "") == "current-assignments"]
    assert current == [
        Announcement("current-assignments", "a", first),
        Retraction("current-assignments", "a", ended.id),
    ]
