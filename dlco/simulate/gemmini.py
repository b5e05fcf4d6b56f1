"""When a mapping runs on Gemmini's RTL: what its loop unrollers, its DMA and the L2 behind it add to the cost model.

The cost model sees one rate a port and everything overlapped. Gemmini's hardware (weight stationary, driven by its own
library) is coarser than that, tile by tile of the loops at DRAM:

* The library asks for a tile at a time, and its hardware unrollers load the whole tile anew: what the last tile left
  in the scratchpad is not kept (it may be in the L2). A tile is loaded, computed, stored in this order; sums leave as
  `scratchpad` words (8 bits), and only when their reduction is done.
* Computing: the weights of one block (side x side) are preloaded, and pixels flow past them, at most `side` of a row of
  outputs (dimension P) an operation. A preload takes `side` cycles, which the block's first operation can hide; an
  operation takes a cycle a pixel, and no less than `operation_cycles` to be issued.
* Loading: a request moves at most a line of `line_bytes`, `bus_bytes` a cycle. A line that the L2 does not hold costs
  `miss_cycles` more, and `memory_cycles` again where the last-level cache before DRAM does not hold it either. Which
  lines a cache holds follows from the loops at DRAM: what is used again after no more was touched than fits.
  Rows that lie a power of two apart share few of its sets, and have so much less room.
* Storing: sums leave in pieces of `side` words (of a line in matrix products), `miss_cycles` each; in layers with less
  than `bus_bytes` of outputs a pixel each piece makes the L2 read a line and write it back.
* Loading, computing and storing of different tiles overlap but for a share `exposed` of the two shorter ones.

Sources: github.com/ucb-bar/gemmini, LoopConv.scala and LoopMatmul.scala (what is unrolled, in which order, that a tile
is not reused), GemminiConfigs.scala (`dma_maxbytes` 64, `dma_buswidth` 128 bits), gemmini-rocc-tests' `tiled_conv` and
`tiled_matmul` (which tiles are asked for), Chipyard (L2 of 512 KiB in 8 ways), FireSim (DDR3 behind a last-level cache
of 4 MiB in 8 ways). The four constants that none of these gives are fitted to RTL cycles: see `GemminiTiming`.
"""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from math import ceil, gcd, prod

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.checks import check_number
from dlco.mapping.checks import check_mapping
from dlco.mapping.mapping import Mapping
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem, check_positive_int

RELEVANT = {"Weights": frozenset("MCRS"), "Inputs": frozenset("NCPQRS"), "Outputs": frozenset("NMPQ")}
"""By dataspace, the dimensions that index it."""
LOADED = {"Weights": "M", "Inputs": "C"}
"""By dataspace that a tile loads, the dimension that lies contiguously."""
CONVOLUTION = frozenset("NCMPQRS")


@dataclass(frozen=True)
class GemminiTiming:
    """What the architecture does not say of a Gemmini in its system.

    Attributes:
        bus_bytes: moved a cycle; `line_bytes`: the most of a request, and a cache's line.
        l2_bytes, cache_bytes: of the L2, and of the last-level cache before DRAM; `ways`: of both.
        warm: whether what fits in the last-level cache is there at the start, the layer having run before.
        operation_cycles: to issue an operation (its preload and its compute command), at least.
        miss_cycles: of a line from beyond the L2, and of a piece of sums that is written.
        memory_cycles: of a line from DRAM, beyond those.
        exposed: share of the shorter stages of a tile that the longest does not hide.

    The first six are documented defaults; the RTL points were measured warm (after Gemmini's own tiling of the layer).
    The last four are fitted to the 150 points of `benchmarks/silicon.py`, which has their errors.
    """

    bus_bytes: int = 16
    line_bytes: int = 64
    l2_bytes: int = 512 * 1024
    cache_bytes: int = 4 * 1024 * 1024
    ways: int = 8
    warm: bool = True
    operation_cycles: float = 7.0
    miss_cycles: float = 4.2
    memory_cycles: float = 8.1
    exposed: float = 0.19

    def __post_init__(self) -> None:
        for name in ("bus_bytes", "line_bytes", "l2_bytes", "cache_bytes", "ways"):
            check_positive_int(name, getattr(self, name))
        for name in ("operation_cycles", "miss_cycles", "memory_cycles", "exposed"):
            check_number(name, getattr(self, name))
        if self.exposed > 1:
            raise InvalidInput(f"exposed is {self.exposed!r}; it must be at most 1")


@dataclass(frozen=True)
class GemminiTime:
    """Cycles of one execution on Gemmini's RTL.

    Attributes:
        cycles: of all of it.
        tiles: that the loops at DRAM make.
        load_cycles, compute_cycles, store_cycles: of one tile by itself (means over the tiles).
        tile_cycles: from one tile to the next.
    """

    cycles: float
    tiles: int
    load_cycles: float
    compute_cycles: float
    store_cycles: float
    tile_cycles: float


def simulate_gemmini(
    layer: Layer | Problem, architecture: Architecture, mapping: Mapping, model: GemminiTiming | None = None
) -> GemminiTime:
    """Cycles that a mapping takes on Gemmini's RTL, weight stationary.

    Only the loops at DRAM and the sizes of the tile under them count: within a tile Gemmini's unrollers have an order
    of their own. Dimension P runs along a row of pixels.

    Args:
        layer: a convolution without groups or dilation; with Q, R and S of 1 it runs as a matrix product, as
            Gemmini's library runs it.
        architecture: a weight-stationary Gemmini: registers, accumulator, scratchpad, DRAM.
        mapping: that fits them; its factors may be imperfect (tiles then count as whole ones).
        model: what else to know of the machine.

    Raises:
        InvalidInput: the layer is no such convolution, or the architecture no such Gemmini.
        InvalidMapping: the mapping does not fit.

    Examples:
        >>> layer = dlco.conv2d("conv", C=64, M=64, P=56, Q=56, R=3, S=3)
        >>> machine = dlco.hardware.gemmini_like()
        >>> ones = [dict.fromkeys("CMRSNPQ", 1) for _ in machine.levels]
        >>> slots = {"T": [dict(row) for row in ones], "X": [dict(row) for row in ones], "Y": ones}
        >>> slots["T"][1] |= {"P": 14, "Q": 28, "R": 3, "S": 3, "C": 4}
        >>> slots["T"][3] |= {"P": 4, "Q": 2, "M": 4}
        >>> slots["X"][2]["M"], slots["Y"][1]["C"] = 16, 16
        >>> order = (("P", "Q", "S", "R", "C", "M", "N"),) * 4
        >>> factors = [tuple(tuple(row[d] for d in "CMRSNPQ") for row in slots[axis]) for axis in "TXY"]
        >>> names = tuple(level.name for level in machine.levels)
        >>> mapping = dlco.Mapping(tuple("CMRSNPQ"), names, *factors, order, order, (frozenset(),) * 4)
        >>> time = dlco.simulate.simulate_gemmini(layer, machine, mapping)
        >>> time.tiles, int(dlco.evaluate(layer, machine, mapping).cycles) < time.cycles
        (32, True)
    """
    problem = layer.problem if isinstance(layer, Layer) else layer
    check_mapping(problem, architecture, mapping)
    return _Run(problem, architecture, mapping, model or GemminiTiming()).time()


class _Run:
    """One mapping's tiles, in words of one byte or more."""

    def __init__(self, problem: Problem, architecture: Architecture, mapping: Mapping, model: GemminiTiming) -> None:
        self.model, self.bounds = model, problem.sizes
        self.side, self.word = _machine(architecture)
        self.stride = _strides(problem)
        self.product = all(self.bounds[dim] == 1 for dim in "QRS")
        *inside, memory = mapping.factors
        self.tile = {
            dim: prod(slots[axis][d] for slots in inside for axis in range(3))
            for d, dim in enumerate(problem.dimensions)
        }
        temporal = dict(zip(problem.dimensions, memory[0], strict=True))
        self.loops = [(dim, temporal[dim]) for dim in mapping.order[-1] if temporal[dim] > 1]  # innermost first
        self.tiles = prod(bound for _, bound in self.loops)

    def time(self) -> GemminiTime:
        load, compute, store = self.load(), self.compute(), self.store()
        longest, together = max(load, compute, store), load + compute + store
        step = longest + self.model.exposed * (together - longest)
        return GemminiTime(together + (self.tiles - 1) * step, self.tiles, load, compute, store, step)

    def compute(self) -> float:
        """Cycles to compute a tile: for each block of weights, the pixels of its operations, or their commands."""
        tile, side = self.tile, self.side
        blocks = ceil(tile["M"] / side) * ceil(tile["C"] / side) * tile["R"] * tile["S"]
        rows = tile["N"] * tile["Q"]
        preload = max(0, side - tile["P"])  # what the first operation does not hide
        pixels = preload + rows * tile["P"]
        return blocks * max(pixels, self.model.operation_cycles * rows * ceil(tile["P"] / side))

    def load(self) -> float:
        """Cycles to load a tile, on average: its words over the bus, and the lines that the caches do not hold."""
        model = self.model
        beats = sum(
            self._rows(space, self.tile) * self._pieces(channels, model.bus_bytes) for space, channels in LOADED.items()
        )
        missed = self.missed_lines(model.l2_bytes) * model.miss_cycles
        everything = sum(self._lines(space, self.bounds) for space in RELEVANT)
        if not model.warm or everything * model.line_bytes > model.cache_bytes:
            missed += self.missed_lines(model.cache_bytes) * model.memory_cycles
        return beats + missed / self.tiles

    def store(self) -> float:
        """Cycles to store a tile's sums, on average over the tiles (those of an unfinished reduction stay)."""
        model = self.model
        width = model.line_bytes if self.product else self.side * self.word
        pieces = self._rows("Outputs", self.tile) * self._pieces("M", width)
        each = model.miss_cycles
        if self.bounds["M"] * self.word < model.bus_bytes:
            each = 2 * (model.line_bytes / model.bus_bytes + model.miss_cycles)
        return pieces * each / prod(bound for dim, bound in self.loops if dim in "CRS")

    def _pieces(self, channels: str, width: int) -> int:
        """Pieces of so many bytes in a row of a tile's channels."""
        return ceil(self.tile[channels] * self.word / width)

    def _rows(self, space: str, extents: Dict[str, int]) -> int:
        """Rows of contiguous channels in a tile of these extents. Padding (to outputs of the image's size) is none."""
        if space == "Weights":
            return extents["C"] * extents["R"] * extents["S"]
        if space == "Outputs":
            return extents["N"] * extents["P"] * extents["Q"]
        sides = [
            min((extents[out] - 1) * step + extents[tap], max(self.bounds[out] * step, self.bounds[tap]))
            for (out, tap), step in self.stride.items()
        ]
        return extents["N"] * prod(sides)

    def _lines(self, space: str, extents: Dict[str, int]) -> float:
        """Lines of a cache that a tile of these extents touches, on average over where its rows begin."""
        line = self.model.line_bytes
        width, step = self._row(space, extents)
        rows = self._rows(space, extents)
        if width == step or step <= line:
            return ceil(rows * step / line)
        if width % line == step % line == 0:
            return rows * width / line
        return rows * (width + line - gcd(width, step, line)) / line

    def _row(self, space: str, extents: Dict[str, int]) -> tuple[int, int]:
        """Contiguous bytes of a tile's row, and how far apart rows lie."""
        channels = LOADED.get(space, "M")
        return extents[channels] * self.word, self.bounds[channels] * self.word

    def _crowding(self, space: str, extents: Dict[str, int], sets: int) -> float:
        """How many times fewer of a cache's sets a tile's lines lie in than as many contiguous ones would."""
        line = self.model.line_bytes
        width, step = self._row(space, extents)
        if width == step or step % line:
            return 1.0
        return max(1.0, gcd(step // line, sets) / ceil(width / line))

    def missed_lines(self, cache_bytes: int) -> float:
        """Lines of weights and inputs that a cache of so many bytes lacks when they are asked for, over all tiles.

        From the innermost loop outwards: what a loop's turns use again is still there where one turn leaves room for
        it; then the loop brings each of its lines once, else every turn anew.
        """
        line, extents = self.model.line_bytes, dict(self.tile)
        sets = max(1, cache_bytes // line // self.model.ways)
        touched = {space: self._lines(space, extents) for space in RELEVANT}
        missed = dict(touched)
        for dim, bound in self.loops:
            total = sum(touched.values())
            crowding = {space: self._crowding(space, extents, sets) for space in RELEVANT}
            room = {space: cache_bytes / line - total - touched[space] * (crowding[space] - 1) for space in RELEVANT}
            extents[dim] = min(extents[dim] * bound, self.bounds[dim])
            touched = {space: self._lines(space, extents) for space in RELEVANT}
            for space, dims in RELEVANT.items():
                anew = bound * missed[space]
                once = min(touched[space], anew) if dim in dims else missed[space]
                missed[space] = once if room[space] >= 0 else anew
        return sum(missed[space] for space in LOADED)


def _machine(architecture: Architecture) -> tuple[int, int]:
    """Side of the array, and bytes of a word in the scratchpad."""
    name, levels = architecture.name, architecture.levels
    kept = [frozenset(RELEVANT) - level.bypass for level in levels[:3]]
    wanted = [frozenset({"Weights"}), frozenset({"Outputs"}), frozenset({"Weights", "Inputs"})]
    if len(levels) != 4 or kept != wanted:
        raise InvalidInput(
            f"architecture {name!r} is no weight-stationary Gemmini; its levels must be registers for Weights, an "
            "accumulator for Outputs, a scratchpad for Weights and Inputs, and DRAM"
        )
    columns, rows = (prod(getattr(level, axis) for level in levels) for axis in ("fanout_x", "fanout_y"))
    if columns != rows:
        raise InvalidInput(f"array of {name!r} has {rows} rows and {columns} columns; it must be square")
    bits = levels[2].word_bits
    if bits % 8:
        raise InvalidInput(f"word_bits of level {levels[2].name!r} is {bits}; it must be whole bytes")
    return columns, bits // 8


def _strides(problem: Problem) -> dict[tuple[str, str], int]:
    """Stride along (P, R) and (Q, S)."""
    if frozenset(problem.dimensions) != CONVOLUTION:
        raise InvalidInput(f"problem has dimensions {', '.join(problem.dimensions)}; Gemmini runs N C M P Q R S")
    found = {}
    for rank in problem.dataspace("Inputs").projection:
        terms = dict(rank)
        for out, tap in (("P", "R"), ("Q", "S")):
            if terms.keys() == {out, tap} and terms[tap] == 1:
                found[out, tap] = terms[out]
    if len(found) != 2:
        raise InvalidInput("problem is no convolution of dilation 1, which Gemmini runs")
    return found
