"""Dominance, hypervolume and knee against sampling, closed forms and brute force."""

from math import exp, pi, prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.design.dominance import hypervolume, knee, nondominated, unbeaten, undominated

COARSE = st.integers(1, 6).map(float)  # so that equals and dominance are common


def points(axes: int) -> st.SearchStrategy[list[tuple[float, ...]]]:
    return st.lists(st.tuples(*[COARSE] * axes), max_size=8)


def sampled(front: list[tuple[float, ...]], reference: tuple[float, ...], n: int = 40_000) -> float:
    """The hypervolume, as the share of random places that some point beats."""
    if not front:
        return 0.0
    table = torch.tensor(front, dtype=torch.float64)
    low = table.amin(0)
    corner = torch.tensor(reference, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    places = low + (corner - low) * torch.rand(n, len(reference), generator=generator, dtype=torch.float64)
    return float((corner - low).prod()) * float((table[None] <= places[:, None]).all(-1).any(-1).double().mean())


@pytest.mark.parametrize("axes", [2, 3])
@given(data=st.data())
def test_the_points_kept_are_those_that_no_other_dominates(axes: int, data: st.DataObject) -> None:
    table = data.draw(points(axes))

    def beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return a != b and all(x <= y for x, y in zip(a, b, strict=True))

    kept = nondominated(table)
    expected = {one for one in table if not any(beats(other, one) for other in table)}
    assert [table[i] for i in kept] == sorted(expected)
    assert all(table.index(table[i]) == i for i in kept)  # of equals the first


def test_what_differs_by_rounding_alone_is_one_point() -> None:
    assert nondominated([(0.1 + 0.2, 5.0), (0.3, 5.0), (0.3, 5.0 * (1 + 1e-13))]) == [0]
    assert nondominated([(0.0, 5.0), (0.0, 4.0)]) == [1]  # an area may be 0


@given(table=st.lists(st.tuples(COARSE, COARSE), min_size=1, max_size=8))
def test_energies_and_cycles_that_another_beats_are_left_out(table: list[tuple[float, float]]) -> None:
    energy, cycles = torch.tensor(table, dtype=torch.float64).T
    best = {(e, t) for e, t in table if not any(a <= e and b <= t and (a, b) != (e, t) for a, b in table)}
    kept = unbeaten(energy, cycles).tolist()
    assert [table[i] for i in kept] == sorted(best, key=lambda point: point[1])
    assert all(table.index(table[i]) == i for i in kept)
    cheapest = {(min(e for e, s in table if s == t), t) for _, t in table}
    assert {table[i] for i in unbeaten(energy, cycles, slow=True).tolist()} == cheapest


@pytest.mark.parametrize("axes", [2, 3])
@given(data=st.data())
def test_rows_that_a_known_or_another_one_beats_are_left_out(axes: int, data: st.DataObject) -> None:
    table, known = data.draw(points(axes)), data.draw(points(axes))
    rows, others = (torch.tensor(one, dtype=torch.float64).reshape(-1, axes) for one in (table, known))
    fresh = [one for one in table if not any(all(a <= b for a, b in zip(k, one, strict=True)) for k in known)]
    kept = undominated(rows, others, 1e-9).tolist()
    assert sorted(table[i] for i in kept) == [fresh[i] for i in nondominated(fresh)]
    assert all(table.index(table[i]) == i for i in kept)


@pytest.mark.parametrize("axes", [2, 3])
@given(data=st.data())
def test_hypervolume_counts_the_cells_of_a_grid(axes: int, data: st.DataObject) -> None:
    table = data.draw(points(axes))
    reference = data.draw(st.tuples(*[st.integers(2, 7).map(float)] * axes))
    cells = torch.cartesian_prod(*(torch.arange(1, int(side)) for side in reference)).double().view(-1, axes)
    covered = sum(any(all(a <= b for a, b in zip(p, cell, strict=True)) for p in table) for cell in cells.tolist())
    assert hypervolume(table, reference) == pytest.approx(covered)


@pytest.mark.parametrize("axes", [2, 3])
def test_hypervolume_agrees_with_sampling(axes: int) -> None:
    generator = torch.Generator().manual_seed(axes)
    directions = torch.rand(30, axes, generator=generator, dtype=torch.float64) + 0.05
    front = [tuple(row) for row in (1 - directions / directions.norm(dim=-1, keepdim=True)).tolist()]
    reference = (1.1,) * axes
    assert hypervolume(front, reference) == pytest.approx(sampled(front, reference), rel=0.02)


def test_hypervolume_of_closed_forms() -> None:
    assert hypervolume([], (1.0, 1.0)) == 0
    assert hypervolume([(0.25, 0.5)], (1.0, 1.0)) == pytest.approx(0.375)
    assert hypervolume([(0.2, 0.3, 0.4)], (1.0, 1.0, 1.0)) == pytest.approx(prod((0.8, 0.7, 0.6)))
    assert hypervolume([(1.0, 0.0)], (1.0, 1.0)) == 0  # on the edge
    n = 2000  # a quarter of a disc around the reference, by its rim
    rim = [(1 - x, 1 - (1 - x * x) ** 0.5) for x in ((i + 0.5) / n for i in range(n))]
    assert hypervolume(rim, (1.0, 1.0)) == pytest.approx(pi / 4, rel=1e-2)


@given(data=st.data())
def test_more_points_cover_no_less(data: st.DataObject) -> None:
    table = data.draw(points(3))
    extra = data.draw(st.tuples(COARSE, COARSE, COARSE))
    reference = (6.5, 6.5, 6.5)
    before, after = hypervolume(table, reference), hypervolume([*table, extra], reference)
    assert after >= before
    if len(nondominated([*table, extra])) and extra not in table and len(table) in nondominated([*table, extra]):
        assert after > before


def test_the_knee_of_known_shapes() -> None:
    assert knee([]) is None
    assert knee([(3.0, 4.0)]) == 0
    corner = [(1.0, 100.0), (1.1, 10.0), (1.2, 1.3), (9.0, 1.1), (80.0, 1.0)]
    assert knee(corner) == 2
    # a circle in logs, seen from its corner: the middle of the arc
    arc = [(exp(1 - s), exp(1 - (1 - s * s) ** 0.5)) for s in (i / 10 for i in range(11))]
    middle = arc[knee(arc) or 0]
    assert middle[0] == pytest.approx(exp(1 - 0.5**0.5), rel=0.05)
    assert knee([(x, y, 7.0) for x, y in corner]) == 2  # an axis on which nothing differs says nothing
    assert knee([(1.0, 9.0, 9.0), (9.0, 1.0, 9.0), (9.0, 9.0, 1.0), (2.0, 2.0, 2.0)]) == 3


@given(data=st.data(), scale=st.floats(1e-6, 1e6))
def test_no_unit_moves_the_knee(data: st.DataObject, scale: float) -> None:
    table = [one for one in data.draw(points(2))]
    front = [table[i] for i in nondominated(table)]
    assert knee(front) == knee([(x * scale, y) for x, y in front])
