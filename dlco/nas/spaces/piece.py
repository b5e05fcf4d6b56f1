"""`Piece`: a stretch of a network, followed from its input and counted as it is built."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product

from dlco.errors import InvalidInput
from dlco.nas.space import Factor
from dlco.workload import Layer, conv2d, depthwise_conv2d, linear, pointwise, pool2d, upsample2d
from dlco.workload.problem import check_positive_int


def check_sizes(**sizes: int) -> None:
    """Raises `InvalidInput` where one of the arguments of a space is not a positive integer."""
    for argument, value in sizes.items():
        check_positive_int(argument, value)


class Piece:
    """The feature map at one point of a stretch of a network, and the layers that led there.

    Layers are named after their shape, so that equal ones have equal names wherever they occur:
    `conv3x3s2_16to24_56x56` is a 3x3 convolution of stride 2 from 16 to 24 channels, with 56x56 outputs. Those without
    multiply-accumulates are among them: windows of a pooling (`pool3x3s2_64_56x56`), means of whole maps
    (`mean_64_7x7`), maps brought to another size (`resize2_64_56x56`), sums of two maps (`add_64_56x56`) and maps
    weighed channel by channel (`scale_64_56x56`).

    Attributes:
        batch: images that run together.
        channels: of the feature map.
        size: rows, and as many columns, of the feature map.
        layers: those met so far, equal ones repeated.
        beside: trained words besides the layers' weights: two a channel of a batch normalisation, one a bias.
    """

    def __init__(self, batch: int, channels: int, size: int) -> None:
        self.batch = batch
        self.channels = channels
        self.size = size
        self.layers: list[Layer] = []
        self.beside = 0

    def conv(
        self,
        M: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 1,
        padding: int | None = None,
        norm: bool = True,
        bias: bool = False,
    ) -> None:
        """Convolve to `M` channels, then normalise unless told otherwise; padding keeps the size unless given."""
        C = self.channels
        self._slide(kernel, stride, padding)
        self.layers.append(_convolution(self.batch, C, M, self.size, kernel, stride, groups))
        self.channels = M
        self.beside += (2 * M if norm else 0) + (M if bias else 0)

    def depthwise(self, kernel: int, stride: int = 1) -> None:
        """Convolve every channel by itself, padded to keep the size at stride 1, then normalise."""
        self.conv(self.channels, kernel, stride, groups=self.channels)

    def squeeze_excite(self, squeezed: int) -> None:
        """Weigh the channels by two linear layers with biases, run on the averaged feature map."""
        expanded = self.channels
        self.mean()
        self._connect(expanded, squeezed)
        self._connect(squeezed, expanded)
        self.layers.append(_scale(self.batch, expanded, self.size))
        self.beside += squeezed + expanded

    def linear(self, M: int, bias: bool = True) -> None:
        """Connect the averaged feature map, or a vector, to `M` features."""
        self.mean()
        self._connect(self.channels, M)
        self.channels, self.size = M, 1
        self.beside += M if bias else 0

    def pool(self, kernel: int, stride: int, padding: int | None = None) -> None:
        """The mean, or the largest value, of windows of the feature map; padding as for `conv`.

        Raises:
            InvalidInput: the window is larger than the padded feature map.
        """
        self._slide(kernel, stride, padding)
        self.layers.append(_pool(self.batch, self.channels, self.size, kernel, stride))

    def resize(self, size: int) -> None:
        """Bring the feature map to `size` rows and columns; where it is no multiple, every result has a word read."""
        if size != self.size:
            scale = size // self.size if size % self.size == 0 else 1
            self.layers.append(_resized(self.batch, self.channels, size, scale))
        self.size = size

    def mean(self) -> None:
        """The mean of each channel, where there is more than one word of it; the map itself stays."""
        if self.size > 1:
            self.layers.append(_pool(self.batch, self.channels, 1, self.size, 1))

    def add(self, times: int = 1) -> None:
        """Add another map of the same shape to this one, so many times."""
        self.layers += [_add(self.batch, self.channels, self.size)] * times

    def _slide(self, kernel: int, stride: int, padding: int | None) -> None:
        padded = self.size + 2 * (kernel // 2 if padding is None else padding)
        if padded < kernel:
            raise InvalidInput(f"window is {kernel}x{kernel}; the feature map it slides over has {padded} rows")
        self.size = (padded - kernel) // stride + 1

    def _connect(self, C: int, M: int) -> None:
        self.layers.append(_linear(self.batch, C, M))


def factor(choices: Mapping[int, int], build: Callable[..., Piece]) -> Factor:
    """The factor that `build` describes.

    Args:
        choices: the decisions that it depends on, each with how many options it has.
        build: given the index of the option chosen at each of them, in order, builds what that brings.
    """
    pieces = {options: build(*options) for options in product(*map(range, choices.values()))}
    layers = {options: tuple(piece.layers) for options, piece in pieces.items()}
    return Factor(tuple(choices), layers, {options: piece.beside for options, piece in pieces.items()})


def multiple_of_8(channels: int) -> int:
    """MobileNet's rounding: the nearest multiple of 8, the next one up where that would lose over a tenth."""
    nearest = max(8, (channels + 4) // 8 * 8)
    return nearest if 10 * nearest >= 9 * channels else nearest + 8


@lru_cache(maxsize=65_536)
def _convolution(N: int, C: int, M: int, P: int, kernel: int, stride: int, groups: int) -> Layer:
    if kernel == stride == groups == P == 1:  # the shape of a linear layer, so its name too
        return _linear(N, C, M)
    window = f"{kernel}x{kernel}" + (f"s{stride}" if stride > 1 else "")
    shape = {"N": N, "C": C, "P": P, "Q": P, "R": kernel, "S": kernel}
    if 1 < groups == C == M:
        return depthwise_conv2d(f"depthwise{window}_{C}_{P}x{P}", **shape, stride=stride)
    grouped = f"g{groups}" if groups > 1 else ""
    return conv2d(f"conv{window}{grouped}_{C}to{M}_{P}x{P}", **shape, M=M, stride=stride, groups=groups)


@lru_cache(maxsize=65_536)
def _linear(N: int, C: int, M: int) -> Layer:
    return linear(f"linear_{C}to{M}", N=N, C=C, M=M)


@lru_cache(maxsize=65_536)
def _pool(N: int, C: int, P: int, kernel: int, stride: int) -> Layer:
    window = f"{kernel}x{kernel}" + (f"s{stride}" if stride > 1 else "")
    name = f"mean_{C}_{kernel}x{kernel}" if P == 1 else f"pool{window}_{C}_{P}x{P}"
    return pool2d(name, N=N, C=C, P=P, Q=P, R=kernel, S=kernel, stride=stride if P > 1 else 1)


@lru_cache(maxsize=65_536)
def _resized(N: int, C: int, P: int, scale: int) -> Layer:
    return upsample2d(f"resize{scale}_{C}_{P}x{P}", N=N, C=C, H=P // scale, W=P // scale, scale=scale)


@lru_cache(maxsize=65_536)
def _add(N: int, C: int, P: int) -> Layer:
    return pointwise(f"add_{C}_{P}x{P}", (N, C, P, P), (N, C, P, P))


@lru_cache(maxsize=65_536)
def _scale(N: int, C: int, P: int) -> Layer:
    return pointwise(f"scale_{C}_{P}x{P}", (N, C, P, P), (N, C, 1, 1), operation="scale")
