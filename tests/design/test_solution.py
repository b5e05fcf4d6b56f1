"""`Solution`: its totals by hand, and the file it is saved to and read back from."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

import dlco
from dlco import Budget, InvalidInput, InvalidMapping, Layer, Solution, SolveEffort
from dlco.bound import Certificate
from dlco.design.network_cost import evaluate_network
from dlco.design.objective import OBJECTIVES
from dlco.design.solution import STATUSES
from dlco.hardware import simba_like
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.optimize.proofs import Proofs
from dlco.search.local_search import Effort

from ..efforts import EVOLUTION, NO_BOXES

QUICK = SolveEffort(
    starts=2,
    relax_rounds=1,
    machines=2,
    roundings=2,
    descents=1,
    steps=2,
    evolution=EVOLUTION,
    fit=Effort(rounds=10, patience=5),
    step=Effort(rounds=5, patience=3),
    polish=Effort(rounds=10, patience=5, islands=2),
    polishes=1,
    boxes=NO_BOXES,
)


@pytest.fixture(scope="module")
def solution(network: list[Layer], machine: Architecture) -> Solution:
    return dlco.solve(network, machine, "edp", Budget(latency_s=1.0), seed=4, effort=QUICK)


# --- totals ----------------------------------------------------------------------------------------------------


def test_costs_are_sums_of_evaluations(solution: Solution, network: list[Layer], machine: Architecture) -> None:
    costs, total = evaluate_network(tuple(network), machine, solution.mappings)
    energy = cycles = 0.0
    for layer in network:
        one = dlco.evaluate(layer, machine, solution.mappings[layer.name])
        energy += layer.count * one.energy_pj.item()
        cycles += layer.count * one.cycles.item()
        mine = costs[layer.name]
        assert (mine.count, mine.macs) == (layer.count, layer.macs)
        assert mine.cycles == one.cycles.item()
        assert mine.energy_pj == one.energy_pj.item()
        assert mine.utilization == one.utilization.item()
        assert list(mine.level_pj) == [level.name for level in machine.levels]
        parts = sum(mine.level_pj.values()) + mine.mac_pj + mine.leak_pj
        assert parts == pytest.approx(one.energy_pj.item(), rel=1e-12)
        assert mine.level_pj["DRAM"] == pytest.approx(one.access_pj[2].sum().item())
    assert total.cycles == cycles
    assert total.energy_pj == pytest.approx(energy, rel=1e-15)
    assert total.latency_s == pytest.approx(cycles * 2e-9)
    assert total.power_w == pytest.approx(energy * 1e-12 / (cycles * 2e-9))
    assert total.edp == pytest.approx(energy * cycles)
    assert total.area_mm2 == machine.area_mm2


def test_a_mapping_that_does_not_fit_has_no_cost(
    solution: Solution, network: list[Layer], machine: Architecture
) -> None:
    small = replace(machine, levels=(replace(machine.levels[0], capacity=2), *machine.levels[1:]))
    with pytest.raises(InvalidMapping, match="Registers"):
        evaluate_network(tuple(network), small, solution.mappings)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_value_is_the_objective_s(objective: str, solution: Solution) -> None:
    cost = solution.cost
    expected = {
        "latency": cost.latency_s,
        "energy": cost.energy_pj,
        "edp": cost.edp,
        "power": cost.power_w,
        "area": cost.area_mm2,
    }
    assert replace(solution, objective=objective).value == expected[objective] == cost.objective(objective)


def test_the_gap_is_what_the_bound_leaves_open(solution: Solution) -> None:
    assert replace(solution, lower_bound=0.75 * solution.value).gap == pytest.approx(0.25)
    assert replace(solution, lower_bound=solution.value).gap == pytest.approx(0.0)
    assert replace(solution, lower_bound=None).gap is None
    assert solution.gap == pytest.approx(1 - solution.lower_bound / solution.value)


def test_the_status_is_of_the_vocabulary(solution: Solution) -> None:
    assert solution.status in STATUSES
    assert set(STATUSES) == {"solved", "interrupted", "infeasible"}


def test_it_prints_as_text_and_as_html(solution: Solution) -> None:
    assert "product" in str(solution)
    assert "window" in str(solution)
    assert "<table" in solution._repr_html_()


# --- files -----------------------------------------------------------------------------------------------------


def test_save_and_load_give_the_same_solution(solution: Solution, tmp_path: Path) -> None:
    path = tmp_path / "solution.json"
    solution.save(path)
    again = Solution.load(path)
    assert again == solution
    assert again.mappings == solution.mappings
    assert again.architecture.levels[2].capacity == inf
    assert evaluate_network(again.layers, again.architecture, again.mappings)[1] == solution.cost
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("how", ["space", "simba", "infeasible", "plain"])
def test_all_kinds_of_solutions_survive_the_file(
    how: str, network: list[Layer], machine: Architecture, space: HardwareSpace, tmp_path: Path
) -> None:
    solution = {
        "space": lambda: dlco.solve(network, space, "area", Budget(area_mm2=0.5), effort=QUICK),
        "simba": lambda: dlco.solve(dlco.networks.mobilenet_v2()[1:3], simba_like(), "latency", effort=QUICK),
        "infeasible": lambda: dlco.solve(network, machine, budget=Budget(power_w=3.3e-3), effort=QUICK),
        "plain": lambda: dlco.solve(network, machine, "power", effort=QUICK, bound=False),
    }[how]()
    solution.save(tmp_path / "solution.json")
    assert Solution.load(str(tmp_path / "solution.json")) == solution


def test_the_file_is_plain_json(solution: Solution, tmp_path: Path) -> None:
    solution.save(tmp_path / "solution.json")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    data = json.loads((tmp_path / "solution.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert data["format"] == 1
    assert data["gap"] == solution.gap
    assert data["cost"]["edp"] == solution.cost.edp


def test_a_solution_survives_its_dictionary(solution: Solution) -> None:
    assert Solution.from_dict(solution.to_dict()) == solution
    assert Solution.from_dict(json.loads(json.dumps(solution.to_dict()))) == solution


def test_saving_replaces_the_file(solution: Solution, tmp_path: Path) -> None:
    path = tmp_path / "solution.json"
    path.write_text("old")
    solution.save(path)
    assert Solution.load(path) == solution
    assert os.listdir(tmp_path) == ["solution.json"]


@pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX's")
def test_a_saved_file_is_as_readable_as_any_other(solution: Solution, tmp_path: Path) -> None:
    solution.save(tmp_path / "solution.json")
    (tmp_path / "other").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("solution.json", "other")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("failing", ["os.replace", "json.dumps"])
def test_a_step_of_saving_that_fails_leaves_the_old_file(
    failing: str, solution: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "solution.json"
    path.write_text("old")

    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no more")

    with monkeypatch.context() as patched:
        patched.setattr(failing, fail)
        with pytest.raises(OSError, match="no more"):
            solution.save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["solution.json"]


def test_a_full_disk_leaves_the_old_file(solution: Solution, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "solution.json"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))  # bytes that a file may grow to
    try:
        with pytest.raises(OSError, match="too large"):
            solution.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["solution.json"]


def test_a_write_into_no_folder_writes_nothing(solution: Solution, tmp_path: Path) -> None:
    with pytest.raises((OSError, InvalidInput)):
        solution.save(tmp_path / "nowhere" / "solution.json")
    assert os.listdir(tmp_path) == []


GARBAGE = {
    "empty": "",
    "text": "not JSON at all",
    "number": "7",
    "null": "null",
    "list": "[1, 2]",
    "object": "{}",
    "binary": "\x00\x01\x02",
    "nested": "[" * 100_000,
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "solution.json").write_text(text)
    with pytest.raises(InvalidInput):
        Solution.load(tmp_path / "solution.json")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "solution.json").write_bytes(b"\xff\xfe\x80{}")
    with pytest.raises(InvalidInput, match="cannot be read"):
        Solution.load(tmp_path / "solution.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"missing\.json"):
        Solution.load(tmp_path / "missing.json")
    with pytest.raises(InvalidInput):
        Solution.load(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(share: float, solution: Solution, tmp_path: Path) -> None:
    path = tmp_path / "solution.json"
    solution.save(path)
    text = path.read_text()
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(InvalidInput, match="cannot be read"):
        Solution.load(path)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_format_is_refused(version: object, solution: Solution) -> None:
    with pytest.raises(InvalidInput, match=r"format of the solution is .*this version reads 1"):
        Solution.from_dict(solution.to_dict() | {"format": version})


FIELDS = (
    "status message objective budget seed layers architecture mappings layer_costs cost "
    "lower_bound evaluations seconds trace"
).split()


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(field: str, solution: Solution) -> None:
    data = solution.to_dict()
    del data[field]
    with pytest.raises(InvalidInput, match=field):
        Solution.from_dict(data)


def _set(*keys: Any) -> Callable[[dict[str, Any]], None]:
    *path, last, value = keys

    def change(data: Any) -> None:
        for key in path:
            data = data[key]
        data[last] = value

    return change


def _drop(*keys: Any) -> Callable[[dict[str, Any]], None]:
    *path, last = keys

    def change(data: Any) -> None:
        for key in path:
            data = data[key]
        del data[last]

    return change


GARBLED: dict[str, Callable[[dict[str, Any]], None]] = {
    "budget of text": _set("budget", "much"),
    "budget below 0": _set("budget", "area_mm2", -1),
    "unknown limit": _set("budget", "weight_kg", 3),
    "layers no list": _set("layers", 3),
    "layer without problem": _drop("layers", 0, "problem"),
    "bound 0": _set("layers", 0, "problem", "bounds", 0, 0),
    "dimension missing": _drop("layers", 0, "problem", "dimensions", 0),
    "dataspace without name": _drop("layers", 0, "problem", "dataspaces", 0, "name"),
    "level of no kind": _set("architecture", "levels", 0, "kind", "tape"),
    "negative energy": _set("architecture", "levels", 0, "read_pj", -3),
    "unknown level field": _set("architecture", "levels", 0, "colour", "red"),
    "levels a dictionary": _set("architecture", "levels", {"a": 1}),
    "factor 0": _set("mappings", "product", "temporal", 0, 1, 0),
    "factor text": _set("mappings", "product", "temporal", 0, 1, "4"),
    "order incomplete": _drop("mappings", "product", "order", 0, 0),
    "mapping null": _set("mappings", "product", None),
    "cost without edp": _drop("cost", "edp"),
    "cost of text": _set("cost", "energy_pj", "much"),
    "layer cost null": _set("layer_costs", "product", None),
    "layer cost of text": _set("layer_costs", "product", "cycles", "many"),
    "seed null": _set("seed", None),
    "trace of numbers": _set("trace", [1, 2]),
    "bound of text": _set("lower_bound", "low"),
    "unknown status": _set("status", "maybe"),
    "unknown objective": _set("objective", "speed"),
    # what does not add up
    "a layer without mapping": _drop("mappings", "product"),
    "a layer without cost": _drop("layer_costs", "product"),
    "factors that miss the bound": _set("layers", 0, "problem", "bounds", 1, 40),
    "a mapping that does not fit": _set("architecture", "levels", 0, "capacity", 1),
}


@pytest.mark.parametrize("change", GARBLED.values(), ids=GARBLED)
def test_a_garbled_field_is_refused(
    change: Callable[[dict[str, Any]], None], solution: Solution, tmp_path: Path
) -> None:
    data = json.loads(json.dumps(solution.to_dict()))
    change(data)
    (tmp_path / "solution.json").write_text(json.dumps(data))
    with pytest.raises(InvalidInput):
        Solution.load(tmp_path / "solution.json")


# --- figures ---------------------------------------------------------------------------------------------------


def numbers(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there are numbers in a document."""
    if isinstance(data, dict | list):
        items = data.items() if isinstance(data, dict) else enumerate(data)
        return [found for key, value in items for found in numbers(value, (*path, key))]
    return [path] if isinstance(data, int | float) and not isinstance(data, bool) else []


def test_every_figure_is_what_the_mappings_come_to(solution: Solution) -> None:
    """Each number of the costs in turn, off by a millionth (or one), is refused; nothing else is in its way."""
    data = json.loads(json.dumps(solution.to_dict()))
    assert Solution.from_dict(data) == solution
    places = [path for path in numbers(data) if path[0] in ("layer_costs", "cost", "gap")]
    assert len(places) == 6 + 1 + len(solution.layers) * (7 + len(solution.architecture.levels))
    for path in places:
        bad = json.loads(json.dumps(data))
        *parents, last = path
        place = bad
        for key in parents:
            place = place[key]
        least = 1e-6 if last == "gap" else 1e-12
        place[last] = place[last] + 1 if isinstance(place[last], int) else place[last] * (1 + 1e-6) + least
        with pytest.raises(InvalidInput, match=str(last)):
            Solution.from_dict(bad)


def test_rounding_is_let_pass(solution: Solution) -> None:
    data = json.loads(json.dumps(solution.to_dict()))
    data["cost"]["energy_pj"] *= 1 + 1e-12
    assert Solution.from_dict(data).mappings == solution.mappings


UNTRUE: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "another mapping": (_set("mappings", "product", "bypass", 1, ["Inputs"]), "the mappings come to"),
    "another energy of the machine": (_set("architecture", "levels", 2, "read_pj", 91.0), "the mappings come to"),
    "another count": (_set("layers", 0, "count", 77), "count of the cost of layer"),
    "edp 0": (_set("cost", "edp", 0.0), "edp of the cost is 0.0"),
    "energy infinite": (_set("cost", "energy_pj", float("inf")), "must be a finite number"),
    "latency nan": (_set("cost", "latency_s", float("nan")), "must be a finite number"),
    "power below 0": (_set("cost", "power_w", -1.0), "must be a finite number of at least 0"),
    "cycles huge": (_set("layer_costs", "product", "cycles", 10**400), "must be a finite number"),
    "bound infinite": (_set("lower_bound", float("inf")), "lower_bound of the solution is inf"),
    "bound below 0": (_set("lower_bound", -1.0), "lower_bound of the solution is -1.0"),
    "bound beyond the value": (_set("lower_bound", 1e300), "what no design can beat"),
    "no bound": (_set("lower_bound", None), "gap of the solution"),
    "a limit that is broken": (_set("budget", "latency_s", 1e-12), "its budget is exceeded: latency_s"),
    "a broken limit of a level": (_set("budget", "capacity", {"Buffer": 1}), "its budget is exceeded: capacity"),
    "infeasible though all holds": (_set("status", "infeasible"), "its budget is kept"),
    "a conflict over nothing": (
        _set("conflicts", [{"limit": "power_w", "value": 1.0, "least": 2.0, "reached": 3.0}]),
        "its budget says otherwise",
    ),
    "a conflict of another limit": (
        _set("conflicts", [{"limit": "latency_s", "value": 2.0, "least": 2.0, "reached": 3.0}]),
        "its budget says otherwise",
    ),
    "a conflict below its least": (
        _set("conflicts", [{"limit": "latency_s", "value": 1.0, "least": 2.0, "reached": 1.5}]),
        "below the least",
    ),
    "a bound above the value in its history": (
        _set("history", [{"seconds": 1.0, "phase": "bound", "bound": 1e300}]),
        "history of the solution has a bound",
    ),
    "time that goes back": (
        _set("history", [{"seconds": 2.0, "phase": "a"}, {"seconds": 1.0, "phase": "b"}]),
        "go back",
    ),
    "a phase of no name": (_set("history", [{"seconds": 2.0, "phase": None}]), "phase in the history"),
    "a mapping too many": (lambda data: data["mappings"].update(x=data["mappings"]["product"]), "of layer 'x'"),
    "seed of text": (_set("seed", "4"), "seed of the solution is '4'"),
    "seed not whole": (_set("seed", 4.5), "seed of the solution is 4.5"),
    "evaluations below 0": (_set("evaluations", -1), "evaluations of the solution is -1"),
    "seconds of text": (_set("seconds", "long"), "seconds of the solution is 'long'"),
    "imperfect 1": (_set("imperfect", 1), "imperfect of the solution is 1"),
    "message no text": (_set("message", ["a"]), "message of the solution is"),
    "two layers of a name": (lambda data: data["layers"].append(data["layers"][0]), "two layers named"),
}


@pytest.mark.parametrize("what", UNTRUE)
def test_what_does_not_add_up_is_one_sentence(what: str, solution: Solution) -> None:
    change, said = UNTRUE[what]
    data = json.loads(json.dumps(solution.to_dict()))
    change(data)
    with pytest.raises(InvalidInput) as caught:
        Solution.from_dict(data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bound_that_its_own_design_refutes_is_no_answer(
    network: list[Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(proofs: Proofs, *asked: object) -> Certificate:
        return Certificate(1.01 * best.value, "wrongly")

    effort = replace(QUICK, exact=False)
    best = dlco.solve(network, dlco.hardware.gemmini_like(), "edp", effort=effort, bound=False)
    monkeypatch.setattr(Proofs, "__call__", prove)
    with pytest.raises(dlco.errors.DlcoError, match=r"lower_bound of the solution is .* what no design can beat"):
        dlco.solve(network, dlco.hardware.gemmini_like(), "edp", effort=effort)


def test_nothing_is_better_than_what_costs_nothing(network: list[Layer]) -> None:
    levels = (dlco.Level("Registers", "regfile", capacity=64), dlco.Level("DRAM", "DRAM"))
    free = dlco.solve(network, dlco.Architecture(levels, mac_pj=0.0), "latency", effort=QUICK)
    assert (free.cost.edp, free.cost.power_w) == (0.0, 0.0)
    assert replace(free, objective="energy", lower_bound=0.0).gap == 0.0
    assert Solution.from_dict(json.loads(json.dumps(free.to_dict()))) == free


def test_imperfect_solutions_are_evaluated_again_too(network: list[Layer], machine: Architecture) -> None:
    found = dlco.solve(network, machine, "edp", effort=QUICK, imperfect=True, bound=False)
    data = json.loads(json.dumps(found.to_dict()))
    assert Solution.from_dict(data) == found
    data["cost"]["cycles"] += 1
    with pytest.raises(InvalidInput, match="cycles of the cost"):
        Solution.from_dict(data)
