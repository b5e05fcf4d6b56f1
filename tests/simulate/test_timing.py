"""Cycles against recurrences written down by hand, against counted words, and against every event executed."""

from dataclasses import replace
from math import inf, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco.cost.model import evaluate
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.mapping import Mapping
from dlco.mapping.rules import CountingRules
from dlco.simulate import Density, TimingModel, count_accesses, simulate_timing
from dlco.simulate.links import links_of
from dlco.simulate.loopnest import LoopNest
from dlco.workload import matmul

from ..cost.cases import DENSE, Case, block, cases, make_case, plain

products = plain(lambda name, stride, dilation, **sizes: matmul(name, **sizes))((1, 1), (1, 1))
FEW = settings(max_examples=settings.default.max_examples // 2)

widths = st.sampled_from((inf, 0.5, 1.0, 2.0, 3.0, 4.0))
latencies = st.sampled_from((0.0, 7.0, 30.5))


@st.composite
def timed(draw: st.DrawFn, **options: object) -> tuple[Case, TimingModel]:
    """A random case on a machine of random bandwidths, and a model of it in time."""
    case = draw(cases(**options))
    levels = [
        replace(
            level,
            kind="DRAM" if i == case.levels - 1 else "SRAM",
            read_bandwidth=draw(widths),
            write_bandwidth=draw(widths),
            shared_bandwidth=draw(widths),
        )
        for i, level in enumerate(case.architecture.levels)
    ]
    model = TimingModel(
        draw(st.sampled_from((1, 2, 3, None))), draw(latencies), draw(st.sampled_from(("refetch", "overlap")))
    )
    return replace(case, architecture=replace(case.architecture, levels=tuple(levels))), model


def time(case: Case, model: TimingModel | None = None, **options: object):
    return simulate_timing(case.problem, case.architecture, case.mapping, model, **options)


@FEW
@given(
    tiles=st.integers(1, 12),
    each=st.integers(1, 6),
    words=st.integers(1, 9),
    width=st.sampled_from((0.5, 1.0, 4.0)),
    latency=latencies,
    copies=st.integers(1, 3),
)
def test_one_link(tiles: int, each: int, words: int, width: float, latency: float, copies: int) -> None:
    """Weights of `words` words come `tiles` times; each tile is used for words x each cycles."""
    case = make_case(
        products,
        "BMKN",
        block(t={"M": each, "K": words}, bypass="Inputs Outputs", write_bandwidth=width),
        block(t={"N": tiles}, kind="DRAM"),
    )
    arrived = [0.0] * tiles
    used = [0.0] * tiles
    for i in range(tiles):
        asked = used[i - copies] if i >= copies else 0.0
        arrived[i] = max(asked + latency, arrived[i - 1] if i else 0.0) + words / width
        used[i] = max(arrived[i], used[i - 1] if i else 0.0) + words * each
    found = time(case, TimingModel(copies, latency))
    assert found.cycles == pytest.approx(used[-1])
    assert found.fill_cycles == pytest.approx(arrived[0])
    assert found.compute_cycles == tiles * words * each
    waited = sum(max(0.0, arrived[i] - used[i - 1]) for i in range(1, tiles))
    assert sum(stall.cycles for stall in found.stalls) == pytest.approx(waited)


@FEW
@given(
    outer=st.integers(1, 6),
    inner=st.integers(1, 5),
    words=st.integers(1, 4),
    each=st.integers(1, 5),
    near=st.sampled_from((0.5, 1.0, 4.0)),
    far=st.sampled_from((0.5, 1.0, 4.0)),
    latency=latencies,
    copies=st.integers(1, 3),
)
def test_two_links_in_a_row(
    outer: int, inner: int, words: int, each: int, near: float, far: float, latency: float, copies: int
) -> None:
    """A tile of the middle level holds `inner` of the inner one's, and goes when the last has been passed on."""
    case = make_case(
        products,
        "BMKN",
        block(t={"M": each, "K": words}, bypass="Inputs Outputs", write_bandwidth=near),
        block(t={"N": inner}, bypass="Inputs Outputs", write_bandwidth=far),
        block(t={"B": outer}, kind="DRAM"),
    )
    big = [0.0] * outer
    small = [0.0] * (outer * inner)
    used = [0.0] * (outer * inner)
    for i in range(outer * inner):
        tile, first = divmod(i, inner)
        if not first:
            asked = small[(tile - copies + 1) * inner - 1] if tile >= copies else 0.0
            big[tile] = max(asked + latency, big[tile - 1] if tile else 0.0) + words * inner / far
        free = used[i - copies] if i >= copies else 0.0
        small[i] = max(free, big[tile], small[i - 1] if i else 0.0) + words / near
        used[i] = max(small[i], used[i - 1] if i else 0.0) + words * each
    assert time(case, TimingModel(copies, latency)).cycles == pytest.approx(used[-1])


@FEW
@given(
    tiles=st.integers(2, 5),
    rounds=st.integers(1, 4),
    words=st.integers(1, 4),
    each=st.integers(1, 6),
    out=st.sampled_from((0.5, 1.0, 4.0)),
    back=st.sampled_from((0.5, 1.0, 4.0)),
    copies=st.integers(1, 3),
)
def test_sums_that_leave_and_come_back(
    tiles: int, rounds: int, words: int, each: int, out: float, back: float, copies: int
) -> None:
    """The outermost level takes sums at `out` words a cycle and gives them back, all but the first time, at `back`."""
    case = make_case(
        products,
        "BMKN",
        block(t={"K": each, "M": words}, bypass="Inputs Weights"),
        block(t={}, bypass="Outputs"),
        block(t={"N": tiles, "K": rounds}, bypass="Inputs Weights", read_bandwidth=back, write_bandwidth=out),
    )
    count = tiles * rounds
    there, used, gone = ([0.0] * count for _ in range(3))
    for i in range(count):
        free = gone[i - copies] if i >= copies else 0.0
        need = words / back if i >= tiles else 0.0
        there[i] = max(free, there[i - 1] if i else 0.0) + need
        used[i] = max(there[i], used[i - 1] if i else 0.0) + words * each
        gone[i] = max(used[i], gone[i - 1] if i else 0.0) + words / out
    found = time(case, TimingModel(copies, 0.0))
    assert found.cycles == pytest.approx(gone[-1])
    assert found.drain_cycles == pytest.approx(gone[-1] - used[-1])


def test_a_shared_port_serves_the_shorter_period_first() -> None:
    # Tiles of 8 inputs change twice as often as those of 8 weights; both come through one port, 2 words a cycle.
    near = block(t={"K": 8}, bypass="Outputs")
    case = make_case(products, "BMKN", near, block(t={"M": 2, "N": 3}, read_bandwidth=2.0, bypass="Outputs"), block())
    found = time(case, TimingModel(1, 0.0))
    first = {one.name: one.end for one in reversed(found.transfers) if one.name.endswith("> RF")}
    assert first == {"Inputs GLB > RF": 4.0, "Weights GLB > RF": 8.0}
    assert found.fill_cycles == 8.0
    # With two places, the second tile of inputs comes before the first of weights too.
    ends = [(one.name, one.end) for one in time(case, TimingModel(2, 0.0)).transfers if one.name.endswith("> RF")]
    assert ends[:3] == [("Inputs GLB > RF", 4.0), ("Inputs GLB > RF", 8.0), ("Weights GLB > RF", 12.0)]


def test_a_receiver_waits_for_the_words_to_be_sent() -> None:
    # The register file could take 8 words a cycle, but DRAM sends 1, after 5 cycles, and none while nothing is asked.
    near = block(t={"K": 8}, bypass="Inputs Outputs", write_bandwidth=8.0)
    far = block(t={"N": 1}, bypass="Weights")
    case = make_case(
        products, "BMKN", near, far, block(t={"N": 2}, kind="DRAM", read_bandwidth=1.0, bypass="Inputs Outputs")
    )
    found = time(case, TimingModel(2, 5.0))
    column = 2 + found.ports.index("RF write")
    assert np.interp([5.0, 6.0, 9.0, 13.0], found.timeline[:, 0], found.timeline[:, column]).tolist() == [0, 1, 4, 8]


@FEW
@given(timed(families=DENSE))
def test_ports_move_the_words_that_are_counted(drawn: tuple[Case, TimingModel]) -> None:
    case, model = drawn
    found = time(case, model)
    counts = count_accesses(case.problem, case.architecture, case.mapping, CountingRules(model.restart))
    nest = LoopNest.of(case.problem, case.mapping, case.architecture)
    reads, writes = ([sum(row) for row in table] for table in (counts.reads, counts.fills))
    writes = [n + sum(row) for n, row in zip(writes, counts.updates, strict=True)]
    for link in links_of(nest, model.restart):
        if link.read_write:  # sums are read to be passed on, which no count of accesses has
            reads[link.child] += sum(link.drained(i) for i in range(link.transfers))
    moved = dict(zip(found.ports, found.timeline[-1, 2:].tolist(), strict=True))
    for i, level in enumerate(case.architecture.levels):
        for port, words in ((f"{level.name} read", reads[i]), (f"{level.name} write", writes[i])):
            assert moved.get(port, words) == pytest.approx(words)
        assert moved.get(f"{level.name} read and write", reads[i] + writes[i]) == pytest.approx(reads[i] + writes[i])


@FEW
@given(timed(families=DENSE))
def test_no_faster_than_the_analytical_model_and_as_fast_where_nothing_limits(drawn: tuple[Case, TimingModel]) -> None:
    case, model = drawn
    if model.restart == "refetch":
        analytical = evaluate(case.problem, case.architecture, case.mapping).cycles.item()
        assert time(case, model).cycles > analytical - 1 - 1e-9 * analytical  # which rounds cycles up
    free = replace(
        case.architecture,
        levels=tuple(
            replace(level, read_bandwidth=inf, write_bandwidth=inf, shared_bandwidth=inf)
            for level in case.architecture.levels
        ),
    )
    ideal = simulate_timing(case.problem, free, case.mapping, TimingModel(2, 0.0))
    assert ideal.cycles == ideal.compute_cycles == prod(n for row in case.mapping.temporal for n in row)


@FEW
@given(timed(primes=(2, 3, 11, 30)))
def test_turns_that_are_added_up_are_those_that_are_executed(drawn: tuple[Case, TimingModel]) -> None:
    case, model = drawn
    if case.problem.macs > 100_000:
        return
    short, long = time(case, model), time(case, model, repeat=False)
    assert short.events <= long.events
    for name in ("cycles", "compute_cycles", "operand_cycles", "fill_cycles", "drain_cycles"):
        assert getattr(short, name) == pytest.approx(getattr(long, name), abs=1e-5)
    assert short.stall_levels == pytest.approx(long.stall_levels, abs=1e-4)
    np.testing.assert_allclose(short.timeline[-1], long.timeline[-1], rtol=1e-6)
    for one in (short, long):
        parts = (one.compute_cycles, one.operand_cycles, one.fill_cycles, one.drain_cycles, *one.stall_levels.values())
        assert sum(parts) == pytest.approx(one.cycles)
        rates = np.diff(one.timeline, axis=0)
        assert (rates >= -1e-6).all()
        assert (rates[:, 2:] <= rates[:, :1] * np.array(one.bandwidth) + 1e-5).all()


def test_turns_are_added_up_in_long_loops() -> None:
    case = make_case(
        products,
        "BMKN",
        block(t={"K": 2}, bypass="Outputs", write_bandwidth=1.0),
        block(t={"N": 5, "M": 200, "K": 3}, kind="DRAM", read_bandwidth=3.0),
    )
    short, long = time(case), time(case, repeat=False)
    assert short.cycles == pytest.approx(long.cycles)
    assert short.events < long.events / 5
    assert any(one.repeated for one in short.transfers)


def test_one_place_where_there_is_no_room_for_two() -> None:
    def case(capacity: float) -> Case:
        near = block(t={"K": 4}, bypass="Outputs", capacity=capacity, write_bandwidth=2.0)
        return make_case(products, "BMKN", near, block(t={"N": 8, "M": 2}, kind="DRAM"))

    # A tile of 4 weights and 4 inputs is used for 4 cycles; 8 words would come in 4.
    roomy, tight = case(16), case(15)
    assert time(roomy, TimingModel(None)).cycles == time(roomy, TimingModel(2)).cycles
    assert time(tight, TimingModel(None)).cycles == time(tight, TimingModel(1)).cycles
    assert time(tight, TimingModel(1)).cycles > time(tight, TimingModel(2)).cycles
    assert "loads nothing while its only tile is in use" in time(tight, TimingModel(None)).stalls[0].reason


def test_narrow_operand_ports_slow_the_macs() -> None:
    case = make_case(products, "BMKN", block(t={"K": 8, "M": 2}, read_bandwidth=2.0), block(t={"N": 2}))
    # Each step reads a weight, an input and a sum, the first visits of 4 sums in 32 steps aside.
    found = time(case, TimingModel(2, 0.0))
    assert found.compute_cycles + found.operand_cycles == pytest.approx((3 * 32 - 4) / 2)


def test_densities_scale_work_and_words() -> None:
    near = block(t={"K": 8}, bypass="Outputs", write_bandwidth=4.0)
    case = make_case(products, "BMKN", near, block(t={"N": 5, "M": 3}, kind="DRAM"))
    dense, sparse = time(case), time(case, density=Density(activations=0.5, weights=0.25, overlap=0.8))
    assert sparse.compute_cycles == pytest.approx(dense.compute_cycles * 0.5 * 0.25 * 0.8)
    words = {one.name.split()[0]: one.words for one in sparse.transfers}
    assert words == pytest.approx({"Weights": 8 * (0.25 + 1 / 16), "Inputs": 8 * (0.5 + 1 / 16)})
    assert time(case, density=Density()).cycles == dense.cycles
    for bad in (0.0, 1.5, True, "half"):
        with pytest.raises(InvalidInput, match=r"weights of the density is .*; it must be above 0 and at most 1"):
            Density(weights=bad)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"copies": 0}, "copies is 0"),
        ({"dram_latency": -1.0}, "dram_latency is -1.0"),
        ({"dram_latency": inf}, "dram_latency is infinite"),
        ({"restart": "timeloop"}, "restart is 'timeloop'; the timing knows refetch and overlap"),
    ],
)
def test_models_that_cannot_be(options: dict, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        TimingModel(**options)


DEEP = {
    "five places": (
        {"M": 30},
        ({}, {}, {"M": 30}),
        ("BMKN", "BMKN", "BMKN"),
        ((0.5, inf, 0.3), (1.0, inf, inf), (2.0, inf, inf)),
        TimingModel(5, 7.0, "refetch"),
    ),
    "three places": (
        {"M": 12},
        ({}, {"M": 12}, {}),
        ("BMKN", "BMKN", "BMKN"),
        ((inf, 1.0, 0.5), (2.0, 0.5, 0.5), (0.5, 1.0, 1.0)),
        TimingModel(3, 30.5, "overlap"),
    ),
    "first turns": (
        {"M": 30, "K": 2, "N": 8},
        ({"M": 10}, {"K": 2, "N": 8}, {"M": 3}),
        ("NMBK", "BMKN", "BKNM"),
        ((1.0, 1.0, 3.0), (2.0, 0.5, 0.3), (0.3, 2.0, inf)),
        TimingModel(3, 0.0, "overlap"),
    ),
}
"""Bounds; temporal factors, orders, bandwidths (reads, writes, both) a level; places and latency."""


@pytest.mark.parametrize(("bounds", "factors", "orders", "ports", "model"), DEEP.values(), ids=DEEP)
def test_no_turn_is_added_up_that_what_is_loaded_ahead_makes_different(
    bounds: dict, factors: tuple, orders: tuple, ports: tuple, model: TimingModel
) -> None:
    """With many places a level, transfers of a loop's first and last turns are unlike those between."""
    problem = matmul("layer", **{"M": 1, "K": 1, "N": 1} | bounds).problem
    dims, names = problem.dimensions, tuple(f"L{i}" for i in range(len(ports)))
    ones = ((1,) * len(dims),) * len(names)
    mapping = Mapping(
        dims,
        names,
        tuple(tuple(row.get(dim, 1) for dim in dims) for row in factors),
        ones,
        ones,
        tuple(map(tuple, orders)),
        (dims,) * len(names),
        (frozenset(),) * len(names),
    )
    widths = [dict(zip(("read_bandwidth", "write_bandwidth", "shared_bandwidth"), port, strict=True)) for port in ports]
    kinds = ["SRAM"] * (len(names) - 1) + ["DRAM"]
    machine = Architecture(
        tuple(Level(name, kind, **width) for name, kind, width in zip(names, kinds, widths, strict=True))
    )
    short = simulate_timing(problem, machine, mapping, model)
    long = simulate_timing(problem, machine, mapping, model, repeat=False)
    assert short.events <= long.events
    for name in ("cycles", "fill_cycles", "drain_cycles"):
        assert getattr(short, name) == pytest.approx(getattr(long, name), abs=1e-5)
    np.testing.assert_allclose(short.timeline[-1], long.timeline[-1], rtol=1e-6)
