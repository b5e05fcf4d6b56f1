"""`dlco completion`."""

import argparse

from dlco.cli.names import SHELLS


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes commands in a shell",
        description="Print a script by which the shell completes commands, options, names and files. For good: append "
        "the example to ~/.bashrc; write zsh's script to a file _dlco of a folder in $fpath, and fish's to "
        "~/.config/fish/completions/dlco.fish.",
        epilog='example: eval "$(dlco completion bash)"',
        allow_abbrev=False,
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
