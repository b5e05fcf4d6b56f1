"""`AccelBench`: one accelerator of its design space, what it costs, and the same machine as an `Architecture`."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from math import inf

import torch

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.assumptions import PUBLISHED, Assumptions
from dlco.hardware.accelbench.costs import (
    AREA,
    FIFOS,
    LEAKAGE,
    area_mm2,
    buffer_nj,
    cycle_s,
    lane_power_w,
    leakage_w,
    whole_lane,
)
from dlco.hardware.accelbench.cycles import is_product, lane_cycles
from dlco.hardware.accelbench.figures import (
    ACTIVATIONS,
    NUMBERS,
    figures,
    mac_lane,
    memories,
    options,
    pe_module,
)
from dlco.hardware.accelbench.network import PHASES, network_costs
from dlco.hardware.architecture import Architecture, Level
from dlco.workload.layer import Layer


@dataclass(frozen=True)
class AccelBenchCost:
    """What a network costs on an accelerator, for one run on a batch of images.

    Attributes:
        images: of the batch.
        cycles: of all phases; `dynamic_j`, `leakage_j`: energy, J; `area_mm2`: of the accelerator.
        phases: cycles of each of `dlco.hardware.accelbench.network.PHASES`, some of which overlap.
    """

    images: int
    cycles: float
    dynamic_j: float
    leakage_j: float
    area_mm2: float
    phases: dict[str, float]

    @property
    def latency_s(self) -> float:
        """Seconds for the batch."""
        return self.cycles * cycle_s()

    @property
    def energy_j(self) -> float:
        """Dynamic energy and leakage, J."""
        return self.dynamic_j + self.leakage_j

    @property
    def power_w(self) -> float:
        """Mean power, W."""
        return self.energy_j / self.latency_s


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
        return cycle_s()

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
        return float(buffer_nj(self.tensor(), buffer))

    def cycles(self, layer: Layer) -> int:
        """Cycles of the MAC lanes for one execution of a layer on `batch` images; see `lane_cycles`."""
        return int(lane_cycles(self.tensor(), [layer])[..., 0])

    def energy_pj(self, layer: Layer) -> float:
        """Energy of those cycles, pJ: of the lanes and of all leakage; `network_cost` has what else there is."""
        lanes = self.product_power_w if is_product(layer.problem) else self.lane_power_w
        return (lanes + self.leakage_w) * self.cycles(layer) * self.cycle_s * 1e12

    def network_cost(self, layers: Sequence[Layer], assumptions: Assumptions = PUBLISHED) -> "AccelBenchCost":
        """What a network costs for one run on `batch` images, with the waits for the main memory; see `network_costs`.

        Raises:
            InvalidInput: a layer is of an operation that AccelBench has no unit for.
        """
        found = network_costs(self.tensor(), layers, self.activation, assumptions)
        return AccelBenchCost(
            images=self.batch,
            cycles=found.cycles.item(),
            dynamic_j=found.dynamic_j.item(),
            leakage_j=found.leakage_j.item(),
            area_mm2=found.area_mm2.item(),
            phases=dict(zip(PHASES, found.phases.tolist(), strict=True)),
        )

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
        lane_area_um2 = float(whole_lane(macs, self.activation, AREA, 1.0)) - mac_area_um2 + pe_module(AREA) / share
        lane_leak_mw = float(whole_lane(macs, self.activation, LEAKAGE, 1.0)) + pe_module(LEAKAGE) / share
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


SPRING = AccelBench(2, 16, 8, 4, 8, 3, 3, 1, 12, 24, 4, 1, 1)
"""The machine of the authors' comparison, the base unless another one is given."""
