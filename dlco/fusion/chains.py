"""Which chains of a network's steps may be executed tile by tile on a machine, and into what tiles they are cut.

A chain is a stretch of the course all of whose results but the last are read within it alone, each by itself. Tiles are
cut along one dimension or two of the last result that go through all of the chain: sizes are the parts of the bound by
powers of two; of one dimension alone by all numbers, and multiples of what fills the sides of the array. For every
chain, cut, halo and home of the weights the few sizes are taken up that are likely best (`CROWDED`);
`Candidates.listed` says how many fit in all.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations, product
from math import ceil, inf, prod

from dlco.bound.compulsory import used_words
from dlco.errors import InvalidInput
from dlco.fusion.halos import halos_of
from dlco.fusion.retained import Residence, Taken
from dlco.fusion.tensors import alone, may_stay, shared_memories
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.constraints import stated
from dlco.mapping.factors import divisors
from dlco.workload.chain import Chain, Link
from dlco.workload.graph import Network
from dlco.workload.problem import Problem
from dlco.workload.tiling import KEPT, RECOMPUTED, RESIDENT, STREAMED, Tiled, Tiling

LAYERS = 8  # of a chain, at most
USUAL = 0.1  # share of its layer's work from which on a tile is bounded by its own extents
CROWDED = (0.9, 0.5)  # shares of a memory that the chain itself may take: the tiles that move least, for each


@dataclass(frozen=True)
class Part:
    """A problem that runs so often in a step, and what is retained meanwhile.

    Attributes:
        again: (dataspace, how often each of its words comes in at least), where it stands for parts of it.
        layer: that it is a tile of, or a tile that is no smaller than any of its; None where it is a layer itself.
        cut: dimensions along which it is one of parts of any extent, or stands for them.
        work: MACs that it stands for over those of the problem.
    """

    step: int
    problem: Problem
    count: int
    residence: Residence
    again: tuple[tuple[str, float], ...] = ()
    layer: Problem | None = None
    cut: frozenset[str] = frozenset()
    work: float = 1.0

    @property
    def is_usual(self) -> bool:
        """Whether a tile does much of its layer's work: the others are too many to be bounded by their own extents."""
        return self.layer is not None and self.count * self.problem.macs >= USUAL * self.layer.macs

    def alone(self) -> "Part":
        """The same, not as a part of anything: with no extents but its own."""
        return replace(self, layer=None, cut=frozenset())


@dataclass(frozen=True)
class Fused:
    """A chain executed tile by tile.

    Attributes:
        first, last: positions of its steps in the course.
        tiled: its layers and how they are cut.
        level: the memory where its results stay.
    """

    first: int
    last: int
    tiled: Tiled
    level: str

    def room(self) -> int:
        """Words of the level that the chain takes, whatever the mappings, while nothing else is retained."""
        tiled, layers = self.tiled, range(len(self.tiled.chain.problems))
        loaded = sum(tiled.chain.problems[layer].words(space) for layer in layers for space in tiled.loaded(layer))
        return loaded + max(map(tiled.held, layers))

    def parts(self, homes: dict[tuple[int, str], str] | None = None, taken: Taken = ()) -> tuple[Part, ...]:
        """All that runs, tiles of one shape as one.

        Args:
            homes: by (step, dataspace) the memories of what is retained whole while the chain runs.
            taken: words that this takes there.
        """
        whole = {(step - self.first, space): level for (step, space), level in (homes or {}).items()}
        found: dict[tuple[int, Problem, Residence], int] = {}
        for run, count in self.tiled.parts():
            keeps = self.tiled.keeps(run, whole.keys())
            own = {space: level for (layer, space), level in whole.items() if layer == run.layer}
            own |= dict.fromkeys(keeps.homes, self.level)
            loads = tuple((space, self.level) for space in sorted(keeps.loads))
            room = dict(taken)
            room[self.level] = room.get(self.level, 0) + keeps.words
            residence = Residence(tuple(sorted(own.items())), tuple(sorted(room.items())), loads)
            key = self.first + run.layer, run.problem, residence
            found[key] = found.get(key, 0) + count
        chain = self.tiled.chain
        return tuple(
            Part(step, problem, count, residence, (), chain.problems[step - self.first], chain.cut(step - self.first))
            for (step, problem, residence), count in found.items()
        )


@dataclass(frozen=True)
class Candidates:
    """Chains in tiles.

    Attributes:
        chosen: those that are taken up.
        listed: how many tilings fit in all.
        chains: all chains that may be cut, for what is to be said of tilings that are not taken up.
    """

    chosen: tuple[Fused, ...]
    listed: int
    chains: tuple["Uncut", ...]


@dataclass(frozen=True)
class Uncut:
    """A chain whose results stay in a memory, cut in any way: its parts are all of its layers.

    No tiling needs less than the compulsory work of these: tiles compute every element once at least, and of what
    comes from outside each word comes in once at least, with the weights, whether they stay or not. Where the memory
    has no room for all weights, they come in with every run of their layer; and a run's boxes of the chain's results,
    which together are the results at least, lie in the memory at once, so that there are no fewer runs than it takes
    to hold all of them. Where it has no room for halos, elements are computed again.

    Attributes:
        first, last: positions of its steps in the course.
        chain: its layers.
        level: the memory where its results stay.
        loadable: of the operands that every tile reads whole those that may stay there too.
    """

    first: int
    last: int
    chain: Chain
    level: str
    loadable: frozenset[str]

    def parts(self, homes: dict[tuple[int, str], str], room: float = inf) -> tuple[Part, ...]:
        """Every layer, with what is retained whole beside the chain's own results; none where no tiling has the room.

        Args:
            homes: by (step, dataspace) the memories of that.
            room: words that it leaves of the chain's memory.
        """
        found = []
        work = halos_of(self.chain).least_work(room)
        if work is None:
            return ()
        whole = {(step - self.first, space) for step, space in homes}
        weights = [
            tuple(space for space in spaces if (layer, space) not in whole)
            for layer, spaces in enumerate(self.chain.never_cut)
        ]
        words = sum(sum(map(p.words, own)) for p, own in zip(self.chain.problems, weights, strict=True))
        stay = self.loadable.issuperset(space for own in weights for space in own) and words < room
        for layer, problem in enumerate(self.chain.problems):
            own = {space: level for (step, space), level in homes.items() if step == self.first + layer}
            own |= dict.fromkeys(self.chain.inner(layer), self.level)
            runs = 1 if stay else self._runs(layer, room)
            again = tuple((space, runs) for space in weights[layer] if runs > 1)
            residence = Residence(tuple(sorted(own.items())))
            cut = self.chain.cut(layer)
            found.append(Part(self.first + layer, problem, 1, residence, again, problem, cut, float(work[layer])))
        return tuple(found)

    def allows(self, tiling: Tiling) -> bool:
        """Whether the weights that a tiling has resident, if any are to be, may stay."""
        tiled = Tiled(self.chain, tiling)
        loaded = {space for layer in range(len(self.chain.problems)) for space in tiled.loaded(layer)}
        return tiling.weights != RESIDENT or (bool(loaded) and loaded <= self.loadable)

    def _runs(self, layer: int, room: float) -> int:
        """In how many tiles a layer runs at least."""
        problem, inner = self.chain.problems[layer], self.chain.inner(layer)
        words = sum(used_words(problem, space) for space in problem.dataspaces if space.name in inner)
        return max(self.chain.least_tiles[layer], ceil(words / room))


def uncut_chains(
    chains: Iterable[tuple[int, int, Chain]],
    memories: Iterable[str],
    architecture: Architecture,
    constraints: Constraints,
) -> Iterator[Uncut]:
    """Those of (first step, last step, chain) whose results may stay in memories under a machine's constraints."""
    listed = list(chains)
    for level in memories:
        for first, last, chain in listed:
            if may_stay(chain.within, level, architecture, constraints):
                operands = {s.name for p in chain.problems for s in p.dataspaces if not s.read_write}
                loadable = (space for space in operands if may_stay({space}, level, architecture, constraints))
                yield Uncut(first, last, chain, level, frozenset(loadable))


def chains_of(network: Network, most: int = LAYERS) -> Iterator[tuple[int, int, Chain]]:
    """(first step, last step, chain) of all stretches of up to so many steps that may be executed tile by tile."""
    graph = network.graph
    for first in range(len(graph.steps)):
        for last in range(first + 1, min(first + most, len(graph.steps))):
            within = range(first, last)
            edges = [e for at in within for e in graph.outputs[at]]
            if any(graph.steps[at].count > 1 for at in (*within, last)) or any(at in graph.results for at in within):
                break
            if any(e.space is None or not alone(network, e.target, e.space) for e in edges):
                break
            if any(e.target > last for e in edges):
                continue
            links = tuple(Link(e.source - first, e.target - first, str(e.space)) for e in edges)
            problems = tuple(network.layer_of(at).problem for at in (*within, last))
            try:
                chain = Chain(problems, links)
            except InvalidInput:  # shapes that do not match: something between them moves elements about
                continue
            if chain.axes:
                yield first, last, chain


def candidates_of(
    network: Network,
    architecture: Architecture,
    constraints: Constraints | None = None,
    *,
    most: int = LAYERS,
    every: bool = False,
) -> Candidates:
    """The chains of a network in tiles that a machine may have room for.

    Args:
        network: with its graph.
        architecture: the machine.
        constraints: on mappings, beside the machine's.
        most: layers of a chain at most.
        every: whether all sizes are taken up, not the likely best ones alone.
    """
    chosen: list[Fused] = []
    listed = 0
    fixed = stated(architecture, constraints)
    chains = tuple(uncut_chains(chains_of(network, most), shared_memories(architecture), architecture, fixed))
    for one in chains:
        room = architecture.level(one.level).usable_capacity
        for group in _groups(one.chain, _sides(architecture)):
            some = [Fused(one.first, one.last, Tiled(one.chain, tiling), one.level) for tiling in group]
            outside = {space for layer in range(len(one.chain.problems)) for space in some[0].tiled.loaded(layer)}
            if group[0].weights == RESIDENT and not (outside and may_stay(outside, one.level, architecture, fixed)):
                continue
            fitting = [(words, fused) for fused in some if (words := fused.room()) < room]
            listed += len(fitting)
            chosen += [fused for _, fused in fitting] if every else _likely(fitting, architecture)
    return Candidates(tuple(chosen), listed, chains)


def _sides(architecture: Architecture) -> frozenset[int]:
    """Children of any level along an axis."""
    return frozenset(side for level in architecture.levels for side in (level.fanout_x, level.fanout_y)) - {1}


def _groups(chain: Chain, sides: Collection[int]) -> Iterator[list[Tiling]]:
    """Tilings of the same cuts, halo and weights, each group with all its sizes."""
    last = chain.problems[-1].sizes
    for cut, halo, weights in manners_of(chain):
        grids = [_sizes(last[dim], sides if len(cut) == 1 else None) for dim in cut]
        yield [Tiling(tuple(zip(cut, sizes, strict=True)), halo, weights) for sizes in product(*grids)]


def manners_of(chain: Chain) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(cut, halo, weights) of tilings along one dimension or two that differ in more than size."""
    last = chain.problems[-1].sizes
    whole = {dim: last[dim] for dim in chain.axes if last[dim] > 1}
    slides = {dim for dim, axis in chain.axes.items() if any(w.span > w.step for w in axis.windows)}
    cuts: list[tuple[str, ...]] = [(dim,) for dim in whole]
    for pair in permutations(whole, 2):
        if slides.issuperset(pair) or pair == tuple(dim for dim in whole if dim in pair):  # else the order is all one
            cuts.append(pair)
    for cut in cuts:
        for halo in (KEPT, RECOMPUTED) if slides.intersection(cut) else (KEPT,):
            if halo == RECOMPUTED and cut != tuple(dim for dim in whole if dim in cut):
                continue
            for weights in (STREAMED, RESIDENT):
                yield cut, halo, weights


def _sizes(bound: int, sides: Collection[int] | None) -> list[int]:
    """Extents of tiles: the bound by powers of two, rounded up; with sides by all numbers, and their multiples."""
    found = {-(-bound // 2**k) for k in range(1, bound.bit_length() + 1)}
    if sides is not None:
        found |= {-(-bound // n) for n in range(2, bound)}
        found |= {n for side in sides for n in range(side, bound, side)}
    return sorted(found - {bound})


def _likely(fitting: list[tuple[int, Fused]], architecture: Architecture) -> list[Fused]:
    """Of (room, tiling) that differ in size alone, for every share of the memory the likely best."""
    chosen: list[Fused] = []
    guessed = [(_guess(one, architecture), words, one) for words, one in fitting]
    for share in CROWDED:
        inside = [
            (guess, words)
            for guess, words, one in guessed
            if words <= share * architecture.level(one.level).usable_capacity
        ]
        if inside:
            best = min(inside)
            chosen += [one for guess, words, one in guessed if (guess, words) == best][:1]
    return chosen[:1] if len(chosen) > 1 and chosen[0] is chosen[1] else chosen


def _guess(one: Fused, architecture: Architecture) -> float:
    """About the energy times cycles of a chain, by its MACs and what it moves beyond the chip; says what to try."""
    outer, inner, tiled = architecture.levels[-1], architecture.levels[0], one.tiled
    macs = words = 0
    cycles = 0.0
    for layer, problem in enumerate(tiled.chain.problems):
        own, loaded = tiled.macs(layer), tiled.loaded(layer)
        macs, cycles = macs + own, cycles + own / _most_busy(tiled.usual(layer), architecture)
        for space in {space.name for space in problem.dataspaces} - tiled.chain.inner(layer):
            words += problem.words(space) if space in loaded else tiled.words(layer, space)
    energy = macs * (architecture.mac_pj + 3 * inner.read_pj) + words * outer.read_pj / outer.block_size
    return energy * max(cycles, words / min(outer.read_bandwidth, outer.shared_bandwidth))


def _most_busy(problem: Problem, architecture: Architecture) -> int:
    """The most multiply-accumulate units that factors of a problem's bounds can use."""
    bounds = tuple(sorted(bound for bound in problem.bounds if bound > 1))
    return prod(_most_children(bounds, level.fanout_x, level.fanout_y) for level in architecture.levels)


@lru_cache(maxsize=65536)
def _most_children(bounds: tuple[int, ...], size_x: int, size_y: int) -> int:
    """The same of one level, each dimension along one axis."""
    laid = {(1, 1)}
    for bound in bounds:
        along = divisors(bound, max(size_x, size_y))
        laid |= {(x * n, y) for x, y in laid for n in along if x * n <= size_x} | {
            (x, y * n) for x, y in laid for n in along if y * n <= size_y
        }
    return max(x * y for x, y in laid)
