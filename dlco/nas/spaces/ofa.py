"""The network space of Once-for-All's MobileNetV3 (arXiv:1908.09791), width 1.0, as its released supernet has it."""

import re

import torch

from dlco.errors import InvalidInput
from dlco.nas.space import Decision, FactoredSpace, Network
from dlco.nas.spaces.piece import Piece, check_sizes, factor, multiple_of_8
from dlco.workload.problem import check_positive_int

STAGES = ((24, 2, False), (40, 2, True), (80, 2, False), (112, 1, True), (160, 2, True))
"""Channels, stride of the first block, and whether there is squeeze-and-excitation, stage by stage."""

BLOCKS = tuple(f"k{kernel}e{expansion}" for kernel in (3, 5, 7) for expansion in (3, 4, 6))
"""What a block may be: kernel and expansion."""

ABSENT = "none"
LEAST, MOST = 2, 4  # blocks of a stage


class OfaMobileNetV3(FactoredSpace):
    """Five stages of two to four inverted residual blocks, each with its kernel and expansion.

    A decision is a block: "k3e4" is kernel 3 and expansion 4, and the third and fourth block of a stage may be "none",
    the third only if the fourth is. So every factor has one decision at most, and costs are linear in the options'
    probabilities. Exchanging a stage's third and fourth block leaves the layers as they are.

    Parameters and multiply-accumulates (224x224 images) are those of the published measurements. Squeeze-and-excitation
    is a pooling, two linear layers and a scaling. The additions of residual blocks are layers too.

    Args:
        resolution: rows and columns of the images; the supernet was trained for 128 to 224.
        batch: images that run together.
        classes: that the network tells apart.
        macs_only: whether to leave out pooling, additions and scaling, which have no multiply-accumulates.

    Raises:
        InvalidInput: an argument is not a positive integer.
    """

    def __init__(self, resolution: int = 224, batch: int = 1, classes: int = 1000, *, macs_only: bool = False) -> None:
        check_sizes(resolution=resolution, batch=batch, classes=classes)
        entry = Piece(batch, 3, resolution)
        entry.conv(16, kernel=3, stride=2)
        entry.depthwise(kernel=3)
        entry.conv(16, kernel=1)
        entry.add()
        channels, size = entry.channels, entry.size

        decisions: list[Decision] = []
        factors = [factor({}, lambda: entry)]
        for stage, (width, first, excited) in enumerate(STAGES, start=1):
            for block in range(1, MOST + 1):
                stride = first if block == 1 else 1
                options = BLOCKS if block <= LEAST else (*BLOCKS, ABSENT)

                def build(
                    option: int,
                    before: tuple[int, int] = (channels, size),
                    shape: tuple[int, int, bool] = (width, stride, excited),
                ) -> Piece:
                    return _block(Piece(batch, *before), option, *shape)

                factors.append(factor({len(decisions): len(options)}, build))
                decisions.append(Decision(f"stage{stage} block{block}", options))
                channels, size = width, (size - 1) // stride + 1

        leave = Piece(batch, channels, size)
        leave.conv(960, kernel=1)
        leave.linear(1280, bias=False)
        leave.linear(classes)
        factors.append(factor({}, lambda: leave))
        super().__init__("ofa_mobilenetv3", decisions, factors, macs_only=macs_only)

    def is_valid(self, network: Network) -> bool:
        """Whether this is a tuple of one option's index a decision, with no fourth block behind an absent third."""
        absent = len(BLOCKS)
        return super().is_valid(network) and not any(
            network[third] == absent != network[third + 1] for third in range(LEAST, len(network), MOST)
        )

    def sample(self, n: int, generator: torch.Generator) -> list[Network]:
        """`n` networks: the depth of each stage uniform over 2, 3, 4, then each block uniform over the nine kinds.

        (Uniform over networks would be nearly all of them deep.)

        Raises:
            InvalidInput: `n` is not a positive integer.
        """
        check_positive_int("n", n)
        depths = torch.randint(LEAST, MOST + 1, (n, len(STAGES), 1), generator=generator)
        blocks = torch.randint(len(BLOCKS), (n, len(STAGES), MOST), generator=generator)
        blocks[torch.arange(MOST) >= depths] = len(BLOCKS)
        return [tuple(row) for row in blocks.flatten(1).tolist()]

    def parse(self, text: str) -> Network:
        """The network of a text such as "k3e3.k5e6-k3e3.k3e3.k7e4-...": stages joined by "-", their blocks by ".".

        Raises:
            InvalidInput: the text is no such thing.
        """
        stages = [stage.split(".") for stage in text.split("-")]
        if len(stages) != len(STAGES) or not all(LEAST <= len(blocks) <= MOST for blocks in stages):
            raise InvalidInput(f"network is {text!r}; it must have {len(STAGES)} stages of {LEAST} to {MOST} blocks")
        if ABSENT in re.split(r"[-.]", text):
            raise InvalidInput(f"network is {text!r}; absent blocks are left out of the text")
        return self.from_options([(*blocks, ABSENT, ABSENT)[at] for blocks in stages for at in range(MOST)])

    def format(self, network: Network) -> str:
        """The text of a network, as `parse` reads it; `InvalidInput` where it is none."""
        options = self.options(network)
        stages = (options[start : start + MOST] for start in range(0, len(options), MOST))
        return "-".join(".".join(block for block in blocks if block != ABSENT) for blocks in stages)


def _block(piece: Piece, option: int, width: int, stride: int, excited: bool) -> Piece:
    """The piece continued by an inverted residual block to `width` channels, or as it is where the block is absent."""
    if option < len(BLOCKS):
        residual = stride == 1 and piece.channels == width
        kernel, expansion = map(int, re.findall(r"\d", BLOCKS[option]))
        piece.conv(multiple_of_8(piece.channels * expansion), kernel=1)
        piece.depthwise(kernel, stride)
        if excited:
            piece.squeeze_excite(multiple_of_8(piece.channels // 4))
        piece.conv(width, kernel=1)
        if residual:
            piece.add()
    return piece
