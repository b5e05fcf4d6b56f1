"""`Front`: what it keeps, and that files give it back."""

import csv
import io
import json
from dataclasses import replace
from math import log

import pytest
from matplotlib.figure import Figure

from dlco.design.front import Front, FrontPoint
from dlco.design.network_cost import NetworkCost, evaluate_network
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware import generic
from dlco.mapping import Mapping
from dlco.optimize import Budget
from dlco.workload import conv2d

DIMS = ("C", "M", "R", "S", "N", "P", "Q")
ONES = (1,) * 7


@pytest.fixture(scope="module")
def solution() -> Solution:
    layer = conv2d("conv1", C=4, M=8, P=6, Q=6, R=3, S=3)
    mapping = Mapping(
        dimensions=DIMS,
        levels=("RegisterFile", "GlobalBuffer", "DRAM"),
        temporal=((1, 1, 3, 3, 1, 1, 1), ONES, (1, 1, 1, 1, 1, 6, 6)),
        spatial_x=(ONES, (4, 1, 1, 1, 1, 1, 1), ONES),
        spatial_y=(ONES, (1, 8, 1, 1, 1, 1, 1), ONES),
        order=(DIMS,) * 3,
        spatial_order=(DIMS,) * 3,
        bypass=(frozenset(),) * 3,
    )
    machine = generic()
    costs, cost = evaluate_network((layer,), machine, {"conv1": mapping})
    return Solution("solved", "", "power", Budget(), 0, (layer,), machine, {"conv1": mapping}, costs, cost)


def at(solution: Solution, latency: float, power: float, **found: object) -> FrontPoint:
    """A point with the given figures, whatever its design would really cost."""
    cost = NetworkCost(latency * 1e9, latency * power * 1e12, latency, power, 3.0, latency**2 * power * 1e21)
    return FrontPoint((latency, power), replace(solution, cost=cost), **found)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def front(solution: Solution) -> Front:
    figures = [(1e-3, 2.0), (8e-3, 0.25), (2e-3, 0.5), (2.5e-3, 0.6), (2e-3, 0.5)]
    found = [at(solution, *one, limits={"latency": one[0] * 1.01}, evaluations=i) for i, one in enumerate(figures)]
    return Front.of(found, ("latency", "power"), Budget(area_mm2=4.0, capacity={"GlobalBuffer": 1e5}), 3, seconds=1.5)


def test_the_front_is_sorted_and_the_rest_is_kept(front: Front) -> None:
    assert front.status == "solved"
    assert [point.values for point in front.points] == [(1e-3, 2.0), (2e-3, 0.5), (8e-3, 0.25)]
    assert [point.evaluations for point in front.dominated] == [3, 4]  # the beaten one, and the one there already
    assert front.knee is front.points[1]


def test_hypervolume_is_in_logs(front: Front) -> None:
    reference = (16e-3, 4.0)
    expected = log(16) * log(2) + log(8) * log(4) + log(2) * log(2)
    assert front.hypervolume(reference) == pytest.approx(expected)
    assert front.reference == (pytest.approx(8.8e-3), pytest.approx(2.2))
    assert front.hypervolume() == front.hypervolume(front.reference) > 0
    for wrong in ((1.0,), (1.0, 0.0), (1.0, 2.0, 3.0)):
        with pytest.raises(InvalidInput, match="it must be a figure above 0 for each of latency, power"):
            front.hypervolume(wrong)


@pytest.fixture(scope="module")
def real(solution: Solution) -> Front:
    """Machines of three clocks, and one whose MACs cost more than those of another: their figures are true."""
    found = []
    for i, (clock_s, mac_pj) in enumerate([(1e-9, 1.0), (4e-9, 1.0), (2e-9, 9.0), (2e-9, 1.0)]):
        machine = replace(solution.architecture, cycle_s=clock_s, mac_pj=mac_pj)
        costs, cost = evaluate_network(solution.layers, machine, solution.mappings)
        one = replace(solution, architecture=machine, layer_costs=costs, cost=cost)
        found.append(FrontPoint((cost.latency_s, cost.power_w), one, {"latency": cost.latency_s}, i))
    trace = [(point.evaluations, point.values) for point in found]
    return Front.of(found, ("latency", "power"), Budget(area_mm2=1e3), 3, trace=trace, evaluations=9, seconds=1.5)


def test_json_gives_the_front_back(real: Front, tmp_path) -> None:
    path = tmp_path / "front.json"
    real.save(path)
    assert Front.load(path) == real
    assert (len(real.points), len(real.dominated)) == (3, 1)
    assert [one.name for one in tmp_path.iterdir()] == ["front.json"]


def test_csv_has_a_line_a_point_with_units(front: Front, tmp_path) -> None:
    front.save(tmp_path / "front.csv")
    text = (tmp_path / "front.csv").read_text()
    assert text == front.to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(float(row["latency_s"]), float(row["power_w"])) for row in rows] == [p.values for p in front.points]
    assert [row["knee"] for row in rows] == ["0", "1", "0"]
    assert rows[0]["macs"] == "256"
    assert float(rows[1]["network_energy_pj"]) == pytest.approx(1e9)
    assert "lower_bound" not in rows[0]
    bounded = replace(front.points[0].solution, lower_bound=0.125)
    first = replace(front.points[0], solution=bounded)
    rows = list(csv.DictReader(io.StringIO(replace(front, points=(first, *front.points[1:])).to_csv())))
    assert [row["lower_bound"] for row in rows] == ["0.125", "", ""]


def test_other_suffixes_are_refused(front: Front, tmp_path) -> None:
    with pytest.raises(InvalidInput, match=r"its suffix must be one of \.json, \.csv"):
        front.save(tmp_path / "front.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "dlco something"},
        {"format": 99},
        {"axes": ["latency"]},
        {"axes": ["latency", "speed"]},
        {"axes": ["power", "latency"]},  # not what the values are
        {"status": "fine"},
        {"points": None},
        {"budget": {"area_mm2": -1}},
        {"budget": {"weight_kg": 1}},
    ],
)
def test_files_that_do_not_add_up_are_refused(front: Front, tmp_path, change: dict) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(front.to_dict() | change))
    with pytest.raises(InvalidInput):
        Front.load(tmp_path / "bad.json")


def test_files_with_points_in_disorder_are_refused(real: Front) -> None:
    data = real.to_dict()
    with pytest.raises(InvalidInput, match="not in order"):
        Front.from_dict(data | {"points": data["points"][::-1]})
    with pytest.raises(InvalidInput, match="dominates"):
        Front.from_dict(data | {"points": [*data["points"], data["dominated"][0]]})
    with pytest.raises(InvalidInput, match="cannot be read"):
        Front.load("no such file")


UNTRUE = {
    "a value": (("points", 0, "values", 0), 2.0, "which is not what its solution costs"),
    "a value of none": (("points", 0, "values"), [1.0], "which is not what its solution costs"),
    "a figure of a design": (("points", 1, "solution", "cost", "energy_pj"), 1.0, "the mappings come to"),
    "a figure of a dominated one": (("dominated", 0, "solution", "cost", "cycles"), 1.0, "the mappings come to"),
    "a limit below its figure": (("points", 1, "limits", "latency"), 1e-12, "breaks its limits: latency"),
    "a budget that is broken": (("budget", "power_w"), 1e-12, "breaks its limits: power_w"),
    "evaluations of a point": (("points", 0, "evaluations"), 10, "are 10, of all 9"),
    "evaluations of text": (("evaluations",), "9", "evaluations of the front is '9'"),
    "evaluations in the trace": (("trace", 0, 0), 10, "are 10, of all 9"),
    "a figure of the trace": (("trace", 0, 1, 0), -1.0, "trace of the front is -1.0"),
    "seed": (("seed",), 1.5, "seed of the front is 1.5"),
    "seconds": (("seconds",), -1.0, "seconds of the front is -1.0"),
    "status": (("status",), "infeasible", "but it has 4 designs"),
    "another network": (("points", 0, "solution", "layers", 0, "problem", "name"), "X", "different networks"),
    "dominated by none": (("dominated",), lambda data: [data["points"].pop()], "none of the dominated"),
    "no points": (("points",), lambda data: [], "not in order"),
}


@pytest.mark.parametrize("what", UNTRUE)
def test_a_front_that_does_not_hold_is_one_sentence(real: Front, what: str) -> None:
    (*path, last), value, said = UNTRUE[what]
    data = json.loads(json.dumps(real.to_dict()))
    place = data
    for key in path:
        place = place[key]
    place[last] = value(data) if callable(value) else value
    with pytest.raises(InvalidInput) as caught:
        Front.from_dict(data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fronts_of_one_point_and_of_none(solution: Solution) -> None:
    alone = Front.of([at(solution, 1e-3, 2.0)], ("latency", "power"), Budget(), 0)
    assert alone.knee is alone.points[0]
    assert alone.message == "one design is best on all axes"
    empty = Front.of([], ("latency", "power"), Budget(), 0, interrupted=True)
    assert (empty.status, empty.knee, empty.hypervolume()) == ("interrupted", None, 0.0)
    assert empty.to_csv().startswith("latency_s,power_w,knee,")
    assert isinstance(empty.plot(), Figure)
    assert "0 designs" in empty.table()
    assert Front.of([], ("latency", "power"), Budget(), 0).status == "infeasible"
    assert Front.from_dict(json.loads(json.dumps(empty.to_dict()))) == empty


def test_the_table_names_figures_machines_and_the_knee(front: Front) -> None:
    lines = str(front).splitlines()
    assert [line.split()[1:5] for line in lines[3:6]] == [
        ["1.00", "ms", "2", "W"],
        ["2.00", "ms", "500", "mW"],
        ["8.00", "ms", "250", "mW"],
    ]
    assert lines[4].endswith("knee")
    assert "Within area 4 mm2." in lines[-1]
