"""Mappings written in a line or two, and small random layers on small random machines for property tests."""

from collections.abc import Callable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from math import prod

from hypothesis import strategies as st

from dlco import workload
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.mapping import Mapping
from dlco.workload import Dataspace, Problem

SPACES = ("Weights", "Inputs", "Outputs")
Sizes = dict[str, int]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """A mapping and what it runs."""

    problem: Problem
    architecture: Architecture
    mapping: Mapping

    @property
    def levels(self) -> int:
        """Number of storage levels."""
        return len(self.mapping.levels)


@dataclass(frozen=True)
class Block:
    """The loops of one level, as {dimension: bound} with the innermost loop first.

    Attributes:
        t: temporal loops; `x` and `y`: spatial ones.
        bypass: dataspaces that the level does not keep.
        hardware: fields of the `Level`, such as its bandwidths; fan-outs are as large as needed unless given.
    """

    t: Sizes
    x: Sizes
    y: Sizes
    bypass: frozenset[str]
    hardware: Table[str, object]


def block(
    t: Sizes | None = None, x: Sizes | None = None, y: Sizes | None = None, bypass: str = "", **hardware: object
) -> Block:
    """A `Block`; `bypass` holds names separated by blanks."""
    return Block(t or {}, x or {}, y or {}, frozenset(bypass.split()), hardware)


def make_case(problem_of: Callable[[Sizes], Problem], dimensions: str, *blocks: Block, **machine: float) -> Case:
    """The mapping of these blocks, innermost level first, on a machine of levels RF, GLB, DRAM or L0, L1, ...

    Args:
        problem_of: the problem of these bounds.
        dimensions: names of one letter; bounds are what the loops multiply to.
        blocks: the levels.
        machine: fields of the `Architecture`.
    """
    names = {2: ("RF", "DRAM"), 3: ("RF", "GLB", "DRAM")}.get(len(blocks)) or tuple(f"L{i}" for i in range(len(blocks)))
    sizes = {d: prod(slot.get(d, 1) for b in blocks for slot in (b.t, b.x, b.y)) for d in dimensions}
    problem = problem_of(sizes)

    def table(slot: str) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(getattr(b, slot).get(d, 1) for d in problem.dimensions) for b in blocks)

    def ordered(*slots: Sizes) -> tuple[str, ...]:
        return tuple(dict.fromkeys([d for slot in slots for d in slot] + list(problem.dimensions)))

    def level(name: str, b: Block) -> Level:
        fanout = {"fanout_x": prod(b.x.values()), "fanout_y": prod(b.y.values())}
        return Level(name, **(fanout | dict(b.hardware)))

    mapping = Mapping(
        dimensions=problem.dimensions,
        levels=names,
        temporal=table("t"),
        spatial_x=table("x"),
        spatial_y=table("y"),
        order=tuple(ordered(b.t) for b in blocks),
        spatial_order=tuple(ordered(b.x, b.y) for b in blocks),
        bypass=tuple(b.bypass for b in blocks),
    )
    levels = tuple(level(name, b) for name, b in zip(names, blocks, strict=True))
    return Case(problem, Architecture(levels, **machine), mapping)


def conv(stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Callable[[Sizes], Problem]:
    """A 2-D convolution over C M R S N P Q; dimensions that are not given have bound 1."""

    def problem(sizes: Sizes) -> Problem:
        full = dict.fromkeys("CMRSNPQ", 1) | sizes
        return workload.conv2d("layer", **full, stride=stride, dilation=dilation).problem

    return problem


def grouped(stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Callable[[Sizes], Problem]:
    """A convolution of two groups or more over G C M R S N P Q."""

    def problem(sizes: Sizes) -> Problem:
        groups = sizes["G"]
        rest = {d: n for d, n in sizes.items() if d not in "GCM"}
        channels = {"C": sizes["C"] * groups, "M": sizes["M"] * groups}
        return workload.conv2d("layer", **channels, **rest, groups=groups, stride=stride, dilation=dilation).problem

    return problem


def skewed(stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Callable[[Sizes], Problem]:
    """No layer of any network: three dimensions share one rank, and the result has a gap between its rows."""

    def problem(sizes: Sizes) -> Problem:
        window = (("P", stride[0]), ("R", dilation[0]), ("T", dilation[1]))
        spaces = (
            Dataspace("Weights", ((("C", 1),), (("R", 1),), (("T", 1),))),
            Dataspace("Inputs", ((("C", 1),), window)),
            Dataspace("Outputs", ((("M", 1),), (("P", stride[1]),)), read_write=True),
        )
        return Problem(tuple(sizes), tuple(sizes.values()), spaces)

    return problem


def plain(constructor: Callable[..., workload.Layer]) -> Callable[[Pair, Pair], Callable[[Sizes], Problem]]:
    """Problems from one of dlco's constructors, one stride and one dilation for every axis."""

    def family(stride: Pair, dilation: Pair) -> Callable[[Sizes], Problem]:
        return lambda sizes: constructor("layer", **sizes, stride=stride[0], dilation=dilation[0]).problem

    return family


def products(stride: Pair, dilation: Pair) -> Callable[[Sizes], Problem]:
    """Batched matrix products: they have no windows."""
    return lambda sizes: workload.matmul("layer", **sizes).problem


FAMILIES: dict[str, tuple[str, Callable[[Pair, Pair], Callable[[Sizes], Problem]]]] = {
    "conv": ("CMRSNPQ", conv),
    "depthwise": ("CRSNPQ", plain(workload.depthwise_conv2d)),
    "grouped": ("GCMRSNPQ", grouped),
    "matmul": ("BMKN", products),
    "conv1d": ("CMRNP", plain(workload.conv1d)),
    "conv3d": ("CMTRSNDPQ", plain(workload.conv3d)),
    "transposed": ("CMRSNHW", plain(workload.transposed_conv2d)),
    "skewed": ("CMPRT", skewed),
}
DENSE = ("conv", "depthwise", "grouped", "matmul", "conv1d", "conv3d")
"""Families whose result has one dimension a rank: its tiles have neither gaps nor overlaps."""
WINDOWED = "RSPQHWTD"


@st.composite
def cases(
    draw: st.DrawFn,
    families: tuple[str, ...] = tuple(FAMILIES),
    primes: tuple[int, ...] = (2, 3),
    steps: tuple[int, ...] = (1, 1, 2, 3),
    bypass: bool = True,
    spatial: bool = False,
) -> Case:
    """A layer of some hundred MACs, split at random over two to four levels that are large enough for it.

    Args:
        families: kinds of layers, of `FAMILIES`.
        primes: what loop bounds multiply from.
        steps: strides and dilations.
        bypass: whether levels may bypass dataspaces.
        spatial: whether most loops lie over children.
    """
    name = draw(st.sampled_from(families))
    dims, family = FAMILIES[name]
    pair = st.tuples(st.sampled_from(steps), st.sampled_from(steps))
    count = draw(st.integers(2, 4))
    favoured = dims + 2 * "".join(d for d in dims if d in WINDOWED)  # windows are where the difficulty lies
    loop = st.tuples(
        st.sampled_from(favoured),
        st.integers(0, count - 1),
        st.sampled_from("txxyy" if spatial else "tttxy"),
        st.sampled_from(primes),
    )
    slots: list[dict[str, Sizes]] = [{"t": {}, "x": {}, "y": {}} for _ in range(count)]
    for dim, level, slot, prime in draw(st.lists(loop, min_size=5, max_size=8)):
        sizes = slots[level][slot]
        sizes[dim] = sizes.get(dim, 1) * prime
    subsets = st.lists(st.sampled_from(SPACES), unique=True) if bypass else st.just([])
    skipped = [draw(subsets) for _ in range(count)]
    for space in SPACES:
        if all(space in names for names in skipped):
            skipped[draw(st.integers(0, count - 1))].remove(space)
    blocks = []
    for level, names in zip(slots, skipped, strict=True):
        for slot, sizes in level.items():
            level[slot] = {d: sizes[d] for d in draw(st.permutations(sorted(sizes)))}
        blocks.append(block(**level, bypass=" ".join(names)))
    return make_case(family(draw(pair), draw(pair)), dims, *blocks)
