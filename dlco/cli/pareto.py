"""`dlco pareto`: what two or three objectives trade."""

import argparse
from functools import partial
from pathlib import Path

from dlco.cli.inputs import network_name
from dlco.cli.outputs import Writers, check_outputs
from dlco.cli.question import read_budget, read_question
from dlco.cli.results import deliver
from dlco.errors import InvalidInput
from dlco.interrupts import held
from dlco.optimize.front.pareto import pareto
from dlco.progress_bar import ProgressBar
from dlco.report.drawing.canvas import check_picture
from dlco.report.front import plot_front


def run(arguments: argparse.Namespace) -> int:
    """Find the front, write what was asked for, print the table or the JSON; returns the exit code."""
    budget = read_budget(arguments)
    check_picture(arguments.plot)
    for option, path, suffix in (("--output", arguments.output, ".json"), ("--csv", arguments.csv, ".csv")):
        if path is not None and Path(path).suffix.lower() != suffix:
            raise InvalidInput(f"{option} is {path!r}; its suffix must be {suffix}")
    check_outputs({"--output": arguments.output, "--csv": arguments.csv, "--plot": arguments.plot})
    layers, hardware, options = read_question(arguments, budget)
    with held():  # what is found is delivered, whatever Ctrl-C says
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
        writers: Writers = {
            arguments.output: front.save,
            arguments.csv: front.save,
            arguments.plot: partial(plot_front, front, title=network_name(arguments.network)),
        }
        found = bool(front.points)
        return deliver(arguments, front, writers, front.message, found=found)
