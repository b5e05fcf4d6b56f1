"""The search over machines against every design there is: tiny layers on small spaces, all designs listed."""

import random
from dataclasses import dataclass, replace
from itertools import product
from math import inf

import pytest

from dlco import Budget, conv1d, depthwise_conv2d, matmul
from dlco.design.objective import Objective
from dlco.errors import InvalidInput
from dlco.exact import enumerate_layer
from dlco.exact.machines import MachineEffort, MachineSearch
from dlco.hardware import (
    TECHNOLOGY_45NM,
    HardwareSpace,
    MemoryCurves,
    Network,
    Parameter,
    Posynomial,
    Term,
    Tie,
    Wires,
)
from dlco.hardware.architecture import Architecture, Level
from dlco.workload import Layer

from ..exhaustive import every_point

THICK = replace(TECHNOLOGY_45NM, wires=Wires(pj_per_bit_mm=40.0, track_um=2.0, register_pj_per_bit=0.05))
THOROUGH, BRIEF = MachineEffort(boxes=100_000, gap=0.0), MachineEffort(boxes=2, gap=0.0)


def random_layers(rng: random.Random) -> list[Layer]:
    """One or two layers of few mappings, perhaps two of the same problem."""
    pick, layers = rng.choice, []
    for name in ("a", "b")[: pick((1, 2, 2))]:
        count, kind = pick((1, 2, 3)), rng.random()
        if kind < 0.4:
            layers.append(matmul(name, M=pick((1, 2, 4)), K=pick((2, 3, 4)), N=pick((1, 2)), count=count))
        elif kind < 0.6:
            layers.append(depthwise_conv2d(name, C=pick((1, 2)), P=pick((2, 4)), Q=1, R=pick((2, 3)), S=1, count=count))
        else:
            layers.append(conv1d(name, C=pick((1, 2)), M=pick((1, 2)), P=pick((2, 3, 4)), R=pick((1, 2)), count=count))
    if len(layers) == 2 and rng.random() < 0.3:
        layers[1] = replace(layers[0], name="b", count=pick((1, 2)))
    return [layer for layer in layers if layer.problem.macs > 1] or random_layers(rng)


def random_space(rng: random.Random) -> HardwareSpace:
    """A few to some tens of machines, whose every figure may bind, with ties, curves and limits of their own."""
    pick = rng.choice

    def level(name: str, kind: str, **fields: object) -> Level:
        costs = {key: float(pick((1, 2, 5, 20))) for key in ("read_pj", "write_pj", "update_pj")}
        speeds = {key: pick((0.5, 1.0, 2.0, inf)) for key in ("read_bandwidth", "write_bandwidth")}
        more = {"shared_bandwidth": pick((1.0, 3.0, inf)), "leak_pj": pick((0.0, 0.3, 2.0)), "area_um2": 1000.0}
        return Level(name, kind, block_size=pick((1, 1, 2)), **costs, **speeds, **more, **fields)

    names = ("Weights", "Inputs", "Outputs")
    inner = [
        level(
            f"L{i}",
            "regfile",
            capacity=8.0,
            bypass=frozenset(rng.sample(names, pick((0, 0, 1)))),
            fanout_y=pick((1, 1, 1, 2)),
        )
        for i in range(pick((0, 1, 1, 2)))
    ]
    shared = level("Shared", "SRAM", capacity=64, fanout_x=pick((1, 2)), fanout_y=pick((1, 2)))
    dram = level("DRAM", "DRAM")
    base = Architecture((*inner, shared, dram), mac_pj=pick((0.0, 1.0)), mac_area_um2=500.0)
    free = [
        Parameter("Shared", "capacity", (16, 24, 64)),
        Parameter("Shared", "fanout_x", (1, 2, 4), also=(Tie("Shared", "shared_bandwidth", 0.5),)),
        Parameter("Shared", "bandwidth", (1, 2, 4)),
        Parameter("DRAM", "bandwidth", (1, 2)),
        Parameter("Shared", "fanout_y", (1, 2, 3)),
    ]
    if inner:
        free += [Parameter("L0", "capacity", (4, 8, 16)), Parameter("L0", "read_bandwidth", (1, 2))]
        free += [Parameter("L0", "fanout_x", (1, 2))]
    chosen = rng.sample(free, pick((1, 2, 3)))
    curves = []
    if rng.random() < 0.4 and any(one.name in ("Shared.capacity", "Shared.bandwidth") for one in chosen):
        power = pick((-0.7, 0.3, 1.2))  # a larger memory may cost less
        curve = Posynomial((Term(3.0, power, pick((0.2, 1.3))), Term(0.5, 0.0, 0.0)))
        curves.append(("Shared", MemoryCurves(curve, curve, Posynomial(()), curve, in_bits=False)))
    space = HardwareSpace(base, tuple(chosen), TECHNOLOGY_45NM, curves=tuple(curves))
    if len(chosen) > 1 and rng.random() < 0.4:
        one, two = chosen[:2]
        most = max(one.low * two.low, rng.uniform(1, one.high * two.high))
        space = space.subject_to(f"{one.name} * {two.name} <= {most}")
    return space


def with_wires(space: HardwareSpace, rng: random.Random) -> HardwareSpace:
    """The space with networks that cost as much as memories do."""
    kinds = [rng.choice((None, "tree", "tree", "systolic")) for _ in space.base.levels[:-1]]
    networks = (kind and Network(kind) for kind in (*kinds, "link"))  # the only level that never fans out
    levels = tuple(replace(lv, network=network) for lv, network in zip(space.base.levels, networks, strict=True))
    return replace(space, base=replace(space.base, levels=levels), technology=THICK)


@dataclass(frozen=True)
class Design:
    """Totals of a network on one machine, and the cycles of its layers."""

    machine: Architecture
    energy_pj: float
    cycles: float
    layers: dict[str, float]

    def value(self, objective: Objective) -> float:
        return objective.figure(self.energy_pj, self.cycles, self.machine.area_mm2, self.machine.cycle_s)

    def within(self, budget: Budget) -> bool:
        limits = {name: getattr(budget, name) or inf for name in ("latency_s", "energy_j", "area_mm2", "pe_count")}
        return (
            self.value(Objective.LATENCY) <= limits["latency_s"]
            and self.energy_pj * 1e-12 <= limits["energy_j"]
            and self.machine.area_mm2 <= limits["area_mm2"]
            and self.machine.macs <= limits["pe_count"]
            and self.value(Objective.POWER) <= (budget.power_w or inf)
            and all(t * self.machine.cycle_s <= budget.layer_limit(name) for name, t in self.layers.items())
        )


def every_design(layers: list[Layer], space: HardwareSpace, slow: bool) -> list[Design]:
    """All choices of unbeaten mappings on all machines within the space's limits; with `slow` of any mappings."""
    found = []
    for sizes in product(*(parameter.grid for parameter in space.parameters)):
        try:
            machine = space.architecture(sizes)
        except InvalidInput:
            continue
        fronts = []
        for layer in layers:
            try:
                if slow:
                    points = every_point(layer.problem, machine)
                else:
                    front = enumerate_layer(layer, machine, limit=200_000)
                    points = [*zip(front.energy_pj.tolist(), front.cycles.tolist(), strict=True)]
            except InvalidInput as error:
                if "no mapping" not in str(error):
                    raise
                points = []
            fronts.append(points)
        for choice in product(*fronts):
            pairs = [*zip(layers, choice, strict=True)]
            energy, cycles = (sum(layer.count * point[axis] for layer, point in pairs) for axis in (0, 1))
            found.append(Design(machine, energy, cycles, {layer.name: point[1] for layer, point in pairs}))
    return found


def random_budget(rng: random.Random, designs: list[Design], objective: Objective) -> Budget:
    """Limits that some of the designs keep."""
    figures = {name: [one.value(Objective.limited_by(name)) for one in designs] for name in ("latency_s", "area_mm2")}
    figures["energy_j"] = [one.energy_pj * 1e-12 for one in designs]
    if objective is Objective.POWER:
        figures["power_w"] = [one.value(Objective.POWER) for one in designs]
    limits: dict[str, float] = {}
    for name in rng.sample(sorted(figures.keys() - {objective.limit}), rng.choice((0, 1, 1, 2))):
        low, high = min(figures[name]), max(figures[name])
        limits[name] = (low + rng.random() ** 2 * (high - low)) * (1 + 1e-12)
    if objective is Objective.POWER and "latency_s" not in limits:
        limits["latency_s"] = max(figures["latency_s"])
    layer_limits = {}
    if rng.random() < 0.2:
        name = rng.choice(sorted(designs[0].layers))
        layer_limits[name] = rng.choice(designs).layers[name] * designs[0].machine.cycle_s * (1 + 1e-12)
    return Budget(
        **{name: value for name, value in limits.items() if value > 0},
        pe_count=rng.choice((None, None, None, 2, 4)),
        layer_latency_s=layer_limits or None,
    )


def check(rng: random.Random, objective: Objective, wires: bool) -> bool:
    """Hold a thorough and a brief search against all designs of one random question; whether there was a design."""
    layers, space = random_layers(rng), random_space(rng)
    space = with_wires(space, rng) if wires else space
    try:
        designs = every_design(layers, space, slow=False)
    except InvalidInput:  # too many mappings
        return False
    if not designs:
        return False
    budget = random_budget(rng, designs, objective)
    values = [one.value(objective) for one in designs if one.within(budget)]
    if not values:
        return False
    best = min(values)
    for effort in (THOROUGH, BRIEF):
        search = MachineSearch(layers, space, objective, budget)
        assert search.why_not() is None
        search.begin_with(max(values), [])
        told: list[float] = []
        search.run(effort, lambda share, told=told, search=search: told.append(search.lower))  # type: ignore[misc]
        reached = search.best * objective.unit_of_product(space.base.cycle_s)
        assert max([search.lower, *told]) <= best * (1 + 1e-9), (layers, space, objective, budget)
        assert reached >= best * (1 - 1e-9)
        if effort is THOROUGH:
            assert (search.lower, reached) == pytest.approx((best, best), rel=1e-9), (layers, space, objective, budget)
    return True


def check_power(rng: random.Random, objective: Objective) -> bool:
    """Hold a bound against designs of any mappings, also slow ones, where mean power is minimised or limited."""
    layers, space = random_layers(rng), random_space(rng)
    if len(space.base.levels) > 3 or any(sum(bound > 1 for bound in one.problem.bounds) > 3 for one in layers):
        return False
    designs = every_design(layers[:1], space, slow=True)
    if not designs:
        return False
    budget = random_budget(rng, designs, Objective.POWER)
    if objective is not Objective.POWER:
        power = sorted(one.value(Objective.POWER) for one in designs if one.within(budget))
        budget = replace(budget, power_w=power[len(power) // 3] if power and power[0] > 0 else None)
    values = [one.value(objective) for one in designs if one.within(budget)]
    if not values:
        return False
    for effort in (THOROUGH, BRIEF):
        search = MachineSearch(layers[:1], space, objective, budget)
        search.begin_with(min(values) * rng.choice((1.0, 1.1)), [])
        search.run(effort)
        assert search.lower <= min(values) * (1 + 1e-9), (layers, space, objective, budget)
    return True


@pytest.mark.parametrize("objective", ["latency", "energy", "edp", "area"])
def test_the_bound_is_the_optimum_of_all_machines(objective):
    rng, done = random.Random(objective), 0
    while done < 8:
        done += check(rng, Objective(objective), wires=done % 2 == 1)


@pytest.mark.parametrize("objective", ["power", "energy", "edp"])
def test_no_slow_mapping_goes_below_a_bound_where_power_counts(objective):
    rng, done = random.Random(objective), 0
    while done < 8:
        done += check_power(rng, Objective(objective))
