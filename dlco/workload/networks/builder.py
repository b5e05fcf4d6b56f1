"""`Builder`: follows a network from its input, keeping the feature map's size and merging layers of one shape."""

from dlco.workload.layer import Layer
from dlco.workload.layers import conv2d, depthwise_conv2d, linear
from dlco.workload.problem import Problem, check_positive_int


class Builder:
    """The feature map at one point of a network, and the layers that led there.

    Attributes:
        batch: images that run through the network together.
        channels: of the feature map.
        size: rows, and as many columns, of the feature map.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """

    def __init__(self, batch: int, channels: int = 3, size: int = 224) -> None:
        check_positive_int("batch", batch)
        self.batch = batch
        self.channels = channels
        self.size = size
        self._found: dict[Problem, tuple[str, int]] = {}

    def branch(self, size: int | None = None) -> "Builder":
        """A builder that starts from this feature map, pooled to `size` if given, and adds to the same network."""
        other = Builder(self.batch, self.channels, self.size if size is None else size)
        other._found = self._found
        return other

    def conv(self, name: str, M: int, kernel: int, stride: int = 1, padding: int | None = None) -> None:
        """Convolve to `M` channels; `padding` keeps the size (at stride 1) unless given."""
        self._slide(kernel, stride, kernel // 2 if padding is None else padding)
        P = self.size
        self._add(conv2d(name, N=self.batch, C=self.channels, M=M, P=P, Q=P, R=kernel, S=kernel, stride=stride))
        self.channels = M

    def depthwise(self, name: str, kernel: int, stride: int = 1) -> None:
        """Convolve every channel by itself, with the padding that keeps the size at stride 1."""
        self._slide(kernel, stride, kernel // 2)
        P = self.size
        self._add(depthwise_conv2d(name, N=self.batch, C=self.channels, P=P, Q=P, R=kernel, S=kernel, stride=stride))

    def pool(self, kernel: int, stride: int, padding: int = 0) -> None:
        """Shrink the feature map; pooling has no multiplications, hence no layer."""
        self._slide(kernel, stride, padding)

    def flatten(self) -> None:
        """Turn the feature map into one vector."""
        self.channels *= self.size**2
        self.size = 1

    def linear(self, name: str, M: int) -> None:
        """Connect the averaged feature map, or the flattened vector, to `M` features."""
        self._add(linear(name, N=self.batch, C=self.channels, M=M))
        self.channels, self.size = M, 1

    def layers(self) -> list[Layer]:
        """The layers in the order met; those of one shape are one, with a count and the name of the first."""
        return [Layer(name, problem, count) for problem, (name, count) in self._found.items()]

    def _slide(self, kernel: int, stride: int, padding: int) -> None:
        self.size = (self.size + 2 * padding - kernel) // stride + 1

    def _add(self, layer: Layer) -> None:
        name, count = self._found.get(layer.problem, (layer.name, 0))
        self._found[layer.problem] = (name, count + layer.count)
