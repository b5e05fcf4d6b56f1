import pytest

from dlco.hardware import Architecture, dpu_alu_like, dpu_like

MACHINES = [dpu_like(), dpu_alu_like()]


def test_peak_is_the_published_one() -> None:
    # AMD's library guide UG1354: three cores at 281 MHz deliver 3.45 TOPS
    machine = dpu_like()
    assert 3 * 2 * machine.macs / machine.cycle_s * 1e-12 == pytest.approx(3.45, abs=0.005)


def test_lanes_are_the_published_parallelism() -> None:
    machine = dpu_like()
    assert machine.level("sums").fanout_x == 16  # input channels
    assert (machine.level("weight_buffer").fanout_x, machine.level("weight_buffer").fanout_y) == (8, 16)
    # depthwise layers: half the pixels, and each channel by itself
    assert dpu_alu_like().macs == 4 * 16


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_buffers_fit_the_block_rams(machine: Architecture) -> None:
    words = sum(machine.level(name).capacity for name in ("weight_buffer", "feature_buffer"))
    assert words * 8 <= 255 * 36 * 1024  # PG338: 255 block RAMs of 36 Kbit
    assert words * 8 > 0.8 * 255 * 36 * 1024


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_buffers_feed_every_lane_each_cycle(machine: Architecture) -> None:
    weights, features = machine.level("weight_buffer"), machine.level("feature_buffer")
    channels = machine.level("sums").fanout_x
    assert weights.read_bandwidth >= weights.fanout_y * channels
    assert features.read_bandwidth >= weights.fanout_x * max(channels, weights.fanout_y if channels == 1 else 1)


def test_both_engines_share_clock_and_memories() -> None:
    convolutions, alu = MACHINES
    assert convolutions.cycle_s == alu.cycle_s
    assert convolutions.levels[2:] == alu.levels[2:]
    # 2 ports x 16 bytes x 281 MHz each way, within 64 bits of DDR4-2133
    memory = alu.levels[-1]
    assert memory.read_bandwidth / alu.cycle_s == pytest.approx(32 * 281e6)
    assert memory.shared_bandwidth / alu.cycle_s == pytest.approx(8 * 2133e6)


def test_leakage_follows_the_clock() -> None:
    machine = dpu_like()
    leaks = {level.name: level.leak_pj for level in machine.levels}
    per_ns = {name: leak * 1e-9 / machine.cycle_s for name, leak in leaks.items()}
    from dlco.hardware import TECHNOLOGY_45NM

    cost = TECHNOLOGY_45NM.sram(machine.level("weight_buffer").capacity, 8, 16)
    assert per_ns["weight_buffer"] == pytest.approx(float(cost.leak_pj))
