"""Networks for a front among the mappings that searches leave behind: trade-offs that cost no evaluations.

A search of mappings ends with many of every layer, of which its objective takes one each. A price of time swept over
them (energy + price x cycles, one Lagrange multiplier for all layers: Everett, "Generalized Lagrange multiplier
method", Operations Research 11, 1963) gives further choices for the whole network: on each machine those on the
convex hull of its energies and latencies. What a front lacks of them is kept.
"""

from collections.abc import Sequence
from math import floor

import torch

from dlco.design.dominance import Values, logs, undominated
from dlco.design.objective import Objective
from dlco.search.designs import Candidates, Design
from dlco.search.score import BROKEN, Score, log_of, rate_of, unit_of

STEPS = {2: 0.05, 3: 0.2}  # logs, by axes: of the designs in a cell so wide on all axes but the last, one is kept
PRICES = (0.0, *(10.0 ** (k / 8) for k in range(-24, 25)))  # of time, in each machine's own energy a cycle
REWARDS = tuple(-(10.0 ** (k / 16)) for k in range(-32, 9))  # where power counts, slower may be better
APART = 1e-9  # logs that are told apart


class Visited:
    """What the searches of one solve come across, to be passed to its `make_run` as `on_candidates`.

    Args:
        axes: of the front.
        score: holds the front's limits; what it ranks by does not matter.
        known: figures of the front's designs so far: nothing that they dominate is kept.
    """

    def __init__(self, axes: Sequence[Objective], score: Score, known: Sequence[Values] = ()) -> None:
        self.axes, self.score = tuple(axes), score
        self.known = torch.tensor([logs(one) for one in known], dtype=torch.float64).reshape(-1, len(self.axes))
        self.cells: dict[tuple[int, ...], tuple[torch.Tensor, Design]] = {}

    def __call__(self, found: Candidates) -> None:
        """Look through what a search ended with."""
        picked, energy, cycles = _sweep(found, PRICES + REWARDS if Objective.POWER in self.axes else PRICES)
        area = found.area_mm2[:, None].expand_as(energy)
        within = (self.score(energy, cycles, area) < BROKEN) & (found.broken[:, None] <= 0)
        places = within.nonzero()
        table = self._logs(energy[within], cycles[within], area[within]).cpu()
        for k in undominated(table, self.known, APART).tolist():
            cell = cell_of(table[k].tolist())
            if cell not in self.cells or bool(table[k, -1] < self.cells[cell][0][-1] - APART):
                d, price = places[k].tolist()
                totals = [float(one[d, price]) for one in (energy, cycles, area)]
                self.cells[cell] = table[k], _design(found, d, picked[d, price], *totals)

    @property
    def designs(self) -> list[Design]:
        """The designs kept, none of which dominates another, ascending along the first axis."""
        kept = [self.cells[cell] for cell in sorted(self.cells)]
        table = torch.stack([row for row, _ in kept]) if kept else self.known[:0]
        return [kept[k][1] for k in undominated(table, self.known, APART).tolist()]

    def _logs(self, energy_pj: torch.Tensor, cycles: torch.Tensor, area_mm2: torch.Tensor) -> torch.Tensor:
        """`[n, axes]` logs of the figures in the unit of `NetworkCost.objective`."""
        totals = log_of(energy_pj), cycles.log(), log_of(area_mm2)
        return torch.stack([axis.log_figure(*totals, self.score.cycle_s) for axis in self.axes], -1)


def cell_of(point: Sequence[float]) -> tuple[int, ...]:
    """Which cell a point lies in, given in logs: of the designs there, the one with the least last figure counts."""
    return tuple(floor(value / STEPS[len(point)]) for value in point[:-1])


def _sweep(found: Candidates, prices: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(mappings `[designs, prices, layers]`, the network's energy and cycles `[designs, prices]`) at each price.

    Totals are infinite for designs with a layer that has no mapping.
    """
    counts = found.counts[:, None]
    energy = torch.where(found.fits, found.energy_pj * counts, torch.inf)
    cycles = torch.where(found.fits, found.cycles * counts, torch.inf)
    rate = rate_of(energy.amin(-1).sum(-1), cycles.amin(-1).sum(-1))[:, None, None]
    unit = unit_of(rate)
    merits = (torch.where(found.fits, energy / unit + rate / unit * price * cycles, torch.inf) for price in prices)
    picked = torch.stack([merit.argmin(-1) for merit in merits], 1)

    def total(table: torch.Tensor) -> torch.Tensor:
        wide = table[:, None].expand(-1, len(prices), -1, -1)
        return wide.gather(-1, picked[..., None])[..., 0].sum(-1)

    return picked, total(energy), total(cycles)


def _design(
    found: Candidates, design: int, picked: torch.Tensor, energy_pj: float, cycles: float, area_mm2: float
) -> Design:
    """One machine with the mappings `picked` `[layers]`."""
    chosen = found.starts(design, picked[:, None], energy_pj / cycles or 1.0)
    return Design(found.indices[design], 0.0, chosen, chosen, energy_pj, cycles, area_mm2)
