"""`dlco nas`."""

import argparse
import re

from dlco.cli.arguments import completed
from dlco.cli.arguments.question import (
    add_checkpoint,
    add_effort,
    add_hardware,
    add_mappings,
    add_printing,
    add_run,
    add_totals,
)
from dlco.cli.names import ACCELERATORS, METHODS, OBJECTIVES, PICTURES, PREDICTORS, SPACES


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "nas",
        help="choose a network and size a machine for it, together",
        description="Choose a network of a space and a machine for it together, within limits, and map the one on the "
        "other. Accuracies are those of a table, of a predictor fitted to one (ofa has its own), or, for digits and "
        "graph, of real training on handwritten digits. On accelbench, CODEBench's accelerators of 13 numbers, layers "
        "run as its model has them, and energy and latency are an image's share of a batch; no option about mappings "
        "applies.",
        epilog="example: dlco nas ofa --hardware eyeriss --objective energy --accuracy 76 --area 4 --save pair.json",
        allow_abbrev=False,
    )
    completed.names(parser.add_argument("space", metavar="SPACE", help=f"the networks: {', '.join(SPACES)}"), SPACES)
    parser.add_argument(
        "--macs-only",
        action="store_true",
        help="leave out layers without multiply-accumulates: pooling, additions and scaling",
    )
    add_hardware(parser, ACCELERATORS)
    objective = parser.add_argument(
        "--objective",
        metavar="NAME",
        default="edp",
        help=f"accuracy, to be large, or {', '.join(OBJECTIVES)}, or sum, to be small (default: %(default)s)",
    )
    completed.names(objective, ("accuracy", *OBJECTIVES, "sum"))
    parser.add_argument(
        "--weights",
        metavar="NAME=WEIGHT,...",
        help="of the objective sum: of accuracy (what it lacks to 100 %%), latency, energy and area, each divided by "
        "its limit",
    )
    limits = parser.add_argument_group("limits, on the network, the machine, and one run of the one on the other")
    limits.add_argument("--accuracy", metavar="PERCENT", type=float, help="accuracy that the network must have, %%")
    add_totals(limits)
    judge = parser.add_argument_group("what judges networks")
    table = judge.add_argument("--table", metavar="CSV", help="accuracies of the space's networks (also .csv.gz)")
    completed.file(table)
    judge.add_argument("--column", metavar="NAME", help="the table's column of accuracies, %%")
    judge.add_argument(
        "--networks", metavar="NAME", default="arch", help="the table's column of networks (default: %(default)s)"
    )
    predictor = judge.add_argument(
        "--predictor",
        metavar="KIND",
        help=f"{' or '.join(PREDICTORS)}: fit it to the table and ask it, which a table that lacks networks needs; "
        "or which of ofa's own (ensemble unless given)",
    )
    completed.names(predictor, PREDICTORS)
    judge.add_argument(
        "--word-bits",
        metavar="BITS=COLUMN",
        type=column_of_width,
        action="append",
        help="choose the width of words too: once a width, with the table's column of accuracies at it, %%; memories "
        "and ports keep their bits",
    )
    trained = judge.add_argument(
        "--trained", metavar="FILE", help="keep the trained networks of graph here, and begin with those that it holds"
    )
    completed.file(trained)
    search = parser.add_argument_group("the search")
    method = search.add_argument(
        "--method",
        metavar="NAME",
        help=f"{', '.join(METHODS)} (default: relaxed; local-search on accelbench, surrogate for graph elsewhere)",
    )
    completed.names(method, METHODS)
    search.add_argument(
        "--evaluations", metavar="N", type=int, help="pairs to evaluate (default: until none is better for long)"
    )
    search.add_argument(
        "--queries",
        metavar="N",
        type=int,
        help="networks to judge at most (default: as many as come up; 60 for graph, which trains them, unless "
        "--evaluations is given)",
    )
    search.add_argument("--network", metavar="ARCH", help="allow this network alone, as the table writes it")
    search.add_argument("--bound", action="store_true", help="prove a lower bound for the network on its machine")
    add_effort(search, "the final solve of the pair's mappings", "from those found, briefly")
    add_mappings(search)
    add_run(search)
    add_checkpoint(search)
    results = parser.add_argument_group("results, beside the table on stdout")
    pictures = ", ".join(PICTURES)
    output = results.add_argument("-o", "--output", "--save", metavar="FILE", help="write network and design as JSON")
    plot = results.add_argument("--plot", metavar="FILE", help=f"draw accuracy over energy of the best ({pictures})")
    course = results.add_argument("--progress", metavar="FILE", help=f"draw how the search went ({pictures})")
    for path in (output, plot, course):
        completed.file(path)
    files = results.add_argument("--timeloop", metavar="FOLDER", help="write Timeloop's files, a folder a layer")
    completed.folder(files)
    add_printing(results, "the pair")


def column_of_width(text: str) -> tuple[int, str]:
    """(Bits, column) of BITS=COLUMN."""
    bits, _, column = text.partition("=")
    if not column or not re.fullmatch(r"0*[1-9]\d{0,5}", bits, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no BITS=COLUMN, such as 8=top1_int8")
    return int(bits), column
