"""A small space for 8x8 grey images, whose networks train in seconds: the whole co-search with nothing downloaded."""

import re

import torch

from dlco.errors import InvalidInput
from dlco.nas.space import Decision, FactoredSpace, Network
from dlco.nas.spaces.piece import Piece, check_sizes, factor
from dlco.workload.problem import check_positive_int

SIZE, CLASSES = 8, 10  # rows and columns of an image; digits
STAGES = (4, 8)
"""Channels of the two stages; the second has half the rows and columns. With more, every network would be as good."""

KERNELS, HIDDEN = (3, 5), (4, 8, 16)
BLOCKS = tuple(f"k{kernel}h{hidden}" for kernel in KERNELS for hidden in HIDDEN)
"""What a block may be: the kernel of its first convolution, and the channels between its two convolutions."""

ABSENT = "none"


class Digits(FactoredSpace):
    """Residual blocks in two stages, each with its kernel and hidden channels, or left out.

    A 3x3 convolution to 4 channels; blocks; a 3x3 convolution of stride 2 to 8 channels; blocks; the average over the
    image; a linear layer. A block is a convolution to its hidden channels, normalised, and a 1x1 convolution back,
    added to its input, so that "none" leaves the image as it is. Every factor has one decision at most: costs are
    linear in the options' probabilities.

    Args:
        blocks: of each stage.
        batch: images that run together.
        macs_only: whether to leave out pooling, additions and scaling, which have no multiply-accumulates.

    Raises:
        InvalidInput: an argument is not a positive integer.
    """

    def __init__(self, blocks: int = 3, batch: int = 1, *, macs_only: bool = False) -> None:
        check_sizes(blocks=blocks, batch=batch)
        self.blocks = blocks
        options = (*BLOCKS, ABSENT)

        def frame() -> Piece:
            piece = Piece(batch, 1, SIZE)
            piece.conv(STAGES[0], kernel=3)
            piece.conv(STAGES[1], kernel=3, stride=2)
            piece.linear(CLASSES)
            return piece

        decisions: list[Decision] = []
        factors = [factor({}, frame)]
        for stage, (channels, size) in enumerate(zip(STAGES, (SIZE, SIZE // 2), strict=True), start=1):

            def build(option: int, channels: int = channels, size: int = size) -> Piece:
                piece = Piece(batch, channels, size)
                if option < len(BLOCKS):
                    kernel, hidden = kernel_and_hidden(option)
                    piece.conv(hidden, kernel)
                    piece.conv(channels, kernel=1, norm=False)
                    piece.add()
                return piece

            for block in range(1, blocks + 1):
                factors.append(factor({len(decisions): len(options)}, build))
                decisions.append(Decision(f"stage{stage} block{block}", options))
        super().__init__("digits", decisions, factors, macs_only=macs_only)

    def sample(self, n: int, generator: torch.Generator) -> list[Network]:
        """`n` networks: how many blocks they have is uniform, then which these are, then each over the six kinds.

        (Uniform over networks would be nearly all of them deep.)

        Raises:
            InvalidInput: `n` is not a positive integer.
        """
        check_positive_int("n", n)
        shape = (n, len(self.decisions))
        blocks = torch.randint(len(BLOCKS), shape, generator=generator)
        blocks[torch.rand(shape, generator=generator) < torch.rand(n, 1, generator=generator)] = len(BLOCKS)
        return [tuple(row) for row in blocks.tolist()]


def kernel_and_hidden(option: int) -> tuple[int, int]:
    """Kernel and hidden channels of a block's option.

    Raises:
        InvalidInput: the option is no block.
    """
    if not 0 <= option < len(BLOCKS):
        raise InvalidInput(f"option is {option!r}; blocks are 0 to {len(BLOCKS) - 1}")
    kernel, hidden = map(int, re.findall(r"\d+", BLOCKS[option]))
    return kernel, hidden
