"""`dlco report`: a saved solution as a table, a picture or a web page."""

import argparse
from pathlib import Path

from dlco.cli.outputs import check_outputs, write_outputs
from dlco.errors import InvalidInput
from dlco.optimize.solution import Solution
from dlco.report.page import solution_page
from dlco.report.picture import PICTURES, plot_solution
from dlco.report.table import solution_text

PAGES = (".html", ".htm")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "report",
        help="show a saved solution",
        description="Print a saved solution as a table, or write it as a picture or a web page.",
        epilog="example: dlco report resnet18.json -o resnet18.html",
        allow_abbrev=False,
    )
    parser.add_argument("solution", metavar="SOLUTION", type=Path, help="file that `dlco solve -o` wrote")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=f"a picture ({', '.join(PICTURES)}) or a page ({PAGES[0]})"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table or write the file; returns the exit code."""
    output: str | None = arguments.output
    suffix = Path(output or "").suffix.lower()
    if output is not None and suffix not in (*PICTURES, *PAGES):
        raise InvalidInput(f"--output is {output!r}; its suffix must be one of {', '.join((*PICTURES, *PAGES))}")
    check_outputs({"--output": output})
    solution = Solution.load(arguments.solution)
    title = arguments.solution.stem
    if output is None:
        print(solution_text(solution))
    elif suffix in PAGES:
        page = solution_page(solution, title)
        write_outputs({output: lambda path: path.write_text(page, encoding="utf-8")})
    else:
        write_outputs({output: lambda path: plot_solution(solution, path, title=title)})
    return 0
