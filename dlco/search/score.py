"""How designs rank: limits first, then the objective; and the best choice of one mapping a layer."""

import sys
from dataclasses import dataclass
from math import log

import torch

from dlco.design.budget import Budget
from dlco.hardware.architecture import Machine

BROKEN = 1e6  # scores from here on belong to designs that break a limit
LEAST = sys.float_info.min  # stands for 0 under a logarithm: a machine may have no energies, or no areas


@dataclass(frozen=True)
class Score:
    """The order of designs: lower is better; log of the objective where all limits hold.

    Where one does not, the score is `BROKEN` plus the logs of all excesses added up, so that any design within the
    limits ranks ahead of any that is not.

    Attributes:
        objective: one of `OBJECTIVES`.
        budget: the limits.
        cycle_s: seconds a cycle.
    """

    objective: str
    budget: Budget
    cycle_s: float

    @property
    def smooth(self) -> "Score":
        """The score that the relaxed problem is solved for: of a product of powers of totals."""
        return self

    def value(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Log of the objective, `[...]`; "area" is followed, far behind, by EDP.

        Of designs without any energy, whose energy and power are all 0, the faster is better.
        """
        energy, time = log_of(energy_pj), cycles.log()
        return {
            "latency": time + 1e-6 * energy,
            "energy": energy + 1e-6 * time,
            "edp": energy + time,
            "power": torch.where(energy_pj > 0, energy - time, 2 * log(LEAST) + time),
            "area": log_of(area_mm2) + 1e-6 * (energy + time),
        }[self.objective]

    def floor(self, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Log of what no network goes below that takes at least so many cycles on a machine of such an area, `[...]`.

        Minus infinity where these two say nothing.
        """
        if self.objective == "latency":
            return cycles.log()
        if self.objective == "area":
            return log_of(area_mm2)
        return torch.full_like(cycles, -torch.inf)

    def excess(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> list[torch.Tensor]:
        """Log of each limited quantity over its limit, `[...]` each; above 0 where the limit is broken."""
        pico, time = log(1e-12), cycles.log() + log(self.cycle_s)
        quantities = {
            "area_mm2": log_of(area_mm2),
            "power_w": log_of(energy_pj) + pico - time,
            "latency_s": time,
            "energy_j": log_of(energy_pj) + pico,
        }
        return [quantities[name] - log(limit) for name, limit in self.budget.limits.items()]

    def machine_excess(self, machines: Machine) -> torch.Tensor:
        """Logs by which machines `[...]` break the limits on area and number of PEs, added up, `[...]`."""
        excess = torch.zeros_like(machines.mac_pj)
        for used, limit in ((machines.area_mm2, self.budget.area_mm2), (machines.macs, self.budget.pe_count)):
            if limit is not None:
                over = (used.clamp(min=LEAST) / limit).log()
                excess = excess + torch.where(over > 1e-12, over, 0.0)
        return excess

    def __call__(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Scores `[...]` of network totals."""
        score = self.value(energy_pj, cycles, area_mm2)
        excess = [e.clamp(min=0) for e in self.excess(energy_pj, cycles, area_mm2)]
        if not excess:
            return score
        broken = torch.stack(torch.broadcast_tensors(*excess)).sum(0)
        return torch.where(broken > 1e-12, BROKEN + broken, score)

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
        multiples = {"latency": [1000.0], "energy": [1e-3], "edp": [1.0], "power": [1e-3], "area": [1.0]}
        free = set(multiples[self.objective])
        if self.budget.latency_s is not None:
            free |= {0.3, 3.0, 1000.0}
        if self.budget.layer_latency_s is not None:
            free |= {8.0, 1000.0}
        if self.budget.energy_j is not None:
            free |= {1e-3, 0.3, 2.0}
        searches = [(rates * multiple, torch.full_like(rates, torch.inf)) for multiple in sorted(free)]
        if self.budget.power_w is not None:
            cap = torch.full_like(rates, self.budget.power_w * self.cycle_s * 1e12)
            searches += [(rates * 1e-3, cap), (rates, cap)]
        if self.objective == "power":
            searches += [(rates * 0.1, rates * share) for share in (1.0, 0.7)]
        prices, caps = zip(*searches, strict=True)
        return torch.stack(prices, -1), torch.stack(caps, -1)


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
        totals = [_picked(table, pick).sum(-1) for table in (energy, time)]
        now = score(totals[0], totals[1], area_mm2)
        better = now < best_score
        best_score, best = torch.where(better, now, best_score), torch.where(better[:, None], pick, best)
    for _ in range(4):
        before = best_score
        for layer in range(layers):
            totals = [_picked(table, best).sum(-1) for table in (energy, time)]
            others = [t - _picked(table, best)[:, layer] for t, table in zip(totals, (energy, time), strict=True)]
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
    if score.objective == "power":
        prices += [-rate * 10.0 ** (k / 8) for k in range(-16, 9)]
    if score.budget.power_w is not None:
        cap = score.budget.power_w * score.cycle_s * 1e12
        prices += [rate * 10.0 ** (k / 6) - cap for k in range(-12, 13)]
    return prices


def _picked(table: torch.Tensor, pick: torch.Tensor) -> torch.Tensor:
    return table.gather(-1, pick[..., None])[..., 0]
