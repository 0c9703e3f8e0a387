"""Somebody else's client: kcat publishes JSON orders with its own partitioner, and reads the decisions."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.ids import partition_of
from tests.integration.real_world import Processes, own_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

CUSTOMERS = [f"kcat-{number}" for number in range(24)]


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """A namespace of its own, where everybody who is good enough gets an advisor."""
    with own_namespace(
        "kcat",
        MAITRED_ASSIGNMENT__CONSENT="not_withdrawn",
        MAITRED_ASSIGNMENT__CONTROL_SHARE="0",
        MAITRED_ASSIGNMENT__EXPECTED_LOOKS="1",
        MAITRED_ASSIGNMENT__PLANNING_WINDOW_DAYS="1",
    ) as own:
        yield own


def kcat(variables: dict[str, str], *arguments: str, lines: str = "") -> str:
    path = shutil.which("kcat")
    assert path, "kcat is not installed: apt-get install kcat"
    command = [path, "-b", variables["MAITRED_KAFKA__BOOTSTRAP"], *arguments]
    return subprocess.run(command, input=lines, capture_output=True, text=True, check=True, timeout=30).stdout


def test_orders_from_kcat_lead_to_assignments_that_kcat_reads(variables: dict[str, str], tmp_path: Path) -> None:
    """Also those that its CRC32 partitioner put on a partition of other customers."""
    namespace, now_ms = variables["MAITRED_NAMESPACE"], time.time_ns() // 1_000_000
    advisor = {
        "advisor_id": "anna", "pool": "main", "occurred_at_ms": now_ms, "capacity": 50, "daily_intake": 50,
    }  # fmt: skip
    kcat(variables, "-P", "-t", f"{namespace}.roster", "-K", "|", lines=f"main|{json.dumps(advisor)}\n")
    orders = [
        {"order_id": f"o-{customer}", "customer_id": customer, "occurred_at_ms": now_ms, "currency": "EUR", "market": "DE",
         "lines": [{"sku": "boot", "quantity": 1, "unit_price_minor": 10_000 * number}]}
        for number, customer in enumerate(CUSTOMERS, 1)
    ]  # fmt: skip
    lines = "".join(f"{order['customer_id']}|{json.dumps(order)}\n" for order in orders)
    processes = Processes(variables, tmp_path / "worker.log")
    try:
        processes.start()
        wait_for(variables, "assigner.batch-log")  # whoever is scored before anybody is hired is not assigned
        kcat(variables, "-P", "-t", f"{namespace}.orders", "-K", "|", lines=lines)
        wait_for(variables, "assignments")
        time.sleep(2)
        assigned = keys_of(variables, "assignments")
    finally:
        processes.stop_all()
    assert assigned, (tmp_path / "worker.log").read_text()[-3_000:]
    assert len(assigned) == len(set(assigned))
    assert set(assigned) <= set(CUSTOMERS)
    rerouted = kcat(variables, "-C", "-e", "-q", "-t", f"{namespace}.orders", "-f", "%k %p %h\n").splitlines()
    moved = [line for line in rerouted if "maitred_rerouted_from" in line]
    assert moved, "CRC32 and murmur2 agree on few keys: some orders must have been sent on"
    assert all(int(line.split()[1]) == partition_of(line.split()[0], 4) for line in moved)


def keys_of(variables: dict[str, str], topic: str) -> list[str]:
    """The keys of a topic, as a reader of committed records finds them."""
    name = f"{variables['MAITRED_NAMESPACE']}.{topic}"
    return kcat(variables, "-C", "-e", "-q", "-t", name, "-X", "isolation.level=read_committed", "-f", "%k\n").split()


def wait_for(variables: dict[str, str], topic: str) -> None:
    deadline = time.monotonic() + 60
    while not keys_of(variables, topic) and time.monotonic() < deadline:
        time.sleep(0.5)
