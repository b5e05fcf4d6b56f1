"""The programs that a certificate hands out, solved by cvxpy's solvers: their optima are what was proved."""

import cvxpy as cp
import pytest

import dlco
from dlco.bound import BoundEffort, lower_bound
from dlco.bound.certificate import Certificate
from dlco.errors import InvalidInput
from dlco.hardware import HardwareSpace, eyeriss_like, generic_space, simba_like
from dlco.hardware.architecture import Architecture

NET = [
    dlco.conv2d("conv", C=16, M=32, P=14, Q=14, R=3, S=3),
    dlco.depthwise_conv2d("depthwise", C=32, P=14, Q=14, R=3, S=3, count=2),
    dlco.linear("linear", C=100, M=60),
]
LIMITED = generic_space().subject_to("GlobalBuffer.capacity <= 32 * RegisterFile.capacity")
MACHINES = {"eyeriss": eyeriss_like(), "simba": simba_like(), "space": generic_space(), "limited": LIMITED}


def prove(hardware: Architecture | HardwareSpace, objective: str, **options) -> Certificate:  # type: ignore[no-untyped-def]
    return lower_bound(NET, hardware, objective, effort=BoundEffort(nodes=90, side=30, boxes=2), **options)


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")  # to the last of cvxpy's digits
@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_the_optimum_is_the_proved_bound(name: str, objective: str) -> None:
    """Of every layer, in both forms, by two solvers; without branching and boxes it is at most that."""
    certificate = prove(MACHINES[name], objective)
    assert set(certificate.layers) == {"conv", "depthwise", "linear"}
    for layer, proof in certificate.layers.items():
        for logs in (False, True):
            for solver, within in (("CLARABEL", 1e-5), ("SCS", 1e-3))[: 2 if layer == "conv" else 1]:
                problem = certificate.problem(layer, logs=logs)
                assert problem.is_dcp() if logs else problem.is_dgp()
                problem.solve(
                    gp=not logs, solver=solver, **({"eps": 1e-6, "max_iters": 50_000} if solver == "SCS" else {})
                )
                assert proof.bound_of(problem) >= proof.value * (1 - within)
                assert proof.bound_of(problem) <= proof.value * (1 + within) or not proof.solved
            whole = proof.problem(whole=True, logs=logs)
            whole.solve(gp=not logs, solver="CLARABEL")
            assert proof.bound_of(whole) <= proof.value * (1 + 1e-5)


def test_layers_add_up_to_the_bound() -> None:
    """Latency alone has one price of time: the layers' bounds, count times, are the certificate's cycles."""
    certificate = prove(eyeriss_like(), "latency")
    cycles = sum(layer.count * certificate.layers[layer.name].value for layer in NET)
    assert cycles * eyeriss_like().cycle_s == pytest.approx(certificate.value, rel=1e-5)
    assert all((proof.energy, proof.time) == (0, 1) for proof in certificate.layers.values())


def test_variables_and_limits_have_names() -> None:
    certificate = prove(LIMITED, "energy")
    problem = certificate.problem("conv")
    names = set(problem.var_dict)
    assert {"DRAM.T.C", "GlobalBuffer.S.M", "RegisterFile.T.R", "GlobalBuffer.capacity"} <= names
    assert any(name.startswith("exp(cycles / ") for name in names)
    labels = {constraint.label for constraint in problem.constraints}
    assert {"MACs", "GlobalBuffer.capacity", "DRAM.read_bandwidth", "factors of C", "limit 1 of the space"} <= labels
    assert "log(DRAM.T.C)" in certificate.problem("conv", logs=True).var_dict
    budget = dlco.Budget(area_mm2=3.0, pe_count=256)
    limited = prove(generic_space(), "energy", budget=budget).problem("conv", whole=True)
    assert {"area_mm2", "pe_count"} <= {constraint.label for constraint in limited.constraints}


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
def test_a_problem_can_be_changed() -> None:
    """A further limit on a machine's size makes the layer cost no less."""
    certificate = prove(generic_space(), "energy")
    proof = certificate.layers["conv"]
    plain = proof.problem(whole=True)
    size = plain.var_dict["RegisterFile.capacity"]
    further = cp.Problem(plain.objective, [*plain.constraints, size >= 200])
    values = []
    for problem in (plain, further):
        problem.solve(gp=True)
        values.append(proof.bound_of(problem))
    assert float(size.value) >= 200 * (1 - 1e-6)
    assert values[1] > values[0] * 1.01


def test_what_has_no_problem() -> None:
    single = dlco.linear("one", C=1, M=1)
    certificate = lower_bound([single], eyeriss_like(), "energy")
    with pytest.raises(InvalidInput, match="layer 'one' has no program"):
        certificate.problem("one")
    with pytest.raises(InvalidInput, match="layer is 'two'; this bound has programs of: one"):
        certificate.problem("two")
    area = lower_bound(NET, eyeriss_like(), "energy", dlco.Budget(area_mm2=1e-3))
    with pytest.raises(InvalidInput, match="none, as no program was solved"):
        area.problem("conv")
