"""Unit costs of a box of machines are those of the space's machines, at any sizes."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch

from dlco.bound.compulsory import _extremes
from dlco.bound.unit_costs import Sum, UnitCosts, unit_costs
from dlco.hardware.architecture import Architecture, Machine
from dlco.hardware.parameter import Parameter, Tie
from dlco.hardware.posynomial import Posynomial, Term
from dlco.hardware.presets import SPACES, get_hardware
from dlco.hardware.space import HardwareSpace, as_space
from dlco.hardware.technology import TECHNOLOGY_45NM, MemoryCurves


def tied(machine: Architecture) -> HardwareSpace:
    """A square array with a port that grows with it, a block of its own curves, a free port."""
    flat = Posynomial((Term(2.0, 0.5, 0.2), Term(0.1, 0.0, 1.0)))
    return HardwareSpace(
        machine,
        (
            Parameter(
                "Buffer",
                "fanout_x",
                (1, 2, 4),
                also=(Tie("Buffer", "fanout_y", 2.0), Tie("Registers", "capacity", 8.0)),
            ),
            Parameter("Buffer", "bandwidth", (1, 2, 4), also=(Tie("DRAM", "bandwidth", 2.0),)),
            Parameter("Buffer", "shared_bandwidth", (2, 5)),
        ),
        TECHNOLOGY_45NM,
        (("Buffer", MemoryCurves(flat, flat, flat, flat, in_bits=False)),),
    )


def check(costs: UnitCosts, sizes: np.ndarray, machine: Machine) -> None:
    x = np.log(sizes)

    def value(own: Sum | None, absent: float = inf) -> float:
        return absent if own is None else own(x)

    for i, level in enumerate(costs.levels):
        block = float(machine.block_size[i])
        for name in ("read", "write", "update"):
            assert value(getattr(level, name)) == pytest.approx(float(getattr(machine, f"{name}_pj")[i]) / block)
        assert value(level.leak) == pytest.approx(float(machine.leak_pj[i]))
        assert value(level.area) == pytest.approx(float(machine.area_um2[i]))
        for name in ("capacity", "read_bandwidth", "write_bandwidth", "shared_bandwidth"):
            assert value(getattr(level, name)) == pytest.approx(float(getattr(machine, name)[i]))
        assert value(level.fanout, 1.0) == pytest.approx(float(machine.fanout_x[i] * machine.fanout_y[i]))
        assert level.axes[0] >= float(machine.fanout_x[i])
        assert level.axes[1] >= float(machine.fanout_y[i])
    assert costs.area(x) * 1e-6 == pytest.approx(float(machine.area_mm2))
    assert costs.macs(x) == pytest.approx(float(machine.macs))
    assert costs.area.least(costs.low, costs.high) <= costs.area(x) * (1 + 1e-12)


@pytest.mark.parametrize("name", [*SPACES, "tied"])
def test_unit_costs_are_the_machines(name: str, machine: Architecture) -> None:
    space = tied(machine) if name == "tied" else get_hardware(name, space=True, wires=False)  # exact without wires
    costs = unit_costs(space)
    for sizes in space.sample(20, torch.Generator().manual_seed(0)):
        check(costs, sizes.numpy(), space.machine(sizes))
    own = space.architecture(sizes)
    check(unit_costs(as_space(own)), np.zeros(0), own.tensors())


def test_no_tied_machine_is_cheaper_than_the_compulsory_bound_takes_it_to_be(machine: Architecture) -> None:
    space = tied(machine)
    least, drawn = _extremes(space), space.machine(space.sample(200, torch.Generator().manual_seed(0)))
    for field in ("read_pj", "write_pj", "update_pj"):
        word, bound = ((getattr(m, field) / m.block_size).amin(0) for m in (drawn, least))
        assert bool((word >= bound * (1 - 1e-12)).all()), field
    assert drawn.macs.max() <= least.macs.max()


def test_a_machine_without_limits_or_costs(machine: Architecture) -> None:
    levels = (replace(machine.levels[-1], read_pj=0.0, read_bandwidth=inf),)
    (level,) = unit_costs(as_space(replace(machine, levels=levels))).levels
    assert level.read(np.zeros(0)) == 0
    assert level.read_bandwidth is level.capacity is level.fanout is None
