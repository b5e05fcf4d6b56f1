"""What one per cent more is worth: brackets of `Solution.sensitivities` against re-solves.

For single layers on fixed machines the exact search gives the true optimum, before and after every capacity, bandwidth
and limit is made 5 % larger and smaller. Each change of the optimum must lie within the figure's bracket.

For ResNet-18 in the generic space nobody knows the optimum. There every limit on the machine, area and ends of grids
among them, is changed, and the network solved again from the solution: the change of what is found must lie within the
bracket too.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log
from typing import Any

import torch
from common import Stopwatch, save_results, show

import dlco
from dlco.bound.nearby import Change
from dlco.design.sensitivity import STEP, Sensitivity
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware import Architecture, HardwareSpace, eyeriss_like, generic, generic_space
from dlco.optimize import sensitivities
from dlco.optimize.figures import closed, space_figures
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort

RE_SOLVES, IN_SPACES = 200, 40
ROUNDING = 1e-6  # of a slope
SHORT = dlco.SolveEffort(
    starts=0,
    survey=4,
    evolution=EvolutionEffort(generations=2),
    machines=1,
    steps=0,
    fit=Effort(rounds=24, patience=10, islands=2),
    polishes=0,
)


@dataclass(frozen=True)
class Case:
    """A layer on a machine; `tight` is a limit on its latency, as a multiple of the fastest design's."""

    layer: dlco.Layer
    machine: Architecture
    objective: str
    tight: float | None = None


def cases() -> Iterator[Case]:
    """Convolutions and a matrix product, on two machines, for three objectives, with and without a limit."""
    slow = tuple(  # a machine that waits for its memories
        replace(level, read_bandwidth=1.0, write_bandwidth=1.0) if level.name == "DRAM" else level
        for level in generic(wires=False).levels
    )
    waiting = replace(generic(wires=False), levels=slow, name="generic, slow DRAM")
    conv = dlco.conv2d("conv", C=32, M=32, P=14, Q=14, R=3, S=3)
    point = dlco.conv2d("pointwise", C=48, M=64, P=28, Q=28, R=1, S=1)
    product = dlco.matmul("product", M=64, K=96, N=48)
    for layer in (conv, point, product):
        for objective in ("latency", "energy", "edp"):
            yield Case(layer, waiting, objective)
    yield Case(conv, eyeriss_like(wires=False), "edp")
    yield Case(point, eyeriss_like(wires=False), "energy", tight=1.02)
    yield Case(product, eyeriss_like(wires=False), "latency")
    yield Case(conv, waiting, "energy", tight=1.02)


def optimum(case: Case, machine: Architecture, budget: dlco.Budget) -> Solution | None:
    """The proved best; None where nothing keeps the limits."""
    try:
        solution = dlco.solve([case.layer], machine, case.objective, budget, imperfect=False)
    except InvalidInput:
        return None
    if solution.status == "infeasible":
        return None
    if solution.gap != 0:
        raise RuntimeError(f"the exact search does not answer for {case}")
    return solution


def changes(case: Case, base: Solution, one: Sensitivity) -> list[tuple[float, float]]:
    """(slope of the true optimum, infinitely steep where nothing is left; seconds), smaller then larger."""
    found = []
    for factor in (1 - STEP, 1 + STEP):
        machine, budget = base.architecture, base.budget
        if hasattr(budget, one.name):
            budget = replace(budget, **{one.name: getattr(budget, one.name) * factor})
        else:
            machine = Change(one.name, factor).machine(machine)
        with Stopwatch() as watch:
            solution = optimum(case, machine, budget)
        slope = -float("inf") if solution is None else log(solution.value / base.value) / log(factor)
        found.append((slope, watch.cpu_s))
    return found


def measured(case: Case) -> dict[str, Any]:
    """One case: its brackets, and the slopes of its re-solves."""
    budget = dlco.Budget()
    if case.tight is not None:
        fastest = optimum(replace(case, objective="latency"), case.machine, budget)
        assert fastest is not None
        budget = dlco.Budget(latency_s=case.tight * fastest.value)
    base = optimum(case, case.machine, budget)
    assert base is not None
    with Stopwatch() as watch:
        brackets = sensitivities(base)
    rows, seconds = [], 0.0
    for one in brackets:
        pairs = changes(case, base, one)
        seconds += sum(taken for _, taken in pairs)
        slopes = [slope for slope, _ in pairs]
        inside = all(one.low - ROUNDING <= slope <= one.high + ROUNDING for slope in slopes)
        rows.append([one.name, one.elasticity, one.low, one.high, *slopes, inside])
    return {
        "case": f"{case.layer.name} on {case.machine.name}, {case.objective}"
        + (f" within {case.tight:g} of the least latency" if case.tight else ""),
        "rows": rows,
        "seconds": watch.cpu_s,
        "re_solve_seconds": seconds,
    }


def questions() -> Iterator[tuple[HardwareSpace, dlco.Budget]]:
    """ResNet-18 within 4 mm2, and within an area that binds, MAC units and a ratio of capacities."""
    yield generic_space(wires=False), dlco.Budget(area_mm2=4.0)
    ratio = "GlobalBuffer.capacity <= 2048 * RegisterFile.capacity"
    yield generic_space(wires=False).subject_to(ratio), dlco.Budget(area_mm2=1.5, pe_count=768)


def measured_in_space(space: HardwareSpace, budget: dlco.Budget) -> dict[str, Any]:
    """One question: the brackets of its limits, and the slopes of what re-solves find."""
    net = dlco.networks.resnet18()
    with Stopwatch() as solving:
        base = dlco.solve(net, space, "edp", budget)
    with Stopwatch() as watch:
        brackets = {one.name: one for one in base.sensitivities if one.anew}
    opened, others, figures = space_figures(space, budget)
    rows, seconds = [], 0.0
    for figure in figures:
        one = brackets[figure.name]
        for factor in one.factors:
            if factor == 1:
                continue
            change, within = figure.changed(factor, others)
            with Stopwatch() as own:
                value = found_in(net, closed(opened if change is None else change.hardware(opened)), within, base)
            seconds += own.cpu_s
            if (factor > 1) == figure.helps:
                value = min(value, base.value)
            slope = log(value / base.value) / log(factor)
            inside = one.low - ROUNDING <= slope <= one.high + ROUNDING
            rows.append([one.name, one.value, one.value * factor, one.elasticity, one.low, one.high, slope, inside])
            print(rows[-1], f"{own.cpu_s:.1f} s", flush=True)
    limits = [f"area {budget.area_mm2:g} mm2", *([f"{budget.pe_count} MAC units"] if budget.pe_count else [])]
    return {
        "case": f"ResNet-18 in the generic space, {', '.join([*limits, *map(str, space.limits)])}",
        "gap": base.gap,
        "rows": rows,
        "seconds": watch.cpu_s,
        "solve_seconds": solving.cpu_s,
        "re_solve_seconds": seconds,
    }


def found_in(net: list[dlco.Layer], space: HardwareSpace, budget: dlco.Budget, start: Solution) -> float:
    """The best of some machines, all mappings by the exact search: of a short search's, and of those next to the start.

    These are the machine of the space that is nearest to the start's, and those with a size at the end of its grid, a
    step from there.
    """
    nearest = space.brought_within(space.nearest(torch.tensor([p.of(start.architecture) for p in space.parameters])))
    steps = [nearest]
    for at, parameter in enumerate(space.parameters):
        for end in (0, len(parameter.grid) - 1):
            if abs(int(nearest[at]) - end) == 1:
                steps.append(nearest.clone())
                steps[-1][at] = end
    machines = [space.architecture_at(index) for index in torch.stack(steps)[space.within(torch.stack(steps))]]
    machines.append(dlco.solve(net, space, "edp", budget, effort=SHORT, start=start, bound=False).architecture)
    found = [float("inf")]
    for machine in dict.fromkeys(machines):
        if machine != start.architecture and not any(use.broken for use in budget.machine_uses(machine)):
            found.append(dlco.solve(net, machine, "edp", budget, imperfect=False).value)
    kept = start.architecture in machines and not any(use.broken for use in budget.machine_uses(start.architecture))
    return min([*found, start.value]) if kept else min(found)


def payload(found: list[dict[str, Any]], spaces: list[dict[str, Any]]) -> dict[str, Any]:
    """What is shown of all cases."""
    rows = [row for case in found for row in case["rows"]]
    solves = 2 * len(rows)
    inside = sum(row[-1] for row in rows)
    finite = [row for row in rows if row[2] > -float("inf")]
    widths = sorted(row[3] - row[2] for row in finite)
    table = [
        [
            case["case"],
            2 * len(case["rows"]),
            sum(row[-1] for row in case["rows"]),
            min(row[1] for row in case["rows"]),
            case["seconds"],
            case["re_solve_seconds"],
        ]
        for case in found
    ]
    changed = [row for case in spaces for row in case["rows"]]
    within = sum(row[-1] for row in changed)
    return {
        "title": "What one per cent more is worth",
        "text": "The bracket of every capacity, bandwidth and limit (`Solution.sensitivities`, one bound a case) and "
        "the true optimum before and after the figure is made 5 % larger and smaller, by the exact search. Slopes are "
        "per cent of the objective for one per cent of the figure. In spaces, every limit on the machine is changed "
        "(ends of grids by a step), the machine chosen anew, and ResNet-18 solved again from the solution.",
        "tables": [
            {
                "title": "Cases",
                "head": [
                    "case",
                    "re-solves",
                    "figures inside",
                    "steepest slope of the bound",
                    "CPU s",
                    "CPU s of re-solves",
                ],
                "rows": table,
            },
            {
                "title": "Brackets",
                "head": ["figures", "inside", "median width", "not known below"],
                "rows": [[len(rows), inside, widths[len(widths) // 2], len(rows) - len(finite)]],
            },
            {
                "title": "Spaces",
                "head": ["question", "gap", "re-solves", "inside", "CPU s", "CPU s of solve", "of re-solves"],
                "rows": [
                    [case["case"], case["gap"], len(case["rows"]), sum(row[-1] for row in case["rows"])]
                    + [case[name] for name in ("seconds", "solve_seconds", "re_solve_seconds")]
                    for case in spaces
                ],
            },
            *[
                {
                    "title": f"Limits: {case['case']}",
                    "head": ["limit", "now", "then", "slope of the bound", "at least", "at most", "found", "inside"],
                    "rows": [[_plain(cell) for cell in row] for row in case["rows"]],
                }
                for case in spaces
            ],
        ],
        "targets": [
            {
                "name": f"changes of the true optimum within their brackets, of {solves} re-solves",
                "target": f"all, of at least {RE_SOLVES}",
                "value": f"{2 * inside} of {solves}",
                "met": inside == len(rows) and solves >= RE_SOLVES,
            },
            {
                "name": f"changes of what is found in spaces within their brackets, of {len(changed)} re-solves",
                "target": f"all, of at least {IN_SPACES}",
                "value": f"{within} of {len(changed)}",
                "met": within == len(changed) >= IN_SPACES,
            },
        ],
        "data": [case | {"rows": [[_plain(cell) for cell in row] for row in case["rows"]]} for case in found + spaces],
    }


def _plain(cell: Any) -> Any:
    return None if cell in (float("inf"), -float("inf")) else cell


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    found = []
    for case in cases():
        found.append(measured(case))
        print(found[-1]["case"], f"{found[-1]['seconds']:.1f} s", all(row[-1] for row in found[-1]["rows"]), flush=True)
    result = payload(found, [measured_in_space(*question) for question in questions()])
    show(result)
    save_results("sensitivities", result)


if __name__ == "__main__":
    main()
