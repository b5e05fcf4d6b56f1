"""Every count of the cost model against a loop nest executed step by step."""

from dataclasses import fields
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.cost.cost import Counts
from dlco.cost.model import evaluate
from dlco.mapping.rules import RESTARTS, CountingRules
from dlco.workload import Dataspace, Problem

from .cases import FAMILIES, Case, block, cases, make_case
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


@given(
    steps=st.tuples(*[st.integers(1, 6)] * 3), sizes=st.tuples(*[st.integers(1, 8)] * 3), terms=st.sampled_from((2, 3))
)
def test_children_with_the_same_words_are_served_once(
    steps: tuple[int, int, int], sizes: tuple[int, int, int], terms: int
) -> None:
    """Two or three loops over one rank lay offsets of any steps over each other; equal ones are one access."""
    sizes = (*sizes[:terms], *[1] * (3 - terms))[:3]
    window = tuple(zip("PRT", steps, strict=True))
    spaces = (
        Dataspace("Weights", ((("R", 1),), (("T", 1),))),
        Dataspace("Inputs", (window,)),
        Dataspace("Outputs", ((("P", 1),),), read_write=True),
    )
    p, r, t = sizes
    case = make_case(
        lambda bounds: Problem(tuple(bounds), tuple(bounds.values()), spaces),
        "PRT",
        block(x={"P": p, "T": t}, y={"R": r}),
    )
    offsets = {
        sum(i * step for i, step in zip(point, steps, strict=True)) for point in product(*(range(n) for n in sizes))
    }
    assert modelled(case, "refetch").reads[0, 1] == len(offsets)
