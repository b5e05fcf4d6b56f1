"""Architectures: what attributes mean in both versions, and what is said of those that are wrong."""

import logging
import math

import pytest

from dlco.errors import InvalidInput, NotSupported
from dlco.timeloop import read_architecture, write_architecture
from dlco.timeloop.architecture import read_description

V4 = """
architecture:
  version: 0.4
  nodes:
  - !Container
    name: chip
    attributes: {technology: "45nm", global_cycle_seconds: 2e-9, datawidth: 8}
  - !Component
    name: DRAM
    class: DRAM
    attributes: {width: 64}
  - !Component
    name: Buffer
    class: smartbuffer_SRAM
    attributes: {depth: 128, width: 32, read_bandwidth: 4, multiple_buffering: 2}
    constraints: {dataspace: {keep: [Inputs], bypass: [Weights]}}
  - !Container
    name: column
    spatial: {meshX: 4}
  - !Hierarchical
    nodes:
    - !Container
      name: PE
      spatial: {meshY: 3}
    - !Parallel
      nodes:
      - !Component
        name: Inputs_reg
        class: regfile
        attributes: {depth: 4, width: 8}
      - !Component
        name: Weights_reg
        class: smartbuffer_RF
        attributes: {depth: 8, width: 8}
      - !Nothing
    - !Component
      name: unused
      class: regfile
      enabled: false
  - !Component
    name: MAC
    class: intmac
    spatial: {meshX: 2}
"""
ERT = """
ERT:
  version: 0.4
  tables:
  - name: chip_top_level.DRAM[1..1]
    actions:
    - {name: read, arguments: {}, energy: 100}
    - {name: write, arguments: {}, energy: 120}
  - name: chip_top_level.Buffer[1..1]
    actions:
    - {name: read, arguments: {a: 0}, energy: 1}
    - {name: read, arguments: {a: 1}, energy: 3}
    - {name: write, arguments: {}, energy: 4}
    - {name: update, arguments: {}, energy: 5}
    - {name: leak, arguments: {}, energy: 0.5}
  - name: chip_top_level.MAC[1..24]
    actions:
    - {name: mac_random, energy: 2}
    - {name: compute, energy: 9}
"""
ART = "ART: {version: 0.4, tables: [{name: 'chip.Buffer[1..1]', area: 1e3}, {name: chip.MAC, area: 7.5}]}"


def test_tree(arch: str) -> None:
    machine = read_architecture(arch)
    assert [level.name for level in machine.levels] == ["Registers", "Buffer", "DRAM"]
    registers, buffer, dram = machine.levels
    assert (registers.kind, registers.capacity, registers.block_size) == ("regfile", 16, 1)
    assert (buffer.kind, buffer.capacity, buffer.block_size, buffer.read_bandwidth) == ("SRAM", 512, 4, 4)
    assert (dram.kind, dram.capacity, dram.block_size, dram.write_bandwidth) == ("DRAM", math.inf, 8, math.inf)
    assert (buffer.fanout_x, buffer.fanout_y, dram.fanout_x, machine.macs) == (4, 3, 1, 12)
    assert (machine.name, machine.mac_name, machine.mac_bits) == ("system", "MAC", 8)


def test_nodes() -> None:
    machine, description = read_description(V4, ERT, ART)
    inputs, weights, buffer, dram = reversed(
        [machine.level(n) for n in ("DRAM", "Buffer", "Inputs_reg", "Weights_reg")]
    )
    assert [level.name for level in machine.levels] == ["Weights_reg", "Inputs_reg", "Buffer", "DRAM"]
    assert (inputs.name, weights.kind) == ("Weights_reg", "regfile")
    assert (buffer.fanout_x, buffer.fanout_y, inputs.fanout_x, machine.macs) == (4, 3, 2, 24)
    assert (buffer.word_bits, buffer.usable_capacity, buffer.bypass) == (8, 256, frozenset({"Weights"}))
    assert (buffer.read_pj, buffer.write_pj, buffer.update_pj, buffer.leak_pj, buffer.area_um2) == (3, 4, 5, 0.5, 1000)
    assert dram.update_pj == dram.write_pj == 120
    assert (machine.mac_pj, machine.mac_area_um2, machine.cycle_s, machine.name) == (2, 7.5, 2e-9, "chip")
    assert description.containers == {"column": "Buffer", "PE": "Buffer", "MAC": "Weights_reg"}
    assert read_architecture(write_architecture(machine, "0.4")) == machine


def test_old_table_of_energies(arch: str) -> None:
    actions = "{read: [{arguments: {}, energy: 2}, {energy: 3}], write: {energy: 1}}"
    ert = f"ERT:\n  version: 0.2\n  tables:\n    system.Buffer: {actions}"
    assert read_architecture(arch, ert=ert).level("Buffer").read_pj == 3


def test_energies_of_attributes_hold_where_no_table_does(arch: str, caplog: pytest.LogCaptureFixture) -> None:
    text = arch.replace("read_bandwidth: 4", "vector-access-energy: 1.5, cluster-area: 9").replace(
        "{datawidth: 8, meshX: 4}", "{datawidth: 8, meshX: 4, energy: 0.25, area: 3}"
    )
    with caplog.at_level(logging.WARNING, logger="dlco"):
        machine = read_architecture(text)
    assert machine.level("Buffer").read_pj == machine.level("Buffer").update_pj == 1.5
    assert (machine.level("Buffer").area_um2, machine.mac_pj, machine.mac_area_um2) == (9, 0.25, 3)
    assert "no energies are given for DRAM, Registers: they count as 0 pJ" in caplog.text


@pytest.mark.parametrize(
    ("attributes", "capacity", "block"),
    [
        ("entries: 64, datawidth: 8", 64, 1),
        ("sizeKB: 2, datawidth: 16", 1024, 1),
        ("depth: 8, width: 64, word-bits: 16", 32, 4),
        ("depth: 8, block-size: 4, datawidth: 16", 32, 4),
        ("depth: 8, n_words: 2, memory_width: 32", 16, 2),
        ("memory_depth: 8, width: 32, cluster_size: 1", 16, 2),
        ("datawidth: 8", math.inf, 1),
        ("depth: ~, datawidth: 8", math.inf, 1),
        ("depth: 8.0, width: 1.6e1", 8, 1),
        ("entries: 64, depth: 8, width: 32, datawidth: 8", 64, 4),
        ("memory_depth: 3, depth: 8, datawidth: 8", 8, 1),
        ("entries: 0, width: 32", 0, 2),
        ("depth: 0, datawidth: 8", 0, 1),
        ("entries: 4294967295, datawidth: 8", 2**32 - 1, 1),
        ("depth: 4294967295, width: 64, datawidth: 8", 8 * (2**32 - 1), 8),
        ("sizeKB: 2147483648, datawidth: 8", 2**41, 1),
        ("sizeKB: 4294967295, datawidth: 16", (2**32 - 1) * 512, 1),
        ("sizeKB: 1, datawidth: 24", 341, 1),
        ("depth: '8', width: \"64\", datawidth: 1.6e+1", 32, 4),
    ],
)
def test_sizes(arch: str, attributes: str, capacity: float, block: int) -> None:
    level = read_architecture(arch.replace("depth: 128, width: 32, datawidth: 8", attributes)).level("Buffer")
    assert (level.capacity, level.block_size) == (capacity, block)


@pytest.mark.parametrize(
    ("mesh", "x", "y"),
    [("", 12, 1), (", meshX: 3", 3, 4), (", meshY: 2", 6, 2), (", meshX: 1", 1, 12), (", meshX: 4, meshY: 3", 4, 3)],
)
def test_instances_lie_along_x_unless_a_mesh_is_given(arch: str, mesh: str, x: int, y: int) -> None:
    buffer = read_architecture(arch.replace(", meshX: 4", mesh)).level("Buffer")
    assert (buffer.fanout_x, buffer.fanout_y) == (x, y)


def test_bandwidth_is_halved_between_reads_and_writes(arch: str) -> None:
    """Timeloop's old attribute; those of reads and writes win over it."""
    level = read_architecture(arch.replace("read_bandwidth: 4", "bandwidth: 7")).level("Buffer")
    assert (level.read_bandwidth, level.write_bandwidth, level.shared_bandwidth) == (3.5, 3.5, math.inf)
    more = arch.replace("read_bandwidth: 4", "bandwidth: 7, write_bandwidth: 2, shared_bandwidth: 5")
    level = read_architecture(more).level("Buffer")
    assert (level.read_bandwidth, level.write_bandwidth, level.shared_bandwidth) == (3.5, 2, 5)


def test_variables_stand_for_attributes_in_trees_too(arch: str) -> None:
    """Timeloop itself looks a name up there, but no expression."""
    text = "variables: {version: 0.3, words: 64, wide: 32}\n"
    text += arch.replace("depth: 128, width: 32", "depth: words, width: wide")
    assert read_architecture(text).level("Buffer").capacity == 256
    with pytest.raises(InvalidInput, match=r"depth is 'words \* 2'; it must be an integer"):
        read_architecture(text.replace("depth: words", "depth: words * 2"))


def test_harmless_attributes(arch: str) -> None:
    more = (
        "n_banks: 4, technology: 32nm, min_utilization: 0, power_gated_at: Buffer, has_power_gating: false, latency: 5"
    )
    more += ", network_fill_latency: 0, per_dataspace_bandwidth_consumption_scale: {Weights: 1}, allow_overbooking: no"
    assert read_architecture(arch.replace("read_bandwidth: 4", more)).level("Buffer").capacity == 512


@pytest.mark.parametrize(
    "attribute",
    [
        "network_fill_latency: 3",
        "cluster-size: 4",
        "power_gated_at: DRAM",
        "min-utilization: 0.5",
        "per_dataspace_bandwidth_consumption_scale: {Weights: 0.5}",
        "metadata_block_size: 2",
        "metadata-width: 8",
        "network-type: 'M:N'",
    ],
)
def test_attributes_that_dlco_does_not_model(arch: str, attribute: str) -> None:
    with pytest.raises(NotSupported, match=r"of Buffer is .*dlco does not model"):
        read_architecture(arch.replace("read_bandwidth: 4", attribute))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "depth: 128",
            "dpeth: 128",
            r"architecture text, line 12: unknown attribute 'dpeth' of Buffer; allowed: .*depth",
        ),
        ("depth: 128", "depth: -3", r"line 12: depth is '-3'; it must be an integer of at least 0"),
        (
            "depth: 128",
            "depth: 4294967296",
            r"depth is '4294967296'; .* at least 0 and at most 4294967295",
        ),
        (
            "depth: 128",
            "sizeKB: 1e400",
            r"sizeKB is '1e400'; .* at least 0 and at most 4294967295",
        ),
        ("width: 32", "width: 0", r"width is '0'; it must be an integer of at least 1"),
        ("depth: 128", "depth: 64*2", r"depth is '64\*2'; it must be an integer"),
        ("depth: 128", "depth: nan", r"depth is 'nan'; it must be an integer"),
        ("depth: 128", "depth: [1]", r"depth is a list; it must be an integer"),
        ("depth: 128", "depth: 128, sizeKB: 3", r"Buffer has both depth and sizeKB; one of them"),
        ("depth: 128", "entries: 128, sizeKB: 3", r"Buffer has both entries and sizeKB; one of them"),
        ("depth: 128", "depth: 128, depth: 3", r"line 12: key 'depth' is given twice"),
        ("width: 32", "width: 20", r"width of Buffer is 20 bits; it must be a multiple of the 8 bits"),
        ("width: 32", "width: 32, block_size: 2, cluster_size: 1", r"width of Buffer is 32 bits; its blocks make 16"),
        ("read_bandwidth: 4", "read_bandwidth: 0", r"read_bandwidth is '0'; it must be a finite number above 0"),
        (
            "class: SRAM",
            "klass: SRAM",
            r"line 9: local has no 'class'|unknown key 'klass' in local; allowed: name, class",
        ),
        ("subtree:\n  - name: system", "subtree:\n  - nome: system", r"unknown key 'nome' in subtree; allowed: name"),
        ("architecture:", "arch:", r"unknown key 'arch' in the document; allowed: architecture"),
        ("PE[0..11]", "PE[3..1]", r"name is 'PE\[3..1\]'; it must be a name, with a range"),
        (
            "meshX: 4}\n      - name: MAC",
            "meshX: 5}\n      - name: MAC",
            r"Registers has meshX 5; they must make up its 12",
        ),
        (
            "class: intmac",
            "class: SRAM",
            r"architecture 'system' has DRAM, Buffer, Registers, MAC; it must have one MAC",
        ),
        ("name: Buffer", "name: DRAM", r"they must be one or more, of distinct names"),
        ("  subtree:", "  subtree: [", r"line \d+: not valid YAML"),
    ],
)
def test_errors_name_place_value_and_what_is_allowed(arch: str, old: str, new: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_architecture(arch.replace(old, new, 1))


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("depht", "depth"),
        ("witdh", "width"),
        ("entires", "entries"),
        ("sizekb", "sizeKB"),
        ("block_szie", "block_size"),
        ("blocksize", "block_size"),
        ("read_bandwith", "read_bandwidth"),
        ("mutiple-bufering", "multiple_buffering"),
        ("vector_acces_enrgy", "vector_access_energy"),
        ("network_fill_latancy", "network_fill_latency"),
        ("meshx", "meshX"),
    ],
)
def test_attributes_with_a_slip_are_refused(arch: str, slip: str, meant: str) -> None:
    with pytest.raises(
        InvalidInput, match=rf"unknown attribute '{slip.replace('-', '_')}' of Buffer; allowed: {meant} "
    ):
        read_architecture(arch.replace("read_bandwidth: 4", f"{slip}: 4"))


@pytest.mark.parametrize("version", ["0.3", "0.4"])
def test_attributes_of_estimators_change_nothing(arch: str, version: str, caplog: pytest.LogCaptureFixture) -> None:
    """Known ones without a word, made-up ones with a warning: of storage and of the MAC, in both versions."""
    text = arch if version == "0.3" else write_architecture(read_architecture(arch), "0.4")
    storage = "technology: 45nm, bank_depth: 64, n_rd_wr_ports: 2, n_banks: 4, n_rdwr_ports: 2, read_energy: 3, "
    compute = "width: 16, num_pipeline_stages: 2, exponent: 8, n_words: 2, mantissa: 24, "
    more = text.replace("{depth: 128", f"{{{storage}row_buffers: 3, depth: 128")
    at = more.index("{datawidth: 8", more.index("class: intmac")) + 1
    more = more[:at] + f"{compute}lanes: [1, 2], " + more[at:]
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="dlco"):
        assert read_architecture(more) == read_architecture(text)
    warned = [record.getMessage() for record in caplog.records if "nothing looks up" in record.getMessage()]
    assert [message.partition("nothing ")[2] for message in warned] == [
        "looks up row_buffers of Buffer: passed over",
        "looks up n_words, lanes of MAC: passed over",
    ]


def test_keys_that_timeloop_never_looks_up(arch: str, caplog: pytest.LogCaptureFixture) -> None:
    text = arch.replace("class: SRAM", "class: SRAM\n      required_actions: [read]\n      comment: a buffer")
    text = text.replace("    local:\n    - name: DRAM", "    area_budget: 3\n    local:\n    - name: DRAM")
    with caplog.at_level(logging.WARNING, logger="dlco"):
        assert read_architecture(text) == read_architecture(arch)
    assert "nothing looks up comment in local" in caplog.text
    assert "nothing looks up area_budget in subtree" in caplog.text


def test_meshes_that_do_not_divide(arch: str) -> None:
    text = arch.replace("subtree:\n    - name: PE", "subtree:\n    - name: PE", 1).replace(
        "name: Buffer", "name: Buffer[0..4]"
    )
    with pytest.raises(
        InvalidInput, match=r"Registers has 4 instances along X; that must be a multiple of the 5 of Buffer"
    ):
        read_architecture(text)


FAN_OUT = "class: regfile\n        spatial: {meshX: 2}\n        attributes: {depth: 4"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("!Parallel", "!Sideways", "node has the tag 'Sideways'; allowed: !Component, !Container"),
        ("meshY: 3", "meshZ: 3", "unknown key 'meshZ' in spatial; allowed: meshX, meshY"),
        (FAN_OUT.replace("spatial: {meshX: 2}\n        ", ""), FAN_OUT, "Inputs_reg fans out within !Parallel nodes"),
    ],
)
def test_errors_in_nodes(old: str, new: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_architecture(V4.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("class: DRAM", "class: XY_NoC", "DRAM is a network of class XY_NoC"),
        ("name: chip", "name: chip\n    spatial: {meshX: 2}", "chip fans out above all storage"),
    ],
)
def test_nodes_that_dlco_does_not_model(old: str, new: str, sentence: str) -> None:
    with pytest.raises(NotSupported, match=sentence):
        read_architecture(V4.replace(old, new, 1))


def test_sparse_machines_and_many_drams_are_not_supported(arch: str) -> None:
    with pytest.raises(NotSupported, match="sparse_optimizations are given"):
        read_architecture(arch + "sparse_optimizations: {targets: [{name: Buffer}]}\n")
    nodes = V4.replace("class: DRAM", "class: DRAM\n    sparse_optimizations: {action_optimization: [{type: gating}]}")
    with pytest.raises(NotSupported, match="sparse_optimizations are given"):
        read_architecture(nodes)
    assert read_architecture(nodes.replace("[{type: gating}]", "[]")) == read_architecture(V4)
    with pytest.raises(NotSupported, match="DRAM has 2 instances; the outermost level must have one"):
        read_architecture(arch.replace("name: system", "name: system[0..1]"))


def test_components_that_are_neither_storage_nor_mac_are_passed_over(
    arch: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="dlco"):
        machine = read_architecture(
            arch.replace("    - name: Buffer", "    - {name: agu, class: counter}\n    - name: Buffer")
        )
    assert len(machine.levels) == 3
    assert "agu of class counter is no storage and no MAC" in caplog.text


@pytest.mark.parametrize(
    "table",
    [
        "ERT: {tables: [{name: x}]}",
        "ERT: {tables: [{name: x, actions: [{name: read}]}]}",
        "ERT: {tables: [{name: x, actions: [{name: read, energy: -1}]}]}",
        "ERT: {tabels: []}",
        "ERT: 3",
    ],
)
def test_bad_tables(arch: str, table: str) -> None:
    with pytest.raises(InvalidInput):
        read_architecture(arch, ert=table)
