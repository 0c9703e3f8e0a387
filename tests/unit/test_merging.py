"""Of two profiles one: what cannot add up is chosen by rule, and everything stays bounded."""

import pytest
from msgspec.structs import replace

from features.merging import MERGED_KEPT, merge_into
from features.profile import (
    BROWSE_IDS_KEPT,
    DOCUMENTS_KEPT,
    VISITORS_KEPT,
    Profile,
    Treatment,
    absorb,
    browse_seen,
    decode_account,
    decode_profile,
    encode,
    fold_browse,
    fold_order,
    fold_return,
    new_profile,
    recognise,
    visitor_is_linked,
)
from features.windows import DAY_MS
from tests.unit.test_profile import AT_MS, HORIZONS_MS, RATES, order, profile_of, sent_back, step, visitor_of


def merged(own: Profile, ended: Profile) -> Profile:
    merge_into(own, decode_profile(encode(ended)), HORIZONS_MS)
    return own


def account(name: str = "c2", at_ms: int = AT_MS, **fields: object) -> Profile:
    profile = new_profile(name, at_ms)
    for field, value in fields.items():
        setattr(profile, field, value)
    return profile


def test_documents_of_both_are_known() -> None:
    own, ended = account("c1"), account()
    for profile, name in ((own, "o1"), (ended, "o2")):
        assert recognise(profile, name, order(order_id=name)) == "new"
    both = merged(own, ended)
    assert [recognise(both, name, order(order_id=name)) for name in ("o1", "o2")] == ["duplicate", "duplicate"]


def test_the_latest_of_each_are_known_longest() -> None:
    """Two long histories share the places; neither's latest is forgotten for the other's old ones."""
    own, ended = account("c1"), account()
    for number in range(DOCUMENTS_KEPT):
        for profile, name in ((own, f"own{number}"), (ended, f"other{number}")):
            recognise(profile, name, b"x")
    both, half = merged(own, ended), DOCUMENTS_KEPT // 2
    for owner in ("own", "other"):
        assert recognise(both, f"{owner}{half}", b"x") == "duplicate"
        assert recognise(both, f"{owner}{DOCUMENTS_KEPT - 1}", b"x") == "duplicate"
    assert recognise(both, "own0", b"x") == "new"


def test_visitors_and_browse_events_of_both_are_known() -> None:
    own, ended = account("c1"), account()
    for profile, name in ((own, "1"), (ended, "2")):
        visitor = visitor_of(step())
        visitor.visitor_id = f"v{name}"
        absorb(profile, visitor)
        browse_seen(profile, f"e{name}")
    both = merged(own, ended)
    assert visitor_is_linked(both, "v1")
    assert visitor_is_linked(both, "v2")
    assert browse_seen(both, "e1")
    assert browse_seen(both, "e2")


def test_what_was_seen_last_stands_first() -> None:
    own = profile_of(step(sku="A"), step(AT_MS + 1_000, sku="B", event_id="e2"))
    ended = profile_of(step(AT_MS + DAY_MS, sku="C"), step(AT_MS + DAY_MS, sku="A", event_id="e2"))
    both = merged(own, ended)
    assert both.viewed == ["A", "C", "B"]
    assert (both.first_seen_ms, both.last_seen_ms) == (AT_MS, AT_MS + DAY_MS)


def test_the_earlier_first_purchase_stands_with_what_both_spent_after_it() -> None:
    early, late = order(), order(AT_MS + 10 * DAY_MS, 5_000)
    for own, ended, is_new in ((early, late, True), (late, early, False)):
        both = merged(profile_of(own), replace(profile_of(ended), customer_id="c2"))
        assert both.first_purchase is not None
        assert (both.first_purchase.at_ms, both.is_new, both.outcomes) == (AT_MS, is_new, [5_000, 5_000])


def test_home_market_and_language_are_the_own_ones_where_there_are_any() -> None:
    own = profile_of(order(AT_MS + DAY_MS, market="FR", language="fr"))
    both = merged(own, profile_of(order(market="DE", language="de")))
    assert (both.market, both.language) == ("FR", "fr")
    both = merged(account("c1"), profile_of(order(market="DE", language="de")))
    assert (both.market, both.language) == ("DE", "de")


@pytest.mark.parametrize(("own", "other", "kept"), [(0, 0, 0), (5, 0, 5), (0, 7, 7), (5, 7, 5)])
def test_a_vip_of_either_is_one_since_the_earlier_moment(own: int, other: int, kept: int) -> None:
    assert merged(account("c1", vip_at_ms=own), account(vip_at_ms=other)).vip_at_ms == kept


@pytest.mark.parametrize(
    ("own", "other", "kept"),
    [("control", "treatment", "treatment"), ("control", "none", "control"), ("none", "control", "control")],
)
def test_of_two_arms_the_stronger_is_kept(own: str, other: str, kept: str) -> None:
    both = merged(
        account("c1", treatment=Treatment(own, "a1", 0.5, 1)), account(treatment=Treatment(other, "a2", 0.5, 2))
    )
    assert both.treatment is not None
    assert both.treatment.arm == kept


def test_the_accounts_merged_are_remembered_with_those_merged_into_them() -> None:
    both = merged(account("c1", merged=["c0"]), account(merged=["c3", "c1", "c0"]))
    assert both.merged == ["c0", "c2", "c3"]


def test_a_profile_of_many_merges_stays_bounded() -> None:
    profile = account("c1")
    for number in range(100):
        other = account(f"{number:0128}", AT_MS + number * DAY_MS)
        for turn in range(10):
            at_ms, name = AT_MS + (number * 10 + turn) * DAY_MS // 7, f"{number}/{turn}"
            recognise(other, name, b"x")
            fold_order(other, order(at_ms), RATES, HORIZONS_MS)
            fold_return(other, sent_back(at_ms), RATES, HORIZONS_MS)
            browse_seen(other, name)
            fold_browse(other, step(at_ms, sku=name), RATES)
        profile = merged(profile, other)
    assert len(profile.merged) == MERGED_KEPT
    assert len(profile.documents) == DOCUMENTS_KEPT * 7
    assert len(profile.browse_ids) == BROWSE_IDS_KEPT * 4
    assert len(profile.visitors) <= VISITORS_KEPT * 4
    assert len(encode(profile)) < 16_384
    assert decode_account(encode(profile)) == profile


def test_of_an_account_that_ended_an_id_is_all_that_is_stored() -> None:
    assert decode_account(encode("c1")) == "c1"
    assert len(encode("c1")) == 3
