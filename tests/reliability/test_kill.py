"""Runs killed at random moments end, resumed, with the answer of a run that nobody killed."""

import subprocess
import sys
from pathlib import Path

import pytest

KILL = Path(__file__).with_name("kill.py")


@pytest.mark.slow
@pytest.mark.parametrize("run", ["pareto", "nas"])  # tests/optimize/test_journal.py kills a solve
def test_the_answer_is_that_of_an_undisturbed_run(run: str) -> None:
    done = subprocess.run([sys.executable, str(KILL), run, "--kills", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{run}: killed 2 times" in done.stdout
