"""Many machines, few mappings each: generations of machines near the best, which hand their mappings on.

The mappings that are good on a machine are nearly as good on the machines beside it. So a generation searches each of
its machines only briefly, from the mappings that the best machines so far ended with, and the next one begins where
it stopped: what is learnt about mappings is shared, and machines cost little. Every few generations one of the best
machines is searched for longer, from mappings near its lower bound too (`dlco.optimize.near_bound`).

Machines come from the best by evolution: grid steps of some sizes, mostly short; sizes of two machines mixed; and some
at random. One that is too large for the budget gives back other sizes. No machine is proposed twice, nor one that
cannot be better than the best (see `Prospect`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from dlco.hardware.architecture import Machine
from dlco.hardware.space import HardwareSpace
from dlco.search.designs import Design, DesignSearch, Starts
from dlco.search.local_search import Effort
from dlco.search.score import BROKEN, Score
from dlco.workload.problem import check_count, check_positive_int

PARENTS = 8  # machines that others are proposed from, the better the more often
HEIRS = 16  # machines whose mappings are handed on
AGAIN = 3  # one in so many of a generation is one of the best, searched again with the others' mappings
RANDOM, MIXED = 0.1, 0.2  # shares of the proposals
MOVED = 3  # sizes that a proposal moves at most
STRIDE = 1.2  # mean length of a move beyond the first step, grid steps
DRAWS = 8  # rounds of proposals, where the grid has few machines left


@dataclass(frozen=True)
class EvolutionEffort:
    """How long generations go on.

    Attributes:
        generations: at most; `patience`: they end after so many that bring nothing better.
        machines: of a generation.
        every: after so many generations one of the best machines is searched for longer, from so many mappings of each
            layer near its lower bound as `near_bound` says; `longer`: that search.
        mappings: search of the mappings of every machine.
    """

    generations: int = 40
    patience: int = 12
    machines: int = 12
    every: int = 2
    near_bound: int = 96
    mappings: Effort = field(default=Effort(rounds=12, patience=8, population=6, neighbours=6))
    longer: Effort = field(default=Effort(rounds=40, patience=15, population=8, neighbours=6, islands=6))

    def __post_init__(self) -> None:
        for name in ("patience", "machines", "near_bound", "every"):
            check_positive_int(f"{name} of an evolution's effort", getattr(self, name))
        check_count("generations of an evolution's effort", self.generations)


def explore(
    search: DesignSearch,
    machines: Sequence[torch.Tensor],
    starts: Starts,
    effort: EvolutionEffort,
    refine: Callable[[Design], Design],
    generator: torch.Generator,
    tick: Callable[[float], None] = lambda share: None,
) -> list[Design]:
    """The best machines that generations of them come to, the best first, each once.

    Args:
        search: what is searched; its hardware is a space.
        machines: grid indices `[parameters]` of those that the first generation takes in.
        starts: mappings that all machines of the first generation start from.
        effort: how long.
        refine: a design's machine with better mappings.
        generator: on the CPU; draws the proposals.
        tick: told the share of the generations done.
    """
    ranks = _Ranks(search.score, [], [])
    tried = {tuple(index.tolist()) for index in machines}
    waiting = list(machines)
    handed = starts
    refined: set[tuple[int, ...]] = set()
    stale = 0
    for generation in range(effort.generations):
        tick(generation / effort.generations)
        room = effort.machines - len(waiting)
        fresh = _propose(search, ranks, room, tried, generator) if room > 0 else []
        if not waiting and not fresh:
            break
        designs = search.fit(torch.stack([*waiting, *fresh]), [handed] * (len(waiting) + len(fresh)), effort.mappings)
        before = ranks.best
        ranks = ranks.joined(designs)
        best = ranks.good[0]
        stale = 0 if before is None or best.score < before.score - 1e-9 else stale + 1
        if stale >= effort.patience:
            break
        if generation % effort.every == 0:
            chosen = next((one for one in ranks.first(PARENTS) if tuple(one.index.tolist()) not in refined), best)
            refined.add(tuple(chosen.index.tolist()))
            ranks = ranks.joined([refine(chosen)])
        waiting = [design.index for design in ranks.first(max(1, effort.machines // AGAIN))]
        handed = Starts.join([*(design.chosen for design in ranks.first(HEIRS)), ranks.good[0].starts])
    return ranks.good


@dataclass(frozen=True)
class _Ranks:
    """The machines so far, each once.

    Attributes:
        score: how designs rank.
        good: the best by score, in that order.
        close: those outside a limit that would be better than the best but for that, the nearest to the limits first:
            better mappings may bring them within.
    """

    score: Score
    good: list[Design]
    close: list[Design]

    @property
    def best(self) -> Design | None:
        """The best design."""
        return self.good[0] if self.good else None

    def joined(self, designs: Sequence[Design]) -> "_Ranks":
        """With some more."""
        first: dict[tuple[int, ...], Design] = {}
        for design in sorted([*self.good, *self.close, *designs], key=lambda design: design.score):
            first.setdefault(tuple(design.index.tolist()), design)
        ranked = list(first.values())
        if ranked[0].score >= BROKEN:
            return _Ranks(self.score, ranked[: 2 * HEIRS], [])
        limit = self._value(ranked[0])
        close = [design for design in ranked if design.score >= BROKEN and self._value(design) < limit]
        return _Ranks(self.score, ranked[: 2 * HEIRS], close[:HEIRS])

    def first(self, n: int) -> list[Design]:
        """`n` machines: the best, and after them close ones, at most as many."""
        half = min(len(self.close), n // 2)
        return [*self.good[: n - half], *self.close[:half]]

    def _value(self, design: Design) -> float:
        """Log of the objective, whatever the limits."""
        totals = (design.energy_pj, design.cycles, design.area_mm2)
        return float(self.score.value(*(torch.tensor(one, dtype=torch.float64) for one in totals)))


@dataclass(frozen=True)
class Prospect:
    """Which machines may still be better than the best design, by what no mapping changes: area and MACs to do."""

    search: DesignSearch
    best: Design | None

    def __call__(self, indices: torch.Tensor) -> torch.Tensor:
        """BoolTensor `[n]` of machines at grid indices `[n, parameters]`."""
        score = self.search.score
        machines = self.search.machines(indices)
        kept = self.search.hardware.within(indices)
        hopeful = (score.machine_excess(machines) <= 0) & kept.to(machines.mac_pj.device)
        fastest = self._fastest(machines)
        if score.budget.latency_s is not None:
            hopeful &= fastest * score.cycle_s <= score.budget.latency_s
        if self.best is not None:
            hopeful &= score.floor(fastest, machines.area_mm2) <= self.best.score
        return hopeful.cpu()

    def _fastest(self, machines: Machine) -> torch.Tensor:
        """Cycles of the whole network with every MAC unit busy, `[n]`."""
        work = sum(layer.count * layer.problem.macs for group in self.search.groups for layer in group.layers)
        return work / machines.macs


def _propose(
    search: DesignSearch,
    ranks: _Ranks,
    n: int,
    tried: set[tuple[int, ...]],
    generator: torch.Generator,
) -> list[torch.Tensor]:
    """`n` machines `[parameters]` never tried before, fewer where there are hardly any; they are noted as tried."""
    lengths = torch.tensor([len(parameter.grid) for parameter in search.hardware.parameters])
    prospect = Prospect(search, ranks.best)
    parents = torch.stack([design.index for design in ranks.first(PARENTS)]) if ranks.good else None
    found: list[torch.Tensor] = []
    for _ in range(DRAWS):
        drawn = _shrunk(search, _draw(lengths, parents, 4 * n, generator), generator)
        for index in drawn[prospect(drawn)]:
            if len(found) < n and tuple(index.tolist()) not in tried:
                tried.add(tuple(index.tolist()))
                found.append(index)
        if len(found) == n:
            break
    return found


def _draw(lengths: torch.Tensor, parents: torch.Tensor | None, n: int, generator: torch.Generator) -> torch.Tensor:
    """`[n, parameters]` machines near `[m, parameters]` parents, the best first; without any, at random."""

    def chance(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    parameters = len(lengths)
    anywhere = (chance(n, parameters) * lengths).long()
    if parents is None:
        return anywhere
    kind, m = chance(n, 1), len(parents)
    child = parents[(m * chance(n) ** 2).long()]
    mate = parents[(m * chance(n)).long()]
    mixed = (kind >= RANDOM) & (kind < RANDOM + MIXED) & (chance(n, parameters) < 0.5)
    child = torch.where(mixed, mate, child)
    moved = chance(n, parameters).argsort(-1).argsort(-1) < 1 + (MOVED * chance(n, 1)).long()
    length = 1 + (-STRIDE * chance(n, parameters).clamp(min=1e-12).log()).long()
    step = torch.where(chance(n, parameters) < 0.5, length, -length)
    child = torch.where(moved, child + step, child).clamp(min=0).minimum(lengths - 1)
    return torch.where(kind < RANDOM, anywhere, child)


def _shrunk(search: DesignSearch, drawn: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Machines `[n, parameters]`, those beyond the limits on the machine with sizes taken back until they keep them.

    So a larger array is proposed together with the smaller buffers that make room for it. Which sizes give way rather
    than others is drawn anew for each machine.
    """
    weight = torch.rand(drawn.shape, generator=generator, dtype=torch.float64) ** 3
    drawn = search.hardware.brought_within(drawn).clone()
    for _ in range(int(drawn.max()) * drawn.shape[1] if len(drawn) else 0):
        rows = (search.score.machine_excess(search.machines(drawn)) > 0).cpu() & (drawn > 0).any(-1)
        if not bool(rows.any()):
            break
        size = torch.multinomial((weight[rows] + 1e-12) * _gives(search.hardware, drawn[rows]), 1, generator=generator)
        drawn[rows] = drawn[rows].scatter_add(1, size, torch.full_like(size, -1))
    return drawn


def _gives(space: HardwareSpace, index: torch.Tensor) -> torch.Tensor:
    """Which sizes of machines `[n, parameters]` can be taken back a step: where any can, those that keep the limits."""
    above = index > 0
    if not space.limits:
        return above
    lower = (index[:, None] - torch.eye(index.shape[1], dtype=index.dtype)).clamp(min=0)
    kept = above & space.within(lower)
    return torch.where(kept.any(-1, keepdim=True), kept, above)
