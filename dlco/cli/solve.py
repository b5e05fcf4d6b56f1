"""`dlco solve`: size a machine and map a network on it."""

import argparse
from collections.abc import Callable
from pathlib import Path

from dlco.cli.inputs import network_name
from dlco.cli.outputs import check_outputs
from dlco.cli.question import add_question, read_budget, read_question
from dlco.cli.results import deliver
from dlco.optimize.budget import OBJECTIVES, check_objective
from dlco.optimize.solution import Solution
from dlco.optimize.solve import solve
from dlco.report.picture import PICTURES, check_picture, plot_solution
from dlco.report.progress import ProgressBar
from dlco.report.table import solution_text
from dlco.timeloop import write


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "solve",
        help="size a machine and map a network on it",
        description="Size a machine and map every layer of a network on it, within limits.",
        epilog="example: dlco solve resnet18 --hardware eyeriss --objective edp --area 4",
        allow_abbrev=False,
    )
    add_question(parser)
    parser.add_argument(
        "--objective",
        metavar="NAME",
        default="edp",
        help=f"what to minimise: {', '.join(OBJECTIVES)} (default: %(default)s)",
    )
    results = parser.add_argument_group("results, beside the table on stdout")
    results.add_argument("-o", "--output", metavar="FILE", help="write the solution as JSON, for `dlco report`")
    results.add_argument("--plot", metavar="FILE", help=f"draw energy and cycles of each layer ({', '.join(PICTURES)})")
    results.add_argument("--timeloop", metavar="FOLDER", help="write Timeloop's files, a folder a layer")
    results.add_argument("--json", action="store_true", help="print the solution as JSON instead of the table")
    results.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Solve, write what was asked for, print the table or the JSON; returns the exit code."""
    objective = check_objective(arguments.objective)
    budget = read_budget(arguments)
    if arguments.plot is not None:
        check_picture(arguments.plot)
    check_outputs(
        {"--output": arguments.output, "--plot": arguments.plot},
        {"--timeloop": arguments.timeloop},
    )
    layers, hardware, options = read_question(arguments, budget)
    with ProgressBar(objective) as bar:
        listener = False if arguments.quiet else bar
        solution = solve(layers, hardware=hardware, objective=objective, progress=listener, **options)
    found, writers = solution.status != "infeasible", _writers(arguments, solution)
    return deliver(arguments, solution, writers, lambda: solution_text(solution), solution.message, found=found)


def _writers(arguments: argparse.Namespace, solution: Solution) -> dict[str, Callable[[Path], object]]:
    """What writes each output that was asked for, by its path."""
    writers: dict[str, Callable[[Path], object]] = {}
    if arguments.output is not None:
        writers[arguments.output] = solution.save
    if arguments.plot is not None:
        title = network_name(arguments.network)
        writers[arguments.plot] = lambda path: plot_solution(solution, path, title=title)
    if arguments.timeloop is not None:
        writers[arguments.timeloop] = lambda path: write(solution, path)
    return writers
