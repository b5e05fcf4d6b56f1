"""`model()` on small cases whose figures timeloop-model was seen to give, and on machines with MACs of many."""

import pytest

from dlco import timeloop
from dlco.errors import InvalidInput, InvalidMapping
from dlco.mapping.rules import CountingRules

LINKS, NO_LINKS = timeloop.TIMELOOP_RULES, CountingRules("timeloop", neighbour_forwarding=False)


def arch(registers: str = "", buffer: str = "", units: int = 1, macs: int = 1) -> str:
    return f"""
architecture:
  version: 0.3
  subtree:
  - name: system
    local:
    - {{name: DRAM, class: DRAM, attributes: {{width: 16, datawidth: 16}}}}
    - {{name: GLB, class: SRAM, attributes: {{width: 16, datawidth: 16{buffer}}}}}
    subtree:
    - name: PE[0..{units - 1}]
      local:
      - {{name: RF, class: regfile, attributes: {{width: 16, datawidth: 16{registers}}}}}
      - {{name: 'MAC[1..{macs}]', class: intmac}}
"""


def conv(**bounds: int) -> str:
    sizes = dict.fromkeys("RSPQCKN", 1) | bounds
    return f"problem: {{shape: cnn_layer, instance: {{{', '.join(f'{k}: {v}' for k, v in sizes.items())}}}}}"


def nest(**loops: str) -> str:
    """Directives from "R3 P2" (innermost first) by level; `GLB_X` is what GLB splits up along X."""
    lines = ["mapping:"]
    for target, factors in loops.items():
        level, _, axis = target.partition("_")
        order = "".join(factor[0] for factor in factors.split())
        kind = "spatial" if axis else "temporal"
        lines.append(f"- {{target: {level}, type: {kind}, factors: {factors}, permutation: {order}}}")
    return "\n".join(lines)


def test_stationarity_depends_on_the_order() -> None:
    outer = timeloop.model(arch(), conv(P=4, C=3, K=2), nest(RF="K2", GLB="P4 C3"))["levels"]
    assert outer["RF"]["Weights"]["fills"] == 6
    assert (outer["RF"]["Inputs"]["fills"], outer["RF"]["Outputs"]["fills"]) == (12, 16)
    assert (outer["GLB"]["Outputs"]["updates"], outer["GLB"]["Outputs"]["reads"]) == (24, 16)
    inner = timeloop.model(arch(), conv(P=4, C=3, K=2), nest(RF="K2", GLB="C3 P4"))["levels"]
    assert (inner["RF"]["Weights"]["fills"], inner["GLB"]["Outputs"]["updates"]) == (24, 8)


@pytest.mark.parametrize(
    ("bounds", "loops", "fills"),
    [
        ({"R": 3, "P": 12}, {"RF": "R3 P2", "GLB": "P6"}, 14),
        ({"R": 3, "P": 12}, {"RF": "R3 P2", "GLB": "P3", "DRAM": "P2"}, 16),
        ({"R": 3, "P": 12}, {"RF": "R3 P2", "GLB": "P2", "DRAM": "P3"}, 14),
        ({"R": 3, "P": 6}, {"GLB": "R3 P6"}, 13),
        ({"R": 2, "P": 6, "Wstride": 3}, {"RF": "R2 P2", "GLB": "P3"}, 15),
    ],
)
def test_sliding_windows(bounds: dict, loops: dict, fills: int) -> None:
    assert timeloop.model(arch(), conv(**bounds), nest(**loops))["levels"]["RF"]["Inputs"]["fills"] == fills


def test_neighbours_hand_on_what_they_have() -> None:
    case = (arch(units=4), conv(P=4, R=3), nest(GLB_X="P4", GLB="R3"))
    with_links, without = (timeloop.model(*case, rules=rules)["levels"] for rules in (LINKS, NO_LINKS))
    assert (with_links["GLB"]["Inputs"]["reads"], without["GLB"]["Inputs"]["reads"]) == (6, 12)
    assert with_links["RF"]["Inputs"]["reads"] == 5


def test_one_register_file_for_several_macs() -> None:
    case = (arch(macs=4), conv(P=4, Q=3, C=2), nest(RF_X="P4", RF="Q3 C2"))
    for rules, reads in ((LINKS, 2), (NO_LINKS, 6)):
        found = timeloop.model(*case, rules=rules)
        assert found["levels"]["RF"]["Weights"]["reads"] == reads
        assert found["compute"]["utilized_instances"] == 4


def test_bandwidth_of_the_slowest_level_counts() -> None:
    mapping = nest(RF="K2", GLB="P4 C3")
    free = timeloop.model(arch(), conv(P=4, C=3, K=2), mapping)
    tight = timeloop.model(arch(buffer=", write_bandwidth: 1"), conv(P=4, C=3, K=2), mapping)
    words = sum(
        tight["levels"]["GLB"][d]["fills"] + tight["levels"]["GLB"][d]["updates"]
        for d in ("Weights", "Inputs", "Outputs")
    )
    assert (free["cycles"], tight["cycles"]) == (24, words)
    assert tight["levels"]["GLB"]["throttling"] == pytest.approx(24 / words)
    assert tight["levels"]["RF"]["throttling"] == 1


def test_refusals_name_the_level() -> None:
    with pytest.raises(InvalidMapping, match="tile at RF needs 5 words") as error:
        timeloop.model(arch(registers=", depth: 4"), conv(K=2), nest(RF="K2"))
    assert error.value.level == "RF"


def test_problems_beyond_whole_numbers() -> None:
    with pytest.raises(InvalidInput, match=r"multiply-accumulates; there may be 2\^53"):
        timeloop.model(arch(), conv(P=2**30, Q=2**30), nest(DRAM=f"P{2**30} Q{2**30}"))


def test_another_tools_section_of_a_combined_file_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    whole = f"{arch()}\n{conv(P=4)}\n{nest(RF='P4')}\nmapper: {{algorithm: random}}\n"
    assert timeloop.model(whole, whole, whole) == timeloop.model(arch(), conv(P=4), nest(RF="P4"))
    assert len([message for message in caplog.messages if "'mapper'" in message]) == 1
