"""Graphs as CNNBench's for 8x8 grey images, small enough that each of them trains in a second or two."""

from dlco.nas.spaces.digits import CLASSES, SIZE
from dlco.nas.spaces.graph import GraphSpace

OPERATIONS = (
    *(f"conv1x1-c{channels}-bn-relu" for channels in (8, 16, 32)),
    "conv1x1-c16-g4-bn-silu",
    *(f"conv3x3-c{channels}-p1-bn-relu" for channels in (8, 16, 32)),
    *(f"conv3x3-c{channels}-p1-s2-bn-relu" for channels in (16, 32)),
    *(f"conv3x3-c{channels}-dw-p1-bn-relu" for channels in (8, 16, 32)),
    "conv3x3-c16-g4-p1-bn-relu",
    *(f"conv5x5-c{channels}-p2-bn-relu" for channels in (8, 16)),
    "maxpool3x3-p1",
    "maxpool3x3-s2-p1",
    "avgpool3x3-p1",
    "avgpool3x3-s2-p1",
    "channel_shuffle-g4",
    "dropout-p1",
    f"upsample-s{SIZE}",
)
"""What a vertex may do: every kind of operation that CNNBench has, with fewer channels."""

DENSE = ("dropout-p2", "dropout-p5", "dense-32-relu", "dense-84-relu")
"""What the head may do behind its pooling."""


def digit_graphs(batch: int = 1, *, macs_only: bool = False) -> GraphSpace:
    """One to four modules of up to three operations each, for digits of 8x8 pixels.

    Args:
        batch: images that run together.
        macs_only: as of `GraphSpace`.

    Raises:
        InvalidInput: `batch` is not a positive integer.
    """
    return GraphSpace(
        OPERATIONS,
        modules=4,
        vertices=5,
        head_vertices=5,
        dense=DENSE,
        classes=CLASSES,
        channels=1,
        resolution=SIZE,
        largest_vector=1024,
        batch=batch,
        macs_only=macs_only,
    )
