import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.hardware.posynomial import Posynomial, Term

CURVE = Posynomial((Term(2.0, 0.0), Term(0.5, 1.0, 0.5), Term(0.01, 1.25, 2.0)))
sizes = st.floats(0.1, 1e6)


@given(sizes, sizes)
def test_value_is_the_sum_of_its_terms(size: float, width: float) -> None:
    expected = 2 + 0.5 * size * width**0.5 + 0.01 * size**1.25 * width**2
    assert float(CURVE(size, width)) == pytest.approx(expected, rel=1e-12)


@given(sizes, sizes, sizes, sizes)
def test_tangent_touches_and_stays_below(size: float, width: float, other: float, wide: float) -> None:
    tangent = CURVE.tangent(size, width)
    assert len(tangent.terms) == 1
    assert float(tangent(size, width)) == pytest.approx(float(CURVE(size, width)), rel=1e-12)
    assert float(tangent(other, wide)) <= float(CURVE(other, wide)) * (1 + 1e-9)


def test_tangent_has_the_slopes_of_the_curve() -> None:
    logs = torch.tensor([3.0, 1.0], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(CURVE(*logs.exp()).log(), logs)
    term = CURVE.tangent(*logs.exp().tolist()).terms[0]
    torch.testing.assert_close(slopes, torch.tensor(term[1:], dtype=torch.float64))


def test_power_law_of_one_term_is_itself_and_of_none_is_zero() -> None:
    points = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    single, zero = Posynomial((Term(3.0, 0.5, 0.25),)), Posynomial(())
    assert single.power_law(points, points) == single
    assert zero.power_law(points, points) == zero == zero.tangent(2.0)
    assert zero(points).tolist() == [0, 0, 0]


def test_power_law_beats_its_neighbours() -> None:
    size, width = (t.flatten() for t in torch.meshgrid(torch.logspace(0, 3, 9), torch.logspace(0, 2, 9), indexing="ij"))
    size, width = size.double(), width.double()

    def misfit(law: Posynomial) -> float:
        return float((law(size, width) / CURVE(size, width)).log().square().sum())

    law = CURVE.power_law(size, width)
    c, p, q = law.terms[0]
    for term in (Term(c * 1.01, p, q), Term(c / 1.01, p, q), Term(c, p + 0.01, q), Term(c, p, q - 0.01)):
        assert misfit(law) < misfit(Posynomial((term,)))


def test_rescaled_changes_units() -> None:
    assert float(CURVE.rescaled(16, 8)(3.0, 2.0)) == pytest.approx(float(CURVE(48.0, 16.0)), rel=1e-12)


def test_shapes_and_types_follow_the_tensor() -> None:
    assert CURVE(torch.ones(3, 1), torch.ones(4)).shape == (3, 4)
    assert CURVE(torch.ones(3), 2.0).dtype == torch.float32
    assert CURVE(2.0, torch.ones(3)).dtype == torch.float32
    assert CURVE(2, 3).dtype == torch.float64
