"""Discrete search: mappings of layers on machines, and steps from machine to machine.

Mappings of many items (`MappingTable`) are changed by moves of one of two kinds, and the better ones kept
(`local_search`). `DesignSearch` searches the mappings of whole networks on many machines, `refine` imperfect ones on
one machine, `LayerCosts` those of single layers, once each; `explore` and `DesignSearch.descend` go from machine to
machine. What they rank by is `Score`.
"""

from dlco.search.designs import Candidates, Design, DesignSearch, Starts
from dlco.search.earlier import sizes_of, starts_of
from dlco.search.evolution import EvolutionEffort, explore
from dlco.search.group import Group, make_groups
from dlco.search.imperfect import from_tables, refine, to_tables
from dlco.search.layer_costs import LayerCosts, MachineIndex, NetworkPoint, rates_of
from dlco.search.local_search import Effort
from dlco.search.score import BROKEN, LEAST, Score, choose, log_of, rate_of, unit_of
from dlco.search.steps import longest_reach, steps
from dlco.search.table import MappingTable
from dlco.search.unit_moves import random_start

__all__ = [
    "BROKEN",
    "LEAST",
    "Candidates",
    "Design",
    "DesignSearch",
    "Effort",
    "EvolutionEffort",
    "Group",
    "LayerCosts",
    "MachineIndex",
    "MappingTable",
    "NetworkPoint",
    "Score",
    "Starts",
    "choose",
    "explore",
    "from_tables",
    "log_of",
    "longest_reach",
    "make_groups",
    "random_start",
    "rate_of",
    "rates_of",
    "refine",
    "sizes_of",
    "starts_of",
    "steps",
    "to_tables",
    "unit_of",
]
