"""Every layer's front of (cycles, energy) proved by itself, beside fronts that a search written apart from it found.

data/layer_fronts.json holds the latter: exact fronts of all perfect-factor mappings, by a prototype in numpy alone.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from common import Stopwatch

import dlco
from dlco import Architecture
from dlco.exact import LayerFront, optimal_layer

RECORDED = json.loads((Path(__file__).parent / "data" / "layer_fronts.json").read_text(encoding="utf-8"))
HEAD = ["machine", "network", "layers", "fronts proved", "points", "as recorded", "CPU s a layer, least", "median"]
HEAD += ["most", "in all"]
SAME = 1e-12  # relative, of energies: sums of products in another order


@dataclass
class Fronts:
    """What was proved, network by network.

    Attributes:
        rows: of `HEAD`.
        layers, proved: how many layers, and whose fronts are proved complete.
        recorded, equal: how many have a recorded front, and whose is the same.
    """

    rows: list[list[object]] = field(default_factory=list)
    layers: int = 0
    proved: int = 0
    recorded: int = 0
    equal: int = 0

    def network(self, where: Architecture, name: str, network: str) -> None:
        """A row of a network's distinct layers on a machine."""
        recorded = RECORDED.get(f"{name}/{network}", {})
        layers = list({layer.problem: layer for layer in dlco.networks.get_network(network)}.values())
        seconds, proved, points, equal = [], 0, 0, 0
        for layer in layers:
            with Stopwatch() as watch:
                found = optimal_layer(layer, where)
            seconds.append(watch.cpu_s)
            proved += found.proved
            points += len(found.front.cycles)
            equal += layer.name in recorded and is_same(found.front, recorded[layer.name])
        self.layers, self.proved = self.layers + len(layers), self.proved + proved
        self.recorded, self.equal = self.recorded + len(recorded), self.equal + equal
        told = f"{equal} of {len(recorded)}" if recorded else None
        spread = [min(seconds), sorted(seconds)[len(seconds) // 2], max(seconds), sum(seconds)]
        self.rows.append([name, network, len(layers), proved, points, told, *spread])

    @property
    def targets(self) -> list[dict[str, Any]]:
        """That all are proved, and as recorded."""
        rows = []
        for name, value, whole in (
            ("layers whose front is proved, gap exactly 0", self.proved, self.layers),
            ("fronts equal to the recorded ones, point by point", self.equal, self.recorded),
        ):
            rows.append({"name": name, "target": "all", "value": f"{value} of {whole}", "met": value == whole})
        return rows

    @property
    def table(self) -> dict[str, Any]:
        """All rows."""
        return {"title": "Layers, each by itself: the whole front of (cycles, energy)", "head": HEAD, "rows": self.rows}


def is_same(front: LayerFront, recorded: dict[str, list[float]]) -> bool:
    """Whether two fronts have the same points, fewest cycles first."""
    cycles, energy = (torch.tensor(recorded[key], dtype=torch.float64) for key in ("cycles", "energy_pj"))
    if len(cycles) != len(front.cycles):
        return False
    return bool((front.cycles == cycles).all() and torch.allclose(front.energy_pj, energy, rtol=SAME, atol=0))
