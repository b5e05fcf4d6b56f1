"""Gemmini's parameters, held against its published default and against what its generator requires."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product
from math import inf, log2

import pytest
import torch

from dlco.errors import InvalidInput
from dlco.hardware import Architecture, eyeriss_like, gemmini_config, gemmini_like, gemmini_scala, gemmini_space
from dlco.hardware.gemmini import GemminiConfig

MACHINE = gemmini_like()


def changed(level: str, **fields: object) -> Architecture:
    levels = (replace(one, **fields) if one.name == level else one for one in MACHINE.levels)  # type: ignore[arg-type]
    return replace(MACHINE, levels=tuple(levels))


def test_the_preset_is_the_published_default() -> None:
    """DAC 2021: 16 x 16 PEs, 256 KiB scratchpad in 4 banks, 64 KiB accumulator in 2, 8 bits, sums of 20 and 32."""
    assert gemmini_config(MACHINE) == {
        "meshRows": 16,
        "meshColumns": 16,
        "tileRows": 1,
        "tileColumns": 1,
        "dataflow": "WS",
        "sp_capacity": 256,
        "sp_banks": 4,
        "acc_capacity": 64,
        "acc_banks": 2,
        "inputType": 8,
        "spatialArrayOutputType": 20,
        "accType": 32,
        "dma_buswidth": 64,
    }


def test_scala_changes_the_default_configuration() -> None:
    text = gemmini_scala(MACHINE)
    assert "GemminiConfigs.defaultConfig.copy(" in text
    for line in ("meshRows = 16,", "sp_capacity = CapacityInKilobytes(256),", "accType = SInt(32.W),"):
        assert line in text
    assert "dataflow = Dataflow.WS" in text
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")


def square_machines() -> Iterator[Architecture]:
    """The machines of the space whose array is square."""
    space = gemmini_space()
    for index in product(*(range(len(one.grid)) for one in space.parameters)):
        if index[0] == index[1]:
            yield space.architecture_at(torch.tensor(index))


def test_what_is_granted_meets_the_generator() -> None:
    """The requirements of GemminiConfigs.scala, for all square machines of the space."""
    granted = 0
    for machine in square_machines():
        with suppress(InvalidInput):
            check(gemmini_config(machine), machine)
            granted += 1
    assert granted > 300


def check(config: GemminiConfig, machine: Architecture) -> None:
    side = int(config["meshRows"])
    assert side == config["meshColumns"] >= 2
    assert side**2 == machine.macs
    rows = int(config["sp_capacity"]) * 8192 // (int(config["inputType"]) * side)
    sums = int(config["acc_capacity"]) * 8192 // (int(config["accType"]) * side)
    bank = rows // int(config["sp_banks"])
    assert log2(bank).is_integer()
    assert bank % side == 0
    assert sums // int(config["acc_banks"]) % side == 0
    assert rows // side - 2 >= sums // side
    held = 8192 * (int(config["sp_capacity"]) + int(config["acc_capacity"])) + 8 * machine.macs
    assert held == machine.memory_bits
    assert int(config["sp_banks"]) * side >= machine.level("scratchpad").read_bandwidth


NO_GEMMINI = {
    "another hierarchy": (eyeriss_like(), "has 5 levels"),
    "a rectangle": (changed("scratchpad", fanout_x=8), "16 rows and 8 columns"),
    "no power of 2": (
        replace(
            MACHINE,
            levels=tuple(
                replace(one, **{k: 12 for k in ("fanout_x", "fanout_y") if getattr(one, k) == 16})
                for one in MACHINE.levels
            ),
        ),
        "12 rows and 12 columns",
    ),
    "banks of no power of 2": (changed("scratchpad", capacity=96 * 1024), "4 banks of 1536 rows"),
    "half a tile": (changed("scratchpad", capacity=1000), "must be a multiple"),
    "a register for all": (changed("registers", bypass=frozenset()), "keeps Weights, Inputs, Outputs"),
    "an accumulator for weights": (changed("accumulator", bypass=frozenset({"Outputs", "Inputs"})), "keeps Weights"),
    "outputs in the scratchpad": (changed("scratchpad", bypass=frozenset()), "scratchpad keeps Weights, Inputs"),
    "several MACs to a register": (changed("registers", fanout_x=2), "registers has 2 x 1 children"),
    "words of two widths": (replace(MACHINE, mac_bits=16), "MACs take words of 16 bits"),
    "more sums than inputs": (changed("accumulator", capacity=2**18), "must have 2 x 16 more"),
    "no capacity": (changed("accumulator", capacity=inf), "no limit"),
    "an odd bus": (changed("DRAM", read_bandwidth=3), "24 bits a cycle"),
    "too fast": (changed("scratchpad", capacity=2048, read_bandwidth=500), "500 words a cycle; its 8 banks move 128"),
}


@pytest.mark.parametrize("what", NO_GEMMINI)
def test_another_machine_is_refused_with_the_reason(what: str) -> None:
    machine, reason = NO_GEMMINI[what]
    with pytest.raises(InvalidInput, match="is no Gemmini") as refused:
        gemmini_config(machine)
    assert reason in str(refused.value)


def test_output_stationary_and_an_unlimited_bus() -> None:
    keeps_sums = changed("registers", bypass=frozenset({"Weights", "Inputs"}), word_bits=32)
    assert gemmini_config(keeps_sums)["dataflow"] == "OS"
    assert gemmini_config(changed("DRAM", read_bandwidth=inf, write_bandwidth=inf))["dma_buswidth"] == 128
