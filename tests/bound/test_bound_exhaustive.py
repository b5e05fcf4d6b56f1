"""The certified bound against every design there is: tiny problems, all of whose mappings (and machines) are listed."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dlco import Budget, conv1d, depthwise_conv2d, matmul
from dlco.bound import BoundEffort, lower_bound, without_bypassed
from dlco.bound.compulsory import compulsory_bound
from dlco.design.objective import OBJECTIVES
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.space import HardwareSpace, Parameter, as_space
from dlco.hardware.technology import TECHNOLOGY_45NM
from dlco.mapping import Constraints
from dlco.workload import Layer

from ..exhaustive import Choice, every_choice, machines_of

EFFORT = BoundEffort(nodes=120, side=30, rounds=2)
MARGIN = 1 + 1e-9
NAMES = ("Weights", "Inputs", "Outputs")


@st.composite
def tiny_layers(draw: st.DrawFn) -> Layer:
    """Few enough factors that all mappings can be listed: matrix products, windows with strides, depthwise."""
    kind = draw(st.sampled_from(["matmul", "window", "window", "depthwise"]))
    count = draw(st.integers(1, 2))
    if kind == "matmul":
        m, k, n = (draw(st.sampled_from([1, 2, 3, 4])) for _ in range(3))
        return matmul("layer", M=m, K=k, N=n, count=count)
    steps = {"stride": draw(st.integers(1, 3)), "dilation": draw(st.integers(1, 2))}
    p, r = draw(st.sampled_from([2, 3, 4, 6])), draw(st.sampled_from([1, 2, 3]))
    if kind == "depthwise":
        return depthwise_conv2d("layer", C=draw(st.integers(1, 2)), P=p, Q=1, R=r, S=1, count=count, **steps)
    c, m = draw(st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]))
    return conv1d("layer", C=c, M=m, P=p, R=r, count=count, **steps)


@st.composite
def tiny_machines(draw: st.DrawFn) -> Architecture:
    """Two or three levels, in which capacities, fan-outs and bandwidths may bind; every dataspace kept somewhere."""
    depth = draw(st.sampled_from([2, 2, 3]))
    bypasses = [set(draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2))) for _ in range(depth)]
    for name in NAMES:
        if all(name in bypass for bypass in bypasses):
            bypasses[-1].discard(name)
    speed = st.sampled_from([0.5, 1.0, 2.0, inf])
    energy = st.sampled_from([0.0, 0.3, 1.0, 2.5])
    scale, levels = 1.0, []
    fan = draw(st.integers(0, depth - 1))
    for i, bypass in enumerate(bypasses):
        levels.append(
            Level(
                f"L{i}",
                capacity=inf if i == depth - 1 else draw(st.sampled_from([3, 5, 8, 14, 30])),
                block_size=draw(st.sampled_from([1, 1, 2])),
                read_bandwidth=draw(speed),
                write_bandwidth=draw(speed),
                shared_bandwidth=draw(speed),
                read_pj=scale * draw(energy),
                write_pj=scale * draw(energy),
                update_pj=scale * draw(energy),
                leak_pj=draw(st.sampled_from([0.0, 0.05, 1.0])),
                area_um2=scale * 100,
                fanout_x=draw(st.sampled_from([1, 2, 3])) if i == fan else 1,
                fanout_y=draw(st.sampled_from([1, 2])) if i == fan else 1,
                bypass=frozenset(bypass),
            )
        )
        scale *= draw(st.sampled_from([2.0, 6.0, 20.0]))
    return Architecture(tuple(levels), mac_pj=draw(st.sampled_from([0.0, 0.2, 1.0])), mac_area_um2=50.0)


@st.composite
def tiny_spaces(draw: st.DrawFn) -> HardwareSpace:
    """A few machines: a free capacity, a free fan-out and a free width."""
    base = draw(tiny_machines())
    inner = replace(base.levels[0], kind="regfile", capacity=8.0, block_size=1)
    base = replace(base, levels=(inner, *base.levels[1:]))
    outer = base.levels[1]
    free = [Parameter(inner.name, "capacity", (4, 8, 16)), Parameter(outer.name, "fanout_x", (1, 2, 3))]
    if outer.capacity < inf:
        free.append(Parameter(outer.name, "bandwidth", (1, 2)))
    return HardwareSpace(base, tuple(free[: draw(st.integers(1, 3))]), TECHNOLOGY_45NM)


def budgets(choices: list[Choice], kind: str, share: float) -> Budget:
    """A limit that some of the designs keep, and some may not."""
    if kind == "none" or not choices:
        return Budget()
    values = {
        "latency_s": [c.latency_s for c in choices],
        "energy_j": [c.energy_pj * 1e-12 for c in choices],
        "power_w": [c.value("power") for c in choices],
        "area_mm2": [c.area_mm2 for c in choices],
    }[kind]
    low, high = min(values), max(values)
    limit = low + share * (high - low)
    return Budget(**{kind: limit}) if limit > 0 else Budget()


def check(layers: list[Layer], hardware: Architecture | HardwareSpace, objective: str, kind: str, share: float) -> bool:
    """Hold the bound against every design; returns whether there was one."""
    if any(layer.problem.macs == 1 for layer in layers):
        return False
    power = objective == "power" or kind == "power_w"
    choices = [c for one in machines_of(hardware) for c in every_choice(layers, one, trim=not power)]
    budget = budgets(choices, kind, share)
    best = min((c.value(objective) for c in choices if c.within(budget)), default=inf)
    bound = lower_bound(layers, hardware, objective, budget, effort=EFFORT)
    assert bound.value <= best * MARGIN, (bound, best, budget)
    assert bound.value >= compulsory_bound(layers, hardware, objective, budget)
    return best < inf


KINDS = st.sampled_from(["none", "none", "latency_s", "energy_j", "power_w", "area_mm2"])


@given(tiny_layers(), tiny_machines(), st.sampled_from(OBJECTIVES), KINDS, st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_mapping_beats_the_bound(layer, machine, objective, kind, share) -> None:  # type: ignore[no-untyped-def]
    assume(check([layer], machine, objective, kind, share))


@given(tiny_layers(), tiny_spaces(), st.sampled_from(OBJECTIVES), KINDS, st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_machine_of_a_space_beats_the_bound(layer, space, objective, kind, share) -> None:  # type: ignore[no-untyped-def]
    assume(check([layer], space, objective, kind, share))


PRODUCT = matmul("layer", M=4, K=4, N=4)
WINDOW = conv1d("layer", C=1, M=2, P=4, R=3)
STRIDED = conv1d("layer", C=1, M=2, P=6, R=2, stride=2)


@pytest.mark.parametrize(
    ("layer", "objective", "share"),
    [
        (PRODUCT, "energy", 0.999),
        (PRODUCT, "latency", 0.99999),
        (PRODUCT, "edp", 0.999),
        (WINDOW, "energy", 0.99),
        (WINDOW, "latency", 0.99999),
        (WINDOW, "edp", 0.99),
        (STRIDED, "edp", 0.93),
    ],
)
def test_the_bound_is_near_the_optimum(layer: Layer, objective: str, share: float, machine: Architecture) -> None:
    """Compulsory work alone reaches 80 to 89 % of the latencies and EDPs of the first two."""
    best = min(choice.value(objective) for choice in every_choice([layer], machine))
    bound = lower_bound([layer], machine, objective).value
    assert share * best <= bound <= best * MARGIN


def test_two_layers_and_a_space(network: list[Layer], space: HardwareSpace) -> None:
    for objective in ("energy", "edp"):
        best = min(c.value(objective) for one in machines_of(space) for c in every_choice(network, one))
        floor = compulsory_bound(network, space, objective)
        coarse, fine = (
            lower_bound(network, space, objective, effort=replace(EFFORT, nodes=400, boxes=n)).value for n in (0, 6)
        )
        assert floor <= coarse <= fine <= best * MARGIN
        assert fine > floor


def test_a_layer_limit_raises_the_bound(network: list[Layer], machine: Architecture) -> None:
    free = lower_bound(network, machine, "energy", effort=EFFORT)
    fast = lower_bound(network, machine, "latency", effort=EFFORT).value
    assert lower_bound(network, machine, "energy", Budget(layer_latency_s=1e-12), effort=EFFORT).value == inf
    tight = lower_bound(network, machine, "energy", Budget(latency_s=1.02 * fast), effort=EFFORT)
    assert tight.value >= free.value * (1 - 1e-6)
    assert set(free.real_factors) == {layer.name for layer in network}
    for layer in network:
        guide = free.real_factors[layer.name]
        assert guide.prod((0, 1)) == pytest.approx(layer.problem.bounds, rel=1e-4)


def test_limits_that_a_machine_breaks(network: list[Layer], machine: Architecture, space: HardwareSpace) -> None:
    for budget in (Budget(area_mm2=1e-6), Budget(pe_count=1), Budget(capacity={"Buffer": 1})):
        assert lower_bound(network, machine, "energy", budget).value == inf
    assert lower_bound(network, space, "energy", Budget(area_mm2=1e-6), effort=EFFORT).value == inf


@pytest.mark.parametrize("effort", [{"nodes": -1}, {"side": 0.5}, {"boxes": True}])
def test_bad_effort_is_refused(effort: dict) -> None:
    with pytest.raises(InvalidInput, match=next(iter(effort))):
        BoundEffort(**effort)


def test_a_level_that_constraints_pass_by_is_not_charged(machine: Architecture, space: HardwareSpace) -> None:
    """Without the buffer the product costs less here than any mapping that uses it."""
    costly = replace(machine, levels=(machine.levels[0], replace(machine.levels[1], read_pj=90.0), machine.levels[2]))
    constraints = Constraints(bypass=(("Buffer", frozenset(NAMES)),))
    for hardware in (replace(space, base=costly), costly):
        passed = without_bypassed(as_space(hardware), constraints)
        best = min(c.value("energy") for one in machines_of(passed) for c in every_choice([PRODUCT], one))
        assert lower_bound([PRODUCT], hardware, "energy", constraints=constraints, effort=EFFORT).value <= best * MARGIN
    assert lower_bound([PRODUCT], costly, "energy", effort=EFFORT).value > best
