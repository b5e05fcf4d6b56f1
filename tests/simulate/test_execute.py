"""Mappings executed word by word compute what torch computes, and wrong ones stop where they go wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as torch users write it
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco import workload
from dlco.errors import InvalidInput, InvalidMapping
from dlco.mapping import Mapping
from dlco.mapping.rules import CountingRules
from dlco.simulate import count_accesses, execute
from dlco.simulate.execute import run_nest
from dlco.simulate.loopnest import LoopNest
from dlco.workload import Problem

from ..cost.cases import DENSE, FAMILIES, Case, block, cases, conv, grouped, make_case, plain, products
from ..cost.imperfect_walker import ImperfectWalker


def operands(problem: Problem, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random int32 tensors of the shapes that the projections imply, with products that overflow now and then."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        space.name: [1 + sum(c * (problem.sizes[d] - 1) for d, c in rank) for rank in space.projection]
        for space in problem.dataspaces
        if not space.read_write
    }
    return {
        name: torch.randint(-(2**20), 2**20, shape, generator=generator, dtype=torch.int32)
        for name, shape in shapes.items()
    }


def einsum(problem: Problem, given: dict[str, torch.Tensor]) -> np.ndarray:
    """The problem's own sum, at every point of its iteration space, in 64 bits and cut to 32."""
    grid = dict(zip(problem.dimensions, np.indices(problem.bounds), strict=True))

    def at(name: str) -> tuple[np.ndarray, ...]:
        return tuple(sum(c * grid[d] for d, c in rank) for rank in problem.dataspace(name).projection)

    outputs = np.zeros(
        [1 + sum(c * (problem.sizes[d] - 1) for d, c in r) for r in problem.dataspace("Outputs").projection]
    )
    outputs = outputs.astype(np.int64)
    weights, inputs = (given[name].numpy().astype(np.int64) for name in ("Weights", "Inputs"))
    np.add.at(outputs, at("Outputs"), weights[at("Weights")] * inputs[at("Inputs")])
    return outputs.astype(np.int32)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data())
def test_any_mapping_computes_the_layer_and_moves_what_is_counted(family: str, data: st.DataObject) -> None:
    case = data.draw(cases(families=(family,)))
    problem = case.problem
    given_ = operands(problem, data.draw(st.integers(0, 99)))
    done = execute(problem, case.mapping, given_, case.architecture)
    np.testing.assert_array_equal(done.outputs["Outputs"].numpy(), einsum(problem, given_))
    assert done.macs == problem.macs
    counts = count_accesses(problem, case.architecture, case.mapping, CountingRules("overlap"))
    for name in ("reads", "fills", "updates"):
        moved = [
            [n // instances for n in row]
            for row, instances in zip(getattr(done.traffic, name), counts.instances, strict=True)
        ]
        counted = [list(row) for row in getattr(counts, name)]
        for s, space in enumerate(problem.dataspaces):
            # First visits of a result with windows or gaps are a convention; those of all others are what happens.
            if not space.read_write or family in DENSE:
                assert [row[s] for row in moved] == [row[s] for row in counted], (name, space.name)
    assert done.traffic.entered == done.traffic.left


def convolved(inputs: torch.Tensor, weights: torch.Tensor, **options: object) -> torch.Tensor:
    """Torch's int32 convolution; it has none with dilation, but in float64, which holds these sums exactly."""
    if "dilation" not in options:
        return F.conv2d(inputs, weights, **options)
    return F.conv2d(inputs.double(), weights.double(), **options).long().to(torch.int32)


def mapped(problem_of, dims: str) -> Case:
    """Two or three levels, spatial reductions and a level that bypasses, whatever the layer."""
    first, second, *rest = dims
    return make_case(
        problem_of,
        dims,
        block(t={rest[0]: 2, second: 2}, x={first: 2}, bypass="Inputs"),
        block(t={d: 2 for d in rest[1:3]} | {first: 2}, y={rest[-1]: 2}),
        block(t={rest[-2]: 2, rest[-1]: 2}),
    )


STRIDED = [dict(), dict(stride=(2, 3)), dict(dilation=(3, 2)), dict(stride=(3, 1), dilation=(1, 2))]


@pytest.mark.parametrize("options", STRIDED, ids=str)
@pytest.mark.parametrize("padding", [0, 2])
def test_conv2d_is_torch_s_to_the_bit(options: dict, padding: int) -> None:
    case = mapped(conv(**options), "CMRSPQ")
    given_ = operands(case.problem)
    if padding:  # the tensor holds its padding
        given_["Inputs"][..., :padding, :] = 0
        given_["Inputs"][..., -padding:] = 0
    ours = execute(case.problem, case.mapping, given_, case.architecture).outputs["Outputs"]
    theirs = convolved(given_["Inputs"], given_["Weights"].transpose(0, 1), **options)
    assert ours.dtype == theirs.dtype == torch.int32
    assert torch.equal(ours, theirs)


def test_padding_given_to_torch_is_padding_held_by_the_inputs() -> None:
    case = make_case(conv(), "CMRSPQ", block(t={"R": 3, "S": 3}, x={"C": 2}), block(t={"P": 4, "Q": 4, "M": 2}))
    image = operands(case.problem)["Inputs"][..., 1:-1, 1:-1].contiguous()
    given_ = operands(case.problem) | {"Inputs": F.pad(image, (1, 1, 1, 1))}
    ours = execute(case.problem, case.mapping, given_).outputs["Outputs"]
    assert torch.equal(ours, F.conv2d(image, given_["Weights"].transpose(0, 1), padding=1))


def test_grouped_depthwise_and_matmul_are_torch_s_to_the_bit() -> None:
    case = mapped(grouped(stride=(2, 1)), "GCMRSPQ")
    given_, n = operands(case.problem), case.problem.sizes
    weights = given_["Weights"].transpose(1, 2).reshape(-1, n["C"], n["R"], n["S"])
    theirs = F.conv2d(given_["Inputs"].flatten(1, 2), weights, stride=(2, 1), groups=n["G"])
    ours = execute(case.problem, case.mapping, given_, case.architecture).outputs["Outputs"]
    assert torch.equal(ours.reshape(theirs.shape), theirs)

    case = mapped(plain(workload.depthwise_conv2d)((1, 1), (2, 2)), "CRSNPQ")
    given_ = operands(case.problem)
    theirs = convolved(given_["Inputs"], given_["Weights"][:, None], dilation=2, groups=case.problem.sizes["C"])
    assert torch.equal(execute(case.problem, case.mapping, given_, case.architecture).outputs["Outputs"], theirs)

    case = mapped(products((1, 1), (1, 1)), "KBNM")
    given_ = operands(case.problem)
    theirs = torch.einsum("bmk,bkn->bmn", given_["Inputs"], given_["Weights"])
    assert torch.equal(execute(case.problem, case.mapping, given_, case.architecture).outputs["Outputs"], theirs)


def imperfect() -> tuple[Problem, Mapping]:
    """P = 7 in tiles of 2 x 2, C = 3 over 2 children, at two levels."""
    case = make_case(conv(), "CMRSNPQ", block(t={"P": 2, "R": 3}, x={"C": 2}), block(t={"P": 4, "C": 2, "M": 2}))
    problem = workload.conv2d("x", C=3, M=2, R=3, S=1, P=7, Q=1).problem
    return problem, case.mapping


def test_tiles_that_are_cut_short() -> None:
    problem, mapping = imperfect()
    given_ = operands(problem)
    done = execute(problem, mapping, given_)
    assert torch.equal(done.outputs["Outputs"], F.conv2d(given_["Inputs"], given_["Weights"].transpose(0, 1)))
    for s, space in enumerate(problem.dataspaces):
        walker = ImperfectWalker(problem, mapping, space)
        assert (done.macs, done.steps) == (walker.macs(), walker.cycles())
        if space.read_write:
            assert [row[s] for row in done.traffic.first_visits] == [walker.first_visits(level) for level in (0, 1)]


def test_a_loop_that_steps_too_far_reads_beyond_the_tensor() -> None:
    case = small()
    nest = LoopNest.of(case.problem, case.mapping, case.architecture)
    p = next(i for i, loop in enumerate(nest.loops) if loop.dim == "P")
    far = replace(nest, loops=(*nest.loops[:p], replace(nest.loops[p], stride=2), *nest.loops[p + 1 :]))
    with pytest.raises(
        InvalidMapping, match=r"^step \d+ \(.*=.* at DRAM.*: .* has no \w+\[.*\]: the tensor ends before"
    ):
        run_nest(far, operands(case.problem))


def small() -> Case:
    return make_case(conv(), "CMRP", block(t={"R": 3}, x={"M": 2}), block(t={"P": 4, "C": 2}))


def test_work_left_out_is_found() -> None:
    case = small()
    problem = workload.conv2d("x", C=2, M=2, R=3, S=1, P=5, Q=1).problem
    with pytest.raises(InvalidMapping, match=r"after its last step, the nest has done 48 of 60 MACs"):
        execute(problem, case.mapping, operands(problem))


def test_loops_that_step_wrongly_are_found() -> None:
    case = small()
    nest = LoopNest.of(case.problem, case.mapping, case.architecture)
    p = next(i for i, loop in enumerate(nest.loops) if loop.dim == "P")
    still = replace(nest, loops=(*nest.loops[:p], replace(nest.loops[p], stride=0), *nest.loops[p + 1 :]))
    with pytest.raises(
        InvalidMapping, match=r"^step 3 \(.*P=1 at DRAM.*\): MAC 0 repeats the work at C=0, M=0, R=0, P=0"
    ):
        run_nest(still, operands(case.problem))
    r = next(i for i, loop in enumerate(nest.loops) if loop.dim == "R")
    far = replace(nest, loops=(*nest.loops[:r], replace(nest.loops[r], stride=2), *nest.loops[r + 1 :]))
    with pytest.raises(InvalidMapping, match=r"^step 2 .*RF has no Weights\[0, 0, 4, 0\]: MAC 0 needs it") as error:
        run_nest(far, operands(case.problem))
    assert error.value.level == "RF"


def test_a_tile_larger_than_its_buffer_is_found() -> None:
    case = make_case(conv(), "CMRP", block(t={"R": 3}, x={"M": 2}, capacity=10), block(t={"P": 4, "C": 2}))
    with pytest.raises(InvalidMapping, match=r"^step 0 .*tiles at RF need 11 words but there is room for 10"):
        execute(case.problem, case.mapping, operands(case.problem), case.architecture)


def test_a_dataspace_that_is_nowhere_cannot_be_read() -> None:
    case = small()
    nowhere = replace(case.mapping, bypass=(frozenset({"Inputs"}),) * 2)
    with pytest.raises(InvalidMapping, match="Inputs is kept at no level; step 0 cannot read it"):
        execute(case.problem, nowhere, operands(case.problem))


def test_operands_that_do_not_fit() -> None:
    case = small()
    good = operands(case.problem)
    with pytest.raises(InvalidInput, match="operands lack Weights"):
        execute(case.problem, case.mapping, {"Inputs": good["Inputs"]})
    with pytest.raises(
        InvalidInput, match=r"Inputs is a torch.complex64 tensor .*real numbers of shape \(1, 2, 6, 1\)"
    ):
        execute(case.problem, case.mapping, good | {"Inputs": good["Inputs"].to(torch.complex64)})
    with pytest.raises(InvalidInput, match=r"shape \(2, 6, 1\); real numbers of shape \(1, 2, 6, 1\)"):
        execute(case.problem, case.mapping, good | {"Inputs": good["Inputs"][0]})
