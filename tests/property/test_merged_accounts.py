"""Whatever is merged when, and whoever hears of it first: nothing is lost, nothing counts twice, nothing goes round for ever."""

from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from features.merging import merge_into
from features.profile import (
    SESSIONS,
    Profile,
    absorb,
    decode_account,
    decode_profile,
    encode,
    fold_browse,
    fold_order,
    fold_return,
    net_spend,
    new_profile,
    new_visitor,
    orders_count,
)
from schemas.events import (
    ConsentChanged,
    CustomersMerged,
    ErasureRequested,
    ItemsReturned,
    OrderLine,
    OrderPlaced,
    PageBrowsed,
    ReturnLine,
)
from tests.property.histories import DAY_MS, POLICY, START_MS
from tests.property.many_accounts import Scorers
from tests.property.naive_customer import NaiveCustomer

ACCOUNTS = ("c0", "c1", "c2", "c3")
RATES, DAY = POLICY.rates, START_MS + 10 * DAY_MS
TOPICS: dict[type, str] = {OrderPlaced: "orders", ItemsReturned: "returns", PageBrowsed: "browse"}
IDS: dict[type, str] = {OrderPlaced: "order_id", ItemsReturned: "return_id", PageBrowsed: "event_id"}
FOLDS: dict[type, Callable[..., None]] = {OrderPlaced: fold_order, ItemsReturned: fold_return}
accounts = st.sampled_from(ACCOUNTS)
days = st.integers(0, 500 * 24).map(lambda hours: DAY + hours * DAY_MS // 24)


@st.composite
def facts(draw, who=accounts, at_ms=days):
    """Something that counts, under an account; ids are given by `numbered`."""
    customer, when = draw(who), draw(at_ms)
    kind = draw(st.sampled_from("oorbb"))
    if kind == "o":
        line = OrderLine(sku=draw(st.sampled_from("abc")), quantity=1, unit_price_minor=draw(st.integers(0, 40_000)))
        return OrderPlaced(
            order_id="", occurred_at_ms=when, currency="EUR", market="DE", customer_id=customer, lines=(line,)
        )
    if kind == "r":
        refund = ReturnLine(sku="a", quantity=1, refund_minor=draw(st.integers(0, 9_000)))
        return ItemsReturned(return_id="", occurred_at_ms=when, currency="EUR", customer_id=customer, lines=(refund,))
    return PageBrowsed(event_id="", occurred_at_ms=when, customer_id=customer, sku="a", dwell_ms=20_000)


def numbered(events):
    return [
        replace(event, **{IDS[type(event)]: f"n{number}"}) if type(event) in IDS else event
        for number, event in enumerate(events)
    ]


merges = st.builds(
    CustomersMerged, merge_id=st.just("m"), customer_id=accounts, into_customer_id=accounts, occurred_at_ms=days
).filter(lambda event: event.customer_id != event.into_customer_id)
consents = st.builds(ConsentChanged, customer_id=accounts, occurred_at_ms=days, granted=st.booleans())
erasures = st.builds(ErasureRequested, customer_id=accounts, occurred_at_ms=days)
histories = st.lists(st.one_of(facts(), facts(), merges, merges, consents), min_size=3, max_size=40).map(numbered)


def play(scorers, events, chances):
    """Publish one by one, with partitions getting their turns by chance, and what they send each other in between."""
    for event, turns in zip(events, chances, strict=False):
        scorers.publish(TOPICS.get(type(event), "privacy"), event)
        for partition in turns:
            scorers.step(partition % len(scorers.waiting))
    scorers.settle(1_000)


turns: st.SearchStrategy[list[list[int]]] = st.one_of(
    st.lists(st.lists(st.integers(0, 2), max_size=3), min_size=40, max_size=40),
    st.just(list[list[int]]([[]] * 40)),  # all is published before anything is applied
)


def living(scorers):
    found = [scorers.account(name) for name in ACCOUNTS]
    return [account for account in found if isinstance(account, Profile)]


@given(histories, turns, st.sampled_from([2, 3]))
@settings(max_examples=300, deadline=None)
def test_all_that_was_published_counts_once(events, chances, partitions):
    """Over any merges, chains and circles among accounts; every note leads to an account that lives."""
    scorers = Scorers(partitions)
    play(scorers, events, chances)
    counted: Counter[str] = Counter()
    for profile in living(scorers):
        counted["orders"] += orders_count(profile, DAY + 600 * DAY_MS, "lifetime")
        counted["net"] += net_spend(profile, DAY + 600 * DAY_MS, "lifetime")
        counted["views"] += profile.browse.read(DAY + 600 * DAY_MS, "lifetime")[0]
    orders = [event for event in events if isinstance(event, OrderPlaced)]
    sent_back = [event for event in events if isinstance(event, ItemsReturned)]
    assert counted["orders"] == len(orders)
    assert counted["net"] == sum(order.lines[0].unit_price_minor for order in orders) - sum(
        event.lines[0].refund_minor for event in sent_back
    )
    assert counted["views"] == sum(isinstance(event, PageBrowsed) for event in events)
    for name in ACCOUNTS:
        assert_leads_to_a_profile(scorers, name)


def assert_leads_to_a_profile(scorers, name):
    account, seen = scorers.account(name), {name}
    while isinstance(account, str):
        assert account not in seen
        seen.add(account)
        account = scorers.account(account)
        assert account is not None


@given(histories, st.lists(erasures, min_size=1, max_size=3), st.data(), st.sampled_from([2, 3]))
@settings(max_examples=200, deadline=None)
def test_erasures_among_merges_come_to_an_end_and_leave_no_note_without_an_account(events, wanted, data, partitions):
    """What comes anew under an erased id belongs to a new customer."""
    scorers = Scorers(partitions)
    for erasure in wanted:
        events.insert(data.draw(st.integers(0, len(events))), erasure)
    play(scorers, events, data.draw(turns) + [[]] * len(wanted))
    scorers.tell("privacy", *(ErasureRequested(customer_id=name, occurred_at_ms=DAY) for name in ACCOUNTS))
    assert [scorers.account(name) for name in ACCOUNTS] == [None] * len(ACCOUNTS)


@given(histories, turns, accounts, st.sampled_from([2, 3]))
@settings(max_examples=200, deadline=None)
def test_an_erasure_under_any_of_their_accounts_leaves_no_trace_of_a_person(events, chances, name, partitions):
    """Neither the profile nor a note that names it; of everybody else all is as it was."""
    scorers = Scorers(partitions)
    play(scorers, events, chances)
    leads_to = {who: last_account(scorers, who) for who in ACCOUNTS}
    before = {who: scorers.account(who) for who in ACCOUNTS}
    scorers.tell("privacy", ErasureRequested(customer_id=name, occurred_at_ms=DAY + 500 * DAY_MS))
    for who in ACCOUNTS:
        assert scorers.account(who) == (None if leads_to[who] == leads_to[name] else before[who])


def last_account(scorers, name):
    while isinstance(account := scorers.account(name), str):
        name = account
    return name


def test_there_is_something_to_compare():
    """Chains, circles, refusals and repetitions all occur."""
    seen: Counter[str] = Counter()

    @given(histories, turns)
    @settings(max_examples=100, deadline=None, derandomize=True)
    def collect(events, chances):
        scorers = Scorers()
        play(scorers, events, chances)
        seen.update(scorers.counts)
        seen["chains"] += any(len(profile.merged) > 1 for profile in living(scorers))

    collect()
    for name in ("merges", "circles", "forwarded", "duplicates", "rejected", "chains"):
        assert seen[name] > 0, name


# ---- two halves are one whole ------------------------------------------------------------------------------------------


@st.composite
def halves(draw):
    """One customer's facts under two accounts, in the order in which they came, and when the first of them ended."""
    events = numbered(draw(st.lists(facts(who=st.sampled_from(["c0", "c1"])), min_size=1, max_size=25)))
    return events, draw(st.integers(0, len(events)))


@given(halves(), turns)
@settings(max_examples=200, deadline=None)
def test_a_merged_account_knows_what_one_account_would(history, chances):
    """Spend, orders, windows are those of a customer who had one account from the start; so is the tier, once both are reviewed.

    A merge reviews it. Time alone does not where an old return leaves the window and spend rises by that: the next order does.
    """
    events, place = history
    merge = CustomersMerged(merge_id="m", customer_id="c0", into_customer_id="c1", occurred_at_ms=DAY + 500 * DAY_MS)
    two, one, naive = Scorers(), Scorers(), NaiveCustomer(DAY)
    play(two, [*events[:place], merge, *events[place:]], chances)
    for event in events:
        one.tell(TOPICS[type(event)], replace(event, customer_id="c1"))
        naive.apply(event)
    for scorers in (two, one):
        scorers.pass_time(DAY + 520 * DAY_MS)
    merged, whole = two.profile("c1"), one.profile("c1")
    assert [*merged.purchases.tiles()] == [*whole.purchases.tiles()]
    assert [*merged.returns.tiles()] == [*whole.returns.tiles()]
    assert without_sessions(merged) == without_sessions(whole)
    assert merged.last_seen_s == whole.last_seen_s
    now_ms = DAY + 520 * DAY_MS
    assert net_spend(merged, now_ms, "365d") == naive.net_spend(now_ms, now_ms, 365, RATES)
    free = OrderLine(sku="a", quantity=1, unit_price_minor=0)
    for scorers in (two, one):
        last = OrderPlaced(
            order_id="last", occurred_at_ms=now_ms, currency="EUR", market="DE", customer_id="c1", lines=(free,)
        )
        scorers.tell("orders", last)
    assert two.profile("c1").tier.tier == one.profile("c1").tier.tier


def without_sessions(profile):
    """When a session begins is known under one account only."""
    tiles = []
    for start, level, sums in profile.browse.tiles():
        others = [0 if index == SESSIONS else amount for index, amount in enumerate(sums)]
        while others and not others[-1]:
            others.pop()
        tiles.append((start, level, others))
    return tiles


# ---- merging as such -------------------------------------------------------------------------------------------------


def folded(name, events):
    profile = new_profile(name, DAY)
    for event in events:
        fold = FOLDS.get(type(event))
        if fold:
            fold(profile, event, RATES, POLICY.outcomes_ms)
        else:
            fold_browse(profile, event, RATES)
    return profile


@given(st.lists(st.lists(facts(), max_size=8).map(numbered), min_size=3, max_size=3), st.permutations([0, 1]))
def test_the_order_of_two_merges_makes_no_difference_to_what_adds_up(parts, order):
    """Tiles and the first purchase are the same whoever moves in first. Outcomes are read from tiles, to the day."""
    results = []
    for sequence in ([0, 1], order):
        profile = folded("kept", parts[2])
        for index in sequence:
            merge_into(profile, decode_profile(encode(folded(f"ended{index}", parts[index]))), POLICY.outcomes_ms)
        first = profile.first_purchase
        results.append((profile.purchases, profile.returns, profile.browse, first and first.at_ms, profile.is_new))
    assert results[0] == results[1]


@given(st.lists(facts(), max_size=8).map(numbered), st.lists(facts(), max_size=8).map(numbered))
def test_a_merged_profile_survives_its_encoding(own, other):
    """And a visitor's browsing can still be absorbed."""
    profile = folded("kept", own)
    merge_into(profile, folded("ended", other), POLICY.outcomes_ms)
    absorb(profile, new_visitor("v", DAY))
    assert decode_account(encode(profile)) == profile
