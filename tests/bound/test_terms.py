"""Every term of a layer's convex program lies below the exact model, at every mapping of the node's class.

The truth is the exact cost model; which mappings belong to a node is decided here, from loop orders and factors.
"""

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco import networks
from dlco.bound.branch import split
from dlco.bound.geometric import Program, solve
from dlco.bound.modelled import Names, convex_problem
from dlco.bound.nodes import Node
from dlco.bound.program import Aim, draft
from dlco.bound.terms import LayerTerms
from dlco.bound.unit_costs import UnitCosts, unit_costs
from dlco.cost.model import evaluate_many
from dlco.hardware.architecture import Architecture
from dlco.hardware.presets import ARCHITECTURES, SPACES
from dlco.hardware.space import HardwareSpace, as_space
from dlco.mapping.mapping import MappingBatch
from dlco.mapping.mapspace import MapSpace
from dlco.workload import Layer

from .test_bound import architectures, layers

MARGIN = 1 + 1e-9


def belongs(model: LayerTerms, node: Node, factors: np.ndarray, order: np.ndarray) -> bool:
    """Whether a mapping, `[levels, 3, dims]` factors and `[levels, dims]` order, is in a node."""
    for level, decided in enumerate(node.orders):
        if decided is None:
            continue
        loops = [int(d) for d in order[level] if factors[level, 0, d] > 1]
        moving = any(d in model.spaces[t].relevant for t in decided.stationary for d in loops)
        if decided.empty:
            if loops:
                return False
            continue
        if loops:
            if any(loops[0] not in model.spaces[t].relevant for t in decided.cared - decided.stationary):
                return False
        elif decided.moves is not None:
            return False
        if decided.moves is not None and decided.moves != moving:
            return False
    for (d, position), (low, high) in node.extents:
        inner = prod(
            float(factors[level, 0, d] if kind == 0 else factors[level, 1:, d].prod())
            for level, kind in model.chain[d][: position + 1]
        )
        if not low <= inner <= high:
            return False
    for level, (low, high) in node.shared:
        (result,) = (t for t, space in enumerate(model.spaces) if space.read_write)
        shared = factors[level + 1 :, 1:][..., model.irrelevant(result)].prod()
        if not low <= shared <= high:
            return False
    return True


def point(model: LayerTerms, factors: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The columns of a mapping on a machine, all but the time."""
    x = np.zeros(model.n)
    for (level, kind, d), column in model.column.items():
        x[column] = np.log(factors[level, 0, d] if kind == 0 else factors[level, 1:, d].prod())
    x[model.sizes] = np.log(sizes)
    return x


def rows(program: Program, x: np.ndarray) -> np.ndarray:
    """The value of every row."""
    terms = np.exp(program.exponents @ x + program.logs)
    return np.bincount(program.row, terms, len(program.constant)) + program.linear @ x + program.constant


def check_below(
    layer: Layer, costs: UnitCosts, sizes: np.ndarray, batch: MappingBatch, energy: list, cycles: list, depth: int = 30
) -> int:
    """Walk with every mapping from the root to a leaf; returns how many programs were compared."""
    model = LayerTerms(layer.problem, costs, (float(np.mean(energy)) or 1.0, float(np.mean(cycles))))
    aims = [Aim(1.0, float(np.mean(energy) / np.mean(cycles)) or 1.0), Aim(0.0, 1.0), Aim(1.0, 0.0)]
    compared = 0
    for i in range(len(energy)):
        factors, order = batch.factors[i].numpy(), batch.order[i].numpy()
        x = point(model, factors, sizes)
        node, aim = Node((None,) * model.levels), aims[i % 3]
        for _ in range(depth):
            drafted = draft(model, node, aim)
            program = drafted.program
            x[-1] = 0.0
            needs = rows(program, x)
            assert np.abs(program.equal @ x - program.value).max(initial=0) < 1e-9
            timed = program.linear[1:, -1] < 0
            time = needs[1:][timed].max()
            assert time * model.scales[1] <= cycles[i] * MARGIN
            x[-1] = time
            assert (needs[1:][~timed] <= 1e-9).all()
            assert (x[:-1] >= program.low[:-1] - 1e-9).all()
            assert (x[:-1] <= program.high[:-1] + 1e-9).all()
            below = rows(program, x)[0] * drafted.scale
            exact = aim.energy * energy[i] + aim.time * cycles[i]
            assert below <= exact * MARGIN + 1e-9
            compared += 1
            solved = solve(program)
            if solved is None:
                break
            assert solved.bound * drafted.scale <= exact * (1 + 1e-6) + 1e-9
            children = split(model, node, drafted, solved)
            homes = [child for child in children if belongs(model, child, factors, order)]
            if children:
                assert homes, "the children do not cover their parent"
            if not homes:
                break
            node = homes[i % len(homes)]
    return compared


def drawn(layer: Layer, architecture: Architecture, seed: int, n: int) -> tuple[MappingBatch, list, list]:
    """Up to `n` random mappings that fit, with their energies and cycles."""
    space = MapSpace.of(layer.problem, architecture)
    if not len(space.primes):
        return space.batch(*space.random(0)), [], []

    def fits(batch: MappingBatch) -> torch.Tensor:
        return evaluate_many(layer.problem, architecture, batch).valid

    pairs = space.random_valid(n, torch.Generator().manual_seed(seed), fits, max_tries=50_000)
    batch = space.batch(*pairs)
    totals = evaluate_many(layer.problem, architecture, batch)
    return batch, totals.energy_pj.tolist(), totals.cycles.tolist()


@given(layers(), architectures(), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_programs_lie_below_the_exact_model(layer: Layer, architecture: Architecture, seed: int) -> None:
    batch, energy, cycles = drawn(layer, architecture, seed, 4)
    if energy:
        check_below(layer, unit_costs(as_space(architecture)), np.zeros(0), batch, energy, cycles)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_programs_of_real_layers_lie_below_the_exact_model(name: str) -> None:
    architecture, compared = ARCHITECTURES[name](), 0
    resnet, mobile = networks.resnet18(), networks.mobilenet_v2()
    for seed, layer in enumerate((resnet[0], resnet[2], resnet[3], resnet[7], mobile[1], mobile[4])):
        batch, energy, cycles = drawn(layer, architecture, seed, 2)
        if energy:
            compared += check_below(layer, unit_costs(as_space(architecture)), np.zeros(0), batch, energy, cycles)
    assert compared > 40


@pytest.mark.parametrize("name", SPACES)
def test_programs_of_a_space_lie_below_the_exact_model(name: str) -> None:
    space: HardwareSpace = SPACES[name]()
    sampled = space.sample(2, torch.Generator().manual_seed(1))
    costs = unit_costs(space)
    compared = 0
    for sizes, layer in zip(sampled, networks.resnet18()[2:4], strict=True):
        batch, energy, cycles = drawn(layer, space.architecture(sizes), 0, 2)
        if energy:
            compared += check_below(layer, costs, sizes.numpy(), batch, energy, cycles, depth=8)
    assert compared > 5


@pytest.mark.parametrize("name", ["eyeriss", "simba", "gemmini"])
def test_a_real_layer_has_the_optimum_that_cvxpy_returns(name: str) -> None:
    """The program of all mappings of a layer, fixed sizes and free ones, as cvxpy solves it."""
    layer = networks.resnet18()[4]
    space = SPACES[name]()
    for hardware in (as_space(ARCHITECTURES[name]()), space):
        model = LayerTerms(layer.problem, unit_costs(hardware), (1e9, 1e6))
        drafted = draft(model, Node((None,) * model.levels), Aim(1.0, 1e3))
        problem = convex_problem(drafted.program, Names.plain(drafted.program))
        problem.solve(solver="CLARABEL")
        solved = solve(drafted.program)
        assert solved is not None
        assert problem.status == "optimal"
        assert solved.bound <= problem.value * (1 + 1e-6)
        assert solved.bound == pytest.approx(problem.value, rel=1e-4)
