"""AccelForge's map spaces, solved exactly under its counting: what its recorded optima are the least of.

Its mapping is one nest of loops with a place in it for each tensor in each memory: F, I and O (filter, inputs,
outputs) once in the global buffer and once in the register file, every place of the buffer outside every one of the
registers, and the array's loops between them. A tensor is fetched anew in every iteration of all loops outside its
place. So at a tile of extents e a tensor of S(e) words takes  S(e) x MACs / (product of e)  words in all, whatever the
order of the loops between two places; a tensor stays where it is while a loop runs by having its place outside of it.
A mapping is then a chain of extents, each dividing the next, three in each memory, and its energy a sum over its tiles:
the least of all is found by dynamic programming over the lattice of extents, one memory after the other.

Words of outputs that leave a memory are read there and written to the next; those that come back are read there and
written here, which are all but the first visits. Operands of MACs are read from the register file, and sums read and
written there, but for the read of a first visit. Of a word that several PEs take only one is read from the buffer, and
of sums that meet on their way only one is written to it. Moves of a window are not told apart from fresh tiles.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations, product
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMS = "CMPQ"  # R and S lie within the register file, whole
RELEVANT = {"F": "CM", "I": "CPQ", "O": "MPQ"}
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Extents = tuple[int, ...]  # of C, M, P and Q
Groups = tuple[str, ...]


@dataclass(frozen=True)
class Places:
    """Where the tensors of one memory may have their places.

    Attributes:
        groups: tensors of one place each, the innermost place first; two or three groups.
        still: whether the loops between the two places may only be such as leave the outer group in place.
    """

    groups: Groups
    still: bool = False


def anywhere(orders: Iterable[str] = tuple(map("".join, permutations("FOI")))) -> tuple[Places, ...]:
    """Each tensor at a place of its own, the outermost first as in one of these orders; by default in any."""
    return tuple(Places(tuple(reversed(order))) for order in orders)


EVEN = (Places(("OI", "F")),)
"""What `_timeloop_style_even` makes of the order F, O, I: the first outside, the others together."""
ONE_TILE = tuple(Places(("".join(sorted(set("FOI") - {t})), t), still=True) for t in "FOI")
"""dlco's: all tensors have one tile, one of them may stay in place while loops run that do not move it."""


@dataclass(frozen=True)
class Machine:
    """The recorded machine: energies a word and words of room.

    Attributes:
        dram, buffer, register, mac: energy of an access of each memory, and of a MAC.
        buffer_words, register_words: capacities.
        across, down: PEs on each axis.
    """

    dram: float
    buffer: float
    register: float
    mac: float
    buffer_words: int
    register_words: int
    across: int
    down: int

    @staticmethod
    def of(recorded: dict[str, Any]) -> "Machine":
        """From the record; words are of 16 bits."""
        sides = recorded["pe_x"], recorded["pe_y"]
        words = recorded["global_buffer_bytes"] // 2, recorded["register_file_bytes"] // 2
        energies = (recorded[name] for name in ("DRAM", "GlobalBuffer", "RegisterFile", "MAC"))
        return Machine(*energies, *words, *sides)


@dataclass(frozen=True, eq=False)
class Lattice:
    """All tile extents of a convolution whose filter lies whole within every tile.

    Attributes:
        bounds: of C, M, P and Q.
        filter: R and S.
        stride: along both.
    """

    bounds: tuple[int, int, int, int]
    filter: tuple[int, int] = (1, 1)
    stride: int = 1

    @cached_property
    def extents(self) -> Ints:
        """`[states, 4]`."""
        return np.array(list(product(*(_divisors(bound) for bound in self.bounds))))

    @cached_property
    def state(self) -> dict[tuple[int, ...], int]:
        """By extents."""
        return {tuple(row): i for i, row in enumerate(self.extents.tolist())}

    @property
    def macs(self) -> int:
        """Of the layer."""
        return prod(self.bounds) * prod(self.filter)

    @property
    def sizes(self) -> dict[str, int]:
        """All of the layer, by name."""
        r, s = self.filter
        return dict(zip(DIMS, self.bounds, strict=True)) | {"R": r, "S": s, "stride": self.stride}

    @cached_property
    def words(self) -> dict[str, Ints]:
        """`[states]` words of a tile of each tensor; windows are bounding boxes."""
        c, m, p, q = self.extents.T
        (r, s), step = self.filter, self.stride
        return {"F": c * m * r * s, "O": m * p * q, "I": c * ((p - 1) * step + r) * ((q - 1) * step + s)}

    @cached_property
    def fills(self) -> dict[str, Floats]:
        """`[states]` words that tiles of each tensor take in all."""
        volume = self.extents.prod(1) * prod(self.filter)
        return {t: words * (self.macs / volume) for t, words in self.words.items()}

    @cached_property
    def divides(self) -> Bools:
        """`[states, states]` whether one tile's extents divide another's."""
        return (self.extents[None] % self.extents[:, None] == 0).all(-1)

    def same(self, tensor: str) -> Bools:
        """`[states, states]` whether two tiles of a tensor have the same extents, but along what does not move it."""
        some = [DIMS.index(dim) for dim in RELEVANT[tensor]]
        return (self.extents[None][..., some] == self.extents[:, None][..., some]).all(-1)


@dataclass(frozen=True)
class Nest:
    """A mapping.

    Attributes:
        energy, cycles: of the layer.
        across, down: factors of C, M, P and Q on each axis of the array.
        register, buffer: extents of C, M, P and Q of every tensor's tile in each memory, by tensor.
    """

    energy: float
    cycles: float
    across: Extents
    down: Extents
    register: dict[str, Extents]
    buffer: dict[str, Extents]

    def nodes(self, lattice: Lattice) -> list[tuple[str, str, int]]:
        """Places and loops, the outermost first: (memory, tensor, 0), (axis X or Y or "", dimension, tile inside)."""
        found: list[tuple[str, str, int]] = []
        reached = list(lattice.bounds)

        def walk(extents: Iterable[int], axis: str = "") -> None:
            for i, extent in enumerate(extents):
                if extent != reached[i]:
                    found.append((axis, DIMS[i], extent))
                    reached[i] = extent

        def stay(memory: str, tiles: dict[str, Extents]) -> None:
            for tensor in sorted(tiles, key=lambda t: (-prod(tiles[t]), "FOI".index(t))):
                walk(tiles[tensor])
                found.append((memory, tensor, 0))

        stay("GlobalBuffer", self.buffer)
        inside = max(self.register.values(), key=prod)
        walk(a * b * c for a, b, c in zip(inside, self.across, self.down, strict=True))
        walk((a * b for a, b in zip(inside, self.across, strict=True)), "Y")
        walk(inside, "X")
        stay("RegisterFile", self.register)
        walk((1,) * len(DIMS))
        return found


@dataclass(frozen=True, eq=False)
class Chains:
    """The cheapest tiles of one memory for each extents of its innermost or outermost place.

    Attributes:
        cost: `[states]`, infinite where nothing fits.
        tiles: `[states, 3]` states of the tiles of F, O and I.
    """

    cost: Floats
    tiles: Ints

    def joined(self, other: "Chains") -> "Chains":
        """The cheaper of both."""
        better = other.cost < self.cost
        return Chains(np.where(better, other.cost, self.cost), np.where(better[:, None], other.tiles, self.tiles))


@dataclass(frozen=True, eq=False)
class Search:
    """All mappings of a layer on a machine whose tensors have their places as `places` say, in both memories.

    Attributes:
        lattice: the layer's tiles.
        machine: where.
        places: any of these, in each memory.
        across: dimensions that may lie across the array; `down`: down it.
        one_axis: whether a dimension may lie along one of them only, as dlco has it.
    """

    lattice: Lattice
    machine: Machine
    places: Sequence[Places]
    across: str = DIMS
    down: str = DIMS
    one_axis: bool = False
    _register: dict[tuple[float, ...], Chains] = field(default_factory=dict)

    def best(self) -> list[Nest]:
        """The mapping of least energy for each number of cycles, fewest cycles first; dominated ones left out."""
        nests: dict[float, Nest] = {}
        for across, down in self._spatial():
            nest = self._nest(across, down)
            if nest is not None and (nest.cycles not in nests or nest.energy < nests[nest.cycles].energy):
                nests[nest.cycles] = nest
        found: list[Nest] = []
        for _, nest in sorted(nests.items()):
            if not found or nest.energy < found[-1].energy:
                found.append(nest)
        return found

    def _spatial(self) -> Iterable[tuple[Extents, Extents]]:
        """Factors on both axes; of all ways to lay the same factors over the array one."""
        sides = []
        for dims, most in ((self.across, self.machine.across), (self.down, self.machine.down)):
            choices = (_divisors(b) if dim in dims else [1] for dim, b in zip(DIMS, self.lattice.bounds, strict=True))
            sides.append([one for one in product(*choices) if prod(one) <= most])
        found: dict[Extents, tuple[Extents, Extents]] = {}
        for x, y in product(*sides):
            pairs = list(zip(x, y, strict=True))
            whole = tuple(a * b for a, b in pairs)
            if whole in self.lattice.state and not (self.one_axis and any(min(pair) > 1 for pair in pairs)):
                found.setdefault(whole, (x, y))
        return found.values()

    def _nest(self, across: Extents, down: Extents) -> Nest | None:
        """The mapping of least energy under given factors over the array."""
        lattice, machine, outside = self.lattice, self.machine, self._outside
        spatial = [a * b for a, b in zip(across, down, strict=True)]
        c, m, p, q = spatial
        takers = {"F": p * q, "I": m, "O": c}  # PEs that share a word
        inside = self._inside(tuple(machine.register + machine.buffer / takers[t] for t in "FOI"))
        least, at = inf, (-1, -1)
        for tile in np.flatnonzero(np.isfinite(inside.cost)).tolist():
            reached = lattice.state.get(tuple((lattice.extents[tile] * spatial).tolist()))
            if reached is not None and inside.cost[tile] + outside.cost[reached] < least:
                least, at = inside.cost[tile] + outside.cost[reached], (tile, reached)
        if least == inf:
            return None
        outputs = float(prod(lattice.bounds[1:]))
        firsts = outputs * c * (2 * machine.register + machine.buffer / c) + outputs * (machine.buffer + machine.dram)
        energy = least + lattice.macs * (machine.mac + 4 * machine.register) - firsts
        tiles = [
            {t: tuple(lattice.extents[one].tolist()) for t, one in zip("FOI", chains.tiles[row], strict=True)}
            for chains, row in ((inside, at[0]), (outside, at[1]))
        ]
        return Nest(float(energy), lattice.macs / prod(spatial), across, down, *tiles)

    def _inside(self, prices: tuple[float, ...]) -> Chains:
        """Tiles in the register file at prices a word moved, by the outermost place; moves of outputs go both ways."""
        if prices not in self._register:
            both = dict(zip("FOI", prices, strict=True))
            both["O"] *= 2
            self._register[prices] = self._chains(both, self.machine.register_words, inwards=True)
        return self._register[prices]

    @cached_property
    def _outside(self) -> Chains:
        """Tiles in the buffer, by what the array's tile reaches: the least over all innermost places around it."""
        price = self.machine.buffer + self.machine.dram
        found = self._chains({"F": price, "O": 2 * price, "I": price}, self.machine.buffer_words, inwards=False)
        around = np.where(self.lattice.divides, found.cost, inf).argmin(1)
        return Chains(found.cost[around], found.tiles[around])

    def _chains(self, prices: dict[str, float], room: int, inwards: bool) -> Chains:
        """The cheapest tiles of a memory, by those of its outermost place (`inwards`) or of its innermost one."""
        n = len(self.lattice.extents)
        found = Chains(np.full(n, inf), np.zeros((n, 3), dtype=np.int64))
        for places in self.places:
            found = found.joined(self._chains_of(places, prices, room, inwards))
        return found

    def _chains_of(self, places: Places, prices: dict[str, float], room: int, inwards: bool) -> Chains:
        lattice, groups = self.lattice, places.groups
        follows = lattice.divides & lattice.same(groups[-1]) if places.still else lattice.divides
        if inwards:
            groups, follows = groups[::-1], follows.T
        words = [sum((lattice.words[t] for t in group), np.zeros(len(follows))) for group in groups]
        costs = [sum((prices[t] * lattice.fills[t] for t in group), np.zeros(len(follows))) for group in groups]
        least, tiles = np.full(len(follows), inf), np.zeros((len(follows), 3), dtype=np.int64)
        for j in np.flatnonzero(words[1] <= room).tolist():  # the second group's tile
            left = room - words[1][j]
            first = np.flatnonzero(follows[:, j] & (words[0] <= left))
            if len(groups) == 2:
                value, third = costs[0][first] + costs[1][j], np.full(len(first), j)
            else:
                after = np.flatnonzero(follows[j] & (words[2] <= left))
                after = after[np.argsort(words[2][after], kind="stable")]
                cheapest = _running_argmin(costs[2][after])
                at = np.searchsorted(words[2][after], left - words[0][first], side="right") - 1
                first, at = first[at >= 0], at[at >= 0]
                third = after[cheapest[at]]
                value = costs[0][first] + costs[1][j] + costs[2][third]
            better = value < least[first]
            first, third = first[better], third[better]
            least[first] = value[better]
            for group, state in zip(groups, (first, j, third), strict=False):
                for t in group:
                    tiles[first, "FOI".index(t)] = state
        return Chains(least, tiles)


def _running_argmin(values: Floats) -> Ints:
    """`[n]` index of the least value up to each one."""
    return np.maximum.accumulate(np.where(values <= np.minimum.accumulate(values), np.arange(len(values)), 0))


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
