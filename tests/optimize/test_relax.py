"""The relaxed problem: its gradient by finite differences, its optimum by dense grids and by scipy."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import optimize

from dlco import Budget, conv2d, depthwise_conv2d, matmul, networks
from dlco.cost.arithmetic import Smooth
from dlco.cost.model import evaluate_totals
from dlco.hardware import eyeriss_like, eyeriss_space, generic, generic_space
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.space import HardwareSpace
from dlco.optimize.group import Group, make_groups
from dlco.optimize.relax import SMOOTH_MAX, Relaxed, _Program, relax
from dlco.optimize.score import Score
from dlco.workload import Layer


class Setting:
    """What `relax` is called with."""

    def __init__(
        self,
        layers: Sequence[Layer],
        hardware: Architecture | HardwareSpace,
        objective: str = "edp",
        budget: Budget | None = None,
        starts: int = 3,
    ) -> None:
        base = hardware.base if isinstance(hardware, HardwareSpace) else hardware
        parameters = hardware.parameters if isinstance(hardware, HardwareSpace) else ()
        axes = {"fanout_x": 1, "fanout_y": 2}
        free = [(p.level, axes[p.field]) for p in parameters if p.field in axes]
        self.layers, self.hardware, self.starts = layers, hardware, starts
        self.groups = make_groups(layers, base, free)
        self.score = Score(objective, budget or Budget(), base.cycle_s)
        self.counts = [torch.tensor([float(one.count) for one in g.layers]).double() for g in self.groups]

    def program(self, seed: int = 0) -> tuple[_Program, torch.Tensor]:
        """The program and a random point."""
        generator = torch.Generator().manual_seed(seed)
        program = _Program(self.groups, self.hardware, self.score, self.counts, self.starts, generator)
        return program, program.start(generator)

    def relax(self, seed: int = 0, rounds: int = 8) -> Relaxed:
        generator = torch.Generator().manual_seed(seed)
        return relax(
            self.groups, self.hardware, self.score, self.counts, starts=self.starts, generator=generator, rounds=rounds
        )


MIXED = [
    conv2d("conv", C=2, M=4, P=4, Q=1, R=3, S=1, stride=2, count=3),
    matmul("product", M=4, K=6, N=2),
    depthwise_conv2d("depthwise", C=4, P=4, Q=2, R=3, S=1),
]
RESNET = networks.resnet18()[1:3]


@pytest.mark.parametrize("objective", ["edp", "latency", "power", "area"])
def test_gradients_of_objective_and_constraints_match_finite_differences(objective: str, space: HardwareSpace) -> None:
    budget = Budget(area_mm2=0.1, power_w=0.1, latency_s=1e-5, energy_j=1e-6)
    for hardware in (space, space.base):
        program, point = Setting(MIXED, hardware, objective, budget, starts=2).program(seed=1)
        point.requires_grad_()
        assert torch.autograd.gradcheck(program, point, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


def test_every_single_derivative_matches_finite_differences(space: HardwareSpace) -> None:
    program, point = Setting(MIXED[:1], space, "edp", Budget(area_mm2=0.1, power_w=0.1), starts=1).program(seed=2)
    assert torch.autograd.gradcheck(program, point.requires_grad_(), eps=1e-6, atol=1e-5, rtol=1e-4)


def test_each_start_depends_on_its_own_row_only(space: HardwareSpace) -> None:
    program, point = Setting(MIXED, space, starts=3).program()
    value, limits = program(point)
    moved = point.clone()
    moved[1] += 0.3
    other, others = program(moved)
    assert torch.equal(other[[0, 2]], value[[0, 2]])
    assert torch.equal(others[[0, 2]], limits[[0, 2]])
    assert other[1] != value[1]


@pytest.mark.parametrize("hardware", [generic(), eyeriss_space()], ids=["fixed", "space"])
def test_factors_multiply_to_the_bounds_at_every_point(hardware: Architecture | HardwareSpace) -> None:
    setting = Setting(RESNET, hardware)
    program, point = setting.program()
    for scale in (0.0, 1.0, 30.0):
        for group, logs in zip(setting.groups, program.logs(scale * point), strict=True):
            assert bool((logs >= 0).all())
            torch.testing.assert_close(logs.exp().prod(2), group.bounds.expand(setting.starts, -1, -1))


def test_sizes_stay_between_the_ends_of_their_grids() -> None:
    space = eyeriss_space()
    setting = Setting(RESNET, space, budget=Budget(area_mm2=4.0))
    program, point = setting.program()
    for scale in (1.0, 100.0, -100.0):
        sizes = program.sizes(scale * point)
        assert bool((sizes >= space.low * (1 - 1e-12)).all())
        assert bool((sizes <= space.high * (1 + 1e-12)).all())
    relaxed = setting.relax(rounds=3)
    assert relaxed.sizes.shape == (3, len(space.parameters))
    assert bool(((relaxed.sizes >= space.low * (1 - 1e-12)) & (relaxed.sizes <= space.high * (1 + 1e-12))).all())


def test_fixed_hardware_has_no_sizes() -> None:
    relaxed = Setting(RESNET, eyeriss_like()).relax(rounds=2)
    assert relaxed.sizes.shape == (3, 0)
    assert [table.shape[:2] for table in relaxed.logs] == [(3, len(RESNET))]
    assert bool((relaxed.rate > 0).all())
    for position in relaxed.position:
        inner_first = torch.arange(position.shape[-1], dtype=torch.int8).expand_as(position)
        assert torch.equal(position.sort(-1).values, inner_first)


BUDGETS = {
    "area": Budget(area_mm2=2.0),
    "latency and area": Budget(latency_s=8e-4, area_mm2=2.5),
    "power": Budget(power_w=0.3),
    "energy and latency": Budget(energy_j=2e-3, latency_s=6e-4),
}


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
def test_limits_hold_at_the_end(budget: Budget) -> None:
    setting = Setting(RESNET[:1], generic_space(), "edp", budget, starts=2)
    relaxed = setting.relax(rounds=8)
    assert relaxed.violation.min() <= 1e-2
    best = relaxed.violation.argmin()
    assert occupancy(setting, relaxed, int(best)) <= 1.02
    if budget.area_mm2 is not None:
        assert generic_space().machine(relaxed.sizes[best]).area_mm2 <= budget.area_mm2 * 1.02


def occupancy(setting: Setting, relaxed: Relaxed, start: int) -> float:
    """The fullest buffer or fan-out of a relaxed design, as a share, computed from its factors by hand."""
    machine = setting.hardware.machine(relaxed.sizes[start])  # type: ignore[union-attr]
    shares = []
    for group, logs in zip(setting.groups, relaxed.logs, strict=True):
        for i, layer in enumerate(group.layers):
            problem = layer.problem
            extents = dict.fromkeys(problem.dimensions, 1.0)
            for level in range(group.levels):
                for axis, room in ((1, machine.fanout_x), (2, machine.fanout_y)):
                    if (level, axis) in group.space.slots:
                        slot = group.space.slots.index((level, axis))
                        shares.append(logs[start, i, slot].sum().exp().item() / room[level].item())
                for slot, (at, _) in enumerate(group.space.slots):
                    if at == level:
                        for d, dim in enumerate(problem.dimensions):
                            extents[dim] *= logs[start, i, slot, d].exp().item()
                used = 0.0
                for space, kept in zip(problem.dataspaces, group.kept[level], strict=True):
                    box = [1 + sum(c * (extents[dim] - 1) for dim, c in rank) for rank in space.projection]
                    used += kept * float(np.prod(box))
                shares.append(used / machine.capacity[level].item())
    return max(shares)


@pytest.fixture(scope="module")
def narrow() -> Architecture:
    """A buffer and a DRAM: three real factors decide everything."""
    return Architecture(
        levels=(
            Level("Buffer", capacity=90, read_pj=2, write_pj=2.5, update_pj=2.5, read_bandwidth=4, write_bandwidth=4),
            Level(
                "DRAM", kind="DRAM", read_pj=100, write_pj=110, update_pj=110, read_bandwidth=0.2, write_bandwidth=0.2
            ),
        ),
        mac_pj=0.5,
    )


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_the_optimum_of_three_factors_is_that_of_a_dense_grid(objective: str, narrow: Architecture) -> None:
    """Most starts reach the best that their loop order allows, and one nearly the best of all orders."""
    layer = matmul("layer", M=16, K=16, N=16)
    setting = Setting([layer], narrow, objective, starts=8)
    (group,) = setting.groups
    relaxed = setting.relax(rounds=10)
    truth = dense_grid(group, narrow, setting.score)
    assert bool((relaxed.violation <= 1e-2).all())
    reached = 0
    for value, places in zip(relaxed.value.tolist(), relaxed.position[0][:, 0, 1].tolist(), strict=True):
        best = truth[tuple(sorted((1, 2, 3), key=lambda d, places=places: places[d]))]
        assert value >= best - 0.06  # the grid's step, and the violation allowed
        reached += value <= best + 0.02
    assert reached >= 6
    assert relaxed.value.min().item() <= min(truth.values()) + 0.1


def dense_grid(group: Group, architecture: Architecture, score: Score) -> dict[tuple[int, ...], float]:
    """The least log objective over real factors of the inner level, 40 values a dimension, for each loop order."""
    steps = torch.logspace(0, 4, 40, base=2.0, dtype=torch.float64)
    inner = torch.ones(40**3, group.dims, dtype=torch.float64)
    inner[:, 1:] = torch.cartesian_prod(steps, steps, steps)  # B is 1
    factors = torch.ones(40**3, 2, 3, group.dims, dtype=torch.float64)
    factors[:, 0, 0] = inner
    factors[:, 1, 0] = group.bounds[0] / inner
    machine = architecture.tensors()
    best = {}
    for order in permutations((1, 2, 3)):
        places = [list(range(group.dims)), [0, *(order.index(d) + 1 for d in (1, 2, 3))]]
        totals = evaluate_totals(
            group.shape, machine, group.kept, factors, places, arithmetic=Smooth(SMOOTH_MAX.sharpness)
        )
        value = score.value(totals.energy_pj, totals.cycles, torch.tensor(1.0).double())
        best[order] = value[totals.overflow <= 1e-9].min().item()
    return best


@pytest.mark.parametrize("objective", ["edp", "energy"])
def test_hardware_and_mappings_together_match_slsqp(objective: str, space: HardwareSpace) -> None:
    """From the same starts and with the loop orders that `relax` ended with, scipy's solver finds nothing better."""
    layer = matmul("layer", M=8, K=12, N=6)
    area = space.architecture([2, 28, 8]).area_mm2
    setting = Setting([layer], space, objective, Budget(area_mm2=area), starts=2)
    relaxed = setting.relax(rounds=12)
    program, point = setting.program()
    program.position = relaxed.position
    peers = [slsqp(program, point, start) for start in range(2)]
    good = relaxed.value[relaxed.violation <= 1e-2]
    assert len(good)
    assert good.min().item() <= min(peers) + 0.05


def slsqp(program: _Program, point: torch.Tensor, start: int) -> float:
    """The least value that SLSQP reaches from one row of `point`, with all constraints kept."""

    def full(x: np.ndarray) -> torch.Tensor:
        rows = point.clone()
        rows[start] = torch.from_numpy(x)
        return rows.requires_grad_()

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        rows = full(x)
        out = program(rows)[0][start]
        (slope,) = torch.autograd.grad(out, rows)
        return out.item(), slope[start].numpy()

    def slack(x: np.ndarray) -> np.ndarray:
        return -program(full(x))[1][start].detach().numpy()

    def slack_slope(x: np.ndarray) -> np.ndarray:
        rows = full(x)
        limits = program(rows)[1][start]
        (slopes,) = torch.autograd.grad(limits, rows, torch.eye(len(limits)).double(), is_grads_batched=True)
        return -slopes[:, start].numpy()

    constraint = {"type": "ineq", "fun": slack, "jac": slack_slope}
    found = optimize.minimize(
        value, point[start].numpy(), jac=True, method="SLSQP", constraints=[constraint], options={"maxiter": 40}
    )
    return found.fun if slack(found.x).min() >= -1e-6 else float("inf")


def test_the_same_seed_relaxes_to_the_same() -> None:
    setting = Setting(MIXED, generic(), starts=2)
    one, two = setting.relax(seed=5, rounds=2), setting.relax(seed=5, rounds=2)
    assert torch.equal(one.value, two.value)
    assert all(torch.equal(a, b) for a, b in zip(one.logs, two.logs, strict=True))
