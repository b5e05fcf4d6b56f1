"""What moves in and out of every buffer, counted by walking the steps of the loop nest.

Every step of the loops outside a tile is visited, in order. What the tile receives there is a set difference, or all of
it where the rules say so; children that need the same words are served once, and their partial sums arrive as one. So
each level

    read-only   reads what its children receive, and is filled with what it receives itself;
    read-write  is updated with what its children send, and reads that much less the first visits of a word, which is
                written without being read; fills likewise.

First visits are a convention of Timeloop's (and part of every policy here): each instance sees its share of the
tensor, the words of its parent's share by the size of the boxes that the parent's children hold, in whole words. Where
boxes neither overlap nor have gaps, these are the words that it does see (`dlco.simulate.execute` counts those).

Where factors multiply to more than a bound, so that last tiles are cut short, instances have different things to do:
each is followed by itself (`dlco.simulate.cut_tiles`), and figures are totals over the instances in use.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor, prod

import numpy as np

from dlco.errors import NotSupported
from dlco.hardware.architecture import Architecture
from dlco.mapping.checks import check_mapping
from dlco.mapping.kept import machine_of
from dlco.mapping.mapping import SPATIAL_X, Mapping
from dlco.mapping.rules import DEFAULT_RULES, CountingRules
from dlco.simulate.cut_tiles import CutWalk, steps_with_work
from dlco.simulate.loopnest import Ints, LoopNest, stepped
from dlco.simulate.tiles import Tile
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

CHUNK = 1 << 18  # steps visited at once

Table = tuple[tuple[int | Fraction, ...], ...]


@dataclass(frozen=True)
class AccessCounts:
    """Accesses per instance of a level, words; `[levels][spaces]`, 0 where a level bypasses.

    Where tiles are cut short instances have different counts; these are then the means over all that work at some
    time, which may be fractions. Times `instances` they are totals, exactly.

    Attributes:
        reads, fills, updates: of every level and dataspace.
        instances: `[levels]` instances that work at some time.
        cycles: steps of the temporal loops at which a MAC has work.
    """

    reads: Table
    fills: Table
    updates: Table
    instances: tuple[int, ...]
    cycles: int

    def totals(self, name: str) -> tuple[tuple[int, ...], ...]:
        """`[levels][spaces]` "reads", "fills" or "updates" of all instances of a level together."""
        table: Table = getattr(self, name)
        return tuple(tuple(int(n * of) for n in row) for row, of in zip(table, self.instances, strict=True))


@dataclass(frozen=True)
class Service:
    """What a level hands to its children over the execution, per instance of the level, words.

    Attributes:
        accesses: read out, identical sets once.
        share: received from it by a child on average; with neighbour forwarding as Timeloop's floating point adds it
            up, a term for each number of children served together.
        linked: taken from neighbours instead, by all children.
    """

    accesses: int
    share: float
    linked: int = 0


def count_accesses(
    layer: Layer | Problem, architecture: Architecture, mapping: Mapping, rules: CountingRules = DEFAULT_RULES
) -> AccessCounts:
    """Counts of one execution of a layer, by walking its steps.

    Args:
        layer: the work.
        architecture: the machine.
        mapping: what runs.
        rules: what a buffer keeps when its tile moves.

    Raises:
        InvalidMapping: the mapping does not fit the layer or the machine.
        NotSupported: tiles of it are cut short, and rules are Timeloop's (whose own walk of such loops is
            `dlco.cost.residual`), or parts of memories stand across the array.

    Examples:
        >>> layer = dlco.matmul("mm", M=2, K=3, N=4)
        >>> machine = dlco.Architecture((dlco.Level("buffer"), dlco.Level("DRAM", "DRAM")))
        >>> ones, order = ((1, 1, 1, 1),) * 2, (("N", "K", "M", "B"),) * 2
        >>> keeps = (frozenset(),) * 2
        >>> mapping = dlco.Mapping(
        ...     ("B", "M", "K", "N"), ("buffer", "DRAM"), ((1, 1, 3, 4), (1, 2, 1, 1)), ones, ones, order, order, keeps
        ... )
        >>> dlco.simulate.count_accesses(layer, machine, mapping).reads[1]  # from DRAM, by walking the steps
        (12, 6, 0)
    """
    problem = layer.problem if isinstance(layer, Layer) else layer
    architecture = machine_of(problem, architecture, mapping)
    check_mapping(problem, architecture, mapping)
    nest = LoopNest.of(problem, mapping, architecture)
    if nest.cut:
        return _count_cut(nest, rules)
    fanouts = [level.fanout_x for level in architecture.levels]
    if rules.neighbour_forwarding and architecture.is_split:
        raise NotSupported("rules have neighbour_forwarding; memories in parts are counted without it")
    columns = [_count(nest.of_space(space), space, fanouts, rules) for space in range(len(problem.dataspaces))]
    reads, fills, updates = (tuple(zip(*(column[i] for column in columns), strict=True)) for i in range(3))
    instances = tuple(nest.instances(level) for level in range(len(nest.levels)))
    return AccessCounts(reads, fills, updates, instances, nest.cycles)


def _count_cut(nest: LoopNest, rules: CountingRules) -> AccessCounts:
    """Counts of loops whose last tiles are cut short."""
    if rules.restart == "timeloop" or rules.neighbour_forwarding:
        raise NotSupported(
            f"factors multiply to more than a bound, and rules are {rules}; such loops are executed under refetch and "
            "overlap without forwarding alone"
        )
    if nest.crossed:
        raise NotSupported("factors multiply to more than a bound, and parts of memories stand across the array")
    levels = range(len(nest.levels))
    tables: list[list[list[Fraction]]] = [[[Fraction(0) for _ in nest.kept[0]] for _ in levels] for _ in range(3)]
    reads, fills, updates = tables
    walks = [CutWalk(nest, space, rules.restart) for space in range(len(nest.kept[0]))]
    instances = tuple(walks[0].instances(level) for level in levels)
    for space, walk in enumerate(walks):
        child = -1
        for level in (keepers := nest.keepers(space)):
            served, first = walk.served(level, child), 0
            if walk.dataspace.read_write:
                first = walk.seen(level)
                updates[level][space] = Fraction(served, instances[level])
            reads[level][space] = Fraction(max(0, served - first), instances[level])
            if level < keepers[-1]:
                fills[level][space] = Fraction(max(0, walk.received(level) - first), instances[level])
            child = level
    whole = [tuple(tuple(n if n.denominator > 1 else int(n) for n in row) for row in table) for table in tables]
    return AccessCounts(whole[0], whole[1], whole[2], instances, steps_with_work(nest))


def received(tile: Tile, restart: str) -> Iterator[tuple[int, Ints]]:
    """What a tile receives over the execution: (how often, which words), alike sets together.

    Words are codes relative to where the tile lay the step before.
    """
    if restart == "timeloop":
        yield from ((times, words) for times, _, words in two_iterations(tile))
        return
    yield 1, tile.words
    loops = tile.outside
    total = prod(loop.bound for loop in loops)
    found: Counter[tuple[int, bool]] = Counter()
    for start in range(1, total, CHUNK):
        steps = np.arange(start, min(start + CHUNK, total), dtype=np.int64)
        offsets = tile.offsets(np.concatenate([steps[:1] - 1, steps]))
        again = (stepped(loops, steps) > tile.first_mover) & (restart == "refetch")
        kinds, often = np.unique(np.stack([np.diff(offsets), again]), axis=1, return_counts=True)
        for (move, whole), times in zip(kinds.T.tolist(), often.tolist(), strict=True):
            found[move, bool(whole)] += times
    for (move, whole), times in found.items():
        words = tile.words if whole else tile.arriving(move)
        if len(words):
            yield times, words


def two_iterations(tile: Tile) -> Iterator[tuple[int, int, Ints]]:
    """Timeloop's execution: every loop runs twice, and its second iteration stands for all but the first.

    While the tile keeps moving by one and the same step it receives what is new; when the step changes, all of it. A
    MAC (level -1) takes its words at every step.

    Yields:
        (how often, where the tile lies, codes of the words received relative to that).
    """
    loops = tile.outside
    done = (np.arange(2 ** len(loops))[:, None] >> np.arange(len(loops))[None, :]) & 1
    often = np.where(done, np.array([loop.bound - 1 for loop in loops], dtype=np.int64), 1).prod(-1)
    last: int | None = None
    step: int | None = None
    for times, here in zip(often.tolist(), tile.turns(done).tolist(), strict=True):
        words = tile.words
        if last is not None and tile.level >= 0:
            move = here - last
            words = tile.arriving(move) - move
            if move and step is None:
                step = move
            elif move and move != step:
                step, words = None, tile.words
        yield times, here, words
        last = here


def _count(nest: LoopNest, space: int, fanouts: list[int], rules: CountingRules) -> tuple[list[int], ...]:
    """(reads, fills, updates) of one dataspace, each `[levels]`."""
    levels = len(nest.levels)
    reads, fills, updates = ([0] * levels for _ in range(3))
    read_write = nest.problem.dataspaces[space].read_write
    top = nest.keepers(space)[-1]
    services = [_serve(nest, space, level, fanouts[level], rules) for level in range(levels)]
    content = Fraction(services[0].share)
    for level in range(top + 1):
        # Where the level below bypasses, its instances pass on what their own children ask for.
        service = services[level]
        content = service.accesses * content / Fraction(service.share) if service.share else Fraction(0)
        if not nest.kept[level][space]:
            continue
        arriving = services[level + 1].share if level < top else 0
        linked = Fraction(services[level + 1].linked, nest.instances(level)) if level < top else Fraction(0)
        first = first_visits(nest, space, level) if read_write else 0
        if read_write:
            updates[level] = _round(content)
            reads[level] = _round(max(Fraction(0), content + linked - first))
            fills[level] = _round(max(Fraction(0), Fraction(arriving) + linked - first)) if level < top else 0
        else:
            reads[level] = _round(content + linked)
            # Timeloop adds the two in floating point and cuts off what is not whole.
            fills[level] = floor(arriving + float(linked)) if level < top else 0
        content = Fraction(services[level + 1].share if level < top else 0)
    return reads, fills, updates


def _serve(nest: LoopNest, space: int, level: int, width: int, rules: CountingRules) -> Service:
    tile = Tile(nest, space, level - 1)
    children = tile.children([level])[0]
    if rules.neighbour_forwarding:
        return _serve_with_neighbours(nest, tile, level, children, width)
    if level == 0:
        words = nest.cycles  # a MAC takes its word at every step
    else:
        words = sum(times * len(one) for times, one in received(tile, rules.restart))
    return Service(len(np.unique(children)) * words, words)


def _serve_with_neighbours(nest: LoopNest, tile: Tile, level: int, children: Ints, width: int) -> Service:
    """The same where a child whose mesh neighbour received, at the step before, what it needs takes it from there.

    Done where it lowers the accesses of the step. The mesh is as wide as the hardware's, its cells filled row by row.
    """
    used = prod(loop.bound for loop in nest.across(level) if loop.axis == SPATIAL_X)
    neighbours = _neighbours(len(children), max(width, used))
    stats: Counter[tuple[int, int]] = Counter()
    linked = 0
    before: tuple[bytes, int] | None = None
    for times, here, words in two_iterations(tile):
        if not len(words):
            before = None
            continue
        start = int(words.min())
        shape, corner = (words - start).tobytes(), start + here
        served = children
        if before is not None and before[0] == shape:
            held = np.where(neighbours >= 0, before[1] + children[neighbours], corner + children[None, :] + 1)
            from_peer = (held == corner + children[None, :]).any(0)
            if len(np.unique(children[~from_peer])) < len(np.unique(children)):
                served = children[~from_peer]
        sizes = np.unique(served, return_counts=True)[1].tolist()
        for size, groups in Counter(sizes).items():
            stats[size, groups] += times * len(words) * groups
        linked += times * len(words) * (len(children) - len(served))
        before = shape, corner
    share = sum(float(count * size) / len(children) for (size, _), count in sorted(stats.items()))
    return Service(sum(stats.values()), share, linked)


def _neighbours(count: int, width: int) -> Ints:
    """`[4, children]` numbers of the mesh neighbours above, below, left and right; -1 where there is none."""
    ids = np.arange(count)
    column, row = ids % width, ids // width
    table = []
    for right, down in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        x, y = column + right, row + down
        there = y * width + x
        table.append(np.where((x >= 0) & (x < width) & (y >= 0) & (there < count), there, -1))
    return np.stack(table)


def first_visits(nest: LoopNest, space: int, level: int) -> int:
    """Words of a result that an instance of a level sees at all, as the policy has it."""
    dataspace = nest.problem.dataspaces[space]
    share = len(Tile(nest, space, len(nest.levels) - 1).words)
    for below in reversed(range(level, len(nest.levels) - 1)):
        loops = nest.across(below + 1)
        if loops:
            reach = nest.extents(below)
            for loop in loops:
                reach[loop.dim] *= loop.bound
            share = share * prod(nest.box(below, dataspace)) // prod(dataspace.box(reach))
    return share


def _round(words: Fraction) -> int:
    return floor(words + Fraction(1, 2))
