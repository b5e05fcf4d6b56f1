"""Which of Accelergy's tables and of an architecture's own attributes prices what: Timeloop's order."""

import logging

import pytest

from dlco.timeloop import model, read_architecture, write_architecture
from dlco.timeloop.tables import COMPUTE, READ, UPDATE, WRITE

ARCH = """
architecture:
  version: 0.3
  subtree:
  - name: top
    local:
    - {name: Main, class: DRAM, attributes: {width: 64, block-size: 4, word-bits: 16}}
    - {name: mul, class: intmac, attributes: {datawidth: 16}}
"""
REST = """
problem: {shape: gemm-abz, instance: {M: 4, N: 4, K: 4}}
mapping:
- {target: Main, type: temporal, factors: M4 N4 K4, permutation: KNM}
"""


def priced(main: dict[str, float] | None, mul: dict[str, float] | None, attributes: str = "", own: str = "") -> str:
    """The machine with tables of actions and attributes of its own."""
    text = ARCH.replace("word-bits: 16}", f"word-bits: 16{attributes}}}")
    text = text.replace("datawidth: 16}", f"datawidth: 16{own}}}")
    rows = [
        f"  - name: top.{name}\n    actions:\n"
        + "".join(f"    - {{name: {action}, arguments: {{}}, energy: {energy}}}\n" for action, energy in table.items())
        for name, table in (("Main", main), ("mul", mul))
        if table
    ]
    return text + ("ERT:\n  version: 0.3\n  tables:\n" + "".join(rows) if rows else "")


def test_the_attribute_wins_for_storage_and_the_table_for_the_mac(caplog: pytest.LogCaptureFixture) -> None:
    """timeloop-model: 60 block accesses of 100 pJ and 64 MACs of 2 pJ make 6,128 pJ; no leakage is taken either."""
    table = {"read": 512, "write": 512, "update": 512, "leak": 3}
    text = priced(table, {"compute": 2}, ", vector_access_energy: 100", ", energy: 5") + REST
    with caplog.at_level(logging.WARNING, logger="dlco"):
        figures = model(text, text, text)
    assert figures["energy_pj"] == 6128
    assert figures["compute"]["energy_pj"] == 128
    main = figures["levels"]["Main"]
    assert [main[name]["energy_pj_total"] for name in "ABZ"] == [1600, 1600, 2800]
    assert "vector_access_energy of Main wins over the ERT (its leak does not count either)" in caplog.text
    assert "the ERT wins over the energy of mul" in caplog.text
    assert "0 pJ" not in caplog.text


def test_tables_alone() -> None:
    machine = read_architecture(priced({"read": 5, "write": 7, "update": 11, "leak": 3}, {"compute": 2}))
    main = machine.levels[0]
    assert (main.read_pj, main.write_pj, main.update_pj, main.leak_pj, machine.mac_pj) == (5, 7, 11, 3, 2)
    assert read_architecture(write_architecture(machine)) == machine


@pytest.mark.parametrize(
    ("actions", "read", "write", "update"),
    [
        ({"read": 5, "write": 7}, 5, 7, 7),
        ({"read": 5}, 5, 5, 5),
        ({"read": 5, "leak": 9}, 5, 9, 9),
        ({"read": 5, "update": 7}, 5, 7, 7),
        ({"read": 9, "update": 7}, 9, 9, 7),
        ({"write": 7, "idle": 0.5}, 7, 7, 7),
        ({"read": 5, "fill": 7}, 5, 7, 7),
        ({"read": 5, "fill": 7, "gated_read": 8}, 5, 7, 8),
    ],
)
def test_what_a_table_does_not_list_costs_its_largest(
    actions: dict[str, float], read: float, write: float, update: float, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="dlco"):
        main = read_architecture(priced(actions, {"compute": 1})).levels[0]
    assert (main.read_pj, main.write_pj, main.update_pj, main.leak_pj) == (read, write, update, actions.get("leak", 0))
    assert ("the largest it lists counts" in caplog.text) == (actions != {"read": 5, "write": 7})
    assert "count as 0 pJ" not in caplog.text


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (READ, ["random_read", "read"]),
        (WRITE, ["random_fill", "random_write", "fill", "write"]),
        (UPDATE, ["random_update", "random_write", "update", "write"]),
        (COMPUTE, ["mac_random", "mult_random", "mac", "mult", "compute"]),
    ],
)
def test_the_first_name_that_is_listed_counts(names: tuple[str, ...], order: list[str]) -> None:
    """Timeloop's order of names, each time without those before: the names later in it cost more and count less."""
    field = {READ: "read_pj", WRITE: "write_pj", UPDATE: "update_pj"}.get(names)
    for i in range(len(order)):
        actions = {name: 10.0 + j for j, name in enumerate(order) if j >= i}
        machine = read_architecture(priced(actions, {"compute": 1} if field else actions))
        assert (getattr(machine.levels[0], field) if field else machine.mac_pj) == 10 + i


def test_write_and_update_have_names_of_their_own() -> None:
    main = read_architecture(priced({"read": 1, "fill": 2, "update": 3, "write": 9}, {"mac": 1})).levels[0]
    assert (main.write_pj, main.update_pj) == (2, 3)
    main = read_architecture(priced({"read": 1, "write": 2, "update": 3}, {"mac": 1})).levels[0]
    assert (main.write_pj, main.update_pj) == (2, 3)


@pytest.mark.parametrize(
    ("mul", "own", "energy"),
    [
        ({"compute": 2}, "", 2),
        ({"compute": 2}, ", energy: 5", 2),
        (None, ", energy: 5", 5),
        ({"mac_gated": 3}, ", energy: 5", 5),
        ({"mac_gated": 3, "leak": 1}, "", 3),
        (None, "", 0),
    ],
)
def test_the_mac(mul: dict[str, float] | None, own: str, energy: float) -> None:
    assert read_architecture(priced({"read": 1}, mul, own=own)).mac_pj == energy


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (priced(None, None), "Main, mul"),
        (priced(None, {"compute": 0}), "Main"),
        (priced({"read": 0}, None), "mul"),
        (priced(None, None, ", vector_access_energy: 0"), "mul"),
        (priced(None, None, "", ", energy: 2"), "Main"),
        (priced(None, None, ", vector_access_energy: 1", ", energy: 0"), None),
        (priced(None, None, ", energy: 3", ", vector_access_energy: 3"), "Main, mul"),
    ],
)
def test_the_warning_of_0_pj_names_what_nothing_prices(
    text: str, names: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="dlco"):
        machine = read_architecture(text)
    told = [record.getMessage() for record in caplog.records if "count as 0 pJ" in record.getMessage()]
    assert told == ([f"no energies are given for {names}: they count as 0 pJ"] if names else [])
    zero = [name for name, pj in (("Main", machine.levels[0].write_pj), ("mul", machine.mac_pj)) if pj == 0]
    assert set(names.split(", ") if names else ()) <= set(zero)


def test_the_table_of_areas_wins(caplog: pytest.LogCaptureFixture) -> None:
    text = priced(None, None, ", cluster-area: 9", ", area: 3")
    machine = read_architecture(text)
    assert (machine.levels[0].area_um2, machine.mac_area_um2) == (9, 3)
    with caplog.at_level(logging.WARNING, logger="dlco"):
        machine = read_architecture(text, art="ART: {version: 0.3, tables: [{name: top.Main, area: 0}]}")
    assert (machine.levels[0].area_um2, machine.mac_area_um2) == (0, 3)
    assert "the ART wins over the cluster_area of Main" in caplog.text


@pytest.mark.parametrize("path", ["top.Main", "top.Main[1..1]", "system_top_level.PE[0..3].Main[10..25]", "Main"])
def test_names_of_tables(path: str) -> None:
    text = priced({"read": 5}, {"compute": 1}).replace("name: top.Main", f"name: '{path}'")
    assert read_architecture(text).levels[0].read_pj == 5


def test_wires_cost_what_a_transfer_does() -> None:
    """Timeloop reads no other action of theirs."""
    wire = "  - {name: top.wire, actions: [{name: transfer_random, energy: 0}, {name: transfer_repeated, energy: 4}]}\n"
    assert read_architecture(priced({"read": 5}, {"compute": 1}) + wire).levels[0].read_pj == 5


def test_tables_say_more_than_is_looked_up() -> None:
    """Accelergy's verbose tables; and aliases of rows and actions, however many, say no more than one of them."""
    action = "{name: read, arguments: {a: 1}, energy: 5, subcomponents: [], estimator: CACTI}"
    row = f"&row {{name: top.Main, actions: [&action {action}{', *action' * 100}], critical_path_length: 1, by: hand}}"
    ert = f"ERT: {{version: 0.3, generator: accelergy, tables: [{row}{', *row' * 100}]}}\n"
    assert read_architecture(ARCH + ert).levels[0].read_pj == 5
    art = "ART: {version: 0.3, tables: [{name: top.Main, area: 7, n_instances: 1}]}"
    assert read_architecture(ARCH, ert=ert, art=art).levels[0].area_um2 == 7
