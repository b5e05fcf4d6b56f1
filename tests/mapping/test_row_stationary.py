"""Row-stationary mappings: they fit the chip, and their counts are those that its papers' rules give by hand."""

import csv
from math import ceil
from pathlib import Path

import pytest

import dlco
from dlco.errors import InvalidInput, InvalidMapping
from dlco.mapping import check_mapping, row_stationary

DATA = Path(__file__).parents[2] / "benchmarks" / "data"
GROUPS = {"conv2": 2, "conv4": 2, "conv5": 2}  # of AlexNet
NUMBERS = tuple("mnepqrt")


def published(network: str) -> list[dict[str, str]]:
    with (DATA / f"eyeriss_{network}_mapping.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def case(network: str, row: dict[str, str]) -> tuple[dlco.Layer, dlco.Mapping]:
    """A layer of the published table, at the batch that was measured, and its mapping."""
    sizes = {name: int(row[name]) for name in "RECMU"}
    groups = GROUPS.get(row["layer"], 1) if network == "alexnet" else 1
    layer = dlco.conv2d(
        row["layer"],
        N=4 if network == "alexnet" else 3,
        C=sizes["C"] * groups,
        M=sizes["M"],
        P=sizes["E"],
        Q=sizes["E"],
        R=sizes["R"],
        S=sizes["R"],
        stride=sizes["U"],
        groups=groups,
    )
    return layer, row_stationary(layer, CHIP, **{name: int(row[name]) for name in NUMBERS})


CHIP = dlco.hardware.eyeriss_chip()
CASES = [(network, row) for network in ("alexnet", "vgg16") for row in published(network)]


@pytest.mark.parametrize(("network", "row"), CASES, ids=lambda one: one if isinstance(one, str) else one["layer"])
def test_counts_are_those_by_hand(network: str, row: dict[str, str]) -> None:
    layer, mapping = case(network, row)
    check_mapping(layer.problem, CHIP, mapping)
    counts = dlco.evaluate(layer, CHIP, mapping).counts
    m, n, e, p, q, r, t = (int(row[name]) for name in NUMBERS)
    size, stride, taps, outputs, channels = (int(row[name]) for name in "HUREC")
    batch, groups = layer.problem.sizes["N"], layer.problem.sizes.get("G", 1)
    ofmaps = int(row["M"]) // groups
    buffer = mapping.levels.index("shared_glb")
    sums = groups * ofmaps * batch * outputs**2
    passes = ceil(channels / (q * r))
    assert float(counts.updates[buffer][2]) == pytest.approx(sums * passes, rel=1e-12)  # every pass adds to every sum
    assert float(counts.reads[buffer][2]) == pytest.approx(sums * (passes - 1), rel=1e-12)  # but the first finds none
    assert float(counts.updates[-1][2]) == pytest.approx(sums, rel=1e-12)
    # rows of inputs: of each strip of e rows of outputs, those under its filters, the last strip shorter
    strips = [min(e, outputs - start) for start in range(0, outputs, e)]
    rows = sum((strip - 1) * stride + taps for strip in strips)
    words = groups * channels * batch * rows * size
    assert float(counts.reads[buffer][1]) == pytest.approx(words * ceil(ofmaps / (p * t)), rel=1e-12)
    assert float(counts.reads[-1][1]) == pytest.approx(words * ceil(ofmaps / m), rel=1e-12)
    weights = groups * ofmaps * channels * taps**2
    assert float(counts.reads[-1][0]) == pytest.approx(weights * len(strips) * ceil(batch / n), rel=1e-12)
    pe = [int(counts.tile[level][space]) for level, space in ((0, 2), (1, 0), (2, 1))]
    assert pe == [p, p * q * taps, q * taps]
    if "psum_kb" in row:  # the published share of the buffer
        kib = [float(counts.tile[buffer][space]) * 2 / 1024 for space in (1, 2)]
        assert kib == pytest.approx([float(row["ifmap_kb"]), float(row["psum_kb"])], abs=0.051)


@pytest.mark.parametrize(
    ("layer", "pes", "folded"),
    [("conv1", 154, (1, 1)), ("conv2", 140, (14, 2)), ("conv3", 156, (13, 1)), ("conv5", 156, (13, 1))],
)
def test_sets_lie_on_the_array_as_published(layer: str, pes: int, folded: tuple[int, int]) -> None:
    (row,) = (row for row in published("alexnet") if row["layer"] == layer)
    mapping = case("alexnet", row)[1]
    level, rows = mapping.levels.index("shared_glb"), mapping.dimensions.index("P")
    across = [x * y for x, y in zip(mapping.spatial_x[level], mapping.spatial_y[level], strict=True)]
    product = 1
    for factor in across:
        product *= factor
    assert product == pes  # conv2's 27 columns are folded into 14 + 13: 135 of the 140 work
    if layer == "conv1":
        assert mapping.spatial_x[level][rows] == 7
        assert mapping.spatial_x[level][mapping.dimensions.index("M")] == 2  # its second set stands beside the first
    else:
        assert (mapping.spatial_x[level][rows], mapping.spatial_y[level][rows]) == folded


def test_the_buffer_s_traffic_is_the_chip_s() -> None:
    """In four of AlexNet's layers to the rounding of what was printed; conv3 ran another mapping."""
    measured = {"conv1": 18.5, "conv2": 77.6, "conv4": 37.4, "conv5": 24.9}
    for row in published("alexnet"):
        if row["layer"] in measured:
            layer, mapping = case("alexnet", row)
            counts = dlco.evaluate(layer, CHIP, mapping).counts
            buffer = mapping.levels.index("shared_glb")
            words = counts.reads[buffer].sum() + counts.updates[buffer].sum() + counts.updates[-1][2]
            assert float(words) * 2e-6 == pytest.approx(measured[row["layer"]], abs=0.06)
    layer = dlco.conv2d("conv3", N=4, C=256, M=384, P=13, Q=13, R=3, S=3)
    mapping = row_stationary(layer, CHIP, m=64, n=4, e=13, p=16, q=3, r=2, t=2)
    counts = dlco.evaluate(layer, CHIP, mapping).counts
    words = counts.reads[3].sum() + counts.updates[3].sum() + counts.updates[-1][2]
    assert float(words) * 2e-6 == pytest.approx(50.2, abs=0.06)


def test_what_does_not_fit_or_is_no_number_is_refused() -> None:
    layer = dlco.conv2d("conv", C=64, M=128, P=28, Q=28, R=3, S=3)
    fits = {"m": 64, "n": 1, "e": 14, "p": 16, "q": 2, "r": 1, "t": 4}
    row_stationary(layer, CHIP, **fits)
    for name, value, said in (("q", 8, "_spad"), ("t", 8, "children"), ("e", 20, "children"), ("m", 4096, "M")):
        with pytest.raises(InvalidMapping, match=said):
            row_stationary(layer, CHIP, **fits | {name: value})
    with pytest.raises(InvalidInput, match="e is 0"):
        row_stationary(layer, CHIP, **fits | {"e": 0})
    with pytest.raises(InvalidInput, match="dimensions"):
        row_stationary(dlco.matmul("product", M=8, K=8, N=8), CHIP, **fits)
    with pytest.raises(InvalidInput, match="fan-out"):
        row_stationary(layer, dlco.hardware.simba_like(), **fits)
