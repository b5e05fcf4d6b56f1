"""`dlco evaluate`."""

import argparse
from pathlib import Path

from dlco.cli.arguments import completed
from dlco.cli.names import RULES


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "evaluate",
        help="count one mapping and what it costs given in Timeloop's files",
        description="Print the loop nest of a mapping, its accesses at every level, and what it costs.",
        epilog="example: dlco evaluate arch.yaml problem.yaml mapping.yaml --rules timeloop",
        allow_abbrev=False,
    )
    architecture = "file of the architecture, with ERT and ART"
    completed.file(parser.add_argument("architecture", metavar="ARCH", type=Path, help=architecture))
    completed.file(parser.add_argument("problem", metavar="PROBLEM", type=Path, help="file of the problem"))
    completed.file(parser.add_argument("mapping", metavar="MAPPING", type=Path, help="file of the mapping"))
    parser.add_argument(
        "--rules",
        choices=RULES,
        default="refetch",
        help="what a buffer keeps when its tile moves on: nothing where a loop restarts (refetch), all that the next "
        "tile shares (overlap), or what Timeloop takes it to keep, with link transfers (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of tables")
