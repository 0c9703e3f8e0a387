"""All we know of a customer, or of a visitor not known yet, and how events are folded into it.

Folding does the least that keeps what later questions need; what a question can compute, it computes when it is asked
(`vector.py`, the spending functions below). Everything here is bounded, whatever comes. When looks are taken, what tiers
mean and what is announced is the engine's business: it keeps its notes in the profile (`tier`, `pending`, `looks` ...).
Amounts are in base minor units, and purchases and returns stay apart: who returns is active.
"""

from bisect import insort
from collections.abc import Iterable
from hashlib import blake2b
from math import log1p
from typing import ClassVar, Final, Literal
from zlib import crc32

import msgspec
from msgspec import Struct, field

from features.money import Rates
from features.windows import (
    BROWSING_PLAN,
    DAY_MS,
    EVER,
    MINUTE_MS,
    TRADING_PLAN,
    WINDOWS,
    Plan,
    Tiles,
    Window,
    far_edge,
    grain,
    trimmed,
)
from schemas.events import ItemsReturned, OrderPlaced, PageBrowsed

POINTS_PER_LOG: Final = 8  # a price point is an eighth of a natural log: prices are told apart to about 6 %
DWELL_MS: Final = 10_000  # dwelling is counted in tens of seconds
MOST_MINOR: Final = 10**12  # no order or return counts more: absurd prices shall not overflow sums in 64 bits
SESSION_GAP_MS: Final = 30 * MINUTE_MS
DOCUMENTS_KEPT, DOCUMENT_ID_BYTES, DOCUMENT_BYTES = 64, 5, 7
BROWSE_IDS_KEPT, BROWSE_ID_BYTES = 4, 4
VISITORS_KEPT, VISITOR_BYTES = 8, 4
VIEWED_KEPT, RETURNED_KEPT = 3, 2
POOLS_KEPT: Final = 16

Recognised = Literal["new", "duplicate", "conflict"]
UNKNOWN, GRANTED, WITHDRAWN = range(3)  # consent

# What the tiles count, in this order; what is seldom stands last, where zeros cost nothing.
ORDERS, GROSS, ITEMS, DISCOUNT = range(4)
RETURNS, REFUND, RETURNED_ITEMS = range(3)
VIEWS, DWELL, PRICE_POINTS, SESSIONS, CARTS, SEARCHES, WISHLISTS, CAMPAIGNS, UNPRICED = range(9)


class Purchases(Tiles, array_like=True):
    plan: ClassVar[Plan] = TRADING_PLAN
    measures: ClassVar[int] = DISCOUNT + 1


class Returns(Tiles, array_like=True):
    plan: ClassVar[Plan] = TRADING_PLAN
    measures: ClassVar[int] = RETURNED_ITEMS + 1


class Browsing(Tiles, array_like=True):
    plan: ClassVar[Plan] = BROWSING_PLAN
    measures: ClassVar[int] = UNPRICED + 1


class FirstPurchase(Struct, frozen=True, array_like=True):
    at_ms: int
    net_minor: int
    discount_minor: int
    items: int
    skus: int  # different ones
    lines: int


class TierStanding(Struct, array_like=True):
    """What was announced of tiers. Tiers are counted from 1; 0 is none."""

    tier: int = 0
    near: int = 0
    at_risk: int = 0
    quiet_until_ms: int = 0
    reviewed_ms: int = 0  # up to when time alone has been reckoned with: a late record does not turn it back


class Treatment(Struct, frozen=True, array_like=True):
    """What the assigner decided for this customer."""

    arm: str
    assignment_id: str
    propensity: float
    at_ms: int


class Pending(Struct, frozen=True, array_like=True, order=True):
    """Something to be done when time has come: "day_7", "outcome_180", "tier" ..."""

    due_ms: int
    kind: str


class Browser(Struct, array_like=True, kw_only=True):
    """Somebody who browses, a customer or a visitor.

    The order of fields is the encoding: a new one goes to the end of `Visitor` or `Profile`, with a default. Times that
    need no milliseconds are in seconds, which fit 32 bits: a profile is kept small.
    """

    first_seen_s: int
    last_seen_s: int = 0
    browse: Browsing = field(default_factory=Browsing)
    browse_ids: bytes = b""  # hashes of the last browse events
    viewed: list[str] = []  # the last SKUs looked at, latest first

    @property
    def first_seen_ms(self) -> int:
        return self.first_seen_s * 1_000

    @property
    def last_seen_ms(self) -> int:
        return self.last_seen_s * 1_000

    def see(self, at_ms: int) -> None:
        """Note that somebody was here, now or then."""
        at_s = at_ms // 1_000
        self.last_seen_s = max(self.last_seen_s, at_s)
        self.first_seen_s = min(self.first_seen_s, at_s)


class Visitor(Browser, array_like=True, kw_only=True):
    """A browser that no order has tied to a customer yet."""

    visitor_id: str
    forget_at_ms: int = 0  # when to ask whether this visitor was seen again


class Profile(Browser, array_like=True, kw_only=True):
    customer_id: str
    returned: list[str] = []  # the last SKUs returned, latest first
    purchases: Purchases = field(default_factory=Purchases)
    returns: Returns = field(default_factory=Returns)
    documents: bytes = b""  # hashes of the last orders and returns: id and content
    visitors: bytes = b""  # hashes of the visitors absorbed
    market: str | None = None  # the home market: the first purchase's
    language: str | None = None
    consent: int = UNKNOWN
    is_new: bool = False  # a new customer at the first purchase
    first_purchase: FirstPurchase | None = None
    outcomes: list[int] = []  # net spend after the first order, within each horizon
    tier: TierStanding = field(default_factory=TierStanding)
    treatment: Treatment | None = None
    looks: int = 0  # taken so far
    pending: list[Pending] = []  # sorted
    vip_at_ms: int = 0  # when the bar was passed; 0: not yet
    wish: str = ""  # manual or never, before which the model's choice stands back
    wish_advisor: str | None = None
    born: int = 0  # tells this profile from another of the same customer, before or after an erasure
    merged: list[str] = []  # the accounts merged into this one, the last ones
    pools: list[str] = []  # those that decided about this customer, the last ones: they are told of consent and erasure


def new_profile(customer_id: str, at_ms: int) -> Profile:
    return Profile(customer_id=customer_id, first_seen_s=at_ms // 1_000)


def new_visitor(visitor_id: str, at_ms: int) -> Visitor:
    return Visitor(visitor_id=visitor_id, first_seen_s=at_ms // 1_000)


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode_profile = msgspec.msgpack.Decoder(Profile).decode
decode_account = msgspec.msgpack.Decoder(Profile | str).decode  # of an account that ended only where it went is kept
decode_visitor = msgspec.msgpack.Decoder(Visitor).decode


# ---- have we seen this before? ---------------------------------------------------------------------------------------


def recognise(profile: Profile, document_id: str, content: Struct | bytes) -> Recognised:
    """Whether an order or return came before, with the same content or another; a new one is remembered.

    The last `DOCUMENTS_KEPT` are known. Orders and returns may use the same id: events of different types don't meet.
    """
    name = "" if isinstance(content, bytes) else type(content).__name__
    packed = content if isinstance(content, bytes) else _encoder.encode(content)
    known_id = _hash(name + document_id, DOCUMENT_ID_BYTES)
    entry = known_id + _hash(packed, DOCUMENT_BYTES - DOCUMENT_ID_BYTES)
    known = profile.documents
    for start in range(0, len(known), DOCUMENT_BYTES):
        if known.startswith(known_id, start):
            return "duplicate" if known.startswith(entry, start) else "conflict"
    profile.documents = (known + entry)[-DOCUMENTS_KEPT * DOCUMENT_BYTES :]
    return "new"


def browse_seen(who: Profile | Visitor, event_id: str) -> bool:
    """Whether this is one of the last few browse events; if not, it is remembered."""
    entry, known = crc32(event_id.encode()).to_bytes(BROWSE_ID_BYTES, "big"), who.browse_ids
    if _holds(known, entry):
        return True
    who.browse_ids = (known + entry)[-BROWSE_IDS_KEPT * BROWSE_ID_BYTES :]
    return False


def _hash(content: str | bytes, size: int) -> bytes:
    return blake2b(content.encode() if isinstance(content, str) else content, digest_size=size).digest()


def known_ids(known: bytes, size: int) -> list[bytes]:
    """The remembered entries, each of `size` bytes, oldest first."""
    return [known[start : start + size] for start in range(0, len(known), size)]


def _holds(known: bytes, entry: bytes) -> bool:
    """Whether one of the equally long entries is this one."""
    return entry in known and entry in known_ids(known, len(entry))


# ---- folds -----------------------------------------------------------------------------------------------------------


class Amounts(Struct, frozen=True):
    """An order in base minor units."""

    items: int
    gross_minor: int
    discount_minor: int

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.discount_minor


def order_amounts(order: OrderPlaced, rates: Rates) -> Amounts:
    """What an order comes to. A line's discount never exceeds the line, an order never `MOST_MINOR`."""
    items = gross = discount = 0
    for line in order.lines:
        quantity = line.quantity
        value = quantity * line.unit_price_minor
        items += quantity
        gross += value
        if line.discount_minor:  # of few
            discount += min(line.discount_minor, value)
    gross = min(rates.to_base(gross, order.currency), MOST_MINOR)
    return Amounts(items, gross, min(rates.to_base(discount, order.currency), gross))


def fold_order(profile: Profile, order: OrderPlaced, rates: Rates, horizons_ms: tuple[int, ...]) -> None:
    """Count an order. The first one folded is the first purchase, and stays it should an older one come late."""
    amounts, at_ms = order_amounts(order, rates), order.occurred_at_ms
    if profile.first_purchase is None:
        _begin(profile, order, amounts, horizons_ms)
    else:
        _count_outcome(profile, at_ms, amounts.net_minor, horizons_ms)
    profile.purchases.add(at_ms, trimmed([1, amounts.gross_minor, amounts.items, amounts.discount_minor]))
    profile.language = order.language or profile.language
    profile.see(at_ms)


def _begin(profile: Profile, order: OrderPlaced, amounts: Amounts, horizons_ms: tuple[int, ...]) -> None:
    """The first purchase: home market, whether the customer is new, and outcomes (a return may have come before it)."""
    at_ms, since_ms = order.occurred_at_ms, order.customer_since_ms
    skus = len({line.sku for line in order.lines})
    profile.first_purchase = FirstPurchase(
        at_ms, amounts.net_minor, amounts.discount_minor, amounts.items, skus, len(order.lines)
    )
    profile.market = order.market
    profile.is_new = since_ms is None or since_ms >= at_ms - DAY_MS
    profile.outcomes = [
        -profile.returns.read_between(at_ms, at_ms + horizon_ms + 1)[REFUND] for horizon_ms in horizons_ms
    ]


def refund_minor(event: ItemsReturned, rates: Rates) -> int:
    """What a return comes to, in base minor units; never more than `MOST_MINOR`."""
    return min(rates.to_base(sum(line.refund_minor for line in event.lines), event.currency), MOST_MINOR)


def fold_return(profile: Profile, event: ItemsReturned, rates: Rates, horizons_ms: tuple[int, ...]) -> None:
    """Count a return or cancellation."""
    refund, at_ms = refund_minor(event, rates), event.occurred_at_ms
    _count_outcome(profile, at_ms, -refund, horizons_ms)
    profile.returns.add(at_ms, (1, refund, sum(line.quantity for line in event.lines)))
    for line in event.lines:
        profile.returned = _latest(line.sku, profile.returned, RETURNED_KEPT)
    profile.see(at_ms)


def _count_outcome(profile: Profile, at_ms: int, net_minor: int, horizons_ms: tuple[int, ...]) -> None:
    first = profile.first_purchase
    if first is None or at_ms < first.at_ms:
        return
    for index, horizon_ms in enumerate(horizons_ms):
        if at_ms <= first.at_ms + horizon_ms:
            profile.outcomes[index] += net_minor


_COUNTED_AS: Final = {"view": VIEWS, "search": SEARCHES, "add_to_cart": CARTS, "wishlist": WISHLISTS}


def fold_browse(who: Profile | Visitor, event: PageBrowsed, rates: Rates) -> None:
    """Count a step of browsing. A session begins after half an hour of nothing, as events were applied."""
    at_ms = event.occurred_at_ms
    amounts = _browsed(event, rates)
    if at_ms > who.last_seen_ms + SESSION_GAP_MS:
        amounts[SESSIONS] = 1
    who.browse.add(at_ms, trimmed(amounts))
    who.see(at_ms)
    if event.sku is not None:
        who.viewed = _latest(event.sku, who.viewed, VIEWED_KEPT)


def fold_browsing(who: Profile | Visitor, events: Iterable[PageBrowsed], rates: Rates) -> int:
    """Count steps of browsing in a row: what `browse_seen` and `fold_browse` make of them one by one, in a fraction of the time.

    Returns how many were repetitions. Written out in one loop: a replay of years spends most of its time here.
    """
    recent = [int.from_bytes(entry, "big") for entry in known_ids(who.browse_ids, BROWSE_ID_BYTES)]
    last_s, first_s = who.last_seen_s, who.first_seen_s
    sums, viewed, repeated = dict[int, list[int]](), list[str](), 0
    for event in events:
        entry = crc32(event.event_id.encode())
        if entry in recent:
            repeated += 1
            continue
        recent.append(entry)
        if len(recent) > BROWSE_IDS_KEPT:
            del recent[0]
        at_ms, kind, sku = event.occurred_at_ms, event.kind, event.sku
        step = at_ms // _STEP_MS
        tile = sums.get(step)
        if tile is None:
            tile = sums[step] = [0] * Browsing.measures
        if event.dwell_ms:
            tile[DWELL] += (event.dwell_ms + DWELL_MS // 2) // DWELL_MS
        if kind == "view":
            tile[VIEWS] += 1
            points = _view_points(event, rates)
            tile[PRICE_POINTS if points else UNPRICED] += points or 1
        else:
            tile[_COUNTED_AS[kind]] += 1
        if event.campaign is not None:
            tile[CAMPAIGNS] += 1
        if at_ms > last_s * 1_000 + SESSION_GAP_MS:
            tile[SESSIONS] += 1
        at_s = at_ms // 1_000
        last_s = max(last_s, at_s)
        first_s = min(first_s, at_s)
        if sku is not None:
            viewed.append(sku)
    who.browse.add_all({step * _STEP_MINUTES: trimmed(amounts) for step, amounts in sums.items()})
    who.browse_ids = b"".join([entry.to_bytes(BROWSE_ID_BYTES, "big") for entry in recent])
    who.last_seen_s, who.first_seen_s = last_s, first_s
    if viewed:
        who.viewed = list(dict.fromkeys([*reversed(viewed), *who.viewed]))[:VIEWED_KEPT]
    return repeated


_STEP_MINUTES: Final = BROWSING_PLAN[0].width
_STEP_MS: Final = _STEP_MINUTES * MINUTE_MS


def repetitions(who: Profile | Visitor, events: Iterable[PageBrowsed]) -> int:
    """How many of these steps would not count, of somebody whom nobody will ask about any more."""
    recent, repeated = known_ids(who.browse_ids, BROWSE_ID_BYTES), 0
    for event in events:
        entry = crc32(event.event_id.encode()).to_bytes(BROWSE_ID_BYTES, "big")
        if entry in recent:
            repeated += 1
        else:
            recent = [*recent[-BROWSE_IDS_KEPT + 1 :], entry]
    return repeated


def _browsed(event: PageBrowsed, rates: Rates) -> list[int]:
    amounts = [0] * Browsing.measures
    amounts[_COUNTED_AS[event.kind]] = 1
    amounts[DWELL] = (event.dwell_ms + DWELL_MS // 2) // DWELL_MS
    if event.kind == "view":
        points = _view_points(event, rates)
        amounts[PRICE_POINTS if points else UNPRICED] = points or 1
    if event.campaign is not None:
        amounts[CAMPAIGNS] = 1
    return amounts


def _view_points(event: PageBrowsed, rates: Rates) -> int:
    """The price points of what was looked at; 0 if its price is not known, or nothing."""
    price_minor, currency = event.price_minor, event.currency
    if not price_minor:
        return 0
    if currency is None or currency == rates.base:
        return price_points(price_minor)
    return price_points(rates.to_base(price_minor, currency)) if rates.knows(currency) else 0


def price_points(minor: int) -> int:
    """A price on a scale of ratios: sums of it give the price level somebody looks at, whatever the outliers.

    >>> price_points(25_000), price_points(50_000)
    (81, 87)
    """
    return round(POINTS_PER_LOG * log1p(minor))


def _latest(sku: str, known: list[str], kept: int) -> list[str]:
    """The last different ones, latest first."""
    if sku not in known:
        return [sku, *known[: kept - 1]]
    return [sku, *(other for other in known if other != sku)]


def absorb(profile: Profile, visitor: Visitor) -> bool:
    """Make a visitor's browsing the customer's own; once for each visitor. Says whether it did."""
    entry = _hash(visitor.visitor_id, VISITOR_BYTES)
    if _holds(profile.visitors, entry):
        return False
    profile.visitors = (profile.visitors + entry)[-VISITORS_KEPT * VISITOR_BYTES :]
    profile.browse.merge(visitor.browse)
    newer, older = (visitor, profile) if visitor.last_seen_ms > profile.last_seen_ms else (profile, visitor)
    profile.viewed = list(dict.fromkeys([*newer.viewed, *older.viewed]))[:VIEWED_KEPT]
    profile.first_seen_s = min(profile.first_seen_s, visitor.first_seen_s)
    profile.last_seen_s = newer.last_seen_s
    return True


# ---- what is to be done later ------------------------------------------------------------------------------------------


def next_due(profile: Profile) -> int | None:
    return profile.pending[0].due_ms if profile.pending else None


def remind(profile: Profile, due_ms: int, kind: str) -> None:
    """Have something done when time has come."""
    profile.pending = [*profile.pending]  # whoever holds the list sees no change
    insort(profile.pending, Pending(due_ms, kind))


def remind_once(profile: Profile, due_ms: int | None, kind: str) -> None:
    """The same, in place of any earlier reminder of this kind; None: no more."""
    pending = [item for item in profile.pending if item.kind != kind]
    if due_ms is not None:
        insort(pending, Pending(due_ms, kind))
    profile.pending = pending


def take_pending(profile: Profile) -> Pending:
    """The first thing to be done, taken off the list."""
    first, *profile.pending = profile.pending
    return first


# ---- questions -------------------------------------------------------------------------------------------------------


def meet_pools(profile: Profile, pools: Iterable[str]) -> None:
    """Note which pools know the customer."""
    profile.pools = [*dict.fromkeys((*profile.pools, *pools))][-POOLS_KEPT:]


def visitor_is_linked(profile: Profile, visitor_id: str) -> bool:
    """Whether this visitor's browsing is the customer's already."""
    return _holds(profile.visitors, _hash(visitor_id, VISITOR_BYTES))


def net_spend(profile: Profile, as_of_ms: int, window: Window | int) -> int:
    """Purchases less returns up to and including a moment, within a window (a name, or milliseconds).

    A purchase counts until the end of the day (UTC) on which the window has passed since it. May be negative.
    """
    return net_spend_remaining(profile, as_of_ms, as_of_ms, window)


def net_spend_remaining(profile: Profile, as_of_ms: int, until_ms: int, window: Window | int) -> int:
    """What of the spend up to `as_of_ms` still counts at `until_ms` if nothing is bought or returned in between."""
    since_ms = far_edge(TRADING_PLAN, until_ms, _minutes(window)) * MINUTE_MS
    bought = profile.purchases.read_between(since_ms, as_of_ms + 1)
    returned = profile.returns.read_between(since_ms, as_of_ms + 1)
    return bought[GROSS] - bought[DISCOUNT] - returned[REFUND]


def orders_count(profile: Profile, as_of_ms: int, window: Window | int) -> int:
    """Orders up to and including a moment, within a window."""
    since_ms = far_edge(TRADING_PLAN, as_of_ms, _minutes(window)) * MINUTE_MS
    return profile.purchases.read_between(since_ms, as_of_ms + 1)[ORDERS]


def next_spend_expiry_ms(profile: Profile, as_of_ms: int, window: Window | int) -> int | None:
    """When next something leaves the window, a purchase or a return; None if nothing is in it."""
    length = _minutes(window)
    first, width = far_edge(TRADING_PLAN, as_of_ms, length), grain(TRADING_PLAN, length)
    starts = [start for tiles in (profile.purchases, profile.returns) for start, _, _ in tiles.tiles()]
    oldest = min((start for start in starts if start >= first), default=None)
    if oldest is None or width == EVER:
        return None
    return (oldest - oldest % width + width + length) * MINUTE_MS


def _minutes(window: Window | int) -> int:
    return window // MINUTE_MS if isinstance(window, int) else WINDOWS[window]
