"""What tilings hold and compute again at least, against every tiling of random chains."""

import random
from dataclasses import replace
from itertools import permutations, product
from math import inf

import pytest

from dlco.fusion.halos import halos_of
from dlco.workload.tiling import KEPT, RECOMPUTED, Tiled, Tiling

from ..simulate.test_chain import Convolutions


@pytest.mark.parametrize("seed", range(6))
def test_no_tiling_holds_less_or_computes_less_again(seed: int) -> None:
    rng = random.Random(seed)
    chain = Convolutions(rng, batch=rng.choice((1, 2)), padded=rng.random() < 0.7).chain
    last, found = chain.problems[-1].sizes, halos_of(chain)
    again = replace(found, kept=inf)
    long = [dim for dim in chain.axes if last[dim] > 1]
    for cut in [*((dim,) for dim in long), *permutations(long, 2)]:
        for sizes in product(*(range(1, last[dim] + 1) for dim in cut)):
            for halo, least in ((KEPT, found), (RECOMPUTED, found), (RECOMPUTED, again)):
                tiled = Tiled(chain, Tiling(tuple(zip(cut, sizes, strict=True)), halo))
                layers = range(len(chain.problems))
                work = least.least_work(max(map(tiled.held, layers)))
                assert work is not None
                assert all(work[i] <= tiled.macs(i) / chain.problems[i].macs * (1 + 1e-9) for i in layers)
    assert found.least_work(0) is None
