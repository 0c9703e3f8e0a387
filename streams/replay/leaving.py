"""Where a replay leaves what it found: a folder of its own, with the report, all numbers as JSON, and the tables as Parquet.

<dir>/report.html, report/*.parquet      for people; the numbers of its figures
<dir>/results.json                       everything there is to know
<dir>/runs/<variant>/*.parquet           each look, example, assignment ...
"""

import re
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from schemas.errors import SettingsError
from streams.replay.replay import Replayed
from streams.replay.results import Results
from streams.replay.run import write_run

RESULTS: Final = "results.json"
OURS: Final = frozenset({"report.html", "report", RESULTS, "runs"})
LONG: Final = (  # what only the file has
    "figures", "differences", "curves", "calibration", "calibration_bins", "scores", "weeks", "days_to_vip", "reasons",
    "snapshots", "settings",
)  # fmt: skip
PARTS: Final = ("all", "last_40", "rolling_origin")


def refuse_foreign(folder: Path) -> None:
    """Raises `SettingsError` where the folder holds anything that is not a replay's."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SettingsError("--to", "a folder", str(folder), "name another")
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in OURS)
    is_ours = not foreign and ((folder / RESULTS).exists() or not any(folder.iterdir()))
    if not is_ours:
        found = foreign[0] if foreign else "files, but no results.json"
        raise SettingsError("--to", f"an empty folder, or one of a replay: {folder}", found, "name another")


def lacking_for_a_report() -> str | None:
    """Why no report can be drawn here, if it can't."""
    missing = [name for name in ("altair", "vl_convert", "jinja2") if find_spec(name) is None]
    return f"the report needs {', '.join(missing)}: pip install 'maitred[replay]'" if missing else None


def leave(replayed: Replayed, folder: Path, *, with_report: bool = True) -> None:
    """Write everything. What an earlier replay left there goes."""
    refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "runs", ignore_errors=True)
    (folder / RESULTS).write_bytes(msgspec.json.format(msgspec.json.encode(replayed.results), indent=1) + b"\n")
    for run, name in zip(replayed.runs, slugs([run.variant for run in replayed.runs]), strict=True):
        write_run(run, folder / "runs" / name)
    if with_report and lacking_for_a_report() is None:
        from streams.replay.report import write_report  # noqa: PLC0415  # an extra, and slow to import

        write_report(replayed.results, replayed.runs, folder)


def slugs(names: Sequence[str]) -> list[str]:
    """Names of folders, each once.

    >>> slugs(["as configured", "As configured!", "√"])
    ['as-configured', 'as-configured-2', 'variant']
    """
    made: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "variant"
        number = sum(one == plain or re.fullmatch(rf"{plain}-\d+", one) is not None for one in made)
        made.append(f"{plain}-{number + 1}" if number else plain)
    return made


def brief(results: Results) -> dict[str, Any]:  # Any: JSON
    """What `--json` prints: the answer, and the figures that matter most. `results.json` has all of them."""
    facts = {name: value for name, value in asdict(results).items() if name not in LONG}
    facts["lacks"] = results.source.lacks
    facts["figures"] = _tree(results)
    facts["differences"] = [
        {name: value for name, value in asdict(found).items() if value != ""}
        for found in results.differences
        if found.measure == "roc_auc" and found.part in PARTS
    ]
    return facts


def _tree(results: Results) -> dict[str, Any]:  # Any: JSON
    """Variant, look, outcome, part, scorer: AUC with its interval, average precision, capture."""
    tree: dict[str, Any] = {}  # Any: as above
    for f in results.figures:
        if f.part in PARTS:
            branch = (
                tree.setdefault(f.variant, {}).setdefault(f.look, {}).setdefault(f.outcome, {}).setdefault(f.part, {})
            )
            branch[f.scorer] = {
                "examples": f.examples,
                "positives": f.positives,
                "roc_auc": f.roc_auc,
                "roc_auc_ci95": f.roc_auc_ci95,
                "average_precision": f.average_precision,
                "capture_at_10": f.capture_at_10,
            }
    return tree
