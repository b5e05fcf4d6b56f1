"""What `cosearch` shares with `solve`: constraints, imperfect factors, starts, the device."""

import sys
from dataclasses import replace
from math import prod

import pytest

from dlco import Budget, SolveEffort
from dlco.errors import InvalidInput
from dlco.mapping import Constraints, Mapping, SlotConstraint
from dlco.nas import CoDesign, cosearch
from dlco.nas.request import CoRequest
from dlco.search import Effort, LayerCosts
from tests.nas.small import FAST, Linear, Opaque, make_hardware, make_space
from tests.nas.test_cosearch import Plain

SPACE, HARDWARE = make_space(), make_hardware()
QUICK = SolveEffort(starts=0, polishes=0, fit=Effort(rounds=4))
GIVEN = Constraints(
    (
        SlotConstraint("weights_spad", "temporal", exact=(("R", 1), ("C", 4))),
        SlotConstraint("shared_glb", "spatial", at_most=(("M", 4),)),
    )
)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """The space is small, and so may the relaxation be."""
    monkeypatch.setattr("dlco.nas.methods.relaxed.STARTS", 2)
    monkeypatch.setattr("dlco.nas.methods.relaxed.STEPS", 8)


def search(method: str = "local-search", hardware=HARDWARE, **options) -> CoDesign:
    options = {"evaluations": 8, "effort": QUICK, "least_accuracy": 84.0, "seed": 1} | options
    return cosearch(SPACE, Linear(SPACE), hardware, "energy", method=method, **options)


def obeys(mapping: Mapping) -> bool:
    """Whether a mapping is as `GIVEN` says."""
    dims, pe, array = mapping.dimensions, mapping.levels.index("weights_spad"), mapping.levels.index("shared_glb")
    held = dict(zip(dims, mapping.temporal[pe], strict=True))
    across = prod(axis[array][dims.index("M")] for axis in (mapping.spatial_x, mapping.spatial_y))
    return held["R"] == 1 and held["C"] == 4 and across <= 4


@pytest.mark.parametrize("method", ["relaxed", "surrogate", "two-stage"])
def test_constraints_hold_in_every_mapping(method):
    found = search(method, constraints=GIVEN)
    assert found.status == "solved"
    assert all(obeys(mapping) for mapping in found.solution.mappings.values())
    assert not all(obeys(mapping) for mapping in search(method).solution.mappings.values())
    assert not found.solution.architecture.constraints, "they came beside the machine"


def test_the_final_solve_may_take_imperfect_factors():
    only = {"network": (1, 1, 1), "machine": (1, 1), "evaluations": 1, "constraints": GIVEN}
    perfect, imperfect = search(**only), search(**only, imperfect=True)
    assert imperfect.solution.imperfect
    assert imperfect.value <= perfect.value
    assert all(obeys(mapping) for mapping in imperfect.solution.mappings.values())


def test_constraints_hold_where_there_is_no_final_solve(monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["dlco.nas.cosearch"], "solve_again", stop)
    found = search(constraints=GIVEN)
    assert found.status == "interrupted"
    assert all(obeys(mapping) for mapping in found.solution.mappings.values())


def test_constraints_of_the_machine_and_of_the_call_are_one():
    one = search(constraints=GIVEN)
    other = search(hardware=replace(HARDWARE, base=replace(HARDWARE.base, constraints=GIVEN)))
    assert other.solution.mappings == one.solution.mappings
    assert other.solution.architecture.constraints == GIVEN


def test_constraints_that_no_mapping_meets_are_refused():
    too_many = Constraints(
        (SlotConstraint("weights_spad", "temporal", exact=(("M", 8), ("C", 8), ("R", 3), ("S", 3))),)
    )
    with pytest.raises(InvalidInput, match="no mapping was found that meets the constraints"):
        search("random", constraints=too_many)


@pytest.mark.parametrize("space", [SPACE, Plain()])
def test_constraints_are_checked_before_the_search(space, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("nothing is to be searched")

    monkeypatch.setattr(sys.modules["dlco.nas.cosearch"], "explore", refuse)
    wrong = Constraints((SlotConstraint("weights_spad", "temporal", exact=(("Z", 2),)),))
    with pytest.raises(InvalidInput, match="names dimension 'Z'"):
        cosearch(space, Opaque(space), HARDWARE, constraints=wrong)


def test_costs_are_of_the_same_constraints():
    score = CoRequest(SPACE, Linear(SPACE), HARDWARE, "energy").score
    with pytest.raises(InvalidInput, match="costs were found on other hardware"):
        search(costs=LayerCosts(HARDWARE, score, effort=FAST), constraints=GIVEN)
    found = search(costs=LayerCosts(HARDWARE, score, effort=FAST, constraints=GIVEN), constraints=GIVEN)
    assert all(obeys(mapping) for mapping in found.solution.mappings.values())


def test_a_start_is_where_the_final_solve_begins():
    """Of one network on one machine, so that the start is of the same layers."""
    only = {"network": (1, 1, 1), "machine": (1, 1), "evaluations": 1}
    long = search(**only, effort=SolveEffort(starts=1, polishes=2))
    brief = SolveEffort(starts=0, polishes=0, exact=False, fit=Effort(rounds=1, population=1, neighbours=1))
    costs = LayerCosts(
        HARDWARE,
        CoRequest(SPACE, Linear(SPACE), HARDWARE, "energy").score,
        effort=Effort(rounds=1, patience=1, population=1, neighbours=1, islands=1),
    )
    without = search(**only, effort=brief, costs=costs)
    begun = search(**only, effort=brief, costs=costs, start=long.solution)
    assert long.value < without.value
    assert begun.value <= long.value * (1 + 1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"constraints": 3}, "constraints is 3"),
        ({"imperfect": 1}, "imperfect is 1"),
        ({"fuse": True}, "fuse is True, which cosearch does not search"),
        ({"start": 3}, "start is 3"),
        ({"budget": Budget(capacity={"shared_glb": 1e9})}, "budget capacity is set"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        search(**options)


def test_an_option_that_there_is_not_is_an_error():
    with pytest.raises(TypeError, match="fast"):
        search(fast=True)
