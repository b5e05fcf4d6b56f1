"""Throw-away environments of other people's tools: made on first use, apart from dlco's own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / ".venv-peers"


class PeerError(Exception):
    """A peer could not be installed or run; the message is what it said, without this machine's paths."""


def environment(name: str, packages: list[str]) -> Path:
    """The Python of an environment that holds `packages`, made where it is not there yet.

    Raises:
        PeerError: pip could not install them.
    """
    folder = FOLDER / name
    python, done = folder / "bin" / "python", folder / ".installed"
    if not done.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
        done.write_text("\n".join(packages))
    return python


def ask(python: Path, script: str, question: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """What `script` beside this file answers in the peer's environment: JSON in, JSON out.

    Raises:
        PeerError: it failed, or took longer than `timeout_s`.
    """
    return json.loads(_run([str(python), str(HERE / script)], json.dumps(question), timeout_s))


def _run(command: list[str], text: str | None = None, timeout_s: float = 1200.0) -> str:
    """Standard output. dlco's own pins and paths are kept from the peer; it gets one thread, as dlco does here."""
    ours = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "PYTHONPATH", "VIRTUAL_ENV")
    env = {key: value for key, value in os.environ.items() if key not in ours}
    env |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, input=text, env=env, timeout=timeout_s, capture_output=True, text=True, check=True
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"took longer than {timeout_s:g} s") from None
    except subprocess.CalledProcessError as error:
        raise PeerError(_said(error.stderr)) from None
    return done.stdout


def _said(text: str) -> str:
    """The last line that names an error, with paths and addresses left out."""
    lines = [line for line in text.splitlines() if re.search("error|exception", line, re.IGNORECASE)]
    last = (lines or text.splitlines() or ["no message"])[-1]
    return re.sub(r"(\w+://|/)\S*/\S*", "...", last).strip()
