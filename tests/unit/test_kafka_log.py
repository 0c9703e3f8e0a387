"""`KafkaLog` keeps the contract of `Log` on the broker inside librdkafka. What that one lacks is tried on a real Kafka."""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from schemas.errors import CommitUnsettled, LogUnavailable, SettingsError
from streams.embedded import embedded_broker
from streams.kafka.log import KafkaLog, KafkaSettings
from tests.unit.kafka_members import TOPICS, fresh_settings, join, member_of
from tests.unit.log_checks import CHECKS, SOURCES, Member, check_a_failed_commit_leaves_nothing

# The mock broker shows aborted records to everybody.
POSSIBLE = [check for check in CHECKS if check is not check_a_failed_commit_leaves_nothing]


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with embedded_broker({}) as address:
        yield address


@pytest.fixture(scope="module")
def members(bootstrap: str) -> Iterator[list[Member]]:
    """A member for each check, all joined at once."""
    members = []
    for _ in POSSIBLE:
        settings = fresh_settings(bootstrap, is_embedded=True)
        make_topics(settings)
        members.append(member_of(settings))
    join(members)
    spare = list(members)
    yield spare
    for member in members:
        member.log.close()


def make_topics(settings: KafkaSettings) -> None:
    """The mock broker makes a topic when it is first asked about it."""
    producer = Producer({"bootstrap.servers": settings.bootstrap, "log_level": 0})
    for topic in TOPICS:
        producer.list_topics(settings.wire(topic), timeout=5)


@pytest.mark.parametrize("check", POSSIBLE, ids=lambda check: check.__name__.removeprefix("check_"))
def test_mock_broker(check: Callable[[Member], None], members: list[Member]) -> None:
    check(members.pop())


def test_no_membership_no_commit(bootstrap: str) -> None:
    """Who holds no partitions commits nothing."""
    log = KafkaLog(fresh_settings(bootstrap), "scorer", SOURCES, "a")
    log.renew()
    with pytest.raises(CommitUnsettled, match="no longer ours"):
        log.commit([], {("orders", 0): 1})
    log.close()


def test_silence_is_unavailability() -> None:
    """A Kafka that does not answer is reported as such, after the time it was given."""
    settings = KafkaSettings("127.0.0.1:9", answer_timeout_ms=200)
    log = KafkaLog(settings, "scorer", SOURCES, "a")
    for question in (log.renew, lambda: log.last("scores", 0), lambda: log.read("scores", 0, 0)):
        with pytest.raises(LogUnavailable):
            question()
    log.close()


@pytest.mark.parametrize("option", ["isolation.level", "transactional.id", "enable.auto.commit"])
def test_promises_cannot_be_configured_away(option: str) -> None:
    """What passes through to librdkafka may not contradict what Maitred promises."""
    settings = KafkaSettings("127.0.0.1:9", security={option: "x"})
    with pytest.raises(SettingsError) as caught:
        KafkaLog(settings, "scorer", SOURCES, "a").renew()
    assert caught.value.key == f"kafka.security.{option}"


def test_unknown_options_are_named() -> None:
    """An option that librdkafka does not know is reported as a setting, by its name."""
    with pytest.raises(SettingsError, match=r"sasl\.magic"):
        KafkaLog(KafkaSettings("127.0.0.1:9", security={"sasl.magic": "x"}), "scorer", SOURCES, "a")
