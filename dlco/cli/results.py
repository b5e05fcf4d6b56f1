"""What a search ends with: its files, its table or JSON, and its exit code."""

import argparse
from typing import Any, Protocol

from dlco.cli.codes import AT_FAULT, INTERRUPTED, STOPPED
from dlco.cli.outputs import Writers, to_json, write_outputs
from dlco.cli.streams import say, tell


class Result(Protocol):
    """A solution, a front or a co-design."""

    @property
    def status(self) -> str:
        """Two have exit codes of their own: "infeasible" and "interrupted"."""

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""


def deliver(
    arguments: argparse.Namespace,
    result: Result,
    writers: Writers,
    why: str,
    *,
    found: bool,
) -> int:
    """Write the outputs, print the table or the JSON; returns the exit code.

    Args:
        arguments: `json` and `quiet` are read.
        result: what the search returned.
        writers: of its outputs.
        why: said where the result is infeasible.
        found: whether there is anything to write.

    Raises:
        InvalidInput: an output cannot be written.
    """
    if found:
        write_outputs(writers)
    if arguments.json:
        tell(to_json(result.to_dict()))
    elif found and not arguments.quiet:
        tell(result)
    if result.status == "infeasible":
        say(f"dlco: error: infeasible: {why}")
        return AT_FAULT
    if result.status == "interrupted":
        if not found:
            say(STOPPED)
        return INTERRUPTED
    return 0
