"""Random draws from lists."""

from collections.abc import Sequence
from typing import TypeVar

import torch

T = TypeVar("T")


def draw(options: Sequence[T], generator: torch.Generator, n: int | None = None) -> list[T]:
    """`n` of the options, each once, in random order; all of them where that is fewer, or `n` is not given."""
    return [options[i] for i in torch.randperm(len(options), generator=generator)[:n].tolist()]
