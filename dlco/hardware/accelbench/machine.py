"""`AccelBench`: one accelerator of its design space, what it costs, and the same machine as an `Architecture`."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from math import inf, sqrt

import torch

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.cycles import is_product, lane_cycles
from dlco.hardware.accelbench.figures import (
    ACTIVATIONS,
    NUMBERS,
    figures,
    lane_module,
    mac_lane,
    memories,
    options,
    parts,
    pe_module,
)
from dlco.hardware.architecture import Architecture, Level
from dlco.workload.layer import Layer

AREA, POWER, LEAKAGE = 0, 1, 2  # columns of a module's figures
FIFOS = 2  # a MAC: one for its activation, one for its weight
IM2COL = 2.0  # times that a convolution is charged this module


def area_mm2(vectors: torch.Tensor, activation: str = "ReLU") -> torch.Tensor:
    """Areas, mm2, `[...]` of vectors `[..., 13]`: modules at 14 nm, and buffers in proportion to their MB (CACTI).

    Raises:
        InvalidInput: the last dimension is not 13, or an unknown activation.
    """
    return _modules(vectors, activation, AREA, 1.0) * 1e-6 + _buffers(vectors, "area_mm2")


def leakage_w(vectors: torch.Tensor, activation: str = "ReLU") -> torch.Tensor:
    """Leakage of modules and buffers, W, `[...]` of vectors `[..., 13]`; the main memory has none.

    Raises:
        InvalidInput: the last dimension is not 13, or an unknown activation.
    """
    return (_modules(vectors, activation, LEAKAGE, 1.0) + _buffers(vectors, "leakage_mw")) * 1e-3


def lane_power_w(vectors: torch.Tensor, activation: str = "ReLU", *, im2col: float = IM2COL) -> torch.Tensor:
    """W that a convolution is charged for every cycle of `cycles`, `[...]` of vectors `[..., 13]`.

    MAC lanes, their FIFOs and sparsity modules, im2col `im2col` times (twice; not at all for a product of matrices),
    and the PEs' dataflow control, all of the machine's whatever a layer uses. Im2col's 423 mW a lane is nearly all.

    Raises:
        InvalidInput: the last dimension is not 13, or an unknown activation.
    """
    found = parts(vectors)
    lane = _lane(found.macs, activation, POWER, im2col)
    return found.pes * (found.lanes * lane + figures()["pe_modules"]["dataflow"][POWER]) * 1e-3


def _lane(macs: torch.Tensor, activation: str, column: int, im2col: float) -> torch.Tensor:
    """One figure of a whole lane of `macs` `[...]` MACs."""
    fifos = FIFOS * macs * figures()["fifo"][column]
    return mac_lane(macs, activation, column) + fifos + lane_module(column, im2col=im2col)


def _modules(vectors: torch.Tensor, activation: str, column: int, im2col: float) -> torch.Tensor:
    """One figure of all modules, `[...]`."""
    found = parts(vectors)
    return found.pes * (found.lanes * _lane(found.macs, activation, column, im2col) + pe_module(column))


def _buffers(vectors: torch.Tensor, figure: str) -> torch.Tensor:
    """One figure of the three buffers together, `[...]`; it is in proportion to their MB."""
    found, table = parts(vectors), figures()["buffers"]
    total = torch.zeros_like(found.pes)
    for name in ("activation", "weight", "mask"):
        total = total + table[name][figure] / table[name]["mb"] * getattr(found, f"{name}_mb")
    return total


@dataclass(frozen=True)
class AccelBench:
    """One accelerator: a vector of 13 numbers, and the activation functions that its MAC lanes are built for.

    It has `batch_parallel * x_parallel * y_parallel` PEs, each of `output_channel_parallel * kernel_x_parallel *
    kernel_y_parallel` lanes of `input_channel_parallel` MACs, at 700 MHz and 20 bits.

    Attributes:
        batch_parallel, input_channel_parallel, x_parallel, y_parallel: what is computed side by side of each dimension.
        output_channel_parallel, kernel_x_parallel, kernel_y_parallel: likewise; the two of the kernel are equal.
        batch: images that run together.
        activation_mb, weight_mb, mask_mb: buffers, MB of 2^20 bytes.
        memory_type: 1 RRAM, 2 DRAM, 3 HBM; `memory_config`: which of its arrangements (6, 4 and 1 of them).
        activation: "ReLU", "SiLU" or "both": of the networks that it is to run, not of the vector.

    Raises:
        InvalidInput: a number outside its range, kernel parallelisms that differ, a memory type without that
            configuration, or an unknown activation.
    """

    batch_parallel: int
    input_channel_parallel: int
    x_parallel: int
    y_parallel: int
    output_channel_parallel: int
    kernel_x_parallel: int
    kernel_y_parallel: int
    batch: int
    activation_mb: int
    weight_mb: int
    mask_mb: int
    memory_type: int
    memory_config: int
    activation: str = "ReLU"

    def __post_init__(self) -> None:
        for name, allowed in options().items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
                raise InvalidInput(f"{name} is {value!r}; allowed: {', '.join(map(str, allowed))}")
        if self.kernel_x_parallel != self.kernel_y_parallel:
            raise InvalidInput(
                f"kernel_y_parallel is {self.kernel_y_parallel}; it must equal kernel_x_parallel, "
                f"{self.kernel_x_parallel}"
            )
        configs = [config for kind, config in memories() if kind == self.memory_type]
        if self.memory_config not in configs:
            raise InvalidInput(
                f"memory_config is {self.memory_config}; allowed for memory_type {self.memory_type}: "
                f"{', '.join(map(str, configs))}"
            )
        if self.activation not in ACTIVATIONS:
            raise InvalidInput(f"activation is {self.activation!r}; allowed: {', '.join(ACTIVATIONS)}")

    @classmethod
    def from_vector(cls, vector: Sequence[float] | torch.Tensor, activation: str = "ReLU") -> "AccelBench":
        """The accelerator of 13 whole numbers; raises `InvalidInput` for another count, or as the class does."""
        numbers = vector.tolist() if isinstance(vector, torch.Tensor) else list(vector)
        if len(numbers) != len(NUMBERS):
            raise InvalidInput(f"vector has {len(numbers)} numbers; it must have {len(NUMBERS)}")
        whole = [int(x) if isinstance(x, float) and x == int(x) else x for x in numbers]
        return cls(**dict(zip(NUMBERS, whole, strict=True)), activation=activation)  # type: ignore[arg-type]

    @cached_property
    def vector(self) -> tuple[int, ...]:
        """The 13 numbers, in the authors' order."""
        return astuple(self)[: len(NUMBERS)]

    def tensor(self) -> torch.Tensor:
        """The vector as `[13]`, float64, for the functions of batches."""
        return torch.tensor(self.vector, dtype=torch.float64)

    @property
    def pes(self) -> int:
        """Processing elements."""
        return self.batch_parallel * self.x_parallel * self.y_parallel

    @property
    def lanes(self) -> int:
        """MAC lanes of the whole machine."""
        return self.pes * self.output_channel_parallel * self.kernel_x_parallel * self.kernel_y_parallel

    @property
    def macs(self) -> int:
        """MAC units of the whole machine."""
        return self.lanes * self.input_channel_parallel

    @cached_property
    def area_mm2(self) -> float:
        """Area, mm2; see the function of this name."""
        return float(area_mm2(self.tensor(), self.activation))

    @cached_property
    def leakage_w(self) -> float:
        """Leakage, W; see the function of this name."""
        return float(leakage_w(self.tensor(), self.activation))

    @cached_property
    def lane_power_w(self) -> float:
        """W while the lanes run a convolution; see the function of this name."""
        return float(lane_power_w(self.tensor(), self.activation))

    @cached_property
    def product_power_w(self) -> float:
        """W while the lanes run a product of matrices, which needs no im2col."""
        return float(lane_power_w(self.tensor(), self.activation, im2col=0.0))

    @property
    def cycle_s(self) -> float:
        """Seconds a clock cycle."""
        return 1e-6 / float(figures()["clock_mhz"])

    @property
    def main_memory_nj(self) -> float:
        """Energy an access of the main memory, nJ, as its table says."""
        return memories()[self.memory_type, self.memory_config]

    def buffer_nj(self, buffer: str) -> float:
        """Energy, nJ, to load or evict a cube of 64 words: the mean of read and write, with the square root of the MB.

        Args:
            buffer: "activation", "weight" or "mask".

        Raises:
            InvalidInput: another buffer.
        """
        table = figures()["buffers"]
        if buffer not in table:
            raise InvalidInput(f"buffer is {buffer!r}; allowed: {', '.join(table)}")
        row = table[buffer]
        return float((row["read_nj"] + row["write_nj"]) / 2 * sqrt(getattr(self, f"{buffer}_mb") / row["mb"]))

    def cycles(self, layer: Layer) -> int:
        """Cycles of the MAC lanes for one execution of a layer on `batch` images; see `lane_cycles`."""
        return int(lane_cycles(self.tensor(), [layer])[..., 0])

    def energy_pj(self, layer: Layer) -> float:
        """Energy of those cycles, pJ: of the lanes and of all leakage. No memory's accesses are counted."""
        lanes = self.product_power_w if is_product(layer.problem) else self.lane_power_w
        return (lanes + self.leakage_w) * self.cycles(layer) * self.cycle_s * 1e12

    def to_architecture(self) -> Architecture:
        """The same MACs, buffers and areas as a machine of four levels, to be mapped and priced by dlco.

        "lane" (regfile: one word a FIFO, and one sum) for every MAC lane, with its modules and its share of its PE's;
        "weight_buffer" for Weights and "activation_buffer" for Inputs and Outputs, the mask buffer's area and leakage
        added to the latter; "main_memory". The lanes lie under the weight buffer, a column a PE along X and the lanes
        of a PE along Y. Area, leakage at full use and capacities (in words of 20 bits) are AccelBench's. A MAC costs
        its share of `lane_power_w` over a cycle with all of them at work, so the lane's accesses are free.

        What departs from AccelBench, whose figures are no simulation:

        - It divides the work by 5 (half of all activations and weights zero, 80 % left of what remains); here every
          MAC is done.
        - It has one fixed tiling and loop order; here mappings are free, and any dimension may lie on the lanes.
        - It loads every activation from the main memory and writes none back, gives activations and weights
          40,000 MB/s each, whatever the memory, and compares bits with words where it checks what fits a buffer.
          Here one bandwidth of 40,000 MB/s reads and one writes, and capacities are in words.
        - It charges a buffer for what is loaded into it and evicted; here every read that leaves it counts too, and
          so does every write, a block of 64 words each.
        - Its program adds a main memory's nJ an access to a power in mW; here they are the nJ of a block of 64 words.
        - Batch normalisation, pooling and upsampling take their area, but neither time nor energy here.
        """
        table = figures()
        bits, cube = int(table["word_bits"]), int(table["cube_words"])
        pj_a_mw = self.cycle_s * 1e9  # of one cycle
        macs = torch.tensor(float(self.input_channel_parallel), dtype=torch.float64)
        share = self.lanes // self.pes
        mac_area_um2 = float(mac_lane(macs, self.activation, AREA))
        lane_area_um2 = float(_lane(macs, self.activation, AREA, 1.0)) - mac_area_um2 + pe_module(AREA) / share
        lane_leak_mw = float(_lane(macs, self.activation, LEAKAGE, 1.0)) + pe_module(LEAKAGE) / share
        bandwidth = table["main_memory_mb_s"] * 2**20 * 8 * self.cycle_s / bits

        def buffer(name: str, keeps: set[str], *also: str, fanout: tuple[int, int] = (1, 1)) -> Level:
            rows = [(table["buffers"][one], getattr(self, f"{one}_mb")) for one in (name, *also)]
            return Level(
                name=f"{name}_buffer",
                kind="SRAM",
                capacity=getattr(self, f"{name}_mb") * 2**23 // bits,
                word_bits=bits,
                block_size=cube,
                read_pj=self.buffer_nj(name) * 1e3,
                write_pj=self.buffer_nj(name) * 1e3,
                update_pj=self.buffer_nj(name) * 1e3,
                leak_pj=sum(row["leakage_mw"] / row["mb"] * mb for row, mb in rows) * pj_a_mw,
                area_um2=sum(row["area_mm2"] / row["mb"] * mb for row, mb in rows) * 1e6,
                fanout_x=fanout[0],
                fanout_y=fanout[1],
                bypass=frozenset({"Weights", "Inputs", "Outputs"} - keeps),
            )

        lane = Level(
            name="lane",
            kind="regfile",
            capacity=FIFOS * self.input_channel_parallel + 1,
            word_bits=bits,
            leak_pj=lane_leak_mw * pj_a_mw,
            area_um2=lane_area_um2,
            fanout_x=self.input_channel_parallel,
        )
        memory = Level(
            name="main_memory",
            kind="DRAM",
            capacity=inf,
            word_bits=bits,
            block_size=cube,
            read_bandwidth=bandwidth,
            write_bandwidth=bandwidth,
            read_pj=self.main_memory_nj * 1e3,
            write_pj=self.main_memory_nj * 1e3,
            update_pj=self.main_memory_nj * 1e3,
        )
        weights = buffer("weight", {"Weights"}, fanout=(self.pes, share))
        activations = buffer("activation", {"Inputs", "Outputs"}, "mask")
        return Architecture(
            levels=(lane, weights, activations, memory),
            mac_pj=self.lane_power_w * 1e3 * pj_a_mw / self.macs,
            mac_area_um2=mac_area_um2 / self.input_channel_parallel,
            mac_bits=bits,
            cycle_s=self.cycle_s,
            name="accelbench",
        )
