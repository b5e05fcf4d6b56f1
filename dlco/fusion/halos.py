"""What every tiling of a chain holds at least between tiles, or computes again.

Where halos are kept, a memory holds the first tile's results beside what the second one needs of them; where they are
computed again, what both sides of each boundary between tiles need is computed twice. Sizes of tiles are taken in
ranges, the room of the least and the work of whichever needs least.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations
from math import ceil

import numpy as np

from dlco.exact.lattice import Floats
from dlco.fusion.cuts import Cuts, cuts_of, rooms, uncut
from dlco.workload.chain import Chain

RATIO = 1.1  # between the sizes of a range, about


@dataclass(frozen=True, eq=False)
class Halos:
    """What tilings of a chain along one dimension or two need at least.

    Attributes:
        kept: words of the least room where halos are kept.
        again: `[n]` words where they are computed again, by ranges of sizes.
        work: `[n, layers]` MACs then, over the layers'.
    """

    kept: float
    again: Floats
    work: Floats

    def least_work(self, room: float) -> Floats | None:
        """`[layers]` MACs over the layers' of tilings that take so many words at most; None where there is none."""
        if self.kept <= room:
            return np.ones(self.work.shape[1])
        some = self.again <= room
        return self.work[some].min(0) if some.any() else None


@lru_cache(maxsize=4096)
def halos_of(chain: Chain) -> Halos:
    """Of all tilings of a chain."""
    kept = min(float(rooms(chain, *pair).min()) for pair in permutations(_cuts(chain, kept=True), 2))
    room, work = [], []
    for one, other in combinations(_cuts(chain, kept=False), 2):
        room.append(rooms(chain, one, other).ravel())
        some, more = one.computed / one.whole, other.computed / other.whole
        work.append((some[:, :, None] * more[:, None]).reshape(len(some), -1).T)
    return Halos(kept, np.concatenate(room), np.concatenate(work))


def _cuts(chain: Chain, *, kept: bool) -> list[Cuts]:
    """Every dimension in ranges of sizes, and none."""
    return [*(cuts_of(chain, dim, kept=kept).ranged(_ranges(chain, dim)) for dim in chain.axes), uncut(chain)]


def _ranges(chain: Chain, dim: str) -> list[tuple[int, int]]:
    """(first, last) of the sizes of tiles, from 0, the last of which is all."""
    bound, first, found = chain.problems[-1].sizes[dim], 1, []
    while first < bound:
        last = min(bound - 1, max(first, ceil(first * RATIO) - 1))
        found.append((first - 1, last - 1))
        first = last + 1
    return [*found, (bound - 1, bound - 1)]
