"""The tables of docs/capacity.md: what the assigner captured of the offline optimum, beside policies without forecasts.

    python benchmarks/capacity.py --data ../shared/data --dataset online-retail-ii
    python benchmarks/capacity.py --simulated 1 2 3 4 --customers 6000
    python benchmarks/capacity.py --data ../shared/data --dataset online-retail-ii --patience 0 0.5 0.85 0.95

Scores are those of a replay with the settings as they come (or of --config); the sweep is `streams/replay/capacity.py`. With
--since, only customers count who came first on that day or later: choose before, report after. The stricter optimum may, like
the assigner, let a customer wait for a place.
"""

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run as run_program

from msgspec.structs import replace

from streams.assignment import AssignmentPolicy
from streams.replay.capacity import SHARES, chances_of, looks_of, outcomes_of, rows_of, scene_of
from streams.replay.offline_optimum import offline_optimum
from streams.replay.run import read_run

POLICIES = "maitred", "first_come", "fixed_threshold", "random", "optimum"


def replayed(work, options):
    """The run of a replay, by the command that anybody would use."""
    command = [Path(sys.executable).parent / "maitred", "replay", *options, "--baselines", "spend", "--work", work]
    run_program(command, check=True, stdout=sys.stderr)
    return read_run(next(work.glob("**/play-*/run.json")).parent)


def table(title, run, policy, since_ms):
    looks, came = looks_of(run, policy), outcomes_of(run)
    first = {}
    for look in looks:
        first.setdefault(look.customer_id, look.at_ms)
    looks = [look for look in looks if first[look.customer_id] >= since_ms]
    print(f"\n{title}: {len(first)} new customers, {len(looks)} looks")
    print(
        "| places | second looks | " + " | ".join(POLICIES) + " | VIPs: maitred | of the optimum | stricter | CPU s |"
    )
    print("|---" * (len(POLICIES) + 6) + "|")
    for name, share in SHARES.items():
        for second_looks in (False, True):
            scene = scene_of(name, looks, share, policy.service_days, second_looks=second_looks)
            began = time.process_time()
            rows = {row.policy: row for row in rows_of(run.variant, scene, came, policy)}
            took = time.process_time() - began
            cells = [f"{rows[each].over_optimum:.3f} ({rows[each].assigned})" for each in POLICIES]
            strict = stricter(scene, policy, rows["maitred"].over_optimum)
            vips = rows["maitred"].vips, rows["optimum"].vips
            places = f"{name}: {rows['maitred'].places}"
            cells = places, "yes" if second_looks else "no", *cells, *map(str, vips), strict, f"{took:.1f}"
            print("|", " | ".join(cells), "|", flush=True)


def stricter(scene, policy, captured):
    """The same share over the optimum that may let customers wait."""
    at_looks = waited = 0.0
    for pool, seen in scene.looks.items():
        chances = chances_of(seen, policy)
        at_looks += offline_optimum(chances, scene.places[pool], policy.service_days).value
        waited += offline_optimum(chances, scene.places[pool], policy.service_days, None, policy.waiting_days).value
    return f"{captured * at_looks / waited:.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--simulated", type=int, nargs="*", default=[], metavar="SEED")
    parser.add_argument("--customers", type=int, default=6_000)
    parser.add_argument("--since", help="a day, 2010-12-01")
    parser.add_argument("--patience", type=float, nargs="*", default=[0.85])
    parser.add_argument("--rank-by", choices=("probability", "expected_value"), default="probability")
    parser.add_argument("--run", type=Path, help="the folder of a run that was written already")
    asked = parser.parse_args()
    since_ms = int(datetime.fromisoformat(asked.since).replace(tzinfo=UTC).timestamp()) * 1000 if asked.since else 0
    with tempfile.TemporaryDirectory() as folder:
        work, runs = Path(folder), {}
        if asked.run:
            runs[str(asked.run)] = read_run(asked.run)
        if asked.dataset:
            runs[asked.dataset] = replayed(work / "data", ["--dataset", asked.dataset, "--data", asked.data])
        for seed in asked.simulated:
            options = ["--simulate", str(asked.customers), "--seed", str(seed)]
            runs[f"simulated premium shop, seed {seed}"] = replayed(work / f"shop-{seed}", options)
        for title, run in runs.items():
            for patience in asked.patience:
                policy = replace(AssignmentPolicy(), patience=patience, rank_by=asked.rank_by)
                table(f"{title}, patience {patience}", run, policy, since_ms)


if __name__ == "__main__":
    main()
