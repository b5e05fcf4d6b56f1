from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco.errors import InvalidInput
from dlco.hardware import (
    EYERISS_NORMALISED,
    TECHNOLOGY_45NM,
    Architecture,
    HardwareSpace,
    Level,
    Machine,
    MemoryCurves,
    Parameter,
    Posynomial,
    Term,
    Tie,
    eyeriss_space,
    gemmini_space,
    generic,
    generic_space,
    simba_space,
    tpu_space,
)
from dlco.hardware.space import as_space

SMALL = Architecture(
    (
        Level(
            "pad",
            "regfile",
            16,
            read_bandwidth=2,
            write_bandwidth=2,
            read_pj=0.5,
            write_pj=0.7,
            update_pj=0.8,
            leak_pj=0.1,
            area_um2=10,
        ),
        Level("buffer", "SRAM", 1024, multiple_buffering=2, fanout_x=4, fanout_y=2, shared_bandwidth=7),
        Level("DRAM", "DRAM", block_size=4, read_pj=100, write_pj=120, update_pj=130),
    ),
    cycle_s=2e-9,
)
PARAMETERS = (
    Parameter("buffer", "fanout_y", (1, 2, 4)),
    Parameter("buffer", "capacity", (512, 1024, 1536)),
    Parameter("buffer", "bandwidth", (1, 2, 8)),
    Parameter("DRAM", "bandwidth", (2, 4, 8)),
)
SPACE = HardwareSpace(SMALL, PARAMETERS, TECHNOLOGY_45NM)
SPACES = [SPACE, eyeriss_space(), simba_space(), gemmini_space(), tpu_space(), generic_space(EYERISS_NORMALISED)]
FIELDS = [field.name for field in fields(Machine)]
name = lambda space: space.base.name  # noqa: E731


def draw_sizes(space: HardwareSpace, data: st.DataObject) -> list[float]:
    return [data.draw(st.sampled_from(p.grid)) for p in space.parameters]


@pytest.mark.parametrize("space", SPACES, ids=name)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_machine_is_the_architecture_on_the_grid(space: HardwareSpace, data: st.DataObject) -> None:
    sizes = draw_sizes(space, data)
    exact = space.architecture(sizes).tensors()
    relaxed = space.machine(torch.tensor(sizes, dtype=torch.float64))
    for field in FIELDS:
        assert torch.equal(getattr(exact, field), getattr(relaxed, field)), field


@pytest.mark.parametrize("space", SPACES, ids=name)
def test_machine_of_a_batch_is_the_machines_of_its_rows(space: HardwareSpace) -> None:
    sizes = space.sample(40, torch.Generator().manual_seed(0)).reshape(8, 5, -1)
    batch = space.machine(sizes)
    levels = len(space.base.levels)
    for field in FIELDS:
        value = getattr(batch, field)
        assert value.shape == ((8, 5) if value.dim() == 2 else (8, 5, levels))
    for i, row in enumerate(sizes.flatten(0, 1)):
        alone = space.machine(row)
        for field in FIELDS:
            torch.testing.assert_close(
                getattr(batch, field).flatten(0, 1)[i], getattr(alone, field), rtol=1e-14, atol=0
            )


@pytest.mark.parametrize("space", SPACES, ids=name)
def test_gradients(space: HardwareSpace) -> None:
    def numbers(logs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        machine = space.machine(logs.exp())
        values = (getattr(machine, field) for field in FIELDS if field != "shared_bandwidth")
        finite = tuple(v[..., :-1] if v.dim() == 2 else v for v in values)  # DRAM has no limit of capacity
        return tuple(v for v in (*finite, machine.read_pj, machine.area_mm2, machine.macs) if v.requires_grad)

    fractions = torch.rand(2, len(space.parameters), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logs = space.low.log() + fractions * (space.high / space.low).log()
    assert torch.autograd.gradcheck(numbers, logs.requires_grad_())


def test_every_number_of_a_resized_level_follows_its_sizes() -> None:
    got = SPACE.architecture([4, 1536, 8, 2])
    cost = TECHNOLOGY_45NM.sram(1536, 16, 8)
    buffer = replace(
        SMALL.level("buffer"),
        capacity=1536.0,
        fanout_y=4,
        block_size=8,
        read_bandwidth=8.0,
        write_bandwidth=8.0,
        read_pj=float(cost.read_pj),
        write_pj=float(cost.write_pj),
        update_pj=float(cost.write_pj),
        leak_pj=float(2 * cost.leak_pj),  # a cycle of 2 ns leaks twice what one of 1 ns does
        area_um2=float(cost.area_um2),
    )
    dram = replace(
        SMALL.level("DRAM"),
        block_size=2,
        read_bandwidth=2.0,
        write_bandwidth=2.0,
        read_pj=50.0,  # the same energy a word
        write_pj=60.0,
        update_pj=65.0,
    )
    assert got == replace(SMALL, levels=(SMALL.levels[0], buffer, dram))
    assert isinstance(got.level("buffer").block_size, int)
    assert got.tensors().capacity[1] == 768


def test_a_free_fanout_leaves_the_costs_alone() -> None:
    space = HardwareSpace(SMALL, (Parameter("buffer", "fanout_x", (2, 4, 8)),), TECHNOLOGY_45NM)
    assert space.architecture([8]) == replace(
        SMALL, levels=(SMALL.levels[0], replace(SMALL.levels[1], fanout_x=8), SMALL.levels[2])
    )


def test_between_grid_points_nothing_is_rounded() -> None:
    machine = SPACE.machine(torch.tensor([1.5, 777.0, 1.25, 3.0], dtype=torch.float64))
    assert machine.capacity[1] == 388.5
    assert machine.macs == 6
    assert machine.block_size.tolist() == [1, 1.25, 3]


def test_dtype_follows_the_sizes() -> None:
    machine = SPACE.machine(SPACE.base_sizes.float())
    assert {getattr(machine, field).dtype for field in FIELDS} == {torch.float32}


def test_size_and_ends() -> None:
    assert SPACE.names == ("buffer.fanout_y", "buffer.capacity", "buffer.bandwidth", "DRAM.bandwidth")
    assert SPACE.size == 81
    assert SPACE.low.tolist() == [1, 512, 1, 2]
    assert SPACE.high.tolist() == [4, 1536, 8, 8]
    assert SPACE.base_sizes.tolist() == [2, 1024, 1, 4]


@pytest.mark.parametrize("space", SPACES, ids=name)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_round_finds_the_nearest_in_logarithm(space: HardwareSpace, data: st.DataObject) -> None:
    sizes = [data.draw(st.floats(p.low / 3, p.high * 3)) for p in space.parameters]
    got = space.round(torch.tensor([sizes], dtype=torch.float64))[0].tolist()
    for p, size, value in zip(space.parameters, sizes, got, strict=True):
        ratios = {g: max(g / size, size / g) for g in p.grid}
        assert value in p.grid
        assert ratios[value] <= min(ratios.values()) * (1 + 1e-12)


@pytest.mark.parametrize("space", SPACES, ids=name)
def test_grid_points_round_to_themselves_and_come_back_from_their_index(space: HardwareSpace) -> None:
    sizes = space.sample(200, torch.Generator().manual_seed(2))
    assert torch.equal(space.round(sizes), sizes)
    assert torch.equal(space.index_to_sizes(space.nearest(sizes)), sizes)


def test_neighbours_are_one_step_away() -> None:
    got = SPACE.neighbours(torch.tensor([0, 1, 2, 1])).tolist()
    assert sorted(got) == sorted([[1, 1, 2, 1], [0, 0, 2, 1], [0, 2, 2, 1], [0, 1, 1, 1], [0, 1, 2, 0], [0, 1, 2, 2]])


def test_samples_are_reproducible_and_reach_every_value() -> None:
    one, two = (SPACE.sample(500, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert [sorted(set(column.tolist())) for column in one.T] == [list(p.grid) for p in PARAMETERS]


@pytest.mark.parametrize(
    ("level", "field", "grid", "message"),
    [
        ("buffer", "depth", (1,), "field of a parameter of 'buffer' is 'depth'; allowed: capacity, fanout_x"),
        ("buffer", "capacity", (), r"grid of buffer.capacity is \(\); it must be a tuple of one or more"),
        ("buffer", "capacity", 4, "grid of buffer.capacity is 4; it must be a tuple"),
        ("buffer", "capacity", (4, 2), r"grid of buffer.capacity is \(4, 2\); its values must be distinct and asc"),
        ("buffer", "capacity", (4, 4), "must be distinct and ascending"),
        ("buffer", "fanout_x", (1.5,), "grid of buffer.fanout_x holds 1.5; its values must be whole numbers of at"),
        ("buffer", "capacity", (-4, 4), "grid of buffer.capacity holds -4"),
        ("buffer", "capacity", (4, torch.inf), "grid of buffer.capacity holds inf"),
        ("buffer", "capacity", (float("nan"),), "grid of buffer.capacity holds nan"),
        ("buffer", "capacity", ("4",), "grid of buffer.capacity holds '4'"),
    ],
)
def test_bad_parameters(level: str, field: str, grid: tuple[float, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Parameter(level, field, grid)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((Parameter("cache", "capacity", (8,)),), "level is 'cache'; 'system' has pad, buffer, DRAM"),
        ((PARAMETERS[0], PARAMETERS[0]), "parameters holds buffer.fanout_y twice"),
        ((Parameter("DRAM", "capacity", (8,)),), "kind of 'DRAM' is 'DRAM'; a free capacity is allowed for: regfile"),
        ((Parameter("buffer", "capacity", (8, 9)),), "holds 9; .* multiples of the level's multiple_buffering of 2"),
        ((Parameter("pad", "bandwidth", (1, 32)),), "block_size of 'pad' reaches 32 words; .* capacity, 16 words"),
        (
            (Parameter("buffer", "bandwidth", (1, 8)), Parameter("buffer", "capacity", (4, 8))),
            "block_size of 'buffer' reaches 8 words; it must not exceed the smallest capacity, 4 words",
        ),
    ],
)
def test_bad_spaces(parameters: tuple[Parameter, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        HardwareSpace(SMALL, parameters, TECHNOLOGY_45NM)


def test_a_bandwidth_needs_a_finite_capacity() -> None:
    base = Architecture((Level("buffer"),))
    with pytest.raises(InvalidInput, match="capacity of 'buffer' is infinite; it must be finite"):
        HardwareSpace(base, (Parameter("buffer", "bandwidth", (1, 2)),), TECHNOLOGY_45NM)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([2, 1024, 1], r"sizes has shape \(3,\); its last dimension must be the 4 parameters buffer.fanout_y,"),
        ([[2, 1024, 1, 2]], r"sizes has shape \(1, 4\); it must be \[4\]"),
        ([2, 1000, 1, 2], "size of buffer.capacity is 1000; allowed: 512, 1024, 1536"),
        ([float("nan"), 1024, 1, 2], "size of buffer.fanout_y is nan; allowed: 1, 2, 4"),
    ],
)
def test_bad_sizes(sizes: list[float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        SPACE.architecture(sizes)


def test_bad_index() -> None:
    with pytest.raises(InvalidInput, match=r"index is \[0, 3, 0, 0\]; each position"):
        SPACE.index_to_sizes(torch.tensor([0, 3, 0, 0]))
    with pytest.raises(InvalidInput, match="sizes has shape"):
        SPACE.machine(torch.tensor(1.0))


def test_a_space_of_the_generic_machine_with_other_costs() -> None:
    machine = generic(EYERISS_NORMALISED)
    assert [level.read_pj / level.block_size for level in machine.levels] == [1, 6, 200]
    assert machine.mac_pj == 1


# One size for a square array whose ports follow it: sizes are (side, words).
SIDE = Parameter(
    "buffer",
    "fanout_x",
    (2, 4, 8),
    also=(
        Tie("buffer", "fanout_y"),
        Tie("buffer", "shared_bandwidth", 2.0),
        Tie("buffer", "read_bandwidth", 1.5),
        Tie("pad", "capacity", 4.0),
        Tie("DRAM", "bandwidth", 2.0),
    ),
)
LINEAR = MemoryCurves(  # 0.49 + 0.025 pJ a KiB, 13,840 + 2,600 um2 a KiB, whatever the width; writes 1 pJ a word
    read_pj=Posynomial((Term(0.49, 0.0), Term(0.025, 1.0))).rescaled(size=1 / 8192),
    write_pj=Posynomial((Term(1.0, 0.0, 1.0),)).rescaled(width=1 / 16),
    leak_pj=Posynomial(()),
    area_um2=Posynomial((Term(13840.0, 0.0), Term(2600.0, 1.0))).rescaled(size=1 / 8192),
    in_bits=True,
)
TIED = HardwareSpace(
    SMALL, (SIDE, Parameter("buffer", "capacity", (512, 2048))), TECHNOLOGY_45NM, curves=[("buffer", LINEAR)]
)


@pytest.mark.parametrize(("side", "words"), [(2, 512), (8, 2048)])
def test_tied_sizes_follow_and_change_nothing_else(side: int, words: int) -> None:
    got = TIED.architecture([side, words])
    pad = TECHNOLOGY_45NM.regfile(4 * side)
    buffer = got.level("buffer")
    assert (buffer.fanout_x, buffer.fanout_y, got.macs) == (side, side, side**2)
    assert (buffer.shared_bandwidth, buffer.read_bandwidth) == (2 * side, 1.5 * side)
    assert (buffer.write_bandwidth, buffer.block_size) == (torch.inf, 1)  # ports alone change no access
    kib = words * 16 / 8192
    assert buffer.read_pj == pytest.approx(0.49 + 0.025 * kib, rel=1e-12)
    assert buffer.write_pj == buffer.update_pj == pytest.approx(1.0, rel=1e-12)
    assert buffer.area_um2 == pytest.approx(13840 + 2600 * kib, rel=1e-12)
    assert buffer.leak_pj == 0
    assert got.level("pad").capacity == 4 * side
    assert got.level("pad").read_pj == float(pad.read_pj)
    assert got.level("DRAM").block_size == 2 * side
    assert got.level("DRAM").read_pj == 100 / 4 * 2 * side
    area = 13840 + 2600 * kib + side**2 * float(pad.area_um2)
    assert got.area_mm2 == pytest.approx(area * 1e-6, rel=1e-12)


def test_a_tied_space_is_a_space_like_any_other() -> None:
    assert TIED.names == ("buffer.fanout_x", "buffer.capacity")
    assert TIED.size == 6
    assert TIED.base_sizes.tolist() == [4, 1024]
    assert TIED.driven["pad"] == {"capacity": (0, 4.0)}
    assert TIED.driven["buffer"]["fanout_y"] == (0, 1.0)
    assert TIED.neighbours(torch.tensor([0, 0])).tolist() == [[1, 0], [0, 1]]
    for sizes in TIED.index_to_sizes(torch.cartesian_prod(torch.arange(3), torch.arange(2))):
        exact, relaxed = TIED.architecture(sizes).tensors(), TIED.machine(sizes)
        for field in FIELDS:
            torch.testing.assert_close(getattr(exact, field), getattr(relaxed, field), rtol=1e-14, atol=0)
    assert TIED.architecture([4, 512]) == replace(TIED, base=TIED.architecture([8, 2048])).architecture([4, 512])


def test_gradients_reach_a_size_through_its_ties() -> None:
    side = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    machine = TIED.machine(torch.stack([side, torch.tensor(512.0, dtype=torch.float64)]))
    (slope,) = torch.autograd.grad(machine.macs + machine.shared_bandwidth[1] + machine.capacity[0], side)
    assert slope.item() == pytest.approx(2 * 4 + 2 + 4)


def test_a_capacity_may_follow_a_size_with_curves_of_its_own() -> None:
    tied = Parameter("buffer", "fanout_y", (1, 2), also=(Tie("buffer", "capacity", 256.0),))
    space = HardwareSpace(SMALL, (tied,), EYERISS_NORMALISED, curves=(("buffer", LINEAR),))
    assert space.architecture([2]).level("buffer").capacity == 512
    assert space.machine(torch.tensor([2.0])).capacity[1] == 256  # two tiles at once
    assert space.architecture([2]).level("buffer").read_pj == pytest.approx(0.49 + 0.025 * 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tie("buffer", "depth"), "field of a tie to 'buffer' is 'depth'; allowed: capacity, fanout_x"),
        (lambda: Tie("buffer", "fanout_x", 0), "scale of the tie to buffer.fanout_x is 0; it must be a number above"),
        (lambda: Tie("buffer", "fanout_x", torch.inf), "scale of the tie to buffer.fanout_x is infinite"),
        (lambda: Parameter("a", "fanout_x", (2,), also=("b",)), "also of a.fanout_x holds 'b'; it must hold ties"),
        (
            lambda: Parameter("a", "fanout_x", (2, 3), also=(Tie("b", "capacity", 0.5),)),
            "scale of the tie of b.capacity to a.fanout_x is 0.5, which makes 3 1.5; it must make whole numbers",
        ),
    ],
)
def test_bad_ties(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make()


def tied(*ties: Tie) -> tuple[Parameter, ...]:
    return (Parameter("buffer", "fanout_x", (2, 4), also=ties),)


@pytest.mark.parametrize(
    ("parameters", "curves", "message"),
    [
        (tied(Tie("cache", "fanout_y")), (), "level is 'cache'"),
        (tied(Tie("buffer", "fanout_x", 2)), (), "parameters holds buffer.fanout_x twice; each size may be decided"),
        ((*tied(Tie("buffer", "fanout_y")), PARAMETERS[0]), (), "parameters holds buffer.fanout_y twice"),
        (
            tied(Tie("buffer", "bandwidth"), Tie("buffer", "write_bandwidth")),
            (),
            "parameters holds buffer.write_bandwidth twice",
        ),
        (tied(Tie("DRAM", "capacity")), (), "kind of 'DRAM' is 'DRAM'; a free capacity is allowed for: regfile"),
        (tied(Tie("buffer", "capacity", 9)), (), None),
        (
            (Parameter("buffer", "fanout_x", (3, 4), also=(Tie("buffer", "capacity", 9),)),),
            (),
            "grid of buffer.fanout_x holds 3; its values must be multiples of the level's multiple_buffering of 2",
        ),
        (tied(Tie("pad", "bandwidth", 8.0)), (), "block_size of 'pad' reaches 32 words; .* capacity, 16 words"),
        (tied(), (("buffer", LINEAR),), "curves name 'buffer'; only a regfile or SRAM whose capacity or bandwidth"),
        (tied(Tie("pad", "capacity")), (("pad", LINEAR), ("pad", LINEAR)), "curves name 'pad' twice"),
        (tied(), (("cache", LINEAR),), "level is 'cache'"),
        (tied(Tie("DRAM", "bandwidth")), (("DRAM", LINEAR),), "curves name 'DRAM'; only a regfile or SRAM"),
    ],
)
def test_bad_tied_spaces(parameters: tuple[Parameter, ...], curves: tuple, message: str | None) -> None:
    if message is None:
        HardwareSpace(SMALL, parameters, TECHNOLOGY_45NM, curves)
        return
    with pytest.raises(InvalidInput, match=message):
        HardwareSpace(SMALL, parameters, TECHNOLOGY_45NM, curves)


def test_a_fixed_machine_is_a_space_without_parameters():
    machine = generic()
    space = as_space(machine)
    assert space.is_fixed
    assert space.size == 1
    assert space.architecture_at(torch.zeros(0, dtype=torch.long)) == machine
    many = space.machines_at(torch.zeros(3, 0, dtype=torch.long))
    one = machine.tensors()
    assert torch.equal(many.read_pj, one.read_pj.expand(3, -1))
    assert torch.equal(many.area_mm2, one.area_mm2.expand(3))
    assert as_space(space) is space
    with pytest.raises(InvalidInput, match="hardware is 3; it must be an Architecture or a HardwareSpace"):
        as_space(3)
