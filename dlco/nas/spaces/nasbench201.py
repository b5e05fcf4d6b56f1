"""The cell space of NAS-Bench-201 (arXiv:2001.00326; NATS-Bench's topology space): 15,625 networks for small images."""

import re
from collections.abc import Callable

from dlco.errors import InvalidInput
from dlco.nas.space import Decision, FactoredSpace, Network
from dlco.nas.spaces.piece import Piece, check_sizes, factor

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""What may lie on an edge, in the benchmark's own order."""

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The edges (from, to) of a cell's four nodes, in the order of the benchmark's strings."""

KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
WIDTHS, CELLS = (16, 32, 64), 5  # channels of the three groups, cells of each


class NasBench201(FactoredSpace):
    """Six edges of a cell, an operation each; the cell is repeated 15 times.

    A 3x3 convolution to 16 channels, three groups of five cells at 16, 32 and 64 channels, a residual block of stride 2
    between groups (3x3 of stride 2, 3x3, and a 1x1 behind the shortcut's pooling), and a linear layer. Parameters and
    multiply-accumulates are the benchmark's, which also counts operations that no path from input to output uses.
    Pooling of edges, of the shortcuts and of the last map, and the sums of nodes and residual blocks are layers too; an
    edge of "none" is nothing to be added.

    Args:
        classes: that the network tells apart: 10 and 100 for CIFAR, 120 for ImageNet16-120.
        resolution: rows and columns of the images: 32 for CIFAR, 16 for ImageNet16-120.
        batch: images that run together.
        macs_only: whether to leave out pooling, additions and scaling, which have no multiply-accumulates.

    Raises:
        InvalidInput: an argument is not a positive integer.

    Examples:
        >>> from dlco.nas import NasBench201
        >>> space = NasBench201()
        >>> network = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
        >>> network, space.macs(network), space.parameters(network)
        ((3, 0, 1, 1, 0, 3), 78561920, 559386)
    """

    def __init__(self, classes: int = 10, resolution: int = 32, batch: int = 1, *, macs_only: bool = False) -> None:
        check_sizes(classes=classes, resolution=resolution, batch=batch)

        def frame() -> Piece:
            piece = Piece(batch, 3, resolution)
            piece.conv(WIDTHS[0], kernel=3)
            for width in WIDTHS[1:]:
                shortcut = Piece(batch, piece.channels, piece.size)
                shortcut.pool(2, 2, padding=piece.size % 2)
                shortcut.conv(width, kernel=1, norm=False)
                piece.conv(width, kernel=3, stride=2)
                piece.conv(width, kernel=3)
                piece.layers += shortcut.layers
                piece.add()
            piece.beside += 2 * piece.channels  # the normalisation before the last pooling
            piece.linear(classes)
            return piece

        def everywhere(run: Callable[[Piece], None]) -> Piece:
            """What the maps of all groups of cells, one after the other, run."""
            cells = Piece(batch, WIDTHS[0], resolution)
            for width in WIDTHS:
                if width != WIDTHS[0]:
                    cells.size = (cells.size - 1) // 2 + 1
                cells.channels = width
                run(cells)
            return cells

        def edge(option: int) -> Piece:
            kernel = KERNELS.get(OPERATIONS[option])

            def run(cells: Piece) -> None:
                for _ in range(CELLS):
                    if kernel:
                        cells.conv(cells.channels, kernel)
                    elif OPERATIONS[option] == "avg_pool_3x3":
                        cells.pool(3, 1)

            return everywhere(run)

        def node(*options: int) -> Piece:
            ends = sum(OPERATIONS[option] != "none" for option in options)
            return everywhere(lambda cells: cells.add(CELLS * max(0, ends - 1)))

        decisions = [Decision(f"node{to} from node{source}", OPERATIONS) for source, to in EDGES]
        edges = [factor({at: len(OPERATIONS)}, edge) for at in range(len(EDGES))]
        inputs = [[at for at, (_, end) in enumerate(EDGES) if end == to] for to in (2, 3)]
        nodes = [] if macs_only else [factor(dict.fromkeys(some, len(OPERATIONS)), node) for some in inputs]
        super().__init__("nasbench201", decisions, [factor({}, frame), *edges, *nodes], macs_only=macs_only)

    def parse(self, text: str) -> Network:
        """The network of a benchmark's string, such as "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...~0|...~1|...~2|".

        Raises:
            InvalidInput: the text is no such string.
        """
        nodes = [re.findall(r"([a-z_0-9]+)~(\d{1,2})\|", node) for node in text.split("+")]
        spelled = "+".join("|" + "".join(f"{operation}~{source}|" for operation, source in node) for node in nodes)
        if spelled != text or [[int(source) for _, source in node] for node in nodes] != [[0], [0, 1], [0, 1, 2]]:
            raise InvalidInput(
                f'network is {text!r}; it must be a string such as "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"'
            )
        return self.from_options([operation for node in nodes for operation, _ in node])

    def format(self, network: Network) -> str:
        """The benchmark's string of a network; `InvalidInput` where it is none."""
        spelled = [
            f"{operation}~{source}|" for operation, (source, _) in zip(self.options(network), EDGES, strict=True)
        ]
        return "+".join("|" + "".join(spelled[start:end]) for start, end in ((0, 1), (1, 3), (3, 6)))
