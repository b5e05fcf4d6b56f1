"""Names of layers, levels and networks are whatever a file says: harmless wherever they are shown or written."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dlco.design.budget import Budget
from dlco.design.codesign import STATUSES as ENDS
from dlco.design.codesign import CoDesign, CoPoint
from dlco.design.front import Front, FrontPoint
from dlco.design.network_cost import evaluate_network
from dlco.design.solution import Solution
from dlco.errors import DlcoError, InvalidMapping
from dlco.report.pages.codesign import codesign_page
from dlco.report.pages.front import front_page
from dlco.report.pages.solution import solution_page
from dlco.report.pictures.overview import plot_solution
from dlco.texts import guarded, printable
from dlco.timeloop.write import folder_name

UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")
NAMES = [
    *(
        "\x1b[31mred\x1b[0m",
        "a\nb",
        "\r\nfake: line",
        "\x9b31m",
        "\u202eabc",
        "\x00nul",
        "\udc80s",
        "\u2028x",
        "\x1b]0;t\x07",
    ),
    *("=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=x", "'=x", "''+y", "'z"),
    *("x" * 300, "CON", "con", "aux.txt", "COM1", "..", "../../etc/passwd", "a/b", "a\\b", "a.", "$x$", "_hid"),
    *("<script>alert(1)</script>", "]]>", "ö", "o\u0308", "Conv", "conv"),
]


def renamed(solution: Solution, names: list[str], levels: list[str] | None = None) -> Solution:
    """The first layer of a solution under other names, on a machine whose levels have others; its figures are true."""
    machine, mapping = solution.architecture, next(iter(solution.mappings.values()))
    if levels:
        pairs = zip(machine.levels, levels, strict=True)
        machine = replace(machine, levels=tuple(replace(level, name=name) for level, name in pairs))
        mapping = replace(mapping, levels=tuple(levels))
    layers = tuple(replace(solution.layers[0], name=name) for name in names)
    mappings = dict.fromkeys(names, mapping)
    costs, cost = evaluate_network(layers, machine, mappings)
    return replace(
        solution,
        layers=layers,
        architecture=machine,
        mappings=mappings,
        layer_costs=costs,
        cost=cost,
        budget=Budget(),
        lower_bound=None,
    )


@pytest.fixture(params=["layers", "levels"])
def odd(request: pytest.FixtureRequest, solution: Solution) -> Solution:
    if request.param == "layers":
        return renamed(solution, NAMES)
    return renamed(solution, ["conv1"], ["\x1b[31mr\x1b[0m", "=b\nc", "\u202edram"])


def harmless(text: str) -> str:
    found = UNSEEN.search(text)
    assert found is None, f"{found.group()!r} in {text[max(0, found.start() - 30) : found.end()]!r}"
    return text


def test_texts_and_pages_show_nothing_that_acts(odd: Solution) -> None:
    tame = renamed(odd, [f"layer{i}" for i in range(len(odd.layers))]) if len(odd.layers) > 1 else odd
    assert len(harmless(str(odd)).splitlines()) == len(str(tame).splitlines()), "a name adds no line"
    harmless(odd._repr_html_())
    page = harmless(solution_page(odd, "\x1b[31mtitle", "\x1bsource"))
    assert "<script>alert" not in page
    front = Front.of([FrontPoint((odd.cost.latency_s, odd.cost.power_w), odd)], ("latency", "power"), Budget(), 0)
    harmless(str(front))
    harmless(front_page(front, "\x1btitle"))
    cost = odd.cost
    point = CoPoint("\x1b[3mnet\n", (1.0,), 76.5, cost.energy_pj, cost.latency_s, cost.area_mm2)
    texts = {"space": "\x1bspace", "network": "\x1b[3mnet\n", "method": "\x1brelaxed"}
    design = CoDesign(
        status="solved",
        message=ENDS["solved"],
        objective="energy",
        seed=0,
        least_accuracy=None,
        accuracy=76.5,
        solution=odd,
        trace=(point,),
        front=(point,),
        sizes=("\x1bsize",),
        evaluations=1,
        queries=1,
        mappings=1,
        seconds=1.0,
        **texts,
    )
    harmless(str(design))
    harmless(codesign_page(design))


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_pictures_can_be_drawn_and_read(odd: Solution, tmp_path: Path, suffix: str) -> None:
    plot_solution(odd, tmp_path / f"a{suffix}", title="\x1b[31m$title\n")
    if suffix == ".svg":
        ElementTree.parse(tmp_path / "a.svg")
        harmless((tmp_path / "a.svg").read_text(encoding="utf-8"))


def test_tables_hold_no_formulas(odd: Solution) -> None:
    cells = [cell for row in csv.reader(io.StringIO(harmless(odd.to_csv()))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    front = Front.of([FrontPoint((odd.cost.latency_s, odd.cost.power_w), odd)], ("latency", "power"), Budget(), 0)
    header = next(csv.reader(io.StringIO(harmless(front.to_csv()))))
    assert not [cell for cell in header if cell.startswith(("=", "+", "-", "@"))]


def test_files_keep_the_names_as_they_are(odd: Solution, tmp_path: Path) -> None:
    odd.save(tmp_path / "odd.json")
    harmless((tmp_path / "odd.json").read_text())
    assert Solution.load(tmp_path / "odd.json") == odd


def test_cells_that_a_spreadsheet_would_compute_are_guarded() -> None:
    cells = ("=1", "+1", "-1", "@a", "\t=1", "a=1", "1", "")
    assert [guarded(cell) for cell in cells] == ["'=1", "'+1", "'-1", "'@a", "'\t=1", "a=1", "1", ""]


def test_errors_say_nothing_that_acts() -> None:
    error = InvalidMapping("level \x1b[31mr\n is\u202e full", "r")
    assert (str(error), error.level) == ("level  [31mr  is  full", "r")
    assert printable(str(DlcoError("as it is"))) == "as it is"


def test_folders_are_safe_and_each_its_own() -> None:
    taken: list[str] = []
    for name in NAMES + [f"{'long' * 40}{i}" for i in range(12)]:
        taken.append(folder_name(name, taken))
    assert len({one.casefold() for one in taken}) == len(taken)
    for one in taken:
        assert len(one.encode()) <= 255
        assert re.fullmatch(r"[\w][\w.-]*", one)
        assert not one.endswith(".")
        assert one.split(".")[0].upper() not in ("CON", "AUX", "COM1", "NUL")
    assert folder_name("layer1.0.conv2") == "layer1.0.conv2"
    assert folder_name("ö", [folder_name("o\u0308")]) != folder_name("o\u0308")


def test_json_of_odd_names_is_ascii(odd: Solution) -> None:
    assert json.dumps(odd.to_dict()).isascii()
