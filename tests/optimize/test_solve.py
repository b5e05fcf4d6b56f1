"""`solve()` against the best of everything there is, its limits, its refusals, and how it is interrupted."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, isfinite

import pytest
import torch

import dlco
from dlco import Budget, InvalidInput, Layer, Progress, Solution, SolveEffort, conv2d, linear, matmul, networks
from dlco.bound import BoundEffort, compulsory_bound
from dlco.design.objective import OBJECTIVES
from dlco.hardware import eyeriss_like, eyeriss_space, generic, generic_space
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.presets import SPACES
from dlco.hardware.space import HardwareSpace, Parameter
from dlco.mapping.checks import check_mapping
from dlco.search.local_search import Effort

from ..efforts import EVOLUTION, NO_BOXES
from ..exhaustive import optimum

QUICK = SolveEffort(
    starts=2,
    relax_rounds=1,
    machines=2,
    roundings=2,
    descents=1,
    steps=2,
    evolution=EVOLUTION,
    fit=Effort(rounds=12, patience=6, islands=2),
    step=Effort(rounds=6, patience=3, population=3, neighbours=8),
    polish=Effort(rounds=15, patience=6, islands=2),
    polishes=1,
    bound=BoundEffort(nodes=60, side=20, boxes=0),
    boxes=NO_BOXES,
    batches=50,
)


class Recomputed:
    """Totals of a solution through `dlco.evaluate` alone; every mapping is checked on the way."""

    def __init__(self, solution: Solution) -> None:
        self.energy_pj = self.cycles = 0.0
        for layer in solution.layers:
            mapping = solution.mappings[layer.name]
            check_mapping(layer.problem, solution.architecture, mapping)
            cost = dlco.evaluate(layer, solution.architecture, mapping)
            assert bool(cost.valid)
            self.energy_pj += layer.count * cost.energy_pj.item()
            self.cycles += layer.count * cost.cycles.item()
        self.latency_s = self.cycles * solution.architecture.cycle_s
        self.area_mm2 = solution.architecture.area_mm2

    def used(self) -> dict[str, float]:
        """The quantities that a budget limits."""
        return {
            "area_mm2": self.area_mm2,
            "power_w": self.energy_pj * 1e-12 / self.latency_s,
            "latency_s": self.latency_s,
            "energy_j": self.energy_pj * 1e-12,
        }

    def value(self, objective: str) -> float:
        """The objective, in the unit of `NetworkCost.objective`."""
        edp = self.energy_pj * self.cycles
        used = self.used()
        return {"edp": edp, "energy": self.energy_pj, "power": used["power_w"]}.get(
            objective, used["latency_s"] if objective == "latency" else used["area_mm2"]
        )


def hold(solution: Solution) -> Recomputed:
    """All that must hold of any solution; returns its totals."""
    again = Recomputed(solution)
    assert solution.value == pytest.approx(again.value(solution.objective), rel=1e-12)
    assert set(solution.mappings) == {layer.name for layer in solution.layers}
    broken = [name for name, limit in solution.budget.limits.items() if again.used()[name] > limit * (1 + 1e-9)]
    assert (solution.status == "infeasible") == bool(broken)
    if solution.lower_bound is not None and not broken:
        assert solution.lower_bound <= solution.value * (1 + 1e-12)
        assert 0 <= solution.gap <= 1
    assert solution.message
    assert solution.evaluations > 0
    assert solution.seconds > 0
    return again


# --- the optimum -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["edp", "energy", "latency"])
def test_fixed_hardware_reaches_the_optimum(
    objective: str, network: list[Layer], machine: Architecture, effort: SolveEffort
) -> None:
    solution = dlco.solve(network, machine, objective, effort=effort)
    hold(solution)
    assert solution.status == "solved"
    assert solution.value == pytest.approx(optimum(network, machine, objective), rel=1e-9)


@pytest.mark.parametrize("kind", ["product", "window"])
def test_the_least_power_of_one_layer(
    kind: str, product_layer: Layer, window_layer: Layer, machine: Architecture, effort: SolveEffort
) -> None:
    layer = product_layer if kind == "product" else window_layer
    solution = dlco.solve([layer], machine, "power", effort=effort)
    hold(solution)
    assert solution.value == pytest.approx(optimum([layer], machine, "power"), rel=1e-9)


def budget_between(network: list[Layer], machine: Architecture, limit: str, objective: str) -> Budget:
    """A limit halfway (in logs) between the least there is and what the best unlimited design needs."""
    free = dlco.solve(network, machine, objective, effort=QUICK)
    names = {"latency_s": ("latency", 1.0), "energy_j": ("energy", 1e-12), "power_w": ("power", 1.0)}
    name, unit = names[limit]
    least = optimum(network, machine, name) * unit
    return Budget(**{limit: (least * Recomputed(free).used()[limit]) ** 0.5})


@pytest.mark.parametrize(
    ("objective", "limit"),
    [("energy", "latency_s"), ("latency", "energy_j"), ("edp", "energy_j"), ("edp", "latency_s")],
)
def test_the_optimum_within_a_limit(
    objective: str, limit: str, network: list[Layer], machine: Architecture, effort: SolveEffort
) -> None:
    budget = budget_between(network, machine, limit, objective)
    solution = dlco.solve(network, machine, objective, budget, effort=effort)
    hold(solution)
    assert solution.status == "solved"
    # what a single price of time does not explain may be missed: 1 % is allowed
    assert solution.value <= 1.01 * optimum(network, machine, objective, budget)


@pytest.mark.parametrize("objective", ["edp", "latency"])
def test_nearly_the_optimum_within_a_power(
    objective: str, product_layer: Layer, machine: Architecture, effort: SolveEffort
) -> None:
    budget = budget_between([product_layer], machine, "power_w", objective)
    solution = dlco.solve([product_layer], machine, objective, budget, effort=effort)
    hold(solution)
    assert solution.status == "solved"
    assert solution.value <= 1.05 * optimum([product_layer], machine, objective, budget)


@pytest.mark.parametrize("objective", ["edp", "energy", "latency", "area"])
def test_a_space_is_searched_to_its_best_machine(
    objective: str, product_layer: Layer, space: HardwareSpace, effort: SolveEffort
) -> None:
    solution = dlco.solve([product_layer], space, objective, effort=effort)
    hold(solution)
    assert solution.value == pytest.approx(optimum([product_layer], space, objective), rel=1e-9)


@pytest.mark.parametrize("position", [4, 9])
def test_the_best_machine_within_an_area(
    position: int, product_layer: Layer, space: HardwareSpace, effort: SolveEffort
) -> None:
    areas = sorted(space.architecture(space.index_to_sizes(i)).area_mm2 for i in _indices(space))
    budget = Budget(area_mm2=areas[position])
    solution = dlco.solve([product_layer], space, "edp", budget, effort=effort)
    hold(solution)
    assert solution.status == "solved"
    assert solution.value == pytest.approx(optimum([product_layer], space, "edp", budget), rel=1e-9)


def _indices(space: HardwareSpace) -> torch.Tensor:
    return torch.cartesian_prod(*(torch.arange(len(p.grid)) for p in space.parameters))


def test_the_smallest_machine_that_keeps_a_latency(
    product_layer: Layer, space: HardwareSpace, effort: SolveEffort
) -> None:
    wide = {"read_bandwidth": inf, "write_bandwidth": inf}  # so that the fan-out decides
    base = replace(space.base, levels=tuple(replace(level, **wide) for level in space.base.levels))
    space = replace(space, base=base)
    fastest, smallest = (dlco.solve([product_layer], space, o, effort=QUICK) for o in ("latency", "area"))
    assert fastest.cost.latency_s < smallest.cost.latency_s
    budget = Budget(latency_s=(fastest.cost.latency_s * smallest.cost.latency_s) ** 0.5)
    solution = dlco.solve([product_layer], space, "area", budget, effort=effort)
    hold(solution)
    assert solution.cost.area_mm2 == pytest.approx(optimum([product_layer], space, "area", budget), rel=1e-9)


# --- limits ----------------------------------------------------------------------------------------------------

PAIR = networks.resnet18()[1:3]


@pytest.mark.parametrize(
    ("objective", "budget"),
    [
        ("edp", Budget(area_mm2=1.5)),
        ("latency", Budget(area_mm2=1.5, power_w=0.3)),
        ("energy", Budget(latency_s=1.2e-3)),
        ("latency", Budget(energy_j=2.6e-3)),
        ("power", Budget(latency_s=4e-3)),
        ("area", Budget(latency_s=4e-3)),
    ],
    ids=["area", "area and power", "latency", "energy", "slow", "small"],
)
def test_limits_hold_in_the_exact_model(objective: str, budget: Budget) -> None:
    solution = dlco.solve(PAIR, generic_space(), objective, budget, effort=QUICK)
    used = hold(solution).used()
    assert solution.status == "solved", solution.message
    for name, limit in budget.limits.items():
        assert used[name] <= limit * (1 + 1e-9)


@pytest.mark.parametrize(("field", "value"), [("area_mm2", 0.01), ("latency_s", 1e-9), ("energy_j", 1e-12)])
@pytest.mark.parametrize("hardware", [generic(), generic_space()], ids=["fixed", "space"])
def test_a_limit_that_nothing_can_meet_is_refused(
    field: str, value: float, hardware: Architecture | HardwareSpace
) -> None:
    with pytest.raises(InvalidInput, match=rf"budget {field} is {value:g}; every design needs at least [\d.]+"):
        dlco.solve(PAIR, hardware, budget=Budget(**{field: value}), effort=QUICK)


def test_limits_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"budget (power_w|latency_s) is .* needs at least"):
        dlco.solve(PAIR, generic(), budget=Budget(latency_s=1e-3, power_w=1e-3), effort=QUICK)


def test_a_limit_just_out_of_reach_ends_as_infeasible(machine: Architecture, product_layer: Layer) -> None:
    """The bound cannot prove it, the search does not find it: the nearest design comes back, and says so."""
    least = optimum([product_layer], machine, "energy") * 1e-12
    proven = compulsory_bound([product_layer], machine, "energy") * 1e-12
    assert proven < 0.9999 * least
    budget = Budget(energy_j=(least * proven) ** 0.5)
    solution = dlco.solve([product_layer], machine, "edp", budget, effort=QUICK)
    hold(solution)
    assert solution.status == "infeasible"
    assert "energy_j" in solution.message
    assert solution.cost.energy_pj * 1e-12 <= 1.2 * least
    assert solution.gap is None or solution.gap >= 0


def test_a_limit_exactly_at_the_optimum_is_met(
    machine: Architecture, product_layer: Layer, effort: SolveEffort
) -> None:
    least = optimum([product_layer], machine, "latency")
    solution = dlco.solve([product_layer], machine, "energy", Budget(latency_s=least), effort=effort)
    hold(solution)
    assert solution.status == "solved"


def test_a_machine_that_no_mapping_fits_is_refused() -> None:
    """Three dataspaces of a word each in registers of two words."""
    levels = (Level("Registers", kind="regfile", capacity=2, read_pj=1), Level("DRAM", kind="DRAM", read_pj=9))
    with pytest.raises(InvalidInput, match="Registers"):
        dlco.solve([matmul("layer", M=4, K=4, N=4)], Architecture(levels), effort=QUICK)


# --- networks --------------------------------------------------------------------------------------------------

NETWORKS: dict[str, Callable[[], list[Layer]]] = {
    "mobilenet": lambda: networks.mobilenet_v2()[:4],
    "bert": networks.bert_base_block,
    "mixed": lambda: [
        conv2d("grouped", C=8, M=8, P=4, Q=4, R=3, S=3, groups=2),
        dlco.depthwise_conv2d("depthwise", C=8, P=4, Q=4, R=3, S=3, stride=2),
        dlco.transposed_conv2d("transposed", C=4, M=4, H=4, W=4, R=3, S=3, stride=2),
        dlco.conv3d("volume", C=2, M=4, D=4, P=4, Q=4, T=3, R=3, S=3),
        linear("linear", C=13, M=7, count=3),
        matmul("prime", M=11, K=1, N=17),
    ],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_mixed_structures(name: str) -> None:
    network = NETWORKS[name]()
    solution = dlco.solve(network, eyeriss_like(), effort=replace(QUICK, starts=1))
    hold(solution)
    assert solution.status == "solved"
    assert list(solution.mappings) == [layer.name for layer in network]
    assert solution.layers == tuple(network)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("objective", ["edp", "area"])
def test_every_preset_space(name: str, objective: str) -> None:
    network = [conv2d("conv", C=16, M=32, P=14, Q=14, R=3, S=3), linear("linear", C=64, M=100)]
    solution = dlco.solve(network, SPACES[name](), objective, effort=QUICK)
    hold(solution)
    assert solution.status == "solved"


def test_a_fan_out_that_may_be_absent() -> None:
    """Along a free axis a grid of 1 is no axis: loops may not lie there."""
    base = generic()
    space = HardwareSpace(base, (Parameter("GlobalBuffer", "fanout_x", (1, 2)),), generic_space().technology)
    narrow = replace(base, levels=tuple(replace(lv, fanout_x=1, fanout_y=1) for lv in base.levels))
    for hardware in (space, replace(space, base=narrow)):
        solution = dlco.solve([linear("layer", C=16, M=16)], hardware, "area", effort=QUICK)
        hold(solution)
        assert solution.architecture.level("GlobalBuffer").fanout_x == 1


@pytest.mark.parametrize("hardware", [generic(), generic_space()], ids=["fixed", "space"])
@pytest.mark.parametrize(
    "others", [[], [matmul("other", M=4, K=4, N=4)], [conv2d("other", C=4, M=4, P=4, Q=4, R=3, S=3)]]
)
def test_a_layer_of_a_single_mac(hardware: Architecture | HardwareSpace, others: list[Layer]) -> None:
    solution = dlco.solve([matmul("unit", M=1, K=1, N=1), *others], hardware, effort=QUICK)
    hold(solution)


def test_counts_weigh_the_layers(machine: Architecture, product_layer: Layer, window_layer: Layer) -> None:
    network = [replace(product_layer, count=1), replace(window_layer, count=1000)]
    solution = dlco.solve(network, machine, "latency", effort=QUICK)
    hold(solution)
    parts = [layer.count * solution.layer_costs[layer.name].cycles for layer in network]
    assert solution.cost.cycles == pytest.approx(sum(parts))


def test_layers_may_come_from_any_iterable(machine: Architecture, network: list[Layer]) -> None:
    assert dlco.solve((layer for layer in network), machine, effort=QUICK).layers == tuple(network)


# --- the same again --------------------------------------------------------------------------------------------


def same(one: Solution, two: Solution) -> bool:
    """Equal but for the time they took."""
    without = {"seconds": 0.0, "trace": ()}
    values = [[value for _, value in solution.trace] for solution in (one, two)]
    return replace(one, **without) == replace(two, **without) and values[0] == values[1]


@pytest.mark.parametrize("hardware", [eyeriss_like(), generic_space()], ids=["fixed", "space"])
def test_the_same_seed_gives_the_same_solution(hardware: Architecture | HardwareSpace) -> None:
    torch.manual_seed(1)
    one = dlco.solve(PAIR, hardware, seed=3, effort=QUICK)
    torch.manual_seed(2)  # the global generator plays no part
    before = torch.get_rng_state()
    assert same(one, dlco.solve(PAIR, hardware, seed=3, effort=QUICK))
    assert torch.equal(before, torch.get_rng_state())


def test_the_number_of_threads_is_left_as_it_was(machine: Architecture, network: list[Layer]) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    before = torch.get_num_threads()
    dlco.solve(network, machine, effort=QUICK)
    assert torch.get_num_threads() == before
    dlco.solve(network, machine, effort=QUICK, progress=stop)
    assert torch.get_num_threads() == before


def test_no_bound_unless_asked_for(machine: Architecture, network: list[Layer]) -> None:
    solution = dlco.solve(network, machine, bound=False, effort=QUICK)
    assert solution.lower_bound is None
    assert solution.gap is None


# --- refusals --------------------------------------------------------------------------------------------------

LAYER = linear("layer", C=4, M=4)
REFUSED = {
    "no layers": ({"layers": []}, "layers is empty"),
    "a stranger": ({"layers": ["conv1"]}, "layers holds 'conv1'"),
    "a name twice": ({"layers": [LAYER, LAYER]}, "two layers named 'layer'"),
    "no hardware": ({"hardware": None}, "hardware is None"),
    "a name for hardware": ({"hardware": "eyeriss"}, "hardware is 'eyeriss'"),
    "objective": ({"objective": "speed"}, "objective is 'speed'; allowed: latency, energy, edp, power, area"),
    "no objective": ({"objective": None}, "objective is None"),
    "a number for a budget": ({"budget": 4.0}, "budget is 4.0"),
    "a dictionary for a budget": ({"budget": {"area_mm2": 4}}, "budget is .*dlco.Budget"),
    "a negative seed": ({"seed": -1}, "seed is -1"),
    "a real seed": ({"seed": 1.5}, "seed is 1.5"),
    "a bool seed": ({"seed": True}, "seed is True"),
    "a device": ({"device": "tpu"}, "device is 'tpu'; allowed: cpu, cuda"),
    "constraints": ({"constraints": ()}, r"constraints is \(\)"),
    "imperfect": ({"imperfect": 1}, "imperfect is 1"),
    "a start": ({"start": "solution.json"}, "start is 'solution.json'"),
    "both files": ({"checkpoint": "a", "resume": "b"}, "checkpoint is 'a' and resume is 'b'"),
    "no file": ({"resume": "nowhere.ckpt"}, "resume is 'nowhere.ckpt'; there is no such file"),
    "PEs": ({"budget": Budget(layer_latency_s={"conv9": 1.0})}, "layer_latency_s names layer 'conv9'"),
    "a level": ({"budget": Budget(capacity={"L7": 1.0})}, "level is 'L7'"),
    "effort": ({"effort": 3}, "effort is 3"),
    "progress": ({"progress": "bar"}, "progress is 'bar'"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    good = {"layers": [LAYER], "hardware": generic(), "effort": QUICK}
    with pytest.raises(InvalidInput, match=message):
        dlco.solve(**(good | arguments))


@pytest.mark.parametrize("field", ["starts", "relax_rounds", "machines", "roundings", "descents", "steps", "polishes"])
@pytest.mark.parametrize("value", [-1, 1.5, "8"])
def test_effort_must_be_counts(field: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=field):
        dlco.solve([LAYER], generic(), effort=SolveEffort(**{field: value}))


@pytest.mark.parametrize("field", ["machines", "roundings", "descents"])
def test_effort_must_try_something(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        dlco.solve([LAYER], generic_space(), effort=SolveEffort(**{field: 0}))


@pytest.mark.parametrize("field", ["relax_rounds", "steps", "polishes"])
def test_phases_may_be_left_out(field: str) -> None:
    hold(dlco.solve([LAYER], generic_space(), effort=replace(QUICK, **{field: 0})))


# --- progress and interruption ---------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_progress_goes_forward_in_the_objective_s_unit(
    objective: str, machine: Architecture, space: HardwareSpace, network: list[Layer]
) -> None:
    for hardware in (machine, space):
        seen: list[Progress] = []
        solution = dlco.solve(network, hardware, objective, effort=QUICK, progress=seen.append)
        assert [one.done for one in seen] == sorted(one.done for one in seen)
        assert [one.seconds for one in seen] == sorted(one.seconds for one in seen)
        assert all(0 <= one.done <= 1 for one in seen)
        assert seen[-1].done == 1
        best = [one.best for one in seen if one.best is not None]
        assert best == sorted(best, reverse=True)
        assert best[-1] == pytest.approx(solution.value, rel=1e-3)
        values = [value for _, value in solution.trace]
        assert values == sorted(values, reverse=True)
        assert values[-1] == pytest.approx(solution.value, rel=1e-9)


class Stop:
    """A listener that interrupts at the given report, or at the first of a phase; and ever after if `forever`."""

    def __init__(self, at: int | str, forever: bool = False) -> None:
        self.at, self.forever, self.calls, self.raised = at, forever, 0, 0

    def __call__(self, progress: Progress) -> None:
        self.calls += 1
        here = progress.phase == self.at if isinstance(self.at, str) else self.calls >= self.at
        if here and (self.forever or not self.raised):
            self.raised += 1
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("at", "forever"), [(1, False), (1, True), (2, False), (3, True), (5, False), ("search", False), ("polish", True)]
)
@pytest.mark.parametrize("hardware", [generic(), eyeriss_space()], ids=["fixed", "space"])
def test_an_interrupt_returns_the_best_so_far(
    at: int | str, forever: bool, hardware: Architecture | HardwareSpace
) -> None:
    stop = Stop(at, forever)
    solution = dlco.solve(PAIR, hardware, effort=QUICK, progress=stop)
    hold(solution)
    if stop.raised:
        assert solution.status == "interrupted"
        assert "stopped" in solution.message
    else:
        assert solution.status == "solved"  # it was over before


@pytest.mark.parametrize("name", SPACES)
def test_an_interrupt_at_once_returns_a_design_of_every_space(name: str) -> None:
    solution = dlco.solve(PAIR, SPACES[name](), effort=QUICK, progress=Stop(1))
    hold(solution)
    assert solution.status == "interrupted"


def test_an_interrupt_before_the_limits_hold_says_so() -> None:
    solution = dlco.solve(PAIR, generic_space(), "energy", Budget(latency_s=1e-3), effort=QUICK, progress=Stop(1))
    hold(solution)
    assert solution.status in ("interrupted", "infeasible")


def test_other_errors_of_a_listener_are_not_swallowed(machine: Architecture, network: list[Layer]) -> None:
    def fail(progress: Progress) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        dlco.solve(network, machine, effort=QUICK, progress=fail)


def test_a_progress_bar_leaves_no_trace_where_there_is_no_terminal(
    machine: Architecture, network: list[Layer], capfd: pytest.CaptureFixture[str]
) -> None:
    solution = dlco.solve(network, machine, effort=QUICK, progress=True)
    assert isfinite(solution.value)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""
