"""`dlco doctor`."""

import argparse


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "doctor",
        help="say what dlco finds on this computer",
        description="Print the versions of dlco and of what it is built on, cores, threads, memory and GPU, whether "
        "timeloop-model is found, and which extras are installed: what to send along with a question.",
        epilog="example: dlco doctor --json",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
