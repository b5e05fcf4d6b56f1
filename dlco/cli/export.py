"""`dlco export`: a saved solution as other tools take it."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from dlco.cli.outputs import check_outputs, write_outputs
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware import gemmini_config, gemmini_scala
from dlco.timeloop import write

GEMMINI: dict[str, Callable[[Solution], str]] = {
    ".scala": lambda solution: gemmini_scala(solution.architecture),
    ".json": lambda solution: json.dumps(gemmini_config(solution.architecture), indent=1) + "\n",
}
"""By suffix."""


def run(arguments: argparse.Namespace) -> int:
    """Write what was asked for; returns the exit code."""
    if not (arguments.timeloop or arguments.gemmini or arguments.csv):
        raise InvalidInput("no output is given; at least one of --timeloop, --gemmini, --csv must be")
    suffix = Path(arguments.gemmini or "").suffix.lower()
    if arguments.gemmini is not None and suffix not in GEMMINI:
        raise InvalidInput(f"--gemmini is {arguments.gemmini!r}; its suffix must be one of {', '.join(GEMMINI)}")
    check_outputs({"--gemmini": arguments.gemmini, "--csv": arguments.csv}, {"--timeloop": arguments.timeloop})
    solution = Solution.load(arguments.solution)
    write_outputs(
        {
            arguments.timeloop: lambda path: write(solution, path, arguments.timeloop_version),
            arguments.gemmini: lambda path: path.write_text(GEMMINI[suffix](solution), encoding="utf-8"),
            arguments.csv: lambda path: path.write_text(solution.to_csv(), encoding="utf-8", newline=""),
        }
    )
    return 0
