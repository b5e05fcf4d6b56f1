"""Layers side by side in a group are what each is alone."""

from math import prod

import pytest
import torch

from dlco import conv2d, depthwise_conv2d, linear, matmul, networks
from dlco.cost.model import evaluate_totals
from dlco.hardware import eyeriss_like, generic
from dlco.mapping.mapping import MappingBatch
from dlco.search.group import make_groups
from dlco.search.unit_moves import random_start


def test_layers_are_grouped_by_structure_and_none_is_lost() -> None:
    layers = networks.mobilenet_v2()[:6] + networks.bert_base_block()
    groups = make_groups(layers, eyeriss_like())
    members = [i for group in groups for i in group.members]
    assert sorted(members) == list(range(len(layers)))
    for group in groups:
        assert [layers[i] for i in group.members] == list(group.layers)
        assert len({layer.problem.dimensions for layer in group.layers}) == 1
    assert len(groups) == 3  # convolutions and linear layers, depthwise, products


@pytest.mark.parametrize("architecture", [eyeriss_like(), generic()], ids=lambda a: a.name)
def test_a_group_s_mappings_cost_what_they_cost_alone(architecture) -> None:  # type: ignore[no-untyped-def]
    layers = [
        conv2d("one", C=12, M=24, P=14, Q=14, R=3, S=3),
        conv2d("two", C=5, M=64, P=7, Q=1, R=1, S=7, stride=2),
        linear("three", C=97, M=1000),
    ]
    (group,) = make_groups(layers, architecture)
    layer = torch.arange(3)
    assignment, position = random_start(group, layer, 50, torch.Generator().manual_seed(0))
    factors = group.factors(layer, assignment)
    assert factors.flatten(2, 3).prod(2).tolist() == [[[float(b) for b in one.problem.bounds]] * 50 for one in layers]
    machine = architecture.tensors()
    together = evaluate_totals(group.shape.select(layer[:, None]), machine, group.kept, factors, position)
    for i, one in enumerate(layers):
        (alone,) = make_groups([one], architecture)
        totals = evaluate_totals(alone.shape, machine, alone.kept, factors[i], position[i])
        assert torch.equal(together.energy_pj[i], totals.energy_pj)
        assert torch.equal(together.cycles[i], totals.cycles)
        assert torch.equal(together.overflow[i] > 0, totals.overflow > 0)


def test_a_mapping_written_out_has_the_factors_and_the_order_of_its_tables() -> None:
    layers = [matmul("a", M=6, K=8, N=10), matmul("b", M=3, K=1, N=7)]
    (group,) = make_groups(layers, generic())
    layer = torch.arange(2)
    assignment, position = random_start(group, layer, 4, torch.Generator().manual_seed(1))
    factors = group.factors(layer, assignment)
    for i, one in enumerate(layers):
        for k in range(4):
            mapping = group.mapping(i, assignment[i, k], position[i, k])
            assert torch.equal(MappingBatch.stack([mapping]).factors[0], factors[i, k])
            for dim, bound in one.problem.sizes.items():
                column = one.problem.dimensions.index(dim)
                assert prod(row[column] for level in mapping.factors for row in level) == bound
            for level, order in enumerate(mapping.order):
                places = [position[i, k, level, one.problem.dimensions.index(dim)].item() for dim in order]
                assert places == sorted(places)


def test_a_layer_without_loops_has_a_place_too() -> None:
    (group,) = make_groups([matmul("unit", M=1, K=1, N=1)], generic())
    assignment, position = random_start(group, torch.arange(1), 3, torch.Generator())
    assert bool((group.factors(torch.arange(1), assignment) == 1).all())
    assert group.mapping(0, assignment[0, 0], position[0, 0]).levels == ("RegisterFile", "GlobalBuffer", "DRAM")


def test_depthwise_layers_have_their_own_group() -> None:
    layers = [
        depthwise_conv2d("dw", C=8, P=4, Q=4, R=3, S=3),
        conv2d("pw", C=8, M=4, P=4, Q=4, R=1, S=1),
        depthwise_conv2d("dw2", C=4, P=2, Q=2, R=3, S=3, stride=2),
    ]
    groups = make_groups(layers, generic())
    assert [group.members for group in groups] == [(0, 2), (1,)]
