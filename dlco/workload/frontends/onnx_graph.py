"""`from_onnx`: the layers of an ONNX file, from its graph and the shapes that ONNX's own inference finds.

Only shapes matter: weights that lie outside the file need not be there, and those within it are left out of the
inference.
"""

import os
import re
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlco.errors import InvalidInput, reason_of
from dlco.workload.frontends.imported import ImportedNetwork, Unmapped, collect
from dlco.workload.frontends.onnx_passes import layers_of
from dlco.workload.frontends.onnx_shapes import SMALL, infer_shapes
from dlco.workload.frontends.onnx_sizes import check_sizes, fix_sizes
from dlco.workload.frontends.onnx_wiring import Wires
from dlco.workload.frontends.operators import Shape, attention, convolution, einsum, matmul_equation
from dlco.workload.layer import Layer

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_CONVOLUTIONS = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3}  # place of the weights
_MATMULS = {"MatMul": 1, "MatMulInteger": 1, "QLinearMatMul": 3}  # place of the right operand
_RECURRENT = ("LSTM", "GRU", "RNN")
_MAPPED = {*_CONVOLUTIONS, *_MATMULS, "Gemm", "Einsum", "Attention"}
_UNKNOWN = re.compile(r"Attention|Conv|MatMul|Gemm|(?<!uantize)Linear|DFT|STFT|Det$|AffineGrid|LSTM|GRU|RNN")
"""Operators that multiply more often than once an element; those of a new version of ONNX are known by their names."""
_IDLE = frozenset(
    "Cast CastLike Constant ConstantOfShape Dropout Flatten Identity Reshape Shape Size Slice Split Squeeze Transpose "
    "Unsqueeze".split()
)
_MOST_NODES = 1_000_000


def from_onnx(
    source: "str | os.PathLike[str] | ModelProto",
    batch: int | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    macs_only: bool = False,
) -> ImportedNetwork:
    """The layers of an ONNX model.

    Conv, ConvTranspose, Gemm, MatMul, Einsum and Attention, and the quantised forms of the first and of MatMul, become
    layers, named by their weights or nodes; quantised models with QuantizeLinear and DequantizeLinear come out as
    those that they stand for. So do pooling, reductions, additions and products of two computed tensors, normalisation
    of layers, instances and groups, softmax and embedding, which have no multiply-accumulates but move words and take
    cycles. Activations, biases and batch normalisation are taken to be computed where a result is written; they and
    everything else are listed in `unmapped`.

    Args:
        source: path of a file, or a model in memory, which is left as it is.
        batch: size of the free axes that are the batch; 1 unless given. They are those that the file calls so
            ("batch_size", "N") on whatever axis, otherwise free first axes. Where the file states the batch, it may be
            left out, or must agree.
        sizes: of other free axes, by the names that the file gives them, such as {"height": 224}; an axis without a
            name is called by its input and place, as in {"image:2": 224}.
        macs_only: whether to list layers without multiply-accumulates in `unmapped`, too.

    Returns:
        The layers, equal ones merged, which `dlco.solve` takes as they are.

    Raises:
        InvalidInput: there is no such file, it is no ONNX model, its shapes contradict each other, an axis is free, a
            size is given of no free axis, or there is nothing to map; or the package onnx, which dlco's extra [onnx]
            brings, is not installed.

    Examples:
        >>> network = dlco.from_onnx("resnet18.onnx", batch=4)  # doctest: +SKIP
        >>> dlco.solve(network, hardware=dlco.hardware.eyeriss_space())  # doctest: +SKIP
    """
    try:
        import onnx.inliner
    except ImportError:
        raise InvalidInput("reading ONNX needs the package onnx; install dlco with its extra [onnx]") from None
    given = check_sizes(batch, sizes)
    model, name = _load(source)
    stored = _lighten(model.graph)
    _check_functions(model)
    fix_sizes(model.graph, batch, given, stored)
    try:
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        shapes = infer_shapes(model)
    except Exception as error:  # of several kinds, down to RuntimeError
        raise InvalidInput(f"ONNX model {name}: its shapes cannot be inferred: {reason_of(error)}") from None
    wires = Wires(shapes, stored)
    found = list(_operators(model.graph, shapes, stored, wires, macs_only))
    for value in model.graph.output:
        wires.course.leave(wires.of(value.name))
    return collect(name, found, wires.course)


def _load(source: "str | os.PathLike[str] | ModelProto") -> "tuple[ModelProto, str]":
    """(a model of one's own, what to call it)."""
    from onnx import ModelProto

    model = ModelProto()
    if isinstance(source, ModelProto):
        model.CopyFrom(source)
        return model, model.graph.name or "model"
    if not isinstance(source, str | os.PathLike):
        raise InvalidInput(f"ONNX model is a {type(source).__name__}; it must be a path or an onnx.ModelProto")
    shown = os.fspath(source)[:200]
    try:
        content = Path(source).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InvalidInput(f"ONNX file {shown!r} cannot be read: {reason}") from None
    try:
        model.ParseFromString(content)
    except Exception:  # protobuf's DecodeError, which belongs to no interface of onnx
        raise InvalidInput(f"ONNX file {shown!r} holds no ONNX model") from None
    if not model.graph.node or not _is_text(model):
        raise InvalidInput(f"ONNX file {shown!r} holds no ONNX model with operators and names of text")
    return model, Path(source).stem


def _is_text(message: Any) -> bool:
    """Whether all strings in a message are: protobuf hands those that are not UTF-8 over as bytes."""
    for field, value in message.ListFields():
        if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        entries = [value] if isinstance(value, str | bytes) or hasattr(value, "ListFields") else value
        if field.type == field.TYPE_STRING:
            if any(isinstance(entry, bytes) for entry in entries):
                return False
        elif not all(map(_is_text, entries)):
            return False
    return True


def _lighten(graph: "GraphProto") -> dict[str, str]:
    """Turn large initialisers into inputs of their shape; returns all initialisers, by name, with that name."""
    known = {value.name for value in graph.input}
    stored = {}
    for tensor in [*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)]:
        stored[tensor.name] = tensor.name
    small = []
    for tensor in graph.initializer:
        if prod(tensor.dims) <= SMALL and not tensor.external_data:
            small.append(tensor)
            continue
        if tensor.name not in known:
            value = graph.input.add(name=tensor.name)
            value.type.tensor_type.elem_type = tensor.data_type
            value.type.tensor_type.shape.SetInParent()
            for size in tensor.dims:
                value.type.tensor_type.shape.dim.add(dim_value=size)
    kept = [type(tensor).FromString(tensor.SerializeToString()) for tensor in small]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return stored


def _check_functions(model: "ModelProto") -> None:
    """Refuse functions that call each other in circles, or that are too many operators once written out."""
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    lengths: dict[tuple[str, str], int] = {}
    entered: set[tuple[str, str]] = set()
    pending = list(bodies)
    while pending:
        key = pending[-1]
        calls = [(node.domain, node.op_type) for node in bodies[key]]
        waiting = [call for call in calls if call in bodies and call not in lengths]
        if key in lengths or not waiting:
            lengths[key] = len(calls) + sum(lengths.get(call, 0) for call in calls)
            pending.pop()
        elif key in entered:
            raise InvalidInput(f"ONNX model has a function {key[1]!r} that calls itself, by itself or through others")
        else:
            entered.add(key)
            pending += waiting
    nodes = sum(1 + lengths.get((node.domain, node.op_type), 0) for node in model.graph.node)
    if nodes > _MOST_NODES:
        raise InvalidInput(f"ONNX model has {nodes} operators; at most {_MOST_NODES} are read")


def _operators(
    graph: "GraphProto", shapes: Mapping[str, Shape], stored: dict[str, str], wires: Wires, macs_only: bool
) -> Iterator[Layer | Unmapped]:
    """What each operator of a graph is, in order; `stored` grows by what is computed from it and from sizes alone."""
    for node in graph.node:
        inputs = [name for name in (*node.input, *_captured(node)) if name]
        constant = node.op_type in ("Constant", "Shape", "Size") or (inputs and all(name in stored for name in inputs))
        layers = _layers(node, shapes, stored)
        if layers is None and not (macs_only or constant) and node.domain in ("", "ai.onnx"):
            layers = layers_of(node, _path(node), shapes, stored, _attribute) or None
        if layers:
            wires.run(node, layers)
        elif not constant:
            wires.compute(node, inputs, idle=node.domain in ("", "ai.onnx") and node.op_type in _IDLE)
        yield from layers or []
        if constant:
            named = {stored.get(name, "") for name in inputs[:1]}
            stored |= dict.fromkeys(node.output, named.pop() if named else "")
        elif not layers and (node.domain not in ("", "ai.onnx") or node.op_type not in _IDLE):
            results = sum(prod(shapes.get(output) or (0,)) for output in node.output if output)
            macs = _macs(node, shapes) if layers is None else 0
            if macs != 0:
                wires.leave(node, inputs)
            yield Unmapped(node.op_type, _path(node), results=results, macs=macs)


def _layers(node: "NodeProto", shapes: Mapping[str, Shape], stored: Mapping[str, str]) -> list[Layer] | None:
    """The layers of one operator, none where it sums no products; None where it is of another kind or no shape."""
    kind = node.op_type
    if kind not in _MAPPED or node.domain not in ("", "ai.onnx"):
        return None
    places = [0, (_CONVOLUTIONS | _MATMULS).get(kind, 1)]
    if kind in ("Einsum", "Attention"):
        places = list(range(len(node.input) if kind == "Einsum" else 3))
    operands = [node.input[place] if place < len(node.input) else "" for place in places]
    given = [shapes.get(operand) for operand in operands]
    known = [shape for shape in given if shape is not None]
    if len(known) < len(given) or not known:
        return None
    if any(0 in shape for shape in known):
        return []
    if kind in _CONVOLUTIONS:
        return _convolution(node, operands, known, shapes, stored)
    if kind == "Attention":
        return _attention(node, known, shapes)
    held = [operand in stored for operand in operands]
    weights = next((operand for operand in reversed(operands) if operand in stored), None)
    name = _name(node, stored, weights)
    return einsum(name, _equation(node, known), known, held)


def _convolution(
    node: "NodeProto", operands: list[str], given: list[Shape], shapes: Mapping[str, Shape], stored: Mapping[str, str]
) -> list[Layer] | None:
    outputs = shapes.get(node.output[0]) if node.output else None
    if outputs is None or 0 in outputs:
        return None if outputs is None else []
    layer = convolution(
        _name(node, stored, operands[1]),
        inputs=given[0],
        weights=given[1],
        outputs=outputs,
        stride=_integers(node, "strides") or 1,
        dilation=_integers(node, "dilations") or 1,
        groups=_integer(node, "group", 1),
        transposed=node.op_type == "ConvTranspose",
        stored=operands[1] in stored,
    )
    return [layer]


def _attention(node: "NodeProto", given: list[Shape], shapes: Mapping[str, Shape]) -> list[Layer]:
    """The products of ONNX's Attention, whose operands have a heads axis or heads side by side in the last one."""
    query, key, value = given
    if any(len(shape) not in (3, 4) for shape in given):
        raise InvalidInput(f"ONNX operator Attention {_path(node)} has operands of {given}; they must have 3 or 4 axes")
    if len(query) == 3:
        query_heads, heads = (_integer(node, f"{which}_num_heads", 1) for which in ("q", "kv"))
        query, key, value = (
            (shape[0], of, shape[1], shape[2] // of)
            for shape, of in ((query, query_heads), (key, heads), (value, heads))
        )
    past = shapes.get(node.input[4]) if len(node.input) > 4 and node.input[4] else None
    if past is not None and len(past) == 4:
        key, value = ((*shape[:2], shape[2] + past[2], shape[3]) for shape in (key, value))
    return attention(_path(node), query, key, value)


def _equation(node: "NodeProto", given: list[Shape]) -> str:
    """The einsum that a matrix product is."""
    if node.op_type == "Einsum":
        return _attribute(node, "equation", "STRING", b"").decode(errors="replace")
    if node.op_type == "Gemm":
        left, right = ("km" if _integer(node, "transA", 0) else "mk", "nk" if _integer(node, "transB", 0) else "kn")
        return f"{left},{right}->mn"
    return matmul_equation(len(given[0]), len(given[1]))


def _macs(node: "NodeProto", shapes: Mapping[str, Shape]) -> int | None:
    """Multiply-accumulates of an operator without a layer: 0 for those that ONNX defines without products."""
    if node.domain not in ("", "ai.onnx") or node.op_type in _MAPPED:
        return None
    if node.op_type == "DeformConv" or node.op_type in _RECURRENT:
        places = [node.output[0] if node.output else "", *node.input[:3]]
        outputs, inputs, weights, recurrent = [*map(shapes.get, places), None][:4]
        if node.op_type == "DeformConv":
            return prod((*outputs[:1], *outputs[2:], *weights)) if outputs and weights else None
        steps = prod(inputs[:2]) if inputs and len(inputs) == 3 else 0
        return steps * (prod(weights) + prod(recurrent)) if steps and weights and recurrent else None
    if _UNKNOWN.search(node.op_type):
        return None
    return None if any(_macs(inner, {}) != 0 for body in _bodies(node) for inner in body.node) else 0


def _bodies(node: "NodeProto") -> "list[GraphProto]":
    """The graphs that a branch or a loop runs."""
    return [body for attribute in node.attribute for body in (attribute.g, *attribute.graphs) if body.node]


def _captured(node: "NodeProto") -> list[str]:
    """What the bodies of an operator take from the graph around it, beside its inputs."""
    captured = []
    for body in _bodies(node):
        own = {value.name for value in (*body.input, *body.initializer)}
        for inner in body.node:
            captured += [name for name in (*inner.input, *_captured(inner)) if name not in own]
            own.update(inner.output)
    return captured


def _name(node: "NodeProto", stored: Mapping[str, str], weights: str | None) -> str:
    """The module whose weights an operator has, where their name tells; otherwise the node's."""
    tensor = stored.get(weights or "", "")
    if tensor.endswith(".weight"):
        return tensor.removesuffix(".weight")
    path = _path(node)
    module, _, last = path.rpartition(".")
    own = weights in stored and re.fullmatch(rf"{re.escape(node.op_type)}(_\d+)?", last)
    return module if module and own else path


def _path(node: "NodeProto") -> str:
    """A node's name as a module's path, where an exporter has put one into it: "/a/a.0/Conv" is "a.0.Conv"."""
    scopes = next((entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"), "")
    modules = re.findall(r"'([^']*)'", scopes)
    if len(modules) > 1 and modules[-2]:
        return f"{modules[-2]}.{node.op_type}"
    path = ""
    for part in node.name.split("/"):
        last = path.rpartition("/")[2]
        nested = bool(last) and part.startswith(last + ".")
        path = path.removesuffix(last) + part if nested else f"{path}/{part}" if path else part
    return path.replace("/", ".") or (node.output[0] if node.output and node.output[0] else node.op_type)


def _integers(node: "NodeProto", name: str) -> list[int]:
    return list(_attribute(node, name, "INTS", []))


def _integer(node: "NodeProto", name: str, default: int) -> int:
    return int(_attribute(node, name, "INT", default))


def _attribute(node: "NodeProto", name: str, kind: str, default: Any) -> Any:
    """An attribute's value; raises `InvalidInput` where it is of another type."""
    from onnx import AttributeProto, helper

    for attribute in node.attribute:
        if attribute.name == name:
            if attribute.type != AttributeProto.AttributeType.Value(kind):
                raise InvalidInput(f"attribute {name} of ONNX operator {_path(node)} must be of type {kind}")
            return helper.get_attribute_value(attribute)
    return default
