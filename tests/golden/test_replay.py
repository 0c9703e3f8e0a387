"""A small simulated shop, replayed: what `--json` prints of it. The file changes only with a commit that says why.

To write it anew: MAITRED_WRITE_GOLDEN=1 python -m pytest tests/golden
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from streams.replay.leaving import brief
from streams.replay.replay import Plan, replay
from streams.replay.sources.simulator import SimulatorSource
from streams.replay.variants import as_configured, with_horizon
from streams.settings import read
from streams.simulator import ShopPlan, shop_settings

GOLDEN = Path(__file__).with_name("replay.json")
PLAN = ShopPlan(customers=120, days=400, seed=5, browse=False).checked()


def told(work: Path) -> dict[str, Any]:
    """Without the clock; figures to six digits, since measures (not decisions) may sum in another order elsewhere."""
    settings = with_horizon(read({}, shop_settings(PLAN)), 90)
    source = SimulatorSource(PLAN, settings.partitions)
    plan = Plan(
        source=source,
        variants=(as_configured(settings),),
        work_dir=work,
        baselines=("spend", "rule", "random"),
        draws=50,
        with_capacity=False,
    )
    facts: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(brief(replay(plan).results), order="sorted"))
    for name in ("wall_s", "stages", "maitred"):
        del facts[name]
    facts["source"].pop("fingerprint")
    return _rounded(facts)  # type: ignore[no-any-return]  # a dict stays one


def _rounded(value: Any) -> Any:  # JSON
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def test_a_small_replay_gives_the_golden_json(tmp_path: Path) -> None:
    """Decisions, figures, intervals, notes."""
    found = told(tmp_path)
    if os.environ.get("MAITRED_WRITE_GOLDEN"):
        GOLDEN.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    assert found == msgspec.json.decode(GOLDEN.read_bytes())
    assert found["examples"] > 50
