"""`OperatorCosts`: what a space's options cost on machines, differentiable in their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.nas.space import FactoredSpace
from dlco.search.layer_costs import LayerCosts, MachineIndex


@dataclass(frozen=True, eq=False)
class OperatorCosts:
    """Energy and cycles of every candidate operator on some machines, in tables over the decisions that bring it.

    A table over no decision holds what every network has. The cost of probabilities is the expectation over networks
    whose decisions are drawn independently, exact at every network.

    Attributes:
        decisions: of each table, indices of decisions.
        energy_pj: of each table `[machines, options of its first decision, of its second, ...]`.
        cycles: of each table, likewise.
    """

    decisions: tuple[tuple[int, ...], ...]
    energy_pj: tuple[Tensor, ...]
    cycles: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        if not self.decisions or not len(self.decisions) == len(self.energy_pj) == len(self.cycles):
            raise InvalidInput(
                f"decisions, energy_pj and cycles hold {len(self.decisions)}, {len(self.energy_pj)} and "
                f"{len(self.cycles)} tables; there must be as many of each, and at least one"
            )
        for decisions, energy, cycles in zip(self.decisions, self.energy_pj, self.cycles, strict=True):
            if energy.shape != cycles.shape or energy.ndim != 1 + len(decisions) or len(energy) != self.machines:
                raise InvalidInput(
                    f"tables of decisions {decisions} are {list(energy.shape)} and {list(cycles.shape)}; both must be "
                    f"{self.machines} machines by the options of each decision"
                )

    @property
    def machines(self) -> int:
        """How many machines there are to choose from."""
        return len(self.energy_pj[0])

    @classmethod
    def linear(cls, energy_pj: Tensor, cycles: Tensor) -> "OperatorCosts":
        """Costs where every option costs the same whatever else is chosen, on one machine.

        Args:
            energy_pj: `[decisions, options]`.
            cycles: likewise.
        """
        places = tuple((at,) for at in range(len(energy_pj)))
        return cls(places, tuple(row[None] for row in energy_pj), tuple(row[None] for row in cycles))

    def expected(self, probabilities: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Energy (pJ) and cycles of one run on each machine, `[machines]` both.

        Args:
            probabilities: of each decision `[options]`, which add up to 1.
        """
        return self._sum(self.energy_pj, probabilities), self._sum(self.cycles, probabilities)

    def _sum(self, tables: tuple[Tensor, ...], probabilities: Sequence[Tensor]) -> Tensor:
        total = torch.zeros_like(tables[0].reshape(self.machines, -1)[:, 0])
        for decisions, table in zip(self.decisions, tables, strict=True):
            for at in reversed(decisions):
                table = table @ probabilities[at].to(table)
            total = total + table
        return total


def operator_costs(
    space: FactoredSpace, costs: LayerCosts, machines: Sequence[MachineIndex] = ((),), objective: str = "edp"
) -> OperatorCosts:
    """The costs of a space's operators, each by the mapping that is best for it alone.

    Args:
        space: the networks.
        costs: searches the layers' mappings, on the hardware that it was made for.
        machines: grid positions of sizes in a `HardwareSpace`; the one empty position where the hardware is fixed.
        objective: for which a layer's mapping is best: "energy", "latency" or "edp".

    Raises:
        InvalidInput: another objective, or no machine.
    """
    rank = {"energy": lambda e, c: e, "latency": lambda e, c: c, "edp": lambda e, c: e * c}
    if objective not in rank:
        raise InvalidInput(f"objective is {objective!r}; allowed: {', '.join(rank)}")
    if not machines:
        raise InvalidInput("machines is empty; it must hold at least one")
    costs.search([(layer.problem, machine) for machine in machines for layer in space.layers])
    of_layer = {}
    for layer in space.layers:
        found = [costs.points(layer, machine) for machine in machines]
        best = [int(rank[objective](points.energy_pj, points.cycles).argmin()) for points in found]
        rows = [[points.energy_pj[at], points.cycles[at]] for points, at in zip(found, best, strict=True)]
        of_layer[layer.problem] = torch.tensor(rows, dtype=torch.float64)  # [machines, 2]
    decisions, energies, cycles = [], [], []
    for factor in space.factors():
        sizes = [len(space.decisions[at].options) for at in factor.decisions]
        nothing = torch.zeros(len(machines), 2, dtype=torch.float64)
        rows_of = [
            sum((layer.count * of_layer[layer.problem] for layer in factor.layers[options]), nothing)
            for options in product(*map(range, sizes))
        ]
        table = torch.stack(rows_of, 1).reshape(len(machines), *sizes, 2)
        decisions.append(factor.decisions)
        energies.append(table[..., 0].clone())
        cycles.append(table[..., 1].clone())
    return OperatorCosts(tuple(decisions), tuple(energies), tuple(cycles))
