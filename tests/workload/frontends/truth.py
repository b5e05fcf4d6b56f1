"""Models without weights, and the multiply-accumulates that torch itself counts in them."""

import torch
from torch.utils.flop_counter import FlopCounterMode


def on_meta(construct, *args, **options):
    """A model without weights, in evaluation mode."""
    with torch.device("meta"):
        return construct(*args, **options).eval()


def counted_macs(run, *shapes):
    """Multiply-accumulates as torch's own counter sees them while the meta device runs it: two operations each."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run(*(torch.empty(shape, device="meta") for shape in shapes))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2
