"""`LayerCosts`: what layers cost on machines, searched once for every layer and machine and then remembered.

A network's cost is a sum over its layers, so a search over networks meets the same layers again and again. For each
of them on each machine a batched local search over mappings finds a few (energy, cycles) points none of which beats
another; the points of a network's layers are combined under the limits (`choose`). Every point is the exact integer
model's figure of a mapping that is kept with it, so a network's cost here is a design's, not an estimate; what a
longer search could still improve is the mappings.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlco.cost.shape import structure
from dlco.design.dominance import unbeaten
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace, as_space
from dlco.journal import Journal, check_table, fingerprint, recorded
from dlco.mapping.mapping import Mapping
from dlco.search.group import Group, make_groups
from dlco.search.items import Pairs
from dlco.search.local_search import Effort, local_search
from dlco.search.score import Score, choose, rate_of, taken
from dlco.search.table import UNFIT, MappingTable
from dlco.search.unit_moves import UnitMoves, random_start
from dlco.tasks import derive_seed, run_tasks
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

MachineIndex = tuple[int, ...]
"""Grid position of every size of a `HardwareSpace`; empty where the hardware is fixed."""

EFFORT = Effort(rounds=20, patience=8, population=4, neighbours=12, islands=6)  # of a layer on a machine, twice
POINTS = 12  # kept a layer and machine
FRESH = 6  # random mappings that a search starts from, beside those of the machines nearby
NEAR = 2  # machines nearby whose mappings a search starts from
STEP = 3  # grid steps to a machine so near that from its mappings a short search suffices
SHORT = 1 / 3  # of the islands of a whole search
ROWS = 16_384  # mappings evaluated at once: their rows stay near the caches


@dataclass(frozen=True)
class NetworkPoint:
    """A network on a machine, one mapping chosen for every layer.

    Attributes:
        energy_pj, cycles: totals of the network; `area_mm2`: of the machine.
        score: as `Score` ranks it, from `BROKEN` where a limit is broken; infinite where a layer fits in no way.
        chosen: for each layer the place of its mapping among its points (`LayerCosts.points`).
    """

    energy_pj: float
    cycles: float
    area_mm2: float
    score: float
    chosen: tuple[int, ...]


class LayerCosts:
    """Points of layers on the machines of a space, found when first asked for.

    What a search finds depends on its seed and, since it starts from the mappings of the nearest machines searched
    before it, on what was asked earlier; the same questions in the same order get the same answers.

    Attributes:
        hardware: the machines.
        score: objective and limits, which say what trade-offs between energy and cycles are searched for.
        constraints: what is fixed of all mappings; `device`: where they are searched (points are on the CPU).
        searches: (layer, machine) pairs searched so far; `evaluations`: mappings evaluated.
    """

    def __init__(
        self,
        hardware: Architecture | HardwareSpace,
        score: Score,
        *,
        effort: Effort = EFFORT,
        seed: int = 0,
        constraints: Constraints | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.hardware, self.score, self.effort, self.seed = as_space(hardware), score, effort, seed
        self.constraints, self.device = constraints, torch.device(device)
        self.searches = self.evaluations = 0
        self._calls = 0
        self._journal: Journal | None = None
        self._known: dict[tuple[Problem, MachineIndex], MappingTable] = {}
        self._machines_of: dict[Problem, list[MachineIndex]] = {}
        self._layers: dict[object, list[Layer]] = {}  # by structure; a layer's place here is its place in the group
        self._place: dict[Problem, int] = {}
        self._groups: dict[object, Group] = {}

    def for_score(self, score: Score) -> "LayerCosts":
        """Another view of the same points, which chooses mappings for another objective or other limits."""
        other = copy(self)
        other.score = score
        return other

    @contextmanager
    def recording(self, journal: Journal | None) -> Iterator[None]:
        """While the block runs, searches are kept in a journal, and taken from it where it has them."""
        self._journal = journal
        try:
            yield
        finally:
            self._journal = None

    @property
    def state(self) -> tuple[object, ...]:
        """All that later answers depend on, for `fingerprint`."""
        return self.hardware, self.score, self.effort, self.seed, self.constraints, self._calls, self._known

    def prepare(self, layers: Iterable[Layer]) -> None:
        """Tell of layers that will come, so that their tables are built once and not bit by bit."""
        for problem in dict.fromkeys(layer.problem for layer in layers):
            if problem not in self._place:
                key = structure(problem)
                members = self._layers.setdefault(key, [])
                self._place[problem] = len(members)
                members.append(Layer(f"layer {len(members)}", problem))
                self._groups.pop(key, None)

    def points(self, layer: Layer | Problem, machine: MachineIndex) -> MappingTable:
        """The points of one layer on one machine `[n, ...]`, none of which beats another, fewest cycles first."""
        problem = layer.problem if isinstance(layer, Layer) else layer
        self.search([(problem, machine)])
        return self._known[problem, machine]

    def mapping(self, layer: Layer | Problem, machine: MachineIndex, chosen: int) -> Mapping:
        """The mapping of one of the points."""
        problem = layer.problem if isinstance(layer, Layer) else layer
        points = self.points(problem, machine)
        return self._coded(problem, points.coding[chosen], points.position[chosen])

    def _coded(self, problem: Problem, units: Tensor, position: Tensor) -> Mapping:
        """The mapping of a problem that a row of its table stands for."""
        group = self._group(problem)
        units = torch.nn.functional.pad(units, (0, group.primes.shape[1] - len(units)))  # layers came since
        return group.mapping(self._place[problem], units, position)

    def networks(
        self, networks: Sequence[Sequence[Layer]], machines: Sequence[MachineIndex]
    ) -> tuple[NetworkPoint, ...]:
        """The best choice of mappings of networks on machines, pair by pair.

        Args:
            networks: the layers of each.
            machines: as many.
        """
        if not networks:
            return ()
        width = max(len(layers) for layers in networks)
        pairs = [(layer.problem, m) for layers, m in zip(networks, machines, strict=True) for layer in layers]
        self.search(pairs)
        shape = (len(networks), width, max(len(self._known[pair].cycles) for pair in pairs) or 1)
        energy = torch.ones(shape, dtype=torch.float64)
        cycles = torch.ones(shape, dtype=torch.float64)
        counts = torch.zeros(shape[:2], dtype=torch.float64)  # 0 for what fills short networks up
        fits = torch.zeros(shape, dtype=torch.bool)
        for i, (layers, machine) in enumerate(zip(networks, machines, strict=True)):
            fits[i, len(layers) :, 0] = True
            counts[i, : len(layers)] = torch.tensor([float(layer.count) for layer in layers])
            for j, layer in enumerate(layers):
                points = self._known[layer.problem, machine]
                n = len(points.cycles)
                energy[i, j, :n], cycles[i, j, :n], fits[i, j, :n] = points.energy_pj, points.cycles, True
        built = self.build(machines)
        energy, cycles = energy * counts[..., None], cycles * counts[..., None]
        picked, scores = choose(
            self.score, energy, cycles, fits, torch.ones(width, dtype=torch.float64), built.area_mm2
        )
        scores = self.score.beyond(scores, self.score.machine_excess(built))
        totals = [taken(table, picked).sum(-1) for table in (energy, cycles)]
        rows = zip(*(t.tolist() for t in (*totals, built.area_mm2, scores, picked)), strict=True)
        return tuple(
            NetworkPoint(e, t, a, s, tuple(p[: len(layers)]))
            for (e, t, a, s, p), layers in zip(rows, networks, strict=True)
        )

    def build(self, machines: Sequence[MachineIndex], device: torch.device | None = None) -> Machine:
        """The machines, of batch shape `[machines]`, on a device; on the CPU by default."""
        return self.hardware.machines_at(torch.tensor(machines, dtype=torch.long, device=device))

    def search(self, pairs: Iterable[tuple[Problem, MachineIndex]], *, again: bool = False) -> None:
        """Search the mappings of layers on machines that are not known yet; `again`: also of those that are.

        A repeated search starts from what it and its neighbours found, and never ends worse.
        """
        wanted = [pair for pair in dict.fromkeys(pairs) if again or pair not in self._known]
        if not wanted:
            return
        self.prepare(Layer("layer", problem) for problem, _ in wanted)
        name = f"layers {self._calls} {fingerprint(wanted)}" if self._journal else ""
        found, evaluated = recorded(
            self._journal, name, lambda: self._searched(wanted), lambda plain: self._read(plain, wanted)
        )
        self._calls += 1
        self.searches += len(wanted)
        self.evaluations += evaluated
        for pair, points in zip(wanted, found, strict=True):
            if pair not in self._known:
                self._machines_of.setdefault(pair[0], []).append(pair[1])
            self._known[pair] = points

    def _read(
        self, plain: dict[str, Any], wanted: Sequence[tuple[Problem, MachineIndex]]
    ) -> tuple[list[MappingTable], int]:
        """(points of each pair, mappings evaluated) of what `_searched` returns."""
        found = [MappingTable(**tables) for tables in plain["points"]]
        for (problem, _), points in zip(wanted, found, strict=True):
            group, n = self._group(problem), len(points.cycles)
            for name in ("energy_pj", "cycles", "merit"):
                check_table(name, getattr(points, name), (n,))
            check_table("coding", points.coding, (n, None), len(group.space.slots))
            check_table("position", points.position, (n, group.levels, group.dims), group.dims)
        return found, int(plain["evaluations"])

    def _searched(self, wanted: Sequence[tuple[Problem, MachineIndex]]) -> dict[str, Any]:
        """The points of layers on machines, as plain tables in the order asked for, and how many mappings it took."""
        by_group: dict[object, list[tuple[Problem, MachineIndex]]] = {}
        for pair in wanted:
            by_group.setdefault(structure(pair[0]), []).append(pair)
        jobs = [job for members in by_group.values() for job in self._jobs(members)]
        found = run_tasks(_search, [tuple(job) for _, *job in jobs])
        points = {
            pair: dict(vars(self._best(table, row)))
            for (members, *_), (table, _) in zip(jobs, found, strict=True)
            for row, pair in enumerate(members)
        }
        return {"points": [points[pair] for pair in wanted], "evaluations": sum(evaluated for _, evaluated in found)}

    def _jobs(self, pairs: Sequence[tuple[Problem, MachineIndex]]) -> list[tuple[Any, ...]]:
        """What `_search` is to do for each batch of searches in one group, after the pairs that it is for."""
        group = self._group(pairs[0][0]).to(self.device)
        searches = self.score.few_prices(torch.ones(1))[0].shape[1]
        jobs: list[tuple[Any, ...]] = []
        for near, share in ((False, 1.0), (True, SHORT)):
            members = [pair for pair in pairs if self._is_near(*pair) == near]
            islands = max(1, round(share * self.effort.islands / math.sqrt(searches)))
            width = max(1, ROWS // (self.effort.population * self.effort.neighbours * searches * islands))
            for first in range(0, len(members), width):
                some = members[first : first + width]
                seed = derive_seed(self.seed, "layers", self._calls, len(jobs), len(group.layers))
                generator = torch.Generator(self.device).manual_seed(seed)
                layer = torch.tensor([self._place[problem] for problem, _ in some], device=self.device)
                starts = self._starts(group, some, layer, islands, generator)
                machine = self.build([m for _, m in some], self.device)
                prices, caps = self.score.few_prices(rates_of(machine))
                asked = Pairs(layer, machine, prices, caps, torch.full_like(prices[:, 0], torch.inf))
                jobs.append((some, group, asked, *starts, islands, seed, self.effort))
        return jobs

    def _starts(
        self,
        group: Group,
        pairs: Sequence[tuple[Problem, MachineIndex]],
        layer: Tensor,
        islands: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Random mappings and those of the nearest machines: `[pairs, n, units]`, `[pairs, n, levels, dims]`."""
        near = [self._near(problem, machine) for problem, machine in pairs]
        extra = max((sum(len(p.cycles) for p in pool) for pool in near), default=0)
        fresh = FRESH * islands
        assignment, position = random_start(group, layer, fresh + extra, generator)
        for i, pool in enumerate(near):
            at = fresh
            for points in pool:
                n, units = points.coding.shape
                assignment[i, at : at + n, :units] = points.coding
                position[i, at : at + n] = points.position
                at += n
        return assignment, position

    def _is_near(self, problem: Problem, machine: MachineIndex) -> bool:
        """Whether the layer is known on a machine a few steps away; never on the machine itself: that is `again`."""
        away = self._away(problem, machine)
        return bool(len(away)) and 0 < int(away.min()) <= STEP

    def _near(self, problem: Problem, machine: MachineIndex) -> list[MappingTable]:
        """The layer's points on the machines nearest to one, itself included where it is known."""
        known = self._machines_of.get(problem, [])
        nearest = self._away(problem, machine).argsort(stable=True)[:NEAR]
        return [self._known[problem, known[i]] for i in nearest.tolist()]

    def _away(self, problem: Problem, machine: MachineIndex) -> Tensor:
        """Grid steps `[machines]` from a machine to those on which the layer is known."""
        known = self._machines_of.get(problem, [])
        places = torch.tensor(known, dtype=torch.long).reshape(len(known), len(machine))
        return (places - torch.tensor(machine, dtype=torch.long)).abs().sum(-1)

    def _best(self, found: MappingTable, pair: int) -> MappingTable:
        """The best of one pair's mappings `[pairs, n, ...]`; those that fit in no way are left out."""
        found = found.each(lambda column: column[pair])
        fits = (found.merit < UNFIT).nonzero()[:, 0]
        order = fits[unbeaten(found.energy_pj[fits], found.cycles[fits], slow=self.score.powered)]
        if len(order) > POINTS:
            order = order[torch.linspace(0, len(order) - 1, POINTS).round().long()]
        return found.each(lambda column: column[order])

    def _group(self, problem: Problem) -> Group:
        key = structure(problem)
        if key not in self._groups:
            (self._groups[key],) = make_groups(
                self._layers[key], self.hardware.base, self.hardware.free_fanouts, self.constraints
            )
        return self._groups[key]


def rates_of(machines: Machine) -> Tensor:
    """About what a busy cycle costs, pJ, `[...]`: all MACs and four accesses of the innermost memory for each.

    Only the unit in which time is priced: `Score.prices` searches around it. Where these cost nothing, it is 1.
    """
    return rate_of(machines.macs * (machines.mac_pj + 4 * machines.read_pj[..., 0]), torch.ones_like(machines.macs))


def _search(
    group: Group, pairs: Pairs, assignment: Tensor, position: Tensor, islands: int, seed: int, effort: Effort
) -> tuple[MappingTable, int]:
    """Two searches of every pair at every price: on islands, then from all that they found, whatever the price.

    Starts are `[pairs, n, ...]`; the mappings returned `[pairs, m, ...]`, those of all prices side by side, on the CPU.
    """
    generator = torch.Generator(assignment.device).manual_seed(seed)
    evaluated = 0
    n, searches = pairs.prices.shape
    with torch.no_grad():
        for apart in (islands, 1) if islands > 1 or searches > 1 else (1,):
            deal = pairs.deal(apart, prices_first=True)
            moves = UnitMoves(group, deal.items())
            start = moves.assess(*moves.settled(deal.starts(assignment), deal.starts(position)))
            found, searched = local_search(moves, start.best(effort.population), effort, generator)
            evaluated += searched + start.merit.numel()
            found = found.side_by_side(n, each=searches * apart)
            assignment, position = found.coding, found.position
    return found.to("cpu"), evaluated
