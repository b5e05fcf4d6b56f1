"""Parts of the interior-point method against dense linear algebra, finite differences and brute force."""

from itertools import permutations
from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco import Budget, conv2d, depthwise_conv2d, matmul
from dlco.cost.model import evaluate_totals
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace, Parameter
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.relax.arrow import onto_simplex, solve_arrow, woodbury
from dlco.relax.program import Largest, RelaxedLayers, derivatives
from dlco.relax.relax import relax
from dlco.search.group import make_groups
from dlco.search.score import Score
from dlco.workload import Layer

LAYERS = [
    conv2d("conv", C=2, M=4, P=4, Q=3, R=3, S=2),
    matmul("product", M=4, K=6, N=2),
    depthwise_conv2d("depthwise", C=4, P=4, Q=2, R=3, S=1),
]


@given(st.integers(0, 10**6))
def test_projections_are_nearest_points(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 5, 2, generator=generator, dtype=torch.float64)
    open_ = torch.rand(3, 5, 2, generator=generator) < 0.6
    open_[:, 0] = True
    total = torch.rand(3, 2, generator=generator, dtype=torch.float64) * 4
    found = onto_simplex(x, total, open_)
    assert bool((found >= 0).all())
    assert bool((found[~open_] == 0).all())
    torch.testing.assert_close(found.sum(1), total)
    # no feasible direction between two entries leads nearer: the residual is equal where positive, smaller elsewhere
    gap = torch.where(open_, x - found, -torch.inf)
    level = gap.amax(1, keepdim=True)
    assert bool(((gap >= level - 1e-9) | (found <= 1e-12)).all())


def test_the_block_arrow_system_is_solved_as_a_dense_one() -> None:
    generator = torch.Generator().manual_seed(0)
    layers, n, p, k = 3, 4, 2, 3
    size = layers * n + p
    root = torch.randn(1, size, size, generator=generator, dtype=torch.float64)
    dense = root @ root.mT + torch.eye(size)
    for a in range(layers):
        for b in range(layers):
            if a != b:
                dense[:, a * n : (a + 1) * n, b * n : (b + 1) * n] = 0
    dense = dense + 30 * torch.eye(size)
    right = torch.randn(1, size, k + 1, generator=generator, dtype=torch.float64)
    rows = [slice(a * n, (a + 1) * n) for a in range(layers)]
    blocks = torch.stack([dense[:, r, r] for r in rows], 1)
    couplings = torch.stack([dense[:, r, -p:] for r in rows], 1)
    rights = torch.stack([right[:, r] for r in rows], 1)
    steps, last = solve_arrow(
        [blocks], [couplings], dense[:, -p:, -p:], [rights], right[:, -p:], torch.zeros(1, dtype=torch.float64)
    )
    found = torch.cat([steps[0].flatten(1, 2), last], 1)
    torch.testing.assert_close(found, torch.linalg.solve(dense, right))
    inner = torch.diag(torch.tensor([2.0, -0.1, 0.5], dtype=torch.float64))[None]
    spread = right[..., 1:].mT @ found[..., 1:]
    small = woodbury(inner, spread, right[..., 1:].mT @ found[..., :1])
    whole = dense + right[..., 1:] @ inner @ right[..., 1:].mT
    if bool((torch.linalg.eigvalsh(whole) > 0).all()):
        answer = torch.linalg.solve(whole, right[..., :1])
        torch.testing.assert_close(found[..., :1] - found[..., 1:] @ small, answer)
    else:
        pytest.fail("the example should be convex")


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_derivatives_match_finite_differences(layer: Layer, space: HardwareSpace) -> None:
    (group,) = make_groups([layer], space.base, [("Buffer", 1)])
    layers = RelaxedLayers(group, space, Score("edp", Budget(), 1e-9))
    generator = torch.Generator().manual_seed(3)
    point = torch.rand(layers.size + 4, 1, generator=generator, dtype=torch.float64) + 0.5
    point[-3:, 0] = space.low.log() + 0.3
    place = group.order_table[0].expand(group.levels, -1)
    weights = torch.rand(layers.inequalities + 1, 1, generator=generator, dtype=torch.float64)
    jacobian, hessian = derivatives(lambda w: layers.rows(w, place), point, weights)
    for column in range(len(point)):
        step = torch.zeros_like(point)
        step[column] = 1e-5
        up, down = layers.rows(point + step, place).detach(), layers.rows(point - step, place).detach()
        torch.testing.assert_close(jacobian[0, :, column], (up - down)[:, 0] / 2e-5, rtol=1e-5, atol=1e-7)
        ahead, _ = derivatives(lambda w: layers.rows(w, place), point + step, weights)
        behind, _ = derivatives(lambda w: layers.rows(w, place), point - step, weights)
        slope = ((ahead - behind)[0] * weights).sum(0) / 2e-5
        torch.testing.assert_close(hessian[0, :, column], slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_no_order_beats_the_listed_classes(layer: Layer, machine: Architecture) -> None:
    """All permutations of the outermost level's loops, at random real factors."""
    (group,) = make_groups([layer], machine)
    generator = torch.Generator().manual_seed(1)
    factors = 1 + 2 * torch.rand(40, 1, group.levels, 3, group.dims, generator=generator, dtype=torch.float64)
    inner = group.order_table[0].tolist()
    live = group.shape.live

    def energies(tops: list[list[int]]) -> torch.Tensor:
        places = torch.tensor([[inner, inner, top] for top in tops], dtype=torch.int8)
        many = factors.expand(-1, len(tops), -1, -1, -1)
        return evaluate_totals(
            group.shape, machine.tensors(), group.kept, many, places, arithmetic=Largest()
        ).energy_pj.amin(1)

    every = []
    for order in permutations(live):
        place = list(range(group.dims))
        for rank, d in enumerate(order):
            place[d] = rank
        every.append(place)
    torch.testing.assert_close(energies(group.order_table.tolist()), energies(every), rtol=1e-12, atol=0)


def test_infinite_bandwidths_beside_a_free_one(machine: Architecture) -> None:
    space = HardwareSpace(machine, (Parameter("Buffer", "bandwidth", (1, 2, 4)),), TECHNOLOGY_45NM)
    groups = make_groups(LAYERS[1:2], machine)
    generator = torch.Generator().manual_seed(0)
    count = [torch.ones(1, dtype=torch.float64)]
    found = relax(groups, space, Score("edp", Budget(), 1e-9), count, starts=2, generator=generator, rounds=2)
    assert bool(found.converged.all())
    assert bool((found.sizes.log() <= log(4) + 1e-9).all())
