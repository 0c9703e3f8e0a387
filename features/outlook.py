"""Qualifying spend now and some time ahead, and when it next changes by itself: all a tier review asks, in one pass."""

from collections.abc import Sequence
from typing import NamedTuple

from features.profile import DISCOUNT, GROSS, ITEMS, ORDERS, REFUND, Profile
from features.windows import EVER, MINUTE_MS, TRADING_PLAN, far_edge, grain


class Outlook(NamedTuple):
    """`net_spend`, `orders_count` and `net_spend_remaining` of `profile.py`, and `next_spend_expiry_ms` of two windows."""

    net_minor: int
    orders: int
    soon_minor: int  # what remains of it `ahead_ms` later if nothing is bought
    expires_ms: int | None  # when something next leaves the window
    soon_expires_ms: int | None  # when something next comes within `ahead_ms` of leaving it


def outlook(profile: Profile, as_of_ms: int, window_ms: int, ahead_ms: int) -> Outlook:
    """What counts up to and including `as_of_ms`."""
    window, shorter = window_ms // MINUTE_MS, (window_ms - ahead_ms) // MINUTE_MS
    since = far_edge(TRADING_PLAN, as_of_ms, window)
    since_soon = far_edge(TRADING_PLAN, as_of_ms + ahead_ms, window)
    since_shorter = far_edge(TRADING_PLAN, as_of_ms, shorter)
    until = as_of_ms // MINUTE_MS
    now = orders = soon = 0
    oldest = oldest_shorter = None
    for start, _, sums in profile.purchases.tiles():
        if start < since:
            break
        if start <= until:
            # net; tiles leave trailing zeros out
            bought = sums[GROSS] if len(sums) == ITEMS + 1 else _at(sums, GROSS) - _at(sums, DISCOUNT)
            now += bought
            orders += sums[ORDERS]
            if start >= since_soon:
                soon += bought
        oldest = start  # they come newest first
        if start >= since_shorter:
            oldest_shorter = start
    for start, _, sums in profile.returns.tiles():
        if start < since:
            break
        if start <= until:
            sent_back = _at(sums, REFUND)
            now -= sent_back
            if start >= since_soon:
                soon -= sent_back
        oldest = start if oldest is None or start < oldest else oldest
        if start >= since_shorter and (oldest_shorter is None or start < oldest_shorter):
            oldest_shorter = start
    return Outlook(now, orders, soon, _expiry_ms(oldest, window), _expiry_ms(oldest_shorter, shorter))


def _at(sums: Sequence[int], measure: int) -> int:
    return sums[measure] if measure < len(sums) else 0


def _expiry_ms(oldest: int | None, window: int) -> int | None:
    width = grain(TRADING_PLAN, window)
    if oldest is None or width == EVER:
        return None
    return (oldest - oldest % width + width + window) * MINUTE_MS
