"""stdout and stderr of a command: there or not, and with nobody who reads them."""

import io
import os
import sys
from contextlib import suppress

from dlco.texts import printable, printable_lines


def open_streams() -> None:
    """Have something to write to, also where the shell closed stdout or stderr (`>&-`)."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the number: the next file to be opened must not
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show must not stop it


def tell(result: object) -> None:
    """Print a result, several lines, to stdout."""
    print(printable_lines(str(result)))


def say(message: str) -> None:
    """Print a line to stderr; where that is gone, so is the line."""
    with suppress(OSError, ValueError):
        print(printable(message), file=sys.stderr, flush=True)


def let_go() -> OSError | None:
    """Write out what the streams still hold, so that nothing fails at Python's own end; returns what stopped stdout."""
    failed: OSError | None = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            failed = error if stream is sys.stdout else failed
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return failed
