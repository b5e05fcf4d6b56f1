"""Mappings: their data, checks, printing and the space of all of them."""

from dlco.hardware.constraints import Constraints, SlotConstraint
from dlco.mapping.checks import check_mapping
from dlco.mapping.loopnest import render_loop_nest
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.mapping.mapspace import MapSpace
from dlco.mapping.row_stationary import row_stationary
from dlco.mapping.tiles import tile_words

__all__ = [
    "Constraints",
    "MapSpace",
    "Mapping",
    "MappingBatch",
    "SlotConstraint",
    "check_mapping",
    "render_loop_nest",
    "row_stationary",
    "tile_words",
]
