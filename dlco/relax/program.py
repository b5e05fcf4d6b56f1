"""The relaxed problem as functions of logs, with gradients and Hessians.

A point of one start is `y`, the logs of the hardware's sizes, and for every layer `x`, the logs of the factors, and
`tau`, the log of its cycles. The cost model gives each layer the log of its energy and inequalities `c <= 0`: every
need of cycles (compute, each level's bandwidths) less tau, the log occupancy of every buffer and fan-out, and its
latency where that is limited. So the maximum of the needs becomes a bound on each, which is smooth. (Where power
counts, waiting would pay: there tau may not exceed a p-norm of the needs either.) The network's totals log E, log T
and log area enter objective and limits linearly, as every objective and limit of `Score` is a product of powers of
them.

In these variables a count is a sum of monomials, so the log of a cost is convex (Boyd et al., "A tutorial on
geometric programming", 2007), but for sliding windows and first visits, which subtract. Derivatives come from the
cost model's own formulas by differentiating twice, so they are those of the true model, windows included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, log

import torch

from dlco.cost.accesses import count_accesses
from dlco.cost.arithmetic import Exact, Smooth
from dlco.cost.nest import Nest, Row
from dlco.cost.performance import performance
from dlco.cost.shape import Shape
from dlco.cost.tabulate import occupancies
from dlco.design.objective import Objective
from dlco.hardware.architecture import Machine
from dlco.hardware.space import HardwareSpace
from dlco.mapping.mapspace import AXES
from dlco.mapping.rules import DEFAULT_RULES
from dlco.search.group import Group
from dlco.search.score import Score

TINY = 1e-30  # a quantity of 0, where its log is taken
UNLIMITED = 300.0  # log of a limit that is none: beyond any design, yet its square is still a float64
PACE = Smooth(sharpness=64.0)  # where slower is better, cycles may not exceed this norm of what needs them

TOTALS = 3  # log E, log T, log area


@dataclass(frozen=True)
class Largest(Smooth):
    """Real factors with the plain maximum; a loop is there unless its factor is exactly 1.

    Factors of open slots stay above 1 in the interior of the problem, those of closed slots are 1: which loops exist
    is part of the class, and nothing jumps.

    Attributes:
        sharpness: of the p-norm in place of the smaller of two steps. Where the children of a window's two loops meet
            best, both steps are equal, and Newton's method would stall at the kink; there it is off by 2 %.
    """

    sharpness: float = 32.0

    def maximum(self, candidates: Sequence[torch.Tensor]) -> torch.Tensor:
        """The largest of the candidates."""
        return Exact().maximum(torch.broadcast_tensors(*candidates))

    def common_step(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Nearly the smaller step."""
        logs = torch.stack(torch.broadcast_tensors(a.log(), b.log()))
        return (-torch.logsumexp(-self.sharpness * logs, dim=0) / self.sharpness).exp()

    def exists(self, bound: torch.Tensor) -> torch.Tensor | bool:
        """Loops of bound 1 are dropped."""
        return bound > 1


@dataclass(frozen=True)
class Epigraph(Largest):
    """As `Largest`, with a variable in place of the maximum, and the candidates noted, each to be kept below it."""

    bound: torch.Tensor = field(default_factory=lambda: torch.ones(()))
    candidates: list[torch.Tensor] = field(default_factory=list)

    def maximum(self, candidates: Sequence[torch.Tensor]) -> torch.Tensor:
        """The bound."""
        known = [id(one) for one in (self.bound, *self.candidates)]
        self.candidates.extend(one for one in candidates if id(one) not in known)
        return self.bound


@dataclass(frozen=True)
class Linear:
    """`slope . (log E, log T, log area) + offset`: `slope` `[rows, 3]`, `offset` `[rows]`."""

    slope: torch.Tensor
    offset: torch.Tensor

    @staticmethod
    def of(
        functions: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Sequence[torch.Tensor]],
        device: torch.device | None = None,
    ) -> "Linear":
        """The functions of (pJ, cycles, mm2), known to be linear in the logs, in that form."""
        one = torch.ones((), dtype=torch.float64, device=device)
        e = one.exp()
        offset = torch.stack([one * 0, *functions(one, one, one)])[1:]
        columns = [functions(e, one, one), functions(one, e, one), functions(one, one, e)]
        return Linear(torch.stack([torch.stack([one * 0, *c])[1:] - offset for c in columns], -1), offset)

    def __call__(self, totals: torch.Tensor) -> torch.Tensor:
        """`[..., rows]` of totals `[..., 3]`."""
        return totals @ self.slope.mT + self.offset


class RelaxedLayers:
    """The layers of one group on the machines of a space as functions of logs."""

    def __init__(self, group: Group, space: HardwareSpace, score: Score) -> None:
        self.group, self.space = group, space
        self.device = group.primes.device
        self.live = group.live
        self.slots = len(group.slot_cell)
        self.size = self.slots * len(self.live)
        self.total = group.bounds.log()[:, self.live]  # [layers, live], what the logs of a dimension add up to
        self.shape: Shape = group.shape.select(torch.arange(len(group.layers), device=self.device))
        self.paced = score.objective is Objective.POWER or score.budget.power_w is not None
        limits = [UNLIMITED if one == inf else log(one) for one in score.deadlines(group.layers).tolist()]
        self.latency = torch.tensor(limits, dtype=torch.float64, device=self.device)
        self.machine = space.base.tensors(device=self.device) if space.is_fixed else None
        variables = self.size + 1 + len(space.parameters)
        like = torch.zeros(variables, len(group.layers), dtype=torch.float64, device=self.device)
        place = torch.zeros(group.levels, group.dims, dtype=torch.int8, device=self.device)
        self.inequalities = len(self.rows(like, place)) - 1

    def nest(self, x: torch.Tensor, position: torch.Tensor) -> Nest:
        """The loops of logs `[slots * live, ...]`."""
        rows = x.exp().unbind(0)
        column = {int(d): i for i, d in enumerate(self.live)}
        cells = {cell: slot for slot, cell in enumerate(self.group.slot_cell.tolist())}

        def loops(level: int, axis: int) -> tuple[Row, ...]:
            slot = cells.get(level * len(AXES) + axis)
            if slot is None:
                return (1.0,) * self.group.dims
            return tuple(
                rows[slot * len(self.live) + column[d]] if d in column and d in self.shape.live else 1.0
                for d in range(self.group.dims)
            )

        levels = range(self.group.levels)
        return Nest(
            self.shape,
            temporal=tuple(loops(lv, 0) for lv in levels),
            spatial=tuple((loops(lv, 1), loops(lv, 2)) for lv in levels),
            position=tuple(tuple(position[..., lv, d] for d in range(self.group.dims)) for lv in levels),
        )

    def machines(self, y: torch.Tensor) -> Machine:
        """Machines of batch shape `[...]` of log sizes `[parameters, ...]`; of a fixed one, one for all."""
        return self.machine or self.space.machine(y.movedim(0, -1).exp())

    def rows(self, point: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Log energy, then the inequalities, `[1 + m, ...]`, of `[slots * live + 1 + parameters, ...]`.

        Always with gradients: the cost model leaves out infinite bandwidths only where they carry none, and the rows
        must be the same ones at every call.
        """
        with torch.enable_grad():
            return self._rows(point if point.requires_grad else point.detach().requires_grad_(), position)

    def _rows(self, point: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        x, tau, y = point[: self.size], point[self.size], point[self.size + 1 :]
        nest, machine = self.nest(x, position), self.machines(y)
        arithmetic = Epigraph(bound=tau.exp())
        accesses = count_accesses(nest, self.group.kept, DEFAULT_RULES, arithmetic)
        spent = performance(nest, machine, self.group.kept, accesses, arithmetic)
        needs = [_log(one) - tau for one in arithmetic.candidates]
        if self.paced:
            needs.append(tau - _log(PACE.maximum(arithmetic.candidates)))
        shares = [_log(one) for one in occupancies(nest, machine, self.group.kept)]
        rows = [_log(spent.energy_pj), *needs, *shares, tau - self.latency]
        return torch.stack(torch.broadcast_tensors(*rows))

    def costs(
        self, x: torch.Tensor, y: torch.Tensor, position: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the layers cost, with the plain maximum.

        Args:
            x: logs of the factors `[..., starts, layers, slots, live]`.
            y: logs of the sizes `[starts, parameters]`.
            position: the loop orders `[..., starts, layers, levels, dims]`.

        Returns:
            (log energy, log cycles, log of the fullest room or of the layer's latency over its limit), each
            `[..., starts, layers]`.
        """
        sizes = y.mT.view(y.shape[1], *([1] * (x.dim() - 4)), len(y), 1)
        nest, machine = self.nest(x.flatten(-2).movedim(-1, 0), position), self.machines(sizes)
        accesses = count_accesses(nest, self.group.kept, DEFAULT_RULES, Largest())
        spent = performance(nest, machine, self.group.kept, accesses, Largest())
        full = [_log(one) for one in occupancies(nest, machine, self.group.kept)]
        full.append(_log(spent.cycles) - self.latency)
        energy, cycles, *full = (one.expand(x.shape[:-2]) for one in (_log(spent.energy_pj), _log(spent.cycles), *full))
        return energy, cycles, torch.stack(full).amax(0)

    def factors(self, v: torch.Tensor) -> torch.Tensor:
        """Of a layer's variables, `[..., slots * live + 1]`, the logs of the factors, `[..., slots, live]`."""
        return v[..., :-1].unflatten(-1, (self.slots, len(self.live)))

    def table(self, x: torch.Tensor) -> torch.Tensor:
        """Logs of all dimensions, `[..., slots, dims]`, of `[..., slots, live]`."""
        full = torch.zeros(*x.shape[:-1], self.group.dims, dtype=x.dtype, device=x.device)
        return full.index_copy(-1, self.live, x)


def machine_rows(space: HardwareSpace, pe_limit: float | None, y: torch.Tensor) -> torch.Tensor:
    """Functions of the machines alone, `[1 + k, ...]` of log sizes `[parameters, ...]`: log area, and k limits.

    These are to be at most 0: log MAC units less `pe_limit`, unless that is None, and the excesses of the space's own.
    """
    sizes = y.movedim(0, -1).exp()
    machine = space.machine(sizes)
    macs = [] if pe_limit is None else [machine.macs.log() - pe_limit]
    return torch.stack([machine.area_mm2.clamp(min=1e-12).log(), *macs, *space.excess(sizes).unbind(-1)])


def _log(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(min=TINY).log()


def derivatives(
    function: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """First derivatives of several functions, and second ones of their weighted sum.

    All directions run side by side as copies of the batch: differentiating the k-th entry of the gradient in the
    k-th copy gives the k-th column of the Hessian, and, with respect to the weights, that of the Jacobian.

    Args:
        function: `[n, ...]` to `[rows, ...]`, each column dependent on its own column only.
        point: `[n, ...]`.
        weights: `[rows, ...]`.

    Returns:
        (Jacobian `[..., rows, n]`, Hessian `[..., n, n]`).
    """
    n, rows = len(point), len(weights)
    if n == 0:
        return point.new_zeros(*point.shape[1:], rows, 0), point.new_zeros(*point.shape[1:], 0, 0)
    with torch.enable_grad():
        copies = point[:, None].expand(n, n, *point.shape[1:]).clone().requires_grad_()
        scale = weights[:, None].expand(rows, n, *point.shape[1:]).clone().requires_grad_()
        value = (function(copies) * scale).sum()
        (slope,) = torch.autograd.grad(value, copies, create_graph=True)
        own = slope.diagonal().sum()
        hessian, jacobian = torch.autograd.grad(own, [copies, scale], allow_unused=True)
    hessian = torch.zeros_like(copies) if hessian is None else hessian
    assert jacobian is not None
    return jacobian.movedim((0, 1), (-2, -1)).detach(), hessian.movedim((0, 1), (-2, -1)).detach()
