import re

import pytest
import torch

from dlco.errors import InvalidInput
from dlco.hardware import EYERISS_NORMALISED, TECHNOLOGY_45NM, get_technology, technology
from dlco.hardware.fit import HALVES, QUARTERS, best_posynomial, load_estimates, main, refit, relative_error
from dlco.hardware.posynomial import Posynomial, Size, Term
from dlco.hardware.technology import QUANTITIES, MemoryCost, Technology, size_grid

STATED = re.findall(r"^\| (\w.*?) +\|(.*) \|$", technology.__doc__ or "", flags=re.MULTILINE)[1:]
ESTIMATED_DRAMS = ("LPDDR4", "DDR3", "HBM2", "GDDR5")
BUILT_IN = (TECHNOLOGY_45NM, get_technology("7nm"), EYERISS_NORMALISED)
ROWS = {
    "SRAM read energy": [("SRAM", "read_pj")],
    "SRAM write energy": [("SRAM", "write_pj")],
    "SRAM leakage": [("SRAM", "leak_pj")],
    "SRAM area": [("SRAM", "area_um2")],
    "register file energy": [("regfile", "read_pj"), ("regfile", "write_pj")],
    "register file leakage": [("regfile", "leak_pj")],
    "register file area": [("regfile", "area_um2")],
    "MAC energy, area": [("intmac", "read_pj"), ("intmac", "area_um2")],
}


def shipped(component: str, quantity: str) -> Posynomial:
    """A curve of the shipped technology in the units of the estimates (bits of SRAM, one word of a register file)."""
    if component == "intmac":
        return TECHNOLOGY_45NM.mac_pj if quantity == "read_pj" else TECHNOLOGY_45NM.mac_area_um2
    return TECHNOLOGY_45NM.curve(component, quantity, word_bits=1)


def percent(error: torch.Tensor) -> float:
    return pytest.approx(100 * float(error), abs=0.051)  # type: ignore[return-value]


def test_the_table_speaks_of_every_curve() -> None:
    assert [name for name, _ in STATED] == list(ROWS)
    assert sum(len(load_estimates(component).size) for component in ("SRAM", "regfile", "intmac", "DRAM")) == 109


@pytest.mark.parametrize(("name", "cells"), STATED, ids=list(ROWS))
def test_fit_errors_are_as_stated(name: str, cells: str) -> None:
    mean, worst, *_ = [float(number) for number in re.findall(r"[\d.]+", cells)]
    for component, quantity in ROWS[name]:
        error = relative_error(shipped(component, quantity), load_estimates(component), quantity).abs()
        assert mean == percent(error.mean())
        assert worst == percent(error.max())


@pytest.mark.parametrize(("name", "cells"), STATED[:-1], ids=list(ROWS)[:-1])
def test_extra_errors_of_the_power_laws_are_as_stated(name: str, cells: str) -> None:
    mean, worst = [float(number) for number in re.findall(r"[\d.]+", cells)][2:]
    for kind, quantity in ROWS[name]:
        bits, width = (technology.SRAM_BITS, technology.SRAM_WIDTH_BITS)
        capacity = (bits[0] / 16, bits[1] / 16) if kind == "SRAM" else technology.REGFILE_WORDS
        block = (width[0] / 16, width[1] / 16) if kind == "SRAM" else technology.REGFILE_BLOCK
        points = size_grid(capacity, block)
        law = TECHNOLOGY_45NM.power_law(kind, quantity)
        error = (law(*points) / TECHNOLOGY_45NM.curve(kind, quantity)(*points) - 1).abs()
        assert len(law.terms) == 1
        assert mean == percent(error.mean())
        assert worst == percent(error.max())


def test_shipped_constants_are_a_refit() -> None:
    for component, curves in refit().items():
        for quantity, curve in curves.items():
            if (component, quantity) == ("intmac", "leak_pj"):
                continue  # estimated, but no machine here charges it
            mine = shipped(component, quantity).terms
            assert len(mine) == len(curve.terms)
            for term, again in zip(mine, curve.terms, strict=True):
                assert term.coefficient == pytest.approx(again.coefficient, rel=2e-5)
                assert term.size_exponent == again.size_exponent
                if component == "SRAM":
                    assert term.width_exponent == again.width_exponent


def test_fit_finds_a_curve_that_is_there() -> None:
    size, width = size_grid((16, 1e6), (1, 256), 8)
    truth = Posynomial((Term(0.25, 0.25, 1.5), Term(0.125, 1.0, 0.0)))
    assert best_posynomial(size, width, truth(size, width), QUARTERS, HALVES) == truth


def test_fit_prints_its_constants(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    assert "Term(0.0165387, 0.5, 0)" in capsys.readouterr().out


@pytest.mark.parametrize("tech", BUILT_IN, ids=lambda tech: tech.name)
@pytest.mark.parametrize("kind", ["SRAM", "regfile"])
def test_costs_grow_with_capacity_and_width_far_beyond_the_estimates(tech: Technology, kind: str) -> None:
    capacity, width = (t.requires_grad_() for t in size_grid((1, 1e9), (1, 1e3), 40))
    for quantity in QUANTITIES:
        value = tech.curve(kind, quantity)(capacity, width)
        if value.requires_grad:
            slopes = torch.autograd.grad(value.sum(), (capacity, width), allow_unused=True)
            assert all((s >= 0).all() for s in slopes if s is not None)


@pytest.mark.parametrize("tech", BUILT_IN, ids=lambda tech: tech.name)
@pytest.mark.parametrize("kind", ["SRAM", "regfile", "DRAM"])
def test_gradients_of_memories(tech: Technology, kind: str) -> None:
    def costs(logs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        capacity, width = logs.exp().unbind(-1)
        cost = tech.memory(kind, capacity, 16, width)
        return tuple(c for c in cost if c.requires_grad)

    logs = torch.tensor([[3.0, 0.0], [7.0, 1.5], [11.0, 3.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(costs, logs)


def test_gradients_of_macs() -> None:
    bits = torch.tensor([4.0, 10.0, 32.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(TECHNOLOGY_45NM.mac, bits)


@pytest.mark.parametrize("kind", ["SRAM", "regfile", "DRAM"])
def test_curve_and_memory_agree(kind: str) -> None:
    cost = TECHNOLOGY_45NM.memory(kind, 4096.0, 8, 4.0)
    for quantity in QUANTITIES:
        curve = TECHNOLOGY_45NM.curve(kind, quantity, word_bits=8)
        assert torch.equal(curve(4096.0, 4.0), getattr(cost, quantity))


def test_methods_are_memory_by_kind() -> None:
    assert TECHNOLOGY_45NM.sram(512.0, 8, 2) == TECHNOLOGY_45NM.memory("SRAM", 512.0, 8, 2)
    assert TECHNOLOGY_45NM.regfile(12.0) == TECHNOLOGY_45NM.memory("regfile", 12.0)
    assert TECHNOLOGY_45NM.dram(16, 4) == TECHNOLOGY_45NM.memory("DRAM", torch.inf, 16, 4)


def test_sram_depends_on_bits_and_not_on_how_they_are_grouped() -> None:
    for one, two in zip(TECHNOLOGY_45NM.sram(1024, 32, 2), TECHNOLOGY_45NM.sram(4096, 8, 8), strict=True):
        torch.testing.assert_close(one, two)


def test_register_file_charges_a_block_word_by_word() -> None:
    one, four = TECHNOLOGY_45NM.regfile(64, 16, 1), TECHNOLOGY_45NM.regfile(64, 16, 4)
    torch.testing.assert_close(four, MemoryCost(4 * one.read_pj, 4 * one.write_pj, one.leak_pj, one.area_um2))


def test_dram_by_type() -> None:
    rows = load_estimates("DRAM").values["read_pj"].tolist()
    mine = [float(TECHNOLOGY_45NM.dram(16, 4, name).read_pj) for name in ESTIMATED_DRAMS]
    assert mine == pytest.approx(rows)
    assert float(TECHNOLOGY_45NM.dram(8, 3).write_pj) == 192


def test_narrower_ranges_make_better_power_laws() -> None:
    capacity, block = (8192.0, 262144.0), (2.0, 32.0)
    points = size_grid(capacity, block)
    curve = TECHNOLOGY_45NM.curve("SRAM", "write_pj")

    def misfit(law: Posynomial) -> float:
        return float((law(*points) / curve(*points)).log().square().sum())

    narrow = TECHNOLOGY_45NM.power_law("SRAM", "write_pj", capacity=capacity, block_size=block)
    assert misfit(narrow) < misfit(TECHNOLOGY_45NM.power_law("SRAM", "write_pj"))


@pytest.mark.parametrize(("kind", "pj"), [("regfile", 1), ("SRAM", 6), ("DRAM", 200)])
@pytest.mark.parametrize("capacity", [16, torch.tensor([64.0, 4096.0])])
def test_eyeriss_costs_are_constant(kind: str, pj: float, capacity: Size) -> None:
    cost = EYERISS_NORMALISED.memory(kind, capacity, 16, 4.0)
    for value in (cost.read_pj, cost.write_pj):
        torch.testing.assert_close(value, torch.full_like(value, 4 * pj))
    assert (cost.leak_pj == 0).all()
    if kind != "DRAM":
        assert torch.equal(cost.area_um2, TECHNOLOGY_45NM.memory(kind, capacity, 16, 4.0).area_um2)


def test_macs() -> None:
    pj, area = TECHNOLOGY_45NM.mac(16)
    assert float(pj) == pytest.approx(3.275, rel=1e-4)
    assert float(area) == pytest.approx(1726.5, rel=1e-4)
    assert float(EYERISS_NORMALISED.mac(16).pj) == 1


def test_unknown_names() -> None:
    with pytest.raises(InvalidInput, match=r"technology is '3nm'; allowed: 65nm, 45nm, .*7nm, eyeriss-normalised"):
        get_technology("3nm")
    with pytest.raises(InvalidInput, match=r"dram_type is 'DDR9'; technology '45nm' has LPDDR4, DDR3, HBM2, GDDR5"):
        TECHNOLOGY_45NM.dram(16, 1, "DDR9")
    with pytest.raises(InvalidInput, match=r"kind of a memory is 'flash'; allowed: regfile, SRAM, DRAM"):
        TECHNOLOGY_45NM.memory("flash", 16)
    with pytest.raises(InvalidInput, match=r"quantity is 'pj'; allowed: read_pj"):
        TECHNOLOGY_45NM.curve("SRAM", "pj")
    assert get_technology("45nm") is TECHNOLOGY_45NM
    assert len({TECHNOLOGY_45NM, EYERISS_NORMALISED}) == 2
