"""The shapes of an ONNX model's tensors: ONNX's inference, helped where a shape is computed in the graph.

Exporters that leave the batch free compute shapes from shapes: Shape, Gather, Concat, Reshape. Once the inputs are
fixed these are constants, so they are evaluated one by one, in order, and inference goes on behind them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any

from dlco.workload.frontends.operators import Shape

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, TypeProto

SMALL = 1024
"""Elements up to which a tensor may be part of a computed shape; larger ones are data."""
_EVALUATED = frozenset(
    "Abs Add And Cast CastLike Ceil Concat Constant ConstantOfShape Div Equal Expand Flatten Floor Gather Greater "
    "GreaterOrEqual Identity Less LessOrEqual Max Min Mod Mul Neg Not Or Pow Range ReduceMax ReduceMin ReduceProd "
    "ReduceSum Reshape Round Slice Split Sqrt Squeeze Sub Tile Transpose Unsqueeze Where".split()
)


def infer_shapes(model: "ModelProto") -> dict[str, Shape]:
    """The shapes that are known, by tensor.

    Args:
        model: whose inputs have fixed shapes.

    Raises:
        Exception: of one of ONNX's kinds, where shapes contradict each other.
    """
    import onnx.shape_inference

    graph = onnx.shape_inference.infer_shapes(model).graph  # data_prop would follow a Concat that doubles itself
    known = {value.name: value.type for value in [*graph.input, *graph.value_info, *graph.output]}
    for tensor in graph.initializer:
        known[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    values = {tensor.name: tensor for tensor in graph.initializer if _is_small(tuple(tensor.dims))}
    for node in graph.node:
        if any(shape_of(known.get(name)) is None for name in node.output if name):
            known |= _infer(model, node, known, values)
        if all(_is_small(shape_of(known.get(name))) for name in node.output if name):
            values |= _evaluate(model, node, known, values)
    shapes = {name: shape_of(kind) for name, kind in known.items()}
    return {name: shape for name, shape in shapes.items() if shape is not None}


def shape_of(kind: "TypeProto | None") -> Shape | None:
    """The shape of a tensor's type; None where it is not one, or an axis is unknown."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims):
        return None
    return tuple(dim.dim_value for dim in dims)


def _is_small(shape: Sequence[int] | None) -> bool:
    return shape is not None and prod(shape) <= SMALL


def _infer(
    model: "ModelProto",
    node: "NodeProto",
    known: Mapping[str, "TypeProto"],
    values: Mapping[str, "TensorProto"],
) -> dict[str, "TypeProto"]:
    """The types of one operator's outputs whose shapes come out."""
    from onnx import defs, shape_inference

    inputs = [name for name in node.input if name]
    if not all(name in known for name in inputs):
        return {}
    imports = list(model.opset_import)
    version = next((entry.version for entry in imports if entry.domain in (node.domain, "")), 1)
    with suppress(Exception):  # unknown operator, unknown version, or shapes that do not go together
        found = shape_inference.infer_node_outputs(
            defs.get_schema(node.op_type, version, node.domain),
            node,
            {name: known[name] for name in inputs},
            {name: values[name] for name in inputs if name in values},
            opset_imports=imports,
            ir_version=model.ir_version,
        )
        return {name: kind for name, kind in found.items() if shape_of(kind) is not None}
    return {}


def _evaluate(
    model: "ModelProto",
    node: "NodeProto",
    known: Mapping[str, "TypeProto"],
    values: Mapping[str, "TensorProto"],
) -> dict[str, "TensorProto"]:
    """The values of one operator's small outputs, where its inputs have values, or just a shape is asked for."""
    import numpy as np
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    inputs = list(dict.fromkeys(name for name in node.input if name))
    outputs = [name for name in node.output if name]
    if node.domain not in ("", "ai.onnx") or not outputs:
        return {}
    if node.op_type in ("Shape", "Size"):
        shape = shape_of(known.get(inputs[0])) if inputs else None
        if shape is None:
            return {}
        limits: dict[str, Any] = {entry.name: entry.i for entry in node.attribute}
        sizes = prod(shape) if node.op_type == "Size" else shape[limits.get("start", 0) : limits.get("end")]
        return {outputs[0]: numpy_helper.from_array(np.array(sizes, np.int64), outputs[0])}
    if node.op_type not in _EVALUATED or not all(name in values for name in inputs):
        return {}
    with suppress(Exception):  # what NumPy makes of it: a division by zero, an index beyond the end
        graph = helper.make_graph(
            [node],
            "operator",
            [helper.make_value_info(name, known[name]) for name in inputs],
            [helper.make_value_info(name, known[name]) for name in outputs],
        )
        single = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
        given = {name: numpy_helper.to_array(values[name]) for name in inputs}
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(single).run(None, given)
        return {name: numpy_helper.from_array(np.asarray(a), name) for name, a in zip(outputs, found, strict=True)}
    return {}
