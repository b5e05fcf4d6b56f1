"""`Proofs`: the lower bounds of one run, each proved once."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from dlco.bound import BoundEffort, Certificate, lower_bound
from dlco.hardware.space import HardwareSpace
from dlco.journal import Journal, check_table, fingerprint, recorded
from dlco.optimize.request import Request
from dlco.search.group import Group

log = logging.getLogger("dlco")


class Proofs:
    """Bounds on a request's objective, over all of its hardware or single machines of it.

    Args:
        request: the question; `groups`: its layers.
        journal: where proofs are kept, and found again by a run that is resumed.
        report: called now and then while one is under way.
        proved: told each bound over all of the hardware on the way to the last.
    """

    def __init__(
        self,
        request: Request,
        groups: Sequence[Group],
        journal: Journal | None,
        report: Callable[[], None],
        proved: Callable[[float], None],
    ) -> None:
        self.request, self.groups, self.journal, self.report, self.proved = request, groups, journal, report, proved
        self._known: dict[str, Certificate] = {}

    def __call__(self, hardware: HardwareSpace, effort: BoundEffort) -> Certificate:
        """The bound over some hardware, as far as it is recorded: its value, how it was proved, and real factors."""
        key = fingerprint((hardware, effort))
        if key not in self._known:
            prove = partial(self._prove, hardware, effort)
            self._known[key] = recorded(self.journal, f"proof {key}", prove, self._read)
        return self._known[key]

    def _prove(self, hardware: HardwareSpace, effort: BoundEffort) -> dict[str, Any]:
        request = self.request
        proof = lower_bound(
            request.layers,
            hardware,
            request.objective,
            request.budget,
            constraints=request.constraints,
            imperfect=request.imperfect,
            effort=effort,
            tick=lambda share: self.report(),
            proved=self.proved if hardware is request.hardware and not request.is_wide else None,
        )
        log.info("bound: %s", proof.how)
        factors = {layer: torch.from_numpy(real) for layer, real in proof.real_factors.items()}
        return {"value": proof.value, "how": proof.how, "factors": factors}

    def _read(self, content: dict[str, Any]) -> Certificate:
        """The certificate that `_prove` made."""
        groups = {layer.name: group for group in self.groups for layer in group.layers}
        for layer, factors in content["factors"].items():
            check_table(f"factors of {layer!r}", factors, (groups[layer].levels, 2, groups[layer].dims))
        real = {layer: factors.numpy() for layer, factors in content["factors"].items()}
        return Certificate(float(content["value"]), str(content["how"]), real_factors=real)
