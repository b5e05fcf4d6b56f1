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
from dlco.hardware import simba_like
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.optimize.budget import OBJECTIVES
from dlco.optimize.local_search import Effort
from dlco.optimize.solution import STATUSES, price

from .efforts import FLEET

QUICK = SolveEffort(
    starts=2,
    relax_rounds=1,
    machines=2,
    roundings=2,
    descents=1,
    steps=2,
    fleet=FLEET,
    fit=Effort(rounds=10, patience=5),
    step=Effort(rounds=5, patience=3),
    polish=Effort(rounds=10, patience=5, islands=2),
    polishes=1,
)


@pytest.fixture(scope="module")
def solution(network: list[Layer], machine: Architecture) -> Solution:
    return dlco.solve(network, machine, "edp", Budget(latency_s=1.0), seed=4, effort=QUICK)


# --- totals ----------------------------------------------------------------------------------------------------


def test_prices_are_sums_of_evaluations(solution: Solution, network: list[Layer], machine: Architecture) -> None:
    costs, total = price(tuple(network), machine, solution.mappings)
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


def test_a_mapping_that_does_not_fit_has_no_price(
    solution: Solution, network: list[Layer], machine: Architecture
) -> None:
    small = replace(machine, levels=(replace(machine.levels[0], capacity=2), *machine.levels[1:]))
    with pytest.raises(InvalidMapping, match="Registers"):
        price(tuple(network), small, solution.mappings)


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
    assert price(again.layers, again.architecture, again.mappings)[1] == solution.cost
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
