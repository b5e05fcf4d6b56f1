"""The operations on a CNN graph's vertices, written as CNNBench (arXiv:2212.03965) writes them."""

import re
from dataclasses import dataclass
from functools import lru_cache
from math import log2

from dlco.errors import InvalidInput
from dlco.nas.spaces.piece import Piece

KINDS = (
    "conv",
    "maxpool",
    "avgpool",
    "upsample",
    "channel_shuffle",
    "dropout",
    "flatten",
    "global-avg-pool",
    "dense",
)

# without trained words of their own
ACTIVATIONS = ("relu", "relu6", "silu", "gelu", "elu", "selu", "hardswish", "leakyrelu", "sigmoid", "tanh")

_WINDOW = r"(?P<kernel>\d+)x(?P=kernel)"
_SLIDING = r"(?:-p(?P<padding>\d+))?(?:-s(?P<stride>\d+))?|(?:-s(?P<stride_>\d+))(?:-p(?P<padding_>\d+))?"
_GROUPS = r"(?:-(?P<depthwise>dw)|-g(?P<groups>\d+))?"
_ACTIVATION = rf"(?P<activation>{'|'.join(ACTIVATIONS)})"
_FORMS = {
    "conv": rf"{_WINDOW}-c(?P<channels>\d+){_GROUPS}(?:{_SLIDING})(?P<norm>-bn)?-{_ACTIVATION}",
    "maxpool": rf"{_WINDOW}(?:{_SLIDING})",
    "avgpool": rf"{_WINDOW}(?:{_SLIDING})",
    "upsample": r"-s(?P<stride>\d+)",
    "channel_shuffle": r"-g(?P<groups>\d+)",
    "dropout": r"-p(?P<rate>\d+)",
    "flatten": "",
    "global-avg-pool": "",
    "dense": rf"-(?P<channels>\d+)-{_ACTIVATION}",
}


@dataclass(frozen=True)
class Operation:
    """What the text of an operation says.

    Attributes:
        kind: one of `KINDS`.
        kernel: rows and columns of the window.
        channels: outputs of a "conv" or "dense"; 0 elsewhere, where they are the input's.
        groups: of a "conv" or "channel_shuffle".
        depthwise: whether a "conv" has as many groups as its input has channels.
        stride: of the window; of an "upsample" the size that it gives.
        padding: on each side.
        norm: whether a batch normalisation follows.
        activation: of a "conv" or "dense", one of `ACTIVATIONS`; empty elsewhere.
        rate: of a "dropout", the digits behind "0.".
    """

    kind: str
    kernel: int = 1
    channels: int = 0
    groups: int = 1
    depthwise: bool = False
    stride: int = 1
    padding: int = 0
    norm: bool = False
    activation: str = ""
    rate: str = ""

    @property
    def in_head(self) -> bool:
        """Whether it belongs into a network's head, not into a module."""
        return self.kind in ("flatten", "global-avg-pool", "dense")

    def features(self) -> list[float]:
        """Numbers whose L1 distance is the cost of editing one operation into another; those of none are all 0.

        1 for the kind and for depthwise; a quarter for the activation and for normalisation; a quarter of the logarithm
        to base 2 of kernel, stride, groups and channels; an eighth of the padding; the dropout rate.
        """
        kinds = [float(self.kind == kind) for kind in KINDS]
        activations = [0.25 * (self.activation == activation) for activation in ACTIVATIONS]
        sizes = [log2(size) / 4 for size in (self.kernel, self.stride, self.groups, max(1, self.channels))]
        flags = [float(self.depthwise), self.norm / 4]
        return [*kinds, *activations, *sizes, *flags, self.padding / 8, float(f"0.{self.rate or 0}")]

    def groups_over(self, channels: int) -> int:
        """Groups of a "conv" over so many channels: the most up to those asked for that divide inputs and outputs."""
        groups = channels if self.depthwise else self.groups
        while self.channels % groups or channels % groups:
            groups -= 1
        return groups

    def run(self, piece: Piece, width: int) -> None:
        """Continue the piece by this operation, and by a 1x1 convolution where it gives fewer than `width` channels.

        Raises:
            InvalidInput: the feature map is too small, or its channels cannot be shuffled in such groups.
        """
        if self.kind == "conv":
            groups = self.groups_over(piece.channels)
            piece.conv(self.channels, self.kernel, self.stride, groups=groups, padding=self.padding, norm=self.norm)
        elif self.kind in ("maxpool", "avgpool"):
            piece.pool(self.kernel, self.stride, self.padding)
        elif self.kind == "upsample":
            piece.resize(self.stride)
        elif self.kind == "channel_shuffle" and piece.channels % self.groups:
            raise InvalidInput(f"groups of a shuffle is {self.groups}; it must divide {piece.channels} channels")
        elif self.kind == "flatten":
            piece.channels, piece.size = piece.channels * piece.size**2, 1
        elif self.kind == "global-avg-pool":
            piece.mean()
            piece.size = 1
        elif self.kind == "dense":
            piece.linear(self.channels)
        if self.kind not in ("flatten", "dense") and piece.channels < width:
            piece.conv(width, kernel=1, norm=False, bias=True)


@lru_cache(maxsize=4096)
def parse_operation(text: str) -> Operation:
    """What an operation's text means, such as "conv3x3-c64-p1-s2-bn-relu", "maxpool3x3-s2" or "dense-120-relu".

    A convolution's parts are its window, `c`hannels, `dw` for depthwise or `g`roups, `p`adding and `s`tride (0 and 1
    unless given, in either order), `bn` and an activation.

    Raises:
        InvalidInput: it is no such text, or one of its numbers is 0 where that has no meaning.
    """
    for kind, form in _FORMS.items():
        found = re.fullmatch(kind + form, text)
        if not found:
            continue
        parts = {name.rstrip("_"): part for name, part in found.groupdict().items() if part is not None}
        sizes = {name: int(parts[name]) for name in ("kernel", "channels", "groups", "stride") if name in parts}
        if 0 in sizes.values():
            break
        return Operation(
            kind,
            **sizes,
            depthwise="depthwise" in parts,
            padding=int(parts.get("padding", 0)),
            norm="norm" in parts,
            activation=parts.get("activation", ""),
            rate=parts.get("rate", ""),
        )
    raise InvalidInput(
        f'operation is {text!r}; it must be one such as "conv3x3-c64-g8-p1-s2-bn-relu", "conv5x5-c64-dw-bn-silu", '
        '"maxpool3x3-s2-p1", "upsample-s240", "channel_shuffle-g8", "dropout-p5" or, in the head, "flatten", '
        '"global-avg-pool" and "dense-120-relu"'
    )
