"""Random search: hardware in the outer loop, mappings in the inner one, both uniform.

As in Timeloop's random mapper (Parashar et al., ISPASS 2019) under a random draw of machines, the usual yardstick
of co-design. Given beyond that: machines over the area limit are redrawn at no cost, no draw of a mapping is lost
(what does not fit is moved outwards), and each machine's mappings are chosen for the network as a whole.
"""

import torch

from baselines.evaluator import Evaluator
from baselines.mappings import random_mappings
from baselines.problem import Task

MACHINES = 4  # at a time
MAPPINGS = 512  # of every layer on each machine
ALONE = 1, 100  # machines and mappings, where evaluations are made one after the other


def search(task: Task, evaluator: Evaluator, seed: int) -> None:
    """Draw until the budget is used up."""
    generator = torch.Generator().manual_seed(seed)
    machines, mappings = ALONE if evaluator.alone else (MACHINES, MAPPINGS)
    while True:
        index = task.draw_machines(machines if len(task.lengths) else 1, generator)
        evaluator.settle(
            index,
            [
                evaluator.assess(g, index, *random_mappings(task, g, index, mappings, generator))
                for g in range(len(task.groups))
            ],
        )
