"""The relaxed problem: its optimum against dense grids, a geometric program in cvxpy, and scipy; its own measures
recomputed from autograd."""

from collections.abc import Sequence
from itertools import permutations
from math import inf, log, prod

import cvxpy as cp
import numpy as np
import pytest
import torch
from scipy import optimize

from dlco import Budget, conv2d, depthwise_conv2d, matmul, networks
from dlco.cost.arithmetic import Smooth
from dlco.cost.model import evaluate_totals
from dlco.hardware import eyeriss_like, eyeriss_space, generic, generic_space
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.space import HardwareSpace, as_space
from dlco.mapping import Constraints, SlotConstraint
from dlco.relax import interior
from dlco.relax.iterate import Iterate, RelaxedProblem, draw_point, values
from dlco.relax.program import RelaxedLayers, machine_rows
from dlco.relax.relax import FIRST_MU, Relaxed, relax
from dlco.search.group import Group, make_groups
from dlco.search.score import Score
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
        constraints: Constraints | None = None,
    ) -> None:
        base = hardware.base if isinstance(hardware, HardwareSpace) else hardware
        parameters = hardware.parameters if isinstance(hardware, HardwareSpace) else ()
        axes = {"fanout_x": 1, "fanout_y": 2}
        free = [(p.level, axes[p.field]) for p in parameters if p.field in axes]
        self.layers, self.hardware, self.starts = layers, hardware, starts
        self.groups = make_groups(layers, base, free, constraints)
        self.score = Score(objective, budget or Budget(), base.cycle_s)
        self.counts = [torch.tensor([float(one.count) for one in g.layers]).double() for g in self.groups]

    def begin(self, seed: int = 0) -> tuple[RelaxedProblem, Iterate]:
        """The problem of random classes, and random points."""
        generator = torch.Generator().manual_seed(seed)
        space = as_space(self.hardware)
        problem = RelaxedProblem.of(self.groups, space, self.score, self.counts, self.starts, generator, give=2.5e-4)
        return problem, draw_point(problem, self.starts, generator, FIRST_MU)

    def relax(self, seed: int = 0, rounds: int = 8, **options: float) -> Relaxed:
        generator = torch.Generator().manual_seed(seed)
        return relax(
            self.groups,
            self.hardware,
            self.score,
            self.counts,
            starts=self.starts,
            generator=generator,
            rounds=rounds,
            **options,  # type: ignore[arg-type]
        )


MIXED = [
    conv2d("conv", C=2, M=4, P=4, Q=1, R=3, S=1, stride=2, count=3),
    matmul("product", M=4, K=6, N=2),
    depthwise_conv2d("depthwise", C=4, P=4, Q=2, R=3, S=1),
]
RESNET = networks.resnet18()[1:3]


@pytest.mark.parametrize("objective", ["latency", "energy", "edp", "power", "area"])
def test_every_objective_converges(objective: str, space: HardwareSpace) -> None:
    relaxed = Setting(MIXED[::2] if objective == "edp" else MIXED[:1], space, objective, starts=2).relax(rounds=2)
    assert bool(relaxed.converged.all())
    assert bool((relaxed.stationarity <= 1e-2).all())
    assert bool((relaxed.violation <= 1e-3).all())


def test_most_starts_of_a_network_converge() -> None:
    layers = networks.resnet18()[:4]
    relaxed = Setting(layers, eyeriss_space(), "edp", Budget(area_mm2=4.0), starts=4).relax()
    assert relaxed.converged.sum() >= 3
    assert relaxed.value.max() <= relaxed.value.min() + 0.05  # from random points in random classes


def test_cycles_that_hardly_matter_do_not_run_away() -> None:
    """The least area within a time for one layer: the cycles of the others are all but free."""
    budget = Budget(pe_count=256, layer_latency_s={"conv1": 0.5e-3})
    problem, at = Setting(networks.resnet18()[:4], eyeriss_space(), "area", budget, starts=3).begin()
    for _ in range(8):
        at = interior.solve(problem, at, tolerance=5e-4, least_mu=1e-6, steps=5)
        assert all(bool((one[..., -1] < 300).all()) for one in at.v)
        assert bool(values(problem, at.y, at.v).totals.isfinite().all())


def test_a_start_does_not_depend_on_the_others(space: HardwareSpace) -> None:
    problem, at = Setting(MIXED, space).begin()
    together = interior.solve(problem, at, tolerance=1e-3, least_mu=1e-4, steps=40)
    one = torch.tensor([1])
    alone = interior.solve(problem.select(one), at.select(one), tolerance=1e-3, least_mu=1e-4, steps=40)
    torch.testing.assert_close(alone.y[0], together.y[1], atol=1e-6, rtol=0)
    for a, b in zip(alone.v, together.v, strict=True):
        torch.testing.assert_close(a[0], b[1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("hardware", [generic(), eyeriss_space()], ids=["fixed", "space"])
def test_factors_multiply_to_the_bounds(hardware: Architecture | HardwareSpace) -> None:
    setting = Setting(RESNET, hardware)
    relaxed = setting.relax(rounds=3)
    for group, logs, classes in zip(setting.groups, relaxed.logs, relaxed.classes, strict=True):
        assert bool((logs >= 0).all())
        torch.testing.assert_close(logs.exp().prod(2), group.bounds.expand(setting.starts, -1, -1))
        assert bool((logs[..., group.live][~classes.open] == 0).all())


def test_closed_slots_hold_no_loop() -> None:
    constraints = Constraints((SlotConstraint("shared_glb", "temporal", exact=(("M", 1), ("C", 1))),))
    setting = Setting(RESNET, eyeriss_like(), constraints=constraints)
    closed = [~group.open_slots for group in setting.groups]
    assert any(bool(table.any()) for table in closed)
    for logs, table in zip(setting.relax(rounds=2).logs, closed, strict=True):
        assert bool((logs[table.expand_as(logs)] == 0).all())


def test_sizes_stay_between_the_ends_of_their_grids_and_move() -> None:
    space = eyeriss_space()
    setting = Setting(RESNET[:1], space, budget=Budget(area_mm2=2.0))
    _, at = setting.begin()
    relaxed = setting.relax(rounds=3)
    assert relaxed.sizes.shape == (3, len(space.parameters))
    assert bool(((relaxed.sizes >= space.low * (1 - 1e-12)) & (relaxed.sizes <= space.high * (1 + 1e-12))).all())
    moved = (relaxed.sizes.log() - at.y).abs()
    assert bool((moved.amax(0) > 0.05).all())  # the array as well as every buffer
    assert bool((space.machine(relaxed.sizes).area_mm2 > 2.0 * 0.99).all())  # room is worth having, so it is used


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
    "power": Budget(power_w=0.5),
    "energy and latency": Budget(energy_j=2.2e-3, latency_s=7e-4),
    "PEs": Budget(pe_count=100),
    "latency of a layer": Budget(layer_latency_s=5e-4),
}


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
def test_limits_hold_at_the_end(budget: Budget) -> None:
    space = generic_space()
    setting = Setting(RESNET[:1], space, "edp", budget, starts=2)
    relaxed = setting.relax(rounds=4)
    best = int(relaxed.violation.argmin())
    assert relaxed.converged[best]
    assert occupancy(setting, relaxed, best) <= 1.0011
    machine = space.machine(relaxed.sizes[best])
    energy, cycles = totals(setting, relaxed, best)
    seconds = cycles * space.base.cycle_s
    used = {
        "area_mm2": float(machine.area_mm2),
        "power_w": energy * 1e-12 / seconds,
        "latency_s": seconds,
        "energy_j": energy * 1e-12,
        "pe_count": float(machine.macs),
        "layer_latency_s": seconds,  # the only layer is executed once in this test
    }
    for name, value in used.items():
        limit = getattr(budget, name)
        assert limit is None or value <= limit * 1.02, name


def totals(setting: Setting, relaxed: Relaxed, start: int) -> tuple[float, float]:
    """Energy and cycles by the smooth model of `evaluate_totals`, its maximum made nearly plain."""
    machine = setting.hardware.machine(relaxed.sizes[start])  # type: ignore[union-attr]
    energy = cycles = 0.0
    for group, logs, places in zip(setting.groups, relaxed.logs, relaxed.position, strict=True):
        for i in range(len(group.layers)):
            factors = torch.ones(group.levels * 3, group.dims, dtype=torch.float64)
            factors[group.slot_cell] = logs[start, i].exp()
            shape = group.shape.select(torch.tensor(i))
            found = evaluate_totals(
                shape,
                machine,
                group.kept,
                factors.view(group.levels, 3, group.dims),
                places[start, i],
                arithmetic=Smooth(1000.0),
            )
            energy, cycles = energy + found.energy_pj.item(), cycles + found.cycles.item()
    return energy, cycles


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


def test_a_budget_out_of_reach_is_missed_by_little_and_said_so() -> None:
    within = Setting(RESNET[:1], generic_space(), "edp", Budget(latency_s=1e-6), starts=2).relax(rounds=2)
    assert bool(torch.isfinite(within.value).all())
    assert not bool(within.converged.any())
    fastest = Setting(RESNET[:1], generic_space(), "latency", starts=2).relax(rounds=2)
    missed = (fastest.value - log(1e-6 / generic_space().base.cycle_s)).min()
    assert abs(within.violation.min() - missed) <= 0.02  # latency's log carries 1e-6 of energy's, 2e-5 here


@pytest.mark.parametrize("hardware", ["space", "base"])
def test_the_residual_is_that_of_the_optimality_conditions(hardware: str, space: HardwareSpace) -> None:
    """The Lagrangian's gradient by autograd, projected by bisection, at the multipliers returned."""
    chosen = space if hardware == "space" else space.base
    setting = Setting(MIXED, chosen, "edp", Budget(area_mm2=0.05), starts=2)
    relaxed = setting.relax(rounds=2)
    for start in range(2):
        y = relaxed.sizes[start].log().requires_grad_()
        energies, times, extra, slacks, leaves = [], [], [], [], []
        for g, group in enumerate(setting.groups):
            layers = RelaxedLayers(group, as_space(chosen), setting.score)
            x = relaxed.logs[g][start][..., group.live].flatten(1).clone().requires_grad_()
            tau = relaxed.cycles[g][start].clone().requires_grad_()
            point = torch.cat([x, tau[:, None], y.expand(len(x), -1)], 1).mT
            rows = layers.rows(point, relaxed.position[g][start])
            energies.append(rows[0] + setting.counts[g].log())
            times.append(tau + setting.counts[g].log())
            extra.append((relaxed.multipliers[g][start] * rows[1:].mT).sum())
            slacks.append(((rows[1:].mT - 2.5e-4) * relaxed.multipliers[g][start]).abs().max())
            leaves += [x, tau]
        energy, time = torch.cat(energies).logsumexp(0), torch.cat(times).logsumexp(0)
        machine = chosen.machine(y.exp()) if isinstance(chosen, HardwareSpace) else chosen.tensors()
        area = machine.area_mm2.log() - log(0.05)
        lagrangian = energy + time + sum(extra) + relaxed.multipliers[-1][start, 0] * area
        slopes = torch.autograd.grad(lagrangian, [y, *leaves], allow_unused=True)
        found = [max(s.item() for s in slacks), abs(((area - 2.5e-4) * relaxed.multipliers[-1][start, 0]).item())]
        if isinstance(chosen, HardwareSpace):
            moved = (y - slopes[0]).clamp(chosen.low.log(), chosen.high.log()) - y
            found.append(moved.abs().max().item())
        for g, group in enumerate(setting.groups):
            slope_x, slope_tau = slopes[1 + 2 * g], slopes[2 + 2 * g]
            found.append(slope_tau.abs().max().item())
            open_ = relaxed.classes[g].open[start].flatten(1)
            wanted = (leaves[2 * g] - slope_x).detach()
            for i in range(len(group.layers)):
                for k, d in enumerate(group.live.tolist()):
                    columns = [c for c in range(k, wanted.shape[1], len(group.live)) if open_[i, c]]
                    if columns:
                        nearest = project(wanted[i, columns].numpy(), log(group.bounds[i, d]))
                        found.append(np.abs(nearest - leaves[2 * g][i, columns].detach().numpy()).max())
        assert max(found) == pytest.approx(relaxed.stationarity[start].item(), rel=1e-3, abs=1e-7)


def project(x: np.ndarray, total: float) -> np.ndarray:
    """The nearest point of which no entry is below 0 and that adds up to `total`."""
    level = optimize.brentq(lambda m: np.clip(x - m, 0, None).sum() - total, x.min() - total - 1, x.max(), xtol=1e-14)
    return np.clip(x - level, 0, None)


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
    """Every start reaches the best that its loop order allows, and most the best of all orders."""
    layer = matmul("layer", M=16, K=16, N=16)
    setting = Setting([layer], narrow, objective, starts=8)
    (group,) = setting.groups
    relaxed = setting.relax()
    truth = dense_grid(group, narrow, setting.score)
    assert bool(relaxed.converged.all())
    for value, places in zip(relaxed.value.tolist(), relaxed.position[0][:, 0, 1].tolist(), strict=True):
        best = truth[tuple(sorted((1, 2, 3), key=lambda d, places=places: places[d]))]
        assert best - 0.06 <= value <= best + 2e-3  # 0.06: the grid's step, from above
    assert (relaxed.value <= min(truth.values()) + 2e-3).sum() >= 4


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
        found = evaluate_totals(group.shape, machine, group.kept, factors, places, arithmetic=Smooth(1000.0))
        value = score.value(found.energy_pj, found.cycles, torch.tensor(1.0).double())
        best[order] = value[found.overflow <= 1e-9].min().item()
    return best


@pytest.mark.parametrize("bounds", [(16, 16, 16), (12, 50, 7), (64, 5, 30)])
def test_a_geometric_program_gives_the_same_energy(bounds: tuple[int, int, int], narrow: Architecture) -> None:
    """Without windows, a class is a geometric program (first visits are constant here), so its optimum is global."""
    m, k, n = bounds
    layer = matmul("layer", M=m, K=k, N=n)
    setting = Setting([layer], narrow, "energy", starts=6)
    relaxed = setting.relax(rounds=1)  # the classes as drawn
    for start in range(6):
        order = sorted((1, 2, 3), key=lambda d: int(relaxed.position[0][start, 0, 1, d]))
        best = geometric_program(layer, narrow, [layer.problem.dimensions[d] for d in order])
        cycles = relaxed.cycles[0][start, 0].item()
        assert relaxed.value[start].item() - 1e-6 * cycles == pytest.approx(log(best), abs=1e-3)


def geometric_program(layer: Layer, machine: Architecture, order: list[str]) -> float:
    """Least energy of a product on a buffer and a DRAM, loops of the DRAM in this order, innermost first; pJ."""
    buffer, dram = machine.levels
    bounds = dict(zip(layer.problem.dimensions, layer.problem.bounds, strict=True))
    inner = {d: cp.Variable(pos=True) for d in order}
    cost, constant, tiles = [], 0.0, []
    macs = prod(bounds.values())
    for space in layer.problem.dataspaces:
        relevant = {d for rank in space.projection for d, _ in rank}
        first = min(i for i, d in enumerate(order) if d in relevant)
        words = prod(bounds[d] for d in order if d in relevant)
        repeats = [d for i, d in enumerate(order) if i > first and d not in relevant]
        fills = words * prod((bounds[d] for d in repeats), start=1.0)
        for d in repeats:
            fills = fills / inner[d]
        tiles.append(cp.prod(cp.hstack([inner[d] for d in order if d in relevant])))
        if space.read_write:
            cost.append(fills * (dram.update_pj + dram.read_pj + buffer.write_pj))
            constant -= words * (dram.read_pj + buffer.write_pj + buffer.read_pj)
            constant += macs * (buffer.read_pj + buffer.update_pj)
        else:
            cost.append(fills * (dram.read_pj + buffer.write_pj))
            constant += macs * buffer.read_pj
    limits = [sum(tiles) <= buffer.capacity, *(inner[d] >= 1 for d in order), *(inner[d] <= bounds[d] for d in order)]
    problem = cp.Problem(cp.Minimize(sum(cost)), limits)
    problem.solve(gp=True)
    return float(problem.value) + constant + macs * machine.mac_pj


@pytest.mark.parametrize("objective", ["edp", "energy"])
def test_hardware_and_mappings_together_match_slsqp(objective: str, space: HardwareSpace) -> None:
    """From the same starts in the same classes, scipy's solver finds nothing better."""
    layer = matmul("layer", M=8, K=12, N=6)
    area = space.architecture([2, 28, 8]).area_mm2
    setting = Setting([layer], space, objective, Budget(area_mm2=area), starts=2)
    problem, at = setting.begin()
    ours = interior.solve(problem, at, tolerance=1e-4, least_mu=1e-5, steps=60)
    assert bool((ours.error <= 1e-4).all())
    reached = problem.objective(values(problem, ours.y, ours.v).totals)[:, 0]
    for start in range(1):
        peer = slsqp(problem, at, start)
        assert reached[start].item() <= peer + 2e-3
        assert peer == inf or reached[start].item() >= peer - 0.1  # it may end in a corner, but not far above


def slsqp(problem: RelaxedProblem, at: Iterate, start: int) -> float:
    """The least value that SLSQP reaches from one start, with all constraints kept."""
    layers, classes = problem.layers[0], problem.classes[0]
    p = at.y.shape[1]

    def rows(w: torch.Tensor) -> torch.Tensor:
        return layers.rows(w[:, None], classes.position[start])[:, 0]

    def value(w: torch.Tensor) -> torch.Tensor:
        area = machine_rows(problem.space, problem.pe_limit, w[-p:])[0]
        return problem.objective(torch.stack([rows(w)[0], w[layers.size], area]))[0]

    def slack(w: torch.Tensor) -> torch.Tensor:
        area = machine_rows(problem.space, problem.pe_limit, w[-p:])[0]
        totals = torch.stack([rows(w)[0], w[layers.size], area])
        return problem.give - torch.cat([rows(w)[1:], problem.limits(totals)])

    def with_slope(function):  # type: ignore[no-untyped-def]
        return (
            lambda w: function(torch.from_numpy(w)).detach().numpy(),
            lambda w: torch.autograd.functional.jacobian(function, torch.from_numpy(w)).numpy(),
        )

    live = len(layers.live)
    sums = np.zeros((live, layers.size + 1 + p))
    for column in range(layers.size):
        sums[column % live, column] = 1
    low, high = np.zeros(layers.size + 1 + p), np.full(layers.size + 1 + p, 30.0)
    low[-p:], high[-p:] = problem.low.numpy(), problem.high.numpy()
    f, f_slope = with_slope(value)
    c, c_slope = with_slope(slack)
    found = optimize.minimize(
        f,
        torch.cat([at.v[0][start, 0], at.y[start]]).numpy(),
        jac=f_slope,
        method="SLSQP",
        bounds=optimize.Bounds(low, high),
        constraints=[
            {"type": "ineq", "fun": c, "jac": c_slope},
            {"type": "eq", "fun": lambda w: sums @ w - layers.total[0].numpy(), "jac": lambda w: sums},
        ],
        options={"maxiter": 100},
    )
    return found.fun if c(found.x).min() >= -1e-6 else inf


def test_the_same_seed_relaxes_to_the_same() -> None:
    setting = Setting(MIXED, generic(), starts=2)
    one, two = setting.relax(seed=5, rounds=2), setting.relax(seed=5, rounds=2)
    assert torch.equal(one.value, two.value)
    assert all(torch.equal(a, b) for a, b in zip(one.logs, two.logs, strict=True))


def test_it_ends_on_its_conditions_not_on_its_steps() -> None:
    setting = Setting([matmul("layer", M=16, K=16, N=16)], generic(), starts=2)
    free, capped = setting.relax(steps=200), setting.relax(rounds=1, steps=2)
    assert bool(free.converged.all())
    assert bool((free.steps < 100).all())
    assert not bool(capped.converged.any())
