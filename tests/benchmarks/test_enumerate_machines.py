"""One enumeration for many machines, against an enumeration for each."""

from itertools import product

import pytest
import torch
from baselines.enumerate_machines import enumerate_machines, undominated
from hypothesis import given
from hypothesis import strategies as st

from dlco import evaluate
from dlco.errors import InvalidInput
from dlco.exact.enumerate import enumerate_network


@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_every_machine_gets_its_own_optimum(objective, network, space):
    sizes = torch.tensor(list(product((2,), (4, 16, 28, 64), (1, 4, 8))), dtype=torch.float64)
    machines = space.machine(sizes)
    found = enumerate_machines(network, space.base, machines, objective)
    seen = set()
    for m, one in enumerate(sizes.tolist()):
        on_grid = one[1] in (16, 28, 64) and one[2] in (4, 8)
        if not on_grid:
            continue
        machine = space.architecture(one)
        best = enumerate_network(network, machine, objective)
        value = {"latency": found.cycles * machine.cycle_s, "energy": found.energy_pj}.get(
            objective, found.energy_pj * found.cycles
        )
        assert value[m].item() == pytest.approx(best.value, rel=1e-9)
        costs = [evaluate(layer, machine, found.mappings[m][layer.name]) for layer in network]
        energy = sum(c.energy_pj.item() * layer.count for c, layer in zip(costs, network, strict=True))
        assert energy == pytest.approx(found.energy_pj[m].item(), rel=1e-9)
        seen.add(round(best.value, 15))
    assert len(seen) > 1 or objective == "latency"
    assert torch.isinf(found.energy_pj[sizes[:, 2] == 1]).all()  # one register does not hold three operands
    assert found.mappings[0] == {}


def test_machines_that_do_other_things_are_refused(network, space):
    machines = space.machine(space.index_to_sizes(torch.tensor([[0, 0, 0], [1, 0, 0]])))
    with pytest.raises(InvalidInput, match="fanout_x of the machines differ"):
        enumerate_machines(network, space.base, machines)
    with pytest.raises(InvalidInput, match="objective is 'power'"):
        enumerate_machines(network, space.base, machines.select(torch.tensor([0])), "power")


@given(rows=st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_rows_that_another_dominates_are_dropped(rows):
    costs = torch.tensor(rows, dtype=torch.float64).view(-1, 3)
    best = {a for a in rows if not any(b != a and all(y <= x for x, y in zip(a, b, strict=True)) for b in rows)}
    kept = [rows[i] for i in undominated(costs).tolist()]
    assert set(kept) == best
    assert len(kept) == len(best)
