"""Two accounts, one customer: what ends, what goes on, what follows later, and what is refused."""

import msgspec
import pytest
from msgspec.structs import replace

from features.profile import GRANTED, WITHDRAWN, net_spend, orders_count
from schemas.events import (
    AdvisorAssigned,
    AssignmentEnded,
    AssignmentWished,
    AssignmentWithheld,
    Brief,
    ConsentChanged,
    CustomerScored,
    CustomersMerged,
    CustomerStanding,
    ErasureRequested,
    EventForwarded,
    ExampleReady,
    ItemsReturned,
    OrderLine,
    OrderPlaced,
    PageBrowsed,
    ProfileMoved,
    ReturnLine,
    TierChanged,
)
from schemas.ids import partition_of
from streams.scoring.accounts import TOO_LARGE_TO_FORWARD
from tests.property.histories import DAY_MS, START_MS
from tests.property.many_accounts import Scorers

NAMES = [f"c{n}" for n in range(20)]
OLD = next(name for name in NAMES if partition_of(name, 2) == 0)
KEPT, THIRD = [name for name in NAMES if partition_of(name, 2) == 1][:2]
DAY = START_MS + 10 * DAY_MS


def order(who=OLD, day=0, minor=10_000, order_id=None, **fields):
    line = OrderLine(sku="bag", quantity=1, unit_price_minor=minor)
    given = {"order_id": order_id or f"o{day}{who}", "market": "DE", "currency": "EUR", "lines": (line,), **fields}
    return OrderPlaced(occurred_at_ms=DAY + int(day * DAY_MS), customer_id=who, **given)


def sent_back(who=OLD, day=0, minor=1_000):
    line = ReturnLine(sku="bag", quantity=1, refund_minor=minor)
    at_ms = DAY + day * DAY_MS
    return ItemsReturned(return_id=f"r{day}{who}", occurred_at_ms=at_ms, currency="EUR", customer_id=who, lines=(line,))


def merge(ended=OLD, into=KEPT, day=20, merge_id="m1"):
    at_ms = DAY + day * DAY_MS
    return CustomersMerged(merge_id=merge_id, customer_id=ended, into_customer_id=into, occurred_at_ms=at_ms)


def wish(kind, who=OLD, day=1, advisor=None):
    at_ms = DAY + day * DAY_MS
    return AssignmentWished(wish_id="w", customer_id=who, occurred_at_ms=at_ms, wish=kind, advisor_id=advisor)


def consent(granted, who=OLD, day=1):
    return ConsentChanged(customer_id=who, occurred_at_ms=DAY + day * DAY_MS, granted=granted)


def erasure(who=OLD, day=30):
    return ErasureRequested(customer_id=who, occurred_at_ms=DAY + day * DAY_MS)


def step(who=OLD, day=0, event_id="e1", **fields):
    return PageBrowsed(event_id=event_id, occurred_at_ms=DAY + day * DAY_MS, customer_id=who, **fields)


def assigned(who=OLD, arm="treatment", name="a1", day=2):
    return AdvisorAssigned(
        id=name, assignment_id=name, customer_id=who, advisor_id="x", pool="main", occurred_at_ms=DAY + day * DAY_MS,
        cause="look", arm=arm, propensity=0.9, experiment="first", score=0.5, threshold=0.4, look="first",
        look_id="l", reasons=(), brief=Brief(), recommended_channel="email", contact_by_ms=0, service_until_ms=0,
        model_version="m", policy_version="p",
    )  # fmt: skip


def withheld(who=OLD, day=2):
    return AssignmentWithheld(
        id="w1", assignment_id="w1", customer_id=who, pool="main", occurred_at_ms=DAY + day * DAY_MS, propensity=0.9,
        experiment="first", score=0.5, threshold=0.4, look="first", look_id="l", would_be_advisor_id=None, was_free=False,
        reasons=(), model_version="m", policy_version="p",
    )  # fmt: skip


@pytest.fixture
def scorers():
    return Scorers()


@pytest.fixture
def both(scorers):
    """Both accounts have bought; the one that goes on a day later."""
    scorers.tell("orders", order(OLD), order(KEPT, 1))
    return scorers


# ---- the merge itself ------------------------------------------------------------------------------------------------


def test_of_the_ended_account_only_where_it_went_is_kept(both):
    both.tell("privacy", merge())
    assert both.account(OLD) == KEPT
    assert not both.has_looks(OLD)
    assert both.counts["merges"] == 1
    (standing,) = [event for event in both.heard(CustomerStanding, OLD) if event.standing == "merged"]
    assert (standing.into_customer_id, standing.pool) == (KEPT, "main")
    assert [type(event) for event in both.sent] == [ProfileMoved]


def test_what_both_bought_returned_and_browsed_adds_up(both):
    both.tell("orders", order(OLD, 2, 7_000), order(KEPT, 3, 5_000))
    both.tell("returns", sent_back(OLD, 4), sent_back(KEPT, 5))
    both.tell("browse", step(OLD, 6), step(KEPT, 7, "e2"))
    both.tell("privacy", merge())
    profile, now_ms = both.profile(KEPT), DAY + 20 * DAY_MS
    assert orders_count(profile, now_ms, "lifetime") == 4
    assert net_spend(profile, now_ms, "365d") == 10_000 + 10_000 + 7_000 + 5_000 - 2_000
    assert profile.browse.read(now_ms, "30d")[0] == 2
    assert profile.merged == [OLD]


def test_the_earlier_first_purchase_stands_and_its_owner_is_not_new_at_the_later_one(both):
    """What was looked at as a new customer wasn't one: no more looks, no examples."""
    looks = len(both.heard(CustomerScored, KEPT))
    both.tell("privacy", merge(day=2))
    profile = both.profile(KEPT)
    assert profile.first_purchase is not None
    assert (profile.first_purchase.at_ms, profile.is_new, profile.market) == (DAY, False, "DE")
    assert profile.outcomes == [10_000, 10_000]
    assert not both.has_looks(KEPT)
    both.tell("orders", order(KEPT, 3))
    both.pass_time(DAY + 300 * DAY_MS)
    assert len(both.heard(CustomerScored, KEPT)) == looks == 1
    assert both.heard(ExampleReady) == []


def test_a_customer_who_was_first_is_looked_at_on_but_gives_no_example(scorers):
    """Looks were taken knowing one account, and the outcome would count both."""
    scorers.tell("orders", order(KEPT), order(OLD, 1, 5_000))
    scorers.tell("privacy", merge(day=2))
    profile = scorers.profile(KEPT)
    assert profile.is_new
    assert profile.outcomes == [5_000, 5_000]
    scorers.pass_time(DAY + 31 * DAY_MS)
    assert [look.look for look in scorers.heard(CustomerScored, KEPT)] == ["first", "day_7", "day_14", "day_30"]
    assert scorers.has_looks(KEPT)
    scorers.pass_time(DAY + 300 * DAY_MS)
    assert scorers.heard(ExampleReady) == []
    assert not scorers.has_looks(KEPT)


def test_who_never_bought_takes_over_the_first_purchase_without_a_look(scorers):
    scorers.tell("orders", order(OLD))
    scorers.tell("browse", step(KEPT, 1))
    scorers.tell("privacy", merge(day=2))
    profile = scorers.profile(KEPT)
    assert (profile.market, profile.is_new, profile.looks) == ("DE", False, 0)
    assert scorers.heard(CustomerScored, KEPT) == []


def test_accounts_merged_before_anything_was_bought_are_a_customer_like_any_other(scorers):
    """The first purchase comes after the merge: looks are taken, examples given."""
    scorers.tell("browse", step(OLD), step(KEPT, 0, "e2"))
    scorers.tell("privacy", merge(day=1))
    scorers.tell("orders", order(KEPT, 2))
    scorers.pass_time(DAY + 300 * DAY_MS)
    assert {example.look for example in scorers.heard(ExampleReady, KEPT)} == {"first", "day_7", "day_14", "day_30"}


def test_tiers_are_reviewed_on_the_spend_of_both(scorers):
    scorers.tell("orders", order(OLD, 0, 11_000), order(KEPT, 1, 11_000))
    assert scorers.heard(TierChanged) == []
    scorers.tell("privacy", merge())
    (change,) = scorers.heard(TierChanged)
    assert (change.customer_id, change.change, change.tier, change.qualifying_minor) == (
        KEPT, "reached", "silver", 22_000,
    )  # fmt: skip
    assert change.occurred_at_ms == DAY + 20 * DAY_MS


def test_a_vip_stays_one_under_the_other_account_and_the_assigner_is_told(both):
    both.tell("orders", order(OLD, 2, 40_000))
    both.tell("privacy", merge())
    assert both.profile(KEPT).vip_at_ms == DAY + 2 * DAY_MS
    assert both.standings(KEPT) == ["vip_reached"]


def test_spend_of_both_may_make_a_vip(scorers):
    scorers.tell("orders", order(KEPT), order(OLD, 1, 31_000))
    assert scorers.standings(OLD) == []
    scorers.tell("privacy", merge())
    assert scorers.standings(KEPT) == ["vip_reached"]


@pytest.mark.parametrize(
    ("ended", "own", "after", "told"),
    [
        (False, True, WITHDRAWN, ["consent_granted", "consent_withdrawn"]),
        (True, False, WITHDRAWN, ["consent_withdrawn"]),
        (True, None, GRANTED, ["consent_granted"]),
        (None, True, GRANTED, ["consent_granted"]),
    ],
)
def test_consent_withdrawn_under_either_is_withdrawn(both, ended, own, after, told):
    for who, granted in ((OLD, ended), (KEPT, own)):
        if granted is not None:
            both.tell("privacy", consent(granted, who))
    both.tell("privacy", merge())
    assert both.profile(KEPT).consent == after
    assert both.standings(KEPT) == told


def test_what_was_said_before_the_customer_was_known_to_the_assigner_is_told_with_the_market(scorers):
    scorers.tell("orders", order(OLD))
    scorers.tell("privacy", consent(granted=False, who=KEPT), wish("manual", KEPT, advisor="x"))
    assert scorers.standings(KEPT) == []
    scorers.tell("privacy", merge())
    assert scorers.standings(KEPT) == ["consent_withdrawn", "wish_manual"]


@pytest.mark.parametrize(("ended", "own"), [("never", "manual"), ("manual", "never"), ("never", None)])
def test_never_means_never(both, ended, own):
    for who, kind in ((OLD, ended), (KEPT, own)):
        if kind:
            both.tell("privacy", wish(kind, who, advisor="x" if kind == "manual" else None))
    both.tell("privacy", merge())
    assert (both.profile(KEPT).wish, both.profile(KEPT).wish_advisor) == ("never", None)
    assert both.standings(KEPT)[-1] == "wish_never"


def test_a_wish_that_was_told_is_the_assigners_business_and_one_that_was_not_moves_along(scorers):
    scorers.tell("privacy", wish("manual", OLD, advisor="x"))
    scorers.tell("orders", order(KEPT))
    scorers.tell("privacy", merge())
    (standing,) = scorers.heard(CustomerStanding, KEPT)
    assert (standing.standing, standing.advisor_id) == ("wish_manual", "x")
    told = Scorers()
    told.tell("orders", order(OLD), order(KEPT))
    told.tell("privacy", wish("manual", OLD, advisor="x"), merge())
    assert told.standings(KEPT) == []
    assert told.profile(KEPT).wish == ""


@pytest.mark.parametrize(
    ("ended", "own", "kept"),
    [("treatment", "none", "a1"), ("none", "treatment", "a2"), ("treatment", "treatment", "a2"), ("none", None, "a1")],
)
def test_a_treatment_is_kept_over_a_lesser_one_and_the_own_one_over_its_equal(both, ended, own, kept):
    both.tell("assignments", assigned(OLD, ended, "a1"))
    if own:
        both.tell("assignments", assigned(KEPT, own, "a2"))
    both.tell("privacy", merge())
    treatment = both.profile(KEPT).treatment
    assert treatment is not None
    assert treatment.assignment_id == kept


# ---- what comes later --------------------------------------------------------------------------------------------------


def test_later_orders_returns_and_browsing_follow(both):
    """Counted under the account that goes on, as they came; the topics of the shop get no copies."""
    both.tell("privacy", merge())
    both.tell("orders", order(OLD, 21, 3_000))
    both.tell("returns", sent_back(OLD, 22, 500))
    both.tell("browse", step(OLD, 23))
    profile, now_ms = both.profile(KEPT), DAY + 24 * DAY_MS
    assert net_spend(profile, now_ms, "30d") == 22_500
    assert profile.browse.read(now_ms, "1d")[0] == 1
    assert both.counts["forwarded"] == 3
    assert both.account(OLD) == KEPT
    forwarded = [event for event in both.sent if isinstance(event, EventForwarded)]
    assert {(event.customer_id, event.from_customer_id) for event in forwarded} == {(KEPT, OLD)}
    assert msgspec.json.decode(forwarded[0].event)["customer_id"] == OLD


def test_a_repetition_is_known_across_the_merge_and_other_content_is_a_conflict(both):
    both.tell("privacy", merge())
    both.tell("orders", order(OLD), order(OLD, minor=99))
    assert orders_count(both.profile(KEPT), DAY + 20 * DAY_MS, "lifetime") == 2
    assert both.counts["duplicates"] == 1
    assert [rejection.fault.error for rejection in both.rejected] == ["conflict"]


@pytest.mark.parametrize("visitor", ["v0", "v1", "v2", "v3"])
def test_an_order_brings_its_visitor_along(both, visitor):
    """Wherever that visitor is kept."""
    both.tell("privacy", merge())
    seen = PageBrowsed(event_id="b", occurred_at_ms=DAY + 21 * DAY_MS, visitor_id=visitor)
    both.tell("browse", seen)
    both.tell("orders", order(OLD, 22, visitor_id=visitor))
    assert both.profile(KEPT).browse.read(DAY + 23 * DAY_MS, "7d")[0] == 1


def test_nothing_overtakes_the_profile(scorers):
    """An order that comes right after the merge is no first purchase, however slow the other partition is."""
    scorers.tell("orders", order(OLD))
    scorers.publish("privacy", merge())
    scorers.publish("orders", order(OLD, 19))
    while scorers.step(partition_of(OLD, 2)):
        pass
    scorers.settle()
    assert len(scorers.heard(CustomerScored)) == 1
    assert orders_count(scorers.profile(KEPT), DAY + 20 * DAY_MS, "lifetime") == 2


def test_consent_wishes_and_treatment_follow(both):
    both.tell("privacy", merge(), consent(granted=False, day=21), wish("never", day=22))
    both.tell("assignments", assigned(OLD, day=22))
    profile = both.profile(KEPT)
    assert (profile.consent, profile.wish) == (WITHDRAWN, "never")
    assert profile.treatment is not None
    assert both.standings(KEPT) == ["consent_withdrawn", "wish_never"]


def test_the_end_of_an_assignment_says_nothing_of_a_profile(both):
    both.tell("privacy", merge())
    ended = AssignmentEnded(
        id="e", assignment_id="a", customer_id=OLD, advisor_id="x", pool="main", occurred_at_ms=DAY, reason="merged"
    )
    both.tell("assignments", ended)
    assert both.counts["forwarded"] == 0


def test_an_event_too_large_to_forward_is_rejected(both):
    both.tell("privacy", merge())
    line = OrderLine(sku="s" * 128, quantity=1, unit_price_minor=1, category="c" * 256)
    both.tell("orders", order(OLD, 21, lines=(line,) * 3_000))
    assert [rejection.fault for rejection in both.rejected] == [TOO_LARGE_TO_FORWARD]


def test_an_account_nothing_is_known_of_is_merged_too(scorers):
    scorers.tell("privacy", merge())
    assert scorers.standings(OLD) == []
    scorers.tell("orders", order(OLD, 21))
    assert [look.customer_id for look in scorers.heard(CustomerScored)] == [KEPT]


# ---- more than one merge -----------------------------------------------------------------------------------------------


def test_merges_form_chains(both):
    both.tell("orders", order(THIRD, 2))
    both.tell("privacy", merge(), merge(KEPT, THIRD, 21, "m2"))
    both.tell("orders", order(OLD, 22))
    assert (both.account(OLD), both.account(KEPT)) == (KEPT, THIRD)
    assert orders_count(both.profile(THIRD), DAY + 23 * DAY_MS, "lifetime") == 4
    assert both.profile(THIRD).merged == [KEPT, OLD]


def test_a_merge_repeated_counts_once(both):
    both.tell("privacy", merge(), merge(), merge(merge_id="m2"))
    assert both.counts["duplicates"] == 2
    assert orders_count(both.profile(KEPT), DAY + 23 * DAY_MS, "lifetime") == 2
    assert both.rejected == []


def test_an_account_ends_once(both):
    both.tell("privacy", merge(), merge(OLD, THIRD))
    (rejection,) = both.rejected
    assert (rejection.fault.error, rejection.fault.field, rejection.fault.got) == (
        "conflict",
        "into_customer_id",
        THIRD,
    )
    assert both.account(OLD) == KEPT


@pytest.mark.parametrize("ends", [KEPT, THIRD])
def test_a_merge_back_is_refused(both, ends):
    """Of two accounts, and of three."""
    both.tell("privacy", merge())
    if ends == THIRD:
        both.tell("privacy", merge(KEPT, THIRD))
    both.tell("privacy", merge(ends, OLD))
    (rejection,) = both.rejected
    assert (rejection.fault.error, rejection.fault.got) == ("conflict", OLD)
    assert orders_count(both.profile(ends), DAY + 23 * DAY_MS, "lifetime") == 2


@pytest.mark.parametrize("circle", [(OLD, KEPT), (KEPT, OLD), (OLD, KEPT, THIRD), (THIRD, KEPT, OLD)])
def test_of_merges_in_a_circle_that_were_published_at_once_the_least_id_goes_on(both, circle):
    """None knows of the others, and all say the same: that it is one person. Nothing goes round for ever."""
    for ended, into in zip(circle, (*circle[1:], circle[0]), strict=True):
        both.publish("privacy", merge(ended, into))
    both.publish("orders", order(KEPT, 21))
    both.settle()
    assert both.counts["circles"] == 1
    assert orders_count(both.profile(min(circle)), DAY + 23 * DAY_MS, "lifetime") == 3
    assert {*both.profile(min(circle)).merged} == set(circle) - {min(circle)}
    assert all(isinstance(both.account(who), str) for who in set(circle) - {min(circle)})


def test_who_was_merged_into_a_circle_goes_where_it_leads(both):
    """An order under the first, and an erasure, find the one that goes on."""
    for ended, into in ((THIRD, KEPT), (KEPT, OLD), (OLD, KEPT)):
        both.publish("privacy", merge(ended, into))
    both.settle()
    both.tell("orders", order(THIRD, 21))
    assert orders_count(both.profile(min(OLD, KEPT)), DAY + 23 * DAY_MS, "lifetime") == 3
    both.tell("privacy", erasure(THIRD))
    assert [both.account(who) for who in (OLD, KEPT, THIRD)] == [None, None, None]


# ---- erasure -----------------------------------------------------------------------------------------------------------


def test_an_erasure_under_the_old_id_erases_the_person(both):
    both.tell("privacy", merge(), erasure(OLD))
    assert both.account(OLD) is both.account(KEPT) is None
    assert both.standings(KEPT) == ["erased"]


def test_an_erasure_of_who_goes_on_takes_all_notes_along(both):
    both.tell("privacy", merge(), merge(KEPT, THIRD), erasure(THIRD))
    assert [both.account(who) for who in (OLD, KEPT, THIRD)] == [None, None, None]
    both.tell("orders", order(OLD, 40))
    assert orders_count(both.profile(OLD), DAY + 41 * DAY_MS, "lifetime") == 1


def test_an_erasure_on_its_way_back_does_not_touch_who_came_anew(both):
    both.tell("privacy", merge())
    back = EventForwarded(
        id="f", customer_id=THIRD, from_customer_id=KEPT, occurred_at_ms=DAY,
        event=msgspec.json.encode(erasure(THIRD)).decode(),
    )  # fmt: skip
    both.tell("orders", order(THIRD, 31))
    both.tell("privacy", back)
    assert orders_count(both.profile(THIRD), DAY + 41 * DAY_MS, "lifetime") == 1


# ---- wishes --------------------------------------------------------------------------------------------------------------


def test_a_wish_is_lifted(both):
    both.tell("privacy", wish("never"), wish("lifted", day=2))
    assert (both.profile(OLD).wish, both.profile(OLD).wish_advisor) == ("", None)
    assert both.standings(OLD) == ["wish_never", "wish_lifted"]


def test_a_wish_for_an_advisor_comes_with_a_brief(both):
    both.tell("privacy", wish("manual", advisor="x"))
    (standing,) = both.heard(CustomerStanding, OLD)
    assert standing.brief is not None
    assert (standing.advisor_id, standing.brief.bought, standing.brief.first_order_minor) == ("x", ("bag",), 10_000)


def test_a_wish_told_with_the_first_purchase_has_the_brief_of_it(scorers):
    scorers.tell("privacy", wish("manual", day=-1))
    scorers.tell("orders", order(OLD))
    (standing,) = scorers.heard(CustomerStanding, OLD)
    assert standing.brief is not None
    assert standing.brief.bought == ("bag",)


def test_a_brief_is_given_when_the_looks_have_served(both):
    both.pass_time(DAY + 300 * DAY_MS)
    both.tell("privacy", wish("manual", day=301))
    (standing,) = both.heard(CustomerStanding, OLD)
    assert standing.brief is not None
    assert (standing.brief.bought, standing.brief.orders) == ((), 1)


# ---- relations that were imported --------------------------------------------------------------------------------------


def test_who_is_served_since_before_anything_was_bought_is_heard_by_the_pool_that_serves(scorers):
    """Consent withdrawn ends an imported relation, though no order has told a market; so do erasure and a merge."""
    scorers.tell("assignments", replace(assigned(OLD, "none"), cause="imported", pool="imported"))
    scorers.tell("privacy", consent(granted=False), merge())
    heard = scorers.heard(CustomerStanding, OLD)
    assert [(event.standing, event.pool) for event in heard] == [
        ("consent_withdrawn", "imported"), ("merged", "imported"),
    ]  # fmt: skip
    assert scorers.standings(KEPT) == ["consent_withdrawn"]


def test_who_is_served_in_another_pool_than_their_markets_is_heard_by_both(both):
    both.tell("assignments", replace(assigned(OLD, "none"), cause="imported", pool="imported"))
    both.tell("privacy", consent(granted=False, day=3), wish("manual", day=4))
    heard = [(event.standing, event.pool) for event in both.heard(CustomerStanding, OLD)]
    assert heard == [("consent_withdrawn", "main"), ("consent_withdrawn", "imported"), ("wish_manual", "main")]
    assert len({event.id for event in both.heard(CustomerStanding, OLD)}) == 3


def test_a_relation_imported_under_an_account_that_has_ended_is_told_where_it_went(both):
    both.tell("privacy", merge())
    both.tell("assignments", replace(assigned(OLD, "none", day=22), cause="imported", pool="imported"))
    told = both.heard(CustomerStanding, OLD)[-1]
    assert (told.standing, told.pool, told.into_customer_id) == ("merged", "imported", KEPT)


# ---- every pool that may serve a customer hears of their will ------------------------------------------------------------


def heard_by(scorers, who, since=0):
    return [(event.standing, event.pool) for event in scorers.heard(CustomerStanding, who)[since:]]


def imported(who=OLD, pool="imported", day=2):
    return replace(assigned(who, "none", day=day), cause="imported", pool=pool)


@pytest.mark.parametrize("later", [assigned(KEPT, "treatment", "a2", 5), withheld(KEPT, 5)])
@pytest.mark.parametrize("imported_first", [True, False])
def test_a_pool_that_decided_once_is_told_of_consent_and_erasure_whatever_another_decides(both, later, imported_first):
    first, second = (imported(KEPT), later) if imported_first else (later, imported(KEPT))
    both.tell("assignments", first, second)
    both.tell("privacy", consent(granted=False, who=KEPT, day=6), erasure(KEPT))
    assert sorted(heard_by(both, KEPT)) == [
        ("consent_withdrawn", "imported"), ("consent_withdrawn", "main"), ("erased", "imported"), ("erased", "main"),
    ]  # fmt: skip


@pytest.mark.parametrize("refusal", [consent(granted=False), wish("never")])
def test_a_pool_that_takes_over_a_relation_is_told_what_it_could_not_know(scorers, refusal):
    """Who withdrew consent before anything was bought has no pool yet; the one that imports a relation must end it."""
    scorers.tell("privacy", refusal)
    scorers.tell("assignments", imported(), imported(day=3))
    word = "wish_never" if isinstance(refusal, AssignmentWished) else "consent_withdrawn"
    assert heard_by(scorers, OLD) == [(word, "imported")]


def test_consent_withdrawn_before_the_first_purchase_is_told_before_any_wish(scorers):
    """Or a person's wish, which asks for no look, would be served against the customer's will."""
    scorers.tell("privacy", consent(granted=False), wish("manual"))
    scorers.tell("orders", order(OLD, 2))
    assert heard_by(scorers, OLD) == [("consent_withdrawn", "main"), ("wish_manual", "main")]


def test_the_pools_of_an_account_that_ended_hear_of_the_one_that_goes_on(both):
    both.tell("assignments", imported(OLD), withheld(KEPT))
    both.tell("privacy", consent(granted=False, who=KEPT, day=3))
    already = len(both.heard(CustomerStanding, KEPT))
    both.tell("privacy", merge(), erasure(KEPT))
    assert heard_by(both, KEPT, already) == [
        ("consent_withdrawn", "main"), ("consent_withdrawn", "imported"), ("erased", "main"), ("erased", "imported"),
    ]  # fmt: skip


def test_a_pool_that_made_an_ended_account_the_heir_hears_where_that_went(scorers):
    """Told of a merge of KEPT before that of OLD into it, the pool would serve an account that is nobody's any more."""
    scorers.tell("orders", order(OLD))
    scorers.tell("privacy", merge(KEPT, THIRD), merge(OLD, KEPT, 21))
    told = [(event.customer_id, event.into_customer_id) for event in scorers.heard(CustomerStanding)]
    assert told == [(OLD, KEPT), (KEPT, THIRD)]
    scorers.tell("assignments", replace(assigned(KEPT, day=22), cause="merged"))
    assert scorers.heard(CustomerStanding)[-1].into_customer_id == THIRD


def test_a_pool_that_serves_an_ended_account_hears_of_the_whole_chain(scorers):
    """What it knows of the first account goes to the last: of the one between it may know something, too."""
    scorers.tell("privacy", merge(OLD, KEPT), merge(KEPT, THIRD, 21))
    scorers.tell("assignments", imported(OLD, day=22))
    told = [(event.customer_id, event.into_customer_id, event.pool) for event in scorers.heard(CustomerStanding)]
    assert told == [(OLD, KEPT, "imported"), (KEPT, THIRD, "imported")]


def test_an_assignment_of_somebody_erased_brings_nobody_back(scorers):
    scorers.tell("assignments", assigned(OLD))
    assert scorers.account(OLD) is None
