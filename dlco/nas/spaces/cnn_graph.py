"""`CnnGraph`: a CNN as a chain of small graphs with operations on their vertices; and what it computes."""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

from dlco.errors import InvalidInput
from dlco.nas.spaces.operations import parse_operation
from dlco.nas.spaces.piece import Piece
from dlco.workload import Layer

LARGEST_VECTOR = 6_400_000
"""Features that a flattened map may have unless told otherwise. One published version of CNNBench's code allows 40,960,
another any number."""


@dataclass(frozen=True)
class Module:
    """A directed acyclic graph: vertex 0 is its input, the last its output, those between have an operation each.

    Isomorphic modules are equal: of all numberings of the vertices between, the least is kept.

    Attributes:
        operations: of the vertices between, in order.
        edges: pairs (from, to) of vertices, from below to, sorted.

    Raises:
        InvalidInput: an edge does not lead from a vertex to a later one or occurs twice, a vertex lies on no path
            from input to output, there are more than 6 vertices between, or an operation is not understood.
    """

    operations: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        between, last = len(self.operations), len(self.operations) + 1
        if between > 6:
            raise InvalidInput(f"operations of a module is {self.operations!r}; there may be 6 of them")
        for operation in self.operations:
            if parse_operation(operation).in_head:
                raise InvalidInput(f"operation of a module is {operation!r}, which belongs into the head")
        edges = set(self.edges)
        if len(edges) != len(self.edges) or not all(0 <= source < to <= last for source, to in edges):
            raise InvalidInput(f"edges is {self.edges!r}; it must be distinct pairs of vertices 0 to {last}, ascending")
        if not connected(self.edges, last):
            raise InvalidInput(f"edges is {self.edges!r}; all {last + 1} vertices must lie between input and output")
        operations, ordered = _canonical(self.operations, tuple(sorted(self.edges)))
        object.__setattr__(self, "operations", operations)
        object.__setattr__(self, "edges", ordered)

    def sources(self, vertex: int) -> list[int]:
        """The vertices with an edge to this one."""
        return [source for source, to in self.edges if to == vertex]


def connected(edges: Collection[tuple[int, int]], last: int) -> bool:
    """Whether every vertex from 0 to `last` lies between input and output."""
    return {source for source, _ in edges} == set(range(last)) and {to for _, to in edges} == set(range(1, last + 1))


@lru_cache(maxsize=65_536)
def _canonical(
    operations: tuple[str, ...], edges: tuple[tuple[int, int], ...]
) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """The least (operations, edges) of all numberings of the vertices between in which edges ascend."""
    last = len(operations) + 1
    numberings = []
    for order in permutations(range(1, last)):
        number = dict(zip((0, *order, last), range(last + 1), strict=True))
        renamed = tuple(sorted((number[source], number[to]) for source, to in edges))
        if all(source < to for source, to in renamed):
            numberings.append((tuple(operations[vertex - 1] for vertex in order), renamed))
    return min(numberings)


@dataclass(frozen=True)
class CnnGraph:
    """A chain of modules and a head: a network of the graph space. Isomorphic ones are equal and hash alike.

    Isomorphic means module by module: where one module ends and the next begins is part of the graph, as it decides
    what is concatenated and what is added.

    Attributes:
        modules: in the order in which they run, each one's output the next one's input.
        head: "flatten" or "global-avg-pool", then any "dense-..." and "dropout-..."; the linear layer to the classes
            follows by itself.

    Raises:
        InvalidInput: there is no module, or the head is not as described.
    """

    modules: tuple[Module, ...]
    head: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.modules:
            raise InvalidInput("modules is empty; a CNN must have at least one")
        kinds = [parse_operation(operation).kind for operation in self.head]
        if kinds[:1] not in (["flatten"], ["global-avg-pool"]) or not {*kinds[1:]} <= {"dense", "dropout"}:
            raise InvalidInput(
                f'head is {self.head!r}; it must be "flatten" or "global-avg-pool", then "dense-..." or "dropout-..."'
            )

    def fingerprint(self) -> str:
        """SHA-256 of the network's text, in hexadecimal: the same for isomorphic networks, in every process."""
        return hashlib.sha256(str(self).encode()).hexdigest()

    def __str__(self) -> str:
        """Such as "conv3x3-c64-bn-relu,maxpool3x3-s2:01,02,12,23/...;global-avg-pool,dense-84-relu"."""
        modules = (
            ",".join(module.operations) + ":" + ",".join(f"{source}{to}" for source, to in module.edges)
            for module in self.modules
        )
        return "/".join(modules) + ";" + ",".join(self.head)

    @staticmethod
    def parse(text: str) -> "CnnGraph":
        """The network of a text as `str` writes it.

        Raises:
            InvalidInput: the text is no such thing.
        """
        found = re.fullmatch(r"([^;]+);([^;]+)", text)
        parts = [module.split(":") for module in found[1].split("/")] if found else []
        if not found or not all(len(part) == 2 and re.fullmatch(r"\d\d(,\d\d)*", part[1]) for part in parts):
            raise InvalidInput(
                f'network is {text!r}; it must be "OPERATION,...:EDGE,.../...;HEAD,...", an edge two digits'
            )
        modules = (
            Module(
                tuple(operations.split(",")) if operations else (),
                tuple((int(edge[0]), int(edge[1])) for edge in edges.split(",")),
            )
            for operations, edges in parts
        )
        return CnnGraph(tuple(modules), tuple(found[2].split(",")))


def layers(
    network: CnnGraph, classes: int, channels: int, size: int, batch: int, largest_vector: int = LARGEST_VECTOR
) -> tuple[list[Layer], int]:
    """Follow an image through the network.

    The rules are those by which CNNBench builds its models. A vertex adds what comes to it from other vertices between
    input and output, which are widened for that to the widest of them by a 1x1 convolution behind their operation; the
    module's input is added through a 1x1 convolution, or taken as it is where nothing else comes. The output
    concatenates, and adds the module's input through another 1x1 convolution. Maps of different size are stretched to
    the largest. The 1x1 convolutions added in this way have biases and no normalisation; those that nothing uses,
    which CNNBench creates and counts, are left out.

    Args:
        network: the graph.
        classes: that the network tells apart.
        channels: of the image.
        size: rows and columns of the image.
        batch: images that run together.
        largest_vector: features that a flattened map may have.

    Returns:
        The layers with work to do, equal ones repeated, and the trained words besides their weights.

    Raises:
        InvalidInput: a feature map is too small for the window sliding over it, too large to be flattened, or has
            channels that an operation cannot group.
    """
    found: list[Layer] = []
    beside = 0
    for module in network.modules:
        brought, more, channels, size = run_module(module, channels, size, batch)
        found += brought
        beside += more
    piece = Piece(batch, channels, size)
    for operation in network.head:
        parse_operation(operation).run(piece, width=0)
        if operation == "flatten" and piece.channels > largest_vector:
            raise InvalidInput(
                f"head is {network.head!r}; the map that it flattens has {piece.channels} features, "
                f"and largest_vector is {largest_vector}"
            )
    piece.linear(classes)
    return found + piece.layers, beside + piece.beside


@lru_cache(maxsize=65_536)
def run_module(module: Module, channels: int, size: int, batch: int) -> tuple[tuple[Layer, ...], int, int, int]:
    """Follow a feature map of some channels and rows through a module; rules and errors as for `layers`.

    Returns:
        The layers, equal ones repeated; the trained words besides their weights; channels and rows of the output.
    """
    last = len(module.operations) + 1
    operations = [parse_operation(operation) for operation in module.operations]
    sources = {vertex: module.sources(vertex) for vertex in range(1, last + 1)}
    widths = vertex_widths(module, channels)
    pieces: list[Piece] = []
    sizes = [size]  # of the map behind each vertex

    def project(width: int) -> None:
        """The module's input through a 1x1 convolution."""
        pieces.append(Piece(batch, channels, size))
        pieces[-1].conv(width, kernel=1, norm=False, bias=True)

    for vertex, operation in enumerate(operations, start=1):
        inner = [source for source in sources[vertex] if source]
        entering = widths[inner[0]] if inner else channels
        if inner and 0 in sources[vertex]:
            project(entering)
        pieces.append(Piece(batch, entering, max(sizes[source] for source in sources[vertex])))
        pieces[-1].add(len(sources[vertex]) - 1)
        operation.run(pieces[-1], widths[vertex])
        sizes.append(pieces[-1].size)
    inner = [source for source in sources[last] if source]
    width = sum(widths[source] for source in inner) or channels
    if 0 in sources[last]:
        project(width)
    # a map added from the module's input is stretched or shrunk to the others' size
    leaving = max((sizes[source] for source in inner), default=size)
    if inner and 0 in sources[last]:
        pieces.append(Piece(batch, width, leaving))
        pieces[-1].add()
    brought = tuple(layer for piece in pieces for layer in piece.layers)
    return brought, sum(piece.beside for piece in pieces), width, leaving


def vertex_widths(module: Module, channels: int) -> list[int]:
    """Channels behind the module's input, which has `channels`, and behind every vertex between.

    A vertex has those of its operation (its input's where it names none), or more where it is added to a wider one.
    Widths only grow from one round to the next and never pass the widest, so this ends.
    """
    wanted = [parse_operation(operation).channels for operation in module.operations]
    widths = [channels, *wanted]
    while True:
        before = list(widths)
        for vertex in range(1, len(widths)):
            inner = [source for source in module.sources(vertex) if source]
            if not wanted[vertex - 1]:
                widths[vertex] = max(widths[vertex], widths[inner[0]] if inner else channels)
            widest = max((widths[source] for source in inner), default=0)
            for source in inner:
                widths[source] = widest
        if widths == before:
            return widths
