"""Tasks whose worker is killed, as the system does where memory runs out."""

import os
import signal
from pathlib import Path


def killed_once(mark: str, value: int) -> int:
    """`value` squared; the first worker to come here is killed, which the file `mark` says."""
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        return value**2
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def always_killed(value: int) -> int:
    """Never returns."""
    os.kill(os.getpid(), signal.SIGKILL)
    return value
