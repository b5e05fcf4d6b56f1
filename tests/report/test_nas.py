from dataclasses import replace
from itertools import combinations

import matplotlib.pyplot
import pytest

from dlco.design.codesign import CoDesign, CoPoint
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.report.nas import plot_codesign, plot_progress

KIB = 8192


def point(accuracy: float, energy_mj: float, latency_ms: float, **fields: object) -> CoPoint:
    given = {"macs": 168, "memory_bits": 182 * KIB, "sizes": (14.0,)} | fields
    return CoPoint(f"net{accuracy:g}", given.pop("sizes"), accuracy, energy_mj * 1e9, latency_ms * 1e-3, 3.0, **given)


FRONT = (
    point(78.0, 4.0, 2.0),
    point(77.0, 5.0, 1.0, macs=1024),  # faster than those beside it, but neither cheaper nor more accurate
    point(76.0, 2.0, 4.0),
    point(70.0, 1.0, 8.0, macs=64, memory_bits=2.5 * 1024 * KIB),
)
TRACE = (
    replace(FRONT[1], evaluations=1, feasible=False),
    replace(FRONT[0], evaluations=4),
    replace(FRONT[2], evaluations=20),
)


@pytest.fixture
def design(solution: Solution) -> CoDesign:
    return CoDesign(
        status="solved",
        message="the search ended by itself and every limit holds",
        method="relaxed",
        objective="energy",
        seed=0,
        least_accuracy=75.0,
        space="ofa$",
        network=FRONT[2].network,
        accuracy=76.0,
        solution=solution,
        trace=TRACE,
        front=FRONT,
        sizes=("shared_glb.fanout_x",),
        evaluations=40,
        queries=30,
        mappings=1000,
        seconds=1.0,
    )


def drawn(axes):
    return {line.get_label(): line for line in axes.lines}


def test_the_front_is_drawn_with_units(design):
    figure = plot_codesign(design)
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("energy of one run, mJ", "accuracy, %")
    assert (axes.get_xscale(), bar.get_ylabel()) == ("log", "latency of one run, ms")
    assert axes.get_title(loc="left") == "ofa\\$: least energy, relaxed, 40 pairs evaluated"
    dots = axes.collections[0]
    assert dots.get_offsets().ravel().tolist() == pytest.approx([4.0, 78.0, 5.0, 77.0, 2.0, 76.0, 1.0, 70.0])
    assert dots.get_array().tolist() == pytest.approx([2.0, 1.0, 4.0, 8.0])
    lines = drawn(axes)
    stairs = lines["most accurate for its energy"]
    assert (list(stairs.get_xdata()), list(stairs.get_ydata())) == (pytest.approx([1, 2, 4]), [70, 76, 78])
    assert (lines["chosen"].get_xdata()[0], lines["chosen"].get_ydata()[0]) == pytest.approx((2.0, 76.0))
    assert set(lines["accuracy asked for"].get_ydata()) == {75.0}


@pytest.mark.parametrize("points", [1, 4, 60])
def test_each_machine_is_named_where_there_is_room(design, points):
    front = FRONT
    if points == 60:
        front = tuple(point(78.0 - 0.1 * i, 4.0 * 0.97**i, 2.0 + i, macs=100 + i) for i in range(60))
    figure = plot_codesign(replace(design, front=front[:points]))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    spots = [axes.transData.transform((p.energy_pj * 1e-9, p.accuracy)) for p in front[:points]]
    assert not any(box.contains(*spot) for box in boxes for spot in spots)
    names = {text.get_text() for text in axes.texts}
    if points == 4:
        assert names == {"168 MACs, 182 KiB", "1,024 MACs, 182 KiB", "64 MACs, 2.5 MiB"}
    assert len(boxes) >= min(points, 4)


def test_several_searches_make_one_front(design):
    better = point(75.0, 0.5, 1.0)
    other = replace(design, least_accuracy=74.0, trace=(better,), front=(better, FRONT[0]), evaluations=2)
    axes = plot_codesign([design, other]).axes[0]
    lines = drawn(axes)
    assert list(lines["most accurate for its energy"].get_ydata()) == [75, 76, 78], "70 % at 1 mJ is beaten"
    assert sorted(lines["chosen"].get_ydata()) == [75, 76]
    limits = [set(line.get_ydata()) for line in axes.lines if line.get_linestyle() == ":"]
    assert limits == [{74.0}, {75.0}]
    assert axes.get_title(loc="left").endswith("least energy, relaxed, 42 pairs evaluated")
    with pytest.raises(InvalidInput, match="found is empty"):
        plot_codesign([])


def test_a_front_of_nothing_says_so(design):
    figure = plot_codesign(replace(design, front=(), trace=(), least_accuracy=None), title="mine")
    assert figure.axes[0].get_title(loc="left").endswith("none keeps the limits")
    assert not figure.axes[0].texts


def test_progress_is_a_line_a_method_from_its_first_pair_within_the_limits(design):
    random = replace(design, method="random", trace=(replace(FRONT[0], evaluations=11),))
    axes = plot_progress({"relaxed": design, "random": random}, title="a$b").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("pairs evaluated", "best energy, mJ")
    assert (axes.get_yscale(), axes.get_title(loc="left")) == ("log", r"a\$b")
    lines = drawn(axes)
    assert list(lines["relaxed"].get_xdata()) == [4, 20, 40]
    assert list(lines["relaxed"].get_ydata()) == pytest.approx([4, 2, 2])
    assert list(lines["random"].get_xdata()) == [11, 40]
    styles = [(line.get_color(), line.get_linestyle()) for line in lines.values()]
    assert len({colour for colour, _ in styles}) == len({dash for _, dash in styles}) == 2


def test_seeds_become_their_median_and_a_band(design):
    seeds = [
        replace(design, trace=(point(77, energy, 1.0, evaluations=start), point(77, 1.0, 1.0, evaluations=30)))
        for start, energy in ((2, 8.0), (5, 3.0), (3, 4.0))
    ]
    axes = plot_progress({"relaxed": seeds}).axes[0]
    line = drawn(axes)["relaxed"]
    assert list(line.get_xdata()) == [5, 30, 40]
    assert list(line.get_ydata()) == pytest.approx([4.0, 1.0, 1.0])
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((1.0, 8.0))


def test_a_search_that_found_nothing_has_an_empty_line(design):
    nothing = replace(design, trace=TRACE[:1])
    axes = plot_progress({"relaxed": design, "random": nothing}).axes[0]
    assert len(drawn(axes)["random"].get_xdata()) == 0
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["relaxed", "random"]


def test_accuracy_is_not_logarithmic(design):
    axes = plot_progress({"one": replace(design, objective="accuracy")}).axes[0]
    assert (axes.get_ylabel(), axes.get_yscale()) == ("best accuracy, %", "linear")
    assert list(drawn(axes)["one"].get_ydata()) == [78.0, 76.0, 76.0]


@pytest.mark.parametrize("objective", ["edp", "latency", "power", "area"])
def test_every_objective_has_a_unit(design, objective):
    axes = plot_progress({"one": replace(design, objective=objective)}).axes[0]
    label = {"edp": "EDP, pJ·cycles", "latency": "latency, ms", "power": "power, W", "area": "area, mm²"}[objective]
    assert axes.get_ylabel() == f"best {label}"


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_pictures_are_written_in_the_format_of_the_suffix(design, tmp_path, suffix):
    paths = tmp_path / f"front{suffix}", tmp_path / f"progress{suffix}"
    plot_codesign(design, paths[0])
    plot_progress({"relaxed": design}, paths[1])
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert all(path.read_bytes().startswith(starts[suffix]) for path in paths)
    assert not matplotlib.pyplot.get_fignums()


def test_bad_input_is_refused(design, tmp_path):
    for draw in (lambda path: plot_codesign(design, path), lambda path: plot_progress({"a": design}, path)):
        with pytest.raises(InvalidInput, match="its suffix must be one of"):
            draw(tmp_path / "picture.txt")
    for searches in ({}, {"a": []}, {"a": design, "b": replace(design, objective="edp")}):
        with pytest.raises(InvalidInput, match="with one objective"):
            plot_progress(searches)
