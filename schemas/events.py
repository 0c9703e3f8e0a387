"""Every event that crosses a wire, as a frozen class.

The `.avsc` files beside this module are the truth; a test holds these classes to them. Times are integer
milliseconds since the epoch (UTC), money is in integer minor units: of the event's own currency on the way in, of
the base currency on the way out. Constraints stand in the types, so that whatever is an instance is possible;
reading bytes into them is `codec.py`'s work.
"""

from typing import Annotated, Literal, NewType

from msgspec import Meta, Struct

CustomerId = NewType("CustomerId", str)
VisitorId = NewType("VisitorId", str)
AdvisorId = NewType("AdvisorId", str)

Id = Annotated[str, Meta(min_length=1, max_length=128)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=256)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Millis = Annotated[int, Meta(ge=0, le=4_102_444_800_000)]  # until the year 2100
Minor = Annotated[int, Meta(ge=0, le=10**12)]
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


# ---- in: what commerce systems and advisor tools publish -------------------------------------------------------


class OrderLine(Struct, frozen=True, kw_only=True):
    sku: Id
    quantity: Quantity
    unit_price_minor: Minor
    discount_minor: Minor = 0
    category: Text | None = None
    brand: Text | None = None


class OrderPlaced(Struct, frozen=True, kw_only=True, tag=True):
    """An order. Without `customer_id` it is a guest's: counted, not scored."""

    order_id: Id
    occurred_at_ms: Millis
    currency: Currency
    market: Word
    lines: Annotated[tuple[OrderLine, ...], Meta(min_length=1, max_length=5_000)]
    customer_id: Id | None = None
    visitor_id: Id | None = None
    language: Word | None = None
    sales_channel: Word = "web"
    is_gift: bool = False
    payment_method: Word | None = None
    customer_since_ms: Millis | None = None


class ReturnLine(Struct, frozen=True, kw_only=True):
    sku: Id
    quantity: Quantity
    refund_minor: Minor
    category: Text | None = None


class ItemsReturned(Struct, frozen=True, kw_only=True, tag=True):
    """Goods sent back, or an order cancelled before it was sent. The order may be unknown."""

    return_id: Id
    occurred_at_ms: Millis
    currency: Currency
    lines: Annotated[tuple[ReturnLine, ...], Meta(min_length=1, max_length=5_000)]
    kind: Literal["returned", "cancelled"] = "returned"
    customer_id: Id | None = None
    order_id: Id | None = None
    reason: Text | None = None


class PageBrowsed(Struct, frozen=True, kw_only=True, tag=True):
    """One step of browsing, by a customer who is logged in or by a visitor."""

    event_id: Id
    occurred_at_ms: Millis
    kind: Literal["view", "search", "add_to_cart", "wishlist"] = "view"
    customer_id: Id | None = None
    visitor_id: Id | None = None
    sku: Id | None = None
    category: Text | None = None
    brand: Text | None = None
    price_minor: Minor | None = None
    currency: Currency | None = None
    dwell_ms: Annotated[int, Meta(ge=0, le=86_400_000)] = 0
    campaign: Text | None = None


class ConsentChanged(Struct, frozen=True, kw_only=True, tag=True):
    """Whether a customer wants to be advised personally."""

    customer_id: Id
    occurred_at_ms: Millis
    granted: bool


class ErasureRequested(Struct, frozen=True, kw_only=True, tag=True):
    customer_id: Id
    occurred_at_ms: Millis


class AssignmentWished(Struct, frozen=True, kw_only=True, tag=True):
    """A person's decision that goes before the model's: this advisor (or any), or never one."""

    wish_id: Id
    customer_id: Id
    occurred_at_ms: Millis
    wish: Literal["manual", "never", "lifted"]
    advisor_id: Id | None = None


class CustomersMerged(Struct, frozen=True, kw_only=True, tag=True):
    """Two accounts were one customer: this one ends, the other goes on with what is known of both."""

    merge_id: Id
    customer_id: Id
    into_customer_id: Id
    occurred_at_ms: Millis


class Absence(Struct, frozen=True, kw_only=True):
    """A time in which an advisor takes no new customers: from the first moment until before the last."""

    from_ms: Millis
    until_ms: Millis


class AdvisorChanged(Struct, frozen=True, kw_only=True, tag=True):
    """An advisor's entry in the roster, whole: the last one counts."""

    advisor_id: Id
    pool: Word
    occurred_at_ms: Millis
    status: Literal["active", "paused", "left"] = "active"
    capacity: Count = 0
    daily_intake: Count = 0
    languages: tuple[Word, ...] = ()
    absences: Annotated[tuple[Absence, ...], Meta(max_length=100)] = ()


class PoolChanged(Struct, frozen=True, kw_only=True, tag=True):
    """Whether a pool gives places: the last one counts. While it is paused, who would get an advisor waits."""

    pool: Word
    occurred_at_ms: Millis
    status: Literal["assigning", "paused"] = "assigning"


class ModelChosen(Struct, frozen=True, kw_only=True, tag=True):
    """What an operator decides about the model: which one scores, or which version of it. The last one counts."""

    choice_id: Id
    occurred_at_ms: Millis
    choice: Literal["promoted", "rolled_back", "followed", "warm_started"]
    model: Word | None = None
    version: Word | None = None
    payload: bytes | None = None


class RelationImported(Struct, frozen=True, kw_only=True, tag=True):
    """A customer is served by an advisor since before Maitred knew of either."""

    relation_id: Id
    customer_id: Id
    advisor_id: Id
    pool: Word
    occurred_at_ms: Millis
    service_until_ms: Millis | None = None
    language: Word | None = None


class ContactReported(Struct, frozen=True, kw_only=True, tag=True):
    contact_id: Id
    assignment_id: Id
    customer_id: Id
    advisor_id: Id
    pool: Word
    occurred_at_ms: Millis
    outcome: Literal["contacted", "accepted", "declined", "ended"]
    channel: Word | None = None


# ---- out: what Maitred decides ---------------------------------------------------------------------------------


class Reason(Struct, frozen=True, kw_only=True):
    """One feature's exact part of a score: `contribution` is in log-odds, so that all of them and the base add up."""

    feature: str
    value: float
    contribution: float


class Challenge(Struct, frozen=True, kw_only=True):
    """What another model says of the same look."""

    model: str
    score: float


class Brief(Struct, frozen=True, kw_only=True):
    """What an advisor wants to know before the first contact."""

    bought: tuple[str, ...] = ()
    looked_at: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    first_order_minor: int = 0
    spent_since_minor: int = 0
    orders: int = 0
    price_level_minor: int = 0
    language: str | None = None
    last_seen_at_ms: int = 0


class CustomerScored(Struct, frozen=True, kw_only=True, tag=True):
    """A look: P(VIP within the horizon) at `occurred_at_ms`, with the reasons for it."""

    id: str
    customer_id: str
    pool: str
    market: str
    occurred_at_ms: int
    look: Literal["first", "order", "return", "day_7", "day_14", "day_30"]
    look_number: int
    score: float
    base: float
    reasons: tuple[Reason, ...]
    first_order_minor: int
    is_vip: bool
    consent: Literal["unknown", "granted", "withdrawn"]
    brief: Brief
    model_version: str
    features_version: str
    policy_version: str
    language: str | None = None
    expected_value_minor: int = 0
    rule_score: float = 0.0
    rank: float = 0.0
    challengers: tuple[Challenge, ...] = ()


class CustomerStanding(Struct, frozen=True, kw_only=True, tag=True):
    """What the assigner must know of a customer besides looks."""

    id: str
    customer_id: str
    pool: str
    occurred_at_ms: int
    standing: Literal[
        "consent_granted", "consent_withdrawn", "erased", "vip_reached", "wish_manual", "wish_never", "wish_lifted",
        "merged",
    ]  # fmt: skip
    advisor_id: str | None = None
    language: str | None = None
    into_customer_id: str | None = None
    brief: Brief | None = None


class ProfileMoved(Struct, frozen=True, kw_only=True, tag=True):
    """What was known of an account that ended, on its way to the one that goes on."""

    id: str
    customer_id: str
    from_customer_id: str
    occurred_at_ms: int
    profile: bytes
    passed: tuple[str, ...] = ()


class EventForwarded(Struct, frozen=True, kw_only=True, tag=True):
    """What came under an account that had ended, on its way to the one that goes on: the event as it came, as JSON."""

    id: str
    customer_id: str
    from_customer_id: str
    occurred_at_ms: int
    event: str
    visitor_id: str | None = None


class AdvisorAssigned(Struct, frozen=True, kw_only=True, tag=True):
    id: str
    assignment_id: str
    customer_id: str
    advisor_id: str
    pool: str
    occurred_at_ms: int
    cause: Literal["look", "waiting", "manual", "reoffer", "reassigned", "imported", "merged"]
    arm: Literal["treatment", "none"]
    propensity: float
    experiment: str
    score: float
    threshold: float
    look: str
    look_id: str
    reasons: tuple[Reason, ...]
    brief: Brief
    recommended_channel: str
    contact_by_ms: int
    service_until_ms: int
    model_version: str
    policy_version: str


class AssignmentWithheld(Struct, frozen=True, kw_only=True, tag=True):
    """The control arm: passed rules and price, and is deliberately not assigned."""

    id: str
    assignment_id: str
    customer_id: str
    pool: str
    occurred_at_ms: int
    propensity: float
    experiment: str
    score: float
    threshold: float
    look: str
    look_id: str
    would_be_advisor_id: str | None
    was_free: bool
    reasons: tuple[Reason, ...]
    model_version: str
    policy_version: str


class AssignmentEnded(Struct, frozen=True, kw_only=True, tag=True):
    id: str
    assignment_id: str
    customer_id: str
    advisor_id: str
    pool: str
    occurred_at_ms: int
    reason: Literal[
        "service_ended", "declined", "not_contacted", "ended_by_advisor", "consent_withdrawn", "erased",
        "advisor_left", "never_wished", "moved_by_wish", "merged",
    ]  # fmt: skip


class TierChanged(Struct, frozen=True, kw_only=True, tag=True):
    id: str
    customer_id: str
    market: str | None
    occurred_at_ms: int
    change: Literal["reached", "near", "at_risk", "lost"]
    tier: str
    qualifying_minor: int
    missing_minor: int
    policy_version: str


class ExampleReady(Struct, frozen=True, kw_only=True, tag=True):
    """The features frozen at a look with the outcome that came of it, `horizon_days` later."""

    id: str
    customer_id: str
    market: str
    look: str
    look_id: str
    looked_at_ms: int
    occurred_at_ms: int
    first_purchase_at_ms: int
    horizon_days: int
    features: tuple[float, ...]
    features_version: str
    first_order_minor: int
    outcome_minor: int
    is_vip: bool
    score: float
    model_version: str
    arm: Literal["treatment", "control", "none"]
    assignment_id: str | None
    propensity: float | None
    skus: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()


class Drift(Struct, frozen=True, kw_only=True):
    """A change that a detector found in a series of examples."""

    kind: str
    series: str
    detector: str
    before: float
    after: float
    occurred_at_ms: int


class SnapshotPublished(Struct, frozen=True, kw_only=True, tag=True):
    """A model version: parameters as data. `version` is the offset of the last example it has seen."""

    id: str
    version: str
    occurred_at_ms: int
    examples_seen: int
    spec: str
    river_version: str
    features_version: str
    payload: bytes
    checksum: str
    cause: Literal["examples", "promoted", "promoted_by_rule", "rolled_back", "followed", "warm_started", "drift"] = (
        "examples"
    )
    champion: str = ""
    scoring_version: str = ""
    drift: tuple[Drift, ...] = ()


class SequenceRun(Struct, frozen=True, kw_only=True):
    """Records `from_offset` to `to_offset` (inclusive) of one topic, applied in a row; then the watermark stood so."""

    topic: str
    from_offset: int
    to_offset: int
    watermark_ms: int


class OutsideRead(Struct, frozen=True, kw_only=True):
    """A value read outside the partition: `key` as of `entry` of `partition`, for the record at `topic`/`offset`."""

    topic: str
    offset: int
    key: str
    partition: int
    entry: int


class Exclusion(Struct, frozen=True, kw_only=True):
    """A record that the core could not digest and that was set aside."""

    topic: str
    offset: int
    error: str


class BatchCommitted(Struct, frozen=True, kw_only=True, tag=True):
    """An entry of the batch log: all that was given to the core for one batch of one partition."""

    id: str
    processor: str
    partition: int
    entry: int
    sequence: tuple[SequenceRun, ...]
    occurred_at_ms: int  # the watermark reached
    model_version: str
    policy_version: str
    reads: tuple[OutsideRead, ...] = ()
    excluded: tuple[Exclusion, ...] = ()


Incoming = (
    OrderPlaced | ItemsReturned | PageBrowsed | ConsentChanged | ErasureRequested | AssignmentWished | CustomersMerged
    | AdvisorChanged | PoolChanged | RelationImported | ContactReported | ModelChosen
)  # fmt: skip
Outgoing = (
    CustomerScored | CustomerStanding | ProfileMoved | EventForwarded | AdvisorAssigned | AssignmentWithheld
    | AssignmentEnded | TierChanged | ExampleReady | SnapshotPublished | BatchCommitted
)  # fmt: skip
Event = Incoming | Outgoing
