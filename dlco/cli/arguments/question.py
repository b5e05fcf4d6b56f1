"""What searches are asked alike: hardware, limits, how to run; and what `dlco solve` and `dlco pareto` are."""

import argparse
import re

from dlco.cli.arguments import completed
from dlco.cli.names import DEVICES, DRAMS, EFFORTS, KEEPS, MACHINES, NETWORKS, TECHNOLOGIES

Group = argparse._ActionsContainer  # a parser, or a group of its arguments


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `dlco.cli.question.read_question` reads."""
    network = parser.add_argument(
        "network",
        metavar="NETWORK",
        help=f"{', '.join(NETWORKS)}; or a file: an ONNX model (.onnx), a table of layers (.csv), or a Timeloop "
        "problem (.yaml) or a folder of them, a layer a file",
    )
    completed.names(network, NETWORKS, files=True)
    parser.add_argument(
        "--size",
        metavar="AXIS=N",
        type=size_of_axis,
        action="append",
        help="size of an axis that an ONNX model leaves free, by its name there, such as height=224; once an axis",
    )
    parser.add_argument(
        "--macs-only",
        action="store_true",
        help="leave out layers of an ONNX model without multiply-accumulates: pooling, additions, softmax and so on",
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
    add_mappings(parser)
    add_run(parser)
    add_checkpoint(parser)


def add_hardware(parser: Group, more: tuple[str, ...] = ()) -> None:
    """Add `--hardware` and what it is made of, which `read_hardware` reads; `more` names are the command's own."""
    names = (*MACHINES, *more)
    hardware = parser.add_argument(
        "--hardware",
        metavar="NAME",
        required=True,
        help=f"{', '.join(names)} (sizes free), or the file of a Timeloop architecture (sizes fixed)",
    )
    completed.names(hardware, names, files=True)
    parser.add_argument("--fixed", action="store_true", help="take the named hardware with its published sizes")
    parser.add_argument(
        "--limit",
        metavar="INEQUALITY",
        action="append",
        help='between free sizes, such as "shared_glb.capacity <= 256 * weights_spad.capacity": + * / ** max, and <= '
        ">= or, between products, ==",
    )
    technology = parser.add_argument(
        "--technology", metavar="NAME", help=f"of the named hardware: {', '.join(TECHNOLOGIES)} (default: 45nm)"
    )
    completed.names(technology, TECHNOLOGIES)
    parser.add_argument("--vdd", metavar="V", type=float, help="supply voltage (default: nominal for the technology)")
    parser.add_argument(
        "--clock", metavar="MHZ", type=float, help="of the named hardware (default: 1000, slower where gates are)"
    )
    parser.add_argument(
        "--no-wires",
        dest="wires",
        action="store_false",
        help="of the named hardware: wires between levels cost nothing (default: energy and area)",
    )
    dram = parser.add_argument(
        "--dram",
        metavar="KIND[=N]",
        help=f"DRAM outside, of N channels: {', '.join(DRAMS)} (default: LPDDR4's energy, the machine's bandwidth)",
    )
    completed.names(dram, DRAMS)


def add_totals(limits: Group) -> None:
    """Add limits on the machine and on totals of the network, which `read_totals` reads."""
    limits.add_argument("--area", metavar="MM2", type=float, help="area of the machine, mm2")
    limits.add_argument("--power", metavar="W", type=float, help="mean power, W")
    limits.add_argument("--latency", metavar="S", type=float, help="latency, s")
    limits.add_argument("--energy", metavar="J", type=float, help="energy, J")
    limits.add_argument("--pe-count", metavar="N", type=int, help="MAC units of the machine")


def add_mappings(parser: Group) -> None:
    """Add `--constraints`, `--imperfect`, `--keep` and `--uneven`: which mappings may be."""
    completed.file(
        parser.add_argument(
            "--constraints",
            metavar="FILE",
            help="what is fixed of the mappings, beside what the architecture's own file fixes: Timeloop's constraints",
        )
    )
    parser.add_argument(
        "--imperfect",
        action=argparse.BooleanOptionalAction,
        help="tiles need not divide the layer's bounds, the last one being short then; by default where given hardware "
        "would stay idle otherwise",
    )
    parser.add_argument(
        "--keep",
        choices=KEEPS,
        default=KEEPS[0],
        help="what levels keep: as stated, or free, a choice of each mapping on a given machine (default: %(default)s)",
    )
    parser.add_argument(
        "--uneven",
        action="store_true",
        help="a memory may cut each dataspace's loops elsewhere (of solve, on fixed hardware; not for Timeloop)",
    )
    parser.add_argument(
        "--fuse",
        action="store_true",
        help="results may stay on the chip until they are read (of solve; not for Timeloop)",
    )


def add_run(parser: Group) -> None:
    """Add `--batch`, `--seed` and `--device`."""
    parser.add_argument("--batch", metavar="N", type=int, default=1, help="images at once (default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of all randomness (default: %(default)s)")
    device = parser.add_argument(
        "--device", metavar="NAME", default="cpu", help="cpu, or cuda for a GPU (default: %(default)s)"
    )
    completed.names(device, DEVICES)


def add_effort(parser: Group, what: str, otherwise: str) -> None:
    """Add `--effort`: how hard `what` tries, and how hard `otherwise`."""
    parser.add_argument(
        "--effort",
        choices=EFFORTS,
        help=f"how hard {what} tries: {', '.join(EFFORTS)} (default: {otherwise})",
    )


def add_checkpoint(parser: Group) -> None:
    """Add `--checkpoint` and `--resume`, one of which may be given."""
    files = parser.add_mutually_exclusive_group()
    completed.file(
        files.add_argument("--checkpoint", metavar="FILE", help="a new file, in which finished parts are kept")
    )
    completed.file(files.add_argument("--resume", metavar="FILE", help="go on with the run that wrote this checkpoint"))


def add_printing(results: Group, what: str) -> None:
    """Add `--json` and `--quiet`; `what` is printed unless one of them is given."""
    results.add_argument("--json", action="store_true", help=f"print {what} as JSON instead of the table")
    results.add_argument("--quiet", action="store_true", help="no progress bar and no table")


def add_sensitivities(results: Group) -> None:
    """Add `--sensitivities`."""
    results.add_argument(
        "--sensitivities",
        action="store_true",
        help="say too what one per cent more of each limit, capacity and bandwidth is worth (takes seconds, and half a "
        "minute where sizes are free)",
    )


def size_of_axis(text: str) -> tuple[str, int]:
    """(name of an axis, size) of a text such as `height=224`."""
    name, _, size = text.rpartition("=")
    if not name or not re.fullmatch(r"0*[1-9]\d{0,17}", size, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no AXIS=N, such as height=224")
    return name, int(size)


def limit_of_level(text: str) -> tuple[str, float]:
    """(level, limit) of a text such as `shared_glb=65536`."""
    level, _, limit = text.rpartition("=")
    try:
        number = float(limit)
    except ValueError:
        number = 0.0
    if not level or not number > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no LEVEL=WORDS, such as shared_glb=65536")
    return level, number
