"""Corners of the energies and times that bounds and limits allow, by hand."""

from math import inf

import pytest

from dlco.bound.region import TotalLimits, least

CUTS = [(1.0, 0.0, 4.0), (0.0, 1.0, 2.0), (1.0, 1.0, 9.0)]  # E >= 4, T >= 2, E + T >= 9


def edp(energy: float, time: float) -> float:
    return energy * time


def test_the_least_product_is_at_a_corner() -> None:
    assert least(edp, CUTS, TotalLimits()) == pytest.approx((14.0, 7.0, 2.0))


def test_limits_cut_corners_off() -> None:
    assert least(edp, CUTS, TotalLimits(energy_pj=6.0)) == pytest.approx((18.0, 6.0, 3.0))
    assert least(lambda e, t: e, CUTS, TotalLimits(cycles=3.0)) == pytest.approx((6.0, 6.0, 3.0))
    assert least(lambda e, t: t, CUTS, TotalLimits(power=0.8)) == pytest.approx((5.0, 4.0, 5.0))


def test_nothing_is_left() -> None:
    assert least(edp, CUTS, TotalLimits(energy_pj=5.0, cycles=3.0))[0] == inf
    assert least(edp, CUTS, TotalLimits(energy_pj=6.0, cycles=3.0))[0] == pytest.approx(18.0)  # one point
