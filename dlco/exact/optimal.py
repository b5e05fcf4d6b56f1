"""The proved optimum of a network on a fixed machine: the exact front of every layer, and the best choice of points.

Fronts come from the best-first search where it covers the layer on the machine (`why_not_covered` says where not).
One search answers latency, energy, EDP and any limits on them, as it knows no objective.
"""

import logging
from collections.abc import Callable, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from dlco.design.budget import Budget
from dlco.design.dominance import unbeaten
from dlco.design.objective import Objective
from dlco.errors import NotSupported
from dlco.exact.array import why_no_array
from dlco.exact.best_first import FrontSearch
from dlco.exact.case import Case
from dlco.exact.combine import best_points
from dlco.exact.count_search import CountSearch
from dlco.exact.count_tables import CountTables
from dlco.exact.covered import why_not_covered
from dlco.exact.frontier import Frontier, Interest
from dlco.exact.hierarchy import HierarchyTables
from dlco.exact.hierarchy_search import HierarchySearch
from dlco.exact.keeping import KeepSearch
from dlco.exact.labels import Labels, make_labels
from dlco.exact.lattice import Floats
from dlco.exact.layer_front import LayerFront, least_of
from dlco.exact.tables import LayerTables
from dlco.exact.uneven import UnevenSearch
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.constraints import check_constraints, stated
from dlco.mapping.mapping import Mapping
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

log = logging.getLogger("dlco")
IDLE = 1.05  # times the least cycles, that perfect factors may take before others are tried by default
QUICK = 150_000  # vectors of numbers of tiles up to which that is done
MUCH = 1.4  # as `IDLE`, where several levels fan out
WORTH = 0.99  # of the least EDP that there is, with bounds left open


class Search(Protocol):
    """A search for a front: a `FrontSearch`, a `CountSearch`, a `KeepSearch` or an `UnevenSearch`."""

    front: Frontier
    evaluated: int

    def run(self, go_on: Callable[[], bool] = ...) -> None:
        """Search until the front is proved, or until `go_on`, asked before every batch, says no."""

    def open_bounds(self) -> tuple[Floats, Floats]:
        """(pJ of one execution, cycles) that what is left of the space needs at least, `[n]` each."""

    def mappings(self) -> tuple[Mapping, ...]:
        """The mappings of the front's points."""


class NoMapping(NotSupported):
    """No mapping that meets the constraints fits the machine, as is proved."""


@dataclass(frozen=True)
class OptimalFront:
    """What is proved of a layer's mappings: no mapping beats a point of `front` but where `open` leaves room.

    Attributes:
        front: unbeaten mappings.
        open: `[k, 2]` (energy pJ, cycles) lower bounds of the parts of the space that were left unsearched: every
            mapping has a point of the front or of these that is no worse in both. Empty where the front is proved.
    """

    front: LayerFront
    open: torch.Tensor

    @property
    def proved(self) -> bool:
        """Whether nothing was left unsearched."""
        return not len(self.open)

    @property
    def floor(self) -> LayerFront:
        """Points, without mappings, one of which every mapping has no less than in both."""
        both = torch.cat([torch.stack([self.front.energy_pj, self.front.cycles], 1), self.open])
        keep = both[unbeaten(*both.T)]
        return LayerFront(keep[:, 0], keep[:, 1], (), 0)


def optimal_layer(
    layer: Layer | Problem,
    architecture: Architecture,
    constraints: Constraints | None = None,
    *,
    imperfect: bool = False,
    keep_free: bool = False,
    uneven: bool = False,
    go_on: Callable[[], bool] = lambda: True,
) -> OptimalFront:
    """The exact front of (energy, cycles) of a layer on a machine, under the default counting rules.

    All perfect factors, or all that cover the bounds, loop orders and spatial splits with each dimension along one axis
    that meet the constraints are covered. What every level keeps is the machine's and the constraints' to say, or free.

    Args:
        layer: the work.
        architecture: the machine.
        constraints: what is fixed of the mappings, beside what the machine carries itself.
        imperfect: whether tiles need not divide the bounds.
        keep_free: whether every level but the outermost may also bypass what it is stated to keep, unless constraints
            say what it keeps or bypasses; the mappings tell.
        uneven: whether each memory may cut each dataspace's loops where it likes, all sequences of cuts covered, and a
            dimension may lie along both axes; the mappings name their levels by parts then (`dlco.hardware.split`).
        go_on: asked before every batch of the search; where it says no, the search stops, but not before it has found
            a mapping.

    Raises:
        NotSupported: the search does not cover the layer on this machine; or (`NoMapping`) no mapping fits.
        InvalidInput: the constraints do not fit the layer, or leave no way to split one of its bounds.

    Examples:
        >>> from dlco.exact import optimal_layer
        >>> found = optimal_layer(dlco.matmul("mm", M=64, K=64, N=64), dlco.hardware.generic())
        >>> found.proved, found.front.cycles.min().item()
        (True, 1024.0)
    """
    case = Case.of(layer, architecture, constraints, imperfect, keep_free, uneven)
    check_constraints(architecture, [case.problem], constraints)
    search = begin_search(case)
    search.run(lambda: not len(search.front.cycles) or go_on())
    return found_by(search)


def begin_search(case: Case, known: LayerFront | None = None) -> Search:
    """The search for a case's front, ready to run.

    Args:
        case: of which mappings.
        known: some of them that others have found among perfect factors: the more, the less is left to look at. Where
            what levels keep is free, or mappings are to be uneven, the search finds its own.

    Raises:
        NotSupported: as `optimal_layer`; `InvalidInput` likewise, but for names that no layer has.
    """
    problem, architecture = case.problem, case.architecture
    check_covered(case)
    search: Search
    if case.uneven:
        search = UnevenSearch(problem, architecture)
    elif case.keep_free:
        search = KeepSearch(case)
    else:
        search = _begun(LayerTables(problem, architecture, case.constraints), known)
        if case.imperfect:
            search = _among_all(case, search)
    check_begun(search, case)
    return search


def _among_all(case: Case, perfect: FrontSearch, brief: bool = False) -> CountSearch | HierarchySearch:
    """The search among all factors that cover the bounds, from one among perfect ones on."""
    problem, architecture, constraints = case.problem, case.architecture, case.constraints
    if why_no_array(case):
        return HierarchySearch(HierarchyTables(problem, architecture, constraints), perfect, brief=brief)
    return CountSearch(CountTables(problem, architecture, constraints), perfect, brief=brief)


def _begun(tables: LayerTables, known: LayerFront | None) -> FrontSearch:
    """The search among perfect factors, from the points known."""
    if known is None:
        return FrontSearch(tables)
    rows = np.arange(len(known.cycles))[:, None]
    front = Frontier.empty(1).joined(known.cycles.numpy(), known.energy_pj.numpy(), rows)
    return FrontSearch(tables, front, given=[known.mappings[k] for k in front.rows[:, 0]])


def check_covered(case: Case) -> None:
    """Raise `NotSupported`, with the reason, where the exact search does not cover a case."""
    reason = why_not_covered(case)
    if reason:
        raise NotSupported(f"the exact search does not cover bounds {case.problem.sizes} because {reason}")


def check_begun(search: Search, case: Case) -> None:
    """Raise `NotSupported` where a search has begun without a mapping, `NoMapping` where it proves that none fits."""
    sizes, machine = case.problem.sizes, case.architecture
    if not len(search.front.cycles) and len(search.open_bounds()[0]):
        raise NotSupported(f"the exact search found no mapping of bounds {sizes}, nor that there is none")
    if not len(search.front.cycles):  # the best pair of every part of the space has been completed
        met = " that meets the constraints" if stated(machine, case.constraints) else ""
        raise NoMapping(f"no mapping of the problem with bounds {sizes}{met} fits {machine.name!r}")


def so_often(times: int) -> Callable[[], bool]:
    """What says yes so many times: the `go_on` of a search that is to end."""
    left = iter(range(times))
    return lambda: next(left, None) is not None


def begin_useful(
    case: Case, interest: Interest, labelled: Callable[[LayerTables], Labels] = make_labels
) -> FrontSearch:
    """The search for those points of a case that are of interest, if any, ready to run.

    Args:
        case: that `why_not_covered` lets pass, of even mappings and stated bypass.
        interest: which points are looked for.
        labelled: makes the labels.
    """
    tables = LayerTables(case.problem, case.architecture, case.constraints)
    return FrontSearch(tables, Frontier.empty(1, interest), labels=labelled(tables) if tables.is_array else None)


def widened(case: Case, search: Search, go_on: Callable[[], bool] = lambda: True) -> Search:
    """The search among all factors after one among perfect ones has been run, itself run where worth it; else that.

    It is where perfect factors alone keep the layer from what its work takes at least, by `IDLE` or more, where its
    bounds have few numbers of tiles, and where the search ends soon: then most end within a second or two. Where
    several levels fan out (`MUCH`) it rarely ends; what is better is taken, and the rest stays open.
    """
    if not isinstance(search, FrontSearch):
        return search
    several = why_no_array(case) is not None
    if search.front.cycles[0] <= (MUCH if several else IDLE) * search.tables.compulsory_cycles:
        return search
    reason = why_not_covered(replace(case, imperfect=True))
    if not reason:
        wider = _among_all(case, search, brief=True)
        if several or wider.tables.lattice.size <= QUICK:
            wider.run(go_on)
        if not len(wider.open_bounds()[0]) or (several and _least_edp(wider) < WORTH * _least_edp(search)):
            return wider
        reason = "nothing better was found soon" if several else "to look at all others takes long"
    log.info(
        "perfect factors alone are tried of bounds %s, though they leave much idle: %s", case.problem.sizes, reason
    )
    return search


def _least_edp(search: Search) -> float:
    return float((search.front.energy * search.front.cycles).min())


def found_by(search: Search) -> OptimalFront:
    """What a search knows, also one that was interrupted."""
    energy, cycles = torch.from_numpy(search.front.energy), torch.from_numpy(search.front.cycles)
    front = LayerFront(energy, cycles, search.mappings(), search.evaluated)
    both = torch.stack([torch.from_numpy(bounds) for bounds in search.open_bounds()], 1)
    return OptimalFront(front, both[unbeaten(*both.T)])


def least_value(
    layers: Sequence[Layer],
    optima: MappingOf[Problem, OptimalFront],
    architecture: Architecture,
    objective: Objective,
    budget: Budget,
) -> float | None:
    """What no choice of mappings within the budget goes below, pJ and cycles multiplied as `least_of` does.

    None where it is proved that no choice keeps the budget.
    """
    floors = {problem: found.floor for problem, found in optima.items()}
    best = best_points(layers, floors, architecture, objective, budget)
    return None if best is None else least_of(objective, best.energy_pj, best.cycles)
