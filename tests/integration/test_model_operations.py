"""The model by the commands alone, with a worker on real servers: warm start, promotion, rollback, following again."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.json import encode

from schemas.codec import Schemas, read_event
from schemas.events import CustomerScored, OrderLine, OrderPlaced
from schemas.registry import open_registry
from streams.kafka.client import kafka_config
from streams.kafka.reader import KafkaReader
from streams.settings import Settings, load
from tests.integration.real_world import Processes, own_namespace
from tests.integration.test_programme import Desk

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
DAY_MS = 86_400_000
START_MS = 1_300_000_000_000 // DAY_MS * DAY_MS


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    own = {"MAITRED_TIME": "event", "MAITRED_PARTITIONS": "2", "MAITRED_LEARNING__SNAPSHOT_EVERY": "50"}
    with own_namespace("model", **own) as made:
        yield made


def history(days: int, a_day: int = 4, since: int = 0) -> Iterator[OrderPlaced]:
    """New customers every day; who spends much at first spends more later."""
    for day in range(since, since + days):
        for n in range(a_day):
            number, much = day * a_day + n, n % 3 == 0
            yield order(f"c{number}", f"o{number}", day, 30_000 if much else 4_000 + 100 * n)
            if much and day >= since + 20:
                yield order(f"c{number - 20 * a_day}", f"o9{number:05}", day, 150_000 if number % 2 else 20_000)


def order(customer: str, order_id: str, day: int, amount_minor: int) -> OrderPlaced:
    at_ms = START_MS + day * DAY_MS + int(order_id.lstrip("o")) % 4 * 3_600_000
    line = OrderLine(sku=f"s{amount_minor % 7}", quantity=1, unit_price_minor=amount_minor)
    return OrderPlaced(
        order_id=order_id, customer_id=customer, occurred_at_ms=at_ms, currency="EUR", market="DE", lines=(line,)
    )


def written(path: Path, orders: Iterator[OrderPlaced]) -> str:
    path.write_bytes(b"\n".join(encode(each) for each in orders))
    return str(path)


def scores(settings: Settings) -> list[CustomerScored]:
    schemas = Schemas(open_registry(settings.registry.url))
    reader, found = KafkaReader(kafka_config(settings), "test"), []
    for partition in range(settings.partitions):
        for message in reader.read("scores", partition, 0):
            event = read_event("scores", message.value, message.headers, schemas)
            if isinstance(event, CustomerScored):
                found.append(event)
    reader.close()
    return sorted(found, key=lambda event: event.occurred_at_ms)


def test_a_model_is_taught_promoted_rolled_back_and_followed(variables: dict[str, str], tmp_path: Path) -> None:
    """The first live score uses what the history taught; each choice changes who scores, and the scores say it."""
    desk, processes, settings = Desk(variables), Processes(variables, tmp_path / "worker.log"), load(None, variables)
    told = json.loads(desk("model", "warm-start", written(tmp_path / "past.jsonl", history(330)), "--json"))
    assert told["examples"] > 200
    assert 0 < told["positives"] < told["examples"]
    warm = told["version"]
    assert (
        desk.lines("model", "list")[-1] | {"version": warm, "cause": "warm_started", "is_scoring": True}
        == desk.lines("model", "list")[-1]
    )
    desk("model", "warm-start", str(tmp_path / "past.jsonl"), code=2)  # the model has learnt by now
    earlier = desk.lines("model", "list")[0]["version"]
    seen = 0

    def live(day: int) -> str:
        """A day of first purchases; the version that scored the last of them."""
        nonlocal seen
        file = written(tmp_path / f"day{day}.jsonl", history(1, since=day))
        desk("publish", file)
        seen += 4
        desk.reaches(True, lambda: sum(event.look == "first" for event in scores(settings)) >= seen)
        return [event for event in scores(settings) if event.look == "first"][-1].model_version

    def chosen(*arguments: str) -> None:
        before = len(desk.lines("model", "list", "--last", "1000"))
        desk("model", *arguments, "--at", "2012-06-01")
        desk.reaches(before + 1, lambda: len(desk.lines("model", "list", "--last", "1000")))

    try:
        processes.start()
        first = live(400)
        assert first.endswith(f"@{warm}")
        [event, *_] = scores(settings)
        assert event.model_version == first
        assert [challenge.model.rpartition("@")[2] for challenge in event.challengers] == [warm]

        chosen("promote", "rule")
        promoted = desk.lines("model", "list")[-1]
        assert (promoted["cause"], promoted["champion"]) == ("promoted", "rule")
        assert live(401) == f"{live(402).rpartition('@')[0]}@{promoted['version']}"
        assert live(403).startswith("rule-")

        chosen("rollback", str(earlier))
        assert live(404).endswith(f"@{earlier}")
        assert json.loads(desk("model", "show", "--json"))["held"] == earlier
        desk("model", "rollback", "31415", "--at", "2012-06-01", code=2)

        processes.kill(0)
        processes.start()
        assert live(405).endswith(f"@{earlier}")

        chosen("follow")
        followed = desk.lines("model", "list")[-1]["version"]
        assert live(406).endswith(f"@{followed}")
        assert first.rpartition("@")[0] == live(407).rpartition("@")[0]
        pinned = Desk({**variables, "MAITRED_LEARNING__PIN": str(earlier)})
        shown = json.loads(pinned("model", "show", "--json"))
        assert (shown["held"], shown["snapshot_version"]) == (earlier, earlier)
        versions = pinned.lines("model", "list", "--last", "1000")
        assert [row["version"] for row in versions if row["is_scoring"]] == [earlier]
        Desk({**variables, "MAITRED_LEARNING__PIN": "31415"})("model", "show", code=2)
        processes.stop_all()
        desk("verify")  # who scored when, decided anew from the topics
    finally:
        processes.stop_all()


def test_a_history_on_the_topics_teaches_once(variables: dict[str, str], tmp_path: Path) -> None:
    """What lies before `decide_from` is learnt beforehand, the worker gives no example of it, and scores what comes after."""
    desk = Desk(variables)
    desk("publish", written(tmp_path / "past.jsonl", history(330)))
    desk("model", "warm-start", "--topics", code=2)  # which day?
    from_day = datetime.fromtimestamp((START_MS + 320 * DAY_MS) / 1_000, UTC).date().isoformat()
    variables["MAITRED_SCORING__DECIDE_FROM"] = from_day
    told = json.loads(desk("model", "warm-start", "--topics", "--json"))
    assert told["last_ms"] < told["until_ms"] == START_MS + 320 * DAY_MS
    assert told["examples"] > 200
    settings = load(None, variables)
    processes = Processes(variables, tmp_path / "worker.log")
    try:
        processes.start()
        desk.reaches(40, lambda: sum(event.look == "first" for event in scores(settings)))
        assert {event.model_version.rpartition("@")[2] for event in scores(settings)} == {told["version"]}
        assert min(event.occurred_at_ms for event in scores(settings)) >= told["until_ms"]
        reader = KafkaReader(kafka_config(settings), "test")
        assert reader.bounds("examples", 0) == (0, told["examples"] + 1)
        reader.close()
    finally:
        processes.stop_all()
