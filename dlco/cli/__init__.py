"""The command line: `dlco solve`, `pareto`, `nas`, `evaluate`, `validate`, `simulate` and `report`.

Results go to stdout, everything else to stderr. Exit codes: 0 where all went well, 1 where `validate` found a figure
that differs, 2 where the input is at fault or no design meets the limits, 130 after Ctrl-C.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Never

from dlco import __version__
from dlco.cli import evaluate, nas, pareto, report, simulate, solve, validate
from dlco.cli.results import INTERRUPTED
from dlco.errors import DlcoError, InvalidInput

BAD_INPUT = 2
BROKEN_PIPE = 141

_EXAMPLES = """\
examples:
  dlco solve resnet18 --hardware eyeriss --objective edp --area 4 --plot resnet18.png -o resnet18.json
  dlco pareto resnet18 --hardware eyeriss -x latency -y power --area 4 --plot front.png --csv front.csv
  dlco nas ofa --hardware eyeriss --objective energy --accuracy 76 --area 4 --save pair.json --plot pair.png
  dlco evaluate arch.yaml problem.yaml mapping.yaml --rules timeloop
  dlco validate out/conv1
  dlco simulate resnet18.json --layer layer3 --trace layer3.json
  dlco report resnet18.json -o resnet18.html
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is what follows the program's name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show must not stop it
    try:
        arguments = _parser().parse_args(argv)
        code = arguments.run(arguments)
        sys.stdout.flush()
        return int(code)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except DlcoError as error:
        print(f"dlco: error: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("dlco: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # what reads stdout has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


class _Parser(argparse.ArgumentParser):
    """Reports wrong arguments as every other error is reported."""

    def error(self, message: str) -> Never:
        raise InvalidInput(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dlco",
        description="Size a deep-learning accelerator and schedule a network on it, together.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dlco {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (solve, pareto, nas, evaluate, validate, simulate, report):
        command.add_to(commands)
    return parser
