"""`dlco validate`: our figures beside Timeloop's."""

import argparse

from dlco.cli.codes import DIFFERENT
from dlco.cli.outputs import to_json
from dlco.cli.streams import tell
from dlco.timeloop.compare import compare


def run(arguments: argparse.Namespace) -> int:
    """Compare and print; returns the exit code."""
    comparison = compare(arguments.folder)
    apart = [row for row in comparison.rows if not row.agrees]
    if arguments.json:
        tell(to_json(comparison.to_dict() | {"agrees": not apart, "differing": len(apart)}))
    elif not arguments.quiet:
        verdict = f"{len(apart)} of them differ" if apart else "all agree"
        tell(f"{comparison}\n{len(comparison.rows)} figures: {verdict}")
    return DIFFERENT if apart else 0
