"""Operators of ONNX without multiply-accumulates, as layers: pooling, additions, scaling, normalisation and so on."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dlco.workload.frontends.operators import Shape
from dlco.workload.frontends.passes import adaptive_pooling, elementwise, looked_up, normalised, pooling, reduced
from dlco.workload.layer import Layer

if TYPE_CHECKING:
    from onnx import NodeProto

_POINTWISE = {"Add": "add", "Sub": "add", "Sum": "add", "Max": "add", "Min": "add", "Mul": "scale", "Div": "scale"}
_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")
Attribute = Callable[["NodeProto", str, str, Any], Any]


def layers_of(
    node: "NodeProto", name: str, shapes: Mapping[str, Shape], stored: Mapping[str, str], attribute: Attribute
) -> list[Layer]:
    """The layers of one operator; none where it is of another kind, or computed where its operand is produced.

    Args:
        node: the operator.
        name: of the layers.
        shapes: of all tensors that are known.
        stored: tensors that are parameters or computed from parameters alone.
        attribute: reads an attribute of a node: its name, its type, and what it is where it is not given.
    """
    kind = node.op_type
    given = [shapes.get(tensor) for tensor in node.input]
    result = shapes.get(node.output[0]) if node.output else None
    if not given or given[0] is None or result is None:
        return []
    shape = given[0]
    if kind in ("MaxPool", "AveragePool"):
        window = list(attribute(node, "kernel_shape", "INTS", []))
        stride = list(attribute(node, "strides", "INTS", [])) or [1] * len(window)
        return pooling(name, shape, result, window, stride) if window else []
    if kind in ("GlobalAveragePool", "GlobalMaxPool") and len(shape) in (3, 4):
        return adaptive_pooling(name, shape, result, len(shape) - 2)
    if kind in _REDUCTIONS:
        return reduced(name, shape, _lost(shape, result))
    if kind in _POINTWISE:
        computed = [tensor for tensor in node.input if tensor not in stored]
        operands = [found for found in map(shapes.get, computed) if found is not None]
        return (
            elementwise(name, _POINTWISE[kind], operands) if len(computed) == len(operands) == len(given) == 2 else []
        )
    if kind in ("Softmax", "LogSoftmax"):
        return normalised(name, shape, [int(attribute(node, "axis", "INT", -1))], "softmax")
    if kind in ("LayerNormalization", "RMSNormalization"):
        first = int(attribute(node, "axis", "INT", -1)) % max(len(shape), 1)
        return normalised(name, shape, range(first, len(shape)))
    if kind == "InstanceNormalization":
        return normalised(name, shape, range(2, len(shape)))
    if kind == "GroupNormalization":
        groups = int(attribute(node, "num_groups", "INT", 1))
        split = (shape[0] * groups, shape[1] // groups, *shape[2:])
        return normalised(name, split, range(1, len(split)))
    if kind == "Gather" and len(shape) == 2 and node.input[0] in stored and node.input[1] not in stored:
        return looked_up(name, result)
    return []


def _lost(shape: Shape, result: Shape) -> list[int]:
    """The axes that a reduction sums over, by what is left: kept with size 1, or gone from the first that differs."""
    if len(result) == len(shape):
        return [axis for axis, (before, after) in enumerate(zip(shape, result, strict=True)) if before != after]
    lost, left = [], list(result)
    for axis, size in enumerate(shape):
        if left and left[0] == size and len(shape) - axis > len(left) - 1:
            left.pop(0)
        else:
            lost.append(axis)
    return lost
