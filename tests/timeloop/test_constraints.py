"""Constraints: from sections of their own and from v0.4's nodes."""

import pytest

from dlco.errors import DlcoError, InvalidInput, NotSupported
from dlco.mapping.constraints import SlotConstraint
from dlco.timeloop import read_architecture, read_constraints, read_problem
from dlco.timeloop.architecture import read_description

TEXT = """
architecture_constraints:
  targets:
  - {target: Buffer, type: spatial, factors: R=1, permutation: CK, split: 1}
  - {target: Buffer, type: bypass, keep: [Inputs], bypass: [Weights]}
mapspace_constraints:
- {target: Registers, type: temporal, factors: R=3 C<=2, permutation: RC}
- {target: Registers, type: temporal, factors: K=1}
"""


def test_sections(arch: str, problem: str) -> None:
    work, machine = read_problem(problem), read_architecture(arch)
    read = read_constraints(TEXT, work, machine)
    assert read.slot("Registers", "temporal") == SlotConstraint(
        "Registers", "temporal", exact=(("R", 3), ("K", 1)), at_most=(("C", 2),), innermost=("R", "C")
    )
    assert read.slot("Buffer", "spatial") == SlotConstraint(
        "Buffer", "spatial", exact=(("R", 1),), innermost=("C", "K"), axis_x=("C",), axis_y=("K", "P")
    )
    assert read.bypassed("Buffer") == frozenset({"Weights"})
    same = read_constraints("mapspace: {constraints: [{target: DRAM, type: temporal, factors: C=4}]}", work, machine)
    assert same.slot("DRAM", "temporal").exact == (("C", 4),)


@pytest.mark.parametrize(
    ("split", "x", "y"),
    [("", "", ""), (", split: 0", "", "CKRP"), (", split: 4", "CKRP", ""), (", split: 3", "CK", "")],
)
def test_split(arch: str, problem: str, split: str, x: str, y: str) -> None:
    text = f"mapspace_constraints: [{{target: Buffer, type: spatial, permutation: CK{split}}}]"
    slot = read_constraints(text, read_problem(problem), read_architecture(arch)).slot("Buffer", "spatial")
    assert ("".join(slot.axis_x), "".join(slot.axis_y)) == (x, y)


V4 = """
architecture:
  version: 0.4
  nodes:
  - !Component
    name: DRAM
    class: DRAM
    attributes: {width: 64, datawidth: 8}
  - !Component
    name: Buffer
    class: SRAM
    attributes: {depth: 128, width: 32, datawidth: 8}
    constraints:
      temporal: {factors: [R=1], permutation: [P]}
      dataspace: {keep: [Inputs], bypass: [Weights]}
  - !Container
    name: column
    spatial: {meshX: 4}
    constraints: {spatial: {factors: [R=1, P<=2, C=1], permutation: [C, K, R, P], split: 4}}
  - !Hierarchical
    nodes:
    - !Container
      name: PE
      spatial: {meshY: 3}
      constraints: {spatial: {factors: [R=3, P=1, K=1], permutation: [C, K], split: 0}}
  - !Component
    name: Registers
    class: regfile
    attributes: {depth: 16, width: 8, datawidth: 8}
  - !Component
    name: MAC
    class: intmac
"""


def test_nodes(problem: str) -> None:
    machine, description = read_description(V4)
    read = read_constraints(V4, read_problem(problem), machine, description.containers)
    assert read.slot("Buffer", "temporal").innermost == ("P",)
    assert read.bypassed("Buffer") == frozenset({"Weights"})
    slot = read.slot("Buffer", "spatial")
    assert slot.exact == (("R", 3),)  # 1 in a column, 3 of the columns
    assert slot.at_most == (("P", 2),)
    assert (slot.axis_x, slot.axis_y) == (("K", "P"), ("C", "R"))


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ("{target: B, type: temporal}", "", "target is 'B'; 'system' has Registers"),
        ("{target: DRAM, type: temporal, factors: C=3}", "", "must divide its bound 4"),
        (
            "{target: DRAM, type: temporal, factors: C=2}",
            "{target: DRAM, type: temporal, factors: C=2}",
            "name 'C' twice",
        ),
        (
            "{target: DRAM, type: temporal, permutation: C}",
            "{target: DRAM, type: temporal, permutation: K}",
            "permutation of the temporal loops at DRAM is given twice",
        ),
        (
            "{target: Buffer, type: spatial, split: 1}",
            "{target: Buffer, type: spatial, split: 1}",
            "split at Buffer is given twice",
        ),
    ],
)
def test_errors(arch: str, problem: str, first: str, second: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_constraints(f"mapspace_constraints: [{first}, {second}]", read_problem(problem), read_architecture(arch))


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("mapspace_constraints: [{target: DRAM, type: parallelism, min: 1}]", NotSupported, "type is 'parallelism'"),
        ("mapspace_constraints: {tragets: []}", InvalidInput, "unknown key 'tragets'"),
        ("mapspace_constraints: 3", InvalidInput, "mapspace_constraints is '3'; it must be a list"),
    ],
)
def test_bad_sections(arch: str, problem: str, text: str, error: type[DlcoError], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        read_constraints(text, read_problem(problem), read_architecture(arch))
