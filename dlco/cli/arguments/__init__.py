"""The arguments of every command, apart from the code that runs it: reading them imports nothing that takes long."""

import argparse
from typing import Never

from dlco.cli.arguments import completion, doctor, evaluate, export, nas, pareto, report, simulate, solve, validate
from dlco.errors import InvalidInput
from dlco.version import __version__

_EXAMPLES = """\
examples:
  dlco solve resnet18 --hardware eyeriss --objective edp --area 4 --plot resnet18.png -o resnet18.json
  dlco pareto resnet18 --hardware eyeriss -x latency -y power --area 4 --plot front.png --csv front.csv
  dlco nas ofa --hardware eyeriss --objective energy --accuracy 76 --area 4 --save pair.json --plot pair.png
  dlco evaluate arch.yaml problem.yaml mapping.yaml --rules timeloop
  dlco validate out/conv1
  dlco simulate resnet18.json --layer layer3 --trace layer3.json
  dlco report resnet18.json -o resnet18.html
  dlco export resnet18.json --timeloop out
  dlco doctor
  eval "$(dlco completion bash)"
"""
_EXIT_CODES = """
exit codes: 0 all went well; 1 `validate` found a figure that differs; 2 the input is at fault, or no design meets the
limits; 130 interrupted, with the best until then; 141 the reader of the output went away
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; what it reads has the command's name as `command`."""
    parser = _Parser(
        prog="dlco",
        description="Size a deep-learning accelerator and schedule a network on it, together.",
        epilog=_EXAMPLES + _EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dlco {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in (solve, pareto, nas, evaluate, validate, simulate, report, export, doctor, completion):
        command.add_to(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Reports wrong arguments as every other error is reported."""

    def error(self, message: str) -> Never:
        raise InvalidInput(f"{message} (see {self.prog} --help)")
