"""How far CNN graphs lie from each other, counted in edits, and coordinates that keep those distances."""

from collections.abc import Callable, Hashable, Sequence
from itertools import permutations
from typing import TypeVar

import torch
from torch import Tensor

from dlco.nas.spaces.cnn_graph import CnnGraph, Module
from dlco.nas.spaces.operations import Operation, parse_operation

EDGE = 0.25
"""What adding or removing an edge costs; adding a 3x3 convolution to 64 channels costs 3 to 4 times 1."""

T = TypeVar("T", bound=Hashable)


def module_distances(modules: Sequence[Module], others: Sequence[Module]) -> Tensor:
    """The exact graph edit distance between modules, inputs and outputs matched with each other: `[n, m]`, float64.

    Adding or removing an operation costs the L1 norm of its `features`, exchanging two that of the difference. So
    exchanging is never dearer than removing and adding, edges included, and some optimal edit matches all vertices once
    the smaller module is filled up with vertices of no operation: the distance is a minimum over permutations.
    """
    between = max(len(module.operations) for module in (*modules, *others))
    one = torch.stack([_vector(module, tuple(range(between))) for module in modules])
    each = (torch.stack([_vector(module, order) for module in others]) for order in permutations(range(between)))
    return torch.stack([torch.cdist(one, two, p=1) for two in each]).amin(0)


def distances(networks: Sequence[CnnGraph], others: Sequence[CnnGraph]) -> Tensor:
    """The edit distance between networks, 0 where they are isomorphic: `[n, m]`, float64.

    It is that of their chains of modules, plus that of their heads. An edit removes a module or adds one, which costs
    all its operations and edges, or makes one into another at their graph edit distance; in the head, operations are
    removed, added and exchanged.
    """
    one, two = [network.modules for network in networks], [network.modules for network in others]
    by_modules = _chain_distances(one, two, module_distances, _module_sizes)
    one_head, two_head = [network.head for network in networks], [network.head for network in others]
    return by_modules + _chain_distances(one_head, two_head, _operation_distances, _operation_sizes)


class Landmarks:
    """Coordinates of networks from their edit distances to some fixed ones.

    Classical multidimensional scaling of the fixed ones, and the distance-based triangulation that extends it to any
    network (de Silva and Tenenbaum, "Sparse multidimensional scaling using landmark points", 2004), all divided by one
    number so that the fixed ones have variance 1 along the first. Isomorphic networks have the same coordinates.

    Args:
        networks: the fixed ones, at least two of them different.
        features: how many coordinates; fewer come out where the distances need no more.

    Attributes:
        features: how many coordinates come out.
    """

    def __init__(self, networks: Sequence[CnnGraph], features: int) -> None:
        self._networks = tuple(networks)
        squared = distances(networks, networks) ** 2
        self._means = squared.mean(0)
        centred = squared - squared.mean(0) - squared.mean(1, keepdim=True) + squared.mean()
        values, vectors = torch.linalg.eigh(-centred / 2)
        kept = [at for at in range(len(values) - 1, -1, -1) if values[at] > 1e-9 * values[-1]][:features]
        values, vectors = values[kept], vectors[:, kept]
        # a vector's sign is arbitrary: let its largest entry be positive
        vectors = vectors * vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
        self.features = len(kept)
        # unscaled, the fixed ones lie at vectors * sqrt(values), of variance values / n
        scale = (values[0] / len(self._networks)).sqrt()
        self._axes = -vectors / (2 * values.sqrt() * scale)

    def __call__(self, networks: Sequence[CnnGraph]) -> Tensor:
        """The coordinates of the networks: `[n, features]`, float64."""
        return (distances(networks, self._networks) ** 2 - self._means) @ self._axes


def _vector(module: Module, places: Sequence[int]) -> Tensor:
    """Features of the vertices between, the i-th at `places[i]`, and the adjacency matrix times `EDGE`, in one row."""
    between, last = len(places), len(module.operations) + 1
    row = [0, *(place + 1 for place in places[: last - 1]), between + 1]
    nodes = torch.zeros(between, len(Operation("conv").features()), dtype=torch.float64)
    edges = torch.zeros(between + 2, between + 2, dtype=torch.float64)
    for vertex, operation in enumerate(module.operations, start=1):
        nodes[row[vertex] - 1] = torch.tensor(parse_operation(operation).features(), dtype=torch.float64)
    for source, to in module.edges:
        edges[row[source], row[to]] = EDGE
    return torch.cat([nodes.flatten(), edges.flatten()])


def _module_sizes(modules: Sequence[Module]) -> Tensor:
    """What it costs to add each module, `[n]`."""
    return torch.stack([_vector(module, range(len(module.operations))).sum() for module in modules])


def _operation_distances(operations: Sequence[str], others: Sequence[str]) -> Tensor:
    return torch.cdist(_features(operations), _features(others), p=1)


def _operation_sizes(operations: Sequence[str]) -> Tensor:
    return _features(operations).sum(1)


def _features(operations: Sequence[str]) -> Tensor:
    return torch.tensor([parse_operation(operation).features() for operation in operations], dtype=torch.float64)


def _chain_distances(
    one: Sequence[Sequence[T]],
    two: Sequence[Sequence[T]],
    exchange: Callable[[Sequence[T], Sequence[T]], Tensor],
    sizes: Callable[[Sequence[T]], Tensor],
) -> Tensor:
    """The edit distance between chains, by Wagner and Fischer's recurrence, for all pairs at once: `[n, m]`."""
    items, others = list(dict.fromkeys(sum(map(tuple, one), ()))), list(dict.fromkeys(sum(map(tuple, two), ())))
    # one row and column more, of no cost, for the places behind the end of a chain
    exchanging = torch.nn.functional.pad(exchange(items, others), (0, 1, 0, 1))
    removing, adding = (torch.nn.functional.pad(sizes(of), (0, 1)) for of in (items, others))
    rows, columns = _indices(one, items), _indices(two, others)
    n, m = len(rows), len(columns)
    table = [[torch.zeros(n, m, dtype=torch.float64)]]
    for j in range(columns.shape[1]):
        table[0].append(table[0][j] + adding[columns[:, j]])
    for i in range(rows.shape[1]):
        table.append([table[i][0] + removing[rows[:, i]][:, None]])
        for j in range(columns.shape[1]):
            both = table[i][j] + exchanging[rows[:, i]][:, columns[:, j]]
            removed = table[i][j + 1] + removing[rows[:, i]][:, None]
            added = table[i + 1][j] + adding[columns[:, j]]
            table[i + 1].append(torch.minimum(both, torch.minimum(removed, added)))
    every = torch.stack([torch.stack(row) for row in table])
    ends, other_ends = (torch.tensor([len(chain) for chain in chains]) for chains in (one, two))
    return every[ends[:, None], other_ends, torch.arange(n)[:, None], torch.arange(m)]


def _indices(chains: Sequence[Sequence[T]], items: Sequence[T]) -> Tensor:
    """Each chain as indices into `items`, padded at its end by their number: `[n, longest]`."""
    index = {item: at for at, item in enumerate(items)}
    longest = max(map(len, chains))
    return torch.tensor([[*map(index.__getitem__, chain), *[len(items)] * (longest - len(chain))] for chain in chains])
