"""What `torch.export` traces of a PyTorch model: one program of operators on shapes.

Under functorch's transforms (`torch.vmap`, `torch.func.jvp`) the trace shows what one sample sees, and calls that enter
and leave the transform. Such a program is traced once more below them, where operators have the shapes that run.
"""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg
from torch.nn import Module

from dlco.errors import InvalidInput, reason_of
from dlco.workload.problem import check_positive_int

Inputs = Sequence[int] | torch.Tensor | Sequence["torch.Tensor | Sequence[int]"] | Mapping[str, Any]
Positional = tuple[torch.Tensor, ...]
Keyword = dict[str, torch.Tensor]


def examples(model: Module, inputs: Inputs) -> tuple[Positional, Keyword]:
    """Positional and keyword arguments to trace with; tensors that stand for shapes hold no values.

    Raises:
        InvalidInput: the inputs are neither shapes nor tensors.
    """
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


def trace(model: Module, positional: Positional, keyword: Keyword) -> ExportedProgram:
    """The program of a model's forward pass, without gradients and in the mode in which its modules are.

    Raises:
        InvalidInput: the model cannot be traced on these arguments.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The tensor attributes")  # recurrent modules set theirs, to no effect
            program = _export(model, positional, keyword)
            if _is_transformed(program):
                warnings.filterwarnings("ignore", category=FutureWarning)  # torch's, about its own insides
                program = program.run_decompositions({})
    except Exception as error:
        shapes = [tuple(tensor.shape) for tensor in (*positional, *keyword.values())]
        raise InvalidInput(
            f"model {type(model).__name__} cannot be traced by torch.export on inputs of shape "
            f"{', '.join(map(str, shapes))}: {reason_of(error)}"
        ) from error
    if _is_transformed(program):
        raise InvalidInput(
            f"model {type(model).__name__} uses transforms of torch.func that its trace does not resolve"
        )
    return program


def _export(model: Module, positional: Positional, keyword: Keyword) -> ExportedProgram:
    """The program as torch traces it while the model runs, or as its compiler reads it where that loses a tensor."""
    try:
        return torch.export.export(model, positional, keyword, strict=False)
    except RuntimeError as error:
        if "fake tensor in the exported program" not in str(error):  # left by a vmap that moves its batch
            raise
        return torch.export.export(model, positional, keyword, strict=True)


def _is_transformed(program: ExportedProgram) -> bool:
    """Whether any operator runs under a transform of functorch."""
    bodies = (body for body in program.graph_module.modules() if isinstance(body, GraphModule))
    nodes = (node for body in bodies for node in body.graph.nodes if node.op == "call_function")
    return any(str(getattr(node.target, "__module__", "")).startswith("torch._functorch") for node in nodes)


def parts(node: Node, op: OpOverload) -> GraphModule | None:
    """The operators that torch makes of one, in the module where that one is; its inputs are the node's sources.

    Returns:
        A graph of at least two operators, or None where torch has the operator as it is.
    """
    sources = node.all_input_nodes
    modules = node.meta.get("nn_module_stack")

    def run(*tensors: torch.Tensor) -> Any:
        args, kwargs = map_arg((node.args, node.kwargs), dict(zip(sources, tensors, strict=True)).__getitem__)
        return op(*args, **kwargs)

    with suppress(Exception), torch.no_grad():
        body = make_fx(run)(*on_meta(node).values())
        operators = [inner for inner in body.graph.nodes if inner.op == "call_function"]
        for inner in operators:
            inner.meta["nn_module_stack"] = modules
        return body if len(operators) > 1 else None
    return None


def on_meta(node: Node) -> dict[Node, Any]:
    """The values of an operator's sources on the meta device, where every operator falls into its parts."""
    values = {source: source.meta["val"] for source in node.all_input_nodes}
    return {source: value.to("meta") if isinstance(value, torch.Tensor) else value for source, value in values.items()}
