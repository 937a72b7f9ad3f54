"""Ten thousand runs, a hundred variants of a hundred seeds: seconds and megabytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_results import make

SCRIPT = """
import json, re, sys, time
from pathlib import Path
import ganbench
start = time.process_time()
results = ganbench.load(sys.argv[1])
summary, pairs = results.summary(), results.compare()
ranks, curves = results.rank(), results.curves(points=50)
# not ru_maxrss, which a child takes over from whoever started it
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
rows = [len(results.runs), len(summary), len(pairs), len(ranks), int(curves["key"].nunique())]
print(json.dumps({"seconds": time.process_time() - start, "megabytes": peak, "rows": rows}))
"""


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="peak memory is read on Linux"
)


@pytest.mark.slow
def test_ten_thousand_runs_are_loaded_summarised_and_compared_in_seconds(tmp_path):
    make(tmp_path, 100, 100)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["rows"] == [10_000, 100, 99, 100, 10_000]
    assert told["seconds"] < 20
    assert told["megabytes"] < 1500


@pytest.mark.slow
def test_a_sweep_of_a_thousand_variants_is_as_quick(tmp_path):
    values = [i / 100 for i in range(1, 33)]
    make(
        tmp_path,
        ["plain", "r1"],
        8,
        100,
        trace_steps=0,
        sweep={"r1.gamma": values[:16], "optimizer.lr": values},
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SCRIPT.replace("results.compare()", 'results.stability_map("r1.gamma")'),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["rows"] == [8192, 1024, 16, 1024, 0]
    assert told["seconds"] < 30
