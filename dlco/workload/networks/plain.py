"""Networks that are one chain of convolutions: AlexNet and VGG-16, as torchvision defines them."""

from dlco.workload.layer import Layer
from dlco.workload.networks.builder import Builder


def alexnet(batch: int = 1) -> list[Layer]:
    """AlexNet in its one-tower form ("One weird trick for parallelizing CNNs", arXiv:1404.5997), 224x224 images.

    Returns:
        Convolutions conv1 to conv5 and fully connected layers fc6 to fc8.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return follow_alexnet(Builder(batch)).layers()


def vgg16(batch: int = 1) -> list[Layer]:
    """VGG-16, configuration D of arXiv:1409.1556, on 224x224 images.

    Returns:
        Convolutions named by stage and place in it, from conv1_1 to conv5_1, and fc6 to fc8; equal ones are merged,
        so that conv5_1 stands for all three of its stage.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return follow_vgg16(Builder(batch)).layers()


def follow_alexnet(net: Builder) -> Builder:
    """Take a builder through the network."""
    net.conv("conv1", 64, kernel=11, stride=4, padding=2)
    net.pool("pool1", 3, 2)
    net.conv("conv2", 192, kernel=5)
    net.pool("pool2", 3, 2)
    for name, channels in (("conv3", 384), ("conv4", 256), ("conv5", 256)):
        net.conv(name, channels, kernel=3)
    net.pool("pool5", 3, 2)
    return _classifier(net)


def follow_vgg16(net: Builder) -> Builder:
    """Take a builder through the network."""
    for stage, (repeats, channels) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1):
        for place in range(1, repeats + 1):
            net.conv(f"conv{stage}_{place}", channels, kernel=3)
        net.pool(f"pool{stage}", 2, 2)
    return _classifier(net)


def _classifier(net: Builder) -> Builder:
    net.flatten()
    for name, features in (("fc6", 4096), ("fc7", 4096), ("fc8", 1000)):
        net.linear(name, features)
    return net
