"""`Solution`: what `solve()` found, its cost layer by layer, and how sure it is."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import inf, isclose
from typing import TYPE_CHECKING, Any, Self

from dlco.design.above import shown_by
from dlco.design.budget import SAME, Budget, Conflict, broken_limits
from dlco.design.codec import Count, Figure, check_figure, check_word, decode
from dlco.design.document import Document
from dlco.design.frame import Rows, to_csv, to_frame
from dlco.design.fused_chain import FusedChain
from dlco.design.history import HistoryPoint
from dlco.design.network_cost import LayerCost, NetworkCost, evaluate_network
from dlco.design.objective import Objective
from dlco.design.resident import Resident, check_residents
from dlco.design.sensitivity import Sensitivity
from dlco.errors import DlcoError, InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace
from dlco.mapping.checks import check_mapping, is_imperfect
from dlco.mapping.kept import KEEPS, STATED, machine_of
from dlco.mapping.mapping import Mapping
from dlco.simulate import Density, Simulation, TimingModel, simulate
from dlco.workload.layer import Layer, check_layers

if TYPE_CHECKING:
    from pandas import DataFrame

STATUSES = {
    "solved": "the search ended by itself and every limit holds",
    "interrupted": "the search was stopped; this is the best design found until then, and every limit holds",
    "infeasible": "no design that meets every limit was found; this is the one nearest to them",
}


@dataclass(frozen=True)
class Solution(Document):
    """A machine and a mapping of every layer on it.

    Attributes:
        status: one of `STATUSES`; `message` says in a sentence what that means here and what to do about it.
        objective, budget, seed: what was asked for.
        layers: the network.
        architecture: the machine.
        mappings: by layer name.
        layer_costs: by layer name.
        cost: the network's totals, in the exact integer model.
        lower_bound: value of the objective (in the unit of `NetworkCost.objective`) that no design can beat, or
            None where none was computed; `proof` says in words how it was proved, where it is known.
        imperfect: whether factors need not divide the layers' bounds.
        keep: what levels keep: "stated", or "free", a choice of each mapping.
        conflicts: where the limits could not be met, those that exclude each other and how near each can come.
        evaluations: mappings evaluated; `seconds`: wall clock.
        trace: (seconds, objective) of each improvement.
        history: what the search knew when, relaxed objective and bound included; beside the point for equality.
        effort: how hard it tried, the fields of `SolveEffort`; the same.
        space: the machines that `solve` chose this one from; None where it was given one machine, or nobody noted them.
        constraints: on mappings, that `solve` was given beside the hardware's own.
        course: where results may stay on the chip, names of the layers in the order in which they run; then a layer
            that runs under several mappings is several. Empty otherwise.
        residents: what stays on the chip whole.
        chains: what runs tile by tile, so that parts of results stay; then layers are parts, one for each shape of
            them, which run as often as there are tiles of it.
    """

    KIND = "dlco solution"
    LATER = frozenset("imperfect keep conflicts history effort space constraints proof course residents chains".split())

    status: str
    message: str
    objective: Objective
    budget: Budget
    seed: Count
    layers: tuple[Layer, ...]
    architecture: Architecture
    mappings: dict[str, Mapping]
    layer_costs: dict[str, LayerCost]
    cost: NetworkCost
    lower_bound: Figure | None = None
    imperfect: bool = False
    keep: str = STATED
    conflicts: tuple[Conflict, ...] = ()
    evaluations: Count = 0
    seconds: Figure = 0.0
    trace: tuple[tuple[Figure, Figure], ...] = field(default=())
    history: tuple[HistoryPoint, ...] = field(default=(), compare=False)
    effort: dict[str, Any] = field(default_factory=dict, compare=False)
    space: HardwareSpace | None = None
    constraints: Constraints | None = None
    proof: str = ""
    course: tuple[str, ...] = ()
    residents: tuple[Resident, ...] = ()
    chains: tuple[FusedChain, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "objective", Objective.parse(self.objective))

    @property
    def uneven(self) -> bool:
        """Whether some mapping cuts loops of different dataspaces elsewhere, so that it names parts of levels."""
        levels = tuple(level.name for level in self.architecture.levels)
        return any(mapping.levels != levels for mapping in self.mappings.values())

    @property
    def value(self) -> float:
        """What the objective comes to."""
        return self.cost.objective(self.objective)

    @property
    def gap(self) -> float | None:
        """How much better than this any design could be at most, as a fraction of this one's objective."""
        if self.lower_bound is None:
            return None
        return 1 - self.lower_bound / self.value if self.value else 0.0

    @property
    def certificate(self) -> str:
        """What the lower bound proves, in a sentence."""
        if self.gap is None:
            return "no lower bound was computed, so nothing is proved of better designs"
        how = f" ({self.proof})" if self.proof else ""
        if self.gap == 0:
            return f"proved optimal, no design in this space is better{how}"
        return f"no design in this space is more than {100 * max(self.gap, 0.0):.1f} % better{how}"

    @cached_property
    def sensitivities(self) -> tuple[Sensitivity, ...]:
        """What one per cent more of each limit, capacity and bandwidth is worth, the most valuable first.

        Where the machine was chosen from a space, limits come first, those on the machine among them: with each of
        them changed the machine is chosen anew. Then come the capacities and bandwidths of the machine as it is.

        Computed when it is first asked for, by lower bounds and short searches: seconds for a network on a machine,
        about half a minute in a space. From then on the solution's table, page and file have it.
        `dlco.optimize.sensitivities` says more, and takes an effort.
        """
        found: tuple[Sensitivity, ...] = shown_by("sensitivities")(self)
        return found

    @property
    def known_sensitivities(self) -> tuple[Sensitivity, ...]:
        """`sensitivities` where they have been asked for, otherwise none."""
        known: tuple[Sensitivity, ...] = vars(self).get("sensitivities", ())
        return known

    def simulate(
        self,
        layers: Sequence[str] | None = None,
        model: TimingModel | None = None,
        density: Density | None = None,
    ) -> Simulation:
        """The solution's mappings executed in time, tile by tile, beside the cycles of the cost model.

        Args:
            layers: names of those to simulate; all, where it is not given.
            model: what else to know of the machine: buffering, DRAM's latency (`dlco.simulate.TimingModel`).
            density: of sparse operands (`dlco.simulate.Density`).

        Raises:
            InvalidInput: a name that no layer has.
            NotSupported: factors of a mapping that do not divide their dimension.
        """
        names = [layer.name for layer in self.layers]
        for name in layers or ():
            if name not in names:
                raise InvalidInput(f"layer is {name!r}; the solution has {', '.join(names)}")
        chosen = [layer for layer in self.layers if layers is None or layer.name in layers]
        cycles = {name: cost.cycles for name, cost in self.layer_costs.items()}
        return simulate(chosen, self.architecture, self.mappings, model, density or Density(), cycles)

    def to_frame(self) -> "DataFrame":
        """A row a layer, with the columns of `to_csv`; `InvalidInput` where pandas is not installed."""
        return to_frame(*self._rows())

    def to_csv(self) -> str:
        """A line a layer, in the network's order, with units in the columns' names.

        Returns:
            `layer`, `count` (executions in the network), and figures of one execution: `macs`, `cycles`, `latency_s`,
            `energy_pj`, `edp_pj_cycles`, `utilization` (of the MAC units, 0 to 1); where the energy goes: `mac_pj`,
            `leak_pj`, `wire_pj` where wires cost energy, and `<level>_pj` for every level, innermost first.
        """
        return to_csv(*self._rows())

    def _rows(self) -> tuple[list[str], Rows]:
        """(columns, rows) of `to_csv`."""
        columns = ["layer", "count", "macs", "cycles", "latency_s", "energy_pj", "edp_pj_cycles", "utilization"]
        wired = any(level.network is not None for level in self.architecture.levels)
        columns += ["mac_pj", "leak_pj", *["wire_pj"] * wired]
        columns += [f"{level.name}_pj" for level in self.architecture.levels]
        rows = []
        for layer in self.layers:
            one = self.layer_costs[layer.name]
            figures = one.count, one.macs, one.cycles, one.cycles * self.architecture.cycle_s, one.energy_pj
            rest = one.energy_pj * one.cycles, one.utilization, one.mac_pj, one.leak_pj, *[one.wire_pj] * wired
            rows.append((layer.name, *figures, *rest, *one.level_pj.values()))
        return columns, rows

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries: what `save` writes."""
        data = super().to_dict() | {"gap": self.gap}
        for name in ("constraints", "containers"):  # for earlier readers, where there are none
            if not getattr(self.architecture, name):
                del data["architecture"][name]
        for parts, name in ((data["architecture"]["levels"], "network"), (data["layer_costs"].values(), "wire_pj")):
            for part in parts:
                if not part[name]:
                    del part[name]
                elif name == "network" and not part[name]["mesh"]:
                    del part[name]["mesh"]
        unsaid = [name for name in ("space", "constraints") if data[name] is None]
        unsaid += [name for name in ("course", "residents", "chains") if not data[name]]
        return {name: value for name, value in data.items() if name not in unsaid}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """The inverse of `to_dict`. Raises `InvalidInput` for anything else."""
        found = super().from_dict(data)
        if data.get("sensitivities") is not None:
            said = decode(tuple[Sensitivity, ...], data["sensitivities"], "sensitivities of the solution")
            vars(found)["sensitivities"] = said
        return found

    def _check_true(self, data: dict[str, Any]) -> None:
        """Raise `InvalidInput` unless every figure is what the mappings come to, and all else that it says holds."""
        check_word("status of the solution", self.status, STATUSES)
        check_word("keep of the solution", self.keep, KEEPS)
        _check_complete(self)
        _check_figures(self, data.get("gap", self.gap))
        stays = self.course, self.residents, self.chains
        check_residents(self.layers, self.architecture, self.mappings, *stays, self.constraints)
        _check_limits(self)
        _check_history(self)
        _check_space(self)

    def __str__(self) -> str:
        return str(shown_by("solution_text")(self))

    def _repr_html_(self) -> str:
        return str(shown_by("solution_html")(self))


def sound(solution: Solution) -> Solution:
    """The solution, unless its lower bound is refuted by the solution itself, which is then a `DlcoError`."""
    bound, value = solution.lower_bound, solution.value
    if bound is not None and solution.status != "infeasible" and bound > value * (1 + SAME):
        raise DlcoError(
            f"lower_bound of the solution is {bound!r}, but its own {solution.objective} is {value!r}; what no design "
            "can beat is at most that"
        )
    return solution


def _check_complete(solution: Solution) -> None:
    """Raise `InvalidInput` unless everything is there, and belongs to the same layers and levels."""
    names = [layer.name for layer in check_layers(solution.layers)]
    machine = solution.architecture
    levels = tuple(level.name for level in machine.levels)
    problems = {layer.name: layer.problem for layer in solution.layers}
    for name in names:
        cost, mapping = solution.layer_costs.get(name), solution.mappings.get(name)
        apart = machine if mapping is None else machine_of(problems[name], machine, mapping)
        if cost is None or mapping is None or mapping.levels != tuple(level.name for level in apart.levels):
            raise InvalidInput(f"solution has no cost or no mapping of layer {name!r} on its machine")
        if tuple(cost.level_pj) != levels:
            raise InvalidInput(f"level_pj of layer {name!r} is {cost.level_pj!r}; it must name {', '.join(levels)}")
    for name in (*solution.layer_costs, *solution.mappings):
        if name not in names:
            raise InvalidInput(f"solution has a cost or a mapping of layer {name!r}; its layers are {', '.join(names)}")


def _check_figures(solution: Solution, gap: object) -> None:
    """Raise `InvalidInput` unless every figure is what the mappings come to on the machine."""
    for layer in solution.layers:
        mapping = solution.mappings[layer.name]
        try:
            check_mapping(layer.problem, solution.architecture, mapping)
        except DlcoError as error:
            raise InvalidInput(f"mapping of layer {layer.name!r} does not fit: {error}") from None
        if is_imperfect(layer.problem, mapping) and not solution.imperfect:
            raise InvalidInput(f"imperfect is False; factors of layer {layer.name!r} multiply to more than its bounds")
    try:
        costs, cost = evaluate_network(solution.layers, solution.architecture, solution.mappings)
    except DlcoError as error:
        raise InvalidInput(f"mappings of the solution cannot be evaluated: {error}") from None
    for name, true in costs.items():
        _check_same(f"layer {name!r}", _flat(solution.layer_costs[name]), _flat(true))
    _check_same("of the cost", vars(solution.cost), vars(cost))
    sound(solution)
    if gap is not None:
        check_figure("gap of the solution", gap, -inf)
    if (gap is None) != (solution.gap is None) or abs((gap or 0.0) - (solution.gap or 0.0)) > SAME:  # type: ignore[operator]
        raise InvalidInput(f"gap of the solution is {gap!r}; its lower_bound and its cost make it {solution.gap!r}")


def _check_limits(solution: Solution) -> None:
    """Raise `InvalidInput` unless the status is what the budget makes it, and the conflicts are over its limits."""
    broken = broken_limits(solution.budget, solution.architecture, solution.layer_costs, solution.cost)
    if bool(broken) != (solution.status == "infeasible"):
        raise InvalidInput(
            f"status of the solution is {solution.status!r}, but "
            + (f"its budget is exceeded: {', '.join(broken)}" if broken else "its budget is kept")
        )
    limits = solution.budget.limits
    for one in solution.conflicts:
        if one.limit not in limits or not isclose(one.value, limits[one.limit], rel_tol=SAME):
            raise InvalidInput(f"conflict of the solution is over {one.limit} {one.value!r}; its budget says otherwise")
        if one.reached is not None and one.reached < one.least * (1 - SAME):
            raise InvalidInput(f"conflict over {one.limit} reaches {one.reached!r}, below the least, {one.least!r}")


def _check_history(solution: Solution) -> None:
    """Raise `InvalidInput` unless time goes on in the history, and nothing in it refutes the solution."""
    for before, point in pairwise(solution.history):
        if point.seconds < before.seconds:
            raise InvalidInput(
                f"seconds in the history of the solution go back from {before.seconds!r} to {point.seconds!r}"
            )
    for point in solution.history:
        if point.bound is not None and solution.status != "infeasible" and point.bound > solution.value * (1 + SAME):
            raise InvalidInput(f"history of the solution has a bound of {point.bound!r}, above {solution.value!r}")


def _check_space(solution: Solution) -> None:
    """Raise `InvalidInput` unless the machine is one of the space; what its levels bypass may be the constraints'."""
    space, machine = solution.space, solution.architecture
    if space is None:
        return
    try:
        own = space.architecture([parameter.of(machine) for parameter in space.parameters])
    except DlcoError as error:
        raise InvalidInput(f"space of the solution does not have its machine: {error}") from None
    pairs: list[tuple[Any, Any]] = [(machine, own), *zip(machine.levels, own.levels, strict=True)]
    for said, true in pairs:
        for name, value in vars(true).items():
            found = getattr(said, name)
            if isinstance(value, int | float) and not isclose(found, value, rel_tol=SAME):
                raise InvalidInput(f"{name} of {said.name!r} is {found!r}; its machine in the space has {value!r}")


def _flat(cost: LayerCost) -> dict[str, Any]:
    """The figures of a layer's cost, each level's among them, by what to call them before the layer's name."""
    figures = {f"{name} of the cost of": value for name, value in vars(cost).items() if name != "level_pj"}
    return figures | {f"{level} of the level_pj of": pj for level, pj in cost.level_pj.items()}


def _check_same(what: str, said: Dict[str, Any], true: Dict[str, Any]) -> None:
    """Raise `InvalidInput` for a figure that is another than it should be, beyond what rounding may do (`SAME`)."""
    for name, value in true.items():
        if said[name] != value and (isinstance(value, int) or not isclose(said[name], value, rel_tol=SAME)):
            raise InvalidInput(f"{name} {what} is {said[name]!r}; the mappings come to {value!r}")
