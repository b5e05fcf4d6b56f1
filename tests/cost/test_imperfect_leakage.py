"""Leakage of imperfect mappings: of all instances that are ever used, over all cycles of the busiest."""

import pytest

from dlco import conv2d, evaluate
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.mapping import Mapping


def test_leakage_is_that_of_the_busiest_instances() -> None:
    """13 rows, two at a time, on 4 children: 7 pairs in two turns, so all four leak although the last turn needs 3."""
    layer = conv2d("layer", C=1, M=7, R=1, S=1, P=13, Q=1)
    machine = Architecture(
        (Level("RF", leak_pj=0.5, read_pj=1.0), Level("Buffer", leak_pj=2.0, fanout_x=4), Level("DRAM", leak_pj=0.25))
    )
    dims = layer.problem.dimensions

    def row(**factors: int) -> tuple[int, ...]:
        return tuple(factors.get(d, 1) for d in dims)

    mapping = Mapping(
        dims,
        ("RF", "Buffer", "DRAM"),
        (row(P=2), row(P=2), row(M=7)),
        (row(), row(P=4), row()),
        (row(),) * 3,
        (dims,) * 3,
        (dims,) * 3,
        (frozenset(),) * 3,
    )
    cost = evaluate(layer, machine, mapping)
    assert cost.cycles.item() == 7 * 2 * 2
    assert cost.leak_pj.tolist() == [28 * 4 * 0.5, 28 * 2.0, 28 * 0.25]
    assert cost.energy_pj.item() == pytest.approx(
        cost.mac_pj.item() + cost.access_pj.sum().item() + cost.leak_pj.sum().item()
    )
