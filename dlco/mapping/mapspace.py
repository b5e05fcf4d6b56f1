"""`MapSpace`: every mapping of a problem on a hierarchy, as tensors that a batched search can move in.

A dimension's bound is a product of primes, its units. A mapping puts each unit into a slot (the temporal loops
of a level, or its spatial ones along X or Y) and each level's dimensions into an order:

    assignment: LongTensor [..., units], the slot of each unit
    order: LongTensor [..., levels, dims], innermost temporal loop first

The product of a dimension's factors is its bound wherever the units lie, so a search moves units and never has
to repair. What does not fit a machine (fan-outs, capacities) is the cost model's to say, not the space's.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import factorial, inf, prod

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import KINDS, Constraints
from dlco.mapping.constraints import check_constraints, resolve, stated
from dlco.mapping.factors import prime_factors
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, MappingBatch
from dlco.mapping.places import Place, count_splits
from dlco.workload.problem import Problem

AXES = (TEMPORAL, SPATIAL_X, SPATIAL_Y)
MAX_REDRAWS = 10_000
MAX_BOUND = 2**53  # float64, in which factors are searched for, holds every integer up to it
DRAW = 4096


@dataclass(frozen=True, eq=False)
class MapSpace:
    """All mappings of one problem on one hierarchy that meet some constraints; build it with `MapSpace.of`.

    Attributes:
        problem: what is mapped.
        levels: names of the storage levels, innermost first.
        bypass: for each level the dataspaces that the constraints keep out of it.
        slots: (level, axis) pairs that may hold factors; axis 0 is temporal, 1 is X, 2 is Y.
        places: the slots by level and kind, with what is fixed of them.
        primes: LongTensor `[units]`, the prime that each unit stands for.
        unit_dim: LongTensor `[units]`, the dimension that it belongs to; units are grouped by dimension.
        allowed: BoolTensor `[units, slots]`, where the constraints let a unit lie.
        limits: `[levels, 2, dims]`, the largest temporal and spatial factor of each dimension.
        order_key: `[levels, dims]`, sorts each level's dimensions: those whose position is fixed come first.
        spatial_order: LongTensor `[levels, dims]`, the order of the spatial loops, the same in all mappings.

    Examples:
        >>> import torch
        >>> from dlco.mapping import MapSpace
        >>> space = MapSpace.of(dlco.linear("fc", C=8, M=6).problem, dlco.hardware.generic())
        >>> batch = space.batch(*space.random(100, torch.Generator().manual_seed(0)))
        >>> tuple(batch.factors.shape)  # mappings, levels, (temporal, X, Y), dimensions
        (100, 3, 3, 7)
    """

    problem: Problem
    levels: tuple[str, ...]
    bypass: tuple[frozenset[str], ...]
    slots: tuple[tuple[int, int], ...]
    places: tuple[Place, ...]
    primes: Tensor
    unit_dim: Tensor
    allowed: Tensor
    limits: Tensor
    order_key: Tensor
    spatial_order: Tensor

    @staticmethod
    def of(
        problem: Problem,
        architecture: Architecture,
        constraints: Constraints | None = None,
        *,
        free_fanout: Collection[tuple[str, int]] = (),
        device: torch.device | str = "cpu",
    ) -> "MapSpace":
        """The space of a problem on an architecture, under the constraints that it carries and others.

        Slots are the temporal loops of every level, and X and Y where the fan-out along them is above 1, or
        where `free_fanout` lists the (level, axis), whatever theirs is (for hardware whose fan-outs are still open).

        Raises:
            InvalidInput: constraints that do not fit the problem or the architecture, or that leave no mapping;
                an unknown level in `free_fanout`; a bound above 2^53.
        """
        check_constraints(architecture, [problem], constraints)
        return MapSpace.resolved(problem, architecture, constraints, free_fanout=free_fanout, device=device)

    @staticmethod
    def resolved(
        problem: Problem,
        architecture: Architecture,
        constraints: Constraints | None,
        *,
        free_fanout: Collection[tuple[str, int]] = (),
        device: torch.device | str = "cpu",
    ) -> "MapSpace":
        """`of` for one problem of a network that constraints were checked for: they may name what it does not have."""
        fixed = resolve(stated(architecture, constraints), problem, architecture)
        for dim, bound in problem.sizes.items():
            if bound > MAX_BOUND:
                raise InvalidInput(f"bound of dimension {dim} is {bound}; mappings are searched for up to 2^53")
        free = {(architecture.index(name), axis) for name, axis in free_fanout}
        names = tuple(level.name for level in architecture.levels)
        slots = tuple(
            (i, axis)
            for (i, level), axis in product(enumerate(architecture.levels), AXES)
            if axis == TEMPORAL or (i, axis) in free or (level.fanout_x, level.fanout_y)[axis - SPATIAL_X] > 1
        )
        places = tuple(
            Place(
                level=i,
                slots=tuple(
                    (axis, index)
                    for index, (level, axis) in enumerate(slots)
                    if level == i and (axis == TEMPORAL) == (kind == "temporal")
                ),
                constraint=fixed.slot(name, kind),
            )
            for (i, name), kind in product(enumerate(names), KINDS)
        )
        primes, unit_dim, allowed = _units(problem, places, len(slots))
        limits = [place.limit(dim) for place in places for dim in problem.dimensions]
        keys = torch.tensor([[_order_key(place, problem, dim) for dim in problem.dimensions] for place in places]).view(
            len(names), len(KINDS), -1
        )
        return MapSpace(
            problem=problem,
            levels=names,
            bypass=tuple(fixed.bypassed(name) for name in names),
            slots=slots,
            places=places,
            primes=torch.tensor(primes, dtype=torch.long, device=device),
            unit_dim=torch.tensor(unit_dim, dtype=torch.long, device=device),
            allowed=torch.tensor(allowed, dtype=torch.bool, device=device).view(-1, len(slots)),
            limits=torch.tensor(limits, device=device).view(len(names), len(KINDS), -1),
            order_key=keys[:, 0].to(device),
            spatial_order=keys[:, 1].argsort(dim=-1, stable=True).to(device),
        )

    @cached_property
    def size(self) -> int:
        """How many mappings the space holds: factor splits x orders, all permutations counted as distinct."""
        splits = prod(count_splits(dim, bound, self.places) for dim, bound in self.problem.sizes.items())
        free = (self.order_key == len(self.problem.dimensions)).sum(-1).tolist()
        return splits * prod(factorial(count) for count in free)

    def factors(self, assignment: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
        """Loop bounds of assignments: `[..., units]` to `[..., levels, 3, dims]` (temporal, X, Y).

        Exact, as products of integers are, up to what `dtype` holds (2^53 in float64, 2^24 in float32).
        """
        batch, dims = assignment.shape[:-1], len(self.problem.dimensions)
        cells = self._slot_cells.index_select(0, assignment.reshape(-1)) * dims
        cells = cells.view(batch.numel(), assignment.shape[-1]).add_(self.unit_dim)
        out = torch.ones(cells.shape[0], len(self.levels) * len(AXES) * dims, dtype=dtype, device=assignment.device)
        out.scatter_reduce_(1, cells, self.primes.to(dtype).expand_as(cells), "prod")
        return out.view(*batch, len(self.levels), len(AXES), dims)

    def assignment_of(self, factors: Tensor) -> Tensor:
        """The assignment, `[..., units]`, that has these factors, `[..., levels, 3, dims]`.

        Raises:
            InvalidInput: wrong shape, factors that are no positive integers or that do not multiply to the
                bounds, or a factor where the space has no slot for it.
        """
        expected = (len(self.levels), len(AXES), len(self.problem.dimensions))
        if factors.shape[-3:] != expected:
            raise InvalidInput(f"factors has shape {tuple(factors.shape)}; its last three must be {expected}")
        whole = factors.detach().round().long()
        if not torch.equal(whole.to(factors.dtype), factors) or bool((whole < 1).any()):
            raise InvalidInput("factors must be integers of at least 1")
        products = whole.flatten(-3, -2).prod(-2).reshape(-1, expected[-1])
        for column, (dim, bound) in zip(products.unbind(-1), self.problem.sizes.items(), strict=True):
            wrong = column[column != bound]
            if wrong.numel():
                raise InvalidInput(f"factors of {dim} multiply to {int(wrong[0])}; they must multiply to {bound}")
        left = whole.flatten(-3, -2).index_select(-2, self._slot_cells)
        assignment = torch.empty(*factors.shape[:-3], len(self.primes), dtype=torch.long, device=factors.device)
        # Units that an exact factor pins to their place come first in each dimension and no other unit may lie
        # there, so taking the first slot that has the prime never takes one that a later unit needs.
        for unit, (prime, dim) in enumerate(zip(self.primes.tolist(), self.unit_dim.tolist(), strict=True)):
            column = left[..., dim]
            has = (column % prime == 0) & self.allowed[unit]
            if not bool(has.any(-1).all()):
                raise InvalidInput(f"factors put {self.problem.dimensions[dim]} where the constraints leave it no loop")
            slot = has.long().argmax(-1, keepdim=True)
            column.scatter_(-1, slot, column.gather(-1, slot) // prime)
            assignment[..., unit] = slot.squeeze(-1)
        return assignment

    def one_axis(self, assignment: Tensor) -> Tensor:
        """Whether no dimension lies on both X and Y of a level, BoolTensor `[...]` (Timeloop cannot write such)."""
        factors = self.factors(assignment, torch.float32)
        return ~((factors[..., SPATIAL_X, :] > 1) & (factors[..., SPATIAL_Y, :] > 1)).flatten(-2).any(-1)

    def contains(self, assignment: Tensor) -> Tensor:
        """Whether assignments `[..., units]` meet every constraint and `one_axis`, BoolTensor `[...]`."""
        units = torch.arange(len(self.primes), device=assignment.device)
        allowed = self.allowed[units, assignment].all(-1)
        return allowed & self.one_axis(assignment) & ~self._above_limits(assignment).any(-1)

    def random(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """`n` mappings of the space: assignment `[n, units]` and order `[n, levels, dims]`.

        All of them meet `contains`. A unit's slot is uniform over those allowed to it (as far as `at_most` lets
        it), and an order over the permutations that the constraints leave. The same generator state gives the same
        mappings.

        Raises:
            InvalidInput: the upper limits of the constraints are so tight that drawing does not meet them.
        """
        return self._random_assignment(n, generator), self._random_order(n, generator)

    def random_valid(
        self,
        n: int,
        generator: torch.Generator | None,
        fits: Callable[[MappingBatch], Tensor],
        max_tries: int = 1_000_000,
    ) -> tuple[Tensor, Tensor]:
        """Up to `n` random mappings that fit a machine: assignment `[m, units]`, order `[m, levels, dims]`.

        Args:
            n: how many are wanted; fewer come back where `max_tries` did not find them.
            generator: source of randomness.
            fits: BoolTensor `[k]` for a batch of k mappings.
            max_tries: how many mappings are drawn at most.
        """
        assignments, orders = [], []
        found = tries = 0
        while found < n and tries < max_tries:
            assignment, order = self.random(min(max(n, DRAW), max_tries - tries), generator)
            good = fits(self.batch(assignment, order))
            tries += len(assignment)
            found += int(good.sum())
            assignments.append(assignment[good])
            orders.append(order[good])
        if not assignments:
            return self.random(0, generator)
        return torch.cat(assignments)[:n], torch.cat(orders)[:n]

    def batch(self, assignment: Tensor, order: Tensor, dtype: torch.dtype = torch.float64) -> MappingBatch:
        """Mappings `[...]` for the cost model from `[..., units]` and `[..., levels, dims]`."""
        return MappingBatch(
            dimensions=self.problem.dimensions,
            levels=self.levels,
            bypass=self.bypass,
            factors=self.factors(assignment, dtype),
            order=order,
            spatial_order=self.spatial_order.expand_as(order),
        )

    @cached_property
    def _slot_cells(self) -> Tensor:
        """Row of each slot in a flattened `[levels * 3]` table of factors."""
        cells = [level * len(AXES) + axis for level, axis in self.slots]
        return torch.tensor(cells, dtype=torch.long, device=self.primes.device)

    @cached_property
    def _choices(self) -> tuple[Tensor, Tensor]:
        """How many slots each unit may use, and a table `[units, slots]` whose rows start with those slots."""
        return self.allowed.sum(-1), self.allowed.long().argsort(dim=-1, descending=True, stable=True)

    @cached_property
    def _axis_choice(self) -> Tensor:
        """`[2, dims, slots]`: the slot on X (0) or Y (1) that stands for a slot; itself where there is no choice."""
        dims = self.problem.dimensions
        table = torch.arange(len(self.slots)).repeat(2, len(dims), 1)
        for place, (d, dim) in product(self.places, enumerate(dims)):
            pair = place.slots_for(dim)
            if len(pair) == 2:
                table[:, d, pair] = torch.tensor(pair)[:, None]
        return table.to(self.primes.device)

    def _draw(self, n: int, generator: torch.Generator | None) -> Tensor:
        counts, choices = self._choices
        device, dims = counts.device, len(self.problem.dimensions)
        # A float32 below 1 times an integer never rounds up to that integer, so `pick` stays in range.
        pick = (torch.rand(n, len(counts), generator=generator, device=device) * counts).long()
        slot = choices.flatten().take(pick.add_(torch.arange(len(counts), device=device) * len(self.slots)))
        # One coin a level and dimension says on which axis it lies: no dimension is on both, and still each unit
        # by itself is uniform over its slots.
        coins = torch.randint(2, (n, len(self.levels) * dims), generator=generator, device=device)
        level = (self._slot_cells // len(AXES)).take(slot)
        coin = coins.gather(1, level.mul_(dims).add_(self.unit_dim))
        return self._axis_choice.flatten().take(coin.mul_(dims).add_(self.unit_dim).mul_(len(self.slots)).add_(slot))

    def _random_assignment(self, n: int, generator: torch.Generator | None) -> Tensor:
        assignment = self._draw(n, generator)
        if bool((self.limits == inf).all()):
            return assignment
        rows = torch.arange(n, device=assignment.device)
        # A limit binds one dimension at a time, so redrawing only that dimension leaves the others as they are.
        for _ in range(MAX_REDRAWS):
            wrong = self._above_limits(assignment[rows])
            again = wrong.any(-1)
            rows, wrong = rows[again], wrong[again]
            if not len(rows):
                return assignment
            redrawn = self._draw(len(rows), generator)
            assignment[rows] = torch.where(wrong[:, self.unit_dim], redrawn, assignment[rows])
        dims = [dim for dim, bad in zip(self.problem.dimensions, wrong.any(0).tolist(), strict=True) if bad]
        raise InvalidInput(f"at_most of {', '.join(dims)} is so tight that drawing does not meet it; loosen one")

    def _random_order(self, n: int, generator: torch.Generator | None) -> Tensor:
        noise = torch.rand(n, *self.order_key.shape, generator=generator, device=self.order_key.device)
        return (self.order_key + noise / 2).argsort(dim=-1)  # halved, so that rounding never reaches the next key

    def _above_limits(self, assignment: Tensor) -> Tensor:
        """BoolTensor `[..., dims]`: a dimension has a larger factor somewhere than the constraints let it."""
        factors = self.factors(assignment, torch.float32)
        by_kind = torch.stack([factors[..., TEMPORAL, :], factors[..., SPATIAL_X:, :].prod(-2)], dim=-2)
        return (by_kind > self.limits).flatten(-3, -2).any(-2)


def _order_key(place: Place, problem: Problem, dim: str) -> float:
    """Position that the constraints give to a dimension, or the number of all positions where they give none."""
    innermost = place.constraint.innermost
    return float(innermost.index(dim)) if dim in innermost else float(len(problem.dimensions))


def _units(problem: Problem, places: tuple[Place, ...], slots: int) -> tuple[list[int], list[int], list[list[bool]]]:
    """Prime, dimension and allowed slots of every unit; those pinned by an exact factor first in a dimension."""
    primes: list[int] = []
    unit_dim: list[int] = []
    allowed: list[list[bool]] = []

    def add(prime: int, dim: int, where: Collection[int]) -> None:
        primes.append(prime)
        unit_dim.append(dim)
        allowed.append([slot in where for slot in range(slots)])

    for position, (dim, bound) in enumerate(problem.sizes.items()):
        rest = bound
        for place in places:
            factor = place.exact(dim) or 1
            rest //= factor
            if factor > 1 and not place.slots_for(dim):
                raise InvalidInput(
                    f"exact factor of {dim} {place.constraint.where} is {factor}; no fan-out there can hold it"
                )
            for prime in prime_factors(factor):
                add(prime, position, place.slots_for(dim))
        open_places = [place for place in places if place.exact(dim) is None]
        for prime in prime_factors(rest):
            where = {slot for place in open_places if prime <= place.limit(dim) for slot in place.slots_for(dim)}
            add(prime, position, where)
        if not count_splits(dim, bound, places):
            raise InvalidInput(f"constraints on {dim} leave no way to split its bound {bound} over the levels")
    return primes, unit_dim, allowed
