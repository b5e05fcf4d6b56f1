"""An independent judge of answers: prices every mapping again, and holds it against machine, limits and bound.

`sit` puts it where answers are made, so that every test of a search is a test of these too.
"""

import sys
from math import inf, isfinite, prod

import pytest

from dlco.cost.model import evaluate
from dlco.design.budget import Budget
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.mapping import Constraints, Mapping
from dlco.mapping.constraints import resolve, stated
from dlco.nas import CoDesign
from dlco.optimize import Front, Solution
from dlco.optimize.finish import finish
from dlco.optimize.front.attempts import Attempts
from dlco.optimize.request import Request
from dlco.workload import Layer

EXACT, LIMIT = 1e-12, 1e-9  # shares by which sums in another order, and limits and bounds, may be off


def sit(patch: pytest.MonkeyPatch) -> None:
    """Judge whatever searches, the exact one too, `Attempts` and `cosearch` come to, while the patch lasts."""
    front = Attempts.run

    def judged_solution(request: Request, *arguments: object, **named: object) -> Solution:
        found = finish(request, *arguments, **named)  # type: ignore[arg-type]
        judge_solution(found, request.hardware, request.constraints)
        return found

    def judged_front(self: Attempts, *arguments: object, **named: object) -> Front:
        found = front(self, *arguments, **named)  # type: ignore[arg-type]
        question = self.request.common
        judge_front(found, question.hardware, question.constraints)
        return found

    def judged_design(**fields: object) -> CoDesign:
        found = CoDesign(**fields)  # type: ignore[arg-type]
        judge_design(found)
        return found

    for place in ("run", "fixed"):
        patch.setattr(f"dlco.optimize.{place}.finish", judged_solution)
    patch.setattr(Attempts, "run", judged_front)
    patch.setattr(sys.modules["dlco.nas.cosearch"], "CoDesign", judged_design)


def judge_solution(
    solution: Solution,
    hardware: Architecture | HardwareSpace | None = None,
    constraints: Constraints | None = None,
) -> None:
    """Raise `AssertionError` unless all of a solution is true.

    Args:
        solution: to be judged.
        hardware: that was asked for, where that is known.
        constraints: the same, beside those that the machine carries.
    """
    machine = solution.architecture
    assert list(solution.mappings) == [layer.name for layer in solution.layers], "every layer has its mapping"
    assert list(solution.layer_costs) == list(solution.mappings)
    cycles = energy = 0.0
    for layer in solution.layers:
        mapping, told = solution.mappings[layer.name], solution.layer_costs[layer.name]
        judge_mapping(layer, machine, mapping, imperfect=solution.imperfect)
        cost = evaluate(layer, machine, mapping)
        assert bool(cost.valid), layer.name
        assert told.cycles == cost.cycles.item(), layer.name
        assert _same(told.energy_pj, cost.energy_pj.item()), layer.name
        parts = sum(told.level_pj.values()) + told.mac_pj + told.leak_pj + told.wire_pj
        assert _same(told.energy_pj, parts), layer.name
        assert (told.count, told.macs) == (layer.count, layer.macs), layer.name
        assert told.cycles * machine.macs >= layer.problem.macs * (1 - LIMIT), "no machine is faster than its MACs"
        cycles += layer.count * cost.cycles.item()
        energy += layer.count * cost.energy_pj.item()
        _judge_constraints(layer, mapping, resolve(stated(machine, constraints), layer.problem, machine))
    total = solution.cost
    assert _same(total.cycles, cycles)
    assert _same(total.energy_pj, energy)
    assert _same(total.latency_s, cycles * machine.cycle_s)
    assert _same(total.edp, energy * cycles)
    assert _same(total.power_w * total.latency_s, energy * 1e-12) or energy < 1e-290  # where numbers lose digits
    assert _same(total.area_mm2, machine.area_mm2)
    excess = _excess(solution, solution.budget)
    if solution.status == "infeasible":
        assert excess > 1, "a design that keeps all limits is called infeasible"
    else:
        assert excess <= 1 + LIMIT, solution.budget
        if solution.lower_bound is not None:
            assert solution.lower_bound <= solution.value * (1 + LIMIT), (solution.lower_bound, solution.value)
            assert isfinite(solution.lower_bound)
    if hardware is not None:
        _judge_machine(machine, hardware)


def judge_front(
    front: Front, hardware: Architecture | HardwareSpace | None = None, constraints: Constraints | None = None
) -> None:
    """Raise `AssertionError` unless all of a front is true: its designs, their figures, and that none beats another."""
    for point in (*front.points, *front.dominated):
        judge_solution(point.solution, hardware, constraints)
        assert point.solution.status != "infeasible"
        assert point.values == tuple(point.solution.cost.objective(axis) for axis in front.axes)
        assert _excess(point.solution, front.budget) <= 1 + LIMIT
        for axis, limit in point.limits.items():
            assert point.solution.cost.objective(axis) <= limit * (1 + LIMIT)
    for one in front.points:
        for other in (*front.points, *front.dominated):
            better = [b < a * (1 - LIMIT) for a, b in zip(one.values, other.values, strict=True)]
            worse = [b > a * (1 + LIMIT) for a, b in zip(one.values, other.values, strict=True)]
            assert any(worse) or not any(better), (one.values, other.values)


def judge_design(design: CoDesign) -> None:
    """Raise `AssertionError` unless all of a co-design is true."""
    judge_solution(design.solution)
    if design.status == "solved":
        assert design.solution.status != "infeasible"
        assert design.least_accuracy is None or design.accuracy >= design.least_accuracy - LIMIT
    for point in design.front:
        assert point.feasible
        assert design.least_accuracy is None or point.accuracy >= design.least_accuracy - LIMIT


def judge_mapping(layer: Layer, machine: Architecture, mapping: Mapping, *, imperfect: bool) -> None:
    """Raise `AssertionError` unless a mapping does all of the work, and its fan-outs and capacities hold it."""
    problem = layer.problem
    assert mapping.dimensions == problem.dimensions
    if mapping.levels != tuple(level.name for level in machine.levels):
        _judge_uneven(layer, machine, mapping)
        return
    extents = dict.fromkeys(problem.dimensions, 1)
    for level, bypass, temporal, across, down in zip(
        machine.levels, mapping.bypass, mapping.temporal, mapping.spatial_x, mapping.spatial_y, strict=True
    ):
        assert prod(across) <= level.fanout_x, (layer.name, level.name)
        assert prod(down) <= level.fanout_y, (layer.name, level.name)
        for dim, *factors in zip(problem.dimensions, temporal, across, down, strict=True):
            extents[dim] *= prod(factors)
        reach = {dim: min(extent, problem.sizes[dim]) for dim, extent in extents.items()}
        words = sum(
            prod(1 + sum(c * (reach[dim] - 1) for dim, c in rank) for rank in space.projection)
            for space in problem.dataspaces
            if space.name not in level.bypass | bypass
        )
        assert words <= level.usable_capacity, (layer.name, level.name, words)
    assert all(extents[dim] >= size if imperfect else extents[dim] == size for dim, size in problem.sizes.items())


def _judge_uneven(layer: Layer, machine: Architecture, mapping: Mapping) -> None:
    """The same of one whose levels are parts of the machine's, called "level_dataspace"."""
    problem, names = layer.problem, [level.name for level in machine.levels]
    own = [
        next(i for i, name in enumerate(names) if part == name or part.startswith(f"{name}_"))
        for part in mapping.levels
    ]
    held, children = [0] * len(names), [[1, 1] for _ in names]
    seen: set[tuple[int, str]] = set()
    for at, (part, level) in enumerate(zip(mapping.levels, own, strict=True)):
        only = part.removeprefix(names[level]).removeprefix("_")
        rows = list(mapping.temporal[: at + 1])
        for other, inner in enumerate(own):
            if inner <= level:
                rows += [mapping.spatial_x[other], mapping.spatial_y[other]]
        reach = dict(zip(problem.dimensions, (prod(column) for column in zip(*rows, strict=True)), strict=True))
        for space in problem.dataspaces:
            if only not in ("", space.name) or space.name in machine.levels[level].bypass | mapping.bypass[at]:
                continue
            assert all(i < level for i, name in seen if name == space.name), (layer.name, part, space.name)
            seen.add((level, space.name))
            held[level] += prod(1 + sum(c * (reach[dim] - 1) for dim, c in rank) for rank in space.projection)
        for axis, row in enumerate((mapping.spatial_x[at], mapping.spatial_y[at])):
            children[level][axis] *= prod(row)
    for level, words, (x, y) in zip(machine.levels, held, children, strict=True):
        assert words <= level.usable_capacity, (layer.name, level.name, words)
        assert x <= level.fanout_x, (layer.name, level.name)
        assert y <= level.fanout_y, (layer.name, level.name)
    wanted = {(i, s.name) for i, lv in enumerate(machine.levels) for s in problem.dataspaces if s.name not in lv.bypass}
    assert seen == wanted, (layer.name, wanted - seen)
    assert dict(zip(problem.dimensions, mapping.reach, strict=True)) == problem.sizes


def _excess(solution: Solution, budget: Budget) -> float:
    """The largest share of a limit that a solution uses; above 1 where one is broken."""
    cost, machine = solution.cost, solution.architecture
    used = {
        "area_mm2": cost.area_mm2,
        "power_w": cost.power_w,
        "latency_s": cost.latency_s,
        "energy_j": cost.energy_pj * 1e-12,
    }
    shares = [used[name] / limit for name, limit in budget.limits.items()]
    shares += [machine.macs / budget.pe_count] if budget.pe_count is not None else []
    shares += [machine.level(name).capacity / limit for name, limit in (budget.capacity or {}).items()]
    for name, limit in (budget.bandwidth or {}).items():
        shares += [machine.level(name).read_bandwidth / limit, machine.level(name).write_bandwidth / limit]
    for name, one in solution.layer_costs.items():
        shares.append(one.cycles * machine.cycle_s / budget.layer_limit(name))
    return max(shares, default=0.0)


def _judge_constraints(layer: Layer, mapping: Mapping, constraints: Constraints) -> None:
    """Fixed factors, largest factors, axes and bypasses, where the layer has such dimensions."""
    for slot in constraints.slots:
        at = mapping.levels.index(slot.level)
        across, down = mapping.spatial_x[at], mapping.spatial_y[at]
        spatial = [x * y for x, y in zip(across, down, strict=True)]
        factors = dict(
            zip(mapping.dimensions, mapping.temporal[at] if slot.kind == "temporal" else spatial, strict=True)
        )
        for dim, factor in slot.exact:
            assert factors.get(dim, factor) == factor, (layer.name, slot.where, dim)
        for dim, factor in slot.at_most:
            assert factors.get(dim, 1) <= factor, (layer.name, slot.where, dim)
        for dims, other in ((slot.axis_x, down), (slot.axis_y, across)):
            row = dict(zip(mapping.dimensions, other, strict=True))
            assert all(row.get(dim, 1) == 1 for dim in dims), (layer.name, slot.where)
    for level, spaces in constraints.bypass:
        assert (
            spaces & {space.name for space in layer.problem.dataspaces} <= mapping.bypass[mapping.levels.index(level)]
        )


def _judge_machine(machine: Architecture, hardware: Architecture | HardwareSpace) -> None:
    """That the machine is the one asked for, or one of those of the space."""
    if isinstance(hardware, Architecture):
        assert machine == hardware
        return
    sizes = []
    for parameter in hardware.parameters:
        level = machine.level(parameter.level)
        size = level.block_size if parameter.field == "bandwidth" else getattr(level, parameter.field)
        assert size in parameter.grid, (parameter, size)
        sizes.append(float(size))
    assert machine == hardware.architecture(sizes)


def _same(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= EXACT * max(abs(one), abs(other)) < inf
