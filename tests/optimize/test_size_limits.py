"""Limits between the sizes of a machine, through every search: held against all machines of a small space, listed."""

from functools import cache
from itertools import product

import pytest
import torch

import dlco
from dlco import SolveEffort
from dlco.bound import BoundEffort, lower_bound
from dlco.bound.boxes import NetworkBounding, SizeBox
from dlco.bound.compulsory import layer_floors
from dlco.design.solution import Solution
from dlco.errors import Infeasible, InvalidInput
from dlco.hardware import HardwareSpace, Parameter, Tie, generic
from dlco.nas.cosearch import cosearch, explore
from dlco.nas.evaluator import Evaluator
from dlco.nas.request import CoRequest
from dlco.relax import relax
from dlco.search.group import make_groups
from dlco.search.layer_costs import LayerCosts
from dlco.search.local_search import Effort
from dlco.search.score import Score
from tests.efforts import EVOLUTION, NO_BOXES
from tests.nas.small import FAST, Linear, make_hardware, make_space

NET = [dlco.matmul("one", M=8, K=4, N=4), dlco.conv2d("two", C=2, M=4, P=4, Q=2, R=3, S=1, count=2)]
BRIEF = Effort(rounds=8, population=4, neighbours=6)
EFFORT = SolveEffort(
    starts=2,
    survey=6,
    evolution=EVOLUTION,
    fit=BRIEF,
    step=BRIEF,
    polish=BRIEF,
    bound=BoundEffort(nodes=200, side=40),
    boxes=NO_BOXES,
)
A, B, C = "GlobalBuffer.capacity", "RegisterFile.capacity", "GlobalBuffer.fanout_x"
SPACE = HardwareSpace(
    generic(),
    (
        Parameter("GlobalBuffer", "capacity", (32, 64, 128, 256)),
        Parameter("RegisterFile", "capacity", (4, 8, 16, 64)),
        Parameter("GlobalBuffer", "fanout_x", (1, 2, 4), also=(Tie("GlobalBuffer", "fanout_y"),)),
    ),
)
LIMITS = [
    (f"{A} <= 4 * {B}",),
    (f"{A} >= 8 * {B}", f"{B} * {C} >= 32"),
    (f"{A} + {B} <= 40 * {C}", f"{C} <= 2"),
    (f"{A} * {C} == 128",),
]


@cache
def optimum(objective: str, index: tuple[int, ...]) -> float:
    """The exact search's word on one machine."""
    return dlco.solve(NET, SPACE.architecture_at(torch.tensor(index)), objective).value


def truth(space: HardwareSpace, objective: str) -> float:
    """The least of all machines within the limits."""
    every = product(*(range(len(p.grid)) for p in SPACE.parameters))
    return min(optimum(objective, index) for index in every if bool(space.within(torch.tensor(index))))


def kept(space: HardwareSpace, solution: Solution) -> bool:
    """Whether the solution's machine is one of the space within its limits."""
    levels = solution.architecture.level
    sizes = [levels("GlobalBuffer").capacity, levels("RegisterFile").capacity, levels("GlobalBuffer").fanout_x]
    index = torch.tensor([p.grid.index(size) for p, size in zip(SPACE.parameters, sizes, strict=True)])
    return bool(space.within(index))


@pytest.mark.parametrize(
    ("limits", "objective"), list(zip([*LIMITS, LIMITS[2]], ["edp", "energy", "latency", "edp", "area"], strict=True))
)
def test_the_best_machine_within_the_limits_is_found_and_bounded(limits: tuple[str, ...], objective: str) -> None:
    space = SPACE.subject_to(*limits)
    best = truth(space, objective)
    solution = dlco.solve(NET, space, objective, effort=EFFORT)
    assert solution.status == "solved"
    assert kept(space, solution)
    assert solution.value == pytest.approx(best, rel=1e-9)
    assert solution.lower_bound is not None
    assert solution.lower_bound <= best * (1 + 1e-9)
    proved = lower_bound(NET, space, objective, effort=BoundEffort(nodes=300, side=60, boxes=12))
    assert proved.value <= best * (1 + 1e-9)
    assert proved.value >= lower_bound(NET, SPACE, objective, effort=BoundEffort(nodes=300, side=60, boxes=0)).value


def test_limits_with_a_budget() -> None:
    """Both kinds hold at once; the sizes that one of them leaves are too large for the other: nothing does."""
    space = SPACE.subject_to(f"{A} <= 16 * {B}")
    area = dlco.solve(NET, space, "area", effort=EFFORT).cost.area_mm2
    solution = dlco.solve(
        NET, space, "edp", dlco.Budget(area_mm2=1.2 * area, capacity={"RegisterFile": 16}), effort=EFFORT
    )
    assert kept(space, solution)
    assert solution.cost.area_mm2 <= 1.2 * area
    with pytest.raises(Infeasible, match=f"{B} <= 2"):
        dlco.solve(NET, SPACE.subject_to(f"{A} <= 4 * {B}", f"{B} <= 2"), "edp")
    with pytest.raises(Infeasible, match=rf"no machine on the grid keeps the limits 256 <= {A}"):
        dlco.solve(NET, SPACE.subject_to(f"{A} >= 256"), "edp", dlco.Budget(capacity={"GlobalBuffer": 128}))


def test_boxes_outside_the_limits_are_dropped() -> None:
    space = SPACE.subject_to(f"{A} <= 4 * {B}")
    bounding = NetworkBounding(NET, space, layer_floors(NET, space))
    assert any(
        limit.least(costs.low, costs.high) > 1
        for costs in [bounding._costs(SizeBox((3, 0, 0), (3, 1, 2)))]
        for limit in costs.limits
    )
    assert all(
        limit.least(costs.low, costs.high) <= 1 for costs in [bounding._costs(bounding.whole)] for limit in costs.limits
    )


def test_the_relaxed_problem_keeps_the_limits() -> None:
    """A limit that costs something is met with equality, to the relaxed problem's tolerance."""
    space = SPACE.subject_to(f"{A} >= 2 * {B} * {C}", f"{B} * {C} ** 2 <= 40")
    groups = make_groups(NET, space.base, space.free_fanouts)
    score = Score("edp", dlco.Budget(), space.base.cycle_s)
    counts = [torch.tensor([float(layer.count) for layer in group.layers], dtype=torch.float64) for group in groups]
    found = relax(groups, space, score, counts, starts=2, generator=torch.Generator().manual_seed(0))
    assert bool(found.converged.all())
    assert bool((space.excess(found.sizes) <= 2e-3).all())
    assert float(space.excess(found.sizes)[:, 1].amin()) > -0.02  # without it they would be larger


def test_a_front_keeps_the_limits() -> None:
    space = SPACE.subject_to(f"{A} <= 4 * {B}", f"{C} >= 2")
    front = dlco.pareto(NET, space, "latency", "energy", points=3, effort=dlco.FrontEffort(ends=EFFORT))
    assert front.points
    assert all(kept(space, point.solution) for point in front.points)


@pytest.mark.parametrize("method", ["relaxed", "surrogate", "evolutionary", "local-search", "random"])
def test_a_co_search_keeps_the_limits(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every machine that is evaluated at all; those within the limits are 6 of 12."""
    monkeypatch.setattr("dlco.nas.methods.relaxed.STARTS", 2)
    monkeypatch.setattr("dlco.nas.methods.relaxed.STEPS", 20)
    networks, machines = make_space(), make_hardware()
    space = machines.subject_to("shared_glb.capacity >= 4096 * shared_glb.fanout_x", "shared_glb.fanout_x >= 5")
    costs = LayerCosts(space, Score("edp", dlco.Budget(), space.base.cycle_s), effort=FAST)
    effort = SolveEffort(starts=0, polishes=0, fit=Effort(rounds=4))
    found = cosearch(
        networks, Linear(networks), space, method=method, evaluations=20, seed=1, effort=effort, costs=costs
    )
    assert found.status == "solved"
    points = [*found.trace, *found.front]
    assert points
    for point in points:
        assert bool((space.excess(torch.tensor(point.sizes, dtype=torch.float64)) <= 1e-9).all())
    evaluator = Evaluator(CoRequest(networks, Linear(networks), space), costs, 100)
    explore(evaluator.request, evaluator, method, 2)
    tried = torch.tensor([pair.machine for pair in evaluator.candidates])
    assert bool(space.within(tried).all())
    none = machines.subject_to("shared_glb.capacity <= 100 * shared_glb.fanout_x")
    with pytest.raises(Infeasible, match="no machine on the grid"):
        cosearch(networks, Linear(networks), none, method=method, evaluations=20, effort=effort)
    with pytest.raises(InvalidInput, match="the space has the limit"):
        cosearch(networks, Linear(networks), space, method=method, evaluations=20, effort=effort, machine=(2, 0))
