"""Factors of one dimension that leave given numbers of tiles, as far as it may matter which they are.

Slots from the inside out; a slot with the factor f leads from N tiles to N' = ceil(N / f), and the last of these holds
m = N - (N' - 1) f. Larger factors that leave as many serve only where a slot further out has its last tile alone
(m = 1): only then is a last tile walked without as many others as there are, and it is the shorter the larger f. And a
slot with its last tile alone matters only to loops inside that count it: spatial ones for a temporal loop passed in
place, temporal ones for children that wait for the first. So there is the one way with the least factors, and for every
slot that may be alone those with any factors inside it. Where windows depend on extents, all ways are listed.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

from dlco.exact.counts import tile_count

Way = tuple[int, ...]


@lru_cache(maxsize=1 << 16)
def ways(bound: int, spatial: Way, left: Way, every: int) -> tuple[tuple[Way, int], ...]:
    """(temporal factors by level, steps of the busiest MAC) of all ways that may matter, the least factors first.

    Args:
        bound: of the dimension.
        spatial: its factor at every level, inside the temporal loop there.
        left: numbers of tiles that the temporal loops leave.
        every: levels, from the innermost on, whose factors all matter.
    """
    before = tuple(tile_count(n, f) for n, f in zip((bound, *left[:-1]), spatial, strict=True))
    inside = (bound, *left[:-1])
    ranges = [
        range(tile_count(n, after), ((n - 1) // (after - 1) if after > 1 else n) + 1)
        for n, after in zip(before, left, strict=True)
    ]
    least = tuple(one[0] for one in ranges)
    found = dict.fromkeys([least, *((*way, *least[every:]) for way in product(*ranges[:every]))])
    for level in range(every, len(left)):
        if spatial[level] > 1 and inside[level] - (before[level] - 1) * spatial[level] == 1:
            found |= dict.fromkeys(_inside(ranges, least, level, None, any(f > 1 for f in least[:level])))
        alone = ranges[level][-1]
        if alone > 1 and left[level] > 1 and before[level] - (left[level] - 1) * alone == 1:
            found |= dict.fromkeys(_inside(ranges, least, level, alone, any(f > 1 for f in spatial[: level + 1])))
    return tuple((way, _steps(spatial, way, inside, before, left)) for way in found)


def _inside(ranges: Sequence[range], least: Way, level: int, alone: int | None, matters: bool) -> list[Way]:
    """The ways with any factors inside a level, one there if it is given, and the least further out."""
    if not matters:
        return []
    own = ranges[:level] if alone is None else [*ranges[:level], range(alone, alone + 1)]
    return [(*way, *least[len(way) :]) for way in product(*own)]


def _steps(spatial: Way, temporal: Way, inside: Way, before: Way, left: Way) -> int:
    full, cut = 0, 1  # tiles that the busiest MAC walks, from the outside in
    for level in reversed(range(len(left))):
        f, last = temporal[level], before[level] - (left[level] - 1) * temporal[level]
        full = full * f + cut * (last - 1)
        last = inside[level] - (before[level] - 1) * spatial[level]
        if spatial[level] > 1:
            full, cut = full + cut * (last > 1), cut * (last == 1)
    return full + cut
