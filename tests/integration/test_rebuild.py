"""A namespace copied into a new one on the real servers, whatever lies in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from schemas.errors import LogUnavailable
from schemas.registry import FileRegistry
from sinks.kafka import KafkaPublisher
from streams import topics
from streams.cli import app
from streams.kafka.client import kafka_config, publishing
from streams.rebuild import rebuild
from streams.settings import load
from tests.integration.real_world import own_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
LARGE = b"{" + b" " * 1_100_120 + b"}"  # rejected as too large when it came, and copied all the same


@contextmanager
def copied_into(variables: dict[str, str]) -> Iterator[str]:
    """The name of a namespace that is to be made; nothing of it is left afterwards."""
    name = f"{variables['MAITRED_NAMESPACE']}-copy"
    yield name
    admin = AdminClient({"bootstrap.servers": variables["MAITRED_KAFKA__BOOTSTRAP"]})
    there = topics.existing(load(None, {**variables, "MAITRED_NAMESPACE": name}))
    for deleted in admin.delete_topics(there).values():
        deleted.result()


def put_large(variables: dict[str, str]) -> None:
    publisher = KafkaPublisher(variables["MAITRED_KAFKA__BOOTSTRAP"], publishing({}))
    publisher.publish(f"{variables['MAITRED_NAMESPACE']}.orders", 0, b"c1", LARGE)
    publisher.flush()


class Broken:
    """A publisher whose brokers went away."""

    def publish(self, *_: object) -> None:
        raise LogUnavailable("orders[0]: no answer")

    def flush(self) -> None: ...


def test_a_record_as_large_as_topics_take_is_copied() -> None:
    with own_namespace("rebuild") as variables, copied_into(variables) as name:
        put_large(variables)
        result = CliRunner().invoke(app, ["rebuild", "--into", name], env=variables, catch_exceptions=False)
        assert (result.exit_code, result.stdout) == (0, "orders\t1\n")


def test_a_copy_that_ended_half_way_says_how_to_begin_anew() -> None:
    """And so does whoever begins again without."""
    with own_namespace("rebuild") as variables, copied_into(variables) as name:
        put_large(variables)
        settings = load(None, variables)
        with pytest.raises(LogUnavailable, match=rf"delete the topics {name}\.\*, or choose another namespace"):
            rebuild(
                settings,
                into=name,
                partitions=settings.partitions,
                kafka=kafka_config,
                registry=FileRegistry(),
                publisher=Broken(),
            )
        result = CliRunner().invoke(app, ["rebuild", "--into", name], env=variables, catch_exceptions=False)
        assert "choose a new name, or delete its topics" in result.output
