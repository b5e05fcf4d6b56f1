"""`lower_bound()`: a value of the objective that no design within the budget goes below, and how it was proven.

Valid under the default counting rules (whole tiles fetched at restarts, nothing from neighbours), over every mapping,
and every machine of the space where sizes are free. It joins

* the work that no mapping avoids (`dlco.bound.compulsory`), and
* for some prices of time, the least energy + price x time of every layer by itself, from geometric programs tightened
  by branching (`dlco.bound.terms`, `dlco.bound.branch`): added up over the layers, and over
  boxes of the free sizes, they bound the network (`dlco.bound.boxes`),

and takes the least objective among the totals of energy and time that all of these allow
(`dlco.bound.region`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import TYPE_CHECKING

from dlco.bound.boxes import NetworkBound, NetworkBounding
from dlco.bound.compulsory import Floor, compulsory_bound, layer_floors, network_floor
from dlco.bound.geometric import Array
from dlco.bound.program import Aim
from dlco.bound.proof import LayerProof
from dlco.bound.region import Cut, TotalLimits, least
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace, as_space
from dlco.mapping.constraints import stated
from dlco.mapping.kept import constrained
from dlco.workload.layer import Layer
from dlco.workload.problem import check_count

if TYPE_CHECKING:
    import cvxpy

Tick = Callable[[float], None]


@dataclass(frozen=True)
class BoundEffort:
    """How hard to try; the same effort gives the same bound.

    Attributes:
        nodes: programs solved at most for the price of time that decides, over all layers.
        side: programs solved at most for each other price.
        rounds: how often the price of time is moved to where the bound is lowest.
        boxes: how often a box of free sizes is cut in two.
    """

    nodes: int = 2400
    side: int = 200
    rounds: int = 2
    boxes: int = 4

    def __post_init__(self) -> None:
        for name in ("nodes", "side", "rounds", "boxes"):
            check_count(f"{name} of the bound's effort", getattr(self, name))


@dataclass(frozen=True)
class Certificate:
    """A proven bound.

    Attributes:
        value: in the unit of `NetworkCost.objective`; infinite where no design keeps the budget.
        how: a sentence that says what it rests on.
        nodes: programs solved.
        closed: whether branching went as far as it can make a difference.
        real_factors: by layer name, those at the bound's own solution, `[levels, 2, dims]` (temporal; X times Y): where
            a search may look for a better mapping. Empty where no program was solved.
        layers: by layer name what was proved of it, in the price of time that decided the value. Empty where no
            program did, as for an area, or where the certificate was read from a checkpoint.
    """

    value: float
    how: str
    nodes: int = 0
    closed: bool = False
    real_factors: Mapping[str, Array] = field(default_factory=dict, compare=False)
    layers: Mapping[str, LayerProof] = field(default_factory=dict, compare=False, repr=False)

    def problem(self, layer: str, *, whole: bool = False, logs: bool = False) -> "cvxpy.Problem":
        """The geometric program behind a layer's bound as cvxpy's problem, for any of its solvers.

            problem = certificate.problem("conv1")
            problem.solve(gp=True, solver="SCS")
            certificate.layers["conv1"].bound_of(problem), certificate.layers["conv1"].value  # the same

        `LayerProof.problem` says what the arguments are and how its optimum relates to what was proved.

        Raises:
            InvalidInput: there is no such layer, or no program behind its bound.
        """
        if layer not in self.layers:
            proved = ", ".join(self.layers) or "none, as no program was solved for it"
            raise InvalidInput(f"layer is {layer!r}; this bound has programs of: {proved}")
        return self.layers[layer].problem(whole=whole, logs=logs)


def lower_bound(
    layers: Sequence[Layer],
    hardware: Architecture | HardwareSpace,
    objective: str,
    budget: Budget | None = None,
    *,
    constraints: Constraints | None = None,
    imperfect: bool = False,
    effort: BoundEffort | None = None,
    tick: Tick | None = None,
    proved: Tick | None = None,
) -> Certificate:
    """A bound on the objective over every design within the budget.

    Args:
        layers: the network.
        hardware: a machine, or a space of them, into which limits of the budget on capacities and bandwidths are to be
            taken beforehand; over a space they are left out.
        objective: "latency", "energy", "edp", "power" or "area".
        budget: limits that designs must keep.
        constraints: on mappings, beside those that the hardware carries. What they keep out of a level is taken into
            account, as a level passed by may cost less than one used; all else is left out, as fewer mappings cost no
            less.
        imperfect: whether factors need not divide the bounds.
        effort: how hard to try.
        tick: told the share of the work done, 0 to 1, now and then.
        proved: told each bound on the way, in the unit of `NetworkCost.objective`; each holds by itself.

    Returns:
        A `Certificate`, never below the bound of compulsory work.

    Raises:
        InvalidInput: an unknown objective.
    """
    space = without_bypassed(as_space(hardware), constraints, layers)
    goal = Objective.parse(objective)
    bounding = Bounding(tuple(layers), space, goal, budget or Budget(), imperfect, effort, tick, proved)
    return bounding.certificate()


def without_bypassed(
    space: HardwareSpace, constraints: Constraints | None, layers: Iterable[Layer] = ()
) -> HardwareSpace:
    """The same machines whose levels also bypass what constraints on the layers' mappings keep out of them."""
    base = space.base
    fixed = stated(base, constraints)
    if not fixed.bypass:
        return space
    names = fixed.dataspaces.union(*({one.name for one in layer.problem.dataspaces} for layer in layers))
    levels = zip(base.levels, constrained(base, fixed, sorted(names)), strict=True)
    return replace(space, base=base.with_bypass({level.name: out for level, out in levels}))


class Bounding:
    """One call of `lower_bound`.

    Attributes:
        floors: what each layer needs at least.
        cuts: bounds on the network's energy and time so far; `limits`: those of the budget.
        solved: for each price of time the layers' aims, and what was proved.
    """

    def __init__(
        self,
        layers: tuple[Layer, ...],
        space: HardwareSpace,
        objective: Objective,
        budget: Budget,
        imperfect: bool,
        effort: BoundEffort | None = None,
        tick: Tick | None = None,
        proved: Tick | None = None,
    ) -> None:
        self.layers, self.space, self.objective, self.budget = layers, space, objective, budget
        self.imperfect, self.effort, self.tick = imperfect, effort or BoundEffort(), tick or (lambda share: None)
        self.proved = proved
        self.cycle_s = space.base.cycle_s
        self.floors: list[Floor] = layer_floors(layers, space)
        self.network = NetworkBounding(layers, space, self.floors, imperfect)
        self.nodes = 0
        self.factors: dict[str, Array] = {}
        self.closed = True
        self.energy, self.time = network_floor(layers, self.floors)
        self.cuts: list[Cut] = [(1.0, 0.0, self.energy), (0.0, 1.0, self.time)]
        self.limits = TotalLimits.of(budget, self.cycle_s)
        self.solved: list[tuple[list[Aim], NetworkBound]] = []

    def certificate(self) -> Certificate:
        """See `lower_bound`."""
        broken = self._broken()
        if broken:
            return Certificate(inf, broken, closed=True)
        floor = self.floor()
        self._report(floor)
        if all(isfinite(one.energy) and 0 < one.cycles < inf for one in self.floors):
            self._cut_all()
        value, energy, time = least(self.value, self.cuts, self.limits)
        layers = self._deciding(energy, time)
        if value == inf:
            return Certificate(inf, "no design keeps all limits: proven by geometric programs", self.nodes, self.closed)
        if value > floor:
            how = f"proven by {self.nodes} geometric programs over all mappings"
            return Certificate(value, how + self._machines(), self.nodes, self.closed, self.factors, layers)
        how = "proven by the work that no mapping avoids"
        return Certificate(floor, how + self._machines(), self.nodes, self.closed, self.factors, layers)

    def floor(self) -> float:
        """The bound of the work that no mapping avoids."""
        return compulsory_bound(self.layers, self.space, self.objective, self.budget)

    def _deciding(self, energy: float, time: float) -> dict[str, LayerProof]:
        """The layers' proofs for the last price at which the totals at the bound are no larger than they must be."""
        for aims, found in reversed(self.solved):
            a, b = aims[0].energy, aims[0].time
            if found.layers and a * energy + b * time <= found.value * (1 + 1e-6):
                every = self.network.models[self.network.whole]
                rows = zip(self.layers, found.layers, found.terms, every, aims, strict=True)
                return {
                    layer.name: LayerProof(layer.name, a, b, own.value, own.x is not None, terms, own.node, whole, aim)
                    for layer, own, terms, whole, aim in rows
                }
        return {}

    def _report(self, value: float) -> None:
        if self.proved is not None and 0 < value < inf:
            self.proved(value)

    def _machines(self) -> str:
        return "" if self.space.is_fixed else f" and all {self.space.size:,} machines"

    def _broken(self) -> str | None:
        """Why a machine of fixed sizes does not keep the budget, if so."""
        uses = self.budget.machine_uses(self.space.base) if self.space.is_fixed else []
        return next((f"the machine has {use}" for use in uses if use.broken), None)

    def value(self, energy: float, time: float) -> float:
        """The objective of totals; an area does not depend on them here."""
        if self.objective is Objective.POWER and not (self.limits.cycles < inf and time > 0):
            return 0.0  # without a limit on the time, designs may be slower than any corner, at less power
        return self.objective.figure(energy, time, 0.0, self.cycle_s)

    def aim(self, energy: float, time: float, i: int) -> Aim:
        """The aim of a layer: its own limits, and what the others leave of the network's."""
        layer, budget = self.layers[i], self.budget
        cycles = budget.layer_limit(layer.name) / self.cycle_s
        if self.limits.cycles < inf:
            others = self.time - layer.count * self.floors[i].cycles
            cycles = min(cycles, (self.limits.cycles - others) / layer.count)
        return Aim(
            energy,
            time,
            cycles=cycles * (1 + 1e-9),
            area_um2=inf if budget.area_mm2 is None else budget.area_mm2 * 1e6 * (1 + 1e-9),
            macs=inf if budget.pe_count is None else float(budget.pe_count),
        )

    def _cut_all(self) -> None:
        """Bounds for the prices of time that matter to the objective."""
        nodes, side, boxes = self.effort.nodes, self.effort.side, self.effort.boxes
        limited = self.limits != TotalLimits() or self.objective is Objective.POWER
        rate = self.energy / self.time
        fast, frugal = self.objective is Objective.LATENCY, self.objective is Objective.ENERGY
        self._cut(0.0, 1.0, nodes if fast else side, boxes if fast else 0)
        costs_none = rate < 1e-30 and not any(level.leak_pj > 0 for level in self.space.base.levels)
        if costs_none or (fast and not limited):  # there are no energies, or they do not matter
            return
        self._cut(1.0, 0.0, nodes if frugal else side, boxes if frugal else 0)
        for factor in (0.25, 1.0, 4.0) if limited else ():
            self._cut(1.0, rate * factor, side)
        used: list[float] = []
        for _ in range(self.effort.rounds if self.objective is Objective.EDP else 0):
            _, energy, time = least(self.value, self.cuts, self.limits)
            price = energy / time if isfinite(energy) and time > 0 else 0.0
            if price <= 0 or any(abs(price / other - 1) < 0.03 for other in used):
                break
            used.append(price)
            self._cut(1.0, price, nodes, boxes)

    def _cut(self, energy: float, time: float, nodes: int, boxes: int = 0) -> None:
        """Add the bound on `energy` x E + `time` x T."""
        aims = [self.aim(energy, time, i) for i in range(len(self.layers))]
        found = self.network.bound(aims, nodes, boxes, self.tick)
        self.solved.append((aims, found))
        self.nodes += found.nodes
        self.closed = found.closed
        named = zip(self.layers, found.factors, strict=False)  # none where there is no design
        self.factors = {layer.name: factors for layer, factors in named if factors is not None}
        self.cuts.append((energy, time, found.value))
        self._report(least(self.value, self.cuts, self.limits)[0])
