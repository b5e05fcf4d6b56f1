"""Operators of torch without multiply-accumulates, as layers: pooling, additions, scaling, normalisation and so on."""

from collections.abc import Sequence
from typing import Any

from torch.fx import Node

from dlco.workload.frontends.operators import Shape
from dlco.workload.frontends.passes import adaptive_pooling, elementwise, looked_up, normalised, pooling, reduced
from dlco.workload.layer import Layer

_POOLS = ("max_pool1d", "max_pool1d_with_indices", "avg_pool1d", "max_pool2d", "max_pool2d_with_indices", "avg_pool2d")
_ADAPTIVE = {
    f"{before}adaptive_{what}_pool{axes}d": axes for before in ("", "_") for what in ("max", "avg") for axes in (1, 2)
}
_REDUCTIONS = ("mean", "sum", "amax", "amin")
_POINTWISE = {kind: "add" for kind in ("add", "sub", "rsub", "maximum", "minimum")} | {"mul": "scale", "div": "scale"}
_SOFTMAX = ("softmax", "_softmax", "log_softmax", "_log_softmax", "_safe_softmax")


def layers_of(kind: str, name: str, given: dict[str, Any], shape: Shape, stored: dict[Node, str]) -> list[Layer]:
    """The layers of one operator; none where it is of another kind, or computed where its operand is produced.

    Args:
        kind: the operator's name in torch.
        name: of the layers.
        given: its arguments by name.
        shape: of its result.
        stored: nodes that are parameters or computed from parameters alone.
    """
    if kind in _POOLS:
        return pooling(name, _shape(given["self"]), shape, _integers(given["kernel_size"]), _integers(given["stride"]))
    if kind in _ADAPTIVE:
        return adaptive_pooling(name, _shape(given["self"]), shape, _ADAPTIVE[kind])
    if kind in _REDUCTIONS:
        return reduced(name, _shape(given["self"]), _integers(given.get("dim") or []))
    if kind in _POINTWISE:
        operands = [operand for operand in (given.get("self"), given.get("other")) if isinstance(operand, Node)]
        if len(operands) < 2 or any(operand in stored for operand in operands):
            return []
        return elementwise(name, _POINTWISE[kind], [_shape(operand) for operand in operands])
    if kind in _SOFTMAX:
        return normalised(name, _shape(given["self"]), [given["dim"]], "softmax")
    if kind in ("layer_norm", "native_layer_norm", "rms_norm"):
        return normalised(name, _shape(given["input"]), range(-len(given["normalized_shape"]), 0))
    if kind in ("group_norm", "native_group_norm"):
        return _by_groups(name, _shape(given["input"]), given.get("num_groups") or given["group"])
    if kind == "instance_norm":
        whole = _shape(given["input"])
        return normalised(name, whole, range(2, len(whole)))
    return looked_up(name, shape) if kind == "embedding" else []


def _by_groups(name: str, shape: Shape, groups: int) -> list[Layer]:
    """A normalisation of the channels' groups, each with all positions."""
    split = (shape[0] * groups, shape[1] // groups, *shape[2:])
    return normalised(name, split, range(1, len(split)))


def _integers(value: Any) -> Sequence[int]:
    return [value] if isinstance(value, int) else list(value)


def _shape(node: Node) -> Shape:
    return tuple(node.meta["val"].shape)
