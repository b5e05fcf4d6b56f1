from dataclasses import replace
from itertools import combinations
from math import exp

import matplotlib.pyplot
import pytest

from dlco.design.budget import Budget
from dlco.design.front import Front, FrontPoint
from dlco.design.machine_table import machine_text
from dlco.design.network_cost import NetworkCost
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.report.front import plot_front


def made(solution: Solution, figures: list[tuple[float, ...]], axes: tuple[str, ...], **given: object) -> Front:
    """A front of the given figures, whatever the designs would really cost."""
    found = []
    for row in figures:
        one = dict(zip(axes, row, strict=True))
        latency, power, area = one.get("latency", 1e-3), one.get("power", 0.5), one.get("area", 3.0)
        energy = one.get("energy", latency * power * 1e12)
        cost = NetworkCost(latency * 1e9, energy, latency, power, area, energy * latency * 1e9)
        found.append(FrontPoint(row, replace(solution, cost=cost, objective=axes[1]), **given))
    return Front.of(found, axes, Budget(area_mm2=4.0), 0)


@pytest.fixture
def front(solution: Solution) -> Front:
    curve = [(1e-3 * exp(0.15 * i), 2.0 * exp(-0.15 * i) + 0.02 * (i == 0)) for i in range(16)]
    return made(solution, [*curve, (5e-3, 1.9)], ("latency", "power"))


def test_axes_are_logarithmic_with_units(front):
    axes = plot_front(front, title="a$b").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latency, ms", "power, W")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_title(loc="left") == "a\\$b: latency and power within area 4 mm²"
    drawn = {line.get_label(): line for line in axes.lines}
    assert drawn["front"].get_xdata() == pytest.approx([point.values[0] * 1e3 for point in front.points])
    assert drawn["front"].get_ydata() == pytest.approx([point.values[1] for point in front.points])
    assert drawn["dominated"].get_xdata() == pytest.approx([5.0])
    assert (drawn["knee"].get_xdata()[0], drawn["knee"].get_ydata()[0]) == pytest.approx(
        (front.knee.values[0] * 1e3, front.knee.values[1])
    )


@pytest.mark.parametrize("points", [1, 2, 5, 16])
def test_machines_are_named_where_there_is_room(front, points):
    figure = plot_front(replace(front, points=front.points[:points]))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert 1 <= len(boxes) <= points
    machine = front.points[0].solution.architecture
    assert {text.get_text() for text in axes.texts} == {machine_text(machine.macs, machine.memory_bits)}
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    frame = axes.get_window_extent(renderer)
    assert all(frame.x0 - 1 <= b.x0 and b.x1 <= frame.x1 + 1 and frame.y0 - 1 <= b.y0 <= frame.y1 for b in boxes)
    spots = [axes.transData.transform((p.values[0] * 1e3, p.values[1])) for p in front.points[:points]]
    assert not any(box.contains(*spot) for box in boxes for spot in spots)


def test_a_machine_in_words(solution):
    machine = solution.architecture
    assert (
        machine_text(machine.macs, machine.memory_bits) == "256 MACs, 256 KiB"
    )  # 256 x 512 B of registers and 128 KiB


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_pictures_are_written_in_the_format_of_the_suffix(front, tmp_path, suffix):
    path = tmp_path / f"front{suffix}"
    front.plot(path)
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[suffix])
    assert not matplotlib.pyplot.get_fignums()


def test_another_suffix_is_refused(front, tmp_path):
    with pytest.raises(InvalidInput, match=r"its suffix must be one of .png, .svg, .pdf"):
        front.plot(tmp_path / "front.txt")
    assert not list(tmp_path.iterdir())


def test_a_third_axis_is_the_colour(solution, tmp_path):
    figures = [(1e-3, 2e9, 3.0), (2e-3, 1e9, 2.0), (2e-3, 2e9, 1.5)]
    figure = plot_front(made(solution, figures, ("latency", "energy", "area")), tmp_path / "front.png")
    axes, bar = figure.axes
    assert axes.get_ylabel() == "energy, mJ"
    assert bar.get_ylabel() == "area, mm²"
    assert axes.collections[0].get_array().tolist() == [3.0, 2.0, 1.5]


def test_lower_bounds_stand_at_their_limits(front):
    solution = replace(front.points[4].solution, lower_bound=1.0)
    points = list(front.points)
    points[4] = replace(points[4], solution=solution, limits={"latency": 2e-3})
    bounds = {line.get_label(): line for line in plot_front(replace(front, points=tuple(points))).axes[0].lines}
    assert [*bounds["lower bound"].get_xdata(), *bounds["lower bound"].get_ydata()] == pytest.approx([2.0, 1.0])


def test_fronts_side_by_side(front, solution):
    other = made(solution, [(1e-3, 2.5), (9e-3, 0.3)], ("latency", "power"))
    axes = plot_front(front, beside={"weighted sum": other}).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()][:2] == ["weighted sum", "constraint"]
    with pytest.raises(InvalidInput, match="must be over the same two axes"):
        plot_front(front, beside={"other": made(solution, [(1e-3, 2e9)], ("latency", "energy"))})


def test_edp_keeps_its_unit(solution):
    figure = plot_front(made(solution, [(1e-3, 1e15), (2e-3, 5e14)], ("latency", "edp")))
    assert figure.axes[0].get_ylabel() == "EDP, pJ·cycles"
