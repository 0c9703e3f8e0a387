"""No feature knows the future: each equals what a naive twin works out from the log up to the look, and no later event changes it.

The twin keeps raw events and knows nothing of tiles, shards or shuffles. It is asked at every look that a fold takes: all first
purchases, all second looks. The other test is blind to what features mean: whatever is done to the log after a moment (events
moved, made dearer, dropped, others put in their place), everything up to that moment stays to the byte.
"""

import os
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from features.vector import FEATURES, SINCE_FEATURES
from schemas.events import ItemsReturned, OrderLine, OrderPlaced, PageBrowsed, ReturnLine
from streams.datasets import DATASETS
from streams.datasets.dataset import Tally
from streams.replay.fold import fold
from streams.replay.moments import LookMoment, key, row_of
from streams.replay.rows import read_payload
from tests.property.histories import DAY_MS, browsing, orders, returns
from tests.property.logs import ALONE, ListSource, logs
from tests.property.naive_customer import NaiveBrowser, NaiveCustomer
from tests.property.test_vector_twin import assert_same

REAL = Path(os.environ.get("MAITRED_DATA", Path(__file__).parents[3] / "shared" / "data"))
# Nobody is forgotten: the twin does not forget. `LAST` keeps the log's end where it is when events before it are changed.
POLICY = replace(ALONE, visitor_kept_ms=10_000 * DAY_MS, decide_from_ms=0)
GUESTS = OrderPlaced(
    order_id="last",
    occurred_at_ms=0,
    currency="EUR",
    market="DE",
    lines=(OrderLine(sku="a", quantity=1, unit_price_minor=1),),
)
EVENTS = 6_000  # of the real set: some months
SPREADS = {"shop": (0.0, 0.0)}  # neutral: a model's reference comes later
IDS: dict[type, str] = {OrderPlaced: "order_id", ItemsReturned: "return_id", PageBrowsed: "event_id"}


def unlike(events):
    """The same events, in order of time, each with an id of its own and amounts that convert."""
    told = []
    for number, (topic, event) in enumerate(sorted(events, key=lambda item: item[1].occurred_at_ms)):
        renamed = replace(event, **{IDS[type(event)]: f"n{number}"})
        told.append((topic, replace(renamed, currency="GBP") if renamed.currency == "XXX" else renamed))
    return told


histories = logs(min_size=8, max_size=50, kinds=(*[orders] * 4, *[browsing] * 5, *[returns] * 2)).map(unlike)


def moments_of(source, policy):
    with TemporaryDirectory() as folder:
        return list(fold(source, Path(folder), policy).moments())


# ---- the twin ------------------------------------------------------------------------------------------------------------


class NaiveLog:
    """All customers and visitors, as raw events, up to some place in the log."""

    def __init__(self, source):
        self._rows = source.rows()
        self.customers: dict[str, NaiveCustomer] = {}
        self.visitors: dict[str, NaiveBrowser] = {}
        self._met: set[tuple[str, str]] = set()

    def up_to(self, is_before):
        while self._rows and is_before(self._rows[0]):
            row = self._rows.pop(0)
            self._apply(read_payload(row["kind"], row["payload"]))

    def _apply(self, event):
        at_ms, who = event.occurred_at_ms, event.customer_id
        if who is None:
            if isinstance(event, PageBrowsed) and event.visitor_id is not None:
                self.visitors.setdefault(event.visitor_id, NaiveBrowser(at_ms)).apply(event)
            return
        customer = self.customers.setdefault(who, NaiveCustomer(at_ms))
        visitor = self.visitors.get(event.visitor_id or "") if isinstance(event, OrderPlaced) else None
        if visitor is not None and (who, event.visitor_id) not in self._met:
            self._met.add((who, event.visitor_id))
            customer.absorb(visitor)
        customer.apply(event)


def place(row):
    return row["at_ms"], row["topic"], row["partition"], row["offset"]


def assert_no_look_differs(source, policy):
    """Returns how many were compared, by kind."""
    looks = [moment for moment in moments_of(source, policy) if isinstance(moment, LookMoment)]
    log, rates, compared = NaiveLog(source), policy.rates, dict[str, int]()
    firsts: dict[str, dict[str, float]] = {}
    for at_ms, last, look in sorted(
        ((*until(look), look) for look in looks), key=lambda item: (*item[:2], key(item[2]))
    ):
        log.up_to(lambda row, at_ms=at_ms, last=last: place(row) <= (at_ms, *last))
        naive = log.customers[look.customer_id]
        if look.scored.look == "first":
            firsts[look.customer_id] = naive.first_vector(naive.orders[0], rates, SPREADS)
        wanted = firsts[look.customer_id]
        assert_same(FEATURES, look.vector[: len(FEATURES)], wanted)
        if look.scored.look != "first":
            assert_same(SINCE_FEATURES, look.vector[len(FEATURES) :], naive.since_vector(look.at_ms, rates))
        compared[look.scored.look] = compared.get(look.scored.look, 0) + 1
    return compared


def until(look):
    """The last place in the log that a look may know of: its own record's, or all of the time when it was due."""
    topic, partition, offset, *_ = look.scored.id.split("/")
    if topic == "due":
        return look.at_ms, ("~", 0, 0)  # behind every topic
    return look.at_ms, (topic, int(partition), int(offset))


@given(histories)
@settings(max_examples=60, deadline=None)
def test_every_feature_of_every_look_equals_the_twins(events):
    assert_no_look_differs(ListSource(events), POLICY)


def test_all_kinds_of_looks_are_compared():
    seen = set()

    @given(histories)
    @settings(max_examples=40, deadline=None, derandomize=True)
    def collect(events):
        seen.update(assert_no_look_differs(ListSource(events), POLICY))

    collect()
    assert seen == {"first", "order", "return", "day_7", "day_14", "day_30"}


# ---- the future ----------------------------------------------------------------------------------------------------------


@st.composite
def two_futures(draw):
    """A log, a moment, and the same log with another future. A guest's order long after all of it keeps the end the same."""
    events = draw(histories)
    times = sorted(event.occurred_at_ms for _, event in events)
    now_ms = draw(st.sampled_from(times)) + draw(st.sampled_from([0, 0, 1, DAY_MS]))
    past = [item for item in events if item[1].occurred_at_ms <= now_ms]
    future = [changed for item in events if item[1].occurred_at_ms > now_ms for changed in draw(others(item, now_ms))]
    future.sort(key=lambda item: item[1].occurred_at_ms)
    end = ("orders", replace(GUESTS, occurred_at_ms=times[-1] + 1_000 * DAY_MS))
    return now_ms, [*events, end], [*past, *future, end]


@st.composite
def others(draw, item, now_ms):
    """What an event of the future may be instead: itself, later, dearer, somebody else's, nothing."""
    topic, event = item
    match draw(st.sampled_from(["same", "later", "sooner", "dearer", "gone", "twice"])):
        case "later":
            return [(topic, replace(event, occurred_at_ms=event.occurred_at_ms + draw(st.integers(1, 90 * DAY_MS))))]
        case "sooner":
            return [(topic, replace(event, occurred_at_ms=draw(st.integers(now_ms + 1, event.occurred_at_ms))))]
        case "dearer":
            return [(topic, dearer(event))]
        case "gone":
            return []
        case "twice":
            again = replace(event, **{IDS[type(event)]: f"{getattr(event, IDS[type(event)])}-again"})
            return [item, (topic, again)]
    return [item]


def dearer(event):
    match event:
        case OrderPlaced():
            return replace(
                event,
                lines=tuple(replace(line, unit_price_minor=line.unit_price_minor + 99_999) for line in event.lines),
            )
        case ItemsReturned():
            return replace(event, lines=(*event.lines, ReturnLine(sku="z", quantity=9, refund_minor=77_777)))
        case _:
            return replace(event, kind="wishlist", dwell_ms=80_000_000, sku="z")


@given(two_futures())
@settings(max_examples=100, deadline=None)
def test_nothing_up_to_a_moment_depends_on_what_comes_after_it(futures):
    """Looks, tier changes, standings, outcomes: all moments up to then are the same, to the byte."""
    now_ms, events, changed = futures
    known, other = (
        [row_of(moment) for moment in moments_of(ListSource(log), POLICY) if moment.at_ms <= now_ms]
        for log in (events, changed)
    )
    assert other == known


def test_futures_do_differ():
    """There is something to compare: later moments are changed."""
    differed = []

    @given(two_futures())
    @settings(max_examples=30, deadline=None, derandomize=True)
    def collect(futures):
        _, events, changed = futures
        one, two = (list(map(row_of, moments_of(ListSource(log), POLICY))) for log in (events, changed))
        differed.append(one != two)

    collect()
    assert any(differed)


# ---- real customers ------------------------------------------------------------------------------------------------------


def slice_of(name, data, customers, policy):
    """All events of the first so many customers in the first months of a data set."""
    chosen, events = set[str](), []
    for topic, event in islice(DATASETS[name].events(data, Tally()), EVENTS):
        who = getattr(event, "customer_id", None)
        if who is not None and (who in chosen or len(chosen) < customers):
            chosen.add(who)
            events.append((topic, event))
    return ListSource(events, at_once=10_000), policy


def test_online_retail_ii_has_no_look_that_knows_the_future():
    """The first 60 customers of the real set, where it is; of CDNOW, which comes with a package, everywhere."""
    name, base = ("online-retail-ii", "GBP") if (REAL / "online_retail_ii").exists() else ("cdnow", "USD")
    policy = replace(POLICY, rates=replace(POLICY.rates, base=base))
    data = REAL if name == "online-retail-ii" else Path()
    source, policy = slice_of(name, data, 60, policy)
    compared = assert_no_look_differs(source, policy)
    assert min(compared[look] for look in ("first", "day_7", "day_14", "day_30")) > 40
    assert compared["order"] > 20
