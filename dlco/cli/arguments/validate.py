"""`dlco validate`."""

import argparse

from dlco.cli.arguments import completed


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "validate",
        help="compare every figure with Timeloop's",
        description="Compare dlco's figures with Timeloop's: those of its output files where a case has them, "
        "otherwise those of timeloop-model, from the PATH or $TIMELOOP_MODEL. The exit code is 0 where all agree, 1 "
        "where one does not.",
        epilog="example: dlco validate out/conv1",
        allow_abbrev=False,
    )
    place = "with the files of a case, or with folders of such files"
    completed.folder(parser.add_argument("folder", metavar="FOLDER", help=place))
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON instead of a table")
    parser.add_argument("--quiet", action="store_true", help="print nothing: the exit code says whether all agree")
