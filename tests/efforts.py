"""Efforts that tests share: a tiny problem needs no more."""

from dlco.exact import MachineEffort
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort

EVOLUTION = EvolutionEffort(
    generations=3, machines=4, near_bound=8, mappings=Effort(rounds=4), longer=Effort(rounds=6, islands=2)
)
NO_BOXES = MachineEffort(boxes=0)  # where what is proved about machines is not the question
