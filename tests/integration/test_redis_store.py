"""The store on a real Redis server, at MAITRED_REDIS__URL: it passes the same checks as the store in memory."""

import os
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from features.redis_store import RedisStore
from schemas.errors import StoreUnavailable
from tests.unit.store_checks import CHECKS, Fresh

pytestmark = pytest.mark.integration

URL = os.environ.get("MAITRED_REDIS__URL", "redis://127.0.0.1:6379/15")


@pytest.fixture
def fresh() -> Iterator[Fresh]:
    """Empty stores, each under a name of its own; what they held is removed afterwards."""
    opened: list[RedisStore] = []

    def one_more() -> RedisStore:
        opened.append(RedisStore(URL, f"test-{uuid4()}", "scorer"))
        return opened[-1]

    try:
        one_more().position(0)
    except StoreUnavailable as error:
        if os.environ.get("MAITRED_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(f"{error}; `make servers` starts one")
    yield one_more
    for store in opened:
        for partition in range(8):
            store.clear(partition)
        store.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_redis(check: Callable[[Fresh], None], fresh: Fresh) -> None:
    check(fresh)


def test_the_server_is_fit(fresh: Fresh) -> None:
    """The server of the integration tests is one we would accept: no eviction, new enough."""
    store = RedisStore(URL, "test", "scorer")
    store.verify_server()
    store.close()
