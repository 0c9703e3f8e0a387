"""What is written from the code is up to date, and what people look for is in it."""

import pytest
import typer

from schemas.definitions import Definitions
from streams.cli import app
from streams.pages import PAGES, ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_written_from_the_code_says_what_the_code_says(name):
    assert (ROOT / name).read_text() == PAGES[name](), "run `make docs`"


def test_every_command_is_documented():
    page = PAGES["docs/cli.md"]()
    paths = list(command_paths(typer.main.get_command(app), "maitred"))
    assert len(paths) > 15
    assert [path for path in paths if f"## `{path}`\n" not in page] == []


def test_every_event_is_documented():
    page = PAGES["docs/events.md"]()
    assert [name for name in Definitions().names() if f"### {name}\n" not in page] == []


def command_paths(command, path):
    for name, child in getattr(command, "commands", {}).items():
        yield f"{path} {name}"
        yield from command_paths(child, f"{path} {name}")
