"""Bayesian optimisation (optuna's TPE) of the hardware, with a search of the mappings inside.

As the literature does co-design (Shi et al., "Learned hardware/software co-design", 2020; Spotlight, HPCA 2023): the
outer optimiser sees the sizes of a machine and what the best mappings found for it come to, a broken limit as a
penalty; each machine's mappings are searched for. Theirs is Bayesian too, in thousands of trials a layer; here it
takes random valid mappings and then, round by round, neighbours of the best, which costs nothing but the evaluations.
Given beyond that: a machine over the area limit is told so without a search, mappings that do not fit are moved
outwards, all that were evaluated may be chosen for the network as a whole, machines come in batches, and the mappings
of the best machines so far are handed on to every other (without that the search ends much worse).

On fixed hardware nothing is left to the outer optimiser, and the inner search runs alone.
"""

from dataclasses import dataclass

import optuna
import torch
from optuna.distributions import BaseDistribution, IntDistribution

from baselines.evaluator import Designs, Evaluator, Mapped
from baselines.mappings import draw_prices, move_out, perturbed, random_mappings
from baselines.problem import Task
from dlco.search.score import BROKEN

MACHINES = 8  # proposed at a time
PROPOSED = 64  # at a time at most, with those over the area limit
STARTUP = 24  # random machines before the model
RANDOM = 64  # random mappings of every layer on each machine
ROUNDS = 16  # of neighbours
BEST = 4  # mappings that have neighbours, and that the network may choose from
NEIGHBOURS = 8  # of each of them
HEIRS = 16  # machines whose mappings are handed on


@dataclass(frozen=True)
class Sizes:
    """How much is looked at at a time, by the names above."""

    machines: int
    startup: int
    random: int
    rounds: int
    neighbours: int
    heirs: int


BATCHED = Sizes(MACHINES, STARTUP, RANDOM, ROUNDS, NEIGHBOURS, HEIRS)
ALONE = Sizes(1, 8, 16, 4, 4, 1)  # where evaluations are made one after the other

Handed = list[tuple[torch.Tensor, torch.Tensor]]  # for each group `[layers, n, units]` and `[layers, n, levels, dims]`


def search(task: Task, evaluator: Evaluator, seed: int) -> None:
    """Propose, map, tell, until the budget is used up."""
    generator = torch.Generator().manual_seed(seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sizes = ALONE if evaluator.alone else BATCHED
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=sizes.startup, multivariate=True, constant_liar=True, seed=seed
    )
    study = optuna.create_study(sampler=sampler)
    rate = 1e3  # pJ a cycle, of the best design so far
    heirs: list[tuple[float, Handed]] = []
    while True:
        trials, index = _propose(task, study, evaluator, sizes.machines)
        price, cap = draw_prices(task, rate, len(index), generator)
        mapped = []
        for g in range(len(task.groups)):
            handed = [heir[g] for _, heir in heirs]
            mapped.append(_inner(task, evaluator, g, index, handed, price, cap, generator, sizes))
        designs = evaluator.settle(index, mapped)
        heirs = sorted([*heirs, *_heirs(designs)], key=lambda heir: heir[0])[: sizes.heirs]
        rate = float(evaluator.best.rate) if evaluator.best is not None else rate
        for trial, score in zip(trials, designs.score.tolist(), strict=False):  # no trials on fixed hardware
            study.tell(trial, score)


def _propose(
    task: Task, study: optuna.Study, evaluator: Evaluator, machines: int
) -> tuple[list[optuna.Trial], torch.Tensor]:
    """So many machines `[n, parameters]`, and the trials that they are (none on fixed hardware)."""
    if not len(task.lengths):
        return [], torch.zeros(1, 0, dtype=torch.long)
    grids: dict[str, BaseDistribution] = {
        str(i): IntDistribution(0, n - 1) for i, n in enumerate(task.lengths.tolist())
    }
    limit = task.score.budget.area_mm2
    trials: list[optuna.Trial] = []
    rows: list[torch.Tensor] = []
    for proposed in range(PROPOSED):
        evaluator.spend(0)
        trial = study.ask(grids)
        row = torch.tensor([trial.params[name] for name in grids])
        excess = 0.0 if limit is None else float((task.machines(row[None]).area_mm2 / limit).log())
        if excess > 0 and (trials or proposed < PROPOSED - 1):
            study.tell(trial, BROKEN + excess)
            continue
        trials.append(trial)
        rows.append(row)
        if len(trials) == machines:
            break
    return trials, torch.stack(rows)


def _heirs(designs: Designs) -> list[tuple[float, Handed]]:
    """Each design's score and its mappings, one a layer."""
    return [
        (score, [(part.assignment[d], part.position[d]) for part in designs.chosen])
        for d, score in enumerate(designs.score.tolist())
    ]


def _inner(
    task: Task,
    evaluator: Evaluator,
    g: int,
    index: torch.Tensor,
    handed: Handed,
    price: torch.Tensor,
    cap: torch.Tensor,
    generator: torch.Generator,
    sizes: Sizes,
) -> Mapped:
    """The best mappings found of every layer of a group on machines `index`."""
    first = random_mappings(task, g, index, sizes.random, generator)
    if handed:
        assignment, position = (
            torch.stack([torch.cat(tables, 1)] * len(index)) for tables in zip(*handed, strict=True)
        )
        assignment = move_out(task, g, index, assignment, generator)
        first = torch.cat([first[0], assignment], 2), torch.cat([first[1], position], 2)
    best = evaluator.assess(g, index, *first).best(price, cap, BEST)
    for _ in range(sizes.rounds):
        wide = torch.arange(BEST).repeat(sizes.neighbours).expand(*best.cycles.shape[:2], -1)
        parents = best.pick(wide)
        assignment, position = perturbed(task.groups[g], parents.assignment, parents.position, generator)
        born = evaluator.assess(g, index, move_out(task, g, index, assignment, generator), position)
        best = Mapped.join([best, born]).best(price, cap, BEST)
    return best
