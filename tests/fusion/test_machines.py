"""Bounds of fused designs with free sizes, against all machines of tiny spaces with all plans on them."""

import random
from itertools import product
from math import inf

import joblib
import pytest

from dlco.design.budget import Budget
from dlco.design.objective import Objective
from dlco.exact.optimal import NoMapping
from dlco.fusion import best_plan, candidates_of
from dlco.fusion.machines import FusedMachines
from dlco.fusion.plan import Plan
from dlco.fusion.retained import Fronts
from dlco.hardware import HardwareSpace, Parameter
from dlco.hardware.architecture import Architecture, Level
from dlco.workload import Network

from .test_plan import VALUE
from .test_tiles import tiny


def random_space(rng: random.Random) -> HardwareSpace:
    """Registers, a shared memory, DRAM; where one child is allowed, results may stay in the registers too."""
    levels = (
        Level("L0", "regfile", capacity=6, read_bandwidth=rng.choice((1.0, 2.0))),
        Level("L1", "SRAM", capacity=24, fanout_x=2, fanout_y=rng.choice((1, 2)), block_size=1),
        Level("DRAM", "DRAM", read_pj=100.0, write_pj=100.0, update_pj=100.0, read_bandwidth=rng.choice((0.5, 2.0))),
    )
    parameters = (
        Parameter("L1", "fanout_x", rng.choice(((1, 2), (2, 3)))),
        Parameter("L1", "capacity", (20, 64)),
        Parameter("L0", "capacity", (3, 12)),
    )
    return HardwareSpace(Architecture(levels, mac_pj=1.0, mac_area_um2=200.0), parameters)


def plan_on(network: Network, machine: Architecture, objective: str) -> Plan | None:
    """The best of all tilings that are listed."""
    try:
        return best_plan(network, machine, objective, fused=candidates_of(network, machine, every=True).chosen)
    except NoMapping:
        return None


@pytest.mark.parametrize("seed", [1, 2])
def test_no_plan_on_any_machine_goes_below_the_bound(seed: int) -> None:
    rng = random.Random(seed)
    network, space = tiny(rng), random_space(rng)
    objective = Objective(rng.choice(("edp", "energy", "latency")))
    found: dict[tuple[int, ...], tuple[Architecture, Plan | None]] = {}
    for index in product(*(range(len(parameter.grid)) for parameter in space.parameters)):
        machine = space.architecture([p.grid[at] for p, at in zip(space.parameters, index, strict=True)])
        found[index] = machine, plan_on(network, machine, objective)
    plans = {index: plan for index, (_, plan) in found.items() if plan is not None}
    values = {index: VALUE[objective](plan.energy_pj, plan.cycles) for index, plan in plans.items()}
    search = FusedMachines(network, space, objective, Budget())
    assert search.lower == 0.0
    lowers = []
    for _ in range(20):
        search.run(inf, 2)
        lowers.append(search.lower)
    assert lowers == sorted(lowers)
    assert 0 < lowers[0]
    assert lowers[-1] <= min(values.values()) * (1 + 1e-9)
    assert lowers[-1] >= 0.3 * min(values.values())
    settled = FusedMachines(network, space, objective, Budget())  # told what is proved of every machine
    for index, plan in plans.items():
        settled.settle(index, Fronts(found[index][0]), plan.lower)
    settled.run(inf, 1000)
    assert lowers[-1] <= settled.lower <= min(values.values()) * (1 + 1e-9)
    least = min(values.values())
    for share in (1.0, 1.05):  # what is no better than a known design is left out, and nothing else
        known = FusedMachines(network, space, objective, Budget())
        known.run(share * least, 100_000)
        assert min(known.lower, share * least) >= lowers[-1] * (1 - 1e-9)
        assert known.lower <= least * (1 + 1e-9) or share == 1.0
    visited = FusedMachines(network, space, objective, Budget())
    seen: list[tuple[int, ...]] = []

    def visit(index: tuple[int, ...]) -> float:  # says of a machine what its best plan takes
        seen.append(index)
        return values.get(index, inf)

    visited.run(inf, 100_000, visit=visit)
    assert len(seen) == len(set(seen))
    assert min(values[index] for index in seen if index in values) == min(values.values())
    assert lowers[-1] <= visited.lower <= min(values.values()) * (1 + 1e-9)
    with joblib.parallel_config(backend="loky", n_jobs=2):  # elsewhere the same
        beside = FusedMachines(network, space, objective, Budget())
        for lower in lowers[:4]:
            beside.run(inf, 2)
            assert beside.lower == lower
    area = sorted(machine.area_mm2 for machine, _ in found.values())[len(found) // 2]
    small = FusedMachines(network, space, objective, Budget(area_mm2=area))
    small.run(inf, 1000)
    within = [values[index] for index in plans if found[index][0].area_mm2 <= area]
    assert lowers[-1] <= small.lower * (1 + 1e-9)
    assert small.lower <= min(within, default=inf) * (1 + 1e-9)
    cycles = rng.choice([plan.cycles for plan in plans.values()])
    power = rng.choice([plan.energy_pj / plan.cycles for plan in plans.values()])
    limited = FusedMachines(
        network,
        space,
        objective,
        Budget(latency_s=cycles * space.base.cycle_s, power_w=power * 1e-12 / space.base.cycle_s),
    )
    limited.run(inf, 1000)
    kept = [
        values[index]
        for index, p in plans.items()
        if p.cycles <= cycles and p.energy_pj <= power * p.cycles * (1 + 1e-9)
    ]
    assert limited.lower <= min(kept, default=inf) * (1 + 1e-9)
