"""How many of each component there are, in every way that architectures have of saying it."""

import pytest

from dlco.errors import InvalidInput, NotSupported
from dlco.timeloop import read_architecture, write_architecture
from dlco.timeloop.architecture import read_description

NODES = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: Main, class: DRAM, attributes: {width: 64, datawidth: 16}}
  - !Component {name: Buf, class: SRAM, attributes: {depth: 512, width: 64, datawidth: 16}}
  - !Container {name: "PE"}
  - !Component {name: "Reg", class: regfile, attributes: {depth: 8, width: 16, datawidth: 16}}
  - !Component {name: "mul", class: intmac, attributes: {datawidth: 16}}
"""
UNIT = '{name: "PE"}'
REG = '{name: "Reg", class: regfile, attributes: {'
MUL = '{name: "mul", class: intmac, attributes: {'


def nodes(unit: str = "", own: str = "", attributes: str = "", after: str | None = None) -> str:
    """The machine with changes to the container, and to the name's range and attributes of the register and the MAC."""
    text = NODES.replace(UNIT, f'{{name: "PE{unit}') if unit else NODES
    after = attributes if after is None else after
    text = text.replace(REG, f'{{name: "Reg{own}", class: regfile, attributes: {{{attributes}')
    return text.replace(MUL, f'{{name: "mul{own}", class: intmac, attributes: {{{after}')


@pytest.mark.parametrize(
    ("text", "x", "y"),
    [
        (nodes('[0..15]"}'), 16, 1),
        (nodes('[1..16]"}'), 16, 1),
        (nodes('[0..0]"}'), 1, 1),
        (nodes('", attributes: {meshX: 4, meshY: 4}}'), 4, 4),
        (nodes('", attributes: {meshX: 4}}'), 4, 1),
        (nodes('", attributes: {instances: 16, meshX: 2}}'), 2, 8),
        (nodes('", attributes: {instances: 16}}'), 16, 1),
        (nodes('[0..15]", attributes: {meshX: 4}}'), 4, 4),
        (nodes('[0..15]", spatial: {meshX: 4, meshY: 4}}'), 4, 4),
        (nodes('[0..15]", spatial: {meshY: 8}}'), 2, 8),
        (nodes('", spatial: {meshX: 4}, attributes: {meshX: 4, meshY: 3}}'), 4, 3),
        (nodes(own="[0..15]"), 16, 1),
        (nodes(own="[0..15]", attributes="meshX: 4, "), 4, 4),
        (nodes(attributes="instances: 16, meshX: 4, "), 4, 4),
        (nodes(attributes="meshX: 4, meshY: 4, "), 4, 4),
        (nodes(attributes="meshX: 16, "), 16, 1),
        (nodes(attributes="instances: 16, "), 16, 1),
        (nodes('", spatial: {meshX: 4, meshY: 2}}', attributes="instances: 16, "), 8, 2),
        (nodes('", spatial: {meshX: 4, meshY: 2}}', attributes="meshX: 8, "), 8, 2),
        (nodes('", spatial: {meshX: 4, meshY: 2}}', attributes="meshX: 4, meshY: 2, "), 4, 2),
        (nodes('[0..3]"}', own="[0..3]"), 16, 1),
        (nodes('", attributes: {meshY: 4}}', own="[0..3]"), 4, 4),
    ],
)
def test_instances_of_nodes(text: str, x: int, y: int) -> None:
    machine = read_architecture(text)
    buffer = machine.level("Buf")
    assert (buffer.fanout_x, buffer.fanout_y, machine.macs) == (x, y, x * y)
    assert machine.level("Reg").fanout_x * machine.level("Reg").fanout_y == machine.level("Main").fanout_x == 1
    assert read_architecture(write_architecture(machine, "0.4")) == machine


def test_a_fan_out_below_a_component_of_many() -> None:
    """Ranges of components count all there are, so that these are 4 MACs to each of 4 registers."""
    text = nodes(own="[0..3]").replace("mul[0..3]", "mul[0..15]")
    machine, description = read_description(text)
    assert description.meshes == {"Reg": (4, 1), "mul": (4, 1)}
    assert (machine.level("Buf").fanout_x, machine.level("Reg").fanout_x, machine.macs) == (4, 4, 16)


def test_containers_multiply_however_they_say_it() -> None:
    text = nodes('[0..3]"}').replace(
        "  - !Container {name", "  - !Container {name: column, attributes: {meshY: 2}}\n  - !Container {name"
    )
    machine, description = read_description(text)
    assert (machine.level("Buf").fanout_x, machine.level("Buf").fanout_y) == (4, 2)
    assert description.containers == {"column": "Buf", "PE": "Buf"}
    assert description.meshes == {"column": (1, 2), "PE": (4, 1)}
    counted = read_description(nodes('", spatial: {meshX: 4, meshY: 2}}', attributes="instances: 16, "))[1]
    assert counted.containers == {"PE": "Buf", "Reg": "Buf"}
    assert counted.meshes == {"PE": (4, 2), "Reg": (2, 1)}


def test_disabled_nodes_fan_out_nothing() -> None:
    disabled = NODES.replace(
        "  - !Container", "  - !Component {name: off, class: SRAM, enabled: false, spatial: {meshX: 4}}\n  - !Container"
    )
    assert read_architecture(disabled) == read_architecture(NODES)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (nodes('[0..15]", spatial: {meshX: 4, meshY: 3}}'), "PE has meshX 4 and meshY 3; they must make up its 16"),
        (nodes('[0..15]", attributes: {meshX: 5}}'), "PE has meshX 5; they must make up its 16 instances"),
        (nodes('[0..15]", attributes: {instances: 8}}'), r"PE\[0..15\] has '8' instances; by its range there are 16"),
        (nodes('", spatial: {meshX: 4}, attributes: {meshX: 2}}'), "PE has meshX '4' and the attribute '2'"),
        (nodes(own="[0..15]", attributes="instances: 8, "), r"Reg\[0..15\] has '8' instances; by its range"),
        (nodes('", spatial: {meshX: 8}}', attributes="instances: 4, "), "Reg has 4 instances along X; that must be a"),
        (nodes('", spatial: {meshX: 8}}', attributes="meshX: 12, "), "Reg has 12 instances along X; that must be"),
        (nodes(attributes="meshX: 16, ", after=""), "mul has 1 instances along X; that must be a multiple of the 16"),
        (nodes('[0..15"}'), r"name is 'PE\[0..15'; it must be a name, with a range"),
        (nodes('[0..15][0..1]"}'), "it must be a name, with a range"),
        (nodes('[15]"}'), "it must be a name, with a range"),
        (nodes('", attributes: {meshX: 0}}'), "meshX is '0'; it must be an integer of at least 1"),
        (nodes('", attributes: {meshx: 4}}'), "unknown attribute 'meshx' of PE; allowed: meshX"),
    ],
)
def test_instances_that_do_not_agree(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_architecture(text)


def test_instances_above_all_storage_and_beside_others() -> None:
    with pytest.raises(NotSupported, match="Main fans out above all storage"):
        read_architecture(NODES.replace("name: Main", 'name: "Main[0..1]"'))
    inside = NODES.replace(f"  - !Component {REG}", f"  - !Parallel\n    nodes:\n    - !Component {REG}instances: 4, ")
    with pytest.raises(InvalidInput, match="Reg fans out within !Parallel nodes"):
        read_architecture(inside)
    with pytest.raises(NotSupported, match="networks are given"):
        read_architecture(nodes('", networks: [{name: noc, class: XY_NoC}]}'))


TREE = """
architecture:
  version: 0.2
  subtree:
  - name: top
    local:
    - {name: Main, class: DRAM, attributes: {width: 64, word-bits: 16}}
    subtree:
    - name: PE[1..4]
      local:
      - {name: "Reg[0..3]", class: regfile, attributes: {memory-depth: 8, memory_width: 16, word-bits: 16}}
      - {name: "mul[0..3]", class: intmac, attributes: {datawidth: 16}}
"""


@pytest.mark.parametrize(
    ("attributes", "x", "y"),
    [
        ("", 16, 1),
        ("meshX: 4, ", 4, 4),
        ("meshY: 2, ", 8, 2),
        ("instances: 8, meshX: 4, ", 4, 2),
        ("instances: 1099511627776, meshY: 2, ", 2**39, 2),
    ],
)
def test_instances_of_trees(attributes: str, x: int, y: int) -> None:
    """Units' and components' ranges multiply; the attribute instances stands for both, as in Timeloop."""
    text = TREE.replace("attributes: {memory-depth", f"attributes: {{{attributes}memory-depth")
    machine = read_architecture(text.replace("attributes: {datawidth", f"attributes: {{{attributes}datawidth"))
    assert (machine.levels[-1].fanout_x, machine.levels[-1].fanout_y, machine.macs) == (x, y, x * y)
    assert read_architecture(write_architecture(machine)) == machine


@pytest.mark.parametrize("attributes", ["meshX: 3, ", "meshX: 4, meshY: 5, ", "instances: 6, meshX: 4, "])
def test_meshes_of_trees_that_do_not_make_up_the_instances(attributes: str) -> None:
    with pytest.raises(InvalidInput, match=r"Reg has mesh.* they must make up its \d+ instances"):
        read_architecture(TREE.replace("attributes: {memory-depth", f"attributes: {{{attributes}memory-depth"))
