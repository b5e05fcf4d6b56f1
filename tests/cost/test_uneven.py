"""Uneven mappings: machines with memories taken apart, counted by the cost model and by the simulator."""

import random
from dataclasses import replace
from itertools import permutations

import pytest
import torch

from dlco import conv2d, depthwise_conv2d, evaluate, matmul
from dlco.cost.model import evaluate_many, evaluate_totals
from dlco.errors import InvalidInput, InvalidMapping, NotSupported
from dlco.hardware import HardwareSpace, generic, split
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping import Mapping, MapSpace
from dlco.simulate import count_accesses, execute

SPACES = ("Weights", "Inputs", "Outputs")


def machine(rng: random.Random) -> Architecture:
    """Register files, a shared buffer and memory, every figure of them at work."""
    pick = rng.choice

    def level(name: str, **fields: object) -> Level:
        costs = {key: rng.uniform(0.1, 9.0) for key in ("read_pj", "write_pj", "update_pj", "leak_pj")}
        speeds = {key: pick((0.5, 1.0, 2.0, 8.0)) for key in ("read_bandwidth", "write_bandwidth", "shared_bandwidth")}
        return Level(name, block_size=pick((1, 1, 2, 4)), area_um2=rng.uniform(1, 9), **costs, **speeds, **fields)

    x, y = pick(((2, 2), (4, 2), (3, 4)))
    return Architecture(
        (
            level("RF", capacity=pick((8, 30, 100))),
            level("GLB", capacity=pick((100, 400)), fanout_x=x, fanout_y=y),
            level("DRAM", kind="DRAM"),
        ),
        mac_pj=0.7,
    )


def layer(rng: random.Random):
    """A small layer."""
    pick = rng.choice
    kind = rng.random()
    if kind < 0.25:
        return matmul("mm", M=pick((2, 4, 6)), K=pick((2, 4, 8)), N=pick((2, 3, 4)))
    dims = {"C": pick((1, 2, 4)), "P": pick((1, 2, 4)), "Q": pick((1, 2, 3)), "R": pick((1, 2, 3)), "S": pick((1, 2))}
    if kind < 0.4:
        return depthwise_conv2d("dw", **dims, stride=pick((1, 2)))
    return conv2d("conv", M=pick((1, 2, 3)), **dims, stride=pick((1, 1, 2)), dilation=pick((1, 1, 2)))


def crossed(rng: random.Random, whole: Architecture) -> Architecture:
    """Both memories taken apart, parts in any turns that leave the register files inside for each dataspace."""
    order = [(level, space) for space in SPACES for level in ("RF", "GLB")]
    rng.shuffle(order)
    first: dict[str, int] = {}
    order = [("RF" if first.setdefault(space, i) == i else "GLB", space) for i, (_, space) in enumerate(order)]
    return split(whole, order, {"GLB": "Inputs"})


def even(mapping: Mapping, apart: Architecture, whole: Architecture) -> Mapping:
    """An even mapping on the machine taken apart: all loops of a memory in its innermost part."""
    names = [level.name for level in whole.levels]
    ones = (1,) * len(mapping.dimensions)

    def rows(table: tuple, empty: tuple) -> tuple:
        found = []
        for i, level in enumerate(apart.levels):
            own = table[names.index(level.memory or level.name)]
            found.append(own if apart.parts[i] == i else empty)
        return tuple(found)

    return Mapping(
        mapping.dimensions,
        tuple(level.name for level in apart.levels),
        rows(mapping.temporal, ones),
        rows(mapping.spatial_x, ones),
        rows(mapping.spatial_y, ones),
        rows(mapping.order, mapping.dimensions),
        rows(mapping.spatial_order, mapping.dimensions),
        (frozenset(),) * len(apart.levels),
    )


def draw(problem, architecture, seed: int, n: int):
    space = MapSpace.of(problem, architecture)
    return space.batch(*space.random(n, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("seed", range(12))
def test_even_mappings_cost_the_same_to_the_last_digit(seed):
    rng = random.Random(seed)
    work, whole = layer(rng), machine(rng)
    orders = rng.sample(list(permutations(SPACES)), 2)
    apart = split(whole, [("RF", s) for s in orders[0]])
    apart = split(apart, [("GLB", s) for s in orders[1]])
    assert (apart.area_mm2, apart.memory_bits, apart.macs) == (whole.area_mm2, whole.memory_bits, whole.macs)
    batch = draw(work.problem, whole, seed, 60)
    for i in range(60):
        mapping = batch.mapping(i)
        embedded = even(mapping, apart, whole)
        try:
            here = evaluate(work, whole, mapping)
        except InvalidMapping:
            with pytest.raises(InvalidMapping):
                evaluate(work, apart, embedded)
            continue
        there = evaluate(work, apart, embedded)
        assert there.energy_pj.item() == here.energy_pj.item()
        assert there.cycles.item() == here.cycles.item()
        assert there.access_pj.sum(0) == pytest.approx(here.access_pj.sum(0), rel=1e-12)
        assert there.leak_pj.sum().item() == pytest.approx(here.leak_pj.sum().item(), rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_the_simulator_counts_uneven_mappings_alike(seed):
    rng = random.Random(100 + seed)
    work, whole = layer(rng), machine(rng)
    wide = {"fanout_x": 64, "fanout_y": 64}
    whole = replace(
        whole, levels=tuple(replace(lv, capacity=1e6, **wide if lv.name == "GLB" else {}) for lv in whole.levels)
    )
    apart = crossed(rng, whole)
    batch = draw(work.problem, apart, seed, 12)
    operands = {
        space.name: torch.randint(-4, 5, space.box(work.problem.sizes), generator=torch.Generator().manual_seed(seed))
        for space in work.problem.dataspaces
        if not space.read_write
    }
    dense = not any(len(rank) > 1 for space in work.problem.dataspaces for rank in space.projection)
    want = None
    for i in range(12):
        mapping = batch.mapping(i)
        cost, walked = evaluate(work, apart, mapping), count_accesses(work, apart, mapping)
        for name in ("reads", "fills", "updates"):
            assert getattr(cost.counts, name).tolist() == [list(row) for row in getattr(walked, name)], (mapping, name)
        assert cost.counts.instances.tolist() == list(walked.instances)
        done = execute(work, mapping, operands, apart)
        want = done.outputs if want is None else want
        assert all(torch.equal(done.outputs[name], want[name]) for name in want)
        if dense and work.name == "mm":  # on numbers the counts are those of words that tiles really exchange
            total = [[n * k for n in row] for row, k in zip(walked.fills, walked.instances, strict=True)]
            assert [[a <= b for a, b in zip(x, y, strict=True)] for x, y in zip(done.traffic.fills, total, strict=True)]


def test_tiles_of_all_parts_fit_the_memory_together_and_share_its_ports():
    work = matmul("mm", M=4, K=4, N=4)
    whole = Architecture((Level("RF", capacity=20, read_bandwidth=1.0), Level("DRAM", "DRAM")))
    apart = split(whole, [("RF", s) for s in SPACES])
    ones, order = (1, 1, 1, 1), work.problem.dimensions

    def nest(*temporal):
        levels = tuple(level.name for level in apart.levels)
        keeps = (frozenset(),) * 4
        return Mapping(order, levels, temporal, (ones,) * 4, (ones,) * 4, (order,) * 4, (order,) * 4, keeps)

    fits = nest(ones, (1, 4, 1, 1), (1, 1, 1, 4), (1, 1, 4, 1))  # weights 1, inputs 4, outputs 16: too many by one
    with pytest.raises(InvalidMapping, match=r"tile at RF needs 21 words .* room for 20"):
        evaluate(work, apart, fits)
    cost = evaluate(work, apart, nest(ones, (1, 2, 1, 1), (1, 1, 1, 4), (1, 2, 4, 1)))
    reads = cost.counts.reads[:3].sum().item()
    assert cost.cycles.item() == reads  # one word a cycle, whichever part it is of
    assert cost.port_cycles[:3, 0].tolist() == [reads] * 3


def test_batches_and_real_factors_agree_with_single_mappings():
    rng = random.Random(7)
    work, whole = conv2d("c", C=4, M=4, P=4, Q=4, R=3, S=3), machine(rng)
    apart = crossed(rng, whole)
    batch = draw(work.problem, apart, 0, 40)
    totals = evaluate_many(work.problem, apart, batch)
    several = evaluate(work, apart, batch)
    assert torch.equal(totals.energy_pj, several.energy_pj)
    assert torch.equal(totals.overflow <= 0, several.valid)
    some = batch.select(0)
    factors = (some.factors + 0.01).requires_grad_()
    cost = evaluate(work, apart, replace(some, factors=factors))
    (slope,) = torch.autograd.grad(cost.energy_pj + cost.cycles, factors)
    assert torch.isfinite(slope).all()
    assert slope.abs().sum() > 0


def test_what_cannot_be_is_refused():
    whole = generic()
    weights, inputs = [("RegisterFile", "Weights"), ("RegisterFile", "Inputs"), ("RegisterFile", "Outputs")], "Inputs"
    apart = split(whole, weights)
    with pytest.raises(InvalidInput, match="part of 'RegisterFile' already"):
        split(apart, [("RegisterFile_Weights", "Weights")])
    with pytest.raises(InvalidInput, match="'Inputs' twice"):
        split(whole, [("RegisterFile", inputs), ("RegisterFile", ("Weights", inputs))])
    with pytest.raises(InvalidInput, match="no dataspace"):
        split(whole, [("RegisterFile", ())])
    with pytest.raises(InvalidInput, match="no part of that level"):
        split(whole, weights, {"GlobalBuffer": "Weights"})
    with pytest.raises(InvalidInput, match="leaves out 'GlobalBuffer'"):
        split(whole, [("RegisterFile", "Weights"), ("DRAM", "Weights"), ("RegisterFile", "Inputs")])
    with pytest.raises(InvalidInput, match="capacity of level 'b' is 3"):
        Architecture((Level("a", capacity=2, memory="m"), Level("b", capacity=3, memory="m")))
    with pytest.raises(InvalidInput, match="area_um2 of level 'b' is 1"):
        Architecture((Level("a", memory="m"), Level("b", area_um2=1.0, memory="m")))
    with pytest.raises(InvalidInput, match="fan-outs of a, b are above 1"):
        Architecture((Level("a", fanout_x=2, memory="m"), Level("b", fanout_x=2, memory="m")))
    work = conv2d("c", C=2, M=2, P=2, Q=2, R=3, S=3)
    turns = [("RegisterFile", "Outputs"), ("GlobalBuffer", "Outputs"), ("RegisterFile", "Inputs")]
    turns += [("GlobalBuffer", "Inputs"), ("RegisterFile", "Weights"), ("GlobalBuffer", "Weights")]
    across = split(whole, turns)
    assert across.crosses
    with pytest.raises(NotSupported, match="Inputs has windows"):
        evaluate(work, across, draw(work.problem, across, 0, 1).mapping(0))
    order = [("RegisterFile", ("Outputs", "Weights")), ("GlobalBuffer", SPACES), ("RegisterFile", "Inputs")]
    backwards = split(whole, order)
    with pytest.raises(InvalidMapping, match="RegisterFile_Inputs outside GlobalBuffer"):
        evaluate(work, backwards, draw(work.problem, backwards, 0, 1).mapping(0))
    twice = split(whole, [("RegisterFile", "Weights"), ("RegisterFile", "Inputs")])
    with pytest.raises(InvalidMapping, match="Outputs is kept by RegisterFile_Weights and RegisterFile_Inputs; one"):
        evaluate(work, twice, draw(work.problem, twice, 0, 1).mapping(0))


def test_spaces_of_machines_and_timeloop_have_no_parts():
    import dlco
    from dlco.hardware import Parameter
    from dlco.timeloop import write_architecture

    apart = split(generic(), [("RegisterFile", s) for s in SPACES])
    with pytest.raises(NotSupported, match="part of 'RegisterFile'; Timeloop has no levels that share"):
        write_architecture(apart)
    with pytest.raises(InvalidInput, match="sizes of parts are fixed"):
        HardwareSpace(apart, (Parameter("RegisterFile_Weights", "capacity", (16, 32)),))
    turns = [("RegisterFile", "Outputs"), ("GlobalBuffer", "Outputs"), ("RegisterFile", ("Inputs", "Weights"))]
    across = split(generic(), [*turns, ("GlobalBuffer", ("Inputs", "Weights"))])
    with pytest.raises(NotSupported, match="uneven"):
        dlco.solve([matmul("mm", M=4, K=4, N=4)], across)


def test_batch_totals_take_positions_by_mapping():
    rng = random.Random(3)
    work, whole = matmul("mm", M=4, K=4, N=4), machine(rng)
    apart = crossed(rng, whole)
    batch = draw(work.problem, apart, 1, 5)
    from dlco.cost.nest import positions
    from dlco.cost.shape import compile_problem
    from dlco.mapping.kept import kept_table

    kept = kept_table(work.problem, apart, batch.bypass)
    totals = evaluate_totals(
        compile_problem(work.problem), apart.tensors(), kept, batch.factors, positions(batch.order)
    )
    assert torch.equal(totals.energy_pj, evaluate(work, apart, batch).energy_pj)
