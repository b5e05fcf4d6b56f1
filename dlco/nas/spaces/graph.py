"""A space of CNNs whose modules are small graphs, as CNNBench's (CODEBench, arXiv:2212.03965) is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import compress, product

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.nas.space import NetworkSpace, multiplying
from dlco.nas.spaces.cnn_graph import LARGEST_VECTOR, CnnGraph, Module, connected, layers, run_module
from dlco.nas.spaces.distance import Landmarks
from dlco.nas.spaces.operations import parse_operation
from dlco.nas.spaces.piece import check_sizes
from dlco.workload import Layer
from dlco.workload.layer import merge_layers
from dlco.workload.problem import check_positive_int

OPERATIONS = (
    *(f"conv1x1-c{channels}-bn-{act}" for channels in (32, 64, 128, 256) for act in ("relu", "silu")),
    *(f"conv1x1-c{channels}-g8-bn-relu" for channels in (32, 96, 192)),
    *(f"conv3x3-c{channels}-p1-bn-relu" for channels in (32, 64, 128, 256)),
    *(f"conv3x3-c{channels}-p1-s2-bn-relu" for channels in (128, 256, 512)),
    *(f"conv3x3-c{channels}-dw-p1-bn-relu" for channels in (64, 128, 256)),
    *(f"conv3x3-c{channels}-dw-p1-s2-bn-relu" for channels in (64, 128, 256)),
    *(f"conv3x3-c{channels}-g8-p1-bn-relu" for channels in (64, 128)),
    *(f"conv5x5-c{channels}-p2-bn-relu" for channels in (64, 128, 192)),
    "conv7x7-c64-p3-s2-bn-relu",
    "maxpool3x3-s2-p1",
    "maxpool3x3-p1",
    "avgpool3x3-s2-p1",
    "avgpool3x3-p1",
    "channel_shuffle-g8",
    "dropout-p1",
    "dropout-p5",
)
"""What a vertex may do unless told otherwise: 37 of CNNBench's kinds, padded to keep the size at stride 1."""

POOLS = ("flatten", "global-avg-pool")
DENSE = ("dropout-p2", "dropout-p5", "dense-84-relu", "dense-120-relu", "dense-1024-relu")
"""What the head may do behind its pooling unless told otherwise."""


class GraphSpace(NetworkSpace[CnnGraph]):
    """Chains of modules, each a graph of a few vertices with an operation each, and a head.

    How an image runs through them, and so which layers and parameters they have, says `cnn_graph.layers`. Pooling and
    additions are layers too; stretching, shuffles and activations are not mapped. Features are coordinates from graph
    edit distances (CODEBench's CNN2vec in kind): see `distance.Landmarks`.

    Args:
        operations: what a vertex may do, in `operations.parse_operation`'s spelling.
        modules: most modules of a network.
        vertices: most vertices of a module, its input and output among them; 6 at most. It has at most `vertices + 3`
            edges.
        head_vertices: most vertices of the head, input, output and last linear layer among them; at least 4.
        dense: what the head may do behind its pooling, in the same spelling.
        classes: that the network tells apart.
        channels: of the images.
        resolution: rows and columns of the images.
        largest_vector: features that a flattened map may have, before the head's linear layers.
        batch: images that run together.
        features: coordinates of an encoded network, at most.
        landmarks: networks that those coordinates are measured from.
        seed: for drawing these.
        macs_only: whether to leave out pooling, additions and scaling, which have no multiply-accumulates.

    Raises:
        InvalidInput: an argument is not one of those allowed.
    """

    def __init__(
        self,
        operations: Sequence[str] = OPERATIONS,
        modules: int = 16,
        vertices: int = 5,
        head_vertices: int = 8,
        dense: Sequence[str] = DENSE,
        classes: int = 10,
        channels: int = 3,
        resolution: int = 224,
        largest_vector: int = LARGEST_VECTOR,
        batch: int = 1,
        features: int = 16,
        landmarks: int = 64,
        seed: int = 0,
        *,
        macs_only: bool = False,
    ) -> None:
        check_sizes(modules=modules, classes=classes, channels=channels, resolution=resolution)
        check_sizes(largest_vector=largest_vector, batch=batch, features=features)
        for argument, value, least, most in (
            ("vertices", vertices, 2, 6),
            ("head_vertices", head_vertices, 4, 64),
            ("landmarks", landmarks, 2, 4096),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise InvalidInput(f"{argument} is {value!r}; it must be an integer from {least} to {most}")
        for argument, texts in (("operations", operations), ("dense", dense)):
            if not texts or len(set(texts)) != len(texts):
                raise InvalidInput(f"{argument} is {texts!r}; it must be one or more distinct texts")
        for operation in operations:
            if parse_operation(operation).in_head:
                raise InvalidInput(f"operations holds {operation!r}, which belongs into the head")
        for operation in dense:
            if parse_operation(operation).kind not in ("dense", "dropout"):
                raise InvalidInput(f'dense holds {operation!r}; it must be such as "dense-84-relu" or "dropout-p5"')
        self.name = "cnn_graph"
        self.operations, self.dense = tuple(operations), tuple(dense)
        self.modules, self.vertices, self.head_vertices = modules, vertices, head_vertices
        self.macs_only = macs_only
        self.classes, self.batch = classes, batch
        self.channels, self.resolution, self.largest_vector = channels, resolution, largest_vector
        self._features, self._landmarks, self._seed = features, landmarks, seed

    def sample(self, n: int, generator: torch.Generator) -> list[CnnGraph]:
        """`n` networks: the numbers of modules, vertices and head operations uniform, then each of them drawn.

        A module's edges are uniform over those that are allowed, operations uniform. A module that the feature map so
        far is too small for is drawn again, and so is a head that it is too large for.

        Raises:
            InvalidInput: `n` is not a positive integer.
        """
        check_positive_int("n", n)
        return [self._draw(generator) for _ in range(n)]

    def encode(self, networks: Sequence[CnnGraph]) -> Tensor:
        """Coordinates that keep the networks' edit distances, scaled: `[n, features]`, float64."""
        if not networks:
            return torch.zeros(0, self._coordinates.features, dtype=torch.float64)
        return self._coordinates(networks)

    def neighbours(self, network: CnnGraph) -> list[CnnGraph]:
        """The valid networks one edit away, each once.

        An edit exchanges a vertex's operation, adds or removes an edge or a vertex, takes a module out, or repeats one,
        or exchanges, adds or removes an operation of the head.

        Raises:
            InvalidInput: this is no network of the space.
        """
        self.check(network)
        changed = dict.fromkeys(self._edited(network))
        return [other for other in changed if other != network and self.is_valid(other)]

    def to_layers(self, network: CnnGraph) -> tuple[Layer, ...]:
        """The network's distinct layers, in the order in which they run, with counts.

        Raises:
            InvalidInput: this is no network of the space.
        """
        self.check(network)
        found = self._run(network)[0]
        return merge_layers(multiplying(found) if self.macs_only else found)

    def parameters(self, network: CnnGraph) -> int:
        """Trained words of the network, with biases and normalisation.

        Raises:
            InvalidInput: this is no network of the space.
        """
        self.check(network)
        found, beside = self._run(network)
        return beside + sum(layer.parameters for layer in found)

    def parse(self, text: str) -> CnnGraph:
        """The network of a text such as "conv3x3-c64-p1-bn-relu,maxpool3x3-s2-p1:01,02,13,23/...;global-avg-pool".

        A module is its operations, a colon, and its edges, each two digits: from and to. Modules are joined by "/".

        Raises:
            InvalidInput: the text is no such thing, or its network is not of the space.
        """
        network = CnnGraph.parse(text)
        self.check(network)
        return network

    def format(self, network: CnnGraph) -> str:
        """The text of a network, the same for isomorphic ones; `InvalidInput` where it is none of the space."""
        self.check(network)
        return str(network)

    def is_valid(self, network: CnnGraph) -> bool:
        """Whether it keeps to the space's limits and operations, and the images fit through it."""
        try:
            self.check(network)
        except InvalidInput:
            return False
        return True

    def check(self, network: CnnGraph) -> None:
        """Raise `InvalidInput`, saying what is wrong, unless this is a network of the space."""
        if not isinstance(network, CnnGraph):
            raise InvalidInput(f"network is {network!r}; it must be a CnnGraph")
        if len(network.modules) > self.modules:
            raise InvalidInput(f"network has {len(network.modules)} modules; there may be {self.modules}")
        for module in network.modules:
            if len(module.operations) + 2 > self.vertices or len(module.edges) > self.vertices + 3:
                raise InvalidInput(
                    f"module has {len(module.operations) + 2} vertices and {len(module.edges)} edges; "
                    f"there may be {self.vertices} and {self.vertices + 3}"
                )
            for operation in module.operations:
                if operation not in self.operations:
                    raise InvalidInput(f"operation is {operation!r}; it must be one of {', '.join(self.operations)}")
        if len(network.head) + 3 > self.head_vertices:
            raise InvalidInput(f"head is {network.head!r}; it may have {self.head_vertices - 3} operations")
        for operation in network.head[1:]:
            if operation not in self.dense:
                raise InvalidInput(f"operation of the head is {operation!r}; it must be one of {', '.join(self.dense)}")
        self._run(network)

    def _run(self, network: CnnGraph) -> tuple[list[Layer], int]:
        return layers(network, self.classes, self.channels, self.resolution, self.batch, self.largest_vector)

    @cached_property
    def _coordinates(self) -> Landmarks:
        drawn = self.sample(self._landmarks, torch.Generator().manual_seed(self._seed))
        return Landmarks(drawn, self._features)

    def _draw(self, generator: torch.Generator) -> CnnGraph:
        def below(number: int) -> int:
            return int(torch.randint(number, (), generator=generator))

        modules: list[Module] = []
        channels, size, length = self.channels, self.resolution, 1 + below(self.modules)
        while len(modules) < length:  # a module of no operation always fits
            graphs = _graphs(below(self.vertices - 1), self.vertices + 3)
            edges = graphs[below(len(graphs))]
            between = max(to for _, to in edges) - 1
            module = Module(tuple(self.operations[below(len(self.operations))] for _ in range(between)), edges)
            try:
                _, _, channels, size = run_module(module, channels, size, self.batch)
            except InvalidInput:
                continue
            modules.append(module)
        while True:  # a pooled map is never too large
            head = [POOLS[below(len(POOLS))]]
            head += [self.dense[below(len(self.dense))] for _ in range(below(self.head_vertices - 3))]
            network = CnnGraph(tuple(modules), tuple(head))
            if self.is_valid(network):
                return network

    def _edited(self, network: CnnGraph) -> Iterator[CnnGraph]:
        before, head = network.modules, network.head
        for at, module in enumerate(before):
            for edited in self._edited_module(module):
                yield replace(network, modules=(*before[:at], edited, *before[at + 1 :]))
            yield replace(network, modules=(*before[:at], module, *before[at:]))
            if len(before) > 1:
                yield replace(network, modules=(*before[:at], *before[at + 1 :]))
        for pool in POOLS:
            yield replace(network, head=(pool, *head[1:]))
        for at in range(1, len(head) + 1):
            yield replace(network, head=(*head[:at], *head[at + 1 :]))
            for operation in self.dense:
                yield replace(network, head=(*head[:at], operation, *head[at:]))
                yield replace(network, head=(*head[:at], operation, *head[at + 1 :]))

    def _edited_module(self, module: Module) -> Iterator[Module]:
        operations, last = module.operations, len(module.operations) + 1
        for at in range(len(operations)):
            for operation in self.operations:
                yield Module((*operations[:at], operation, *operations[at + 1 :]), module.edges)
        for pair in ((source, to) for source in range(last) for to in range(source + 1, last + 1)):
            edges = tuple(edge for edge in module.edges if edge != pair)
            edges = (*edges, pair) if len(edges) == len(module.edges) else edges
            if connected(edges, last):
                yield Module(operations, edges)
        for source, to in module.edges:  # a vertex upon an edge
            later = {vertex: vertex + (vertex > source) for vertex in range(last + 1)}
            edges = tuple((later[a], later[b]) for a, b in module.edges if (a, b) != (source, to))
            edges = (*edges, (source, source + 1), (source + 1, later[to]))
            for operation in self.operations if last + 2 <= self.vertices else ():
                yield Module((*operations[:source], operation, *operations[source:]), edges)
        for gone in range(1, last):  # a vertex with one way in and one out, taken off its edge
            ends = [a for a, b in module.edges if b == gone] + [b for a, b in module.edges if a == gone]
            kept = {(a, b) for a, b in module.edges if gone not in (a, b)}
            if len(ends) == 2:
                edges = tuple((a - (a > gone), b - (b > gone)) for a, b in {*kept, (ends[0], ends[1])})
                yield Module((*operations[: gone - 1], *operations[gone:]), edges)


@lru_cache(maxsize=64)
def _graphs(between: int, most: int) -> list[tuple[tuple[int, int], ...]]:
    """The sets of at most `most` edges that connect input, output and this many vertices between."""
    last = between + 1
    pairs = [(source, to) for source in range(last) for to in range(source + 1, last + 1)]
    chosen = (compress(pairs, there) for there in product((False, True), repeat=len(pairs)) if sum(there) <= most)
    return [edges for edges in map(tuple, chosen) if connected(edges, last)]
