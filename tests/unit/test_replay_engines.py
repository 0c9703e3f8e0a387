"""However a fold is performed, its bytes are the same; it goes on where it was stopped, and says what went wrong."""

import json
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

import streams
from streams.replay import stages
from streams.replay.fold import fold
from streams.replay.moments import GivenMoment
from streams.replay.rows import Rows
from streams.replay.sources.simulator import SimulatorSource
from streams.replay.spending import Spending
from streams.replay.work import FOLD, FolderInUse, held, log_folder
from streams.replay.workers import LocalWorkers, ShardFailed
from streams.simulator.presets import plan_like
from tests.property.logs import ALONE, ListSource, moments_hash

POLICY = replace(ALONE, partitions=3, decide_from_ms=0)
SOCKETS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LOOPBACK = ("0100007F", "00000000000000000000000001000000")  # 127.0.0.1, also within IPv6, and ::1
SHOP = SimulatorSource(plan_like("premium", customers=60), 3)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The fold of a small shop in one process and one shard."""
    return fold(SHOP, tmp_path_factory.mktemp("alone"), POLICY, shards=1)


def test_one_and_two_processes_give_the_same_bytes(alone, tmp_path) -> None:
    two = fold(SHOP, tmp_path, POLICY, processes=2, shards=3)
    assert moments_hash(two) == moments_hash(alone)
    assert two.counts["looks"] > 50
    assert any(isinstance(moment, GivenMoment) for moment in two.moments())


def test_a_ray_cluster_gives_the_same_bytes(alone, tmp_path) -> None:
    """A local one, on loopback, that ends with the fold."""
    assert moments_hash(fold(SHOP, tmp_path, POLICY, engine="ray", processes=2, shards=3)) == moments_hash(alone)


@pytest.mark.skipif(not SOCKETS[0].exists(), reason="only Linux tells who listens where, in /proc")
def test_a_cluster_that_is_started_here_listens_on_loopback_only() -> None:
    """Told 127.0.0.1 alone, Ray takes the machine's own address, where anybody could give it code to run."""
    from streams.replay.ray_engine import _Cluster

    before = listening()
    with _Cluster(1, None):
        new = listening() - before
    assert new
    assert [address for address in new if not address.split(":")[0].endswith(LOOPBACK)] == []


def listening() -> set[str]:
    """Addresses and ports, as the kernel writes them, on which somebody waits for connections."""
    rows = [line.split() for path in SOCKETS for line in path.read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A"}


def test_a_second_run_takes_what_the_first_has_left(tmp_path) -> None:
    seen: list[str] = []
    first = fold(SHOP, tmp_path, POLICY)
    second = fold(SHOP, tmp_path, POLICY, progress=lambda stage, _done, _total: seen.append(stage))
    assert (second.was_reused, seen) == (True, [])
    assert replace(second, was_reused=False) == first


def test_what_another_release_has_left_is_folded_anew(tmp_path) -> None:
    """Notes that this one reads otherwise are no notes; and whatever folds has a part in the folder's name."""
    first = fold(SHOP, tmp_path, POLICY)
    for told in tmp_path.rglob("*.json"):
        told.write_text('{"of": "another release"}')
    assert fold(SHOP, tmp_path, POLICY) == first
    room = {path.stem for path in (Path(streams.__path__[0]) / "replay").glob("*.py")}
    assert room & _imported("fold") - {"__init__", "workers", "ray_engine"} <= set(FOLD)


def _imported(name: str, known: set[str] | None = None) -> set[str]:
    """Modules of the room that one of them needs, and it itself."""
    known = set() if known is None else known
    if name not in known:
        known.add(name)
        text = (Path(streams.__path__[0]) / "replay" / f"{name}.py").read_text(encoding="utf-8")
        for other in re.findall(r"from streams\.replay\.(\w+) import", text):
            _imported(other, known)
    return known


def test_another_policy_folds_anew_but_does_not_read_the_log_again(tmp_path) -> None:
    seen: Counter[str] = Counter()
    fold(SHOP, tmp_path, POLICY)
    other = fold(
        SHOP,
        tmp_path,
        replace(POLICY, look_days=(7,)),
        progress=lambda stage, _done, _total: seen.update([stage]),
    )
    assert not other.was_reused
    assert set(seen) == {"fold"}


def test_a_fold_that_was_stopped_goes_on_where_it_was(alone, tmp_path, monkeypatch) -> None:
    done: list[str] = []
    perform = stages.perform

    def until_the_third(task, *args):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(task.name)
        return perform(task, *args)

    monkeypatch.setattr("streams.replay.workers.perform", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        fold(SHOP, tmp_path, POLICY, shards=3)

    def to_the_end(task, *args):
        done.append(task.name)
        return perform(task, *args)

    monkeypatch.setattr("streams.replay.workers.perform", to_the_end)
    assert moments_hash(fold(SHOP, tmp_path, POLICY, shards=3)) == moments_hash(alone)
    assert len(done) == len(set(done)), "a task that was done is not done again"


@pytest.mark.parametrize(("engine", "processes"), [("local", 1), ("local", 2), ("ray", 2)])
def test_a_shard_that_fails_is_named_with_the_reason(tmp_path, engine, processes) -> None:
    """A payload that does not say what its kind says; the other shards are kept."""
    broken = Broken(SHOP)
    with pytest.raises(
        ShardFailed, match=r"shard customers-000\d: expected it to be folded, got orders.0.@999999: .*array"
    ):
        fold(broken, tmp_path, POLICY, engine=engine, processes=processes, shards=2)


class Broken:
    """A source with an order that can't be counted: the core does not expect no lines."""

    name, lacks = "broken", ()

    def __init__(self, source):
        self._source, self.quality = source, source.quality

    def fingerprint(self):
        return "broken"

    def total(self):
        return None

    def batches(self):
        yield from self._source.batches()
        rows = Rows()
        order = next(event for topic, event in orders_of(self._source))
        rows.add("orders", 0, 999_999, replace(order, order_id="broken", lines=()))
        yield rows.take()


def orders_of(source):
    from streams.replay.rows import read_payload

    for batch in source.batches():
        for row in batch.to_pylist():
            if row["kind"] == "OrderPlaced" and row["who"]:
                yield row["topic"], read_payload(row["kind"], row["payload"])


def test_two_folds_don_t_work_in_one_folder(tmp_path) -> None:
    folder = log_folder(tmp_path, f"{SHOP.fingerprint()}/suited")
    with held(folder), ThreadPoolExecutor(1) as other, pytest.raises(FolderInUse, match="another replay"):
        other.submit(fold, SHOP, tmp_path, POLICY).result()


def test_an_empty_log_has_no_moments(tmp_path) -> None:
    folded = fold(ListSource([]), tmp_path, POLICY)
    assert (list(folded.moments()), list(folded.spend()), folded.events) == ([], [], 0)


def test_progress_reaches_all_rows(tmp_path) -> None:
    told: dict[str, tuple[int, int | None]] = {}
    folded = fold(
        SHOP, tmp_path, POLICY, shards=3, progress=lambda stage, done, total: told.update({stage: (done, total)})
    )
    assert told["read"][0] == folded.events
    assert told["fold"][0] == told["fold"][1]


def test_marks_are_readable(tmp_path) -> None:
    """Whoever looks into the folder finds plain JSON beside Parquet."""
    folded = fold(SHOP, tmp_path, POLICY, shards=2)
    said = json.loads((Path(folded.moment_files[-1]).parent / "folded.json").read_text())
    assert said["events"] == folded.events
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.endswith(".part")]


def test_processes_are_as_many_as_asked_for() -> None:
    assert list(LocalWorkers(2).run([], None, Path(), Path())) == []  # type: ignore[arg-type]  # nothing to do


def test_spending_is_asked_by_time() -> None:
    day = 86_400_000
    spent = Spending("c", "DE", 10 * day, 5_000, (10 * day + 5, 12 * day, 12 * day + 9), (100, 250, -50))
    assert spent.until(12 * day) == 350
    assert spent.between(10 * day + 5, 20 * day) == 200
    assert spent.daily() == ((0, 100), (2, 200))
    assert spent.reached_at_ms(300) == 12 * day
    assert spent.reached_at_ms(9_999) is None
