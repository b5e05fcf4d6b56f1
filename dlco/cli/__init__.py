"""The command line: `dlco solve`, `pareto`, `nas`, `evaluate`, `validate`, `simulate`, `report`, `export`, `doctor`.

Results go to stdout, everything else to stderr. Exit codes: 0 where all went well, 1 where `validate` found a figure
that differs, 2 where the input is at fault or no design meets the limits, 130 after Ctrl-C.
"""

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from threading import current_thread, main_thread
from types import FrameType

from dlco.errors import DlcoError

BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

_STOPPED = "dlco: interrupted; nothing was written"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is what follows the program's name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show must not stop it
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
        print(f"dlco: error: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(_STOPPED, file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # what reads stdout has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:  # a full disk, a folder that has gone
        place = "" if error.filename is None else f"{error.filename!r}: "
        print(f"dlco: error: {place}{error.strerror or error}", file=sys.stderr)
        return BAD_INPUT


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """While the block runs Ctrl-C ends the process: raised inside an import of torch's, the interrupt may get lost."""
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        os.write(2, f"{_STOPPED}\n".encode())
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
