import pytest

from streams.assignment.price import CLOSED, DAY_MS, FREE, PriceBoard, PricePolicy, share_for_sale

START_MS = 20_000 * DAY_MS
POLICY = PricePolicy(planning_window_days=14, expected_looks=400, recent_looks=400)


def busy_board(policy=POLICY, per_window=400):
    """A board that saw this many looks, evenly, in each of the last two windows; scores run from 0.0 to nearly 0.5."""
    board = PriceBoard(None, policy)
    for n in range(2 * per_window):
        at_ms = START_MS - 2 * policy.window_ms + n * policy.window_ms // per_window
        board.remember((n * 7 % per_window) / per_window / 2, at_ms)
    return board


def test_the_worked_example():
    """12 places for 400 looks in 14 days make 3 %; with 6 places gone after 3 days it is 6 / 314 = 0.019."""
    assert share_for_sale(12, 400) == 0.03
    assert share_for_sale(6, 400 * 11 / 14) == pytest.approx(0.019, abs=1e-4)


def test_the_worked_example_on_a_board():
    """The board sells the 12 best places in the ranking of 400, and 7 of 401 once 6 are gone after 3 days."""
    board = busy_board()
    ranked = sorted(range(400), reverse=True)
    assert board.plan_until(START_MS) == START_MS + POLICY.window_ms
    assert board.threshold(12, START_MS) == ranked[12 - 1] / 800
    assert board.threshold(6, START_MS + 3 * DAY_MS) == ranked[7 - 1] / 800


def test_as_many_looks_pass_as_there_are_places():
    """Were the future like the past, exactly the places for sale would be sold."""
    board = busy_board()
    threshold = board.threshold(12, START_MS)
    assert sum((n * 7 % 400) / 800 > threshold for n in range(400)) == 11  # a look that ties with the last place loses


def test_plenty_of_places_let_everybody_in():
    """With more places than looks the price is nothing."""
    assert busy_board().threshold(500, START_MS) == FREE


def test_no_places_let_nobody_in():
    """Without a place free or coming free, nobody passes, not even the best."""
    assert busy_board().threshold(0, START_MS) == CLOSED


def test_a_full_memory_sells_a_rare_place_to_who_beats_all_of_it():
    """One place for 5,000 looks is a smaller share than 400 looks can rank: it goes to a record."""
    board = busy_board(POLICY, per_window=5_000)
    assert board.threshold(1, START_MS) == max(board._ranked)


def test_a_young_pool_learns_before_it_lets_in():
    """With places for 3 % of the expected looks, the first to pass is the best of 33; with enough for all, the first look."""
    board, passed = PriceBoard(None, POLICY), []
    for n in range(60):
        at_ms = START_MS + n * 1_000
        score = 0.1 + n / 1_000  # each better than all before
        if score > board.threshold(12, at_ms):
            passed.append(n)
        board.remember(score, at_ms)
    assert passed[0] == 33
    assert PriceBoard(None, POLICY).threshold(400, START_MS) == FREE


def test_a_quiet_pool_comes_to_sell_what_it_has():
    """10 places and 5 looks a fortnight, where 400 were expected: after a window the price is nothing."""
    board = PriceBoard(None, POLICY)
    for day in range(0, 30, 3):
        board.threshold(10, START_MS + day * DAY_MS)
        board.remember(0.2, START_MS + day * DAY_MS)
    assert board.threshold(10, START_MS + 30 * DAY_MS) == FREE


def test_equal_scores_sell_nothing_but_at_a_free_price():
    """A look must be above the threshold: where all are alike nobody is better than the others."""
    board = PriceBoard(None, POLICY)
    for n in range(400):
        board.remember(0.3, START_MS + n)
    assert board.threshold(12, START_MS + DAY_MS) == 0.3


def test_a_board_goes_on_where_it_was_encoded():
    """Decoded from its bytes, a board has the same price and the same bytes after the same looks."""
    one = busy_board()
    other = PriceBoard(one.encode(), POLICY)
    for n in range(50):
        at_ms = START_MS + n * 3_600_000
        assert one.threshold(5, at_ms) == other.threshold(5, at_ms)
        one.remember(n / 100, at_ms)
        other.remember(n / 100, at_ms)
    assert one.encode() == other.encode()


def test_a_board_is_bounded():
    """Ten thousand looks over two years leave 400 scores and the days of one window."""
    board = PriceBoard(None, POLICY)
    for n in range(10_000):
        board.plan_until(START_MS + n * 6_000_000)
        board.remember(n % 97 / 97, START_MS + n * 6_000_000)
    assert len(board._recent) == len(board._ranked) == 400
    assert len(board.encode()) < 400 * 8 + 200
