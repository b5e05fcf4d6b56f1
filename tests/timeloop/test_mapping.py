"""Mappings: Timeloop's defaults, both versions, and what is said of mistakes."""

import pytest

from dlco.errors import DlcoError, InvalidInput, InvalidMapping, NotSupported
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Mapping
from dlco.timeloop import read_architecture, read_mapping, read_problem, write_mapping
from dlco.workload.problem import Problem


@pytest.fixture
def work(problem: str) -> Problem:
    return read_problem(problem)


@pytest.fixture
def machine(arch: str) -> Architecture:
    return read_architecture(arch)


def test_directives(mapping: str, work: Problem, machine: Architecture) -> None:
    read = read_mapping(mapping, work, machine)
    assert read.levels == ("Registers", "Buffer", "DRAM")
    assert read.temporal == ((1, 1, 3, 1), (1, 2, 1, 1), (2, 1, 1, 8))
    assert (read.spatial_x[1], read.spatial_y[1]) == ((2, 1, 1, 1), (1, 3, 1, 1))
    assert read.order[2] == ("P", "C", "K", "R")
    assert read.bypass[1] == frozenset({"Weights"})


def test_defaults(work: Problem, machine: Architecture) -> None:
    read = read_mapping(
        "mapping:\n- {target: 0, type: temporal, factors: C0 K6, permutation: K}\n"
        "- {target: Buffer, type: spatial, factors: 'R3'}\n- {target: DRAM, type: temporal, factors: P8}",
        work,
        machine,
    )
    assert read.temporal == ((4, 6, 1, 1), (1, 1, 1, 1), (1, 1, 1, 8))  # a factor of 0 is the whole bound
    assert read.order[0] == ("K", "C", "R", "P")  # dimensions left out lie further out, in the problem's order
    assert read.spatial_x[1] == (1, 1, 3, 1)  # without a split all lies along X
    assert read.bypass == (frozenset(),) * 3


@pytest.mark.parametrize(
    "factors",
    [
        "C=2 K=3",
        "C2 K3",
        "C=2,K=3",
        "'C2, K3 # the rest is 1'",
        "[C=2, K=3]",
        "[C2, 'K 3']",
        "C = 2 K == 3",
        "C=2,2 K=3",
    ],
)
def test_ways_to_write_factors(factors: str, work: Problem, machine: Architecture) -> None:
    read = read_mapping(f"mapping:\n- {{target: DRAM, type: temporal, factors: {_quoted(factors)}}}", work, machine)
    assert read.temporal[2] == (2, 3, 1, 1)


def _quoted(text: str) -> str:
    return text if text[0] in "['" else f"'{text}'"


@pytest.mark.parametrize("permutation", ["PRKC", "P R K C", "'P, R, K, C'", "[P, R, K, C]", "'P,R,K'"])
def test_ways_to_write_a_permutation(permutation: str, work: Problem, machine: Architecture) -> None:
    read = read_mapping(f"mapping:\n- {{target: DRAM, type: temporal, permutation: {permutation}}}", work, machine)
    assert read.order[2] == ("P", "R", "K", "C")


def test_long_names_and_names_with_digits(machine: Architecture) -> None:
    work = read_problem(
        "problem:\n  shape:\n    dimensions: [C, C1, rows]\n    data_spaces:\n"
        "    - {name: Z, projection: [C, C1, rows], read_write: true}\n  instance: {C: 4, C1: 6, rows: 8}"
    )
    text = "mapping:\n- {target: DRAM, type: temporal, factors: rows8 C1=6 C=4, permutation: 'rows,C1,C'}"
    read = read_mapping(text, work, machine)
    assert (read.temporal[2], read.order[2]) == ((4, 6, 8), ("rows", "C1", "C"))
    for version in ("0.3", "0.4"):
        assert read_mapping(write_mapping(read, work, machine, version), work, machine) == read


CONTAINERS = {"column": "Buffer", "PE": "Buffer"}
V4 = """
mapping:
- {target: DRAM, type: temporal, factors: [P=8, R=3], permutation: [P, R]}
- {target: column, type: spatial, factors: [C=2, K=2], permutation: [K, C], split: 2}
- {target: inter_PE_spatial, type: spatial, factors: [K=3], permutation: [C, K], split: 0}
- {target: PE, type: temporal, factors: [K=1]}
- {target: PE, type: dataspace, keep: [], bypass: [Weights]}
- {target: Buffer, type: dataspace, bypass: [Weights]}
- {target: Registers, type: temporal, factors: [C=2]}
"""


def test_several_containers_make_one_fanout(work: Problem, machine: Architecture) -> None:
    read = read_mapping(V4, work, machine, CONTAINERS)
    assert (read.spatial_x[1], read.spatial_y[1]) == ((2, 2, 1, 1), (1, 3, 1, 1))
    assert read.spatial_order[1] == ("K", "C", "R", "P")  # the inner container's loops first
    for change in (("factors: [K=1]", "factors: [K=2]"), ("keep: []", "keep: [Inputs]")):
        with pytest.raises(NotSupported, match=r"PE .*but is no storage level"):
            read_mapping(V4.replace(*change), work, machine, CONTAINERS)


@pytest.mark.parametrize(
    ("old", "new", "error", "sentence"),
    [
        (
            "C=2 K=1 R=1 P=8",
            "'C=2 K=1 R=1 P=4,2'",
            InvalidMapping,
            r"^factors P=4,2 at DRAM come to 2; they must come to the bound of P, 8$",
        ),
        ("P=8", "X=8", InvalidInput, r"factors of DRAM name 'X'; the problem has C, K, R, P"),
        ("P=8", "P=", InvalidInput, r"factors of DRAM have 'P='; they must be such as C=16"),
        ("P=8", "P=8 P=1", InvalidInput, r"factors of DRAM name P twice"),
        ("P=8", "P<=8", InvalidInput, r"factor P<=8 of DRAM must be exact in a mapping"),
        ("P=8", "P=99999999999", InvalidInput, r"must be below 2\^31"),
        ("PCKR", "PCKX", InvalidInput, r"permutation of DRAM names 'X'"),
        ("PCKR", "PPKR", InvalidInput, r"permutation of DRAM names P twice"),
        (
            "target: DRAM",
            "target: DARM",
            InvalidInput,
            r"line 3: target is 'DARM'; 'system' has Registers, Buffer, DRAM",
        ),
        ("target: DRAM", "target: 3", InvalidInput, r"target is '3'"),
        ("type: temporal", "type: temporary", InvalidInput, r"type is 'temporary'; allowed: temporal, spatial, bypass"),
        ("type: temporal", "type: skew", NotSupported, r"type is 'skew'; dlco does not model it"),
        ("type: temporal", "typ: temporal", InvalidInput, r"unknown key 'typ' in mapping; allowed: target, type"),
        ("split: 1", "split: -1", InvalidInput, r"split is '-1'; it must be an integer of at least 0"),
        ("permutation: PCKR", "split: 1", InvalidInput, r"unknown key 'split' in a temporal directive"),
        (
            "keep: [Inputs, Outputs]",
            "keep: [Inputs, Psums]",
            InvalidInput,
            r"keep of Buffer names 'Psums'; the problem has",
        ),
        ("keep: [Inputs", "keep: [Weights", InvalidInput, r"Buffer both keeps and bypasses Weights"),
        ("permutation: CKRP,", "no_link_transfer: [Inputs],", NotSupported, r"no_link_transfer is given for 'Buffer'"),
        ("type: spatial", "type: temporal", InvalidInput, r"unknown key 'split' in a temporal directive|two temporal"),
        ("mapping:", "maping:", InvalidInput, r"unknown key 'maping' in the document; allowed: mapping"),
    ],
)
def test_errors(
    mapping: str, work: Problem, machine: Architecture, old: str, new: str, error: type[DlcoError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        read_mapping(mapping.replace(old, new, 1), work, machine)


def test_a_level_is_named_once_a_kind(work: Problem, machine: Architecture) -> None:
    with pytest.raises(InvalidInput, match="DRAM has two temporal directives; one is allowed"):
        read_mapping("mapping: [{target: DRAM, type: temporal}, {target: DRAM, type: temporal}]", work, machine)


def test_keeping_what_the_architecture_bypasses(mapping: str, work: Problem, machine: Architecture) -> None:
    with pytest.raises(InvalidMapping, match="Buffer is to keep Inputs, which it bypasses") as error:
        read_mapping(mapping, work, machine.with_bypass({"Buffer": ["Inputs"]}))
    assert error.value.level == "Buffer"


def test_a_dimension_on_both_axes_cannot_be_written(mapping: str, work: Problem, machine: Architecture) -> None:
    read = read_mapping(mapping, work, machine)
    both = Mapping(**{**vars(read), "spatial_y": ((1, 1, 1, 1), (2, 1, 1, 1), (1, 1, 1, 1))})
    with pytest.raises(InvalidMapping, match=r"C is split along both X \(2\) and Y \(2\) of Buffer") as error:
        write_mapping(both)
    assert error.value.level == "Buffer"


def test_loops_along_y_listed_inside_those_along_x(mapping: str, work: Problem, machine: Architecture) -> None:
    read = read_mapping(mapping, work, machine)
    turned = Mapping(**{**vars(read), "spatial_order": (*read.spatial_order[:1], ("K", "C", "R", "P"), read.order[0])})
    again = read_mapping(write_mapping(turned, work, machine), work, machine)
    assert (again.spatial_x, again.spatial_y) == (read.spatial_x, read.spatial_y)


def test_writing_without_problem_or_architecture(mapping: str, work: Problem, machine: Architecture) -> None:
    read = read_mapping(mapping, work, machine)
    assert read_mapping(write_mapping(read), work, machine) == read
    with pytest.raises(InvalidInput, match=r"version 0\.4 needs it"):
        write_mapping(read, work, version="0.4")
