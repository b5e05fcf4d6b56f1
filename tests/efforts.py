"""Efforts that tests share: a tiny problem needs no more."""

from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort

EVOLUTION = EvolutionEffort(
    generations=3, machines=4, near_bound=8, mappings=Effort(rounds=4), longer=Effort(rounds=6, islands=2)
)
