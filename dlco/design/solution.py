"""`Solution`: what `solve()` found, its cost layer by layer, and how sure it is."""

import json
import os
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isclose, isfinite
from typing import TYPE_CHECKING, Any

from dlco.design.budget import SAME, Budget, Conflict, broken_limits
from dlco.design.history import HistoryPoint, read_history
from dlco.design.network_cost import LayerCost, NetworkCost, evaluate_network
from dlco.design.objective import Objective
from dlco.errors import DlcoError, InvalidInput
from dlco.fields import GARBLED, read_figure, read_flag, read_text, read_word
from dlco.files import check_stamp, read_json, stamp, write_whole
from dlco.hardware.architecture import Architecture, Container, Level
from dlco.hardware.constraints import Constraints
from dlco.mapping.checks import check_mapping, is_imperfect
from dlco.mapping.mapping import Mapping
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import Dataspace, Problem, check_count

if TYPE_CHECKING:
    from pandas import DataFrame

    from dlco.simulate import Density, Simulation, TimingModel

STATUSES = {
    "solved": "the search ended by itself and every limit holds",
    "interrupted": "the search was stopped; this is the best design found until then, and every limit holds",
    "infeasible": "no design that meets every limit was found; this is the one nearest to them",
}
FORMAT = 1  # of the JSON: goes up when older readers could no longer read it
KIND = "dlco solution"


@dataclass(frozen=True)
class Solution:
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
            None where none was computed.
        imperfect: whether factors need not divide the layers' bounds.
        conflicts: where the limits could not be met, those that exclude each other and how near each can come.
        evaluations: mappings evaluated; `seconds`: wall clock.
        trace: (seconds, objective) of each improvement.
        history: what the search knew when, relaxed objective and bound included; beside the point for equality.
        effort: how hard it tried, the fields of `SolveEffort`; the same.
    """

    status: str
    message: str
    objective: str
    budget: Budget
    seed: int
    layers: tuple[Layer, ...]
    architecture: Architecture
    mappings: dict[str, Mapping]
    layer_costs: dict[str, LayerCost]
    cost: NetworkCost
    lower_bound: float | None = None
    imperfect: bool = False
    conflicts: tuple[Conflict, ...] = ()
    evaluations: int = 0
    seconds: float = 0.0
    trace: tuple[tuple[float, float], ...] = field(default=())
    history: tuple[HistoryPoint, ...] = field(default=(), compare=False)
    effort: dict[str, Any] = field(default_factory=dict, compare=False)

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
        if self.gap == 0:
            return "proved optimal, no design in this space is better"
        return f"no design in this space is more than {100 * max(self.gap, 0.0):.1f} % better"

    def simulate(
        self,
        layers: Sequence[str] | None = None,
        model: "TimingModel | None" = None,
        density: "Density | None" = None,
    ) -> "Simulation":
        """The solution's mappings executed in time, tile by tile, beside the cycles of the cost model.

        Args:
            layers: names of those to simulate; all, where it is not given.
            model: what else to know of the machine: buffering, DRAM's latency (`dlco.simulate.TimingModel`).
            density: of sparse operands (`dlco.simulate.Density`).

        Raises:
            InvalidInput: a name that no layer has.
            NotSupported: factors of a mapping that do not divide their dimension.
        """
        from dlco.simulate import Density, simulate  # the simulator knows nothing of solutions

        names = [layer.name for layer in self.layers]
        for name in layers or ():
            if name not in names:
                raise InvalidInput(f"layer is {name!r}; the solution has {', '.join(names)}")
        chosen = [layer for layer in self.layers if layers is None or layer.name in layers]
        cycles = {name: cost.cycles for name, cost in self.layer_costs.items()}
        return simulate(chosen, self.architecture, self.mappings, model, density or Density(), cycles)

    def to_frame(self) -> "DataFrame":
        """A row a layer, see `dlco.design.frame.layer_rows`; `InvalidInput` where pandas is not installed."""
        from dlco.design.frame import layer_rows, to_frame  # tables sit above solutions

        return to_frame(layer_rows(self))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the solution as JSON; the file is replaced whole or not at all."""
        write_whole(path, json.dumps(self.to_dict(), indent=1))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Solution":
        """Read a saved solution. Raises `InvalidInput` where the file is none or does not add up."""
        return Solution.from_dict(read_json("solution", path))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries: what `save` writes."""
        data = stamp(KIND, FORMAT) | asdict(self) | {"gap": self.gap}
        data["layers"] = [asdict(layer) for layer in self.layers]
        for name in ("constraints", "containers"):  # for earlier readers, where there are none
            if not getattr(self.architecture, name):
                del data["architecture"][name]
        return {key: _plain(value) for key, value in data.items()}

    @staticmethod
    def from_dict(data: Any) -> "Solution":
        """The inverse of `to_dict`. Raises `InvalidInput` for anything else."""
        data = check_stamp("solution", KIND, FORMAT, data)
        try:
            solution = Solution(
                status=read_word("status of the solution", data["status"], STATUSES),
                message=read_text("message of the solution", data["message"]),
                objective=Objective.parse(data["objective"]),
                budget=Budget(**data["budget"]),
                seed=data["seed"],
                layers=tuple(_layer(one) for one in data["layers"]),
                architecture=_architecture(data["architecture"]),
                mappings={name: _mapping(one) for name, one in data["mappings"].items()},
                layer_costs={name: LayerCost(**one) for name, one in data["layer_costs"].items()},
                cost=NetworkCost(**data["cost"]),
                lower_bound=_bound(data["lower_bound"]),
                imperfect=read_flag("imperfect of the solution", data.get("imperfect", False)),
                conflicts=tuple(_conflict(one) for one in data.get("conflicts", ())),
                evaluations=data["evaluations"],
                seconds=read_figure("seconds of the solution", data["seconds"]),
                trace=tuple((read_figure("trace", t), read_figure("trace", v)) for t, v in data["trace"]),
                history=read_history(data.get("history", ())),
                effort=dict(data.get("effort", {})),
            )
            _check_complete(solution)
            _check_true(solution, data.get("gap", solution.gap))
        except DlcoError as error:
            raise InvalidInput(str(error)) from None
        except GARBLED as error:
            raise InvalidInput(f"solution file lacks or garbles a field: {error}") from None
        return solution

    def __str__(self) -> str:
        from dlco.design.table import solution_text  # tables sit above solutions

        return solution_text(self)

    def _repr_html_(self) -> str:
        from dlco.design.table import solution_html

        return solution_html(self)


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
    """Raise `InvalidInput` unless everything is there, is of its type, and belongs to the same layers and levels."""
    check_count("seed of the solution", solution.seed)
    check_count("evaluations of the solution", solution.evaluations)
    names = [layer.name for layer in check_layers(solution.layers)]
    levels = tuple(level.name for level in solution.architecture.levels)
    for name in names:
        cost, mapping = solution.layer_costs.get(name), solution.mappings.get(name)
        if cost is None or mapping is None or mapping.levels != levels:
            raise InvalidInput(f"solution has no cost or no mapping of layer {name!r} on its machine")
    for name in (*solution.layer_costs, *solution.mappings):
        if name not in names:
            raise InvalidInput(f"solution has a cost or a mapping of layer {name!r}; its layers are {', '.join(names)}")
    for name, value in vars(solution.cost).items():
        read_figure(f"{name} of the cost", value)
    for name, cost in solution.layer_costs.items():
        if not isinstance(cost.level_pj, dict) or tuple(cost.level_pj) != levels:
            raise InvalidInput(f"level_pj of layer {name!r} is {cost.level_pj!r}; it must name {', '.join(levels)}")
        for part, value in _flat(cost).items():
            read_figure(f"{part} layer {name!r}", value)


def _check_true(solution: Solution, gap: object) -> None:
    """Raise `InvalidInput` unless every figure is what the mappings come to on the machine, and the status holds."""
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
    if (gap is None) != (solution.gap is None) or (
        gap is not None and abs(read_figure("gap", gap, -inf) - (solution.gap or 0.0)) > SAME
    ):
        raise InvalidInput(f"gap of the solution is {gap!r}; its lower_bound and its cost make it {solution.gap!r}")
    broken = broken_limits(solution.budget, solution.architecture, costs, cost)
    if bool(broken) != (solution.status == "infeasible"):
        raise InvalidInput(
            f"status of the solution is {solution.status!r}, but "
            + (f"its budget is exceeded: {', '.join(broken)}" if broken else "its budget is kept")
        )
    limits = solution.budget.limits
    for one in solution.conflicts:
        if one.limit not in limits or not isclose(
            read_figure("value of a conflict", one.value), limits[one.limit], rel_tol=SAME
        ):
            raise InvalidInput(f"conflict of the solution is over {one.limit} {one.value!r}; its budget says otherwise")
        if one.reached is not None and read_figure("reached of a conflict", one.reached) < one.least * (1 - SAME):
            raise InvalidInput(f"conflict over {one.limit} reaches {one.reached!r}, below the least, {one.least!r}")
    for point in solution.history:
        if point.bound is not None and solution.status != "infeasible" and point.bound > solution.value * (1 + SAME):
            raise InvalidInput(f"history of the solution has a bound of {point.bound!r}, above {solution.value!r}")


def _flat(cost: LayerCost) -> dict[str, Any]:
    """The figures of a layer's cost, each level's among them, by what to call them before the layer's name."""
    figures = {f"{name} of the cost of": value for name, value in vars(cost).items() if name != "level_pj"}
    return figures | {f"{level} of the level_pj of": pj for level, pj in cost.level_pj.items()}


def _check_same(what: str, said: Dict[str, Any], true: Dict[str, Any]) -> None:
    """Raise `InvalidInput` for a figure that is another than it should be, beyond what rounding may do (`SAME`)."""
    for name, value in true.items():
        if said[name] != value and (isinstance(value, int) or not isclose(said[name], value, rel_tol=SAME)):
            raise InvalidInput(f"{name} {what} is {said[name]!r}; the mappings come to {value!r}")


def _plain(value: Any) -> Any:
    """JSON has no infinity and no sets: infinities (and what is no number) become null, sets sorted lists."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _tuple(value: Any) -> Any:
    return tuple(_tuple(one) for one in value) if isinstance(value, list) else value


def _from_plain(name: str, value: Any) -> Any:
    return frozenset(value) if name == "bypass" else inf if value is None else value


def _bound(value: object) -> float | None:
    return None if value is None else read_figure("lower_bound of the solution", value)


def _layer(data: dict[str, Any]) -> Layer:
    problem = dict(data["problem"])
    spaces = tuple(
        Dataspace(s["name"], _tuple(s["projection"]), bool(s["read_write"])) for s in problem.pop("dataspaces")
    )
    fields = {key: value for key, value in data.items() if key != "problem"}
    return Layer(problem=Problem(dataspaces=spaces, **{k: _tuple(v) for k, v in problem.items()}), **fields)


def _architecture(data: dict[str, Any]) -> Architecture:
    levels = tuple(Level(**{name: _from_plain(name, value) for name, value in one.items()}) for one in data["levels"])
    plain = {k: v for k, v in data.items() if k not in ("levels", "constraints", "containers")}
    fixed = Constraints.from_dict(data["constraints"]) if "constraints" in data else Constraints()
    boxes = tuple(Container(**one) for one in data.get("containers", ()))
    return Architecture(levels=levels, constraints=fixed, containers=boxes, **plain)


def _conflict(data: dict[str, Any]) -> Conflict:
    return Conflict(**data | {"least": inf if data["least"] is None else float(data["least"])})


def _mapping(data: dict[str, Any]) -> Mapping:
    bypass = tuple(frozenset(one) for one in data["bypass"])
    return Mapping(bypass=bypass, **{key: _tuple(value) for key, value in data.items() if key != "bypass"})
