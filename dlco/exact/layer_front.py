"""Points (energy, cycles) of one layer's mappings: which of them count, and for what."""

from dataclasses import dataclass

import torch

from dlco.design.dominance import unbeaten
from dlco.design.objective import Number, Objective
from dlco.mapping.mapping import Mapping


@dataclass(frozen=True)
class LayerFront:
    """The mappings of a layer that matter, and what they cost; one execution each.

    Attributes:
        energy_pj, cycles: `[n]`, float64, fewest cycles first.
        mappings: as many.
        evaluated: how many mappings were evaluated to find them.
    """

    energy_pj: torch.Tensor
    cycles: torch.Tensor
    mappings: tuple[Mapping, ...]
    evaluated: int

    def best(self, objective: str) -> int:
        """The index of the mapping with the least "energy", "latency", "edp" or "power" for this layer alone.

        Raises:
            InvalidInput: another objective.
        """
        goal = Objective.parse(objective, allowed=tuple(one for one in Objective if one is not Objective.AREA))
        return int(least_of(goal, self.energy_pj, self.cycles).argmin())


def least_of(objective: Objective, energy_pj: Number, cycles: Number) -> Number:
    """What an objective minimises on one machine, `[...]`; "area" falls back on EDP, since the machine is given."""
    return (Objective.EDP if objective is Objective.AREA else objective).product(energy_pj, cycles, 0 * cycles)


def corners(energy_pj: torch.Tensor, cycles: torch.Tensor) -> torch.Tensor:
    """Indices of the points `[n]` on the lower convex hull of energy over cycles, fewest cycles first."""
    order = unbeaten(energy_pj, cycles, slow=True).tolist()
    energy, time = energy_pj.tolist(), cycles.tolist()
    hull: list[int] = []
    for i in order:
        while len(hull) > 1:
            a, b = hull[-2:]
            if (energy[b] - energy[a]) * (time[i] - time[a]) < (energy[i] - energy[a]) * (time[b] - time[a]):
                break
            hull.pop()
        hull.append(i)
    return torch.tensor(hull)
