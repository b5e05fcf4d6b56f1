"""The benchmark runs and says what it measured; how fast it is, is no test's business."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_benchmark_prints_its_figures() -> None:
    command = [
        sys.executable,
        "benchmarks/throughput.py",
        "--json",
        "--batch",
        "400",
        "--single",
        "1",
        "--threads",
        "1",
    ]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    figures = json.loads(done.stdout)
    assert figures["batch"] == 400
    assert set(figures["mappings_per_second"]) == {"arbitrary orders", "fixed order", "one at a time"}
    assert all(rate > 0 for rate in figures["mappings_per_second"].values())
    assert 0 < figures["peak_memory_bytes"] < figures["targets"]["peak_memory_bytes"]
