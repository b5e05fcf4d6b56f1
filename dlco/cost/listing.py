"""Tiles along one rank of a dataspace, listed one by one: what children ask for together, and what an instance sees.

All is as it is executed: of a loop nest whose last tiles are cut short every tile is a box from its first word to its
last. Dimensions of a rank are listed by themselves, and what is alike in each is looked at once.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod

import torch


@dataclass(frozen=True)
class Slots:
    """The tiles of one dimension and the loops outside them.

    Attributes:
        coefficient: words that one iteration moves by.
        bound: iterations.
        extent: iterations of a whole tile.
        stride: tiles that the loop which slides a tile steps by; `period`: its iterations, 1 where none slides it.
        loops: (spatial, temporal) factors of every level outside, innermost first.
    """

    coefficient: int
    bound: int
    extent: int
    stride: int
    period: int
    loops: tuple[tuple[int, int], ...]

    @staticmethod
    def of(values: Sequence[int]) -> "Slots":
        """The slots of these values, factors one after the other."""
        coefficient, bound, extent, stride, period, *factors = values
        loops = tuple(zip(factors[::2], factors[1::2], strict=True))
        return Slots(coefficient, bound, extent, stride, period, loops)

    @property
    def tiles(self) -> int:
        """How many there are."""
        return -(-self.bound // self.extent)

    def reach(self, tile: int) -> int:
        """Iterations of a tile, by number."""
        return min(self.extent, self.bound - tile * self.extent)

    def child(self, tile: int) -> tuple[tuple[int, ...], int]:
        """(number of the child of every level that gets a tile, what it is ahead of the first child's in tiles)."""
        digits, ahead, stride = [], 0, 1
        for spatial, temporal in self.loops:
            digits.append(tile // stride % spatial)
            ahead += digits[-1] * stride
            stride *= spatial * temporal
        return tuple(digits), ahead

    def slides(self, tile: int) -> bool:
        """Whether a tile slides from the one before it."""
        return tile // self.stride % self.period > 0


Rank = tuple[Slots, ...]
Child = tuple[tuple[int, ...], int, int]  # number by level, innermost first, tiles from the first child's, iterations
Place = tuple[tuple[int, ...], ...]  # number of the child along each dimension, by level, innermost first


def of_rows(function: Callable[[Rank], float], slots: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """`[k]` a function of ranks, for rows `[k]` of the fields of each of their `Slots`, factors one after the other."""
    once, place = torch.unique(torch.stack([row for one in slots for row in one], -1), dim=0, return_inverse=True)
    found = []
    for values in once.long().tolist():
        given = iter(values)
        found.append(function(tuple(Slots.of([next(given) for _ in one]) for one in slots)))
    return torch.tensor(found, dtype=once.dtype, device=once.device)[place]


@lru_cache(maxsize=1 << 16)
def asked_share(rank: Rank) -> float:
    """Words along a rank that children ask for together over those that they receive, each at every step.

    Those of a level that bypasses them ask for all that theirs ask for. At most one dimension slides.
    """
    asked = received = 0
    groups = [_groups(slots) for slots in rank]
    for some in product(*(one.items() for one in groups)):
        often = prod(n for _, n in some)
        sliding = [slides for (_, slides), _ in some]
        words, every = _words(rank, tuple(children for (children, _), _ in some), sliding)
        asked, received = asked + often * words, received + often * every
    return asked / received


def _groups(slots: Slots) -> Counter[tuple[tuple[Child, ...], bool]]:
    """How often children of a group get such tiles, and whether they slide."""
    groups: dict[int, list[Child]] = {}
    for tile in range(slots.tiles):
        digits, ahead = slots.child(tile)
        groups.setdefault(tile - ahead, []).append((digits, ahead, slots.reach(tile)))
    return Counter((tuple(children), slots.slides(first)) for first, children in groups.items())


def _words(rank: Rank, groups: Sequence[Sequence[Child]], sliding: Sequence[bool]) -> tuple[int, int]:
    """(words asked for together, words received) at one step."""
    weight: dict[Hashable, int] = {}
    asked: dict[Place, Hashable] = {}
    received = 0
    for children in product(*groups):
        low = high = 0
        slid = None
        for slots, (_, at, reach), slides in zip(rank, children, sliding, strict=True):
            low += slots.coefficient * at * slots.extent
            high += slots.coefficient * (at * slots.extent + reach - 1)
            if slides:  # the tile before was whole
                slid = slots.coefficient * (slots.extent * (1 - slots.stride) - reach)
        low = low if slid is None else max(low, high + slid + 1)
        weight[low, high] = high - low + 1
        received += high - low + 1
        asked[tuple(zip(*(digits for digits, _, _ in children), strict=True))] = (low, high)
    for _ in rank[0].loops:
        bundles: dict[Place, set[Hashable]] = {}
        for place, one in asked.items():
            bundles.setdefault(place[1:], set()).add(one)
        asked = {}
        for place, some in bundles.items():
            asked[place] = one = frozenset(some)
            weight[one] = sum(weight[part] for part in some)
    return weight[asked[()]], received


@lru_cache(maxsize=1 << 16)
def seen(rank: Rank) -> int:
    """Different words along a rank that are in the tiles of an instance, added up over the instances."""
    patterns = [_turns(slots) for slots in rank]
    return sum(
        prod(n for _, n in some) * _union(rank, [turns for turns, _ in some]).bit_count()
        for some in product(*(one.items() for one in patterns))
    )


def _turns(slots: Slots) -> Counter[tuple[tuple[int, int], ...]]:
    """How many instances get such tiles: (tiles from their first one, iterations) of each."""
    instances: dict[int, list[tuple[int, int]]] = {}
    for tile in range(slots.tiles):
        first = slots.child(tile)[1]
        instances.setdefault(first, []).append((tile - first, slots.reach(tile)))
    return Counter(map(tuple, instances.values()))


def _union(rank: Rank, turns: Sequence[Sequence[tuple[int, int]]]) -> int:
    """The words of all boxes, as bits."""
    found = 0
    alike = [{reach: [at for at, own in some if own == reach] for _, reach in some} for some in turns]
    for sizes in product(*(one.items() for one in alike)):
        bits, words = 1, 1
        for slots, (reach, places) in zip(rank, sizes, strict=True):
            words += slots.coefficient * (reach - 1)
            first, bits = bits, 0
            for at in places:
                bits |= first << slots.coefficient * slots.extent * at
        done = 1
        while done < words:
            more = min(done, words - done)
            bits |= bits << more
            done += more
        found |= bits
    return found
