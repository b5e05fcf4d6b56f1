"""Constraints: from sections of their own and from v0.4's nodes."""

import pytest

from dlco.errors import DlcoError, InvalidInput, InvalidMapping, NotSupported
from dlco.mapping.constraints import SlotConstraint, resolve
from dlco.timeloop import read_architecture, read_constraints, read_mapping, read_problem
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
    stated = read_constraints(TEXT, work, machine)
    assert stated == read_constraints(TEXT, architecture=machine)
    read = resolve(stated, work, machine)
    assert read.slot("Registers", "temporal") == SlotConstraint(
        "Registers", "temporal", exact=(("K", 1), ("R", 3)), at_most=(("C", 2),), innermost=("R", "C")
    )
    assert read.slot("Buffer", "spatial") == SlotConstraint(
        "Buffer", "spatial", exact=(("R", 1),), innermost=("C", "K"), axis_x=("C",), axis_y=("K", "P")
    )
    assert (read.bypassed("Buffer"), dict(stated.keep)["Buffer"]) == ({"Weights"}, {"Inputs"})
    same = read_constraints("mapspace: {constraints: [{target: DRAM, type: temporal, factors: C=4}]}", work, machine)
    assert same.slot("DRAM", "temporal").exact == (("C", 4),)


@pytest.mark.parametrize(
    ("split", "x", "y"),
    [("", "", ""), (", split: 0", "", "CKRP"), (", split: 4", "CKRP", ""), (", split: 3", "CK", "")],
)
def test_split(arch: str, problem: str, split: str, x: str, y: str) -> None:
    text = f"mapspace_constraints: [{{target: Buffer, type: spatial, permutation: CK{split}}}]"
    work, machine = read_problem(problem), read_architecture(arch)
    slot = resolve(read_constraints(text, work, machine), work, machine).slot("Buffer", "spatial")
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
    work = read_problem(problem)
    machine, description = read_description(V4)
    stated = read_constraints(V4, work, machine, description.containers)
    carrying = read_architecture(V4)
    assert stated == read_constraints(V4, architecture=carrying)
    assert (carrying.level("Buffer").bypass, carrying.constraints.bypass) == ({"Weights"}, ())  # in one place
    read = resolve(stated, work, machine)
    assert set(resolve(carrying.constraints, work, carrying).slots) == set(read.slots)
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


def test_a_mapping_leaves_out_what_a_node_does_not_list(problem: str) -> None:
    """`keep_only` of v0.4 keeps all else out of the level, in mappings that say nothing of it too."""
    text = V4.replace("dataspace: {keep: [Inputs], bypass: [Weights]}", "dataspace: {keep_only: [Inputs]}")
    work = read_problem(problem)
    machine, _ = read_description(text)
    mapping = read_mapping("mapping: [{target: DRAM, type: temporal, factors: R=3}]", work, machine)
    assert [sorted(names) for names in mapping.bypass] == [[], ["Outputs", "Weights"], []]
    with pytest.raises(InvalidMapping, match="Buffer is to keep Weights, which it bypasses"):
        read_mapping("mapping: [{target: Buffer, type: dataspace, keep: [Weights]}]", work, machine)
    for kind in ("temporal", "spatial"):  # they change what is counted, of a given mapping too
        with pytest.raises(NotSupported, match="no_reuse is given for"):
            read_description(V4.replace(f"{kind}: {{factors", f"{kind}: {{no_reuse: [Inputs], factors", 1))
    with pytest.raises(NotSupported, match="no_coalesce is given for 'Buffer'"):
        read_description(V4.replace("keep: [Inputs]", "keep: [Inputs], no_coalesce: [Inputs]"))
