"""`dlco evaluate`: what one mapping costs, from Timeloop's files."""

import argparse

from dlco.cli.outputs import to_json
from dlco.cli.streams import tell
from dlco.design.evaluation_table import evaluation_text, with_totals
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.timeloop.case import Case
from dlco.timeloop.model import account

RULES = {"refetch": CountingRules("refetch"), "overlap": CountingRules("overlap"), "timeloop": TIMELOOP_RULES}


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print; returns the exit code."""
    files = {key: getattr(arguments, key) for key in ("architecture", "problem", "mapping")}
    problem, architecture, mapping = Case("", files).parts
    figures = with_totals(account(problem, architecture, mapping, RULES[arguments.rules]), architecture)
    if arguments.json:
        tell(to_json(figures | {"rules": arguments.rules}))
    else:
        tell(evaluation_text(problem, architecture, mapping, figures, arguments.rules))
    return 0
