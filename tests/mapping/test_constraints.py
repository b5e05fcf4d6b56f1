import pytest

from dlco.errors import InvalidInput
from dlco.mapping import Constraints, MapSpace, SlotConstraint


def buffer(kind: str = "temporal", **fixed: object) -> Constraints:
    return Constraints((SlotConstraint("Buffer", kind, **fixed),))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SlotConstraint("Buffer", "diagonal"), "'diagonal'; allowed: temporal, spatial"),
        (lambda: buffer(exact=(("C", 0),)), "exact factor of C of the temporal loops at Buffer is 0"),
        (lambda: buffer(at_most=(("C", 1.5),)), "at_most factor of C of the temporal loops at Buffer is 1.5"),
        (lambda: buffer(exact=(("C", 2), ("C", 4))), "name 'C' twice"),
        (lambda: buffer(innermost=("C", "C")), "innermost of the temporal loops at Buffer name 'C' twice"),
        (lambda: buffer("spatial", axis_x=("C",), axis_y=("C",)), "axis_x and axis_y .* name 'C' twice"),
        (lambda: buffer(axis_x=("C",)), "axis of the temporal loops at Buffer names C; only spatial"),
        (lambda: buffer(exact=(("C", 4),), at_most=(("C", 2),)), "is 4; at_most allows up to 2"),
        (lambda: Constraints((SlotConstraint("A", "spatial"),) * 2), "constraints name 'A spatial' twice"),
        (lambda: Constraints(bypass=(("A", frozenset()),) * 2), "bypass constraints name 'A' twice"),
    ],
)
def test_what_contradicts_itself_is_refused(make, said):
    with pytest.raises(InvalidInput, match=said):
        make()


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        (Constraints((SlotConstraint("Cache", "temporal"),)), "level is 'Cache'; 'toy' has Registers, Buffer, DRAM"),
        (buffer(exact=(("K", 2),)), "temporal loops at Buffer names dimension 'K'; the problem has C, M, P, R"),
        (buffer(innermost=("X",)), "names dimension 'X'"),
        (buffer("spatial", axis_y=("Y",)), "spatial loops at Buffer names dimension 'Y'"),
        (buffer(exact=(("M", 4),)), "exact factors of M are 4; they must divide its bound 6"),
        (
            Constraints(
                (
                    SlotConstraint("Registers", "temporal", exact=(("C", 4),)),
                    SlotConstraint("Buffer", "spatial", exact=(("C", 2),)),
                )
            ),
            "exact factors of C are 4 x 2; they must divide its bound 4",
        ),
        (Constraints(bypass=(("Cache", frozenset()),)), "level is 'Cache'"),
        (Constraints(bypass=(("Buffer", frozenset({"Bias"})),)), "names dataspace 'Bias'; the problem has Weights"),
        (
            Constraints(bypass=(("Registers", frozenset({"Weights"})), ("DRAM", frozenset({"Weights"})))),
            "bypass leaves Weights without a level",
        ),
    ],
)
def test_what_does_not_fit_problem_or_machine_is_refused(problem, machine, constraints, said):
    with pytest.raises(InvalidInput, match=said):
        MapSpace.of(problem, machine, constraints)


def test_a_level_without_constraints_has_an_empty_one():
    fixed = SlotConstraint("Buffer", "spatial", exact=(("C", 2),))
    constraints = Constraints((fixed,), bypass=(("Buffer", frozenset({"Weights"})),))
    assert constraints.slot("Buffer", "spatial") == fixed
    assert constraints.slot("Buffer", "temporal") == SlotConstraint("Buffer", "temporal")
    assert constraints.bypassed("Buffer") == {"Weights"}
    assert constraints.bypassed("DRAM") == frozenset()
