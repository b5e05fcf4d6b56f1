"""`solve(fuse=True)`: the plan of `dlco.fusion` as a solution that can be checked, saved, drawn and simulated."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

import dlco
from dlco.design.resident import Resident
from dlco.errors import InvalidInput, NotSupported
from dlco.exact import MachineEffort
from dlco.hardware import Architecture, HardwareSpace, Parameter, eyeriss_space, generic
from dlco.optimize import Budget, SolveEffort, sensitivities
from dlco.progress import Progress
from dlco.report import plot_residents, solution_page, solution_text
from dlco.search.local_search import Effort
from dlco.workload import Edge, Graph, Network, Step, get_graph

from ..efforts import EVOLUTION


@pytest.fixture(scope="module")
def network() -> Network:
    """A feed-forward layer twice, so that one layer runs under two mappings."""
    layers = (dlco.linear("up", N=16, C=16, M=32, count=2), dlco.linear("down", N=16, C=32, M=16, count=2))
    steps = tuple(map(Step, ("up", "down", "up", "down")))
    edges = tuple(Edge(at, at + 1, "Inputs") for at in range(3))
    return Network("mlp", layers, Graph(steps, edges, frozenset({3})))


@pytest.fixture(scope="module")
def fused(network: Network) -> dlco.Solution:
    return dlco.solve(network, hardware=generic(), fuse=True)


def test_nothing_goes_to_dram_that_need_not(network: Network, fused: dlco.Solution) -> None:
    assert fused.status == "solved"
    assert fused.gap is not None
    assert fused.proof.startswith("no choice of results that stay whole is better; the bound holds for all tilings of")
    assert 0 <= fused.gap < 0.2  # of chains in tiles it is known what they need at least, not what the best needs
    assert [(one.level, one.words, one.first, one.last, one.reads) for one in fused.residents] == [
        ("GlobalBuffer", 512, 0, 1, ((1, "Inputs"),)),
        ("GlobalBuffer", 256, 1, 2, ((2, "Inputs"),)),
        ("GlobalBuffer", 512, 2, 3, ((3, "Inputs"),)),
    ]
    assert sum(layer.count for layer in fused.layers) == len(fused.course) == 4
    assert [name.partition("_")[0] for name in fused.course] == ["up", "down", "up", "down"]
    assert len(set(fused.course)) == 4  # the first reads from DRAM, the last writes to it
    plain = dlco.solve(network, hardware=generic())
    dram = generic().level("DRAM")
    saved = 2 * (512 + 256 + 512) * dram.read_pj / dram.block_size  # written and read, both at the cost of a read there
    assert plain.cost.energy_pj - fused.cost.energy_pj > 0.9 * saved
    assert fused.cost.cycles <= plain.cost.cycles


def test_it_is_saved_and_read_and_lies_are_found_out(fused: dlco.Solution) -> None:
    data = fused.to_dict()
    assert dlco.Solution.from_dict(data) == fused
    assert "course" not in dlco.solve([dlco.linear("fc", C=4, M=4)], hardware=generic()).to_dict()
    with pytest.raises(InvalidInput, match="mapping of step 0 of the solution has Outputs in GlobalBuffer; with its r"):
        dlco.Solution.from_dict(data | {"residents": data["residents"][1:]})
    crowded = [dict(data["residents"][0], words=65_530), *data["residents"][1:]]
    with pytest.raises(
        InvalidInput, match=r"65530 words retained in GlobalBuffer and \d+ of tiles; there is room for 65536"
    ):
        dlco.Solution.from_dict(data | {"residents": crowded})
    small = [dict(data["residents"][0], words=5), *data["residents"][1:]]
    with pytest.raises(InvalidInput, match="resident of the solution has 5 words; Outputs of step 0 has 512"):
        dlco.Solution.from_dict(data | {"residents": small})
    with pytest.raises(InvalidInput, match="course of the solution runs layer 'up' 2 times; its count is 1"):
        dlco.Solution.from_dict(data | {"course": ["up", "down", "up", "down"]})
    with pytest.raises(InvalidInput, match="it must be read between these, and there are 4 steps"):
        dlco.Solution.from_dict(data | {"residents": [dict(data["residents"][0], last=4)]})


def test_it_is_shown(fused: dlco.Solution) -> None:
    assert "On the chip\nresult of  from step  to step  stays in      words  read by" in solution_text(fused)
    page = solution_page(fused)
    assert "What stays on the chip, step by step" in page
    assert len(plot_residents(fused).axes) == 1
    with pytest.raises(InvalidInput, match="nothing stays on the chip in this solution"):
        plot_residents(replace(fused, residents=()))
    assert "up" in str(fused.simulate(["up"]))
    with pytest.raises(NotSupported, match="Timeloop runs layers one by one"):
        dlco.timeloop.write(fused, "never")
    with pytest.raises(InvalidInput, match="sensitivities are of layers one by one"):
        sensitivities(fused)


def test_limits_hold_or_are_said_to_be_broken(network: Network, fused: dlco.Solution) -> None:
    least = dlco.solve(network, hardware=generic(), objective="energy", fuse=True)
    assert least.cost.energy_pj <= fused.cost.energy_pj
    within = Budget(energy_j=1.0001 * least.cost.energy_j)
    fast = dlco.solve(network, hardware=generic(), objective="latency", budget=within, fuse=True)
    assert fast.status == "solved"
    assert fast.cost.latency_s >= fused.cost.latency_s
    broken = dlco.solve(
        network, hardware=generic(), objective="latency", budget=Budget(energy_j=0.999 * least.cost.energy_j), fuse=True
    )
    assert broken.status == "infeasible"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"imperfect": True}, "fuse is True and imperfect is given"),
        ({"keep": "free"}, "fuse is True and keep 'free' is given"),
        ({"uneven": True}, "fuse is True and uneven is given"),
        ({"objective": "power"}, "objective is power; allowed: latency, energy, edp"),
        ({"objective": "area", "hardware": eyeriss_space()}, "objective is area; allowed"),
        ({"budget": Budget(layer_latency_s=9.0)}, "budget has layer_latency_s"),
        ({"fuse": 1}, "fuse is 1; it must be True or False"),
    ],
)
def test_what_it_does_not_cover_is_refused(network: Network, options: dict, what: str) -> None:
    with pytest.raises((InvalidInput, NotSupported), match=what):
        dlco.solve(network, **{"hardware": generic(), "fuse": True} | options)


def test_a_list_does_not_say_who_reads_what(network: Network) -> None:
    with pytest.raises(InvalidInput, match="layers does not say which layer reads whose result"):
        dlco.solve(list(network), hardware=generic(), fuse=True)
    with pytest.raises(InvalidInput, match="fuse is True, which pareto does not search"):
        dlco.pareto(network, hardware=generic(), x="energy", y="latency", fuse=True)


def test_steps_in_a_row_shift_the_places_of_later_ones() -> None:
    layers = (
        dlco.linear("loop", N=2, C=4, M=4, count=3),
        dlco.linear("a", N=4, C=8, M=4),
        dlco.linear("b", N=4, C=4, M=4),
    )
    steps = (Step("loop", 3), Step("a"), Step("b"))
    network = Network("n", layers, Graph(steps, (Edge(1, 2, "Inputs"),), frozenset({0, 2})))
    found = dlco.solve(network, hardware=generic(), fuse=True)
    assert found.course == ("loop", "loop", "loop", "a", "b")
    assert found.residents == (Resident("GlobalBuffer", 16, 3, 4, ((4, "Inputs"),)),)


def test_a_network_with_a_graph_is_solved_as_its_list() -> None:
    network = get_graph("alexnet", macs_only=True)
    one, other = (
        dlco.solve(layers, hardware=generic(), objective="latency") for layers in (network[:1], list(network)[:1])
    )
    assert one.mappings == other.mappings


BRIEF = SolveEffort(
    starts=1,
    relax_rounds=1,
    survey=2,
    evolution=EVOLUTION,
    machines=1,
    steps=1,
    fit=Effort(rounds=6),
    step=Effort(rounds=2),
    polishes=1,
    tiles=12,
    boxes=MachineEffort(boxes=3),
)


@pytest.fixture(scope="module")
def pair() -> Network:
    """A map of 16,384 words between two convolutions."""
    layers = (
        dlco.conv2d("wide", C=2, M=64, P=16, Q=16, R=1, S=1),
        dlco.conv2d("narrow", C=64, M=2, P=16, Q=16, R=3, S=1),
    )
    return Network("pair", layers, Graph((Step("wide"), Step("narrow")), (Edge(0, 1, "Inputs"),), frozenset({1})))


@pytest.fixture(scope="module")
def tiled(pair: Network) -> dlco.Solution:
    """On a machine with a buffer of 4,096 words."""
    return dlco.solve(pair, hardware=small_buffer(), fuse=True, effort=SolveEffort(tiles=12))


def small_buffer() -> Architecture:
    levels = generic().levels
    return replace(generic(), levels=(levels[0], replace(levels[1], capacity=4096), levels[2]))


def test_what_runs_tile_by_tile_is_said_saved_and_checked(tiled: dlco.Solution) -> None:
    (chain,) = tiled.chains
    assert (chain.first, chain.last, chain.level) == (0, 1, "GlobalBuffer")
    assert len(tiled.course) == 2
    assert {layer.name.partition("_")[0] for layer in tiled.layers} == {"wide", "narrow"}
    whole = sum(problem.macs for problem in chain.chain.problems)
    assert tiled.cost.energy_pj > 0
    assert sum(layer.macs * layer.count for layer in tiled.layers) >= whole
    assert tiled.gap is not None
    assert 0 <= tiled.gap < 1
    assert "tilings of chains" in tiled.proof
    data = json.loads(json.dumps(tiled.to_dict()))
    assert dlco.Solution.from_dict(data) == tiled
    text = solution_text(tiled)
    assert "Tile by tile\nsteps" in text
    assert "What stays on the chip, step by step" in solution_page(tiled)
    with pytest.raises(NotSupported, match="Timeloop runs layers one by one"):
        dlco.timeloop.write(tiled, "never")
    (saved,) = data["chains"]
    other = {"cut": [["P", 16]], "halo": "kept", "weights": "streamed"}
    for lie, what in (
        ({"tiling": other}, "parts of the chain at step 0 are|must be a layer of bounds"),
        ({"tiling": saved["tiling"] | {"halo": "lost"}}, "halo of the tiling is 'lost'"),
        ({"first": 1}, "chain of the solution has steps 1 to 2; the course has 2"),
        ({"level": "RegisterFile"}, "with its residents it is in RegisterFile|words retained"),
        ({"parts": saved["parts"][::-1]}, "must be a layer of bounds"),
    ):
        with pytest.raises(InvalidInput, match=what):
            dlco.Solution.from_dict(data | {"chains": [saved | lie]})
    with pytest.raises(InvalidInput, match=r"course of the solution runs layer|mapping of step"):
        dlco.Solution.from_dict(data | {"chains": []})


def test_tiles_are_better_than_what_stays_whole(tiled: dlco.Solution) -> None:
    (chain,) = tiled.chains
    layers = [
        replace(dlco.linear("l", C=1, M=1), name=n, problem=p) for n, p in zip("ab", chain.chain.problems, strict=True)
    ]
    apart = dlco.solve(layers, hardware=small_buffer())
    assert tiled.cost.edp < 0.9 * apart.cost.edp
    assert tiled.lower_bound is not None
    assert tiled.lower_bound <= tiled.cost.edp


def test_a_limit_on_power_holds(network: Network, fused: dlco.Solution) -> None:
    power = 0.9999 * fused.cost.power_w
    within = dlco.solve(network, hardware=generic(), budget=Budget(power_w=power), fuse=True)
    assert within.lower_bound is not None
    assert within.lower_bound <= within.cost.edp
    assert "no choice of results that stay whole is better" not in within.proof
    if within.status == "solved":
        assert fused.cost.edp <= within.cost.edp
        assert within.cost.power_w <= power * (1 + 1e-9)


SMALL = HardwareSpace(
    generic(),
    (
        Parameter("GlobalBuffer", "fanout_x", (4, 8)),
        Parameter("GlobalBuffer", "capacity", (1024, 2048, 4096, 16384)),
        Parameter("RegisterFile", "capacity", (64, 256)),
    ),
)


def test_the_machine_is_sized_with_it(pair: Network) -> None:
    within = Budget(area_mm2=0.6)
    steps: list[Progress] = []
    found = dlco.solve(pair, hardware=SMALL, fuse=True, effort=BRIEF, budget=within, progress=steps.append)
    assert found.status == "solved"
    assert found.space == SMALL
    assert found.cost.area_mm2 <= 0.6
    assert found.chains or found.residents
    assert found.lower_bound is not None
    assert 0 < found.lower_bound <= found.cost.edp
    assert "on all 16 machines" in found.proof
    assert all(later.done >= step.done - 1e-9 for step, later in pairwise(steps))
    assert [step.bound for step in steps if step.bound]
    assert dlco.Solution.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert "What stays on the chip, step by step" in solution_page(found)
    again = dlco.solve(pair, hardware=SMALL, fuse=True, effort=BRIEF, budget=within, bound=False)
    assert again.lower_bound is None
    assert again.cost.edp >= found.cost.edp  # that of the least bound is not searched for
    once_more = dlco.solve(pair, hardware=SMALL, fuse=True, effort=BRIEF, budget=within)
    assert (once_more.architecture, once_more.mappings) == (found.architecture, found.mappings)


def test_sizing_is_interrupted_at_any_time(pair: Network) -> None:
    for phase in ("explore", "bound"):

        def stop(progress: Progress, phase: str = phase) -> None:
            if progress.phase == phase:
                raise KeyboardInterrupt

        found = dlco.solve(pair, hardware=SMALL, fuse=True, effort=BRIEF, progress=stop)
        assert found.status == "interrupted"
        assert bool(found.course) == (phase != "explore")
        assert found.lower_bound is None or found.lower_bound <= found.cost.edp


def test_interrupted_it_brings_back_the_best_so_far(network: Network) -> None:
    def stop(progress: Progress) -> None:
        if progress.best is not None:
            raise KeyboardInterrupt

    found = dlco.solve(network, hardware=generic(), fuse=True, progress=stop)
    assert found.status == "interrupted"
    assert found.lower_bound is None
    assert sum(layer.count for layer in found.layers) == len(found.course) == 4
    assert dlco.Solution.from_dict(found.to_dict()) == found

    def at_once(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dlco.solve(network, hardware=generic(), fuse=True, progress=at_once)
