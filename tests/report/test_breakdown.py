"""The numbers behind the pictures, against the executed loop nest and closed forms."""

from dataclasses import replace
from math import ceil, inf, prod

import pytest

from dlco.design.network_cost import evaluate_network
from dlco.design.solution import Solution
from dlco.report.breakdown import breakdowns, dataspaces
from dlco.simulate import count_accesses


def limited(solution: Solution) -> Solution:
    """The same mappings where every level has ports, DRAM's so slow that it sets the cycles."""
    ports = ((2.0, 2.0, inf), (inf, inf, 3.0), (0.5, 0.25, inf))
    levels = tuple(
        replace(level, read_bandwidth=read, write_bandwidth=write, shared_bandwidth=shared)
        for level, (read, write, shared) in zip(solution.architecture.levels, ports, strict=True)
    )
    machine = replace(solution.architecture, levels=levels)
    costs, cost = evaluate_network(solution.layers, machine, solution.mappings)
    return replace(solution, architecture=machine, layer_costs=costs, cost=cost)


def test_the_parts_are_the_solutions_costs(solution):
    for layer, row in zip(solution.layers, breakdowns(solution), strict=True):
        cost = solution.layer_costs[layer.name]
        assert (row.name, row.count, row.macs) == (layer.name, layer.count, layer.macs)
        assert row.cycles == cost.cycles
        for level, spaces in row.energy_pj.items():
            assert sum(spaces.values()) == pytest.approx(cost.level_pj[level])
        accesses = sum(sum(spaces.values()) for spaces in row.energy_pj.values())
        assert accesses + row.mac_pj + row.wire_pj + row.leak_pj == pytest.approx(cost.energy_pj)
        assert row.spatial * row.temporal == pytest.approx(cost.utilization)


def test_macs_in_use_and_steps_are_the_mappings_factors(solution):
    for layer, row in zip(solution.layers, breakdowns(solution), strict=True):
        mapping = solution.mappings[layer.name]
        across = prod(n for table in (mapping.spatial_x, mapping.spatial_y) for level in table for n in level)
        assert row.spatial == across / solution.architecture.macs
        assert row.compute_cycles == prod(n for level in mapping.temporal for n in level) == layer.macs / across
        assert row.ideal_cycles == layer.macs / solution.architecture.macs


def test_bandwidth_bounds_are_those_of_the_executed_words(solution):
    slow = limited(solution)
    for layer, row in zip(slow.layers, breakdowns(slow), strict=True):
        counts = count_accesses(layer.problem, slow.architecture, slow.mappings[layer.name])
        for i, level in enumerate(slow.architecture.levels):
            reads, writes = sum(counts.reads[i]), sum(counts.fills[i]) + sum(counts.updates[i])
            needs = (
                reads / level.read_bandwidth,
                writes / level.write_bandwidth,
                (reads + writes) / level.shared_bandwidth,
            )
            assert ceil(row.level_cycles[level.name]) == ceil(max(needs))
        assert row.cycles == ceil(max(row.compute_cycles, *row.level_cycles.values()))
        assert row.cycles == slow.layer_costs[layer.name].cycles
        assert row.bound_by == "DRAM"


def with_ports(solution: Solution, read: float, write: float, shared: float) -> Solution:
    """The same mappings where every level has these ports."""
    levels = tuple(
        replace(level, read_bandwidth=read, write_bandwidth=write, shared_bandwidth=shared)
        for level in solution.architecture.levels
    )
    machine = replace(solution.architecture, levels=levels)
    costs, cost = evaluate_network(solution.layers, machine, solution.mappings)
    return replace(solution, architecture=machine, layer_costs=costs, cost=cost)


@pytest.mark.parametrize("ports", [(1000.0, 250.0, inf), (inf, inf, 500.0), (4000.0, inf, 800.0)])
def test_bounds_below_the_cycles_are_those_of_the_executed_words_too(solution, ports):
    fast = with_ports(solution, *ports)
    for layer, row in zip(fast.layers, breakdowns(fast), strict=True):
        counts = count_accesses(layer.problem, fast.architecture, fast.mappings[layer.name])
        for i, level in enumerate(fast.architecture.levels):
            reads, writes = sum(counts.reads[i]), sum(counts.fills[i]) + sum(counts.updates[i])
            needs = (reads / ports[0], writes / ports[1], (reads + writes) / ports[2])
            assert row.level_cycles[level.name] == pytest.approx(max(needs))
        assert (row.bound_by, row.cycles) == ("compute", row.compute_cycles)


def test_a_level_as_slow_as_the_macs_does_not_set_the_cycles(solution):
    """A register file that moves the 3 words of each step in just that step."""
    even = with_ports(solution, inf, inf, inf)
    levels = (replace(even.architecture.levels[0], write_bandwidth=3.0), *even.architecture.levels[1:])
    costs, cost = evaluate_network(even.layers, machine := replace(even.architecture, levels=levels), even.mappings)
    row = breakdowns(replace(even, architecture=machine, layer_costs=costs, cost=cost))[0]
    assert (row.level_cycles, row.compute_cycles) == ({"RegisterFile": 108.0}, 108.0)
    assert row.bound_by == "compute"


def test_a_level_of_one_word_is_full_with_one(solution):
    names = frozenset({"Inputs", "Outputs"})
    mapping = replace(solution.mappings["conv1"], bypass=(names, frozenset(), frozenset()))
    levels = (replace(solution.architecture.levels[0], capacity=1.0), *solution.architecture.levels[1:])
    machine = replace(solution.architecture, levels=levels)
    costs, cost = evaluate_network(solution.layers[:1], machine, {"conv1": mapping})
    one = replace(solution, layers=solution.layers[:1], architecture=machine, mappings={"conv1": mapping})
    (row,) = breakdowns(replace(one, layer_costs=costs, cost=cost))
    assert row.filled["RegisterFile"] == 1.0


def test_levels_without_ports_or_room_are_left_out(solution):
    bare = replace(
        solution.architecture,
        levels=tuple(
            replace(level, capacity=inf, read_bandwidth=inf, write_bandwidth=inf, shared_bandwidth=inf)
            for level in solution.architecture.levels
        ),
    )
    costs, cost = evaluate_network(solution.layers, bare, solution.mappings)
    for row in breakdowns(replace(solution, architecture=bare, layer_costs=costs, cost=cost)):
        assert (row.level_cycles, row.filled, row.bound_by) == ({}, {}, "compute")
        assert row.cycles == row.compute_cycles


def test_buffers_are_filled_with_the_mapped_tiles(solution):
    row = breakdowns(solution)[0]  # C4 M8 Q3 side by side: 4 x 8 weights, 4 x 3 inputs and 8 x 3 outputs at once
    buffer = solution.architecture.level("GlobalBuffer")
    assert row.filled["GlobalBuffer"] * buffer.capacity == 4 * 8 + 4 * 3 + 8 * 3
    assert row.filled["RegisterFile"] * solution.architecture.level("RegisterFile").capacity == 3
    assert "DRAM" not in row.filled


def test_dataspaces_are_those_of_all_layers(solution):
    assert dataspaces(breakdowns(solution)) == ("Weights", "Inputs", "Outputs")


def test_tiles_cut_short_leave_macs_idle(solution):
    layer, mapping = solution.layers[0], solution.mappings["conv1"]
    q = mapping.dimensions.index("Q")

    def put(table: tuple[tuple[int, ...], ...], level: int, n: int) -> tuple[tuple[int, ...], ...]:
        row = (*table[level][:q], n, *table[level][q + 1 :])
        return (*table[:level], row, *table[level + 1 :])

    # Q = 6 as 4 side by side, twice: the second time 2 of the 4 idle
    cut = replace(mapping, spatial_x=put(mapping.spatial_x, 1, 4), temporal=put(mapping.temporal, 2, 2))
    costs, cost = evaluate_network((layer,), solution.architecture, {"conv1": cut})
    one = replace(
        solution,
        layers=(layer,),
        mappings={"conv1": cut},
        layer_costs=costs,
        cost=cost,
        imperfect=True,
        objective="edp",
    )
    (row,) = breakdowns(one)
    assert row.compute_cycles == layer.macs / (4 * 8 * 3)  # the busiest works as often as with 3 side by side
    assert row.spatial * solution.architecture.macs == pytest.approx(4 * 8 * 3)  # 3 of 4 on average
    assert row.spatial * row.temporal == pytest.approx(costs["conv1"].utilization)
    assert row.cycles == costs["conv1"].cycles
    assert max(row.compute_cycles, *row.level_cycles.values()) == pytest.approx(row.cycles, abs=1)
