import json
from dataclasses import replace

import pytest

import dlco.cli.pareto as command
from dlco.design.budget import Budget
from dlco.design.front import Front, FrontPoint
from dlco.design.front_table import front_text
from dlco.design.network_cost import evaluate_network
from dlco.hardware import Architecture, HardwareSpace


@pytest.fixture
def front(solution) -> Front:
    """Two designs, of the same machine and mapping but for their clock."""
    found = []
    for share in (1.0, 0.5):
        machine = replace(solution.architecture, cycle_s=solution.architecture.cycle_s / share)
        costs, cost = evaluate_network(solution.layers, machine, solution.mappings)
        one = replace(solution, architecture=machine, layer_costs=costs, cost=cost)
        found.append(FrontPoint((cost.latency_s, cost.power_w), one, {"latency": cost.latency_s}))
    return Front.of(found, ("latency", "power"), Budget(), 0)


@pytest.fixture
def stub(monkeypatch, front):
    """`pareto` that answers at once, and remembers what it was asked."""
    asked = {}

    def answer(layers, hardware, x, y, z, points, **arguments):
        asked.update(arguments, layers=layers, hardware=hardware, axes=(x, y, z), points=points)
        return asked.get("answer", front)

    monkeypatch.setattr(command, "pareto", answer)
    return asked


def test_a_front_of_free_hardware(dlco, stub, front):
    ran = dlco("pareto", "ResNet-18", "--hardware", "eyeriss", "--area", "4")
    assert ran == type(ran)(0, front_text(front) + "\n", "")
    assert [layer.name for layer in stub["layers"]][:2] == ["conv1", "layer1"]
    assert isinstance(stub["hardware"], HardwareSpace)
    assert (stub["axes"], stub["points"], stub["span"], stub["seed"]) == (("latency", "power", None), 16, 10.0, 0)
    assert stub["budget"].limits == {"area_mm2": 4.0}
    assert not stub["bound"]


def test_every_argument_reaches_pareto(dlco, stub):
    limits = ("--area", 4, "--power", 0.5, "--latency", 1e-3, "--energy", 2e-3)
    axes = ("-x", "area", "-y", "edp", "-z", "latency", "--points", 9, "--span", 4)
    ran = dlco("pareto", "alexnet", "--hardware", "simba", "--fixed", *axes, *limits, "--seed", 3, "--bound")
    assert ran.code == 0
    assert isinstance(stub["hardware"], Architecture)
    assert (stub["axes"], stub["points"], stub["span"], stub["seed"]) == (("area", "edp", "latency"), 9, 4.0, 3)
    assert stub["budget"].limits == {"area_mm2": 4, "power_w": 0.5, "latency_s": 1e-3, "energy_j": 2e-3}
    assert stub["bound"]


def test_all_results_are_written(dlco, stub, front, tmp_path):
    results = ("-o", "front.json", "--csv", "front.csv", "--plot", "front.png")
    ran = dlco("pareto", "alexnet", "--hardware", "eyeriss", *results, "--quiet")
    assert ran == type(ran)(0, "", "")
    assert Front.load(tmp_path / "front.json") == front
    assert (tmp_path / "front.csv").read_text() == front.to_csv()
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3


def test_json_is_one_document_that_loads_again(dlco, stub, front):
    ran = dlco("pareto", "alexnet", "--hardware", "eyeriss", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert Front.from_dict(json.loads(ran.out)) == front


def test_infeasible_is_said_and_nothing_is_written(dlco, stub, tmp_path):
    stub["answer"] = Front.of([], ("latency", "power"), Budget(), 0)
    ran = dlco("pareto", "alexnet", "--hardware", "eyeriss", "-o", "out.json")
    assert ran == type(ran)(2, "", "dlco: error: infeasible: no design within the budget was found\n")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_front_keeps_its_points(dlco, stub, front, tmp_path):
    stub["answer"] = Front.of(front.points, front.axes, Budget(), 0, interrupted=True)
    ran = dlco("pareto", "alexnet", "--hardware", "eyeriss", "-o", "out.json")
    assert ran.code == 130
    assert ran.out.startswith("interrupted: the search was stopped")
    assert Front.load(tmp_path / "out.json").points == front.points
    stub["answer"] = Front.of([], front.axes, Budget(), 0, interrupted=True)
    ran = dlco("pareto", "alexnet", "--hardware", "eyeriss", "-o", "other.json")
    assert ran == type(ran)(130, "", "dlco: interrupted; nothing was written\n")
    assert not (tmp_path / "other.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "missing/out.json"), "there is no folder"),
        (("-o", "out.csv"), "--output is 'out.csv'; its suffix must be .json"),
        (("--csv", "out.json"), "--csv is 'out.json'; its suffix must be .csv"),
        (("--plot", "out.txt"), "its suffix must be one of .png, .svg, .pdf"),
        (("--area", "-4"), "budget area_mm2 is -4.0"),
        (("--points", "many"), "argument --points: invalid int value"),
    ],
)
def test_arguments_are_checked_before_any_work(dlco, stub, tmp_path, arguments, said):
    ran = dlco("pareto", "alexnet", "--hardware", "eyeriss", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "layers" not in stub
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-x", "edp"), "x is 'edp', which no budget limits"),
        (("-y", "speed"), "objective is 'speed'"),
        (("-y", "area"), "area is an axis, but that of machine"),
        (("--points", "1"), "points is 1"),
        (("--span", "0"), "span is 0.0"),
    ],
)
def test_bad_input_is_one_sentence(dlco, arguments, said):
    ran = dlco("pareto", "alexnet", "--hardware", "eyeriss", "--fixed", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("dlco: error: ")
    assert ran.err.count("\n") == 1
    assert said in ran.err
