"""A real worker, watched as an operator watches it: its pages while it works, and what its log tells of customers: nothing."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.real_world import own_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

WORKER = [sys.executable, "-c", "from streams.cli import main; main()", "worker"]
CUSTOMERS = [f"customer-{number}-pi31415" for number in range(200)]
SECRETS = ("pi31415", "boot-of-ada", "ada@example.org")


class Watched:
    def __init__(self, port: int, log: Path, namespace: str, bootstrap: str) -> None:
        self._url, self._log, self._namespace = f"http://127.0.0.1:{port}", log, namespace
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})

    def get(self, page: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self._url + page, timeout=5) as answer:  # noqa: S310  # our own worker
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def value(self, name: str, **labels: str) -> float:
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = [s for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(sample.value for sample in samples)

    def publish(self, *values: bytes) -> None:
        for value in values:
            named = re.search(rb'"customer_id": "([^"]+)"', value)
            self._producer.produce(f"{self._namespace}.orders", value, named and named[1])
        self._producer.flush()

    def log(self) -> str:
        return self._log.read_text()


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.1)


def order(customer: str, **changed: object) -> bytes:
    line = {"sku": SECRETS[1], "quantity": 1, "unit_price_minor": 9_900}
    value = {
        "order_id": f"order-of-{customer}", "customer_id": customer, "occurred_at_ms": time.time_ns() // 1_000_000,
        "currency": "EUR", "market": "DE", "lines": [line],
    }  # fmt: skip
    return json.dumps({**value, **changed}).encode()


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[Watched]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("watched") / "log"
    with (
        own_namespace("watch", MAITRED_WORKER__WEB_PORT=str(port), MAITRED_LOGGING__LEVEL="debug") as own,
        log.open("wb") as out,
    ):
        process = subprocess.Popen(WORKER, env={**os.environ, **own}, stderr=out)
        made = Watched(port, log, own["MAITRED_NAMESPACE"], own["MAITRED_KAFKA__BOOTSTRAP"])
        try:
            until(lambda: made.get("/healthz")[0] == 200)
            yield made
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_it_lives_before_it_is_ready_and_becomes_ready(watched):
    until(lambda: watched.get("/readyz")[0] == 200)
    report = json.loads(watched.get("/readyz")[1])
    assert (report["ready"], report["reasons"]) == (True, [])
    assert {entry["processor"] for entry in report["processors"]} == {"scorer", "assigner", "learner"}
    assert json.loads(watched.get("/healthz")[1])["alive"]


def test_what_it_decides_can_be_counted(watched):
    """Two hundred first purchases, and two that are rejected."""
    watched.publish(*map(order, CUSTOMERS), order("c-x", lines=[], email=SECRETS[2]), b'{"email": "ada@example.org"')
    until(lambda: watched.value("maitred_looks_total", look="first") == len(CUSTOMERS))
    until(lambda: watched.value("maitred_rejects_total", topic="orders") == 2)
    assert watched.value("maitred_decision_from_arrival_seconds_count") == len(CUSTOMERS)
    assert 0 < watched.value("maitred_decision_from_event_seconds_sum") < 60 * len(CUSTOMERS)
    assert watched.value("maitred_commit_step_seconds_count", processor="scorer", step="transaction") > 0
    until(lambda: watched.value("maitred_lag_records") == 0)


def test_a_second_worker_on_its_port_says_what_to_do(watched):
    port = watched._url.rpartition(":")[2]
    refused = subprocess.run(
        WORKER,
        env={**os.environ, "MAITRED_NAMESPACE": watched._namespace, "MAITRED_KAFKA__REPLICATION": "1", "MAITRED_WORKER__WEB_PORT": port},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "worker.web_port: expected a port that is free" in refused.stderr


def test_its_log_is_json_and_names_nobody(watched):
    """At its most talkative, after rejects."""
    lines = watched.log().splitlines()
    assert json.loads(lines[0])["event"] == "worker_started"
    assert "worker_ready" in {json.loads(line)["event"] for line in lines}
    assert all({"event", "level", "timestamp"} <= json.loads(line).keys() for line in lines)
    assert [secret for secret in SECRETS if secret in watched.log()] == []


def test_its_pages_name_nobody(watched):
    pages = "".join(watched.get(page)[1] for page in ("/metrics", "/readyz", "/healthz"))
    assert "maitred_looks_total" in pages
    assert [secret for secret in SECRETS if secret in pages] == []
