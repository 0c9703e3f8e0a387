"""A whole replay, stage by stage: wall and CPU seconds, of this process and of those it starts.

    python benchmarks/replay.py --dataset online-retail-ii --data ../shared/data --processes 2
    python benchmarks/replay.py --simulate 20000

The fold has a benchmark of its own (fold.py). On a machine that does other things, read the CPU seconds.
"""

import argparse
import resource
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from streams.cli.replay_sources import Asked, choose
from streams.replay.baselines import installed
from streams.replay.replay import Plan, replay
from streams.replay.variants import as_configured


def cpu_s() -> float:
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--simulate", type=int)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    chosen = choose(Asked([], asked.dataset, asked.data, False, [], [], asked.simulate, False, None, None, 1))
    began, spent = time.perf_counter(), cpu_s()
    stages: list[tuple[str, float, float]] = []

    def progress(stage: str, _done: int, _total: int | None) -> None:
        if not stages or stages[-1][0] != stage:
            stages.append((stage, time.perf_counter() - began, cpu_s() - spent))

    with tempfile.TemporaryDirectory() as work:
        plan = Plan(
            source=chosen.source,
            variants=(as_configured(chosen.settings),),
            work_dir=Path(work),
            processes=asked.processes,
            baselines=installed(),
        )
        replayed = replay(plan, progress)
    stages.append(("end", time.perf_counter() - began, cpu_s() - spent))
    print(f"{'from':<10}{'wall s':>10}{'CPU s':>10}")
    for (stage, wall, cpu), (_, next_wall, next_cpu) in pairwise(stages):
        print(f"{stage:<10}{next_wall - wall:>10.1f}{next_cpu - cpu:>10.1f}")
    print(f"{'in all':<10}{stages[-1][1]:>10.1f}{stages[-1][2]:>10.1f}")
    print(
        f"{replayed.results.events:,} events, {replayed.runs[0].looks.num_rows:,} looks, {replayed.results.outputs_sha256}"
    )


if __name__ == "__main__":
    main()
