"""`dlco solve`: size a machine and map a network on it."""

import argparse
from functools import partial

from dlco.cli.inputs import network_name
from dlco.cli.outputs import Writers, check_outputs
from dlco.cli.question import read_budget, read_effort, read_question
from dlco.cli.results import deliver
from dlco.cli.streams import say
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.interrupts import held
from dlco.optimize.solve import solve
from dlco.progress_bar import ProgressBar
from dlco.report.drawing.canvas import check_picture
from dlco.report.pictures.overview import plot_solution
from dlco.timeloop import write


def run(arguments: argparse.Namespace) -> int:
    """Solve, write what was asked for, print the table or the JSON; returns the exit code."""
    objective = Objective.parse(arguments.objective)
    budget = read_budget(arguments)
    check_picture(arguments.plot)
    check_outputs(
        {"--output": arguments.output, "--plot": arguments.plot},
        {"--timeloop": arguments.timeloop},
    )
    if arguments.fuse and arguments.timeloop is not None:
        raise InvalidInput("--fuse and --timeloop are given; Timeloop runs layers one by one")
    layers, hardware, options = read_question(arguments, budget)
    with held():  # what is found is delivered, whatever Ctrl-C says
        with ProgressBar(objective.text) as bar:
            listener, effort = False if arguments.quiet else bar, read_effort(arguments)
            solution = solve(
                layers, hardware=hardware, objective=objective, progress=listener, effort=effort, **options
            )
        if arguments.sensitivities:
            try:
                _ = solution.sensitivities  # from here on the table and the file have them
            except InvalidInput as error:  # of no such solution: the rest is delivered all the same
                say(f"dlco: sensitivities are left out: {error}")
        writers: Writers = {
            arguments.output: solution.save,
            arguments.plot: partial(plot_solution, solution, title=network_name(arguments.network)),
            arguments.timeloop: partial(write, solution),
        }
        found = solution.status != "infeasible"
        return deliver(arguments, solution, writers, solution.message, found=found)
