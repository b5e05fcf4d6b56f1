"""The exact front of (cycles, energy) over the uneven mappings of one layer on one machine.

In an uneven mapping every memory cuts every dataspace's loops where it likes (`dlco.exact.cuts`), so a mapping is
spatial factors and a chain of tiles with a cut for each memory and dataspace, in any sequence in which those of one
dataspace lie as its memories do. Where no loop may be gained by moving a cut outwards, which costs nothing over loops
that do not index the dataspace, orders of loops do not matter but for the loop that slides a window: so many fewer
mappings are looked at than there are.

For every choice of spatial factors, the most promising first, chains grow from the inside out, all of them at once.
What a chain has cut and what the rest costs at least (`dlco.exact.cut_bounds`) must not be excluded by the front; of
two chains with the same cuts up to the same tile one that costs no more and leaves no less room is kept. Whole chains
are evaluated by the cost model itself. The front begins with that of the even mappings, which are uneven ones too.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from dlco.cost.model import evaluate_totals
from dlco.exact.array import ArrayTables
from dlco.exact.best_first import FrontSearch
from dlco.exact.bounds import whole_cycles
from dlco.exact.chains import Chains, Spot, operands, share_at_least
from dlco.exact.cut_bounds import SharedBounds
from dlco.exact.cuts import Cuts, UnevenTables
from dlco.exact.frontier import Frontier
from dlco.exact.lattice import Bools, Floats, Ints
from dlco.hardware.architecture import Architecture
from dlco.mapping.kept import kept_table
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.workload.problem import Problem

BEAM = 256  # chains kept at every cut when the front is first to come down


@dataclass(frozen=True, eq=False)
class Left:
    """Choices of spatial factors `[n]` not yet done with: rows of `ArrayTables.spatial`, least pJ a MAC and cycles."""

    spatial: Ints
    energy: Floats
    cycles: Floats

    def pick(self, index: Ints | Bools) -> "Left":
        """Some of them."""
        return Left(*(getattr(self, field.name)[index] for field in fields(self)))


class UnevenSearch:
    """The search of one problem on one machine; `run` it. Attributes as `FrontSearch` has them.

    Attributes:
        tables: the problem on the machine.
        front: unbeaten points so far; energies in pJ of one execution, rows the index of a mapping.
        left: choices of spatial factors not yet done with.
        evaluated: mappings evaluated so far.
    """

    def __init__(self, problem: Problem, architecture: Architecture) -> None:
        self.tables = UnevenTables(problem, architecture)
        self.cuts = Cuts(self.tables)
        self.even = FrontSearch(ArrayTables(problem, architecture))
        self.bounds = SharedBounds(self.cuts)
        self.found: list[Mapping] = []
        self.front = Frontier.empty(1)
        self.evaluated = 0
        self._join_even()
        self.left = self._all()

    def run(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Search until the front is proved, or until `go_on`, asked before every choice of spatial factors, says no."""
        self.even.run(go_on)
        self._join_even()
        self.left = self._open(self.left)
        while len(self.left.spatial) and go_on():
            first = int((self.left.energy * self.left.cycles).argmin())
            spot = Spot(self.bounds, int(self.left.spatial[first]))
            if len(self._promising(spot, spot.root())):
                self._grow(spot, BEAM)
                self._grow(spot, None)
            rest = np.ones(len(self.left.spatial), dtype=bool)
            rest[first] = False
            self.left = self._open(self.left.pick(rest))

    def open_bounds(self) -> tuple[Floats, Floats]:
        """(pJ of one execution, cycles) that what is left of the space needs at least, `[n]` each."""
        return self.left.energy * self.tables.macs, self.left.cycles

    def mappings(self) -> tuple[Mapping, ...]:
        """The mappings of the front's points."""
        return tuple(self.found[i] for i in self.front.rows[:, 0].tolist())

    def join(self, energy: Floats, cycles: Floats, mapping: Callable[[int], Mapping]) -> None:
        """Let evaluated mappings join the front; `mapping` makes the i-th."""
        better = np.flatnonzero(~self.front.excludes(cycles, energy))
        rows = np.arange(len(better)) + len(self.found)
        self.front = self.front.joined(cycles[better], energy[better], rows[:, None])
        kept = {row: i for i, row in enumerate(rows.tolist())}
        stay = set(self.front.rows[:, 0].tolist())
        new = [better[kept[row]] for row in kept if row in stay]
        moved = {row: len(self.found) + i for i, row in enumerate(row for row in kept if row in stay)}
        self.found += [mapping(int(i)) for i in new]
        rows = np.array([[moved.get(row, row)] for row in self.front.rows[:, 0].tolist()], dtype=np.int64)
        self.front = replace(self.front, rows=rows.reshape(-1, 1))

    def _join_even(self) -> None:
        mappings = self.even.mappings()
        self.join(self.even.front.energy, self.even.front.cycles, lambda i: mappings[i])

    def _all(self) -> Left:
        """Every choice of spatial factors that the front leaves."""
        tables = self.tables
        rows = np.arange(len(tables.spatial))
        fills = operands(tables)
        share = np.stack([share_at_least(tables, int(row)) for row in rows])
        crossing = np.where(tables.crosses, share[:, tables.space_of], 1.0)
        energy = tables.constant_pj + ((tables.fill_pj + tables.serve_pj * crossing) * fills).sum(1)
        energy = energy + self.bounds.energy[frozenset(self.bounds.spaces)][-1, tables.spatial]
        cycles = whole_cycles(np.maximum(tables.compute, tables.compulsory_cycles))
        return self._open(Left(rows, energy + tables.leak_pj * cycles / tables.macs, cycles))

    def _open(self, left: Left) -> Left:
        return left.pick(~self.front.excludes(left.cycles, left.energy * self.tables.macs))

    def _grow(self, spot: Spot, beam: int | None) -> None:
        """Grow all chains that the front leaves, or the most promising of them, and evaluate whole ones."""
        chains = spot.root()
        for _ in range(len(self.cuts)):
            grown = [self._promising(spot, one) for one in spot.grown(chains) if len(one)]
            if not any(map(len, grown)):
                return
            chains = Chains.joined(grown)
            chains = chains.pick(spot.unbeaten(chains))
            if beam is not None and len(chains) > beam:
                energy, cycles = spot.least(chains)
                chains = chains.pick(np.argpartition(energy * cycles, beam)[:beam])
        chains = self._promising(spot, spot.closed(chains))
        for order in np.unique(chains.order, axis=0).tolist():
            self._evaluate(spot, order, chains.places[(chains.order == order).all(1)])

    def _promising(self, spot: Spot, chains: Chains) -> Chains:
        """The chains that the front leaves."""
        energy, cycles = spot.least(chains)
        return chains.pick(~self.front.excludes(cycles, energy * self.tables.macs))

    def _evaluate(self, spot: Spot, order: list[int], places: Ints) -> None:
        """Evaluate chains of one sequence of cuts in the cost model."""
        tables = self.tables
        machine = self.cuts.machine(order)
        spatial = np.full(len(places), spot.spatial)
        factors, position = self.cuts.factors(order, spot.whole[places], spatial)
        with torch.no_grad():
            totals = evaluate_totals(
                tables.shape,
                machine.tensors(),
                kept_table(tables.problem, machine),
                torch.from_numpy(factors),
                torch.from_numpy(position),
            )
        self.evaluated += len(places)
        batch = MappingBatch(
            tables.problem.dimensions,
            tuple(level.name for level in machine.levels),
            (frozenset(),) * len(machine.levels),
            torch.from_numpy(factors),
            torch.from_numpy(position).argsort(-1),
            torch.arange(tables.shape.dims).expand(*position.shape),
        )
        self.join(totals.energy_pj.numpy(), totals.cycles.numpy(), batch.mapping)
