"""Chains in tiles against a listing of all tilings with all mappings, on tiny networks and random machines."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from dlco import conv2d, depthwise_conv2d, evaluate, linear
from dlco.cost.model import evaluate_many
from dlco.errors import InvalidInput
from dlco.fusion import Plan, best_plan, candidates_of
from dlco.fusion.chains import Fused, chains_of
from dlco.hardware import eyeriss_like, generic
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import TEMPORAL, MappingBatch
from dlco.workload import Network, get_graph
from dlco.workload.chain import Chain, Link
from dlco.workload.tiling import KEPT, RECOMPUTED, RESIDENT, Tiled, Tiling

from ..exhaustive import every_mapping, front
from .test_plan import VALUE, every_plan, machine_under, network_of, random_machine


def tiny(rng: random.Random) -> Network:
    """Two convolutions whose windows overlap, or two matrix products."""
    if rng.random() < 0.7:
        stride = rng.choice((1, 2))
        first = conv2d("first", C=1, M=2, P=4, Q=1, R=rng.choice((1, 2)), S=1)
        second = conv2d("second", C=2, M=1, P=4 // stride, Q=1, R=3, S=1, stride=stride)
        return network_of([first, second], [(0, 1, "Inputs")])
    return network_of([linear("up", N=4, C=2, M=4), linear("down", N=4, C=4, M=2)], [(0, 1, "Inputs")])


def points_of(one: Fused, architecture: Architecture) -> list[tuple[float, float]]:
    """(pJ, cycles) of all mappings of the parts of a chain, room and homes worked out here."""
    tiled, chain = one.tiled, one.tiled.chain
    resident = tiled.tiling.weights == RESIDENT
    weights = [problem.words("Weights") if resident else 0 for problem in chain.problems]
    runs = Counter()
    for run in tiled.runs():
        runs[run.layer, run.problem, run.first and resident] += 1
    sums = [(0.0, 0.0)]
    for (layer, problem, loads), count in runs.items():
        homes = {"Outputs": one.level} if layer == 0 else {"Inputs": one.level}
        homes |= {"Weights": one.level} if resident and not loads else {}
        taken = {one.level: tiled.held(layer) + sum(weights) - (weights[layer] if loads else 0)}
        if architecture.level(one.level).capacity <= taken[one.level]:
            return []
        fitting = every_mapping(problem, machine_under(architecture, homes, taken, tiles=True))
        if loads:
            dims = [d for d, dim in enumerate(problem.dimensions) if dim in problem.dataspace("Weights").dimensions]
            whole = (fitting.factors[:, -1, TEMPORAL][:, dims] == 1).all(-1)
            fitting = MappingBatch(
                fitting.dimensions,
                fitting.levels,
                fitting.bypass,
                fitting.factors[whole],
                fitting.order[whole],
                fitting.spatial_order[whole],
            )
        if not len(fitting.factors):
            return []
        totals = evaluate_many(problem, machine_under(architecture, homes, {}, tiles=False), fitting)
        pairs = front(list(zip(totals.energy_pj.tolist(), totals.cycles.tolist(), strict=True)))
        sums = front([(e + count * pe, t + count * pt) for e, t in sums for pe, pt in pairs])
    return sums


def check_costs(network: Network, machine: Architecture, plan: Plan) -> None:
    """The mappings alone say what a plan costs, and all of them fit beside what is retained."""
    energy = cycles = 0.0
    for stretch in plan.stretches:
        for part, mapping in zip(stretch.parts, stretch.mappings, strict=True):
            cost = evaluate(part.problem, machine, mapping)
            energy += part.count * cost.energy_pj.item()
            cycles += part.count * cost.cycles.item()
            assert part.residence.holds(part.problem, machine, mapping)
    assert (energy, cycles) == pytest.approx((plan.energy_pj, plan.cycles))
    assert [s.first for s in plan.stretches] == [0, *(s.last + 1 for s in plan.stretches[:-1])]
    assert plan.stretches[-1].last == len(network.graph.steps) - 1


@pytest.mark.parametrize("seed", [2, 4, 5])
def test_no_tiling_with_any_mappings_is_better(seed: int) -> None:
    rng = random.Random(seed)
    network, machine = tiny(rng), random_machine(rng)
    chosen = candidates_of(network, machine, every=True)
    assert len(chosen.chosen) == chosen.listed
    apart = every_plan(network, machine)
    listed = front([*apart, *(point for one in chosen.chosen for point in points_of(one, machine))])
    if not apart:
        pytest.skip("a layer does not fit")
    objective = rng.choice(("edp", "energy", "latency"))
    least = min(VALUE[objective](*point) for point in listed)
    plan = best_plan(network, machine, objective, fused=chosen.chosen)
    assert plan is not None
    assert plan.proved
    assert VALUE[objective](plan.energy_pj, plan.cycles) == pytest.approx(least, rel=1e-9)
    check_costs(network, machine, plan)
    for searches in (0, 2):  # cut short: a bound that holds, and a plan no worse than without tiles
        cut = best_plan(network, machine, objective, fused=chosen.chosen, searches=searches)
        assert cut is not None
        assert cut.lower <= least * (1 + 1e-9)
        assert VALUE[objective](cut.energy_pj, cut.cycles) <= min(VALUE[objective](*p) for p in apart) * (1 + 1e-9)
    bounded = best_plan(network, machine, objective, beyond=chosen.chains)
    assert bounded is not None
    assert bounded.lower <= least * (1 + 1e-9)  # whatever the tiles are
    likely = candidates_of(network, machine)
    assert bool(likely.chosen) == bool(chosen.chosen)
    assert likely.listed == chosen.listed


def test_tiles_save_what_does_not_fit_whole() -> None:
    """A map of 16,384 words between two convolutions, a memory of 4,096: only tiles of it can stay."""
    layers = [conv2d("wide", C=2, M=64, P=16, Q=16, R=1, S=1), conv2d("narrow", C=64, M=2, P=16, Q=16, R=1, S=3)]
    network = network_of(layers, [(0, 1, "Inputs")])
    plain = generic()
    buffer = replace(plain.level("GlobalBuffer"), capacity=4096)
    machine = replace(plain, levels=(plain.levels[0], buffer, plain.levels[2]))
    ((_, _, chain),) = chains_of(network)
    tilings = (Tiling((("P", 2),)), Tiling((("Q", 4),)), Tiling((("P", 4), ("Q", 8)), RECOMPUTED, RESIDENT))
    fused = [Fused(0, 1, Tiled(chain, one), "GlobalBuffer") for one in tilings]
    found: list[Plan] = []
    plan = best_plan(network, machine, fused=fused, improved=found.append)
    assert plan is not None
    assert found[0].residents == ()
    (stretch,) = plan.stretches
    assert stretch.fused is not None
    assert plan.energy_pj * plan.cycles < 0.9 * found[0].energy_pj * found[0].cycles
    assert plan.lower <= plan.energy_pj * plan.cycles
    check_costs(network, machine, plan)
    values = [one.energy_pj * one.cycles for one in found]
    assert values == sorted(values, reverse=True)
    assert values[-1] == plan.energy_pj * plan.cycles


def test_which_steps_are_chains() -> None:
    network = get_graph("resnet18")
    names = {
        tuple(network.graph.steps[at].layer for at in range(first, last + 1)) for first, last, _ in chains_of(network)
    }
    assert ("layer1", "layer1", "layer1_add") in names  # the sum's other operand comes from outside
    assert ("layer2_down", "layer2_short", "layer2", "layer2_add") in names  # a branch within
    assert ("pool", "layer1") not in names  # the sum reads the pool's result too
    chain = next(
        chain for first, last, chain in chains_of(network) if network.graph.steps[first].layer == "conv1" and last == 1
    )
    tiled = Tiled(chain, Tiling((("P", 8),)))
    assert [tiled.macs(layer) for layer in (0, 1)] == [problem.macs for problem in chain.problems]
    assert [step.problem.sizes["P"] for step in tiled.runs()][:4] == [16, 8, 16, 8]
    assert tiled.held(0) == 64 * 17 * 113
    again = Tiled(chain, Tiling((("P", 8),), RECOMPUTED))
    assert again.macs(0) == chain.problems[0].macs // 112 * (112 + 6)  # a row more for every tile but the first
    fused = get_graph("bert_base_block")
    assert (3, 6) in {(first, last) for first, last, _ in chains_of(fused)}  # scores, softmax, values: by head and row
    tiled = [one.tiled for one in candidates_of(network, eyeriss_like()).chosen]
    loaded = {space for one in tiled for layer in range(len(one.chain.problems)) for space in one.loaded(layer)}
    assert loaded == {"Inputs"}  # weights pass its buffer by; inputs stay where tiles are of channels


def test_what_is_no_chain_is_refused() -> None:
    one, other = linear("a", N=4, C=2, M=3).problem, linear("b", N=4, C=3, M=2).problem
    with pytest.raises(InvalidInput, match=r"a result of shape \(4, 2, 1, 1\) is read as \(4, 3, 1, 1\)"):
        Chain((other, other), (Link(0, 1, "Inputs"),))
    with pytest.raises(InvalidInput, match="link goes from layer 1 to 1 of 2"):
        Chain((one, other), (Link(1, 1, "Inputs"),))
    with pytest.raises(InvalidInput, match="every layer of a chain but the last must be read within it"):
        Chain((one, other, other), (Link(0, 1, "Inputs"),))
    chain = Chain((one, other), (Link(0, 1, "Inputs"),))
    with pytest.raises(InvalidInput, match="cut of the tiling is of 'M'; dimensions that go through the chain: N"):
        Tiled(chain, Tiling((("M", 1),)))
    with pytest.raises(InvalidInput, match="halo of the tiling is 'lost'; allowed: kept, recomputed"):
        Tiling((("N", 2),), "lost")
    with pytest.raises(InvalidInput, match="cut of the tiling is"):
        Tiling((("N", 2), ("N", 2)), KEPT)


def test_blocks_alike_share_what_is_searched() -> None:
    """The same three layers twice over: the last front that one block needs is what the other needs too."""
    layers, shape = [], {"P": 32, "Q": 1, "R": 1, "S": 1}
    for at in range(2):
        layers += [conv2d(f"up{at}", C=1, M=8, **shape), depthwise_conv2d(f"mid{at}", C=8, **shape)]
        layers += [conv2d(f"down{at}", C=8, M=1, **shape)]
    network = network_of(layers, [(at, at + 1, "Inputs") for at in (0, 1, 3, 4)])
    machine = generic()
    buffer = replace(machine.level("GlobalBuffer"), capacity=200)
    machine = replace(machine, levels=(machine.levels[0], buffer, machine.levels[2]))
    chains = [(first, chain) for first, last, chain in chains_of(network) if (first, last) in {(0, 2), (3, 5)}]
    fused = [Fused(at, at + 2, Tiled(chain, Tiling((("P", 8),))), "GlobalBuffer") for at, chain in chains]
    plan = best_plan(network, machine, "energy", fused=fused)
    assert plan is not None
    assert plan.proved
    assert [stretch.last - stretch.first for stretch in plan.stretches] == [2, 2]
    check_costs(network, machine, plan)
