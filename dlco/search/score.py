"""How designs rank: limits first, then the objective; and the best choice of one mapping a layer."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import torch

from dlco.design.budget import Budget
from dlco.design.objective import JOULES, Objective
from dlco.design.weighted_sum import LinearCost
from dlco.hardware.architecture import Machine
from dlco.workload.layer import Layer

BROKEN = 1e6  # scores from here on belong to designs that break a limit
LEAST = sys.float_info.min  # stands for 0 under a logarithm: a machine may have no energies, or no areas
HAIR = 1e-12  # logs by which a limit may be exceeded: rounding errors


@dataclass(frozen=True)
class Score:
    """The order of designs: lower is better; log of the objective where all limits hold.

    Where one does not, the score is `BROKEN` plus the logs of all excesses added up, so that any design within the
    limits ranks ahead of any that is not.

    Attributes:
        objective: or its name, or a sum of costs.
        budget: the limits.
        cycle_s: seconds a cycle.
    """

    objective: Objective | LinearCost
    budget: Budget
    cycle_s: float

    def __post_init__(self) -> None:
        if not isinstance(self.objective, LinearCost):
            object.__setattr__(self, "objective", Objective.parse(self.objective))

    @property
    def powered(self) -> bool:
        """Whether mean power counts: then slower may be better."""
        return self.objective is Objective.POWER or self.budget.power_w is not None

    @property
    def power_cap(self) -> float | None:
        """The limit on power, pJ a cycle."""
        return None if self.budget.power_w is None else self.budget.power_w * self.cycle_s * (1 / JOULES)

    def deadlines(self, layers: Sequence[Layer]) -> torch.Tensor:
        """`[layers]` cycles that one execution of each layer may take, infinite where there is no limit."""
        limits = [self.budget.layer_limit(layer.name) / self.cycle_s for layer in layers]
        return torch.tensor(limits, dtype=torch.float64)

    def value(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Log of the objective, `[...]`; energy or cycles that are no part of it follow, far behind.

        Of designs without any energy, whose energy and power are all 0, the faster is better.
        """
        energy, time = log_of(energy_pj), cycles.log()
        value = self.objective.log_product(energy, time, log_of(area_mm2))
        if self.objective is Objective.POWER:
            return torch.where(energy_pj > 0, value, 2 * log(LEAST) + time)
        others = [part for power, part in zip(self.objective.powers, (energy, time), strict=False) if not power]
        return value + 1e-6 * sum(others) if others else value

    def floor(self, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Log of what no network goes below that takes at least so many cycles on a machine of such an area, `[...]`.

        Minus infinity where these two say nothing.
        """
        nothing = torch.full_like(cycles, -torch.inf)
        if self.objective.powers[0]:
            return nothing
        return self.objective.log_product(nothing, cycles.log(), log_of(area_mm2))

    def excess(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> list[torch.Tensor]:
        """Log of each limited quantity over its limit, `[...]` each; above 0 where the limit is broken."""
        logs = log_of(energy_pj) + log(JOULES), cycles.log() + log(self.cycle_s), log_of(area_mm2)
        limits = self.budget.limits.items()
        return [Objective.limited_by(name).log_product(*logs) - log(limit) for name, limit in limits]

    def machine_excess(self, machines: Machine) -> torch.Tensor:
        """Logs by which machines `[...]` break the limits on area and number of PEs, added up, `[...]`."""
        return torch.zeros_like(machines.mac_pj) + self.silicon_excess(machines.area_mm2, machines.macs)

    def silicon_excess(self, area_mm2: torch.Tensor, macs: torch.Tensor) -> torch.Tensor:
        """The same of areas and numbers of MAC units, `[...]`."""
        excess = torch.zeros_like(area_mm2)
        for used, limit in ((area_mm2, self.budget.area_mm2), (macs, self.budget.pe_count)):
            if limit is not None:
                over = (used.clamp(min=LEAST) / limit).log()
                excess = excess + torch.where(over > HAIR, over, 0.0)
        return excess

    def __call__(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Scores `[...]` of network totals."""
        score = self.value(energy_pj, cycles, area_mm2)
        excess = [e.clamp(min=0) for e in self.excess(energy_pj, cycles, area_mm2)]
        if not excess:
            return score
        broken = torch.stack(torch.broadcast_tensors(*excess)).sum(0)
        return torch.where(broken > HAIR, BROKEN + broken, score)

    def beyond(self, scores: torch.Tensor, excess: torch.Tensor) -> torch.Tensor:
        """Scores `[...]` of networks whose machines or layers break further limits, by `excess` `[...]` in logs."""
        return torch.where(excess > HAIR, excess + scores.clamp(min=BROKEN), scores)

    def prices(self, rates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What single layers are searched for, so that the network finds what it needs among the results.

        A layer's merit is energy + price x cycles. The right price makes that the objective's linear part: the
        design's own energy per cycle for EDP, nothing for energy, much for latency; limits may move it anywhere
        between. Where power counts, slower is better at the same energy, and no price finds the designs between the
        fastest and the slowest: there a layer's own power is capped.

        Args:
            rates: `[designs]` energy a cycle of each design, pJ.

        Returns:
            (price, power cap), each `[designs, searches]`, pJ a cycle; the cap is infinite where there is none.
        """
        return self._prices(rates, MANY, (1.0, 0.7))

    def few_prices(self, rates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `prices`, but fewer: for layers whose points between come from `choose`, out of all of them."""
        return self._prices(rates, FEW, (0.7,))

    def _prices(
        self, rates: torch.Tensor, wanted: Mapping[str, tuple[float, ...]], shares: tuple[float, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        multiples = set() if isinstance(self.objective, LinearCost) else {OWN[self.objective]}
        for limit, more in wanted.items():
            if getattr(self.budget, limit) is not None:
                multiples.update(more)
        priced = [rates * multiple for multiple in sorted(multiples)]
        if isinstance(self.objective, LinearCost):
            priced.append(price_of(self.objective, rates))
        searches = [(price, torch.full_like(rates, torch.inf)) for price in priced]
        if self.power_cap is not None:
            cap = torch.full_like(rates, self.power_cap)
            searches += [(rates * 1e-3, cap), (rates, cap)]
        if self.objective is Objective.POWER:
            searches += [(rates * 0.1, rates * share) for share in shares]
        prices, caps = zip(*searches, strict=True)
        return torch.stack(prices, -1), torch.stack(caps, -1)


# Prices of time that single layers are searched at, in energy a cycle: what an objective asks for by itself, and what
# a limit adds to it, where many of them are searched or few.
OWN = {
    Objective.LATENCY: 1000.0,
    Objective.ENERGY: 1e-3,
    Objective.EDP: 1.0,
    Objective.POWER: 1e-3,
    Objective.AREA: 1.0,
}
MANY = {"latency_s": (0.3, 3.0, 1000.0), "layer_latency_s": (8.0, 1000.0), "energy_j": (1e-3, 0.3, 2.0)}
FEW = {"latency_s": (1.0, 1000.0), "energy_j": (1e-3, 1.0)}


def price_of(costs: LinearCost, rates: torch.Tensor) -> torch.Tensor:
    """Of time, pJ a cycle, in a sum of costs: `[...]`, within what other objectives ask for where one counts alone."""
    price = costs.per_cycle / costs.per_pj if costs.per_pj else torch.inf
    return torch.full_like(rates, price).clamp(OWN[Objective.ENERGY] * rates, OWN[Objective.LATENCY] * rates)


def log_of(figures: torch.Tensor) -> torch.Tensor:
    """Natural logarithms; of 0 a number below all others."""
    return figures.clamp(min=LEAST).log()


def rate_of(energy_pj: torch.Tensor, cycles: torch.Tensor) -> torch.Tensor:
    """Energy a cycle, pJ: the unit in which time is priced. Where nothing costs energy, any unit does: 1."""
    rate = energy_pj / cycles
    return torch.where((rate > 0) & rate.isfinite(), rate, 1.0)


def unit_of(price: torch.Tensor) -> torch.Tensor:
    """What energies and prices are to be divided by, so that their sums stay within float64: mostly 1.

    For prices that are far from 1 it is the power of two next above them, which rounds nothing.
    """
    return torch.where((price > 1e-100) & (price < 1e100), 1.0, price / torch.frexp(price).mantissa)


def choose(
    score: Score,
    energy_pj: torch.Tensor,
    cycles: torch.Tensor,
    fits: torch.Tensor,
    counts: torch.Tensor,
    area_mm2: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One mapping for every layer, for the best score of the whole network.

    First the best of the choices that a single price of time explains, then single layers changed while that helps.

    Args:
        score: what counts.
        energy_pj: `[designs, layers, candidates]` of one execution, pJ.
        cycles: the same, cycles.
        fits: the same, whether the candidate may be chosen.
        counts: `[layers]` executions.
        area_mm2: `[designs]`.

    Returns:
        (chosen candidate `[designs, layers]`, score `[designs]`; infinite where a layer has none that fits).
    """
    designs, layers, _ = energy_pj.shape
    energy = torch.where(fits, energy_pj, 0.0) * counts[:, None]
    time = torch.where(fits, cycles, 1.0) * counts[:, None]
    possible = fits.any(-1).all(-1)
    least = [torch.where(fits, table, torch.inf).amin(-1).sum(-1) for table in (energy, time)]
    rate = rate_of(*least)[:, None, None]
    unit = unit_of(rate)
    best_score = torch.full((designs,), torch.inf, dtype=energy.dtype, device=energy.device)
    best = torch.zeros(designs, layers, dtype=torch.long, device=energy.device)
    for price in _exchange_rates(score, rate):
        pick = torch.where(fits, energy / unit + price / unit * time, torch.inf).argmin(-1)
        totals = [taken(table, pick).sum(-1) for table in (energy, time)]
        now = score(totals[0], totals[1], area_mm2)
        better = now < best_score
        best_score, best = torch.where(better, now, best_score), torch.where(better[:, None], pick, best)
    for _ in range(4):
        before = best_score
        for layer in range(layers):
            totals = [taken(table, best).sum(-1) for table in (energy, time)]
            others = [t - taken(table, best)[:, layer] for t, table in zip(totals, (energy, time), strict=True)]
            trial = score(
                others[0][:, None] + energy[:, layer],
                others[1][:, None] + time[:, layer],
                area_mm2[:, None],
            )
            found = torch.where(fits[:, layer], trial, torch.inf).min(-1)
            better = found.values < best_score
            best_score = torch.where(better, found.values, best_score)
            best[:, layer] = torch.where(better, found.indices, best[:, layer])
        if bool((best_score >= before - 1e-12).all()):
            break
    return best, torch.where(possible, best_score, torch.inf)


def _exchange_rates(score: Score, rate: torch.Tensor) -> list[torch.Tensor]:
    """Prices of time, pJ a cycle, each of the shape of `rate`, the designs' least energy over their least time.

    Time costs, unless power counts. The least power is that of a price of minus itself (Dinkelbach, 1967); under a cap
    on power, the multiplier m of energy - cap x time <= 0 makes the price of the fastest choice 1 / m - cap.
    """
    prices = [torch.zeros_like(rate), *(rate * 10.0 ** (k / 4) for k in range(-16, 17))]
    if isinstance(score.objective, LinearCost):
        prices.append(price_of(score.objective, rate))
    if score.objective is Objective.POWER:
        prices += [-rate * 10.0 ** (k / 8) for k in range(-16, 9)]
    if score.power_cap is not None:
        prices += [rate * 10.0 ** (k / 6) - score.power_cap for k in range(-12, 13)]
    return prices


def taken(table: torch.Tensor, pick: torch.Tensor) -> torch.Tensor:
    """`[..., layers]` the entries `pick` `[..., layers]` of a table `[..., layers, candidates]`."""
    return table.gather(-1, pick[..., None])[..., 0]
