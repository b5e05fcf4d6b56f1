"""Runs that Ctrl-C hits at random moments, one to three times, come back with an answer."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("interrupt.py")


@pytest.mark.parametrize("run", ["imperfect", "pareto", "nas"])
def test_an_answer_comes_back(run: str) -> None:
    """In a process of its own: an interrupt within a measurement of coverage would leave its lock taken for good."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), run, "--times", "3", "--seed", "1"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    name, _, statuses = done.stdout.strip().partition(": ")
    assert name == run
    assert "interrupted" in statuses or "solved" in statuses
