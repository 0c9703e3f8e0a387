"""The pages that are written from the code, so that they can't say something else than it does: `make docs`.

    python -m streams.pages          # write those that are stale
    python -m streams.pages --check  # exit 1 if one is

Each page is a function without arguments that returns the text; here stands which file it belongs to.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from streams.asyncapi import document, yaml
from streams.pages.command_line import command_line_page
from streams.pages.event_reference import event_reference_page
from streams.pages.front_page import front_page
from streams.pages.metrics_reference import metrics_page
from streams.settings import Settings
from streams.settings.docs import commented_defaults, configuration_page

ROOT: Final = Path(__file__).parents[2]


def contract_page() -> str:
    """`docs/asyncapi.yaml`, as `maitred asyncapi` prints it with the settings' defaults."""
    return yaml(document(Settings())) + "\n"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/asyncapi.yaml": contract_page,
    "docs/cli.md": command_line_page,
    "docs/configuration.md": configuration_page,
    "docs/events.md": event_reference_page,
    "docs/index.md": front_page,
    "docs/metrics.md": metrics_page,
    "maitred.toml": commented_defaults,
}


def stale_pages() -> list[str]:
    """The files that are not what their function returns."""
    return [name for name, page in PAGES.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != page()]


def main(arguments: list[str]) -> int:
    only_check, stale = "--check" in arguments, stale_pages()
    for name in stale:
        if not only_check:
            (ROOT / name).write_text(PAGES[name]())
        sys.stderr.write(f"{name}: {'stale' if only_check else 'written'}\n")
    return int(bool(stale) and only_check)
