"""The demo's view shows everything at every width, and its plain forms say the same."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from streams.demo.observer import Observer
from streams.demo.scene import Scene
from streams.demo.telling import PlainLines, report, summary
from streams.demo.view import picture, save_picture, terminal_view
from tests.unit.demo_scenes import busy_observer, scene_of

SIZES = [(80, 24), (80, 31), (80, 50), (100, 34), (120, 30), (120, 36), (160, 45), (240, 70)]
PARTS = ("Maitred", "First purchases", "Second looks", "Advisors", "Model against rule", "Tiers", "Rejected")


def drawn(scene: Scene, width: int, height: int) -> list[str]:
    console = Console(file=StringIO(), record=True, width=width, height=height, force_terminal=True, color_system=None)
    console.print(picture(scene, width, height))
    return console.export_text().splitlines()


@pytest.fixture(scope="module")
def scene() -> Scene:
    return scene_of(busy_observer())


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_part_is_there_and_fits(scene: Scene, width: int, height: int) -> None:
    """No line is wider than the terminal, no line more than it has, and every frame is closed."""
    lines = drawn(scene, width, height)
    assert len(lines) == height
    assert max(map(cell_len, lines)) <= width
    assert all(any(part in line for line in lines) for part in PARTS)
    assert all(sum(line.count(corner) for line in lines) == sum(line.count("╭") for line in lines) for corner in "╮╰╯")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_is_most_telling_is_seen(scene: Scene, width: int, height: int) -> None:
    """A score with its reason, a changed mind, places and control group, a tier, the model's lead, a reject."""
    text = "\n".join(drawn(scene, width, height))
    for told in ("€ 1,240", "↑ order value", "59 % → 90 %", "control", "gold", "0.91", "too early", "orders lines"):
        assert told in text


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_before_anything_has_happened_it_says_what_will_come(width: int, height: int) -> None:
    nothing: dict[str, Any] = {
        "events": 0,
        "events_s": 0.0,
        "scores_s": 0.0,
        "first_score_s": None,
        "phase": "the worker starts",
    }
    text = "\n".join(drawn(scene_of(Observer(180), **nothing), width, height))
    assert "the worker starts" in text
    assert "the first customer is yet to come" in text
    assert "from day 180 on" in text


def test_too_few_outcomes_are_called_so(scene: Scene) -> None:
    """Neither arm nor model is judged on a handful."""
    text = "\n".join(drawn(scene, 160, 45))
    assert "VIPs of 20: too few to tell" in text
    assert "too early: 20 known" in text


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_is_judged_is_told_whole(scene: Scene, width: int, height: int) -> None:
    """Where there is little room with fewer words; no number is cut off."""
    text = "\n".join(drawn(scene, width, height))
    assert "+0.09 ±0.04" in text
    assert not re.search(r"(too|known|of|early|±)\S* ?…", text)


def test_a_window_that_was_made_too_small_says_so(scene: Scene) -> None:
    """Instead of a heap of frames."""
    console = Console(file=StringIO(), width=60, height=15, force_terminal=True, color_system=None)
    with terminal_view(console) as view:
        view.show(scene)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "Make this window 80 x 24" in shown
    assert "╭" not in shown


def test_the_picture_is_an_svg_of_the_view(scene: Scene, tmp_path: Path) -> None:
    save_picture(scene, tmp_path / "demo.svg")
    svg = (tmp_path / "demo.svg").read_text()
    assert svg.startswith("<svg")
    assert all(part.split()[0] in svg for part in PARTS)


def test_plain_lines_tell_the_first_of_everything_once(scene: Scene) -> None:
    """And at most a line a second besides."""
    told: list[str] = []
    lines = PlainLines(told.append)
    for _ in range(3):
        lines.show(scene)
    assert len([line for line in told if "day 143" in line]) == 1
    for part in ("to become a VIP", "ordered again: from", "is assigned", "from gold", "was rejected", "AUC 0.910"):
        assert len([line for line in told if part in line]) <= 1
    assert sum("to become a VIP" in line for line in told) == 1


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_small_terminal_plain_lines_are_short(scene: Scene, width: int) -> None:
    """With fewer numbers, each whole."""
    told: list[str] = []
    PlainLines(told.append, width).show(scene)
    line = next(line for line in told if "day 143" in line)
    assert len(line) <= width
    assert line.endswith("first purchases" if width == 60 else "second looks")


def test_the_summary_adds_up(scene: Scene) -> None:
    rows = {what: (number, more) for what, number, more in summary(scene)}
    assert rows["events"][0] == "35,711"
    assert rows["control group"] == ("7", "12 % of those chosen")
    assert "from order to score 40 ms" in rows["first purchases"][1]
    assert "too early" in rows["model, first looks"][1]


def test_the_report_has_every_number(scene: Scene) -> None:
    """All of them counts of what the topics told."""
    told = report(scene, 66.0)
    assert told["scores"] == 120
    assert told["first_purchases"] == told["second_looks"] == told["minds_changed"] == 60
    assert (told["assignments"], told["control"], told["tier_changes"], told["rejected"]) == (53, 7, 60, 60)
    assert told["decision_p50_ms"] == pytest.approx(40, abs=1)
    assert told["wall_s"] == 66.0


def test_every_key_of_the_report_is_documented(scene: Scene) -> None:
    page = (Path(__file__).parents[2] / "docs" / "demo.md").read_text()
    assert [key for key in report(scene, 66.0) if f"`{key}`" not in page] == []
