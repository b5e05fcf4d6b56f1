"""What a user can pass wrongly to `solve`, `pareto` and `evaluate`: one sentence each, before any work starts."""

import sys
from dataclasses import fields
from inspect import signature
from typing import Any, Unpack

import pytest

import dlco
from dlco import FrontEffort, InvalidInput, Layer, Mapping
from dlco.hardware import generic
from dlco.optimize.options import Options, RunOptions

LAYERS = [dlco.linear("fc", C=8, M=4)]

COMMON: list[tuple[str, Any]] = [
    *(("seed", value) for value in (None, True, 1.5, -1, "0", 2**70)),
    *(("device", value) for value in (None, "xpu", 3)),
    *(("budget", value) for value in ({}, 5)),
    *(("constraints", value) for value in ({}, "all")),
    *(("imperfect", value) for value in (1, "no")),
    *(("keep", value) for value in ("all", None, True, [])),
    *(("bound", value) for value in (None, 1, "yes")),
    *(("effort", value) for value in (1, {}, "high")),
    *(("progress", value) for value in (None, 3)),
    *(("start", value) for value in (None, 3, [1], "one")),
    *(("checkpoint", value) for value in (5, "", b"run", "a\0b", "x" * 400, ".")),
    *(("resume", value) for value in (5, "", "nowhere")),
]


def ids(case: tuple[str, Any]) -> str:
    return f"{case[0]}={str(case[1])[:12]!r}"


@pytest.fixture(autouse=True)
def _no_work(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("no work is to be done")

    for place in (sys.modules["dlco.optimize.solve"], sys.modules["dlco.optimize.front.answer"]):
        monkeypatch.setattr(place, "search_design", refuse)
    monkeypatch.setattr(sys.modules["dlco.optimize.solve"], "solve_exactly", refuse)
    monkeypatch.chdir(tmp_path)


def refused(name: str, call: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        call()
    assert str(caught.value).startswith((name, "checkpoint file"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", [*COMMON, ("objective", [])], ids=ids)
def test_solve_names_what_is_wrong(case: tuple[str, Any]) -> None:
    refused(case[0], lambda: dlco.solve(LAYERS, generic(), **dict([case])))


FRONT: list[tuple[str, Any]] = [
    *(("points", value) for value in (0, 1, True, 2.5, None)),
    *(("span", value) for value in (1, float("nan"), float("inf"), None, "wide")),
]


@pytest.mark.parametrize("case", [*COMMON, *FRONT], ids=ids)
def test_pareto_names_what_is_wrong(case: tuple[str, Any]) -> None:
    refused(case[0], lambda: dlco.pareto(LAYERS, generic(), **{"points": 2, "effort": FrontEffort()} | dict([case])))


@pytest.mark.parametrize("call", [dlco.solve, dlco.pareto], ids=["solve", "pareto"])
def test_an_option_that_there_is_not_is_no_argument(call: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'sead'"):
        call(LAYERS, generic(), sead=3)


@pytest.mark.parametrize("call", [dlco.solve, dlco.pareto], ids=["solve", "pareto"])
def test_a_dozen_arguments_are_named_and_the_options_shared(call: Any) -> None:
    parameters = signature(call).parameters.values()
    assert [one.annotation for one in parameters if one.kind is one.VAR_KEYWORD] == [Unpack[RunOptions]]
    named = {one.name: one.default for one in parameters if one.kind is not one.VAR_KEYWORD}
    assert len(named) <= 12
    assert (named["seed"], named["progress"], named["effort"], named["budget"]) == (0, False, None, None)


def test_options_are_the_same_wherever_they_are_written_down() -> None:
    assert list(RunOptions.__annotations__) == [field.name for field in fields(Options)]


@pytest.mark.parametrize("layers", [None, [], "net", [1], 5, {}, LAYERS[0], LAYERS * 2], ids=lambda one: str(one)[:9])
def test_layers_are_a_list_of_layers(layers: Any) -> None:
    refused("layers", lambda: dlco.solve(layers, generic()))
    refused("layers", lambda: dlco.pareto(layers, generic()))


def mapping(layer: Layer) -> Mapping:
    """All loops at the outermost of the three levels."""
    dims, ones = layer.problem.dimensions, (1,) * len(layer.problem.dimensions)
    levels = tuple(level.name for level in generic().levels)
    return Mapping(
        dims, levels, (ones, ones, layer.problem.bounds), *((ones,) * 3,) * 2, *((dims,) * 3,) * 2, (frozenset(),) * 3
    )


def test_evaluate_names_what_is_wrong() -> None:
    right = {"layer": LAYERS[0], "architecture": generic(), "mapping": mapping(LAYERS[0])}
    assert dlco.evaluate(**right).cycles.item() == 32
    for name, wrong in (
        *(("layer", value) for value in (None, 3, LAYERS)),
        *(("architecture", value) for value in (None, "generic", {})),
        *(("mapping", value) for value in (None, [right["mapping"]], 5)),
        *(("rules", value) for value in (None, "timeloop")),
    ):
        refused(name, lambda name=name, wrong=wrong: dlco.evaluate(**right | {name: wrong}))
