"""A mapping executed on numbers: every MAC, every buffer and every tile as it would be, word by word.

At each step of the temporal loops the tiles that have moved first hand their partial sums outwards (innermost level
first), then take in what they lack (outermost level first); then every MAC that has work multiplies words of the
innermost buffers that keep them. Nothing is looked up but in the buffer that should hold it, so a nest that asks for a
word where it is not, or that leaves out or repeats work, stops with the step named.

Partial sums are handed over, never copied: a buffer that passes a word on to a child keeps none of it, children that
share a word (a spatial reduction) start from zero but one, and what comes back is added up. So whatever the order,
the sums that reach the outermost buffer are complete.

Slow on purpose, for small layers: some 10^5 MACs a second.
"""

from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from itertools import product
from math import inf, prod

import numpy as np
import torch

from dlco.errors import InvalidInput, InvalidMapping, NotSupported
from dlco.hardware.architecture import Architecture
from dlco.mapping.kept import machine_of
from dlco.mapping.mapping import Mapping
from dlco.simulate.loopnest import Loop, LoopNest
from dlco.simulate.traffic import Instance, Ledger, Traffic, Words
from dlco.workload.layer import Layer
from dlco.workload.problem import Dataspace, Problem


@dataclass(frozen=True)
class Execution:
    """What an execution computed and moved.

    Attributes:
        outputs: the results by name, tensors of the shapes that the projections imply: int32, or float64 where some
            operand is of floating-point numbers.
        traffic: the words moved.
        steps: temporal steps at which some MAC had work; `macs`: multiplications done.
        effectual: those of them without an operand that is zero.
    """

    outputs: dict[str, torch.Tensor]
    traffic: Traffic
    steps: int
    macs: int
    effectual: int


def execute(
    layer: Layer | Problem,
    mapping: Mapping,
    operands: Table[str, torch.Tensor],
    architecture: Architecture | None = None,
) -> Execution:
    """Run a mapping on numbers.

    Args:
        layer: the work.
        mapping: what runs; not checked beforehand: a wrong one fails at the step where it shows. Where factors multiply
            to more than a bound, loops end where their dimension does.
        operands: a tensor of real numbers for each dataspace that is only read, of the shape that its projection
            implies (inputs with their padding).
        architecture: where given, what its levels bypass is not kept, and tiles must fit their capacities.

    Returns:
        An `Execution`; sums of integers wrap around as int32 does.

    Raises:
        InvalidInput: an operand is missing, or not of real numbers or of the right shape.
        InvalidMapping: a step reads what is not there, does not fit, or the nest leaves work out or does it twice.

    Examples:
        >>> layer = dlco.matmul("mm", M=2, K=3, N=4)
        >>> import torch
        >>> ones, order = ((1, 1, 1, 1),) * 2, (("N", "K", "M", "B"),) * 2
        >>> keeps = (frozenset(),) * 2
        >>> mapping = dlco.Mapping(
        ...     ("B", "M", "K", "N"), ("buffer", "DRAM"), ((1, 1, 3, 4), (1, 2, 1, 1)), ones, ones, order, order, keeps
        ... )
        >>> left, right = torch.arange(6).view(1, 2, 3), torch.arange(12).view(1, 3, 4)
        >>> done = dlco.simulate.execute(layer, mapping, {"Inputs": left, "Weights": right})
        >>> torch.equal(done.outputs["Outputs"], (left @ right).int())
        True
    """
    problem = layer.problem if isinstance(layer, Layer) else layer
    if architecture is not None:
        architecture = machine_of(problem, architecture, mapping)
    return run_nest(LoopNest.of(problem, mapping, architecture), operands, architecture)


def run_nest(
    nest: LoopNest,
    operands: Table[str, torch.Tensor],
    architecture: Architecture | None = None,
) -> Execution:
    """`execute`, for loops as they stand."""
    problem = nest.problem
    hosts = [_host(problem, space, operands) for space in problem.dataspaces]
    return _Machine(nest, hosts, architecture).run()


@dataclass
class _Buffer:
    """One dataspace in one instance of a level.

    `held`: words of the tile it is on; `values`: those there is a number for.
    """

    held: Words = frozenset()
    values: dict[int, float] = field(default_factory=dict)


def _host(problem: Problem, space: Dataspace, operands: Table[str, torch.Tensor]) -> _Buffer:
    """The tensor itself, beyond the outermost level."""
    shape = space.box(problem.sizes)
    words = frozenset(range(prod(shape)))
    if space.read_write:
        return _Buffer(words)
    if space.name not in operands:
        raise InvalidInput(f"operands lack {space.name}; a tensor of shape {shape} is needed")
    tensor = operands[space.name]
    if tuple(tensor.shape) != shape or tensor.is_complex():
        raise InvalidInput(
            f"{space.name} is a {tensor.dtype} tensor of shape {tuple(tensor.shape)}; real numbers of shape {shape} "
            f"are needed"
        )
    return _Buffer(words, dict(enumerate(tensor.flatten().tolist())))


class _Machine:
    """The buffers of all levels, and what has happened in them."""

    def __init__(self, nest: LoopNest, hosts: list[_Buffer], architecture: Architecture | None) -> None:
        self.nest, self.hosts = nest, hosts
        self.problem = nest.problem
        self.spaces = self.problem.dataspaces
        self.is_real = any(isinstance(value, float) for host in hosts for value in host.values.values())
        self.shapes = [space.box(self.problem.sizes) for space in self.spaces]
        self.keepers = [nest.keepers(s) for s in range(len(self.spaces))]
        levels = len(nest.levels)
        self.room = [inf] * levels if architecture is None else [lv.usable_capacity for lv in architecture.levels]
        self.reach = [nest.extents(level) for level in range(levels)]
        self.spots = [self._spots(level) for level in range(levels)] if nest.crossed else None
        # dimensions that the loops go beyond: there, tiles and work end where the dimension does
        self.cut = {dim: size for dim, size in self.problem.sizes.items() if self.reach[-1][dim] > size}
        if self.cut and self.spots:
            raise NotSupported("factors multiply to more than a bound, and parts of memories stand across the array")
        # An instance is named by its iteration of the spatial loops above it, outermost first: ancestors are prefixes.
        self.places = [self._places(level) for level in range(-1, levels)]
        self.buffers = {
            (s, level): {place: _Buffer() for place in self.places[level + 1]}
            for s, keepers in enumerate(self.keepers)
            for level in keepers
        }
        self.ledger = Ledger([len(next(iter(places))) for places in self.places], len(self.spaces))
        self.done: set[tuple[int, ...]] = set()
        self.macs = self.steps = self.effectual = 0
        self.digits: tuple[int, ...] = ()  # iterations of the temporal loops
        self.temporal = [loop for loop in nest.loops if loop.temporal]

    def run(self) -> Execution:
        """All steps, and the sums that are left at the end."""
        below = len(self.nest.levels)  # tiles of the levels below this one move; at the first step, all
        for reverse in product(*(range(loop.bound) for loop in reversed(self.temporal))):
            now = reverse[::-1]
            if self.digits:
                below = max(loop.level for loop, a, b in zip(self.temporal, now, self.digits, strict=True) if a != b)
            self.digits = now
            self._move_tiles(below)
            self._multiply()
        self._move_tiles(len(self.nest.levels), empty=True)
        if len(self.done) != self.problem.macs:
            raise InvalidMapping(f"after its last step, the nest has done {len(self.done)} of {self.problem.macs} MACs")
        return Execution(
            {space.name: self._result(s) for s, space in enumerate(self.spaces) if space.read_write},
            self.ledger.traffic,
            self.steps,
            self.macs,
            self.effectual,
        )

    def _places(self, level: int) -> dict[Instance, dict[str, int]]:
        """Where the instances of a level lie: by name, what to add to each dimension."""
        spatial = sorted((loop for loop in self.nest.loops if not loop.temporal), key=self._side)[::-1]
        loops = [loop for loop in spatial if level < 0 or not self.nest.inside(level, loop)]
        found = {}
        for name in product(*(range(loop.bound) for loop in loops)):
            found[name] = self._added(zip(loops, name, strict=True))
        return found

    def _side(self, loop: Loop) -> int:
        return self.nest.ranks[loop.level]

    def _spots(self, level: int) -> dict[str, list[int]]:
        """What the loops inside a level's tile add to each dimension, in order: no box where others lie between."""
        spots = {dim: [0] for dim in self.problem.dimensions}
        for loop in self.nest.loops:
            if self.nest.inside(level, loop):
                spots[loop.dim] = [at + i * loop.stride for i in range(loop.bound) for at in spots[loop.dim]]
        return spots

    def _added(self, iterations: Iterable[tuple[Loop, int]]) -> dict[str, int]:
        offset = dict.fromkeys(self.problem.dimensions, 0)
        for loop, digit in iterations:
            offset[loop.dim] += digit * loop.stride
        return offset

    def _here(self, above: int) -> dict[str, int]:
        """What the temporal loops above a level add to each dimension at this step."""
        pairs = zip(self.temporal, self.digits, strict=True)
        return self._added((loop, digit) for loop, digit in pairs if loop.level > above)

    def _tile(self, s: int, level: int, base: dict[str, int], place: dict[str, int]) -> Words:
        """Words of the box that an instance is on; where loops inside it leave gaps, without these."""
        if self.spots is not None:
            ranks = []
            for rank in self.spaces[s].projection:
                sums = {0}
                for dim, c in rank:
                    start = base[dim] + place[dim]
                    sums = {one + c * (start + at) for one in sums for at in self.spots[level][dim]}
                ranks.append(sums)
            return frozenset(self._flat(s, word) for word in product(*ranks))
        ends = {}
        for dim, size in self.problem.sizes.items():
            start = base[dim] + place[dim]
            end = start + self.reach[level][dim] - 1
            if dim in self.cut:
                if start >= size:
                    return frozenset()
                end = min(end, size - 1)
            ends[dim] = (start, end)
        ranges = [
            range(sum(c * ends[d][0] for d, c in rank), sum(c * ends[d][1] for d, c in rank) + 1)
            for rank in self.spaces[s].projection
        ]
        for axis, (one, size) in enumerate(zip(ranges, self.shapes[s], strict=True)):
            if one.stop > size:
                self._fail(s, level, (*(r.start for r in ranges[:axis]), one.stop - 1), "the tensor ends before")
        return frozenset(self._flat(s, word) for word in product(*ranges))

    def _flat(self, s: int, word: tuple[int, ...]) -> int:
        index = 0
        for coordinate, size in zip(word, self.shapes[s], strict=True):
            index = index * size + coordinate
        return index

    def _move_tiles(self, below: int, *, empty: bool = False) -> None:
        """Move the tiles of all levels below `below`: sums outwards, then words inwards."""
        tiles: dict[tuple[int, int, Instance], Words] = {}
        for (s, level), buffers in self.buffers.items():
            if level < below:
                base = self._here(level)
                for name in buffers:
                    place = self.places[level + 1][name]
                    tiles[s, level, name] = frozenset() if empty else self._tile(s, level, base, place)
        for s, space in enumerate(self.spaces):
            moving = [level for level in self.keepers[s] if level < below]
            for level in moving:
                self._let_go(s, level, tiles, space.read_write)
            for level in reversed(moving):
                self._take_in(s, level, tiles, space.read_write)
        for rank in sorted(set(self.nest.ranks[:below])):
            parts = [level for level, own in enumerate(self.nest.ranks) if own == rank]
            first = parts[0]
            for name in self.places[first + 1]:
                words = sum(
                    len(self.buffers[s, level][name].held)
                    for s in range(len(self.spaces))
                    for level in parts
                    if (s, level) in self.buffers
                )
                if words > self.room[first]:
                    raise InvalidMapping(
                        f"{self._step()}: tiles at {' and '.join(self.nest.levels[level] for level in parts)} need "
                        f"{words} words but there is room for {int(self.room[first])}",
                        self.nest.levels[first],
                    )

    def _let_go(self, s: int, level: int, tiles: dict[tuple[int, int, Instance], Words], result: bool) -> None:
        """Words that tiles leave: dropped, or added to the parent's where they are sums."""
        sent: dict[Instance, Words] = {}
        for name, buffer in self.buffers[s, level].items():
            gone = buffer.held - tiles[s, level, name]
            if not gone:
                continue
            self.ledger.leave(s, level, gone)
            if result:
                parent = self._parent(s, level, name)
                for word in gone:
                    if word not in parent.held:
                        self._fail(s, level, self._word(s, word), "its parent has no place for the sum")
                    value = buffer.values.pop(word, 0)
                    parent.values[word] = parent.values.get(word, 0) + value
                sent[name] = gone
            else:
                for word in gone:
                    del buffer.values[word]
            buffer.held -= gone
        if level < self.keepers[s][-1]:
            self.ledger.send(s, level, self._above(s, level), sent)

    def _take_in(self, s: int, level: int, tiles: dict[tuple[int, int, Instance], Words], result: bool) -> None:
        """Words that tiles lack, from the parent, which must hold them."""
        asked: dict[Instance, Words] = {}
        for name, buffer in self.buffers[s, level].items():
            tile = tiles[s, level, name]
            new = tile - buffer.held
            if not new:
                continue
            parent = self._parent(s, level, name)
            for word in new:
                if word not in parent.held:
                    self._fail(s, level, self._word(s, word), "its parent does not hold it")
                if not result:
                    buffer.values[word] = parent.values[word]
                elif word in parent.values:
                    buffer.values[word] = parent.values.pop(word)
            buffer.held = tile
            self.ledger.enter(s, level, name, new, result=result, outermost=level == self.keepers[s][-1])
            asked[name] = new
        if not result and level < self.keepers[s][-1]:
            self.ledger.ask(s, level, self._above(s, level), asked)

    def _multiply(self) -> None:
        """Every MAC that has work takes its words and adds the product to its sum."""
        base = self._here(-1)
        touched: list[dict[Instance, Words]] = [{} for _ in self.spaces]
        worked = False
        for name, place in self.places[0].items():
            at = {dim: base[dim] + place[dim] for dim in self.problem.dimensions}
            if any(at[dim] >= size for dim, size in self.cut.items()):
                continue
            worked = True
            point = tuple(at.values())
            value: float = 1
            sums = []
            for s, space in enumerate(self.spaces):
                word = tuple(sum(c * at[d] for d, c in rank) for rank in space.projection)
                inside = all(x < n for x, n in zip(word, self.shapes[s], strict=True))
                buffer = self._buffer(s, self.keepers[s][0], name)
                flat = self._flat(s, word)
                if not inside or flat not in buffer.held:
                    self._fail(s, self.keepers[s][0], word, f"MAC {self._number(name)} needs it")
                touched[s][name] = frozenset((flat,))
                if space.read_write:
                    sums.append((buffer, flat))
                else:
                    value *= buffer.values[flat]
            if point in self.done:
                where = ", ".join(f"{dim}={x}" for dim, x in at.items() if self.problem.sizes[dim] > 1)
                raise InvalidMapping(
                    f"{self._step()}: MAC {self._number(name)} repeats the work at {where or 'the point'}"
                )
            self.done.add(point)
            self.macs += 1
            self.effectual += value != 0
            for buffer, flat in sums:
                buffer.values[flat] = buffer.values.get(flat, 0) + value
        self.steps += worked
        for s, space in enumerate(self.spaces):
            pass_on = self.ledger.send if space.read_write else self.ledger.ask
            pass_on(s, -1, self.keepers[s][0], touched[s])

    def _above(self, s: int, level: int) -> int:
        keepers = self.keepers[s]
        return keepers[keepers.index(level) + 1]

    def _parent(self, s: int, level: int, name: Instance) -> _Buffer:
        """The buffer that an instance takes from: the tensor itself, for the outermost level."""
        if level == self.keepers[s][-1]:
            return self.hosts[s]
        return self._buffer(s, self._above(s, level), name)

    def _buffer(self, s: int, level: int, name: Instance) -> _Buffer:
        """The instance of a level that lies above another."""
        return self.buffers[s, level][self.ledger.above(level, name)]

    def _number(self, name: Instance) -> int:
        return list(self.places[0]).index(name)

    def _word(self, s: int, flat: int) -> tuple[int, ...]:
        return tuple(int(x) for x in np.unravel_index(flat, self.shapes[s]))

    def _step(self) -> str:
        pairs = zip(self.temporal, self.digits, strict=True)
        where = [f"{loop.dim}={digit} at {self.nest.levels[loop.level]}" for loop, digit in pairs]
        number = 0
        for loop, digit in zip(reversed(self.temporal), reversed(self.digits), strict=True):
            number = number * loop.bound + digit
        return f"step {number} ({', '.join(reversed(where))})" if where else f"step {number}"

    def _fail(self, s: int, level: int, word: tuple[int, ...], why: str) -> None:
        name = self.nest.levels[level]
        raise InvalidMapping(f"{self._step()}: {name} has no {self.spaces[s].name}{list(word)}: {why}", name)

    def _result(self, s: int) -> torch.Tensor:
        values = self.hosts[s].values
        if self.is_real:
            sums = [values.get(word, 0.0) for word in range(prod(self.shapes[s]))]
            return torch.tensor(sums, dtype=torch.float64).reshape(self.shapes[s])
        flat = np.zeros(prod(self.shapes[s]), dtype=object)
        for word, value in values.items():
            flat[word] = (value + 2**31) % 2**32 - 2**31
        return torch.tensor(flat.astype(np.int32).reshape(self.shapes[s]))
