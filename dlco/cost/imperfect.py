"""Imperfect factors: loops whose bounds multiply to more than a dimension has, the last tile of each cut short.

For one dimension of bound B, number its slots from the inside (X, Y, temporal of level 0, of level 1, ...), and let
slot k have the factor f_k. A tile of slot k reaches over T_k = f_0 ... f_k; there are N_k = ceil(B / T_k) of them
(N_-1 = B), and the last holds m_k = N_(k-1) - (N_k - 1) f_k children instead of f_k. Three loop nests follow:

whole: the factors as they stand, tiles no larger than B. What must fit: fan-outs and capacities.

mean: n_k = N_(k-1) / N_k children a tile, so that tiles reach over B / N_k and all n_k multiply to B. Words, and so
access energies, are counted here, by the formulas of perfect factors. Loops of different dimensions do not know of
each other, so a sum over all tiles of a product over dimensions is the product of the sums, and a sum is had from its
mean: the number of tiles walked is the product of the n_k of the loops that are walked, and the words of a tile are
linear in the extent of every single dimension, a window's overlap included (where it ends, a mean over whole and cut
tiles). Children lie where whole tiles put them (`PlacedNest`). Along a dimension that does not move the words, loops
may be passed by:

    a temporal loop that leaves the tile in place      whoever works at all does so in its first iteration
    children that share the words, served together     whoever asks, the first of them asks too
    a level's own instances, for first visits          those that work in the first iteration see the word

so of such a loop the first child alone counts, of all others every child. Going inwards, full tiles a and the cut one
b (0 or 1) become, W = a + b being their number,

    counted: a' = a f_k + b (m_k - 1), b' = b;      first alone: a' = a + b [m_k > 1], b' = b [m_k = 1]

(`Walk`). Two things are not told by sums of means, and are counted of whole and cut tiles where they occur: which
children need the same words of windows (two dimensions of one rank) that lie over them both ways (`dlco.cost.windows`),
and which words of a result an instance sees where these have gaps between them or lie in windows, as in transposed
convolutions (`dlco.cost.listing`). Hence words moved, summed over all instances, are exact; per instance they are
means.

busy: what the busiest instances do, those that always get the first child of every spatial loop, by the same walk. The
temporal loop has W_(k-1) / W_k iterations, the spatial one f_k. Others wait for them, so compute cycles are
W_-1 over all dimensions: exactly the steps of the executed nest. Bandwidths are charged with this nest, whose words
are never fewer than those of any instance; so is leakage, with all instances that are ever used.

Where factors multiply to the bounds all three nests are the same integers, and every figure is that of perfect factors
(of results with gaps or windows, Timeloop's estimate of the words that an instance sees).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from dlco.cost.accesses import Accesses, count_accesses
from dlco.cost.arithmetic import EXACT
from dlco.cost.cost import Cost
from dlco.cost.crossing import crossing_of
from dlco.cost.mean_nest import MeanNest, PlacedNest, Walk, WholeNest
from dlco.cost.nest import Axes, Row, build_nest, loops_of, positions, product
from dlco.cost.performance import Performance, performance
from dlco.cost.shape import Shape, bounds_row, compile_problem
from dlco.cost.sparse import Zeros
from dlco.cost.tabulate import tabulate, tabulate_counts
from dlco.errors import NotSupported
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import Kept
from dlco.mapping.mapping import OUTWARDS, TEMPORAL, MappingBatch
from dlco.mapping.rules import DEFAULT_RULES
from dlco.workload.problem import Problem


@dataclass(frozen=True)
class BusyNest(PlacedNest):
    """The loops of the busiest instances. `steps_run`: `[...]` temporal steps, whole numbers without rounding."""

    steps_run: torch.Tensor

    @property
    def cycles(self) -> Row:
        """Compute cycles."""
        return self.steps_run


def imperfect_nests(
    shape: Shape,
    factors: torch.Tensor,
    position: torch.Tensor | Sequence[Sequence[int]],
    bounds: torch.Tensor,
    axes: Axes | None = None,
) -> tuple[WholeNest, MeanNest, BusyNest]:
    """The (whole, mean, busy) loops of mappings.

    Args:
        shape: the compiled problem.
        factors: `[..., levels, 3, dims]` whole numbers that multiply to at least the bounds.
        position: `[..., levels, dims]` place of each temporal loop in its level, or one such table for the batch.
        bounds: `[..., dims]`, of a shape that broadcasts against the factors'.
        axes: which spatial loops there may be; all, where it is not given.
    """
    bounds = bounds.to(factors.dtype).expand(*factors.shape[:-3], factors.shape[-1])
    mean, busy, cut_short = (torch.empty_like(factors) for _ in range(3))
    reach = factors.flatten(-3, -2).prod(-2)
    tiles = torch.ones_like(bounds)  # N_k; beyond the outermost slot there is one tile
    walk = Walk(torch.zeros_like(bounds), torch.ones_like(bounds))
    for level in reversed(range(factors.shape[-3])):
        for axis in reversed(OUTWARDS):
            n = factors[..., level, axis, :]
            reach = reach / n
            children = (bounds / reach).ceil()
            last = children - (tiles - 1) * n
            mean[..., level, axis, :] = children / tiles
            cut_short[..., level, axis, :] = last
            before, walk = walk.visits, walk.inwards(n, last, axis == TEMPORAL)
            busy[..., level, axis, :] = walk.visits / before if axis == TEMPORAL else torch.minimum(n, children)
            tiles = children
    nests = [loops_of(build_nest(shape, table, position, axes)) for table in (factors, mean, busy)]
    whole = WholeNest(**nests[0], bounds=bounds)
    return (
        whole,
        MeanNest(**nests[1], whole=whole, last=build_nest(shape, cut_short, position, axes)),
        BusyNest(**nests[2], whole=whole, steps_run=torch.as_tensor(walk.visits).prod(-1)),
    )


def imperfect_cost(
    problem: Problem, machine: Machine, kept: Kept, mapping: MappingBatch, zeros: Zeros | None = None
) -> Cost:
    """What mappings cost whose factors may multiply to more than the bounds, under the default counting rules.

    Args:
        problem: the work.
        machine: its leading dimensions broadcast against the batch.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        mapping: whole factors, of any leading shape. Those that multiply to less than the bounds are not valid, and
            are counted as if the bounds were no larger.
        zeros: what they change; None where operands are dense.

    Returns:
        A `Cost` whose counts are means over the instances of a level, `Counts.instances` their mean number and
        `Counts.tile` the largest tile; so products of the first two are totals.
    """
    bounds = bounds_row(problem, machine.mac_pj)
    covered = torch.minimum(mapping.reach, bounds)
    whole, mean, busy = imperfect_nests(compile_problem(problem), mapping.factors, positions(mapping.order), covered)
    accesses, spent = imperfect_performance(mean, busy, machine, kept, zeros)
    batch = torch.broadcast_shapes(mapping.batch_shape, machine.capacity.shape[:-1])
    counts = tabulate_counts(kept, batch, mean, whole, accesses, EXACT, machine.mac_pj.dtype)
    cost = tabulate(machine, kept, batch, whole, counts, spent, covers(mapping.factors, bounds))
    if zeros is None:
        return cost
    counts = replace(counts, computes=counts.computes * zeros.macs_share)
    return replace(cost, utilization=cost.utilization * zeros.macs_share, counts=counts)


def covers(factors: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    """`[...]` whether whole factors cover the bounds, none of them larger than the number of tiles that it counts."""
    tiles = bounds.to(factors.dtype).expand(*factors.shape[:-3], factors.shape[-1])
    fit = torch.ones(factors.shape[:-3], dtype=torch.bool, device=factors.device)
    for level in range(factors.shape[-3]):
        for axis in OUTWARDS:
            n = factors[..., level, axis, :]
            fit = fit & (n <= tiles).all(-1)
            tiles = (tiles / n).ceil()
    return fit & (tiles <= 1).all(-1)


def imperfect_performance(
    mean: MeanNest, busy: BusyNest, machine: Machine, kept: Kept, zeros: Zeros | None = None
) -> tuple[Accesses, Performance]:
    """(accesses of the mean nest, its energies with the cycles and the leakage of the busy one).

    Raises `NotSupported` where parts of memories in and beyond an array come in turns.
    """
    if crossing_of(mean.shape, machine, kept) is not None:
        raise NotSupported("factors multiply to more than a bound, and parts of memories stand across the array")
    accesses, rushed = (count_accesses(nest, kept, DEFAULT_RULES, EXACT) for nest in (mean, busy))
    if zeros is not None:
        accesses, rushed = zeros.left(accesses, kept), zeros.left(rushed, kept)
        busy = replace(busy, steps_run=busy.steps_run * zeros.steps_share)
    spent = paced(performance(mean, machine, kept, accesses, EXACT), performance(busy, machine, kept, rushed, EXACT))
    return accesses, spent if zeros is None else replace(spent, mac_pj=product((spent.mac_pj, zeros.macs_share)))


def paced(words: Performance, time: Performance) -> Performance:
    """The energies of accesses with the cycles, and so the leakage, of others."""
    return replace(
        words,
        cycles=time.cycles,
        compute_cycles=time.compute_cycles,
        level_cycles=time.level_cycles,
        port_cycles=time.port_cycles,
        leak_pj=time.leak_pj,
    )
