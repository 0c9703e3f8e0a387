"""The tables of docs/capacity.md: what the assigner captured of the offline optimum, beside policies without forecasts.

    python benchmarks/capacity.py --data ../shared/data --dataset online-retail-ii
    python benchmarks/capacity.py --simulated 1 2 3 4 --customers 6000
    python benchmarks/capacity.py --data ../shared/data --dataset online-retail-ii --patience 0 0.5 0.85 0.95

Scores are those of a replay with the settings as they come (or of --config); the sweep is `streams/replay/capacity.py`. With
--since or --until, only customers count who came first on that day or later, or before it: choose before, report after. The
stricter optimum may, like the assigner, let a customer wait for a place. --hindsight tells, for balanced places, what the same
assigner would capture with the best threshold of each service period, found afterwards: what lies above it no price could have
known beforehand.
"""

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run as run_program
from unittest import mock

import numpy as np
from msgspec.structs import replace

from streams.assignment import AssignmentPolicy
from streams.assignment.price import DAY_MS, PriceBoard
from streams.replay.capacity import SHARES, chances_of, looks_of, outcomes_of, rows_of, scene_of
from streams.replay.offline_optimum import offline_optimum
from streams.replay.run import read_run
from streams.replay.sweep import assigned_by_maitred

POLICIES = "maitred", "first_come", "fixed_threshold", "random", "optimum"
GRID = 0.5, 0.7, 0.8, 0.86, 0.9, 0.93, 0.95, 0.97, 0.985  # quantiles of the scores


def replayed(work, options):
    """The run of a replay, by the command that anybody would use."""
    command = [Path(sys.executable).parent / "maitred", "replay", *options, "--baselines", "spend", "--work", work]
    run_program(command, check=True, stdout=sys.stderr)
    return read_run(next(work.glob("**/play-*/run.json")).parent)


def table(title, run, policy, since_ms, until_ms, *, look_back):
    looks, came = looks_of(run, policy), outcomes_of(run)
    first = {}
    for look in looks:
        first.setdefault(look.customer_id, look.at_ms)
    looks = [look for look in looks if since_ms <= first[look.customer_id] < until_ms]
    customers = len({look.customer_id for look in looks})
    print(f"\n{title}: {customers} new customers, {len(looks)} looks")
    if look_back:
        for second_looks in (False, True):
            scene = scene_of("balanced", looks, SHARES["balanced"], policy.service_days, second_looks=second_looks)
            print(f"hindsight, second looks {second_looks}: {hindsight(scene, policy):.3f}", flush=True)
        return
    told = "VIPs: maitred", "of the optimum", "money over the optimum's", "stricter", "CPU s"
    print("| " + " | ".join(["places", "second looks", "maitred", "95 %", *POLICIES[1:-1], *told]) + " |")
    print("|---" * (len(POLICIES) + 2 + len(told)) + "|")
    for name, share in SHARES.items():
        for second_looks in (False, True):
            scene = scene_of(name, looks, share, policy.service_days, second_looks=second_looks)
            began = time.process_time()
            rows = {row.policy: row for row in rows_of(run.variant, scene, came, policy)}
            took = time.process_time() - began
            cells = [f"{rows[each].over_optimum:.3f} ({rows[each].assigned})" for each in POLICIES[:-1]]
            cells.insert(1, "{:.2f} to {:.2f}".format(*rows["maitred"].ci95 or (0, 0)))
            strict = stricter(scene, policy, rows["maitred"].over_optimum)
            vips = rows["maitred"].vips, f"{rows['optimum'].vips} ({rows['optimum'].assigned})"
            money = f"{rows['maitred'].value_over_optimum or 0:.2f}"
            places = f"{name}: {rows['maitred'].places}"
            cells = places, "yes" if second_looks else "no", *cells, *map(str, vips), money, strict, f"{took:.1f}"
            print("|", " | ".join(cells), "|", flush=True)


def day_ms(day):
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def stricter(scene, policy, captured):
    """The same share over the optimum that may let customers wait."""
    at_looks = waited = 0.0
    for pool, seen in scene.looks.items():
        chances = chances_of(seen, policy)
        at_looks += offline_optimum(chances, scene.places[pool], policy.service_days).value
        waited += offline_optimum(chances, scene.places[pool], policy.service_days, None, policy.waiting_days).value
    return f"{captured * at_looks / waited:.3f}"


def hindsight(scene, policy):
    """Captured with the best of some thresholds for each service period, found one after the other."""
    captured = best = 0.0
    for pool, seen in scene.looks.items():
        scores, by_id = [look.score for look in seen], {look.look_id: look for look in seen}
        grid = [float(score) for score in np.quantile(scores, GRID)]
        first_ms, length_ms = seen[0].at_ms, policy.service_days * DAY_MS
        periods = (seen[-1].at_ms - first_ms) // length_ms + 1

        def with_thresholds(thresholds, pool=pool, seen=seen, by_id=by_id, first_ms=first_ms, length_ms=length_ms):
            def known(_board, _places, _until_ms, now_ms):
                return thresholds[min(len(thresholds) - 1, (now_ms - first_ms) // length_ms)]

            with mock.patch.object(PriceBoard, "threshold", known):
                picks = assigned_by_maitred(seen, pool, scene.places[pool], policy)
            return sum(by_id[pick.look_id].score for pick in picks), thresholds

        found = max(with_thresholds([threshold] * periods) for threshold in grid)
        for period in range(periods):
            tried = [[*found[1][:period], threshold, *found[1][period + 1 :]] for threshold in grid]
            found = max(found, *map(with_thresholds, tried))
        captured += found[0]
        best += offline_optimum(chances_of(seen, policy), scene.places[pool], policy.service_days).value
    return captured / best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--simulated", type=int, nargs="*", default=[], metavar="SEED")
    parser.add_argument("--customers", type=int, default=6_000)
    parser.add_argument("--since", help="a day, 2010-12-01")
    parser.add_argument("--until", help="a day")
    parser.add_argument(
        "--hindsight", action="store_true", help="the best thresholds found afterwards, instead of tables"
    )
    parser.add_argument("--patience", type=float, nargs="*", default=[0.85])
    parser.add_argument("--rank-by", choices=("probability", "expected_value"), default="probability")
    parser.add_argument("--run", type=Path, help="the folder of a run that was written already")
    asked = parser.parse_args()
    since_ms, until_ms = day_ms(asked.since or "1970-01-01"), day_ms(asked.until or "9999-01-01")
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
                table(f"{title}, patience {patience}", run, policy, since_ms, until_ms, look_back=asked.hindsight)


if __name__ == "__main__":
    main()
