"""`dlco simulate`: a saved solution executed tile by tile."""

import argparse
from pathlib import Path

from dlco.cli.outputs import check_outputs, to_json, write_outputs
from dlco.cli.streams import tell
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.simulate import Density, TimingModel, plot_timing, write_trace
from dlco.simulate.trace import PICTURES

COPIES = {"1": 1, "2": 2, "fit": None}


def run(arguments: argparse.Namespace) -> int:
    """Simulate, print, and write what was asked for; returns the exit code."""
    files = {"--trace": arguments.trace, "--plot": arguments.plot}
    for option, path in files.items():
        if path is not None and arguments.layer is None:
            raise InvalidInput(f"{option} is {path!r} without --layer; one layer has one course in time")
    if arguments.plot is not None and Path(arguments.plot).suffix.lower() not in PICTURES:
        raise InvalidInput(f"--plot is {arguments.plot!r}; its suffix must be one of {', '.join(PICTURES)}")
    check_outputs(files)
    solution = Solution.load(arguments.solution)
    simulation = solution.simulate(
        None if arguments.layer is None else [arguments.layer],
        TimingModel(COPIES[arguments.copies], arguments.dram_latency),
        Density(arguments.activation_density, arguments.weight_density),
    )
    timing, cycle_s, name = simulation.layers[0].timing, solution.architecture.cycle_s, simulation.layers[0].name
    write_outputs(
        {
            arguments.trace: lambda path: write_trace(timing, cycle_s, path, name=name),
            arguments.plot: lambda path: plot_timing(timing, path, title=name),
        }
    )
    if arguments.json:
        tell(to_json(simulation.to_dict()))
    elif not arguments.quiet:
        tell(simulation)
    return 0
