"""All ways to split a problem's bounds over the slots of its map space that a machine can hold, as tables.

Perfect splits multiply to the bounds. Imperfect ones cover them: going outwards, no factor exceeds the number of tiles
that it counts, and one tile is left at the end (`dlco.cost.imperfect`).

Each dimension has a table of its own splits. A factoring is one row of each; tables are crossed one dimension at a
time, and what already overflows a fan-out or a capacity with the other dimensions at 1 is dropped on the way (tiles
only grow with every factor), long before orders are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from dlco.cost.crossing import crossing_of
from dlco.cost.mean_nest import WholeNest
from dlco.cost.nest import Crossing, Nest, Position, Row, loops_of
from dlco.cost.shape import Shape, bounds_row, compile_problem
from dlco.cost.tabulate import overflow
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.constraints import Constraints
from dlco.mapping.factors import divisors
from dlco.mapping.kept import Kept, kept_table
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL
from dlco.mapping.mapspace import AXES, MapSpace
from dlco.mapping.places import Place
from dlco.workload.problem import Problem

CROSSED = 1 << 17  # partial factorings checked at once


@dataclass(frozen=True, eq=False)
class Splits:
    """The splits of every dimension of a problem; build it with `Splits.of`.

    Attributes:
        space: the map space.
        shape: the compiled problem; `kept`: `[levels][spaces]`; `crossing`: as in `Nest`.
        tables: for each dimension of bound above 1, by index: `[splits, slots]` factors.
        imperfect: whether factors need not divide the bounds.
    """

    space: MapSpace
    shape: Shape
    kept: Kept
    crossing: Crossing | None
    tables: dict[int, torch.Tensor]
    imperfect: bool = False

    @staticmethod
    def of(
        problem: Problem,
        architecture: Architecture,
        constraints: Constraints | None = None,
        device: torch.device | str = "cpu",
        *,
        both_axes: bool = False,
        imperfect: bool = False,
    ) -> "Splits":
        """The splits that constraints leave, of each dimension along one axis of a level, or along both.

        Raises `InvalidInput` as `MapSpace.of` does.
        """
        space = MapSpace.of(problem, architecture, constraints, device=device)
        tables = {
            d: torch.tensor(_splits(space, dim, bound, both_axes, imperfect), dtype=torch.float64, device=device)
            for d, (dim, bound) in enumerate(problem.sizes.items())
            if bound > 1
        }
        kept = kept_table(problem, architecture, space.bypass)
        shape = compile_problem(problem)
        return Splits(space, shape, kept, crossing_of(shape, architecture.tensors(), kept), tables, imperfect)

    @cached_property
    def open(self) -> dict[int, tuple[int, ...]]:
        """For each dimension the slots where some of its splits have a factor above 1."""
        return {d: tuple((table > 1).any(0).nonzero().flatten().tolist()) for d, table in self.tables.items()}

    def temporal(self, level: int) -> tuple[int, ...]:
        """Dimensions that may have a temporal loop at a level."""
        slot = self.space.slots.index((level, TEMPORAL))
        return tuple(d for d, slots in self.open.items() if slot in slots)

    def nest(self, rows: dict[int, torch.Tensor], position: Sequence[Sequence[Position]] | None = None) -> Nest:
        """The loop nests of a batch of factorings.

        Loops that can not be there are left out of the nest, so that nothing is computed for them.

        Args:
            rows: for each dimension the rows `[n]` of its table; dimensions that are not given are 1 everywhere.
            position: `[levels][dims]` as in `Nest`; the dimensions' own order where orders do not matter.
        """
        levels, dims = len(self.space.levels), self.shape.dims
        loops: list[list[list[Row]]] = [[[1.0] * dims for _ in AXES] for _ in range(levels)]
        for d, index in rows.items():
            for slot in self.open[d]:
                level, axis = self.space.slots[slot]
                loops[level][axis][d] = self._columns[d][slot].index_select(0, index)
        place = position or [range(dims)] * levels
        return Nest(
            self.shape,
            temporal=tuple(tuple(level[TEMPORAL]) for level in loops),
            spatial=tuple((tuple(level[SPATIAL_X]), tuple(level[SPATIAL_Y])) for level in loops),
            position=tuple(tuple(row) for row in place),
            crossing=self.crossing,
        )

    def fitting(self, machine: Machine, limit: int) -> dict[int, torch.Tensor]:
        """All factorings that fit a machine: for each dimension the rows `[n]` of its table.

        Raises:
            InvalidInput: there are more than `limit`.
        """
        found: dict[int, torch.Tensor] = {}
        count = 1
        for d in sorted(self.tables, key=lambda d: len(self.tables[d])):
            mine = torch.arange(len(self.tables[d]), device=self.tables[d].device)
            mine = mine[self._fits({d: mine}, machine)]
            parts: dict[int, list[torch.Tensor]] = {e: [] for e in (*found, d)}
            rows, step, total = torch.arange(count, device=mine.device), max(1, CROSSED // max(1, len(mine))), 0
            for some in rows.split(step):
                old = some.repeat_interleave(len(mine))
                new = mine.repeat(len(some))
                trial = {e: index[old].long() for e, index in found.items()} | {d: new}
                good = self._fits(trial, machine)
                total += int(good.sum())
                if total > limit:
                    raise InvalidInput(
                        f"limit is {limit:,} mappings; the problem has more factorings than that; "
                        "constrain it further or raise the limit"
                    )
                for e, index in trial.items():
                    parts[e].append(index[good].to(torch.int32))
            found = {e: torch.cat(lists) if lists else mine.int() for e, lists in parts.items()}
            count = total
        return found

    def factors(self, rows: dict[int, torch.Tensor]) -> torch.Tensor:
        """Loop bounds of factorings, `[n, levels, 3, dims]`; `rows` as in `nest`, of all dimensions above 1."""
        n = len(next(iter(rows.values()))) if rows else 1
        table = torch.ones(n, len(self.space.levels), len(AXES), self.shape.dims, dtype=torch.float64)
        for d, index in rows.items():
            for slot, (level, axis) in enumerate(self.space.slots):
                table[:, level, axis, d] = self._columns[d][slot][index.long()].cpu()
        return table

    @cached_property
    def _columns(self) -> dict[int, tuple[torch.Tensor, ...]]:
        return {d: tuple(table.T.contiguous()) for d, table in self.tables.items()}

    def _fits(self, rows: dict[int, torch.Tensor], machine: Machine) -> torch.Tensor:
        n = len(next(iter(rows.values())))
        nest = self.nest(rows)
        if self.imperfect:
            nest = WholeNest(**loops_of(nest), bounds=bounds_row(self.space.problem, machine.mac_pj))
        return (overflow(nest, machine, self.kept) <= 0).expand(n)


def _splits(space: MapSpace, dim: str, bound: int, both_axes: bool, imperfect: bool) -> list[list[int]]:
    """Every split of one dimension over the slots of a space, which of a level are those of one axis, or of both."""

    def grow(places: Sequence[Place], rest: int) -> list[dict[int, int]]:
        if not places:
            return [{}] if rest == 1 else []
        place = places[0]
        found = []
        for factor in range(1, rest + 1) if imperfect else divisors(rest):
            if not place.ways(dim, factor):
                continue
            slots = place.slots_for(dim)
            here = [{slot: factor} for slot in slots] if factor > 1 else [{}]
            if both_axes and len(slots) == 2:
                here += [dict(zip(slots, (n, factor // n), strict=True)) for n in divisors(factor)[1:-1]]
            for others in grow(places[1:], -(-rest // factor)):
                found += [others | one for one in here]
        return found

    outwards = sorted(space.places, key=lambda place: (place.level, TEMPORAL in dict(place.slots)))
    return [[split.get(slot, 1) for slot in range(len(space.slots))] for split in grow(outwards, bound)]
