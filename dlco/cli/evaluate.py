"""`dlco evaluate`: what one mapping costs, from Timeloop's files."""

import argparse
from pathlib import Path

from dlco.cli.outputs import to_json
from dlco.cost.rules import TIMELOOP_RULES, CountingRules
from dlco.report.evaluation import evaluation_text, with_totals
from dlco.timeloop.case import Case
from dlco.timeloop.model import account

RULES = {"refetch": CountingRules("refetch"), "overlap": CountingRules("overlap"), "timeloop": TIMELOOP_RULES}


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "evaluate",
        help="count and price one mapping given in Timeloop's files",
        description="Print the loop nest of a mapping, its accesses at every level, and what it costs.",
        epilog="example: dlco evaluate arch.yaml problem.yaml mapping.yaml --rules timeloop",
        allow_abbrev=False,
    )
    parser.add_argument("architecture", metavar="ARCH", type=Path, help="file of the architecture, with ERT and ART")
    parser.add_argument("problem", metavar="PROBLEM", type=Path, help="file of the problem")
    parser.add_argument("mapping", metavar="MAPPING", type=Path, help="file of the mapping")
    parser.add_argument(
        "--rules",
        choices=RULES,
        default="refetch",
        help="what a buffer keeps when its tile moves on: nothing where a loop restarts (refetch), all that the next "
        "tile shares (overlap), or what Timeloop takes it to keep, with link transfers (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of tables")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print; returns the exit code."""
    files = {key: getattr(arguments, key) for key in ("architecture", "problem", "mapping")}
    problem, architecture, mapping = Case("", files).parts
    figures = with_totals(account(problem, architecture, mapping, RULES[arguments.rules]), architecture)
    if arguments.json:
        print(to_json(figures | {"rules": arguments.rules}))
    else:
        print(evaluation_text(problem, architecture, mapping, figures, arguments.rules))
    return 0
