"""What searches are asked alike: hardware, limits, how to run; and what `dlco solve` and `dlco pareto` are."""

import argparse
from pathlib import Path
from typing import Any

from dlco.cli.inputs import read_hardware, read_network
from dlco.hardware import Architecture, HardwareSpace
from dlco.hardware.presets import ARCHITECTURES
from dlco.optimize.budget import Budget
from dlco.timeloop import read_constraints
from dlco.workload import NETWORKS, Layer

Group = argparse._ActionsContainer  # a parser, or a group of its arguments


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "network",
        metavar="NETWORK",
        help=f"{', '.join(NETWORKS)}; or a file of a Timeloop problem, or a folder of them (a layer a file)",
    )
    add_hardware(parser)
    limits = parser.add_argument_group("limits, on the machine and one run of the whole network")
    add_totals(limits)
    limits.add_argument("--layer-latency", metavar="S", type=float, help="latency of one run of each layer, s")
    limits.add_argument(
        "--capacity", metavar="LEVEL=WORDS", type=limit_of_level, action="append", help="words that a level holds"
    )
    limits.add_argument(
        "--bandwidth", metavar="LEVEL=WORDS", type=limit_of_level, action="append", help="words a cycle of a level"
    )
    parser.add_argument(
        "--constraints", metavar="FILE", help="what is fixed of the mappings: a file of Timeloop mapspace constraints"
    )
    parser.add_argument(
        "--imperfect", action="store_true", help="tiles need not divide the layer's bounds; the last one is then short"
    )
    add_run(parser)
    parser.add_argument("--device", metavar="NAME", default="cpu", help="cpu, or cuda for a GPU (default: %(default)s)")
    add_checkpoint(parser)


def add_hardware(parser: Group) -> None:
    """Add `--hardware` and `--fixed`, which `read_hardware` takes."""
    parser.add_argument(
        "--hardware",
        metavar="NAME",
        required=True,
        help=f"{', '.join(ARCHITECTURES)} (sizes free), or the file of a Timeloop architecture (sizes fixed)",
    )
    parser.add_argument("--fixed", action="store_true", help="take the named hardware with its published sizes")


def add_totals(limits: Group) -> None:
    """Add limits on the machine and on totals of the network, which `read_totals` reads."""
    limits.add_argument("--area", metavar="MM2", type=float, help="area of the machine, mm2")
    limits.add_argument("--power", metavar="W", type=float, help="mean power, W")
    limits.add_argument("--latency", metavar="S", type=float, help="latency, s")
    limits.add_argument("--energy", metavar="J", type=float, help="energy, J")
    limits.add_argument("--pe-count", metavar="N", type=int, help="MAC units of the machine")


def add_run(parser: Group) -> None:
    """Add `--batch` and `--seed`."""
    parser.add_argument("--batch", metavar="N", type=int, default=1, help="images at once (default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of all randomness (default: %(default)s)")


def add_checkpoint(parser: Group) -> None:
    """Add `--checkpoint` and `--resume`, one of which may be given."""
    files = parser.add_mutually_exclusive_group()
    files.add_argument("--checkpoint", metavar="FILE", help="a new file, in which finished parts of the run are kept")
    files.add_argument("--resume", metavar="FILE", help="go on with the run that wrote this checkpoint")


def limit_of_level(text: str) -> tuple[str, float]:
    """(level, limit) of a text such as `shared_glb=65536`."""
    level, _, limit = text.rpartition("=")
    try:
        number = float(limit)
    except ValueError:
        number = 0.0
    if not level or number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no LEVEL=WORDS, such as shared_glb=65536")
    return level, number


def read_totals(arguments: argparse.Namespace) -> dict[str, Any]:
    """The limits of `add_totals`, by their names in a `Budget`."""
    return {
        "area_mm2": arguments.area,
        "power_w": arguments.power,
        "latency_s": arguments.latency,
        "energy_j": arguments.energy,
        "pe_count": arguments.pe_count,
    }


def read_budget(arguments: argparse.Namespace) -> Budget:
    """The limits that the arguments state."""
    return Budget(
        **read_totals(arguments),
        capacity=dict(arguments.capacity) if arguments.capacity else None,
        bandwidth=dict(arguments.bandwidth) if arguments.bandwidth else None,
        layer_latency_s=arguments.layer_latency,
    )


def read_question(
    arguments: argparse.Namespace, budget: Budget
) -> tuple[list[Layer], Architecture | HardwareSpace, dict[str, Any]]:
    """(layers, hardware, the options that `solve` and `pareto` share).

    Raises:
        InvalidInput: a name or file is not what it should be.
    """
    layers = read_network(arguments.network, arguments.batch)
    hardware = read_hardware(arguments.hardware, arguments.fixed)
    constraints = None
    if arguments.constraints is not None:
        constraints = read_constraints(Path(arguments.constraints), layers[0].problem, hardware.base)
    options = {name: getattr(arguments, name) for name in ("seed", "device", "imperfect", "checkpoint", "resume")}
    return layers, hardware, options | {"budget": budget, "constraints": constraints}
