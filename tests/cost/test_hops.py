"""Energy of words over meshes under Timeloop's rules: its own figures, counts that are checked elsewhere, and by hand.

That hops are those of the links of every route is checked step by step in `test_executed`.
"""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco.cost.hops import without_meshes
from dlco.cost.model import evaluate, evaluate_many
from dlco.errors import InvalidInput, NotSupported
from dlco.hardware import Mesh, Network
from dlco.hardware.architecture import Architecture
from dlco.mapping.rules import DEFAULT_RULES, TIMELOOP_RULES, CountingRules
from dlco.workload.density import Density

from .cases import SPACES, Case, block, cases, conv, make_case

TIMELOOP = CountingRules("timeloop")


def meshed(machine: Architecture, **meshes: Mesh) -> Architecture:
    """The machine with meshes inside the levels of these names."""
    levels = []
    for level in machine.levels:
        if level.name in meshes:
            network = meshes[level.name].network(level.fanout_x, level.fanout_y, level.word_bits)
            level = replace(level, network=network)
        levels.append(level)
    return replace(machine, levels=tuple(levels))


def over(case: Case, level: str, mesh: Mesh, rules: CountingRules = TIMELOOP) -> dict[str, float]:
    """pJ by dataspace over the mesh inside a level."""
    machine = meshed(case.architecture, **{level: mesh})
    cost = evaluate(case.problem, machine, case.mapping, rules)
    assert cost.energy_pj.item() == pytest.approx(
        evaluate(case.problem, case.architecture, case.mapping, rules).energy_pj.item() + cost.wire_pj.sum().item()
    )
    names = [space.name for space in case.problem.dataspaces]
    return dict(zip(names, cost.wire_pj[machine.index(level)].tolist(), strict=True))


def test_a_multicast_as_timeloop_printed_it() -> None:
    """Recorded of timeloop-model: 24 words of 16 bits to six children in a row, 0.5 mm apart, 0.1 pJ a bit and mm."""
    case = make_case(conv(), "CMP", block(), block(x={"M": 6}, t={"C": 4, "P": 6}), block())
    spent = over(case, "GLB", Mesh(hop_pj=16 * 0.5 * 0.1, router_pj=2.0))
    assert spent["Inputs"] == pytest.approx(24 * 5 * 0.8 + 24 * (1 + 5) * 2)  # 384 pJ
    assert spent["Weights"] == pytest.approx(144 * 2.5 * 0.8 + 144 * (1 + 2) * 2)


def test_partial_sums_of_a_bypassed_level_as_timeloop_printed_them() -> None:
    """Recorded of timeloop-model: 144 ingresses of the network of DRAM, which cannot add; 96 of the buffer's."""
    case = make_case(conv(), "CMP", block(), block(x={"P": 4}, t={"M": 12, "C": 2}, bypass="Outputs"), block())
    mesh = Mesh(ingress_pj=1.0)
    assert over(case, "DRAM", replace(mesh, both_ways=True))["Outputs"] == 2 * 96 - 48
    assert over(case, "DRAM", mesh)["Outputs"] == over(case, "GLB", mesh)["Outputs"] == 96


@pytest.mark.parametrize(
    ("x", "loops", "inputs", "outputs"), [("C", "RKC", 18432, 1024), ("K", "RKC", 1152, 16384)], ids=["cp", "kp"]
)
def test_ingresses_of_published_runs(x: str, loops: str, inputs: int, outputs: int) -> None:
    """Exercise 04 of Accelergy-Project/timeloop-accelergy-exercises (2020): its timeloop-model.stats.txt, Network 1."""
    sizes = {"R": 3, "M": 32, "C": 2} if x == "C" else {"R": 3, "M": 2, "C": 32}
    spatial = {"C": 16} if x == "C" else {"M": 16}
    case = make_case(conv(), "CMRP", block(t={"P": 16}), block(x=spatial, t=sizes), block())
    spent = over(case, "GLB", Mesh(ingress_pj=1.0))
    assert spent == {"Weights": 3072, "Inputs": inputs, "Outputs": outputs}


@pytest.mark.parametrize(
    ("x", "y", "one", "every"), [(16, 1, 7.5, 15), (8, 2, 4.0, 7 + 8 * 0.5 * 2), (1, 5, 1.2, 4), (3, 4, 2.0, 2 + 3 * 3)]
)
def test_mean_hops_of_a_full_grid(x: int, y: int, one: float, every: float) -> None:
    """One child on average (7.5 and 4.0 are what a run of Timeloop on such grids reports), and all of them."""
    case = make_case(conv(), "CMP", block(), block(x={"M": x}, y={"P": y}, t={"C": 2}), block())
    spent = over(case, "GLB", Mesh(hop_pj=1.0))
    assert spent["Outputs"] == pytest.approx(x * y * one)
    spread = make_case(conv(), "CM", block(), block(x={"M": x * y}, t={"C": 2}, fanout_x=x, fanout_y=y), block())
    spread = replace(spread, mapping=replace(spread.mapping, spatial_x=_only(spread, x), spatial_y=_only(spread, y)))
    assert over(spread, "GLB", Mesh(hop_pj=1.0))["Inputs"] == pytest.approx(2 * every)
    network = Mesh(hop_pj=1.0).network(x, y, 1)
    assert network.reach_pj + network.step_pj == pytest.approx(one)
    assert network.reach_pj + x * y * network.step_pj == pytest.approx(every)


def _only(case: Case, factor: int) -> tuple[tuple[int, ...], ...]:
    """Factors of the buffer's children along one axis: all of M."""
    row = tuple(factor if dim == "M" else 1 for dim in case.problem.dimensions)
    return tuple(row if level == "GLB" else (1,) * len(row) for level in case.mapping.levels)


def test_rows_of_columns_have_a_network_each() -> None:
    """Four columns of three, as levels that keep nothing: weights stay for five steps, all else comes at each."""
    nothing = {"capacity": 0, "bypass": " ".join(SPACES)}
    case = make_case(
        conv(), "CMP", block(), block(y={"C": 3}, **nothing), block(x={"M": 4}, **nothing), block(t={"P": 5}), block()
    )
    rows, columns = (over(case, level, Mesh(hop_pj=1.0)) for level in ("L1", "L2"))
    assert rows == pytest.approx({"Weights": 4 * 2, "Inputs": 4 * 5 * 2, "Outputs": 4 * 5 * 2})
    assert columns == pytest.approx({"Weights": 12 * 1.5, "Inputs": 15 * 3, "Outputs": 20 * 1.5})
    ingresses = over(case, "L3", Mesh(ingress_pj=1.0))
    assert ingresses == {"Weights": 12, "Inputs": 15, "Outputs": 20}


def test_words_from_neighbours_take_a_hop_and_two_routers() -> None:
    """Six of the inputs come from neighbours; the six that the buffer serves lie at distances 0 to 3."""
    case = make_case(conv(), "RP", block(), block(x={"P": 4}, t={"R": 3}), block())
    mesh = Mesh(hop_pj=1.0, router_pj=100.0)
    served = [0, 1, 2, 3, 3, 3]  # the first tile of each, then the last of them alone
    hops = sum(served[:4]) + sum(served[4:])
    routers = 4 * (1 + 1) + 2 * (1 + 3)  # four at once: 1.5 hops on average
    assert over(case, "GLB", mesh, TIMELOOP_RULES)["Inputs"] == hops + 6 + 100 * (routers + 6 * 2)
    assert over(case, "GLB", mesh)["Inputs"] == 3 * 6 + 100 * 12 * 2


@given(case=cases(), both_ways=st.booleans())
@settings(max_examples=60, deadline=None)
def test_ingresses_are_the_words_that_a_level_serves(case: Case, both_ways: bool) -> None:
    """The counts come from closed formulas, the ingresses from the steps."""
    if case.problem.macs > 20000:
        return
    mesh = Mesh(ingress_pj=1.0, both_ways=both_ways)
    machine = meshed(case.architecture, **{level.name: mesh for level in case.architecture.levels})
    cost = evaluate(case.problem, machine, case.mapping, TIMELOOP)
    counts = cost.counts
    for level, bypass in enumerate(case.mapping.bypass):
        for s, name in enumerate(SPACES):
            if name in bypass:
                continue
            instances, ours = counts.instances[level].item(), cost.wire_pj[level, s].item()
            words = counts.reads[level, s].item()
            if case.problem.dataspaces[s].read_write:
                words = counts.updates[level, s].item()
                part = counts.partition[level, s].item()
                if both_ways and ours:  # taken off once for each number of children that are served at once
                    records = (2 * words - ours / instances) / part
                    assert records == pytest.approx(max(1, round(records)), abs=2 / part)
                    continue
            assert ours == pytest.approx(words * instances, abs=0.5 * instances)  # counts are rounded


def test_a_batch_is_counted_mapping_by_mapping() -> None:
    case = make_case(conv(), "CMP", block(), block(x={"M": 4}, t={"C": 2, "P": 3}), block())
    other = make_case(conv(), "CMP", block(t={"C": 2}), block(x={"P": 3}, t={"M": 4}, fanout_x=4), block())
    machine = meshed(case.architecture, GLB=Mesh(0.7, 0.3, 0.1))
    batch = type(case.mapping.batch()).stack([case.mapping, other.mapping])
    together = evaluate(case.problem, machine, batch, TIMELOOP_RULES)
    for i, mapping in enumerate((case.mapping, other.mapping)):
        alone = evaluate(case.problem, machine, mapping, TIMELOOP_RULES)
        assert together.energy_pj[i].item() == alone.energy_pj.item()
        assert together.wire_pj[i].tolist() == alone.wire_pj.tolist()


def test_imperfect_factors_are_counted_too() -> None:
    """Seven of eight rows in two runs: the last run has one child less, and its words fewer hops."""
    case = make_case(conv(), "M", block(), block(x={"M": 4}, t={"M": 2}), block())
    bounds = tuple(7 if dim == "M" else 1 for dim in case.problem.dimensions)
    cut = replace(case, problem=replace(case.problem, bounds=bounds))
    assert over(cut, "GLB", Mesh(hop_pj=1.0))["Outputs"] == (0 + 1 + 2 + 3) + (0 + 1 + 2)


def test_other_rules_count_reach_and_step() -> None:
    case = make_case(conv(), "CMP", block(), block(x={"M": 4}, t={"C": 2, "P": 3}), block())
    machine = meshed(case.architecture, GLB=Mesh(0.7, 0.3, 0.1))
    network = machine.level("GLB").network
    assert network is not None
    plain = meshed(case.architecture)
    plain = replace(plain, levels=tuple(replace(lv, network=None) for lv in plain.levels))
    wired = replace(
        plain,
        levels=tuple(
            replace(lv, network=Network(None, network.reach_pj, network.step_pj)) if lv.name == "GLB" else lv
            for lv in plain.levels
        ),
    )
    for rules in (DEFAULT_RULES, CountingRules("overlap"), CountingRules("refetch", True)):
        ours, theirs = (evaluate(case.problem, one, case.mapping, rules).energy_pj for one in (machine, wired))
        assert ours.item() == theirs.item()
    assert not without_meshes(machine).is_meshed


def test_what_has_no_hops_is_refused() -> None:
    case = make_case(conv(), "CMP", block(), block(x={"M": 4}, t={"C": 2, "P": 3}), block())
    machine = meshed(case.architecture, GLB=Mesh(1.0))
    batch = case.mapping.batch()
    with pytest.raises(InvalidInput, match="hops over meshes are counted of integer factors only"):
        evaluate(case.problem, machine, replace(batch, factors=batch.factors * 1.5), TIMELOOP)
    with pytest.raises(NotSupported, match="there are zeros"):
        evaluate(case.problem, machine, case.mapping, TIMELOOP, density=Density(weights=0.5))
    with pytest.raises(NotSupported, match="only evaluate\\(\\) counts their hops"):
        evaluate_many(case.problem, machine, replace(batch, factors=batch.factors[None]), TIMELOOP)
    parts = replace(
        machine, levels=(replace(machine.levels[0], memory="one"), *machine.levels[1:]), memories=("GLB", "one", "DRAM")
    )
    assert parts.is_split
    with pytest.raises(NotSupported, match="memories are in parts, and networks are meshes"):
        evaluate(case.problem, parts, case.mapping, TIMELOOP)
    for change, sentence in (
        ({"kind": "tree"}, "mesh of a network of kind 'tree' is"),
        ({"mesh": 3}, "mesh of a network of kind None is 3"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            Network(**{"mesh": Mesh(1.0)} | change)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="hop_pj of a mesh is -1"):
        Mesh(-1)
    assert torch.equal(
        evaluate(case.problem, machine, case.mapping.batch(), DEFAULT_RULES).cycles,
        evaluate(case.problem, machine, case.mapping, TIMELOOP).cycles,
    )
