"""The outlook of a tier review is what the single questions answer."""

from hypothesis import given
from hypothesis import strategies as st

from features.outlook import outlook
from features.profile import net_spend, net_spend_remaining, new_profile, next_spend_expiry_ms, orders_count

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
moments = st.integers(0, 900 * 24 * 60).map(lambda minutes: START_MS + minutes * 60_000)


@given(
    bought=st.lists(st.tuples(moments, st.integers(1, 9_999), st.integers(0, 99)), max_size=12),
    returned=st.lists(st.tuples(moments, st.integers(1, 9_999)), max_size=4),
    as_of_ms=moments,
    ahead_days=st.integers(1, 100),
)
def test_one_pass_answers_all_questions(bought, returned, as_of_ms, ahead_days):
    """Whatever was bought and returned, and whenever it is asked."""
    profile, window_ms, ahead_ms = new_profile("c", START_MS), 365 * DAY_MS, ahead_days * DAY_MS
    for at_ms, gross, discount in bought:
        profile.purchases.add(at_ms, (1, gross, 1, discount))
    for at_ms, refund in returned:
        profile.returns.add(at_ms, (1, refund, 1))
    seen = outlook(profile, as_of_ms, window_ms, ahead_ms)
    assert seen.net_minor == net_spend(profile, as_of_ms, window_ms)
    assert seen.orders == orders_count(profile, as_of_ms, window_ms)
    assert seen.soon_minor == net_spend_remaining(profile, as_of_ms, as_of_ms + ahead_ms, window_ms)
    assert seen.expires_ms == next_spend_expiry_ms(profile, as_of_ms, window_ms)
    assert seen.soon_expires_ms == next_spend_expiry_ms(profile, as_of_ms, window_ms - ahead_ms)
