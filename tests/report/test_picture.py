from dataclasses import replace
from itertools import pairwise

import matplotlib.pyplot
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.report.pictures.overview import energy_parts, plot_solution


def grown(solution: Solution, layers: int, name: str = "layer{}_depthwise") -> Solution:
    """A network of many layers like the first."""
    names = [name.format(i) for i in range(layers)]
    return replace(
        solution,
        layers=tuple(replace(solution.layers[0], name=one) for one in names),
        layer_costs={one: solution.layer_costs["conv1"] for one in names},
        mappings={one: solution.mappings["conv1"] for one in names},
    )


def test_the_parts_of_the_energy_add_up(solution):
    parts = energy_parts(solution)
    assert list(parts) == ["MACs", "RegisterFile", "GlobalBuffer", "DRAM", "wires", "leakage"]
    assert sum(map(sum, parts.values())) == pytest.approx(solution.cost.energy_pj)


def test_bars_axes_and_title_say_what_they_show(solution):
    figure = plot_solution(solution, title="toy")
    energy, cycles = figure.axes
    ends = max(bar.get_x() + bar.get_width() for bar in energy.patches)
    largest = max(one.energy_pj * one.count for one in solution.layer_costs.values())
    assert ends == pytest.approx(largest * 1e-6)  # in uJ
    assert energy.get_xlabel() == "energy, µJ"
    assert "cycles" in cycles.get_xlabel()
    assert [tick.get_text() for tick in energy.get_yticklabels()] == ["conv1 ×3", "fc<1>"]
    assert figure.get_suptitle().startswith("toy on generic: ")
    labels = [text.get_text() for text in cycles.texts]
    assert labels == [f"{100 * one.utilization:.1f} %" for one in solution.layer_costs.values()]


@pytest.mark.parametrize("layers", [1, 12, 20, 47])
def test_labels_do_not_overlap_and_stay_inside(solution, layers):
    figure = plot_solution(grown(solution, layers))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    energy, cycles = figure.axes
    page = figure.bbox
    texts = [*figure.texts, *energy.get_yticklabels(), *cycles.texts, *figure.legends[0].get_texts()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    for axis in (energy.get_yticklabels(), cycles.texts, energy.get_xticklabels(), cycles.get_xticklabels()):
        column = [text.get_window_extent(renderer) for text in axis if text.get_text()]
        assert not any(one.overlaps(other) for one, other in pairwise(column))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_pictures_are_written_in_the_format_of_the_suffix(solution, tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    plot_solution(solution, path)
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[suffix])


def test_another_suffix_is_refused(solution, tmp_path):
    with pytest.raises(InvalidInput, match=r"its suffix must be one of .png, .svg, .pdf"):
        plot_solution(solution, tmp_path / "picture.txt")
    assert not list(tmp_path.iterdir())


def test_names_that_matplotlib_would_read_its_own_way(solution):
    figure = plot_solution(grown(solution, 2, "_a$\\bad$ {}"), title="_$x$")
    FigureCanvasAgg(figure).draw()
    assert figure.axes[0].get_yticklabels()[0].get_text() == " _a\\$\\bad\\$ 0 ×3"


def test_no_energy_and_no_window(free):
    FigureCanvasAgg(plot_solution(free)).draw()
    assert not matplotlib.pyplot.get_fignums()
