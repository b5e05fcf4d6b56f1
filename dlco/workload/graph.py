"""`Network`: layers with the order in which they run, and which of them reads whose result."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

from dlco.errors import InvalidInput
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import check_count, check_positive_int


@dataclass(frozen=True)
class Step:
    """One run of a layer in the network's course.

    Attributes:
        layer: its name.
        count: runs of it, one after the other, of which no edges are known: the body of a loop.
    """

    layer: str
    count: int = 1

    def __post_init__(self) -> None:
        check_positive_int(f"count of a step of layer {self.layer!r}", self.count)


@dataclass(frozen=True)
class Edge:
    """That a step reads the result of an earlier one.

    Attributes:
        source: position of the step that writes it.
        target: position of the step that reads it.
        space: the dataspace of the target's layer that it is, or a part of; None where an operator without a layer
            of its own reads it at the place where the target's result is written, such as a sum.
    """

    source: int
    target: int
    space: str | None


@dataclass(frozen=True)
class Graph:
    """The course of a network.

    Attributes:
        steps: in the order in which they run.
        edges: between them.
        results: positions of the steps whose results leave the network, or are read by what no layer stands for, so
            that they must be in DRAM. What nothing reads is a result, too.
    """

    steps: tuple[Step, ...] = ()
    edges: tuple[Edge, ...] = ()
    results: frozenset[int] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        for edge in self.edges:
            for name, at in (("source", edge.source), ("target", edge.target)):
                check_count(f"{name} of an edge", at)
            if not edge.source < edge.target < len(self.steps):
                raise InvalidInput(
                    f"edge goes from step {edge.source} to step {edge.target} of {len(self.steps)}; it must go to a "
                    "later one"
                )
        for at in self.results:
            check_count("position in results", at)
            if at >= len(self.steps):
                raise InvalidInput(f"results holds {at}; there are {len(self.steps)} steps")

    @cached_property
    def inputs(self) -> tuple[tuple[Edge, ...], ...]:
        """`[steps]` the edges to each."""
        return self._by_step([edge.target for edge in self.edges])

    @cached_property
    def outputs(self) -> tuple[tuple[Edge, ...], ...]:
        """`[steps]` the edges from each."""
        return self._by_step([edge.source for edge in self.edges])

    def _by_step(self, ends: Sequence[int]) -> tuple[tuple[Edge, ...], ...]:
        found: list[list[Edge]] = [[] for _ in self.steps]
        for at, edge in zip(ends, self.edges, strict=True):
            found[at].append(edge)
        return tuple(map(tuple, found))


@dataclass(frozen=True)
class Network(Sequence[Layer]):
    """A network as a sequence of layers, which `dlco.solve` takes like a list, and its course.

    Attributes:
        name: of the network.
        layers: in the order in which the network runs them first; equal ones are one, with a count and the name of
            the first.
        graph: which runs when, and who reads whose result; empty where it is not known.

    Raises:
        InvalidInput: steps and counts do not agree, or an edge names no dataspace of its layer that is read.

    Examples:
        >>> from dlco.workload import Edge, Graph, Network, Step
        >>> pair = [dlco.linear("up", N=8, C=16, M=64), dlco.linear("down", N=8, C=64, M=16)]
        >>> network = Network("mlp", tuple(pair), Graph((Step("up"), Step("down")), (Edge(0, 1, "Inputs"),)))
        >>> len(network), network.graph.results, network.macs
        (2, frozenset(), 16384)
    """

    name: str
    layers: tuple[Layer, ...]
    graph: Graph = field(default_factory=Graph)

    def __post_init__(self) -> None:
        check_layers(self.layers)
        if not self.graph.steps:
            return
        runs = dict.fromkeys(self.by_name, 0)
        for step in self.graph.steps:
            if step.layer not in runs:
                raise InvalidInput(f"step names layer {step.layer!r}; the network has {', '.join(runs)}")
            runs[step.layer] += step.count
        for layer in self.layers:
            if runs[layer.name] != layer.count:
                raise InvalidInput(
                    f"count of layer {layer.name} is {layer.count}; the network's steps run it {runs[layer.name]} times"
                )
        for edge in self.graph.edges:
            layer = self.by_name[self.graph.steps[edge.target].layer]
            read = [space.name for space in layer.problem.dataspaces if not space.read_write]
            if edge.space is not None and edge.space not in read:
                raise InvalidInput(
                    f"space of an edge to layer {layer.name} is {edge.space!r}; the layer reads {', '.join(read)}"
                )

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Layer, ...]: ...
    def __getitem__(self, index: int | slice) -> Layer | tuple[Layer, ...]:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        """The layers by name."""
        return {layer.name: layer for layer in self.layers}

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers in one run of the network."""
        return sum(layer.count * layer.macs for layer in self.layers)

    def layer_of(self, step: int) -> Layer:
        """The layer that a step runs."""
        return self.by_name[self.graph.steps[step].layer]


OUTSIDE = -1
"""The origin of what comes from outside the network."""

Origin = frozenset[int]
"""What a tensor is made of: positions of the steps that wrote its parts, `OUTSIDE` among them; none: parameters."""


class Course:
    """Records which layers run one after the other, and where what they read comes from.

    Attributes:
        steps: how often each of the runs is repeated.
        edges, results: as in `Graph`.
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.edges: dict[tuple[int, int, str | None], Edge] = {}
        self.results: set[int] = set()

    def run(self, reads: dict[str, Origin], count: int = 1) -> Origin:
        """Record a layer's run, what each of its dataspaces is made of, and how often; returns its result's origin."""
        at = len(self.steps)
        self.steps.append(count)
        for space, origin in reads.items():
            if OUTSIDE in origin:  # a part must come from DRAM, and a tile of parts cannot be cut
                self.leave(origin)
                continue
            for source in origin:
                self._read(source, at, space)
        return frozenset([at])

    def moved(self, origins: Iterable[Origin]) -> Origin:
        """The origin of what is put together of others, with nothing computed."""
        return frozenset().union(*origins)

    def computed(self, origins: Iterable[Origin]) -> Origin:
        """The origin of what an operator without a layer computes of others, where the last of them is written."""
        together = self.moved(origins)
        steps = sorted(together - {OUTSIDE})
        if not steps:
            return together
        for source in steps[:-1]:
            self._read(source, steps[-1], None)
        return frozenset(steps[-1:])

    def leave(self, origin: Origin) -> None:
        """Record that something is read outside the network's layers."""
        self.results |= origin - {OUTSIDE}

    def graph(self, names: Sequence[str]) -> Graph:
        """The graph, given the name of the layer that each run is one of."""
        steps = tuple(Step(name, count) for name, count in zip(names, self.steps, strict=True))
        edges = tuple(self.edges[key] for key in sorted(self.edges, key=lambda key: (key[1], key[0], key[2] or "")))
        read = {edge.source for edge in edges}
        unread = {at for at in range(len(steps)) if at not in read}
        return Graph(steps, edges, frozenset(self.results | unread))

    def _read(self, source: int, target: int, space: str | None) -> None:
        self.edges.setdefault((source, target, space), Edge(source, target, space))
