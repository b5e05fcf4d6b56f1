"""`from_torch`: the layers of a PyTorch model, from the graph that `torch.export` traces of it.

The trace knows shapes alone (torch's fake tensors): nothing is computed, and the model stays where it is, be it on
the meta device, where weights take no memory. What is traced is the forward pass in evaluation mode.
"""

import logging
import operator
import string
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch._ops import HigherOrderOperator, OpOverload
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node
from torch.nn import Module
from torch.utils._pytree import arg_tree_leaves

from dlco.errors import InvalidInput
from dlco.workload.frontends.imported import ImportedNetwork, Unmapped, collect
from dlco.workload.frontends.operators import attention, convolution, einsum, matmul_equation
from dlco.workload.frontends.passes import softmax_of
from dlco.workload.frontends.torch_count import model_macs, operator_macs
from dlco.workload.frontends.torch_passes import layers_of
from dlco.workload.frontends.torch_trace import Inputs, examples, parts, trace
from dlco.workload.frontends.torch_wiring import Wires
from dlco.workload.layer import Layer

_CONVOLUTIONS = (*(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)), "convolution")
_EINSUMS = {  # operands, and what an operator computes of them
    "linear": ("input weight", "...k,nk->...n"),
    "mm": ("self mat2", "mk,kn->mn"),
    "_int_mm": ("self mat2", "mk,kn->mn"),
    "_scaled_mm": ("self mat2", "mk,kn->mn"),
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
_ITERATED = ("lstm", "gru", "rnn_tanh", "rnn_relu")
"""Operators that torch has as many parts as its input has steps."""
_IDLE = ("dropout", "alpha_dropout", "feature_dropout", "clone", "lift_fresh_copy", "copy", "_unsafe_view")
_ONCE = ("wrap", "tag_activation_checkpoint", "invoke_subgraph")
"""How the names of regions begin that run their body once: under no_grad or autocast, checkpointed, compiled apart."""

logger = logging.getLogger("dlco")


def from_torch(model: Module, inputs: Inputs, *, macs_only: bool = False) -> ImportedNetwork:
    """The layers of a PyTorch model.

    Convolutions (plain, grouped, depthwise, dilated, transposed), linear layers, matrix products, einsums and scaled
    dot-product attention become layers named by their modules, and so do the products that operators such as
    `tensordot` are made of. So do pooling, additions and products of two computed tensors, normalisation of layers and
    groups, softmax and embedding, which have no multiply-accumulates but move words and take cycles. Activations,
    biases and batch normalisation are taken to be computed where a result is written; they and everything else are
    listed in `unmapped`. What runs under `torch.vmap`, `map` or `scan` counts as often as it runs. A transposed
    convolution counts the products that padding then cuts off; attention counts as full, whatever its mask.

    The total is compared with torch's own counter; where that sees more, a warning of the logger "dlco" says how much,
    and the difference is listed too.

    Args:
        model: any module that `torch.export` can trace; with `torch.device("meta")` around its construction, weights
            take no memory. It is traced in evaluation mode and handed back in its own.
        inputs: the shape of its input, such as (1, 3, 224, 224); or an example tensor; or a tuple or list of shapes
            or tensors, or a dict of them by argument, where it takes several. A shape stands for a tensor on the
            model's device and of its floating-point type.
        macs_only: whether to list layers without multiply-accumulates in `unmapped`, too.

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
    positional, keyword = examples(model, inputs)
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        program = trace(model, positional, keyword)
        graph, wires = program.graph_module, Wires()
        found = list(_operators(graph, _stored(model, program), wires, macs_only=macs_only))
        wires.course.leave(wires.result(graph))
        network = collect(type(model).__name__, found, wires.course)
        counted = None if _has_regions(program) else model_macs(model, positional, keyword)
    finally:
        for module in training:
            module.training = True
    return network if counted is None else _compared(network, counted)


def _compared(network: ImportedNetwork, counted: int) -> ImportedNetwork:
    """The network, with what torch counts beyond it among its unmapped operators."""
    share = network.mapped_share
    missing = (
        0 if share is None else counted - network.macs - sum(operators.macs or 0 for operators in network.unmapped)
    )
    if missing <= 0:  # the counter does not know every operator
        return network
    logger.warning(
        "model %s: torch counts %s MACs, %s more than the operators found in its trace; they are listed as not mapped",
        network.name,
        f"{counted:,}",
        f"{missing:,}",
    )
    return replace(network, unmapped=(Unmapped("untraced", network.name, macs=missing), *network.unmapped))


def _stored(model: Module, program: ExportedProgram) -> dict[Node, str]:
    """The program's placeholders that are parameters or buffers, with the names of parameters."""
    signature = program.graph_signature
    from_user = set(signature.user_inputs)
    first: dict[int, str] = {}  # where a module is in several places, the first names its parameters
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first.setdefault(id(parameter), name)
    names = {
        node: first.get(id(model.get_parameter(name)), name) for node, name in signature.inputs_to_parameters.items()
    }
    return {
        node: names.get(node.name, "")
        for node in program.graph_module.graph.nodes
        if node.op == "placeholder" and node.name not in from_user
    }


def _has_regions(program: ExportedProgram) -> bool:
    """Whether the program has regions with an own way to run their body, which torch's counter cannot enter."""
    bodies = (body for body in program.graph_module.modules() if isinstance(body, GraphModule))
    targets = (node.target for body in bodies for node in body.graph.nodes)
    return any(isinstance(target, HigherOrderOperator) and not str(target).startswith("wrap") for target in targets)


def _operators(
    graph: GraphModule, stored: dict[Node, str], wires: Wires, within: str = "", *, macs_only: bool = False
) -> Iterator[Layer | Unmapped]:
    """What each operator of a graph is, in order.

    Args:
        graph: of operators below modules.
        stored: its placeholders that are parameters or buffers, with the names of parameters. What is computed from
            them alone is added, since it needs no input; a parameter's view keeps its name.
        wires: the origins of its inputs from outside, which grow by those of all nodes.
        within: the operator whose parts these are, if they are any.
        macs_only: whether operators without multiply-accumulates are no layers.
    """
    for node in stored:
        wires.keep(node)
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
            yield from _region(graph, node, stored, wires, macs_only)
        elif isinstance(node.target, OpOverload):
            yield from _operator(node, node.target, stored, wires, within, macs_only)
        elif node.target is operator.getitem:
            wires.take(node)
        elif _tensors(node):
            wires.leave(node)
            yield Unmapped(getattr(node.target, "__name__", str(node.target)), _module(node), macs=None)


def _region(
    graph: GraphModule, node: Node, stored: dict[Node, str], wires: Wires, macs_only: bool
) -> Iterator[Layer | Unmapped]:
    """The operators of a body that runs once, or once a slice of its inputs; other bodies run as the data says."""
    kind = str(node.target)
    leaves = [leaf for leaf in arg_tree_leaves(*node.args) if isinstance(leaf, Node)]
    named = {leaf: getattr(graph, str(leaf.target), None) for leaf in leaves if leaf.op == "get_attr"}
    bodies = {leaf: body for leaf, body in named.items() if isinstance(body, GraphModule)}
    if kind == "flex_attention":
        layers = attention(_module(node) or "attention", *map(_shape, leaves[:3]))
        wires.run(node, layers, leaves[:3], stored)
        yield from layers
        return
    times, operands = _times(node, kind), [leaf for leaf in leaves if leaf not in bodies]
    starts = [[inner for inner in body.graph.nodes if inner.op == "placeholder"] for body in bodies.values()]
    if times is None or [len(placeholders) for placeholders in starts] != [len(operands)]:
        wires.leave(node)
        yield Unmapped(kind, _module(node), macs=_branch_macs(kind, list(bodies.values())))
        return
    carried = (
        len(arg_tree_leaves(node.args[1])) if kind == "scan" else 0
    )  # what a step changes for the next is not stored
    pairs = list(zip(starts[0], operands, strict=True))[carried:]
    inside = {inner: stored[outer] for inner, outer in pairs if outer in stored}
    (body,) = bodies.values()
    inner_wires = wires.inside(dict(zip(starts[0], operands, strict=True)), times)
    for one in _operators(body, inside, inner_wires, macs_only=macs_only):
        count = one.count * times
        if isinstance(one, Unmapped):
            macs = None if one.macs is None else one.macs * times
            yield replace(one, count=count, results=one.results * times, macs=macs)
        else:
            yield replace(one, count=count)
    wires.end(node, body, inner_wires)


def _times(node: Node, kind: str) -> int | None:
    """How often a region runs its body; None where its data says so, or it is of an unknown kind."""
    if kind.startswith(_ONCE):
        return 1
    if kind in ("map_impl", "scan"):
        sliced, *_ = arg_tree_leaves(node.args[1 if kind == "map_impl" else 2])
        return _shape(sliced)[0]
    return None


def _branch_macs(kind: str, bodies: list[GraphModule]) -> int | None:
    """Multiply-accumulates of a region that runs one of its bodies, or some of them an unknown number of times."""
    totals = set()
    for body in bodies:
        found = list(_operators(body, {}, Wires()))
        beside = [one.macs for one in found if isinstance(one, Unmapped)]
        if None in beside:
            return None
        layers = sum(one.count * one.macs for one in found if isinstance(one, Layer))
        totals.add(layers + sum(macs or 0 for macs in beside))
    same = len(totals) == 1 and (kind == "cond" or totals == {0})
    return totals.pop() if same and kind in ("cond", "while_loop", "associative_scan") else None


def _operator(
    node: Node, op: OpOverload, stored: dict[Node, str], wires: Wires, within: str, macs_only: bool
) -> Iterator[Layer | Unmapped]:
    kind = op._schema.name.removeprefix("aten::").replace("::", ".").rstrip("_")
    fixed = all(isinstance(size, int) for source in (node, *node.all_input_nodes) for size in _sizes(source))
    layers = _layers(node, op, kind, stored, within or kind) if fixed else []
    if fixed and not layers and not macs_only and node not in stored:
        module = _module(node)
        layers = layers_of(kind, f"{module}.{kind}" if module else kind, _arguments(node, op), _result(node), stored)
    if layers and not macs_only and "scaled_dot_product" in kind:
        layers[1:1] = softmax_of(layers[0])
    if layers and kind in (*_CONVOLUTIONS, "conv_tbc"):
        wires.convolve(node, _operands(node, op, kind))
    elif layers:
        wires.run(node, layers, _operands(node, op, kind), stored)
    else:
        wires.compute(node, kind)
    yield from layers
    if not layers and node.all_input_nodes and _tensors(node) and not (op.is_view or kind in _IDLE):
        macs = operator_macs(node, op, kind)
        body = parts(node, op) if macs and kind not in _ITERATED else None
        if body is None:
            if macs != 0:
                wires.leave(node)
            results = sum(tensor.numel() for tensor in _tensors(node)) if fixed else 0
            yield Unmapped(kind, _module(node), results=results, macs=macs)
            return
        placeholders = (inner for inner in body.graph.nodes if inner.op == "placeholder")
        pairs = list(zip(placeholders, node.all_input_nodes, strict=True))
        inside = {inner: stored[outer] for inner, outer in pairs if outer in stored}
        inner_wires = wires.inside(dict(pairs))
        yield from _operators(body, inside, inner_wires, within or kind, macs_only=macs_only)
        wires.end(node, body, inner_wires)


def _operands(node: Node, op: OpOverload, kind: str) -> list[Node]:
    """The tensors that an operator with layers works on, the larger first where it combines them by element."""
    given = _arguments(node, op)
    if kind in _CONVOLUTIONS:
        return [given["input"], given["weight"]]
    if kind == "conv_tbc":
        return [given["self"], given["weight"]]
    if "scaled_dot_product" in kind:
        return [given[operand] for operand in ("query", "key", "value")]
    operands = _einsum(kind, given)[0]
    if operands:
        return operands
    names = ("indices",) if kind == "embedding" else ("self", "input", "other")
    some = [given[name] for name in names if isinstance(given.get(name), Node)]
    return sorted(some, key=lambda operand: prod(_shape(operand)), reverse=True)


def _layers(node: Node, op: OpOverload, kind: str, stored: dict[Node, str], called: str) -> list[Layer]:
    """The layers of one operator, where need be by what it is `called`; none where it is no sum of products."""
    given = _arguments(node, op)
    if any(size == 0 for source in (node, *node.all_input_nodes) for size in _sizes(source)):
        return []
    if kind == "conv_tbc":
        return [_conv_tbc(given, _name(node, stored, called, given["weight"], own_module=True), stored)]
    if kind in _CONVOLUTIONS:
        layer = convolution(
            _name(node, stored, called, given["weight"], own_module=True),
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
    name = _name(node, stored, called, held[0] if held else None, own_module=kind == "linear")
    return einsum(name, equation, [_shape(o) for o in operands], [o in stored for o in operands], path)


def _conv_tbc(given: dict[str, Any], name: str, stored: dict[Node, str]) -> Layer:
    """The 1-D convolution of (time, batch, channels) by weights (taps, input channels, output channels)."""
    time, batch, channels = _shape(given["self"])
    taps, _, out = _shape(given["weight"])
    return convolution(
        name,
        inputs=(batch, channels, time),
        weights=(out, channels, taps),
        outputs=(batch, out, time + 2 * given["pad"] - taps + 1),
        stored=given["weight"] in stored,
    )


def _einsum(kind: str, given: dict[str, Any]) -> tuple[list[Node], str, list[int] | None]:
    """(operands, equation, path) of an operator that is an einsum; no equation where it is none."""
    if kind == "einsum":
        return list(given["tensors"]), given["equation"], given["path"]
    if kind == "matmul":
        operands = [given["self"], given["other"]]
        return operands, matmul_equation(*(len(_shape(operand)) for operand in operands)), None
    if kind == "linalg_vecdot":
        operands = [given["x"], given["y"]]
        ranks = [len(_shape(operand)) for operand in operands]
        axes = string.ascii_letters[: max(ranks)]
        left, right = (axes[len(axes) - rank :] for rank in ranks)
        return operands, f"{left},{right}->{axes.replace(axes[given['dim']], '')}", None
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


def _result(node: Node) -> tuple[int, ...]:
    """Shape of an operator's only, or first, result."""
    return next((tuple(tensor.shape) for tensor in _tensors(node)), ())


def _shape(node: Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)
