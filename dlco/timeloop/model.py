"""`model()`: what timeloop-model would count, from the same files, by dlco's cost model under Timeloop's rules."""

import math
from collections.abc import Sequence
from itertools import chain

import torch

from dlco.cost.cost import Cost
from dlco.cost.model import evaluate
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.mapping.kept import kept_table
from dlco.mapping.mapping import Mapping
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.timeloop.architecture import read_description
from dlco.timeloop.document import Source
from dlco.timeloop.mapping import read_mapping
from dlco.timeloop.problem import read_problem
from dlco.workload.problem import Problem

_MOST_MACS = 2**53  # beyond, counts would not be whole numbers any more


def model(arch: Source, problem: Source, mapping: Source, rules: CountingRules = TIMELOOP_RULES) -> dict:
    """What an execution costs by Timeloop's rules.

    Args:
        arch: path or text of the architecture, v0.3 or v0.4, with its ERT and ART.
        problem: path or text of the problem.
        mapping: path or text of the mapping; one combined document may be given for all three.
        rules: how transfers are counted. `CountingRules("timeloop", neighbour_forwarding=False)` is Timeloop with
            TIMELOOP_DISABLE_LINK_TRANSFERS=1.

    Returns:
        A dict of `cycles`, `energy_pj`, `fj_per_compute`, `utilization_percent`, `area_mm2`, `compute`, and
        `levels[name]`, innermost level first: `cycles`, `throttling`, `leakage_pj_total`, `area_um2` (an instance's),
        `instances`, and for each dataspace `reads`, `fills`, `updates`, `temporal_reductions`,
        `address_generations`, `utilized_capacity`, `partition_size` (words an instance), `utilized_instances`,
        `energy_pj_per_instance`, `energy_pj_total`. `energy_uj_printed` and `area_mm2_printed` are what Timeloop prints
        for the whole (its area is always 0). Where networks cost energy, `networks["outer <==> inner"]` has that of
        each dataspace, pJ of all instances, with the links between neighbours.

    Raises:
        InvalidInput: a file is not what it should be.
        InvalidMapping: Timeloop would refuse the mapping; `level` names the level that does.
        NotSupported: a file asks for what dlco does not model.
    """
    work = read_problem(problem)
    machine, description = read_description(arch)
    return account(work, machine, read_mapping(mapping, work, machine, description.containers or None), rules)


def account(
    problem: Problem, architecture: Architecture, mapping: Mapping, rules: CountingRules = TIMELOOP_RULES
) -> dict:
    """The dict of `model` for a case that is read already; raises `InvalidMapping` as `model` does."""
    if problem.macs > _MOST_MACS:
        raise InvalidInput(f"problem has {problem.macs} multiply-accumulates; there may be 2^53")
    cost = evaluate(problem, architecture, mapping, rules)
    cycles, energy = _figure(cost.cycles), float(cost.energy_pj)
    computes = _figure(cost.counts.computes)
    kept = kept_table(problem, architecture, mapping.bypass)
    most_macs = math.prod(chain.from_iterable((*mapping.spatial_x, *mapping.spatial_y)))  # in use at some time
    return {
        "cycles": cycles,
        "utilization_percent": 100 * float(cost.utilization),
        "energy_pj": energy,
        "energy_uj_printed": round(energy * 1e-6, 2),
        "fj_per_compute": energy * 1e3 / computes,
        "area_mm2": architecture.area_mm2,
        "area_mm2_printed": 0.0,
        "compute": {
            "energy_pj": float(cost.mac_pj),
            "area_um2": architecture.mac_area_um2,
            "cycles": _figure(cost.compute_cycles),
            "computes": computes,
            "utilized_instances": most_macs,
        },
        "levels": {
            level.name: _level(i, problem, architecture, kept[i], cost) for i, level in enumerate(architecture.levels)
        },
    } | _networks(problem, architecture, cost)


def _networks(problem: Problem, architecture: Architecture, cost: Cost) -> dict[str, dict[str, dict[str, float]]]:
    """The entry of networks, by the names that Timeloop gives them; none where they cost nothing."""
    names = [architecture.mac_name, *(level.name for level in architecture.levels)]
    spaces = [space.name for space in problem.dataspaces]
    found = {
        f"{outer} <==> {inner}": dict(zip(spaces, row, strict=True))
        for outer, inner, row in zip(names[1:], names, cost.wire_pj.tolist(), strict=False)
        if any(row)
    }
    return {"networks": found} if found else {}


def _level(index: int, problem: Problem, architecture: Architecture, kept: Sequence[bool], cost: Cost) -> dict:
    """One level's entry."""
    level = architecture.levels[index]
    entry: dict = {
        space.name: _dataspace(index, s, space.read_write, kept[s], cost) for s, space in enumerate(problem.dataspaces)
    }
    return entry | {
        "cycles": _figure(cost.level_cycles[index]),
        "throttling": min(1.0, float(cost.compute_cycles / cost.port_cycles[index].max())),
        "leakage_pj_total": float(cost.leak_pj[index]),
        "area_um2": level.area_um2,
        "instances": architecture.instances[index],
    }


def _dataspace(index: int, space: int, read_write: bool, kept: bool, cost: Cost) -> dict:
    """One dataspace's entry at one level; a bypassed one counts nothing and has no total energy."""
    counts = cost.counts
    reads, fills, updates = (_figure(table[index, space]) for table in (counts.reads, counts.fills, counts.updates))
    instances = _figure(counts.instances[index])
    energy = float(cost.access_pj[index, space])
    entry = {
        "reads": reads,
        "fills": fills,
        "updates": updates,
        "temporal_reductions": reads if read_write else 0,
        "address_generations": (updates if read_write else reads) + fills,
        "utilized_capacity": _figure(counts.tile[index, space]),
        "utilized_instances": instances,
        "partition_size": _figure(counts.partition[index, space]),
        "energy_pj_per_instance": energy / instances,
    }
    return entry | ({"energy_pj_total": energy} if kept else {})


def _figure(value: torch.Tensor) -> float:
    """A count: an integer, but for the means of imperfect factors under dlco's own rules."""
    number = float(value)
    if not math.isfinite(number):
        raise InvalidInput(f"a count comes out as {number}; bandwidths and sizes must be within reason")
    return round(number) if abs(number - round(number)) <= 1e-9 * abs(number) else number
