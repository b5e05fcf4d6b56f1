"""`Request`: what `solve` is asked for, checked before any work starts."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf

import torch

from dlco.bound import compulsory_bound, without_bypassed
from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.errors import Infeasible, InvalidInput, InvalidMapping
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.hardware.space import HardwareSpace, as_space
from dlco.mapping.constraints import check_constraints
from dlco.mapping.orders import check_loops
from dlco.workload.layer import Layer, check_layers
from dlco.workload.problem import check_count, check_countable

OBJECTIVE_OF = {"area_mm2": "area", "power_w": "power", "latency_s": "latency", "energy_j": "energy"}
LARGEST_SEED = 2**63 - 1  # that torch's generators take
UNIT_OF = {"area_mm2": 1.0, "power_w": 1.0, "latency_s": 1.0, "energy_j": 1e-12}  # of the objective, in the limit's


@dataclass(frozen=True)
class Request:
    """A question to the optimiser.

    Attributes:
        layers, objective, budget, constraints, imperfect, seed: as in `solve`; the hardware's own constraints are not
            among these.
        hardware: already without the sizes that the budget's limits on single levels exclude.
        device: where tensors live.
    """

    layers: tuple[Layer, ...]
    hardware: Architecture | HardwareSpace
    objective: Objective
    budget: Budget
    constraints: Constraints | None
    imperfect: bool
    seed: int
    device: torch.device


def make_request(
    layers: Iterable[Layer],
    hardware: object,
    objective: object,
    budget: object,
    constraints: object,
    imperfect: object,
    seed: int,
    device: object,
) -> Request:
    """The request, or `InvalidInput` for an argument that is not what it should be, or `Infeasible`."""
    net = check_layers(layers)
    if not isinstance(hardware, Architecture | HardwareSpace):
        raise InvalidInput(f"hardware is {hardware!r}; it must be an Architecture or a HardwareSpace")
    if budget is not None and not isinstance(budget, Budget):
        raise InvalidInput(f"budget is {budget!r}; it must be a dlco.Budget")
    constraints = check_given(constraints)
    imperfect = check_flag("imperfect", imperfect)
    check_seed(seed)
    budget = budget or Budget()
    check_constraints(hardware.base, [layer.problem for layer in net], constraints)
    limited: Architecture | HardwareSpace = without_bypassed(
        as_space(_within_levels(hardware, budget)), constraints, net
    )
    if isinstance(hardware, Architecture):
        limited = limited.base
    request = Request(
        net, limited, Objective.parse(objective), budget, constraints, imperfect, seed, _check_device(device)
    )
    _check_layer_names(request)
    for layer in net:
        check_countable(layer.problem)
    check_loops(net)
    _check_room(request)
    _check_priced(request)
    _check_reach(request)
    return request


@contextmanager
def some_mapping() -> Iterator[None]:
    """Say in a sentence that a search, which ends on the nearest mapping there is, found none that fits the machine."""
    try:
        yield
    except InvalidMapping as error:
        raise InvalidInput(
            f"no mapping was found that meets the constraints and fits the machine; of the nearest, {error}"
        ) from None


def check_given(constraints: object) -> Constraints | None:
    """Constraints as they are, or None; `InvalidInput` for anything else."""
    if constraints is not None and not isinstance(constraints, Constraints):
        raise InvalidInput(f"constraints is {constraints!r}; it must be a dlco.mapping.Constraints")
    return constraints


def check_flag(name: str, value: object) -> bool:
    """True or False as it is; `InvalidInput`, naming the argument, for anything else."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is {value!r}; it must be True or False")
    return value


def check_seed(seed: object) -> None:
    """Raise `InvalidInput` unless it is a seed: an integer from 0 that fits 64 bits."""
    check_count("seed", seed)
    if seed > LARGEST_SEED:  # type: ignore[operator]
        raise InvalidInput(f"seed is {seed!r}; it must be at most {LARGEST_SEED}")


def _check_device(device: object) -> torch.device:
    try:
        checked = torch.device(device)  # type: ignore[call-overload]
    except (RuntimeError, TypeError):
        checked = None
    if checked is None or checked.type not in ("cpu", "cuda"):
        raise InvalidInput(f"device is {device!r}; allowed: cpu, cuda, cuda:0 and so on")
    if checked.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput(f"device is {device!r}, but torch finds no GPU here; allowed: cpu")
    return checked


def _within_levels(hardware: Architecture | HardwareSpace, budget: Budget) -> Architecture | HardwareSpace:
    """The hardware without sizes above the limits on single levels; `Infeasible` where none is left."""
    for what, level, used, limit in budget.level_uses(_smallest(hardware)):
        if used > limit:
            raise Infeasible(
                f"budget {what} of {level!r} is {limit:g}; the smallest that the hardware allows is {used:g}"
            )
    if isinstance(hardware, Architecture) or not (budget.capacity or budget.bandwidth):
        return hardware

    def fits(column: int, value: float) -> bool:
        sizes = hardware.low
        sizes[column] = value
        return all(used <= limit for _, _, used, limit in budget.level_uses(hardware.architecture(sizes)))

    parameters = [
        replace(parameter, grid=tuple(value for value in parameter.grid if fits(i, value)))
        for i, parameter in enumerate(hardware.parameters)
    ]
    return replace(hardware, parameters=tuple(parameters))


def _smallest(hardware: Architecture | HardwareSpace) -> Architecture:
    """The machine of all least sizes."""
    return hardware.architecture(hardware.low) if isinstance(hardware, HardwareSpace) else hardware


def _check_layer_names(request: Request) -> None:
    limits = request.budget.layer_latency_s
    names = {layer.name for layer in request.layers}
    for name in limits if isinstance(limits, dict) else ():
        if name not in names:
            raise InvalidInput(
                f"budget layer_latency_s names layer {name!r}; the network has {', '.join(sorted(names))}"
            )


def _check_room(request: Request) -> None:
    """Refuse a level that cannot hold a word of each dataspace it keeps, and an outermost one too small for all."""
    hardware, base = request.hardware, request.hardware.base
    room = hardware.machine(hardware.high).capacity if isinstance(hardware, HardwareSpace) else base.tensors().capacity
    for layer in request.layers:
        for level, words in zip(base.levels, room.tolist(), strict=True):
            kept = [space.name for space in layer.problem.dataspaces if space.name not in level.bypass]
            if len(kept) > words:
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


def _check_priced(request: Request) -> None:
    """Refuse a question about energy where nothing costs any."""
    base, budget = request.hardware.base, request.budget
    figures = [(level.read_pj, level.write_pj, level.update_pj, level.leak_pj) for level in base.levels]
    priced = base.mac_pj > 0 or any(map(any, figures))
    asked = request.objective in ("energy", "edp", "power")
    if (asked or budget.power_w is not None or budget.energy_j is not None) and not priced:
        raise InvalidInput(
            f"hardware {base.name!r} has no energies, but the objective or budget needs them; give it an ERT"
        )


def _check_reach(request: Request) -> None:
    """Refuse a limit that the compulsory work alone proves out of reach, given the others."""
    net, hardware, budget = request.layers, request.hardware, request.budget
    smallest = _smallest(hardware).macs
    if budget.pe_count is not None and smallest > budget.pe_count:
        raise Infeasible(f"budget pe_count is {budget.pe_count}; the smallest machine has {smallest} MAC units")
    for layer in net:
        if budget.layer_limit(layer.name) == inf:
            continue
        least = compulsory_bound([replace(layer, count=1)], hardware, "latency")
        if least > budget.layer_limit(layer.name):
            raise Infeasible(
                f"budget layer_latency_s of {layer.name!r} is {budget.layer_limit(layer.name):g}; "
                f"every design needs at least {least:.4g}"
            )
    for limit, value in budget.limits.items():
        least = compulsory_bound(net, hardware, OBJECTIVE_OF[limit], without(budget, limit)) * UNIT_OF[limit]
        if least > value:
            raise Infeasible(
                f"budget {limit} is {value:g}; every design{within(budget, limit)} needs at least {least:.4g}"
            )


def without(budget: Budget, limit: str) -> Budget:
    """The budget with one limit lifted."""
    return replace(budget, **{limit: None})


def within(budget: Budget, limit: str) -> str:
    """The other limits on totals in words, for a sentence about one of them."""
    others = [f"{name} {bound:g}" for name, bound in budget.limits.items() if name != limit]
    return f" within {', '.join(others)}" if others else ""
