"""A day of an advisor programme by the commands alone, with a worker on real servers."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from typer.testing import CliRunner

from streams.cli import app
from tests.integration.real_world import Processes, RealWorld, own_namespace
from tests.simulation.verdict import findings

if TYPE_CHECKING:
    from tests.simulation.world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
FOUND_WITHIN_S = 60


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    with own_namespace("programme") as own:
        yield own


class Desk:
    """Somebody at a terminal. Each command must succeed."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables

    def __call__(self, *arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, arguments, env=self.variables, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.stdout

    def lines(self, *arguments: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self(*arguments, "--json").splitlines()]

    def served(self) -> dict[object, object]:
        """The advisor of each customer."""
        return {event["customer_id"]: event["advisor_id"] for event in self.lines("assignments", "current")}

    def reaches(self, expected: object, ask: Callable[[], object]) -> None:
        """Ask until the answer is the expected one."""
        deadline = time.monotonic() + FOUND_WITHIN_S
        while (got := ask()) != expected and time.monotonic() < deadline:
            time.sleep(0.3)
        assert got == expected


def test_a_day_of_the_programme(variables: dict[str, str], tmp_path: Path) -> None:
    """Import, pause, assign, hand-over, never, absence, leaving: the worker does what the commands ask, and nothing else."""
    desk, processes = Desk(variables), Processes(variables, tmp_path / "worker.log")
    for advisor in ("anna", "bela"):
        desk("roster", "set", advisor, "--pool", "main", "--capacity", "3", "--daily-intake", "3")
    file = tmp_path / "relations.csv"
    file.write_text("customer_id,advisor_id,pool\nc1,anna,main\nc2,bela,main\n")
    try:
        processes.start()
        desk("assignments", "import", str(file))
        desk.reaches({"c1": "anna", "c2": "bela"}, desk.served)
        file.write_text("customer_id,advisor_id,pool\nc1,bela,main\n")
        desk("assignments", "import", str(file))
        desk.reaches(["conflict"], lambda: [r["error"] for r in desk.lines("rejected", "list", "--topic", "contacts")])

        desk("pools", "pause", "main")
        desk.reaches("paused", lambda: desk.lines("pools", "list")[0]["status"])
        desk("assignments", "hand-over", "c1", "--to", "bela")
        desk.reaches({"c1": "bela", "c2": "bela"}, desk.served)
        desk("assignments", "never", "c2")
        desk.reaches({"c1": "bela"}, desk.served)

        desk("roster", "leave", "bela")
        desk.reaches(({}, 1), lambda: (desk.served(), desk.lines("pools", "list")[0]["waiting"]))
        desk("pools", "resume", "main")
        desk.reaches({"c1": "anna"}, desk.served)
        processes.stop_all()
        assert not findings(cast("World", RealWorld(variables)))
    finally:
        processes.stop_all()
