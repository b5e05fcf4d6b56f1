"""What the benchmarks share: clocks, the machine they run on, tables, and the results they leave.

A benchmark's result is one payload, a dict of plain values, from which everything shown of it is made:

    {
        "title": "Mapping ResNet-18 on fixed hardware",
        "text": "One paragraph: what is measured, against what, under which rules.",
        "tables": [{"title": "Seconds", "head": ["method", "seconds"], "rows": [["solve", 1.25], ["random", None]]}],
        "targets": [{"name": "gap", "target": "at most 12 %", "value": "10.3 %", "met": True}],
        "data": anything,
    }

`title` and `text` must be there; the rest may be missing. A cell is a string, a number, a truth value or None (not
measured); strings are shown as they are, the others in one way everywhere (`shown`). A target's `target` and `value`
are cells too; `met` is None where the run did not measure it. `data` keeps figures that no table shows.

`show(payload)` prints it, `save_results(name, payload)` writes benchmarks/results/<name>.json, and report.py makes
benchmarks/README.md of all of these files.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

RESULTS = Path(__file__).resolve().parent / "results"
OUT = RESULTS.parents[1] / "out"  # parts of runs, for those that go on
# Read when a benchmark imports this, so before its work.
_LOAD_BEFORE = round(os.getloadavg()[0], 2)


class Stopwatch:
    """Wall and CPU seconds of a `with` block, child processes that ended in it included."""

    wall_s = cpu_s = 0.0

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall_s, self.cpu_s = time.perf_counter() - self._wall, _cpu() - self._cpu


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def environment() -> dict[str, object]:
    """The machine: figures in seconds mean little without it, and nothing where the load was high before."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load_before": _LOAD_BEFORE,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _commit() -> dict[str, object]:
    """The commit, and whether anything but the results differs from it; None for both without git."""
    beside = ["--", ".", ":!benchmarks/results", ":!benchmarks/README.md"]
    try:
        name = _git("rev-parse", "--short=12", "HEAD").strip()
        return {"commit": name, "dirty": bool(_git("status", "--porcelain", *beside).strip())}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _git(*words: str) -> str:
    root = Path(__file__).resolve().parents[1]
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout


def _command() -> str:
    """The command line as another would type it: no path of this machine in it."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def save_results(name: str, payload: Mapping[str, Any]) -> Path:
    """Write benchmarks/results/<name>.json: the payload with the machine, the commit, the date and the command line.

    The file appears whole or not at all. NaN and infinities become None, tensors and arrays of one value numbers.

    Returns:
        The file.

    Raises:
        ValueError: The payload is not as this module's first lines say.
        TypeError: A value of it is nothing that JSON knows.
    """
    plain = _plain(payload)
    check_payload(plain)
    result = {
        "name": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": _command(),
        **_commit(),
        "machine": environment(),
        "payload": plain,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def finished(name: str, work: Callable[[], Any], resume: bool) -> Any:
    """What a part of a benchmark gives, as plain JSON; kept in out/, so that a run that was cut goes on from there.

    Args:
        name: of the part, a file's name below out/ without its ending.
        work: does it.
        resume: whether to take what an earlier run kept.
    """
    path = OUT / f"{name}.json"
    if resume and path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    found = _plain(work())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, allow_nan=False), encoding="utf-8")
    return found


def load_results(name: str) -> dict[str, Any] | None:
    """What `save_results(name, ...)` wrote last; None if nothing is there."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def saved_outcomes(name: str) -> list[dict[str, Any]]:
    """The outcomes under 'data' of what was written last; none if nothing is there."""
    stored = load_results(name)
    return stored["payload"]["data"]["outcomes"] if stored else []


def check_payload(payload: Mapping[str, Any]) -> None:
    """Raise ValueError where the payload is not as this module's first lines say."""
    for key in ("title", "text"):
        if not isinstance(payload.get(key), str):
            raise ValueError(f"payload: {key!r} must be a string, not {payload.get(key)!r}")
    if unknown := set(payload) - {"title", "text", "tables", "targets", "data"}:
        raise ValueError(f"payload: unknown {sorted(unknown)}; put what no table shows under 'data'")
    for one in payload.get("tables", ()):
        if missing := {"title", "head", "rows"} - set(one):
            raise ValueError(f"table {one.get('title')!r}: {sorted(missing)} missing")
        for row in one["rows"]:
            if len(row) != len(one["head"]):
                raise ValueError(f"table {one['title']!r}: {len(one['head'])} columns, but a row is {row!r}")
    for one in payload.get("targets", ()):
        if set(one) != {"name", "target", "value", "met"}:
            raise ValueError(f"target: name, target, value and met expected, not {sorted(one)}")
        if one["met"] not in (True, False, None):
            raise ValueError(f"target {one['name']!r}: met must be true, false or None, not {one['met']!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if not isinstance(value, str | bool | int | float | None) and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def shown(cell: object) -> str:
    """A cell as every table shows it: four digits, all of a whole number, a dash for None."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int | float) and cell == int(cell) and abs(cell) < 10**12:
        return f"{int(cell):,}"
    if isinstance(cell, int | float):
        return f"{cell:.4g}"
    return str(cell)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns lined up, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )

    return "\n".join([line(head), *(line(row) for row in rows)])


def show(payload: Mapping[str, Any]) -> None:
    """Print the payload's tables and targets."""
    print(payload["title"], payload["text"], sep="\n")
    for one in payload.get("tables", ()):
        print(f"\n{one['title']}", table(one["head"], [[shown(cell) for cell in row] for row in one["rows"]]), sep="\n")
    if targets := payload.get("targets"):
        rows = [[one["name"], *(shown(one[key]) for key in ("target", "value", "met"))] for one in targets]
        print("\nTargets", table(["target", "to reach", "measured", "met"], rows), sep="\n")
