"""Mappings that are known of a network's layers, and what a network needs with the best of them on many machines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from math import inf

import torch

from dlco.cost.model import evaluate_totals
from dlco.cost.shape import compile_problem
from dlco.hardware.architecture import Architecture, Machine
from dlco.mapping.kept import kept_table
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

RATES = tuple(4.0**k for k in range(-3, 4))  # prices of time that choices are made at, times that of the network
AT_ONCE = 1 << 15  # machines times mappings


@dataclass(frozen=True)
class Priced:
    """What mappings `[n]` of a layer need on machines `[k]`: `[k, n]`, infinite energy where one does not fit."""

    energy: torch.Tensor
    cycles: torch.Tensor


class Known:
    """The mappings known of every layer; they may be added to.

    Args:
        layers: the network.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.counts: dict[Problem, int] = {}
        for layer in layers:
            self.counts[layer.problem] = self.counts.get(layer.problem, 0) + layer.count
        self.mappings: dict[Problem, dict[Mapping, None]] = {problem: {} for problem in self.counts}

    def add(self, problem: Problem, mappings: Iterable[Mapping]) -> None:
        """Know of more mappings of a layer."""
        self.mappings[problem] |= dict.fromkeys(mappings)

    @property
    def complete(self) -> bool:
        """Whether every layer has one."""
        return all(self.mappings.values())

    def priced(self, problem: Problem, machines: Sequence[Architecture]) -> Priced:
        """What the mappings of a layer, in the order in which they came, need on some machines of the same bypass."""
        known = list(self.mappings[problem])
        stacked = _stacked(machines)
        energy, cycles = torch.full((2, len(machines), len(known)), inf, dtype=torch.float64)
        for bypass in dict.fromkeys(mapping.bypass for mapping in known):
            at = [i for i, mapping in enumerate(known) if mapping.bypass == bypass]
            batch = MappingBatch.stack([known[i] for i in at])
            kept = kept_table(problem, machines[0], bypass)
            with torch.no_grad():
                totals = evaluate_totals(
                    compile_problem(problem), stacked, kept, batch.factors, batch.order.argsort(-1)
                )
            fits = totals.valid
            energy[:, at] = torch.where(fits, totals.energy_pj, inf)
            cycles[:, at] = torch.where(fits, totals.cycles, inf)
        return Priced(energy, cycles)

    def totals(self, machines: Sequence[Architecture], rate: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(energy, cycles) `[machines, choices]` of the network, where each layer is best at some price of time.

        Args:
            machines: of the same bypass.
            rate: price of a cycle, pJ, about which prices are tried.
        """
        prices = torch.tensor([0.0, *(rate * one for one in RATES)], dtype=torch.float64)
        energy, cycles = torch.zeros((2, len(machines), len(prices) + 1), dtype=torch.float64)
        for problem, count in self.counts.items():
            found = self.priced(problem, machines)
            merit = found.energy[:, None] + prices[:, None] * found.cycles[:, None]
            fast = torch.where(found.energy < inf, found.cycles, inf)
            best = torch.cat([merit.nan_to_num(nan=inf).argmin(-1), fast.argmin(-1)[:, None]], 1)
            energy += count * found.energy.gather(1, best)
            cycles += count * found.cycles.gather(1, best)
        return energy, cycles


def _stacked(machines: Sequence[Architecture]) -> Machine:
    """Machines as one batch `[machines, 1]`."""
    each = [machine.tensors() for machine in machines]
    return Machine(**{f.name: torch.stack([getattr(one, f.name) for one in each])[:, None] for f in fields(Machine)})
