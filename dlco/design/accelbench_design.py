"""`AccelBenchDesign`: what a co-search on AccelBench's accelerators found."""

from dataclasses import dataclass
from math import isclose
from typing import Any, TypeVar

import torch

from dlco.design.budget import SAME, Budget, Use
from dlco.design.codec import Count, Figure
from dlco.design.codesign import Accuracy, CoPoint, FoundPair
from dlco.design.figures import with_unit
from dlco.design.network_cost import NetworkCost
from dlco.design.table import Table
from dlco.design.weighted_sum import WeightedSum
from dlco.errors import InvalidInput
from dlco.hardware.accelbench import AccelBench, AccelBenchCost, Assumptions
from dlco.hardware.accelbench.figures import NUMBERS
from dlco.hardware.accelbench.network import OVERLAPPING
from dlco.workload.layer import Layer

Number = TypeVar("Number", float, torch.Tensor)


@dataclass(frozen=True)
class AccelBenchDesign(FoundPair):
    """A network and an accelerator of AccelBench, and what the one costs on the other.

    Attributes:
        status: one of `dlco.design.codesign.STATUSES`; `message` says in a sentence what that means.
        method, objective, seed, budget: what was asked for.
        least_accuracy: percent asked for, or None.
        space: name of the network space; `network`: as the space writes it (`space.parse` gives it back).
        accuracy: percent, as the oracle has it.
        layers: the network, its first layer first.
        machine: the accelerator; `assumptions`: under which it was costed.
        bill: what one run on the accelerator's batch of images costs, by phases; limits are on an image's share of it
            (`cost`).
        trace: each improvement of the best pair, the last one included.
        front: pairs that no other evaluated pair within the limits beats in accuracy, energy and latency at once, most
            accurate first.
        sizes: names of the 13 numbers, the columns of `CoPoint.sizes`.
        evaluations: pairs evaluated; `queries`: networks judged; `seconds`: wall clock.
        weights: of the objective `SUM`, of which they say all; else None.
    """

    KIND = "dlco AccelBench co-design"

    status: str
    message: str
    method: str
    objective: str
    seed: Count
    budget: Budget
    least_accuracy: Accuracy | None
    space: str
    network: str
    accuracy: Accuracy
    layers: tuple[Layer, ...]
    machine: AccelBench
    assumptions: Assumptions
    bill: AccelBenchCost
    trace: tuple[CoPoint, ...]
    front: tuple[CoPoint, ...]
    sizes: tuple[str, ...]
    evaluations: Count
    queries: Count
    seconds: Figure
    weights: WeightedSum | None = None

    @property
    def cost(self) -> NetworkCost:
        """An image's share of the batch: energy and cycles over its images, so latency is one over the throughput."""
        energy, cycles = per_image(self.bill.energy_j * 1e12, self.bill.cycles, self.bill.images)
        return NetworkCost.of(energy, cycles, self.bill.area_mm2, self.cycle_s)

    @property
    def cycle_s(self) -> float:
        """The accelerator's."""
        return self.machine.cycle_s

    @property
    def keeps_limits(self) -> bool:
        """Whether no limit of the budget is broken."""
        uses = self.budget.total_uses(self.cost)
        if self.budget.pe_count is not None:
            uses.append(Use("pe_count", self.machine.macs, self.budget.pe_count))
        return not any(use.broken for use in uses)

    @property
    def tables(self) -> tuple[Table, Table]:
        """The accelerator's numbers, and the cycles of every phase."""
        numbers = zip(NUMBERS, self.machine.vector, strict=True)
        machine = Table(
            f"AccelBench accelerator for {self.machine.activation}, {self.machine.macs:,} MACs",
            ("number", "value"),
            tuple((name, str(value)) for name, value in numbers),
        )
        rows = [(name, f"{cycles:,.0f}") for name, cycles in self.bill.phases.items()]
        phases = Table(
            "Cycles of the batch",
            ("phase", "cycles"),
            (*rows, ("together", f"{self.bill.cycles:,.0f}")),
            note=f"Of {', '.join(OVERLAPPING)} and the sum of convolutions and products only the longest counts.",
        )
        return machine, phases

    @property
    def batch_text(self) -> str:
        """What the figures are an image's share of."""
        images = f"{self.bill.images} image" + ("s" if self.bill.images > 1 else "")
        parts = f"{with_unit(self.bill.dynamic_j, 'J')} dynamic energy, {with_unit(self.bill.leakage_j, 'J')} leakage"
        return f"an image's share of a batch of {images} in {with_unit(self.bill.latency_s, 's')}, with {parts}"

    def __str__(self) -> str:
        lines = self._summary()
        lines.insert(3, self.batch_text)
        return "\n".join([*lines, *(f"\n{table.to_text()}" for table in self.tables)])

    def _check_true(self, data: dict[str, Any]) -> None:
        """Raise `InvalidInput` unless the bill is what the network costs on the accelerator, and all else belongs."""
        true = self.machine.network_cost(self.layers, self.assumptions)
        for name in ("images", "cycles", "dynamic_j", "leakage_j", "area_mm2"):
            stated, right = getattr(self.bill, name), getattr(true, name)
            if not isclose(stated, right, rel_tol=SAME):
                raise InvalidInput(
                    f"{name} of the co-design is {stated!r}; its network on its accelerator has {right!r}"
                )
        if self.bill.phases.keys() != true.phases.keys() or not all(
            isclose(self.bill.phases[name], cycles, rel_tol=SAME) for name, cycles in true.phases.items()
        ):
            raise InvalidInput(f"phases of the co-design are {self.bill.phases!r}; its network has {true.phases!r}")
        if self.sizes != NUMBERS:
            raise InvalidInput(f"sizes of the co-design are {self.sizes!r}; they must be {NUMBERS!r}")
        super()._check_true(data)


def per_image(energy: Number, cycles: Number, images: Number) -> tuple[Number, Number]:
    """An image's share of a batch's energy and cycles."""
    return energy / images, cycles / images
