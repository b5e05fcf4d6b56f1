"""Runs that are killed (-9) at random moments and resumed, until they end: `python tests/reliability/kill.py`.

A run of `solve`, `pareto` or `cosearch` (which is `dlco nas`) works in a process of its own with a checkpoint. The
parent kills it, resumes it, kills it again, until it ends by itself, and begins the next such chain, until it has been
killed so many times. After every kill the checkpoint must be whole and the answer's file absent or whole, and the
answer at the end of a chain must be that of the run which nobody killed.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import dlco
from dlco.bound import BoundEffort
from dlco.nas import cosearch
from dlco.nas.request import CoRequest
from dlco.optimize import FrontEffort, SolveEffort
from dlco.search.evolution import EvolutionEffort
from dlco.search.layer_costs import LayerCosts
from dlco.search.local_search import Effort
from tests.nas.small import Linear, make_hardware, make_space

TIMES = {"seconds", "trace", "history"}
"""What differs between runs that find the same."""

FEW = Effort(rounds=4, patience=4, islands=2)
EFFORT = SolveEffort(
    starts=1,
    relax_rounds=1,
    survey=2,
    machines=2,
    roundings=2,
    descents=1,
    steps=2,
    polishes=1,
    fit=FEW,
    step=FEW,
    polish=FEW,
    evolution=EvolutionEffort(generations=2, machines=2, near_bound=4, mappings=Effort(rounds=2), longer=FEW),
    bound=BoundEffort(nodes=8, side=2, rounds=0, boxes=0),
)
LITTLE = SolveEffort(
    starts=0,
    survey=2,
    machines=1,
    roundings=1,
    descents=1,
    steps=1,
    polishes=0,
    fit=FEW,
    step=FEW,
    evolution=EvolutionEffort(
        generations=1, machines=2, near_bound=2, mappings=Effort(rounds=2), longer=Effort(rounds=2)
    ),
    bound=BoundEffort(nodes=5, side=2, rounds=0, boxes=0),
)
LAYERS = [dlco.conv2d(f"conv{i}", C=8 * i, M=16, P=14, Q=14, R=3, S=3) for i in range(1, 3)]
BUDGET = dlco.Budget(area_mm2=4.0)

Run = Callable[[dict[str, Path]], Any]


def solve(checkpoint: dict[str, Path]) -> dlco.Solution:
    """A machine and mappings of two layers, with a bound."""
    return dlco.solve(LAYERS, make_hardware(), "edp", BUDGET, seed=3, effort=EFFORT, **checkpoint)


def pareto(checkpoint: dict[str, Path]) -> dlco.Front:
    """A front of three points."""
    effort = FrontEffort(ends=LITTLE, points=LITTLE)
    return dlco.pareto(
        LAYERS[:1], make_hardware(), "latency", "power", points=3, budget=BUDGET, seed=3, effort=effort, **checkpoint
    )


def nas(checkpoint: dict[str, Path]) -> Any:
    """A network of 27 and a machine of 12."""
    space, hardware = make_space(), make_hardware()
    oracle = Linear(space)
    budget = dlco.Budget(area_mm2=1.0)
    costs = LayerCosts(hardware, CoRequest(space, oracle, hardware, "edp", budget).score, effort=FEW)
    return cosearch(
        space,
        oracle,
        hardware,
        "edp",
        budget,
        method="two-stage",
        least_accuracy=85.0,
        evaluations=12,
        effort=LITTLE,
        costs=costs,
        seed=2,
        **checkpoint,
    )


RUNS: dict[str, Run] = {"solve": solve, "pareto": pareto, "nas": nas}


@dataclass
class Tally:
    """What happened to a command's runs."""

    kills: int = 0
    chains: int = 0
    cpu_s: float = 0.0


def torture(name: str, kills: int, seed: int = 0) -> Tally:
    """Kill runs of a command so many times; raises AssertionError where an answer differs or a file is corrupt."""
    rng = random.Random(seed)
    tally = Tally()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        RUNS[name]({}).save(folder / "whole.json")  # here, so that its processes find everything loaded
        expected = _answer(folder / "whole.json")
        start = time.perf_counter()
        assert _child(name, folder / "0.ckpt", folder / "0.json", None, tally)
        seconds = time.perf_counter() - start
        assert _answer(folder / "0.json") == expected, f"{name}: another answer with a checkpoint"
        while tally.kills < kills:
            tally.chains += 1
            checkpoint, out = folder / f"{tally.chains}.ckpt", folder / f"{tally.chains}.json"
            while True:
                wait = rng.uniform(0.0, seconds) if tally.kills < kills else None
                if _child(name, checkpoint, out, wait, tally):
                    break
                _check_files(checkpoint, out, expected)
            assert _answer(out) == expected, f"{name}: another answer after {tally.kills} kills"
            _check_files(checkpoint, out, expected)
    return tally


def _child(name: str, checkpoint: Path, out: Path, wait: float | None, tally: Tally) -> bool:
    """Run in a process of its own, killed after so many seconds; whether it came to its end."""
    mode = "resume" if checkpoint.exists() else "checkpoint"
    pid = os.fork()  # not a fresh interpreter: to load torch would take longer than the run
    if pid == 0:
        try:
            torch.set_num_threads(1)  # a forked process has no other thread of its parent's
            RUNS[name]({mode: checkpoint}).save(out)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if wait is not None:
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            done, status, used = os.wait4(pid, os.WNOHANG)
            if done:
                return _ended(name, status, used.ru_utime + used.ru_stime, tally)
            time.sleep(min(0.01, max(0.0, deadline - time.monotonic())))
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return _ended(name, status, used.ru_utime + used.ru_stime, tally)


def _ended(name: str, status: int, cpu_s: float, tally: Tally) -> bool:
    tally.cpu_s += cpu_s
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        tally.kills += 1
        return False
    assert os.waitstatus_to_exitcode(status) == 0, f"{name} fails after {tally.kills} kills"
    return True


def _check_files(checkpoint: Path, out: Path, expected: Any) -> None:
    """The checkpoint is whole where it is there, and the answer too."""
    if out.exists():
        assert _answer(out) == expected
    if not checkpoint.exists():
        return
    file = sqlite3.connect(checkpoint)
    try:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert {"format", "request"} <= {name for (name,) in file.execute("SELECT name FROM parts")}
    finally:
        file.close()


def _answer(path: Path) -> Any:
    return _timeless(json.loads(path.read_text(encoding="utf-8")))


def _timeless(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _timeless(value) for key, value in data.items() if key not in TIMES}
    return [_timeless(value) for value in data] if isinstance(data, list) else data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="*", choices=[[], *RUNS], help="which ones; all, where none is named")
    parser.add_argument("--kills", type=int, default=50, help="of each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.run or RUNS:
        tally = torture(name, options.kills, options.seed)
        print(
            f"{name}: killed {tally.kills} times in {tally.chains} chains, the same answer at each one's end, "
            f"{tally.cpu_s:.0f} CPU s",
            flush=True,
        )


if __name__ == "__main__":
    main()
