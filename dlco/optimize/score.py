"""How designs rank: limits first, then the objective; and the best choice of one mapping a layer."""

from dataclasses import dataclass
from math import log

import torch

from dlco.hardware.architecture import Machine
from dlco.optimize.budget import Budget

BROKEN = 1e6  # scores from here on belong to designs that break a limit


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
        """Log of the objective, `[...]`; "area" is followed, far behind, by EDP."""
        energy, time = energy_pj.log(), cycles.log()
        return {
            "latency": time + 1e-6 * energy,
            "energy": energy + 1e-6 * time,
            "edp": energy + time,
            "power": energy - time,
            "area": area_mm2.clamp(min=1e-12).log() + 1e-6 * (energy + time),
        }[self.objective]

    def floor(self, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """Log of what no network goes below that takes at least so many cycles on a machine of such an area, `[...]`.

        Minus infinity where these two say nothing.
        """
        if self.objective == "latency":
            return cycles.log()
        if self.objective == "area":
            return area_mm2.clamp(min=1e-12).log()
        return torch.full_like(cycles, -torch.inf)

    def excess(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> list[torch.Tensor]:
        """Log of each limited quantity over its limit, `[...]` each; above 0 where the limit is broken."""
        pico, time = log(1e-12), cycles.log() + log(self.cycle_s)
        quantities = {
            "area_mm2": area_mm2.clamp(min=1e-12).log(),
            "power_w": energy_pj.log() + pico - time,
            "latency_s": time,
            "energy_j": energy_pj.log() + pico,
        }
        return [quantities[name] - log(limit) for name, limit in self.budget.limits.items()]

    def machine_excess(self, machines: Machine) -> torch.Tensor:
        """Logs by which machines `[...]` break the limits on area and number of PEs, added up, `[...]`."""
        excess = torch.zeros_like(machines.mac_pj)
        for used, limit in ((machines.area_mm2, self.budget.area_mm2), (machines.macs, self.budget.pe_count)):
            if limit is not None:
                over = (used.clamp(min=1e-12) / limit).log()
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
    energy = torch.where(fits, energy_pj, torch.inf) * counts[:, None]
    time = torch.where(fits, cycles, torch.inf) * counts[:, None]
    possible = fits.any(-1).all(-1)
    finite_energy = torch.where(possible[:, None, None], energy.nan_to_num(posinf=1e30), 1.0)
    finite_time = torch.where(possible[:, None, None], time.nan_to_num(posinf=1e30), 1.0)
    rate = (finite_energy.amin(-1).sum(-1) / finite_time.amin(-1).sum(-1))[:, None, None]
    best_score = torch.full((designs,), torch.inf, dtype=energy.dtype, device=energy.device)
    best = torch.zeros(designs, layers, dtype=torch.long, device=energy.device)
    for price in _exchange_rates(score, rate):
        pick = (finite_energy + price * finite_time + torch.where(fits, 0.0, 1e35)).argmin(-1)
        totals = [_picked(table, pick).sum(-1) for table in (finite_energy, finite_time)]
        now = score(totals[0], totals[1], area_mm2)
        better = now < best_score
        best_score, best = torch.where(better, now, best_score), torch.where(better[:, None], pick, best)
    for _ in range(4):
        before = best_score
        for layer in range(layers):
            totals = [_picked(table, best).sum(-1) for table in (finite_energy, finite_time)]
            others = [
                t - _picked(table, best)[:, layer]
                for t, table in zip(totals, (finite_energy, finite_time), strict=True)
            ]
            trial = score(
                others[0][:, None] + finite_energy[:, layer],
                others[1][:, None] + finite_time[:, layer],
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
