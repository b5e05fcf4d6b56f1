"""`dlco report`."""

import argparse
from pathlib import Path

from dlco.cli.arguments import completed
from dlco.cli.arguments.question import add_sensitivities
from dlco.cli.names import PAGES, PICTURES


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "report",
        help="show a saved solution",
        description="Print a saved solution as a table, or write it as a picture or a web page.",
        epilog="example: dlco report resnet18.json -o resnet18.html",
        allow_abbrev=False,
    )
    saved = "file that `dlco solve -o` wrote"
    completed.file(parser.add_argument("solution", metavar="SOLUTION", type=Path, help=saved))
    output = parser.add_argument(
        "-o", "--output", metavar="FILE", help=f"a picture ({', '.join(PICTURES)}) or a page ({PAGES[0]})"
    )
    completed.file(output)
    add_sensitivities(parser)
