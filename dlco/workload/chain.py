"""Chains of layers, and what an extent of the last result takes of every layer before: windows, going backwards.

Windows that reach beyond a result by n elements are taken to reach ceil(n / 2) beyond its start, as where a layer pads
both sides alike. Elements that nothing reads are computed with the tile beside them, so that no work is left out.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from dlco.errors import InvalidInput
from dlco.workload.problem import Problem, check_count


@dataclass(frozen=True)
class Link:
    """That a layer of a chain reads the result of an earlier one; layers by position in the chain.

    Attributes:
        source: the layer that writes it.
        target: the layer that reads it.
        space: the dataspace of the reader that it is.
    """

    source: int
    target: int
    space: str

    def __post_init__(self) -> None:
        check_count("source of a link", self.source)
        check_count("target of a link", self.target)


@dataclass(frozen=True)
class Chain:
    """Layers that run one after the other, of whose results all but the last are read within the chain alone.

    Attributes:
        problems: of the layers.
        links: who reads whose result.

    Raises:
        InvalidInput: a link goes backwards or names no operand, or a result is read by nobody.
    """

    problems: tuple[Problem, ...]
    links: tuple[Link, ...]

    def __post_init__(self) -> None:
        for link in self.links:
            if not link.source < link.target < len(self.problems):
                raise InvalidInput(f"link goes from layer {link.source} to {link.target} of {len(self.problems)}")
            space = self.problems[link.target].dataspace(link.space)
            if space.read_write:
                raise InvalidInput(f"space of a link is {link.space!r}, which its reader writes")
        if {link.source for link in self.links} != set(range(len(self.problems) - 1)):
            raise InvalidInput("every layer of a chain but the last must be read within it")
        if not self.aligned:
            raise InvalidInput("a chain has two layers at least")

    def readers(self, layer: int) -> list[Link]:
        """The links from a layer."""
        return [link for link in self.links if link.source == layer]

    def last_reader(self, layer: int) -> int:
        """The last layer that reads a result."""
        return max(link.target for link in self.readers(layer))

    def inner(self, layer: int) -> frozenset[str]:
        """The dataspaces of a layer that lie within the chain: results that it reads, and its own unless it is last."""
        read = {link.space for link in self.links if link.target == layer}
        return frozenset(read | ({self.problems[layer].result} if layer < len(self.problems) - 1 else set()))

    def cut(self, layer: int) -> frozenset[str]:
        """The dimensions of a layer that cuts go through."""
        return frozenset(axis.dims[layer] for axis in self.axes.values())

    @cached_property
    def within(self) -> frozenset[str]:
        """The dataspaces of any layer that lie within the chain."""
        return frozenset().union(*(self.inner(layer) for layer in range(len(self.problems))))

    @cached_property
    def never_cut(self) -> tuple[tuple[str, ...], ...]:
        """`[layers]` operands from outside the chain of which every tile reads all, however it is cut."""
        found = []
        for layer, problem in enumerate(self.problems):
            cut, inner = self.cut(layer), self.inner(layer)
            spaces = (s for s in problem.dataspaces if not s.read_write and s.name not in inner)
            found.append(tuple(space.name for space in spaces if not space.dimensions & cut))
        return tuple(found)

    @cached_property
    def least_tiles(self) -> tuple[int, ...]:
        """`[layers]` tiles that run a layer at least, where there are two at least: the first as large as can be."""
        largest = [
            self.spans(dim, self.problems[-1].sizes[dim] - 1, kept=True).extents
            for dim in self.axes
            if self.problems[-1].sizes[dim] > 1
        ]
        return tuple(
            min((sum(extents[layer].values()) for extents in largest), default=1) for layer in range(len(self.problems))
        )

    @cached_property
    def aligned(self) -> dict[Link, tuple[tuple[int, int], ...]]:
        """For every link (rank of the result, rank of the operand) pairs of those with more than one element."""
        return {link: _aligned(self, link) for link in self.links}

    def spans(self, dim: str, size: int, *, kept: bool) -> "Spans":
        """A dimension of the last layer's result cut into tiles of this size, with halos that are kept or not."""
        if (dim, size, kept) not in self._spans:
            self._spans[dim, size, kept] = _spans(self, self.axes[dim], size, kept=kept)
        return self._spans[dim, size, kept]

    @cached_property
    def _spans(self) -> dict[tuple[str, int, bool], "Spans"]:
        return {}

    @cached_property
    def full(self) -> tuple[tuple[int, ...], ...]:
        """`[layers][ranks]` extents of every result, with the padding of who reads it."""
        found = [list(p.dataspace(p.result).box(p.sizes)) for p in self.problems]
        for link, pairs in self.aligned.items():
            reader = self.problems[link.target]
            box = reader.dataspace(link.space).box(reader.sizes)
            for own, theirs in pairs:
                found[link.source][own] = max(found[link.source][own], box[theirs])
        return tuple(map(tuple, found))

    @cached_property
    def axes(self) -> dict[str, "Axis"]:
        """By dimension of the last layer's result: how cutting it cuts every layer before, where it does."""
        last = self.problems[-1]
        single = [rank for rank in last.dataspace(last.result).projection if len(rank) == 1 and rank[0][1] == 1]
        found = {dim: _axis(self, dim) for ((dim, _),) in single}
        return {dim: axis for dim, axis in found.items() if axis is not None}


@dataclass(frozen=True)
class Window:
    """How a reader's range along an axis becomes the range of a result: elements [step a - before, ... + span)."""

    link: Link
    step: int
    span: int
    before: int

    def of(self, start: int, stop: int) -> tuple[int, int]:
        """The range of the result, padding included."""
        return self.step * start - self.before, self.step * (stop - 1) + self.span - self.before


@dataclass(frozen=True)
class Axis:
    """One dimension of the last layer's result through the chain.

    Attributes:
        dims: `[layers]` the dimension of each layer.
        windows: of all links.
    """

    dims: tuple[str, ...]
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class Spans:
    """An axis cut into tiles.

    Attributes:
        done: `[tiles][layers]` the ranges that each tile computes; empty where stop <= start.
        box: `[layers]` the longest stretch of a result that is there while it is written or read.
        overlap: `[layers]` the most elements that a later tile reads of what earlier ones have computed.
    """

    done: tuple[tuple[tuple[int, int], ...], ...]
    box: tuple[int, ...]
    overlap: tuple[int, ...]

    @cached_property
    def extents(self) -> tuple[Counter[int], ...]:
        """`[layers]` how many tiles compute so many elements; without those that compute none."""
        along = zip(*self.done, strict=True)
        return tuple(Counter(stop - start for start, stop in own if stop > start) for own in along)

    @cached_property
    def first(self) -> tuple[int, ...]:
        """`[layers]` elements that the first tile that computes any computes."""
        return tuple(next(iter(counted)) for counted in self.extents)


def _aligned(chain: Chain, link: Link) -> tuple[tuple[int, int], ...]:
    """Raises `InvalidInput` where the ranks of a result and of the operand that reads it do not match."""
    writer, reader = chain.problems[link.source], chain.problems[link.target]
    result, operand = writer.dataspace(writer.result), reader.dataspace(link.space)
    have, read = result.box(writer.sizes), operand.box(reader.sizes)
    long = [[at for at, n in enumerate(box) if n > 1] for box in (have, read)]
    pairs = tuple(zip(*long, strict=False))
    if len(have) == len(read):
        pairs = tuple((at, at) for at in sorted({*long[0], *long[1]}))
    elif len(long[0]) != len(long[1]):
        raise InvalidInput(f"a result of shape {have} is read as {read}")
    for own, theirs in pairs:
        rank, terms = operand.projection[theirs], result.projection[own]
        slides = len(rank) > 1 or rank[0][1] > 1
        if (have[own] != read[theirs] and not slides) or len(terms) > 1 or terms[0][1] > 1:
            raise InvalidInput(f"a result of shape {have} is read as {read}")
    return pairs


def _axis(chain: Chain, dim: str) -> Axis | None:
    """None where a layer is not cut, or where it is not known which elements its reader's windows meet."""
    dims = [""] * len(chain.problems)
    dims[-1] = dim
    windows = []
    for source in reversed(range(len(chain.problems) - 1)):
        writer = chain.problems[source]
        result = writer.dataspace(writer.result)
        for link in chain.readers(source):
            reader, by = chain.problems[link.target], dims[link.target]
            ranks = reader.dataspace(link.space).projection
            at = [(own, ranks[theirs]) for own, theirs in chain.aligned[link] if by in dict(ranks[theirs])]
            if len(at) != 1:
                return None
            ((own, rank),) = at
            ((found, _),) = result.projection[own]
            step = dict(rank)[by]
            span = 1 + sum(c * (reader.sizes[d] - 1) for d, c in rank if d != by)
            beyond = step * (reader.sizes[by] - 1) + span - writer.sizes[found]
            before = max(0, (beyond + 1) // 2)
            if dims[source] not in ("", found) or before >= span or beyond <= -step:
                return None
            dims[source] = found
            windows.append(Window(link, step, span, before))
    return Axis(tuple(dims), tuple(windows))


def _spans(chain: Chain, axis: Axis, size: int, *, kept: bool) -> Spans:
    layers = len(chain.problems)
    whole = [problem.sizes[dim] for problem, dim in zip(chain.problems, axis.dims, strict=True)]
    windows = [[(w.link.target, w) for w in axis.windows if w.link.source == layer] for layer in range(layers)]
    tiles = -(-whole[-1] // size)
    ends, box, overlap = [0] * layers, [0] * layers, [0] * layers
    done = []
    for tile in range(tiles):
        own = [(0, 0)] * layers
        own[-1] = tile * size, min((tile + 1) * size, whole[-1])
        for layer in reversed(range(layers - 1)):
            read = [window.of(*own[by]) for by, window in windows[layer] if own[by][0] < own[by][1]]
            start = min((a for a, _ in read), default=ends[layer])
            reach = max((b for _, b in read), default=ends[layer])
            stop = whole[layer] if tile == tiles - 1 else max(min(reach, whole[layer]), ends[layer])
            begin = ends[layer] if kept else min(max(start, 0), ends[layer])
            own[layer] = begin, stop
            overlap[layer] = max(overlap[layer], ends[layer] - max(start, 0))
            box[layer] = max(box[layer], max(reach, stop) - min(start, begin))
            ends[layer] = stop
        done.append(tuple(own))
    return Spans(tuple(done), tuple(box), tuple(overlap))
