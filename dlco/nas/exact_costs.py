"""`ExactCosts`: layers' costs on a given machine without the noise of a search, from the exact front of every layer.

What `LayerCosts` finds within a short search is where the exact search begins: most of what it would look at is then
excluded from the start. A layer priced alone costs what `solve` proves to be least on the machine, whatever the seed.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dlco.errors import NotSupported
from dlco.exact.case import Case
from dlco.exact.covered import why_not_covered
from dlco.exact.layer_front import LayerFront
from dlco.exact.optimal import OptimalFront, begin_search, found_by, so_often, widened
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.mapping.mapping import Mapping
from dlco.optimize.effort import SolveEffort
from dlco.optimize.fixed import packed, unpacked
from dlco.search import LayerCosts, MachineIndex, MappingTable, Score
from dlco.tasks import run_tasks
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

log = logging.getLogger("dlco")

Asked = tuple[Problem, MachineIndex]


@dataclass(frozen=True)
class Wanted:
    """Which mappings the fronts are of, as in `solve`.

    Attributes:
        imperfect: whether factors need not divide the bounds; None: where perfect ones leave much idle.
        keep_free: whether what levels keep is a choice of each mapping; `uneven`: whether memories may cut anywhere.
        batches: of the exact search of one layer at most.
    """

    imperfect: bool | None = None
    keep_free: bool = False
    uneven: bool = False
    batches: int = SolveEffort().batches


class ExactCosts(LayerCosts):
    """As `LayerCosts`, with the exact front of a layer on a machine wherever the exact search covers it.

    Elsewhere, and where mean power counts, the points are those that the search finds; the log says so once for each
    reason. A front that takes more than so many batches has what was found until then.

    Attributes:
        wanted: which mappings the fronts are of.
        fronts: those known, by layer and machine.
    """

    def __init__(
        self,
        hardware: Architecture | HardwareSpace,
        score: Score,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        wanted: Wanted | None = None,
    ) -> None:
        super().__init__(hardware, score, seed=seed, device=device)
        self.wanted = wanted or Wanted()
        self.fronts: dict[Asked, OptimalFront] = {}
        self._told: set[str] = set()

    @property
    def state(self) -> tuple[object, ...]:
        """As that of `LayerCosts`."""
        return *super().state, self.wanted

    def search(self, pairs: Iterable[Asked], *, again: bool = False) -> None:
        """As `LayerCosts.search`; what is proved is not searched again."""
        super().search([pair for pair in pairs if pair not in self.fronts], again=again)

    def mapping(self, layer: Layer | Problem, machine: MachineIndex, chosen: int) -> Mapping:
        """As `LayerCosts.mapping`."""
        pair = layer.problem if isinstance(layer, Layer) else layer, machine
        self.search([pair])
        return self.fronts[pair].front.mappings[chosen] if pair in self.fronts else super().mapping(*pair, chosen)

    def why_not_exact(self, problem: Problem, machine: MachineIndex) -> str | None:
        """Why the points of a layer on a machine come from a search alone, in words after "because"; None if not."""
        if self.score.powered:
            return "slower is better where mean power counts"
        return why_not_covered(self._case(problem, machine))

    def _case(self, problem: Problem, machine: MachineIndex) -> Case:
        wanted, architecture = self.wanted, self._architecture(machine)
        imperfect = bool(wanted.imperfect)
        return Case.of(problem, architecture, self.constraints, imperfect, wanted.keep_free, wanted.uneven)

    def _architecture(self, machine: MachineIndex) -> Architecture:
        return self.hardware.architecture_at(torch.tensor(machine, dtype=torch.long))

    def _searched(self, wanted: Sequence[Asked]) -> dict[str, Any]:
        found = super()._searched(wanted)
        tables = [MappingTable(**plain) for plain in found["points"]]
        reasons = [self.why_not_exact(*pair) for pair in wanted]
        covered = [i for i, reason in enumerate(reasons) if reason is None]
        widens = self.wanted.imperfect is None
        jobs = [
            (self._case(*wanted[i]), self._begun(wanted[i], tables[i]), self.wanted.batches, widens) for i in covered
        ]
        fronts: list[dict[str, Any] | None] = [None] * len(wanted)
        for i, front in zip(covered, run_tasks(_front, jobs), strict=True):
            if isinstance(front, str):
                reasons[i] = front
            else:
                fronts[i] = packed(wanted[i][0], front)
                found["evaluations"] += front.front.evaluated
        for reason in sorted({reason for reason in reasons if reason} - self._told):
            log.info("layers' costs come from a search, not from the exact front, because %s", reason)
            self._told.add(reason)
        return found | {"fronts": fronts}

    def _read(self, plain: dict[str, Any], wanted: Sequence[Asked]) -> tuple[list[MappingTable], int]:
        tables, evaluations = super()._read(plain, wanted)
        for i, (pair, content) in enumerate(zip(wanted, plain["fronts"], strict=True)):
            if content is not None:
                self.fronts[pair] = unpacked(pair[0], self._architecture(pair[1]), content)
                tables[i] = _points(self.fronts[pair].front, tables[i])
        return tables, evaluations

    def _begun(self, pair: Asked, table: MappingTable) -> LayerFront:
        """What the search found, as a front to begin from."""
        both = zip(table.coding, table.position, strict=True)
        mappings = [self._coded(pair[0], units, position) for units, position in both]
        return LayerFront(table.energy_pj, table.cycles, tuple(mappings), 0)


def _front(case: Case, known: LayerFront, batches: int, widens: bool) -> OptimalFront | str:
    """The front of a case, as far as so many batches go; or why there is none, in words after "because"."""
    try:
        search = begin_search(case, known)
    except NotSupported as error:  # nothing fits, or nothing was found to begin with
        return str(error)
    go_on = so_often(batches)
    search.run(go_on)
    return found_by(widened(case, search, go_on) if widens else search)


def _points(front: LayerFront, like: MappingTable) -> MappingTable:
    """The points of a front in a table of those that searches have, whose codings say nothing."""
    n = len(front.cycles)
    coding, position = (
        torch.zeros((n, *column.shape[1:]), dtype=column.dtype) for column in (like.coding, like.position)
    )
    return replace(
        like,
        coding=coding,
        position=position,
        energy_pj=front.energy_pj,
        cycles=front.cycles,
        merit=torch.zeros(n, dtype=torch.float64),
    )
