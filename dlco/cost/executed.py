"""What Timeloop counts for a mapping whose factors do not divide the bounds: its steps (`residual`) taken together.

Figures are of one instance, averaged as Timeloop averages them, in its floating point and its roundings:

    instances       the product of the spatial loops' mean runs, rounded down
    share           words served to all children over the children there are at most
    reads           of what is only read: content; of results: content - partition
    fills           share, rounded down; of results share - partition, to the nearest

Words are multiplied over a level that bypasses a dataspace, with the same share for every group of children. Cycles
are those of loops that always run to their ends; a level's bandwidth is charged with what an instance does on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np
import torch

from dlco.cost.accesses import Accesses
from dlco.cost.arithmetic import EXACT
from dlco.cost.cost import Cost, Counts
from dlco.cost.forwarding import check_children
from dlco.cost.imperfect import covers, paced
from dlco.cost.mean_nest import WholeNest
from dlco.cost.nest import Row, build_nest, loops_of, positions
from dlco.cost.performance import performance
from dlco.cost.residual import CutNest, Tally, Walk
from dlco.cost.shape import bounds_row, compile_problem
from dlco.cost.tabulate import tabulate
from dlco.errors import InvalidInput, InvalidMapping, NotSupported
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import Kept
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.workload.problem import Problem

Words = list[list[int]]  # [levels][spaces]


@dataclass(frozen=True)
class TimeloopFigures:
    """Figures of a mapping, per instance of a level.

    Attributes:
        reads, fills, updates, partition, tile: `[levels][spaces]` words; 0 where a level bypasses.
        instances: `[levels]` in use, on average; `most`: in use at some time; `macs_in_use`: MACs, on average.
        computes: multiply-accumulates that Timeloop charges.
        cycles: of the loops, at their ends.
    """

    reads: Words
    fills: Words
    updates: Words
    partition: Words
    tile: Words
    instances: list[int]
    most: list[int]
    macs_in_use: int
    computes: int
    cycles: int

    @property
    def charged(self) -> tuple[Words, Words]:
        """`[levels][spaces]` words read, and written, that bandwidths are charged with.

        Those of an instance, spread over all that are in use at some time.
        """
        ratios = [float(most) / mean for most, mean in zip(self.most, self.instances, strict=True)]
        writes = [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(self.fills, self.updates, strict=True)]
        read, written = (
            [[ceil(words / ratio) for words in row] for row, ratio in zip(table, ratios, strict=True)]
            for table in (self.reads, writes)
        )
        return read, written


def timeloop_figures(
    problem: Problem, mapping: Mapping, kept: Kept, fanout_x: Sequence[int], forwarding: bool = True
) -> TimeloopFigures:
    """Run a mapping as Timeloop does.

    Args:
        problem: the work.
        mapping: factors that cover its bounds.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        fanout_x: physical children along X of each level.
        forwarding: whether neighbours pass words on.

    Raises:
        InvalidMapping: a dataspace is kept at no level.
        NotSupported: a level with more children than can be listed, or with loops that Timeloop does not have.
    """
    columns = executed_columns(problem, mapping, kept, [(x, 1) for x in fanout_x], forwarding)
    nest, levels = columns[0].nest, range(len(kept))
    figures = [column.figures() for column in columns]

    def table(name: str) -> Words:
        return [[one[name][level] for one in figures] for level in levels]

    macs = columns[0].tallies[0]
    in_use = int(_mean_instances(nest)[0] * _fanout(nest, 0))
    return TimeloopFigures(
        reads=table("reads"),
        fills=table("fills"),
        updates=table("updates"),
        partition=table("partition"),
        tile=table("tile"),
        instances=columns[0].instances,
        most=[prod(loop.end for loop in nest.loops if loop.level > level and not loop.temporal) for level in levels],
        macs_in_use=in_use,
        computes=int(float(macs.runs) / macs.most) * in_use,
        cycles=prod(loop.end for loop in nest.loops if loop.temporal),
    )


@dataclass(frozen=True)
class ExecutedNest(WholeNest):
    """Loops with what Timeloop says of their execution: steps, instances in use `[levels]`, multiply-accumulates."""

    steps_run: torch.Tensor
    used: tuple[torch.Tensor, ...]
    done: torch.Tensor

    @property
    def cycles(self) -> Row:
        """Compute cycles."""
        return self.steps_run

    @property
    def instances(self) -> tuple[Row, ...]:
        """`[levels]` instances in use."""
        return self.used

    @property
    def macs(self) -> Row:
        """Multiply-accumulates that are charged."""
        return self.done


def executed_cost(problem: Problem, machine: Machine, kept: Kept, batch: MappingBatch, forwarding: bool) -> Cost:
    """What mappings cost as Timeloop executes them.

    Args:
        problem: the work.
        machine: one, without leading dimensions.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        batch: whole factors, of any leading shape. Those that multiply to less than the bounds are not valid, and are
            counted as if the bounds were no larger.
        forwarding: whether neighbours pass words on.

    Raises:
        InvalidInput: a batch of machines.
        InvalidMapping, NotSupported: as `timeloop_figures` does.
    """
    if machine.capacity.dim() > 1:
        raise InvalidInput("Timeloop executes imperfect factors on one machine at a time; machine is a batch")
    shape = batch.batch_shape
    widths = [int(x) for x in machine.fanout_x.tolist()]
    runs = []
    for index in np.ndindex(*shape):
        mapping = batch.mapping(*index)
        covered = replace(problem, bounds=tuple(map(min, problem.bounds, mapping.reach)))
        runs.append(timeloop_figures(covered, mapping, kept, widths, forwarding))

    def table(values: Sequence[object], dtype: torch.dtype = torch.int64) -> torch.Tensor:
        found = torch.tensor(values, dtype=dtype, device=machine.mac_pj.device)
        return found.reshape((*shape, *found.shape[1:]))

    counts = Counts(
        **{
            name: table([getattr(run, name) for run in runs])
            for name in ("reads", "fills", "updates", "partition", "tile", "instances", "macs_in_use", "computes")
        }
    )
    bounds = bounds_row(problem, machine.mac_pj)
    nest = ExecutedNest(
        **loops_of(build_nest(compile_problem(problem), batch.factors, positions(batch.order))),
        bounds=bounds.expand(*shape, -1),
        steps_run=table([run.cycles for run in runs], machine.mac_pj.dtype),
        used=counts.instances.to(machine.mac_pj.dtype).unbind(-1),
        done=counts.computes.to(machine.mac_pj.dtype),
    )
    inside = torch.tensor(
        [[row[s] and any(o[s] for o in kept[lv + 1 :]) for s in range(len(row))] for lv, row in enumerate(kept)]
    )
    drains = torch.where(inside & (counts.updates > 0), counts.fills + counts.partition, 0)
    spent = performance(nest, machine, kept, _rows(counts.reads, counts.fills, counts.updates, drains), EXACT)
    read, written = (table([run.charged[i] for run in runs]) for i in range(2))
    nothing = torch.zeros_like(read)
    time = performance(nest, machine, kept, _rows(read, written, nothing, nothing), EXACT)
    return tabulate(machine, kept, shape, nest, counts, paced(spent, time), covers(batch.factors, bounds))


def _rows(*tables: torch.Tensor) -> Accesses:
    """Tables `[..., levels, spaces]` of reads, fills, updates and drains as rows."""

    def rows(table: torch.Tensor) -> list[list[Row]]:
        return [list(level.unbind(-1)) for level in table.double().unbind(-2)]

    reads, fills, updates, drains = map(rows, tables)
    return Accesses(reads, fills, updates, drains)


def _mean_instances(nest: CutNest) -> list[float]:
    """`[levels]` instances in use on average, in Timeloop's order of operations."""
    used, product = [1.0] * nest.levels, 1.0
    for loop in (loop for loop in reversed(nest.loops) if not loop.temporal):
        runs = 1.0
        for outer in (one for one in reversed(nest.loops) if one.dim == loop.dim and one.stride > loop.stride):
            runs = outer.residual + outer.end * (runs - 1)
        product = product * (loop.residual + loop.end * (runs - 1)) / runs if loop.cut else product * loop.end
        used[: loop.level] = [product] * loop.level
    return used


def _fanout(nest: CutNest, level: int) -> int:
    """Children of a level in use at some time."""
    return prod(loop.end for loop in nest.spatial(level))


def executed_columns(
    problem: Problem, mapping: Mapping, kept: Kept, meshes: Sequence[tuple[int, int]], forwarding: bool
) -> list["Column"]:
    """Every dataspace as Timeloop moves it.

    Args:
        problem: the work.
        mapping: factors that cover its bounds.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        meshes: physical children along X and Y of each level.
        forwarding: whether neighbours pass words on.

    Raises:
        InvalidMapping, NotSupported: as `timeloop_figures` does.
    """
    check_children(mapping)
    nest = CutNest.of(problem, mapping)
    for loop in nest.loops:
        both = [one for one in nest.spatial(loop.level) if one.dim == loop.dim]
        if loop.cut and len(both) > 1 and loop is both[0]:
            raise NotSupported(
                f"{problem.dimensions[loop.dim]} is split along both X and Y of {mapping.levels[loop.level]}, and cut "
                "short along X; Timeloop has no such loops (the default rules count them)"
            )
    for space, keeps in zip(problem.dataspaces, zip(*kept, strict=True), strict=True):
        if not any(keeps):
            raise InvalidMapping(f"{space.name} is kept at no level; at least one must keep it")
    instances = [int(used) for used in _mean_instances(nest)]
    columns = []
    for s, space in enumerate(problem.dataspaces):
        tallies = [
            Walk(nest, level, space, width, forwarding, height).tally() for level, (width, height) in enumerate(meshes)
        ]
        own = [row[s] for row in kept]
        columns.append(Column(nest, tallies, own, instances, problem.words(space), space.read_write))
    return columns


@dataclass(frozen=True)
class Column:
    """One dataspace at all levels.

    Attributes:
        tallies: `[levels]` of their children; `kept`: whether a level keeps it; `instances`: of each level.
        words: of the whole tensor.
    """

    nest: CutNest
    tallies: list[Tally]
    kept: list[bool]
    instances: list[int]
    words: int
    read_write: bool

    def figures(self) -> dict[str, list[int]]:
        """`[levels]` of reads, fills, updates, partition and tile."""
        levels, top, tile, part = range(self.nest.levels), self.top, self.tile, self.partitions
        rows_served, linked = self.served()
        content = [float(sum(row.values())) for row in rows_served]
        rows: dict[str, list[int]] = {key: [0] * len(levels) for key in ("reads", "fills", "updates")}
        for level in (level for level in levels if self.kept[level]):
            peer = linked[level + 1] / self.instances[level] if level < top and linked[level + 1] else 0.0
            share = self._share(level) if level < top else 0.0
            first = part[level] if self.read_write else 0
            rows["reads"][level] = _rounded(content[level] + peer - first)
            rows["updates"][level] = _rounded(content[level]) if self.read_write else 0
            if level < top:
                rows["fills"][level] = _rounded(share + peer - first) if self.read_write else int(share + peer)
        mask = [int(keeps) for keeps in self.kept]
        rows["partition"] = [n * m for n, m in zip(part, mask, strict=True)]
        rows["tile"] = [n * m for n, m in zip(tile, mask, strict=True)]
        return rows

    @property
    def top(self) -> int:
        """The outermost level that keeps it."""
        return max(level for level, keeps in enumerate(self.kept) if keeps)

    @property
    def tile(self) -> list[int]:
        """`[levels]` words of the largest tile."""
        return [*(tally.tile for tally in self.tallies[1:]), self.words]

    @property
    def partitions(self) -> list[int]:
        """`[levels]` share of the tensor that one instance sees."""
        tile, parts = self.tile, [self.words]
        for level in reversed(range(len(tile) - 1)):
            across = self.nest.spatial(level + 1)
            parts.append(parts[-1] * tile[level] // (self.tallies[level + 1].spread if across else tile[level]))
        return parts[::-1]

    def _share(self, level: int) -> float:
        """Words that a child of the level above is served, on average."""
        fanout = _fanout(self.nest, level + 1)
        return float(
            sum(float(words * size) / fanout for (size, _), words in sorted(self.tallies[level + 1].groups.items()))
        )

    def served(self) -> tuple[list[dict[tuple[int, int], float]], list[int]]:
        """`[levels]` words that a level reads out, by groups of children, and those that these pass on to each other.

        A level that bypasses it is passed by as many words as it would read out.
        """
        linked = [tally.linked for tally in self.tallies]
        rows: list[dict[tuple[int, int], float]] = []
        for level, tally in enumerate(self.tallies):
            row: dict[tuple[int, int], float] = dict(sorted(tally.groups.items()))
            if level and not self.kept[level - 1]:  # its children ask for what theirs ask them for
                asked = float(sum(rows[-1].values())) * _fanout(self.nest, level)
                factor = asked / float(sum(words * size for (size, _), words in row.items()))
                row = {key: words * factor for key, words in row.items()}
                linked[level] = 0
            rows.append(row)
        return rows, linked


def _rounded(x: float) -> int:
    """To the nearest, halves up; never below 0, though the partition counts gaps that nothing visits."""
    whole = int(x)
    return max(0, whole + (x - whole >= 0.5))
