"""Steps on inputs against optima that are known, and projections against their definition."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.nas import Decision, FactoredSpace, NasBench201
from dlco.nas.surrogate.descent import descend
from dlco.nas.surrogate.designs import Factored
from tests.nas.small import make_space

BEST = torch.tensor([0.3, 0.7, 0.5])


def valley(points):
    """A bowl a thousand times steeper along one axis than along another; its lowest point is `BEST`."""
    return ((points - BEST).square() * torch.tensor([100.0, 1.0, 0.1])).sum(1)


def end(function, *, second_order=True, steps=60, starts=8, project=lambda points: points.clamp(0, 1), seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(starts, 3, generator=generator)
    return descend(
        function, points, project, steps=steps, rate=0.5, generator=generator, second_order=second_order
    )  # fmt: skip


def test_descent_ends_at_the_lowest_point_of_a_narrow_valley():
    found = end(valley)
    assert (found - BEST).abs().max() < 0.02


def test_a_whole_step_ends_at_the_lowest_point_of_a_bowl_however_narrow():
    """Newton's step; the diagonal is exact where the Hessian is diagonal, whatever the random signs."""
    generator = torch.Generator().manual_seed(0)
    starts = BEST + 0.25 * (2 * torch.rand(8, 3, generator=generator) - 1)

    def after_one(second_order):
        options = {"steps": 1, "rate": 1.0, "generator": generator, "second_order": second_order}
        return (descend(valley, starts, lambda points: points, **options) - BEST).abs()

    assert (after_one(True) < 0.01 * (starts - BEST).abs() + 1e-4).all()
    assert (after_one(False) > 0.01).any()


def test_descent_goes_by_the_hessians_diagonal_also_where_it_is_not_diagonal():
    """Coordinates that pull at each other: the lowest point by solving for it."""
    hessian = torch.tensor([[2.0, 0.9, 0.0], [0.9, 1.0, -0.3], [0.0, -0.3, 0.5]])
    lowest = torch.linalg.solve(hessian, torch.tensor([1.2, 0.8, 0.1]))

    def bowl(points):
        return 0.5 * ((points @ hessian) * points).sum(1) - points @ torch.tensor([1.2, 0.8, 0.1])

    found = end(bowl, steps=100, project=lambda points: points.clamp(-2, 2))
    assert (found - lowest).abs().max() < 0.05


def test_the_lowest_point_may_lie_on_the_border():
    found = end(lambda points: (points - torch.tensor([2.0, -1.0, 0.5])).square().sum(1))
    assert torch.allclose(found, torch.tensor([1.0, 0.0, 0.5]).expand(8, 3), atol=0.02)


def test_no_row_ends_above_its_start_and_rows_do_not_mix():
    def rough(points):
        return torch.sin(20 * points).sum(1) + points.square().sum(1)

    generator = torch.Generator().manual_seed(5)
    starts = torch.rand(8, 3, generator=generator)
    found = end(rough, seed=5)
    assert (rough(found) <= rough(starts) + 1e-6).all()
    alone = end(rough, seed=5, second_order=False)
    fewer = descend(
        rough, starts[:3], lambda p: p.clamp(0, 1), steps=60, rate=0.5, generator=generator, second_order=False
    )
    assert torch.allclose(alone[:3], fewer, atol=1e-5)


@given(st.lists(st.floats(-3, 3), min_size=9, max_size=9))
def test_projection_is_the_nearest_probabilities(values):
    """By the optimality conditions: what is kept lies one same distance below the point, what is 0 not further."""
    points = torch.tensor([values], dtype=torch.float64)
    found = Factored(make_space()).project(points)
    for at in range(0, 9, 3):
        p, x = found[0, at : at + 3], points[0, at : at + 3]
        assert float(p.sum()) == pytest.approx(1)
        assert (p >= 0).all()
        gap = (x - p)[p > 0]
        assert torch.allclose(gap, gap[:1].expand_as(gap), atol=1e-9)
        assert (x[p == 0] <= gap.min() + 1e-9).all()


def test_projection_of_decisions_of_different_lengths():
    sizes = (1, 4, 2)
    space = FactoredSpace("odd", [Decision(f"d{n}", tuple(map(str, range(n)))) for n in sizes], [])
    found = Factored(space).project(torch.randn(20, 7, generator=torch.Generator().manual_seed(0)))
    assert all(torch.allclose(part.sum(1), torch.ones(20)) for part in found.split(sizes, dim=1))


def test_networks_are_their_own_nearest():
    designs, generator = Factored(NasBench201()), torch.Generator().manual_seed(0)
    networks = designs.sample(30, generator)
    points = designs.encode(networks)
    assert torch.equal(designs.project(points), points)
    assert designs.nearest(points + 0.3 * torch.rand(points.shape, generator=generator), generator) == networks
