"""`solve` where what levels keep is a choice of each mapping."""

from dataclasses import replace
from itertools import combinations, product

import pytest

from dlco import Architecture, Budget, HardwareSpace, InvalidInput, Solution, conv2d, evaluate, matmul, networks, solve
from dlco.hardware import generic
from dlco.hardware.architecture import Level
from dlco.hardware.parameter import Parameter
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.mapping import Constraints
from dlco.optimize import enumerate_network, sensitivities
from dlco.optimize.effort import EFFORTS
from dlco.progress import Progress
from dlco.timeloop import read_mapping, write

TINY = [conv2d("conv", C=4, M=4, P=2, Q=1, R=3, S=1, count=2), matmul("mm", M=4, K=6, N=4)]
SMALL = Architecture(
    (
        Level("Registers", "regfile", capacity=6, read_pj=3.0, write_pj=3.0, update_pj=3.0, read_bandwidth=2.0),
        Level("Buffer", capacity=40, read_pj=5.0, write_pj=6.0, update_pj=6.0, fanout_x=3, fanout_y=2, leak_pj=0.5),
        Level("DRAM", "DRAM", read_pj=40.0, write_pj=40.0, update_pj=40.0, read_bandwidth=2.0),
    )
)
NAMES = ("Weights", "Inputs", "Outputs")


def every_bypass(machine: Architecture) -> list[Architecture]:
    """The machine with all that its levels but the outermost may bypass."""
    sets = [frozenset(out) for n in range(4) for out in combinations(NAMES, n)]
    names = [level.name for level in machine.levels[:-1]]
    return [machine.with_bypass(dict(zip(names, chosen, strict=True))) for chosen in product(sets, repeat=len(names))]


@pytest.mark.parametrize("objective", ["energy", "edp"])
def test_a_layer_is_mapped_to_the_best_of_all_bypasses(objective, tmp_path):
    layer = TINY[:1]
    listed = min(enumerate_network(layer, machine, objective).value for machine in every_bypass(SMALL))
    found = solve(layer, SMALL, objective, keep="free", checkpoint=tmp_path / "a.ckpt")
    assert (found.status, found.gap, found.keep) == ("solved", 0.0, "free")
    assert found.value == pytest.approx(listed, rel=1e-9)
    assert found.value <= solve(layer, SMALL, objective).value
    resumed = solve(layer, SMALL, objective, keep="free", resume=tmp_path / "a.ckpt")
    assert resumed.mappings == found.mappings


def test_a_network_keeps_what_suits_each_layer_within_limits():
    stated, found = (solve(TINY, SMALL, "energy", keep=keep) for keep in ("stated", "free"))
    assert found.value < stated.value
    assert len({mapping.bypass for mapping in found.mappings.values()} - {(frozenset(),) * 3}) > 0
    least = found.cost.energy_pj * 1e-12
    within = solve(TINY, SMALL, "latency", Budget(energy_j=least * 1.001), keep="free")  # out of reach as stated
    assert (within.status, within.keep) == ("solved", "free")
    with pytest.raises(InvalidInput, match="energy_j is"):
        solve(TINY, SMALL, "latency", Budget(energy_j=least * 0.01), keep="free")
    beyond = solve(
        TINY, SMALL, "latency", Budget(energy_j=least * 0.999), keep="free", effort=EFFORTS["low"], bound=False
    )
    assert beyond.status == "infeasible"


def test_a_level_without_room_for_all_may_be_bypassed():
    tight = replace(SMALL, levels=(replace(SMALL.levels[0], capacity=2), *SMALL.levels[1:]))
    with pytest.raises(InvalidInput, match="needs at least 3 there"):
        solve(TINY, tight)
    found = solve(TINY, tight, keep="free")
    assert found.gap == 0.0
    assert all(mapping.bypass[0] for mapping in found.mappings.values())


def test_it_is_saved_and_read_back(tmp_path):
    found = solve(TINY, SMALL, keep="free")
    found.save(tmp_path / "solution.json")
    assert Solution.load(tmp_path / "solution.json") == found
    data = found.to_dict()
    del data["keep"]  # as before there was a choice
    assert Solution.from_dict(data).keep == "stated"
    with pytest.raises(InvalidInput, match="keep of the solution is 'all'; allowed: stated, free"):
        Solution.from_dict(data | {"keep": "all"})


def test_timeloop_is_told_what_each_level_keeps(tmp_path):
    found = solve(TINY, SMALL, "energy", keep="free")
    for layer, folder in zip(TINY, write(found, tmp_path), strict=True):
        again = read_mapping(folder / "mapping.yaml", layer.problem, SMALL)
        assert again.bypass == found.mappings[layer.name].bypass
        cost = evaluate(layer, SMALL, again)
        assert cost.energy_pj.item() == pytest.approx(found.layer_costs[layer.name].energy_pj, rel=1e-12)
        assert cost.cycles.item() == found.layer_costs[layer.name].cycles


@pytest.mark.parametrize("asked", [{"imperfect": True}, {"effort": replace(EFFORTS["low"], exact=False)}])
def test_where_the_exact_search_does_not_answer_bypasses_are_searched(caplog, asked):
    stated, proved = solve(TINY[1:], SMALL), solve(TINY[1:], SMALL, keep="free")
    found = solve(TINY[1:], SMALL, keep="free", seed=1, **asked)
    assert (found.status, found.keep) == ("solved", "free")
    assert "what levels keep is searched for on the best machine alone" in caplog.text
    assert found.value < stated.value
    assert found.value <= proved.value * 1.02
    assert 0 < found.lower_bound <= proved.value
    assert any(any(mapping.bypass) for mapping in found.mappings.values())


def test_on_a_space_the_winner_keeps_what_it_likes(caplog):
    space = HardwareSpace(SMALL, (Parameter("Buffer", "fanout_x", (2, 3)),), TECHNOLOGY_45NM)
    found = solve(TINY[1:], space, "energy", keep="free", effort=EFFORTS["low"])
    assert "and not proved: the machine is free" in caplog.text
    assert found.value == solve(TINY[1:], found.architecture, "energy", keep="free").value
    assert 0 < found.lower_bound <= found.value


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_cut_short_it_returns_the_best_so_far_with_a_bound_that_holds(calls):
    layers, seen = networks.resnet18()[-3:], 0

    def stop(progress: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen >= calls:
            raise KeyboardInterrupt

    best = solve(layers, generic(), "edp", keep="free").value
    found = solve(layers, generic(), "edp", keep="free", progress=stop)
    assert found.status == "interrupted"
    assert best * (1 - 1e-12) <= found.value
    assert 0 < found.lower_bound <= best * (1 + 1e-12)


def test_what_does_not_search_it_says_so():
    with pytest.raises(InvalidInput, match="keep of the solution is 'free'"):
        sensitivities(solve(TINY, SMALL, keep="free"))


def test_a_constraint_on_what_a_level_keeps_leaves_no_choice_there():
    fixed = Constraints(keep=(("Registers", frozenset(NAMES)),), bypass=(("Buffer", frozenset({"Inputs"})),))
    stated, found = (solve(TINY, SMALL, keep=keep, constraints=fixed) for keep in ("stated", "free"))
    assert found.value == stated.value
    assert all(not mapping.bypass[0] for mapping in found.mappings.values())
