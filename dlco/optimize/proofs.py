"""`Proofs`: the lower bounds of one run, each proved once."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from dlco.bound import BoundEffort, Certificate, lower_bound
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace
from dlco.journal import Journal, check_table, fingerprint
from dlco.optimize.request import Request
from dlco.search.group import Group

log = logging.getLogger("dlco")


class Proofs:
    """Bounds on a request's objective, over all of its hardware or single machines of it.

    Args:
        request: the question; `groups`: its layers.
        journal: where proofs are kept, and found again by a run that is resumed.
        tick: called now and then while one is under way.
        proved: told each bound over all of the hardware on the way to the last.
    """

    def __init__(
        self,
        request: Request,
        groups: Sequence[Group],
        journal: Journal | None,
        tick: Callable[[], None],
        proved: Callable[[float], None],
    ) -> None:
        self.request, self.groups, self.journal, self.tick, self.proved = request, groups, journal, tick, proved
        self._known: dict[str, Certificate] = {}

    def __call__(self, hardware: Architecture | HardwareSpace, effort: BoundEffort) -> Certificate:
        """The bound over some hardware."""
        key = fingerprint((hardware, effort))
        if key not in self._known:
            self._known[key] = self._recall(f"proof {key}") or self._prove(f"proof {key}", hardware, effort)
        return self._known[key]

    def _recall(self, name: str) -> Certificate | None:
        return self.journal.recall(name, self._read) if self.journal else None

    def _read(self, plain: dict[str, Any]) -> Certificate:
        """The inverse of what `_prove` records."""
        guides = {}
        groups = {layer.name: group for group in self.groups for layer in group.layers}
        for layer, guide in plain["guides"].items():
            check_table(f"guide of {layer!r}", guide, (groups[layer].levels, 2, groups[layer].dims))
            guides[layer] = guide.numpy()
        return Certificate(float(plain["value"]), str(plain["how"]), guides=guides)

    def _prove(self, name: str, hardware: Architecture | HardwareSpace, effort: BoundEffort) -> Certificate:
        request = self.request
        proof = lower_bound(
            request.layers,
            hardware,
            request.objective,
            request.budget,
            constraints=request.constraints,
            imperfect=request.imperfect,
            effort=effort,
            tick=lambda share: self.tick(),
            proved=self.proved if hardware is request.hardware else None,
        )
        log.info("bound: %s", proof.how)
        if self.journal:
            guides = {layer: torch.from_numpy(guide) for layer, guide in proof.guides.items()}
            self.journal.record(name, {"value": proof.value, "how": proof.how, "guides": guides})
        return proof
