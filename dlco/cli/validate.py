"""`dlco validate`: our figures beside Timeloop's."""

import argparse

from dlco.cli.outputs import to_json
from dlco.timeloop.compare import Row, compare

TOLERANCE = 1e-6  # relative, of what is no count: Timeloop prints it rounded
DIFFERENT = 1


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
    parser.add_argument("folder", metavar="FOLDER", help="with the files of a case, or with folders of such files")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare and print; returns the exit code."""
    comparison = compare(arguments.folder)
    apart = [row for row in comparison.rows if not agrees(row)]
    if arguments.json:
        print(to_json(comparison.to_dict() | {"agrees": not apart, "differing": len(apart)}))
    else:
        verdict = f"{len(apart)} of them differ" if apart else "all agree"
        print(f"{comparison}\n{len(comparison.rows)} figures: {verdict}")
    return DIFFERENT if apart else 0


def agrees(row: Row) -> bool:
    """Counts agree where they are equal, everything else within `TOLERANCE`."""
    return row.relative_error <= (0 if isinstance(row.ours, int) else TOLERANCE)
