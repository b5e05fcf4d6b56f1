"""Networks of inverted residual blocks: MobileNetV2, MobileNetV3-Large and EfficientNet-B0, as torchvision's.

Names: block 3 is `block3_expand` (1x1), `block3_depthwise`, with squeeze-and-excitation `block3_squeeze` and
`block3_excite` (1x1 convolutions of the averaged map), and `block3_project` (1x1).
"""

from collections.abc import Sequence

from dlco.workload.layer import Layer
from dlco.workload.networks.builder import Builder


def mobilenet_v2(batch: int = 1) -> list[Layer]:
    """MobileNetV2, width 1.0 (arXiv:1801.04381, table 2), on 224x224 images.

    Returns:
        Its distinct layers, stem to fc, with counts.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return follow_mobilenet_v2(Builder(batch)).layers()


def mobilenet_v3_large(batch: int = 1) -> list[Layer]:
    """MobileNetV3-Large, width 1.0 (arXiv:1905.02244, table 1), on 224x224 images.

    Squeeze layers have a quarter of the expanded channels, rounded to a multiple of 8, as in the released networks.

    Returns:
        Its distinct layers, stem to fc2, with counts; the last 1x1 convolution has the shape of `block14_expand` and
        is counted there.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return follow_mobilenet_v3_large(Builder(batch)).layers()


def efficientnet_b0(batch: int = 1) -> list[Layer]:
    """EfficientNet-B0 (arXiv:1905.11946, table 1) on 224x224 images.

    Squeeze layers have a quarter of the channels that enter the block.

    Returns:
        Its distinct layers, stem to fc, with counts.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return follow_efficientnet_b0(Builder(batch)).layers()


def follow_mobilenet_v2(net: Builder) -> Builder:
    """Take a builder through the network."""
    net.conv("stem", 32, kernel=3, stride=2)
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    return _of_stages(net, [(expansion, 3, *rest) for expansion, *rest in table], squeezed=False)


def follow_mobilenet_v3_large(net: Builder) -> Builder:
    """Take a builder through the network."""
    net.conv("stem", 16, kernel=3, stride=2)
    # kernel, expanded channels, output channels, squeeze-and-excitation, stride
    table = [
        (3, 16, 16, False, 1),
        (3, 64, 24, False, 2),
        (3, 72, 24, False, 1),
        (5, 72, 40, True, 2),
        (5, 120, 40, True, 1),
        (5, 120, 40, True, 1),
        (3, 240, 80, False, 2),
        (3, 200, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 480, 112, True, 1),
        (3, 672, 112, True, 1),
        (5, 672, 160, True, 2),
        (5, 960, 160, True, 1),
        (5, 960, 160, True, 1),
    ]
    for block, (kernel, expanded, channels, excited, stride) in enumerate(table, start=1):
        squeezed = _multiple_of_8(expanded / 4) if excited else None
        _block(net, f"block{block}", expanded, channels, kernel, stride, squeezed)
    net.conv("head", 960, kernel=1)
    net.linear("fc1", 1280)
    net.linear("fc2", 1000)
    return net


def follow_efficientnet_b0(net: Builder) -> Builder:
    """Take a builder through the network."""
    net.conv("stem", 32, kernel=3, stride=2)
    table = [
        (1, 3, 16, 1, 1),
        (6, 3, 24, 2, 2),
        (6, 5, 40, 2, 2),
        (6, 3, 80, 3, 2),
        (6, 5, 112, 3, 1),
        (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    ]
    return _of_stages(net, table, squeezed=True)


def _of_stages(net: Builder, table: Sequence[tuple[int, ...]], squeezed: bool) -> Builder:
    """The layers after blocks and a head; rows are expansion, kernel, output channels, repeats, stride of the first."""
    block = 0
    for expansion, kernel, channels, repeats, first in table:
        for repeat in range(repeats):
            block += 1
            expanded, stride = expansion * net.channels, first if repeat == 0 else 1
            _block(net, f"block{block}", expanded, channels, kernel, stride, net.channels // 4 if squeezed else None)
    net.conv("head", 1280, kernel=1)
    net.linear("fc", 1000)
    return net


def _block(
    net: Builder, name: str, expanded: int, channels: int, kernel: int, stride: int, squeezed: int | None = None
) -> None:
    entered = net.branch()
    if expanded != net.channels:
        net.conv(f"{name}_expand", expanded, kernel=1)
    net.depthwise(f"{name}_depthwise", kernel, stride)
    if squeezed is not None:
        gate = net.branch()
        gate.mean(f"{name}_mean")
        gate.conv(f"{name}_squeeze", squeezed, kernel=1)
        gate.conv(f"{name}_excite", expanded, kernel=1)
        net.scale(f"{name}_scale", gate)
    net.conv(f"{name}_project", channels, kernel=1)
    if stride == 1 and entered.channels == channels:
        net.add(f"{name}_add", entered)


def _multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, the next one up where that would lose over a tenth of the channels."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8
