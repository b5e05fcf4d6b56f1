"""The constraints that an architecture's file states, from the file to every answer about it."""

import json
from dataclasses import replace

import pytest
import torch

import dlco
from dlco.bound import BoundEffort, lower_bound
from dlco.cli import main
from dlco.design.budget import Budget
from dlco.errors import InvalidInput, NotSupported
from dlco.exact import enumerate_layer
from dlco.mapping import Constraints, Mapping, SlotConstraint
from dlco.nas import cosearch
from dlco.search.imperfect import refine
from dlco.search.local_search import Effort
from dlco.search.score import Score
from dlco.timeloop import read_architecture, read_constraints, read_mapping, write, write_architecture
from dlco.timeloop.network import read_network
from dlco.workload import Layer

from ..nas.small import Linear, make_space
from .front.test_pareto import QUICK as FRONT
from .test_solve import QUICK

LITTLE = replace(QUICK, starts=1, roundings=1, polishes=0, fit=Effort(rounds=6, patience=3, islands=1))
ARCH = """
architecture:
  version: 0.4
  nodes:
  - !Container {name: board}
  - !Component
    name: Main
    class: DRAM
    attributes: {width: 64, datawidth: 8, vector_access_energy: 200}
  - !Component
    name: Glb
    class: SRAM
    attributes: {depth: 4096, width: 64, datawidth: 8, vector_access_energy: 8}
  - !Container
    name: lanes
    spatial: {meshX: 8}
    constraints:
      spatial: {factors: [C=1, P=1, Q=1, R=1, S=1, N=1], permutation: [N, C, P, Q, R, S, M], split: 999}
  - !Component
    name: Reg
    class: regfile
    attributes: {depth: 32, width: 8, datawidth: 8, vector_access_energy: 0.5}
    constraints:
      temporal: {factors: [R=3, S=3, P=1, Q=1, C=1, N=1, M=1]}
  - !Component
    name: mul
    class: intmac
    attributes: {datawidth: 8}
"""
PROBLEM = """
problem:
  version: 0.4
  shape: cnn-layer
  instance: {C: 8, M: 3, R: 3, S: 3, P: 7, Q: 7, N: 1}
"""
LAYER = dlco.conv2d("prob", C=8, M=3, R=3, S=3, P=7, Q=7)
CYCLES = 3 * 3 * 7 * 7 * 8  # of the lanes, 3 work, one for each of M


def obeys(mapping: Mapping, dimensions: tuple[str, ...]) -> bool:
    """Whether nothing but M is split over the lanes, and the filter and nothing else loops at the registers."""
    x = dict(zip(dimensions, mapping.spatial_x[1], strict=True))
    time = dict(zip(dimensions, mapping.temporal[0], strict=True))
    alone = all(factor == 1 for dim, factor in x.items() if dim != "M")
    return alone and time == dict.fromkeys(dimensions, 1) | {"R": 3, "S": 3}


@pytest.fixture
def machine() -> dlco.Architecture:
    return read_architecture(ARCH)


def test_solve_obeys_and_its_bound_holds(machine: dlco.Architecture) -> None:
    """3,528 cycles with M along X is the least of all; 1,323 (C along X) would break the file's constraints."""
    best = enumerate_layer(LAYER, machine).cycles.min().item()
    solution = dlco.solve([LAYER], machine, "latency", effort=LITTLE, bound=False)
    assert solution.cost.cycles == best == CYCLES
    assert obeys(solution.mappings["prob"], LAYER.problem.dimensions)
    bound = lower_bound([LAYER], machine, "latency", effort=BoundEffort(nodes=20, side=5)).value
    assert 0 < bound <= CYCLES * machine.cycle_s
    free = replace(machine, constraints=Constraints())
    assert dlco.solve([LAYER], free, "latency", bound=False, effort=LITTLE).cost.cycles < CYCLES


def test_a_start_that_breaks_them_is_left_behind(machine: dlco.Architecture) -> None:
    free = dlco.solve([LAYER], replace(machine, constraints=Constraints()), "latency", bound=False, effort=LITTLE)
    assert not obeys(free.mappings["prob"], LAYER.problem.dimensions)
    solution = dlco.solve([LAYER], machine, "latency", bound=False, effort=LITTLE, start=free)
    assert solution.cost.cycles == CYCLES
    assert obeys(solution.mappings["prob"], LAYER.problem.dimensions)


def test_a_space_around_the_machine_has_them(machine: dlco.Architecture) -> None:
    room = dlco.hardware.Parameter("Glb", "capacity", (16384, 32768))
    space = dlco.hardware.HardwareSpace(machine, (room,), dlco.hardware.TECHNOLOGY_45NM)
    solution = dlco.solve([LAYER], space, "latency", bound=False, effort=LITTLE)
    assert solution.architecture.constraints == machine.constraints
    assert solution.cost.cycles == CYCLES
    assert obeys(solution.mappings["prob"], LAYER.problem.dimensions)


def test_a_front_obeys(machine: dlco.Architecture) -> None:
    front = dlco.pareto([LAYER], machine, "latency", "energy", points=2, effort=FRONT)
    assert all(obeys(point.solution.mappings["prob"], LAYER.problem.dimensions) for point in front.points)


def test_a_cosearch_obeys(machine: dlco.Architecture) -> None:
    space = make_space()
    fixed = Constraints((SlotConstraint("Reg", "temporal", innermost=("Q",), at_most=(("P", 1),)),))
    own = replace(machine, constraints=fixed)
    found = cosearch(space, Linear(space), own, objective="energy", method="random", evaluations=2, effort=LITTLE)
    for layer in found.solution.layers:
        mapping = found.solution.mappings[layer.name]
        assert dict(zip(layer.problem.dimensions, mapping.temporal[0], strict=True))["P"] == 1
        assert mapping.order[0][0] == "Q"


def test_the_command_line_obeys(tmp_path, monkeypatch, capsys) -> None:
    """Also where the same file is named once more: what it says twice alike, it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arch.yaml").write_text(ARCH)
    (tmp_path / "prob.yaml").write_text(PROBLEM)
    command = ["solve", "prob.yaml", "--hardware", "arch.yaml", "--objective", "latency", "--quiet", "--json"]
    assert main([*command, "--constraints", "arch.yaml"]) == 0
    assert json.loads(capsys.readouterr().out)["cost"]["cycles"] == CYCLES


def test_others_are_added_by_the_files_own_names(machine: dlco.Architecture) -> None:
    text = "constraints: {targets: [{target: lanes, type: spatial, factors: [M=1]}]}"
    more = read_constraints(text, architecture=machine)
    solution = dlco.solve([LAYER], machine, "latency", bound=False, effort=LITTLE, constraints=more)
    assert solution.cost.cycles == 3 * CYCLES
    again = read_constraints(ARCH, architecture=machine)
    assert machine.constraints.joined(again) == machine.constraints
    clash = read_constraints(text.replace("M=1", "C=2"), architecture=machine)
    with pytest.raises(InvalidInput, match="exact factor of C of the spatial loops at Glb is given as 1 and as 2"):
        dlco.solve([LAYER], machine, "latency", constraints=clash)


def test_files_keep_them(machine: dlco.Architecture, tmp_path) -> None:
    for version in ("0.3", "0.4"):
        text = write_architecture(machine, version)
        assert read_architecture(text) == machine
        assert ("lanes" in text) == (version == "0.4")
    solution = dlco.solve([LAYER], machine, "latency", bound=False, effort=LITTLE)
    solution.save(tmp_path / "solution.json")
    loaded = dlco.Solution.load(tmp_path / "solution.json")
    assert loaded.architecture == machine
    assert loaded.architecture.containers == machine.containers
    (folder,) = write(solution, tmp_path / "cases", "0.4")  # a mapping's files fix everything themselves
    assert not read_architecture(folder / "arch.yaml").constraints


def test_a_checkpoint_belongs_to_its_constraints(machine: dlco.Architecture, tmp_path) -> None:
    dlco.solve([LAYER], machine, "latency", bound=False, effort=LITTLE, checkpoint=tmp_path / "run")
    free = replace(machine, constraints=Constraints())
    with pytest.raises(InvalidInput, match="belongs to a run with other arguments"):
        dlco.solve([LAYER], free, "latency", bound=False, effort=LITTLE, resume=tmp_path / "run")


MIXED = [
    dlco.conv2d("a", C=4, M=4, P=4, Q=4, R=3, S=3),
    dlco.conv2d("b", C=8, M=4, P=4, Q=4, R=1, S=1),
    dlco.matmul("c", M=8, K=8, N=8),
    dlco.depthwise_conv2d("d", C=8, P=4, Q=4, R=3, S=3),
]
PLAIN = """
architecture:
  version: 0.3
  subtree:
  - name: top
    local:
    - {name: Main, class: DRAM, attributes: {width: 16, word-bits: 16, vector_access_energy: 100}}
    - {name: Buf, class: SRAM, attributes: {entries: 4096, width: 16, word-bits: 16, vector_access_energy: 5}}
    subtree:
    - name: PE[0..15]
      local:
      - name: Reg
        class: regfile
        attributes: {entries: 64, width: 16, word-bits: 16, vector_access_energy: 0.5, meshX: 4}
      - {name: mul, class: intmac, attributes: {datawidth: 16, energy: 1, meshX: 4}}
"""
SECTIONS = """
architecture_constraints:
  targets:
  - {target: Reg, type: temporal, factors: C=0}
mapspace_constraints:
  targets:
  - {target: Buf, type: spatial, factors: R=1 S=1 P=1 Q=1}
  - {target: Reg, type: temporal, permutation: SR}
"""


def factors(solution: dlco.Solution, layer: Layer, level: int, axes: tuple[str, ...] = ("temporal",)) -> dict[str, int]:
    mapping, product = solution.mappings[layer.name], dict.fromkeys(layer.problem.dimensions, 1)
    for axis in axes:
        for dim, factor in zip(layer.problem.dimensions, getattr(mapping, axis)[level], strict=True):
            product[dim] *= factor
    return product


def check_layers(solution: dlco.Solution) -> None:
    """Each layer's own C at the registers; R, S, P and Q off the array where there are any."""
    for layer in solution.layers:
        held, array = factors(solution, layer, 0), factors(solution, layer, 1, ("spatial_x", "spatial_y"))
        assert held.get("C") == layer.problem.sizes.get("C")
        assert all(array.get(dim, 1) == 1 for dim in "RSPQ")


def test_a_network_of_many_kinds_is_constrained_layer_by_layer() -> None:
    machine = read_architecture(PLAIN + SECTIONS)
    solution = dlco.solve(MIXED, machine, "energy", bound=False, effort=LITTLE)
    check_layers(solution)
    bare = read_architecture(PLAIN)  # the same where the file is given beside, read for the first layer
    given = read_constraints(SECTIONS, MIXED[0].problem, bare)
    assert (
        dlco.solve(MIXED, bare, "energy", bound=False, effort=LITTLE, constraints=given).mappings == solution.mappings
    )


def test_imperfect_factors_are_constrained_layer_by_layer() -> None:
    """Layers of one kind are searched together, but what is left of C is each one's own."""
    machine = read_architecture(PLAIN + SECTIONS)
    layers = [dlco.conv2d(name, C=c, M=7, P=5, Q=1, R=1, S=1) for name, c in (("a", 3), ("b", 6))]
    solution = dlco.solve(layers, machine, "latency", bound=False, effort=LITTLE)
    generator = torch.Generator().manual_seed(0)
    score, effort = (
        Score("latency", Budget(), machine.cycle_s),
        Effort(rounds=10, population=4, neighbours=20, islands=2),
    )
    mappings, _ = refine(layers, machine, solution.mappings, score, generator, effort)
    assert mappings != solution.mappings  # 7 channels of 16 lanes do not divide evenly
    check_layers(replace(solution, mappings=mappings))


def test_all_that_is_left_of_both_kinds() -> None:
    machine = read_architecture(PLAIN)
    both = "{target: Buf, type: spatial, factors: M=0}, {target: Reg, type: temporal, factors: C=0}"
    given = read_constraints(f"mapspace_constraints: [{both}]", architecture=machine)
    layers = [dlco.conv2d("a", C=4, M=4, P=8, Q=8, R=1, S=1), dlco.conv2d("b", C=16, M=2, P=8, Q=8, R=1, S=1)]
    solution = dlco.solve(layers, machine, "latency", bound=False, effort=LITTLE, constraints=given)
    for layer in layers:
        assert factors(solution, layer, 0)["C"] == layer.problem.sizes["C"]
        assert factors(solution, layer, 1, ("spatial_x", "spatial_y"))["M"] == layer.problem.sizes["M"]


def test_a_factor_that_does_not_divide_is_refused_by_the_layers_name() -> None:
    machine = read_architecture(PLAIN)
    given = Constraints((SlotConstraint("Buf", "spatial", exact=(("C", 8),)),))
    with pytest.raises(InvalidInput, match="layer 'odd': exact factors of C are 8; they must divide its bound 12"):
        dlco.solve([*MIXED[1:2], dlco.conv2d("odd", C=12, M=1, P=1, Q=1, R=1, S=1)], machine, constraints=given)


def test_a_bound_knows_what_the_machine_keeps_out() -> None:
    """A level that is passed by costs nothing: the bound must not charge for it."""
    layer = dlco.conv2d("a", C=4, M=8, P=4, Q=4, R=1, S=1)
    machine = read_architecture(
        PLAIN + "architecture_constraints: [{target: Buf, type: bypass, bypass: [Inputs, Outputs]}]"
    )
    best = enumerate_layer(layer, machine).energy_pj.min().item()
    assert lower_bound([layer], machine, "energy", effort=BoundEffort(nodes=60, side=10)).value <= best * (1 + 1e-9)


@pytest.mark.parametrize(
    ("old", "new", "error", "sentence"),
    [
        (
            "temporal: {factors: [R=3",
            "temporal: {no_reuse: [Weights], factors: [R=3",
            NotSupported,
            "no_reuse is given",
        ),
        ("temporal: {factors: [R=3", "temporal: {maximize_dims: [[C]], factors: [R=3", NotSupported, "maximize_dims"),
        ("temporal: {factors: [R=3", "temporal: {factor: [R=1], factors: [R=3", InvalidInput, "unknown key 'factor'"),
        ("temporal: {factors: [R=3", "temporl: {factors: [R=3", InvalidInput, "unknown key 'temporl'"),
        ("split: 999", "split: many", InvalidInput, "split is 'many'"),
        ("factors: [R=3", "factors: [R>=3", InvalidInput, "factors of Reg have 'R>=3'; they must be such as C=16"),
        ("factors: [R=3", "factors: [R=3, R=1", InvalidInput, "factors of Reg name R twice"),
        (
            "  - !Component\n    name: mul\n",
            "  - !Component\n    name: mul\n    constraints: {temporal: {factors: [R=3]}}\n",
            InvalidInput,
            "mul is to loop over R",
        ),
        (
            "{name: board}",
            "{name: board, constraints: {spatial: {factors: [M=2]}}}",
            InvalidInput,
            "board is to loop over M",
        ),
        (
            "split: 999}",
            "split: 999}\n      max_overbooked_proportion: {proportion: 0.1}",
            NotSupported,
            "max_overbooked",
        ),
    ],
)
def test_what_is_not_obeyed_is_refused(old: str, new: str, error: type[Exception], sentence: str) -> None:
    assert old in ARCH
    with pytest.raises(error, match=sentence):
        read_architecture(ARCH.replace(old, new, 1))


def test_what_says_nothing_is_passed_over(caplog) -> None:
    """Empty lists, a machine's unpriced or unplaced parts, and limits of nothing."""
    text = ARCH.replace("temporal: {", "temporal: {no_reuse: [], ").replace(
        "{name: board}", "{name: board, constraints: {}}"
    )
    text = text.replace("split: 999}", "split: 999}\n      utilization: {min: 0}")
    assert read_architecture(text).constraints == read_architecture(ARCH).constraints
    caplog.clear()
    read_architecture(ARCH.replace("{name: board}", "{name: board, constraints: {spatial: {permutation: [M]}}}"))
    assert "spatial constraints of board have no effect" in caplog.text


def test_macros_of_the_front_end() -> None:
    """`keep_only`, `factors_only` and dimensions by dataspace, for whatever problem comes."""
    text = ARCH.replace(
        "temporal: {factors: [R=3, S=3, P=1, Q=1, C=1, N=1, M=1]}",
        "dataspace: {keep_only: [Weights]}\n      temporal: {factors_only: [R=3, S=3]}",
    ).replace("factors: [C=1, P=1, Q=1, R=1, S=1, N=1]", "no_iteration_over_dataspaces: [Inputs]")
    machine = read_architecture(text)
    solution = dlco.solve([LAYER], machine, "latency", bound=False, effort=LITTLE)
    assert solution.cost.cycles == CYCLES
    mapping = solution.mappings["prob"]
    assert obeys(mapping, LAYER.problem.dimensions)
    assert mapping.bypass[0] | solution.architecture.levels[0].bypass == {"Inputs", "Outputs"}
    assert read_architecture(write_architecture(machine, "0.4")) == machine
    with pytest.raises(InvalidInput, match=r"has no place in version 0\.3"):
        write_architecture(machine, "0.3")


def test_two_containers_in_a_row(tmp_path) -> None:
    """Rows of a filter down a column, output channels across: the one mapping of this layer that fills the array."""
    text = ARCH.replace(
        ARCH[ARCH.index("  - !Container\n    name: lanes") : ARCH.index("  - !Component\n    name: Reg")],
        """  - !Hierarchical
    nodes:
    - !Container
      name: column
      spatial: {meshX: 4}
      constraints: {spatial: {factors: [N=1, C=1, P=1, Q=1, R=1, S=1]}}
    - !Container
      name: PE
      spatial: {meshY: 3}
      constraints: {spatial: {factors: [N=1, C=1, P=1, Q=1, S=1, R=0, M=1]}}
""",
    ).replace("[R=3, S=3, P=1", "[R=1, S=3, P=1")
    machine = read_architecture(text)
    layer = dlco.conv2d("a", C=2, M=8, R=3, S=3, P=4, Q=4)
    solution = dlco.solve([layer], machine, "latency", bound=False, effort=LITTLE)
    assert solution.cost.cycles == layer.macs / 12
    assert factors(solution, layer, 1, ("spatial_x",))["M"] == 4
    assert factors(solution, layer, 1, ("spatial_y",))["R"] == 3
    assert read_architecture(write_architecture(machine, "0.4")) == machine
    solution.save(tmp_path / "one.json")
    assert dlco.Solution.load(tmp_path / "one.json").architecture == machine


def test_a_fanout_of_the_compute_node_itself() -> None:
    text = ARCH.replace(
        "    name: mul\n    class: intmac\n",
        """    name: mul
    class: intmac
    spatial: {meshX: 4}
    constraints: {spatial: {factors: [N=1, M=1, P=1, Q=1, R=1, S=1]}}
""",
    )
    machine = read_architecture(text.replace("depth: 32", "depth: 128"))
    solution = dlco.solve([LAYER], machine, "latency", bound=False, effort=LITTLE)
    assert solution.cost.cycles == CYCLES / 4
    assert factors(solution, LAYER, 0, ("spatial_x",)) == dict.fromkeys(LAYER.problem.dimensions, 1) | {"C": 4}


def test_a_component_with_a_fanout_of_its_own() -> None:
    """Its spatial constraint is on the fan-out to it, its temporal one on its own loops."""
    start, stop = ARCH.index("  - !Container\n    name: lanes"), ARCH.index("  - !Component\n    name: Reg")
    box = "      spatial: {factors: [C=1, P=1, Q=1, R=1, S=1, N=1], split: 999}\n"
    text = (ARCH[:start] + ARCH[stop:]).replace("    class: regfile\n", "    class: regfile\n    spatial: {meshX: 8}\n")
    text = text.replace("      temporal: {factors: [R=3", box + "      temporal: {factors: [R=3")
    machine = read_architecture(text)
    solution = dlco.solve([LAYER], machine, "latency", bound=False, effort=LITTLE)
    assert solution.cost.cycles == CYCLES
    assert obeys(solution.mappings["prob"], LAYER.problem.dimensions)
    given = read_mapping("mapping: [{target: Reg, type: spatial, factors: [M=3]}]", LAYER.problem, machine)
    assert given.spatial_x == ((1,) * 7, tuple(3 if dim == "M" else 1 for dim in given.dimensions), (1,) * 7)


def test_a_file_without_constraints_is_none(machine: dlco.Architecture, tmp_path) -> None:
    with pytest.raises(InvalidInput, match="there are no constraints"):
        read_constraints(PROBLEM, architecture=machine)
    with pytest.raises(InvalidInput, match="architecture is not given"):
        read_constraints("mapspace_constraints: []")
    (tmp_path / "p.yaml").write_text(PROBLEM)
    (layer,) = read_network(tmp_path)
    assert layer.problem.sizes == LAYER.problem.sizes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "{target: Buf, type: spatial, factors: M=0}",
            "layer 'x': exact factors .*M 32.* need 32 children along X and Y",
        ),
        ("{target: Reg, type: temporal, factors: M=0 C=0}", "no mapping was found that meets .* tile at Reg needs 164"),
    ],
)
def test_constraints_that_no_mapping_on_the_machine_meets_are_refused(text: str, sentence: str) -> None:
    layer = dlco.conv2d("x", C=4, M=32, P=2, Q=2, R=1, S=1)
    machine = read_architecture(PLAIN + f"mapspace_constraints: [{text}]")
    with pytest.raises(InvalidInput, match=sentence):
        dlco.solve([layer], machine, "latency", bound=False, effort=LITTLE)
