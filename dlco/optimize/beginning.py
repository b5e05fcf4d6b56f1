"""Where a search begins: solutions of the relaxed problem, their sizes and factors rounded."""

import logging
from collections.abc import Callable
from typing import Any

import torch

from dlco.hardware.architecture import Machine
from dlco.hardware.space import HardwareSpace
from dlco.journal import check_table
from dlco.optimize.effort import SolveEffort
from dlco.relax import Relaxed, relax, round_factors, round_sizes
from dlco.search.designs import Seeds, Workbench
from dlco.search.score import BROKEN
from dlco.search.unit_moves import random_start

log = logging.getLogger("dlco")


def relaxed_starts(
    bench: Workbench,
    effort: SolveEffort,
    generator: Callable[..., torch.Generator],
    report: Callable[[float, float, float], None],
) -> tuple[list[torch.Tensor], list[Seeds]]:
    """(real sizes `[parameters]`, mappings rounded for them) of the relaxed problem's solutions, the best first.

    Both are empty where its numbers are beyond float64, as with energies near the largest.

    Args:
        bench: what is searched.
        effort: how many solutions, and how many roundings of each.
        generator: of randomness, by the names of the part that it is for.
        report: told energy, cycles and area of the best after each stage, see `relax`.
    """
    try:
        relaxed = relax(
            bench.groups,
            bench.hardware.base if bench.hardware.is_fixed else bench.hardware,
            bench.score.smooth,
            bench.counts,
            starts=effort.starts,
            generator=generator("relax"),
            rounds=effort.relax_rounds,
            report=report,
        )
    except torch.linalg.LinAlgError as error:
        log.warning("the relaxed problem is left out: %s", str(error).split(":")[0])
        return [], []
    log.info("relaxed: value %s, violation %s", relaxed.value.tolist(), relaxed.violation.tolist())
    order = (relaxed.value + torch.where(relaxed.violation > 1e-2, BROKEN, 0.0)).argsort().tolist()
    seeds = [_rounded(bench, relaxed, start, effort.roundings, generator("round", start)) for start in order]
    return list(relaxed.sizes[order].cpu()), seeds


def read_begin(bench: Workbench, plain: dict[str, Any]) -> tuple[torch.Tensor, Seeds, list[list[float]]]:
    """(sizes, mappings, totals on the way there) that a run recorded of where it begins.

    Raises:
        ValueError: they are of another kind, as in a damaged file.
    """
    sizes = plain["sizes"]
    if not bench.hardware.is_fixed and len(sizes):
        check_table("sizes", sizes, (None, len(bench.hardware.parameters)))
    stages = [[float(total) for total in totals] for totals in plain["relaxed"]]
    if any(len(totals) != 3 for totals in stages):
        raise ValueError("relaxed has other figures than three")
    return sizes, Seeds.from_plain(plain["seeds"], bench.groups), stages


def machine_of(bench: Workbench, index: torch.Tensor) -> Machine:
    """The machine at grid indices `[1, parameters]`, of batch shape `[1, 1, 1, 1]`."""
    return bench.machines(index).select(torch.zeros(1, 1, 1, 1, dtype=torch.long))


def _rounded(bench: Workbench, relaxed: Relaxed, start: int, copies: int, generator: torch.Generator) -> Seeds:
    """Roundings of one relaxed solution's mappings, for its machine rounded to the grid."""
    index = torch.zeros(0, dtype=torch.long)
    if not bench.hardware.is_fixed:
        index = round_sizes(bench.hardware, relaxed.sizes[start].cpu(), bench.score.machine_excess)
    machine = machine_of(bench, index[None])
    assignment, position = [], []
    for group, logs, places in zip(bench.groups, relaxed.logs, relaxed.position, strict=True):
        assignment.append(round_factors(group, logs[start : start + 1], copies, generator, machine=machine)[0])
        position.append(places[start][:, None].expand(-1, copies, -1, -1))
    return Seeds(assignment, position, float(relaxed.rate[start]))


def ends_of(space: HardwareSpace) -> list[torch.Tensor]:
    """Grid indices `[1, parameters]` of the machines of all least and all largest sizes; of a fixed machine once."""
    last = torch.tensor([[len(parameter.grid) - 1 for parameter in space.parameters]], dtype=torch.long)
    return [last] if space.is_fixed else [last * 0, last]


def random_seeds(bench: Workbench, n: int, generator: torch.Generator, rate: float) -> Seeds:
    """So many random mappings of every layer, for machines of about `rate` pJ a cycle."""
    groups = [(group, torch.arange(len(group.layers), device=group.primes.device)) for group in bench.groups]
    pairs = [random_start(group, layers, n, generator) for group, layers in groups]
    return Seeds([a for a, _ in pairs], [p for _, p in pairs], rate)
