"""Networks in Timeloop's files: what their attributes come to, where they stand, and that they are written back."""

import logging
import shutil
from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import geometric_mean, quantiles

import pytest

from dlco import evaluate, solve
from dlco.design.evaluation_table import evaluation_text, with_totals
from dlco.errors import InvalidInput, NotSupported
from dlco.hardware import Architecture, Container, Mesh, Network, generic
from dlco.mapping.rules import DEFAULT_RULES, CountingRules
from dlco.timeloop import (
    compare,
    model,
    read_architecture,
    read_mapping,
    read_problem,
    read_stats,
    write_architecture,
)
from dlco.workload import Layer

AREAS = """
ART:
  version: 0.3
  tables:
  - {name: system.Buffer, area: 50000}
  - {name: "system.PE[0..11].Registers[1..12]", area: 600}
  - {name: "system.PE[0..11].MAC[1..12]", area: 300}
"""
WIRE = "ERT:\n  version: 0.3\n  tables:\n  - {name: system.wire, actions: [{name: transfer_random, energy: 0.25}]}\n"
V4 = """
architecture:
  version: 0.4
  nodes:
  - !Container
    name: system
  - !Component
    name: DRAM
    class: DRAM
    attributes: {width: 64, datawidth: 8}
  - !Component
    name: Buffer
    class: SRAM
    attributes: {depth: 128, width: 32, datawidth: 8}
  - !Container
    name: PE
    spatial: {meshX: 4, meshY: 3}
    attributes: {wire_energy: 0.12, network_word_bits: 8, router_energy: 0.25, energy-per-ingress: 0.5, tile_width: 430}
  - !Component
    name: Registers
    class: regfile
    attributes: {entries: 16, datawidth: 8}
  - !Component
    name: MAC
    class: intmac
    attributes: {datawidth: 8}
"""


HOP = 8 * 0.12 * 430 * 1e-3  # pJ: 412.80 fJ, as Timeloop prints it


def mesh(machine: Architecture, level: str = "Buffer") -> Mesh | None:
    network = machine.level(level).network
    return network.mesh if network else None


def buffer(arch: str, attributes: str) -> Architecture:
    """The machine with more attributes of the buffer."""
    return read_architecture(arch.replace("read_bandwidth: 4", attributes) + AREAS)


@pytest.mark.parametrize(
    ("attributes", "hop"),
    [
        ("wire_energy: 0.1, tile_width: 500", 8 * 0.5 * 0.1),
        ("wire-energy: 0.1, tile-width: 500, network-word-bits: 16", 16 * 0.5 * 0.1),
        ("wire_energy: 0.12, tile_width: 430", 0.4128),
        ("wire_energy: 0.1", 8 * 0.1 * sqrt(900) * 1e-3),  # a child is 600 and 300 um2
        ("wire_energy: 0.1, energy_per_hop: 3", 3),
        ("wire_energy: 0.1, energy-per-hop: 0", 0),
    ],
)
def test_what_a_hop_costs(arch: str, attributes: str, hop: float) -> None:
    found = mesh(buffer(arch, attributes))
    assert (found.hop_pj if found else 0) == pytest.approx(hop, rel=1e-12)


def test_routers_ingresses_and_partial_sums(arch: str) -> None:
    assert mesh(buffer(arch, "router-energy: 2, energy-per-ingress: 0.5")) == Mesh(0, 2, 0.5)
    assert mesh(buffer(arch, "router_energy: 2, reduction_supported: false")) == Mesh(0, 2, both_ways=True)
    assert mesh(buffer(arch, "router_energy: 0, reduction_supported: false")) is None
    dram = arch.replace("{width: 64, datawidth: 8}", "{width: 64, datawidth: 8, router_energy: 1}")
    assert mesh(read_architecture(dram), "DRAM") == Mesh(0, 1, both_ways=True)
    adds = dram.replace("router_energy: 1", "router_energy: 1, reduction_supported: true")
    assert mesh(read_architecture(adds), "DRAM") == Mesh(0, 1)


def test_the_wire_of_the_ert_is_that_of_every_network(arch: str, caplog: pytest.LogCaptureFixture) -> None:
    machine = read_architecture(arch.replace("read_bandwidth: 4", "wire_energy: 9, energy_per_hop: 1") + AREAS + WIRE)
    sides = {"Registers": 300, "Buffer": 900, "DRAM": 50000 + 12 * 900}
    for level, area in sides.items():
        expected = 1 if level == "Buffer" else 8 * 0.25 * sqrt(area) * 1e-3
        found = mesh(machine, level)
        assert found is not None
        assert found.hop_pj == pytest.approx(expected, rel=1e-12)
    with caplog.at_level(logging.WARNING):
        assert mesh(read_architecture(arch + WIRE)) is None
    assert "wires inside Buffer cost energy, but nothing there has an area" in caplog.text


def test_a_container_has_the_network_of_its_fan_out() -> None:
    machine = read_architecture(V4)
    assert mesh(machine) == Mesh(HOP, 0.25, 0.5)
    inherited = mesh(machine, "Registers")  # with no hops, but a router and an ingress: as Timeloop's front end has it
    assert inherited == Mesh(HOP, 0.25, 0.5)
    own = V4.replace(
        "{entries: 16, datawidth: 8}", "{entries: 16, datawidth: 8, router_energy: 0, energy-per-ingress: 0}"
    )
    assert mesh(read_architecture(own), "Registers") == Mesh(HOP)
    bit = V4.replace("network_word_bits: 8, ", "")
    assert mesh(read_architecture(bit)) == Mesh(HOP / 8, 0.25, 0.5)


ROWS = V4.replace("    spatial: {meshX: 4, meshY: 3}\n", "    spatial: {meshX: 4}\n").replace(
    "  - !Component\n    name: Registers",
    "  - !Container\n    name: row\n    spatial: {meshY: 3}\n    attributes: {tile_width: 100}\n    constraints: "
    "{spatial: {factors: [C=3]}}\n  - !Component\n    name: Registers",
)


def test_fan_outs_with_a_network_each_are_levels() -> None:
    machine = read_architecture(ROWS)
    names = ["Registers", "inter_row_spatial", "inter_PE_spatial", "Buffer", "DRAM"]
    assert [level.name for level in machine.levels] == names
    row, column = machine.levels[1:3]
    assert (row.capacity, row.fanout_x, row.fanout_y, row.word_bits) == (0, 1, 3, 8)
    assert (column.capacity, column.fanout_x, column.fanout_y) == (0, 4, 1)
    assert (mesh(machine, row.name), mesh(machine, column.name)) == (
        Mesh(HOP * 10 / 43, 0.25, 0.5),
        Mesh(HOP, 0.25, 0.5),
    )
    assert [box.level for box in machine.containers] == [column.name, row.name]
    assert machine.constraints.slots[0].level == row.name
    for version in ("0.3", "0.4"):
        assert read_architecture(write_architecture(machine, version)) == machine
    port = V4.replace("width: 32, datawidth: 8", "width: 32, datawidth: 8, router_energy: 2, energy-per-ingress: 1")
    machine = read_architecture(port.replace("class: SRAM", "class: DRAM"))
    assert mesh(machine) == Mesh(0, 2, 1, both_ways=True)
    assert mesh(machine, "inter_PE_spatial") == Mesh(HOP, 0.25, 0.5)
    free = ROWS.replace("wire_energy: 0.12", "wire_energy: 0").replace("0.25, energy-per-ingress: 0.5", "0")
    assert [level.name for level in read_architecture(free).levels] == ["Registers", "Buffer", "DRAM"]


MAPPING = """
mapping:
- {target: DRAM, type: temporal, factors: [C=1, K=1, R=3, P=8], permutation: [P, R, K, C]}
- {target: PE, type: spatial, factors: [K=3], permutation: [K]}
- {target: inter_row_spatial, type: spatial, factors: [C=2], permutation: [C], split: 0}
- {target: Registers, type: temporal, factors: [C=2, K=2], permutation: [C, K]}
"""


def test_a_mapping_names_fan_outs_by_node_or_level(problem: str) -> None:
    """Three columns of two rows: outputs are added up in the columns, on their way to rows of columns."""
    text = ROWS.replace("\n    constraints: {spatial: {factors: [C=3]}}", "").replace("energy-per-ingress: 0.5", "x: 0")
    text = text.replace("router_energy: 0.25, x: 0", "energy-per-ingress: 1").replace(
        "wire_energy: 0.12", "wire_energy: 0"
    )
    figures = model(text, problem, MAPPING)
    networks = figures["networks"]
    outputs = 6 * 8 * 3  # of every column together, at each of the steps that come back to them
    assert networks["inter_PE_spatial <==> inter_row_spatial"]["Outputs"] == outputs
    assert networks["inter_row_spatial <==> Registers"]["Outputs"] == outputs
    assert figures["levels"]["Buffer"]["Outputs"]["updates"] == outputs


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("wire_energy: 0.12", "network-type: 'M:N'", "network_type of PE is 'M:N'; dlco does not model it"),
        ("wire_energy: 0.12", "adder_energy: 1", "adder_energy of PE is '1'; dlco does not model it"),
        ("wire_energy: 0.12", "network_drain_latency: 1", "network_drain_latency of PE is '1'"),
    ],
)
def test_networks_that_dlco_does_not_model(old: str, new: str, sentence: str) -> None:
    with pytest.raises(NotSupported, match=sentence):
        read_architecture(V4.replace(old, new, 1))


NOC = """
    - name: noc
      class: XY_NoC
      attributes: {router_energy: 2, energy_per_hop: 0.5, datawidth: 8}
    - name: back
      class: Legacy
      attributes: {wire_energy: 0.1, tile_width: 500, network_word_bits: 4}
"""


def connected(arch: str, above: str, below: str) -> Architecture:
    """The machine with networks of their own, connected to the buffer and the registers by these attributes."""
    text = arch.replace("    - name: Buffer\n", NOC[1:] + "    - name: Buffer\n")
    text = text.replace("read_bandwidth: 4", f"energy-per-ingress: 7{above}").replace(
        "entries: 16", f"entries: 16{below}"
    )
    return read_architecture(text + AREAS + WIRE.replace("0.25", "0"))


def test_networks_that_are_components(arch: str, caplog: pytest.LogCaptureFixture) -> None:
    assert mesh(connected(arch, ", network_read: noc", ", network_fill: noc")) == Mesh(0.5, 2)
    every = ", network-read: noc, network-update: noc", ", network-fill: noc, network-drain: noc"
    with caplog.at_level(logging.WARNING):
        assert mesh(connected(arch, *every)) == Mesh(0.5, 2)
    assert "networks back connect nothing" in caplog.text
    two = ", network_read: noc, network_update: back", ", network_fill: noc, network_drain: back"
    assert mesh(connected(arch, *two)) == Mesh(0.5 + 4 * 0.1 * 0.5, 2)  # all words on both
    up = ", network_update: back", ", network_drain: back"
    assert mesh(connected(arch, *up)) == Mesh(4 * 0.1 * 0.5, 0, 7)  # and the inferred one down
    with pytest.raises(NotSupported, match="from Buffer one way, and that to it both ways"):
        connected(arch, two[0] + ", reduction_supported: false", two[1])
    for above, below in (("noc", "back"), ("noc", ""), ("other", "other")):
        ends = (f", network_read: {above}", f", network_fill: {below}" if below else "")
        with pytest.raises(InvalidInput, match=f"network_read of a level is '{above}', and network_fill of"):
            connected(arch, *ends)
    twice = arch.replace(
        "class: intmac\n        attributes: {", "class: intmac\n        attributes: {network_operand: noc, "
    )
    with pytest.raises(NotSupported, match="noc connects Buffer too"):
        connected(twice, ", network_read: noc", ", network_fill: noc, network_read: noc")
    with pytest.raises(NotSupported, match="noc is a network of class SimpleMulticast; dlco does not model it"):
        read_architecture(arch.replace("class: SRAM", "class: SimpleMulticast").replace("name: Buffer", "name: noc"))
    machine = connected(arch, *two)
    assert read_architecture(write_architecture(machine)) == machine


@pytest.mark.parametrize("attribute", ["wire_energy: -1", "router_energy: much", "tile_width: inf", "wire_enery: 1"])
def test_figures_that_are_none(arch: str, attribute: str) -> None:
    with pytest.raises(InvalidInput, match=r"must be a finite number of at least 0|allowed: wire_energy"):
        buffer(arch, attribute)


def meshed(*meshes: Mesh | None) -> Architecture:
    machine = generic()
    levels = (
        replace(lv, network=one and one.network(lv.fanout_x, lv.fanout_y, lv.word_bits))
        for lv, one in zip(machine.levels, meshes, strict=True)
    )
    return replace(machine, levels=tuple(levels))


@pytest.mark.parametrize("version", ["0.3", "0.4"])
@pytest.mark.parametrize(
    "meshes",
    [
        (Mesh(0.1, 0.2, 0.3), Mesh(1 / 3, 0, 0.7), Mesh(1e-9, 1, 2, both_ways=True)),
        (None, Mesh(0.5, 0.25), None),
        (Mesh(ingress_pj=0.5, both_ways=True), Mesh(0, 1e6), Mesh(1.0)),
        (None, None, Mesh(2.0, both_ways=True)),
    ],
)
def test_what_is_written_reads_back(version: str, meshes: tuple[Mesh | None, ...]) -> None:
    machine = meshed(*meshes)
    text = write_architecture(machine, version)
    assert read_architecture(text) == machine
    assert read_architecture(write_architecture(read_architecture(text), version)) == machine
    if version == "0.3":
        assert read_architecture(V4) == read_architecture(write_architecture(read_architecture(V4), "0.4"))


def test_what_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    both = meshed(None, Mesh(1.0, both_ways=True), None)
    assert read_architecture(write_architecture(both)) == both
    with pytest.raises(NotSupported, match="the mesh inside 'GlobalBuffer' has partial sums both ways"):
        write_architecture(both, "0.4")
    machine = meshed(None, Mesh(1.0), None)
    text = write_architecture(machine, "0.4").replace("spatial: {meshX: 16, meshY: 16}", "spatial: {meshX: 16}")
    text = text.replace(
        "    attributes: {energy_per_hop: 1}", "  - !Container\n    name: row\n    spatial: {meshY: 16}", 1
    )
    assert read_architecture(text).containers == (
        Container("unit2", "GlobalBuffer", 16, 1),
        Container("row", "GlobalBuffer", 1, 16),
    )
    level = machine.level("GlobalBuffer")
    assert level.network is not None
    other = replace(level, network=replace(level.network, area_um2=3.0))
    for network in (other, replace(level, network=Network(None, 1.0))):
        changed = replace(machine, levels=(machine.levels[0], network, machine.levels[2]))
        with caplog.at_level(logging.WARNING):
            write_architecture(changed)
        assert "wires of GlobalBuffer are left out" in caplog.text
        caplog.clear()


def test_a_model_says_what_networks_cost(arch: str, problem: str, mapping: str) -> None:
    plain = model(arch + AREAS, problem, mapping)
    figures = model(arch.replace("read_bandwidth: 4", "energy_per_hop: 1, router_energy: 10") + AREAS, problem, mapping)
    networks = figures["networks"]
    assert list(networks) == ["Buffer <==> Registers"]
    assert figures["energy_pj"] == pytest.approx(plain["energy_pj"] + sum(networks["Buffer <==> Registers"].values()))
    assert "networks" not in plain
    work, machine = read_problem(problem), read_architecture(arch)
    text = evaluation_text(
        work, machine, read_mapping(mapping, work, machine), with_totals(figures, machine), "timeloop"
    )
    (row,) = [line for line in text.splitlines() if line.startswith("networks")]
    assert row.split()[1:] == ["20.4", "nJ", "20.4", "nJ"]
    assert sum(networks["Buffer <==> Registers"].values()) == pytest.approx(20.4e3, rel=1e-2)


def test_a_network_in_a_file_counts_when_it_is_solved(arch: str, problem: str) -> None:
    layer = Layer("conv", read_problem(problem))
    machine = buffer(arch, "energy_per_hop: 1, router_energy: 10")  # nothing else costs any
    solution = solve([layer], machine, "energy")
    assert solution.gap == pytest.approx(0, abs=1e-9)
    assert solution.architecture.is_meshed
    assert type(solution).from_dict(solution.to_dict()) == solution


def test_other_rules_come_near(cases: list[dict]) -> None:
    """What all of a mesh costs under the default rules, over what Timeloop's count: recorded mappings, hops added."""
    ratios = []
    for case in cases[::20]:
        if not case["accepted"]:
            continue
        bare, problem = read_architecture(case["yaml"]["arch"]), read_problem(case["yaml"]["problem"])
        levels = [
            replace(lv, network=Mesh(1.0).network(lv.fanout_x, lv.fanout_y, lv.word_bits)) if lv.children > 1 else lv
            for lv in bare.levels
        ]
        machine, mapping = replace(bare, levels=tuple(levels)), read_mapping(case["yaml"]["mapping"], problem, bare)
        theirs, ours = (
            evaluate(problem, machine, mapping, rules).wire_pj.sum().item()
            for rules in (CountingRules("timeloop"), DEFAULT_RULES)
        )
        ratios += [ours / theirs] if theirs else []
    low, *_, high = quantiles(ratios, n=10, method="inclusive")
    assert len(ratios) == 20
    assert (round(geometric_mean(ratios), 2), round(low, 1), round(high, 1)) == (0.92, 0.5, 1.8)  # as the page says


PRINTED = """
Network 0
---------
Buffer <==> Registers

    SPECS
    -----
        Type            : Legacy
        Word bits       : 8
        Router energy   : 10.00 pJ

    STATS
    -----
    Weights:
        Fanout                                  : 12
        Energy (per-hop)                        : 1000.00 fJ
        Energy (per-instance)                   : {weights:.2f} pJ
        Energy (total)                          : {weights:.2f} pJ
        Link transfer energy (total)            : 0.00 pJ
        Spatial Reduction Energy (total)        : 0.00 pJ
    Inputs:
        Energy (total)                          : {inputs:.2f} pJ
        Link transfer energy (total)            : 2.00 pJ
"""


def test_networks_are_compared(data: Path, tmp_path: Path) -> None:
    """Energies in the layout of timeloop-model, between the networks of another run."""
    printed = data / "printed"
    folder = Path(shutil.copytree(printed, tmp_path / "case"))
    stats = (folder / "timeloop-model.stats.txt").read_text()
    plain = compare(folder)
    assert plain.max_relative_error == 0
    (folder / "timeloop-model.stats.txt").write_text(
        stats.replace("\nNetworks\n--------\n", "\nNetworks\n--------\n" + PRINTED.format(weights=24.5, inputs=3))
    )
    assert read_stats(folder / "timeloop-model.stats.txt")["networks"] == {
        "Buffer <==> Registers": {"Weights": 24.5, "Inputs": 5}
    }
    rows = [row for row in compare(folder).rows if row.quantity == "network_energy_pj"]
    assert [(row.level, row.dataspace, row.ours, row.theirs) for row in rows] == [
        ("Buffer <==> Registers", "Weights", 0, 24.5),
        ("Buffer <==> Registers", "Inputs", 0, 5),
    ]
    assert not any(row.agrees for row in rows)
