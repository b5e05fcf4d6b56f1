"""Timeloop's imperfect factors (M=4,3) and the last cycle: read, written, and counted as timeloop-model counts."""

import re
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings

import dlco
from dlco import timeloop
from dlco.cost.model import evaluate
from dlco.errors import InvalidInput, InvalidMapping, NotSupported
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.checks import check_mapping, is_imperfect
from dlco.mapping.mapping import Mapping
from dlco.mapping.rules import TIMELOOP_RULES
from dlco.timeloop.case import find_cases
from dlco.workload import Problem

from ..cost.cases import Case
from ..cost.test_executed import chains


def case_text(folder: Path, *edits: tuple[str, str]) -> tuple[Problem, Architecture, str]:
    """Problem and machine of a case, and the text of its mapping after some edits."""
    problem = timeloop.read_problem(folder / "problem.yaml")
    architecture = timeloop.read_architecture(folder / "arch.yaml")
    text = (folder / "mapping.yaml").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return problem, architecture, text


def test_every_printed_figure(data: Path) -> None:
    for name in ("min_spatialM4_3", "min_spatialM5_2", "min_temporalM4_3"):
        found = timeloop.compare(data / "imperfect" / name)
        assert len(found.rows) > 100
        assert found.max_relative_error == 0, name


@pytest.mark.parametrize(
    ("name", "cycles", "energy"), [("both", 720, 236706), ("spatial", 966, 1319111), ("temporal", 1296, 185160)]
)
def test_totals_that_timeloop_printed(data: Path, name: str, cycles: int, energy: int) -> None:
    folder = data / "imperfect" / name
    found = timeloop.model(*(folder / f"{part}.yaml" for part in ("arch", "problem", "mapping")))
    assert (found["cycles"], found["energy_pj"]) == (cycles, energy)


@pytest.mark.parametrize(
    ("name", "level", "cycles"),
    [
        ("any-21-45", "buf_3", 209),
        ("conv-24-87", "L3", 3415),
        ("dw-29-25", "buf_4", 1457),
        ("fan2-22-1", "L1", 3328),
        ("three-27-38", "L3", 516),
    ],
)
def test_the_last_cycle_of_a_shared_port(data: Path, name: str, level: str, cycles: int) -> None:
    """Where words over bandwidth all but come out whole, the order of additions says which way it rounds."""
    folder = data / "cycles" / name
    found = timeloop.model(*(folder / f"{part}.yaml" for part in ("arch", "problem", "mapping")))
    entry = found["levels"][level]
    steps, demand = found["compute"]["cycles"], 0.0
    for figures in (("fills", "updates"), ("reads",)):  # words a cycle: writes and reads apart, then their sum
        part = 0.0
        for space in (one for one in entry.values() if isinstance(one, dict)):
            part += sum(space[key] for key in figures) / steps
        demand += part
    architecture = timeloop.read_architecture(folder / "arch.yaml")
    bandwidth = architecture.level(level).shared_bandwidth
    assert entry["cycles"] == cycles == ceil(steps / (bandwidth / demand))


class TestReading:
    @pytest.mark.parametrize(
        "factors",
        [
            '"B=1 M=4,3 K=1 N=1"',
            '"M4,3"',
            '"M = 4,3, K=1"',
            "[B=1, M=4,3, K=1]",  # YAML takes the comma for its own
            '["B=1", "M=4,3"]',
        ],
    )
    def test_ways_to_write_a_residual(self, data: Path, factors: str) -> None:
        folder = data / "imperfect" / "min_spatialM4_3"
        problem, architecture, text = case_text(folder, ('"B=1 M=4,3 K=1 N=1"', factors))
        mapping = timeloop.read_mapping(text, problem, architecture)
        assert mapping.spatial_x[1] == (1, 4, 1, 1)
        assert is_imperfect(problem, mapping)
        check_mapping(problem, architecture, mapping)

    @pytest.mark.parametrize(
        ("old", "new", "sentence"),
        [
            ("M=4,3", "M=4,2", "factors M=2,2 at DRAM, M=4,2 at Buf come to 6; they must come to the bound of M, 7"),
            ("M=4,3", "M=4,5", "factor M=4,5 at Buf has a residual of 5; it must be from 1 to 4"),
            ("M=4,3", "M=4,0", "factor M=4,0 at Buf has a residual of 0; it must be from 1 to 4"),
            ("M=4,3", "M=4", "factors of M multiply to 8; they must multiply to its bound 7"),
        ],
    )
    def test_factors_that_timeloop_would_refuse(self, data: Path, old: str, new: str, sentence: str) -> None:
        problem, architecture, text = case_text(data / "imperfect" / "min_spatialM4_3", (old, new))
        with pytest.raises(InvalidMapping, match=re.escape(sentence)):
            timeloop.read_mapping(text, problem, architecture)

    def test_a_loop_longer_than_there_are_tiles_is_refused(self, data: Path) -> None:
        """Timeloop runs M=5,2 twice and charges five cycles."""
        problem, architecture, text = case_text(data / "imperfect" / "min_spatialM4_3", ("M=2 K", "M=5,2 K"))
        mapping = timeloop.read_mapping(text, problem, architecture)
        with pytest.raises(InvalidMapping, match=r"factors of M multiply to 20; .* \(5 at DRAM counts 2\)"):
            evaluate(problem, architecture, mapping, TIMELOOP_RULES)

    def test_constraints_have_no_residuals(self, data: Path) -> None:
        problem, architecture, _ = case_text(data / "imperfect" / "min_spatialM4_3")
        text = "mapspace_constraints:\n- {target: Buf, type: spatial, factors: 'M=4,3'}\n"
        with pytest.raises(NotSupported, match=r"factors of Buf have 'M=4,3'; a residual is for mappings only"):
            timeloop.read_constraints(text, problem, architecture)


class TestWriting:
    def test_cases_are_written_as_they_were(self, data: Path) -> None:
        for case in find_cases(data / "imperfect"):
            problem, architecture, mapping = case.parts
            text = timeloop.write_mapping(mapping, problem, architecture)
            recorded = case.files["mapping"].read_text()
            assert sorted(re.findall(r"\w=\d+,\d+", text)) == sorted(re.findall(r"\w=\d+,\d+", recorded))

    @given(case=chains())
    @settings(max_examples=40, deadline=None)
    def test_any_mapping_reads_back_the_same(self, case: Case) -> None:
        for version in ("0.3", "0.4"):
            text = timeloop.write_mapping(case.mapping, case.problem, case.architecture, version)
            found = timeloop.read_mapping(text, case.problem, case.architecture)
            assert found.factors == case.mapping.factors
            assert (found.order, found.bypass) == (case.mapping.order, case.mapping.bypass)
            assert timeloop.write_mapping(found, case.problem, case.architecture, version) == text

    def test_solutions_of_solve_are_exported(self, tmp_path: Path) -> None:
        """13 rows on 4 children: exported with a residual, read back, and counted by Timeloop's rules."""
        layer = dlco.matmul("prime", M=13, K=11, N=1)
        levels = (Level("RF", capacity=64, read_pj=1, write_pj=1), Level("DRAM", "DRAM", fanout_x=4, read_pj=100))
        machine = Architecture(levels)
        solution = dlco.solve([layer], machine, "latency", imperfect=True, seed=1)
        mapping = solution.mappings["prime"]
        assert is_imperfect(layer.problem, mapping)
        assert evaluate(layer, solution.architecture, mapping).cycles.item() == solution.layer_costs["prime"].cycles
        (folder,) = timeloop.write(solution, tmp_path)
        assert re.search(r"\w=\d+,\d+", (folder / "mapping.yaml").read_text())
        found = timeloop.model(*(folder / f"{part}.yaml" for part in ("arch", "problem", "mapping")))
        ours = evaluate(layer, solution.architecture, mapping, TIMELOOP_RULES)
        assert (found["cycles"], found["energy_pj"]) == (ours.cycles.item(), pytest.approx(ours.energy_pj.item()))


def test_a_mapping_without_its_problem_is_written_whole() -> None:
    ones, order = ((1,), (1,)), (("M",), ("M",))
    mapping = Mapping(("M",), ("RF", "DRAM"), ((4,), (2,)), ones, ones, order, order, (frozenset(), frozenset()))
    assert "factors: M=4," in timeloop.write_mapping(mapping)


class TestPrintedMaps:
    def test_they_are_the_mappings_they_were_printed_for(self, data: Path) -> None:
        for name in ("min_spatialM4_3", "min_spatialM5_2", "min_temporalM4_3"):
            (case,) = find_cases(data / "imperfect" / name)
            problem, architecture, mapping = case.parts
            printed = data / "imperfect" / name / "timeloop-model.map.txt"
            found = timeloop.read_mapping(printed, problem, architecture)
            assert (found.factors, found.bypass) == (mapping.factors, mapping.bypass)
            assert timeloop.read_mapping(printed.read_text(), problem, architecture) == found

    def test_axes_orders_and_what_is_kept(self, data: Path) -> None:
        problem, architecture, _ = case_text(data / "imperfect" / "spatial")
        text = (
            "DRAM [ Weights:253 (253) Inputs:154 (154) Outputs:322 (322) ] \n----\n"
            "| for N in [0:23)\n|   for M in [0:2)\n\n"
            "Buf [ Inputs:77 (77) ] \n----\n"
            "|     for K in [0:3) (Spatial-Y)\n|       for M in [0:7) (Spatial-X)\n\n"
            "RF [ Weights:4 (4) Inputs:4 (4) Outputs:1 (1) ] \n----\n"
            "|         for K in [0:4,3)\n|           << Compute >>\n"
        )
        mapping = timeloop.read_mapping(text, problem, architecture)
        assert mapping.temporal == ((1, 1, 4, 1), (1, 1, 1, 1), (1, 2, 1, 23))
        assert (mapping.spatial_x[1], mapping.spatial_y[1]) == ((1, 7, 1, 1), (1, 1, 3, 1))
        assert mapping.order[2][:2] == ("M", "N")
        assert mapping.bypass == (frozenset(), frozenset({"Weights", "Outputs"}), frozenset())
        check_mapping(problem, architecture, mapping)

    def test_other_lines_are_refused(self, data: Path) -> None:
        problem, architecture, _ = case_text(data / "imperfect" / "spatial")
        with pytest.raises(InvalidInput, match=r"printed map, line 2: 'for M from 0' is no level, loop or rule"):
            timeloop.read_mapping("DRAM [ Weights:253 (253) ]\nfor M from 0\n", problem, architecture)
