"""`Request`: what a run is asked for, checked before any work starts."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf

import torch

from dlco.bound import compulsory_bound, without_bypassed
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.errors import Infeasible, InvalidInput, InvalidMapping, NotSupported
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace, as_space
from dlco.mapping.constraints import check_constraints
from dlco.mapping.kept import FREE, free_levels
from dlco.mapping.orders import check_loops
from dlco.optimize.options import Options, check_seed
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import check_countable


@dataclass(frozen=True)
class Request:
    """A question to the optimiser: one objective within one budget.

    Attributes:
        layers, objective, budget, constraints, imperfect, uneven, seed: as in `solve`; the hardware's own constraints
            are not among these.
        widens: whether, where imperfect is False, layers whose perfect factors leave much idle may be imperfect still.
        keep_free: whether what levels keep is a choice of each mapping (`solve`'s keep is "free").
        hardware: already without the sizes that the budget's limits on single levels exclude.
        device: where tensors live.
    """

    layers: tuple[Layer, ...]
    hardware: HardwareSpace
    objective: Objective
    budget: Budget
    constraints: Constraints | None
    imperfect: bool
    keep_free: bool
    seed: int
    device: torch.device
    uneven: bool = False
    widens: bool = False

    @property
    def free_levels(self) -> frozenset[str]:
        """The levels whose keeping is a choice of each mapping."""
        return free_levels(self.hardware.base, self.constraints) if self.keep_free else frozenset()

    @property
    def plain(self) -> "Request":
        """The same question of even mappings that keep what is stated, of factors that divide the bounds."""
        return replace(self, imperfect=False, widens=False, keep_free=False, uneven=False)

    @property
    def is_wide(self) -> bool:
        """Whether it lets mappings keep what they like, or be uneven: what no local search has moves for."""
        return self.keep_free or self.uneven

    def asking(self, objective: str, budget: Budget, seed: int) -> "Request":
        """The same question for another objective, within another budget of the same limits on single levels.

        Raises:
            InvalidInput: the hardware has no such figure; `Infeasible`: a limit is below what any design needs.
        """
        request = replace(self, objective=Objective(objective), budget=budget, seed=seed)
        _check_energies(request)
        _check_reach(request)
        return request


def make_request(
    layers: Iterable[Layer],
    hardware: object,
    objective: object,
    budget: object = None,
    seed: int = 0,
    options: Options | None = None,
) -> Request:
    """The request, or `InvalidInput` for an argument that is not what it should be, `NotSupported` or `Infeasible`."""
    options = options or Options()
    net = check_layers(layers)
    space = as_space(hardware)
    if space.base.crosses:
        raise NotSupported(
            f"hardware {space.base.name!r} has parts of memories inside its array and beyond it in turns; mappings of "
            "it are evaluated, not searched for: ask for `uneven` mappings of the machine that was taken apart"
        )
    if budget is not None and not isinstance(budget, Budget):
        raise InvalidInput(f"budget is {budget!r}; it must be a dlco.Budget")
    check_seed(seed)
    budget = budget or Budget()
    check_constraints(space.base, [layer.problem for layer in net], options.constraints)
    request = Request(
        layers=net,
        hardware=without_bypassed(_within_levels(space, budget).trimmed(), options.constraints, net),
        objective=Objective.parse(objective),
        budget=budget,
        constraints=options.constraints,
        imperfect=bool(options.imperfect),
        keep_free=options.keep == FREE,
        seed=seed,
        device=torch.device(options.device),
        uneven=options.uneven,
        widens=options.imperfect is None,
    )
    _check_layer_names(request)
    for layer in net:
        check_countable(layer.problem)
    check_loops(net)
    check_room(request)
    if options.fuse:  # what each layer by itself must move to and from DRAM, a network need not
        _check_energies(request)
        return request
    return request.asking(request.objective, budget, seed)


@contextmanager
def some_mapping() -> Iterator[None]:
    """Say in a sentence that a search, which ends on the nearest mapping there is, found none that fits the machine."""
    try:
        yield
    except InvalidMapping as error:
        raise InvalidInput(
            f"no mapping was found that meets the constraints and fits the machine; of the nearest, {error}"
        ) from None


def _within_levels(hardware: HardwareSpace, budget: Budget) -> HardwareSpace:
    """The hardware without sizes above the limits on single levels; `Infeasible` where none is left."""
    for what, level, used, limit in budget.level_uses(_smallest(hardware)):
        if used > limit:
            raise Infeasible(
                f"budget {what} of {level!r} is {limit:g}; the smallest that the hardware allows is {used:g}"
            )
    if not (budget.capacity or budget.bandwidth):
        return hardware

    free = replace(hardware, limits=())

    def fits(column: int, value: float) -> bool:
        sizes = free.low
        sizes[column] = value
        return all(used <= limit for _, _, used, limit in budget.level_uses(free.architecture(sizes)))

    parameters = [
        replace(parameter, grid=tuple(value for value in parameter.grid if fits(i, value)))
        for i, parameter in enumerate(hardware.parameters)
    ]
    return replace(hardware, parameters=tuple(parameters))


def _smallest(hardware: HardwareSpace) -> Architecture:
    """The machine of all least sizes, whatever the limits between them."""
    return replace(hardware, limits=()).architecture(hardware.low)


def _check_layer_names(request: Request) -> None:
    limits = request.budget.layer_latency_s
    names = {layer.name for layer in request.layers}
    for name in limits if isinstance(limits, dict) else ():
        if name not in names:
            raise InvalidInput(
                f"budget layer_latency_s names layer {name!r}; the network has {', '.join(sorted(names))}"
            )


def check_room(request: Request) -> None:
    """Refuse a level that cannot hold a word of each dataspace it keeps, and an outermost one too small for all."""
    hardware = request.hardware
    room = hardware.machine(hardware.high).capacity
    for layer in request.layers:
        for level, words in zip(hardware.base.levels, room.tolist(), strict=True):
            kept = [space.name for space in layer.problem.dataspaces if space.name not in level.bypass]
            if level.name not in request.free_levels and len(kept) > words:
                raise InvalidInput(
                    f"usable capacity of level {level.name!r} is {words:g} words; layer {layer.name!r} needs at least "
                    f"{len(kept)} there, one for each of {', '.join(kept)}"
                )
        needed = sum(layer.problem.words(name) for name in kept)
        if needed > words:
            raise InvalidInput(
                f"usable capacity of level {level.name!r}, the outermost, is {words:g} words; layer {layer.name!r} "
                f"needs {needed} there, for all of {', '.join(kept)}"
            )


def _check_energies(request: Request) -> None:
    """Refuse a question about energy where nothing costs any."""
    base, budget = request.hardware.base, request.budget
    figures = [(level.read_pj, level.write_pj, level.update_pj, level.leak_pj) for level in base.levels]
    wires = [(level.network.reach_pj, level.network.step_pj) for level in base.levels if level.network]
    priced = base.mac_pj > 0 or any(map(any, (*figures, *wires)))
    asked = [request.objective, *map(Objective.limited_by, budget.limits)]
    if any(objective.powers[0] for objective in asked) and not priced:
        raise InvalidInput(
            f"hardware {base.name!r} has no energies, but the objective or budget needs them; give it an ERT"
        )


def _check_reach(request: Request) -> None:
    """Refuse a limit that the compulsory work alone proves out of reach, given the others."""
    net, hardware, budget, free = request.layers, request.hardware, request.budget, request.free_levels
    smallest = _smallest(hardware).macs
    if budget.pe_count is not None and smallest > budget.pe_count:
        raise Infeasible(f"budget pe_count is {budget.pe_count}; the smallest machine has {smallest} MAC units")
    for layer in net:
        if budget.layer_limit(layer.name) == inf:
            continue
        least = compulsory_bound([replace(layer, count=1)], hardware, "latency", free=free)
        if least > budget.layer_limit(layer.name):
            raise Infeasible(
                f"budget layer_latency_s of {layer.name!r} is {budget.layer_limit(layer.name):g}; "
                f"every design needs at least {least:.4g}"
            )
    for limit, value in budget.limits.items():
        objective, others = Objective.limited_by(limit), budget.without(limit)
        least = compulsory_bound(net, hardware, objective, others, free) * objective.scale
        if least > value:
            within = ", ".join(f"{name} {bound:g}" for name, bound in others.limits.items())
            raise Infeasible(
                f"budget {limit} is {value:g}; every design{' within ' if within else ''}{within} needs at least "
                f"{least:.4g}"
            )
