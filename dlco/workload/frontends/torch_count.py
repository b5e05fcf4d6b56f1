"""Multiply-accumulates as torch's own counter sees them: of one operator of a trace, and of a whole model.

torch's counter (`torch.utils.flop_counter`) watches the operators that run, two operations a multiply-accumulate. It
knows nothing of the trace or of what this package makes of it, so it is an independent check of both.
"""

import re
from collections.abc import Mapping
from contextlib import suppress

import torch
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import Node
from torch.fx.node import map_arg
from torch.nn import Module
from torch.utils.flop_counter import FlopCounterMode

from dlco.workload.frontends.torch_trace import Keyword, Positional, on_meta

_UNCOUNTED = re.compile(
    r"[cp]dist|fft_|stft|matrix_exp|linalg_(?!cross|norm|vector_norm)|\w*sparse|"
    r"\w*(mm|mv|matmul|dot|linear|conv\w*|attention|attn|lstm|gru|rnn|cell)(_|$)"
)
"""Operators that multiply more often than once an element, but how often torch's counter may not know."""


def operator_macs(node: Node, op: OpOverload, kind: str) -> int | None:
    """Multiply-accumulates of one operator as torch's counter sees them in its parts; None where they are not known."""
    if op.namespace not in ("aten", "prims"):
        return None  # of an extension: nobody knows
    fake = {source: source.meta["val"] for source in node.all_input_nodes}
    for values in (on_meta(node), fake):
        args, kwargs = map_arg((node.args, node.kwargs), values.__getitem__)
        with suppress(Exception), torch.no_grad(), FlopCounterMode(display=False) as counter:
            op(*args, **kwargs)
            macs = counter.get_total_flops() // 2
            return None if macs == 0 and _UNCOUNTED.match(kind) and not _is_empty(fake) else macs
    return None


def _is_empty(values: Mapping[Node, object]) -> bool:
    """Whether a tensor among these has no elements, so that its products are none."""
    return any(isinstance(value, torch.Tensor) and value.numel() == 0 for value in values.values())


def model_macs(model: Module, positional: Positional, keyword: Keyword) -> int | None:
    """Multiply-accumulates of a model's forward pass as torch's counter sees them while it runs on fake tensors.

    The modules' attributes are as before afterwards. Operators that the counter does not know count as 0.

    Returns:
        The count, or None where the model does not run so.
    """
    before = [(module, dict(module.__dict__)) for module in model.modules()]
    try:
        with suppress(Exception), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
            state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
            fake: dict[str, torch.Tensor] = {name: mode.from_tensor(tensor) for name, tensor in state.items()}
            args = tuple(map(mode.from_tensor, positional))
            kwargs = {name: mode.from_tensor(tensor) for name, tensor in keyword.items()}
            with FlopCounterMode(display=False) as counter:
                torch.func.functional_call(model, fake, args, kwargs)
            return counter.get_total_flops() // 2
        return None
    finally:
        for module, attributes in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
