"""Runs that Ctrl-C hits at random moments, one to three times: `python tests/reliability/interrupt.py`.

Every run of `solve` (imperfect factors too), `pareto` or `cosearch` must come back with an answer, whatever it was
doing: searching, recording, proving, or pricing what it found.
"""

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import dlco
from dlco.search import imperfect
from dlco.search.local_search import Effort
from tests.nas.small import make_hardware
from tests.reliability.kill import BUDGET, EFFORT, LAYERS, RUNS

SHORT = Effort(rounds=10, population=4, neighbours=16, islands=2)


def solve_imperfect(checkpoint: dict[str, Path]) -> dlco.Solution:
    """A machine and imperfect mappings of two layers."""
    return dlco.solve(LAYERS, make_hardware(), "latency", BUDGET, seed=3, effort=EFFORT, imperfect=True, **checkpoint)


def torture(name: str, times: int, seed: int = 0) -> dict[str, int]:
    """Interrupt runs of a command so many times; returns how many came back with each status.

    Raises AssertionError where one comes back with nothing.
    """
    run: Callable[[dict[str, Path]], Any] = {**RUNS, "imperfect": solve_imperfect}[name]
    rng = random.Random(seed)
    statuses: dict[str, int] = {}
    start = time.perf_counter()
    run({})
    seconds = time.perf_counter() - start
    with TemporaryDirectory() as folder:
        for turn in range(times):
            pauses = [rng.uniform(0.001, seconds), *(10 ** rng.uniform(-4, -1) for _ in range(rng.randrange(3)))]
            found = _interrupted(lambda path=Path(folder, f"{turn}"): run({"checkpoint": path}), pauses)
            answered = found.points if isinstance(found, dlco.Front) else found
            assert answered, f"{name}: nothing came back after interrupts at {pauses}"
            statuses[found.status] = statuses.get(found.status, 0) + 1
    return statuses


def _interrupted(run: Callable[[], Any], pauses: list[float]) -> Any:
    """What a run returns that SIGINT reaches after each of these pauses, in seconds, as long as it lasts."""
    left = list(pauses)

    def press(number: int, frame: FrameType | None) -> None:
        left.pop(0)
        if left:
            signal.setitimer(signal.ITIMER_REAL, left[0])
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, press), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with dlco.interrupts.held():  # as the command line has it: what comes too late changes nothing
            signal.setitimer(signal.ITIMER_REAL, left[0])
            found = run()
            signal.setitimer(signal.ITIMER_REAL, 0)
            return found
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGALRM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="*", choices=[[], *RUNS, "imperfect"], help="which ones; all, where none is named")
    parser.add_argument("--times", type=int, default=50, help="of each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    imperfect.EFFORT = SHORT
    for name in options.run or [*RUNS, "imperfect"]:
        print(f"{name}: {torture(name, options.times, options.seed)}", flush=True)


if __name__ == "__main__":
    main()
