"""Whole networks on AccelBench, against a walk over every tile and cube, and by hand."""

import time
from math import ceil, prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dlco
from dlco.errors import InvalidInput
from dlco.hardware import AccelBench, AccelBenchSpace, Assumptions
from dlco.hardware.accelbench import network_costs
from dlco.hardware.accelbench.network import PHASES
from dlco.workload import Layer, normalise, pointwise, pool2d, upsample2d
from tests.hardware.walked_accelbench import walk

SPRING = [2, 16, 8, 4, 8, 3, 3, 1, 12, 24, 4, 1, 1]
SPACE = AccelBenchSpace()
ASSUMED = (Assumptions(), Assumptions(0.0, 0.0, 1.0), Assumptions(0.3, 0.6, 0.9, batch_norm=False))


def spring(**changes: int) -> AccelBench:
    names = dict(zip(vars(AccelBench.from_vector(SPRING)), SPRING, strict=False))
    return AccelBench(**(names | changes))


def check(machine: AccelBench, layers: list[Layer], assumed: Assumptions = ASSUMED[0]) -> dict[str, float]:
    """What `network_costs` says, held against the walk."""
    walked = walk(machine, layers, assumed)
    found = network_costs(machine.tensor(), layers, assumptions=assumed)
    ours = dict(zip(PHASES, found.phases.tolist(), strict=True)) | {"cycles": float(found.cycles)}
    assert ours == {name: walked[name] for name in ours}
    assert float(found.dynamic_j) == pytest.approx(walked["dynamic_j"], rel=1e-12)
    assert float(found.leakage_j) == pytest.approx(walked["cycles"] / 700e6 * machine.leakage_w, rel=1e-12)
    return ours


@st.composite
def some_layer(draw: st.DrawFn, name: str, kinds: tuple[str, ...]) -> Layer:
    kind = draw(st.sampled_from(kinds))
    P, R, stride = (
        draw(st.sampled_from([1, 4, 7, 14, 33, 66])),
        draw(st.sampled_from([2, 3, 5])),
        draw(st.integers(1, 3)),
    )
    C = draw(st.sampled_from([3, 8] if P > 20 else [3, 8, 70, 130, 200]))
    M, count = draw(st.sampled_from([1, 4, 6, 16, 33, 64])), draw(st.integers(1, 2))
    shape = {"P": P, "Q": max(1, P - 1), "R": R, "S": R, "stride": stride, "count": count}
    made = {
        "conv": lambda: dlco.conv2d(name, C=C, M=M, **shape),
        "grouped": lambda: dlco.conv2d(name, C=12, M=18, groups=3, **shape),
        "depthwise": lambda: dlco.depthwise_conv2d(name, C=5, **shape),
        "linear": lambda: dlco.linear(name, C=C * 3, M=M * 5, count=count),
        "pool": lambda: pool2d(name, C=C, P=P + 1, Q=P, R=3, S=3, stride=2, count=count),
        "mean": lambda: pool2d(name, C=C, P=1, Q=1, R=7, S=7),
        "add": lambda: pointwise(name, (1, C, P, P), (1, C, P, P)),
        "upsample": lambda: upsample2d(name, C=C, H=P, W=P + 1, scale=2),
    }
    return made[kind]()


MULTIPLYING = ("conv", "grouped", "depthwise", "conv")
KINDS = (*MULTIPLYING, "linear", "pool", "mean", "add", "upsample")


@settings(max_examples=60, deadline=None)
@given(
    some_layer("first", MULTIPLYING),
    some_layer("second", KINDS),
    some_layer("third", KINDS),
    st.integers(0, 10**6),
    st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2])),
    st.sampled_from(ASSUMED),
)
def test_networks_cost_what_a_walk_over_tiles_and_cubes_counts(
    first: Layer, second: Layer, third: Layer, seed: int, buffers: tuple[int, int], assumed: Assumptions
) -> None:
    vector = [int(x) for x in SPACE.sample(1, torch.Generator().manual_seed(seed))[0]]
    layers = [first, second, third]
    small = all(prod(layer.problem.sizes.get(dim, 1) for dim in "PQ") < 30 for layer in layers)
    vector[7:10] = [vector[7] if small and vector[7] <= 64 else 1, *buffers]
    check(AccelBench.from_vector(vector), layers, assumed)


@pytest.mark.parametrize(
    ("layers", "changes"),
    [
        # 9 chunks of 80 cubes of weights, or 8 and a short one, in 655: too much by less than a chunk, for 9 tiles
        ([dlco.conv2d("c", C=80, M=36, P=130, Q=130, R=1, S=1)], {"weight_mb": 1}),
        ([dlco.conv2d("c", C=80, M=34, P=130, Q=130, R=1, S=1)], {"weight_mb": 1}),
        # one chunk alone larger than the buffer
        ([dlco.conv2d("c", C=700, M=3, P=65, Q=2, R=3, S=3)], {"weight_mb": 1}),
        # images of 4 tiles of 256, 240 and 225 cubes in 655: the first are gone when the last are there
        ([dlco.conv2d("c", C=3, M=20, P=124, Q=124, R=3, S=3)], {"activation_mb": 1}),
        # a batch of 4 x 64 images whose tiles of 1,024 cubes are larger than the buffer
        ([dlco.conv2d("c", N=4, C=4, M=9, P=64, Q=64, R=3, S=3)], {"activation_mb": 1}),
        # and both at once
        ([dlco.conv2d("c", C=80, M=36, P=66, Q=66, R=1, S=1, count=2)], {"activation_mb": 1, "weight_mb": 1}),
    ],
)
def test_what_no_formula_says_is_followed_cube_by_cube(layers: list[Layer], changes: dict[str, int]) -> None:
    found = check(spring(**changes), layers)
    assert found["convolution_waits"] > 0


def test_a_small_network_by_hand() -> None:
    conv = dlco.conv2d("c", C=4, M=8, P=8, Q=8, R=3, S=3)
    layers = [conv, pool2d("p", C=8, P=4, Q=4, R=2, S=2, stride=2), pool2d("m", C=8, P=1, Q=1, R=4, S=4)]
    found = network_costs(spring().tensor(), [*layers, dlco.linear("fc", C=8, M=10)])
    # cubes of 640 bits without zeros, 479.35 bits a cycle: an image of 2 x 2 x 1 cubes comes first, in 6 cycles; four
    # channels of weights are 4 cubes, in 6 cycles, twice; the linear layer has 1 and 1 x 2 matrices, in 2 and 3
    # cycles. Each step of the convolution is ceil(8/8) ceil(8/4) = 2 cycles, a fifth rounded up is 1. The maximum is
    # that of convolutions' waits, 12, and weights, 15. 64 outputs in 1,024 units, for 8 channels; 128 words on 64 PEs;
    # 16 words of 25 at once, 8 channels on 64 PEs
    waits = {"convolution_waits": 12, "product_waits": 3, "activation_loads": 2, "weight_loads": 15}
    work = {"convolutions": 2, "products": 1, "batch_norm": 8, "pooling": 2, "global_pooling": 1, "upsampling": 0}
    assert dict(zip(PHASES, found.phases.tolist(), strict=True)) == {"image_loads": 6} | waits | work
    assert float(found.cycles) == 6 + 15 + 8 + 2 + 1
    cost = spring().network_cost([*layers, dlco.linear("fc", C=8, M=10)])
    assert (cost.images, cost.cycles, cost.phases["batch_norm"], cost.latency_s) == (1, 32, 8, 32 / 700e6)
    assert cost.energy_j == float(found.dynamic_j + found.leakage_j) == pytest.approx(cost.power_w * cost.latency_s)
    assert cost.area_mm2 == pytest.approx(230.06409445958403, rel=1e-12)


def test_memories_differ_in_energy_alone() -> None:
    layers = dlco.networks.resnet18()
    rram, dram, hbm = (network_costs(spring(memory_type=kind, memory_config=1).tensor(), layers) for kind in (1, 2, 3))
    assert float(rram.cycles) == float(dram.cycles) == float(hbm.cycles)
    loads = float(rram.phases[:3].sum()) / 700e6  # s
    assert float(dram.dynamic_j - rram.dynamic_j) == pytest.approx(loads * (69.00706337 - 17.321165) * 1e-3)
    assert float(hbm.dynamic_j - rram.dynamic_j) == pytest.approx(loads * (26.5569841 - 17.321165) * 1e-3)


def test_zeros_and_normalisation_are_assumptions() -> None:
    layers = dlco.networks.resnet18()
    as_published, dense, folded = (
        network_costs(spring().tensor(), layers, assumptions=one)
        for one in (ASSUMED[0], ASSUMED[1], Assumptions(batch_norm=False))
    )
    lanes = PHASES.index("convolutions")
    assert 4 < float(dense.phases[lanes] / as_published.phases[lanes]) <= 5  # tiles are rounded up
    assert float(as_published.cycles - folded.cycles) == float(as_published.phases[PHASES.index("batch_norm")]) > 0
    for bad, message in (
        ({"activation_sparsity": 1.0}, "activation_sparsity of the assumptions is 1.0; it must be from 0 to 0.99"),
        ({"overlap": 0}, "overlap of the assumptions is 0; it must be above 0"),
        ({"weight_sparsity": True}, "weight_sparsity of the assumptions is True"),
        ({"batch_norm": 1}, "batch_norm of the assumptions is 1"),
    ):
        with pytest.raises(InvalidInput, match=message):
            Assumptions(**bad)


def test_many_machines_at_once_agree_with_each_alone_a_thousand_times_faster_than_the_walk() -> None:
    layers = [dlco.conv2d("c", C=3, M=64, P=56, Q=56, R=3, S=3), dlco.conv2d("d", C=96, M=96, P=28, Q=28, R=3, S=3)]
    vectors = SPACE.sample(4096, torch.Generator().manual_seed(0))
    vectors[:, 7] = 1
    network_costs(vectors[:1], layers)  # tables of the layers, kept from here on
    started = time.process_time()
    found = network_costs(vectors.reshape(64, 64, 13), layers)
    batched = (time.process_time() - started) / len(vectors)
    assert found.cycles.shape == (64, 64)
    assert found.phases.shape == (64, 64, len(PHASES))
    started = time.process_time()
    for i in (0, 1, 2):
        machine = AccelBench.from_vector(vectors[i])
        walked = walk(machine, layers, ASSUMED[0])
        assert float(found.cycles.flatten()[i]) == walked["cycles"]
        assert float(found.area_mm2.flatten()[i]) == pytest.approx(machine.area_mm2)
    assert (time.process_time() - started) / 3 > 1000 * batched


def test_refuses_what_accelbench_has_no_units_for() -> None:
    vector = spring().tensor()
    scores = normalise("norm", (1, 16, 64), (2,))
    with pytest.raises(
        InvalidInput, match=r"layer norm\.statistics: operation is 'normalise', for which AccelBench has no"
    ):
        network_costs(vector, [dlco.linear("fc", C=8, M=8), *scores])
    with pytest.raises(InvalidInput, match=r"layer up: problem has dimensions .*AccelBench runs 2-D convolutions"):
        network_costs(vector, [dlco.transposed_conv2d("up", C=8, M=4, H=16, W=16, R=2, S=2, stride=2)])
    with pytest.raises(InvalidInput, match="layers is empty"):
        network_costs(vector, [])
    with pytest.raises(InvalidInput, match="weight_mb is 3; allowed: 1, 2, 4"):
        network_costs(torch.tensor([*SPRING[:9], 3.0, *SPRING[10:]]), [dlco.linear("fc", C=8, M=8)])
    with pytest.raises(InvalidInput, match="last dimension must be 13"):
        network_costs(torch.ones(4, 12), [dlco.linear("fc", C=8, M=8)])


def test_products_of_computed_matrices_load_both_for_every_image() -> None:
    found = network_costs(spring(batch=64).tensor(), [dlco.matmul("qk", B=2, M=9, K=16, N=20)])
    cubes = 64 * 2 * 2 * 2, 64 * 2 * 2 * 3
    cycles = [ceil(n * 640 / (40000 * 2**20 * 8 / 700e6)) for n in cubes]
    assert found.phases[PHASES.index("activation_loads")] == cycles[0]
    assert found.phases[PHASES.index("product_waits")] == cycles[1]


def test_layers_of_any_size_are_counted_or_refused_at_once() -> None:
    vector = spring().tensor()
    huge = dlco.conv2d("c", C=2**16, M=2**16, P=2**20, Q=2**20, R=3, S=3)
    assert float(network_costs(vector, [dlco.linear("fc", C=8, M=8), huge]).cycles) > huge.macs / spring().macs / 5
    with pytest.raises(InvalidInput, match="steps on AccelBench that must be followed one by one"):
        network_costs(vector, [huge])  # whose images do not fit
    with pytest.raises(InvalidInput, match="stride is 5000"):
        network_costs(vector, [dlco.conv2d("c", C=1, M=1, P=2, Q=2, R=1, S=1, stride=5000)])
