"""L-BFGS against known minima and against scipy, and that problems of a batch leave each other alone."""

import pytest
import torch
from scipy import optimize

from dlco.optimize.lbfgs import minimize


def quadratics(n: int, size: int, condition: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random symmetric positive definite matrices `[n, size, size]` and right-hand sides `[n, size]`."""
    generator = torch.Generator().manual_seed(seed)
    turned, _ = torch.linalg.qr(torch.randn(n, size, size, generator=generator, dtype=torch.float64))
    values = torch.logspace(0, torch.tensor(condition).log10().item(), size, dtype=torch.float64)
    return turned * values @ turned.mT, torch.randn(n, size, generator=generator, dtype=torch.float64)


def rosenbrock(x: torch.Tensor) -> torch.Tensor:
    ahead, here = x[..., 1:], x[..., :-1]
    return (100 * (ahead - here**2) ** 2 + (1 - here) ** 2).sum(-1)


@pytest.mark.parametrize("condition", [1.0, 10.0, 1000.0])
def test_quadratics_end_at_the_solution_of_their_linear_system(condition: float) -> None:
    matrix, right = quadratics(7, 12, condition, seed=1)

    def function(x: torch.Tensor) -> torch.Tensor:
        return 0.5 * torch.einsum("pi,pij,pj->p", x, matrix, x) - (right * x).sum(-1)

    point, slope = minimize(function, torch.zeros_like(right), iterations=400, tolerance=1e-6)
    assert bool((slope <= 1e-6).all())
    torch.testing.assert_close(point, torch.linalg.solve(matrix, right), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [2, 5])
def test_rosenbrock_from_many_starts(size: int) -> None:
    start = torch.randn(5, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    point, _ = minimize(rosenbrock, start, iterations=500, tolerance=1e-8)
    values = rosenbrock(point)
    for first, value in zip(start, values, strict=True):
        peer = optimize.minimize(
            lambda x: rosenbrock(torch.tensor(x)).item(), first.numpy(), method="L-BFGS-B", options={"maxiter": 500}
        )
        assert value.item() <= peer.fun + 1e-9  # for five variables there is a second minimum, so not always 0
    assert bool((values < 1e-12).any())


@pytest.mark.parametrize("together", [False, True])
def test_a_misleading_curvature_is_learnt_anew(together: bool) -> None:
    """Steep valleys, entered at their walls: nothing ends where a fresh call would go on."""

    def steep(x: torch.Tensor) -> torch.Tensor:
        return 1e6 * rosenbrock(x)

    starts = torch.randn(40, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    ends = []
    for batch in [starts] if together else starts[:, None]:
        point, slope = minimize(steep, batch, iterations=1000, tolerance=1e-2)
        again, _ = minimize(steep, point, iterations=1000, tolerance=1e-2)
        ends += (steep(again) >= 0.999 * steep(point))[slope > 1e-2].tolist()
    assert all(ends), f"{ends.count(False)} of {len(starts)} gave up early"


def test_convex_function_that_is_no_quadratic_matches_scipy() -> None:
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(4, 30, 6, generator=generator, dtype=torch.float64)
    signs = torch.randint(2, (4, 30), generator=generator).double() * 2 - 1

    def function(w: torch.Tensor) -> torch.Tensor:  # logistic regression with a little weight decay
        margin = signs * torch.einsum("pij,pj->pi", rows, w)
        return torch.nn.functional.softplus(-margin).sum(-1) + 0.05 * (w**2).sum(-1)

    point, slope = minimize(function, torch.zeros(4, 6, dtype=torch.float64), iterations=200, tolerance=1e-7)
    assert slope.max() <= 1e-7
    for i in range(4):

        def one(w: object, i: int = i) -> float:
            return function(torch.tensor(w, dtype=torch.float64).expand(4, 6))[i].item()

        peer = optimize.minimize(one, torch.zeros(6, dtype=torch.float64).numpy(), method="BFGS")
        assert function(point)[i].item() == pytest.approx(peer.fun, rel=1e-9)


def test_a_problem_ends_the_same_alone_and_in_a_batch() -> None:
    scales = torch.logspace(-3, 4, 8, dtype=torch.float64)
    start = torch.randn(8, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    together, slope = minimize(lambda x: scales * rosenbrock(x), start, iterations=300, tolerance=1e-6)
    for i in range(8):
        alone, steepest = minimize(
            lambda x, i=i: scales[i] * rosenbrock(x), start[i : i + 1], iterations=300, tolerance=1e-6
        )
        torch.testing.assert_close(together[i], alone[0], atol=1e-6, rtol=1e-6)
        assert (slope[i] <= 1e-6) == (steepest[0] <= 1e-6)


def test_never_ends_above_its_start() -> None:
    def rugged(x: torch.Tensor) -> torch.Tensor:  # minima everywhere, and slopes that mislead
        return (x**2).sum(-1) + 5 * torch.sin(7 * x).sum(-1) + (x.abs() ** 1.5).sum(-1)

    start = torch.randn(50, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 4
    point, _ = minimize(rugged, start, iterations=60, tolerance=1e-6)
    assert bool((rugged(point) <= rugged(start)).all())


def test_a_resting_problem_does_not_move() -> None:
    start = torch.tensor([[0.0, 0.0], [3.0, -4.0]], dtype=torch.float64)
    point, slope = minimize(lambda x: (x**2).sum(-1), start, iterations=50, tolerance=1e-9)
    assert torch.equal(point[0], start[0])
    assert point[1].abs().max() < 1e-8
    assert slope[0] == 0


def test_zero_iterations_return_the_start_and_its_slope() -> None:
    start = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    point, slope = minimize(lambda x: (x**2).sum(-1), start, iterations=0, tolerance=1e-9)
    assert torch.equal(point, start)
    assert slope.item() == 4.0
    assert not point.requires_grad
