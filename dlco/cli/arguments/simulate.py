"""`dlco simulate`."""

import argparse
from pathlib import Path

from dlco.cli.arguments import completed
from dlco.cli.names import COPIES, DRAM_LATENCY, PICTURES


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its arguments."""
    parser = commands.add_parser(
        "simulate",
        help="execute a saved solution tile by tile",
        description="Execute the mappings of a saved solution in time: transfers between levels, each at its "
        "bandwidth, filling and draining included. Prints the cycles beside the cost model's, and where they go.",
        epilog="example: dlco simulate resnet18.json --layer layer3 --trace layer3.json",
        allow_abbrev=False,
    )
    saved = "file that `dlco solve -o` wrote"
    completed.file(parser.add_argument("solution", metavar="SOLUTION", type=Path, help=saved))
    parser.add_argument("--layer", metavar="NAME", help="this layer only (default: all)")
    parser.add_argument(
        "--copies",
        choices=COPIES,
        default="2",
        help="places for a tile at each level: 2, as the cost model takes it; 1, nothing is loaded while a tile is "
        "used; fit, 2 where there is room for two tiles (default: %(default)s)",
    )
    parser.add_argument(
        "--dram-latency", metavar="CYCLES", type=float, default=DRAM_LATENCY, help="(default: %(default)g)"
    )
    parser.add_argument("--weight-density", metavar="SHARE", type=float, default=1.0, help="weights that are not 0")
    parser.add_argument(
        "--activation-density", metavar="SHARE", type=float, default=1.0, help="activations that are not 0"
    )
    trace = parser.add_argument("--trace", metavar="FILE.json", help="write a trace for Chrome's or Perfetto's viewer")
    plot = parser.add_argument("--plot", metavar="FILE", help=f"write a picture over time ({', '.join(PICTURES)})")
    completed.file(trace)
    completed.file(plot)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
