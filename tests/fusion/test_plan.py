"""What stays on the chip, against a listing of all choices with all mappings, on random tiny networks and machines."""

import random
from dataclasses import replace
from itertools import pairwise, product
from math import inf

import pytest

from dlco import conv2d, evaluate, linear
from dlco.bound.region import TotalLimits
from dlco.cost.model import evaluate_many
from dlco.errors import InvalidInput, InvalidMapping
from dlco.exact.optimal import NoMapping
from dlco.fusion import best_plan, tensors_of
from dlco.fusion.course import Course
from dlco.fusion.retained import Fronts, Residence, retained_front
from dlco.hardware import eyeriss_like, gemmini_like, generic
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.constraints import Constraints
from dlco.hardware.split import split
from dlco.mapping.mapping import Mapping
from dlco.simulate import count_accesses
from dlco.workload import Edge, Graph, Layer, Network, Step, get_graph, pointwise
from dlco.workload.problem import Problem

from ..exact.test_wires import wired
from ..exhaustive import every_mapping, front

SPACES = ("Weights", "Inputs", "Outputs")


def network_of(layers: list[Layer], edges: list[tuple[int, int, str | None]]) -> Network:
    """Every layer run once, in this order; what nothing reads is a result."""
    read = {source for source, *_ in edges}
    results = frozenset(at for at in range(len(layers)) if at not in read)
    steps = tuple(Step(layer.name) for layer in layers)
    return Network("tiny", tuple(layers), Graph(steps, tuple(Edge(*edge) for edge in edges), results))


def random_network(rng: random.Random) -> Network:
    """A chain with or without a residual, or a diamond whose two results are added."""
    pick = rng.choice
    tokens, wide, narrow = pick((1, 1, 1, 2)), pick((4, 6)), pick((2, 3))
    kind = pick(("chain", "residual", "diamond", "convolutions"))
    if kind == "convolutions":
        first = conv2d("first", C=1, M=2, P=4, Q=1, R=1, S=1)
        second = conv2d("second", C=2, M=1, P=2, Q=1, R=pick((2, 3)), S=1, stride=pick((1, 2)))
        return network_of([first, second], [(0, 1, "Inputs")])
    up = linear("up", N=tokens, C=narrow, M=wide)
    down = linear("down", N=tokens, C=wide, M=narrow)
    if kind == "chain":
        return network_of([up, down, linear("last", N=tokens, C=narrow, M=2)], [(0, 1, "Inputs"), (1, 2, "Inputs")])
    total = pointwise("add", (tokens, narrow), (tokens, narrow))
    first = linear("first", N=tokens, C=2, M=narrow)
    if kind == "residual":
        edges = [(0, 1, "Inputs"), (1, 2, "Inputs"), (2, 3, "Inputs"), (0, 3, "Weights")]
        return network_of([first, up, down, total], edges)
    other = linear("other", N=tokens, C=narrow, M=narrow, count=1)
    edges = [(0, 1, "Inputs"), (0, 2, "Inputs"), (1, 3, "Inputs"), (2, 3, "Weights")]
    return network_of([first, other, linear("branch", N=tokens, C=narrow, M=narrow + 0), total][:4], edges)


def random_level(rng: random.Random, name: str, **fields: object) -> Level:
    pick = rng.choice
    costs = {key: float(pick((1, 2, 5, 50))) for key in ("read_pj", "write_pj", "update_pj")}
    speeds = {key: pick((0.5, 1.0, 2.0, 4.0, inf)) for key in ("read_bandwidth", "write_bandwidth")}
    speeds["shared_bandwidth"] = pick((1.0, 3.0, inf, inf))
    return Level(name, **costs, **speeds, block_size=pick((1, 1, 2)), leak_pj=pick((0.0, 0.3)), **fields)


def random_machine(rng: random.Random) -> Architecture:
    """Registers, one shared memory or two, DRAM."""
    pick = rng.choice
    x, y = pick(((1, 1), (2, 1), (2, 2), (3, 2)))
    inner = random_level(rng, "L0", capacity=pick((3, 6, 12)), bypass=frozenset(rng.sample(SPACES, pick((0, 0, 1, 2)))))
    shared = random_level(
        rng,
        "L1",
        capacity=pick((16, 24, 40, 80)),
        fanout_x=x,
        fanout_y=y,
        bypass=frozenset(pick(((), (), ("Weights",)))),
    )
    return Architecture((inner, shared, random_level(rng, "DRAM", kind="DRAM")), mac_pj=pick((0.0, 1.0)))


def machine_under(
    architecture: Architecture, homes: dict[str, str], taken: dict[str, int], *, tiles: bool
) -> Architecture:
    """The machine as a residence leaves it; with `tiles`, that which says what fits: no tiles of what is retained."""
    levels = []
    for at, level in enumerate(architecture.levels):
        out = {space for space, home in homes.items() if architecture.index(home) < at}
        out |= {space for space, home in homes.items() if tiles and home == level.name}
        fields = {name: getattr(level, name) for name in level.__dataclass_fields__}
        fields |= {"bypass": level.bypass | out, "capacity": level.capacity - taken.get(level.name, 0)}
        levels.append(Level(**fields))
    return Architecture(tuple(levels), mac_pj=architecture.mac_pj)


def points_under(
    problem: Problem, architecture: Architecture, homes: dict[str, str], taken: dict[str, int]
) -> list[tuple[float, float]]:
    """(pJ, cycles) of every mapping, those that nothing beats."""
    if any(architecture.level(name).capacity - words < 1 for name, words in taken.items()):
        return []
    fitting = every_mapping(problem, machine_under(architecture, homes, taken, tiles=True))
    if not len(fitting.factors):
        return []
    totals = evaluate_many(problem, machine_under(architecture, homes, {}, tiles=False), fitting)
    return front(list(zip(totals.energy_pj.tolist(), totals.cycles.tolist(), strict=True)))


def every_plan(network: Network, architecture: Architecture) -> list[tuple[float, float]]:
    """(pJ, cycles) of all choices of what stays where with all mappings, those that nothing beats."""
    graph, memo = network.graph, {}
    written = [at for at in range(len(graph.steps)) if at not in graph.results]
    places = [level.name for level in architecture.levels[:-1]]
    if architecture.levels[1].children > 1:  # one of each processing element
        places.remove("L0")
    found: list[tuple[float, float]] = []
    for choice in product((None, *places), repeat=len(written)):
        sums = [(0.0, 0.0)]
        for step in range(len(graph.steps)):
            problem, homes, taken = network.layer_of(step).problem, {}, {}
            for at, home in zip(written, choice, strict=True):
                if home is None:
                    continue
                readers = [edge for edge in graph.edges if edge.source == at]
                if at == step:
                    homes["Outputs"] = home
                homes |= {edge.space: home for edge in readers if edge.target == step}
                if at <= step <= max(edge.target for edge in readers):
                    views = [network.layer_of(edge.target).problem.words(edge.space) for edge in readers]
                    words = max(network.layer_of(at).problem.words("Outputs"), *views)
                    taken[home] = taken.get(home, 0) + words
            key = problem, *(tuple(sorted(some.items())) for some in (homes, taken))
            if any(space in architecture.level(home).bypass for space, home in homes.items()):
                memo[key] = []
            elif key not in memo:
                memo[key] = points_under(problem, architecture, homes, taken)
            sums = front([(e + pe, t + pt) for e, t in sums for pe, pt in memo[key]])
        found += sums
    return front(found)


VALUE = {"edp": lambda e, t: e * t, "energy": lambda e, t: e, "latency": lambda e, t: t}


@pytest.mark.parametrize("seed", range(2, 7))
def test_no_choice_with_any_mappings_is_better(seed: int) -> None:
    rng = random.Random(seed)
    network, machine = random_network(rng), random_machine(rng)
    machine = wired(machine, random.Random(seed)) if seed % 2 else machine
    listed = every_plan(network, machine)
    objective = rng.choice(("edp", "edp", "energy", "latency"))
    if not listed:
        with pytest.raises(NoMapping):
            best_plan(network, machine, objective)
        return
    plan = best_plan(network, machine, objective)
    assert plan is not None
    assert plan.proved
    assert VALUE[objective](plan.energy_pj, plan.cycles) == pytest.approx(
        min(VALUE[objective](*p) for p in listed), rel=1e-9
    )
    assert plan.lower == pytest.approx(VALUE[objective](plan.energy_pj, plan.cycles), rel=1e-9)
    costs = [
        evaluate(network.layer_of(step), machine, mapping) for step, mapping in enumerate(plan.mappings)
    ]  # the mappings alone say what they cost
    assert sum(cost.energy_pj.item() for cost in costs) == pytest.approx(plan.energy_pj)
    assert sum(cost.cycles.item() for cost in costs) == pytest.approx(plan.cycles)
    assert all(
        residence.holds(network.layer_of(step).problem, machine, mapping)
        for step, (residence, mapping) in enumerate(zip(plan.residences, plan.mappings, strict=True))
    )
    limit = rng.choice([t for _, t in listed])
    within = best_plan(network, machine, "energy", TotalLimits(cycles=limit))
    assert within is not None
    assert within.energy_pj == pytest.approx(min(e for e, t in listed if t <= limit))


def taken_apart(problem: Problem, machine: Architecture, mapping: Mapping, homes: set[str]) -> tuple:
    """The same as an uneven mapping: L1's part for what is retained stands outside DRAM, and has no loops."""
    tiled = [space for space in SPACES if space not in machine.levels[1].bypass | homes]
    apart = split(machine, [("L1", tiled), ("DRAM", SPACES), ("L1", sorted(homes))])
    ones, order = ((1,) * len(problem.dimensions),), (problem.dimensions,)
    return apart, Mapping(
        mapping.dimensions,
        tuple(level.name for level in apart.levels),
        *(rows + ones for rows in (mapping.temporal, mapping.spatial_x, mapping.spatial_y)),
        *(rows + order for rows in (mapping.order, mapping.spatial_order)),
        (*mapping.bypass, frozenset()),
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_layer_costs_what_it_costs_on_the_machine_taken_apart(seed: int) -> None:
    """There the memory's part outside DRAM holds all of the tensor, and shares capacity and ports with the tiles."""
    rng = random.Random(seed)
    x, y = rng.choice(((1, 1), (2, 1), (2, 2)))
    inner = random_level(
        rng, "L0", capacity=rng.choice((4, 12)), bypass=frozenset(rng.sample(SPACES, rng.choice((0, 1))))
    )
    shared = random_level(rng, "L1", capacity=rng.choice((60, 120)), fanout_x=x, fanout_y=y)
    machine = Architecture((inner, shared, random_level(rng, "DRAM", kind="DRAM")), mac_pj=1.0)
    problem = rng.choice(
        (
            linear("fc", N=3, C=4, M=4).problem,
            conv2d("conv", C=2, M=4, P=4, Q=1, R=3, S=1, stride=rng.choice((1, 2))).problem,
        )
    )
    homes = set(rng.choice((("Inputs",), ("Outputs",), ("Inputs", "Outputs"))))
    words = sum(problem.words(space) for space in homes)
    residence = Residence(tuple((space, "L1") for space in sorted(homes)), (("L1", words),))
    found = retained_front(problem, machine, residence)
    assert found is not None
    for mapping, energy, cycles in zip(
        found.front.mappings, found.front.energy_pj.tolist(), found.front.cycles.tolist(), strict=True
    ):
        apart, uneven = taken_apart(problem, machine, mapping, homes)
        cost = evaluate(problem, apart, uneven)
        assert (cost.energy_pj.item(), cost.cycles.item()) == pytest.approx((energy, cycles), rel=1e-12)
        own = evaluate(problem, machine, mapping)
        assert (own.energy_pj.item(), own.cycles.item()) == pytest.approx((energy, cycles), rel=1e-12)
        walked, uneven_walk = count_accesses(problem, machine, mapping), count_accesses(problem, apart, uneven)
        assert [list(row) for row in walked.reads] == own.counts.reads.tolist()
        for at, space in enumerate(SPACES):  # as in the order of the problem's dataspaces
            name = problem.dataspaces[at].name
            for counted in ("reads", "fills", "updates"):
                even, parts = getattr(walked, counted), getattr(uneven_walk, counted)
                assert even[1][at] == parts[1][at] + parts[3][at], (name, counted)
                assert even[2][at] == parts[2][at] == (0 if name in homes else parts[2][at]), (space, counted)
        used = words + sum(tiles_of(problem, mapping, homes))
        tight = replace(machine, levels=(inner, replace(shared, capacity=used), machine.levels[2]))
        evaluate(problem, *taken_apart(problem, tight, mapping, homes))
        assert residence.holds(problem, tight, mapping)
        tight = replace(machine, levels=(inner, replace(shared, capacity=used - 1), machine.levels[2]))
        assert not residence.holds(problem, tight, mapping)
        with pytest.raises(InvalidMapping, match="there is room for"):
            evaluate(problem, *taken_apart(problem, tight, mapping, homes))


def tiles_of(problem: Problem, mapping: Mapping, homes: set[str]) -> list[int]:
    """Words of the tiles in L1 of all that is not retained."""
    extents = {}
    for d, dim in enumerate(problem.dimensions):
        extents[dim] = 1
        for at in range(2):
            extents[dim] *= mapping.temporal[at][d] * mapping.spatial_x[at][d] * mapping.spatial_y[at][d]
    found = []
    for space in problem.dataspaces:
        if space.name not in homes:
            words = 1
            for rank in space.projection:
                words *= 1 + sum(c * (extents[dim] - 1) for dim, c in rank)
            found.append(words)
    return found


def test_fronts_are_reused_where_all_their_points_fit() -> None:
    problem, machine = linear("fc", N=8, C=8, M=8).problem, generic()
    fronts = Fronts(machine)
    free = fronts.of(problem, Residence())
    room = machine.level("GlobalBuffer").usable_capacity
    assert fronts.of(problem, Residence((), (("GlobalBuffer", 1000),))) is free
    assert fronts.searched == 1
    crowded = Residence((), (("GlobalBuffer", int(room) - 10),))
    tight, alone = fronts.of(problem, crowded), retained_front(problem, machine, crowded)
    assert fronts.searched == 2
    assert tight is not None
    assert alone is not None
    assert tight.front.energy_pj.tolist() == alone.front.energy_pj.tolist()
    assert fronts.of(problem, Residence((), (("GlobalBuffer", int(room)),))) is None


def test_what_may_stay_and_where() -> None:
    network = get_graph("resnet18")
    tensors = tensors_of(network, eyeriss_like())
    graph = network.graph
    names = [graph.steps[tensor.steps[0]].layer for tensor in tensors]
    assert "conv1" not in names  # 802,816 words do not fit 55,296
    assert names[-1] == "mean"
    assert all(tensor.levels == ("shared_glb",) for tensor in tensors)
    add = next(at for at, step in enumerate(graph.steps) if step.layer == "layer4_add")
    assert all(
        tensor.steps != (add,) for tensor in tensors
    )  # the next sum reads it as "Weights", which pass the buffer
    (residual,) = (tensor for tensor in tensors_of(network, generic()) if tensor.steps == (add,))
    assert residual.words == (512 * 9 * 9,)  # with the padding of the convolution that reads it
    assert graph.steps[residual.ends].layer == "layer4_add"
    assert tensors_of(network, gemmini_like()) == ()  # one of its memories holds operands, the other results
    kept = Constraints(keep=(("DRAM", frozenset({"Inputs"})),))
    assert all("Inputs" not in {space for _, space in one.reads} for one in tensors_of(network, eyeriss_like(), kept))


def test_what_is_read_side_by_side_stays_together() -> None:
    one, other = (linear(name, N=4, C=2, M=width) for name, width in (("one", 2), ("other", 4)))
    joined = linear("joined", N=4, C=6, M=2)
    network = network_of([one, other, joined], [(0, 2, "Inputs"), (1, 2, "Inputs")])
    (tensor,) = tensors_of(network, generic())
    assert (tensor.steps, tensor.words, tensor.ends) == ((0, 1), (8, 16), 2)
    assert [tensor.words_at(step) for step in range(3)] == [8, 24, 24]
    plan = best_plan(network, generic(), "energy")
    assert plan is not None
    assert plan.residents == ((tensor, "GlobalBuffer"),)
    assert [residence.homes for residence in plan.residences] == [
        *((("Outputs", "GlobalBuffer"),), (("Outputs", "GlobalBuffer"),), (("Inputs", "GlobalBuffer"),)),
    ]


def test_what_is_not_covered_is_refused() -> None:
    layers = [linear("a", N=2, C=2, M=2), linear("b", N=2, C=2, M=2, count=1)]
    with pytest.raises(InvalidInput, match="network 'n' has no graph: it is not known which layer reads whose result"):
        best_plan(Network("n", tuple(layers)), generic())
    network = network_of([layers[0], linear("c", N=2, C=2, M=3)], [(0, 1, "Inputs")])
    with pytest.raises(InvalidInput, match="objective is 'power'; allowed: latency, energy, edp"):
        best_plan(network, generic(), "power")
    assert best_plan(network, generic(), limits=TotalLimits(power=1e-3)) is None
    assert best_plan(network, generic(), limits=TotalLimits(cycles=1.0)) is None


def test_fronts_cut_short_leave_a_bound_that_holds() -> None:
    layers = [conv2d("a", C=8, M=16, P=14, Q=14, R=3, S=3), conv2d("b", C=16, M=8, P=12, Q=12, R=3, S=3)]
    network = network_of(layers, [(0, 1, "Inputs")])
    whole = best_plan(network, generic())
    cut = best_plan(network, generic(), fronts=Fronts(generic(), batches=1))
    assert whole is not None
    assert cut is not None
    assert whole.proved
    assert not cut.proved
    least, found = whole.energy_pj * whole.cycles, cut.energy_pj * cut.cycles
    assert 0 < cut.lower <= least * (1 + 1e-9)
    assert least <= found * (1 + 1e-9)


def test_only_fronts_that_the_best_way_may_need_are_searched() -> None:
    widths = (32, 48, 24, 40, 32)
    layers = [linear(f"fc{i}", N=16, C=c, M=m) for i, (c, m) in enumerate(pairwise(widths))]
    network, machine = network_of(layers, [(i, i + 1, "Inputs") for i in range(3)]), generic()
    course, fronts = Course(network, machine, tensors_of(network, machine), (), ()).run(), Fronts(machine)
    cases = {(p.problem, p.residence.homes) for some in course.moves for move in some for p in move.parts}
    plan = best_plan(network, machine, fronts=fronts)
    assert plan is not None
    assert plan.proved
    assert plan.whole
    assert fronts.searched < len(cases) / 2
    every = Fronts(machine)
    for some in course.moves:
        for move in some:
            for part in move.parts:
                every.of(part.problem, part.residence)
    again = best_plan(network, machine, fronts=every)
    assert again is not None
    assert (again.energy_pj, again.cycles) == (plan.energy_pj, plan.cycles)
