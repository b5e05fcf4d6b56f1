"""Timeloop's printed numbers: one large worked example, and small cases that each show one mechanism."""

import pytest

from dlco.cost.cost import Cost
from dlco.cost.model import evaluate
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.mapping.tiles import tile_words

from .cases import Case, block, conv, make_case

TIMELOOP = CountingRules("timeloop")
OVERLAP = CountingRules("overlap")


class Counted:
    """Accesses of a case by level and dataspace: `counted.reads("GLB", "Inputs")`."""

    def __init__(self, case: Case, rules: CountingRules = TIMELOOP) -> None:
        self.case = case
        self.cost: Cost = evaluate(case.problem, case.architecture, case.mapping, rules)

    def _entry(self, table: str, level: str, space: str) -> float:
        spaces = [s.name for s in self.case.problem.dataspaces]
        return float(getattr(self.cost.counts, table)[self.case.architecture.index(level), spaces.index(space)])

    def reads(self, level: str, space: str) -> float:
        return self._entry("reads", level, space)

    def fills(self, level: str, space: str) -> float:
        return self._entry("fills", level, space)

    def updates(self, level: str, space: str) -> float:
        return self._entry("updates", level, space)

    def partition(self, level: str, space: str) -> float:
        return self._entry("partition", level, space)


def worked_example() -> Case:
    """C16 M32 R3 S3 P16 Q16 on 64 register files; Weights bypass the global buffer."""
    return make_case(
        conv(),
        "CMRSPQ",
        block(t={"R": 3, "S": 3, "C": 4}, read_pj=0.9, write_pj=1.1, update_pj=1.1),
        block(
            t={"Q": 16, "C": 4, "M": 2},
            x={"P": 8},
            y={"M": 8},
            bypass="Weights",
            block_size=4,
            read_pj=20.0,
            write_pj=24.0,
            update_pj=24.0,
            leak_pj=0.5,
        ),
        block(t={"P": 2, "M": 2}),
    )


@pytest.mark.parametrize("rules", [TIMELOOP, TIMELOOP_RULES], ids=["no links", "links"])
class TestWorkedExample:
    @pytest.fixture
    def counted(self, rules: CountingRules) -> Counted:
        return Counted(worked_example(), rules)

    def test_cycles(self, counted: Counted) -> None:
        assert counted.cost.cycles == 18432

    def test_weights_go_from_dram_to_the_register_files(self, counted: Counted) -> None:
        assert counted.fills("RF", "Weights") == 1152
        assert counted.reads("GLB", "Weights") == counted.fills("GLB", "Weights") == 0
        assert counted.reads("DRAM", "Weights") == 9216

    def test_inputs_slide(self, counted: Counted) -> None:
        assert counted.fills("RF", "Inputs") == 6912
        assert counted.reads("GLB", "Inputs") == 55296
        assert counted.fills("GLB", "Inputs") == counted.reads("DRAM", "Inputs") == 10368
        assert counted.partition("RF", "Inputs") == 1555

    def test_outputs_are_read_but_for_their_first_visit(self, counted: Counted) -> None:
        outputs = [(counted.updates(lv, "Outputs"), counted.reads(lv, "Outputs")) for lv in ("RF", "GLB", "DRAM")]
        assert outputs == [(18432, 18432 - 128), (32768, 24576), (8192, 0)]
        assert [counted.fills(lv, "Outputs") for lv in ("RF", "GLB", "DRAM")] == [384, 0, 0]

    def test_energy_counts_whole_blocks_of_all_instances(self, counted: Counted) -> None:
        access = counted.cost.access_pj
        assert float(access[1, 1]) == 338688
        assert float(access[0, 2]) == pytest.approx(2378956.8, rel=1e-12)
        assert counted.cost.leak_pj.tolist() == [0, 9216, 0]


class TestTemporalReuse:
    def test_innermost_irrelevant_loop_leaves_weights_in_place(self) -> None:  # E1
        counted = Counted(make_case(conv(), "CMP", block(t={"M": 2}), block(t={"P": 4, "C": 3}), block()))
        assert counted.fills("RF", "Weights") == 6
        assert counted.fills("RF", "Inputs") == 12
        assert counted.fills("RF", "Outputs") == 24 - 8
        assert (counted.updates("GLB", "Outputs"), counted.reads("GLB", "Outputs")) == (24, 16)

    def test_innermost_reduction_leaves_outputs_in_place(self) -> None:  # E1, the loops exchanged
        counted = Counted(make_case(conv(), "CMP", block(t={"M": 2}), block(t={"C": 3, "P": 4}), block()))
        assert counted.fills("RF", "Weights") == 24
        assert counted.fills("RF", "Outputs") == 0
        assert (counted.updates("GLB", "Outputs"), counted.reads("GLB", "Outputs")) == (8, 0)


class TestSlidingWindows:
    """Words of Inputs that the register file is filled with."""

    @staticmethod
    def filled(*blocks: dict[str, int], rules: CountingRules) -> float:
        case = make_case(conv(), "CRP", *(block(t=sizes) for sizes in blocks))
        return Counted(case, rules).fills("RF", "Inputs")

    @pytest.mark.parametrize("rules", [TIMELOOP, OVERLAP])
    def test_each_step_brings_the_new_rows(self, rules: CountingRules) -> None:  # E2a
        assert self.filled({"R": 3, "P": 2}, {"P": 6}, {}, rules=rules) == 4 + 5 * 2

    def test_every_pass_starts_anew(self) -> None:  # E2b
        assert self.filled({"R": 3, "P": 2}, {"P": 6, "C": 5}, {}, rules=TIMELOOP) == 70

    @pytest.mark.parametrize(("rules", "words"), [(TIMELOOP, 16), (OVERLAP, 14), (CountingRules(), 16)])
    def test_halo_at_a_step_of_the_next_level(self, rules: CountingRules, words: int) -> None:  # E2c
        assert self.filled({"R": 3, "P": 2}, {"P": 3}, {"P": 2}, rules=rules) == words

    @pytest.mark.parametrize(("rules", "words"), [(TIMELOOP, 14), (OVERLAP, 14), (CountingRules(), 18)])
    def test_halo_where_the_next_level_steps_alike(self, rules: CountingRules, words: int) -> None:  # E2d
        assert self.filled({"R": 3, "P": 2}, {"P": 2}, {"P": 3}, rules=rules) == words

    @pytest.mark.parametrize(("rules", "words"), [(TIMELOOP, 13), (OVERLAP, 18), (CountingRules(), 18)])
    def test_restart_that_looks_stationary(self, rules: CountingRules, words: int) -> None:  # E2e
        assert self.filled({}, {"R": 3, "P": 6}, {}, rules=rules) == words

    @pytest.mark.parametrize("rules", [TIMELOOP, OVERLAP, CountingRules()])
    def test_stride_skips_the_gap_between_tiles(self, rules: CountingRules) -> None:  # E2g
        case = make_case(conv((3, 3)), "RP", block(t={"R": 2, "P": 2}), block(t={"P": 3}), block())
        assert tile_words(case.problem, case.mapping)["GLB"]["Inputs"] == 17
        counted = Counted(case, rules)
        assert counted.cost.counts.tile[:2, 1].tolist() == [5, 17]
        assert counted.fills("RF", "Inputs") == 15


class TestSpatialReuse:
    def test_inputs_are_multicast_over_output_channels(self) -> None:  # E4
        counted = Counted(make_case(conv(), "CMP", block(), block(x={"M": 4}, t={"P": 3, "C": 2}), block()))
        assert counted.reads("GLB", "Inputs") == counted.fills("RF", "Inputs") == 6
        assert counted.reads("GLB", "Weights") == 4 * counted.fills("RF", "Weights") == 8
        assert counted.updates("GLB", "Outputs") == 4 * 6

    def test_outputs_are_reduced_over_input_channels(self) -> None:  # E5
        counted = Counted(make_case(conv(), "CP", block(), block(x={"C": 4}, t={"P": 6}), block()))
        assert counted.updates("RF", "Outputs") == 6
        assert counted.updates("GLB", "Outputs") == 6
        assert counted.cost.counts.instances.tolist() == [4, 1, 1]

    def test_halos_of_neighbours_are_not_shared(self) -> None:  # E6
        counted = Counted(make_case(conv(), "CRP", block(t={"R": 3}), block(x={"P": 4}, t={"C": 2}), block()))
        assert counted.reads("GLB", "Inputs") == 24

    def test_diagonals_of_a_row_stationary_array_are_shared(self) -> None:  # E7
        counted = Counted(make_case(conv(), "CRP", block(), block(x={"P": 4}, y={"R": 3}, t={"C": 6}), block()))
        assert counted.reads("GLB", "Inputs") == 6 * 6

    def test_what_a_level_bypasses_flows_through_it(self) -> None:  # E10c
        counted = Counted(
            make_case(conv(), "CMP", block(), block(x={"P": 4}, t={"M": 12, "C": 2}, bypass="Outputs"), block())
        )
        assert counted.updates("DRAM", "Outputs") == 96
        assert counted.reads("DRAM", "Outputs") == 96 - 48


class TestNeighbourForwarding:
    @pytest.mark.parametrize(
        ("rules", "buffer_reads", "register_reads"), [(TIMELOOP_RULES, 6, 5), (TIMELOOP, 12, 3)], ids=["links", "none"]
    )
    def test_sliding_inputs_come_from_the_neighbour(
        self, rules: CountingRules, buffer_reads: int, register_reads: int
    ) -> None:  # E8: 6 link transfers over 4 register files, 3 + 6/4 reads each, rounded
        case = make_case(conv(), "RP", block(), block(x={"P": 4}, t={"R": 3}), block())
        counted = Counted(case, rules)
        assert counted.reads("GLB", "Inputs") == buffer_reads
        assert counted.reads("RF", "Inputs") == register_reads

    @pytest.mark.parametrize(("rules", "reads"), [(TIMELOOP_RULES, 2), (TIMELOOP, 6)], ids=["links", "none"])
    def test_stationary_operands_of_several_macs_are_read_once(self, rules: CountingRules, reads: int) -> None:  # E9c
        case = make_case(conv(), "CPQ", block(x={"P": 4}, t={"Q": 3, "C": 2}), block())
        assert Counted(case, rules).reads("RF", "Weights") == reads


@pytest.mark.parametrize("rules", [TIMELOOP, TIMELOOP_RULES], ids=["no links", "links"])
def test_bandwidths_and_leakage(rules: CountingRules) -> None:  # E11
    case = make_case(
        conv(),
        "CMP",
        block(leak_pj=0.01),
        block(x={"M": 4}, t={"P": 6, "C": 3}, read_bandwidth=2, write_bandwidth=1, leak_pj=0.25),
        block(read_bandwidth=1, write_bandwidth=1),
    )
    counted = Counted(case, rules)
    spaces = ("Weights", "Inputs", "Outputs")
    assert [counted.fills("GLB", space) for space in spaces] == [12, 18, 0]
    assert counted.updates("GLB", "Outputs") == 72
    assert sum(counted.reads("GLB", space) for space in spaces) == 78
    assert sum(counted.reads("DRAM", space) for space in spaces) == 30
    assert counted.cost.level_cycles.tolist() == [18, 102, 30]
    assert counted.cost.cycles == 102
    assert counted.cost.leak_pj.tolist() == pytest.approx([4.08, 25.5, 0], rel=1e-12)
