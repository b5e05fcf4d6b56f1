"""`pareto()` against every design of tiny problems."""

from dataclasses import replace
from math import inf

import joblib
import pytest

import dlco
from dlco.design.front import Front
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.optimize import Budget, Progress
from dlco.optimize.front.pareto import pareto
from dlco.optimize.front.request import FrontEffort
from dlco.search.local_search import Effort
from dlco.workload import Layer
from tests.exhaustive import optimum

from .fronts import QUICK, SMALL, covered, hold, truth


@pytest.fixture(scope="module")
def front(product_layer: Layer, machine: Architecture) -> Front:
    return pareto([product_layer], machine, "latency", "power", points=6, effort=QUICK)


def test_every_point_is_the_optimum_at_its_limits(front: Front, product_layer: Layer, machine: Architecture) -> None:
    hold(front, [product_layer])
    fastest = optimum([product_layer], machine, "latency")
    assert front.budget.latency_s == pytest.approx(10 * fastest)
    exact = truth([product_layer], machine, front.axes, front.budget)
    assert len(front.points) > 2
    for point in front.points:
        best = min(power for latency, power in exact if latency <= point.values[0] * (1 + 1e-9))
        assert best <= point.values[1] * (1 + 1e-9)
        assert point.values[1] <= best * 1.01  # what a single price of time does not explain may be missed
    assert [values for _, values in front.trace if values == front.points[0].values]
    assert front.points[0].values == pytest.approx(exact[0])
    assert front.points[-1].values == pytest.approx(exact[-1])
    assert covered([p.values for p in front.points], exact) > 0.95


def test_the_ends_begin_from_the_solutions_given() -> None:
    layers, machine = [dlco.conv2d("conv", C=16, M=32, P=14, Q=14, R=3, S=3)], dlco.hardware.generic()
    blind = replace(SMALL, starts=0, fit=Effort(rounds=1, population=1, neighbours=1), polishes=0, exact=False)
    asked = {"points": 2, "effort": FrontEffort(blind, blind)}
    best = dlco.solve(layers, machine, "energy", bound=False)  # proved
    alone = pareto(layers, machine, "latency", "energy", **asked)
    assert alone.points[-1].values[1] > best.value * 1.001, "such an effort alone finds less"
    front = pareto(layers, machine, "latency", "energy", start=best, **asked)
    assert front.points[-1].values[1] == pytest.approx(best.value)


def test_the_span_says_how_slow_a_design_may_be(product_layer: Layer, machine: Architecture) -> None:
    fastest = optimum([product_layer], machine, "latency")
    narrow = pareto([product_layer], machine, points=2, span=1.5, effort=QUICK)
    assert narrow.budget.latency_s == pytest.approx(1.5 * fastest)
    assert all(point.values[0] <= 1.5 * fastest * (1 + 1e-9) for point in narrow.points)


def test_area_is_traded_over_a_space(window_layer: Layer, space: HardwareSpace) -> None:
    front = pareto([window_layer], space, "area", "edp", points=4, effort=QUICK, bound=True)
    hold(front, [window_layer])
    exact = truth([window_layer], space, front.axes, Budget())
    assert covered([p.values for p in front.points], exact) > 0.98
    asked = [point for point in (*front.points, *front.dominated) if point.limits]
    assert asked
    for point in asked:
        assert point.solution.lower_bound is not None
        assert point.solution.lower_bound <= point.solution.value * (1 + 1e-9)


def test_three_objectives(product_layer: Layer, space: HardwareSpace) -> None:
    front = pareto([product_layer], space, "latency", "energy", "area", points=6, effort=QUICK)
    hold(front, [product_layer])
    exact = truth([product_layer], space, front.axes, Budget())
    assert len(front.points) <= len(exact)
    assert covered([p.values for p in front.points], exact) > 0.9


def test_limits_hold_along_the_front(network: list[Layer], machine: Architecture) -> None:
    slow, least = (optimum(network, machine, name) for name in ("latency", "energy"))
    budget = Budget(latency_s=1.5 * slow, energy_j=1.5e-12 * least)
    front = pareto(network, machine, "latency", "power", points=3, budget=budget, effort=QUICK)
    hold(front, network)
    assert front.budget == budget  # the latency is the caller's own
    assert front.points


def test_one_design_may_be_best_on_both(window_layer: Layer, machine: Architecture) -> None:
    front = pareto([replace(window_layer)], machine, "latency", "edp", points=4, effort=QUICK)
    exact = truth([window_layer], machine, front.axes, Budget())
    assert covered([p.values for p in front.points], exact) > 0.98
    assert len(front.points) <= len(exact)


def same(one: Front, other: Front) -> bool:
    """Whether two fronts are of the same designs, whatever time they took."""

    def still(front: Front) -> Front:
        clear = {
            name: tuple(replace(p, solution=replace(p.solution, seconds=0.0, trace=())) for p in getattr(front, name))
            for name in ("points", "dominated")
        }
        return replace(front, seconds=0.0, **clear)

    return still(one) == still(other)


def test_the_same_seed_gives_the_same_front(front: Front, product_layer: Layer, machine: Architecture) -> None:
    again = pareto([product_layer], machine, "latency", "power", points=6, effort=QUICK)
    assert same(front, again)


def test_workers_change_nothing(front: Front, product_layer: Layer, machine: Architecture) -> None:
    with joblib.parallel_config(backend="threading", n_jobs=2):
        again = pareto([product_layer], machine, "latency", "power", points=6, effort=QUICK)
    assert same(front, again)


class Stop:
    """A listener that stops the run in its `solve`-th solve."""

    def __init__(self, solve: int) -> None:
        self.solve, self.seen = solve, []

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)
        if int(progress.phase.split()[1]) == self.solve and len(self.seen) % 3 == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("solve", [1, 4])
def test_an_interrupted_front_keeps_its_points(solve: int, product_layer: Layer, machine: Architecture) -> None:
    front = pareto([product_layer], machine, points=6, effort=QUICK, progress=Stop(solve))
    assert front.status == "interrupted"
    hold(front, [product_layer])
    assert 1 <= len({point.evaluations for point in (*front.points, *front.dominated)}) <= solve


def test_an_interrupted_run_is_taken_up_again(
    front: Front, product_layer: Layer, machine: Architecture, tmp_path
) -> None:
    path = tmp_path / "front.run"
    asked = {"points": 6, "effort": QUICK}
    first = pareto([product_layer], machine, **asked, progress=Stop(5), checkpoint=path)
    assert first.status == "interrupted"
    seen: list[Progress] = []
    second = pareto([product_layer], machine, **asked, progress=seen.append, resume=path)
    assert same(second, front)
    assert seen[0].phase.startswith("design 2 ")  # nothing is told of solves that are only looked up
    with pytest.raises(InvalidInput, match="other arguments"):
        pareto([product_layer], machine, points=7, effort=QUICK, resume=path)
    with pytest.raises(InvalidInput, match="both given"):
        pareto([product_layer], machine, checkpoint=path, resume=path)


def test_progress_rises_to_the_end(product_layer: Layer, machine: Architecture) -> None:
    seen: list[Progress] = []
    pareto([product_layer], machine, "latency", "energy", points=3, effort=QUICK, progress=seen.append)
    shares = [progress.done for progress in seen]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5 < shares[-1] <= 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"x": "speed"}, "objective is 'speed'; allowed: latency"),
        ({"x": "edp"}, "x is 'edp', which no budget limits"),
        ({"z": "edp"}, "z is 'edp', which no budget limits"),
        ({"x": "power"}, "axes of the front are"),
        ({"z": "latency"}, "axes of the front are"),
        ({"y": "area"}, "area is an axis, but that of machine"),
        ({"points": 1}, "points is 1; it must be at least 2"),
        ({"points": 4.0}, "points is 4.0"),
        ({"budget": 4.0}, "budget is 4.0; it must be a dlco.Budget"),
        ({"effort": SMALL}, "it must be a dlco.FrontEffort"),
        ({"span": 1.0}, "span is 1.0; it must be a finite number above 1"),
        ({"span": inf}, "span is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"progress": "yes"}, "progress is 'yes'"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"budget": Budget(latency_s=1e-12)}, "every design needs at least"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict, said: str, product_layer: Layer, machine: Architecture) -> None:
    with pytest.raises(InvalidInput, match=said):
        pareto([product_layer], machine, **wrong)


def test_hardware_and_efforts_are_checked(product_layer: Layer) -> None:
    with pytest.raises(InvalidInput, match="hardware is None"):
        pareto([product_layer], None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="points of the effort is 3"):
        FrontEffort(points=3)  # type: ignore[arg-type]
