"""A lower bound that every design respects: the work that no mapping avoids.

Proof, under the default counting rules (whole tiles fetched at restarts, no forwarding between neighbours).

* Every MAC is executed once, so a machine with n MAC units needs at least MACs / n cycles.
* Every word of an input that some MAC uses enters each level that keeps the input, and is read there, at least once;
  so is every word of the result written (words that strides skip are not counted: `used_words`).
* Words that a level serves, and words that one takes from it or gives back, walk the networks between them.
* Each MAC takes its operands from the innermost level that keeps them, where one read serves at most as many MACs
  as there are below an instance. Of a result without gaps, all but the first visit of a word to an instance is read
  back too, and a word has at most as many first visits as there are instances, or partial sums.

Energy, latency and EDP follow: no access costs less than the cheapest, nothing moves faster than the widest port.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import prod

import torch

from dlco.design.budget import Budget
from dlco.design.objective import JOULES, Objective
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.network import MACS, ways
from dlco.hardware.space import HardwareSpace, as_space
from dlco.mapping.kept import kept_levels
from dlco.workload.layer import Layer
from dlco.workload.problem import Dataspace, Problem
from dlco.workload.sumset import distinct_sums


@dataclass(frozen=True)
class Floor:
    """What one execution of a layer needs at least: pJ and cycles."""

    energy: float
    cycles: float


def layer_floors(
    layers: Sequence[Layer], hardware: Architecture | HardwareSpace, free: Collection[str] = ()
) -> list[Floor]:
    """The compulsory energy and cycles of every layer on a machine, or on all machines of a space.

    Args:
        layers: the network.
        hardware: the machines.
        free: levels that may also bypass what they are stated to keep.
    """
    space = as_space(hardware)
    machines = _extremes(space)
    return [_floor(layer.problem, machines, space.base, free) for layer in layers]


@dataclass(frozen=True)
class ProblemFloors:
    """The compulsory energy and cycles of problems, one by one, on the machines of a space."""

    space: HardwareSpace

    def of(self, problem: Problem, times: Mapping[str, float] | None = None) -> Floor:
        """Of one problem.

        Args:
            problem: the layer's.
            times: by dataspace how often each of its words comes in at least, where that is more than once: as where
                the problem runs in parts each of which needs all of them.
        """
        return _floor(problem, self._machines, self.space.base, times=times)

    @cached_property
    def _machines(self) -> Machine:
        return _extremes(self.space)


def problem_floor(problem: Problem, space: HardwareSpace) -> Floor:
    """The compulsory energy and cycles of one problem on the machines of a space."""
    return ProblemFloors(space).of(problem)


def network_floor(layers: Sequence[Layer], floors: Sequence[Floor]) -> tuple[float, float]:
    """(pJ, cycles) that a network needs at least, given what each of its layers does."""
    pairs = list(zip(layers, floors, strict=True))
    return sum(one.count * floor.energy for one, floor in pairs), sum(one.count * floor.cycles for one, floor in pairs)


def compulsory_bound(
    layers: Sequence[Layer],
    hardware: Architecture | HardwareSpace,
    objective: str,
    budget: Budget | None = None,
    free: Collection[str] = (),
) -> float:
    """A value of the objective that no design within the budget goes below, in the unit of `NetworkCost.objective`.

    For a space, energy an access, area and so on are each taken at their least and parallelism at its greatest, over
    all machines of the grid (see `_extremes`). `free` as in `layer_floors`.
    """
    space, goal, budget = as_space(hardware), Objective.parse(objective), budget or Budget()
    machines = _extremes(space)
    floors = [_floor(layer.problem, machines, space.base, free) for layer in layers]
    energy, cycles = network_floor(layers, floors)
    least = machines.cycle_s.min().item()
    if goal is Objective.POWER:
        own = min(_power(layer.problem, machines, floor) for layer, floor in zip(layers, floors, strict=True))
        mean = 0.0 if budget.latency_s is None else energy * JOULES / budget.latency_s
        return max(own * JOULES / least, mean)
    if budget.power_w is not None:  # at this power the energy takes at least so long
        cycles = max(cycles, energy * JOULES / budget.power_w / least)
    return goal.figure(energy, cycles, machines.area_mm2.min().item(), least)


def used_words(problem: Problem, space: Dataspace) -> int:
    """Words of a dataspace that some MAC uses: positions that strides skip are left out."""
    return prod(distinct_sums((c, problem.sizes[dim]) for dim, c in rank) for rank in space.projection)


def _extremes(space: HardwareSpace) -> Machine:
    """Machines, batch shape `[n]`, among which every quantity that the bound takes alone has its least and greatest.

    Area, bandwidths and fan-outs rise with every size: the machines with all sizes lowest and all highest have their
    ends. A level's energy a word depends on the level's own capacity and width alone, but may be least anywhere
    between (a wider access costs more than in proportion): all of the level's own grid is there.
    """
    sizes = [space.low[None], space.high[None]]
    for driven in space.driven.values():
        own = sorted({at for name, (at, _) in driven.items() if name in ("capacity", "bandwidth")})
        points = list(product(*(space.parameters[i].grid for i in own)))
        grid = space.low.repeat(len(points), 1)
        grid[:, own] = torch.tensor(points, dtype=torch.float64)
        sizes.append(grid)
    return space.machine(torch.cat(sizes))


def _floor(
    problem: Problem,
    machines: Machine,
    base: Architecture,
    free: Collection[str] = (),
    times: Mapping[str, float] | None = None,
) -> Floor:
    words: dict[str, float] = {space.name: used_words(problem, space) for space in problem.dataspaces}
    words |= {name: count * words[name] for name, count in (times or {}).items()}
    return Floor(_energy(problem, machines, base, words, free), _cycles(problem, machines, base, words))


def _is_dense(space: Dataspace) -> bool:
    """Whether tiles have neither gaps nor overlaps."""
    return all(len(rank) == 1 and rank[0][1] == 1 for rank in space.projection)


def _cycles(problem: Problem, machines: Machine, base: Architecture, words: Mapping[str, float]) -> float:
    compute = problem.macs / float(machines.macs.max())
    outer = len(base.levels) - 1
    reads = writes = 0.0
    for space, kept in zip(problem.dataspaces, kept_levels(problem, base), strict=True):
        if outer not in kept:
            continue
        if space.read_write:
            writes += words[space.name]
        else:
            reads += words[space.name]
    return max(
        compute,
        reads / float(machines.read_bandwidth[:, outer].max()),
        writes / float(machines.write_bandwidth[:, outer].max()),
        (reads + writes) / float(machines.shared_bandwidth[:, outer].max()),
    )


def _energy(
    problem: Problem, machines: Machine, base: Architecture, words: Mapping[str, float], free: Collection[str]
) -> float:
    energy = problem.macs * float(machines.mac_pj.min())
    may = {base.index(name) for name in free}
    for space, kept in zip(problem.dataspaces, kept_levels(problem, base), strict=True):
        some = [level for level in kept[:-1] if level in may]
        left_out = (set(out) for n in range(len(some) + 1) for out in combinations(some, n))
        choices = ([lv for lv in kept if lv not in out] for out in left_out)
        energy += min(
            _moved(problem, machines, space, some, words[space.name])
            + _walked(problem, machines, base, space, some, words[space.name])
            for some in choices
        )
    return energy


def _walked(
    problem: Problem, machines: Machine, base: Architecture, space: Dataspace, kept: Sequence[int], words: float
) -> float:
    """PJ of the sure words of a dataspace that these levels keep, over networks."""
    if not bool((machines.reach_pj != 0).any()):
        return 0.0
    table = [[level in kept] for level in range(len(base.levels))]
    below = (machines.fanout_x * machines.fanout_y)[:, : kept[0] + 1].prod(-1)
    energy = 0.0
    for way in ways(table, (machines.step_pj != 0).any(0).tolist(), machines.ranks):
        served, taken = (problem.macs / float(below.max()), problem.macs) if way.child == MACS else (words, words)
        far, near = (machines.reach_pj[:, list(some)].sum(-1) for some in (way.far, way.near))
        near = near if way.step is None else near + machines.step_pj[:, way.step]
        energy += base.levels[way.parent].word_bits * (served * float(far.min()) + taken * float(near.min()))
    return energy


def _moved(problem: Problem, machines: Machine, space: Dataspace, kept: Sequence[int], words: float) -> float:
    """PJ of the sure reads and writes of a dataspace that these levels keep."""
    least = {name: word.tolist() for name, word in _word_pj(machines).items()}
    inner, outer = kept[0], kept[-1]
    below = (machines.fanout_x * machines.fanout_y)[:, : inner + 1].prod(-1)
    served = problem.macs / float(below.max())
    if space.read_write and not _is_dense(space):
        # The first visits that the model deducts also count positions that nothing visits: no read is sure.
        return served * least["update"][inner] + words * sum(least["update"][level] for level in kept[1:])
    if space.read_write:
        sums = prod(bound for dim, bound in problem.sizes.items() if dim not in space.dimensions)
        first_visits = words * min(sums, float(machines.instances[:, inner].max()))
        energy = served * least["update"][inner] + max(0.0, served - first_visits) * least["read"][inner]
        return energy + words * sum(least["update"][level] for level in kept[1:])
    energy = served * least["read"][inner] + words * sum(least["read"][level] for level in kept[1:])
    return energy + words * sum(least["write"][level] for level in kept if level != outer)


def _word_pj(machines: Machine) -> dict[str, torch.Tensor]:
    """`[levels]` the least pJ that a word costs to read, write and update."""
    return {
        name: (getattr(machines, f"{name}_pj") / machines.block_size).amin(0) for name in ("read", "write", "update")
    }


def _power(problem: Problem, machines: Machine, floor: Floor) -> float:
    """The least energy a cycle, pJ: something takes all the time, and what it does costs energy.

    Where that is computing, one MAC unit at least works; where it is a port, it moves words at its bandwidth. Rounding
    up to whole cycles adds one at most to the time. A network's mean power is not below its layers' least.
    """
    least = [floor.energy / problem.macs]
    cheapest = _word_pj(machines)
    writes = torch.minimum(cheapest["write"], cheapest["update"])
    for energy, port in (
        (cheapest["read"], machines.read_bandwidth),
        (writes, machines.write_bandwidth),
        (torch.minimum(cheapest["read"], writes), machines.shared_bandwidth),
    ):
        slowest = port.amin(0)
        least += [e * b for e, b in zip(energy.tolist(), slowest.tolist(), strict=True) if b < float("inf")]
    return min(least) * floor.cycles / (floor.cycles + 1)
