"""What makes a worker unready is said, with the processor, the partition and why."""

import pytest

from streams.watching.health import SILENT_S, STALLED_S, Condition, Progress, Stuck, reasons
from streams.watching.probe import Findings

WELL = Condition(processor="scorer", partitions=(0, 1))


def kinds(*conditions):
    return [(reason.processor, reason.kind, reason.partition) for reason in reasons(conditions)]


def test_a_processor_that_does_its_work_is_ready():
    assert kinds(WELL) == []


def test_a_member_without_partitions_is_ready():
    """There may be more workers than partitions."""
    assert kinds(Condition(processor="learner")) == []


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition(processor="scorer", has_joined=False), [("scorer", "joining", None)]),
        (Condition(processor="scorer", stopped={3: "store ahead"}), [("scorer", "stopped", 3)]),
        (Condition(processor="scorer", lagging={1: Stuck(1200, 75)}), [("scorer", "lagging", 1)]),
        (Condition(processor="scorer", stalled_s=STALLED_S), [("scorer", "stalled", None)]),
        (Condition(processor="scorer", silent_s=SILENT_S), [("scorer", "silent", None)]),
        (Condition(processor="scorer", is_draining=True, stalled_s=900), [("scorer", "draining", None)]),
        (Condition(processor="scorer", stopped={1: "x"}, lagging={1: Stuck(9, 99)}), [("scorer", "stopped", 1)]),
    ],
)
def test_each_trouble_is_named(condition, expected):
    assert kinds(WELL, condition) == expected


def test_the_reason_says_what_the_last_failure_said():
    (reason,) = reasons([Condition(processor="scorer", lagging={1: Stuck(1200, 75)}, trouble="store: no memory left")])
    assert reason.says == "1200 records behind, and nothing was applied for 75 s: store: no memory left"


def seen(progress, now_s, lag, applied):
    progress.see(Findings(lag={("orders", 0): lag}, applied={0: applied}), now_s)
    return progress.stuck(now_s)


def test_a_partition_that_lags_and_moves_is_not_stuck():
    progress = Progress()
    assert [seen(progress, now_s, 500, now_s) for now_s in (0, 50, 100, 150)] == [{}, {}, {}, {}]


def test_a_partition_that_lags_and_stands_is_stuck_after_a_minute():
    progress = Progress()
    assert [seen(progress, now_s, 500, 7) for now_s in (0, 30, 60)] == [{}, {}, {0: Stuck(500, 60)}]


def test_a_partition_that_has_nothing_to_do_is_not_stuck():
    """Also if it did nothing for long: the time counts from when records came."""
    progress = Progress()
    assert [seen(progress, now_s, lag, 7) for now_s, lag in ((0, 0), (600, 0), (610, 5), (650, 5))] == [{}] * 4


def test_what_went_to_another_worker_is_forgotten():
    progress = Progress()
    seen(progress, 0, 500, 7)
    progress.see(Findings(), 30)
    assert progress.stuck(90) == {}
