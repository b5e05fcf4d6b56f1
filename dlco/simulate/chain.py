"""A chain of layers executed tile by tile on numbers: what is not held when a tile needs it stops the execution.

Every tile's part of every layer runs as a layer of its own, word by word (`execute`). Results within the chain lie in a
buffer of the chip: an element comes in where it is computed and goes out once nothing will read it any more, or, where
halos are recomputed, nothing of its tile. What is live is counted element by element.
"""

from collections.abc import Callable, Iterator
from collections.abc import Mapping as Table
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch

from dlco.errors import InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Mapping
from dlco.simulate.execute import execute
from dlco.simulate.traffic import Traffic
from dlco.workload.chain import Link
from dlco.workload.problem import Dataspace, Problem
from dlco.workload.tiling import RECOMPUTED, Tiled

Word = tuple[int, ...]
Ranges = dict[str, tuple[int, int]]
Operation = Callable[[dict[str, torch.Tensor]], torch.Tensor]
"""A result made of operands by name, each of the shape that its projection implies."""


@dataclass(frozen=True)
class ChainExecution:
    """What the execution of a chain computed, moved and held.

    Attributes:
        outputs: the last layer's result.
        traffic: `[runs]` the words moved by every run, in order.
        live: `[layers]` the most words of results within the chain that were held while each layer ran.
        macs: `[layers]` multiplications done.
    """

    outputs: torch.Tensor
    traffic: tuple[Traffic, ...]
    live: tuple[int, ...]
    macs: tuple[int, ...]


class _Job(NamedTuple):
    """One run: the tile's number, the layer, and what of each of its dimensions runs."""

    tile: int
    layer: int
    ranges: Ranges


def execute_chain(
    tiled: Tiled,
    mapping_of: Callable[[int, Problem, bool], Mapping],
    operands: Table[tuple[int, str], torch.Tensor],
    architecture: Architecture | None = None,
    computes: Table[int, Operation] | None = None,
) -> ChainExecution:
    """Run a chain in tiles on numbers.

    Args:
        tiled: the chain and its tiles.
        mapping_of: the mapping of a layer's part, by layer, problem, and whether it is the layer's first.
        operands: by (layer, dataspace) what comes from outside the chain, whole, inputs with their padding.
        architecture: as of `execute`.
        computes: by layer what it makes of the operands of a run, by name, where that is no sum of products, as the two
            passes of a softmax. Its words move as its mapping says all the same.

    Raises:
        InvalidInput: an operand is missing, or not of real numbers or of the right shape.
        InvalidMapping: a tile needs what is not held, something is computed twice though halos are kept, or not at
            all; or a mapping is wrong.
    """
    return _Execution(tiled, operands, computes or {}).run(mapping_of, architecture)


class _Execution:
    def __init__(
        self, tiled: Tiled, operands: Table[tuple[int, str], torch.Tensor], computes: Table[int, Operation]
    ) -> None:
        self.tiled, self.chain, self.operands, self.computes = tiled, tiled.chain, operands, computes
        self.dtype = torch.float64 if any(one.is_floating_point() for one in operands.values()) else torch.int32
        self.links = {(link.target, link.space): link for link in self.chain.links}
        layers = len(self.chain.problems)
        self.held: list[dict[Word, float]] = [{} for _ in range(layers)]
        self.computed: list[set[Word]] = [set() for _ in range(layers)]

    def run(
        self, mapping_of: Callable[[int, Problem, bool], Mapping], architecture: Architecture | None
    ) -> ChainExecution:
        """All runs of all tiles."""
        jobs = list(self._jobs())
        last = self._last_reads(jobs)
        live, macs = [0] * len(self.chain.problems), [0] * len(self.chain.problems)
        traffic, begun = [], set()
        for number, job in enumerate(jobs):
            problem = self._problem(job)
            mapping = mapping_of(job.layer, problem, job.layer not in begun)
            begun.add(job.layer)
            spaces = [space for space in problem.dataspaces if not space.read_write]
            read = {space.name: self._operand(job, space) for space in spaces}
            done = execute(problem, mapping, read, architecture)
            compute = self.computes.get(job.layer)
            self._take(job, done.outputs[problem.result] if compute is None else compute(read))
            live[job.layer] = max(live[job.layer], sum(map(len, self.held[:-1])))
            macs[job.layer] += done.macs
            traffic.append(done.traffic)
            for source, held in enumerate(self.held[:-1]):
                for word in [word for word in held if last[source].get((self._age(job), word), -1) <= number]:
                    del held[word]
        for problem, words in zip(self.chain.problems, self.computed, strict=True):
            if len(words) != problem.words(problem.result):
                raise InvalidMapping(f"tiles compute {len(words)} of {problem.words(problem.result)} results")
        return ChainExecution(self._outputs(), tuple(traffic), tuple(live), tuple(macs))

    def _jobs(self) -> Iterator[_Job]:
        tiles = product(*(spans.done for spans in self.tiled.spans))
        for number, tile in enumerate(tiles):
            for layer, problem in enumerate(self.chain.problems):
                ranges = {dim: (0, size) for dim, size in problem.sizes.items()}
                for axis, along in zip(self.tiled.axes, tile, strict=True):
                    ranges[axis.dims[layer]] = along[layer]
                if all(start < stop for start, stop in ranges.values()):
                    yield _Job(number, layer, ranges)

    def _problem(self, job: _Job) -> Problem:
        whole = self.chain.problems[job.layer]
        bounds = tuple(stop - start for start, stop in job.ranges.values())
        return Problem(whole.dimensions, bounds, whole.dataspaces, whole.name)

    def _box(self, job: _Job, space: Dataspace) -> list[range]:
        """Words of an operand that a run touches, rank by rank."""
        ends = {dim: (start, stop - 1) for dim, (start, stop) in job.ranges.items()}
        return [
            range(sum(c * ends[d][0] for d, c in rank), sum(c * ends[d][1] for d, c in rank) + 1)
            for rank in space.projection
        ]

    def _result_words(self, link: Link, job: _Job, space: Dataspace) -> Iterator[Word | None]:
        """For each word that a run reads of an operand the element of the result that it is; None where it pads."""
        writer, reader = self.chain.problems[link.source], self.chain.problems[link.target]
        shape = writer.dataspace(writer.result).box(writer.sizes)
        outer = space.box(reader.sizes)
        pairs = self.chain.aligned[link]
        before = [max(0, (outer[theirs] - shape[own] + 1) // 2) for own, theirs in pairs]
        for word in product(*self._box(job, space)):
            found = [0] * len(shape)
            for (own, theirs), pad in zip(pairs, before, strict=True):
                found[own] = word[theirs] - pad
            inside = all(0 <= x < n for x, n in zip(found, shape, strict=True))
            yield tuple(found) if inside else None

    def _age(self, job: _Job) -> int:
        """What is computed in one age is of no use in another: a tile where halos are recomputed, else all of them."""
        return job.tile if self.tiled.tiling.halo == RECOMPUTED else 0

    def _last_reads(self, jobs: list[_Job]) -> list[dict[tuple[int, Word], int]]:
        """`[layers]` by age and element the number of the last run that reads it."""
        last: list[dict[tuple[int, Word], int]] = [{} for _ in self.chain.problems]
        for number, job in enumerate(jobs):
            for space in self.chain.problems[job.layer].dataspaces:
                link = self.links.get((job.layer, space.name))
                if link is not None:
                    for word in self._result_words(link, job, space):
                        if word is not None:
                            last[link.source][self._age(job), word] = number
        return last

    def _operand(self, job: _Job, space: Dataspace) -> torch.Tensor:
        """What a run reads: a part of what comes from outside, or what is held."""
        box = self._box(job, space)
        link = self.links.get((job.layer, space.name))
        if link is None:
            whole = self.operands[job.layer, space.name]
            return whole[tuple(slice(one.start, one.stop) for one in box)]
        values = []
        for word in self._result_words(link, job, space):
            if word is not None and word not in self.held[link.source]:
                raise InvalidMapping(
                    f"tile {job.tile}: layer {job.layer} needs element {list(word)} of layer {link.source}, not held"
                )
            values.append(0 if word is None else self.held[link.source][word])
        return torch.tensor(values, dtype=self.dtype).reshape([len(one) for one in box])

    def _take(self, job: _Job, result: torch.Tensor) -> None:
        """Hold what a run has computed."""
        problem = self.chain.problems[job.layer]
        words = list(product(*self._box(job, problem.dataspace(problem.result))))
        again = self.computed[job.layer].intersection(words)
        if again and (self.tiled.tiling.halo != RECOMPUTED or job.layer == len(self.held) - 1):
            raise InvalidMapping(f"tile {job.tile} computes {len(again)} elements of layer {job.layer} a second time")
        self.computed[job.layer].update(words)
        self.held[job.layer].update(zip(words, result.flatten().tolist(), strict=True))

    def _outputs(self) -> torch.Tensor:
        problem = self.chain.problems[-1]
        shape = problem.dataspace(problem.result).box(problem.sizes)
        flat = [self.held[-1][word] for word in product(*map(range, shape))]
        return torch.tensor(flat, dtype=self.dtype).reshape(shape)
