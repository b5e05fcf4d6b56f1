"""What the co-design benchmarks make of runs: seconds that evaluations are counted by, medians, ratios and tables."""

from math import inf

import pytest
from ablation import Beside, payload_of, questions
from ablation import Outcome as Run
from baselines import METHODS, Task, run
from baselines.evaluator import Evaluator, Exhausted
from codesign import KINDS, Outcome, earlier, paces
from codesign import payload_of as codesign_payload
from common import check_payload

import dlco
from dlco import Budget, Layer
from dlco.hardware.space import HardwareSpace

LIBRARY = {"genetic": "pymoo", "bayesian": "optuna", "evolution": "cma"}


def test_seconds_are_counted_by_evaluations_at_a_pace(network: list[Layer], space: HardwareSpace) -> None:
    evaluator = Evaluator(Task.of(network, space), seconds=2.0, pace=100.0)
    assert evaluator.alone
    assert evaluator.elapsed == 0
    evaluator.spend(150)
    assert (evaluator.elapsed, evaluator.spent) == (1.5, 0.75)
    with pytest.raises(Exhausted):
        evaluator.spend(51)
    evaluator.spend(50)
    assert evaluator.elapsed == 2.0
    assert not Evaluator(Task.of(network, space), evaluations=10).alone


@pytest.mark.parametrize("method", METHODS)
def test_few_evaluations_one_at_a_time_are_enough_for_a_design(
    method: str, network: list[Layer], space: HardwareSpace
) -> None:
    if method in LIBRARY:
        pytest.importorskip(LIBRARY[method])
    found = run(
        method, Task.of(network, space, "edp", Budget(area_mm2=space.base.area_mm2 * 10)), 0, seconds=12, pace=100
    )
    assert found is not None
    assert 0 < found.evaluations <= 1200
    assert found.seconds == found.evaluations / 100
    assert all(0 < at <= 12 for at, _, _ in found.trace)


def test_paces_are_those_of_the_tools() -> None:
    assert paces("random", 900.0) == {"batched": None, "alone": 900.0, "published": pytest.approx(130.7, abs=0.1)}
    assert paces("descent", 900.0)["published"] == pytest.approx(111.6, abs=0.1)


def test_every_kind_of_counting_has_its_tables_and_targets() -> None:
    mine = [Outcome("latency", "solve", seed, 1e-3 * seed, 0, 10.0, 5, [(4.0, 1e-3 * seed)]) for seed in (1, 2)]
    theirs = [
        Outcome("latency", method, seed, value * seed, 0, 10.0, 5, [(8.0, value * seed)], kind)
        for kind, value in (("batched", 2e-3), ("published", 5e-3))
        for method in ("random", "genetic")
        for seed in (1, 2)
    ]
    figures = {"area_mm2": 1.0, "power_w": 1.0, "latency_s": 1.0}
    payload = codesign_payload([*mine, *theirs], figures, {"latency": 5e-4}, None, 1.0, {"latency": 900.0})
    check_payload(payload)
    assert len(payload["tables"]) == 2
    for kind, table, ratio in zip(("batched", "published"), payload["tables"], (2.0, 5.0), strict=True):
        assert KINDS[kind] in table["title"]
        rows = {row[0]: row for row in table["rows"]}
        assert rows["random"][4] == pytest.approx(ratio)
        assert rows["solve"][1] == pytest.approx(1.5)
    assert [one["name"] for one in payload["targets"] if one["name"].startswith("published")]


def test_arms_that_are_not_run_stay_as_they_were_where_limits_and_seeds_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"area_mm2": 1.0, "power_w": 1.0, "latency_s": 1.0}
    runs = [Outcome(arm, "solve", seed, 1.0, 0, 10.0, 5, []) for arm in ("latency", "power") for seed in (1, 2)]
    bounds = {"latency": 0.5, "power": 0.6}
    kept = codesign_payload(runs, figures, bounds, None, 1.0, {"latency": 900.0, "power": 800.0})
    monkeypatch.setattr("codesign.load_results", lambda name: {"payload": kept})
    assert earlier(["latency"], figures, 2) == {"power": (runs[2:], 0.6, 800.0)}
    assert earlier(["latency"], figures, 3) == {}
    assert earlier(["latency"], figures | {"area_mm2": 2.0}, 2) == {}


def trace_of(seed: int, starts: int, *trace: tuple[float, float]) -> Run:
    return Run("q", starts, seed, 10.0, False, list(trace))


def test_arms_are_compared_seed_by_seed_at_equal_seconds() -> None:
    without = [trace_of(1, 0, (1.0, 8.0), (6.0, 4.0)), trace_of(2, 0, (1.0, 8.0))]
    using = [trace_of(1, 4, (3.0, 2.0)), trace_of(2, 4)]
    early, late = Beside.of(without, using, 2.0), Beside.of(without, using, 7.0)
    assert (early.ratios, early.only) == ([], (0, 2))
    assert (late.ratios, late.only) == ([2.0], (0, 1))
    assert late.medians == (6.0, 2.0)
    payload = payload_of([*without, *using], [2.0, 7.0])
    check_payload(payload)
    totals = payload["tables"][0]["rows"]
    assert totals[0][:2] == [2.0, None]
    assert totals[1] == [7.0, pytest.approx(2.0), 2.0, 2.0, 1, 1, 0, 0, 1]
    assert [one["value"] for one in payload["targets"]] == ["0, 2 lost", "1, 1 lost"]
    assert [one["met"] for one in payload["targets"]] == [False, False]


def test_questions_are_of_all_networks_within_the_first_area_only() -> None:
    asked = questions(["eyeriss", "generic"], ["resnet18", "bert_base_block"], [1.0, 3.0], codesign=False)
    assert len(asked) == len({one.name for one in asked}) == 6
    limits = [dict(one.limits)["area_mm2"] for one in asked if one.space == "eyeriss"]
    assert limits == [pytest.approx(n * dlco.hardware.eyeriss_like(wires=False).area_mm2) for n in (1, 1, 3)]
    assert inf not in limits
