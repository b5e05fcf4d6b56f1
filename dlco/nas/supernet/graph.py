"""`GraphNetwork`: a network of `GraphSpace` in torch, and the weights that it takes over from another one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dlco.nas.spaces.cnn_graph import CnnGraph, Module, run_module, vertex_widths
from dlco.nas.spaces.graph import GraphSpace
from dlco.nas.spaces.operations import Operation, parse_operation

ACTIVATIONS = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "hardswish": nn.Hardswish,
    "leakyrelu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}

T = TypeVar("T")


class GraphNetwork(nn.Module):
    """One network of the space, called with images `[n, channels, rows, columns]`, float32.

    Parameters and multiply-accumulates are those that the space counts: `cnn_graph.layers` has the rules.

    Args:
        space: that it is of.
        network: the graph.
        seed: of the first weights.

    Raises:
        InvalidInput: this is no network of the space.
    """

    def __init__(self, space: GraphSpace, network: CnnGraph, seed: int = 0) -> None:
        space.check(network)
        super().__init__()
        self.network = network
        channels, size = space.channels, space.resolution
        with torch.random.fork_rng(devices=[]):  # torch's modules draw from the global generator only
            torch.manual_seed(seed)
            body: list[nn.Module] = []
            for module in network.modules:
                body.append(GraphModule(module, channels))
                _, _, channels, size = run_module(module, channels, size, 1)
            head: list[nn.Module] = []
            for text in network.head:
                operation = parse_operation(text)
                channels *= size**2 if operation.kind == "flatten" else 1
                head.append(_in_head(operation, channels))
                channels = operation.channels or channels
            head.append(nn.Linear(channels, space.classes))
        self.body, self.head = nn.Sequential(*body), nn.Sequential(*head)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[n, classes]`."""
        logits: Tensor = self.head(self.body(images))
        return logits

    def inherit(self, other: CnnGraph, weights: Mapping[str, Tensor]) -> float:
        """Copy weights of another network, with their statistics, wherever operation and shapes agree.

        Modules at the front that both have are matched with each other, the others from the end, so that what lies
        before and behind a module that was added or taken out is copied; the operations of the head likewise. Within
        two modules that differ, an operation is matched with the first of its text that is left.

        Args:
            other: the other network.
            weights: its `state_dict()`.

        Returns:
            The share of this network's trained words that was copied, 0 to 1.
        """
        copied, words = 0, sum(parameter.numel() for parameter in self.parameters())
        for mine, theirs in _parts(self.network, other):
            own, given = _within(mine, self.state_dict()), _within(theirs, weights)
            if own and {name: each.shape for name, each in own.items()} == {n: each.shape for n, each in given.items()}:
                part = self.get_submodule(mine)
                part.load_state_dict(given)
                copied += sum(parameter.numel() for parameter in part.parameters())
        return copied / words


class GraphModule(nn.Module):
    """A module of a graph, over maps `[n, channels, rows, columns]`.

    Attributes:
        module: the graph.
        steps: what the vertices between do, in order.
        shortcuts: by vertex, the 1x1 convolutions that the module's input takes to where it is added.
    """

    def __init__(self, module: Module, channels: int) -> None:
        super().__init__()
        self.module = module
        widths = vertex_widths(module, channels)
        last = len(module.operations) + 1
        steps: list[nn.Module] = []
        shortcuts: dict[str, nn.Module] = {}
        for vertex, text in enumerate(module.operations, start=1):
            inner = self._inner(vertex)
            entering = widths[inner[0]] if inner else channels
            if inner and 0 in module.sources(vertex):
                shortcuts[str(vertex)] = nn.Conv2d(channels, entering, 1)
            steps.append(_in_module(parse_operation(text), entering, widths[vertex]))
        if 0 in module.sources(last):
            leaving = sum(widths[source] for source in self._inner(last)) or channels
            shortcuts[str(last)] = nn.Conv2d(channels, leaving, 1)
        self.steps, self.shortcuts = nn.ModuleList(steps), nn.ModuleDict(shortcuts)

    def forward(self, images: Tensor) -> Tensor:
        """What the output vertex gives."""
        maps = [images]
        for vertex, step in enumerate(self.steps, start=1):
            entering = [maps[source] for source in self._inner(vertex)]
            if not entering:
                entering = [images]
            elif 0 in self.module.sources(vertex):
                entering.append(self.shortcuts[str(vertex)](images))
            maps.append(step(torch.stack(_stretched(entering)).sum(0)))
        last = len(self.steps) + 1
        leaving = [maps[source] for source in self._inner(last)]
        if 0 not in self.module.sources(last):
            return torch.cat(_stretched(leaving), 1)
        shortcut: Tensor = self.shortcuts[str(last)](images)
        if not leaving:
            return shortcut
        joined = torch.cat(_stretched(leaving), 1)
        return joined + interpolate(shortcut, size=joined.shape[-2:])

    def _inner(self, vertex: int) -> list[int]:
        """The vertices between that lead to this one."""
        return [source for source in self.module.sources(vertex) if source]


def matched(one: Sequence[T], other: Sequence[T]) -> list[tuple[int, int]]:
    """Places of two chains that belong together: equal ones from the front, then the others from the end."""
    lead = leading(one, other)
    rest = range(min(len(one), len(other)) - lead, 0, -1)
    return [(at, at) for at in range(lead)] + [(len(one) - back, len(other) - back) for back in rest]


def leading(one: Sequence[T], other: Sequence[T]) -> int:
    """How many items from the front on two chains have in common."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _parts(one: CnnGraph, other: CnnGraph) -> Iterator[tuple[str, str]]:
    """Names of parts of two networks that do the same, as torch has them; both need not be there."""
    for at, there in matched(one.modules, other.modules):
        mine, theirs = one.modules[at], other.modules[there]
        left = dict(enumerate(theirs.operations, start=1))
        vertices = {len(mine.operations) + 1: len(theirs.operations) + 1}
        for vertex, text in enumerate(mine.operations, start=1):
            same = next((place for place, operation in left.items() if operation == text), None)
            if same is not None:
                del left[same]
                vertices[vertex] = same
                yield f"body.{at}.steps.{vertex - 1}", f"body.{there}.steps.{same - 1}"
        for vertex, same in vertices.items():
            yield f"body.{at}.shortcuts.{vertex}", f"body.{there}.shortcuts.{same}"
    mine_head, their_head = (*one.head, "classes"), (*other.head, "classes")
    for at, there in matched(mine_head, their_head):
        if mine_head[at] == their_head[there]:
            yield f"head.{at}", f"head.{there}"


def _within(part: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a part's weights, under their names there."""
    return {name.removeprefix(part + "."): each for name, each in weights.items() if name.startswith(part + ".")}


def _stretched(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps of the rows and columns of the largest of them."""
    size = max(each.shape[-1] for each in maps)
    return [each if each.shape[-1] == size else interpolate(each, size=(size, size)) for each in maps]


def _in_module(operation: Operation, channels: int, width: int) -> nn.Module:
    """An operation over `channels`, with a 1x1 convolution behind it where it gives fewer than `width`."""
    parts: list[nn.Module] = []
    sliding = operation.kernel, operation.stride, operation.padding
    if operation.kind == "conv":
        groups = operation.groups_over(channels)
        parts.append(nn.Conv2d(channels, operation.channels, *sliding, groups=groups, bias=False))
        channels = operation.channels
        if operation.norm:
            parts.append(nn.BatchNorm2d(channels))
        parts.append(ACTIVATIONS[operation.activation]())
    elif operation.kind == "maxpool":
        parts.append(nn.MaxPool2d(*sliding))
    elif operation.kind == "avgpool":
        parts.append(nn.AvgPool2d(*sliding))
    elif operation.kind == "upsample":
        parts.append(nn.UpsamplingBilinear2d(size=operation.stride))
    elif operation.kind == "channel_shuffle":
        parts.append(nn.ChannelShuffle(operation.groups))
    else:
        parts.append(_dropout(operation))
    if channels < width:
        parts.append(nn.Conv2d(channels, width, 1))
    return nn.Sequential(*parts)


def _in_head(operation: Operation, features: int) -> nn.Module:
    """An operation of the head, over so many features."""
    if operation.kind == "flatten":
        return nn.Flatten()
    if operation.kind == "global-avg-pool":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if operation.kind == "dense":
        return nn.Sequential(nn.Linear(features, operation.channels), ACTIVATIONS[operation.activation]())
    return _dropout(operation)


def _dropout(operation: Operation) -> nn.Module:
    return nn.Dropout(float(f"0.{operation.rate}"))
