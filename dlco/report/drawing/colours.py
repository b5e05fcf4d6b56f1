"""Colours, hatches and marks that any eye and a grey print tell apart.

The hues are Okabe and Ito's (jfly.uni-koeln.de/color, 2008), ordered so that neighbours in a stack differ in lightness.
"""

from matplotlib.patches import Patch

from dlco.hardware.architecture import Architecture
from dlco.report.drawing.words import plain

BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
)
GREY, DARK, BLACK = "#BBBBBB", "#555555", "#000000"
MAC_COLOUR, WIRE_COLOUR, LEAK_COLOUR, DRAM_COLOUR = GREY, DARK, BLACK, BLUE
_LEVELS = (YELLOW, VERMILLION, SKY, GREEN, ORANGE, PURPLE)
HATCHES = ("", "////", "xxxx", "----", "||||")  # one a dataspace; of straight lines, which take little room
MARKERS = ("s", "^", "D", "v", "P", "X")  # one a level


def level_colours(architecture: Architecture) -> dict[str, str]:
    """A colour for every storage level, DRAM always the same."""
    inner = [level.name for level in architecture.levels if level.kind != "DRAM"]
    colours = {name: _LEVELS[i % len(_LEVELS)] for i, name in enumerate(inner)}
    return {level.name: colours.get(level.name, DRAM_COLOUR) for level in architecture.levels}


def hatch_of(index: int) -> str:
    """The hatch of the dataspace at a place among all."""
    return HATCHES[index % len(HATCHES)]


def patch(colour: str, label: str, hatch: str = "") -> Patch:
    """An entry of a legend."""
    return Patch(facecolor=colour, hatch=hatch, edgecolor=BLACK, lw=0.4, label=plain(label))
