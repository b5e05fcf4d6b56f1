"""What the cost model refuses, and how it says so."""

from dataclasses import fields, replace

import pytest
import torch

from dlco.cost.model import evaluate, evaluate_many
from dlco.cost.shape import compile_problem, compile_problems
from dlco.errors import InvalidInput, InvalidMapping, NotSupported
from dlco.hardware.architecture import Machine
from dlco.mapping.mapping import MappingBatch
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.workload import Dataspace, Problem, conv2d, depthwise_conv2d, matmul

from .cases import Case, block, conv, make_case


@pytest.fixture
def case() -> Case:
    """C3 M4 P2 on three levels, M over four children."""
    return make_case(conv(), "CMP", block(capacity=8), block(t={"C": 3, "P": 2}, x={"M": 4}), block())


class TestOneMapping:
    def test_factors_that_miss_a_bound(self, case: Case) -> None:
        other = conv()({"C": 3, "M": 8, "P": 2})
        with pytest.raises(InvalidMapping, match="factors of M multiply to 4; they must multiply to its bound 8"):
            evaluate(other, case.architecture, case.mapping)

    def test_other_dimensions(self, case: Case) -> None:
        with pytest.raises(InvalidMapping, match="dimensions of the mapping are C, M, R, S, N, P, Q"):
            evaluate(matmul("product", M=4, K=3, N=2), case.architecture, case.mapping)

    def test_too_few_children(self, case: Case) -> None:
        levels = list(case.architecture.levels)
        levels[1] = replace(levels[1], fanout_x=2)
        with pytest.raises(InvalidMapping, match="need 4 children but there are 2") as caught:
            evaluate(case.problem, replace(case.architecture, levels=tuple(levels)), case.mapping)
        assert caught.value.level == "GLB"

    def test_too_small_a_memory(self, case: Case) -> None:
        levels = list(case.architecture.levels)
        levels[0] = replace(levels[0], capacity=2)
        with pytest.raises(InvalidMapping, match=r"tile at RF needs 3 words .* but there is room for 2") as caught:
            evaluate(case.problem, replace(case.architecture, levels=tuple(levels)), case.mapping)
        assert caught.value.level == "RF"

    def test_dataspace_that_no_level_keeps(self, case: Case) -> None:
        nowhere = replace(case.mapping, bypass=(frozenset({"Inputs"}),) * 3)
        with pytest.raises(InvalidMapping, match="Inputs is kept at no level"):
            evaluate(case.problem, case.architecture, nowhere)


class TestBatches:
    def test_other_dimensions(self, case: Case) -> None:
        layer = depthwise_conv2d("depthwise", C=4, P=2, Q=2, R=3, S=3)
        with pytest.raises(InvalidInput, match=r"mapping has dimensions .*; the problem has"):
            evaluate(layer, case.architecture, case.mapping.batch())

    def test_other_number_of_levels(self, case: Case) -> None:
        two = replace(case.architecture, levels=case.architecture.levels[:2])
        with pytest.raises(InvalidInput, match="mapping has 3 levels; the machine has 2"):
            evaluate(case.problem, two.tensors(), case.mapping)
        with pytest.raises(InvalidInput, match="mapping has 3 levels; the machine has 2"):
            evaluate(case.problem, two, case.mapping.batch())
        with pytest.raises(InvalidInput, match="mapping has 3 levels; the machine has 2"):
            evaluate_many(case.problem, two, MappingBatch.stack([case.mapping]))

    def test_dataspace_that_no_level_keeps(self, case: Case) -> None:
        nowhere = replace(case.mapping.batch(), bypass=(frozenset({"Inputs"}),) * 3)
        with pytest.raises(InvalidMapping, match="Inputs is kept at no level"):
            evaluate(case.problem, case.architecture, nowhere)


class TestRules:
    def test_unknown_restart(self) -> None:
        with pytest.raises(InvalidInput, match="restart is 'never'; allowed: refetch, overlap, timeloop"):
            CountingRules("never")

    def test_forwarding_of_real_factors(self, case: Case) -> None:
        batch = case.mapping.batch()
        relaxed = replace(batch, factors=batch.factors.requires_grad_())
        with pytest.raises(InvalidInput, match="neighbour_forwarding is True with real factors"):
            evaluate(case.problem, case.architecture, relaxed, TIMELOOP_RULES)

    def test_forwarding_in_the_fast_path(self, case: Case) -> None:
        with pytest.raises(InvalidInput, match="neighbour_forwarding is True; only evaluate"):
            evaluate_many(case.problem, case.architecture, MappingBatch.stack([case.mapping]), TIMELOOP_RULES)

    def test_forwarding_on_many_machines(self, case: Case) -> None:
        one = case.architecture.tensors()
        two = Machine(**{f.name: torch.stack([getattr(one, f.name)] * 2) for f in fields(Machine)})
        with pytest.raises(InvalidInput, match="neighbour_forwarding is True with a batch of machines"):
            evaluate(case.problem, two, case.mapping, TIMELOOP_RULES)


class TestShapes:
    def test_dimension_that_indexes_a_dataspace_twice(self) -> None:
        spaces = (
            Dataspace("Inputs", ((("P", 1),), (("P", 1),))),
            Dataspace("Outputs", ((("P", 1),),), read_write=True),
        )
        with pytest.raises(NotSupported, match="dimension P indexes Inputs twice"):
            compile_problem(Problem(("P",), (4,), spaces))

    def test_layers_of_several_shapes(self) -> None:
        layers = [conv2d("conv", C=3, M=4, P=2, Q=2, R=3, S=3), matmul("product", M=4, K=3, N=2)]
        with pytest.raises(InvalidInput, match="must share their dimensions and projections"):
            compile_problems([layer.problem for layer in layers])
