"""How fast a replay folds a simulated year, and what of it costs how much. Run it: it prints tables.

    python benchmarks/fold.py                      a premium shop that is browsed much
    python benchmarks/fold.py --customers 20000 --keep rows.parquet

CPU seconds of one process. The baseline in the same run is the worker's own core: `engine.decide` in batches of 2,000 over one
partition, with state in memory. `--memory` adds the peak of a process that reads and folds all of it.
"""

import argparse
import resource
import tempfile
from collections import Counter
from pathlib import Path
from time import process_time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.structs import replace

from features.store import MemoryStore, Position
from online_models.model import load_model
from schemas.records import Batch, Record, Run, State
from streams import engine
from streams.policies import scoring_policy
from streams.replay.fold import fold
from streams.replay.rows import FAULT, ROW_SCHEMA, Quality, read_payload
from streams.replay.shuffle import FOLDED
from streams.replay.sources.simulator import SimulatorSource
from streams.settings import load
from streams.simulator import shop_settings
from streams.simulator.presets import plan_like

BASELINE_ROWS = 60_000


class FileSource:
    """Rows that were written before, all kinds or some."""

    name, lacks = "file", ()

    def __init__(self, path, kinds=None):
        self._path, self._kinds, self.quality = path, kinds, Quality()

    def fingerprint(self):
        return f"{self._path}/{self._kinds}"

    def total(self):
        return pq.ParquetFile(self._path).metadata.num_rows

    def batches(self):
        for batch in pq.ParquetFile(self._path).iter_batches(32_768):
            rows = batch.cast(ROW_SCHEMA)
            yield rows.filter(pc.is_in(rows.column("kind"), pa.array(self._kinds))) if self._kinds else rows


def cpu_of(source, policy):
    """CPU seconds of reading and shuffling, and of folding; and what was found."""
    read_until = [0.0]
    with tempfile.TemporaryDirectory() as folder:
        began = process_time()
        found = fold(source, Path(folder), policy, progress=lambda stage, *_: note_end(read_until, stage))
        ended = process_time()
    return read_until[0] - began, ended - read_until[0], found


def note_end(read_until, stage):
    if stage == "read":
        read_until[0] = process_time()


def baseline(source, policy, rows):
    """CPU seconds of the worker's core for so many rows, and how many these were."""
    alone, model, store = replace(policy, partitions=1), load_model(None), MemoryStore()
    table = pa.Table.from_batches(list(source.batches())).sort_by([("at_ms", "ascending")]).slice(0, rows)
    records = [
        Record(row["topic"], 0, number, row["at_ms"], None, None, (), read_payload(row["kind"], row["payload"]))
        for number, row in enumerate(table.to_pylist())
        if row["kind"] != FAULT and row["kind"] in FOLDED
    ]
    began = process_time()
    for entry, start in enumerate(range(0, len(records), 2_000)):
        piece = tuple(records[start : start + 2_000])
        batch = Batch(0, entry, (Run("", piece, piece[-1].timestamp_ms - 1),))
        needs = engine.needs(batch, alone)
        loaded = store.load(0, needs.keys, needs.due_by_ms)
        more = store.load(0, engine.companions(key for _, key in loaded.due), -1).values
        decision = engine.decide(State({**loaded.values, **more}, {}, loaded.due), batch, model, alone)
        store.apply(0, entry, Position(entry + 1), decision.writes)
    return process_time() - began, len(records)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--customers", type=int, default=6_000)
    options.add_argument("--keep", type=Path, default=None, help="rows are written there, or read if they are there")
    options.add_argument("--memory", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = chosen.keep or Path(folder) / "rows.parquet"
        plan = plan_like("premium", customers=chosen.customers)
        policy = scoring_policy(load(environment=shop_settings(plan)))
        if not path.exists():
            with pq.ParquetWriter(path, ROW_SCHEMA, compression="zstd") as file:
                for batch in SimulatorSource(plan, policy.partitions).batches():
                    file.write_batch(batch)
        measure(path, policy, memory=chosen.memory)


def measure(path, policy, *, memory):
    kinds = Counter[str]()
    for batch in FileSource(path).batches():
        kinds.update(batch.column("kind").to_pylist())
    print("rows:", ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()))
    read, folded, found = cpu_of(FileSource(path), policy)
    if memory:
        print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
        return
    print(f"looks: {found.counts['looks']:,}, examples: {found.counts['examples']:,}")
    _, without, rest = cpu_of(FileSource(path, tuple(kind for kind in kinds if kind != "PageBrowsed")), policy)
    spent, records = baseline(FileSource(path), policy, BASELINE_ROWS)
    print("\nwhat                                      | events    | events/s of CPU")
    print(f"read and shuffled                         | {found.events:>9,} | {found.events / read:>9,.0f}")
    print(f"folded, all                               | {found.events:>9,} | {found.events / folded:>9,.0f}")
    browsed = kinds["PageBrowsed"]
    print(f"folded, browsing alone (the difference)   | {browsed:>9,} | {browsed / max(1e-9, folded - without):>9,.0f}")
    print(f"folded, all but browsing                  | {rest.events:>9,} | {rest.events / without:>9,.0f}")
    print(f"engine.decide in batches of 2,000         | {records:>9,} | {records / spent:>9,.0f}")


if __name__ == "__main__":
    main()
