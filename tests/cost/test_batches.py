"""Many mappings and many machines at once cost what each costs alone, and names and layouts do not matter."""

from collections.abc import Sequence
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.cost.cost import Cost, Totals
from dlco.cost.model import evaluate, evaluate_many, evaluate_totals
from dlco.cost.nest import positions
from dlco.cost.shape import compile_problems
from dlco.errors import InvalidMapping
from dlco.hardware.architecture import Architecture, Level, Machine
from dlco.mapping import MapSpace
from dlco.mapping.checks import check_mapping
from dlco.mapping.kept import kept_table
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.mapping.rules import RESTARTS, TIMELOOP_RULES, CountingRules
from dlco.workload import Dataspace, Layer, Problem, conv2d, depthwise_conv2d, matmul, transposed_conv2d

from .cases import Case, cases

LAYERS = [
    conv2d("strided", C=4, M=8, P=6, Q=4, R=3, S=3, stride=2),
    conv2d("dilated", C=4, M=8, P=6, Q=4, R=3, S=3, dilation=2),
    conv2d("grouped", C=4, M=8, P=6, Q=4, R=3, S=3, groups=2),
    depthwise_conv2d("depthwise", C=8, P=6, Q=4, R=3, S=3),
    transposed_conv2d("transposed", C=4, M=4, H=4, W=4, R=3, S=3, stride=2),
    matmul("matmul", B=2, M=8, K=12, N=6),
]
by_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)


def hierarchy() -> Architecture:
    """Three levels with every number of a machine in play; capacities that some mappings exceed."""
    return Architecture(
        levels=(
            Level("RF", capacity=60, read_pj=1, write_pj=1.5, update_pj=1.25, leak_pj=0.01, read_bandwidth=2),
            Level(
                "GLB",
                capacity=700,
                block_size=4,
                multiple_buffering=2,
                read_pj=6,
                write_pj=7,
                update_pj=8,
                leak_pj=0.5,
                area_um2=100,
                fanout_x=8,
                fanout_y=4,
                shared_bandwidth=5,
            ),
            Level("DRAM", block_size=8, read_pj=200, write_pj=220, update_pj=230, read_bandwidth=1, write_bandwidth=1),
        ),
        mac_pj=0.5,
        mac_area_um2=7,
    )


def random_batch(layer: Layer, count: int, seed: int = 0) -> MappingBatch:
    space = MapSpace.of(layer.problem, hierarchy())
    return space.batch(*space.random(count, torch.Generator().manual_seed(seed)))


def assert_same(one: Cost | Totals, other: Cost | Totals) -> None:
    """All fields alike, nested ones too, to the last digits; counts of single mappings are integers."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, torch.Tensor):
            torch.testing.assert_close(a, b, rtol=1e-13, atol=0, msg=field.name, check_dtype=False)
        else:
            assert_same(a, b)


def pick(cost: Cost, *index: int) -> Cost:
    """One entry of a batched cost."""
    counts = replace(cost.counts, **{f.name: getattr(cost.counts, f.name)[index] for f in fields(cost.counts)})
    tensors = {f.name: getattr(cost, f.name)[index] for f in fields(cost) if f.name != "counts"}
    return replace(cost, counts=counts, **tensors)


class TestMappings:
    @pytest.mark.parametrize("restart", RESTARTS)
    @by_layer
    def test_batch_equals_one_at_a_time(self, layer: Layer, restart: str) -> None:
        rules = CountingRules(restart)
        batch = random_batch(layer, 12)
        together = evaluate(layer, hierarchy(), batch, rules)
        for i in range(12):
            assert_same(pick(together, i), evaluate(layer, hierarchy().tensors(), batch.mapping(i), rules))

    def test_forwarding_batch_equals_one_at_a_time(self) -> None:
        batch = random_batch(LAYERS[0], 12)
        together = evaluate(LAYERS[0], hierarchy(), batch, TIMELOOP_RULES)
        for i in range(12):
            assert_same(pick(together, i), evaluate(LAYERS[0], hierarchy().tensors(), batch.mapping(i), TIMELOOP_RULES))

    @pytest.mark.parametrize("restart", RESTARTS)
    @by_layer
    def test_fixed_order_equals_arbitrary_order(self, layer: Layer, restart: str) -> None:
        rules = CountingRules(restart)
        batch = random_batch(layer, 64)
        same = replace(batch, order=batch.order[:1].expand_as(batch.order))
        strange = replace(
            batch,
            factors=torch.cat([batch.factors, batch.factors[:1]]),
            order=torch.cat([same.order, same.order[:1].flip(-1)]),  # one other order makes the batch a mixed one
            spatial_order=batch.spatial_order[:1].expand(65, -1, -1),
        )
        fixed = evaluate_many(layer.problem, hierarchy(), same, rules)
        mixed = evaluate_many(layer.problem, hierarchy(), strange, rules)
        full = evaluate(layer, hierarchy(), same, rules)
        for name in ("cycles", "energy_pj", "valid"):
            expected = getattr(full, name)
            torch.testing.assert_close(getattr(fixed, name), expected, rtol=1e-13, atol=0)
            torch.testing.assert_close(getattr(mixed, name)[:64], expected, rtol=1e-13, atol=0)

    @by_layer
    def test_many_equals_evaluate_whatever_the_chunk_and_the_layout(self, layer: Layer) -> None:
        batch = random_batch(layer, 50)
        turned = replace(batch, factors=batch.factors.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2))
        full = evaluate(layer, hierarchy(), batch)
        assert 0 < int(full.valid.sum()) < 50
        for chunk in (1, 7, 50, 1000):
            for layout in (batch, turned):
                totals = evaluate_many(layer.problem, hierarchy(), layout, chunk=chunk)
                assert torch.equal(totals.cycles, full.cycles)
                assert torch.equal(totals.valid, full.valid)
                torch.testing.assert_close(totals.energy_pj, full.energy_pj, rtol=1e-13, atol=0)

    def test_leading_dimensions_of_any_number(self) -> None:
        batch = random_batch(LAYERS[0], 6)
        folded = replace(
            batch,
            factors=batch.factors.unflatten(0, (2, 3)),
            order=batch.order.unflatten(0, (2, 3)),
            spatial_order=batch.spatial_order.unflatten(0, (2, 3)),
        )
        flat, cube = evaluate(LAYERS[0], hierarchy(), batch), evaluate(LAYERS[0], hierarchy(), folded)
        assert cube.energy_pj.shape == cube.cycles.shape == (2, 3)
        assert cube.counts.reads.shape == (2, 3, 3, 3)
        for i in range(6):
            assert_same(pick(cube, i // 3, i % 3), pick(flat, i))

    def test_single_precision_stays_single(self) -> None:
        batch = random_batch(LAYERS[0], 8)
        double = evaluate(LAYERS[0], hierarchy(), batch)
        single = evaluate(LAYERS[0], hierarchy(), replace(batch, factors=batch.factors.float()))
        assert single.energy_pj.dtype == torch.float32
        torch.testing.assert_close(single.energy_pj.double(), double.energy_pj, rtol=1e-5, atol=0)


def stacked(machines: Sequence[Architecture]) -> Machine:
    """Machines as one batch `[len(machines)]`."""
    rows = [machine.tensors() for machine in machines]
    return Machine(**{f.name: torch.stack([getattr(row, f.name) for row in rows]) for f in fields(Machine)})


def resized(scale: float) -> Architecture:
    """The hierarchy with other sizes."""
    small = hierarchy()
    levels = tuple(
        replace(
            lv,
            capacity=lv.capacity * scale,
            read_pj=lv.read_pj * scale,
            leak_pj=lv.leak_pj / scale,
            shared_bandwidth=lv.shared_bandwidth / scale,
            area_um2=lv.area_um2 * scale,
            fanout_x=max(1, int(lv.fanout_x * scale)),
            block_size=max(1, int(lv.block_size * scale)),
        )
        for lv in small.levels
    )
    return replace(small, levels=levels, mac_pj=small.mac_pj * scale)


class TestMachines:
    machines = tuple(resized(scale) for scale in (0.5, 1.0, 2.0))

    def test_one_mapping_on_many_machines(self) -> None:
        mapping = random_batch(LAYERS[0], 1).mapping(0)
        many = evaluate(LAYERS[0], stacked(self.machines), mapping)
        assert many.energy_pj.shape == many.area_mm2.shape == (3,)
        for i, machine in enumerate(self.machines):
            assert_same(pick(many, i), evaluate(LAYERS[0], machine.tensors(), mapping))

    def test_each_mapping_on_its_own_machine(self) -> None:
        batch = random_batch(LAYERS[0], 3)
        paired = evaluate(LAYERS[0], stacked(self.machines), batch)
        for i, machine in enumerate(self.machines):
            assert_same(pick(paired, i), evaluate(LAYERS[0], machine.tensors(), batch.mapping(i)))

    def test_all_pairs_of_machines_and_mappings(self) -> None:
        batch = random_batch(LAYERS[0], 5)
        machines = stacked(self.machines)
        machines = Machine(**{f.name: getattr(machines, f.name).unsqueeze(1) for f in fields(Machine)})
        grid = evaluate(LAYERS[0], machines, batch)
        assert grid.cycles.shape == grid.valid.shape == grid.utilization.shape == (3, 5)
        for i, machine in enumerate(self.machines):
            alone = evaluate(LAYERS[0], machine.tensors(), batch)
            for j in range(5):
                assert_same(pick(grid, i, j), pick(alone, j))


MIXTURES = {
    "conv": [
        conv2d("plain", C=4, M=8, P=6, Q=4, R=3, S=3),
        conv2d("strided", C=6, M=4, P=4, Q=4, R=3, S=3, stride=2),
        conv2d("pointwise", C=16, M=8, P=4, Q=4, R=1, S=1),
        conv2d("strided pointwise", C=8, M=8, P=2, Q=2, R=1, S=1, stride=2),
        conv2d("dilated", C=2, M=2, P=8, Q=8, R=3, S=5, dilation=2, stride=(1, 3)),
        conv2d("dense", C=24, M=10, P=1, Q=1, R=1, S=1),
    ],
    "transposed": [
        transposed_conv2d("strided", C=4, M=4, H=4, W=4, R=3, S=3, stride=2),
        transposed_conv2d("gaps", C=4, M=8, H=4, W=2, R=1, S=1, stride=3),
        transposed_conv2d("plain", C=2, M=8, H=4, W=6, R=3, S=3),
    ],
}


@pytest.mark.parametrize("restart", RESTARTS)
@pytest.mark.parametrize("layers", MIXTURES.values(), ids=MIXTURES.keys())
def test_layers_of_one_shape_run_as_one_batch(layers: list[Layer], restart: str) -> None:
    rules = CountingRules(restart)
    shape = compile_problems([layer.problem for layer in layers])
    batches = [random_batch(layer, 8) for layer in layers]
    machine = hierarchy().tensors()
    kept = kept_table(layers[0].problem, None, [frozenset[str]()] * 3)
    for way in ("layers first", "layers shuffled in"):
        if way == "layers first":
            index = torch.arange(len(layers))[:, None]
            factors = torch.stack([batch.factors for batch in batches])
            order = torch.stack([batch.order for batch in batches])
        else:
            index = torch.arange(len(layers)).repeat(8)
            factors = torch.stack([batch.factors for batch in batches], dim=1).flatten(0, 1)
            order = torch.stack([batch.order for batch in batches], dim=1).flatten(0, 1)
        together = evaluate_totals(shape.select(index), machine, kept, factors, positions(order), rules)
        for i, (layer, batch) in enumerate(zip(layers, batches, strict=True)):
            alone = evaluate(layer, hierarchy(), batch, rules)
            rows = i if way == "layers first" else slice(i, None, len(layers))
            for name in ("cycles", "energy_pj", "valid"):
                torch.testing.assert_close(getattr(together, name)[rows], getattr(alone, name), rtol=1e-13, atol=0)


def permuted(case: Case, dims: Sequence[int], spaces: Sequence[int]) -> Case:
    """The same case with the problem's dimensions and dataspaces listed in another order."""
    problem, mapping = case.problem, case.mapping

    def columns(table: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(row[d] for d in dims) for row in table)

    names = tuple(problem.dimensions[d] for d in dims)
    bounds = tuple(problem.bounds[d] for d in dims)
    turned = Problem(names, bounds, tuple(problem.dataspaces[s] for s in spaces))
    factors = {name: columns(getattr(mapping, name)) for name in ("temporal", "spatial_x", "spatial_y")}
    return Case(turned, case.architecture, replace(mapping, dimensions=names, **factors))


class TestInvariance:
    @given(case=cases(), data=st.data())
    def test_order_in_which_a_problem_lists_its_parts(self, case: Case, data: st.DataObject) -> None:
        dims = data.draw(st.permutations(range(len(case.problem.dimensions))))
        spaces = data.draw(st.permutations(range(3)))
        other = permuted(case, dims, spaces)
        for restart in RESTARTS:
            here, there = (
                evaluate(c.problem, c.architecture, c.mapping, CountingRules(restart)).counts for c in (case, other)
            )
            for name in ("reads", "fills", "updates", "partition", "tile"):
                assert torch.equal(getattr(here, name)[:, spaces], getattr(there, name)), name

    @given(case=cases())
    def test_names_of_dimensions_and_ranks_do_not_matter(self, case: Case) -> None:
        rename = {d: f"dimension {i}" for i, d in enumerate(case.problem.dimensions)}
        spaces = tuple(
            Dataspace(
                s.name, tuple(tuple((rename[d], c) for d, c in rank) for rank in reversed(s.projection)), s.read_write
            )
            for s in case.problem.dataspaces
        )
        problem = Problem(tuple(rename.values()), case.problem.bounds, spaces)
        orders = {
            name: tuple(tuple(rename[d] for d in row) for row in getattr(case.mapping, name))
            for name in ("order", "spatial_order")
        }
        mapping = replace(case.mapping, dimensions=problem.dimensions, **orders)
        here = evaluate(case.problem, case.architecture, case.mapping)
        assert_same(here, evaluate(problem, case.architecture, mapping))

    @given(case=cases())
    def test_axes_are_alike_without_forwarding(self, case: Case) -> None:
        mapping = replace(case.mapping, spatial_x=case.mapping.spatial_y, spatial_y=case.mapping.spatial_x)
        machine = case.architecture.tensors()
        turned = replace(machine, fanout_x=machine.fanout_y, fanout_y=machine.fanout_x)
        assert_same(evaluate(case.problem, machine, case.mapping), evaluate(case.problem, turned, mapping))

    @given(case=cases())
    def test_a_level_that_keeps_nothing_and_loops_over_nothing_costs_nothing(self, case: Case) -> None:
        names = frozenset(space.name for space in case.problem.dataspaces)
        inner, ones = case.architecture.levels[0], (1,) * len(case.problem.dimensions)
        mapping = case.mapping
        grown = Mapping(
            dimensions=mapping.dimensions,
            levels=(inner.name, "empty", *mapping.levels[1:]),
            bypass=(mapping.bypass[0], names, *mapping.bypass[1:]),
            order=(mapping.order[0], *mapping.order),
            spatial_order=(mapping.spatial_order[0], *mapping.spatial_order),
            **{
                name: (getattr(mapping, name)[0], ones, *getattr(mapping, name)[1:])
                for name in ("temporal", "spatial_x", "spatial_y")
            },
        )
        levels = (inner, Level("empty", read_pj=1, write_pj=1, update_pj=1), *case.architecture.levels[1:])
        machine = replace(case.architecture, levels=levels)
        small, large = evaluate(case.problem, case.architecture, mapping), evaluate(case.problem, machine, grown)
        rest = [0, *range(2, len(levels))]
        for name in ("reads", "fills", "updates"):
            table = getattr(large.counts, name)
            assert torch.equal(table[rest], getattr(small.counts, name)), name
            assert not table[1].any(), name
        assert large.energy_pj == small.energy_pj
        assert large.cycles == small.cycles


class TestValidity:
    @given(case=cases(), data=st.data())
    def test_valid_is_what_the_checks_accept(self, case: Case, data: st.DataObject) -> None:
        words = evaluate(case.problem, case.architecture, case.mapping).counts.tile.sum(-1).tolist()
        levels = []
        for level, needed in zip(case.architecture.levels, words, strict=True):
            buffering = data.draw(st.sampled_from((1.0, 1.5, 2.0)))
            slack = data.draw(st.sampled_from((-1, 0, 0, 0.5, 7)))
            fanout = {
                axis: max(1, getattr(level, axis) + data.draw(st.sampled_from((-1, 0, 0, 0, 1))))
                for axis in ("fanout_x", "fanout_y")
            }
            capacity = max(1.0, (needed + slack) * buffering)
            levels.append(replace(level, capacity=capacity, multiple_buffering=buffering, **fanout))
        machine = replace(case.architecture, levels=tuple(levels))
        try:
            check_mapping(case.problem, machine, case.mapping)
            fits = True
        except InvalidMapping:
            fits = False
        batch = MappingBatch.stack([case.mapping])
        assert evaluate(case.problem, machine, batch).valid.tolist() == [fits]

    def test_factors_that_do_not_multiply_to_the_bounds(self) -> None:
        layer, batch = LAYERS[0], random_batch(LAYERS[0], 4)
        c = layer.problem.dimensions.index("C")
        batch.factors[1:, :, :, c] = 1
        for i, (inner, outer) in enumerate(((3, 2), (3, 1), (3, 3)), start=1):  # of 4 channels
            batch.factors[i, 0, 0, c], batch.factors[i, 2, 0, c] = inner, outer
        cost = evaluate(layer, Architecture((*map(bare, hierarchy().levels),)), batch)
        assert cost.valid.tolist() == [True, True, False, False]  # perfect, imperfect, too few and too many


def bare(level: Level) -> Level:
    """The level without limits."""
    return Level(level.name, fanout_x=level.fanout_x * 64, fanout_y=level.fanout_y * 64)
