"""Other nodes and DRAMs against what their sources print."""

from dataclasses import replace
from math import inf

import pytest

import dlco
from dlco.errors import InvalidInput
from dlco.hardware import DRAM_KINDS, TECHNOLOGY_45NM, eyeriss_space, generic, generic_space, get_technology, with_dram
from dlco.hardware.nodes import NODES, TABLE, node_scaling, nominal_vdd

BY_NM = {node.nm: node for node in TABLE}


def test_the_worked_example_of_the_paper_s_corrigendum():
    assert BY_NM[32].energy_at(0.9) == pytest.approx(0.4571, abs=5e-5)
    assert BY_NM[65].energy_at(1.3) == pytest.approx(2.604, abs=5e-4)
    assert BY_NM[32].energy_at(0.9) / BY_NM[65].energy_at(1.3) == pytest.approx(0.1755, abs=1e-4)


def test_smaller_nodes_cost_less_and_the_base_is_the_fit():
    scalings = [node_scaling(nm) for nm in NODES]
    assert [s.energy for s in scalings] == sorted((s.energy for s in scalings), reverse=True)
    assert [s.area for s in scalings] == sorted((s.area for s in scalings), reverse=True)
    assert get_technology("45nm") is TECHNOLOGY_45NM
    assert node_scaling(32).area > node_scaling(28).area > node_scaling(20).area


@pytest.mark.parametrize("nm", NODES)
def test_a_lower_voltage_costs_less_energy_and_is_slower(nm):
    nominal = nominal_vdd(nm)
    low, high = node_scaling(nm, 0.75 * nominal), node_scaling(nm)
    assert low.energy < high.energy
    assert low.delay > high.delay
    assert low.area == high.area


def test_a_technology_scales_every_cost_by_its_factor():
    base, other, scaling = TECHNOLOGY_45NM, get_technology("16nm", vdd=0.7), node_scaling(16, 0.7)
    for kind in ("SRAM", "regfile"):
        one, two = base.memory(kind, 4096, 16, 4), other.memory(kind, 4096, 16, 4)
        assert float(two.read_pj / one.read_pj) == pytest.approx(scaling.energy)
        assert float(two.write_pj / one.write_pj) == pytest.approx(scaling.energy)
        assert float(two.leak_pj / one.leak_pj) == pytest.approx(scaling.energy)
        assert float(two.area_um2 / one.area_um2) == pytest.approx(scaling.area)
    assert float(other.mac(8).pj / base.mac(8).pj) == pytest.approx(scaling.energy)
    assert float(other.dram().read_pj) == float(base.dram().read_pj)


def test_leakage_counts_by_the_clock_and_slow_gates_slow_it():
    fast, slow = get_technology("45nm"), get_technology("45nm", cycle_s=2e-9)
    leak = [float(tech.sram(4096).leak_pj) for tech in (fast, slow)]
    assert leak[1] == pytest.approx(2 * leak[0])
    assert get_technology("65nm").cycle_s == pytest.approx(1e-9 * node_scaling(65).delay)
    assert get_technology("7nm").cycle_s == 1e-9
    assert dlco.hardware.eyeriss_like(get_technology("65nm")).cycle_s == get_technology("65nm").cycle_s


def test_a_design_at_seven_nanometres_is_smaller_and_takes_less_energy():
    small = generic(get_technology("7nm"))
    layer = dlco.matmul("mm", M=64, K=64, N=64)
    assert small.area_mm2 == pytest.approx(generic().area_mm2 * 0.059)
    energies = [dlco.solve([layer], machine, "energy").cost.energy_j for machine in (generic(), small)]
    assert energies[1] < energies[0]


def test_another_dram_has_its_energy_and_its_shared_bandwidth():
    machine = with_dram(generic(), "HBM2", channels=2)
    dram = machine.level("DRAM")
    assert dram.read_pj == pytest.approx(3.9 * 16 * dram.block_size)
    assert (dram.read_bandwidth, dram.write_bandwidth) == (inf, inf)
    assert dram.shared_bandwidth == pytest.approx(2 * 256 / 2)  # words of two bytes in a nanosecond
    layer = dlco.matmul("mm", M=256, K=16, N=256)
    slow = dlco.solve([layer], with_dram(generic(), "DDR3"), "latency")
    fast = dlco.solve([layer], machine, "latency")
    assert fast.cost.latency_s < slow.cost.latency_s
    assert with_dram(generic_space(), "LPDDR5").base == with_dram(generic_space().base, "LPDDR5")
    assert TECHNOLOGY_45NM.dram_pj_per_bit == tuple((name, kind.pj_per_bit) for name, kind in DRAM_KINDS.items())


def test_what_has_no_table_is_refused():
    with pytest.raises(InvalidInput, match=r"vdd of 16 nm is 1.2; it must be from 0.595 to 0.85 V"):
        get_technology("16nm", vdd=1.2)
    with pytest.raises(InvalidInput, match="vdd is 'high'"):
        get_technology("16nm", vdd="high")
    with pytest.raises(InvalidInput, match="cycle_s is 0"):
        get_technology("16nm", cycle_s=0)
    with pytest.raises(InvalidInput, match="are ratios, of no voltage"):
        get_technology("eyeriss-normalised", vdd=1.0)
    with pytest.raises(InvalidInput, match="technology node is 5; allowed, in nm: 65, 45"):
        node_scaling(5)
    with pytest.raises(InvalidInput, match="kind of DRAM is 'DDR9'; allowed: LPDDR4"):
        with_dram(generic(), "DDR9")
    with pytest.raises(InvalidInput, match="channels is 0"):
        with_dram(generic(), "DDR3", 0)
    with pytest.raises(InvalidInput, match="is 'SRAM'; it must be DRAM"):
        with_dram(replace(generic(), levels=generic().levels[:-1]), "DDR3")
    space = eyeriss_space()
    free = replace(space, parameters=(*space.parameters, dlco.hardware.Parameter("DRAM", "bandwidth", (1, 2))))
    with pytest.raises(InvalidInput, match=r"DRAM.bandwidth is free"):
        with_dram(free, "DDR3")
