"""CMA-ES in two levels: one (pycma) over the hardware, and for each of its machines one a layer over the mappings.

As NAAS (Lin et al., DAC 2021): sizes and mappings are importance vectors. The outer vector places every size on its
grid. The inner one holds an importance for each slot and dimension, whose softmax says which share of the dimension's
prime factors the slot takes, and one for each loop of a level; sorted, these are the loop order. Given beyond that:
what does not fit is moved outwards, inner searches start from the best mapping found for their layer so far, every
mapping that they evaluate may be chosen for the network, and a machine over the area limit is not mapped at all.
"""

import warnings
from typing import Any

import numpy as np
import torch

from baselines.evaluator import Evaluator, Mapped
from baselines.mappings import draw_prices, move_out
from baselines.problem import Task
from dlco.search.group import Group
from dlco.search.score import BROKEN

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import cma

MACHINES = 8  # of an outer generation
MAPPINGS = 16  # of an inner generation
GENERATIONS = 10  # of an inner search
ALONE = 4, 8, 4  # of these three, where evaluations are made one after the other
KEPT = 24  # mappings of a generation that the network may choose from
QUIET = {"verbose": -9, "verb_log": 0, "verb_disp": 0}


def search(task: Task, evaluator: Evaluator, seed: int) -> None:
    """Outer generations until the budget is used up; on fixed hardware, inner searches one after the other."""
    generator = torch.Generator().manual_seed(seed)
    machines, *sizes = ALONE if evaluator.alone else (MACHINES, MAPPINGS, GENERATIONS)
    inner = _Inner(task, evaluator, generator, seed, *sizes)
    if not len(task.lengths):
        while True:
            inner.fit(torch.zeros(1, 0, dtype=torch.long))
    limit = task.score.budget.area_mm2
    restarts = 0
    while True:
        options = {**QUIET, "seed": seed * 1009 + restarts + 1, "bounds": [0, 1], "popsize": machines}
        start = torch.rand(len(task.lengths), generator=generator, dtype=torch.float64).numpy()
        outer = cma.CMAEvolutionStrategy(start, 0.3, options)
        restarts += 1
        while not outer.stop():
            points = outer.ask()
            index = (torch.as_tensor(np.array(points)) * task.lengths).long().clamp(max=task.lengths - 1)
            excess = torch.zeros(len(index)) if limit is None else (task.machines(index).area_mm2 / limit).log()
            scores = (BROKEN + excess).double()
            small = excess <= 0
            evaluator.spend(0)
            if bool(small.any()):
                scores[small] = inner.fit(index[small])
            outer.tell(points, scores.tolist())


class _Inner:
    """Searches of all layers' mappings on several machines side by side."""

    def __init__(
        self, task: Task, evaluator: Evaluator, generator: torch.Generator, seed: int, mappings: int, generations: int
    ) -> None:
        self.task, self.evaluator, self.generator = task, evaluator, generator
        self.mappings, self.generations = mappings, generations
        self.seeds = np.random.default_rng(seed)
        self.start = [np.zeros((len(g.layers), _width(g))) for g in task.groups]
        self.best = np.inf
        self.rate = 1e3  # pJ a cycle, of the best design so far

    def fit(self, index: torch.Tensor) -> torch.Tensor:
        """Scores `[machines]` of machines `index` with what the inner searches find."""
        price, cap = draw_prices(self.task, self.rate, len(index), self.generator)
        found = [self._group(g, index, price, cap) for g in range(len(self.task.groups))]
        designs = self.evaluator.settle(index, [mapped for mapped, _ in found])
        at = int(designs.score.argmin())
        if float(designs.score[at]) < self.best:
            self.best, self.rate = float(designs.score[at]), float(designs.rate[at])
            self.start = [means[at] for _, means in found]
        return designs.score

    def _group(self, g: int, index: torch.Tensor, price: torch.Tensor, cap: torch.Tensor) -> tuple[Mapped, np.ndarray]:
        """(the mappings kept, the best vectors `[machines, layers, width]`) of one group."""
        group = self.task.groups[g]
        shape = len(index), len(group.layers)
        searches = [self._strategy(mean) for _ in range(shape[0]) for mean in self.start[g]]
        kept: Mapped | None = None
        for _ in range(self.generations):
            points = [one.ask() for one in searches]
            vectors = torch.as_tensor(np.array(points)).view(*shape, self.mappings, -1)
            assignment, position = _decode(group, vectors)
            fitting = move_out(self.task, g, index, assignment, self.generator)
            mapped = self.evaluator.assess(g, index, fitting, position)
            merits = mapped.merit(price, cap).flatten(0, 1).tolist()
            for one, point, merit in zip(searches, points, merits, strict=True):
                one.tell(point, merit)
            kept = (mapped if kept is None else Mapped.join([kept, mapped])).best(price, cap, KEPT)
        assert kept is not None
        return kept, np.array([one.result.xbest for one in searches]).reshape(*shape, -1)

    def _strategy(self, mean: np.ndarray) -> Any:
        options = {**QUIET, "seed": int(self.seeds.integers(1, 2**31)), "popsize": self.mappings, "CMA_diagonal": True}
        return cma.CMAEvolutionStrategy(mean, 0.5 if mean.any() else 2.0, options)


def _width(group: Group) -> int:
    return (len(group.slot_cell) + group.levels) * group.dims


def _decode(group: Group, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mappings of importance vectors `[machines, layers, n, width]`.

    Along a dimension its prime units lie side by side, each as long as its logarithm, and so do the slots' shares;
    a unit goes to the slot in which its middle is.
    """
    slots = len(group.slot_cell)
    importance = vectors[..., : slots * group.dims].unflatten(-1, (slots, group.dims))
    ends = torch.softmax(importance, -2).cumsum(-2)
    logs = group.primes.double().log()
    same = group.unit_dim[:, :, None] == group.unit_dim[:, None, :]
    before = torch.ones(same.shape[1:], dtype=torch.bool).tril(-1)
    middle = ((same & before) * logs[:, None, :]).sum(-1) + logs / 2
    middle = middle / group.bounds.log().gather(1, group.unit_dim).clamp(min=1e-9)
    column = group.unit_dim[None, :, None, None, :].expand(*vectors.shape[:3], slots, -1)
    assignment = (ends.gather(-1, column) < middle[None, :, None, None, :]).sum(-2).clamp(max=slots - 1)
    keys = vectors[..., slots * group.dims :].unflatten(-1, (group.levels, group.dims))
    return assignment, keys.argsort(-1).argsort(-1).to(torch.int8)
