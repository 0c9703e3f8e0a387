"""`docs/index.md`, the site's first page: the README, with links as they are from within `docs/`."""

from pathlib import Path
from typing import Final

README: Final = Path(__file__).parents[2] / "README.md"


def front_page() -> str:
    return README.read_text().replace("](docs/", "](").replace('"docs/', '"')
