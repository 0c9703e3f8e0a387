"""How fast `maitred simulate` writes, and how much memory it takes, for shops of several sizes.

    python benchmarks/simulate.py 100000 300000
    python benchmarks/simulate.py 1000000 --no-browse

Whatever is no number is handed on to the command.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = [int(word) for word in sys.argv[1:] if word.isdigit()]
OPTIONS = [word for word in sys.argv[1:] if not word.isdigit()]
COMMAND = (sys.executable, "-c", "from streams.cli import main; main()", "simulate", "--format", "parquet", "--json")


def measured(customers):
    """Events, seconds, CPU seconds and the peak memory in MB of one process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*COMMAND, *OPTIONS, "--customers", str(customers), "--to", str(Path(folder) / "shop")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(process.returncode)
    told = json.loads(said)
    return told["events"], told["seconds"], usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


print("customers   events       seconds   CPU s   events per CPU second   peak MB")
for customers in SIZES or [100_000]:
    events, seconds, cpu, peak = measured(customers)
    print(f"{customers:<12}{events:<13}{seconds:<10.0f}{cpu:<8.0f}{events / cpu:<24.0f}{peak}", flush=True)
