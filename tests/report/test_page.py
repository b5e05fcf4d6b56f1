"""The web pages: well-formed, self-contained, complete, with the solution's own figures; and in a real browser."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dlco.design.budget import Budget, Conflict
from dlco.design.front import Front
from dlco.design.solution import Solution
from dlco.report.pages.codesign import codesign_page
from dlco.report.pages.front import front_page
from dlco.report.pages.nest import loop_nest_html
from dlco.report.pages.solution import budget_section, provenance, solution_page
from dlco.report.pictures.loop_nest import layer_nest

from .test_front import made
from .test_nas import design as design  # a fixture
from .test_picture import grown

VOID = {"meta", "br", "img", "input", "link", "hr"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """What a document holds; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.values: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "value" and tag == "data":
                self.values.append(value or "")
            elif name in ("href", "src") and (value or "").startswith("data:image/png;base64,"):
                pass  # a colour bar: a picture inside the page
            elif name in ("href", "xlink:href", "src", "action", "srcset", "data"):
                (self.anchors if (value or "").startswith("#") else self.addresses).append(value or "")

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def check_page(text: str) -> Page:
    """A document that needs nothing else and whose parts find each other."""
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert not page.addresses
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    assert len(set(page.ids)) == len(page.ids)
    assert {anchor.removeprefix("#") for anchor in page.anchors} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    return page


@pytest.fixture(scope="module")
def page(solution: Solution) -> Page:
    return check_page(solution_page(solution, "<toy>", "toy & co.json, written by dlco 9"))


def test_totals_are_the_solutions_to_the_last_digit(solution, page):
    cost = solution.cost
    totals = [cost.latency_s, cost.energy_pj, cost.power_w, cost.area_mm2, cost.edp, cost.cycles]
    assert [float(value) for value in page.values] == totals
    assert "<toy> on generic" in page.text
    assert "No design in this space is more than 25.0 % better" in page.text
    assert "EXCEEDS 1.00 ns" in page.text
    assert "within 4 mm²" in page.text


def test_every_layer_has_its_row_and_its_loop_nest(solution, page):
    rows = {row[0]: row for row in page.rows if len(row) == 10}
    assert list(rows) == ["layer", "conv1", "fc<1>"]
    conv, fc = solution.layer_costs["conv1"], solution.layer_costs["fc<1>"]
    assert rows["conv1"][1:3] == ["C4 M8 R3 S3 P6 Q6", "3"]
    assert rows["conv1"][4] == f"{3 * conv.cycles:,.0f}"
    assert rows["conv1"][7] == f"{100 * conv.utilization:.1f}"
    assert rows["fc<1>"][4] == f"{fc.cycles:,.0f}"
    assert rows["fc<1>"][9] == "C16 x 1"
    assert page.tags.count("details") == 2
    for layer in solution.layers:
        for line in layer_nest(solution, layer.name):
            assert line.text in page.words


def test_pictures_are_drawn_inside_with_a_description(solution, page):
    assert page.tags.count("svg") == page.tags.count("figcaption") == 6
    assert "img" not in page.tags
    for words in ("mm", "energy of all executions, µJ", "share of all MACs, %", "MACs a cycle"):
        assert words in page.words


def test_budget_and_provenance_are_complete(solution, page):
    rows = {row[0]: row for row in page.rows if len(row) == 5}
    assert rows["area_mm2"][4] == "ok"
    assert rows["latency_s"][4] == "EXCEEDED"
    for words in ("toy & co.json, written by dlco 9", "restart 'refetch', nothing passes between neighbours", "1,234"):
        assert words in page.words
    given = replace(solution, effort={"starts": 4, "fit": {"rounds": 40}})
    assert dict(provenance(given))["effort"] == "starts 4, fit (rounds 40)"


def test_all_kinds_of_limits_are_listed(solution):
    budget = Budget(
        pe_count=300, capacity={"GlobalBuffer": 1e6}, bandwidth={"DRAM": 1.0}, layer_latency_s={"conv1": 1.0}, power_w=9
    )
    conflict = Conflict("area_mm2", 1.0, 2.0, 2.5)
    bad = replace(solution, budget=budget, status="infeasible", lower_bound=None, conflicts=(conflict,))
    page = Page(budget_section(bad))
    rows = [row[0] for row in page.rows if len(row) == 5]
    assert rows[1:] == [
        "power_w",
        "pe_count",
        "capacity of GlobalBuffer",
        "bandwidth of DRAM",
        "layer_latency_s of conv1",
    ]
    assert str(conflict) in page.words
    assert Page(budget_section(replace(solution, budget=Budget()))).words == ["No limits were set."]


def test_names_are_escaped(solution):
    name = "</svg><script>alert(1)</script>&\"'\x01"
    odd = grown(replace(solution, message=name), 2, name + "{}")
    page = check_page(solution_page(odd, name, name))
    assert page.tags.count("script") == 1


def test_pages_of_many_layers_stay_small(solution):
    many = grown(solution, 25)
    text = solution_page(many)
    assert len(text.encode()) < 700_000
    page = check_page(text)
    assert {layer.name for layer in many.layers} <= {row[0] for row in page.rows if row}


def test_a_free_network_and_a_loop_nest_of_its_own(free):
    check_page(solution_page(free))
    fragment = loop_nest_html(free, "fc<1>")
    assert Page(fragment).words.count("Outputs += Weights * Inputs") == 1


@pytest.fixture
def front(solution: Solution) -> Front:
    figures = [(1e-3, 2.0), (2e-3, 1.0), (4e-3, 0.8)]
    return made(solution, figures, ("latency", "power"))


def test_a_front_has_a_row_and_a_fold_a_point_and_each_machine_once(front):
    page = check_page(front_page(front, "<toy>", "front.json"))
    assert [row[1:3] for row in page.rows if len(row) > 5 and row[0] and row[0] in "123"][:3] == [
        ["1.00 ms", "2 W"],
        ["2.00 ms", "1 W"],
        ["4.00 ms", "800 mW"],
    ]
    assert page.tags.count("details") == 3 + 1
    assert "256 MACs, GlobalBuffer 128 KiB, RegisterFile 512 B: points 1, 2, 3" in page.words
    hovers = [word for word in page.words if word.startswith("point ")]
    assert hovers[1] == "point 2: latency 2.00 ms, power 1 W; 256 MACs, GlobalBuffer 128 KiB, RegisterFile 512 B"
    values = [float(value) for value in page.values]
    assert values[:4] == [1e-3, 1e-3 * 2.0 * 1e12, 2.0, 3.0]
    empty = replace(front, points=(), dominated=(), status="infeasible")
    assert "There is none." in check_page(front_page(empty)).words


def test_a_codesign_shows_its_network_its_pairs_and_its_solution(design):
    page = check_page(codesign_page(design, source="pair.json"))
    assert float(page.values[0]) == design.accuracy
    assert float(page.values[1]) == design.solution.cost.latency_s
    assert f"ofa$ network {design.network}" in page.words
    pairs = [row[0] for row in page.rows if len(row) == 6][1:]
    assert pairs == ["78.00", "77.00", "76.00", "70.00"]
    assert any(row[:1] == ["fc<1>"] for row in page.rows)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
def test_a_browser_draws_it_without_a_complaint(solution, tmp_path):
    path = Path(tmp_path, "page.html")
    path.write_text(solution_page(solution, "toy"), encoding="utf-8")
    command = [
        *(CHROMIUM or "", "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--window-size=390,800", "--virtual-time-budget=2000"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", path.as_uri()),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ":CONSOLE" not in ran.stderr  # errors of scripts, and what the content policy refused
    tips = re.findall(r'data-tip="([^"]*)"', ran.stdout)  # set by the page's own script
    assert any(tip.startswith("conv1: ") for tip in tips)
    assert "<title>conv1" not in ran.stdout
    assert ran.stdout.count("<svg") == 6
