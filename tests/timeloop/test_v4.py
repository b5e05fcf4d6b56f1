"""What v0.4's front end takes beyond plain values: variables, arithmetic, branches; and that we write what it takes."""

import math
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import dlco
from dlco.errors import InvalidInput
from dlco.hardware import eyeriss_like, gemmini_like, simba_like
from dlco.mapping.constraints import resolve
from dlco.timeloop import read_architecture, read_constraints, read_mapping, read_problem, write, write_architecture
from dlco.timeloop.architecture import read_description
from dlco.timeloop.document import load
from dlco.timeloop.expressions import evaluate, read_symbols

DOCUMENT = """
variables:
  version: 0.4
  technology: "45nm"
  global_cycle_seconds: 1 / 500e6
  buffer_kib: 24
  array: 2 * half
  half: 3
architecture:
  version: 0.4
  nodes:
  - !Container
    name: chip
    attributes: {technology: "32nm", rows: array - 2, my_note: LPDDR4}
  - !Component
    name: DRAM
    class: DRAM
    attributes: {width: 64, datawidth: 16, type: "LPDDR4"}
  - !Component
    name: buffer
    class: smartbuffer_SRAM
    attributes: {depth: buffer_kib * 1024 * 8 // width, width: datawidth * 4, datawidth: 16, n_banks: 4}
    constraints: {dataspace: {bypass: [Weights]}}
  - !Container
    name: column
    spatial: {meshX: array}
  - !Container
    name: PE
    spatial: {meshY: "max(rows, 1)"}
  - !Parallel
    nodes:
    - !Component
      name: inputs
      class: regfile
      attributes: {depth: 12, width: 16}
      constraints: {dataspace: {keep: [Inputs]}}
    - !Hierarchical
      nodes:
      - !Component
        name: weights
        class: regfile
        attributes: {depth: 192, width: 16}
        constraints: {dataspace: {keep: [Weights]}}
    - !Nothing {constraints: {dataspace: {keep: [Outputs]}}}
  - !Component
    name: mac
    class: intmac
    attributes: {multiplier_width: 16}
constraints:
  version: 0.4
  targets:
  - {target: PE, type: spatial, factors: [R=2]}
  - {target: column, type: spatial, factors: [R=1, C=3]}
"""


def test_variables_and_arithmetic() -> None:
    machine = read_architecture(DOCUMENT)
    assert machine.cycle_s == 2e-9
    buffer = machine.level("buffer")
    assert (buffer.capacity, buffer.block_size) == (24 * 1024 * 8 / 16, 4)
    assert (buffer.fanout_x, buffer.fanout_y) == (6, 4)


def test_a_parallel_branch_bypasses_what_others_keep() -> None:
    machine = read_architecture(DOCUMENT)
    bypass = {level.name: level.bypass for level in machine.levels}
    assert bypass == {
        "weights": {"Inputs", "Outputs"},
        "inputs": {"Weights", "Outputs"},
        "buffer": {"Weights"},
        "DRAM": set(),
    }
    with pytest.raises(InvalidInput, match=r"line 32: Inputs kept in two branches of one !Parallel"):
        read_architecture(DOCUMENT.replace("keep: [Weights]", "keep: [Inputs]"))


def test_constraints_stand_in_a_section_of_their_own() -> None:
    machine, description = read_description(DOCUMENT)
    problem = dlco.conv2d("layer", C=6, M=8, P=6, Q=6, R=4, S=3).problem
    stated = read_constraints(DOCUMENT, problem, machine, description.containers)
    constraints = resolve(stated, problem, machine)
    (fanout,) = constraints.slots
    assert fanout.level == "buffer"
    assert dict(fanout.exact)["R"] == 2
    assert (
        dict(constraints.bypass)["inputs"] == {"Weights", "Outputs"} if "inputs" in dict(constraints.bypass) else True
    )


def test_bounds_may_be_arithmetic() -> None:
    text = "variables: {version: 0.4, batch: 4}\nproblem:\n  version: 0.4\n  shape: gemm_ABZ\n"
    problem = read_problem(text + "  instance: {M: batch * 8, N: 2 ** 5, K: 7}\n")
    assert problem.sizes == {"M": 32, "N": 32, "K": 7}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("spatial: {meshX: array}", "spatial: {meshX: aray}", "meshX is 'aray'; it must be an integer"),
        ("meshX: array", "meshX: array / 4", "meshX is '1.5'"),
        ("depth: 12, width: 16}", "dept: 12, width: 16}", "unknown attribute 'dept' of inputs"),
        ("meshX: array", "meshX: __import__('os').getpid()", "it must be an integer"),
        ("meshX: array", "meshX: 9 ** 9 ** 9", "it must be an integer"),
        ("version: 0.4", "version: {{ version }}", "it is a template; give .*parsed-processed-input"),
        ("variables:", "{% set array = 3 %}{{ arrays }}\nvariables:", "it is a template"),
    ],
)
def test_errors(old: str, new: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_architecture(DOCUMENT.replace(old, new, 1))


def test_expressions_name_each_other_in_any_order() -> None:
    """Ever so many steps long; a circle is no number, nor is what hangs on it."""
    steps = ", ".join(f"v{i}: v{i - 1} + 1" for i in reversed(range(1, 300)))
    text = f"{{variables: {{{steps}, v0: 5, round: trip, trip: round + 1, hung: trip}}}}"
    symbols = read_symbols(load(text, "variables").mapping()["variables"])
    assert symbols["v299"] == 304
    assert symbols.keys().isdisjoint({"round", "trip", "hung"})


NUMBERS = st.integers(0, 99).map(str) | st.floats(0, 1e3).map(lambda one: f"{one:.3f}") | st.just("x")
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+ - * / // % **".split()), inner)
        | st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner)
        | st.builds("-{}".format, inner)
    ),
    max_leaves=6,
)


@given(EXPRESSIONS)
def test_arithmetic_is_pythons(text: str) -> None:
    """Python itself says what an expression comes to, in floating point, as powers of integers have no limit."""
    floats = "".join(text)
    try:
        expected = eval(floats, {"min": min, "max": max, "x": 7.0})
    except (ArithmeticError, ValueError):
        expected = None
    if isinstance(expected, complex) or expected is None or not abs(expected) <= 2.0**62:
        assert evaluate(text, {"x": 7.0}) is None
    else:
        assert evaluate(text, {"x": 7.0}) == pytest.approx(expected, rel=1e-12)


@given(st.text(max_size=60) | st.text("0123456789.e+-*/()%,_xif ", max_size=300))
def test_no_text_does_harm(text: str) -> None:
    value = evaluate(text, {"x": 2.0})
    assert value is None or math.isfinite(value)


class FrontEndLoader(yaml.SafeLoader):
    """Takes the tags as the front end does: each names the kind of a node."""


for _tag in ("Component", "Container"):
    FrontEndLoader.add_constructor(
        f"!{_tag}", lambda loader, node, tag=_tag: {"tag": tag, **loader.construct_mapping(node, deep=True)}
    )


@pytest.mark.parametrize("preset", [eyeriss_like, gemmini_like, simba_like])
def test_what_is_written_has_the_front_ends_keys(preset: Callable[..., dlco.Architecture]) -> None:
    """The keys that timeloopfe 0.4 requires and allows, read by an ordinary YAML parser."""
    machine = preset(wires=False)
    document = yaml.load(write_architecture(machine, "0.4"), FrontEndLoader)
    assert set(document) == {"variables", "architecture", "ERT", "ART"}
    assert set(document["variables"]) == {"version", "technology", "global_cycle_seconds"}
    assert document["architecture"]["version"] == 0.4
    instances = 1
    for node in document["architecture"]["nodes"]:
        allowed = {"tag", "name", "attributes", "spatial", "constraints"} | ({"class"} if "class" in node else set())
        assert set(node) <= allowed
        assert node["tag"] == ("Component" if "class" in node else "Container")
        instances *= math.prod(node.get("spatial", {}).values())
    assert instances == machine.macs
    assert read_architecture(write_architecture(machine, "0.4")) == machine


def test_a_solution_survives_both_versions(tmp_path) -> None:
    """Architecture, problem and mapping of every layer, written and read back."""
    solution = dlco.Solution.load("tests/data/saved/solution_format1.json")
    for version in ("0.3", "0.4"):
        for layer, folder in zip(solution.layers, write(solution, tmp_path / version, version), strict=True):
            problem = read_problem(folder / "problem.yaml")
            machine, description = read_description(folder / "arch.yaml")
            mapping = read_mapping(folder / "mapping.yaml", problem, machine, description.containers or None)
            costs = [
                dlco.evaluate(one, arch, chosen)
                for one, arch, chosen in (
                    (problem, machine, mapping),
                    (layer.problem, solution.architecture, solution.mappings[layer.name]),
                )
            ]
            assert [cost.cycles.item() for cost in costs] == [costs[0].cycles.item()] * 2
            assert costs[0].energy_pj.item() == pytest.approx(costs[1].energy_pj.item(), rel=1e-12)
            assert problem.sizes == layer.problem.sizes
