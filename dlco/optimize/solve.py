"""`solve()`: from a network and a budget to a machine and its mappings."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Unpack

from dlco.design.budget import Budget
from dlco.design.solution import Solution
from dlco.errors import Infeasible, NotSupported
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace, as_space
from dlco.interrupts import held
from dlco.journal import Journal
from dlco.mapping.constraints import announce
from dlco.mapping.mapping import Mapping
from dlco.optimize.effort import SolveEffort
from dlco.optimize.fixed import solve_exactly, why_no_fronts, why_not_proved
from dlco.optimize.fused import check_fused, solve_fused
from dlco.optimize.options import Options, RunOptions, check_effort, check_flag
from dlco.optimize.phases.shared import make_run
from dlco.optimize.request import Request, check_room, make_request, some_mapping
from dlco.optimize.run import search_design
from dlco.progress import Listener, silent
from dlco.progress_bar import listening
from dlco.search.local_search import Effort
from dlco.workload.graph import Network
from dlco.workload.layer import Layer, check_layers

log = logging.getLogger("dlco")

BRIEF = SolveEffort(starts=0, fit=Effort(rounds=20, patience=10, population=4), polishes=0, exact=False)


def solve(
    layers: Iterable[Layer],
    hardware: Architecture | HardwareSpace,
    objective: str = "edp",
    budget: Budget | None = None,
    *,
    seed: int = 0,
    bound: bool = True,
    progress: bool | Listener = False,
    effort: SolveEffort | None = None,
    **options: Unpack[RunOptions],
) -> Solution:
    """Size the hardware, where it is free, and map every layer on it.

    On a fixed machine the exact search proves the optimum for latency, energy and EDP within limits on these, wherever
    it covers the layers (`dlco.exact`): then the gap is 0. Elsewhere the relaxed problem is solved for sizes
    and mappings together, from several starts; sizes are rounded to the grid and factors to exact factorisations.
    Where sizes are free, generations of machines follow, which hand their mappings on and are joined by others near
    their lower bounds; batched local search improves the mappings of the best machines, and steps their sizes. All
    figures of the solution are the exact integer model's. With `fuse` machines near that one are searched for plans of
    what stays on the chip (`dlco.fusion`), and all of them bounded. Independent parts run through joblib: under
    `joblib.parallel_config(backend="loky" | "dask" | "ray", n_jobs=...)` on several cores or a cluster, with the same
    result.

    Args:
        layers: the network; with `fuse` one that says who reads whose result.
        hardware: a machine, or a space of them.
        objective: "latency", "energy", "edp", "power" or "area".
        budget: limits that the solution must keep.
        seed: the same seed gives the same solution.
        bound: whether to prove a lower bound on the objective too.
        progress: True for a progress bar (where stderr is a terminal), or a callable that takes `Progress`.
        effort: how hard to try.
        **options: device, constraints, imperfect, keep, uneven, fuse, start, checkpoint, resume: see `RunOptions`.

    Returns:
        A `Solution`. Its status is "infeasible" where no design within the budget was found, "interrupted" after
        Ctrl-C; both carry the best design found.

    Raises:
        InvalidInput: an argument is not what it should be; `Infeasible`: a limit of the budget is below what any
            design needs.

    Examples:
        >>> layer = dlco.linear("fc", C=64, M=100)
        >>> solution = dlco.solve([layer], hardware=dlco.hardware.generic(), objective="latency")
        >>> solution.status, solution.cost.cycles >= layer.macs / 256
        ('solved', True)
    """
    effort, others = check_effort(effort, SolveEffort), Options(**options)
    check_flag("bound", bound)
    net = check_layers(layers)
    request = make_request(net, hardware, objective, budget, seed, others)
    if others.fuse:
        check_fused(layers, request, others)
    announce(request.hardware.base, request.layers, request.constraints)
    space = hardware if isinstance(hardware, HardwareSpace) and not hardware.is_fixed else None
    noted = partial(replace, space=space, constraints=others.constraints)
    with (
        held(),
        listening(progress, request.objective.text) as listener,
        others.recording((request, effort, others.starts)) as journal,
        some_mapping(),
    ):
        if others.fuse:
            assert isinstance(layers, Network)
            apart = partial(_apart, request, effort, others.starts)
            fused = noted(solve_fused(layers, request, effort, listener, apart, bound=bound))
            return fused if bound else replace(fused, lower_bound=None)
        return noted(_answer(request, effort, others.starts, bound=bound, listener=listener, journal=journal))


def _apart(request: Request, effort: SolveEffort, starts: tuple[Solution, ...], listener: Listener) -> Solution:
    """The best machine for layers by themselves, nothing proved of it: where the search for a fused design begins."""
    return search_design(make_run(request, replace(effort, polishes=0), starts, listener), bound=False, reasons=False)


def _answer(
    request: Request,
    effort: SolveEffort,
    starts: tuple[Solution, ...],
    *,
    bound: bool,
    listener: Listener,
    journal: Journal | None,
) -> Solution:
    """The best design of a request: proved where the exact search answers it, else searched for."""
    reason = refused = why_not_proved(request) if effort.exact else "the effort leaves it out"
    if refused is None:
        try:
            proved = solve_exactly(request, effort, listener, journal, partial(briefly, request))
        except NotSupported as error:  # the search ends on the nearest there is and says what it breaks
            proved, reason = None, str(error)
        if proved is not None:
            as_found = request.is_wide or (proved.imperfect and request.widens)
            if proved.status == "solved" and proved.gap and not as_found:
                run = make_run(request, replace(effort, exact=False), (*starts, proved), listener, journal)
                proved = _better(proved, search_design(run, bound=False))
            return proved if bound else replace(proved, lower_bound=None)
        request = replace(request, keep_free=False, uneven=False)  # as is proved, nothing answers: the search says why
    reason = reason or "no mapping keeps the budget"
    log.info("searching, as the exact search does not answer this: %s", reason)
    if request.is_wide:
        _announce_choice(request, reason)
        check_room(replace(request, keep_free=False))  # as stated is where the search begins
    run = make_run(request, effort, starts, listener, journal)
    return search_design(run, bound=bound)


def _announce_choice(request: Request, reason: str) -> None:
    """Say that mappings are chosen freely at the end of a search alone, or, of uneven ones, where they are not."""
    if request.keep_free:
        log.warning("what levels keep is searched for on the best machine alone, and not proved: %s", reason)
        return
    machine = replace(request, hardware=as_space(request.hardware.base))
    uncovered = why_no_fronts(machine)
    if uncovered:
        log.warning("uneven is True, but even mappings alone are searched: %s", uncovered)
    else:
        log.warning("uneven mappings are searched for on the best machine alone, and not proved: %s", reason)


def _better(known: Solution, found: Solution) -> Solution:
    """The better of two solutions of one request on one machine, with the bound of the first."""
    if found.status == "infeasible" or found.cost.objective(found.objective) >= known.cost.objective(known.objective):
        return known
    return replace(found, lower_bound=known.lower_bound)


def solve_again(
    start: Solution,
    effort: SolveEffort,
    options: Options,
    *,
    bound: bool,
    listener: Listener = silent,
    journal: Journal | None = None,
) -> Solution:
    """A solution's mappings searched for once more on its machine, from what they are, as a part of another run.

    Args:
        start: with a mapping of every layer; objective, budget and seed are its own.
        effort: how hard to try.
        options: device, imperfect and further starts; constraints are those that the machine carries.
        bound: whether to prove a lower bound.
        listener: told how it gets on.
        journal: of the other run.

    Returns:
        What is found, which may rank behind `start`; where no mapping keeps the budget, as is proved, `start` itself.
    """
    announce(start.architecture, start.layers)
    options = replace(options, constraints=None)
    try:
        request = make_request(start.layers, start.architecture, start.objective, start.budget, start.seed, options)
    except Infeasible as error:
        log.info("no mapping keeps the limits: %s", error)
        return start
    return _answer(request, effort, (start, *options.starts), bound=bound, listener=listener, journal=journal)


def briefly(request: Request, layers: tuple[Layer, ...]) -> dict[str, Mapping]:
    """Some mapping of each of these layers on the request's machine, by name, after a search of a second or so."""
    asked = replace(request, layers=layers, budget=Budget())
    return search_design(make_run(asked, BRIEF), bound=False, reasons=False).mappings
