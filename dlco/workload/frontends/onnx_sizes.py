"""The free axes of an ONNX model's inputs, and the sizes that they get: a batch, and others by name.

An axis is free where the file gives it a name instead of a size, or neither. One name is one size wherever it stands.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dlco.errors import InvalidInput
from dlco.workload.frontends.onnx_shapes import shape_of
from dlco.workload.problem import check_positive_int

if TYPE_CHECKING:
    from onnx import GraphProto, ValueInfoProto
    from onnx.onnx_ml_pb2 import TensorShapeProto

_BATCH = re.compile(r"n|b|bs|\w*batch\w*", re.IGNORECASE | re.ASCII)
"""Names that exporters and people give the batch, on whatever axis; a name without meaning tells by being first."""


class FreeAxis(InvalidInput):
    """An axis of a model is free, and its size is needed.

    Attributes:
        what: which axis it is, in half a sentence.
        names: of all free axes that have no size, by which it can be given.
    """

    def __init__(self, value: str, axis: int, names: tuple[str, ...]) -> None:
        several = "" if len(names) == 1 else f", one of {len(names)} without a size"
        self.what, self.names = f"axis {axis} of ONNX input {value!r} is free{several}", names
        named = ", ".join(f"{name!r}: 224" for name in names)
        super().__init__(f"{self.what}; give its size, as in sizes={{{named}}}")


def check_sizes(batch: int | None, sizes: Mapping[str, int] | None) -> dict[str, int]:
    """The sizes by name.

    Raises:
        InvalidInput: the batch or a size is not a positive integer, or the sizes are not by name.
    """
    if batch is not None:
        check_positive_int("batch", batch)
    if sizes is not None and not (isinstance(sizes, Mapping) and all(isinstance(name, str) for name in sizes)):
        raise InvalidInput(f"sizes is {sizes!r}; it must be sizes by the names of axes, such as {{'height': 224}}")
    for name, size in (sizes or {}).items():
        check_positive_int(f"size of {name}", size)
    return dict(sizes or {})


def fix_sizes(graph: "GraphProto", batch: int | None, sizes: Mapping[str, int], stored: Mapping[str, str]) -> None:
    """Give every free axis of the inputs its size, and the same name elsewhere the same size.

    The batch are the axes whose name says so, and first axes without a name. Where no name says so, it is every first
    axis that is free.

    Args:
        graph: whose inputs get fixed shapes; what it says of other tensors stays where it is known.
        batch: its size; None for 1, or what the file states.
        sizes: of other axes by name; an axis without a name is called by its input and place, as in "image:2".
        stored: inputs that are weights.

    Raises:
        FreeAxis: an axis is neither batch nor among `sizes`.
        InvalidInput: an input has no shape, a size is given of an axis that is not free, or the batch is fixed
            otherwise.
    """
    inputs = [value for value in graph.input if value.name not in stored and value.type.HasField("tensor_type")]
    for value in inputs:
        if not value.type.tensor_type.HasField("shape"):
            raise InvalidInput(f"ONNX input {value.name!r} has no shape; the model must state it")
    free = [
        (value, axis, _axis_name(value, axis, dim))
        for value in inputs
        for axis, dim in enumerate(_dims(value))
        if dim.dim_value <= 0
    ]
    others = [value for value in (*graph.value_info, *graph.output) if value.type.HasField("tensor_type")]
    elsewhere = {dim.dim_param for value in others for dim in _dims(value) if dim.dim_param}
    names = dict.fromkeys(name for _, _, name in free)
    for name in sizes:
        if name not in names and name not in elsewhere:
            raise InvalidInput(
                f"size is given of {name!r}, but the ONNX model has no free axis of that name; it has "
                f"{', '.join(map(repr, names)) or 'none'}"
            )
    of_batch = _batch_names(free)
    chosen = {**dict.fromkeys(of_batch, 1 if batch is None else batch), **sizes}
    unknown = tuple(name for name in names if name not in chosen)
    for value, axis, name in free:
        if name in unknown:
            raise FreeAxis(value.name, axis, unknown)
        _dims(value)[axis].dim_value = chosen[name]
    if batch is not None:
        _check_batch(batch, {name: chosen[name] for name in of_batch}, inputs)
    _keep_known(graph, chosen)


def _axis_name(value: "ValueInfoProto", axis: int, dim: "TensorShapeProto.Dimension") -> str:
    return dim.dim_param or f"{value.name}:{axis}"


def _dims(value: "ValueInfoProto") -> "list[TensorShapeProto.Dimension]":
    return list(value.type.tensor_type.shape.dim)


def _batch_names(free: "Iterable[tuple[ValueInfoProto, int, str]]") -> list[str]:
    said = [name for _, _, name in free if _BATCH.fullmatch(name)]
    first = [name for value, axis, name in free if axis == 0 and (not said or name == f"{value.name}:0")]
    return list(dict.fromkeys([*said, *first]))


def _check_batch(batch: int, named: Mapping[str, int], inputs: "list[ValueInfoProto]") -> None:
    """Refuse a batch that no axis has: the file fixes it, or a size given by name does."""
    for name, size in named.items():
        if size != batch:
            raise InvalidInput(f"batch is {batch}, but the size given of its axis {name!r} is {size}; give one of them")
    firsts = [(value.name, _dims(value)[0].dim_value) for value in inputs if _dims(value)]
    if not named and firsts and all(size != batch for _, size in firsts):
        name, size = firsts[0]
        raise InvalidInput(f"batch is {batch}, but the ONNX file fixes the first axis of input {name!r} to {size}")


def _keep_known(graph: "GraphProto", sizes: Mapping[str, int]) -> None:
    """Fix what the file says of inner tensors and outputs, and drop what stays open: inference finds it."""
    known = []
    for value in [*graph.value_info, *graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in sizes and dim.dim_param:
                dim.dim_value = sizes[dim.dim_param]
        known += [value] if shape_of(value.type) is not None else []
    outputs = {value.name for value in graph.output}
    for value in graph.output:
        if shape_of(value.type) is None:
            value.type.tensor_type.ClearField("shape")
    kept = [type(value).FromString(value.SerializeToString()) for value in known if value.name not in outputs]
    del graph.value_info[:]
    graph.value_info.extend(kept)
