"""The command line: `dlco solve`, `pareto`, `nas`, `evaluate`, `validate`, `simulate`, `report`, `export`, `doctor`.

Results go to stdout, everything else to stderr. Exit codes: 0 where all went well, 1 where `validate` found a figure
that differs, 2 where the input is at fault or no design meets the limits, 130 after Ctrl-C.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import current_thread, main_thread
from types import FrameType

from dlco.cli.codes import AT_FAULT, BROKEN_PIPE, INTERRUPTED, STOPPED
from dlco.cli.streams import let_go, open_streams, say
from dlco.errors import DlcoError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is what follows the program's name."""
    open_streams()
    code = _run(argv)
    stopped = let_go()
    return _lost(stopped) if stopped is not None and code == 0 else code


def _run(argv: Sequence[str] | None) -> int:
    try:
        from dlco.cli.arguments import make_parser  # here, so that Ctrl-C is heard while it loads

        arguments = make_parser().parse_args(argv)
        with _leaving_at_once():
            command = import_module(f"dlco.cli.{arguments.command}")  # takes seconds: torch comes with most
        code = command.run(arguments)
        sys.stdout.flush()
        return int(code)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except DlcoError as error:
        say(f"dlco: error: {' '.join(str(error).split())}")
        return AT_FAULT
    except KeyboardInterrupt:
        say(STOPPED)
        return INTERRUPTED
    except OSError as error:
        return _lost(error)


def _lost(error: OSError) -> int:
    """The exit code where a file or stdout could not be written."""
    if isinstance(error, BrokenPipeError):  # what reads stdout has gone, as `| head` does
        return BROKEN_PIPE
    place = "" if error.filename is None else f"{error.filename!r}: "  # a full disk, a folder that has gone
    say(f"dlco: error: {place}{error.strerror or error}")
    return AT_FAULT


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """While the block runs Ctrl-C ends the process: raised inside an import of torch's, the interrupt may get lost."""
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            os.write(2, f"{STOPPED}\n".encode())
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
