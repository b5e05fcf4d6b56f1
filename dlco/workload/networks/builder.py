"""`Recorder` and `Builder`: follow a network from its input, merging layers of one shape and keeping its course."""

from collections.abc import Sequence

from dlco.workload.graph import OUTSIDE, Course, Network, Origin
from dlco.workload.layer import Layer, merge_layers
from dlco.workload.layers import conv2d, depthwise_conv2d, linear
from dlco.workload.passes import normalise, pointwise, pool2d
from dlco.workload.problem import check_positive_int

INPUT: Origin = frozenset([OUTSIDE])


class Recorder:
    """The layers that a network runs, in order, and what each of them reads.

    Args:
        macs_only: whether what has no multiply-accumulates has no layer, as where a result is written.
    """

    def __init__(self, macs_only: bool) -> None:
        self.macs_only = macs_only
        self._course = Course()
        self._runs: list[Layer] = []

    def run(self, layer: Layer, **reads: Origin) -> Origin:
        """Run a layer that reads these as its dataspaces; the origin of its result."""
        self._runs.append(layer)
        return self._course.run(reads, layer.count)

    def add(self, name: str, shape: Sequence[int], one: Origin, other: Origin) -> Origin:
        """The sum of two tensors of one shape."""
        return self.combine(name, shape, shape, one, other, "add")

    def combine(
        self, name: str, shape: Sequence[int], smaller: Sequence[int], one: Origin, other: Origin, operation: str
    ) -> Origin:
        """A tensor combined with one that is broadcast to it."""
        if self.macs_only:
            return self._course.computed([one, other])
        layer = pointwise(name, tuple(shape), tuple(smaller), operation=operation)
        return self.run(layer, Inputs=one, Weights=other)

    def normalise(self, name: str, shape: Sequence[int], origin: Origin, operation: str = "normalise") -> Origin:
        """A tensor normalised along its last axis, or its softmax."""
        if self.macs_only:
            return origin
        statistics, use = normalise(name, tuple(shape), (len(shape) - 1,), operation=operation)
        figures = self.run(statistics, Inputs=origin)
        return self.run(use, Inputs=origin, Weights=figures)

    def leave(self, origin: Origin) -> None:
        """Say that a tensor leaves the network."""
        self._course.leave(origin)

    def layers(self) -> list[Layer]:
        """The layers in the order met; those of one shape are one, with a count and the name of the first."""
        return list(merge_layers(self._runs))

    def network(self, name: str) -> Network:
        """The same with the course."""
        layers = merge_layers(self._runs)
        names = {layer.work: layer.name for layer in layers}
        return Network(name, layers, self._course.graph([names[layer.work] for layer in self._runs]))


class Builder:
    """The feature map at one point of a network, and the layers that led there.

    Attributes:
        batch: images that run through the network together.
        channels: of the feature map.
        size: rows, and as many columns, of the feature map.
        origin: what it is made of.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """

    def __init__(self, batch: int, channels: int = 3, size: int = 224, *, macs_only: bool = True) -> None:
        check_positive_int("batch", batch)
        self.batch = batch
        self.channels = channels
        self.size = size
        self.origin = INPUT
        self._recorder = Recorder(macs_only)

    def branch(self) -> "Builder":
        """A builder that starts from this feature map and adds to the same network."""
        other = Builder(self.batch, self.channels, self.size)
        other.origin, other._recorder = self.origin, self._recorder
        return other

    def conv(self, name: str, M: int, kernel: int, stride: int = 1, padding: int | None = None) -> None:
        """Convolve to `M` channels; `padding` keeps the size (at stride 1) unless given."""
        self._slide(kernel, stride, kernel // 2 if padding is None else padding)
        P = self.size
        self._run(conv2d(name, N=self.batch, C=self.channels, M=M, P=P, Q=P, R=kernel, S=kernel, stride=stride))
        self.channels = M

    def depthwise(self, name: str, kernel: int, stride: int = 1) -> None:
        """Convolve every channel by itself, with the padding that keeps the size at stride 1."""
        self._slide(kernel, stride, kernel // 2)
        P = self.size
        self._run(depthwise_conv2d(name, N=self.batch, C=self.channels, P=P, Q=P, R=kernel, S=kernel, stride=stride))

    def pool(self, name: str, kernel: int, stride: int, padding: int = 0) -> None:
        """Shrink the feature map; pooling has no multiplications."""
        self._slide(kernel, stride, padding)
        if not self._recorder.macs_only:
            P = self.size
            self._run(pool2d(name, N=self.batch, C=self.channels, P=P, Q=P, R=kernel, S=kernel, stride=stride))

    def mean(self, name: str) -> None:
        """Shrink the feature map to the means of its channels."""
        self.pool(name, self.size, self.size)

    def add(self, name: str, other: "Builder") -> None:
        """Add another feature map of the same shape."""
        shape = self._shape
        self.origin = self._recorder.add(name, shape, self.origin, other.origin)

    def scale(self, name: str, gate: "Builder") -> None:
        """Multiply every channel by its figure in a gate."""
        self.origin = self._recorder.combine(name, self._shape, gate._shape, self.origin, gate.origin, "scale")

    def flatten(self) -> None:
        """Turn the feature map into one vector."""
        self.channels *= self.size**2
        self.size = 1

    def linear(self, name: str, M: int) -> None:
        """Connect the averaged feature map, or the flattened vector, to `M` features."""
        if self.size > 1:
            self.mean("mean")
        self._run(linear(name, N=self.batch, C=self.channels, M=M))
        self.channels, self.size = M, 1

    def layers(self) -> list[Layer]:
        """The layers in the order met; those of one shape are one, with a count and the name of the first."""
        return self._recorder.layers()

    def network(self, name: str) -> Network:
        """The same with the course; the feature map at this point leaves the network."""
        self._recorder.leave(self.origin)
        return self._recorder.network(name)

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.channels, self.size, self.size

    def _run(self, layer: Layer) -> None:
        self.origin = self._recorder.run(layer, Inputs=self.origin)

    def _slide(self, kernel: int, stride: int, padding: int) -> None:
        self.size = (self.size + 2 * padding - kernel) // stride + 1
