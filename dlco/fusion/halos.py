"""What every tiling of a chain holds at least between tiles, or computes again.

Where halos are kept, a memory holds the first tile's results beside what the second one needs of them; where they are
computed again, what both sides of each boundary between tiles need is computed twice. Sizes of tiles are taken in
ranges, the room of the least and the work of whichever needs least.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import ceil, prod

import numpy as np

from dlco.exact.lattice import Floats
from dlco.workload.chain import Axis, Chain

RATIO = 1.1  # between the sizes of a range, about


@dataclass(frozen=True, eq=False)
class Halos:
    """What tilings of a chain along one dimension or two need at least.

    Attributes:
        kept: words of the least room where halos are kept.
        rooms: `[n]` words where they are computed again, by ranges of sizes.
        work: `[n, layers]` MACs then, over the layers'.
    """

    kept: float
    rooms: Floats
    work: Floats

    def least_work(self, room: float) -> Floats | None:
        """`[layers]` MACs over the layers' of tilings that take so many words at most; None where there is none."""
        if self.kept <= room:
            return np.ones(self.work.shape[1])
        some = self.rooms <= room
        return self.work[some].min(0) if some.any() else None


@lru_cache(maxsize=4096)
def halos_of(chain: Chain) -> Halos:
    """Of all tilings of a chain."""
    layers = len(chain.problems)
    cuts = [_Cut.of(chain, axis, chain.problems[-1].sizes[dim]) for dim, axis in chain.axes.items()]
    cuts.append(
        _Cut(("",) * layers, np.ones(layers), np.ones((layers, 1)), np.zeros((layers, 1)), np.ones((layers, 1)))
    )
    kept, rooms, work = np.inf, [], []
    for one, other in combinations(cuts, 2):
        for outer, inner in ((one, other), (other, one)):
            kept = min(kept, float(_room(chain, outer, inner, kept=True).min()))
        rooms.append(_room(chain, one, other, kept=False).ravel())
        work.append((one.work[:, :, None] * other.work[:, None]).reshape(layers, -1).T)
    return Halos(kept, np.concatenate(rooms), np.concatenate(work))


@dataclass(frozen=True, eq=False)
class _Cut:
    """A dimension in tiles by ranges of sizes, the last of which is all of it.

    Attributes:
        dims: `[layers]` its name.
        whole: `[layers]` how many elements of each result there are along it.
        box: `[layers, n]` elements of a result that a tile computes at least.
        overlap: `[layers, n]` those that are there before the next tile and are needed with it, where they are kept.
        work: `[layers, n]` elements that all tiles compute over those there are, where they are computed again.
    """

    dims: tuple[str, ...]
    whole: Floats
    box: Floats
    overlap: Floats
    work: Floats

    @staticmethod
    def of(chain: Chain, axis: Axis, bound: int) -> "_Cut":
        """A dimension of the last result, of so many elements."""
        layers = len(chain.problems)
        whole = np.array([p.sizes[dim] for p, dim in zip(chain.problems, axis.dims, strict=True)], dtype=float)
        ends = np.tile(np.arange(1.0, bound), (layers, 1))  # what is computed up to each boundary between tiles
        again, kept = ends.copy(), ends.copy()  # from where on the next tile needs elements
        for layer in reversed(range(layers - 1)):
            windows = [window for window in axis.windows if window.link.source == layer]
            reach = [w.step * (ends[w.link.target] - 1) + w.span - w.before for w in windows]
            ends[layer] = np.minimum(np.max(reach, 0), whole[layer])
            for needs, start in ((again, again), (kept, ends)):
                read = [(start[w.link.target], whole[w.link.target], w) for w in windows]
                needed = [np.where(by < most, np.maximum(w.step * by - w.before, 0), np.inf) for by, most, w in read]
                needs[layer] = np.minimum(np.min(needed, 0), ends[layer])
        twice, held = ends - again, ends - kept
        more = [twice[:, size - 1 :: size].sum(1) / whole for size in range(1, bound)]
        box, overlap, work = [], [], []
        first = 1
        while first < bound:
            last = min(bound - 1, max(first, ceil(first * RATIO) - 1))
            box.append(ends[:, first - 1])
            overlap.append(held[:, first - 1 : last].min(1))
            work.append(1 + np.min(more[first - 1 : last], 0))
            first = last + 1
        box, overlap, work = [*box, whole], [*overlap, np.zeros(layers)], [*work, np.ones(layers)]
        return _Cut(axis.dims, whole, np.stack(box, 1), np.stack(overlap, 1), np.stack(work, 1))


def _room(chain: Chain, outer: _Cut, inner: _Cut, *, kept: bool) -> Floats:
    """`[n, m]` words of a memory that tiles take at least while some layer runs; counted as by `Tiled.held`."""
    layers = len(chain.problems)
    there, passed = [], []
    for source in range(layers - 1):
        problem, cut = chain.problems[source], {outer.dims[source], inner.dims[source]}
        ranks = zip(problem.dataspace(problem.result).projection, chain.full[source], strict=True)
        rest = prod(extent for rank, extent in ranks if not cut & {dim for dim, _ in rank})
        a, ahead = outer.box[source][:, None], outer.overlap[source][:, None] * kept
        b, beside = inner.box[source][None], inner.overlap[source][None] * kept
        there.append(rest * (a * b + ahead * (inner.whole[source] - b)))
        passed.append(rest * (a * beside + ahead * (inner.whole[source] - beside)))
    room = np.zeros((outer.box.shape[1], inner.box.shape[1]))
    for layer in range(layers):
        words = [
            there[source] if source <= layer <= chain.last_reader(source) else passed[source]
            for source in range(layers - 1)
        ]
        room = np.maximum(room, sum(words))
    return room
