import csv
import json
import sys
from itertools import product
from pathlib import Path

import pytest
import torch

import dlco.cli.nas as command
from dlco import Budget
from dlco.design.codesign import STATUSES, CoDesign, CoPoint
from dlco.hardware import Architecture, HardwareSpace
from dlco.nas import AtWidth, NasBench201, OfaMobileNetV3, WeightedSum, WidthChoice
from dlco.nas.oracles import Ensemble, Ridge, TableAccuracy
from dlco.nas.oracles.graph import GraphAccuracy
from dlco.nas.spaces.digit_graphs import digit_graphs
from dlco.optimize.effort import EFFORTS

OFA = Path(__file__).parents[1] / "data/nas/ofa_mobilenetv3.csv"


@pytest.fixture
def design(solution) -> CoDesign:
    """A pair whose network is the one layer of `solution`."""
    cost = solution.cost
    point = CoPoint("net", (14.0,), 76.5, cost.energy_pj, cost.latency_s, cost.area_mm2, 7, 5, macs=32)
    return CoDesign(
        status="solved",
        message=STATUSES["solved"],
        method="relaxed",
        objective="energy",
        seed=0,
        least_accuracy=76.0,
        space="ofa",
        network="net",
        accuracy=76.5,
        solution=solution,
        trace=(point,),
        front=(point,),
        sizes=("GlobalBuffer.fanout_x",),
        evaluations=10,
        queries=8,
        mappings=100,
        seconds=1.0,
    )


@pytest.fixture
def stub(monkeypatch, design):
    """`cosearch` that answers at once, and remembers what it was asked."""
    asked = {}

    def answer(space, oracle, hardware, objective, budget, **arguments):
        asked.update(arguments, space=space, oracle=oracle, hardware=hardware, budget=budget, objective=objective)
        return asked.get("answer", design)

    monkeypatch.setattr(command, "cosearch", answer)
    return asked


@pytest.fixture
def table(tmp_path) -> Path:
    """Accuracies of all networks of NAS-Bench-201: a sum over edges."""
    space, path = NasBench201(), tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("net", "c10"))
        rows.writerows((space.format(network), 50 + sum(network)) for network in product(range(5), repeat=6))
    return path


def test_the_shipped_predictor_judges_ofa(dlco, stub, design):
    ran = dlco("nas", "ofa", "--hardware", "eyeriss", "--objective", "energy", "--accuracy", 76, "--area", 4)
    assert ran == type(ran)(0, f"{design}\n", "")
    assert isinstance(stub["space"], OfaMobileNetV3)
    assert isinstance(stub["oracle"], Ensemble)
    assert isinstance(stub["hardware"], HardwareSpace)
    assert (stub["objective"], stub["least_accuracy"], stub["method"], stub["evaluations"]) == (
        "energy",
        76.0,
        None,
        None,
    )
    assert stub["budget"].limits == {"area_mm2": 4.0}


def test_every_argument_reaches_the_search(dlco, stub):
    network = OfaMobileNetV3().format(OfaMobileNetV3().sample(1, torch.Generator().manual_seed(0))[0])
    limits = ("--power", 0.5, "--latency", 1e-3, "--energy", 2e-3, "--pe-count", 256)
    search = ("--method", "random", "--evaluations", 9, "--queries", 5, "--network", network, "--seed", 3, "--bound")
    judge = ("--predictor", "ridge", "--batch", 2, "--checkpoint", "run.ckpt", "--effort", "low")
    ran = dlco("nas", "ofa", "--hardware", "simba", "--fixed", *limits, *search, *judge)
    assert ran.code == 0
    assert isinstance(stub["hardware"], Architecture)
    assert isinstance(stub["oracle"], Ridge)
    assert (stub["budget"].power_w, stub["budget"].latency_s, stub["budget"].energy_j) == (0.5, 1e-3, 2e-3)
    assert stub["budget"].pe_count == 256
    assert (stub["method"], stub["evaluations"], stub["queries"], stub["seed"]) == ("random", 9, 5, 3)
    assert stub["space"].format(stub["network"]) == network
    assert (stub["bound"], stub["checkpoint"], stub["resume"]) == (True, "run.ckpt", None)
    assert stub["effort"] == EFFORTS["low"]
    assert {layer.problem.sizes["N"] for layer in stub["space"].layers} == {2}


def test_weights_reach_the_search_and_are_shares_of_the_limits(dlco, stub):
    asked = ("nas", "ofa", "--hardware", "eyeriss", "--objective", "sum", "--energy", 2e-3, "--area", 4)
    assert dlco(*asked, "--weights", "accuracy=0.4,energy=0.5").code == 0
    assert stub["objective"] == WeightedSum(accuracy=0.4, energy=0.5, of=Budget(energy_j=2e-3, area_mm2=4.0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--objective", "energy", "--weights", "energy=1"), "takes none"),
        (("--objective", "sum"), "are all 0"),
        (("--objective", "sum", "--weights", "power=1"), "weights name 'power'"),
        (("--objective", "sum", "--weights", "energy=1,energy=2"), "weights name 'energy'"),
        (("--objective", "sum", "--weights", "energy=much"), "weight of energy is 'much'"),
        (("--objective", "sum", "--weights", "energy=1"), "energy_j to divide it by is None"),
    ],
)
def test_weights_that_make_no_sum_are_refused(dlco, options, said):
    ran = dlco("nas", "ofa", "--hardware", "eyeriss", *options)
    assert ran.code != 0
    assert said in ran.err


def test_what_mappings_may_be_reaches_the_search(dlco, stub, tmp_path):
    (tmp_path / "fixed.yaml").write_text(
        "mapspace_constraints: {targets: [{target: weights_spad, type: temporal, factors: [R=1]}]}"
    )
    ran = dlco("nas", "ofa", "--hardware", "eyeriss", "--constraints", "fixed.yaml", "--imperfect")
    assert (ran.code, ran.err) == (0, "")
    (slot,) = stub["constraints"].slots
    assert (slot.level, slot.kind, slot.exact) == ("weights_spad", "temporal", (("R", 1),))
    assert (stub["imperfect"], stub["device"]) == (True, "cpu")
    assert dlco("nas", "ofa", "--hardware", "eyeriss").code == 0
    assert (stub["constraints"], stub["imperfect"]) == (None, None)


def test_a_table_that_is_whole_is_looked_up(dlco, stub, table):
    ran = dlco("nas", "nasbench201", "--hardware", "eyeriss", "--table", table, "--column", "c10", "--networks", "net")
    assert ran.code == 0
    assert isinstance(stub["oracle"], TableAccuracy)
    assert stub["oracle"].accuracy([(0, 1, 2, 3, 4, 4)]).tolist() == [64.0]


def test_a_table_with_gaps_needs_a_predictor(dlco, stub):
    arguments = ("nas", "ofa", "--hardware", "eyeriss", "--table", OFA, "--column", "top1")
    ran = dlco(*arguments)
    assert ran.code == 2
    assert "not all of space" in ran.err
    assert "--predictor ridge or ensemble" in ran.err
    assert "oracle" not in stub
    assert dlco(*arguments, "--predictor", "ridge", "--quiet").code == 0
    assert isinstance(stub["oracle"], Ridge)


@pytest.fixture
def widths(monkeypatch, design):
    """`cosearch_widths` that answers at once, and remembers what it was asked."""
    asked = {}
    choice = WidthChoice.of((AtWidth(4, None, "least_accuracy is too much"), AtWidth(16, design)))

    def answer(space, oracles, hardware, objective, budget, **arguments):
        asked.update(arguments, space=space, oracles=oracles, hardware=hardware, budget=budget, objective=objective)
        return choice

    monkeypatch.setattr(command, "cosearch_widths", answer)
    return asked | {"choice": choice, "asked": asked}


def test_widths_of_words_are_columns_of_the_table(dlco, widths, stub, table, tmp_path, design):
    rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{rows[0]},int4", *(f"{row},{float(row.split(',')[1]) - 9}" for row in rows[1:])]))
    judged = ("--table", table, "--networks", "net", "--word-bits", "4=int4", "--word-bits", "16=c10")
    written = ("--save", "widths.json", "--plot", "pair.svg", "--progress", "search.svg", "--timeloop", "files")
    ran = dlco("nas", "nasbench201", "--hardware", "eyeriss", *judged, *written, "--seed", 3)
    assert ran == type(ran)(0, f"{widths['choice']}\n", "")
    asked = widths["asked"]
    assert {bits: o.accuracy([(0, 1, 2, 3, 4, 4)]).tolist() for bits, o in asked["oracles"].items()} == {
        4: [55.0],
        16: [64.0],
    }
    assert (asked["seed"], stub) == (3, {})
    assert WidthChoice.load(tmp_path / "widths.json") == widths["choice"]
    assert {path.name for path in tmp_path.iterdir()} >= {"widths.json", "pair.svg", "search.svg", "files"}
    ran = dlco("report", "widths.json")
    assert ran.out == f"{widths['choice']}\n"
    assert dlco("report", "widths.json", "-o", "widths.html").code == 0
    assert "widths, 16 bits" in (tmp_path / "widths.html").read_text()
    assert dlco("report", "widths.json", "-o", "widths.png").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--word-bits", "8=c10"), "--word-bits is given, but no table"),
        (("--table", "{table}", "--word-bits", "8=c10", "--column", "c10"), "column is 'c10' beside --word-bits"),
        (
            ("--table", "{table}", "--word-bits", "8=c10", "--word-bits", "8=c10"),
            "--word-bits gives a width twice: 8, 8",
        ),
        (("--table", "{table}", "--word-bits", "8"), "'8' is no BITS=COLUMN, such as 8=top1_int8"),
        (("--table", "{table}", "--word-bits", "x=c10"), "'x=c10' is no BITS=COLUMN"),
        (("--table", "{table}", "--networks", "net", "--word-bits", "8=c11"), "column 'c11' is not in"),
        (("--table", "{table}", "--networks", "net", "--word-bits", "2=c10"), "bits is 2; technology '45nm' has MACs"),
        (("--hardware", "accelbench", "--word-bits", "8=c10"), "figures are all of words of 20 bits"),
    ],
)
def test_widths_that_make_no_question_are_refused(dlco, table, arguments, said):
    ran = dlco("nas", "nasbench201", "--hardware", "eyeriss", *(str(one).format(table=table) for one in arguments))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert said in ran.err


def test_digits_are_trained(dlco, stub, monkeypatch):
    pytest.importorskip("sklearn")
    train = command.DigitsAccuracy.train
    monkeypatch.setattr(command.DigitsAccuracy, "train", lambda space, **options: train(space, epochs=1, **options))
    assert dlco("nas", "digits", "--hardware", "eyeriss").code == 0
    assert stub["oracle"].space is stub["space"]


def test_graphs_are_trained_as_they_come_up(dlco, stub, tmp_path):
    pytest.importorskip("sklearn")
    ran = dlco("nas", "graph", "--hardware", "eyeriss", "--trained", "nets", "--seed", 3, "--macs-only", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    oracle = stub["oracle"]
    assert isinstance(oracle, GraphAccuracy)
    assert (oracle.space, oracle.seed, oracle.space.macs_only) == (stub["space"], 3, True)
    assert (stub["method"], stub["queries"], stub["evaluations"]) == (None, 60, None)
    assert (tmp_path / "nets").exists()
    assert dlco("nas", "graph", "--hardware", "eyeriss", "--evaluations", 9, "--method", "random").code == 0
    assert (stub["method"], stub["queries"], stub["evaluations"]) == ("random", None, 9)
    assert dlco("nas", "graph", "--hardware", "eyeriss", "--queries", 7).code == 0
    assert stub["queries"] == 7


def test_graphs_of_a_table_are_predicted(dlco, stub, tmp_path):
    networks = digit_graphs().sample(20, torch.Generator().manual_seed(0))
    rows = "".join(f'"{network}",{70 + at}\n' for at, network in enumerate(networks))
    (tmp_path / "table.csv").write_text("arch,top1\n" + rows)
    arguments = ("nas", "graph", "--hardware", "eyeriss", "--table", "table.csv", "--column", "top1")
    assert "not all of space" in dlco(*arguments).err
    ran = dlco(*arguments, "--predictor", "ridge", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert isinstance(stub["oracle"], Ridge)
    assert (stub["method"], stub["queries"]) == (None, None)


def test_all_results_are_written(dlco, stub, design, tmp_path):
    results = ("--save", "pair.json", "--plot", "pair.png", "--progress", "search.svg", "--timeloop", "files")
    ran = dlco("nas", "ofa", "--hardware", "eyeriss", *results, "--quiet")
    assert ran == type(ran)(0, "", "")
    assert CoDesign.load(tmp_path / "pair.json") == design
    assert (tmp_path / "pair.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "search.svg").read_text().startswith("<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "pair.json", "pair.png", "search.svg"]


def test_json_is_one_document_that_loads_again(dlco, stub, design, tmp_path):
    ran = dlco("nas", "ofa", "--hardware", "eyeriss", "--json")
    assert (ran.code, ran.err) == (0, "")
    (tmp_path / "again.json").write_text(json.dumps(json.loads(ran.out)))
    assert CoDesign.load(tmp_path / "again.json") == design


@pytest.mark.parametrize(("status", "code"), [("infeasible", 2), ("interrupted", 130)])
def test_the_exit_code_tells_how_it_ended(dlco, stub, design, tmp_path, status, code):
    object.__setattr__(design, "status", status)
    object.__setattr__(design, "message", STATUSES[status])
    ran = dlco("nas", "ofa", "--hardware", "eyeriss", "-o", "pair.json")
    assert ran.code == code
    assert (tmp_path / "pair.json").exists() == (status == "interrupted")
    if status == "infeasible":
        assert ran.out == ""
        assert ran.err.startswith("dlco: error: infeasible: no pair that keeps every limit was found")
        assert "accuracy 76.5 %" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mobilenet",), "space is 'mobilenet'; it must be one of ofa, nasbench201"),
        (("mnasnet",), "table is not given; space 'mnasnet' comes without accuracies"),
        (("mnasnet", "--predictor", "ridge"), "no table is given"),
        (("ofa", "--column", "top1"), "column is 'top1', but no table is given"),
        (("ofa", "--table", OFA), "column is not given"),
        (("ofa", "--table", OFA, "--column", "top5"), "'top5'"),
        (("ofa", "--table", "missing.csv", "--column", "top1"), "'missing.csv' cannot be read"),
        (("graph", "--checkpoint", "run"), "trained is not given beside checkpoint 'run'; a run that goes on needs"),
        (("ofa", "--trained", "nets"), "trained is 'nets', but only graph without a table trains its networks"),
        (("ofa", "--predictor", "magic"), "predictor is 'magic'; allowed: ridge, ensemble"),
        (("ofa", "--method", "magic"), "method is 'magic'; allowed: relaxed"),
        (("ofa", "--objective", "speed"), "objective is 'speed'; allowed: accuracy, latency"),
        (("ofa", "--network", "3x3"), "3x3"),
        (("ofa", "--area", "-4"), "budget area_mm2 is -4.0"),
        (("ofa", "--plot", "out.txt"), "its suffix must be one of .png, .svg, .pdf"),
        (("ofa", "--progress", "out.txt"), "its suffix must be one of .png, .svg, .pdf"),
        (("ofa", "-o", "missing/out.json"), "there is no folder"),
        (("ofa", "--checkpoint", "a", "--resume", "b"), "not allowed with argument"),
        (("ofa", "--effort", "much"), "argument --effort: invalid choice: 'much'"),
    ],
)
def test_bad_arguments_are_one_sentence(dlco, stub, tmp_path, arguments, said):
    space, *others = arguments
    ran = dlco("nas", space, "--hardware", "eyeriss", *others)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("dlco: error: ")
    assert ran.err.count("\n") == 1
    assert said in ran.err
    assert "oracle" not in stub
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("option", "said"), [("--accuracy", "least_accuracy is 101.0"), ("--seed", "seed is -1")])
def test_what_the_search_refuses_is_one_sentence(dlco, option, said):
    ran = dlco("nas", "ofa", "--hardware", "eyeriss", option, {"--accuracy": 101, "--seed": -1}[option])
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert said in ran.err


@pytest.mark.parametrize(
    ("judge", "most"),
    [
        (("ofa",), "86.43"),
        (("ofa", "--predictor", "ridge"), "78.45"),
        (("nasbench201", "--table", "{table}", "--column", "c10", "--networks", "net"), "74"),
        (("nasbench201", "--table", "{table}", "--column", "c10", "--networks", "net", "--predictor", "ridge"), "7"),
    ],
)
def test_an_accuracy_out_of_reach_is_said_at_once(dlco, table, monkeypatch, judge, most):
    def refuse(*arguments):
        raise AssertionError("nothing is to be searched")

    monkeypatch.setattr(sys.modules["dlco.nas.cosearch"], "explore", refuse)
    judge = [one.format(table=table) for one in judge]
    ran = dlco("nas", *judge, "--hardware", "eyeriss", "--accuracy", "99.9", "--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("dlco: error: least_accuracy is 99.9 %; no network of ")
    assert f"has more than {most}" in ran.err
    assert ran.err.count("\n") == 1
