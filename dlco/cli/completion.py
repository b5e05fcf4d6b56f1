"""`dlco completion`: the shell's script."""

import argparse

import shtab

from dlco.cli.arguments import make_parser


def run(arguments: argparse.Namespace) -> int:
    """Print the script; returns the exit code."""
    print(shtab.complete(make_parser(), arguments.shell))
    return 0
