"""`solve` on fixed machines that the exact search covers: proved optima, within limits and when cut short."""

from dataclasses import replace
from pathlib import Path

import pytest

from dlco import Budget, InvalidInput, conv2d, linear, matmul, networks, solve
from dlco.exact import best_first
from dlco.hardware import eyeriss_like, gemmini_like, generic
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping import Constraints, SlotConstraint
from dlco.optimize import SolveEffort, enumerate_network
from dlco.progress import Progress
from dlco.timeloop import read_architecture

DATA = Path(__file__).resolve().parents[1] / "data" / "timeloop" / "hardware"
EYERISS_BYPASS = {
    "shared_glb": ["Weights"],
    "ifmap_spad": ["Weights", "Outputs"],
    "weights_spad": ["Inputs", "Outputs"],
    "psum_spad": ["Weights", "Inputs"],
}
TINY = [conv2d("conv", C=4, M=4, P=4, Q=2, R=3, S=1, count=2), matmul("mm", M=4, K=6, N=4)]
SMALL = Architecture(
    (
        Level("Registers", "regfile", capacity=12, read_pj=1.0, write_pj=1.0, update_pj=1.0, read_bandwidth=2.0),
        Level("Buffer", capacity=60, read_pj=5.0, write_pj=6.0, update_pj=6.0, fanout_x=3, fanout_y=2, leak_pj=0.5),
        Level("DRAM", "DRAM", read_pj=100.0, write_pj=100.0, update_pj=100.0, read_bandwidth=2.0),
    )
)


@pytest.mark.parametrize(
    ("machine", "edp"),
    [
        (read_architecture(DATA / "unified_256.yaml"), 9.27572e16),
        (read_architecture(DATA / "eyeriss_like_168.yaml").with_bypass(EYERISS_BYPASS), 1.44880e17),
        (eyeriss_like(wires=False), 1.26548e17),
    ],
    ids=["unified_256", "eyeriss_like_168", "eyeriss_like"],
)
def test_resnet18_is_mapped_to_the_optimum_that_another_search_proved(machine, edp):
    solution = solve(networks.resnet18(), machine, "edp", imperfect=False)
    assert solution.value == pytest.approx(edp, rel=1e-5)
    assert (solution.status, solution.gap) == ("solved", 0.0)
    assert solution.certificate == "proved optimal, no design in this space is better"


@pytest.mark.parametrize("objective", ["latency", "energy", "edp", "area"])
def test_the_best_of_all_mappings_is_found_within_limits(objective):
    free = {name: enumerate_network(TINY, SMALL, name).cost for name in ("latency", "energy")}
    limits = [None, Budget(latency_s=1.2 * free["latency"].latency_s)]
    limits.append(Budget(energy_j=1.02e-12 * free["energy"].energy_pj))
    limits.append(Budget(layer_latency_s={"mm": 40e-9}))
    for budget in limits:
        listed = enumerate_network(TINY, SMALL, objective, budget)
        found = solve(TINY, SMALL, objective, budget)
        assert (found.status, found.gap) == ("solved", 0.0)
        assert found.cost.edp == pytest.approx(listed.cost.edp, rel=1e-9) or objective != "edp"
        assert found.value == pytest.approx(listed.value, rel=1e-9)


def test_limits_that_nothing_meets_are_explained():
    least = enumerate_network(TINY, SMALL, "energy").cost
    found = solve(TINY, SMALL, "energy", Budget(energy_j=least.energy_pj * 1e-12 * 0.999))
    assert found.status == "infeasible"
    assert found.conflicts[0].limit == "energy_j"


@pytest.mark.parametrize("calls", [1, 2, 3, 5, 8])
def test_cut_short_it_returns_the_best_so_far_with_a_bound_that_holds(calls):
    layers, seen = networks.resnet18()[:4], 0

    def stop(progress: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen >= calls:
            raise KeyboardInterrupt

    best = solve(layers, generic(), "edp").value
    found = solve(layers, generic(), "edp", progress=stop)
    assert found.status in ("interrupted", "solved")
    assert best * (1 - 1e-12) <= found.value < 3 * best
    assert 0 < found.lower_bound <= best * (1 + 1e-12)


def test_a_resumed_run_searches_only_what_is_left(tmp_path, monkeypatch):
    layers, machine = networks.resnet18()[:4], generic()
    whole = solve(layers, machine, "edp", checkpoint=tmp_path / "a.ckpt")

    def never(*arguments: object) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr("dlco.optimize.fixed.begin_search", never)
    again = solve(layers, machine, "edp", resume=tmp_path / "a.ckpt")
    assert (again.mappings, again.value, again.gap) == (whole.mappings, whole.value, 0.0)


def test_constraints_are_proved_too():
    layer = linear("fc", C=32, M=24)
    slot = SlotConstraint("GlobalBuffer", "spatial", exact=(("C", 1),))
    found = solve([layer], generic(), "latency", constraints=Constraints((slot,)))
    assert found.gap == 0.0
    assert found.mappings["fc"].spatial_x[1][0] == found.mappings["fc"].spatial_y[1][0] == 1
    assert solve([layer], replace(generic(), constraints=Constraints((slot,))), "latency").value == found.value


@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_the_best_of_all_mappings_that_meet_constraints_is_found(objective, tmp_path):
    layers = [TINY[0], conv2d("other", C=2, M=6, P=2, Q=2, R=1, S=3)]
    constraints = Constraints(
        (
            SlotConstraint("Buffer", "spatial", at_most=(("M", 2), ("C", 2)), axis_x=("M",), axis_y=("C",)),
            SlotConstraint("Buffer", "temporal", innermost=("P", "M", "C")),
            SlotConstraint("DRAM", "temporal", exact=(("Q", 2),), rest=("M",)),
        ),
        bypass=(("Registers", frozenset({"Weights"})),),
    )
    listed = enumerate_network(layers, SMALL, objective, constraints=constraints)
    found = solve(layers, SMALL, objective, constraints=constraints, checkpoint=tmp_path / "a.ckpt")
    assert (found.status, found.gap) == ("solved", 0.0)
    assert found.value == pytest.approx(listed.value, rel=1e-9)
    again = solve(layers, replace(SMALL, constraints=constraints), objective)
    assert again.value == found.value
    resumed = solve(layers, SMALL, objective, constraints=constraints, resume=tmp_path / "a.ckpt")
    assert resumed.mappings == found.mappings


def test_constraints_that_leave_no_mapping_are_said_with_what_the_nearest_breaks():
    slots = (SlotConstraint("Registers", "temporal", exact=(("P", 4), ("C", 4), ("M", 4))),)
    with pytest.raises(InvalidInput, match=r"no mapping was found that meets the constraints .* tile at Registers"):
        solve(TINY[:1], SMALL, "edp", constraints=Constraints(slots))
    names = [level.name for level in SMALL.levels]
    slots = tuple(SlotConstraint(name, kind, at_most=(("P", 1),)) for name in names for kind in ("temporal", "spatial"))
    with pytest.raises(InvalidInput, match="constraints on P leave no way to split its bound 4"):
        solve(TINY[:1], SMALL, "edp", constraints=Constraints(slots))


def test_other_machines_are_searched_as_before(caplog):
    caplog.set_level("INFO", logger="dlco")
    layer = [linear("fc", C=32, M=24)]
    assert solve(layer, gemmini_like(), "power").status == "solved"
    assert "does not answer this: slower is better where mean power counts" in caplog.text


def test_bound_false_proves_nothing():
    assert solve(TINY, SMALL, "edp", bound=False).lower_bound is None
    with pytest.raises(InvalidInput, match="bound is"):
        solve(TINY, SMALL, "edp", bound=3)


def test_what_the_widest_pass_leaves_open_is_searched_for_and_bounded(monkeypatch):
    layer, machine = conv2d("c", C=16, M=32, P=14, Q=14, R=3, S=3), gemmini_like()
    proved = solve([layer], machine)
    monkeypatch.setattr(best_first, "WIDTHS", (1,))
    left = solve([layer], machine)
    assert proved.gap == 0
    assert left.status == "solved"
    assert left.gap > 0
    assert left.lower_bound <= proved.lower_bound <= left.cost.edp


def test_batches_of_the_effort_end_the_search_of_a_layer():
    layer, machine = conv2d("c", C=16, M=96, P=56, Q=56, R=1, S=1), eyeriss_like()
    proved = solve([layer], machine)
    left = solve([layer], machine, effort=SolveEffort(starts=0, polishes=0, batches=1))
    assert proved.gap == 0
    assert left.status == "solved"
    assert left.gap > 0
    assert left.lower_bound <= proved.lower_bound <= left.cost.edp
