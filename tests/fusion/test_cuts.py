"""Tiles of every size at once, against each size by itself."""

import random
from itertools import permutations, product

import numpy as np
import pytest

from dlco.fusion.cuts import cuts_of, rooms, uncut
from dlco.workload.tiling import KEPT, RECOMPUTED, STREAMED, Tiled, Tiling

from ..simulate.test_chain import Convolutions


@pytest.mark.parametrize("seed", range(8))
def test_every_size_is_what_it_is_by_itself(seed: int) -> None:
    rng = random.Random(seed)
    chain = Convolutions(rng, batch=rng.choice((1, 2)), padded=rng.random() < 0.7).chain
    for dim in chain.axes:
        for kept in (True, False):
            cuts = cuts_of(chain, dim, kept=kept)
            for size in range(1, chain.problems[-1].sizes[dim] + 1):
                spans, own = chain.spans(dim, size, kept=kept), cuts.only(size, size)
                found = [own.box, own.overlap, own.extent, own.runs, own.computed]
                for layer in range(len(chain.problems)):
                    counted = spans.extents[layer]
                    within = [spans.box[layer], kept * spans.overlap[layer]] if layer < len(chain.problems) - 1 else []
                    along = [max(counted), counted.total(), sum(n * times for n, times in counted.items())]
                    assert [values[layer, 0] for values in found][2 - len(within) :] == [*within, *along]


@pytest.mark.parametrize("seed", range(8))
def test_rooms_are_what_every_tiling_holds_by_itself(seed: int) -> None:
    rng = random.Random(seed)
    chain = Convolutions(rng, batch=rng.choice((1, 2)), padded=rng.random() < 0.7).chain
    last, layers = chain.problems[-1].sizes, range(len(chain.problems))
    for halo in (KEPT, RECOMPUTED):
        cuts = {dim: cuts_of(chain, dim, kept=halo == KEPT) for dim in chain.axes}
        for some in (*((dim,) for dim in cuts), *permutations(cuts, 2)):
            outer, inner, *_ = (*(cuts[dim] for dim in some), uncut(chain))
            found = rooms(chain, outer, inner)
            for sizes in product(*(range(1, last[dim] + 1) for dim in some)):
                tiled = Tiled(chain, Tiling(tuple(zip(some, sizes, strict=True)), halo, STREAMED))
                held = max(tiled.held(layer) for layer in layers)
                assert found[sizes[0] - 1, (sizes[1] if len(some) > 1 else 1) - 1] == held


def test_ranges_have_the_least_of_their_sizes_and_the_greatest_extent() -> None:
    chain = Convolutions(random.Random(3), batch=1, padded=True).chain
    dim = max(chain.axes, key=lambda dim: chain.problems[-1].sizes[dim])
    cuts, bound = cuts_of(chain, dim, kept=True), chain.problems[-1].sizes[dim]
    some = cuts.ranged([(0, 0), (1, bound - 1)])
    assert np.array_equal(some.runs, np.stack([cuts.runs[:, 0], cuts.runs[:, 1:].min(1)], 1))
    assert np.array_equal(some.extent, np.stack([cuts.extent[:, 0], cuts.extent[:, 1:].max(1)], 1))
