"""The mappings that timeloop-mapper found for ResNet-18 on two fixed machines, as recorded.

tests/data/timeloop/mapper_resnet18.json holds its own figures: a random-pruned search over 6,000 valid mappings a
layer with two threads, each layer for its own EDP, under Timeloop's counting rules. `machine` gives the machines,
`read_nest` the mappings from their printed nests.
"""

import json
import re
from pathlib import Path
from typing import Any

from dlco import Architecture, Layer, Mapping
from dlco.timeloop import read_architecture

DATA = Path(__file__).resolve().parents[1] / "tests" / "data" / "timeloop"
BYPASS: dict[str, dict[str, list[str]]] = {
    "unified_256": {},
    "eyeriss_like_168": {
        "shared_glb": ["Weights"],
        "ifmap_spad": ["Weights", "Outputs"],
        "weights_spad": ["Inputs", "Outputs"],
        "psum_spad": ["Weights", "Inputs"],
    },
}
LOOP = re.compile(r"\|\s*for (\w+) in \[0:(\d+)\)(?: \(Spatial-([XY])\))?")
LEVEL = re.compile(r"^(\w+) \[ (.*)\]\s*$")


def machine(name: str) -> Architecture:
    """One of the machines in `BYPASS`, with the bypass under which its mappings were searched."""
    return read_architecture(DATA / "hardware" / f"{name}.yaml").with_bypass(BYPASS[name])


def mapper_figures(name: str) -> dict[str, Any]:
    """timeloop-mapper's figures on a machine: by layer, `network` and how the mapper was set.

    Raises:
        ValueError: a printed mapping keeps other dataspaces at some level than `machine(name)` does.
    """
    recorded = json.loads((DATA / "mapper_resnet18.json").read_text(encoding="utf-8"))[name]
    architecture = machine(name)
    for layer, figures in recorded["layers"].items():
        for line in figures["mapping"].splitlines():
            if head := LEVEL.match(line):
                kept = set(re.findall(r"(\w+):\d+", head[2]))
                ours = {"Weights", "Inputs", "Outputs"} - architecture.level(head[1]).bypass
                if kept != ours:
                    raise ValueError(
                        f"{name}, {layer}: {head[1]} keeps {sorted(kept)} as recorded, {sorted(ours)} here"
                    )
    return recorded


def read_nest(text: str, layer: Layer, architecture: Architecture) -> Mapping:
    """The mapping that timeloop-mapper printed; loops are listed outermost first."""
    dims, names = layer.problem.dimensions, tuple(level.name for level in architecture.levels)
    factors = {(name, axis): dict.fromkeys(dims, 1) for name in names for axis in "TXY"}
    orders: dict[tuple[str, bool], list[str]] = {(name, spatial): [] for name in names for spatial in (False, True)}
    level = ""
    for line in text.splitlines():
        if head := LEVEL.match(line):
            level = head[1]
        elif loop := LOOP.match(line):
            axis = loop[3] or "T"
            factors[level, axis][loop[1]] *= int(loop[2])
            orders[level, axis != "T"].append(loop[1])

    def rows(axis: str) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(factors[name, axis][dim] for dim in dims) for name in names)

    def order(spatial: bool) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(dict.fromkeys([*orders[name, spatial][::-1], *dims])) for name in names)

    return Mapping(dims, names, rows("T"), rows("X"), rows("Y"), order(False), order(True), (frozenset(),) * len(names))
