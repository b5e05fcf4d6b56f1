"""Gradients of the smooth model against finite differences, in float64.

Differences are taken of logarithms, since totals are too large for steps of 1e-6 to show in their last digits.
"""

from dataclasses import replace

import pytest
import torch

from dlco.cost.arithmetic import SMOOTH
from dlco.cost.cost import Cost
from dlco.cost.model import evaluate
from dlco.cost.nest import build_nest, positions
from dlco.cost.shape import compile_problem
from dlco.cost.tabulate import overflow
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import kept_table
from dlco.mapping.rules import CountingRules

from .cases import FAMILIES, Block, Case, Pair, block, make_case

# The innermost loops of the middle level decide which window slides: one order of each kind.
WINDOW_SLIDES = ("PQRSHWNCMKBG", "QPSRWHCMNKBG")
WEIGHTS_STAY = ("NPQHWMKBCGRS", "NQPWHBMKCGRS")
OUTPUTS_STAY = ("CKRSMNPQHWBG", "CKSRGMNQPWHB")

HARDWARE = {
    "read_pj": 1.5,
    "write_pj": 2.0,
    "update_pj": 2.5,
    "leak_pj": 0.125,
    "area_um2": 50.0,
    "capacity": 100.0,
    "read_bandwidth": 3.0,
    "write_bandwidth": 2.0,
    "shared_bandwidth": 4.0,
    "block_size": 2,
}


def layer(family: str, pair: Pair, order: tuple[str, str], bypass: str = "") -> Case:
    """Every loop of a three-level machine split everywhere it can be."""
    dims, problem_of = FAMILIES[family]
    x, y = ([d for d in dims if d in axis][:2] for axis in ("PHMK", "CRBG"))
    blocks: list[Block] = [
        block(t={d: 2 for d in dims}, bypass="", **HARDWARE),
        block(
            t={d: 2 for d in order[0] if d in dims},
            x=dict.fromkeys(x, 2),
            y=dict.fromkeys(y, 2),
            bypass=bypass,
            **HARDWARE,
        ),
        block(t={d: 2 for d in order[1] if d in dims}, **HARDWARE),
    ]
    return make_case(problem_of(pair, (1, 1)), dims, *blocks, mac_pj=0.5, mac_area_um2=10.0)


def relaxed(case: Case, seed: int = 0) -> torch.Tensor:
    """Real factors near the mapping's, away from kinks of windows."""
    generator = torch.Generator().manual_seed(seed)
    factors = case.mapping.batch().factors
    return factors * (1 + torch.rand(factors.shape, generator=generator, dtype=torch.float64))


def cost(case: Case, factors: torch.Tensor, machine: Machine, rules: CountingRules | None = None) -> Cost:
    """The smooth cost of these factors."""
    batch = replace(case.mapping.batch(), factors=factors)
    return evaluate(case.problem, machine, batch, rules or CountingRules(), SMOOTH)


LAYERS = [
    pytest.param("conv", (1, 1), WINDOW_SLIDES, "", id="conv"),
    pytest.param("conv", (2, 2), WINDOW_SLIDES, "Weights", id="conv of stride 2"),
    pytest.param("conv", (2, 1), OUTPUTS_STAY, "Outputs", id="conv of two strides"),
    pytest.param("depthwise", (2, 2), WEIGHTS_STAY, "", id="depthwise"),
    pytest.param("grouped", (1, 1), OUTPUTS_STAY, "Inputs", id="grouped"),
    pytest.param("matmul", (1, 1), WEIGHTS_STAY, "", id="matmul"),
    pytest.param("transposed", (2, 2), WINDOW_SLIDES, "", id="transposed"),
]


@pytest.mark.parametrize(("family", "pair", "order", "bypass"), LAYERS)
class TestFactors:
    @pytest.mark.parametrize("total", ["energy_pj", "cycles"])
    def test_totals(self, family: str, pair: Pair, order: tuple[str, str], bypass: str, total: str) -> None:
        case = layer(family, pair, order, bypass)
        machine = case.architecture.tensors()
        factors = relaxed(case).requires_grad_()
        assert torch.autograd.gradcheck(lambda f: getattr(cost(case, f, machine), total).log(), (factors,))

    def test_every_factor_of_a_split_loop_matters(
        self, family: str, pair: Pair, order: tuple[str, str], bypass: str
    ) -> None:
        case = layer(family, pair, order, bypass)
        factors = relaxed(case).requires_grad_()
        spent = cost(case, factors, case.architecture.tensors())
        (gradient,) = torch.autograd.grad(spent.edp, factors)
        assert torch.isfinite(gradient).all()
        assert (gradient[case.mapping.batch().factors > 1] != 0).all()


def test_energy_where_windows_overlap_at_restarts() -> None:
    case = layer("conv", (1, 1), WINDOW_SLIDES)
    machine = case.architecture.tensors()
    factors = relaxed(case).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f: cost(case, f, machine, CountingRules("overlap")).energy_pj.log(), (factors,)
    )


def test_batch_of_factors() -> None:
    case = layer("conv", (2, 2), OUTPUTS_STAY)
    machine = case.architecture.tensors()
    factors = torch.stack([relaxed(case, seed) for seed in range(3)]).requires_grad_()
    batch = case.mapping.batch()
    order = batch.order.expand(3, -1, -1)

    def energies(f: torch.Tensor) -> torch.Tensor:
        many = replace(batch, factors=f, order=order, spatial_order=order)
        return evaluate(case.problem, machine, many, arithmetic=SMOOTH).energy_pj

    (together,) = torch.autograd.grad(energies(factors).sum(), factors)
    for row, one in zip(together, factors, strict=True):
        alone = one.detach().requires_grad_()
        (expected,) = torch.autograd.grad(cost(case, alone, machine).energy_pj, alone)
        torch.testing.assert_close(row, expected)


def with_fields(machine: Machine, names: tuple[str, ...], values: tuple[torch.Tensor, ...]) -> Machine:
    return replace(machine, **dict(zip(names, values, strict=True)))


SIZES = {
    "energies": (("read_pj", "write_pj", "update_pj", "leak_pj", "mac_pj"), "energy_pj"),
    "blocks": (("block_size",), "energy_pj"),
    "leakage over throttled cycles": (("leak_pj", "write_bandwidth"), "energy_pj"),
    "bandwidths": (("read_bandwidth", "write_bandwidth", "shared_bandwidth"), "cycles"),
    "clock": (("cycle_s", "shared_bandwidth"), "latency_s"),
    "power": (("read_pj", "cycle_s", "read_bandwidth"), "power_w"),
    "area": (("area_um2", "mac_area_um2", "fanout_x", "fanout_y"), "area_mm2"),
    "utilization": (("fanout_x", "fanout_y"), "utilization"),
}


@pytest.mark.parametrize(("names", "total"), SIZES.values(), ids=SIZES.keys())
def test_machine(names: tuple[str, ...], total: str) -> None:
    case = layer("conv", (2, 2), WINDOW_SLIDES, "Weights")
    machine = case.architecture.tensors()
    machine = replace(machine, cycle_s=torch.ones((), dtype=torch.float64))  # so that steps of 1e-6 are small
    factors = relaxed(case)
    generator = torch.Generator().manual_seed(1)
    values = tuple(
        (getattr(machine, name) * (1 + torch.rand((), generator=generator, dtype=torch.float64))).requires_grad_()
        for name in names
    )

    def function(*rows: torch.Tensor) -> torch.Tensor:
        return getattr(cost(case, factors, with_fields(machine, names, rows)), total).log()

    assert torch.autograd.gradcheck(function, values)


def test_capacity_through_the_energy_it_costs() -> None:
    case = layer("conv", (1, 1), WINDOW_SLIDES)
    machine = case.architecture.tensors()
    factors = relaxed(case).requires_grad_()

    def energy(capacity: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        curve = 0.25 * capacity.sqrt()  # energy an access of a memory grows with its size
        sized = replace(machine, capacity=capacity, read_pj=curve, write_pj=curve, update_pj=curve)
        return cost(case, f, sized).energy_pj.log()

    assert torch.autograd.gradcheck(energy, (machine.capacity.clone().requires_grad_(), factors))


def test_overflow_in_factors_and_sizes() -> None:
    case = layer("conv", (1, 1), WINDOW_SLIDES)
    machine = case.architecture.tensors()
    shape = compile_problem(case.problem)
    kept = kept_table(case.problem, None, case.mapping.bypass)
    place = positions(case.mapping.batch().order)

    def excess(f: torch.Tensor, capacity: torch.Tensor, fanout_x: torch.Tensor) -> torch.Tensor:
        sized = replace(machine, capacity=capacity, fanout_x=fanout_x)
        return overflow(build_nest(shape, f, place), sized, kept).log()

    inputs: tuple[torch.Tensor, ...] = (relaxed(case), machine.capacity.clone(), machine.fanout_x.clone())
    inputs = tuple(value.requires_grad_() for value in inputs)
    assert torch.isfinite(excess(*inputs))  # so it does overflow
    assert torch.autograd.gradcheck(excess, inputs)


def test_rounding_passes_gradients_through() -> None:
    case = layer("conv", (1, 1), WINDOW_SLIDES)
    machine = case.architecture.tensors()
    exact = evaluate(case.problem, machine, case.mapping)
    assert not exact.energy_pj.requires_grad
    sized = replace(machine, read_pj=machine.read_pj.clone().requires_grad_())
    (gradient,) = torch.autograd.grad(evaluate(case.problem, sized, case.mapping).energy_pj, sized.read_pj)
    blocks = torch.ceil(exact.counts.reads / machine.block_size[:, None]).sum(-1)
    torch.testing.assert_close(gradient, blocks * exact.counts.instances)
