import pytest

from features.profile import TierStanding
from schemas.errors import SettingsError
from streams.scoring.tiers import DAY_MS, Tier, TierChange, TierPolicy, review

SILVER, GOLD, BLACK = Tier("silver", 50_000), Tier("gold", 100_000, orders=2), Tier("black", 300_000, orders=3)
POLICY = TierPolicy(tiers=(SILVER, GOLD, BLACK))
NOW_MS = 20_000 * DAY_MS


def look(standing, minor, *, soon=None, orders=9, at_ms=NOW_MS, policy=POLICY, orders_soon=None):
    return review(
        standing,
        qualifying_minor=minor,
        orders=orders,
        qualifying_soon_minor=minor if soon is None else soon,
        at_ms=at_ms,
        policy=policy,
        orders_soon=orders_soon,
    )


def said(result):
    return [(change.change, change.tier, change.missing_minor) for change in result.changes]


def test_a_tier_reached_is_announced_once():
    """Reached at its amount, not a unit before; a second review has nothing to say."""
    assert said(look(TierStanding(), 40_000)) == []
    reached = look(TierStanding(), 50_000)
    assert reached.changes == (TierChange("reached", "silver", 1, 50_000, 0),)
    assert said(look(reached.standing, 50_000)) == []


def test_a_jump_announces_the_highest_tier():
    """Who reaches gold at once is not told of silver."""
    assert said(look(TierStanding(), 120_000)) == [("reached", "gold", 0)]


def test_spend_alone_does_not_reach_a_tier_that_asks_for_orders():
    """Gold asks for two orders: one large order reaches silver and is near gold, nothing missing but an order."""
    assert said(look(TierStanding(), 120_000, orders=1)) == [("reached", "silver", 0), ("near", "gold", 0)]
    assert said(look(TierStanding(tier=2), 299_000, orders=1)) == [("lost", "gold", 0)]


def test_lost_tiers_are_announced_one_by_one_from_the_top():
    """After the last of them the tier is known from the announcements alone; what is missing is said."""
    lost = look(TierStanding(tier=3), 60_000)
    assert said(lost) == [("lost", "black", 240_000), ("lost", "gold", 40_000)]
    assert lost.standing.tier == 1
    assert said(look(lost.standing, 60_000)) == []


def test_near_is_announced_within_its_distance():
    """A tenth of the tier's amount is near, with what is missing."""
    assert said(look(TierStanding(), 44_999)) == []
    assert said(look(TierStanding(), 45_000)) == [("near", "silver", 5_000)]


def test_near_is_said_again_only_after_going_away_and_cooling_down():
    """Within the hysteresis it is still near; further away it is forgotten; back again, the cool-down holds it back."""
    near = look(TierStanding(), 46_000)
    still = look(near.standing, 44_000)
    assert (said(still), still.standing.near) == ([], 1)
    away = look(still.standing, 43_000)
    assert (said(away), away.standing.near, away.next_ms) == ([], 0, None)
    back = look(away.standing, 46_000, at_ms=NOW_MS + DAY_MS)
    assert (said(back), back.next_ms) == ([], NOW_MS + POLICY.cool_down_ms)
    cooled = look(back.standing, 46_000, at_ms=back.next_ms)
    assert said(cooled) == [("near", "silver", 4_000)]
    assert cooled.next_ms is None


def test_a_tier_lost_by_little_is_not_called_near_at_once():
    """The loss has said what is missing; near is for whoever came closer."""
    lost = look(TierStanding(tier=1), 49_000)
    assert said(lost) == [("lost", "silver", 1_000)]
    assert said(look(lost.standing, 49_500, at_ms=NOW_MS + 90 * DAY_MS)) == []


def test_reaching_a_tier_makes_the_next_one_near_in_its_own_right():
    """Near gold is said although near silver was; the cool-down applies to both."""
    near = look(TierStanding(), 46_000)
    reached = look(near.standing, 95_000)
    assert said(reached) == [("reached", "silver", 0)]
    assert reached.next_ms == NOW_MS + POLICY.cool_down_ms
    assert said(look(reached.standing, 95_000, at_ms=reached.next_ms)) == [("near", "gold", 5_000)]


def test_a_tier_at_risk_is_announced_once_until_it_is_safe():
    """At risk when what remains in a month would not do, with what is missing then; safe again, it may be said again."""
    risk = look(TierStanding(tier=1), 60_000, soon=30_000)
    assert said(risk) == [("at_risk", "silver", 20_000)]
    assert said(look(risk.standing, 60_000, soon=20_000)) == []
    safe = look(risk.standing, 80_000, soon=50_000)
    assert (said(safe), safe.standing.at_risk) == ([], 0)
    assert said(look(safe.standing, 80_000, soon=49_999)) == [("at_risk", "silver", 1)]


def test_orders_that_expire_put_a_tier_at_risk_too():
    """Gold asks for two orders: one of them leaving the window is a risk even if the amount holds."""
    assert said(look(TierStanding(tier=2), 150_000, orders_soon=1)) == [("at_risk", "gold", 0)]


def test_the_highest_tier_has_nothing_near():
    """Beyond black there is nothing to come close to."""
    assert said(look(TierStanding(tier=3), 10**9)) == []


def test_no_tiers_no_changes():
    """A shop without tiers hears nothing."""
    assert look(TierStanding(), 10**9, policy=TierPolicy()) == (TierStanding(), (), None)


def test_tiers_must_ascend():
    """The settings error names the tier, and says what to do."""
    with pytest.raises(SettingsError) as raised:
        TierPolicy(tiers=(GOLD, SILVER))
    assert raised.value.key == "tiers[1]"


def test_the_standing_given_is_left_as_it_was():
    """A review returns a new standing; the old one can be compared with it."""
    standing = TierStanding()
    look(standing, 120_000)
    assert standing == TierStanding()
