from dataclasses import replace
from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlco.errors import InvalidMapping
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping import Mapping, check_mapping, tile_words
from dlco.workload.problem import Dataspace, Problem

NOTHING = frozenset[str]()


def refusal(problem: Problem, machine: Architecture, mapping: Mapping) -> InvalidMapping:
    with pytest.raises(InvalidMapping) as caught:
        check_mapping(problem, machine, mapping)
    return caught.value


def resized(machine: Architecture, name: str, **sizes: object) -> Architecture:
    levels = tuple(replace(level, **sizes) if level.name == name else level for level in machine.levels)
    return replace(machine, levels=levels)


def test_a_fitting_mapping_passes(problem, machine, mapping):
    check_mapping(problem, machine, mapping)


def test_tiles_of_the_example(problem, mapping):
    # Inputs: C x (2(P-1) + (R-1) + 1), so 2 x 5, 4 x 9 and 4 x 17.
    assert tile_words(problem, mapping) == {
        "Registers": {"Weights": 6, "Inputs": 10, "Outputs": 2},
        "Buffer": {"Weights": 72, "Inputs": 36, "Outputs": 24},
        "DRAM": {"Weights": 72, "Inputs": 68, "Outputs": 48},
    }


@given(
    coefficients=st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=3),
    tables=st.lists(st.lists(st.integers(1, 2), min_size=9, max_size=9), min_size=2, max_size=2),
)
def test_a_tile_is_the_bounding_box_of_the_points_that_its_loops_touch(coefficients, tables):
    dims = ("A", "B", "C")
    ranks = tuple(tuple((d, c) for d, c in zip(dims, row, strict=True) if c) for row in coefficients)
    factors = [[table[0:3], table[3:6], table[6:9]] for table in tables]
    extents = [prod(level[axis][i] for level in factors for axis in range(3)) for i in range(3)]
    problem = Problem(dims, tuple(extents), (Dataspace("T", ranks, read_write=True),))
    mapping = Mapping(
        dimensions=dims,
        levels=("In", "Out"),
        temporal=tuple(tuple(level[0]) for level in factors),
        spatial_x=tuple(tuple(level[1]) for level in factors),
        spatial_y=tuple(tuple(level[2]) for level in factors),
        order=(dims, dims),
        spatial_order=(dims, dims),
        bypass=(NOTHING, NOTHING),
    )
    words = tile_words(problem, mapping)
    inner = [prod(factors[0][axis][i] for axis in range(3)) for i in range(3)]
    for level, box in (("In", inner), ("Out", extents)):
        points = [
            [sum(c * x for c, x in zip(row, point, strict=True)) for row in coefficients]
            for point in product(*map(range, box))
        ]
        assert words[level]["T"] == prod(max(rank) - min(rank) + 1 for rank in zip(*points, strict=True))
    assert words["Out"]["T"] == problem.words("T")


def test_words_are_exact_beyond_float64():
    big = 2**60 + 1
    problem = Problem(("A",), (big,), (Dataspace("T", ((("A", 3),),), read_write=True),))
    mapping = Mapping(("A",), ("L",), ((big,),), ((1,),), ((1,),), (("A",),), (("A",),), (NOTHING,))
    assert tile_words(problem, mapping)["L"]["T"] == 3 * 2**60 + 1
    machine = Architecture((Level("L", capacity=16),))
    assert str(3 * 2**60 + 1) in str(refusal(problem, machine, mapping))


def test_other_levels_are_named(problem, machine, mapping):
    error = refusal(problem, machine, replace(mapping, levels=("Registers", "Cache", "DRAM")))
    assert str(error) == ("levels of the mapping are Registers, Cache, DRAM; 'toy' has Registers, Buffer, DRAM")
    assert error.level is None


def test_other_dimensions_are_named(problem, machine, mapping):
    swap = {"C": "C", "M": "K", "P": "P", "R": "R"}
    other = replace(
        mapping,
        dimensions=tuple(swap.values()),
        order=tuple(tuple(swap[d] for d in row) for row in mapping.order),
        spatial_order=tuple(tuple(swap[d] for d in row) for row in mapping.spatial_order),
    )
    assert str(refusal(problem, machine, other)) == (
        "dimensions of the mapping are C, K, P, R; the problem has C, M, P, R"
    )


def test_an_unknown_dataspace_in_a_bypass_is_named(problem, machine, mapping):
    error = refusal(problem, machine, replace(mapping, bypass=(NOTHING, frozenset({"Bias"}), NOTHING)))
    assert str(error) == "bypass at Buffer names dataspace 'Bias'; the problem has Weights, Inputs, Outputs"
    assert error.level == "Buffer"


def test_a_wrong_product_names_dimension_product_and_bound(problem, machine, mapping):
    error = refusal(problem, machine, replace(mapping, temporal=((2, 1, 2, 3), (1, 5, 2, 1), (1, 1, 2, 1))))
    assert str(error) == (
        "factors of M multiply to 10; they must multiply to its bound 6, "
        "or each count tiles that there are (5 at Buffer counts 3)"
    )


def test_a_dataspace_that_no_level_keeps_is_named(problem, machine, mapping):
    # Buffer's own bypass of Weights and the mapping's two together leave none.
    weights = frozenset({"Weights"})
    assert "Weights is kept at no level" in str(
        refusal(problem, machine, replace(mapping, bypass=(weights, NOTHING, weights)))
    )


@pytest.mark.parametrize(("axis", "size", "dims"), [("x", 1, "M 2"), ("y", 1, "C 2")])
def test_too_many_children_name_level_axis_and_loops(problem, machine, mapping, axis, size, dims):
    error = refusal(problem, resized(machine, "Buffer", **{f"fanout_{axis}": size}), mapping)
    assert str(error) == (f"spatial loops along {axis.upper()} at Buffer ({dims}) need 2 children but there are {size}")
    assert error.level == "Buffer"


def test_an_overflow_names_level_needs_parts_and_room(problem, machine, mapping):
    error = refusal(problem, resized(machine, "Buffer", capacity=119, multiple_buffering=2), mapping)
    assert str(error) == "tile at Buffer needs 60 words (Inputs 36, Outputs 24) but there is room for 59"
    assert error.level == "Buffer"
    check_mapping(problem, resized(machine, "Buffer", capacity=120, multiple_buffering=2), mapping)


def test_what_the_mapping_bypasses_needs_no_room(problem, machine, mapping):
    small = resized(machine, "Registers", capacity=12)
    assert "(Weights 6, Inputs 10, Outputs 2)" in str(refusal(problem, small, mapping))
    check_mapping(problem, small, replace(mapping, bypass=(frozenset({"Weights"}), NOTHING, NOTHING)))


def test_the_innermost_overflow_is_refused_first(problem, machine, mapping):
    tiny = resized(resized(machine, "Registers", capacity=17), "Buffer", capacity=1, fanout_x=1)
    assert refusal(problem, tiny, mapping).level == "Registers"
    assert refusal(problem, resized(tiny, "Registers", capacity=18), mapping).level == "Buffer"
