"""timeloop-model itself, where it is installed."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from dlco.errors import InvalidInput, InvalidMapping
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.timeloop.case import Case, find_cases
from dlco.timeloop.document import Source
from dlco.timeloop.stats import read_stats

_REFUSED = re.compile(r"couldn't map level ([^\s:]+): (.*)")


def run(folder: Source, timeout_s: float = 600.0, rules: CountingRules = TIMELOOP_RULES) -> dict:
    """Run timeloop-model on the files of a folder.

    Args:
        folder: of one case: YAML files with architecture, problem and mapping, under any names.
        timeout_s: seconds after which to give up.
        rules: Timeloop's, with or without neighbour forwarding.

    Returns:
        What it counted, with the keys of `dlco.timeloop.model`.

    Raises:
        InvalidInput: there is no such program or no such case, it took too long, or it failed.
        InvalidMapping: it refused the mapping; `level` names the level that did.
    """
    cases = find_cases(folder)
    if len(cases) != 1:
        raise InvalidInput(f"{os.fspath(folder)!r} holds {len(cases)} cases; run takes one at a time")
    return run_case(cases[0], timeout_s, rules)


def program() -> str:
    """Path of timeloop-model; raises `InvalidInput` where there is none."""
    given = os.environ.get("TIMELOOP_MODEL")
    if given:
        if not os.access(given, os.X_OK) or os.path.isdir(given):
            raise InvalidInput(f"$TIMELOOP_MODEL is {given!r}; it must be a program that can be run")
        return os.path.abspath(given)
    found = shutil.which("timeloop-model")
    if found is None:
        raise InvalidInput("timeloop-model is not on PATH and $TIMELOOP_MODEL is not set")
    return found


def run_case(case: Case, timeout_s: float = 600.0, rules: CountingRules = TIMELOOP_RULES) -> dict:
    """What timeloop-model counts in a case; raises as `run` does."""
    if rules.restart != "timeloop":
        raise InvalidInput(f"restart is {rules.restart!r}; timeloop-model knows its own rule only")
    command = [program(), *(str(path.resolve()) for path in case.inputs)]
    environment = dict(os.environ)
    if not rules.neighbour_forwarding:
        environment["TIMELOOP_DISABLE_LINK_TRANSFERS"] = "1"
    with tempfile.TemporaryDirectory() as work:
        try:
            done = subprocess.run(
                command,
                cwd=work,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InvalidInput(f"timeloop-model took more than {timeout_s:g} s on {case.name!r}") from None
        except OSError as error:
            raise InvalidInput(f"timeloop-model cannot be run: {error.strerror or error}") from None
        said = done.stdout + done.stderr
        refused = _REFUSED.search(said)
        if refused:
            raise InvalidMapping(f"timeloop-model cannot map level {refused[1]}: {refused[2]}", refused[1])
        stats, xml = Path(work, "timeloop-model.stats.txt"), Path(work, "timeloop-model.map+stats.xml")
        if done.returncode or not stats.is_file():
            last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "nothing")
            raise InvalidInput(
                f"timeloop-model failed on {case.name!r} with code {done.returncode}; it said: {last[:300]}"
            )
        return read_stats(stats, xml if xml.is_file() else None, case.dataspaces)
