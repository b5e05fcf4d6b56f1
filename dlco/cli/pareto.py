"""`dlco pareto`: what two or three objectives trade."""

import argparse
from collections.abc import Callable
from pathlib import Path

from dlco.cli.inputs import network_name
from dlco.cli.outputs import check_outputs
from dlco.cli.question import read_budget, read_question
from dlco.cli.results import deliver
from dlco.design.front import Front
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
        found, writers = bool(front.points), _writers(arguments, front)
        return deliver(arguments, front, writers, lambda: front, front.message, found=found)


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
