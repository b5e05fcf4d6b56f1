"""`solve()`: from a network and a budget to a machine and its mappings."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y
from dlco.optimize.bound import compulsory_bound
from dlco.optimize.budget import Budget, check_objective
from dlco.optimize.discretize import round_factors, round_sizes
from dlco.optimize.group import make_groups
from dlco.optimize.local_search import Effort, random_start
from dlco.optimize.progress import Listener, Progress
from dlco.optimize.relax import Relaxed, relax
from dlco.optimize.score import BROKEN, Score
from dlco.optimize.search import Design, Seeds, Workbench
from dlco.optimize.solution import NetworkCost, Solution, price
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import check_positive_int

log = logging.getLogger("dlco")

TO_THE_BUDGET = 40  # steps of the hardware that a design outside the budget may take


@dataclass(frozen=True)
class SolveEffort:
    """How hard `solve` tries; the defaults take well under a minute for ResNet-18 on two cores.

    Attributes:
        starts: relaxed solves side by side.
        relax_rounds: multiplier updates of the relaxed problem at most.
        machines: machines that are fitted after rounding.
        roundings: roundings of every relaxed mapping.
        descents: machines from which the hardware is stepped; `steps`: steps of each at most.
        fit: search of the mappings of a rounded machine; `step`: of a machine one step away; `polish`: of the last.
        polishes: times the last search is repeated, from what it found and fresh random mappings.
    """

    starts: int = 8
    relax_rounds: int = 8
    machines: int = 6
    roundings: int = 4
    descents: int = 2
    steps: int = 12
    fit: Effort = field(default=Effort(rounds=40, patience=10, islands=4))
    step: Effort = field(default=Effort(rounds=16, patience=6, population=4, neighbours=12))
    polish: Effort = field(default=Effort(rounds=100, patience=25, population=16, neighbours=6, islands=24))
    polishes: int = 4

    def __post_init__(self) -> None:
        for name in ("starts", "machines", "roundings", "descents"):
            check_positive_int(f"{name} of the effort", getattr(self, name))
        for name in ("relax_rounds", "steps", "polishes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidInput(f"{name} of the effort is {value!r}; it must be an integer of at least 0")


def solve(
    layers: Iterable[Layer],
    hardware: Architecture | HardwareSpace,
    objective: str = "edp",
    budget: Budget | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    bound: bool = True,
    progress: bool | Listener = False,
    effort: SolveEffort | None = None,
) -> Solution:
    """Size the hardware, where it is free, and map every layer on it.

    The relaxed problem is solved for sizes and mappings together, from several starts; sizes are rounded to the
    grid and factors to exact factorisations; batched local search improves the mappings, and steps the sizes. All
    figures of the solution are the exact integer model's.

    Args:
        layers: the network.
        hardware: a machine, or a space of them.
        objective: "latency", "energy", "edp", "power" or "area".
        budget: limits that the solution must keep.
        seed: the same seed gives the same solution.
        device: "cpu"; other devices are not supported yet.
        bound: whether to compute a lower bound on the objective too.
        progress: True for a progress bar (where stderr is a terminal), or a callable that takes `Progress`.
        effort: how hard to try.

    Returns:
        A `Solution`. Its status is "infeasible" where no design within the budget was found, "interrupted" after
        Ctrl-C; both carry the best design found.

    Raises:
        InvalidInput: an argument is not what it should be, or a limit of the budget is below what any design needs.
    """
    net = check_layers(layers)
    if not isinstance(hardware, Architecture | HardwareSpace):
        raise InvalidInput(f"hardware is {hardware!r}; it must be an Architecture or a HardwareSpace")
    if budget is not None and not isinstance(budget, Budget):
        raise InvalidInput(f"budget is {budget!r}; it must be a dlco.Budget")
    if device != "cpu":
        raise InvalidInput(f"device is {device!r}; allowed: cpu")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidInput(f"seed is {seed!r}; it must be an integer of at least 0")
    budget = budget or Budget()
    if effort is not None and not isinstance(effort, SolveEffort):
        raise InvalidInput(f"effort is {effort!r}; it must be a dlco.SolveEffort")
    if not isinstance(progress, bool) and not callable(progress):
        raise InvalidInput(f"progress is {progress!r}; it must be True, False or a callable that takes a dlco.Progress")
    check_objective(objective)
    _check_room(net, hardware)
    _check_priced(hardware, objective, budget)
    _check_reach(net, hardware, budget)
    lower = compulsory_bound(net, hardware, objective, budget) if bound else None
    lower = lower or None  # a bound of 0 says nothing
    if progress is True:
        from dlco.report.progress import ProgressBar  # the display sits above the optimiser

        with ProgressBar(objective) as bar:
            return _Run(net, hardware, objective, budget, seed, bar, effort).solution(lower)
    listener = progress if callable(progress) else _silent
    return _Run(net, hardware, objective, budget, seed, listener, effort).solution(lower)


def _free_fanouts(hardware: Architecture | HardwareSpace) -> list[tuple[str, int]]:
    """(level, axis) of the fan-outs that the space leaves open."""
    if isinstance(hardware, Architecture):
        return []
    axes = {"fanout_x": SPATIAL_X, "fanout_y": SPATIAL_Y}
    return [(p.level, axes[p.field]) for p in hardware.parameters if p.field in axes]


def _silent(progress: Progress) -> None:
    pass


def _check_room(net: tuple[Layer, ...], hardware: Architecture | HardwareSpace) -> None:
    """Refuse a level that cannot hold one word of each dataspace that it keeps."""
    base = hardware.base if isinstance(hardware, HardwareSpace) else hardware
    room = hardware.machine(hardware.high).capacity if isinstance(hardware, HardwareSpace) else base.tensors().capacity
    for layer in net:
        for level, words in zip(base.levels, room.tolist(), strict=True):
            kept = [space.name for space in layer.problem.dataspaces if space.name not in level.bypass]
            if len(kept) > words:
                raise InvalidInput(
                    f"usable capacity of level {level.name!r} is {words:g} words; layer {layer.name!r} needs at least "
                    f"{len(kept)} there, one for each of {', '.join(kept)}"
                )


def _check_priced(hardware: Architecture | HardwareSpace, objective: str, budget: Budget) -> None:
    """Refuse a question about energy where nothing costs any."""
    base = hardware.base if isinstance(hardware, HardwareSpace) else hardware
    priced = base.mac_pj > 0 or any(level.read_pj or level.write_pj or level.update_pj for level in base.levels)
    asked = objective in ("energy", "edp", "power") or budget.power_w is not None or budget.energy_j is not None
    if asked and not priced:
        raise InvalidInput(
            f"hardware {base.name!r} has no energies, but the objective or budget needs them; give it an ERT"
        )


def _check_reach(net: tuple[Layer, ...], hardware: Architecture | HardwareSpace, budget: Budget) -> None:
    """Refuse a limit that the lower bounds prove out of reach, given the others."""
    for limit, value in budget.limits.items():
        objective = {"area_mm2": "area", "power_w": "power", "latency_s": "latency", "energy_j": "energy"}[limit]
        least = compulsory_bound(net, hardware, objective, replace(budget, **{limit: None}))
        least *= 1e-12 if limit == "energy_j" else 1.0
        if least > value:
            others = [f"{name} {bound:g}" for name, bound in budget.limits.items() if name != limit]
            given = f" within {', '.join(others)}" if others else ""
            raise InvalidInput(f"budget {limit} is {value:g}; every design{given} needs at least {least:.4g}")


class _Run:
    """One call of `solve`: its phases, and the best design so far."""

    def __init__(
        self,
        net: tuple[Layer, ...],
        hardware: Architecture | HardwareSpace,
        objective: str,
        budget: Budget,
        seed: int,
        listener: Listener,
        effort: SolveEffort | None,
    ) -> None:
        self.net, self.hardware, self.objective, self.budget, self.seed = net, hardware, objective, budget, seed
        self.listener, self.effort = listener, effort or SolveEffort()
        self.started = time.perf_counter()
        self.base = hardware.base if isinstance(hardware, HardwareSpace) else hardware
        self.groups = make_groups(net, self.base, _free_fanouts(hardware))
        self.score = Score(objective, budget, self.base.cycle_s)
        self.generator = torch.Generator().manual_seed(seed)
        self.bench = Workbench(self.groups, hardware, self.score, self.generator, self._note)
        self.best: Design | None = None
        self.trace: list[tuple[float, float]] = []
        self.phase = "relax"
        self.done = 0.0

    def solution(self, lower_bound: float | None) -> Solution:
        """Run, and return the best design whatever ends the run."""
        status = "solved"
        with _single_thread():
            try:
                self._search()
            except KeyboardInterrupt:
                status = "interrupted"
                log.warning("interrupted; returning the best design so far")
            if self.best is None:
                self.listener = _silent
                self.bench.fit(self._smallest(), [self._random_seeds(8)], Effort(rounds=20))
        return self._finish(status, lower_bound)

    def _search(self) -> None:
        effort = self.effort
        self._tick("relax", 0.0)
        relaxed = relax(
            self.groups,
            self.hardware,
            self.score,
            self.bench.counts,
            starts=effort.starts,
            generator=self.generator,
            rounds=effort.relax_rounds,
        )
        log.info("relaxed: value %s, violation %s", relaxed.value.tolist(), relaxed.violation.tolist())
        if isinstance(self.hardware, HardwareSpace):
            best = self._search_hardware(relaxed)
        else:
            self._tick("search", 0.3)
            rounded = [self._rounded(relaxed, start) for start in range(effort.starts)]
            best = self.bench.fit(None, [Seeds.join([*rounded, self._random_seeds(8)])], effort.fit)[0]
        for repeat in range(effort.polishes):
            self._tick("polish", 0.7 + 0.3 * repeat / effort.polishes)
            index = None if best.index is None else best.index[None]
            fresh = effort.polish.islands * effort.polish.population // 2
            seeds = Seeds.join([best.chosen, self._random_seeds(fresh)])  # the best in one island, news in the others
            best = min(best, self.bench.fit(index, [seeds], effort.polish)[0], key=lambda design: design.score)
            if best.index is not None and repeat < effort.polishes - 1:  # better mappings may want other sizes
                best = self._descend(best, lambda share: None)
        self._tick("done", 1.0)

    def _search_hardware(self, relaxed: Relaxed) -> Design:
        assert isinstance(self.hardware, HardwareSpace)
        effort = self.effort
        order = (relaxed.value + torch.where(relaxed.violation > 1e-2, BROKEN, 0.0)).argsort().tolist()
        sizes = [*relaxed.sizes[order], self.hardware.high]  # the largest machine within the area may turn out well too
        rounded = [round_sizes(self.hardware, one, self.budget.area_mm2) for one in sizes]
        distinct = list({tuple(index.tolist()): index for index in rounded}.values())
        machines = [*distinct[: effort.machines], rounded[-1]] if len(distinct) > effort.machines else distinct
        seeds = Seeds.join([*(self._rounded(relaxed, start) for start in order), self._random_seeds(8)])
        designs: list[Design] = []
        for i, index in enumerate(machines):
            self._tick("fit", 0.2 + 0.1 * i / len(machines))
            designs += self.bench.fit(index[None], [seeds], effort.fit)
        designs.sort(key=lambda design: design.score)
        ended = []
        for i, design in enumerate(designs[: effort.descents]):
            base, width = 0.3 + 0.4 * i / effort.descents, 0.4 / effort.descents

            def tick(share: float, base: float = base, width: float = width) -> None:
                self._tick("search", base + width * share)

            ended.append(self._descend(design, tick))
        return min(ended, key=lambda design: design.score)

    def _descend(self, design: Design, tick: Callable[[float], None]) -> Design:
        """Step the hardware; on the way to a first design within the budget, for as long as it takes."""
        steps = self.effort.steps if design.score < BROKEN else max(self.effort.steps, TO_THE_BUDGET)
        return self.bench.descend(design, self.effort.step, steps, tick)

    def _rounded(self, relaxed: Relaxed, start: int) -> Seeds:
        """Roundings of one relaxed solution's mappings."""
        copies = self.effort.roundings
        assignment, position = [], []
        for group, logs, places in zip(self.groups, relaxed.logs, relaxed.position, strict=True):
            rounded = round_factors(group, logs[start : start + 1], copies, self.generator)[0]
            assignment.append(rounded)
            position.append(places[start][:, None].expand(-1, copies, -1, -1))
        total = float(relaxed.rate[start])
        return Seeds(assignment, position, total)

    def _random_seeds(self, n: int) -> Seeds:
        pairs = [random_start(g, torch.arange(len(g.layers)), n, self.generator) for g in self.groups]
        return Seeds([a for a, _ in pairs], [p for _, p in pairs], self.best.chosen.rate if self.best else 1e3)

    def _smallest(self) -> torch.Tensor | None:
        if not isinstance(self.hardware, HardwareSpace):
            return None
        return torch.zeros(1, len(self.hardware.parameters), dtype=torch.long)

    def _note(self, design: Design) -> None:
        if self.best is None or design.score < self.best.score:
            self.best = design
            if design.score < BROKEN:
                self.trace.append((time.perf_counter() - self.started, self._value(design)))
        self._tick(self.phase, self.done)

    def _tick(self, phase: str, done: float) -> None:
        self.phase, self.done = phase, done
        best = self._value(self.best) if self.best is not None and self.best.score < BROKEN else None
        self.listener(Progress(phase, done, best, time.perf_counter() - self.started))

    def _value(self, design: Design) -> float:
        """The objective of a design, in the unit of `NetworkCost.objective`."""
        seconds = design.cycles * self.base.cycle_s
        power = design.energy_pj * 1e-12 / seconds
        totals = (design.cycles, design.energy_pj, seconds, power, design.area_mm2, design.energy_pj * design.cycles)
        return NetworkCost(*totals).objective(self.objective)

    def _finish(self, status: str, lower_bound: float | None) -> Solution:
        assert self.best is not None
        best = self.best
        if isinstance(self.hardware, HardwareSpace):
            assert best.index is not None
            architecture = self.hardware.architecture(self.hardware.index_to_sizes(best.index))
        else:
            architecture = self.hardware
        mappings = {}
        for g, group in enumerate(self.groups):
            for i, layer in enumerate(group.layers):
                mappings[layer.name] = group.mapping(i, best.chosen.assignment[g][i, 0], best.chosen.position[g][i, 0])
        mappings = {layer.name: mappings[layer.name] for layer in self.net}
        costs, cost = price(self.net, architecture, mappings)
        used = {
            "area_mm2": cost.area_mm2,
            "power_w": cost.power_w,
            "latency_s": cost.latency_s,
            "energy_j": cost.energy_pj * 1e-12,
        }
        broken = [
            f"{name} {used[name]:.4g} > {limit:g}"
            for name, limit in self.budget.limits.items()
            if used[name] > limit * (1 + 1e-9)
        ]
        if broken:
            status = "infeasible"
        message = {
            "solved": "all limits hold",
            "interrupted": "stopped early; run again without interruption for a better design",
            "infeasible": f"no design within the budget was found; the nearest has {', '.join(broken)}",
        }[status]
        return Solution(
            status=status,
            message=message,
            objective=self.objective,
            budget=self.budget,
            seed=self.seed,
            layers=self.net,
            architecture=architecture,
            mappings=mappings,
            layer_costs=costs,
            cost=cost,
            lower_bound=lower_bound,
            evaluations=self.bench.evaluations,
            seconds=time.perf_counter() - self.started,
            trace=tuple(self.trace),
        )


@contextmanager
def _single_thread():  # type: ignore[no-untyped-def]
    """The rows of a search are too short to share between threads: waiting for each other costs more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
