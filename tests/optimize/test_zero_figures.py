"""Machines without energies or areas, or with extreme ones: every search still orders by its objective."""

from dataclasses import replace
from math import inf, isfinite

import pytest
import torch

from dlco import Budget, SolveEffort, matmul, solve
from dlco.bound import BoundEffort, lower_bound
from dlco.design.objective import OBJECTIVES
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Level
from dlco.optimize import FrontEffort, pareto
from dlco.search import imperfect as imperfect_search
from dlco.search.local_search import Effort
from dlco.search.score import Score, choose, rate_of
from dlco.search.table import merit_of
from dlco.workload import Layer

from ..exhaustive import every_choice, optimum

LONGER = Effort(rounds=60, patience=20, population=4, neighbours=16, islands=2)
BRIEF = SolveEffort(
    starts=1, relax_rounds=1, roundings=2, polishes=0, fit=LONGER, bound=BoundEffort(nodes=20, side=5, rounds=1)
)
ENERGIES = ("read_pj", "write_pj", "update_pj", "leak_pj")


def priced(machine: Architecture, scale: float, mac: float = 0.0, leak: float | None = None) -> Architecture:
    """The machine with its energies times a factor, other ones of MACs and, if given, of leakage; without areas."""
    levels = [replace(x, area_um2=0.0, **{name: getattr(x, name) * scale for name in ENERGIES}) for x in machine.levels]
    if leak is not None:
        levels = [replace(level, leak_pj=leak) for level in levels]
    return replace(machine, levels=tuple(levels), mac_pj=mac, mac_area_um2=0.0)


CASES = {
    "none": (0.0,),
    "MACs alone": (0.0, 1.0),
    "leakage alone": (0.0, 0.0, 0.25),
    "no leakage": (1.0, 0.0, 0.0),
    "tiny": (1e-300,),
    "huge": (1e12,),
}
ASKED = [(case, objective) for case in CASES for objective in OBJECTIVES if case != "none" or objective == "latency"]


@pytest.mark.parametrize(("case", "objective"), ASKED)
def test_the_best_of_all_mappings_is_found(
    case: str, objective: str, machine: Architecture, product_layer: Layer
) -> None:
    hardware = priced(machine, *CASES[case])
    found = solve([product_layer], hardware, objective, effort=BRIEF)
    assert found.value == pytest.approx(optimum([product_layer], hardware, objective), rel=1e-9)
    assert found.lower_bound is None or found.lower_bound <= found.value * (1 + 1e-9)
    assert found.gap is None or 0 <= found.gap + 1e-9 <= 1


def test_without_any_cost_the_faster_mapping_is_taken(machine: Architecture, product_layer: Layer) -> None:
    """All areas are 0, and all energies."""
    hardware = priced(machine, 0.0)
    fastest = min(choice.cycles for choice in every_choice([product_layer], hardware))
    found = solve([product_layer], hardware, "area", effort=BRIEF)
    assert (found.cost.cycles, found.value) == (fastest, 0.0)
    assert replace(found, lower_bound=0.0).gap == 0.0


def test_a_question_about_energy_where_nothing_costs_any_is_refused(
    machine: Architecture, product_layer: Layer
) -> None:
    with pytest.raises(InvalidInput, match="has no energies"):
        solve([product_layer], priced(machine, 0.0), "energy", effort=BRIEF)
    with pytest.raises(InvalidInput, match="has no energies"):
        solve([product_layer], priced(machine, 0.0), "latency", Budget(power_w=1.0), effort=BRIEF)


@pytest.mark.parametrize("case", CASES)
def test_imperfect_factors_are_searched_for_the_objective(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """13 x 7 x 5 on 4 x 4 children: what covers them best takes the same cycles, whatever energy costs."""
    monkeypatch.setattr(imperfect_search, "EFFORT", Effort(rounds=60, population=8, neighbours=32, islands=2))
    levels = (
        Level("RF", kind="regfile", capacity=32, read_pj=0.3, write_pj=0.3, update_pj=0.3, leak_pj=0.01),
        Level("Buffer", capacity=4096, read_pj=6, write_pj=6, update_pj=6, fanout_x=4, fanout_y=4),
        Level("DRAM", kind="DRAM", read_pj=100, write_pj=100, update_pj=100),
    )
    layer = matmul("prime", M=13, K=5, N=7)
    found = solve([layer], priced(Architecture(levels), *CASES[case]), "latency", effort=BRIEF, imperfect=True)
    assert found.cost.cycles <= 4 * 2 * 5  # 13 rows four at a time, 7 columns four at a time


def test_a_front_without_energies_has_one_point(machine: Architecture, product_layer: Layer) -> None:
    """Where MACs alone cost some, all mappings cost the same, and the fastest is the only one that counts."""
    hardware = priced(machine, 0.0, mac=1.0)
    effort = FrontEffort(ends=BRIEF, points=BRIEF)
    front = pareto([product_layer], hardware, "latency", "energy", points=3, effort=effort)
    fastest = min(choice.latency_s for choice in every_choice([product_layer], hardware))
    assert [point.values for point in front.points] == [(pytest.approx(fastest), 2.0 * product_layer.macs)]


def test_leakage_alone_is_bounded(machine: Architecture, product_layer: Layer) -> None:
    """Not by 0, the energy of the words and MACs that no mapping avoids."""
    hardware = priced(machine, 0.0, leak=0.25)
    best = optimum([product_layer], hardware, "energy")
    proved = lower_bound([product_layer], hardware, "energy", effort=BoundEffort(nodes=100, side=20)).value
    assert 0.3 * best < proved <= best * (1 + 1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e-20, 1.0, 1e290])
def test_scores_and_merits_order_by_the_objective(objective: str, scale: float) -> None:
    """Less in less time is better; where power counts, the least energy a cycle."""
    score = Score(objective, Budget(), 1e-9)
    energy = torch.tensor([[2.0, 2.0, 4.0]], dtype=torch.float64) * scale
    cycles = torch.tensor([[10.0, 20.0, 30.0]], dtype=torch.float64)
    area = torch.zeros(1, dtype=torch.float64)
    values = score(energy, cycles, area[:, None])
    assert bool(values.isfinite().all())
    slow = objective == "power" and scale > 0
    assert int(values.argmin()) == (1 if slow else 0)  # 0.2, 0.1 and 0.13 a cycle
    prices, caps = score.prices(rate_of(energy[:, 0], cycles[:, 0]))
    fits = torch.ones(1, 1, 3, dtype=torch.bool)
    picked, _ = choose(score, energy[None], cycles[None], fits, torch.ones(1, dtype=torch.float64), area)
    assert int(picked) == int(values.argmin())
    for price, cap in zip(prices[0], caps[0], strict=True):
        if not slow:
            late = torch.full_like(price, inf)
            merits = merit_of(energy, cycles, torch.zeros_like(energy), price, cap, late)
            assert int(merits.argmin()) == 0
            assert all(map(isfinite, merits[0].tolist()))
            assert len(set(merits[0].tolist())) == 3
