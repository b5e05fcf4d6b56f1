"""Tilings next to one: sizes by a half more or less, or a little; other halos, weights and orders; other chains."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from dlco.fusion.chains import Fused, Uncut, manners_of
from dlco.workload.tiling import Tiled, Tiling

STEPS = (1, 2, 4)  # elements by which a size is changed


def nearby(fused: Fused, chains: Sequence[Uncut]) -> Iterator[Fused]:
    """Chains in tiles that differ from one in a size or two, in another choice, or in where the chain begins or ends.

    Args:
        fused: what is on the plan.
        chains: of the network, that may be cut.
    """
    beside = [one for one in chains if one.level == fused.level and one.first <= fused.last and fused.first <= one.last]
    for one in beside:
        same = (one.first, one.last) == (fused.first, fused.last)
        for tiling in _varied(fused.tiled.tiling, one) if same else [fused.tiled.tiling]:
            if _is_allowed(tiling, one):
                yield Fused(one.first, one.last, Tiled(one.chain, tiling), one.level)


def _varied(tiling: Tiling, one: Uncut) -> Iterator[Tiling]:
    """Of a chain, one thing changed."""
    sizes = dict(tiling.cut)
    last = one.chain.problems[-1].sizes
    for cut, halo, weights in manners_of(one.chain):
        if set(cut) <= set(sizes) or set(sizes) <= set(cut):
            yield Tiling(tuple((dim, sizes.get(dim, last[dim] // 2)) for dim in cut), halo, weights)
    for at, (dim, size) in enumerate(tiling.cut):
        for n in _sizes(size):
            yield replace(tiling, cut=(*tiling.cut[:at], (dim, n), *tiling.cut[at + 1 :]))
    if len(tiling.cut) > 1:  # all of them by a half
        for both in product(*([(dim, -(-size // 2)), (dim, 2 * size)] for dim, size in tiling.cut)):
            yield replace(tiling, cut=both)


def _sizes(size: int) -> list[int]:
    found = {size + way * step for step in STEPS for way in (-1, 1)} | {
        -(-size // 2),
        2 * size,
        -(-2 * size // 3),
        3 * size // 2,
    }
    return sorted(n for n in found if n > 0)


def _is_allowed(tiling: Tiling, one: Uncut) -> bool:
    """Whether a chain may be cut so, whatever room it takes."""
    last = one.chain.problems[-1].sizes
    if any(dim not in one.chain.axes or not 0 < size < last[dim] for dim, size in tiling.cut):
        return False
    return one.allows(tiling)
