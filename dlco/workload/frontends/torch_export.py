"""`from_torch`: the layers of a PyTorch model, from the graph that `torch.export` traces of it.

The trace knows shapes alone (torch's fake tensors): nothing is computed, and the model stays where it is, be it on
the meta device, where weights take no memory. What is traced is the forward pass in evaluation mode.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch._ops import HigherOrderOperator, OpOverload
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg
from torch.nn import Module
from torch.utils.flop_counter import FlopCounterMode

from dlco.errors import InvalidInput
from dlco.workload.frontends.imported import ImportedNetwork, Unmapped, collect
from dlco.workload.frontends.operators import attention, convolution, einsum, matmul_equation
from dlco.workload.layer import Layer
from dlco.workload.problem import check_positive_int

_CONVOLUTIONS = (*(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)), "convolution")
_EINSUMS = {  # operands, and what an operator computes of them
    "linear": ("input weight", "...k,nk->...n"),
    "mm": ("self mat2", "mk,kn->mn"),
    "addmm": ("mat1 mat2", "mk,kn->mn"),
    "bmm": ("self mat2", "bmk,bkn->bmn"),
    "baddbmm": ("batch1 batch2", "bmk,bkn->bmn"),
    "addbmm": ("batch1 batch2", "bmk,bkn->mn"),
    "mv": ("self vec", "mk,k->m"),
    "addmv": ("mat vec", "mk,k->m"),
    "dot": ("self tensor", "k,k->"),
    "vdot": ("self other", "k,k->"),
    "bilinear": ("input1 weight input2", "...i,oij,...j->...o"),
}
_UNCOUNTED = re.compile(r"cdist|fft_|stft|matrix_exp|linalg_(?!cross|norm|vector_norm)")
"""Operators that multiply more often than once an element, but how often torch's counter does not know."""
_IDLE = ("dropout", "alpha_dropout", "feature_dropout", "clone", "lift_fresh_copy", "copy")

Inputs = Sequence[int] | torch.Tensor | Sequence["torch.Tensor | Sequence[int]"] | Mapping[str, Any]


def from_torch(model: Module, inputs: Inputs) -> ImportedNetwork:
    """The layers of a PyTorch model.

    Convolutions (plain, grouped, depthwise, dilated, transposed), linear layers, matrix products, einsums and scaled
    dot-product attention become layers named by their modules. Everything else is listed in `unmapped`. A transposed
    convolution counts the products that padding then cuts off; causal attention counts as full.

    Args:
        model: any module that `torch.export` can trace; with `torch.device("meta")` around its construction, weights
            take no memory. It is traced in evaluation mode and handed back in its own.
        inputs: the shape of its input, such as (1, 3, 224, 224); or an example tensor; or a tuple or list of shapes
            or tensors, or a dict of them by argument, where it takes several. A shape stands for a tensor on the
            model's device and of its floating-point type.

    Returns:
        The layers, equal ones merged, which `dlco.solve` takes as they are.

    Raises:
        InvalidInput: the inputs are neither shapes nor tensors, the model cannot be traced on them, or it has nothing
            to map.

    Examples:
        >>> import torch
        >>> from dlco.workload.frontends import from_torch
        >>> with torch.device("meta"):
        ...     model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU())
        >>> print(from_torch(model, (1, 3, 32, 32)))
        Sequential: 1 layer of 221,184 MACs
          layer  count     MACs  sizes
          0          1  221,184  C3 M8 R3 S3 P32 Q32
        not mapped, MACs: none
          operator  count  MACs  results  first in
          relu          1     0    8,192  1
    """
    if not isinstance(model, Module):
        raise InvalidInput(f"model is a {type(model).__name__}; it must be a torch.nn.Module")
    positional, keyword = _examples(model, inputs)
    program = _export(model, positional, keyword)
    signature = program.graph_signature
    from_user = set(signature.user_inputs)
    first: dict[int, str] = {}  # where a module is in several places, the first names its parameters
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first.setdefault(id(parameter), name)
    names = {
        node: first.get(id(model.get_parameter(name)), name) for node, name in signature.inputs_to_parameters.items()
    }
    graph = program.graph_module
    stored = {
        node: names.get(node.name, "")
        for node in graph.graph.nodes
        if node.op == "placeholder" and node.name not in from_user
    }
    return collect(type(model).__name__, _operators(graph, stored))


def _examples(model: Module, inputs: Inputs) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
    """Positional and keyword arguments to trace with; tensors that stand for shapes hold no values."""
    state = [*model.parameters(), *model.buffers()]
    device = state[0].device if state else torch.device("cpu")
    dtype = next((t.dtype for t in state if t.dtype.is_floating_point), torch.get_default_dtype())

    def example(entry: Any) -> torch.Tensor:
        if isinstance(entry, torch.Tensor):
            return entry
        if not isinstance(entry, Sequence) or isinstance(entry, str):
            raise InvalidInput(f"inputs holds {entry!r}; every input must be a tensor or a shape, such as (1, 3, 8, 8)")
        for size in entry:
            check_positive_int("size of inputs", size)
        try:
            return torch.empty(tuple(entry), dtype=dtype, device=device)
        except (RuntimeError, OverflowError):
            raise InvalidInput(f"inputs is {tuple(entry)}; no tensor is that large") from None

    if isinstance(inputs, Mapping):
        return (), {str(name): example(entry) for name, entry in inputs.items()}
    if isinstance(inputs, torch.Tensor) or (isinstance(inputs, Sequence) and all(isinstance(s, int) for s in inputs)):
        return (example(inputs),), {}
    if not isinstance(inputs, Sequence) or isinstance(inputs, str):
        raise InvalidInput(f"inputs is {inputs!r}; it must be a shape, a tensor, or a sequence or dict of those")
    return tuple(map(example, inputs)), {}


def _export(
    model: Module, positional: tuple[torch.Tensor, ...], keyword: dict[str, torch.Tensor]
) -> torch.export.ExportedProgram:
    """The traced program of the model in evaluation mode."""
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The tensor attributes")  # recurrent modules set theirs, to no effect
            return torch.export.export(model, positional, keyword, strict=False)
    except Exception as error:
        shapes = [tuple(tensor.shape) for tensor in (*positional, *keyword.values())]
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InvalidInput(
            f"model {type(model).__name__} cannot be traced by torch.export on inputs of shape "
            f"{', '.join(map(str, shapes))}: {reason}"
        ) from error
    finally:
        for module in training:
            module.training = True


def _operators(graph: GraphModule, stored: dict[Node, str]) -> Iterator[Layer | Unmapped]:
    """What each operator of a graph is, in order.

    Args:
        graph: of operators below modules.
        stored: its placeholders that are parameters or buffers, with the names of parameters. What is computed from
            them alone is added, since it needs no input; a parameter's view keeps its name.
    """
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            stored[node] = ""
        if node.op != "call_function":
            continue
        sources = node.all_input_nodes
        if sources and all(source in stored for source in sources):
            view = isinstance(node.target, OpOverload) and node.target.is_view and len(sources) == 1
            stored[node] = stored[sources[0]] if view else ""
        if isinstance(node.target, HigherOrderOperator):
            yield from _region(graph, node, stored)
        elif isinstance(node.target, OpOverload):
            yield from _operator(node, node.target, stored)


def _region(graph: GraphModule, node: Node, stored: dict[Node, str]) -> Iterator[Layer | Unmapped]:
    """The operators under `torch.no_grad` or `torch.autocast`; other regions run as often as their data says."""
    given = [argument for argument in node.args if isinstance(argument, Node)]
    body = getattr(graph, str(given[0].target), None) if given and given[0].op == "get_attr" else None
    if not isinstance(body, GraphModule) or not str(node.target).startswith("wrap"):
        yield Unmapped(str(node.target), _module(node), macs=None)
        return
    placeholders = [inner for inner in body.graph.nodes if inner.op == "placeholder"]
    inside = {inner: stored[outer] for inner, outer in zip(placeholders, given[1:], strict=True) if outer in stored}
    yield from _operators(body, inside)


def _operator(node: Node, op: OpOverload, stored: dict[Node, str]) -> Iterator[Layer | Unmapped]:
    kind = op._schema.name.removeprefix("aten::").replace("::", ".").rstrip("_")
    fixed = all(isinstance(size, int) for source in (node, *node.all_input_nodes) for size in _sizes(source))
    layers = _layers(node, op, kind, stored) if fixed else []
    yield from layers
    if not layers and node.all_input_nodes and _tensors(node) and not (op.is_view or kind in _IDLE):
        results = sum(tensor.numel() for tensor in _tensors(node)) if fixed else 0
        yield Unmapped(kind, _module(node), results=results, macs=_macs(node, op, kind))


def _layers(node: Node, op: OpOverload, kind: str, stored: dict[Node, str]) -> list[Layer]:
    """The layers of one operator; none where it is no sum of products."""
    given = _arguments(node, op)
    if kind in _CONVOLUTIONS:
        layer = convolution(
            _name(node, stored, kind, given["weight"], own_module=True),
            inputs=_shape(given["input"]),
            weights=_shape(given["weight"]),
            outputs=_shape(node),
            stride=given["stride"],
            dilation=given["dilation"],
            groups=given["groups"],
            transposed=given.get("transposed", "transpose" in kind),
            stored=given["weight"] in stored,
        )
        return [layer]
    if "scaled_dot_product" in kind:  # and what it becomes in a program for one kind of device
        name = _module(node) or "attention"
        return attention(name, *(_shape(given[operand]) for operand in ("query", "key", "value")))
    operands, equation, path = _einsum(kind, given)
    if not equation:
        return []
    held = [operand for operand in operands if operand in stored]
    name = _name(node, stored, kind, held[0] if held else None, own_module=kind == "linear")
    return einsum(name, equation, [_shape(o) for o in operands], [o in stored for o in operands], path)


def _einsum(kind: str, given: dict[str, Any]) -> tuple[list[Node], str, list[int] | None]:
    """(operands, equation, path) of an operator that is an einsum; no equation where it is none."""
    if kind == "einsum":
        return list(given["tensors"]), given["equation"], given["path"]
    if kind == "matmul":
        operands = [given["self"], given["other"]]
        return operands, matmul_equation(*(len(_shape(operand)) for operand in operands)), None
    if kind in _EINSUMS:
        names, equation = _EINSUMS[kind]
        return [given[name] for name in names.split()], equation, None
    return [], "", None


def _name(node: Node, stored: dict[Node, str], kind: str, weight: Node | None, *, own_module: bool) -> str:
    """The module whose weights an operator has, or in which it is; with its kind where the module does more."""
    module = _module(node)
    parameter = stored.get(weight, "") if weight is not None else ""
    if parameter not in ("", "weight"):
        return parameter.removesuffix(".weight").removesuffix("_weight")
    if own_module and module:
        return module
    return f"{module}.{kind}" if module else kind


def _module(node: Node) -> str:
    """The path of the innermost module that an operator is in; empty for the model itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""


def _arguments(node: Node, op: OpOverload) -> dict[str, Any]:
    """Every argument of an operator by name, those left to their defaults included."""
    schema = op._schema.arguments
    given = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    positional = zip([argument.name for argument in schema], node.args, strict=False)
    return given | dict(positional) | dict(node.kwargs)


def _tensors(node: Node) -> list[torch.Tensor]:
    """The tensors, without values, that a node stands for."""
    value = node.meta.get("val")
    entries = value if isinstance(value, list | tuple) else [value]
    return [entry for entry in entries if isinstance(entry, torch.Tensor)]


def _sizes(node: Node) -> list[int | torch.SymInt]:
    return [size for tensor in _tensors(node) for size in tensor.shape]


def _shape(node: Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _macs(node: Node, op: OpOverload, kind: str) -> int | None:
    """Multiply-accumulates of an operator that has no layer, as torch's own counter sees them in its parts."""
    if op.namespace not in ("aten", "prims"):
        return None  # of an extension: nobody knows
    fake = {source: source.meta["val"] for source in node.all_input_nodes}
    # On the meta device every operator falls into its parts; but one that moves data to another stays where it is.
    meta = {source: value.to("meta") if isinstance(value, torch.Tensor) else value for source, value in fake.items()}
    for values in (meta, fake):
        args, kwargs = map_arg((node.args, node.kwargs), values.__getitem__)
        with suppress(Exception), torch.no_grad(), FlopCounterMode(display=False) as counter:
            op(*args, **kwargs)
            macs = counter.get_total_flops() // 2
            return None if macs == 0 and _UNCOUNTED.match(kind) else macs
    return None
