"""Chains executed tile by tile on numbers: what torch computes, what is counted moves, what is reserved is enough."""

import random
from collections import Counter

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as torch users write it

from dlco import attention_scores, attention_values, conv2d, depthwise_conv2d, evaluate, linear, matmul
from dlco.errors import InvalidMapping
from dlco.fusion.chains import Fused
from dlco.fusion.retained import Fronts
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.mapping import Mapping
from dlco.mapping.rules import CountingRules
from dlco.simulate import count_accesses, execute_chain
from dlco.workload.chain import Chain, Link
from dlco.workload.passes import normalise
from dlco.workload.problem import Problem
from dlco.workload.tiling import KEPT, RECOMPUTED, RESIDENT, STREAMED, Tiled, Tiling

MACHINE = Architecture(
    (
        Level("L0", capacity=24, read_pj=1.0, write_pj=1.0, update_pj=1.0),
        Level("L1", capacity=4000, fanout_x=2, read_pj=5.0, write_pj=6.0, update_pj=7.0),
        Level("DRAM", kind="DRAM", read_pj=100.0, write_pj=110.0, update_pj=120.0, read_bandwidth=2, write_bandwidth=2),
    ),
    mac_pj=1.0,
)


class Convolutions:
    """A chain of random convolutions with a random image and kernels, and what torch makes of it."""

    def __init__(self, rng: random.Random, *, batch: int = 1, padded: bool = True) -> None:
        generator = torch.Generator().manual_seed(rng.randrange(1000))
        shape, channels = [rng.choice((6, 7, 9)), rng.choice((4, 5))], [1, 2, rng.choice((1, 2)), 1]
        image = torch.randint(-9, 9, (batch, channels[0], *shape), generator=generator, dtype=torch.int32)
        problems, self.operands = [], {}
        for at in range(rng.choice((2, 3))):
            kernel = [rng.choice((1, 2, 3)) if n > 3 else 1 for n in shape]
            stride = [rng.choice((1, 1, 2)) if n > 3 else 1 for n in shape]
            pads = [rng.choice((0, (k - 1) // 2, k // 2)) if padded else 0 for k in kernel]
            out = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape, pads, kernel, stride, strict=True)]
            deep = channels[at] == channels[at + 1] and rng.random() < 0.5
            c, m = channels[at], channels[at + 1]
            sizes = dict(zip("PQRS", (*out, *kernel), strict=True)) | {"N": batch, "stride": stride}
            problems.append((depthwise_conv2d("d", C=c, **sizes) if deep else conv2d("c", C=c, M=m, **sizes)).problem)
            weights = torch.randint(
                -9, 9, (c, *kernel) if deep else (c, m, *kernel), generator=generator, dtype=torch.int32
            )
            self.operands[at, "Weights"] = weights
            padded_image = F.pad(image, (pads[1], pads[1], pads[0], pads[0]))
            if at == 0:
                rows, columns = problems[0].dataspace("Inputs").box(problems[0].sizes)[2:]
                self.operands[0, "Inputs"] = padded_image[:, :, :rows, :columns]
            kernels = weights[:, None] if deep else weights.transpose(0, 1)
            image = F.conv2d(padded_image, kernels, stride=tuple(stride), groups=c if deep else 1)
            shape = out
        self.chain = Chain(tuple(problems), tuple(Link(at, at + 1, "Inputs") for at in range(len(problems) - 1)))
        self.expected = image


def mapped(fused: Fused) -> dict[tuple[int, Problem, bool], Mapping]:
    """Some best mapping of every part, by layer, problem and whether it is the layer's first run."""
    fronts, found = Fronts(MACHINE), {}
    for part in fused.parts():
        front = fronts.of(part.problem, part.residence)
        assert front is not None
        loads = bool(part.residence.loaded) or not fused.tiled.loaded(part.step)
        found[part.step, part.problem, loads] = front.front.mappings[0]
        if not fused.tiled.loaded(part.step):
            found[part.step, part.problem, False] = front.front.mappings[0]
    return found


@pytest.mark.parametrize("seed", range(1, 9))
def test_tiles_compute_the_chain_and_move_what_is_counted(seed: int) -> None:
    rng = random.Random(seed)
    made = Convolutions(rng, batch=rng.choice((1, 1, 2)), padded=rng.random() < 0.7)
    last = made.chain.problems[-1].sizes
    long = [dim for dim in made.chain.axes if last[dim] > 1]
    dims = rng.sample(long, min(len(long), rng.choice((1, 2))))
    cut = tuple((dim, rng.randrange(1, last[dim] + 1)) for dim in dims)
    tiling = Tiling(cut, rng.choice((KEPT, RECOMPUTED)), rng.choice((STREAMED, RESIDENT)))
    fused = Fused(0, len(made.chain.problems) - 1, Tiled(made.chain, tiling), "L1")
    mappings = mapped(fused)
    done = execute_chain(fused.tiled, lambda *key: mappings[key], made.operands, MACHINE)
    assert torch.equal(done.outputs, made.expected)
    assert list(done.macs) == [fused.tiled.macs(layer) for layer in range(len(done.macs))]
    if tiling.halo == KEPT:
        assert list(done.macs) == [problem.macs for problem in made.chain.problems]
    held = [fused.tiled.held(layer) for layer in range(len(done.live))]
    assert all(live <= reserved for live, reserved in zip(done.live, held, strict=True))
    check_traffic(fused, mappings, done)


def check_traffic(fused: Fused, mappings: dict, done: object) -> None:
    """What the execution moved is what is counted of the parts, which is what the cost model makes of them."""
    runs = Counter((run.layer, run.problem, run.first) for run in fused.tiled.runs())
    assert sum(runs.values()) == len(done.traffic)
    assert Counter({(run.layer, run.problem, run.first): n for run, n in fused.tiled.parts()}) == runs
    moved, counted = Counter(), Counter()
    order = [(run.layer, run.problem, run.first) for run in fused.tiled.runs()]
    for key, traffic in zip(order, done.traffic, strict=True):
        for counter in ("reads", "fills", "updates"):
            for level, row in enumerate(getattr(traffic, counter)):
                for space, words in zip(key[1].dataspaces, row, strict=True):
                    moved[counter, level, space.name] += words
    for (layer, problem, first), n in runs.items():
        mapping = mappings[layer, problem, first]
        counts = count_accesses(problem, MACHINE, mapping, CountingRules("overlap"))
        model = evaluate(problem, MACHINE, mapping).counts
        assert [list(row) for row in count_accesses(problem, MACHINE, mapping).reads] == model.reads.tolist()
        for counter in ("reads", "fills", "updates"):
            for level, row in enumerate(getattr(counts, counter)):
                for space, words in zip(problem.dataspaces, row, strict=True):
                    counted[counter, level, space.name] += n * words * counts.instances[level]
    assert moved == counted
    for layer, problem in enumerate(fused.tiled.chain.problems):
        for space in fused.tiled.loaded(layer):  # loaded once, by the first tile, and never read from outside again
            at = [s.name for s in problem.dataspaces].index(space)
            taken = [t.reads[2][at] for (own, *_), t in zip(order, done.traffic, strict=True) if own == layer]
            assert taken[0] == problem.words(space)
            assert not any(taken[1:])


@pytest.mark.parametrize(("halo", "words"), [(KEPT, (44, 44)), (RECOMPUTED, (36, 36))])
def test_room_is_what_is_live_where_nothing_pads(halo: str, words: tuple[int, int]) -> None:
    """Convolutions of 3 x 3, tiles of 4 x 4: a box of 6 x 6, and 2 rows of the 4 columns beside it where they stay."""
    problems = tuple(conv2d("c", C=1, M=1, P=n, Q=n, R=3, S=3).problem for n in (10, 8))
    chain = Chain(problems, (Link(0, 1, "Inputs"),))
    operands = {(at, "Weights"): torch.ones(1, 1, 3, 3, dtype=torch.int32) for at in (0, 1)}
    operands[0, "Inputs"] = torch.arange(144, dtype=torch.int32).reshape(1, 1, 12, 12)
    fused = Fused(0, 1, Tiled(chain, Tiling((("P", 4), ("Q", 4)), halo)), "L1")
    mappings = mapped(fused)
    done = execute_chain(fused.tiled, lambda *key: mappings[key], operands, MACHINE)
    ones = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    assert torch.equal(done.outputs, F.conv2d(F.conv2d(operands[0, "Inputs"].double(), ones), ones).int())
    assert tuple(fused.tiled.held(layer) for layer in (0, 1)) == done.live == words


def test_matrix_products_are_cut_by_rows_and_batch() -> None:
    """Scores times values, two heads: (2, 6, 3) by (2, 3, 4), then by (2, 4, 3)."""
    first, second = matmul("a", B=2, M=6, K=3, N=4), matmul("b", B=2, M=6, K=4, N=3)
    chain = Chain((first.problem, second.problem), (Link(0, 1, "Inputs"),))
    generator = torch.Generator().manual_seed(1)
    left, keys, values = (
        torch.randint(-9, 9, shape, generator=generator, dtype=torch.int32)
        for shape in ((2, 6, 3), (2, 3, 4), (2, 4, 3))
    )
    assert set(chain.axes) == {"B", "M"}
    fused = Fused(0, 1, Tiled(chain, Tiling((("B", 1), ("M", 4)))), "L1")
    assert [fused.tiled.held(layer) for layer in (0, 1)] == [16, 16]
    mappings = mapped(fused)
    operands = {(0, "Inputs"): left, (0, "Weights"): keys, (1, "Weights"): values}
    done = execute_chain(fused.tiled, lambda *key: mappings[key], operands, MACHINE)
    assert torch.equal(done.outputs, left @ keys @ values)
    assert done.live == (16, 16)
    check_traffic(fused, mappings, done)


def statistics(read: dict[str, torch.Tensor]) -> torch.Tensor:
    """The largest score of each row, and the sum of the exponentials of what the others have less."""
    largest = read["Inputs"].amax(-1, keepdim=True)
    return torch.cat([largest, (read["Inputs"] - largest).exp().sum(-1, keepdim=True)], -1)


def shares(read: dict[str, torch.Tensor]) -> torch.Tensor:
    largest, total = read["Weights"].split(1, -1)
    return (read["Inputs"] - largest).exp() / total


@pytest.mark.parametrize("cut", [(("M", 1),), (("B", 1), ("M", 3)), (("M", 2), ("B", 2))])
def test_attention_in_tiles_is_torchs(cut: tuple[tuple[str, int], ...]) -> None:
    """Scores, the two passes of the softmax over whole rows of scores, and values; two heads, five queries."""
    sizes = {"heads": 2, "queries": 5, "keys": 4, "head_dim": 3}
    layers = [
        attention_scores("scores", **sizes),
        *normalise("softmax", (2, 5, 4), (2,), operation="softmax"),
        attention_values("values", **sizes),
    ]
    links = Link(0, 1, "Inputs"), Link(0, 2, "Inputs"), Link(1, 2, "Weights"), Link(2, 3, "Inputs")
    chain = Chain(tuple(layer.problem for layer in layers), links)
    assert set(chain.axes) == {"B", "M"}  # rows of scores are never cut
    fused = Fused(0, 3, Tiled(chain, Tiling(cut)), "L1")
    generator = torch.Generator().manual_seed(2)
    query, key, value = (torch.randn(2, n, 3, generator=generator, dtype=torch.float64) for n in (5, 4, 4))
    operands = {(0, "Inputs"): query / 3**0.5, (0, "Weights"): key.transpose(1, 2), (3, "Weights"): value}
    mappings = mapped(fused)
    done = execute_chain(fused.tiled, lambda *one: mappings[one], operands, MACHINE, {1: statistics, 2: shares})
    torch.testing.assert_close(done.outputs, F.scaled_dot_product_attention(query, key, value), rtol=1e-12, atol=1e-12)
    assert all(live <= fused.tiled.held(layer) for layer, live in enumerate(done.live))
    check_traffic(fused, mappings, done)


def test_what_is_not_held_stops_the_execution() -> None:
    """A reader of whose window no more is known than that it ends with the tile lacks the rows below."""
    rows = [linear("a", N=4, C=2, M=2).problem, linear("b", N=4, C=2, M=2).problem]
    chain = Chain(tuple(rows), (Link(0, 1, "Inputs"),))
    tiled = Tiled(chain, Tiling((("N", 2),)))
    late = tuple(((0, 0), own[1]) if at == 0 else own for at, own in enumerate(tiled.spans[0].done))
    object.__setattr__(tiled.spans[0], "done", late)  # the first tile of the first layer is left out
    fused = Fused(0, 1, Tiled(chain, Tiling((("N", 2),))), "L1")
    mappings = mapped(Fused(0, 1, Tiled(Chain(tuple(rows), chain.links), fused.tiled.tiling), "L1"))
    operands = {(at, name): torch.ones(n, 2, 1, 1, dtype=torch.int32) for at, name, n in ((0, "Inputs", 4),)}
    operands |= {(at, "Weights"): torch.ones(2, 2, 1, 1, dtype=torch.int32) for at in (0, 1)}
    with pytest.raises(InvalidMapping, match=r"tile 0: layer 1 needs element \[0, 0, 0, 0\] of layer 0, not held"):
        execute_chain(tiled, lambda layer, problem, first: mappings[layer, problem, first], operands, MACHINE)
