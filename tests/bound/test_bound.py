"""The lower bound is below every design there is, and counts what it says it counts."""

from dataclasses import replace
from itertools import product
from math import isclose

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco import Budget, attention_scores, conv2d, depthwise_conv2d, linear, networks, transposed_conv2d
from dlco.bound.compulsory import _extremes, compulsory_bound, used_words
from dlco.cost.model import evaluate_many
from dlco.design.objective import OBJECTIVES
from dlco.hardware import generic
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.presets import ARCHITECTURES, SPACES
from dlco.hardware.space import HardwareSpace
from dlco.mapping.mapspace import MapSpace
from dlco.workload import Dataspace, Layer, Problem

from ..exhaustive import Choice, every_choice, machines_of

KINDS = [
    conv2d("conv", C=2, M=3, P=3, Q=2, R=3, S=2),
    conv2d("strided", C=2, M=1, P=3, Q=3, R=2, S=1, stride=3),
    conv2d("dilated", C=1, M=2, P=4, Q=1, R=3, S=2, stride=2, dilation=(3, 2)),
    depthwise_conv2d("depthwise", C=3, P=2, Q=3, R=3, S=1, stride=2),
    transposed_conv2d("transposed", C=2, M=2, H=3, W=2, R=2, S=3, stride=3),
    attention_scores("scores", heads=2, queries=3, head_dim=2),
    linear("linear", C=5, M=4),
]


def listed_words(problem: Problem, space: Dataspace) -> int:
    """How many different words of a dataspace all MACs together touch, by listing the MACs."""
    words = set()
    for point in product(*(range(bound) for bound in problem.bounds)):
        at = dict(zip(problem.dimensions, point, strict=True))
        words.add(tuple(sum(c * at[dim] for dim, c in rank) for rank in space.projection))
    return len(words)


@pytest.mark.parametrize("layer", KINDS, ids=lambda layer: layer.name)
def test_used_words_are_those_that_some_mac_touches(layer: Layer) -> None:
    for space in layer.problem.dataspaces:
        assert used_words(layer.problem, space) == listed_words(layer.problem, space)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=4), st.integers(0, 3))
def test_used_words_of_ranks_of_any_shape(terms: list[tuple[int, int]], split: int) -> None:
    dims = tuple(f"D{i}" for i in range(len(terms)))
    rank = tuple((dim, c) for dim, (_, c) in zip(dims, terms, strict=True))
    ranks = tuple(part for part in (rank[:split], rank[split:]) if part)
    space = Dataspace("Outputs", ranks, read_write=True)
    problem = Problem(dims, tuple(bound for bound, _ in terms), (space,))
    assert used_words(problem, space) == listed_words(problem, space)


BUDGETS = [
    Budget(),
    Budget(latency_s=1e-7),
    Budget(power_w=0.02),
    Budget(power_w=0.01, latency_s=1.3e-7),
    Budget(energy_j=1e-9),
]


@pytest.fixture(scope="module")
def designs(network: list[Layer], machine: Architecture, space: HardwareSpace) -> dict[str, list[Choice]]:
    """All designs of the tiny network on a fixed machine; of a space, all that no other of the same machine beats."""
    return {
        "fixed": [c for layer in network for c in every_choice([layer], machine, trim=False)],
        "network": list(every_choice(network, machine)),
        "space": [choice for one in machines_of(space) for choice in every_choice(network, one)],
    }


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: "-".join(b.limits) or "free")
def test_no_design_beats_the_bound(
    objective: str,
    budget: Budget,
    designs: dict[str, list[Choice]],
    network: list[Layer],
    machine: Architecture,
    space: HardwareSpace,
) -> None:
    single = [compulsory_bound([layer], machine, objective, budget) for layer in network]
    bounds = {
        "fixed": min(single),
        "network": compulsory_bound(network, machine, objective, budget),
        "space": compulsory_bound(network, space, objective, budget),
    }
    for name, bound in bounds.items():
        values = [choice.value(objective) for choice in designs[name] if choice.within(budget)]
        assert all(value >= bound * (1 - 1e-12) for value in values)
        assert bound >= 0


def test_the_bound_is_not_idle(designs: dict[str, list[Choice]], network: list[Layer], machine: Architecture) -> None:
    """Within a small factor of the optimum, for the objectives that it says something about."""
    for objective in ("energy", "latency", "edp", "area"):
        best = min(choice.value(objective) for choice in designs["network"])
        assert compulsory_bound(network, machine, objective) >= 0.2 * best
    assert compulsory_bound(network, machine, "area") == pytest.approx(machine.area_mm2)


numbers = st.floats(0, 100)


@st.composite
def levels(draw: st.DrawFn, index: int, bypass: frozenset[str]) -> Level:
    bandwidth = st.sampled_from([0.3, 1.0, 2.0, 7.0, float("inf")])
    return Level(
        f"L{index}",
        block_size=draw(st.sampled_from([1, 2, 4])),
        read_bandwidth=draw(bandwidth),
        write_bandwidth=draw(bandwidth),
        shared_bandwidth=draw(bandwidth),
        read_pj=draw(numbers),
        write_pj=draw(numbers),
        update_pj=draw(numbers),
        leak_pj=draw(st.floats(0, 0.1)),
        fanout_x=draw(st.sampled_from([1, 2, 4])),
        fanout_y=draw(st.sampled_from([1, 3])),
        bypass=bypass,
    )


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Two to four levels of random costs; every dataspace is kept somewhere."""
    names = ["Weights", "Inputs", "Outputs"]
    count = draw(st.integers(2, 4))
    bypasses = [set(draw(st.lists(st.sampled_from(names), unique=True))) for _ in range(count)]
    for name in names:
        if all(name in bypass for bypass in bypasses):
            bypasses[draw(st.integers(0, count - 1))].discard(name)
    return Architecture(
        tuple(draw(levels(i, frozenset(bypass))) for i, bypass in enumerate(bypasses)), mac_pj=draw(st.floats(0, 3))
    )


sizes = st.sampled_from([1, 2, 3, 4, 6])
steps = st.integers(1, 3)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(["conv", "depthwise", "scores", "transposed"]))
    if kind == "scores":
        return attention_scores("layer", heads=draw(sizes), queries=draw(sizes), keys=draw(sizes), head_dim=draw(sizes))
    window = {"R": draw(sizes), "S": draw(sizes), "stride": draw(steps), "dilation": draw(steps)}
    if kind == "transposed":
        return transposed_conv2d("layer", C=draw(sizes), M=draw(sizes), H=draw(sizes), W=draw(sizes), **window)
    window |= {"P": draw(sizes), "Q": draw(sizes), "N": draw(st.integers(1, 2))}
    if kind == "depthwise":
        return depthwise_conv2d("layer", C=draw(sizes), **window)
    return conv2d("layer", C=draw(sizes), M=draw(sizes), **window)


@given(layers(), architectures(), st.integers(0, 10**6))
@settings(max_examples=150)
def test_no_random_mapping_beats_the_bound(layer: Layer, architecture: Architecture, seed: int) -> None:
    space = MapSpace.of(layer.problem, architecture)
    if not len(space.primes):
        return
    batch = space.batch(*space.random(200, torch.Generator().manual_seed(seed)))
    totals = evaluate_many(layer.problem, architecture, batch)
    energy, cycles = totals.energy_pj[totals.valid], totals.cycles[totals.valid]
    if not len(energy):
        return
    margin = 1 + 1e-9
    assert compulsory_bound([layer], architecture, "energy") <= energy.min().item() * margin
    assert compulsory_bound([layer], architecture, "latency") <= cycles.min().item() * architecture.cycle_s * margin
    assert compulsory_bound([layer], architecture, "edp") <= (energy * cycles).min().item() * margin
    # a power budget that some mapping meets bounds the others from below too
    power = (energy / cycles).median().item()
    within = energy / cycles <= power
    budget = Budget(power_w=power * 1e-12 / architecture.cycle_s) if power > 0 else Budget()
    bound = compulsory_bound([layer], architecture, "latency", budget)
    assert bound <= cycles[within].min().item() * architecture.cycle_s * margin
    slow = cycles.median().item()
    bound = compulsory_bound([layer], architecture, "power", Budget(latency_s=slow * architecture.cycle_s))
    assert bound <= (energy / cycles)[cycles <= slow].min().item() * 1e-12 / architecture.cycle_s * margin


@pytest.mark.parametrize("name", SPACES)
def test_the_bound_of_a_space_is_below_those_of_its_machines(name: str) -> None:
    space, layers = SPACES[name](), networks.resnet18()[:3]
    for sizes in space.sample(25, torch.Generator().manual_seed(0)):
        machine = space.architecture(sizes)
        for objective in ("energy", "latency", "edp", "area"):
            bound, own = (compulsory_bound(layers, hardware, objective) for hardware in (space, machine))
            assert bound <= own * (1 + 1e-9)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_of_all_kinds_have_a_bound(name: str) -> None:
    machine = ARCHITECTURES[name]()
    for network in (networks.mobilenet_v2(), networks.bert_base_block()):
        energy, latency, edp = (compulsory_bound(network, machine, one) for one in ("energy", "latency", "edp"))
        assert 0 < energy < float("inf")
        assert latency >= sum(layer.macs * layer.count for layer in network) / machine.macs * machine.cycle_s * 0.999
        assert isclose(edp, energy * latency / machine.cycle_s, rel_tol=1e-9)


def test_the_bound_counts_each_execution() -> None:
    (layer,) = networks.resnet18()[1:2]
    once, thrice = (compulsory_bound([replace(layer, count=n)], generic(), "energy") for n in (1, 3))
    assert thrice == pytest.approx(3 * once)


@pytest.mark.parametrize("name", SPACES)
def test_no_machine_of_a_space_is_cheaper_than_the_bound_takes_it_to_be(name: str) -> None:
    """A word of a wide access costs least somewhere inside the range of widths, not at an end."""
    space = SPACES[name]()
    least = _extremes(space)
    drawn = space.machine(space.sample(4000, torch.Generator().manual_seed(0)))
    for field in ("read_pj", "write_pj", "update_pj"):
        word, bound = ((getattr(m, field) / m.block_size).amin(0) for m in (drawn, least))
        assert bool((word >= bound * (1 - 1e-12)).all()), field
    assert drawn.area_mm2.min() >= least.area_mm2.min() * (1 - 1e-12)
    assert drawn.macs.max() <= least.macs.max()
    assert bool((drawn.instances.amax(0) <= least.instances.amax(0)).all())
    assert bool((drawn.read_bandwidth.amax(0) <= least.read_bandwidth.amax(0)).all())


def test_positions_that_no_result_reaches_are_no_reads() -> None:
    """The first visits that the model deducts are of a bounding box: here gaps of a stride are a third of it."""
    layer = transposed_conv2d("gaps", C=2, M=1, H=3, W=1, R=2, S=1, stride=3)
    machine = Architecture((Level("L0", read_pj=1.0),), mac_pj=0.1)
    space = MapSpace.of(layer.problem, machine)
    batch = space.batch(*space.random(100, torch.Generator().manual_seed(0)))
    least = evaluate_many(layer.problem, machine, batch).energy_pj.min().item()
    assert compulsory_bound([layer], machine, "energy") <= least


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_machine_at_work_draws_power(name: str) -> None:
    """Even without a limit on the time, and never more than random mappings draw."""
    machine, layer = ARCHITECTURES[name](), networks.resnet18()[5]
    space = MapSpace.of(layer.problem, machine)
    totals = evaluate_many(layer.problem, machine, space.batch(*space.random(500, torch.Generator().manual_seed(0))))
    bound = compulsory_bound([layer], machine, "power")
    least = (totals.energy_pj / totals.cycles).min().item() * 1e-12 / machine.cycle_s
    assert 0 < bound <= least


def test_whole_cycles_are_allowed_for_where_power_is_bounded() -> None:
    """Two words at 1.5 a cycle take two cycles: 1 pJ a cycle, although the port could move 1.5 pJ's worth."""
    layer = linear("one", C=1, M=1)
    machine = Architecture((Level("DRAM", kind="DRAM", read_pj=1.0, read_bandwidth=1.5),), mac_pj=0.0)
    (only,) = every_choice([layer], machine, trim=False)
    assert (only.energy_pj, only.cycles) == (2.0, 2.0)
    assert 0 < compulsory_bound([layer], machine, "power") <= only.value("power")
