"""The MnasNet-like network space of Accel-NASBench (arXiv:2404.08005), on EfficientNet-B0's skeleton."""

from collections.abc import Mapping

from dlco.errors import InvalidInput
from dlco.nas.space import Decision, FactoredSpace, Network
from dlco.nas.spaces.piece import Piece, check_sizes, factor

BLOCKS = ((16, 1, 3), (24, 2, 3), (40, 2, 3), (80, 2, 3), (112, 1, 3), (192, 2, 4), (320, 1, 3))
"""Channels, stride of the first layer, and most layers, block by block."""

KNOBS = 4  # decisions of a block


class MnasNet(FactoredSpace):
    """Seven blocks, each with an expansion (e), a kernel (k), a number of layers (l) and squeeze-and-excitation (s).

    A block's four decisions share a factor. Squeeze-and-excitation, to a quarter of the channels that enter the layer,
    is a pooling, two linear layers and a scaling. The additions of residual blocks are layers too.

    Parameters are those of Accel-NASBench's table exactly. The multiply-accumulates of its table are larger: they count
    4 operations an element normalised and `P * Q + 1` a channel averaged besides. With these, every row agrees; without
    them, what is counted here is 0.913 of the table's figure on average (0.857 to 0.963).

    Args:
        resolution: rows and columns of the images.
        batch: images that run together.
        classes: that the network tells apart.
        macs_only: whether to leave out pooling, additions and scaling, which have no multiply-accumulates.

    Raises:
        InvalidInput: an argument is not a positive integer.
    """

    def __init__(self, resolution: int = 224, batch: int = 1, classes: int = 1000, *, macs_only: bool = False) -> None:
        check_sizes(resolution=resolution, batch=batch, classes=classes)
        entry = Piece(batch, 3, resolution)
        entry.conv(32, kernel=3, stride=2)
        channels, size = entry.channels, entry.size

        decisions: list[Decision] = []
        factors = [factor({}, lambda: entry)]
        for index, (width, stride, most) in enumerate(BLOCKS):
            knobs = {"e": (1, 4, 6), "k": (3, 5), "l": tuple(range(1, most + 1)), "s": (0, 1)}

            def build(
                *options: int,
                before: tuple[int, int] = (channels, size),
                shape: tuple[int, int] = (width, stride),
                knobs: Mapping[str, tuple[int, ...]] = knobs,
            ) -> Piece:
                chosen = [values[option] for values, option in zip(knobs.values(), options, strict=True)]
                return _block(Piece(batch, *before), *shape, *chosen)

            factors.append(factor({len(decisions) + at: len(v) for at, v in enumerate(knobs.values())}, build))
            decisions += [
                Decision(f"block{index} {knob}", tuple(f"{knob}{value}" for value in values))
                for knob, values in knobs.items()
            ]
            channels, size = width, (size - 1) // stride + 1

        leave = Piece(batch, channels, size)
        leave.conv(1280, kernel=1)
        leave.linear(classes)
        factors.append(factor({}, lambda: leave))
        super().__init__("mnasnet", decisions, factors, macs_only=macs_only)

    def parse(self, text: str) -> Network:
        """The network of a text such as "e6k3l1s0-e4k5l2s1-...", seven blocks joined by "-".

        Raises:
            InvalidInput: the text is no such thing.
        """
        blocks = text.split("-")
        if len(blocks) != len(BLOCKS) or any(len(block) != 2 * KNOBS for block in blocks):
            raise InvalidInput(f'network is {text!r}; it must be {len(BLOCKS)} blocks such as "e6k3l1s0" joined by "-"')
        return self.from_options([block[at : at + 2] for block in blocks for at in range(0, len(block), 2)])

    def format(self, network: Network) -> str:
        """The text of a network, as `parse` reads it; `InvalidInput` where it is none."""
        options = self.options(network)
        return "-".join("".join(options[start : start + KNOBS]) for start in range(0, len(options), KNOBS))


def _block(piece: Piece, width: int, stride: int, expansion: int, kernel: int, layers: int, excited: int) -> Piece:
    for layer in range(layers):
        entering = piece.channels
        if expansion > 1:
            piece.conv(expansion * entering, kernel=1)
        piece.depthwise(kernel, stride if layer == 0 else 1)
        if excited:
            piece.squeeze_excite(entering // 4)
        piece.conv(width, kernel=1)
        if layer:
            piece.add()
    return piece
