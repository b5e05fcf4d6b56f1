"""`dlco validate`: our figures beside Timeloop's."""

import argparse

from dlco.cli.outputs import to_json
from dlco.cli.streams import tell
from dlco.timeloop.compare import Row, compare

TOLERANCE = 1e-6  # relative, of what is no count: Timeloop prints it rounded
DIFFERENT = 1


def run(arguments: argparse.Namespace) -> int:
    """Compare and print; returns the exit code."""
    comparison = compare(arguments.folder)
    apart = [row for row in comparison.rows if not agrees(row)]
    if arguments.json:
        tell(to_json(comparison.to_dict() | {"agrees": not apart, "differing": len(apart)}))
    elif not arguments.quiet:
        verdict = f"{len(apart)} of them differ" if apart else "all agree"
        tell(f"{comparison}\n{len(comparison.rows)} figures: {verdict}")
    return DIFFERENT if apart else 0


def agrees(row: Row) -> bool:
    """Counts agree where they are equal, everything else within `TOLERANCE`."""
    return row.relative_error <= (0 if isinstance(row.ours, int) else TOLERANCE)
