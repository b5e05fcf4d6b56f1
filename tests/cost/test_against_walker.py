"""Every count of the cost model against a loop nest executed step by step."""

from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.cost.model import Counts, evaluate
from dlco.cost.rules import RESTARTS, CountingRules

from .cases import FAMILIES, Case, cases
from .walker import Count, Walker


def walkers(case: Case, restart: str) -> list[Walker]:
    """One for each dataspace."""
    return [
        Walker(case.mapping, space, [space.name not in bypass for bypass in case.mapping.bypass], restart)
        for space in case.problem.dataspaces
    ]


def executed(case: Case, restart: str) -> dict[str, list[list[int]]]:
    """`[levels][spaces]` of the numbers that the walkers count."""
    rows = list(zip(*(walker.counts() for walker in walkers(case, restart)), strict=True))
    return {field.name: [[getattr(count, field.name) for count in row] for row in rows] for field in fields(Count)}


def modelled(case: Case, restart: str) -> Counts:
    """The cost model's counts."""
    return evaluate(case.problem, case.architecture, case.mapping, CountingRules(restart)).counts


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
def test_accesses_are_those_of_the_executed_nest(family: str, data: st.DataObject) -> None:
    case = data.draw(cases(families=(family,)))
    for restart in RESTARTS:
        counts, expected = modelled(case, restart), executed(case, restart)
        assert counts.reads.tolist() == expected["reads"], restart
        assert counts.fills.tolist() == expected["fills"], restart
        assert counts.updates.tolist() == expected["updates"], restart


@given(case=cases(families=("conv", "depthwise", "grouped", "matmul", "conv3d")))
def test_partial_sums_are_read_at_all_but_the_first_visit_of_a_word(case: Case) -> None:
    counts = modelled(case, "overlap")
    distinct = torch.tensor(executed(case, "overlap")["distinct_updates"])
    outputs = [space.name for space in case.problem.dataspaces].index("Outputs")
    assert torch.equal(counts.partition[:, outputs], distinct[:, outputs].double())
    assert torch.equal(counts.reads[:, outputs], (counts.updates - distinct)[:, outputs])


@given(case=cases(bypass=False))
def test_tiles_are_the_bounding_boxes_of_what_their_loops_touch(case: Case) -> None:
    tiles = [[len(walker.tile(level)) for walker in walkers(case, "overlap")] for level in range(case.levels)]
    assert modelled(case, "overlap").tile.tolist() == tiles
