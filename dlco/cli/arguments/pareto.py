"""`dlco pareto`."""

import argparse

from dlco.cli.arguments import completed
from dlco.cli.arguments.question import add_printing, add_question
from dlco.cli.names import LIMITED, OBJECTIVES, PICTURES


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
    limited = ", ".join(LIMITED)
    x = parser.add_argument("-x", metavar="NAME", default="latency", help=f"{limited} (default: %(default)s)")
    y = parser.add_argument(
        "-y", metavar="NAME", default="power", help=f"{', '.join(OBJECTIVES)} (default: %(default)s)"
    )
    z = parser.add_argument("-z", metavar="NAME", help=f"a third axis: {limited}")
    for axis, offered in ((x, LIMITED), (y, OBJECTIVES), (z, LIMITED)):
        completed.names(axis, offered)
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
    output = results.add_argument("-o", "--output", metavar="FILE", help="write the front as JSON, designs in full")
    table = results.add_argument("--csv", metavar="FILE", help="write a line a point")
    plot = results.add_argument("--plot", metavar="FILE", help=f"draw the front ({', '.join(PICTURES)})")
    for path in (output, table, plot):
        completed.file(path)
    add_printing(results, "the front")
