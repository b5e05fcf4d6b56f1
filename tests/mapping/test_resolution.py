"""Constraints resolved a layer: against every way to fill the containers of a fan-out, and by hand."""

from itertools import permutations, product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dlco
from dlco.errors import InvalidInput, NotSupported
from dlco.hardware.architecture import Architecture, Container, Level
from dlco.mapping import Constraints, SlotConstraint
from dlco.mapping.constraints import announce, check_constraints, resolution, resolve
from dlco.workload.problem import Dataspace, Problem

BOUNDS = {"A": 4, "B": 6, "C": 1}
WORK = Problem(
    tuple(BOUNDS),
    tuple(BOUNDS.values()),
    (Dataspace("In", ((("A", 1),),)), Dataspace("Out", ((("B", 1),), (("C", 1),)), read_write=True)),
)


def machine(*meshes: tuple[int, int]) -> Architecture:
    """Containers of these meshes between a buffer and its registers."""
    boxes = tuple(Container(f"box{i}", "Buffer", x, y) for i, (x, y) in enumerate(meshes))
    fanout = [prod(mesh[axis] for mesh in meshes) for axis in (0, 1)]
    return Architecture(
        (Level("Registers"), Level("Buffer", fanout_x=fanout[0], fanout_y=fanout[1]), Level("DRAM", "DRAM")),
        containers=boxes,
    )


def met(slot: SlotConstraint, factors: dict[str, tuple[int, int]], total: dict[str, int]) -> bool:
    """Whether a container's factors along X and Y keep its constraint, read from the words of Timeloop."""
    for dim, (x, y) in factors.items():
        if x * y != dict(slot.exact).get(dim, x * y) or x * y > dict(slot.at_most).get(dim, x * y):
            return False
        if dim in slot.rest and x * y != total[dim]:
            return False
    if slot.split is None:
        return True
    return any(  # some order that begins as it is told has all loops along X before the split, all others after it
        all(factors[dim][1] == 1 if place < slot.split else factors[dim][0] == 1 for place, dim in enumerate(order))
        for order in permutations(BOUNDS)
        if order[: len(slot.innermost)] == slot.innermost
    )


def every_filling(meshes, slots) -> set[tuple[tuple[int, int], ...]]:
    """(X, Y) of A and B over the whole fan-out, by trying all factors of all containers; one axis a dimension."""
    cells = [(box, axis) for box in range(len(meshes)) for axis in (0, 1)]
    choices = [range(1, meshes[box][axis] + 1) for box, axis in cells]
    found = set()
    tables = [t for t in product(*choices)]
    for a, b in product(tables, tables):
        if BOUNDS["A"] % prod(a) or BOUNDS["B"] % prod(b):
            continue
        if any(a[i] * b[i] > meshes[box][axis] for i, (box, axis) in enumerate(cells)):
            continue
        whole = tuple((prod(t[0::2]), prod(t[1::2])) for t in (a, b))
        if any(x > 1 and y > 1 for x, y in whole):
            continue
        ok = all(
            met(
                slot,
                {"A": a[2 * i : 2 * i + 2], "B": b[2 * i : 2 * i + 2], "C": (1, 1)},
                {dim: bound / prod(dict(other.exact).get(dim, 1) for other in slots) for dim, bound in BOUNDS.items()},
            )
            for i, slot in enumerate(slots)
        )
        if ok:
            found.add(whole)
    return found


def allowed_filling(meshes, fixed: SlotConstraint) -> set[tuple[tuple[int, int], ...]]:
    """The same for one constraint on all of the fan-out, with factors that some containers together can hold."""
    found = set()
    rooms = [every_product([mesh[axis] for mesh in meshes]) for axis in (0, 1)]
    divisors = {dim: [n for n in range(1, bound + 1) if bound % n == 0] for dim, bound in BOUNDS.items()}
    for ax, ay, bx, by in product(divisors["A"], divisors["A"], divisors["B"], divisors["B"]):
        whole = ((ax, ay), (bx, by))
        if any(x > 1 and y > 1 for x, y in whole) or (ax, bx) not in rooms[0] or (ay, by) not in rooms[1]:
            continue
        if all(
            x * y == dict(fixed.exact).get(dim, x * y)
            and x * y <= dict(fixed.at_most).get(dim, x * y)
            and not (dim in fixed.axis_x and y > 1)
            and not (dim in fixed.axis_y and x > 1)
            for dim, (x, y) in zip("AB", whole, strict=True)
        ):
            found.add(whole)
    return found


def every_product(sizes: list[int]) -> set[tuple[int, int]]:
    """Pairs of factors of A and B that containers of these sizes can hold along one axis."""
    pairs = {(1, 1)}
    for size in sizes:
        pairs = {(a * x, b * y) for a, b in pairs for x in range(1, size + 1) for y in range(1, size // x + 1)}
    return {(a, b) for a, b in pairs if BOUNDS["A"] % a == 0 and BOUNDS["B"] % b == 0}


@st.composite
def parts(draw: st.DrawFn, i: int) -> SlotConstraint:
    exact, at_most, rest = {}, {}, []
    for dim in BOUNDS:
        kind = draw(st.sampled_from(["free", "free", "one", "exact", "at_most", "rest"]))
        if kind == "one":
            exact[dim] = 1
        elif kind == "exact":
            exact[dim] = draw(st.sampled_from([n for n in range(1, BOUNDS[dim] + 1) if BOUNDS[dim] % n == 0]))
        elif kind == "at_most":
            at_most[dim] = draw(st.integers(1, 4))
        elif kind == "rest":
            rest.append(dim)
    return SlotConstraint(
        "Buffer",
        "spatial",
        exact=tuple(exact.items()),
        at_most=tuple(at_most.items()),
        rest=tuple(rest),
        innermost=tuple(draw(st.permutations(list(BOUNDS)))[: draw(st.integers(0, 3))]),
        split=draw(st.sampled_from([None, 0, 1, 2, 3])),
        container=f"box{i}",
    )


@settings(deadline=None, max_examples=150)
@given(
    slots=st.tuples(parts(0), parts(1)),
    meshes=st.sampled_from([((4, 1), (1, 3)), ((1, 2), (6, 1)), ((2, 3), (1, 1)), ((2, 1), (2, 1)), ((2, 3), (2, 1))]),
)
def test_containers_hold_what_trying_everything_finds(slots, meshes) -> None:
    """Never more than the containers' constraints allow, and all of it where nothing is said to be held back."""
    truth = every_filling(meshes, slots)
    array = machine(*meshes)
    try:
        fixed, notes = resolution(Constraints(slots), WORK, array)
    except (InvalidInput, NotSupported):
        assert not truth
        return
    allowed = allowed_filling(meshes, fixed.slot("Buffer", "spatial"))
    if any("by itself" in note for note in notes):  # said to be obeyed loosely
        return
    assert allowed <= truth
    if not notes:
        assert allowed == truth


ARRAY = machine((4, 4))
CONV = dlco.conv2d("conv", C=8, M=12, P=14, Q=14, R=3, S=3)
POINTWISE = dlco.conv2d("pointwise", C=16, M=12, P=14, Q=14, R=1, S=1)
PRODUCT = dlco.matmul("product", M=8, K=16, N=4)


def only(**said: object) -> Constraints:
    return Constraints((SlotConstraint("Registers", "temporal", **said),))


def exact_of(constraints: Constraints, layer: dlco.Layer, level: str = "Registers", kind: str = "temporal") -> dict:
    return dict(resolve(constraints, layer.problem, ARRAY).slot(level, kind).exact)


def test_what_is_left_is_a_layers_own() -> None:
    fixed = only(rest=("C",)).joined(Constraints((SlotConstraint("Buffer", "spatial", exact=(("C", 4),)),)))
    assert [exact_of(fixed, layer) for layer in (CONV, POINTWISE, PRODUCT)] == [{"C": 2}, {"C": 4}, {}]
    twice = only(rest=("C",)).joined(Constraints((SlotConstraint("Buffer", "spatial", rest=("C", "R")),)))
    with pytest.raises(InvalidInput, match=r"C is to take all that is left of its bound 8 .*Registers and .*Buffer"):
        resolve(twice, CONV.problem, ARRAY)
    assert exact_of(twice, dlco.depthwise_conv2d("one", C=1, P=4, Q=4, R=1, S=1))["C"] == 1  # nothing to share


def test_a_dimension_that_a_layer_lacks_is_passed_over() -> None:
    fixed = only(exact=(("R", 3), ("K", 4)), at_most=(("S", 1),), innermost=("S", "K", "M"))
    slot = resolve(fixed, CONV.problem, ARRAY).slot("Registers", "temporal")
    assert (slot.exact, slot.at_most, slot.innermost) == ((("R", 3),), (("S", 1),), ("S", "M"))
    slot = resolve(fixed, PRODUCT.problem, ARRAY).slot("Registers", "temporal")
    assert (slot.exact, slot.at_most, slot.innermost) == ((("K", 4),), (), ("K", "M"))


def test_a_split_counts_the_loops_that_a_layer_lacks() -> None:
    """All of a convolution along X says nothing of what only a product has; one axis named is that axis everywhere."""

    def axes(split: int, order: str, layer: dlco.Layer) -> tuple[str, str]:
        fixed = Constraints((SlotConstraint("Buffer", "spatial", innermost=tuple(order), split=split),))
        slot = resolve(fixed, layer.problem, ARRAY).slot("Buffer", "spatial")
        return "".join(slot.axis_x), "".join(slot.axis_y)

    assert axes(7, "NCPQRSM", CONV) == ("CMRSNPQ", "")
    assert axes(7, "NCPQRSM", PRODUCT) == ("MN", "")
    assert axes(999, "NCPQRSM", PRODUCT) == ("".join(PRODUCT.problem.dimensions), "")
    assert axes(0, "NCPQRSM", PRODUCT) == ("", "".join(PRODUCT.problem.dimensions))
    assert axes(1, "RM", PRODUCT) == ("", "".join(PRODUCT.problem.dimensions))


def test_a_factor_beyond_the_bound_is_the_bound_and_said_to_be(caplog) -> None:
    """As Timeloop's mapper has it."""
    fixed = only(exact=(("R", 3), ("S", 3)))
    assert exact_of(fixed, POINTWISE) == {"R": 1, "S": 1}
    announce(ARRAY, [CONV, POINTWISE], fixed)
    assert "factor 3 of R of the temporal loops at Registers is its bound 1 in pointwise" in caplog.text
    assert "conv" not in caplog.text.replace("pointwise", "")


def test_macros_name_dimensions_by_dataspace() -> None:
    assert exact_of(only(without=("Weights",)), CONV) == {"C": 1, "M": 1, "R": 1, "S": 1}
    assert exact_of(only(within=("Weights",)), CONV) == {"N": 1, "P": 1, "Q": 1}
    assert exact_of(only(exact=(("R", 3),), at_most=(("P", 2),), only=True), CONV) == {
        **{"R": 3, "C": 1, "M": 1, "S": 1, "N": 1, "Q": 1}
    }
    assert exact_of(only(without=("Bias",)), CONV) == exact_of(only(within=("Bias",)), CONV) == {}
    assert set(exact_of(only(without=("*",)), PRODUCT)) == set(PRODUCT.problem.dimensions)
    with pytest.raises(InvalidInput, match="C is to have a factor of the temporal loops at Registers, over whose"):
        resolve(only(exact=(("C", 2),), without=("Inputs",)), CONV.problem, ARRAY)


def test_all_dataspaces_but_some() -> None:
    fixed = Constraints(bypass=(("Registers", frozenset("*")),), keep=(("Registers", frozenset({"Weights"})),))
    assert resolve(fixed, CONV.problem, ARRAY).bypassed("Registers") == {"Inputs", "Outputs"}
    nothing = Constraints(bypass=tuple((level.name, frozenset("*")) for level in ARRAY.levels))
    with pytest.raises(InvalidInput, match="bypass leaves Weights without a level"):
        check_constraints(ARRAY, [CONV.problem], nothing)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (only(exact=(("C", 2),)), only(exact=(("C", 4),)), "exact factor of C .* given as 2 and as 4"),
        (only(exact=(("C", 4),)), only(at_most=(("C", 2),)), "is 4; at_most allows up to 2"),
        (only(at_most=(("C", 4),)), only(at_most=(("C", 2),)), "at_most factor of C .* as 4 and as 2"),
        (only(rest=("C",)), only(exact=(("C", 2),)), "name 'C' twice"),
        (only(innermost=("C",)), only(innermost=("M",)), "innermost .* given as C and as M"),
        (
            Constraints(bypass=(("Buffer", frozenset({"Weights"})),)),
            Constraints(keep=(("Buffer", frozenset({"Weights"})),)),
            "keep and bypass Weights at Buffer",
        ),
        (
            Constraints(bypass=(("Buffer", frozenset("*")),), keep=(("Buffer", frozenset({"Inputs"})),)),
            Constraints(keep=(("Buffer", frozenset({"Weights"})),)),
            "keep and bypass Weights at Buffer",
        ),
        (
            Constraints((SlotConstraint("Buffer", "spatial", split=1),)),
            Constraints((SlotConstraint("Buffer", "spatial", split=2),)),
            "split .* given as 1 and as 2",
        ),
    ],
)
def test_constraints_that_contradict_each_other_are_refused(one, other, said) -> None:
    for pair in ((one, other), (other, one)):
        with pytest.raises(InvalidInput, match=r"keep and bypass|given as|at_most allows|twice"):
            pair[0].joined(pair[1])
    with pytest.raises(InvalidInput, match=said):
        one.joined(other)
    assert one.joined(one) == one.joined(None) == one


def test_names_that_nothing_has_do_not_vanish(caplog) -> None:
    misspelt = only(exact=(("RR", 1),))
    with pytest.raises(InvalidInput, match=r"Registers names dimension 'RR'; the problem has C, M"):
        check_constraints(ARRAY, [CONV.problem, PRODUCT.problem], misspelt)
    check_constraints(ARRAY, [CONV.problem, PRODUCT.problem], only(exact=(("K", 4),)))
    carrying = Architecture(ARRAY.levels, constraints=misspelt)  # a machine's own may be meant for other networks
    check_constraints(carrying, [CONV.problem])
    announce(carrying, [CONV])
    assert "name dimension 'RR', which no layer has" in caplog.text
    with pytest.raises(InvalidInput, match="container is 'box9'; at Buffer there are box0"):
        check_constraints(ARRAY, [], Constraints((SlotConstraint("Buffer", "spatial", container="box9"),)))


def test_errors_name_the_layer() -> None:
    with pytest.raises(InvalidInput, match=r"layer 'pointwise': exact factors of C are 3; they must divide .* 16"):
        announce(ARRAY, [dlco.conv2d("a", C=3, M=1, P=1, Q=1, R=1, S=1), POINTWISE], only(exact=(("C", 3),)))
