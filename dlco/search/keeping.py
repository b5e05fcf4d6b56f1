"""Mappings under other bypasses than the stated ones, where no exact search says which levels keep what.

What a level keeps is no move of the local search: each choice of it is a search of its own, as under a constraint. So
the choices are stepped through, layer by layer: from the best choice so far to those that keep one dataspace more or
less at one level, as long as that helps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import torch

from dlco.design.objective import Objective
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.kept import free_levels
from dlco.mapping.mapping import Mapping
from dlco.search.layer_costs import LayerCosts
from dlco.search.score import Score
from dlco.workload.problem import Problem

ROUNDS = 4  # steps from the stated choice at most

Keep = frozenset[tuple[str, str]]
"""(level, dataspace) pairs that are bypassed beyond what is stated."""


@dataclass(frozen=True)
class Tried:
    """What a search over bypasses has found: mappings by problem, and how many were evaluated."""

    mappings: dict[Problem, tuple[Mapping, ...]]
    evaluations: int


def try_bypasses(
    problems: Sequence[Problem],
    architecture: Architecture,
    score: Score,
    constraints: Constraints | None = None,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    tick: Callable[[float], None] = lambda share: None,
) -> Tried:
    """Search layers' mappings under what each level may bypass beyond what is stated, the stated choice included.

    Args:
        problems: distinct layers.
        architecture: the machine.
        score: what trade-offs of energy and cycles are searched for.
        constraints: what is fixed of the mappings; levels that these or the machine's own say something of stay as
            they are (`dlco.mapping.kept.free_levels`).
        seed: of the searches.
        device: where they run.
        tick: told the share of the work done.
    """
    found: dict[Problem, list[Mapping]] = {problem: [] for problem in problems}
    best: dict[Problem, tuple[float, Keep]] = {problem: (inf, frozenset()) for problem in problems}
    tried: dict[Problem, set[Keep]] = {problem: set() for problem in problems}
    wanted: dict[Keep, list[Problem]] = {frozenset(): list(problems)}
    evaluations = 0
    for step in range(ROUNDS + 1):
        improved = set()
        for number, (keep, some) in enumerate(wanted.items()):
            tick((step + number / len(wanted)) / (ROUNDS + 1))
            costs = LayerCosts(architecture, score, seed=seed, device=device, constraints=_with(constraints, keep))
            costs.search((problem, ()) for problem in some)
            evaluations += costs.evaluations
            for problem in some:
                tried[problem].add(keep)
                points = costs.points(problem, ())
                found[problem] += [costs.mapping(problem, (), k) for k in range(len(points.cycles))]
                value = _least(score, points.energy_pj, points.cycles)
                if value < best[problem][0]:
                    best[problem] = value, keep
                    improved.add(problem)
        wanted = {}
        for problem in problems:
            if problem in improved or (step == 0 and best[problem][0] == inf):  # as stated nothing may fit
                for keep in _steps(problem, architecture, constraints, best[problem][1]):
                    if keep not in tried[problem]:
                        wanted.setdefault(keep, []).append(problem)
    return Tried({problem: tuple(dict.fromkeys(mappings)) for problem, mappings in found.items()}, evaluations)


def _steps(problem: Problem, machine: Architecture, constraints: Constraints | None, keep: Keep) -> list[Keep]:
    """The choices that bypass one dataspace more or less at one level."""
    free = free_levels(machine, constraints)
    return [
        keep ^ {(level.name, space.name)}
        for level in machine.levels
        if level.name in free
        for space in problem.dataspaces
        if space.name not in level.bypass
    ]


def _with(constraints: Constraints | None, keep: Keep) -> Constraints | None:
    """Constraints with bypasses of levels that they say nothing of."""
    levels = sorted({level for level, _ in keep})
    more = tuple((level, frozenset(name for one, name in keep if one == level)) for level in levels)
    return (constraints or Constraints()).joined(Constraints(bypass=more)) if more else constraints


def _least(score: Score, energy_pj: torch.Tensor, cycles: torch.Tensor) -> float:
    """The least of a layer's own objective among points `[n]`; of an area, which none changes, of the EDP."""
    goal = Objective.EDP if score.objective is Objective.AREA else score.objective
    return float(goal.product(energy_pj, cycles, 0 * cycles).min()) if len(cycles) else inf
