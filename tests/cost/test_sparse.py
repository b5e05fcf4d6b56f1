"""Zeros among operands: the cost model against the simulator, numbers, and the two chips that the definition is of."""

from dataclasses import fields, replace
from itertools import product

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dlco
from dlco.errors import InvalidInput, NotSupported
from dlco.hardware.eyeriss import eyeriss_chip
from dlco.mapping.row_stationary import row_stationary
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.simulate import Density, execute, simulate_timing
from dlco.simulate.links import links_of
from dlco.simulate.loopnest import LoopNest

from ..simulate.test_timing import timed
from .cases import DENSE, Case, block, conv, make_case, products

FEW = settings(max_examples=settings.default.max_examples // 4, suppress_health_check=[HealthCheck.too_slow])
shares = st.sampled_from((0.1, 0.5, 0.97, 1.0))
matmuls = products((1, 1), (1, 1))


@st.composite
def densities(draw: st.DrawFn) -> Density:
    zeros = draw(st.sampled_from(("skip", "gate")))
    overlap = draw(st.sampled_from((1.0, 0.8))) if zeros == "skip" else 1.0
    return Density(draw(shares), draw(shares), overlap, zeros, draw(st.booleans()))


def small() -> Case:
    near = block(t={"K": 4}, read_pj=1.0, write_pj=2.0, update_pj=3.0, read_bandwidth=2.0)
    return make_case(
        matmuls, "BMKN", near, block(t={"N": 3, "M": 2}, x={"M": 2}, kind="DRAM", read_pj=50.0), mac_pj=0.5
    )


@FEW
@given(drawn=timed(families=DENSE), density=densities())
def test_the_simulator_moves_the_words_that_are_expected(drawn, density: Density) -> None:
    case, model = drawn
    found = simulate_timing(case.problem, case.architecture, case.mapping, model, density)
    cost = dlco.evaluate(case.problem, case.architecture, case.mapping, CountingRules(model.restart), density=density)
    assert found.compute_cycles == pytest.approx(cost.compute_cycles.item())
    reads = cost.counts.reads.double().sum(-1).tolist()
    writes = (cost.counts.fills + cost.counts.updates).double().sum(-1).tolist()
    for link in links_of(LoopNest.of(case.problem, case.mapping, case.architecture), model.restart):
        if link.read_write:  # sums are read to be passed on, which no count of accesses has
            reads[link.child] += sum(link.drained(i) for i in range(link.transfers))
    moved = dict(zip(found.ports, found.timeline[-1, 2:].tolist(), strict=True))
    for i, level in enumerate(case.architecture.levels):
        both = reads[i] + writes[i]
        for port, words in ((f"{level.name} read", reads[i]), (f"{level.name} write", writes[i])):
            assert moved.get(port, words) == pytest.approx(words), port
        assert moved.get(f"{level.name} read and write", both) == pytest.approx(both)


@FEW
@given(drawn=timed(families=DENSE), density=densities())
def test_zeros_never_cost_more(drawn, density: Density) -> None:
    case, _ = drawn
    dense, thin = (
        dlco.evaluate(case.problem, case.architecture, case.mapping, density=one) for one in (Density(), density)
    )
    assert thin.energy_pj <= dense.energy_pj * (1 + 1e-12)
    assert thin.cycles <= dense.cycles
    assert thin.counts.tile.tolist() == dense.counts.tile.tolist()
    assert density.zeros == "skip" or thin.compute_cycles == dense.compute_cycles


def test_dense_is_what_it_was_to_the_last_bit() -> None:
    case = small()
    plain = dlco.evaluate(case.problem, case.architecture, case.mapping)
    for density in (Density(), Density(zeros="gate"), Density(compressed=False)):
        other = dlco.evaluate(case.problem, case.architecture, case.mapping, density=density)
        for item in fields(plain):
            if item.name != "counts":
                assert torch.equal(getattr(plain, item.name), getattr(other, item.name)), item.name
        for item in fields(plain.counts):
            ours = getattr(other.counts, item.name)
            assert torch.equal(getattr(plain.counts, item.name), ours)
            assert ours.dtype == torch.int64


def test_by_hand() -> None:
    """4 x 4 by 4 x 3 on two PEs: 48 MACs, 24 steps."""
    case = small()

    def cost(**options: object) -> dlco.Cost:
        return dlco.evaluate(case.problem, case.architecture, case.mapping, density=Density(**options))

    skip, gate = cost(activations=0.5, weights=0.25), cost(activations=0.5, weights=0.25, zeros="gate")
    assert (skip.mac_pj.item(), gate.mac_pj.item()) == (48 * 0.5 * 0.125, 48 * 0.5 * 0.5)
    assert (skip.compute_cycles.item(), gate.compute_cycles.item()) == (24 * 0.125, 24)
    names = [space.name for space in case.problem.dataspaces]
    inputs, weights = names.index("Inputs"), names.index("Weights")
    assert skip.counts.reads[0].tolist()[inputs] == 24 * 0.125
    assert gate.counts.reads[0].tolist()[inputs] == 24
    assert gate.counts.reads[0].tolist()[weights] == 24 * 0.5
    dense = dlco.evaluate(case.problem, case.architecture, case.mapping).counts
    for one in (skip, gate):
        assert one.counts.fills[0][weights] == dense.fills[0][weights] * (0.25 + 1 / 16)
        assert one.counts.reads[1][inputs] == dense.reads[1][inputs] * (0.5 + 1 / 16)
    loose = cost(activations=0.5, weights=0.25, compressed=False)
    assert loose.counts.fills.tolist() == dense.fills.tolist()
    assert cost(activations=0.97).counts.fills[0][inputs] == dense.fills[0][inputs]  # a mask would only add to it


def test_multiplications_with_zeros_average_to_the_share_that_is_done() -> None:
    """Over all patterns of zeros, each as likely as its densities make it: exactly the expectation."""
    case = make_case(matmuls, "BMKN", block(t={"K": 2}), block(t={"N": 2}))
    inputs, weights = 0.25, 0.5
    expected = 0.0
    for pattern in product((0, 1), repeat=2 + 4):
        operands = {
            "Inputs": torch.tensor(pattern[:2]).reshape(1, 1, 2),
            "Weights": torch.tensor(pattern[2:]).reshape(1, 2, 2),
        }
        chance = 1.0
        for bit, density in zip(pattern, (*[inputs] * 2, *[weights] * 4), strict=True):
            chance *= density if bit else 1 - density
        expected += chance * execute(case.problem, case.mapping, operands).effectual
    assert expected == case.problem.macs * Density(inputs, weights).macs(case.problem)


def test_even_patterns_do_what_is_expected() -> None:
    """Where every column of the one and every row of the other has as many zeros, exactly that share is done."""
    case = make_case(matmuls, "BMKN", block(t={"K": 4}), block(t={"N": 4, "M": 4}))
    inputs = torch.tensor([[(i + k) % 4 < 2 for k in range(4)] for i in range(4)]).int()[None]
    weights = torch.tensor([[(k + n) % 4 < 1 for n in range(4)] for k in range(4)]).int()[None]
    done = execute(case.problem, case.mapping, {"Inputs": inputs, "Weights": weights})
    assert done.macs == 64
    assert done.effectual == 64 * Density(0.5, 0.25).macs(case.problem)


def test_eyeriss_gates_as_its_chip_does() -> None:
    """A zero input is read; its MAC, its filter word and its sum are left alone."""
    layer = dlco.conv2d("conv", C=4, M=8, P=13, Q=13, R=3, S=3)
    machine = eyeriss_chip()
    mapping = row_stationary(layer.problem, machine, m=8, n=1, e=13, p=8, q=4, r=1, t=1)
    dense = dlco.evaluate(layer, machine, mapping)
    zeros = 0.375
    thin = dlco.evaluate(
        layer, machine, mapping, density=Density(activations=1 - zeros, zeros="gate", compressed=False)
    )
    gated = dense.mac_pj.item()
    for index, level in enumerate(machine.levels[:3]):
        for column, space in enumerate(layer.problem.dataspaces):
            if space.name != "Inputs" and space.name not in level.bypass:
                words = dense.counts.reads[index][column] + dense.counts.updates[index][column]
                gated += float(words * dense.counts.instances[index]) * level.read_pj
    assert thin.energy_pj.item() == pytest.approx(dense.energy_pj.item() - zeros * gated)
    assert thin.cycles == dense.cycles


def test_short_tiles_too() -> None:
    """The same shares of what the dense execution of factors beyond the bounds comes to."""
    near = block(t={"K": 4}, read_pj=1.0, write_pj=2.0, update_pj=3.0)
    far = block(t={"M": 3, "K": 2}, x={"M": 2}, kind="DRAM", read_pj=5.0)
    case = make_case(matmuls, "BMKN", near, far, mac_pj=0.5)
    problem = replace(case.problem, bounds=tuple({6: 5, 8: 7}.get(n, n) for n in case.problem.bounds))
    dense = dlco.evaluate(problem, case.architecture, case.mapping)
    density = Density(0.5, 0.25)
    thin = dlco.evaluate(problem, case.architecture, case.mapping, density=density)
    assert thin.mac_pj.item() == pytest.approx(dense.mac_pj.item() * 0.125)
    assert thin.compute_cycles.item() == pytest.approx(dense.compute_cycles.item() * 0.125)
    assert thin.counts.computes.item() == pytest.approx(problem.macs * 0.125)
    for s, space in enumerate(problem.dataspaces):
        moved = density.words(space, 16)
        for name, level, share in (
            ("reads", 0, 0.125),
            ("updates", 0, 0.125),
            ("fills", 0, moved),
            ("reads", 1, moved),
        ):
            whole, left = (getattr(one.counts, name)[level][s].item() for one in (dense, thin))
            assert left == pytest.approx(whole * share), (name, space.name)
    timing = simulate_timing(problem, case.architecture, case.mapping, density=density)
    assert timing.compute_cycles == pytest.approx(thin.compute_cycles.item())


def test_layers_without_weights() -> None:
    layer = dlco.workload.pool2d("pool", C=4, P=2, Q=2, R=2, S=2, stride=2)
    assert Density(0.5, 0.1).macs(layer.problem) == 0.5


def test_what_is_not_known() -> None:
    case, zeros = small(), Density(0.5)
    with pytest.raises(NotSupported, match="rules have neighbour_forwarding, and there are zeros"):
        dlco.evaluate(case.problem, case.architecture, case.mapping, TIMELOOP_RULES, density=zeros)
    with pytest.raises(InvalidInput, match="architecture is a Machine, of no word widths"):
        dlco.evaluate(case.problem, case.architecture.tensors(), case.mapping, density=zeros)
    with pytest.raises(InvalidInput, match=r"density is 0\.5; it must be a dlco.simulate.Density"):
        dlco.evaluate(case.problem, case.architecture, case.mapping, density=0.5)  # type: ignore[arg-type]
    cut = make_case(conv(), "CP", block(t={"P": 2}), block(t={"P": 2}))
    short = replace(cut.problem, bounds=tuple(3 if n == 4 else n for n in cut.problem.bounds))
    with pytest.raises(NotSupported, match="factors multiply to more than a bound, there are zeros, and rules are"):
        dlco.evaluate(short, cut.architecture, cut.mapping, CountingRules("timeloop"), density=zeros)
    with pytest.raises(InvalidInput, match="zeros of the density is 'jump'; allowed: skip, gate"):
        Density(zeros="jump")
    with pytest.raises(InvalidInput, match=r"overlap of the density is 0.8; where zeros gate, it must be 1"):
        Density(0.5, overlap=0.8, zeros="gate")
    with pytest.raises(InvalidInput, match="compressed of the density is 'yes'; it must be True or False"):
        Density(compressed="yes")  # type: ignore[arg-type]
