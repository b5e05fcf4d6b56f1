"""The best-first search against every mapping listed, on random tiny layers and machines of many kinds."""

import random
from math import inf

import numpy as np
import pytest

from dlco import conv1d, conv2d, depthwise_conv2d, evaluate, matmul, networks, solve
from dlco.design.objective import Objective
from dlco.errors import InvalidInput, NotSupported
from dlco.exact import best_first, enumerate_layer, optimal_layer
from dlco.exact.case import Case
from dlco.exact.combine import best_points
from dlco.exact.covered import why_not_covered
from dlco.exact.optimal import least_value
from dlco.hardware import dpu_like, gemmini_like, generic, simba_like, tpu_like
from dlco.hardware.architecture import Architecture, Level
from dlco.optimize import Budget, SolveEffort
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


def random_level(rng: random.Random, name: str, **fields: object) -> Level:
    """A level whose every figure may bind."""
    pick = rng.choice
    costs = {key: float(pick((1, 2, 5, 50))) for key in ("read_pj", "write_pj", "update_pj")}
    speeds = {key: pick((0.5, 1.0, 2.0, 4.0, inf)) for key in ("read_bandwidth", "write_bandwidth")}
    speeds["shared_bandwidth"] = pick((1.0, 3.0, inf, inf))
    return Level(name, **costs, **speeds, block_size=pick((1, 1, 2, 4)), leak_pj=pick((0.0, 0.0, 0.3, 5.0)), **fields)


def random_machine(rng: random.Random, inside: int) -> Architecture:
    """A machine of so many levels inside a processing element, whose every figure may bind."""
    pick = rng.choice
    bypassed = [frozenset(rng.sample(SPACES, pick((0, 0, 1, 2)))) for _ in range(inside + 1)]
    inner = [random_level(rng, f"L{i}", capacity=pick((3, 6, 12, 24, 40)), bypass=bypassed[i]) for i in range(inside)]
    x, y = pick(((1, 1), (2, 2), (4, 2), (3, 4), (6, 1)))
    room = pick((24, 60, 150, 1000))
    shared = random_level(rng, "Shared", capacity=room, fanout_x=x, fanout_y=y, bypass=bypassed[-1])
    return Architecture((*inner, shared, random_level(rng, "DRAM", kind="DRAM")), mac_pj=pick((0.0, 1.0)))


def random_hierarchy(rng: random.Random, levels: int) -> Architecture:
    """A machine of so many levels, up to three of which fan out; any may bypass any dataspace, the outermost too."""
    pick = rng.choice
    whole = rng.random() < 0.7  # the outermost level keeps everything and does not fan out
    fans = rng.sample(range(levels), min(levels, pick((0, 1, 2, 2, 3))))
    found = []
    for i in range(levels):
        last = i == levels - 1
        x, y = pick(((2, 1), (2, 2), (4, 1), (3, 2), (1, 4), (6, 1))) if i in fans and not (last and whole) else (1, 1)
        out = pick((0, 0, 1, 2)) if not last else 0 if whole else pick((0, 0, 1, 2))
        room = inf if last else pick((2, 4, 8, 16, 40)) if i < levels - 2 else pick((24, 60, 150, 1000))
        bypass = frozenset(rng.sample(SPACES, out))
        found.append(random_level(rng, f"L{i}", capacity=room, fanout_x=x, fanout_y=y, bypass=bypass))
    machine = Architecture(tuple(found), mac_pj=pick((0.0, 1.0)))
    everywhere = set(SPACES).intersection(*(level.bypass for level in found))
    return random_hierarchy(rng, levels) if everywhere else machine


def points(front):
    """(cycles, energy) of a front, without points that are cheaper than a faster one by rounding alone."""
    rows = np.stack([front.cycles.numpy(), front.energy_pj.numpy()], 1)
    before = np.minimum.accumulate(np.concatenate([[inf], rows[:-1, 1]]))
    return rows[(before == inf) | (rows[:, 1] < before * (1 - 1e-12))]


def check(layer: Layer, machine: Architecture, *, imperfect: bool = False, limit: int = 400_000) -> bool:
    """Hold the search against all mappings, listed; False where none fits, or too many."""
    try:
        listed = enumerate_layer(layer, machine, imperfect=imperfect, limit=limit)
    except InvalidInput as error:
        if "no mapping" in str(error):
            with pytest.raises(NotSupported, match="no mapping"):
                optimal_layer(layer, machine, imperfect=imperfect)
        return False
    found = optimal_layer(layer, machine, imperfect=imperfect)
    assert found.proved
    assert points(found.front).shape == points(listed).shape, (layer, machine)
    assert np.allclose(points(found.front), points(listed), rtol=1e-9), (layer, machine)
    for mapping, (cycles, energy) in zip(found.front.mappings, points(found.front), strict=True):
        cost = evaluate(layer, machine, mapping)  # checks the mapping, too
        assert (cost.cycles.item(), cost.energy_pj.item()) == pytest.approx((cycles, energy), rel=1e-12)
    return True


@pytest.mark.parametrize("inside", [0, 1, 2, 3])
def test_the_front_is_that_of_every_mapping_listed(inside):
    rng, done = random.Random(inside), 0
    while done < 12:
        done += check(random_layer(rng, (4000, 600, 200, 60)[inside]), random_machine(rng, inside))


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("few", [False, True])
def test_the_front_of_a_machine_of_any_hierarchy_is_that_of_every_mapping_listed(levels, few, monkeypatch):
    if few:  # so that passes drop labels and the next ones take them up again
        monkeypatch.setattr(best_first, "WIDTHS", (3, 20, 10**9))
    rng, done = random.Random(levels), 0
    while done < 8:
        done += check(random_layer(rng, (4000, 4000, 600, 200, 60)[levels - 1]), random_hierarchy(rng, levels))


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
    machine = generic()
    nowhere = machine.with_bypass({level.name: ["Weights"] for level in machine.levels})
    reason = why_not_covered(Case.of(conv1d("c", C=4, M=4, P=4, R=3), nowhere))
    assert reason == "no level of 'generic' keeps Weights"


@pytest.mark.parametrize("machine", [simba_like(), gemmini_like(), tpu_like(), dpu_like()], ids=lambda one: one.name)
def test_fan_outs_at_several_levels_are_proved_and_no_search_is_below(machine):
    layer = conv2d("c", C=16, M=32, P=14, Q=14, R=3, S=3)
    found = optimal_layer(layer, machine)
    assert found.proved
    searched = solve([layer], machine, effort=SolveEffort(starts=0, polishes=0, exact=False), bound=False)
    edp = (found.front.energy_pj * found.front.cycles).min().item()
    assert edp <= searched.cost.energy_pj * searched.cost.cycles * (1 + 1e-9)
