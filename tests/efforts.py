"""Efforts that tests share: a tiny problem needs no more."""

from dlco.bound import BoundEffort
from dlco.exact import MachineEffort
from dlco.optimize import SolveEffort
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort

EVOLUTION = EvolutionEffort(
    generations=3, machines=4, near_bound=8, mappings=Effort(rounds=4), longer=Effort(rounds=6, islands=2)
)
NO_BOXES = MachineEffort(boxes=0)  # where what is proved about machines is not the question
FEW_ROUNDS = Effort(rounds=4, patience=2, population=2, neighbours=4)
BRIEF = SolveEffort(  # where any design will do, a proof of some bound included
    starts=0,
    survey=2,
    evolution=EvolutionEffort(generations=0),
    machines=1,
    roundings=1,
    steps=0,
    fit=FEW_ROUNDS,
    polish=FEW_ROUNDS,
    polishes=1,
    bound=BoundEffort(nodes=6, side=2, rounds=1, boxes=0),
    boxes=NO_BOXES,
)
