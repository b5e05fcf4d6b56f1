import importlib.util
from pathlib import Path

import pytest
import torch


def declare_what_torchvision_misses():
    """Let a torchvision built for CUDA be imported beside a torch built without; no model uses what is declared."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return
    for library in Path(found.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            for name in ("nms", "qnms"):
                torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float threshold) -> Tensor")


declare_what_torchvision_misses()


@pytest.fixture(scope="session")
def torchvision():
    return pytest.importorskip("torchvision")


@pytest.fixture(scope="session")
def timm(torchvision):
    return pytest.importorskip("timm")
