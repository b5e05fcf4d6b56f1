"""`accelbench_space`: what a `HardwareSpace` can hold of AccelBench's accelerators, to be sized by dlco's searches."""

from math import sqrt

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.figures import figures, options
from dlco.hardware.accelbench.machine import SPRING, AccelBench
from dlco.hardware.parameter import Parameter
from dlco.hardware.posynomial import Posynomial, Term
from dlco.hardware.space import HardwareSpace
from dlco.hardware.technology import TECHNOLOGY_45NM, MemoryCurves

MB_BITS = 2.0**23


def accelbench_space(base: AccelBench = SPRING) -> HardwareSpace:
    """The accelerators that differ from `base` in the number of PEs, the activation and the weight buffer.

    Its machines are those of `AccelBench.to_architecture`: the same areas, energies and leakage, but for buffers
    being rounded down to whole words of 20 bits. The number of PEs is any product of AccelBench's batch, x and y
    parallelism, which its cycle rule tells apart and a free mapping does not.

    The other numbers of a vector stay the base's, because no size of a `HardwareSpace` says what they change:

    - MACs of a lane, lanes of a PE: a PE's control is shared among its lanes and a lane's modules among its MACs, so
      area and energy of a MAC and of a lane fall with their number; a space's fan-outs leave both as they are.
    - Mask buffer, main memory: they change the area or the energy of a level and none of its sizes.
    - Batch: a property of the layers here.

    Search several bases for those (`AccelBenchSpace` has all 228,433,920 vectors, for AccelBench's own cycle rule).

    Raises:
        InvalidInput: `base` is no `AccelBench`.
    """
    if not isinstance(base, AccelBench):
        raise InvalidInput(f"base is {base!r}; it must be a dlco.hardware.AccelBench")
    grids = options()
    pes = {b * x * y for b in grids["batch_parallel"] for x in grids["x_parallel"] for y in grids["y_parallel"]}
    bits = int(figures()["word_bits"])

    def capacity(buffer: str) -> Parameter:
        words = tuple(float(mb * 2**23 // bits) for mb in grids[f"{buffer}_mb"])
        return Parameter(f"{buffer}_buffer", "capacity", words)

    return HardwareSpace(
        base.to_architecture(),
        (
            Parameter("weight_buffer", "fanout_x", tuple(map(float, sorted(pes)))),
            capacity("activation"),
            capacity("weight"),
        ),
        TECHNOLOGY_45NM,  # prices nothing: both buffers have curves of their own
        curves=(
            ("activation_buffer", _curves("activation", ("mask", base.mask_mb))),
            ("weight_buffer", _curves("weight")),
        ),
    )


def _curves(buffer: str, *beside: tuple[str, int]) -> MemoryCurves:
    """Costs of a buffer of some bits, and of others of fixed MB `beside` it; leakage for the technology's cycle."""
    table = figures()["buffers"]
    row = table[buffer]
    access = Posynomial((Term((row["read_nj"] + row["write_nj"]) / 2 * 1e3 / sqrt(row["mb"] * MB_BITS), 0.5),))

    def proportional(figure: str, unit: float) -> Posynomial:
        fixed = sum(table[name][figure] / table[name]["mb"] * mb for name, mb in beside)
        own = Term(row[figure] / row["mb"] / MB_BITS * unit, 1.0)
        return Posynomial((own, Term(fixed * unit, 0.0)) if beside else (own,))

    leakage = proportional("leakage_mw", TECHNOLOGY_45NM.cycle_s * 1e9)  # pJ a cycle
    return MemoryCurves(access, access, leakage, proportional("area_mm2", 1e6), in_bits=True)
