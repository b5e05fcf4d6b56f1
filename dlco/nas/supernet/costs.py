"""`OperatorCosts`: what a space's options cost on machines, differentiable in their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.nas.space import FactoredSpace
from dlco.search import LayerCosts, MachineIndex

OF_RUNS = (Objective.ENERGY, Objective.LATENCY, Objective.EDP)
"""Objectives that grow with the energy and the cycles of a run's operators, and with nothing else."""


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
    space: FactoredSpace, costs: LayerCosts, machines: Sequence[MachineIndex] = ((),), objective: str = Objective.EDP
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
    ranked_by = Objective.parse(objective, OF_RUNS)
    if not machines:
        raise InvalidInput("machines is empty; it must hold at least one")
    costs.search([(layer.problem, machine) for machine in machines for layer in space.layers])
    rows = []
    for layer in space.layers:
        found = [costs.points(layer, machine) for machine in machines]
        best = [int(ranked_by.product(one.energy_pj, one.cycles, one.cycles).argmin()) for one in found]
        rows.append([[one.energy_pj[at], one.cycles[at]] for one, at in zip(found, best, strict=True)])
    of_layers = torch.tensor(rows, dtype=torch.float64).flatten(1)  # [layers, machines * 2]
    decisions, energies, cycles = [], [], []
    for factor, counts in zip(space.factors(), space.factor_counts, strict=True):
        sizes = [space.option_counts[at] for at in factor.decisions]
        table = (counts @ of_layers).reshape(*sizes, len(machines), 2).movedim(-2, 0)
        decisions.append(factor.decisions)
        energies.append(table[..., 0].clone())
        cycles.append(table[..., 1].clone())
    return OperatorCosts(tuple(decisions), tuple(energies), tuple(cycles))
