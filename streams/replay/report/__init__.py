"""The report of a replay: one HTML file that a director reads, the answer first, and its numbers as Parquet.

`write_report` is all that others need. `answer.py` next door says the verdict; each section has a module of its own (`ranking`,
`second_looks`, `what_if`, `service`, `trust`, `reasons`, `quality`, `reproduce`) that makes figures and tables of `Results`;
`charts.py` knows the kinds of plot, `theme.py` their colours, `drawing.py` draws them, `page.html` puts all in its place.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streams.replay.report.page import page
from streams.replay.report.tables import SCORE_SPREAD, score_spread, write_tables
from streams.replay.results import Results
from streams.replay.run import Run

NAME: Final = "report.html"
TABLES: Final = "report"


def write_report(results: Results, runs: Sequence[Run], folder: Path) -> Path:
    """Writes `report.html` and `report/*.parquet` into `folder`; where the page is. The first run is the one told of."""
    run = runs[0] if runs else None
    spread = score_spread(run) if run is not None else SCORE_SPREAD.empty_table()
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(results, spread, folder / TABLES)
    place = folder / NAME
    place.write_text(page(results, run, spread), encoding="utf-8")
    return place
