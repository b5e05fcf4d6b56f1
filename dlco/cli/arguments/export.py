"""`dlco export`."""

import argparse
from pathlib import Path

from dlco.cli.arguments import completed
from dlco.cli.names import VERSIONS


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "export",
        help="hand a saved solution to other tools",
        description="Write a saved solution as other tools take it: Timeloop's files, the parameters of a Gemmini "
        "generator, or a table with a line a layer.",
        epilog="example: dlco export resnet18.json --timeloop out",
        allow_abbrev=False,
    )
    saved = "file that `dlco solve -o` wrote"
    completed.file(parser.add_argument("solution", metavar="SOLUTION", type=Path, help=saved))
    files = parser.add_argument("--timeloop", metavar="FOLDER", help="write Timeloop's files, a folder a layer")
    completed.folder(files)
    parser.add_argument(
        "--timeloop-version",
        choices=VERSIONS,
        default="0.3",
        help="0.3, which timeloop-model takes as it is, or 0.4, for Timeloop's Python front end (default: %(default)s)",
    )
    gemmini = parser.add_argument(
        "--gemmini", metavar="FILE", help="write the machine as a Gemmini configuration (.scala or .json)"
    )
    table = parser.add_argument("--csv", metavar="FILE", help="write a line a layer, units in the columns' names")
    completed.file(gemmini)
    completed.file(table)
