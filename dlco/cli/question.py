"""What the arguments of `dlco.cli.arguments.question` ask: limits, layers, hardware, and how to run."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlco.cli.inputs import read_hardware, read_network
from dlco.design.budget import Budget
from dlco.design.objective import LIMITED
from dlco.errors import InvalidInput
from dlco.hardware import Architecture, HardwareSpace
from dlco.hardware.space import as_space
from dlco.optimize.effort import EFFORTS, SolveEffort
from dlco.timeloop import read_constraints
from dlco.workload import Layer


def read_totals(arguments: argparse.Namespace) -> dict[str, Any]:
    """The limits of `add_totals`, by their names in a `Budget`."""
    limits = {str(objective.limit): getattr(arguments, objective) for objective in LIMITED}
    return limits | {"pe_count": arguments.pe_count}


def read_effort(arguments: argparse.Namespace) -> SolveEffort | None:
    """That of `add_effort`, None where it is not given."""
    return None if arguments.effort is None else EFFORTS[arguments.effort]


def read_budget(arguments: argparse.Namespace) -> Budget:
    """The limits that the arguments state."""
    return Budget(
        **read_totals(arguments),
        capacity=dict(arguments.capacity) if arguments.capacity else None,
        bandwidth=dict(arguments.bandwidth) if arguments.bandwidth else None,
        layer_latency_s=arguments.layer_latency,
    )


def _sizes(given: Sequence[tuple[str, int]]) -> dict[str, int]:
    """The sizes of axes by name."""
    sizes = dict(given)
    for name, size in given:
        if sizes[name] != size:
            raise InvalidInput(f"--size gives {name!r} as {size} and as {sizes[name]}; give it once")
    return sizes


def read_question(
    arguments: argparse.Namespace, budget: Budget
) -> tuple[Sequence[Layer], Architecture | HardwareSpace, dict[str, Any]]:
    """(layers, hardware, the options that `solve` and `pareto` share).

    Raises:
        InvalidInput: a name or file is not what it should be.
    """
    sizes = _sizes(arguments.size or [])
    layers = read_network(arguments.network, arguments.batch, sizes, arguments.macs_only, arguments.fuse)
    hardware = read_hardware(arguments)
    return layers, hardware, read_options(arguments, hardware) | {"budget": budget}


def read_options(arguments: argparse.Namespace, hardware: Architecture | HardwareSpace) -> dict[str, Any]:
    """How to run, and which mappings may be, on this hardware: what all searches share.

    Raises:
        InvalidInput: the constraints' file is not what it should be.
    """
    constraints = None
    if arguments.constraints is not None:
        constraints = read_constraints(Path(arguments.constraints), architecture=as_space(hardware).base)
    names = ("seed", "device", "imperfect", "keep", "uneven", "fuse", "checkpoint", "resume")
    options = {name: getattr(arguments, name) for name in names}
    return options | {"constraints": constraints}
