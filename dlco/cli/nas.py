"""`dlco nas`: choose a network and size a machine for it, together."""

import argparse
from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

from dlco.cli.inputs import read_hardware
from dlco.cli.outputs import Writers, check_outputs
from dlco.cli.question import read_effort, read_options, read_totals
from dlco.cli.results import deliver
from dlco.design.budget import Budget
from dlco.design.codesign import FoundPair, text_of
from dlco.design.objective import GOALS, parse_goal
from dlco.design.weighted_sum import SUM, WEIGHED, WeightedSum
from dlco.errors import InvalidInput
from dlco.hardware.accelbench import SPRING, AccelBench, AccelBenchSpace
from dlco.interrupts import held
from dlco.nas import (
    CoDesign,
    Digits,
    MnasNet,
    NasBench201,
    NetworkSpace,
    OfaMobileNetV3,
    ResNet,
    WidthChoice,
    cosearch,
    cosearch_widths,
)
from dlco.nas.methods import find_method
from dlco.nas.oracles import Accuracy, TableAccuracy, fit_predictor
from dlco.nas.oracles.digits import DigitsAccuracy
from dlco.nas.oracles.fit import KINDS
from dlco.nas.oracles.graph import GraphAccuracy
from dlco.nas.oracles.ofa import ofa_accuracy
from dlco.nas.space import FactoredSpace
from dlco.nas.spaces.digit_graphs import digit_graphs
from dlco.nas.spaces.graph import GraphSpace
from dlco.progress_bar import ProgressBar
from dlco.report.drawing.canvas import check_picture
from dlco.report.nas import plot_codesign, plot_progress
from dlco.timeloop import write

COUNTABLE = 1_000_000  # a table may hold every network of a space that has no more combinations of options than this

TRAINED = 60  # networks that are trained one by one unless told otherwise, each in a second or two

SPACES: dict[str, Callable[..., NetworkSpace[Any]]] = {
    "ofa": OfaMobileNetV3,
    "nasbench201": NasBench201,
    "mnasnet": MnasNet,
    "resnet": ResNet,
    "digits": Digits,
    "graph": digit_graphs,
}
"""By name; each takes a `batch`."""


def run(arguments: argparse.Namespace) -> int:
    """Search, write what was asked for, print the table or the JSON; returns the exit code."""
    if arguments.method is not None:
        find_method(arguments.method)
    budget = Budget(**read_totals(arguments))
    objective = read_objective(arguments, budget)
    for path in (arguments.plot, arguments.progress):
        check_picture(path)
    check_outputs(
        {"--output": arguments.output, "--plot": arguments.plot, "--progress": arguments.progress},
        {"--timeloop": arguments.timeloop},
    )
    hardware: Any = read_accelerators(arguments) if arguments.hardware == "accelbench" else read_hardware(arguments)
    bar = ProgressBar(text_of(arguments.objective))
    judges = read_oracles(arguments, bar) if arguments.word_bits else {}
    oracle = next(iter(judges.values())) if judges else read_oracle(arguments, bar)
    network = None if arguments.network is None else oracle.space.parse(arguments.network)
    options: dict[str, Any] = {
        "least_accuracy": arguments.accuracy,
        "network": network,
        "effort": read_effort(arguments),
        "progress": False if arguments.quiet else bar,
        "queries": _queries_for(arguments, oracle),
        **{name: getattr(arguments, name) for name in ("method", "evaluations", "bound")},
        **read_options(arguments, hardware),
    }
    answer: FoundPair | WidthChoice
    with held():  # what is found is delivered, whatever Ctrl-C says
        with bar:
            if judges:
                answer = cosearch_widths(oracle.space, judges, hardware, objective, budget, **options)
            else:
                answer = cosearch(oracle.space, oracle, hardware, objective, budget, **options)
        design: FoundPair = answer.best if isinstance(answer, WidthChoice) else answer
        found, why = answer.status != "infeasible", f"{answer.message}: {_shortfall(design)}"
        writers: Writers = {
            arguments.output: answer.save,
            arguments.plot: partial(plot_codesign, design),
            arguments.progress: partial(plot_progress, {design.method: design}, title=design.space),
        }
        if isinstance(design, CoDesign):
            writers = {**writers, arguments.timeloop: partial(write, design.solution)}
        return deliver(arguments, answer, writers, why, found=found)


def read_objective(arguments: argparse.Namespace, budget: Budget) -> str | WeightedSum:
    """The objective: a name, or the weighted sum of `--weights`, whose costs are divided by the limits.

    Raises:
        InvalidInput: there is no such objective; or there are weights without a sum, or none, or of something else.
    """
    if arguments.objective != SUM:
        if arguments.weights is not None:
            raise InvalidInput(f"weights are {arguments.weights!r}; objective {arguments.objective!r} takes none")
        return parse_goal(arguments.objective, (*GOALS, SUM))
    parts = [part.partition("=") for part in (arguments.weights or "").split(",") if part]
    weights: dict[str, float] = {}
    for name, _, text in parts:
        if name not in WEIGHED or name in weights:
            raise InvalidInput(f"weights name {name!r}; each of these may be there once: {', '.join(WEIGHED)}")
        try:
            weights[name] = float(text)
        except ValueError:
            raise InvalidInput(f"weight of {name} is {text!r}; it must be a number from 0 on") from None
    accuracy, latency, energy, area = (weights.get(name, 0.0) for name in WEIGHED)
    return WeightedSum(accuracy, latency, energy, area).against(budget)


def read_accelerators(arguments: argparse.Namespace) -> AccelBench | AccelBenchSpace:
    """AccelBench's accelerators, or SPRING where sizes are to be fixed; `InvalidInput` for what it has no use for."""
    for name in ("technology", "vdd", "clock", "dram", "limit", "constraints", "timeloop"):
        if getattr(arguments, name) is not None:
            raise InvalidInput(f"--{name} is given, but accelbench has figures and mappings of its own")
    if arguments.word_bits:
        raise InvalidInput("--word-bits is given, but accelbench's figures are all of words of 20 bits")
    if not arguments.wires:
        raise InvalidInput("--no-wires is given, but accelbench has figures of its own, without wires")
    return SPRING if arguments.fixed else AccelBenchSpace()


def read_space(name: str, batch: int, macs_only: bool = False) -> NetworkSpace[Any]:
    """The space of a name; `InvalidInput` for another name."""
    if name not in SPACES:
        raise InvalidInput(f"space is {name!r}; it must be one of {', '.join(SPACES)}")
    return SPACES[name](batch=batch, macs_only=macs_only)


def read_oracle(arguments: argparse.Namespace, bar: ProgressBar) -> Accuracy:
    """What judges the space's networks: the table's accuracies, a predictor of them, or what comes with the space.

    Args:
        arguments: of the command.
        bar: of the search, which is told what an oracle does that works while it runs.

    Raises:
        InvalidInput: the space is unknown or has no oracle of its own, or the table is not what it should be.
    """
    space = read_space(arguments.space, arguments.batch, arguments.macs_only)
    predictor = arguments.predictor
    if predictor is not None and predictor not in KINDS:
        raise InvalidInput(f"predictor is {predictor!r}; allowed: {', '.join(KINDS)}")
    trains = isinstance(space, GraphSpace) and arguments.table is None
    if arguments.trained is not None and not trains:
        raise InvalidInput(f"trained is {arguments.trained!r}, but only graph without a table trains its networks")
    if arguments.table is not None:
        if arguments.column is None:
            raise InvalidInput("column is not given; with a table it must name the column of accuracies")
        return _of_table(space, arguments)
    if arguments.column is not None:
        raise InvalidInput(f"column is {arguments.column!r}, but no table is given")
    if arguments.space == "ofa":
        return ofa_accuracy(predictor or "ensemble", arguments.batch, macs_only=arguments.macs_only)
    if predictor is not None:
        raise InvalidInput(f"predictor is {predictor!r}, but no table is given to fit it to")
    if isinstance(space, Digits):
        return DigitsAccuracy.train(space, seed=arguments.seed, progress=not arguments.quiet)
    if isinstance(space, GraphSpace):
        kept = arguments.checkpoint or arguments.resume
        if kept is not None and arguments.trained is None:
            raise InvalidInput(
                f"trained is not given beside checkpoint {kept!r}; a run that goes on needs the networks trained before"
            )
        told = False if arguments.quiet else bar.aside
        return GraphAccuracy(space, seed=arguments.seed, kept=arguments.trained, progress=told)
    raise InvalidInput(f"table is not given; space {arguments.space!r} comes without accuracies, so it must be")


def read_oracles(arguments: argparse.Namespace, bar: ProgressBar) -> dict[int, Accuracy]:
    """What judges the space's networks at every width of words, by its bits: the table's columns.

    Raises:
        InvalidInput: as `read_oracle`; or there is no table, one more column, or a width twice.
    """
    if arguments.table is None:
        raise InvalidInput("--word-bits is given, but no table; it names the table's columns of accuracies")
    if arguments.column is not None:
        raise InvalidInput(f"column is {arguments.column!r} beside --word-bits, which names a column for each width")
    columns = dict(arguments.word_bits)
    if len(columns) < len(arguments.word_bits):
        raise InvalidInput(
            f"--word-bits gives a width twice: {', '.join(str(bits) for bits, _ in arguments.word_bits)}"
        )
    return {
        bits: read_oracle(argparse.Namespace(**vars(arguments) | {"column": column}), bar)
        for bits, column in columns.items()
    }


def _queries_for(arguments: argparse.Namespace, oracle: Accuracy) -> int | None:
    """Networks that may be judged: as told; where each is trained, not without end."""
    told: int | None = arguments.queries
    limitless = told is None and arguments.evaluations is None
    return TRAINED if limitless and isinstance(oracle, GraphAccuracy) else told


def _of_table(space: NetworkSpace[Any], arguments: argparse.Namespace) -> Accuracy:
    try:
        table = TableAccuracy.read(space, arguments.table, arguments.column, arguments.networks)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"table {arguments.table!r} cannot be read: {error}") from None
    if arguments.predictor is not None:
        return fit_predictor(table, arguments.predictor, seed=arguments.seed, progress=not arguments.quiet)
    if not _is_whole(space, table):
        raise InvalidInput(
            f"table {arguments.table!r} holds {len(table)} networks, not all of space {space.name!r}; "
            f"to judge the others, add --predictor {' or '.join(KINDS)}"
        )
    return table


def _is_whole(space: NetworkSpace[Any], table: TableAccuracy) -> bool:
    """Whether a table holds every network of a space."""
    if not isinstance(space, FactoredSpace) or prod(space.option_counts) > COUNTABLE:
        return False
    return all(network in table for network in space.networks())


def _shortfall(design: FoundPair) -> str:
    """How far the nearest pair is from the limits."""
    cost = design.cost
    return (
        f"accuracy {design.accuracy:.4g} %, energy {cost.energy_j:.4g} J, latency {cost.latency_s:.4g} s, "
        f"power {cost.power_w:.4g} W, area {cost.area_mm2:.4g} mm2"
    )
