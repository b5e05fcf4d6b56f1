"""What words take over networks, as tables: what `dlco.cost.wires` counts on one machine."""

from collections.abc import Sequence

import numpy as np

from dlco.exact.lattice import Bools, Floats
from dlco.hardware.architecture import Level
from dlco.hardware.network import Network, ways


def wire_tables(levels: Sequence[Level], kept: Bools) -> tuple[Floats, Floats]:
    """(`[levels, T]` pJ a word that a level serves, `[levels + 1, T]` pJ a word that one takes or gives; MACs last).

    Args:
        levels: of the machine.
        kept: `[levels, T]`.
    """
    networks = [level.network or Network() for level in levels]
    far, near = np.zeros(kept.shape), np.zeros((len(levels) + 1, kept.shape[1]))
    for way in ways(kept.tolist(), [network.step_pj > 0 for network in networks]):
        bits = levels[way.parent].word_bits
        far[way.parent, way.space] = bits * sum(networks[one].reach_pj for one in way.far)
        step = 0.0 if way.step is None else networks[way.step].step_pj
        near[way.child, way.space] = bits * (step + sum(networks[one].reach_pj for one in way.near))
    return far, near
