"""Errors that pass are waited out, others are told at once."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.client import COORDINATING, persist


class Group:
    """Answers once its coordinator is ready."""

    def __init__(self, *errors: int) -> None:
        self._errors = list(errors)

    def __call__(self, left: float) -> str:
        if self._errors:
            raise KafkaException(KafkaError(self._errors.pop(0)))
        return "answer"


def test_a_coordinator_that_is_not_ready_is_waited_for() -> None:
    """As on servers that were started a moment ago."""
    group = Group(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    assert persist(group, 5_000, COORDINATING) == "answer"


def test_one_that_is_never_ready_and_one_that_refuses_are_told() -> None:
    with pytest.raises(KafkaException, match="NOT_COORDINATOR"):
        persist(Group(*[KafkaError.NOT_COORDINATOR] * 1_000), 50, COORDINATING)
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        persist(Group(KafkaError.GROUP_AUTHORIZATION_FAILED), 5_000, COORDINATING)
