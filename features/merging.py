"""Two accounts, one customer: what was known of an account that ended, folded into the one that goes on.

Sums add up, so it makes no difference under which account something was bought, returned or browsed, nor in which order
the two halves become known. What cannot add up is chosen, and never by chance: each rule stands beside its line. What is
announced of it, and what becomes of looks, is the engine's business. The rules with their reasons:
docs/decisions/0008-merged-accounts.md.
"""

from itertools import zip_longest
from typing import Final

from features.profile import (
    BROWSE_ID_BYTES,
    BROWSE_IDS_KEPT,
    DISCOUNT,
    DOCUMENT_BYTES,
    DOCUMENTS_KEPT,
    GROSS,
    REFUND,
    RETURNED_KEPT,
    VIEWED_KEPT,
    VISITOR_BYTES,
    VISITORS_KEPT,
    FirstPurchase,
    Profile,
    Treatment,
    known_ids,
)

MERGED_KEPT: Final = 32
_ARMS: Final = ("none", "control", "treatment")  # a treatment is never forgotten over a lesser one
_NEVER: Final = "never"


def merge_into(profile: Profile, ended: Profile, horizons_ms: tuple[int, ...]) -> None:
    """Make what is known of `ended` the customer's own. Tiers and reminders stay as they are, to be reviewed after it."""
    _join_first_purchase(profile, ended, horizons_ms)
    _join_will(profile, ended)
    _join_memory(profile, ended)
    profile.purchases.merge(ended.purchases)
    profile.returns.merge(ended.returns)
    profile.browse.merge(ended.browse)
    profile.market = profile.market or ended.market
    profile.language = profile.language or ended.language
    profile.treatment = _stronger(profile.treatment, ended.treatment)
    profile.vip_at_ms = min(filter(None, (profile.vip_at_ms, ended.vip_at_ms)), default=0)
    accounts = dict.fromkeys((*profile.merged, ended.customer_id, *ended.merged))
    profile.merged = [account for account in accounts if account != profile.customer_id][-MERGED_KEPT:]


def _join_first_purchase(profile: Profile, ended: Profile, horizons_ms: tuple[int, ...]) -> None:
    """The earlier one stands; a customer whose earlier one was under the other account was not new at the own one.

    What the other account bought since then, its first purchase too, is an outcome. It is read from tiles: to the day, if
    it is long ago.
    """
    own, other = profile.first_purchase, ended.first_purchase
    if other is not None and (own is None or other.at_ms < own.at_ms):
        profile.outcomes = _outcomes(other, ended, profile, horizons_ms)
        profile.first_purchase, profile.is_new = other, False
    elif own is not None:
        profile.outcomes = _outcomes(own, profile, ended, horizons_ms)


def _outcomes(first: FirstPurchase, whose: Profile, other: Profile, horizons_ms: tuple[int, ...]) -> list[int]:
    return [
        known + _net_between(other, first.at_ms, first.at_ms + horizon_ms + 1)
        for known, horizon_ms in zip(whose.outcomes, horizons_ms, strict=False)
    ]


def _net_between(profile: Profile, from_ms: int, to_ms: int) -> int:
    bought = profile.purchases.read_between(from_ms, to_ms)
    return bought[GROSS] - bought[DISCOUNT] - profile.returns.read_between(from_ms, to_ms)[REFUND]


def _join_will(profile: Profile, ended: Profile) -> None:
    """Consent withdrawn once is withdrawn, and "never" means never. A wish for an advisor that was told already is done."""
    profile.consent = max(profile.consent, ended.consent)
    if _NEVER in (profile.wish, ended.wish):
        profile.wish, profile.wish_advisor = _NEVER, None
    elif not profile.wish and ended.market is None:
        profile.wish, profile.wish_advisor = ended.wish, ended.wish_advisor


def _join_memory(profile: Profile, ended: Profile) -> None:
    """Who was seen when, with what, and what is known already; lists are as short as ever."""
    newer, older = (ended, profile) if ended.last_seen_s > profile.last_seen_s else (profile, ended)
    profile.viewed = list(dict.fromkeys([*newer.viewed, *older.viewed]))[:VIEWED_KEPT]
    profile.returned = list(dict.fromkeys([*newer.returned, *older.returned]))[:RETURNED_KEPT]
    profile.first_seen_s, profile.last_seen_s = min(profile.first_seen_s, ended.first_seen_s), newer.last_seen_s
    profile.documents = _newest_of_both(profile.documents, ended.documents, DOCUMENT_BYTES, DOCUMENTS_KEPT)
    profile.visitors = _newest_of_both(profile.visitors, ended.visitors, VISITOR_BYTES, VISITORS_KEPT)
    profile.browse_ids = _newest_of_both(profile.browse_ids, ended.browse_ids, BROWSE_ID_BYTES, BROWSE_IDS_KEPT)


def _newest_of_both(one: bytes, other: bytes, size: int, kept: int) -> bytes:
    """Entries of both, the newest of each last, in turns: neither account's latest are forgotten for the other's old ones."""
    pairs = zip_longest(reversed(known_ids(one, size)), reversed(known_ids(other, size)))
    newest_first = [*dict.fromkeys(entry for pair in pairs for entry in pair if entry)]
    return b"".join(reversed(newest_first[:kept]))


def _stronger(own: Treatment | None, other: Treatment | None) -> Treatment | None:
    if own is None or other is None:
        return own or other
    return other if _ARMS.index(other.arm) > _ARMS.index(own.arm) else own
