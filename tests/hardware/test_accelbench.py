from itertools import product
from math import ceil, prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dlco
from dlco.errors import InvalidInput
from dlco.hardware import AccelBench, AccelBenchSpace, accelbench_space
from dlco.hardware.accelbench import area_mm2, lane_cycles, lane_power_w, leakage_w

SPRING = [2, 16, 8, 4, 8, 3, 3, 1, 12, 24, 4, 1, 1]
SPACE = AccelBenchSpace()


def spring(**changes: int) -> AccelBench:
    names = dict(zip(vars(AccelBench.from_vector(SPRING)), SPRING, strict=False))
    return AccelBench(**(names | changes))


def walked_cycles(vector: list[int], groups: int, sizes: dict[str, int], stride: int) -> int:
    """The rule tile by tile: every tile listed with its first and last input, priced, rounded up and added."""
    pib, pif, pix, piy, pof, pkx, pky, batch = vector[:8]
    sides = {"b": batch, "x": sizes["P"] * stride, "y": sizes["Q"] * stride, "i": sizes["C"], "o": sizes["M"]}
    tile = {"b": 4, "x": 64, "y": 64, "i": 64, "o": 4}
    starts = [range(0, sides[axis], tile[axis]) for axis in sides]
    total = 0
    for corner in product(*starts):
        extent = {}
        for axis, first in zip(sides, corner, strict=True):
            last = min(first + tile[axis], sides[axis]) - 1
            step = stride if axis in "xy" else 1
            extent[axis] = last // step - first // step + 1
        loops = [(extent["b"], pib), (extent["x"], pix), (extent["y"], piy), (extent["i"], pif), (extent["o"], pof)]
        loops += [(sizes["R"], pkx), (sizes["S"], pky)]
        total += ceil(prod(-(-n // p) for n, p in loops) / 5)  # half x half x 0.8
    return groups * total


def test_area_is_the_authors() -> None:
    assert spring().area_mm2 == pytest.approx(230.06409445958403, rel=1e-12)


def test_leakage_is_the_authors() -> None:
    # their notebook of 21 February 2022: ResNet-18 in 5.155 ms, of which 0.0790 J leak
    assert spring().leakage_w * 5.155e-3 == pytest.approx(0.0790, abs=5e-5)


def test_space_has_as_many_points_as_the_authors_print() -> None:
    assert SPACE.size == 228_433_920


def test_machine_of_spring() -> None:
    machine = spring()
    assert (machine.pes, machine.lanes, machine.macs) == (64, 64 * 72, 64 * 72 * 16)
    assert machine.buffer_nj("weight") == pytest.approx((0.42123 + 0.418051) / 2)
    assert machine.main_memory_nj == 17.321165
    assert spring(weight_mb=6).buffer_nj("weight") == pytest.approx(machine.buffer_nj("weight") / 2)
    # lane, 32 FIFOs, im2col twice and the sparsity modules of 4,608 lanes; dataflow of 64 PEs; mW
    lanes = 4608 * (4.8926 + 32 * 0.0563909 + 2 * 423.0658 + 0.2852968 + 0.2613971)
    assert machine.lane_power_w == pytest.approx((lanes + 64 * 11.3711) * 1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_parallel": 3}, "batch_parallel is 3; allowed: 1, 2, 4"),
        ({"input_channel_parallel": 8}, "input_channel_parallel is 8; allowed: 1, 16"),
        ({"x_parallel": 9}, "x_parallel is 9"),
        ({"kernel_y_parallel": 5}, "kernel_y_parallel is 5; it must equal kernel_x_parallel, 3"),
        ({"weight_mb": 3}, "weight_mb is 3; allowed: 1, 2, 4"),
        ({"mask_mb": 0}, "mask_mb is 0"),
        ({"batch": True}, "batch is True"),
        ({"memory_type": 2, "memory_config": 5}, "memory_config is 5; allowed for memory_type 2: 1, 2, 3, 4"),
        ({"memory_type": 3, "memory_config": 2}, "memory_config is 2; allowed for memory_type 3: 1"),
        ({"activation": "tanh"}, "activation is 'tanh'; allowed: ReLU, SiLU, both"),
    ],
)
def test_refuses_numbers_outside_the_space(changes: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        spring(**changes)


def test_refuses_other_vectors_and_layers() -> None:
    with pytest.raises(InvalidInput, match="vector has 12 numbers"):
        AccelBench.from_vector(SPRING[:12])
    with pytest.raises(InvalidInput, match=r"mask_mb is 2\.5"):
        AccelBench.from_vector([*SPRING[:10], 2.5, 1, 1])
    with pytest.raises(InvalidInput, match="last dimension must be 13"):
        area_mm2(torch.ones(4, 12))
    with pytest.raises(InvalidInput, match="layers is empty"):
        lane_cycles(torch.ones(4, 13), [])
    with pytest.raises(InvalidInput, match="2-D convolutions"):
        spring().cycles(dlco.workload.conv3d("v", C=3, M=8, D=4, P=4, Q=4, T=3, R=3, S=3))
    with pytest.raises(InvalidInput, match="buffer is 'cache'"):
        spring().buffer_nj("cache")


def test_cycles_by_hand() -> None:
    # 56 x 56 x 64 -> 64, 3 x 3, stride 1: one tile over x, y and input channels, 16 of 4 output channels;
    # each ceil(56/8) ceil(56/4) ceil(64/16) ceil(4/8) ceil(3/3)^2 = 7 x 14 x 4 = 392, a fifth rounded up = 79
    layer = dlco.conv2d("c", C=64, M=64, P=56, Q=56, R=3, S=3)
    assert spring().cycles(layer) == 16 * 79
    # a linear layer: 512 x 1,000 MACs on 73,728 units are 7 cycles, a fifth of which rounds up to 2
    linear = dlco.linear("fc", C=512, M=1000)
    assert spring().cycles(linear) == 2
    assert spring(batch=64).cycles(linear) == ceil(ceil(64 * 512_000 / 73_728) / 5)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 3, 64, 65, 130]),
    st.sampled_from([1, 2, 6, 9]),
    st.integers(1, 70),
    st.integers(2, 70),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 3),
    st.sampled_from(["dense", "grouped", "depthwise"]),
)
def test_cycles_are_those_of_a_walk_over_the_tiles(
    seed: int, C: int, M: int, P: int, Q: int, R: int, stride: int, kind: str
) -> None:
    vector = [int(x) for x in SPACE.sample(1, torch.Generator().manual_seed(seed))[0]]
    vector[7] = min(vector[7], 64)  # a walk over 512 images takes long
    sizes = {"C": C, "M": M, "P": P, "Q": Q, "R": R, "S": R}
    if kind == "depthwise":
        layer, groups, walked = dlco.depthwise_conv2d("l", C=C, P=P, Q=Q, R=R, S=R, stride=stride), C, sizes
        walked = sizes | {"C": 1, "M": 1}
    else:
        groups = 3 if kind == "grouped" else 1
        layer = dlco.conv2d("l", C=C * groups, M=M * groups, P=P, Q=Q, R=R, S=R, stride=stride, groups=groups)
        walked = sizes
    assert AccelBench.from_vector(vector).cycles(layer) == walked_cycles(vector, groups, walked, stride)


def test_batches_agree_with_single_machines() -> None:
    vectors = SPACE.sample(12, torch.Generator().manual_seed(1))
    layers = [*dlco.networks.resnet18(), *dlco.networks.get_network("mobilenet_v2")[:6]]
    machines = [AccelBench.from_vector(vector, activation="both") for vector in vectors]
    cycles = lane_cycles(vectors.reshape(3, 4, 13), layers)
    assert cycles.shape == (3, 4, len(layers))
    assert cycles.reshape(12, -1).tolist() == [[machine.cycles(layer) for layer in layers] for machine in machines]
    for batched, name in ((area_mm2, "area_mm2"), (leakage_w, "leakage_w"), (lane_power_w, "lane_power_w")):
        torch.testing.assert_close(
            batched(vectors, "both"), torch.tensor([getattr(m, name) for m in machines], dtype=torch.float64)
        )


def test_energy_is_power_over_the_cycles() -> None:
    layer = dlco.conv2d("c", C=64, M=64, P=56, Q=56, R=3, S=3)
    watts = spring().lane_power_w + spring().leakage_w
    assert spring().energy_pj(layer) == pytest.approx(watts * 1264 / 700e6 * 1e12)
    im2col = 2 * 4608 * 423.0658e-3  # W that a linear layer, of 2 cycles, is not charged
    linear = dlco.linear("fc", C=512, M=1000)
    assert spring().energy_pj(linear) == pytest.approx((watts - im2col) * 2 / 700e6 * 1e12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_architecture_has_the_same_parts(seed: int) -> None:
    machine = AccelBench.from_vector(SPACE.sample(1, torch.Generator().manual_seed(seed))[0])
    built = machine.to_architecture()
    assert built.macs == machine.macs
    assert built.instances == (machine.lanes, 1, 1, 1)
    assert built.area_mm2 == pytest.approx(machine.area_mm2, rel=1e-9)
    leak_pj = sum(level.leak_pj * n for level, n in zip(built.levels, built.instances, strict=True))
    assert leak_pj * 1e-12 / built.cycle_s == pytest.approx(machine.leakage_w, rel=1e-9)
    assert built.mac_pj * built.macs * 1e-12 / built.cycle_s == pytest.approx(machine.lane_power_w, rel=1e-9)
    assert built.level("weight_buffer").capacity == machine.weight_mb * 2**20 * 8 // 20
    assert built.level("activation_buffer").capacity == machine.activation_mb * 2**20 * 8 // 20
    # 40,000 MB of 2^20 bytes a second, in words of 20 bits, each cycle of 1 / 700 MHz
    assert built.level("main_memory").read_bandwidth == pytest.approx(40000 * 2**20 * 8 / 20 / 700e6)


def test_architecture_runs_a_layer() -> None:
    layer = dlco.conv2d("c", C=64, M=64, P=14, Q=14, R=3, S=3)
    effort = dlco.SolveEffort(starts=1, polishes=0)
    solution = dlco.solve([layer], spring().to_architecture(), objective="latency", bound=False, effort=effort)
    assert solution.status == "solved"
    assert solution.cost.cycles >= layer.macs / spring().macs


def test_samples_are_valid_and_uniform() -> None:
    vectors = SPACE.sample(20_000, torch.Generator().manual_seed(2))
    for vector in vectors[:200]:
        AccelBench.from_vector(vector)
    index = SPACE.index(vectors)
    for column, length in zip(index.T, SPACE.lengths, strict=True):
        counts = torch.bincount(column, minlength=length).double()
        assert (counts / len(vectors) - 1 / length).abs().max() < 0.02
    assert torch.equal(vectors, SPACE.sample(20_000, torch.Generator().manual_seed(2)))


def test_encoding_lies_in_the_unit_cube_and_comes_back() -> None:
    vectors = SPACE.sample(3000, torch.Generator().manual_seed(3))
    points = SPACE.encode(vectors)
    assert points.shape == (3000, 13)
    assert points.min() >= 0
    assert points.max() <= 1
    assert torch.equal(SPACE.decode(points), vectors)
    assert torch.equal(SPACE.vectors(SPACE.index(vectors)), vectors)
    noisy = points + 0.01 * torch.randn(points.shape, generator=torch.Generator().manual_seed(4), dtype=points.dtype)
    for vector in SPACE.decode(noisy)[:100]:
        AccelBench.from_vector(vector)


def test_neighbours_differ_in_one_decision() -> None:
    vector = torch.tensor(SPRING, dtype=torch.float64)
    around = SPACE.neighbours(vector)
    for neighbour in around:
        AccelBench.from_vector(neighbour)
        assert int((SPACE.index(neighbour) != SPACE.index(vector)).sum()) == 1
    assert len({tuple(row) for row in around.tolist()}) == len(around)
    # both ways, or one from an end; the main memory is any other of its 11
    assert len(around) == 2 + 1 + 1 + 2 + 1 + 2 + 1 + 2 + 1 + 1 + 10


def test_space_of_sizes_has_accelbenchs_own_machines() -> None:
    """Every buffer, and PEs as a product of the three parallelisms, against `to_architecture` of the vector."""
    base = spring()
    space = accelbench_space(base)
    assert space.base == base.to_architecture()
    assert [len(parameter.grid) for parameter in space.parameters] == [50, 13, 13]
    index = space.nearest(space.sample(20, torch.Generator().manual_seed(0)))
    for row in index.tolist():
        sizes = space.index_to_sizes(torch.tensor(row)).tolist()
        buffers = [1, *range(2, 25, 2)]
        b, x, y = next((b, x, y) for b in (1, 2, 4) for x in range(1, 9) for y in range(1, 9) if b * x * y == sizes[0])
        vector = [b, 16, x, y, *SPRING[4:8], buffers[row[1]], buffers[row[2]], *SPRING[10:]]
        theirs = AccelBench.from_vector(vector).to_architecture()
        ours = space.architecture(sizes)
        assert ours.area_mm2 == pytest.approx(theirs.area_mm2, rel=1e-5)
        assert (ours.macs, ours.mac_pj, ours.instances) == (theirs.macs, pytest.approx(theirs.mac_pj), theirs.instances)
        for own, other in zip(ours.levels, theirs.levels, strict=True):
            assert own.capacity == other.capacity
            for name in ("read_pj", "write_pj", "update_pj", "leak_pj", "area_um2"):
                assert getattr(own, name) == pytest.approx(getattr(other, name), rel=2e-6), (own.name, name)
    with pytest.raises(InvalidInput, match="base is 3"):
        accelbench_space(3)
