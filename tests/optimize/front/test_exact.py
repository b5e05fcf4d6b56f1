"""Fronts that end in the exact search: against every mapping there is, and against `solve` on each machine."""

from itertools import combinations, product

import pytest

import dlco
from dlco import Budget, conv2d, matmul
from dlco.design.dominance import nondominated
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.parameter import Parameter
from dlco.hardware.space import HardwareSpace
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.optimize import Progress
from dlco.optimize.front.pareto import pareto

from .fronts import QUICK, hold, truth

TINY = [matmul("mm", M=4, K=6, N=4)]
SMALL = Architecture(
    (
        Level("Registers", "regfile", capacity=6, read_pj=3.0, write_pj=3.0, update_pj=3.0, read_bandwidth=2.0),
        Level("Buffer", capacity=40, read_pj=5.0, write_pj=6.0, update_pj=6.0, fanout_x=3, fanout_y=2, leak_pj=0.5),
        Level("DRAM", "DRAM", read_pj=40.0, write_pj=40.0, update_pj=40.0, read_bandwidth=2.0),
    )
)
SPACE = HardwareSpace(
    SMALL, (Parameter("Buffer", "fanout_x", (2, 3)), Parameter("Registers", "capacity", (6, 8))), TECHNOLOGY_45NM
)
NAMES = ("Weights", "Inputs", "Outputs")


def every_bypass() -> list[Architecture]:
    sets = [frozenset(out) for n in range(4) for out in combinations(NAMES, n)]
    return [SMALL.with_bypass({"Registers": one, "Buffer": other}) for one, other in product(sets, repeat=2)]


@pytest.mark.parametrize("keep", ["stated", "free"])
def test_on_a_machine_every_point_is_proved(keep: str) -> None:
    layers = [matmul("mm", M=4, K=3, N=2)]
    machines = every_bypass() if keep == "free" else [SMALL]
    table = [values for machine in machines for values in truth(layers, machine, ("latency", "energy"), Budget())]
    exact = [table[i] for i in nondominated(table)]
    front = pareto(layers, SMALL, "latency", "energy", points=5, bound=True, keep=keep)
    hold(front, layers)
    for point in front.points:
        assert point.solution.gap == pytest.approx(0.0, abs=1e-9)
        assert any(point.values == pytest.approx(other) for other in exact)
    assert front.points[0].values == pytest.approx(exact[0])
    assert front.points[-1].values == pytest.approx(exact[-1])


def test_uneven_points_are_those_of_solve() -> None:
    layer = [conv2d("conv", C=8, M=8, P=4, Q=4, R=3, S=3)]
    machine = dlco.hardware.generic()
    front = pareto(layer, machine, "latency", "energy", points=3, uneven=True)
    hold(front, layer)
    assert front.points[-1].values[1] == dlco.solve(layer, machine, "energy", uneven=True).value


@pytest.mark.parametrize("options", [{}, {"keep": "free"}])
def test_on_a_space_every_point_has_the_best_mappings_of_its_machine(options: dict[str, str]) -> None:
    front = pareto(TINY, SPACE, "latency", "energy", points=3, effort=QUICK, bound=True, **options)
    hold(front, TINY)
    for point in front.points:
        latency, energy = point.values
        machine = point.solution.architecture
        best = dlco.solve(TINY, machine, "energy", Budget(latency_s=latency * (1 + 1e-9)), imperfect=False, **options)
        assert energy == pytest.approx(best.value, rel=1e-9)
        if point.solution.lower_bound is not None:
            assert point.solution.lower_bound <= energy * (1 + 1e-9)


def test_power_chooses_among_bypasses_too() -> None:
    stated, free = (pareto(TINY, SMALL, points=2, effort=QUICK, keep=keep) for keep in ("stated", "free"))
    hold(free, TINY)
    assert any(
        mine.values[1] < other.values[1]
        for mine in free.points
        for other in stated.points
        if mine.values[0] <= other.values[0]
    )


def test_an_interrupt_of_the_layers_fronts_leaves_both_ends() -> None:
    def stop(progress: Progress) -> None:
        if progress.done >= 0:
            raise KeyboardInterrupt

    front = pareto(TINY, SMALL, "latency", "energy", points=4, bound=True, progress=stop)
    assert front.status == "interrupted"
    assert front.points
    for point in front.points:
        assert point.solution.lower_bound <= point.solution.value
