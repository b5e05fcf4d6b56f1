"""Cycles, energy, area and power of tiny examples that are worked out by hand."""

import pytest
import torch

from dlco.cost.arithmetic import SMOOTH
from dlco.cost.cost import Cost
from dlco.cost.model import evaluate
from dlco.hardware.architecture import Architecture, Level
from dlco.workload import conv2d, transposed_conv2d

from .cases import Block, Case, block, conv, make_case, plain


def cost(*blocks: Block, **machine: float) -> Cost:
    """Of a convolution over C, M and P under exact arithmetic."""
    case = make_case(conv(), "CMP", *blocks, **machine)
    return evaluate(case.problem, case.architecture, case.mapping)


class TestEnergy:
    """C3 inside M4, all in the outer level's loops; the inner level holds one word of each dataspace.

    Every MAC reads a weight and an input and updates an output. Weights and inputs move with every MAC; each of the 4
    outputs stays for 3 MACs, the first of which reads no partial sum, and goes to the outer level once.
    """

    @staticmethod
    def spent(block_size: int = 1, **energies: float) -> Cost:
        hardware = {"block_size": block_size, **energies}
        return cost(block(**hardware), block(t={"C": 3, "M": 4}, **hardware))

    def test_accesses(self) -> None:
        counts = self.spent().counts
        assert counts.reads.tolist() == [[12, 12, 8], [12, 12, 0]]
        assert counts.fills.tolist() == [[12, 12, 0], [0, 0, 0]]
        assert counts.updates.tolist() == [[0, 0, 12], [0, 0, 4]]
        assert counts.address_generations.tolist() == [[24, 24, 12], [12, 12, 4]]

    @pytest.mark.parametrize(
        ("energies", "expected"),
        [
            ({"read_pj": 2}, [[24, 24, 16], [24, 24, 0]]),
            ({"write_pj": 3}, [[36, 36, 0], [0, 0, 0]]),
            ({"update_pj": 5}, [[0, 0, 60], [0, 0, 20]]),
            ({"read_pj": 2, "write_pj": 3, "update_pj": 5}, [[60, 60, 76], [24, 24, 20]]),
        ],
    )
    def test_each_access_costs_its_own(self, energies: dict[str, float], expected: list[list[float]]) -> None:
        assert self.spent(**energies).access_pj.tolist() == expected

    @pytest.mark.parametrize(
        ("block_size", "reads"),
        [
            (4, [[3, 3, 2], [3, 3, 0]]),
            (5, [[3, 3, 2], [3, 3, 0]]),
            (7, [[2, 2, 2], [2, 2, 0]]),
            (100, [[1, 1, 1], [1, 1, 0]]),
        ],
    )
    def test_blocks_are_whole(self, block_size: int, reads: list[list[float]]) -> None:
        assert self.spent(block_size, read_pj=1).access_pj.tolist() == reads

    def test_blocks_of_reads_fills_and_updates_round_up_separately(self) -> None:
        spent = self.spent(8, read_pj=1, write_pj=10, update_pj=100)
        assert spent.access_pj.tolist() == [[2 + 20, 2 + 20, 1 + 200], [2, 2, 100]]

    def test_blocks_round_up_in_every_instance(self) -> None:
        four = cost(block(block_size=8, write_pj=1), block(x={"M": 4}, t={"C": 3}))  # each fills 3 weights, 3 inputs
        assert four.access_pj.tolist() == [[4, 4, 0], [0, 0, 0]]

    def test_smooth_blocks_may_be_fractions(self) -> None:
        case = make_case(conv(), "CM", block(block_size=8, read_pj=1), block(t={"C": 3, "M": 4}))
        smooth = evaluate(case.problem, case.architecture, case.mapping, arithmetic=SMOOTH)
        assert smooth.access_pj[0].tolist() == [1.5, 1.5, 1]

    def test_total_is_the_sum_of_its_parts(self) -> None:
        spent = cost(block(read_pj=1, leak_pj=0.5), block(t={"C": 3, "M": 4}, update_pj=2, leak_pj=0.25), mac_pj=0.125)
        assert spent.access_pj.tolist() == [[12, 12, 8], [0, 0, 8]]
        assert spent.leak_pj.tolist() == [6, 3]
        assert float(spent.mac_pj) == 1.5
        assert float(spent.energy_pj) == 40 + 9 + 1.5

    def test_macs_cost_the_same_in_time_as_in_space(self) -> None:
        for blocks in ((block(x={"M": 4}, t={"C": 3}),), (block(t={"M": 4}), block(y={"C": 3}))):
            assert float(cost(*blocks, mac_pj=2).mac_pj) == 24


class TestLeakage:
    def test_instances_in_use_leak_over_all_cycles(self) -> None:
        spent = cost(block(leak_pj=0.5), block(x={"M": 4}, t={"P": 6}, leak_pj=0.25, fanout_x=16), block(leak_pj=1))
        assert spent.leak_pj.tolist() == [0.5 * 4 * 6, 0.25 * 6, 6]  # 4 of 16 are in use

    def test_throttled_cycles_leak_too(self) -> None:
        spent = cost(block(leak_pj=1), block(t={"C": 3, "M": 4}, read_bandwidth=1))
        assert spent.cycles == 24
        assert spent.leak_pj.tolist() == [24, 0]

    def test_unused_level_leaks(self) -> None:
        spent = cost(block(), block(leak_pj=0.5, bypass="Weights Inputs Outputs"), block(t={"P": 6}))
        assert spent.leak_pj.tolist() == [0, 3, 0]


class TestCycles:
    """The nest of `TestEnergy`: 12 MACs; the outer level reads 24 words and is updated with 4."""

    @pytest.mark.parametrize(
        ("bandwidths", "cycles"),
        [
            ({}, 12),
            ({"read_bandwidth": 2}, 12),
            ({"read_bandwidth": 1}, 24),
            ({"read_bandwidth": 0.7}, 35),  # 34.3
            ({"write_bandwidth": 1}, 12),
            ({"write_bandwidth": 0.25}, 16),
            ({"shared_bandwidth": 2}, 14),
            ({"shared_bandwidth": 3}, 12),
            ({"shared_bandwidth": 1.5}, 19),  # 18.7
            ({"read_bandwidth": 1, "write_bandwidth": 0.125, "shared_bandwidth": 2}, 32),
            ({"read_bandwidth": 1, "write_bandwidth": 0.5, "shared_bandwidth": 1}, 28),
        ],
    )
    def test_outer_level(self, bandwidths: dict[str, float], cycles: int) -> None:
        spent = cost(block(), block(t={"C": 3, "M": 4}, **bandwidths))
        assert spent.level_cycles.tolist() == [12, cycles]
        assert float(spent.cycles) == cycles

    @pytest.mark.parametrize(
        ("bandwidths", "cycles"),
        [
            ({"read_bandwidth": 2}, 16),  # 32 reads
            ({"write_bandwidth": 2}, 18),  # 24 fills and 12 updates
            ({"shared_bandwidth": 4}, 17),  # all 68
        ],
    )
    def test_inner_level(self, bandwidths: dict[str, float], cycles: int) -> None:
        assert cost(block(**bandwidths), block(t={"C": 3, "M": 4})).level_cycles.tolist() == [cycles, 12]

    def test_each_port_has_its_own_need(self) -> None:
        ports = {"read_bandwidth": 0.75, "write_bandwidth": 0.5, "shared_bandwidth": 8}
        spent = cost(block(), block(t={"C": 3, "M": 4}, **ports))
        expected = torch.tensor([[0, 0, 0], [24 / 0.75, 4 / 0.5, 28 / 8]], dtype=torch.float64)
        torch.testing.assert_close(spent.port_cycles, expected)

    def test_bandwidth_is_that_of_one_instance(self) -> None:
        one = cost(block(t={"P": 6}, read_bandwidth=1), block(x={"M": 4}))
        assert one.level_cycles.tolist() == [6 + 6 + 0, 6]  # reads of weights and inputs; outputs are visited once

    def test_the_slowest_level_decides(self) -> None:
        spent = cost(block(read_bandwidth=2), block(t={"C": 3, "M": 4}, read_bandwidth=1))
        assert spent.level_cycles.tolist() == [16, 24]
        assert spent.cycles == 24

    def test_blocks_do_not_widen_a_port(self) -> None:
        assert cost(block(), block(t={"C": 3, "M": 4}, read_bandwidth=1, block_size=8)).cycles == 24


class TestMachineTotals:
    def arrangement(self) -> Case:
        """4 x 3 of 8 x 4 register files in use, 2 of 2 MACs each; 144 MACs in 6 cycles."""
        return make_case(
            conv(),
            "CMP",
            block(x={"P": 2}, area_um2=10),
            block(x={"M": 4}, y={"C": 3}, t={"P": 6}, area_um2=1000, fanout_x=8, fanout_y=4),
            block(),
            mac_pj=1,
            mac_area_um2=5,
            cycle_s=2e-9,
        )

    def cost(self) -> Cost:
        case = self.arrangement()
        return evaluate(case.problem, case.architecture, case.mapping)

    def test_utilization_is_of_all_macs(self) -> None:
        assert float(self.cost().utilization) == 144 / (64 * 6)

    def test_utilization_falls_with_stalls(self) -> None:
        spent = cost(block(), block(t={"C": 3, "M": 4}, read_bandwidth=1))
        assert float(spent.utilization) == 0.5

    def test_area_is_that_of_all_instances(self) -> None:
        assert float(self.cost().area_mm2) == pytest.approx((1000 + 32 * 10 + 64 * 5) * 1e-6, rel=1e-12)
        assert self.arrangement().architecture.area_mm2 == pytest.approx(float(self.cost().area_mm2), rel=1e-12)

    def test_latency_power_and_edp(self) -> None:
        spent = self.cost()
        assert float(spent.energy_pj) == 144
        assert float(spent.latency_s) == pytest.approx(12e-9, rel=1e-12)
        assert float(spent.power_w) == pytest.approx(144e-12 / 12e-9, rel=1e-12)
        assert float(spent.edp) == 144 * 6

    def test_instances_in_use(self) -> None:
        counts = self.cost().counts
        assert counts.instances.tolist() == [12, 1, 1]
        assert counts.macs_in_use.tolist() == 24


def test_layer_is_counted_once() -> None:
    case = make_case(conv(), "CMP", block(), block(t={"C": 3, "M": 4}), mac_pj=1)
    many = conv2d("layer", C=3, M=4, P=1, Q=1, R=1, S=1, count=7)
    assert evaluate(many, case.architecture, case.mapping).energy_pj == 12


def test_single_level() -> None:
    machine = Architecture((Level("memory", read_pj=1, update_pj=1),))
    case = make_case(conv(), "CM", block(t={"C": 3, "M": 4}), block())
    one = case.mapping.batch()
    single = type(one)(
        one.dimensions, ("memory",), (frozenset(),), one.factors[:1], one.order[:1], one.spatial_order[:1]
    )
    spent = evaluate(case.problem, machine, single)
    assert spent.counts.reads.tolist() == [[12, 12, 8]]
    assert torch.equal(spent.energy_pj, torch.tensor(12.0 + 12 + 8 + 12 + 12, dtype=torch.float64))


def test_a_single_mac_reads_its_operands() -> None:
    spent = cost(block(read_pj=1, write_pj=1, update_pj=1), block(read_pj=10, update_pj=10))
    assert spent.counts.reads.tolist() == [[1, 1, 0], [1, 1, 0]]
    assert spent.access_pj.tolist() == [[2, 2, 1], [10, 10, 10]]
    assert spent.cycles == 1


def test_outputs_with_gaps_are_never_read_before_they_are_written() -> None:
    upsample = plain(transposed_conv2d)((3, 3), (1, 1))  # writes 4 x 4 of 10 x 10 words, each once
    case = make_case(upsample, "CMRSNHW", block(read_pj=1, update_pj=1), block(t={"H": 4, "W": 4}, update_pj=1))
    spent = evaluate(case.problem, case.architecture, case.mapping)
    assert spent.access_pj.tolist() == [[16, 16, 16], [0, 0, 16]]
