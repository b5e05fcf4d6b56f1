"""Networks simulated: their table, their totals, and `Solution.simulate`."""

import pytest

from dlco.design.budget import Budget
from dlco.design.network_cost import evaluate_network
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware import generic
from dlco.mapping import Mapping
from dlco.simulate import Density, TimingModel, simulate
from dlco.workload import conv2d

DIMS = ("C", "M", "R", "S", "N", "P", "Q")
ONES = (1,) * 7


def mapped(P: int) -> Mapping:
    return Mapping(
        dimensions=DIMS,
        levels=("RegisterFile", "GlobalBuffer", "DRAM"),
        temporal=((1, 1, 3, 3, 1, 1, 1), ONES, (1, 1, 1, 1, 1, P, 6)),
        spatial_x=(ONES, (4, 1, 1, 1, 1, 1, 1), ONES),
        spatial_y=(ONES, (1, 8, 1, 1, 1, 1, 1), ONES),
        order=(DIMS,) * 3,
        spatial_order=(DIMS,) * 3,
        bypass=(frozenset(),) * 3,
    )


@pytest.fixture(scope="module")
def solution() -> Solution:
    rows = (("conv1", 6, 1), ("conv2", 3, 2))
    layers = tuple(conv2d(name, C=4, M=8, P=P, Q=6, R=3, S=3, count=n) for name, P, n in rows)
    machine, mappings = generic(), {"conv1": mapped(6), "conv2": mapped(3)}
    costs, cost = evaluate_network(layers, machine, mappings)
    return Solution("solved", "all limits hold", "edp", Budget(), 0, layers, machine, mappings, costs, cost)


def test_a_solution_is_simulated_beside_its_own_cycles(solution: Solution) -> None:
    found = solution.simulate()
    first, second = found.layers
    assert found.cycles == first.timing.cycles + 2 * second.timing.cycles
    assert found.analytical_cycles == solution.cost.cycles
    assert (first.analytical_cycles, first.ratio) == (
        solution.layer_costs["conv1"].cycles,
        first.timing.cycles / solution.layer_costs["conv1"].cycles,
    )
    assert first.utilization == solution.layers[0].macs / solution.architecture.macs / first.timing.cycles
    assert solution.simulate(["conv2"]).layers == (second,)
    with pytest.raises(InvalidInput, match="layer is 'conv3'; the solution has conv1, conv2"):
        solution.simulate(["conv3"])


def test_the_table_has_every_layer_and_an_explanation(solution: Solution) -> None:
    found = solution.simulate()
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["layer", "conv1", "conv2", "all"]
    assert lines[-1].startswith("conv2: ")
    assert found["conv2"].explanation in lines[-1]
    data = found.to_dict()
    one = data["layers"][0]
    parts = ("compute_cycles", "operand_cycles", "fill_cycles", "drain_cycles")
    assert sum(one[part] for part in parts) + sum(one["stall_cycles"].values()) == pytest.approx(one["cycles"])
    with pytest.raises(InvalidInput, match="layer is 'fc'; simulated were conv1, conv2"):
        found["fc"]


def test_options_reach_the_machine(solution: Solution) -> None:
    plain = solution.simulate().cycles
    assert solution.simulate(model=TimingModel(copies=1)).cycles > plain
    assert solution.simulate(model=TimingModel(dram_latency=1000.0)).cycles > plain
    sparse, dense = solution.simulate(density=Density(0.5, 0.5, 0.8)), solution.simulate()
    assert sparse["conv1"].timing.compute_cycles == pytest.approx(0.2 * dense["conv1"].timing.compute_cycles)


def test_one_layer_by_itself(solution: Solution) -> None:
    layer = solution.layers[0]
    found = simulate(layer, solution.architecture, solution.mappings["conv1"])
    assert found.layers[0].timing.cycles == solution.simulate(["conv1"]).cycles
    assert (found.ratio, found.layers[0].ratio) == (None, None)
    assert "–" in str(found)
    with pytest.raises(InvalidInput, match="mappings lack layer 'conv1'; there are none"):
        simulate(layer, solution.architecture, {})
