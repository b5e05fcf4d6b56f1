"""Efforts that tests share: a tiny problem needs no more."""

from dlco.search.evolution import FleetEffort
from dlco.search.local_search import Effort

FLEET = FleetEffort(generations=3, machines=4, guided=8, mappings=Effort(rounds=4), longer=Effort(rounds=6, islands=2))
