"""Residual networks (arXiv:1512.03385) whose stages may be narrower or wider, of any of three depths."""

from collections.abc import Callable, Sequence

from dlco.errors import InvalidInput
from dlco.nas.space import Decision, Factor, FactoredSpace
from dlco.nas.spaces.piece import Piece, factor, multiple_of_8
from dlco.workload.problem import check_positive_int

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Blocks of each stage; those of ResNet-50 are bottlenecks."""

STAGES = (1, 2, 3, 4)


class ResNet(FactoredSpace):
    """ResNet-18, -34 or -50 with a width for each stage and, where asked for, a kernel for each and a resolution.

    Decisions are "width1" to "width4" (multiples of the 64, 128, 256 and 512 channels of the original, rounded to a
    multiple of 8; the first convolution has stage 1's), "kernel1" to "kernel4" (of the blocks' 3x3 convolutions) and
    "resolution"; one that has a single option is left out. A layer between two stages depends on both widths, so a
    factor has two of them. A network's text names the options: "w0.5-w1-w1-w0.75".

    At width 1, parameters and multiply-accumulates are those of torchvision's networks. Pooling and the
    additions of residual blocks are layers too.

    Args:
        depth: 18, 34 or 50.
        widths: what to multiply the channels of a stage by.
        kernels: rows, and columns, of the convolutions within blocks; odd.
        resolutions: rows, and columns, of the images.
        batch: images that run together.
        classes: that the network tells apart.
        macs_only: whether to leave out pooling, additions and scaling, which have no multiply-accumulates.

    Raises:
        InvalidInput: an argument is not one of those allowed, or an option occurs twice.

    Examples:
        >>> from dlco.nas import ResNet
        >>> space = ResNet(18)
        >>> space.macs(space.parse("w1-w1-w1-w1")) == sum(x.count * x.macs for x in dlco.networks.resnet18())
        True
    """

    def __init__(
        self,
        depth: int = 18,
        widths: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
        kernels: Sequence[int] = (3,),
        resolutions: Sequence[int] = (224,),
        batch: int = 1,
        classes: int = 1000,
        *,
        macs_only: bool = False,
    ) -> None:
        _check_arguments(depth, widths, kernels, resolutions, batch, classes)
        knobs: dict[str, list[tuple[str, float]]] = {"resolution": [(f"r{size}", size) for size in resolutions]}
        for stage in STAGES:
            knobs[f"width{stage}"] = [(f"w{width:g}", width) for width in widths]
        for stage in STAGES:
            knobs[f"kernel{stage}"] = [(f"k{kernel}", kernel) for kernel in kernels]
        free = [name for name, options in knobs.items() if len(options) > 1]
        decisions = [Decision(name, tuple(text for text, _ in knobs[name])) for name in free]

        def depends(names: Sequence[str], build: Callable[..., Piece]) -> Factor:
            """The factor of those of these knobs that are free; `build` gets the values of all of them."""

            def chosen(*options: int) -> Piece:
                option = dict(zip((name for name in names if name in free), options, strict=True))
                return build(*(knobs[name][option.get(name, 0)][1] for name in names))

            return factor({free.index(name): len(knobs[name]) for name in names if name in free}, chosen)

        deep = depth == 50

        def stem(resolution: int, width: float) -> Piece:
            piece = Piece(batch, 3, resolution)
            piece.conv(_channels(1, width), kernel=7, stride=2)
            piece.pool(3, 2)
            return piece

        def head(resolution: int, width: float) -> Piece:
            size = resolution
            for _ in range(5):  # the stem, its pooling, and a stride for each stage but the first
                size = (size - 1) // 2 + 1
            piece = Piece(batch, _channels(4, width) * (4 if deep else 1), size)
            piece.linear(classes)
            return piece

        def later(stage: int) -> Callable[..., Piece]:
            def build(resolution: int, *rest: float) -> Piece:
                *before, width, kernel = rest
                size = resolution
                for _ in range(max(2, stage)):  # the stem, its pooling, and a stride for each stage between
                    size = (size - 1) // 2 + 1
                entering = _channels(stage - 1, before[0]) * (4 if deep else 1) if before else _channels(1, width)
                piece = Piece(batch, entering, size)
                for block in range(DEPTHS[depth][stage - 1]):
                    _block(piece, _channels(stage, width), int(kernel), 2 if stage > 1 and block == 0 else 1, deep)
                return piece

            return build

        factors = [depends(["resolution", "width1"], stem)]
        for stage in STAGES:
            before = [f"width{stage - 1}"] if stage > 1 else []
            factors.append(depends(["resolution", *before, f"width{stage}", f"kernel{stage}"], later(stage)))
        factors.append(depends(["resolution", "width4"], head))
        super().__init__(f"resnet{depth}", decisions, factors, macs_only=macs_only)


def _block(piece: Piece, width: int, kernel: int, stride: int, bottleneck: bool) -> None:
    """A residual block to `width` channels, or four times as many behind a bottleneck (strided in its middle)."""
    shortcut = Piece(piece.batch, piece.channels, piece.size)
    if bottleneck:
        piece.conv(width, kernel=1)
    piece.conv(width, kernel, stride)
    if bottleneck:
        piece.conv(4 * width, kernel=1)
    else:
        piece.conv(width, kernel)
    if stride > 1 or shortcut.channels != piece.channels:
        shortcut.conv(piece.channels, kernel=1, stride=stride)
        piece.layers += shortcut.layers
        piece.beside += shortcut.beside
    piece.add()


def _channels(stage: int, width: float) -> int:
    return multiple_of_8(round(32 * 2**stage * width))


def _check_arguments(
    depth: int,
    widths: Sequence[float],
    kernels: Sequence[int],
    resolutions: Sequence[int],
    batch: int,
    classes: int,
) -> None:
    if depth not in DEPTHS:
        raise InvalidInput(f"depth is {depth!r}; it must be one of {', '.join(map(str, DEPTHS))}")
    for name, options in {"widths": widths, "kernels": kernels, "resolutions": resolutions}.items():
        if not options or len(set(options)) != len(options):
            raise InvalidInput(f"{name} is {options!r}; it must be one or more distinct numbers")
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < float("inf"):
            raise InvalidInput(f"widths holds {width!r}; it must be positive numbers")
    for kernel in kernels:
        check_positive_int("an entry of kernels", kernel)
        if kernel % 2 == 0:
            raise InvalidInput(f"kernels holds {kernel!r}; it must be odd numbers")
    for resolution in resolutions:
        check_positive_int("an entry of resolutions", resolution)
    check_positive_int("batch", batch)
    check_positive_int("classes", classes)
