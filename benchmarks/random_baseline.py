"""`solve` on ResNet-18 and the Eyeriss-like space against the best of random designs under the same area budget.

A sample is a whole design: a machine drawn uniformly from the grid of sizes, redrawn while it is over the area budget,
and one random mapping for every layer. A layer's mapping puts every prime factor into a uniformly random slot (temporal
loops of a level, X or Y of the array) and is drawn again, on the same machine, until all tiles and fan-outs fit and no
dimension lies on both axes; then loop orders are drawn, uniformly too. So each layer's mapping is uniform over what
fits, no sample is lost, and every one of them is valid in all layers. Of a machine and layer that nothing fits after
--tries draws, the whole sample is given up, counted and replaced.

What is compared is the network's EDP, total energy times total cycles, in the exact model under dlco's default rules.
The best sample is priced once more through `dlco.evaluate`.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from common import Stopwatch, environment, table

import dlco
from dlco import Budget, HardwareSpace, Layer
from dlco.cost.model import evaluate_totals
from dlco.cost.nest import build_nest, positions
from dlco.cost.shape import compile_problem
from dlco.cost.tabulate import overflow
from dlco.hardware import eyeriss_space
from dlco.hardware.architecture import Machine
from dlco.mapping.kept import kept_table
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y
from dlco.mapping.mapspace import MapSpace

CHUNK = 2_500  # samples drawn at a time, by one process
BATCH = 16_384  # mappings tried at a time
AXES = {"fanout_x": SPATIAL_X, "fanout_y": SPATIAL_Y}


@dataclass(frozen=True)
class Drawn:
    """What one chunk came to.

    Attributes:
        edp: `[n]` of the samples that were complete; `energy_pj`, `cycles`, `area_mm2` of the best.
        sizes: of the best; `mappings`: its mappings as (assignment, order), by layer name.
        draws: mappings tried, by layer name; `given_up`: samples without a mapping of some layer.
    """

    edp: list[float]
    energy_pj: float
    cycles: float
    area_mm2: float
    sizes: list[float]
    mappings: dict[str, tuple[list[int], list[list[int]]]]
    draws: dict[str, int]
    given_up: int


def draw_machines(space: HardwareSpace, n: int, area: float, generator: torch.Generator) -> tuple[torch.Tensor, int]:
    """`n` sizes on the grid within the area, and how many were drawn over it."""
    found: list[torch.Tensor] = []
    over = 0
    while sum(len(part) for part in found) < n:
        sizes = space.sample(n, generator)
        small = space.machine(sizes).area_mm2 <= area
        over += int((~small).sum())
        found.append(sizes[small])
        if over > 1000 * n:
            raise SystemExit(f"area is {area:g}; hardly any machine of the space is that small")
    return torch.cat(found)[:n], over


class Sampler:
    """Random mappings of one layer that fit the machines they are for."""

    def __init__(self, layer: Layer, space: HardwareSpace) -> None:
        levels = space.base.levels
        free = [(p.level, AXES[p.field]) for p in space.parameters if p.field in AXES]
        self.layer = layer
        self.shape = compile_problem(layer.problem)
        self.maps = MapSpace.of(layer.problem, space.base, free_fanout=free)
        self.kept = kept_table(layer.problem, space.base)
        self.axes = [tuple((i, axis) in self.maps.slots for axis in (SPATIAL_X, SPATIAL_Y)) for i in range(len(levels))]
        self.any_order = [list(range(len(layer.problem.dimensions)))] * len(levels)  # what fits does not depend on it
        self.quick, self.logs = self._quick()

    def _quick(self) -> tuple[list[tuple[str, int]], torch.Tensor]:
        """Limits that are sums of logs, in single precision: fan-outs, and tiles of the dataspaces without windows.

        Returns:
            (for each the field and level of the machine that limits it, `[units * slots, limits]` what a unit in a slot
            adds to it).
        """
        fields, columns = [], []
        logs = self.maps.primes.double().log()
        for level, axes in enumerate(self.axes):
            for axis in (axis for axis, there in zip((SPATIAL_X, SPATIAL_Y), axes, strict=True) if there):
                at = torch.tensor([slot == (level, axis) for slot in self.maps.slots])
                fields.append((("fanout_x", "fanout_y")[axis - SPATIAL_X], level))
                columns.append(logs[:, None] * at)
            under = torch.tensor([inner <= level for inner, _ in self.maps.slots])
            for kept, one in zip(self.kept[level], self.layer.problem.dataspaces, strict=True):
                if kept and all(len(rank) == 1 for rank in one.projection) and level < len(self.axes) - 1:
                    names = self.layer.problem.dimensions
                    relevant = torch.tensor([names[d] in one.dimensions for d in self.maps.unit_dim.tolist()])
                    fields.append(("capacity", level))
                    columns.append((logs * relevant)[:, None] * under)
        return fields, torch.stack([column.flatten() for column in columns], -1).float()

    def draw(
        self, machines: Machine, tries: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
        """For `n` machines: (assignment `[n, units]`, order `[n, levels, dims]`, whether found `[n]`, draws)."""
        n, slots, units = len(machines.capacity), len(self.maps.slots), len(self.maps.primes)
        rooms = torch.stack([getattr(machines, name)[:, level] for name, level in self.quick], -1).log().float()
        row_of = torch.arange(units) * slots
        assignment = torch.zeros(n, units, dtype=torch.long)
        found = torch.zeros(n, dtype=torch.bool)
        draws = spent = 0  # in all, and for each machine still waiting
        while spent < tries and not bool(found.all()):
            waiting = (~found).nonzero()[:, 0]
            each = min(max(1, BATCH // len(waiting)), tries - spent)
            for rows in waiting.split(BATCH):
                tried = torch.randint(slots, (len(rows) * each, units), generator=generator)
                draws += len(tried)
                used = torch.nn.functional.embedding_bag(tried + row_of, self.logs, mode="sum")
                room = rooms[rows].repeat_interleave(each, 0)
                maybe = (used <= room + 1e-4).all(-1).nonzero()[:, 0]
                good = maybe[self.fits(tried[maybe], machines.select(rows[maybe // each]))]
                owner = good // each
                first = torch.ones_like(owner, dtype=torch.bool)
                first[1:] = owner[1:] != owner[:-1]  # of several that fit the first drawn is taken
                assignment[rows[owner[first]]] = tried[good[first]]
                found[rows[owner[first]]] = True
            spent += each
        noise = torch.rand(n, len(self.axes), len(self.layer.problem.dimensions), generator=generator)
        return assignment, noise.argsort(-1), found, draws

    def fits(self, assignment: torch.Tensor, machines: Machine) -> torch.Tensor:
        """Whether each mapping fits its machine, with no dimension on both axes of a level, BoolTensor `[n]`."""
        nest = build_nest(self.shape, self.maps.factors(assignment), self.any_order, axes=self.axes)
        return (overflow(nest, machines, self.kept) <= 0) & self.maps.one_axis(assignment)

    def cost(
        self, assignment: torch.Tensor, order: torch.Tensor, machines: Machine
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Energy and cycles of all executions, `[n]`."""
        factors = self.maps.factors(assignment)
        totals = evaluate_totals(self.shape, machines, self.kept, factors, positions(order), axes=self.axes)
        return totals.energy_pj * self.layer.count, totals.cycles * self.layer.count


def draw_chunk(n: int, area: float, tries: int, seed: int) -> tuple[Drawn, int]:
    """`n` samples; returns what they came to and how many machines were over the area."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    space, layers = eyeriss_space(wires=False), dlco.networks.resnet18()
    sizes, over = draw_machines(space, n, area, generator)
    machines = space.machine(sizes)
    energy = cycles = torch.zeros(n, dtype=torch.float64)
    complete = torch.ones(n, dtype=torch.bool)
    drawn, draws = {}, {}
    for layer in layers:
        sampler = Sampler(layer, space)
        assignment, order, found, draws[layer.name] = sampler.draw(machines, tries, generator)
        pj, ticks = sampler.cost(assignment, order, machines)
        energy, cycles, complete = energy + pj, cycles + ticks, complete & found
        drawn[layer.name] = assignment, order
    edp = torch.where(complete, energy * cycles, torch.inf)
    best = int(edp.argmin())
    return (
        Drawn(
            edp=edp[complete].tolist(),
            energy_pj=energy[best].item(),
            cycles=cycles[best].item(),
            area_mm2=machines.area_mm2[best].item(),
            sizes=sizes[best].tolist(),
            mappings={name: (a[best].tolist(), o[best].tolist()) for name, (a, o) in drawn.items()},
            draws=draws,
            given_up=int((~complete).sum()),
        ),
        over,
    )


def check(best: Drawn) -> float:
    """The network EDP of a sample, machine and mappings built and checked one by one."""
    space, layers = eyeriss_space(wires=False), dlco.networks.resnet18()
    architecture = space.architecture(best.sizes)
    energy = cycles = 0.0
    for layer in layers:
        assignment, order = (torch.tensor(one) for one in best.mappings[layer.name])
        mapping = Sampler(layer, space).maps.batch(assignment, order).mapping()
        cost = dlco.evaluate(layer, architecture, mapping)
        energy += layer.count * cost.energy_pj.item()
        cycles += layer.count * cost.cycles.item()
    return energy * cycles


def baseline(samples: int, area: float, tries: int, seed: int, processes: int) -> dict:
    """The best of `samples` random designs."""
    parts: list[Drawn] = []
    over, chunk = 0, 0
    with Stopwatch() as watch, ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        while (missing := samples - sum(len(part.edp) for part in parts)) > 0:
            size = min(CHUNK, -(-missing // processes))
            sizes = [min(size, missing - first) for first in range(0, missing, size)]
            tasks = [pool.submit(draw_chunk, n, area, tries, seed * 1_000_003 + chunk + i) for i, n in enumerate(sizes)]
            chunk += len(sizes)
            for task in tasks:
                part, too_large = task.result()
                parts.append(part)
                over += too_large
    best = min(parts, key=lambda part: part.energy_pj * part.cycles if part.edp else float("inf"))
    edp = torch.tensor([value for part in parts for value in part.edp], dtype=torch.float64)
    drawn = sum(sum(part.draws.values()) for part in parts)
    return {
        "samples": len(edp),
        "best_edp": edp.min().item(),
        "best_edp_checked": check(best),
        "median_edp": edp.median().item(),
        "best_energy_pj": best.energy_pj,
        "best_cycles": best.cycles,
        "best_area_mm2": best.area_mm2,
        "best_sizes": dict(zip(eyeriss_space(wires=False).names, best.sizes, strict=True)),
        "mappings_drawn": drawn,
        "draws_a_valid_mapping": {name: sum(p.draws[name] for p in parts) / len(edp) for name in best.draws},
        "machines_over_area": over,
        "samples_given_up": sum(part.given_up for part in parts),
        "wall_s": watch.wall_s,
        "cpu_s": watch.cpu_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--area", type=float, default=4.0, help="budget of both, mm2")
    parser.add_argument("--tries", type=int, default=1_000_000, help="draws for a machine and layer at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="that draw samples")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    where = environment()
    with Stopwatch() as watch:
        solution = dlco.solve(
            dlco.networks.resnet18(),
            eyeriss_space(wires=False),
            objective="edp",
            budget=Budget(area_mm2=options.area),
            seed=options.seed,
        )
    mine = {
        "status": solution.status,
        "edp": solution.cost.edp,
        "energy_pj": solution.cost.energy_pj,
        "cycles": solution.cost.cycles,
        "area_mm2": solution.cost.area_mm2,
        "evaluations": solution.evaluations,
        "lower_bound": solution.lower_bound,
        "gap": solution.gap,
        "wall_s": watch.wall_s,
        "cpu_s": watch.cpu_s,
    }
    theirs = baseline(options.samples, options.area, options.tries, options.seed, options.processes)
    ratio = theirs["best_edp"] / mine["edp"]
    if options.json:
        figures = {"environment": where, "area_mm2": options.area, "solve": mine, "random": theirs, "ratio": ratio}
        print(json.dumps(figures, indent=1))
        return
    rows = [
        [name, *(f"{value:.4g}" for value in values)]
        for name, values in {
            "solve": [mine[k] for k in ("edp", "energy_pj", "cycles", "area_mm2", "wall_s", "cpu_s")],
            f"best of {theirs['samples']:,} random designs": [
                theirs[k] for k in ("best_edp", "best_energy_pj", "best_cycles", "best_area_mm2", "wall_s", "cpu_s")
            ],
        }.items()
    ]
    print(table(["", "EDP pJ x cycles", "energy pJ", "cycles", "area mm2", "s", "CPU s"], rows))
    print()
    print(
        f"within {options.area:g} mm2 solve's EDP is {ratio:.2f} times less; random median {theirs['median_edp']:.4g}"
    )
    print(f"solve: status {mine['status']}, {mine['evaluations']:,} mappings, gap to the lower bound {mine['gap']:.1%}")
    print(
        f"random: {theirs['mappings_drawn']:,} mappings drawn, every layer's until one fitted "
        f"({theirs['mappings_drawn'] / theirs['samples']:.0f} a sample); "
        f"{theirs['machines_over_area']:,} machines over the area redrawn; "
        f"{theirs['samples_given_up']} samples given up and replaced; "
        f"best one priced by evaluate(): {theirs['best_edp_checked']:.4g}"
    )
    print(f"{where['cores']} cores, load {where['load_before']} before, torch {where['torch']}")


if __name__ == "__main__":
    main()
