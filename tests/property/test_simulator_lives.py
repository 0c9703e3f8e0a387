"""Whatever the plan: lives can be told in any blocks, and an advisor changes nothing that was before."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import OrderPlaced
from streams.simulator import Malformed, Shop, ShopPlan
from streams.simulator.calendar import Calendar
from streams.simulator.customer import Life
from streams.simulator.nature import Effect
from streams.simulator.plan import DAY_MS, OPENING_MS
from streams.simulator.runs import merged, write_runs

plans = st.builds(
    ShopPlan,
    seed=st.integers(0, (1 << 62) - 1),
    customers=st.integers(1, 30),
    days=st.integers(1, 300),
    browse=st.booleans(),
    trouble=st.sampled_from([0.0, 0.01, 0.5, 1.0]),
    lookers=st.floats(0, 3),
    bots=st.floats(0, 0.1),
    seasons=st.booleans(),
)
effects = st.builds(Effect, speed=st.floats(0.3, 4), spend=st.floats(0.5, 2), returns=st.floats(0, 2))


@settings(max_examples=25, deadline=None)
@given(plan=plans, block=st.integers(1, 40))
def test_lives_told_in_any_blocks_make_one_shop(plan, block):
    """The same records in the same order as all at once, in order of time and within the plan."""
    at_once = [item if isinstance(item, Malformed) else item[1] for item in Shop(plan).events()]
    times = [what.at_ms if isinstance(what, Malformed) else what.occurred_at_ms for what in at_once]
    assert times == sorted(times)
    assert all(plan.from_ms <= at_ms < plan.until_ms for at_ms in times)
    with TemporaryDirectory() as folder:
        runs = write_runs(plan, Path(folder), block=block)
        assert [entry.read() for entry in merged(runs, Path(folder))] == at_once
        assert list(Path(folder).iterdir()) == []


def live(life, changes):
    """All that a life says, with the effects that begin at these times."""
    said, changes = [], sorted(changes, key=lambda change: change[0])
    while (next_ms := life.next_ms) is not None and next_ms < OPENING_MS + 900 * DAY_MS:
        if changes and changes[0][0] <= next_ms:
            life.advise(*changes.pop(0))
            continue
        said += [event for _, event in life.step()]
    return said


@settings(max_examples=60, deadline=None)
@given(
    plan=plans, number=st.integers(0, 29), day=st.integers(0, 600), effect=effects, end=st.integers(1, 300)
)  # fmt: skip
def test_an_effect_changes_only_what_comes_after_it(plan, number, day, effect, end):
    """Before it the same life; afterwards the same orders in the same order, at other times."""
    begin_ms, end_ms = plan.from_ms + day * DAY_MS, plan.from_ms + (day + end) * DAY_MS
    alone = live(Life(plan, number % plan.customers), [])
    advised = live(Life(plan, number % plan.customers), [(begin_ms, effect), (end_ms, Effect())])
    early = [event for event in alone if event.occurred_at_ms < begin_ms]
    assert early == [event for event in advised if event.occurred_at_ms < begin_ms]
    ids = [[event.order_id for event in said if isinstance(event, OrderPlaced)] for said in (alone, advised)]
    shorter, longer = sorted(ids, key=len)
    assert longer[: len(shorter)] == shorter
    if effect.speed >= 1.0:
        at = [{e.order_id: e.occurred_at_ms for e in said if isinstance(e, OrderPlaced)} for said in (alone, advised)]
        assert all(at[1][order_id] <= at_ms for order_id, at_ms in at[0].items() if order_id in at[1])


@given(
    offset=st.integers(-11, 13),
    start=st.integers(-40 * DAY_MS, 900 * DAY_MS),
    wait=st.floats(0, 400 * DAY_MS, allow_nan=False),
)
def test_the_calendar_keeps_order_and_can_be_turned_back(offset, start, wait):
    """Later stays later, and a moment is found again to the second, also outside the plan."""
    calendar = Calendar(OPENING_MS, 365, offset)
    at_ms = OPENING_MS + start
    later_ms = calendar.later(at_ms, wait)
    assert later_ms >= at_ms
    assert 0 <= at_ms - calendar.moment(calendar.adjusted(at_ms)) <= 1_001
    assert abs(calendar.adjusted(later_ms) - calendar.adjusted(at_ms) - wait) <= 8_000
