"""The pictures of a solution: what they draw is the solution's figures, and every text can be read."""

from collections import defaultdict
from dataclasses import replace
from itertools import combinations, pairwise

import matplotlib.pyplot
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from dlco.design.history import HistoryPoint
from dlco.design.network_cost import evaluate_network
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware import eyeriss_like, gemmini_like, generic, simba_like, tpu_like
from dlco.mapping.loopnest import render_loop_nest
from dlco.report.breakdown import breakdowns
from dlco.report.drawing.colours import HATCHES, MARKERS, level_colours
from dlco.report.drawing.svg import hover_of
from dlco.report.pictures import (
    plot_convergence,
    plot_energy,
    plot_floor_plan,
    plot_latency,
    plot_loop_nest,
    plot_roofline,
    plot_utilization,
)
from dlco.report.pictures.floor_plan import blocks, enlarged, subtree_area
from dlco.report.pictures.loop_nest import layer_nest
from dlco.report.pictures.roofline import has_roofline

from .test_breakdown import limited
from .test_picture import grown

OF_A_SOLUTION = (plot_energy, plot_latency, plot_roofline, plot_utilization, plot_convergence)
MACHINES = (generic(), eyeriss_like(), simba_like(), gemmini_like(), tpu_like())


def tick_labels(axis: Axis) -> list[Text]:
    """Those within the axis' range."""
    low, high = sorted(axis.get_view_interval())
    ticks = zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=True)
    return [tick.label1 for tick, place in ticks if low <= place <= high and tick.label1.get_visible()]


def texts(figure: Figure) -> list[Text]:
    """All that is written in a drawn picture."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        found += [axes.title, *axes.texts]
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                found += [axis.label, *tick_labels(axis)]
    return [text for text in found if text.get_text()]


def outside(figure: Figure) -> list[str]:
    """What is written beyond the edge of a drawn picture."""
    renderer = figure.canvas.get_renderer()
    page = figure.bbox
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(figure)]
    return [t for t, b in boxes if b.x0 < -1 or b.y0 < -1 or b.x1 > page.x1 + 1 or b.y1 > page.y1 + 1]


def drawn(figure: Figure) -> Figure:
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize(
    ("plot", "layers"), [*((plot, 40) for plot in OF_A_SOLUTION), (plot_energy, 1), (plot_utilization, 1)]
)
def test_nothing_is_cut_off_and_no_labels_overlap(solution, plot, layers):
    figure = drawn(plot(grown(solution, layers)))
    assert not outside(figure)
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        for labels in (tick_labels(axes.xaxis), tick_labels(axes.yaxis)):
            boxes = [text.get_window_extent(renderer) for text in labels if not text.get_rotation()]
            assert not any(one.overlaps(other) for one, other in pairwise(boxes))
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert not any(one.overlaps(other) for one, other in combinations(boxes[:80], 2))
    assert not matplotlib.pyplot.get_fignums()


@pytest.mark.parametrize("plot", OF_A_SOLUTION)
def test_names_that_matplotlib_or_xml_would_read_their_own_way(solution, plot, tmp_path):
    figure = plot(grown(solution, 2, "_a$\\bad$ <b>&\x01 {}"), tmp_path / "out.svg", title="$x$ <i>")
    assert figure.get_suptitle() == "\\$x\\$ <i>"
    assert "<b>" not in (tmp_path / "out.svg").read_text()


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_pictures_are_written_in_the_format_of_the_suffix(solution, tmp_path, suffix, start):
    path = tmp_path / f"picture{suffix}"
    plot_loop_nest(solution, "conv1", path)
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize("plot", OF_A_SOLUTION)
def test_another_suffix_is_refused(solution, tmp_path, plot):
    with pytest.raises(InvalidInput, match=r"its suffix must be one of .png, .svg, .pdf"):
        plot(solution, tmp_path / "picture.txt")
    assert not list(tmp_path.iterdir())


def test_colours_differ_in_grey_too():
    colours = level_colours(simba_like())
    grey = [float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114))) for colour in colours.values()]
    assert all(abs(one - other) > 0.05 for one, other in pairwise(grey))
    assert len(set(HATCHES)) == len(HATCHES)
    assert len(set(MARKERS)) == len(MARKERS)


def test_energy_bars_add_up_to_each_layers_energy(solution):
    axes = plot_energy(solution).axes[0]
    assert axes.get_xlabel() == "energy of all executions, µJ"
    ends, widths = defaultdict(float), defaultdict(float)
    for bar in axes.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        assert bar.get_x() == pytest.approx(ends[row])  # no gap, no overlap
        ends[row] = bar.get_x() + bar.get_width()
        widths[row] += bar.get_width()
    for i, layer in enumerate(solution.layers):
        one = solution.layer_costs[layer.name]
        assert widths[i] == pytest.approx(one.energy_pj * one.count * 1e-6)
    assert sum(widths.values()) == pytest.approx(solution.cost.energy_pj * 1e-6)
    shown = {hover_of(bar).split(":")[0] for bar in axes.patches}
    assert shown == {layer.name for layer in solution.layers}


def test_energy_is_hatched_by_dataspace_and_coloured_by_level(solution):
    colours = level_colours(solution.architecture)
    for bar in plot_energy(solution).axes[0].patches:
        words = hover_of(bar).split(": ")[1].split()
        if "in" in words:
            assert (bar.get_hatch() or "") == HATCHES[("Weights", "Inputs", "Outputs").index(words[0])]
            assert to_rgb(bar.get_facecolor()) == to_rgb(colours[words[2]])


def test_a_network_whose_energy_is_zero_is_drawn(free):
    for plot in OF_A_SOLUTION:
        plot(free).draw_without_rendering()


def test_a_layers_largest_bound_is_all_of_its_cycles(solution):
    slow = limited(solution)
    cycles, bounds = plot_latency(slow).axes
    lines = {line.get_label(): line for line in bounds.lines}
    assert set(lines) == {"all MACs busy", "compute", "RegisterFile", "GlobalBuffer", "DRAM"}
    rows = breakdowns(slow)
    for i, row in enumerate(rows):
        shares = [line.get_xdata()[i] for line in lines.values()]
        assert max(shares) == pytest.approx(100, abs=100 / row.cycles)
        assert (
            shares[0]
            == pytest.approx(100 * row.ideal_cycles / row.cycles)
            == pytest.approx(100 * slow.layer_costs[row.name].utilization)
        )
        assert lines["compute"].get_xdata()[i] == pytest.approx(100 * row.compute_cycles / row.cycles)
    lengths = [bar.get_width() for bar in cycles.patches]
    assert sum(lengths) * 1e3 == pytest.approx(slow.cost.cycles)
    assert cycles.get_xlabel() == "thousand cycles of all executions"


def test_layers_lie_under_the_roof_and_those_that_wait_on_it(solution):
    slow = limited(solution)
    axes = plot_roofline(slow).axes[0]
    assert axes.get_xlabel() == "operational intensity, MACs a word through the busiest port of DRAM"
    peak = slow.architecture.macs
    for row, dots in zip(breakdowns(slow), axes.collections, strict=True):
        ((x, y),) = dots.get_offsets()
        assert y == row.macs / row.cycles <= peak
        assert row.bound_by == "DRAM"
        assert y == pytest.approx(0.5 * x, rel=1 / row.cycles)  # of the wider port's 0.5 words a cycle
    slanted, flat = axes.lines
    assert slanted.get_ydata() == pytest.approx(0.5 * slanted.get_xdata())
    assert list(flat.get_ydata()) == [peak, peak]


def test_a_roofline_of_many_instances_by_hand(solution):
    """Both layers stay 256 register files of 4 words a cycle; every MAC reads or writes its 3 words in each step."""
    axes = plot_roofline(solution, level="RegisterFile").axes[0]
    places = [dots.get_offsets()[0].tolist() for dots in axes.collections]
    steps = (6 * 6 // 3 * 3 * 3, 32 // 16 * 10)  # conv1 has Q3 side by side, fc<1> C16
    cycles = (594, 80)  # DRAM's: (108 steps x (32 weights + 12 inputs)) / 8 and 20 x (16 + 16) / 8
    macs = (steps[0] * 4 * 8 * 3, steps[1] * 16)
    for place, step, cycle, mac in zip(places, steps, cycles, macs, strict=True):
        assert place == pytest.approx([mac / (step * 3 * 256), mac / cycle])
    slanted, flat = axes.lines
    assert slanted.get_label() == "1,024 words a cycle"
    assert flat.get_label() == "256 MACs at work"
    assert slanted.get_ydata() == pytest.approx(1024 * slanted.get_xdata())
    assert (slanted.get_xdata()[-1], slanted.get_ydata()[-1]) == (256 / 1024, 256)
    assert flat.get_xdata()[0] == slanted.get_xdata()[-1]  # the roofs meet
    assert axes.get_xlim() == (slanted.get_xdata()[0], flat.get_xdata()[1])
    assert axes.get_xlim() == pytest.approx((min(x for x, _ in places) / 2, 256 / 1024 * 2))
    low, high = axes.get_ylim()
    assert (low, high) == pytest.approx((min(4.0, 1024 * axes.get_xlim()[0]) / 1.3, 512))


def test_a_roofline_by_hand_has_its_words_and_its_shares(solution):
    axes = plot_roofline(solution).axes[0]
    words = (108 * (32 + 12), 20 * (16 + 16))  # weights and inputs that DRAM sends: one tile a step
    macs, cycles, counts = (10368, 320), (594, 80), (3, 1)
    total = 3 * 594 + 80
    assert solution.cost.cycles == total
    colours, shown = level_colours(solution.architecture), []
    for i, dots in enumerate(axes.collections):
        assert dots.get_offsets()[0].tolist() == pytest.approx([macs[i] / words[i], macs[i] / cycles[i]])
        share = counts[i] * cycles[i] / total
        assert dots.get_sizes() == pytest.approx([14 + 500 * share])
        assert hover_of(dots).endswith(f", {100 * share:.1f} % of the cycles")
        assert to_rgb(dots.get_facecolor()[0]) == to_rgb(colours["DRAM"])  # whose port sets the cycles of both
        shown.append(dots.get_label())
    assert shown[0] == "set by DRAM"
    assert shown[1].startswith("_")  # once in the legend is enough
    assert axes.lines[0].get_label() == "8 words a cycle"


def test_a_layer_that_its_macs_bound_lies_on_its_own_roof(solution):
    """With ports that never wait, cycles are steps: 108 and 20."""
    levels = tuple(replace(level, read_bandwidth=1e9, write_bandwidth=np.inf) for level in solution.architecture.levels)
    machine = replace(solution.architecture, levels=levels)
    costs, cost = evaluate_network(solution.layers, machine, solution.mappings)
    axes = plot_roofline(replace(solution, architecture=machine, layer_costs=costs, cost=cost)).axes[0]
    assert [dots.get_offsets()[0][1] for dots in axes.collections] == [10368 / 108, 320 / 20]
    assert axes.collections[0].get_label() == "set by compute"
    assert [dots.get_sizes()[0] for dots in axes.collections] == pytest.approx(
        [14 + 500 * part / (3 * 108 + 20) for part in (3 * 108, 20)]
    )


@pytest.mark.parametrize(("count", "named"), [(1, False), (100, True)])
def test_a_roofline_of_many_layers_names_those_with_the_most_cycles(solution, count, named):
    many = grown(solution, 24)
    small = replace(solution.layers[1], count=count)
    mappings = many.mappings | {small.name: solution.mappings[small.name]}
    layers = (small, *many.layers)
    costs, cost = evaluate_network(layers, solution.architecture, mappings)
    axes = plot_roofline(replace(solution, layers=layers, mappings=mappings, layer_costs=costs, cost=cost)).axes[0]
    assert len(axes.collections) == 25
    assert ("fc<1>" in {text.get_text() for text in axes.texts}) == named


def test_a_layer_that_moves_nothing_through_a_level_has_no_place_on_its_roofline(solution):
    bypass = (frozenset(), frozenset(space.name for space in solution.layers[1].problem.dataspaces), frozenset())
    mappings = solution.mappings | {"fc<1>": replace(solution.mappings["fc<1>"], bypass=bypass)}
    costs, cost = evaluate_network(solution.layers, solution.architecture, mappings)
    around = replace(solution, mappings=mappings, layer_costs=costs, cost=cost)
    shown = [hover_of(dots).split(":")[0] for dots in plot_roofline(around, level="GlobalBuffer").axes[0].collections]
    assert shown == ["conv1"]


def test_only_a_limited_bandwidth_gives_a_roofline(solution):
    levels = tuple(
        replace(level, read_bandwidth=np.inf, write_bandwidth=np.inf, shared_bandwidth=np.inf)
        for level in solution.architecture.levels
    )
    free = replace(solution, architecture=replace(solution.architecture, levels=levels))
    slow = replace(levels[0], shared_bandwidth=0.125)
    some = replace(solution, architecture=replace(solution.architecture, levels=(slow, *levels[1:])))
    assert [has_roofline(one) for one in (free, some, solution)] == [False, True, True]
    with pytest.raises(InvalidInput, match="no level has a limited bandwidth"):
        plot_roofline(free)


def test_the_roofline_of_another_level(solution):
    axes = plot_roofline(limited(solution), level="RegisterFile").axes[0]
    assert axes.get_xlabel().endswith("port of RegisterFile")
    for dots in axes.collections:
        ((x, y),) = dots.get_offsets()
        assert y < 2.0 * solution.architecture.macs * x  # two words a cycle and instance


def test_a_level_without_limit_has_no_roofline(solution):
    level = replace(solution.architecture.levels[2], read_bandwidth=np.inf, write_bandwidth=np.inf)
    machine = replace(solution.architecture, levels=(*solution.architecture.levels[:2], level))
    with pytest.raises(InvalidInput, match="'DRAM', whose bandwidth has no limit"):
        plot_roofline(replace(solution, architecture=machine), level="DRAM")
    with pytest.raises(InvalidInput, match="'L9'"):
        plot_roofline(solution, level="L9")


def test_utilisation_is_drawn_as_it_is(solution):
    macs, buffers = plot_utilization(solution).axes
    bars = [bar.get_width() for bar in macs.patches]
    cells = [int(text.get_text()) for text in buffers.texts]
    shown = []
    for i, row in enumerate(breakdowns(solution)):
        assert bars[2 * i : 2 * i + 2] == pytest.approx([100 * row.spatial, 100 * row.spatial * row.temporal])
        assert bars[2 * i + 1] == pytest.approx(100 * solution.layer_costs[row.name].utilization)
        shown += [round(100 * row.filled[name]) for name in ("GlobalBuffer", "RegisterFile")]
    assert cells == pytest.approx(shown, abs=1)
    assert (macs.get_xlabel(), buffers.get_xlabel()) == ("share of all MACs, %", "buffer filled, %")


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_floor_plan_is_to_scale(machine):
    for level in (len(machine.levels) - 1, enlarged(machine)):
        side = subtree_area(machine, level) ** 0.5
        shapes = [block for block in blocks(machine, level) if block.name]
        assert sum(block.width * block.height for block in shapes) == pytest.approx(side**2)
        eps = 1e-9 * side
        assert all(b.x > -eps and b.y > -eps for b in shapes)
        assert all(b.x + b.width < side + eps and b.y + b.height < side + eps for b in shapes)
        for one, other in combinations(shapes[:100], 2):
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            along = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert across < eps or along < eps
    assert subtree_area(machine, len(machine.levels) - 1) == pytest.approx(machine.area_mm2)
    by_name = defaultdict(float)
    for block in blocks(machine, len(machine.levels) - 1):
        by_name[block.name] += block.width * block.height
    for level, instances in zip(machine.levels, machine.instances, strict=True):
        area_um2 = level.area_um2 + level.network.area_um2
        assert by_name[level.name] == pytest.approx(area_um2 * instances * 1e-6)
    assert not outside(drawn(plot_floor_plan(machine)))


def test_a_machine_without_areas_says_so(solution):
    levels = tuple(replace(level, area_um2=0.0, network=None) for level in solution.architecture.levels)
    bare = replace(solution.architecture, levels=levels, mac_area_um2=0.0)
    assert "no areas are given of this machine" in [text.get_text() for text in texts(plot_floor_plan(bare))]
    only_macs = replace(bare, mac_area_um2=100.0)
    assert not outside(drawn(plot_floor_plan(only_macs)))
    one = replace(only_macs, levels=tuple(replace(level, fanout_x=1, fanout_y=1) for level in levels))
    assert len(plot_floor_plan(one).axes) == 1


def test_the_loop_nest_is_the_printed_one_on_its_levels_colours(solution):
    figure = plot_loop_nest(solution, "conv1")
    (axes,) = figure.axes
    layer = solution.layers[0]
    printed = render_loop_nest(solution.mappings["conv1"], layer.problem, solution.architecture)
    assert [text.get_text() for text in axes.texts] == [line.strip() for line in printed.splitlines()]
    colours = level_colours(solution.architecture)
    for patch, line in zip(axes.patches[1::2], layer_nest(solution, "conv1"), strict=True):
        assert to_rgb(patch.get_facecolor()) == to_rgb(colours[line.level])
        assert hover_of(patch) == line.level
    indents = [text.get_position()[0] for text, line in zip(axes.texts, layer_nest(solution, "conv1"), strict=True)]
    assert indents[1:2] < indents[-1:]
    assert not outside(drawn(figure))
    with pytest.raises(InvalidInput, match="layer is 'conv9'; the solution has conv1, fc<1>"):
        plot_loop_nest(solution, "conv9")


HISTORY = (
    HistoryPoint(0.0, "relax"),
    HistoryPoint(1.0, "relax", relaxed=5e9),
    HistoryPoint(2.0, "relax", relaxed=4e9),
    HistoryPoint(2.5, "search", relaxed=4e9),
    HistoryPoint(3.0, "search", relaxed=4e9, best=9e9),
    HistoryPoint(4.0, "polish", relaxed=4e9, best=6e9),
    HistoryPoint(6.0, "bound", relaxed=4e9, best=6e9, bound=2e9),
    HistoryPoint(8.0, "bound", relaxed=4e9, best=6e9, bound=3e9),
)


def test_convergence_is_the_history(solution):
    axes = plot_convergence(replace(solution, history=HISTORY, seconds=10.0)).axes[0]
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert lines["relaxed design"] == ([1.0, 2.0, 10.0], pytest.approx([5.0, 4.0, 4.0]))
    assert lines["best whole design"] == ([3.0, 4.0, 10.0], pytest.approx([9.0, 6.0, 6.0]))
    assert lines["lower bound"] == ([6.0, 8.0, 10.0], pytest.approx([2.0, 3.0, 3.0]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time since the start, s", "EDP, 10⁹ pJ·cycles")
    assert [text.get_text() for text in axes.texts] == ["relax", "search", "polish", "bound"]


def test_solutions_without_a_history_show_what_is_known(solution):
    old = replace(solution, trace=((1.0, 2e9), (3.0, 1e9)), seconds=5.0)
    lines = {line.get_label(): list(line.get_ydata()) for line in plot_convergence(old).axes[0].lines}
    assert len(lines["best whole design"]) >= 3
    assert len(lines["lower bound"]) == 2
    nothing = replace(solution, status="infeasible", lower_bound=None)
    assert "no history was recorded" in [text.get_text() for text in texts(plot_convergence(nothing))]


@pytest.mark.parametrize("objective", ["latency", "energy", "power", "area"])
def test_convergence_has_the_objectives_unit(solution: Solution, objective):
    label = plot_convergence(replace(solution, objective=objective)).axes[0].get_ylabel()
    assert label.startswith(f"{objective}, ")
    assert label.removeprefix(f"{objective}, ")[-1] in "sJW²"
