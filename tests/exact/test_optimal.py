"""The best-first search against every mapping listed, on random tiny layers and machines of many kinds."""

import random
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from dlco import conv1d, conv2d, depthwise_conv2d, evaluate, matmul, networks
from dlco.design.objective import Objective
from dlco.errors import InvalidInput, NotSupported
from dlco.exact import enumerate_layer, optimal_layer
from dlco.exact.combine import best_points
from dlco.exact.optimal import least_value
from dlco.hardware import gemmini_like, generic
from dlco.hardware.architecture import Architecture, Level
from dlco.optimize import Budget
from dlco.workload import Layer

SPACES = ("Weights", "Inputs", "Outputs")


def random_layer(rng: random.Random, most: int) -> Layer:
    """A convolution with strides and dilations, a depthwise one or a matrix product of few iterations."""
    pick = rng.choice
    dims = {"C": pick((1, 2, 4, 6)), "M": pick((1, 2, 3, 4)), "P": pick((1, 2, 4, 6)), "Q": pick((1, 2, 3))}
    dims |= {"R": pick((1, 2, 3)), "S": pick((1, 2)), "N": pick((1, 1, 2))}
    kind = rng.random()
    if kind < 0.2:
        layer = matmul("mm", B=pick((1, 2)), M=pick((2, 4, 6)), K=pick((2, 4, 8)), N=pick((2, 3, 4)))
    elif kind < 0.35:
        layer = depthwise_conv2d("dw", **{d: n for d, n in dims.items() if d != "M"}, stride=pick((1, 2)))
    else:
        layer = conv2d("conv", **dims, stride=pick((1, 1, 2, 3)), dilation=pick((1, 1, 2)))
    return layer if layer.macs <= most else random_layer(rng, most)


def random_machine(rng: random.Random, inside: int) -> Architecture:
    """A machine of so many levels inside a processing element, whose every figure may bind."""
    pick = rng.choice

    def level(name: str, **fields: object) -> Level:
        costs = {key: float(pick((1, 2, 5, 50))) for key in ("read_pj", "write_pj", "update_pj")}
        speeds = {key: pick((0.5, 1.0, 2.0, 4.0, inf)) for key in ("read_bandwidth", "write_bandwidth")}
        speeds["shared_bandwidth"] = pick((1.0, 3.0, inf, inf))
        return Level(
            name, **costs, **speeds, block_size=pick((1, 1, 2, 4)), leak_pj=pick((0.0, 0.0, 0.3, 5.0)), **fields
        )

    bypassed = [frozenset(rng.sample(SPACES, pick((0, 0, 1, 2)))) for _ in range(inside + 1)]
    inner = [level(f"L{i}", capacity=pick((3, 6, 12, 24, 40)), bypass=bypassed[i]) for i in range(inside)]
    x, y = pick(((1, 1), (2, 2), (4, 2), (3, 4), (6, 1)))
    shared = level("Shared", capacity=pick((24, 60, 150, 1000)), fanout_x=x, fanout_y=y, bypass=bypassed[-1])
    return Architecture((*inner, shared, level("DRAM", kind="DRAM")), mac_pj=pick((0.0, 1.0)))


def points(front):
    """(cycles, energy) of a front, without points that are cheaper than a faster one by rounding alone."""
    rows = np.stack([front.cycles.numpy(), front.energy_pj.numpy()], 1)
    before = np.minimum.accumulate(np.concatenate([[inf], rows[:-1, 1]]))
    return rows[(before == inf) | (rows[:, 1] < before * (1 - 1e-12))]


@pytest.mark.parametrize("inside", [0, 1, 2, 3])
def test_the_front_is_that_of_every_mapping_listed(inside):
    rng, done = random.Random(inside), 0
    while done < 12:
        layer, machine = random_layer(rng, (4000, 600, 200, 60)[inside]), random_machine(rng, inside)
        try:
            listed = enumerate_layer(layer, machine, limit=400_000)
        except InvalidInput as error:
            if "no mapping" in str(error):
                with pytest.raises(NotSupported, match="no mapping"):
                    optimal_layer(layer, machine)
            continue
        found = optimal_layer(layer, machine)
        assert found.proved
        assert points(found.front).shape == points(listed).shape, (layer, machine)
        assert np.allclose(points(found.front), points(listed), rtol=1e-9), (layer, machine)
        for mapping, (cycles, energy) in zip(found.front.mappings, points(found.front), strict=True):
            cost = evaluate(layer, machine, mapping)  # checks the mapping, too
            assert (cost.cycles.item(), cost.energy_pj.item()) == pytest.approx((cycles, energy), rel=1e-12)
        done += 1


def test_a_search_that_is_stopped_leaves_bounds_that_hold():
    layer, machine = networks.resnet18()[0], generic()
    whole = optimal_layer(layer, machine)
    stopped = optimal_layer(layer, machine, go_on=lambda: False)
    assert whole.proved
    assert not stopped.proved
    known = np.concatenate([points(stopped.front), stopped.open.numpy()[:, ::-1]])
    for cycles, energy in points(whole.front):
        assert ((known[:, 0] <= cycles) & (known[:, 1] <= energy * (1 + 1e-9))).any()
    floor = least_value([layer], {layer.problem: stopped}, machine, Objective.EDP, Budget())
    best = best_points([layer], {layer.problem: whole.front}, machine, Objective.EDP, Budget())
    assert best is not None
    assert floor <= best.energy_pj * best.cycles * (1 + 1e-9)


def test_a_layer_of_one_multiplication_has_one_mapping():
    found = optimal_layer(matmul("one", M=1, K=1, N=1), generic())
    assert found.proved
    assert found.front.cycles.tolist() == enumerate_layer(matmul("one", M=1, K=1, N=1), generic()).cycles.tolist()


def test_what_is_not_covered_is_refused_with_the_reason():
    layer = conv1d("c", C=4, M=4, P=4, R=3)
    with pytest.raises(NotSupported, match="accumulator has a fan-out"):
        optimal_layer(layer, gemmini_like())
    machine = generic()
    bypassing = machine.with_bypass({"DRAM": ["Weights"]})
    with pytest.raises(NotSupported, match="DRAM, the outermost level, bypasses Weights"):
        optimal_layer(layer, bypassing)
    alone = replace(machine, levels=machine.levels[-1:])
    with pytest.raises(NotSupported, match="one storage level"):
        optimal_layer(layer, alone)
