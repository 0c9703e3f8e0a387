"""Two accounts, one customer: one ends, and all that is known or still comes under it goes on to the other.

The two lie on different partitions as a rule. So what is known of the account that ends moves as a `ProfileMoved`, and
what comes under it later follows as `EventForwarded`: both on `privacy`, which the scorer reads itself, so that each is
taken in exactly once and nothing overtakes the profile. Of the account that ended a note stays, saying where it went. How
the two halves become one profile is `features/merging.py`'s work; why all this is as it is:
docs/decisions/0008-merged-accounts.md.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from features.merging import merge_into
from features.profile import UNKNOWN, WITHDRAWN, Profile, decode_profile, encode, meet_pools
from schemas.events import (
    AdvisorAssigned,
    AssignmentEnded,
    AssignmentWished,
    AssignmentWithheld,
    ConsentChanged,
    CustomersMerged,
    CustomerStanding,
    ErasureRequested,
    Event,
    EventForwarded,
    ItemsReturned,
    OrderPlaced,
    PageBrowsed,
    ProfileMoved,
)
from schemas.ids import caused_by_record
from schemas.records import Fault, Record
from schemas.rejects import WHOLE_UP_TO_BYTES
from streams.scoring.deciding import Deciding
from streams.scoring.labels import give_no_examples
from streams.scoring.looks import stop_looking

Forwarded = (
    OrderPlaced | ItemsReturned | PageBrowsed | ConsentChanged | ErasureRequested | AssignmentWished
    | AdvisorAssigned | AssignmentWithheld
)  # fmt: skip
PASSED_KEPT = 1_000  # accounts, which bounds the longest circle that can be resolved
TOO_LARGE_TO_FORWARD = Fault(
    "too_large",
    "$",
    f"at most {WHOLE_UP_TO_BYTES} bytes as JSON under an account that was merged into another",
    "more",
    "publish it under the account that goes on",
)
_content: msgspec.json.Decoder[Forwarded] = msgspec.json.Decoder(Forwarded)


# ---- where the account ends ----------------------------------------------------------------------------------------


def merged(deciding: Deciding, record: Record, event: CustomersMerged, who: str) -> None:
    """An account ends: the assigner is told, its profile moves, a note stays. No example comes of its looks.

    An account that nothing is known of yet is merged like any other, so that what comes later finds its way.
    """
    profile = deciding.working.profile_or_new(who, event.occurred_at_ms, record)
    if event.into_customer_id in profile.merged:
        cure = "the other way round it was merged already; publish nothing, or merge into a third account"
        deciding.reject(record, _contradiction("an account that was not merged into this one", event, cure))
        return
    deciding.counts["merges"] += 1
    deciding.stand(record, profile, event.occurred_at_ms, "merged", event.into_customer_id)
    moved = ProfileMoved(
        id=caused_by_record(record, "ProfileMoved"),
        customer_id=event.into_customer_id,
        from_customer_id=who,
        occurred_at_ms=event.occurred_at_ms,
        profile=encode(replace(profile, pending=[])),
    )
    deciding.announce("privacy", event.into_customer_id, moved)
    deciding.working.end_account(who, event.into_customer_id)


# ---- what comes under it afterwards --------------------------------------------------------------------------------


def go_on(deciding: Deciding, record: Record, event: Event, ended: str, into: str) -> None:
    """What came under an account that ended follows it, through any number of merges."""
    match event:
        case CustomersMerged():
            _merged_before(deciding, record, event, into)
        case ProfileMoved():
            _pass_on(deciding, record, event, ended, into)
        case EventForwarded():
            _forward(deciding, record, _content.decode(event.event), event.from_customer_id, ended, into)
        case AssignmentEnded():
            pass  # no part of a profile
        case _:
            assert isinstance(event, Forwarded)
            _forward(deciding, record, event, ended, ended, into)


def _merged_before(deciding: Deciding, record: Record, event: CustomersMerged, into: str) -> None:
    if event.into_customer_id == into:
        deciding.counts["duplicates"] += 1
        return
    cure = "an account ends once; merge the account it was merged into"
    deciding.reject(record, _contradiction("the account it was merged into before", event, cure))


def _tell_merged(deciding: Deciding, record: Record, pools: Iterable[str], ended: str, into: str) -> None:
    """Pools may come to serve an account that had ended, by an import or as heir of another: they hear of the merge anew."""
    assert not isinstance(record.event, Fault)
    for ordinal, pool in enumerate(pools):
        standing = CustomerStanding(
            id=caused_by_record(record, "merged", ordinal),
            customer_id=ended,
            pool=pool,
            occurred_at_ms=record.event.occurred_at_ms,
            standing="merged",
            into_customer_id=into,
        )
        deciding.announce("scores", pool, standing)


def _pass_on(deciding: Deciding, record: Record, event: ProfileMoved, ended: str, into: str) -> None:
    """A profile follows the notes. Where it has been before they form a circle, of merges that could not know of each other:
    the account with the least id goes on, and all the others lead to it. Its pools, which may have made this account the heir
    by now, learn that it ended: of a merge of its own they may have been told too soon, or not at all.
    """
    path = (event.from_customer_id, *event.passed)
    if ended == min(_circle(path, ended, into), default=None):
        deciding.counts["circles"] += 1
        deciding.working.touch_profile(ended, None)
        moved_in(deciding, record, event, ended)
        return
    name, passed = caused_by_record(record, "ProfileMoved"), (*event.passed, ended)[-PASSED_KEPT:]
    deciding.announce("privacy", into, replace(event, id=name, customer_id=into, passed=passed))
    _tell_merged(deciding, record, deciding.pools_of(decode_profile(event.profile)), ended, into)


def _circle(path: tuple[str, ...], ended: str, into: str) -> tuple[str, ...]:
    """The accounts passed through since this one was, if its note still leads where it led then."""
    if ended not in path:
        return ()
    since = path[len(path) - 1 - path[::-1].index(ended) :]
    return since if since[1:2] == (into,) else ()


def _forward(deciding: Deciding, record: Record, event: Forwarded, origin: str, ended: str, into: str) -> None:
    """Send an event on. An erasure takes the note with it."""
    if isinstance(event, ErasureRequested):
        deciding.working.touch_profile(ended, None)
    if _is_for_the_note(event, origin):
        return
    forwarded = _addressed(record, event, origin, into)
    if len(forwarded.event.encode()) > WHOLE_UP_TO_BYTES:
        deciding.reject(record, TOO_LARGE_TO_FORWARD)
        return
    deciding.counts["forwarded"] += 1
    deciding.announce("privacy", into, forwarded)
    if isinstance(event, AdvisorAssigned):  # its pool may not have heard of this account's end, or not in time
        _tell_merged(deciding, record, (event.pool,), ended, into)


def _addressed(record: Record, event: Forwarded, origin: str, to: str, ordinal: int = 0) -> EventForwarded:
    return EventForwarded(
        id=caused_by_record(record, "EventForwarded", ordinal),
        customer_id=to,
        from_customer_id=origin,
        occurred_at_ms=event.occurred_at_ms,
        event=msgspec.json.encode(event).decode(),
        visitor_id=event.visitor_id if isinstance(event, OrderPlaced) else None,
    )


def drop_notes(deciding: Deciding, record: Record, profile: Profile, event: ErasureRequested) -> None:
    """Whoever is erased is no longer named by the accounts merged into theirs: an erasure goes back to each of them."""
    for ordinal, account in enumerate(profile.merged):
        if account != event.customer_id:
            back = ErasureRequested(customer_id=account, occurred_at_ms=event.occurred_at_ms)
            deciding.announce("privacy", account, _addressed(record, back, profile.customer_id, account, ordinal))


def arrived(forwarded: EventForwarded) -> Forwarded | None:
    """The event as it came, under the account that had ended; None if it came for a note that is gone already."""
    event = _content.decode(forwarded.event)
    return None if _is_for_the_note(event, forwarded.from_customer_id) else event


def _is_for_the_note(event: Forwarded, origin: str) -> bool:
    """Whether this is an erasure on its way back: it names the account it goes to, and not the one it comes from."""
    return isinstance(event, ErasureRequested) and event.customer_id != origin


# ---- where it goes on ----------------------------------------------------------------------------------------------


def moved_in(deciding: Deciding, record: Record, event: ProfileMoved, who: str) -> None:
    """Another account's profile joins this one's."""
    profile = deciding.working.profile_or_new(who, event.occurred_at_ms, record)
    if event.from_customer_id in profile.merged:
        deciding.counts["duplicates"] += 1
        return
    before, first = _told(deciding, profile), profile.first_purchase
    ended = decode_profile(event.profile)
    meet_pools(profile, deciding.pools_of(ended))
    merge_into(profile, ended, deciding.policy.outcomes_ms)
    if profile.first_purchase is not first:
        stop_looking(profile)
        deciding.working.touch_looks(who, None)
    else:
        give_no_examples(profile)
    profile.tier.reviewed_ms = max(profile.tier.reviewed_ms, event.occurred_at_ms)
    _tell(deciding, record, profile, before)
    deciding.after_money(record, profile)
    deciding.look_with_consent(record, profile, event.occurred_at_ms)


class _Told(NamedTuple):
    """What the assigner knows of a customer. Nothing before there is a pool."""

    pools: tuple[str, ...] = ()
    consent: int = UNKNOWN
    wish: str = ""
    is_vip: bool = False


def _told(deciding: Deciding, profile: Profile) -> _Told:
    pools = deciding.pools_of(profile)
    return _Told(pools, profile.consent, profile.wish, profile.vip_at_ms > 0) if pools else _Told()


def _tell(deciding: Deciding, record: Record, profile: Profile, before: _Told) -> None:
    """What is new to the assigner of the account that goes on. A pool that was the other account's is told all that forbids."""
    at_ms, now = profile.tier.reviewed_ms, _told(deciding, profile)
    has_grown = not set(now.pools) <= set(before.pools)
    if now.consent != before.consent or (has_grown and now.consent == WITHDRAWN):
        deciding.stand_by_consent(record, profile, at_ms)
    if now.wish != before.wish or (has_grown and now.wish == "never"):
        deciding.stand_by_wish(record, profile, at_ms)
    if now.is_vip and not before.is_vip:
        deciding.stand(record, profile, at_ms, "vip_reached")


def _contradiction(expected: str, event: CustomersMerged, cure: str) -> Fault:
    return Fault("conflict", "into_customer_id", expected, event.into_customer_id, cure)
