"""`dlco pareto`: what two or three objectives trade."""

import argparse
from collections.abc import Callable
from pathlib import Path

from dlco.cli.inputs import network_name
from dlco.cli.outputs import check_outputs
from dlco.cli.question import add_question, read_budget, read_question
from dlco.cli.results import deliver
from dlco.errors import InvalidInput
from dlco.optimize.budget import OBJECTIVES
from dlco.optimize.front import Front
from dlco.optimize.front.pareto import LIMIT_OF, pareto
from dlco.report.front import front_text, plot_front
from dlco.report.picture import PICTURES, check_picture
from dlco.report.progress import ProgressBar


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "pareto",
        help="find what two or three objectives trade",
        description="Find machines and mappings of which none is better than another on all of two or three axes.",
        epilog="example: dlco pareto resnet18 --hardware eyeriss -x latency -y power --area 4 --plot front.png",
        allow_abbrev=False,
    )
    add_question(parser)
    limited = ", ".join(LIMIT_OF)
    parser.add_argument("-x", metavar="NAME", default="latency", help=f"{limited} (default: %(default)s)")
    parser.add_argument("-y", metavar="NAME", default="power", help=f"{', '.join(OBJECTIVES)} (default: %(default)s)")
    parser.add_argument("-z", metavar="NAME", help=f"a third axis: {limited}")
    parser.add_argument("--points", metavar="N", type=int, default=16, help="designs to aim at (default: %(default)s)")
    parser.add_argument(
        "--span",
        metavar="FACTOR",
        type=float,
        default=10.0,
        help="where power is an axis and --latency is not given: slowest design over fastest (default: %(default)s)",
    )
    parser.add_argument("--bound", action="store_true", help="compute a lower bound on y for every point too")
    results = parser.add_argument_group("results, beside the table on stdout")
    results.add_argument("-o", "--output", metavar="FILE", help="write the front as JSON, every design in full")
    results.add_argument("--csv", metavar="FILE", help="write a line a point")
    results.add_argument("--plot", metavar="FILE", help=f"draw the front ({', '.join(PICTURES)})")
    results.add_argument("--json", action="store_true", help="print the front as JSON instead of the table")
    results.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Find the front, write what was asked for, print the table or the JSON; returns the exit code."""
    budget = read_budget(arguments)
    if arguments.plot is not None:
        check_picture(arguments.plot)
    for option, path, suffix in (("--output", arguments.output, ".json"), ("--csv", arguments.csv, ".csv")):
        if path is not None and Path(path).suffix.lower() != suffix:
            raise InvalidInput(f"{option} is {path!r}; its suffix must be {suffix}")
    check_outputs({"--output": arguments.output, "--csv": arguments.csv, "--plot": arguments.plot})
    layers, hardware, options = read_question(arguments, budget)
    with ProgressBar() as bar:
        front = pareto(
            layers,
            hardware,
            arguments.x,
            arguments.y,
            arguments.z,
            arguments.points,
            bound=arguments.bound,
            progress=False if arguments.quiet else bar,
            span=arguments.span,
            **options,
        )
    found, writers = bool(front.points), _writers(arguments, front)
    return deliver(arguments, front, writers, lambda: front_text(front), front.message, found=found)


def _writers(arguments: argparse.Namespace, front: Front) -> dict[str, Callable[[Path], object]]:
    """What writes each output that was asked for, by its path."""
    writers: dict[str, Callable[[Path], object]] = {}
    for path in (arguments.output, arguments.csv):
        if path is not None:
            writers[path] = front.save
    if arguments.plot is not None:
        title = network_name(arguments.network)
        writers[arguments.plot] = lambda path: plot_front(front, path, title=title)
    return writers
