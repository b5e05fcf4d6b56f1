"""The joint relaxation: architecture, mapping and hardware as the variables of one nonlinear program.

A start holds the probabilities p of every decision's options, the logs y of the machine's sizes, and for every layer
that some network of the space has the logs x of its real tiling factors. A layer occurs as often as p says:
`c(p) = sum over factors and combinations of prod p x count`, so the network's totals are `E = sum c E_l(x_l, y)` and
`T = sum c T_l(x_l, y)`, with the energies and cycles of the cost model itself, halos and stationarity included:

    minimise    log of the objective(E, T, area(y))
    subject to  accuracy(p) >= least, energy, latency, power, area and PEs within the budget,
                p on simplices, sizes within their grids' ends, factors of a dimension that multiply to its bound,
                tiles and loops within capacities and fan-outs.

The last but one group holds by the choice of variables (softmax, sigmoid). A layer that overflows counts as more
energy and time, by a power of the overflow steeper than anything it could save (an exact penalty; Nocedal and Wright,
Numerical Optimization, chapter 17). Limits have multipliers (augmented Lagrangian, same chapter). Several starts are
one batch; Adam (Kingma and Ba, ICLR 2015), whose steps do not depend on the scale of a variable's gradient, moves the
factors of a layer that hardly occurs as fast as any other's. Probabilities are sharpened towards corners on the way.
Loop orders are fixed between a few updates, as in `dlco.relax`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from dlco.design.objective import Objective
from dlco.hardware.space import HardwareSpace
from dlco.nas.request import TIE, CoRequest
from dlco.nas.space import FactoredSpace
from dlco.relax import Classes, RelaxedLayers, better_orders, draw_classes, draw_factors
from dlco.search import make_groups
from dlco.workload.layer import Layer

OVERFULL = 3.0  # power of the overflow by which a layer's energy and cycles count as more
PER_POINT = 0.3  # a point of accuracy, beside logs of costs
ORDERS_AT = (0.25, 0.6)  # shares of the steps after which loop orders are improved
MULTIPLIERS_EVERY = 10  # steps
STIFFNESS = 4.0  # of the quadratic part of the augmented Lagrangian
RATE, LAST_RATE = 0.15, 0.02  # Adam's steps, in the logits' and logs' own unit
ASIDE = 0.05  # of the log of what the objective does not count, where loop orders are chosen
SHARPEN = 0.3  # price of the decisions' mean entropy at the end


@dataclass(frozen=True)
class RelaxedPairs:
    """Solutions, one a start, the best first.

    Attributes:
        probabilities: `[starts, features]`, laid out as `FactoredSpace.encode`.
        sizes: `[starts, parameters]` of the machine; no columns where it is fixed.
        energy_pj, cycles: `[starts, layers]` of one execution of each of the space's layers.
        value: `[starts]` log of the objective (accuracy: minus percent, scaled); `violation`: `[starts]` largest
            log, or scaled point, by which a limit is broken.
    """

    probabilities: Tensor
    sizes: Tensor
    energy_pj: Tensor
    cycles: Tensor
    value: Tensor
    violation: Tensor


def relax_jointly(
    request: CoRequest,
    accuracy: Callable[[Tensor], Tensor],
    *,
    starts: int = 4,
    steps: int = 160,
    generator: torch.Generator,
    tick: Callable[[float], None] = lambda share: None,
) -> RelaxedPairs:
    """Solve the relaxation from several starts at once.

    Args:
        request: its space is factored; where it allows one network or machine only, that is no variable.
        accuracy: percent of encodings `[..., features]`, differentiable.
        starts: how many.
        steps: of Adam.
        generator: draws the starts.
        tick: told the share of the steps done.
    """
    program = _Program(request, accuracy, starts, generator)
    optimizer = torch.optim.Adam(program.variables, lr=RATE, eps=1e-15)
    orders = {round(share * steps) for share in ORDERS_AT}
    for step in range(steps):
        share = step / steps
        for group in optimizer.param_groups:
            group["lr"] = RATE * (LAST_RATE / RATE) ** share
        if step in orders:
            program.improve_orders()
        optimizer.zero_grad()
        lagrangian, limits = program.lagrangian(SHARPEN * share)
        lagrangian.sum().backward()
        optimizer.step()
        if step % MULTIPLIERS_EVERY == MULTIPLIERS_EVERY - 1:
            program.multipliers = (program.multipliers + STIFFNESS * limits.detach()).clamp(min=0)
        tick(share)
    return program.result()


class _Program:
    """The variables of all starts, and the Lagrangian."""

    def __init__(
        self, request: CoRequest, accuracy: Callable[[Tensor], Tensor], starts: int, generator: torch.Generator
    ) -> None:
        assert isinstance(request.space, FactoredSpace)
        self.request, self.accuracy, self.space, self.score = request, accuracy, request.space, request.score
        hardware = request.sized_hardware
        if request.machine is not None:
            hardware = HardwareSpace(request.architecture(request.machine))
        self.hardware = hardware
        counted = self.space.layers
        self.used = list(range(len(counted)))
        if request.network is not None:  # layers that the only network lacks need no mapping
            counts = self.space.counts([request.network])[0]
            self.used = counts.nonzero().flatten().tolist()
        named = [Layer(f"layer {i}", counted[i].problem) for i in self.used]
        groups = make_groups(named, hardware.base, hardware.free_fanouts)
        self.layers = [RelaxedLayers(group, hardware, self.score) for group in groups]
        self.members = [torch.tensor([self.used[m] for m in group.members]) for group in groups]
        self.classes = [draw_classes(group, starts, generator) for group in groups]
        self.x = []
        for group, classes in zip(groups, self.classes, strict=True):
            shares = draw_factors(group, classes, generator) / group.bounds.log()[:, None, group.live].clamp(min=1e-9)
            self.x.append(shares.clamp(min=1e-6).log().requires_grad_())
        features = sum(self.space.option_counts)
        self.logits = 0.1 * torch.randn(starts, features, generator=generator, dtype=torch.float64)
        self.variables: list[Tensor] = list(self.x)
        self.pinned: Tensor | None = None
        if request.network is None:
            self.variables.append(self.logits.requires_grad_())
        else:
            self.pinned = self.space.encode([request.network]).expand(starts, -1)
        self.low, self.high = hardware.low.log(), hardware.high.log()
        middle = torch.rand(starts, len(self.low), generator=generator, dtype=torch.float64) * 0.6 + 0.2
        self.z = middle.logit().requires_grad_()
        self.variables.append(self.z)
        self.multipliers = torch.zeros(starts, 1, dtype=torch.float64)
        with torch.no_grad():
            self.multipliers = torch.zeros_like(self.lagrangian(0.0)[1])

    def sizes(self) -> Tensor:
        """Logs of the machines' sizes, `[starts, parameters]`."""
        return self.low + (self.high - self.low) * self.z.sigmoid()

    def probabilities(self) -> Tensor:
        """`[starts, features]`."""
        if self.pinned is not None:
            return self.pinned
        return torch.cat([part.softmax(-1) for part in self.space.split(self.logits)], -1)

    def logs(self, g: int) -> Tensor:
        """Logs of the factors of a group, `[starts, layers, slots, live]`."""
        group, classes = self.layers[g].group, self.classes[g]
        shares = torch.where(classes.open, self.x[g], -torch.inf).softmax(2).nan_to_num()
        return shares * group.bounds.log()[:, None, group.live]

    def layer_costs(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Logs of energy and cycles of each layer, overflow counted as more, `[starts, layers of the space]`."""
        energy = torch.zeros(len(y), len(self.space.layers), dtype=torch.float64)
        cycles = torch.zeros_like(energy)
        for g, layers in enumerate(self.layers):
            e, t, full = layers.costs(self.logs(g), y, self.classes[g].position)
            more = OVERFULL * full.clamp(min=0)
            energy = energy.index_copy(1, self.members[g], e + more)
            cycles = cycles.index_copy(1, self.members[g], t + more)
        return energy, cycles

    def lagrangian(self, sharpen: float) -> tuple[Tensor, Tensor]:
        """(what is minimised, `[starts]`; the limits' excesses `[starts, limits]`)."""
        p, y = self.probabilities(), self.sizes()
        energy, cycles = self.layer_costs(y)
        weights = self.space.expected_counts(p).clamp(min=1e-30).log()
        e, t = (weights + energy).logsumexp(-1), (weights + cycles).logsumexp(-1)
        machine = self.hardware.machine(y.exp())
        accuracy, totals = self.accuracy(p), (e.exp(), t.exp(), machine.area_mm2)
        value = self.score.value(*totals)
        if self.request.by_accuracy:
            value = -PER_POINT * accuracy + TIE * value
        if self.request.weights:
            value = self.request.weights.log_value(value, accuracy)
        limits = self.score.excess(*totals)
        if self.score.budget.pe_count is not None:
            limits.append(machine.macs.log() - log(self.score.budget.pe_count))
        limits += self.hardware.excess(y.exp()).unbind(-1)
        if self.request.least_accuracy is not None and self.request.network is None:
            limits.append(PER_POINT * (self.request.least_accuracy - accuracy))
        excess = torch.stack(limits, -1) if limits else torch.zeros(len(e), 0, dtype=torch.float64)
        self.value, self.excess, self.found = value, excess, (energy, cycles)
        shifted = (self.multipliers + STIFFNESS * excess).clamp(min=0)
        penalty = (shifted.square() - self.multipliers.square()).sum(-1) / (2 * STIFFNESS)
        entropy = -(p.clamp(min=1e-12).log() * p).sum(-1) / max(1, len(self.space.decisions))
        return value + penalty + sharpen * entropy, excess

    def improve_orders(self) -> None:
        """The best loop orders at the present factors, layer by layer, at the objective's own prices."""
        energy_price, time_price = _order_prices(self.request.cost_objective)
        with torch.no_grad():
            y = self.sizes()
            for g, layers in enumerate(self.layers):

                def merit(x: Tensor, classes: Classes, layers: RelaxedLayers = layers) -> Tensor:
                    e, t, full = layers.costs(x, y, classes.position)
                    return energy_price * e + time_price * t + OVERFULL * full.clamp(min=0)

                self.classes[g] = better_orders(layers.group, self.logs(g), self.classes[g], merit)

    def result(self) -> RelaxedPairs:
        """The solutions as they are, the best first."""
        with torch.no_grad():
            self.lagrangian(0.0)
            violation = self.excess.clamp(min=0).amax(-1) if self.excess.shape[1] else torch.zeros_like(self.value)
            order = (self.value + 10 * violation).argsort()
            energy, cycles = self.found
            return RelaxedPairs(
                probabilities=self.probabilities()[order].clone(),
                sizes=self.sizes()[order].exp(),
                energy_pj=energy[order].exp(),
                cycles=cycles[order].exp(),
                value=self.value[order],
                violation=violation[order],
            )


def _order_prices(objective: Objective) -> tuple[float, float]:
    """Of logs of energy and cycles, for which loop orders are chosen; both alike where the objective counts neither."""
    energy, cycles, _ = objective.powers
    return (max(ASIDE, energy), max(ASIDE, cycles)) if energy or cycles else (1.0, 1.0)
