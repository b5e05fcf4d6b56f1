"""`dlco doctor`: what there is on this computer to work with."""

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import torch

from dlco.cli.outputs import to_json
from dlco.cli.streams import tell
from dlco.errors import InvalidInput
from dlco.timeloop.run import program
from dlco.version import __version__

NEEDED = (
    *("torch", "numpy", "scipy", "clarabel", "cvxpy", "jinja2", "joblib", "lazy-loader", "matplotlib", "pyyaml"),
    *("rich", "shtab", "sympy"),
)
EXTRAS = {
    "onnx": ("onnx",),
    "vision": ("torchvision", "timm"),
    "pandas": ("pandas",),
    "nas": ("pymoo", "sklearn"),
    "dask": ("dask", "distributed"),
    "ray": ("ray",),
}
"""By extra: the modules that it brings; the extras for those who develop dlco are left out."""


def run(arguments: argparse.Namespace) -> int:
    """Examine and print; returns the exit code."""
    findings = examine()
    tell(to_json(findings) if arguments.json else _text(findings))
    return 0


def examine() -> dict[str, Any]:
    """Versions, computer, GPU, Timeloop and extras, as nested dictionaries; None for what is unknown."""
    return {
        "dlco": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in NEEDED},
        "computer": {"cores": _cores(), "memory_gib": _memory_gib(), **_torch()},
        "timeloop": _timeloop(),
        "extras": {
            extra: {module: find_spec(module) is not None for module in modules} for extra, modules in EXTRAS.items()
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_gib() -> float | None:
    """Memory of the computer, GiB."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _torch() -> dict[str, Any]:
    """Torch's threads, and the GPUs that `device="cuda"` would use."""
    available = torch.cuda.is_available()
    return {
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if available else [],
    }


def _timeloop() -> dict[str, str | None]:
    """Where timeloop-model is, or why not."""
    try:
        return {"program": program(), "why_not": None}
    except InvalidInput as error:
        return {"program": None, "why_not": str(error)}


def _text(findings: dict[str, Any]) -> str:
    """The findings, a line each."""
    computer, timeloop = findings["computer"], findings["timeloop"]
    memory = "unknown" if computer["memory_gib"] is None else f"{computer['memory_gib']} GiB"
    built = "built without CUDA" if computer["cuda"] is None else f"built for CUDA {computer['cuda']}, but none found"
    rows = {
        "dlco": findings["dlco"],
        "python": findings["python"],
        "system": findings["system"],
        **{name: found or "missing" for name, found in findings["packages"].items()},
        "cores": f"{computer['cores']}, {computer['torch_threads']} threads in torch",
        "memory": memory,
        "GPU": ", ".join(computer["gpus"]) or f"none (torch {built})",
        "timeloop": timeloop["program"] or f"not found: {timeloop['why_not']}",
    }
    for extra, modules in findings["extras"].items():
        missing = [module for module, there in modules.items() if not there]
        rows[f"[{extra}]"] = f"missing: {', '.join(missing)}" if missing else "installed"
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())
