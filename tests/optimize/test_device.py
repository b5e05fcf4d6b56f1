"""The whole search keeps its batches on the device it is given."""

import pytest
import torch

import dlco
from dlco import SolveEffort, conv2d
from dlco.hardware import Architecture, HardwareSpace, eyeriss_space, gemmini_like
from dlco.search.local_search import Effort

from .. import emulated_gpu
from ..efforts import EVOLUTION

EFFORT = SolveEffort(
    starts=2,
    relax_rounds=1,
    survey=4,
    machines=2,
    descents=1,
    steps=1,
    polishes=1,
    evolution=EVOLUTION,
    fit=Effort(rounds=3),
    step=Effort(rounds=2),
    polish=Effort(rounds=3, islands=2),
    exact=False,
)


@pytest.mark.parametrize("hardware", [gemmini_like(), eyeriss_space()], ids=["fixed", "space"])
def test_nothing_leaves_the_device(hardware: Architecture | HardwareSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an emulated GPU, which refuses what a real one would; same generators, so the same solution."""
    layers = [conv2d("layer", C=4, M=8, P=6, Q=6, R=3, S=3)]
    here = dlco.solve(layers, hardware, effort=EFFORT, bound=False)
    monkeypatch.setattr(torch, "Generator", emulated_gpu.Generator)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with emulated_gpu.EmulatedGpu() as gpu:
        there = dlco.solve(layers, hardware, effort=EFFORT, bound=False, device="cuda")
    assert gpu.operations > 10_000
    assert there.mappings == here.mappings
    assert there.architecture == here.architecture


def test_the_emulated_gpu_refuses_to_mix() -> None:
    with emulated_gpu.EmulatedGpu():
        there = torch.arange(3.0, device="cuda")
        assert (there + there).device.type == "cuda"
        assert there.cpu().device.type == "cpu"
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.arange(3.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_real_gpu_finds_a_design() -> None:
    layers = [conv2d("layer", C=4, M=8, P=6, Q=6, R=3, S=3)]
    assert dlco.solve(layers, eyeriss_space(), effort=EFFORT, device="cuda").status == "solved"
