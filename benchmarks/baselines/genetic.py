"""A genetic algorithm (pymoo's) over one genome that holds the machine and every layer's mapping.

As GAMMA (Kao and Krishna, ICCAD 2020) and DiGamma (DATE 2022): hardware and mappings evolve together, fitness is the
network's objective, limits are penalties. Genes are integers: a grid position a size, a slot a prime unit, and keys
a loop that sort the loops of every level; crossover is uniform, mutation redraws a gene. Given beyond that: a mapping
that does not fit is moved outwards instead of dying, each child's machine may take every layer's mapping from the
child or from some of the parents, whichever serves the network best, and what was chosen goes back into its genes.
"""

from typing import Any

import numpy as np
import torch
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.individual import Individual
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UniformCrossover

from baselines.evaluator import Designs, Evaluator
from baselines.mappings import move_out, random_mappings
from baselines.problem import Task

POPULATION = 48
MATES = 7  # parents whose mappings a child may take
FIRST = 32  # random mappings of every layer that a member of the first generation chooses from
ALONE = 0, 1  # of both, where evaluations are made one after the other: a member has the mappings of its genes
KEYS = 16  # values of a loop's sorting key
SIZE_RATE = 0.15  # chance that a size is redrawn
MAPPING_RATE = 0.02  # chance that a gene of a mapping is


class Redraw(Mutation):
    """Genes drawn anew, each with its own chance."""

    def __init__(self, rates: np.ndarray) -> None:
        super().__init__()
        self.rates = rates

    def _do(self, problem: Problem, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        drawn = random_state.integers(problem.xl, problem.xu + 1, size=X.shape)
        return np.where(random_state.random(X.shape) < self.rates, drawn, X)


class Genome:
    """Where the machine and the mappings lie in a row of genes: sizes, then for each group its slots and its keys."""

    def __init__(self, task: Task) -> None:
        self.task = task
        highest = [task.lengths - 1]
        for group in task.groups:
            highest.append(torch.full((group.primes.numel(),), len(group.slot_cell) - 1))
            highest.append(torch.full((len(group.layers) * group.levels * group.dims,), KEYS - 1))
        self.lengths = [len(part) for part in highest]
        self.highest = torch.cat(highest).numpy()
        self.rates = np.full(len(self.highest), MAPPING_RATE)
        self.rates[: len(task.lengths)] = SIZE_RATE

    def read(self, genes: np.ndarray) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
        """(sizes `[n, parameters]`, for each group assignment `[n, layers, 1, units]` and position with it)."""
        index, *parts = torch.as_tensor(genes).long().split(self.lengths, 1)
        read = []
        for group, slots, keys in zip(self.task.groups, parts[::2], parts[1::2], strict=True):
            places = keys.view(len(keys), len(group.layers), 1, group.levels, group.dims)
            places = places.argsort(dim=-1, stable=True).argsort(-1).to(torch.int8)
            read.append((slots.view(len(slots), len(group.layers), 1, -1), places))
        return index, read

    def write(self, designs: Designs) -> np.ndarray:
        """Genes `[n, genes]` of designs."""
        parts = [designs.index]
        for group, part in zip(self.task.groups, designs.chosen, strict=True):
            parts += [part.assignment.flatten(1), part.position.long().flatten(1) * (KEYS // group.dims)]
        return torch.cat(parts, 1).numpy()


def search(task: Task, evaluator: Evaluator, seed: int) -> None:
    """One generation after the other until the budget is used up."""
    generator = torch.Generator().manual_seed(seed)
    genome = Genome(task)
    first = _first(task, evaluator, generator)
    algorithm = GA(
        pop_size=POPULATION,
        sampling=_population(genome.write(first), first.score),
        crossover=UniformCrossover(),
        mutation=Redraw(genome.rates),
        eliminate_duplicates=False,  # a tiny problem has too few designs for that
    )
    algorithm.setup(Problem(n_var=len(genome.highest), n_obj=1, xl=0, xu=genome.highest), seed=seed)
    while True:
        children = algorithm.ask()
        parents = algorithm.pop.get("X") if algorithm.pop is not None and len(algorithm.pop) else children.get("X")
        designs = _raise(task, evaluator, genome, children.get("X"), parents, generator)
        children.set("X", genome.write(designs))
        children.set("F", designs.score[:, None].numpy())
        algorithm.tell(infills=children)


def _raise(
    task: Task,
    evaluator: Evaluator,
    genome: Genome,
    genes: np.ndarray,
    parents: np.ndarray,
    generator: torch.Generator,
) -> Designs:
    """Children on their own machines, with the best of their own mappings and their mates'."""
    index, own = genome.read(genes)
    _, others = genome.read(parents)
    mates = torch.randint(len(parents), (len(genes), ALONE[0] if evaluator.alone else MATES), generator=generator)
    mapped = []
    for g, (mine, theirs) in enumerate(zip(own, others, strict=True)):
        assignment, position = (
            torch.cat([a, b[mates, :, 0].transpose(1, 2)], 2) for a, b in zip(mine, theirs, strict=True)
        )
        mapped.append(evaluator.assess(g, index, move_out(task, g, index, assignment, generator), position))
    return evaluator.settle(index, mapped)


def _first(task: Task, evaluator: Evaluator, generator: torch.Generator) -> Designs:
    index = task.draw_machines(POPULATION, generator)
    mapped = []
    for g in range(len(task.groups)):
        assignment, position = random_mappings(task, g, index, ALONE[1] if evaluator.alone else FIRST, generator)
        mapped.append(evaluator.assess(g, index, assignment, position))
    return evaluator.settle(index, mapped)


def _population(genes: np.ndarray, score: torch.Tensor) -> Population:
    members = [Individual(X=row) for row in genes]
    for member, value in zip(members, score.tolist(), strict=True):
        member.set("F", np.array([value]))
        member.evaluated.add("F")
    return Population.create(*members)
