"""Every store passes one list of checks, and Redis's answers are those of the store in memory, whatever is asked."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from features.redis_store import RedisStore
from features.store import MemoryStore, Position
from schemas.records import Write
from streams.embedded import embedded_store
from tests.unit.store_checks import CHECKS, FAR_FUTURE_MS, Fresh

NAMESPACES = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_store(tmp_path_factory.mktemp("store")) as url:
        yield url


def redis_store(url: str) -> RedisStore:
    return RedisStore(url, f"test-{next(NAMESPACES)}", "scorer")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_memory(check: Callable[[Fresh], None]) -> None:
    check(MemoryStore)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_valkey(check: Callable[[Fresh], None], server: str) -> None:
    opened: list[RedisStore] = []

    def fresh() -> RedisStore:
        opened.append(redis_store(server))
        return opened[-1]

    check(fresh)
    for store in opened:
        store.close()


KEYS = st.sampled_from(["p/1", "p/2", "p/3", "l/1", "v/1", "ü"])
PARTITIONS = st.integers(0, 2)
TIMES = st.integers(-2, 20)
WRITES = st.lists(
    st.builds(Write, KEYS, st.none() | st.binary(max_size=6), st.none() | TIMES),
    max_size=8,
)


class Comparison(RuleBasedStateMachine):
    """Does the same to a store in memory and to one in Valkey, and compares every answer."""

    url = ""
    answers: set[str] = set()  # noqa: RUF012  what occurred at all, over all examples

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.redis = MemoryStore(), redis_store(self.url)

    @rule(
        partition=PARTITIONS,
        ahead=st.sampled_from([0, 0, 0, 0, -1, 1]),
        writes=WRITES,
        offset=TIMES,
        jump=st.integers(0, 3),
    )
    def apply(self, partition: int, ahead: int, writes: list[Write], offset: int, jump: int) -> None:
        before = self.memory.position(partition).entry + ahead
        after = Position(before + jump, offset, 1_000)
        answer = self.memory.apply(partition, before, after, writes)
        assert self.redis.apply(partition, before, after, writes) is answer
        self.answers.add(answer.value)

    @rule(partition=PARTITIONS, keys=st.lists(KEYS), due_by_ms=TIMES)
    def load(self, partition: int, keys: list[str], due_by_ms: int) -> None:
        loaded = self.memory.load(partition, keys, due_by_ms)
        assert self.redis.load(partition, keys, due_by_ms) == loaded
        self.answers.update(["loaded"] * bool(loaded.values))

    @rule(keys=st.dictionaries(KEYS, PARTITIONS))
    def read(self, keys: dict[str, int]) -> None:
        assert self.redis.read(keys) == self.memory.read(keys)

    @rule(partition=PARTITIONS)
    def clear(self, partition: int) -> None:
        self.memory.clear(partition)
        self.redis.clear(partition)

    @invariant()
    def hold_the_same(self) -> None:
        for partition in range(3):
            assert self.redis.contents(partition) == self.memory.contents(partition)
            loaded = self.memory.load(partition, (), FAR_FUTURE_MS)
            assert self.redis.load(partition, (), FAR_FUTURE_MS) == loaded
            self.answers.update(["due"] * bool(loaded.due))

    def teardown(self) -> None:
        self.redis.close()


def test_any_sequence_of_calls_gets_the_same_answers(server: str) -> None:
    """Whatever is applied, loaded, read and cleared, in whatever order, Valkey answers as memory does."""
    Comparison.url = server
    run_state_machine_as_test(
        Comparison,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    assert Comparison.answers == {"done", "already", "behind", "loaded", "due"}
