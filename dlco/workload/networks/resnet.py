"""Residual networks (arXiv:1512.03385), as torchvision defines them: ResNet-50 strides in the 3x3 convolution.

Names: `layer2` is the 3x3 convolution of stage 2, `layer2_down` the strided one that enters the stage and
`layer2_short` the 1x1 convolution beside it. In bottlenecks `layer2_in` narrows the stage's input, `layer2_narrow` the
later blocks' and `layer2_widen` widens them all.
"""

from dlco.workload.layer import Layer
from dlco.workload.networks.builder import Builder


def resnet18(batch: int = 1) -> list[Layer]:
    """ResNet-18 on 224x224 images.

    Returns:
        Its distinct layers, conv1 to fc, with counts.

    Raises:
        InvalidInput: `batch` is not a positive integer.

    Examples:
        >>> network = dlco.networks.resnet18()
        >>> len(network), sum(layer.count for layer in network)
        (12, 21)
    """
    return follow_resnet18(Builder(batch)).layers()


def resnet34(batch: int = 1) -> list[Layer]:
    """ResNet-34 on 224x224 images: the layers of ResNet-18, more often.

    Returns:
        Its distinct layers, conv1 to fc, with counts.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return follow_resnet34(Builder(batch)).layers()


def resnet50(batch: int = 1) -> list[Layer]:
    """ResNet-50 on 224x224 images.

    Returns:
        Its distinct layers, conv1 to fc, with counts; stage 1's shortcut has the shape of `layer1_widen` and is
        counted there.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return follow_resnet50(Builder(batch)).layers()


def follow_resnet18(net: Builder) -> Builder:
    """Take a builder through the network."""
    return _resnet(net, (2, 2, 2, 2), bottleneck=False)


def follow_resnet34(net: Builder) -> Builder:
    """Take a builder through the network."""
    return _resnet(net, (3, 4, 6, 3), bottleneck=False)


def follow_resnet50(net: Builder) -> Builder:
    """Take a builder through the network."""
    return _resnet(net, (3, 4, 6, 3), bottleneck=True)


def _resnet(net: Builder, repeats: tuple[int, ...], bottleneck: bool) -> Builder:
    net.conv("conv1", 64, kernel=7, stride=2)
    net.pool("pool", 3, 2, padding=1)
    for stage, blocks in enumerate(repeats, start=1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            (_bottleneck if bottleneck else _basic)(net, f"layer{stage}", 32 * 2**stage, stride)
    net.linear("fc", 1000)
    return net


def _basic(net: Builder, stage: str, width: int, stride: int) -> None:
    shortcut = net.branch()
    net.conv(stage if stride == 1 else f"{stage}_down", width, kernel=3, stride=stride)
    _project(shortcut, stage, width, stride)
    net.conv(stage, width, kernel=3)
    net.add(f"{stage}_add", shortcut)


def _bottleneck(net: Builder, stage: str, width: int, stride: int) -> None:
    shortcut = net.branch()
    entering = net.channels != 4 * width
    net.conv(f"{stage}_in" if entering else f"{stage}_narrow", width, kernel=1)
    net.conv(stage if stride == 1 else f"{stage}_down", width, kernel=3, stride=stride)
    net.conv(f"{stage}_widen", 4 * width, kernel=1)
    _project(shortcut, stage, 4 * width, stride)
    net.add(f"{stage}_add", shortcut)


def _project(shortcut: Builder, stage: str, channels: int, stride: int) -> None:
    """The shortcut's 1x1 convolution, where the block changes the shape; elsewhere it is the identity."""
    if stride > 1 or shortcut.channels != channels:
        shortcut.conv(f"{stage}_short", channels, kernel=1, stride=stride)
