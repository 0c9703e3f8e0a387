"""Random histories of a small shop as one partition's applied sequence, for tests that cut them in different ways."""

import msgspec
from hypothesis import strategies as st

from features.money import Rates
from features.profile import encode, fold_browse, fold_order, fold_return, new_profile
from schemas.events import (
    AdvisorAssigned,
    AssignmentWished,
    Brief,
    ConsentChanged,
    CustomersMerged,
    ErasureRequested,
    EventForwarded,
    ItemsReturned,
    OrderLine,
    OrderPlaced,
    PageBrowsed,
    ProfileMoved,
    ReturnLine,
)
from schemas.ids import partition_of
from schemas.records import Batch, Fault, Record, Run
from streams.scoring.policy import Policy
from streams.scoring.tiers import Tier, TierPolicy

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
PARTITIONS = 2
HERE = 0
NAMES = [f"{kind}{n}" for kind in "cv" for n in range(60)]
CUSTOMERS = [name for name in NAMES if name[0] == "c" and partition_of(name, PARTITIONS) == HERE][:4]
STRANGERS = [name for name in NAMES if name[0] == "c" and partition_of(name, PARTITIONS) != HERE][:1]
VISITORS = [name for name in NAMES if name[0] == "v" and partition_of(name, PARTITIONS) == HERE][:3]
OTHER_VISITORS = [name for name in NAMES if name[0] == "v" and partition_of(name, PARTITIONS) != HERE][:2]
POLICY = Policy(
    version="test",
    partitions=PARTITIONS,
    rates=Rates("EUR", {"GBP": 1_170_000}),
    tiers=TierPolicy(tiers=(Tier("silver", 20_000), Tier("gold", 60_000, 2))),
    vip_amount_minor=30_000,
    decide_from_ms=START_MS + DAY_MS,
)

customers = st.sampled_from(CUSTOMERS)
amounts = st.integers(1, 40_000)
currencies = st.sampled_from(["EUR", "EUR", "GBP", "XXX"])


@st.composite
def orders(draw, at_ms):
    lines = draw(
        st.lists(
            st.builds(OrderLine, sku=st.sampled_from("abcdef"), quantity=st.integers(1, 3), unit_price_minor=amounts),
            min_size=1,
            max_size=3,
        )
    )
    return "orders", OrderPlaced(
        order_id=draw(st.sampled_from([f"o{n}" for n in range(12)])),
        occurred_at_ms=at_ms,
        currency=draw(currencies),
        market=draw(st.sampled_from(["DE", "FR"])),
        lines=tuple(lines),
        customer_id=draw(st.sampled_from([*CUSTOMERS, *CUSTOMERS, *STRANGERS, None])),
        visitor_id=draw(st.sampled_from([None, *VISITORS, *OTHER_VISITORS])),
        customer_since_ms=draw(st.sampled_from([None, None, None, START_MS - 400 * DAY_MS])),
    )


@st.composite
def returns(draw, at_ms):
    return "returns", ItemsReturned(
        return_id=draw(st.sampled_from([f"r{n}" for n in range(6)])),
        occurred_at_ms=at_ms,
        currency="EUR",
        lines=(ReturnLine(sku="a", quantity=1, refund_minor=draw(amounts)),),
        customer_id=draw(st.sampled_from([*CUSTOMERS, None])),
    )


@st.composite
def browsing(draw, at_ms):
    by_visitor = draw(st.booleans())
    return "browse", PageBrowsed(
        event_id=draw(st.sampled_from([f"e{n}" for n in range(30)])),
        occurred_at_ms=at_ms,
        kind=draw(st.sampled_from(["view", "view", "add_to_cart", "search"])),
        customer_id=None if by_visitor else draw(customers),
        visitor_id=draw(st.sampled_from(VISITORS)) if by_visitor else None,
        sku=draw(st.sampled_from(["a", "b", None])),
        dwell_ms=draw(st.integers(0, 100_000)),
    )


@st.composite
def privacy(draw, at_ms):
    customer = draw(customers)
    return "privacy", draw(
        st.sampled_from(
            [
                ConsentChanged(customer_id=customer, occurred_at_ms=at_ms, granted=True),
                ConsentChanged(customer_id=customer, occurred_at_ms=at_ms, granted=False),
                ErasureRequested(customer_id=customer, occurred_at_ms=at_ms),
                AssignmentWished(wish_id="w", customer_id=customer, occurred_at_ms=at_ms, wish="never"),
                AssignmentWished(wish_id="w", customer_id=customer, occurred_at_ms=at_ms, wish="manual"),
                AssignmentWished(wish_id="w", customer_id=customer, occurred_at_ms=at_ms, wish="lifted"),
            ]
        )
    )


@st.composite
def merges(draw, at_ms):
    into = draw(st.sampled_from([*CUSTOMERS, *STRANGERS]))
    return "privacy", CustomersMerged(
        merge_id="m", customer_id=draw(customers.filter(into.__ne__)), into_customer_id=into, occurred_at_ms=at_ms
    )


@st.composite
def moves(draw, at_ms):
    """A profile that comes from elsewhere, or back."""
    origin = draw(st.sampled_from([*CUSTOMERS, *STRANGERS]))
    profile = new_profile(origin, at_ms)
    for _ in range(draw(st.integers(0, 3))):
        _, event = draw(st.one_of(orders(at_ms), returns(at_ms), browsing(at_ms)))
        if getattr(event, "currency", None) == "XXX":
            continue
        match event:
            case OrderPlaced():
                fold_order(profile, event, POLICY.rates, POLICY.outcomes_ms)
            case ItemsReturned():
                fold_return(profile, event, POLICY.rates, POLICY.outcomes_ms)
            case _:
                fold_browse(profile, event, POLICY.rates)
    return "privacy", ProfileMoved(
        id="p", customer_id=draw(customers), from_customer_id=origin, occurred_at_ms=at_ms, profile=encode(profile),
        passed=tuple(draw(st.lists(customers, max_size=2))),
    )  # fmt: skip


@st.composite
def forwards(draw, at_ms):
    """What came under another account: as a rule what it names itself, sometimes an erasure on its way back."""
    _, event = draw(st.one_of(orders(at_ms), returns(at_ms), browsing(at_ms), privacy(at_ms), treatments(at_ms)))
    if event.customer_id is None:
        event = msgspec.structs.replace(event, customer_id=STRANGERS[0])
    return "privacy", EventForwarded(
        id="f", customer_id=draw(customers), from_customer_id=draw(st.sampled_from([event.customer_id, STRANGERS[0]])),
        occurred_at_ms=at_ms, event=msgspec.json.encode(event).decode(),
        visitor_id=event.visitor_id if isinstance(event, OrderPlaced) else None,
    )  # fmt: skip


@st.composite
def treatments(draw, at_ms):
    return "assignments", AdvisorAssigned(
        id=f"a{at_ms}", assignment_id="a", customer_id=draw(customers), advisor_id="x", pool="main", occurred_at_ms=at_ms,
        cause="look", arm="treatment", propensity=0.9, experiment="first", score=0.5, threshold=0.4, look="first",
        look_id="l", reasons=(), brief=Brief(), recommended_channel="email", contact_by_ms=0, service_until_ms=0,
        model_version="m", policy_version="p",
    )  # fmt: skip


KINDS = [*[orders] * 6, *[browsing] * 4, *[returns] * 2, *[privacy] * 2, *[treatments] * 2, merges, moves, forwards]


@st.composite
def histories(draw, min_size=5, max_size=60):
    """Runs in the order of application: late events, unreadable records, steps of the watermark between them."""
    at_ms = watermark_ms = START_MS
    offsets: dict[str, int] = {}
    runs: list[Run] = []
    for _ in range(draw(st.integers(min_size, max_size))):
        at_ms += draw(st.sampled_from([0, 1_000, 50_000, 7_200_000, DAY_MS, 6 * DAY_MS, 40 * DAY_MS]))
        late_ms = draw(st.sampled_from([0, 0, 0, 30_000, 3 * DAY_MS, 50 * DAY_MS]))
        kind = draw(st.sampled_from(KINDS))
        topic, event = draw(kind(at_ms - late_ms))
        if draw(st.integers(0, 20)) == 0:
            event = Fault("undecodable", "$", "Avro or JSON", "noise", "send it again")
        offset = offsets[topic] = offsets.get(topic, -1) + draw(st.integers(1, 2))
        record = Record(topic, HERE, offset, at_ms, None, b"", (), event)
        watermark_ms = max(watermark_ms, draw(st.sampled_from([watermark_ms, at_ms - 60_000, at_ms])))
        if runs and runs[-1].topic == topic and draw(st.booleans()):
            runs[-1] = Run(topic, (*runs[-1].records, record), watermark_ms)
        else:
            runs.append(Run(topic, (record,), watermark_ms))
    runs.append(Run("", (), watermark_ms + draw(st.sampled_from([0, 200 * DAY_MS]))))
    return tuple(runs)


def whole(runs, entry=0):
    return Batch(HERE, entry, tuple(runs))
