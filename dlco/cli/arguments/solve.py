"""`dlco solve`."""

import argparse

from dlco.cli.arguments import completed
from dlco.cli.arguments.question import add_effort, add_printing, add_question, add_sensitivities
from dlco.cli.names import OBJECTIVES, PICTURES


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
    objective = parser.add_argument(
        "--objective",
        metavar="NAME",
        default="edp",
        help=f"what to minimise: {', '.join(OBJECTIVES)} (default: %(default)s)",
    )
    completed.names(objective, OBJECTIVES)
    add_effort(parser, "the search", "normal")
    results = parser.add_argument_group("results, beside the table on stdout")
    pictures = ", ".join(PICTURES)
    output = results.add_argument(
        "-o", "--output", metavar="FILE", help="write the solution as JSON for other commands"
    )
    plot = results.add_argument("--plot", metavar="FILE", help=f"draw energy and cycles of each layer ({pictures})")
    files = results.add_argument("--timeloop", metavar="FOLDER", help="write Timeloop's files, a folder a layer")
    add_sensitivities(results)
    completed.file(output)
    completed.file(plot)
    completed.folder(files)
    add_printing(results, "the solution")
