"""Generations of machines: what they end with, against spaces in which every machine and every mapping is listed."""

from collections.abc import Sequence
from math import exp, inf

import pytest
import torch

from dlco import Budget, InvalidInput
from dlco.hardware.space import HardwareSpace
from dlco.search.designs import Design, DesignSearch, Starts
from dlco.search.evolution import EvolutionEffort, Prospect, explore
from dlco.search.group import make_groups
from dlco.search.local_search import Effort
from dlco.search.score import BROKEN, Score
from dlco.search.unit_moves import random_start
from dlco.workload import Layer

from ..exhaustive import optimum

EFFORT = EvolutionEffort(
    generations=8, patience=8, machines=4, every=2, near_bound=4, mappings=Effort(rounds=10, patience=10, islands=3)
)
BUDGETS = {
    "edp": Budget(area_mm2=0.0079),
    "latency": Budget(area_mm2=0.0079),
    "area": Budget(latency_s=1e-7),
}


class Bench:
    """A workbench over a small space, which notes every machine that is fitted."""

    def __init__(self, network: Sequence[Layer], space: HardwareSpace, objective: str, budget: Budget, seed: int = 0):
        self.groups = make_groups(tuple(network), space.base, space.free_fanouts)
        score = Score(objective, budget, space.base.cycle_s)
        self.fitted: list[Design] = []
        self.work = DesignSearch(self.groups, space, score, seed, self.fitted.append)
        self.generator = torch.Generator().manual_seed(seed)
        self.refined: list[Design] = []

    def seeds(self) -> Starts:
        """Random mappings of every layer."""
        rows = [torch.arange(len(group.layers)) for group in self.groups]
        pairs = [random_start(g, row, 16, self.generator) for g, row in zip(self.groups, rows, strict=True)]
        return Starts([a for a, _ in pairs], [p for _, p in pairs], 1e3)

    def refine(self, design: Design) -> Design:
        """The same machine again, from random mappings."""
        self.refined.append(design)
        return self.work.fit(design.index[None], [self.seeds()], EFFORT.longer)[0]

    def explore(self, effort: EvolutionEffort = EFFORT) -> list[Design]:
        """From one machine, the smallest."""
        first = torch.zeros(len(self.work.hardware.parameters), dtype=torch.long)
        return explore(self.work, [first], self.seeds(), effort, self.refine, self.generator)


def places(designs: Sequence[Design]) -> list[tuple[int, ...]]:
    """Grid positions."""
    return [tuple(design.index.tolist()) for design in designs]


@pytest.mark.parametrize("objective", BUDGETS)
def test_the_best_of_a_small_space_is_found(network: list[Layer], space: HardwareSpace, objective: str) -> None:
    budget = BUDGETS[objective]
    least = optimum(network, space, objective, budget)
    assert least < inf, "the budget leaves something"
    best = Bench(network, space, objective, budget).explore()
    assert best[0].score < BROKEN
    unit = space.base.cycle_s if objective == "latency" else 1.0
    assert exp(best[0].score) * unit == pytest.approx(least, rel=1e-3)


@pytest.mark.parametrize("objective", BUDGETS)
def test_machines_are_left_out_only_where_they_cannot_be_better(
    network: list[Layer], space: HardwareSpace, objective: str
) -> None:
    """Every machine of the space that has no prospect beside some design is listed out: nothing on it is better."""
    budget = BUDGETS[objective]
    bench = Bench(network, space, objective, budget)
    every = torch.cartesian_prod(*(torch.arange(len(parameter.grid)) for parameter in space.parameters))
    design = bench.work.fit(every[len(every) // 3][None], [bench.seeds()], EFFORT.mappings)[0]
    value = inf
    if design.score < BROKEN:
        totals = (design.energy_pj, design.cycles, design.area_mm2)
        values = [torch.tensor(one, dtype=torch.float64) for one in totals]
        value = float(bench.work.score.value(*values))
    left_out = 0
    for index in every[~Prospect(bench.work, design)(every)]:
        left_out += 1
        there = space.architecture(space.index_to_sizes(index))
        unit = space.base.cycle_s if objective == "latency" else 1.0
        assert optimum(network, there, objective, budget) / unit >= exp(value) * (1 - 1e-4)
    assert left_out, "some machine is left out, or this shows nothing"


def test_no_machine_is_proposed_twice(network: list[Layer], space: HardwareSpace) -> None:
    """Beside those that are searched again on purpose: four a generation, and the refined ones."""
    bench = Bench(network, space, "edp", Budget())
    best = bench.explore()
    tried = places(bench.fitted)
    assert len(set(tried)) > EFFORT.machines
    assert len(set(places(best))) == len(best), "each machine once"
    assert [design.score for design in best] == sorted(design.score for design in best)
    assert len(tried) - len(set(tried)) <= EFFORT.generations * EFFORT.machines + len(bench.refined)


def test_other_machines_are_refined_in_turn(network: list[Layer], space: HardwareSpace) -> None:
    bench = Bench(network, space, "edp", Budget())
    bench.explore()
    first = places(bench.refined)[:3]
    assert len(first) == 3
    assert len(set(first)) == 3


def test_the_same_seed_gives_the_same_machines(network: list[Layer], space: HardwareSpace) -> None:
    one, two = (Bench(network, space, "edp", Budget(), seed=3).explore() for _ in range(2))
    assert places(one) == places(two)
    assert [design.score for design in one] == [design.score for design in two]


def test_no_generation_finds_nothing(network: list[Layer], space: HardwareSpace) -> None:
    assert Bench(network, space, "edp", Budget()).explore(EvolutionEffort(generations=0)) == []


@pytest.mark.parametrize("field", ["generations", "patience", "machines", "every", "near_bound"])
@pytest.mark.parametrize("value", [-1, 1.5, "8", True])
def test_effort_must_be_counts(field: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=field):
        EvolutionEffort(**{field: value})  # type: ignore[arg-type]
