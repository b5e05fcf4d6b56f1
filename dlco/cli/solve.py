"""`dlco solve`: size a machine and map a network on it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from dlco.cli.inputs import network_name, read_hardware, read_network
from dlco.cli.outputs import check_outputs, to_json, write_outputs
from dlco.hardware import HardwareSpace
from dlco.hardware.presets import ARCHITECTURES
from dlco.optimize.budget import OBJECTIVES, Budget, check_objective
from dlco.optimize.solution import Solution
from dlco.optimize.solve import solve
from dlco.report.picture import PICTURES, check_picture, plot_solution
from dlco.report.progress import ProgressBar
from dlco.report.table import solution_text
from dlco.timeloop import read_constraints, write
from dlco.workload import NETWORKS

INFEASIBLE = 2
INTERRUPTED = 130


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "solve",
        help="size a machine and map a network on it",
        description="Size a machine and map every layer of a network on it, within limits.",
        epilog="example: dlco solve resnet18 --hardware eyeriss --objective edp --area 4",
        allow_abbrev=False,
    )
    parser.add_argument(
        "network",
        metavar="NETWORK",
        help=f"{', '.join(NETWORKS)}; or a file of a Timeloop problem, or a folder of them (a layer a file)",
    )
    parser.add_argument(
        "--hardware",
        metavar="NAME",
        required=True,
        help=f"{', '.join(ARCHITECTURES)} (sizes free), or the file of a Timeloop architecture (sizes fixed)",
    )
    parser.add_argument("--fixed", action="store_true", help="take the named hardware with its published sizes")
    parser.add_argument(
        "--objective",
        metavar="NAME",
        default="edp",
        help=f"what to minimise: {', '.join(OBJECTIVES)} (default: %(default)s)",
    )
    limits = parser.add_argument_group("limits, on the machine and one run of the whole network")
    limits.add_argument("--area", metavar="MM2", type=float, help="area of the machine, mm2")
    limits.add_argument("--power", metavar="W", type=float, help="mean power, W")
    limits.add_argument("--latency", metavar="S", type=float, help="latency, s")
    limits.add_argument("--energy", metavar="J", type=float, help="energy, J")
    limits.add_argument("--layer-latency", metavar="S", type=float, help="latency of one run of each layer, s")
    limits.add_argument("--pe-count", metavar="N", type=int, help="MAC units of the machine")
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
    parser.add_argument("--batch", metavar="N", type=int, default=1, help="images at once (default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of all randomness (default: %(default)s)")
    parser.add_argument("--device", metavar="NAME", default="cpu", help="cpu, or cuda for a GPU (default: %(default)s)")
    files = parser.add_mutually_exclusive_group()
    files.add_argument("--checkpoint", metavar="FILE", help="a new file, in which finished parts of the run are kept")
    files.add_argument("--resume", metavar="FILE", help="go on with the run that wrote this checkpoint")
    results = parser.add_argument_group("results, beside the table on stdout")
    results.add_argument("-o", "--output", metavar="FILE", help="write the solution as JSON, for `dlco report`")
    results.add_argument("--plot", metavar="FILE", help=f"draw energy and cycles of each layer ({', '.join(PICTURES)})")
    results.add_argument("--timeloop", metavar="FOLDER", help="write Timeloop's files, a folder a layer")
    results.add_argument("--json", action="store_true", help="print the solution as JSON instead of the table")
    results.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Solve, write what was asked for, print the table or the JSON; returns the exit code."""
    objective = check_objective(arguments.objective)
    budget = read_budget(arguments)
    if arguments.plot is not None:
        check_picture(arguments.plot)
    check_outputs(
        {"--output": arguments.output, "--plot": arguments.plot},
        {"--timeloop": arguments.timeloop},
    )
    layers = read_network(arguments.network, arguments.batch)
    hardware = read_hardware(arguments.hardware, arguments.fixed)
    constraints = None
    if arguments.constraints is not None:
        base = hardware.base if isinstance(hardware, HardwareSpace) else hardware
        constraints = read_constraints(Path(arguments.constraints), layers[0].problem, base)
    with ProgressBar(objective) as bar:
        solution = solve(
            layers,
            hardware=hardware,
            objective=objective,
            budget=budget,
            seed=arguments.seed,
            device=arguments.device,
            constraints=constraints,
            imperfect=arguments.imperfect,
            checkpoint=arguments.checkpoint,
            resume=arguments.resume,
            progress=False if arguments.quiet else bar,
        )
    if solution.status != "infeasible":
        write_outputs(_writers(arguments, solution))
    if arguments.json:
        print(to_json(solution.to_dict()))
    elif solution.status != "infeasible" and not arguments.quiet:
        print(solution_text(solution))
    if solution.status == "infeasible":
        print(f"dlco: error: infeasible: {solution.message}", file=sys.stderr)
        return INFEASIBLE
    return INTERRUPTED if solution.status == "interrupted" else 0


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


def read_budget(arguments: argparse.Namespace) -> Budget:
    """The limits that the arguments state."""
    return Budget(
        area_mm2=arguments.area,
        power_w=arguments.power,
        latency_s=arguments.latency,
        energy_j=arguments.energy,
        pe_count=arguments.pe_count,
        capacity=dict(arguments.capacity) if arguments.capacity else None,
        bandwidth=dict(arguments.bandwidth) if arguments.bandwidth else None,
        layer_latency_s=arguments.layer_latency,
    )


def _writers(arguments: argparse.Namespace, solution: Solution) -> dict[str, Callable[[Path], object]]:
    """What writes each output that was asked for, by its path."""
    writers: dict[str, Callable[[Path], object]] = {}
    if arguments.output is not None:
        writers[arguments.output] = solution.save
    if arguments.plot is not None:
        title = network_name(arguments.network)
        writers[arguments.plot] = lambda path: plot_solution(solution, path, title=title)
    if arguments.timeloop is not None:
        writers[arguments.timeloop] = lambda path: write(solution, path)
    return writers
