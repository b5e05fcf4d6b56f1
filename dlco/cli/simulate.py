"""`dlco simulate`: a saved solution executed tile by tile."""

import argparse
from pathlib import Path

from dlco.cli.outputs import check_outputs, to_json, write_outputs
from dlco.errors import InvalidInput
from dlco.optimize.solution import Solution
from dlco.simulate import Density, TimingModel, plot_timing, write_trace
from dlco.simulate.trace import PICTURES

COPIES = {"1": 1, "2": 2, "fit": None}


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "simulate",
        help="execute a saved solution tile by tile",
        description="Execute the mappings of a saved solution in time: transfers between levels, each at its "
        "bandwidth, filling and draining included. Prints the cycles beside the cost model's, and where they go.",
        epilog="example: dlco simulate resnet18.json --layer layer3 --trace layer3.json",
        allow_abbrev=False,
    )
    parser.add_argument("solution", metavar="SOLUTION", type=Path, help="file that `dlco solve -o` wrote")
    parser.add_argument("--layer", metavar="NAME", help="this layer only (default: all)")
    parser.add_argument(
        "--copies",
        choices=COPIES,
        default="2",
        help="places for a tile at each level: 2, as the cost model takes it; 1, nothing is loaded while a tile is "
        "used; fit, 2 where there is room for two tiles (default: %(default)s)",
    )
    parser.add_argument(
        "--dram-latency", metavar="CYCLES", type=float, default=TimingModel.dram_latency, help="(default: %(default)g)"
    )
    parser.add_argument("--weight-density", metavar="SHARE", type=float, default=1.0, help="weights that are not 0")
    parser.add_argument(
        "--activation-density", metavar="SHARE", type=float, default=1.0, help="activations that are not 0"
    )
    parser.add_argument("--trace", metavar="FILE.json", help="write a trace for Chrome's or Perfetto's viewer")
    parser.add_argument("--plot", metavar="FILE", help=f"write a picture over time ({', '.join(PICTURES)})")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    parser.set_defaults(run=run)


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
    writers = {
        arguments.trace: lambda path: write_trace(timing, cycle_s, path, name=name),
        arguments.plot: lambda path: plot_timing(timing, path, title=name),
    }
    write_outputs({path: write for path, write in writers.items() if path is not None})
    print(to_json(simulation.to_dict()) if arguments.json else simulation)
    return 0
