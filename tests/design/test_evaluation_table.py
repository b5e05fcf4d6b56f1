import pytest

from dlco.design.evaluation_table import evaluation_text, with_totals
from dlco.timeloop.model import account


def test_an_evaluation_shows_nest_accesses_levels_and_totals(solution):
    layer, machine = solution.layers[0], solution.architecture
    mapping = solution.mappings["conv1"]
    figures = with_totals(account(layer.problem, machine, mapping), machine)
    text = evaluation_text(layer.problem, machine, mapping, figures, "timeloop")
    assert max(len(line) for line in text.splitlines()) <= 120
    assert "for C in [0:4) (Spatial-X)" in text
    row = next(line for line in text.splitlines() if line.startswith("GlobalBuffer  Weights"))
    counts = figures["levels"]["GlobalBuffer"]["Weights"]
    assert f"{counts['reads']:,}" in row.split()
    assert f"cycles       {figures['cycles']:,}" in text
    assert "rules        timeloop" in text


def test_totals_follow_from_cycles_and_energy(solution):
    layer, machine = solution.layers[0], solution.architecture
    figures = with_totals(account(layer.problem, machine, solution.mappings["conv1"]), machine)
    assert figures["latency_s"] == pytest.approx(figures["cycles"] * 1e-9)
    assert figures["power_w"] == pytest.approx(figures["energy_pj"] * 1e-12 / figures["latency_s"])
    assert figures["edp"] == pytest.approx(figures["energy_pj"] * figures["cycles"])
