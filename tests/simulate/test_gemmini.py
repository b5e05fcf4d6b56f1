"""Gemmini's RTL in time: tiles by hand, and the constants."""

from dataclasses import replace

import pytest

import dlco
from dlco.errors import InvalidInput, InvalidMapping
from dlco.simulate import GemminiTiming, simulate_gemmini

MACHINE = dlco.hardware.gemmini_like()
NAMES = tuple(level.name for level in MACHINE.levels)
FREE = GemminiTiming(operation_cycles=0.0, miss_cycles=0.0, memory_cycles=0.0, exposed=0.0)


def mapped(layer: dlco.Layer, inside: dict[str, int], outside: list[tuple[str, int]], rows: int = 16) -> dlco.Mapping:
    """A mapping of `inside` tiles over 16 x `rows`, under the loops at DRAM, outermost first."""
    dims = layer.problem.dimensions
    tables = {axis: [dict.fromkeys(dims, 1) for _ in NAMES] for axis in "TXY"}
    tables["T"][1] |= inside
    tables["X"][2]["M"], tables["Y"][1]["C"] = 16, rows
    tables["T"][3] |= dict(outside)
    factors = [tuple(tuple(row[dim] for dim in dims) for row in tables[axis]) for axis in "TXY"]
    first = [dim for dim, _ in reversed(outside)]
    orders = (dims, dims, dims, tuple(dict.fromkeys([*first, *dims])))
    return dlco.Mapping(dims, NAMES, *factors, orders, (dims,) * 4, (frozenset(),) * 4)


def conv(**sizes: int) -> dlco.Layer:
    return dlco.conv2d("conv", **{"C": 16, "M": 16, "P": 16, "Q": 16, "R": 1, "S": 1} | sizes)


@pytest.mark.parametrize(
    ("pixels", "cycles"),
    [
        ({"P": 16, "Q": 2}, 32),  # two operations of 16 pixels, the preload hidden
        ({"P": 4, "Q": 8}, 16 + 7 * 4),  # the first takes the preload's 16 cycles, not 4
        ({"P": 2, "Q": 2}, 16 + 2),
    ],
)
def test_computing_by_hand(pixels: dict[str, int], cycles: int) -> None:
    layer = conv(C=32, M=32, **{dim: 2 * size for dim, size in pixels.items()})
    mapping = mapped(layer, {"C": 2, "M": 2, **pixels}, [("P", 2), ("Q", 2)])
    assert simulate_gemmini(layer, MACHINE, mapping, FREE).compute_cycles == 4 * cycles
    issued = simulate_gemmini(layer, MACHINE, mapping, replace(FREE, operation_cycles=20)).compute_cycles
    operations = pixels["Q"]
    assert issued == 4 * max(cycles, 20 * operations)


def test_loading_and_storing_by_hand() -> None:
    layer = conv(C=64, M=32, P=16, Q=16)
    mapping = mapped(layer, {"C": 4, "M": 2, "P": 16, "Q": 4}, [("Q", 4)])
    time = simulate_gemmini(layer, MACHINE, mapping, FREE)
    assert time.tiles == 4
    assert time.load_cycles == 64 * 2 + 16 * 4 * 4  # weights and inputs, 16 bytes a cycle, anew for every tile
    assert time.store_cycles == 0
    missed = simulate_gemmini(layer, MACHINE, mapping, replace(FREE, miss_cycles=1.0))
    lines = 64 * 32 / 64 + 16 * 16 * 64 / 64  # each line misses once: the L2 keeps the weights
    assert missed.load_cycles - time.load_cycles == pytest.approx(lines / 4)
    assert missed.store_cycles == 16 * 4 * 2  # pieces of 16 sums
    small = replace(FREE, miss_cycles=1.0, l2_bytes=1024)
    again = simulate_gemmini(layer, MACHINE, mapping, small)
    assert again.load_cycles - time.load_cycles == pytest.approx(64 * 32 / 64 + 16 * 4 * 64 / 64)
    cold = simulate_gemmini(layer, MACHINE, mapping, replace(FREE, memory_cycles=1.0, warm=False))
    assert cold.load_cycles - time.load_cycles == pytest.approx(lines / 4)
    assert simulate_gemmini(layer, MACHINE, mapping, replace(FREE, memory_cycles=1.0)).load_cycles == time.load_cycles


def test_reductions_store_once_and_padding_is_not_loaded() -> None:
    layer = conv(C=64, P=8, Q=8, R=3, S=3)
    model = replace(FREE, miss_cycles=1.0)
    whole = mapped(layer, {"C": 4, "P": 8, "Q": 8, "R": 3, "S": 3}, [])
    split = mapped(layer, {"C": 1, "P": 8, "Q": 8, "R": 3, "S": 1}, [("C", 4), ("S", 3)])
    one, many = (simulate_gemmini(layer, MACHINE, mapping, model) for mapping in (whole, split))
    assert many.store_cycles * many.tiles == pytest.approx(one.store_cycles) == 64
    assert simulate_gemmini(layer, MACHINE, whole, FREE).load_cycles == 9 * 64 + 8 * 8 * 4  # 8 x 8 pixels, not 10 x 10


def test_tiles_overlap_but_for_the_share_exposed() -> None:
    layer = conv(C=64, M=32)
    mapping = mapped(layer, {"C": 4, "M": 2, "P": 16, "Q": 4}, [("Q", 4)])
    for exposed in (0.0, 0.25, 1.0):
        time = simulate_gemmini(layer, MACHINE, mapping, GemminiTiming(exposed=exposed))
        parts = (time.load_cycles, time.compute_cycles, time.store_cycles)
        assert time.tile_cycles == pytest.approx(max(parts) + exposed * (sum(parts) - max(parts)))
        assert time.cycles == pytest.approx(sum(parts) + 3 * time.tile_cycles)


def test_matrix_products_store_whole_lines_and_narrow_rows_are_read_back() -> None:
    product = conv(C=64, M=64, P=32, Q=1)
    time = simulate_gemmini(product, MACHINE, mapped(product, {"C": 4, "M": 4, "P": 32}, []))
    assert time.store_cycles == pytest.approx(32 * GemminiTiming().miss_cycles)
    narrow = conv(M=2)
    mapping = mapped(narrow, {"P": 16, "Q": 16}, [])
    x = tuple(tuple(2 if value == 16 else value for value in row) for row in mapping.spatial_x)
    time = simulate_gemmini(narrow, MACHINE, replace(mapping, spatial_x=x))
    assert time.store_cycles == pytest.approx(256 * 2 * (4 + GemminiTiming().miss_cycles))


def test_rows_a_power_of_two_apart_crowd_a_cache() -> None:
    """1024 rows of one line, 2 KiB apart, lie in 32 of 1024 sets of 8 ways: they are gone before they come again."""
    layer = conv(C=1024, M=2048, P=8, Q=4)
    mapping = mapped(layer, {"C": 64, "P": 4, "Q": 4}, [("M", 128), ("P", 2)])
    model = replace(FREE, miss_cycles=1.0)
    missed = [
        simulate_gemmini(layer, MACHINE, mapping, replace(model, ways=ways)).load_cycles for ways in (8, 512 * 1024)
    ]
    assert missed[0] > missed[1] + 256


def test_other_machines_and_layers_are_refused() -> None:
    layer = conv()
    mapping = mapped(layer, {"P": 16, "Q": 16}, [])
    with pytest.raises(InvalidMapping):
        simulate_gemmini(layer, dlco.hardware.eyeriss_like(), mapping)
    with pytest.raises(InvalidMapping):
        simulate_gemmini(conv(P=32), MACHINE, mapping)
    other = MACHINE.with_bypass({"scratchpad": ["Weights"]})
    with pytest.raises(InvalidInput, match="Gemmini"):
        simulate_gemmini(layer, other, mapping)
    dilated = dlco.conv2d("conv", C=16, M=16, P=16, Q=16, R=1, S=1, dilation=2)
    with pytest.raises(InvalidInput, match="dilation"):
        simulate_gemmini(dilated, MACHINE, mapping)
    for name, value in (("exposed", 1.5), ("miss_cycles", -1.0), ("ways", 0)):
        with pytest.raises(InvalidInput, match=name):
            GemminiTiming(**{name: value})


def test_the_constants_are_those_of_the_benchmark() -> None:
    model = GemminiTiming()
    assert (model.bus_bytes, model.line_bytes, model.l2_bytes, model.cache_bytes) == (16, 64, 2**19, 2**22)
    fitted = (model.operation_cycles, model.miss_cycles, model.memory_cycles, model.exposed)
    assert fitted == (7.0, 4.2, 8.1, 0.19)
