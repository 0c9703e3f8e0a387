import math

import pytest

from schemas.events import Brief, CustomerScored
from streams.assignment.followed import DAY_MS, Followed, Sample, _indifferent
from streams.assignment.price import CLOSED, FREE, PriceBoard, PricePolicy, share_for_sale

START_MS = 20_000 * DAY_MS
POLICY = PricePolicy(planning_window_days=14, expected_looks=400, recent_looks=400)


def look(customer_id, score, kind="first", **others):
    fields = {
        "id": f"{customer_id}/{kind}",
        "customer_id": customer_id,
        "pool": "north",
        "market": "DE",
        "occurred_at_ms": START_MS,
        "look": kind,
        "look_number": 1,
        "score": score,
        "base": 0.0,
        "reasons": (),
        "first_order_minor": 1,
        "is_vip": False,
        "consent": "granted",
        "brief": Brief(),
        "model_version": "",
        "features_version": "",
        "policy_version": "",
    }
    return CustomerScored(**{**fields, **others})


def see(board, customer_id, score, at_ms, kind="first", **others):
    """A look as the assigner shows it to the board; what it was worth."""
    seen = look(customer_id, score, kind, **others)
    worth = board.worth(seen)
    board.remember(seen, worth, at_ms)
    return worth


def threshold(board, places, now_ms):
    return board.threshold(places, board.plan_until(now_ms), now_ms)


def busy_board(policy=POLICY, per_window=400):
    """A board that saw so many customers, evenly, in each of the last two windows; scores run from 0.0 to nearly 0.5."""
    board = PriceBoard(None, policy)
    for n in range(2 * per_window):
        at_ms = START_MS - 2 * policy.window_ms + n * policy.window_ms // per_window
        see(board, f"c{n}", (n * 7 % per_window) / per_window / 2, at_ms)
    return board


def test_the_worked_example():
    """12 places for 400 customers in 14 days make 3 %; with 6 places left after 3 days it is 6 / 314 = 0.019."""
    assert share_for_sale(12, 400) == 0.03
    assert share_for_sale(6, 400 * 11 / 14) == pytest.approx(0.019, abs=1e-4)


def test_the_worked_example_on_a_board():
    """Of 201 customers remembered (every second of 400) the board sells the 6 best places, and 3 once 6 are left for 11 days."""
    board = busy_board()
    until_ms = board.plan_until(START_MS)
    assert until_ms == START_MS + POLICY.window_ms
    ranked = sorted((each.worth for each in board._sample.customers), reverse=True)
    seen = len(ranked)
    assert board.threshold(12, until_ms, START_MS) == ranked[int(0.03 * (seen + 1)) - 1]
    for n in range(86):  # the three days go by like the others
        see(board, f"later{n}", n * 7 % 86 / 172, START_MS + n * 3 * DAY_MS // 86)
    after = sorted((each.worth for each in board._sample.customers), reverse=True)
    assert board.threshold(6, until_ms, START_MS + 3 * DAY_MS) == after[int(0.019 * (len(after) + 1)) - 1]


def test_a_day_has_one_window():
    """It begins with the day, and moves on with the next; however many places there are, it is as long."""
    board = PriceBoard(None, POLICY)
    assert board.plan_until(START_MS + 5_000) == board.plan_until(START_MS) == START_MS + 14 * DAY_MS
    assert board.plan_until(START_MS + DAY_MS) == START_MS + 15 * DAY_MS


def test_plenty_of_places_let_everybody_in():
    """With more places than customers the price is nothing."""
    assert threshold(busy_board(), 500, START_MS) == FREE


def test_no_places_let_nobody_in():
    """Without a place free or coming free, nobody passes, not even the best."""
    assert threshold(busy_board(), 0, START_MS) == CLOSED


def test_a_full_memory_sells_a_rare_place_to_who_beats_all_of_it():
    """One place for 5,000 customers is a smaller share than the memory can rank: it goes to a record."""
    board = busy_board(POLICY, per_window=5_000)
    assert threshold(board, 1, START_MS) == max(board._sample._ranked)


def test_a_young_pool_learns_before_it_lets_in():
    """With few places for the customers to come, the first to pass has been compared with many; with plenty, the first does."""
    board, passed = PriceBoard(None, POLICY), []
    for n in range(60):
        at_ms = START_MS + n * DAY_MS // 30
        seen = 0.1 + n / 1_000  # each better than all before
        if seen > threshold(board, 12, at_ms):
            passed.append(n)
        see(board, f"c{n}", seen, at_ms)
    assert passed[0] >= 30
    assert threshold(PriceBoard(None, POLICY), 400, START_MS) == FREE


def test_a_quiet_pool_comes_to_sell_what_it_has():
    """10 places and 5 customers a fortnight, where 400 were expected: after a window the price is nothing."""
    board = PriceBoard(None, PricePolicy(planning_window_days=14, expected_looks=40))
    for day in range(0, 30, 3):
        see(board, f"c{day}", 0.2, START_MS + day * DAY_MS)
    assert threshold(board, 10, START_MS + 30 * DAY_MS) == FREE


def test_equal_scores_sell_nothing_but_at_a_free_price():
    """A look must be above the threshold: where all are alike nobody is better than the others."""
    board = PriceBoard(None, POLICY)
    for n in range(400):
        see(board, f"c{n}", 0.3, START_MS + n)
    assert threshold(board, 12, START_MS + DAY_MS) == 0.3


def test_a_customer_counts_once_at_their_best():
    """Five looks at one customer are no five customers, neither in the ranking nor in the flow."""
    once, often = PriceBoard(None, POLICY), PriceBoard(None, POLICY)
    for n in range(100):
        at_ms = START_MS + n * DAY_MS // 8
        see(once, f"c{n}", n / 200, at_ms)
        for kind, score in (("first", 0.0), ("order", n / 200), ("day_7", n / 400)):
            see(often, f"c{n}", score, at_ms, kind)
    now_ms = START_MS + 13 * DAY_MS
    assert threshold(once, 12, now_ms) == threshold(often, 12, now_ms) > 0.3


def told(score, later, count=30):
    """A board that has seen what becomes of customers whose first look says so: half of them then say `later`, half nothing."""
    board = PriceBoard(None, POLICY)
    for n in range(count):
        see(board, f"c{n}", score, START_MS + n)
        see(board, f"c{n}", later if n % 2 else 0.01, START_MS + n, "day_14")
    see(board, "now", 0.001, START_MS + 40 * DAY_MS)
    return board


def test_a_look_that_will_not_be_surpassed_is_worth_what_it_says():
    """Waiting promises nothing: the sure look is taken at once."""
    assert see(told(0.5, 0.4), "new", 0.5, START_MS + 40 * DAY_MS) == 0.5


def test_a_middling_look_leaves_its_place_to_a_surer_one():
    """Of the like half turned out sure: the look is worth less than it says, by the patience that was set. The surer look,
    with none to come after it, is worth all of it.

    (0.3 - p = 0.85 * (0.9 - p) / 2 at p = -0.14: at any price it is better to wait; at 0.45 it is not.)"""
    board = told(0.3, 0.9)
    assert 0 < see(board, "new", 0.3, START_MS + 40 * DAY_MS) < 0.01
    assert see(board, "new", 0.9, START_MS + 40 * DAY_MS, "day_30") == 0.9
    worth = see(told(0.5, 0.9), "new", 0.5, START_MS + 40 * DAY_MS)
    assert worth == pytest.approx((0.5 - 0.85 * 0.9 / 2) / (1 - 0.85 / 2))


def test_without_patience_a_look_is_worth_what_it_says():
    board = PriceBoard(told(0.3, 0.9).encode(), PricePolicy(patience=0.0))
    assert see(board, "new", 0.3, START_MS + 40 * DAY_MS) == 0.3


@pytest.mark.parametrize("patience", [0.3, 0.85, 0.99])
def test_the_price_of_indifference_solves_its_equation(patience):
    """value - p = patience * mean(max(0, later - p)), wherever p is a price."""
    later = sorted((n * 37 % 101 / 101 for n in range(30)), reverse=True)
    for value in (0.4, 0.6, 0.8, 0.95):
        price = _indifferent(value, later, patience)
        waiting = patience * sum(max(0.0, best - price) for best in later) / len(later)
        assert price <= value
        assert price == pytest.approx(value * 1e-6) or value - price == pytest.approx(waiting)


def test_a_policy_may_rank_by_the_money_expected():
    """Then the price is an amount, and probabilities don't matter."""
    board = PriceBoard(None, PricePolicy(rank_by="expected_value"))
    for n in range(400):
        see(board, f"c{n}", 1 - n / 400, START_MS + n * DAY_MS // 40, expected_value_minor=n * 100)
    assert threshold(board, 12, START_MS + 10 * DAY_MS) > 35_000


def test_a_board_goes_on_where_it_was_encoded():
    """Decoded from its bytes, a board has the same price and the same bytes after the same looks."""
    one = busy_board()
    other = PriceBoard(one.encode(), POLICY)
    waited = 0
    for n in range(1_800):  # eleven weeks: customers grow old and are let go
        at_ms = START_MS + n * 3_600_000
        who, score, kind = f"n{n // 3}", n * 7 % 101 / 101, ("first", "order", "day_7")[n % 3]
        assert threshold(one, 5, at_ms) == threshold(other, 5, at_ms)
        worth = see(one, who, score, at_ms, kind)
        assert worth == see(other, who, score, at_ms, kind)
        waited += worth < score
        if n % 40 == 0:
            other = PriceBoard(other.encode(), POLICY)
    assert waited > 100
    assert one.encode() == other.encode()


def test_a_board_is_bounded():
    """A hundred thousand looks over two months leave 400 customers with 16 looks at most, who span a month, and a few days."""
    board = PriceBoard(None, POLICY)
    for n in range(100_000):
        see(board, f"c{n // 20}", n % 97 / 97, START_MS + n * 50_000, "order")
    customers = board._sample.customers
    assert len(customers) <= 400
    assert customers[-1].first_ms - customers[0].first_ms > 25 * DAY_MS
    assert len(board.encode()) < 400 * (16 * 5 + 40) + 200


def test_a_sample_stands_for_all():
    """Of many customers some are followed; the flow counts them for those who are not, and the ranking is the same."""
    board = PriceBoard(None, PricePolicy(recent_looks=100))
    for n in range(20_000):
        see(board, f"c{n}", n * 7_919 % 20_000 / 20_000, START_MS + n * 200_000)
    now_ms = START_MS + 20_000 * 200_000
    assert board._sample.level > 5
    assert board._rate(now_ms) * DAY_MS == pytest.approx(432, rel=0.4)
    assert threshold(board, 605, now_ms) == pytest.approx(0.9, abs=0.1)


def test_the_erased_are_forgotten():
    """Nothing of them stays behind, not even a hash."""
    board, without = PriceBoard(None, POLICY), PriceBoard(None, POLICY)
    for n in range(50):
        see(board, f"c{n}", n / 50, START_MS)
        if n != 7:
            see(without, f"c{n}", n / 50, START_MS)
    board.forget("c7")
    assert [c.who for c in board._sample.customers] == [c.who for c in without._sample.customers]
    assert board._sample._ranked == without._sample._ranked


def test_a_value_of_before_is_read():
    """What older versions kept is let go; the flow goes on."""
    old = PriceBoard(None, POLICY)
    old._prices.recent, old._prices.first_ms, old._prices.flow = b"\0" * 80, START_MS, {20_000: 9}
    old._prices.plan_looks = 400.0
    board = PriceBoard(old.encode(), POLICY)
    assert board._prices.flow == {20_000: 9}
    assert math.isinf(threshold(board, 0, START_MS))


def test_samples_are_empty_at_first():
    assert len(Sample([], 0, 10)) == 0
    assert Sample([Followed(1, START_MS, 0.5)], 0, 10).best(1) == 0.5
