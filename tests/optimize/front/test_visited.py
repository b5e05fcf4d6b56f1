"""What a front gathers from finished searches, against every choice that their mappings leave."""

from itertools import product
from math import inf

import pytest
import torch

from dlco.design.dominance import nondominated
from dlco.design.objective import Objective
from dlco.optimize import Budget
from dlco.optimize.front.visited import STEPS, Visited
from dlco.search.designs import Candidates, Design
from dlco.search.score import Score
from dlco.search.table import MappingTable

COUNTS = (1.0, 2.0, 3.0)
CANDIDATES = 6
CYCLE_S = 1e-9


@pytest.fixture(scope="module")
def found() -> Candidates:
    """Two machines, three layers in two groups, six mappings each; a mapping's assignment is its own number."""
    generator = torch.Generator().manual_seed(3)
    layers = len(COUNTS)
    cycles = 100 + 900 * torch.rand(2, layers, CANDIDATES, generator=generator, dtype=torch.float64)
    energy = 1e5 / cycles + 100 * torch.rand(2, layers, CANDIDATES, generator=generator, dtype=torch.float64)
    fits = torch.ones_like(cycles, dtype=torch.bool)
    fits[0, 1, 2] = False
    groups = []
    for first, last in ((0, 1), (1, 3)):
        number = torch.arange(CANDIDATES).expand(2, last - first, -1)
        tables = energy[:, first:last], cycles[:, first:last], energy[:, first:last]
        groups.append(MappingTable(number[..., None], number[..., None, None], *tables))
    return Candidates(
        indices=torch.tensor([[4], [7]]),
        tables=groups,
        energy_pj=energy,
        cycles=cycles,
        fits=fits,
        counts=torch.tensor(COUNTS, dtype=torch.float64),
        area_mm2=torch.tensor([2.0, 3.0], dtype=torch.float64),
        broken=torch.zeros(2, dtype=torch.float64),
    )


def every(found: Candidates) -> dict[tuple[int, ...], tuple[float, float, float]]:
    """(energy, cycles, area) of all choices, by (machine, a mapping of each layer)."""
    totals = {}
    for machine, *choice in product(range(2), *[range(CANDIDATES)] * len(COUNTS)):
        if all(found.fits[machine, layer, k] for layer, k in enumerate(choice)):
            tables = found.energy_pj[machine], found.cycles[machine]
            energy, cycles = (
                sum(float(t[layer, k]) * n for (layer, k), n in zip(enumerate(choice), COUNTS, strict=True))
                for t in tables
            )
            totals[machine, *choice] = energy, cycles, float(found.area_mm2[machine])
    return totals


def visited(found: Candidates, axes: tuple[str, ...], budget: Budget, known: list[tuple[float, ...]]) -> list[Design]:
    gathered = Visited([Objective(axis) for axis in axes], Score(Objective.EDP, budget, CYCLE_S), known)
    gathered(found)
    gathered(found)  # the same again changes nothing
    return gathered.designs


def values(energy: float, cycles: float, area: float, axes: tuple[str, ...]) -> tuple[float, ...]:
    seconds = cycles * CYCLE_S
    figures = {"latency": seconds, "energy": energy, "power": energy * 1e-12 / seconds, "area": area}
    return tuple(figures[axis] for axis in axes)


def choice_of(design: Design) -> tuple[int, ...]:
    """(machine, a mapping of each layer)."""
    return {4: 0, 7: 1}[int(design.index)], *(int(n) for table in design.chosen.assignment for n in table.flatten())


@pytest.mark.parametrize("axes", [("latency", "energy"), ("latency", "power"), ("area", "latency", "energy")])
def test_designs_are_choices_and_none_dominates_another(found: Candidates, axes: tuple[str, ...]) -> None:
    truth = every(found)
    designs = visited(found, axes, Budget(), [])
    assert designs
    for design in designs:
        figures = design.energy_pj, design.cycles, design.area_mm2
        assert figures == pytest.approx(truth[choice_of(design)])
    table = [values(design.energy_pj, design.cycles, design.area_mm2, axes) for design in designs]
    assert nondominated(table) == list(range(len(table)))


def test_the_best_at_every_price_is_come_across(found: Candidates) -> None:
    truth = every(found).values()
    designs = visited(found, ("latency", "energy"), Budget(), [])
    for k in range(-20, 21):
        price = 10 ** (k / 10)
        best = min(energy + price * cycles for energy, cycles, _ in truth)
        reached = min(design.energy_pj + price * design.cycles for design in designs)
        assert reached <= best * (1 + STEPS[2])  # of those nearer to each other than that, one is kept


def test_limits_hold(found: Candidates) -> None:
    fastest = min(cycles for _, cycles, _ in every(found).values())
    budget = Budget(latency_s=1.5 * fastest * CYCLE_S)
    designs = visited(found, ("latency", "power"), budget, [])
    assert designs
    assert all(design.cycles <= 1.5 * fastest for design in designs)
    assert not visited(found, ("latency", "power"), Budget(area_mm2=1.0), [])
    alone = visited(found, ("latency", "power"), Budget(area_mm2=2.5), [])
    assert {choice_of(design)[0] for design in alone} == {0}


def test_what_is_known_is_not_kept_again(found: Candidates) -> None:
    axes = ("latency", "energy")
    table = [values(*totals, axes) for totals in every(found).values()]
    assert not visited(found, axes, Budget(), [table[i] for i in nondominated(table)])
    known = table[::7]
    designs = visited(found, axes, Budget(), known)
    assert designs
    for design in designs:
        figures = values(design.energy_pj, design.cycles, design.area_mm2, axes)
        assert not any(a <= figures[0] and b <= figures[1] for a, b in known)


def test_a_machine_without_a_mapping_for_some_layer_is_left_out(found: Candidates) -> None:
    fits = found.fits.clone()
    fits[1, 2] = False
    tables = vars(found) | {"fits": fits}
    designs = visited(Candidates(**tables), ("latency", "energy"), Budget(), [])
    assert {choice_of(design)[0] for design in designs} == {0}
    assert all(design.energy_pj < inf for design in designs)
