"""`Technology`: what a memory access, a multiply-accumulate, leakage and area cost, as smooth functions of size.

`TECHNOLOGY_45NM` is fitted (by `dlco.hardware.fit`) to 109 components estimated with Accelergy 0.4 (CACTI 7 for
SRAM and DRAM, Aladdin for register files and MACs), 45 nm, 1 ns cycle; the rows are in `data/accelergy_45nm.csv`.
Relative error of the fit over those rows, and of the single power laws of `Technology.power_law` against the fit
over the range of the rows:

| curve                    | fit: mean | fit: max | power law: mean | power law: max |
| ------------------------ | --------- | -------- | --------------- | -------------- |
| SRAM read energy         |    13.7 % |   53.4 % |           9.3 % |         32.7 % |
| SRAM write energy        |     6.9 % |   20.1 % |          11.2 % |         28.8 % |
| SRAM leakage             |     3.9 % |   11.5 % |           2.0 % |          7.0 % |
| SRAM area                |     5.5 % |   28.7 % |           5.2 % |         49.4 % |
| register file energy     |     4.2 % |    8.3 % |          18.3 % |         44.6 % |
| register file leakage    |     2.0 % |    4.7 % |          34.7 % |         62.7 % |
| register file area       |     5.9 % |   13.3 % |           2.6 % |         10.1 % |
| MAC energy, area         |     0.0 % |    0.0 % |                 |                |

The SRAM rows are 1 KiB to 2 MiB with accesses of 16 to 256 bits, the register files 1 to 512 words, the MACs 4 to
32 bits. CACTI changes an array's organisation from one size to the next, so its own estimates jump by up to 2 between
neighbours; no smooth curve follows that, and the largest errors (SRAM reads) are there. Beyond the rows the curves
go on as power laws.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from dlco.errors import InvalidInput
from dlco.hardware.dram import DRAM_KINDS
from dlco.hardware.posynomial import Posynomial, Size, Term
from dlco.hardware.wires import Wires

QUANTITIES = ("read_pj", "write_pj", "leak_pj", "area_um2")
ZERO = Posynomial(())
# Ranges of the estimates: SRAM bits and bits an access, register-file words; `Technology.power_law` fits over them.
SRAM_BITS, SRAM_WIDTH_BITS, REGFILE_WORDS = (2.0**13, 2.0**24), (16.0, 256.0), (1.0, 512.0)
MAC_BITS = (4, 32)  # of operands
REGFILE_BLOCK = (1.0, 16.0)  # any range will do: the energy is exactly proportional to the block


class MemoryCost(NamedTuple):
    """What one memory costs; tensors of the broadcast shape of its sizes.

    An update (the write of an accumulated result) costs a write: the estimates do not tell them apart.
    """

    read_pj: torch.Tensor
    """pJ to read one block."""
    write_pj: torch.Tensor
    """pJ to write, or update, one block."""
    leak_pj: torch.Tensor
    """pJ an instance and cycle."""
    area_um2: torch.Tensor
    """um2 an instance."""


class MacCost(NamedTuple):
    """What one multiply-accumulate unit costs: pJ an operation, um2 a unit."""

    pj: torch.Tensor
    area_um2: torch.Tensor


@dataclass(frozen=True)
class MemoryCurves:
    """The four curves of one kind of memory.

    Given curves count too: an access of 0.49 + 0.025 pJ a KiB, whatever its width, is the posynomial
    `Posynomial((Term(0.49, 0.0), Term(0.025, 1.0))).rescaled(size=1 / 8192)` of the bits.

    Attributes:
        read_pj, write_pj, leak_pj, area_um2: as in `MemoryCost`, of (capacity, width of an access).
        in_bits: whether capacity and width count bits (SRAM) or words (register file).
    """

    read_pj: Posynomial
    write_pj: Posynomial
    leak_pj: Posynomial
    area_um2: Posynomial
    in_bits: bool

    def curve(self, quantity: str, word_bits: int) -> Posynomial:
        """One curve as a posynomial of (capacity in words, block size in words).

        Raises:
            InvalidInput: `quantity` is not one of `QUANTITIES`.
        """
        _check_quantity(quantity)
        unit = word_bits if self.in_bits else 1
        curve: Posynomial = getattr(self, quantity)
        return curve.rescaled(unit, unit)

    def by_bits(self, word_bits: int) -> "MemoryCurves":
        """The same curves for words of any width: a bit costs what it costs in words of so many bits."""
        if self.in_bits:
            return self
        read, write, leak, area = (
            self.curve(quantity, word_bits).rescaled(1 / word_bits, 1 / word_bits) for quantity in QUANTITIES
        )
        return MemoryCurves(read, write, leak, area, in_bits=True)

    def cost(self, capacity_words: Size, word_bits: int, block_size: Size) -> MemoryCost:
        """Cost of a memory; arguments and result as in `Technology.sram`."""
        return MemoryCost(*(self.curve(quantity, word_bits)(capacity_words, block_size) for quantity in QUANTITIES))


@dataclass(frozen=True)
class Technology:
    """Costs of the parts of a machine. All methods are differentiable in capacity and block size.

    Attributes:
        name: under which `dlco.hardware.get_technology` finds it.
        sram_curves, regfile_curves: of on-chip memories.
        dram_pj_per_bit: types of DRAM, each with the pJ that reading or writing a bit takes; the first is the default.
        mac_pj, mac_area_um2: of the operand width in bits.
        cycle_s: seconds of the cycle that `leak_pj` refers to.
        wires: between the parts; None where nothing is said of them.
    """

    name: str
    sram_curves: MemoryCurves
    regfile_curves: MemoryCurves
    dram_pj_per_bit: tuple[tuple[str, float], ...]
    mac_pj: Posynomial
    mac_area_um2: Posynomial
    cycle_s: float = 1e-9
    wires: Wires | None = None

    def sram(self, capacity_words: Size, word_bits: int = 16, block_size: Size = 1.0) -> MemoryCost:
        """Cost of an SRAM that moves `block_size` words an access.

        Args:
            capacity_words: words it holds, number or tensor `[...]`.
            word_bits: bits a word.
            block_size: words an access, number or tensor that broadcasts against the capacity.

        Returns:
            Per access of a block, per instance and cycle, per instance; each `[...]`.
        """
        return self.memory("SRAM", capacity_words, word_bits, block_size)

    def regfile(self, capacity_words: Size, word_bits: int = 16, block_size: Size = 1.0) -> MemoryCost:
        """Cost of a register file; arguments and result as in `sram`.

        Aladdin's estimates depend on the number of words alone, 8 to 32 bits each, so `word_bits` changes nothing,
        and an access of a block is taken to cost as much as its words one by one.
        """
        return self.memory("regfile", capacity_words, word_bits, block_size)

    def dram(self, word_bits: int = 16, block_size: Size = 1.0, dram_type: str | None = None) -> MemoryCost:
        """Cost of a DRAM access of `block_size` words; neither leakage nor area (it is another chip).

        Args:
            word_bits: bits a word.
            block_size: words an access, number or tensor `[...]`.
            dram_type: such as "LPDDR4"; the technology's first one where not given.

        Raises:
            InvalidInput: this technology does not have that type.
        """
        pj = self._dram_curve(word_bits, dram_type)(block_size, block_size)
        return MemoryCost(pj, pj, torch.zeros_like(pj), torch.zeros_like(pj))

    def mac(self, bits: Size) -> MacCost:
        """Cost of an integer multiply-accumulate unit of `bits`-bit operands; each field of the shape of `bits`.

        Its leakage is left out, as Timeloop leaves it out.
        """
        return MacCost(self.mac_pj(bits), self.mac_area_um2(bits))

    def memory(self, kind: str, capacity_words: Size, word_bits: int = 16, block_size: Size = 1.0) -> MemoryCost:
        """Cost of a memory by `Level.kind` ("regfile", "SRAM" or "DRAM"); arguments and result as in `sram`.

        Raises:
            InvalidInput: another kind.
        """
        if kind == "DRAM":
            return self.dram(word_bits, block_size)
        return self.curves(kind).cost(capacity_words, word_bits, block_size)

    def curve(self, kind: str, quantity: str, word_bits: int = 16) -> Posynomial:
        """The exact curve that `memory` evaluates, a posynomial of (capacity in words, block size in words).

        A geometric program can use it as it stands, with no error beyond the fit's.

        Args:
            kind: "regfile", "SRAM" or "DRAM".
            quantity: "read_pj", "write_pj" (update too), "leak_pj" or "area_um2".
            word_bits: bits a word.

        Raises:
            InvalidInput: an unknown kind or quantity.
        """
        _check_quantity(quantity)
        if kind == "DRAM":
            return self._dram_curve(word_bits) if quantity in ("read_pj", "write_pj") else ZERO
        return self.curves(kind).curve(quantity, word_bits)

    def power_law(
        self,
        kind: str,
        quantity: str,
        word_bits: int = 16,
        capacity: tuple[float, float] | None = None,
        block_size: tuple[float, float] | None = None,
    ) -> Posynomial:
        """One power law `a capacity^b block_size^c` in place of `curve`, for a geometric program of fewer terms.

        It is the least-squares fit of the logarithm over a range of sizes: by default that of the estimates, where
        the module's table states its error; a narrower range makes the error smaller. It may lie above or below the
        curve; where it must not lie above, use `curve(...).tangent(capacity, block_size)`.

        Args:
            kind: as in `curve`.
            quantity: as in `curve`.
            word_bits: as in `curve`.
            capacity: lowest and highest capacity, words.
            block_size: narrowest and widest access, words.

        Raises:
            InvalidInput: an unknown kind or quantity.
        """
        curve = self.curve(kind, quantity, word_bits)
        if kind == "SRAM":
            capacity = capacity or (SRAM_BITS[0] / word_bits, SRAM_BITS[1] / word_bits)
            block_size = block_size or (SRAM_WIDTH_BITS[0] / word_bits, SRAM_WIDTH_BITS[1] / word_bits)
        return curve.power_law(*size_grid(capacity or REGFILE_WORDS, block_size or REGFILE_BLOCK))

    def curves(self, kind: str) -> MemoryCurves:
        """Those of an on-chip memory, "regfile" or "SRAM"; `InvalidInput` for another kind."""
        if kind == "SRAM":
            return self.sram_curves
        if kind == "regfile":
            return self.regfile_curves
        raise InvalidInput(f"kind of a memory is {kind!r}; allowed: regfile, SRAM, DRAM")

    def _dram_curve(self, word_bits: int, dram_type: str | None = None) -> Posynomial:
        types = dict(self.dram_pj_per_bit)
        dram_type = next(iter(types)) if dram_type is None else dram_type
        if dram_type not in types:
            raise InvalidInput(f"dram_type is {dram_type!r}; technology {self.name!r} has {', '.join(types)}")
        return Posynomial((Term(types[dram_type] * word_bits, 0.0, 1.0),))


def _check_quantity(quantity: str) -> None:
    if quantity not in QUANTITIES:
        raise InvalidInput(f"quantity is {quantity!r}; allowed: {', '.join(QUANTITIES)}")


def size_grid(
    size: tuple[float, float], width: tuple[float, float], points: int = 25
) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs of `points` sizes and `points` widths, each evenly spaced in logarithm; two tensors `[points^2]`."""
    steps = torch.linspace(0, 1, points, dtype=torch.float64)
    axes = [low * (high / low) ** steps for low, high in (size, width)]
    sizes, widths = torch.meshgrid(*axes, indexing="ij")
    return sizes.flatten(), widths.flatten()


# The terms below are what `python -m dlco.hardware.fit` prints.
_SRAM_45NM = MemoryCurves(
    read_pj=Posynomial((Term(0.0165387, 0.5, 0.0), Term(6.5073e-06, 0.5, 1.5), Term(3.58332e-06, 0.75, 1.0))),
    write_pj=Posynomial((Term(0.0145635, 0.25, 0.5), Term(0.0119193, 0.5, 0.0), Term(2.11782e-05, 0.5, 1.5))),
    leak_pj=Posynomial((Term(1.47317e-08, 0.75, 0.0), Term(2.54467e-10, 0.75, 0.5), Term(2.87188e-09, 1.0, 0.0))),
    area_um2=Posynomial((Term(1.17504, 0.0, 1.5), Term(0.394036, 1.0, 0.0), Term(1.36926e-05, 1.0, 1.5))),
    in_bits=True,
)
# Energies of one word, hence width exponents of 1 where the fit over single words has 0.
_REGFILE_ENERGY_45NM = Posynomial(
    (Term(0.00637366, 0.0, 1.0), Term(0.000236598, 1.0, 1.0), Term(0.00183866, 1.25, 1.0))
)
_REGFILE_45NM = MemoryCurves(
    read_pj=_REGFILE_ENERGY_45NM,
    write_pj=_REGFILE_ENERGY_45NM,
    leak_pj=Posynomial((Term(6.5956e-05, 0.0), Term(8.65214e-07, 1.0), Term(1.37474e-06, 1.25))),
    area_um2=Posynomial((Term(1.01035, 0.0), Term(4.50763, 1.25))),
    in_bits=False,
)

TECHNOLOGY_45NM = Technology(
    name="45nm",
    sram_curves=_SRAM_45NM,
    regfile_curves=_REGFILE_45NM,
    dram_pj_per_bit=tuple((name, kind.pj_per_bit) for name, kind in DRAM_KINDS.items()),
    mac_pj=Posynomial((Term(0.0065625, 1.0), Term(0.0123828, 2.0))),
    mac_area_um2=Posynomial((Term(8.68757, 1.0), Term(6.20117, 2.0))),
    wires=Wires(
        pj_per_bit_mm=0.12 * (1.0 / 0.9) ** 2,
        track_um=0.36,
        register_pj_per_bit=2 * float(_REGFILE_ENERGY_45NM(1.0)) / 16,
    ),
)
"""45 nm, fitted to estimates made with Accelergy 0.4 (CACTI 7, Aladdin); see the module's table of errors. Wires are
those of `dlco.hardware.wires`, at 1.0 V; a register costs what a register file of one 16-bit word does."""

EYERISS_COSTS = {"register": 1.0, "inter-PE": 2.0, "buffer": 6.0, "DRAM": 200.0, "MAC": 1.0}
"""Energy of a 16-bit word's access relative to a 16-bit MAC (Chen et al., ISCA 2016, table IV). The transfer between
neighbouring PEs is listed for completeness: no level of a machine has it."""


def _constant_energy(memory: str) -> Posynomial:
    """A fixed energy a 16-bit word: proportional to the bits of an access, whatever the capacity."""
    return Posynomial((Term(EYERISS_COSTS[memory] / 16, 0.0, 1.0),))


EYERISS_NORMALISED = Technology(
    name="eyeriss-normalised",
    sram_curves=MemoryCurves(_constant_energy("buffer"), _constant_energy("buffer"), ZERO, _SRAM_45NM.area_um2, True),
    regfile_curves=MemoryCurves(
        Posynomial((Term(EYERISS_COSTS["register"], 0.0, 1.0),)),
        Posynomial((Term(EYERISS_COSTS["register"], 0.0, 1.0),)),
        ZERO,
        _REGFILE_45NM.area_um2,
        False,
    ),
    dram_pj_per_bit=(("DRAM", EYERISS_COSTS["DRAM"] / 16),),
    mac_pj=Posynomial((Term(EYERISS_COSTS["MAC"], 0.0),)),
    mac_area_um2=TECHNOLOGY_45NM.mac_area_um2,
)
"""Eyeriss' normalised costs as pJ: constant energies, no leakage, no wires, areas of the 45 nm fit. Buffers and DRAM
are charged by the bit (table IV is for words of 16), registers by the word."""
