"""AccelForge's proven optima, as recorded, beside what `solve` finds on the same machine and in the same map space."""

import json
from dataclasses import replace
from itertools import dropwhile, pairwise
from math import inf, prod
from pathlib import Path
from typing import Any

from common import Stopwatch
from peers_machine import machine

import dlco
from dlco import Budget, Layer
from dlco.mapping import Constraints, SlotConstraint
from dlco.mapping.tiles import tile_words

OPTIMA = Path(__file__).resolve().parent / "data" / "accelforge_optima.json"
OPTIMUM_MARGIN = 0.01


def accelforge_rows() -> tuple[list[list[object]], list[dict[str, Any]]]:
    """Recorded optima beside `solve` on the same machine, in the same map space; rows and targets."""
    recorded = json.loads(OPTIMA.read_text(encoding="utf-8"))
    sizes_of = recorded["machine"]
    architecture = replace(
        machine(
            sizes_of["pe_x"],
            sizes_of["pe_y"],
            sizes_of["register_file_bytes"] // 2,
            sizes_of["global_buffer_bytes"] // 2,
            inf,
        ),
        name="AccelForge's machine",
    )
    rows: list[list[object]] = []
    targets = []
    for one in recorded["optima"]:
        pixels = (one["P"], one["Q"]) if "P" in one else (28, one["PQ"] // 28)
        layer = dlco.conv2d(
            one["layer"], C=one["C"], M=one["M"], P=pixels[0], Q=pixels[1], R=one["R"], S=one["S"], stride=one["stride"]
        )
        free = one["space"] == "unconstrained"
        for question_ in _questions(one):
            with Stopwatch() as watch:
                solution = dlco.solve(
                    [layer],
                    architecture,
                    objective=question_["objective"],
                    budget=Budget(latency_s=question_["latency_s"]) if question_["latency_s"] else None,
                    constraints=None if free else _constraints(one),
                )
            energy, cycles = counted_as_accelforge(layer, solution)
            ours = energy * cycles if question_["objective"] == "edp" else energy
            excess = ours / question_["optimum"] - 1
            name = f"{one['layer']}, stride {one['stride']}, {question_['name']}"
            rows.append(
                [
                    name,
                    "all mappings" if free else "M on X, C on Y, filter in the register file",
                    question_["optimum"],
                    ours,
                    f"{excess:+.3%}",
                    solution.value,
                    None if solution.gap is None else f"{solution.gap:.1%}",
                    one["wall_s"],
                    watch.wall_s,
                    watch.cpu_s,
                ]
            )
            same_space = excess > -1e-3
            targets.append(
                {
                    "name": f"AccelForge's optimum: {name}",
                    "target": f"at most {OPTIMUM_MARGIN:.0%} above",
                    "value": f"{excess:+.3%}",
                    "met": excess <= OPTIMUM_MARGIN if same_space else None,
                }
            )
    return rows, targets


def _questions(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The problems of one recorded entry; of even mappings (dlco's) where both optima were recorded."""
    if "front" in one:
        return [
            {"name": f"energy within {cycles} cycles", "objective": "energy", "latency_s": cycles * 1e-9, "optimum": pj}
            for cycles, pj in one["front"]
        ]
    if one["metric"] == "EDP":
        return [{"name": "EDP", "objective": "edp", "latency_s": None, "optimum": one["edp"]}]
    even = one.get("energy_even_mappings_only")
    name = "energy" if even is None else "energy, even mappings"
    return [{"name": name, "objective": "energy", "latency_s": None, "optimum": even or one["energy"]}]


def _constraints(one: dict[str, Any]) -> Constraints:
    """M along X, C along Y and nothing else over the array; the whole filter in the register file."""
    alone = tuple((dim, 1) for dim in "RSNPQ")
    filters = (("R", one["R"]), ("S", one["S"]))
    return Constraints(
        slots=(
            SlotConstraint("GlobalBuffer", "spatial", exact=alone, axis_x=("M",), axis_y=("C",)),
            SlotConstraint("RegisterFile", "temporal", exact=filters),
        )
    )


def counted_as_accelforge(layer: Layer, solution: dlco.Solution) -> tuple[float, float]:
    """(energy, cycles) of the solution's mapping as AccelForge counts.

    It counts as dlco does by default (first reads of outputs left out), and beyond that
    * one read of every output word that leaves a level for the next: of those that come back, and of first visits;
    * the whole of an input tile at each step of a sliding window, where dlco counts the words that are new.
    """
    architecture, mapping = solution.architecture, solution.mappings[layer.name]
    cost = dlco.evaluate(layer, architecture, mapping)
    energy, counts = cost.energy_pj.item(), cost.counts
    spaces = {space.name: i for i, space in enumerate(layer.problem.dataspaces)}
    for i, (level, parent) in enumerate(pairwise(architecture.levels)):
        instances = float(counts.instances[i])
        left = float(counts.fills[i, spaces["Outputs"]] + counts.partition[i, spaces["Outputs"]])
        energy += left * instances * level.read_pj
        whole, slid = _whole_tiles(layer, mapping, i), float(counts.fills[i, spaces["Inputs"]])
        if whole > slid:
            energy += (whole - slid) * instances * level.write_pj
            energy += (whole - slid) * instances / _listeners(layer, mapping, i) * parent.read_pj
    return energy, cost.cycles.item()


def _whole_tiles(layer: Layer, mapping: dlco.Mapping, level: int) -> int:
    """Input words that one instance of a level takes in if every move of its tile brings the whole tile."""
    moves = {dim for rank in layer.problem.dataspaces[1].projection for dim, _ in rank}
    outside = [
        (dim, mapping.temporal[outer][mapping.dimensions.index(dim)])
        for outer in range(level + 1, len(mapping.levels))
        for dim in mapping.order[outer]
    ]
    steps = dropwhile(lambda loop: loop[1] == 1 or loop[0] not in moves, outside)
    return tile_words(layer.problem, mapping)[mapping.levels[level]]["Inputs"] * prod(n for _, n in steps)


def _listeners(layer: Layer, mapping: dlco.Mapping, level: int) -> int:
    """Instances of a level that take the same input words from their parent: those along M."""
    side_by_side = {
        dim: mapping.spatial_x[level + 1][i] * mapping.spatial_y[level + 1][i]
        for i, dim in enumerate(mapping.dimensions)
    }
    if any(n > 1 and dim not in "CM" for dim, n in side_by_side.items()):
        raise NotImplementedError(f"{layer.name}: windows overlap across the array")
    return side_by_side["M"]
