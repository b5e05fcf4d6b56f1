"""DOSA's template, as the benchmark states it: its constants, its area fit, its counts and the recorded cycles."""

import importlib
import sys
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch

import dlco
from dlco.mapping.mapspace import MapSpace
from dlco.workload.layer import macs

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
dosa = importlib.import_module("dosa_template")
sys.path.pop(0)
MAPPINGS: list[dict[str, Any]] = dosa.RECORDED["mappings"]


def loops_of(text: str) -> list[list[tuple[str, int, bool]]]:
    """For each level, innermost first, its loops (dimension, bound, spatial), outermost first."""
    levels: list[list[tuple[str, int, bool]]] = [[], [], [], []]
    for part in text.split(" - "):
        name, *loops = part.split()
        levels[int(name[1])] = [(loop[0], int(loop[1:].rstrip("X")), loop.endswith("X")) for loop in loops]
    return levels


def dosa_energy_uj(recorded: dict[str, Any]) -> float:
    """DOSA's energy by its own rules: tiles, and what repeats them, loop by loop."""
    levels, size = loops_of(recorded["mapping"]), dict(recorded["layer"])
    stride = size.pop("stride")
    pe, scratchpad_kb, accumulator_kb = recorded["machine"]
    mac_count = prod(size.values())
    inside: dict[str, int] = dict.fromkeys(size, 1)  # extents of the scratchpad's tile
    for level in levels[:3]:
        for dim, bound, _ in level:
            inside[dim] *= bound
    across = {dim: bound for level in levels for dim, bound, spatial in level if spatial}
    rows, columns = across.get("C", 1), across.get("K", 1)

    def repeats(outward: list[tuple[str, int, bool]], moves: str) -> int:
        """Product of the loops from the first that moves a tile outwards."""
        product, moved = 1, False
        for dim, bound, spatial in outward:
            moved = moved or (dim in moves and not spatial)
            product *= bound if moved and not spatial else 1
        return product

    outward = [loop for level in levels[1:] for loop in reversed(level)]
    dram = list(reversed(levels[3]))
    register_fills = repeats(outward, "RSCK") * rows * columns
    weight_tile = prod(inside[dim] for dim in "RSCK")
    scratchpad_weight_fills = weight_tile * repeats(dram, "RSCK")
    height, width = ((inside[a] - 1) * stride + inside[b] for a, b in ("PR", "QS"))
    input_tile = inside["C"] * height * width
    first = next(((dim, bound) for dim, bound, _ in dram if dim != "K"), ("", 1))
    overlap = {
        "P": (height - stride * inside["P"]) * width,
        "Q": (width - stride * inside["Q"]) * height,
        "R": (height - inside["R"]) * width,
        "S": (width - inside["S"]) * height,
    }
    slide = first[1] if first[0] in overlap else 1  # steps of a window, between which the overlap stays
    kept = max(0, overlap.get(first[0], 0)) * inside["C"]
    scratchpad_input_fills = repeats(dram, "RSPQC") // slide * (input_tile * slide - kept * (slide - 1))
    outputs = size["K"] * size["P"] * size["Q"]
    output_fills = inside["K"] * inside["P"] * inside["Q"] * repeats(dram, "PQK")
    accumulator = 2 * mac_count / rows - outputs + (output_fills - outputs)
    scratchpad = register_fills + scratchpad_weight_fills + mac_count / columns + scratchpad_input_fills
    main = scratchpad_weight_fills + scratchpad_input_fills + 2 * output_fills - outputs
    parts = (
        mac_count * 0.5608,
        (mac_count + register_fills) * 0.48746,
        accumulator * (1.94 + 0.1005 * accumulator_kb / pe),
        scratchpad * (0.49 + 0.02513 * scratchpad_kb),
        main * 100,
    )
    return sum(parts) / 1e6


@pytest.mark.parametrize("recorded", MAPPINGS, ids=lambda m: f"{m['network']} {m['design']} {m['mapping'][:12]}")
def test_recorded_mappings_have_the_recorded_cycles_and_dosa_s_energy(recorded: dict[str, Any]) -> None:
    layer, machine = dosa.layer_of(recorded), dosa.machine(*recorded["machine"])
    mapping = dosa.read_mapping(recorded["mapping"], layer)
    cost = dlco.evaluate(layer, machine, mapping)
    assert float(cost.cycles) == pytest.approx(recorded["cycles"], rel=2e-5)  # a cycle or so is rounding
    assert float(cost.energy_pj) / 1e6 == pytest.approx(dosa_energy_uj(recorded), rel=0.0045)
    space = MapSpace.of(layer.problem, machine, dosa.CONSTRAINTS)
    assignment = space.assignment_of(mapping.batch().factors)  # refuses what the constraints do not leave
    assert bool(space.contains(assignment))


def test_the_space_has_dosa_s_constants_at_every_size() -> None:
    space = dosa.space()
    index = torch.stack([torch.zeros(3), torch.tensor([len(p.grid) - 1 for p in space.parameters])]).long()
    middle = space.nearest(torch.tensor([[16.0, 131072.0, 512.0], [128.0, 50_000.0, 777.0]], dtype=torch.float64))
    for sizes in space.index_to_sizes(torch.cat([index, middle])).tolist():
        pe, words, sums = sizes
        found = space.architecture(sizes)
        kb, column_kb = words / 1024, sums / 256
        assert found.macs == pe**2
        assert found.level("Scratchpad").shared_bandwidth == 2 * pe
        assert found.level("Scratchpad").read_pj == pytest.approx(0.49 + 0.02513 * kb)
        assert found.level("Accumulator").update_pj == pytest.approx(1.94 + 0.1005 * column_kb)
        area = 0.01384 + 4.045e-4 * pe**2 + 2.6036e-3 * kb + 5.5497e-3 * column_kb * pe + 1.0875e-3 * pe
        assert found.area_mm2 == pytest.approx(area)
        assert found == dosa.machine(int(pe), kb, column_kb * pe)


def test_gemmini_s_default_machine_has_the_recorded_area() -> None:
    assert dosa.machine(16, 128, 32).area_mm2 == pytest.approx(0.646, rel=1e-3)


def test_the_networks_are_dosa_s() -> None:
    counts = {name: macs(dosa.network(name)) for name in dosa.NETWORKS}
    assert {name: round(count / 1e9, 3) for name, count in counts.items()} == {
        "resnet50": 4.089,
        "bert": 0.757,
        "retinanet": 3.324,
        "unet": 167.323,
    }
