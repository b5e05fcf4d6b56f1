"""Other tools' mappings in dlco's terms: the same nest, whoever wrote it down."""

import math
import sys
from pathlib import Path

import pytest

import dlco

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LAYER = dlco.conv2d("conv", C=8, M=16, P=14, Q=14, R=3, S=3)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def zigzag(weights: int, inputs: int, outputs: int) -> dict[str, object]:
    """An answer of zigzag's for `LAYER`: 14 loops deep enough, with each operand's register file up to a loop."""
    loops = [["FX", 3], ["C", 2], ["OX", 7], ["FY", 3], ["OY", 2], ["OX", 2], ["K", 2], ["OY", 7]]

    def levels(end: int) -> list[object]:
        return [loops[:end], loops[end:6], loops[6:]]

    return {
        "temporal": {"W": levels(weights), "I": levels(inputs), "O": levels(outputs)},
        "spatial": {"D1": [["K", 8.0]], "D2": [["C", 4.0]]},
    }


def test_a_nest_split_by_operand_costs_what_the_even_nest_costs() -> None:
    from peers_machine import machine
    from peers_mappings import uneven

    architecture = machine(8, 4)
    even = dlco.Mapping(
        dimensions=("C", "M", "R", "S", "N", "P", "Q"),
        levels=("RegisterFile", "GlobalBuffer", "DRAM"),
        temporal=((2, 1, 3, 3, 1, 1, 7), (1, 1, 1, 1, 1, 2, 2), (1, 2, 1, 1, 1, 7, 1)),
        spatial_x=((1,) * 7, (1, 8, 1, 1, 1, 1, 1), (1,) * 7),
        spatial_y=((1,) * 7, (4, 1, 1, 1, 1, 1, 1), (1,) * 7),
        order=(
            ("S", "C", "Q", "R", "M", "N", "P"),
            ("P", "Q", "C", "M", "R", "S", "N"),
            ("M", "P", "C", "R", "S", "N", "Q"),
        ),
        spatial_order=(("C", "M", "R", "S", "N", "P", "Q"),) * 3,
        bypass=(frozenset(),) * 3,
    )
    expected = dlco.evaluate(LAYER, architecture, even)
    cost = dlco.evaluate(LAYER, *uneven(LAYER, architecture, zigzag(4, 4, 4)))
    assert cost.energy_pj.item() == expected.energy_pj.item()
    assert cost.cycles.item() == expected.cycles.item()


def test_each_operand_may_end_elsewhere_as_long_as_all_fit_together() -> None:
    from dataclasses import replace

    from peers_machine import machine
    from peers_mappings import uneven

    architecture = machine(8, 4)
    weights = dlco.evaluate(LAYER, *uneven(LAYER, architecture, zigzag(4, 2, 1)))
    # 3 x 3 filters of 2 channels, 3 inputs of 2 channels, one sum: 25 words
    for room, fits in ((25, True), (24, False)):
        small = replace(architecture, levels=(replace(architecture.levels[0], capacity=room), *architecture.levels[1:]))
        if fits:
            assert dlco.evaluate(LAYER, *uneven(LAYER, small, zigzag(4, 2, 1))).energy_pj == weights.energy_pj
        else:
            with pytest.raises(dlco.InvalidMapping, match=r"RegisterFile needs 25 words .* room for 24"):
                dlco.evaluate(LAYER, *uneven(LAYER, small, zigzag(4, 2, 1)))


def test_a_nest_that_does_not_multiply_to_the_layer_is_refused() -> None:
    from peers_machine import machine
    from peers_mappings import NotExpressible, uneven

    answer = zigzag(4, 4, 4) | {"spatial": {"D1": [["K", 4.0]], "D2": [["C", 4.0]]}}
    with pytest.raises(NotExpressible, match="factors of M multiply to 8, its bound is 16"):
        uneven(LAYER, machine(16, 4), answer)
    wider = zigzag(4, 4, 4) | {"spatial": {"D1": [["K", 16.0]], "D2": [["C", 4.0]]}}
    with pytest.raises(dlco.InvalidMapping, match="each count tiles that there are"):
        dlco.evaluate(LAYER, *uneven(LAYER, machine(16, 4), wider))


def test_a_register_file_may_reach_beyond_a_tile_of_the_buffer() -> None:
    from peers_machine import machine
    from peers_mappings import uneven

    answer, loops = zigzag(6, 2, 1), zigzag(8, 8, 8)["temporal"]["W"][0]
    answer["temporal"]["O"] = [loops[:1], loops[1:4], loops[4:]]  # outputs leave the buffer inside the weights' tile
    machine_, mapping = uneven(LAYER, machine(8, 4), answer)
    assert machine_.crosses
    cost = dlco.evaluate(LAYER, machine_, mapping)
    assert cost.counts.instances.tolist() == [32 if "Register" in name else 1 for name in mapping.levels]
    assert dlco.simulate.count_accesses(LAYER, machine_, mapping).fills == tuple(map(tuple, cost.counts.fills.tolist()))


def test_row_stationary_takes_the_cycles_that_nn_dataflow_counts() -> None:
    from peers_machine import machine
    from peers_mappings import best_cost, row_stationary

    # its answer for ResNet-18's layer2 on 14 x 12 PEs: 688,128 cycles
    layer = dlco.conv2d("layer2", C=128, M=128, P=28, Q=28, R=3, S=3)
    scheme = {
        "factors": [{"C": 4, "M": 1, "P": 1}, {"C": 1, "M": 64, "P": 1}, {"C": 32, "M": 1, "P": 1}],
        "orders": [["C", "P", "M"], ["M", "P", "C"]],
        "bypass": ["Weights", "Inputs"],
    }
    cost = best_cost(layer, machine(14, 12), row_stationary(layer, machine(14, 12), scheme))
    assert cost.cycles.item() == 688_128
    assert cost.utilization.item() == 1.0


def test_row_stationary_cuts_the_last_step_short() -> None:
    from peers_machine import machine
    from peers_mappings import NotExpressible, best_cost, row_stationary

    # its answer for ResNet-50's layer2_in on 14 x 12 PEs: 43 steps of 3 filters, the last of 2; 616,448 cycles
    layer = dlco.conv2d("layer2_in", C=256, M=128, P=56, Q=56, R=1, S=1)
    architecture = machine(14, 12)
    scheme = {
        "factors": [{"C": 4, "M": 1, "P": 1}, {"C": 1, "M": 43, "P": 1}, {"C": 64, "M": 1, "P": 1}],
        "orders": ["CPM", "MPC"],
        "bypass": ["Weights", "Inputs"],
    }
    cost = best_cost(layer, architecture, row_stationary(layer, architecture, scheme))
    assert cost.cycles.item() == 616_448
    high = scheme | {"factors": [dict.fromkeys("CMP", 1)] * 3}
    with pytest.raises(NotExpressible, match="PEs high, the machine's 12"):
        next(row_stationary(layer, architecture, high))


def test_what_a_peer_says_when_it_fails_names_no_path() -> None:
    from peers_environment import PeerError, _run

    failing = "raise ImportError('no module six in /usr/some/where, see https://one.example/two')"
    with pytest.raises(PeerError, match=r"^ImportError: no module six in \.\.\. see \.\.\.$"):
        _run([sys.executable, "-c", failing])


def test_exponent_is_the_power_of_a_power_law() -> None:
    from scaling import exponent

    assert exponent([10, 30, 100], [3 * n**1.7 for n in (10, 30, 100)]) == pytest.approx(1.7)
    assert exponent([10], [1.0]) is None


def test_varied_layers_are_distinct_and_grids_grow() -> None:
    from scaling import candidates, space, varied_layers

    layers = varied_layers(300)
    assert len({str(layer.problem) for layer in layers}) == 300
    sizes = [candidates(space(n)) for n in (2, 3, 4)]
    assert sizes == sorted(set(sizes))
    assert math.prod(len(p.grid) for p in space(2).parameters) == 2 ** len(space(2).parameters)


def test_recorded_mappings_count_as_recorded() -> None:
    from mapper import costs
    from recorded import machine, mapper_figures, read_nest

    (layer,) = (one for one in dlco.networks.resnet18() if one.name == "layer1")
    for name in ("unified_256", "eyeriss_like_168"):
        figures = mapper_figures(name)["layers"]["layer1"]
        mapping = read_nest(figures["mapping"], layer, machine(name))
        counted = costs([layer], machine(name), {"layer1": mapping}, timeloop=True)["layer1"]
        assert counted["cycles"] == pytest.approx(figures["cycles"], rel=1e-6)
        assert counted["energy_pj"] == pytest.approx(figures["energy_pj"], rel=1e-6)
