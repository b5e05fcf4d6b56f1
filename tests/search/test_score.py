"""How designs rank, and the choice of one mapping a layer, against all combinations."""

from itertools import product
from math import inf, log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco import Budget
from dlco.design.objective import OBJECTIVES
from dlco.search.score import BROKEN, Score, choose

CYCLE_S = 2e-9
LIMITS = ("area_mm2", "power_w", "latency_s", "energy_j")
positive = st.floats(1e-3, 1e12)
totals = st.tuples(positive, positive, st.floats(1e-3, 1e3))
budgets = st.builds(Budget, **{name: st.none() | st.floats(1e-9, 1e3) for name in LIMITS})


def figures(energy: float, cycles: float, area: float) -> dict[str, float]:
    """Objectives and limited quantities of a network, in plain floats."""
    latency = cycles * CYCLE_S
    power = energy * 1e-12 / latency
    return {
        "latency": latency,
        "energy": energy,
        "edp": energy * cycles,
        "power": power,
        "area": area,
        "latency_s": latency,
        "energy_j": energy * 1e-12,
        "power_w": power,
        "area_mm2": area,
    }


def scored(score: Score, *design: float) -> float:
    return score(*(torch.tensor(x, dtype=torch.float64) for x in design)).item()


@given(st.sampled_from(OBJECTIVES), budgets, totals, totals)
def test_a_design_within_the_limits_ranks_ahead_of_one_that_is_not(
    objective: str, budget: Budget, one: tuple[float, ...], two: tuple[float, ...]
) -> None:
    score = Score(objective, budget, CYCLE_S)
    margin = 1e-9  # at the limit itself either verdict is right

    def excess(design: tuple[float, ...]) -> float:
        used = figures(*design)
        return max((used[name] / limit for name, limit in budget.limits.items()), default=0.0)

    if excess(one) <= 1 - margin and excess(two) >= 1 + margin:
        assert scored(score, *one) < scored(score, *two)


@given(st.sampled_from(OBJECTIVES), totals, totals)
def test_without_limits_the_objective_decides(objective: str, one: tuple[float, ...], two: tuple[float, ...]) -> None:
    score = Score(objective, Budget(), CYCLE_S)
    ratio = log(figures(*one)[objective] / figures(*two)[objective])
    if abs(ratio) > 1e-3:  # below, a second objective may decide
        assert (scored(score, *one) < scored(score, *two)) == (ratio < 0)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_larger_excess_ranks_behind_a_smaller_one(limit: str) -> None:
    design = (5e9, 3e6, 2.0)
    used = figures(*design)[limit]
    scores = [
        scored(Score("edp", Budget(**{limit: used * share}), CYCLE_S), *design) for share in (1.01, 0.99, 0.5, 0.01)
    ]
    assert scores == sorted(scores)
    assert len(set(scores)) == 4
    assert scores[0] == pytest.approx(log(5e9 * 3e6))


def test_scores_of_a_batch_are_those_of_its_designs() -> None:
    score = Score("edp", Budget(latency_s=1e-3, power_w=5.0), CYCLE_S)
    energy, cycles = torch.tensor([1e9, 1e8, 1e10]).double(), torch.tensor([1e5, 1e6, 1e4]).double()
    area = torch.tensor([1.0, 2.0, 3.0]).double()
    batch = score(energy, cycles, area)
    assert batch.tolist() == [
        scored(score, *d) for d in zip(energy.tolist(), cycles.tolist(), area.tolist(), strict=True)
    ]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("budget", [Budget(), Budget(latency_s=1), Budget(power_w=1, energy_j=1), Budget(area_mm2=1)])
def test_prices_are_positive_and_scale_with_the_rate(objective: str, budget: Budget) -> None:
    score = Score(objective, budget, CYCLE_S)
    price, cap = score.prices(torch.tensor([1.0, 10.0], dtype=torch.float64))
    assert price.shape == cap.shape
    assert bool((price > 0).all())
    assert bool((cap > 0).all())
    torch.testing.assert_close(price[1], price[0] * 10)


class Instance:
    """Random candidates of a few layers of some designs, and every combination of them."""

    def __init__(self, seed: int, designs: int, layers: int, candidates: int) -> None:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> torch.Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        scale = (6 * draw(designs, layers, 1)).exp()  # layers differ in size
        self.energy = 1e6 * scale * (2 * draw(designs, layers, candidates)).exp()
        self.cycles = 1e4 * scale * (2 * draw(designs, layers, candidates)).exp()
        self.fits = draw(designs, layers, candidates) < 0.85
        self.counts = torch.randint(1, 5, (layers,), generator=generator).double()
        self.area = 1 + draw(designs)
        self.picks = torch.tensor(list(product(range(candidates), repeat=layers)))

    def totals(self, pick: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Energy and cycles `[designs, n]` of picks `[designs, n, layers]`."""
        rows = torch.arange(len(self.energy))[:, None, None]
        layer = torch.arange(self.energy.shape[1])
        return tuple((table[rows, layer, pick] * self.counts).sum(-1) for table in (self.energy, self.cycles))

    def best(self, score: Score) -> torch.Tensor:
        """The least score of all combinations, `[designs]`; infinite where a layer has none that fits."""
        picks = self.picks.expand(len(self.energy), -1, -1)
        rows = torch.arange(len(self.energy))[:, None, None]
        good = self.fits[rows, torch.arange(self.energy.shape[1]), picks].all(-1)
        energy, cycles = self.totals(picks)
        return torch.where(good, score(energy, cycles, self.area[:, None]), inf).amin(-1)

    def limited(self, names: tuple[str, ...], share: float) -> Budget:
        """A budget between the least and the median of what the combinations of all designs need."""
        energy, cycles = self.totals(self.picks.expand(len(self.energy), -1, -1))
        used = {"latency_s": cycles * CYCLE_S, "energy_j": energy * 1e-12, "power_w": energy * 1e-12 / cycles / CYCLE_S}
        return Budget(**{name: used[name].quantile(share).item() for name in names})


@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from(OBJECTIVES),
    st.sampled_from([(), ("latency_s",), ("energy_j",), ("power_w",), ("latency_s", "power_w")]),
    st.floats(0.01, 0.9),
)
def test_choose_returns_valid_picks_and_their_score(
    seed: int, layers: int, candidates: int, objective: str, limits: tuple[str, ...], share: float
) -> None:
    one = Instance(seed, 8, layers, candidates)
    score = Score(objective, one.limited(limits, share), CYCLE_S)
    pick, value = choose(score, one.energy, one.cycles, one.fits, one.counts, one.area)
    possible = one.fits.any(-1).all(-1)
    assert pick.shape == (8, layers)
    assert bool((value[~possible] == inf).all())
    assert bool(one.fits.gather(-1, pick[..., None])[..., 0][possible].all())
    energy, cycles = (total[:, 0] for total in one.totals(pick[:, None]))
    recomputed = score(energy, cycles, one.area)
    torch.testing.assert_close(value[possible], recomputed[possible], rtol=1e-9, atol=1e-9)
    assert bool((value >= one.best(score) - 1e-9).all())


# (objective, limits, share of 500 random instances in which the choice must be the best of all combinations)
CASES = [
    ("energy", (), 1.0),
    ("latency", (), 1.0),
    ("edp", (), 0.9),
    ("energy", ("latency_s",), 0.9),
    ("latency", ("energy_j",), 0.9),
    ("edp", ("latency_s",), 0.9),
    ("edp", ("energy_j",), 0.9),
    ("edp", ("latency_s", "energy_j"), 0.9),
    ("edp", ("power_w",), 0.9),
    ("energy", ("power_w",), 0.9),
    ("latency", ("power_w",), 0.75),  # the fastest within a power: no price of time explains such choices
    ("power", (), 0.9),
]


@pytest.mark.parametrize(("objective", "limits", "share"), CASES)
def test_choose_is_mostly_the_best_of_all_combinations(objective: str, limits: tuple[str, ...], share: float) -> None:
    found = [best_share(objective, limits, seed) for seed in range(2)]
    assert sum(found) / len(found) >= share, found


def best_share(objective: str, limits: tuple[str, ...], seed: int) -> float:
    one = Instance(seed, 250, 4, 5)
    score = Score(objective, one.limited(limits, 0.2), CYCLE_S)
    _, value = choose(score, one.energy, one.cycles, one.fits, one.counts, one.area)
    best = one.best(score)
    same = (value == best) | (value - best < 1e-9)
    return same.double().mean().item()


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
@pytest.mark.parametrize("limits", [("latency_s",), ("energy_j",), ("power_w",)])
def test_choose_finds_a_choice_within_one_limit_wherever_there_is_one(objective: str, limits: tuple[str, ...]) -> None:
    one = Instance(11, 300, 4, 5)
    score = Score(objective, one.limited(limits, 0.02), CYCLE_S)
    _, value = choose(score, one.energy, one.cycles, one.fits, one.counts, one.area)
    reachable = one.best(score) < 1e6
    assert 0 < int(reachable.sum()) < 300  # the limit binds in some and is out of reach in others
    assert bool((value[reachable] < 1e6).all())


def test_layers_without_a_candidate_make_a_design_impossible_but_not_its_neighbours() -> None:
    one = Instance(4, 3, 3, 4)
    one.fits[:] = True
    one.fits[1, 2] = False
    _, value = choose(Score("edp", Budget(), CYCLE_S), one.energy, one.cycles, one.fits, one.counts, one.area)
    assert value[1] == inf
    assert bool(value[[0, 2]].isfinite().all())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_network_is_below_the_floor(objective: str) -> None:
    """Whatever it takes in energy, and however much longer than the floor's cycles."""
    score = Score(objective, Budget(), 1e-9)
    generator = torch.Generator().manual_seed(0)
    cycles, more, energy, area = torch.rand(4, 500, generator=generator, dtype=torch.float64) * 1e4 + 1.5
    value = score.value(energy, cycles + more, area)
    assert (score.floor(cycles, area) <= value).all()


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_broken_by_a_hair_is_broken(limit: str) -> None:
    design = (5e9, 3e6, 2.0)
    used = figures(*design)[limit]
    within, broken = (
        scored(Score("edp", Budget(**{limit: used * share}), CYCLE_S), *design) for share in (1, 1 - 1e-9)
    )
    assert within < BROKEN <= broken


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_power_limit_caps_some_searches_at_its_energy_a_cycle(objective: str) -> None:
    """2 W are 2 J a second, so 4e-9 J, which is 4000 pJ, a cycle of 2 ns."""
    rates = torch.tensor([5.0, 50.0], dtype=torch.float64)
    _, free = Score(objective, Budget(), CYCLE_S).prices(rates)
    _, limited = Score(objective, Budget(power_w=2.0), CYCLE_S).prices(rates)
    added = limited[:, (limited[0, :, None] != free[0]).all(-1)]
    assert added.shape[1] > 0
    assert added.flatten().tolist() == pytest.approx([4000.0] * added.numel())
