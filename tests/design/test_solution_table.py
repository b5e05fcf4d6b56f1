from dataclasses import replace

import pytest

from dlco.design.codesign import text_of
from dlco.design.machine_table import byte_size, machine_table
from dlco.design.objective import Objective
from dlco.design.solution import Solution
from dlco.design.solution_table import (
    layer_rows,
    solution_html,
    solution_text,
    spatial_summary,
)
from dlco.hardware import eyeriss_like, simba_like
from dlco.mapping import Mapping


def test_layer_rows_add_up_to_the_network(solution):
    rows = layer_rows(solution)
    assert [row.name for row in rows] == ["conv1", "fc<1>"]
    assert [row.count for row in rows] == [3, 1]
    assert rows[0].macs == 3 * 4 * 8 * 6 * 6 * 3 * 3
    assert sum(row.cycles for row in rows) == pytest.approx(solution.cost.cycles)
    assert sum(row.energy_pj for row in rows) == pytest.approx(solution.cost.energy_pj)
    assert sum(row.edp_share for row in rows) == pytest.approx(1)


def test_edp_share_predicts_what_a_cheaper_layer_brings(solution):
    one = solution.layer_costs["conv1"]
    less = 1e-6
    cycles = solution.cost.cycles - less * one.cycles * one.count
    energy = solution.cost.energy_pj - less * one.energy_pj * one.count
    saved = 1 - cycles * energy / solution.cost.edp
    assert saved == pytest.approx(2 * less * layer_rows(solution)[0].edp_share, rel=1e-5)


def test_spatial_loops_are_summed_up(solution):
    assert [row.spatial for row in layer_rows(solution)] == ["C4 Q3 x M8", "C16 x 1"]


def test_spatial_loops_of_several_levels_go_from_the_outside_in(solution):
    machine = simba_like()
    dims, ones = ("C", "M"), (1, 1)
    mapping = Mapping(
        dimensions=dims,
        levels=tuple(level.name for level in machine.levels),
        temporal=(ones,) * 6,
        spatial_x=(ones, ones, (1, 8), ones, (4, 1), ones),
        spatial_y=(ones, (2, 1), ones, ones, (1, 4), ones),
        order=(dims,) * 6,
        spatial_order=(dims,) * 6,
        bypass=(frozenset(),) * 6,
    )
    assert spatial_summary(mapping, machine) == "C4 x M4 | M8 | C2"
    bare = replace(machine, levels=tuple(replace(level, fanout_x=1, fanout_y=1) for level in machine.levels))
    assert spatial_summary(mapping, bare) == "-"


def test_text_shows_totals_limits_machine_and_layers(solution):
    text = solution_text(solution)
    lines = text.splitlines()
    assert lines[0] == "solved: all limits hold"
    assert "no design in this space is more than 25.0 % better" in lines[1].lower()
    assert max(len(line) for line in lines) <= 120
    assert text.isascii()
    by_name = {line.split()[0]: line for line in lines if line.split()}
    assert by_name["area"].endswith("4 mm2  ok")
    assert by_name["latency"].endswith("1.00 ns  EXCEEDED")
    assert by_name["EDP"].endswith("minimised")
    assert "128 KiB" in by_name["GlobalBuffer"]
    assert "16 x 16" in by_name["GlobalBuffer"]
    assert by_name["conv1"].endswith("C4 Q3 x M8")
    assert "1,234 mappings evaluated in 5.5 s, seed 7." in lines


def test_totals_are_the_networks_figures_in_their_units(solution):
    """Each number that is printed, read back with its prefix, is the field of `NetworkCost`."""
    prefixes = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3}
    rows = [line.split() for line in solution_text(solution).splitlines()]
    shown = {
        row[0]: row[1:3] for row in rows if row and row[0] in ("cycles", "latency", "energy", "power", "area", "EDP")
    }
    assert shown["cycles"][0] == f"{solution.cost.cycles:,.0f}"
    for name, value, unit in (
        ("latency", solution.cost.latency_s, "s"),
        ("energy", solution.cost.energy_pj * 1e-12, "J"),
        ("power", solution.cost.power_w, "W"),
    ):
        number, prefixed = shown[name]
        assert prefixed.endswith(unit)
        assert float(number) * prefixes.get(prefixed.removesuffix(unit), 1.0) == pytest.approx(value, rel=5e-3)
    assert float(shown["area"][0]) == pytest.approx(solution.cost.area_mm2, rel=1e-3)
    assert float(shown["EDP"][0]) == pytest.approx(solution.cost.edp, rel=1e-3)


def test_areas_of_all_instances_add_up_to_the_machines():
    machine = replace(eyeriss_like(), cycle_s=2.5e-9)
    table = machine_table(machine)
    assert table.title.endswith(", 2.5 ns a cycle")
    places = {row[0]: row for row in table.rows}
    column = table.header.index("area mm2")
    for level, instances in zip(machine.levels, machine.instances, strict=True):
        shown = places[level.name][column]
        assert shown == (f"{level.area_um2 * instances / 1e6:.4g}" if level.area_um2 else "-")
    assert places[machine.mac_name][column] == f"{machine.mac_area_um2 * machine.macs / 1e6:.4g}"
    total = sum(float(row[column]) for row in table.rows if row[column] != "-")
    assert total == pytest.approx(machine.area_mm2, rel=1e-3)


def test_an_axis_of_two_children_is_shown(solution):
    """No axis of one child is."""
    levels = list(solution.architecture.levels)
    levels[1] = replace(levels[1], fanout_x=2, fanout_y=1)
    mapping = solution.mappings["fc<1>"]
    ones = (1,) * len(mapping.dimensions)
    two = tuple(2 if dim == "C" else 1 for dim in mapping.dimensions)
    split = replace(mapping, spatial_x=(ones, two, ones), spatial_y=(ones,) * 3)
    assert spatial_summary(split, replace(solution.architecture, levels=tuple(levels))) == "C2"


def test_printing_a_solution_prints_its_table(solution):
    assert str(solution) == solution_text(solution)
    assert solution._repr_html_() == solution_html(solution)


def test_html_is_a_fragment_with_everything_escaped(solution):
    html = solution_html(replace(solution, message="<script>alert(1)</script>"))
    assert html.startswith("<div>")
    assert html.endswith("</div>")
    assert "<script" not in html
    assert "fc&lt;1&gt;" in html
    assert "fc<1>" not in html
    assert "http" not in html


def test_a_network_whose_energy_is_zero_still_prints(free):
    text = solution_text(free)
    assert "0 J" in text
    assert "goes below" not in text
    assert "limit holds" not in text


def test_long_names_do_not_widen_the_table(solution):
    name = "a very long name of a layer " * 5
    layers = (replace(solution.layers[0], name=name),)
    costs, mappings = ({name: table["conv1"]} for table in (solution.layer_costs, solution.mappings))
    text = solution_text(replace(solution, layers=layers, layer_costs=costs, mappings=mappings))
    assert max(len(line) for line in text.splitlines()) <= 120


def test_machine_table_lists_what_levels_bypass():
    text = machine_table(eyeriss_like()).to_text()
    row = next(line for line in text.splitlines() if line.startswith("weights_spad"))
    assert row.split() == "weights_spad regfile 192 384 B 168 1 x 1 2 0.5414 Inputs, Outputs".split()
    assert max(len(line) for line in text.splitlines()) <= 120


def test_machine_table_says_that_a_level_without_room_keeps_nothing(solution):
    machine = solution.architecture
    empty = replace(machine, levels=(machine.levels[0], replace(machine.levels[1], capacity=0), machine.levels[2]))
    header, rows = machine_table(empty).header, machine_table(empty).rows
    assert rows[1][header.index("words")] == "0"
    assert [row[header.index("bypasses")] for row in rows] == ["", "all", "", "", ""]  # MACs and wires last


def test_bandwidths_are_shown_apart_where_they_differ(solution):
    machine = solution.architecture
    outer = replace(machine.levels[2], read_bandwidth=8, write_bandwidth=2)
    inner = replace(machine.levels[0], read_bandwidth=float("inf"), write_bandwidth=float("inf"))
    changed = replace(machine, levels=(inner, machine.levels[1], outer))
    rows = machine_table(changed).rows
    assert rows[0][6] == "8/2"
    assert rows[2][6] == "-"


@pytest.mark.parametrize(
    ("words", "bits", "text"),
    [(4, 16, "8 B"), (3, 4, "1.5 B"), (512, 16, "1 KiB"), (3 * 2**19, 16, "3 MiB"), (2**40, 8, "1024 GiB")],
)
def test_sizes_in_bytes(words, bits, text, solution):
    assert byte_size(replace(solution.architecture.levels[0], capacity=words, word_bits=bits)) == text


@pytest.mark.parametrize("objective", ["latency", "energy", "power", "area", "edp"])
def test_every_objective_has_its_bound_shown_in_its_unit(solution: Solution, objective):
    units = {"latency": "ns", "energy": "uJ", "power": "mW", "area": "mm2", "edp": "pJ x cycles"}
    aimed = replace(solution, objective=objective, lower_bound=0.5 * solution.cost.objective(objective))
    line = solution_text(aimed).splitlines()[1]
    assert "more than 50.0 % better: none goes below" in line
    assert f" {units[objective]}." in line


@pytest.mark.parametrize(
    ("shown", "value", "said"),
    [
        (Objective.ENERGY.text, 1.234e9, "energy 1.23 mJ"),
        (Objective.EDP.text, 1.234e9, "EDP 1.234e+09 pJ x cycles"),
        (text_of("latency"), 2.5e-3, "latency 2.50 ms"),
        (text_of("accuracy"), 76.504, "accuracy 76.50 %"),
    ],
)
def test_what_is_searched_for_has_its_unit(shown, value, said):
    assert shown(value) == said
