"""NSGA-II (Deb et al., IEEE Transactions on Evolutionary Computation 2002) over pairs, by pymoo.

Two goals, the objective and the accuracy (accuracy and EDP where accuracy is the objective), and one constraint, by how
much the limits are broken. Individuals are pairs; networks cross over decision by decision, where they have decisions
and the child is valid, machines size by size.
"""

from typing import Any

import numpy as np
import torch
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import ElementwiseDuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination
from pymoo.optimize import minimize

from dlco.nas.evaluator import Evaluator
from dlco.nas.methods.local_search import walk
from dlco.nas.request import CoRequest, Pair
from dlco.search import BROKEN, LEAST

POPULATION = 40
MUTATED = 0.9  # share of the children that are mutated, by one to three changes


def search(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """Generations of NSGA-II until the evaluations are spent."""
    generator = torch.Generator().manual_seed(seed)
    algorithm = NSGA2(
        pop_size=min(POPULATION, max(4, evaluator.left // 4)),
        sampling=_Sample(request, generator),
        crossover=_Cross(request, generator),
        mutation=_Mutate(request, generator),
        eliminate_duplicates=_Same(),
    )
    minimize(_Pairs(request, evaluator), algorithm, NoTermination(), seed=seed)


class _Pairs(Problem):
    def __init__(self, request: CoRequest, evaluator: Evaluator) -> None:
        super().__init__(n_var=1, n_obj=2, n_ieq_constr=1, vtype=object)
        self.request, self.evaluator = request, evaluator

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: object, **kwargs: object) -> None:
        found = self.evaluator.evaluate(list(x[:, 0]))
        goal = self.request.cost_objective
        cost = [self.request.value(one) if self.request.weights else one.cost.objective(goal) for one in found]
        out["F"] = np.array([[np.log(max(c, LEAST)), -one.accuracy] for c, one in zip(cost, found, strict=True)])
        out["G"] = np.array([[0.0 if one.feasible else one.merit - BROKEN] for one in found])


class _Sample(Sampling):
    def __init__(self, request: CoRequest, generator: torch.Generator) -> None:
        super().__init__()
        self.request, self.generator = request, generator

    def _do(self, problem: object, n_samples: int, **kwargs: object) -> np.ndarray:
        pairs = np.empty((n_samples, 1), dtype=object)
        pairs[:, 0] = self.request.sample_pairs(n_samples, self.generator)
        return pairs


class _Cross(Crossover):
    def __init__(self, request: CoRequest, generator: torch.Generator) -> None:
        super().__init__(2, 2)
        self.request, self.generator = request, generator

    def _do(self, problem: object, X: np.ndarray, **kwargs: object) -> np.ndarray:
        children = np.empty_like(X)
        for i in range(X.shape[1]):
            one, other = X[0, i, 0], X[1, i, 0]
            networks = self._mixed(one.network, other.network)
            crossed = torch.tensor(self._crossed(one.machine, other.machine), dtype=torch.long)
            machines = self.request.machines.brought_within(crossed).tolist()
            for child in range(2):
                children[child, i, 0] = Pair(networks[child], tuple(machines[child]))
        return children

    def _mixed(self, one: Any, other: Any) -> tuple[Any, Any]:
        """Two networks of both: decision by decision, or exchanged whole where that is no network."""
        if self.request.space.decisions:
            a, b = self._crossed(one, other)
            if self.request.space.is_valid(a) and self.request.space.is_valid(b):
                return a, b
        return other, one

    def _crossed(self, one: tuple[int, ...], other: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        swap = (torch.rand(len(one), generator=self.generator) < 0.5).tolist()
        rows = [(b, a) if s else (a, b) for a, b, s in zip(one, other, swap, strict=True)]
        return tuple(a for a, _ in rows), tuple(b for _, b in rows)


class _Mutate(Mutation):
    def __init__(self, request: CoRequest, generator: torch.Generator) -> None:
        super().__init__()
        self.request, self.generator = request, generator

    def _do(self, problem: object, X: np.ndarray, **kwargs: object) -> np.ndarray:
        changed = X.copy()
        for i in range(len(X)):
            if float(torch.rand((), generator=self.generator)) < MUTATED:
                changes = 1 + int(torch.randint(3, (), generator=self.generator))
                changed[i, 0] = walk(self.request, X[i, 0], changes, self.generator)
        return changed


class _Same(ElementwiseDuplicateElimination):
    def is_equal(self, a: Any, b: Any) -> bool:
        """Whether two individuals are one pair."""
        return bool(a.X[0] == b.X[0])
