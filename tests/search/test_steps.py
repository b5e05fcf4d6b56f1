"""Steps of the hardware against a plain listing of the grid."""

from itertools import product

import pytest
import torch

from dlco.hardware import TECHNOLOGY_45NM, Architecture, HardwareSpace, Level, Parameter
from dlco.search.steps import longest_reach, steps

BASE = Architecture((Level("buffer", capacity=64, fanout_x=2, fanout_y=2), Level("DRAM", "DRAM")))
SPACE = HardwareSpace(
    BASE,
    (
        Parameter("buffer", "fanout_x", (1, 2, 4, 8)),
        Parameter("buffer", "capacity", tuple(float(64 + 8 * k) for k in range(20))),
        Parameter("buffer", "fanout_y", (1, 2, 3)),
    ),
    TECHNOLOGY_45NM,
)
GRIDS = [range(len(p.grid)) for p in SPACE.parameters]


def cost(index: tuple[int, ...]) -> int:
    """As an area: a step of the first size costs as much as many of the second."""
    return 4 ** index[0] + index[1] + 6 * index[2]


def near(index: tuple[int, ...], reach: int, limit: float) -> set[tuple[int, ...]]:
    def within(table: torch.Tensor) -> torch.Tensor:
        return torch.tensor([cost(tuple(row)) <= limit for row in table.tolist()], dtype=torch.bool)

    found = steps(SPACE, torch.tensor(index), reach, within)
    rows = [tuple(row) for row in found.tolist()]
    assert len(set(rows)) == len(rows)
    return set(rows)


@pytest.mark.parametrize("reach", [1, 2, 5])
@pytest.mark.parametrize("limit", [12, 30, 60, torch.inf])
def test_all_steps_lie_on_the_grid_within_the_limits(reach: int, limit: float) -> None:
    for index in product(range(4), range(0, 20, 3), range(3)):
        if cost(index) > limit:
            continue
        found = near(index, reach, limit)
        assert index not in found
        assert all(all(i in grid for i, grid in zip(row, GRIDS, strict=True)) for row in found)
        assert all(cost(row) <= limit for row in found)
        assert all(sum(a != b for a, b in zip(row, index, strict=True)) <= 2 for row in found)
        for i, far, sign in product(range(3), (reach, 2 * reach), (-1, 1)):  # no single step is missing
            row = tuple(min(max(x + sign * far * (j == i), 0), len(GRIDS[j]) - 1) for j, x in enumerate(index))
            assert row == index or cost(row) > limit or row in found


def test_a_size_up_takes_as_little_of_another_as_the_limit_asks() -> None:
    found = near((1, 15, 1), 1, limit=25)  # costs 25; one up on the first costs 12 more
    assert (2, 3, 1) in found
    assert not any((2, k, 1) in found for k in range(20) if k not in (3, 2))
    assert (0, 18, 1) in found  # and one down leaves 3


def test_without_limits_nothing_is_traded() -> None:
    index = (1, 10, 1)
    found = near(index, 2, torch.inf)
    assert all(abs(a - b) in (0, 1, 2, 4) for row in found for a, b in zip(row, index, strict=True))


def test_where_nothing_fits_there_is_no_step() -> None:
    assert near((1, 10, 1), 1, limit=0) == set()


def test_a_descent_begins_with_a_quarter_of_the_longest_grid() -> None:
    assert longest_reach(SPACE) == 5
    assert longest_reach(HardwareSpace(BASE, (Parameter("buffer", "fanout_x", (1, 2)),), TECHNOLOGY_45NM)) == 1
