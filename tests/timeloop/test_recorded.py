"""dlco against timeloop-model's recorded figures: what it counts and refuses; files that survive a round trip."""

import pytest

from dlco import timeloop
from dlco.errors import InvalidMapping
from dlco.mapping.checks import check_mapping
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules

PRINTED = {  # with two decimals
    "throttling",
    "fj_per_compute",
    "energy_uj_printed",
    "utilization_percent",
    "leakage_pj_total",
    "energy_pj_total",
}


def disagreements(ours: dict, theirs: dict, path: str = "") -> list[str]:
    """Where our figures are not theirs: counts as integers, the rest within 1e-6 or their last printed digit."""
    found = []
    for key, value in theirs.items():
        if key not in ours:
            found.append(f"{path}{key} is missing")
        elif isinstance(value, dict):
            found += disagreements(ours[key], value, f"{path}{key}.")
        else:
            apart = abs(ours[key] - value)
            slack = 0 if isinstance(ours[key], int) else max(1e-6 * abs(value), 0.00501 if key in PRINTED else 0)
            if apart > slack:
                found.append(f"{path}{key} is {ours[key]}, not {value}")
    return found


def model(case: dict, rules: CountingRules = TIMELOOP_RULES) -> dict:
    yaml = case["yaml"]
    return timeloop.model(arch=yaml["arch"], problem=yaml["problem"], mapping=yaml["mapping"], rules=rules)


def test_every_figure_of_the_accepted_cases(cases: list[dict]) -> None:
    accepted = [case for case in cases if case["accepted"]]
    assert len(accepted) == 400
    wrong = {case["id"]: bad for case in accepted if (bad := disagreements(model(case), case["expected"]))}
    assert not wrong


def test_every_figure_without_link_transfers(cases_without_links: list[dict]) -> None:
    rules = CountingRules(restart="timeloop", neighbour_forwarding=False)
    assert len(cases_without_links) == 200
    wrong = {c["id"]: bad for c in cases_without_links if (bad := disagreements(model(c, rules), c["expected"]))}
    assert not wrong


def test_total_energy_is_the_sum_of_its_parts(cases: list[dict]) -> None:
    for case in [case for case in cases if case["accepted"]][:20]:
        found = model(case)
        parts = found["compute"]["energy_pj"] + sum(
            level["leakage_pj_total"]
            + sum(space.get("energy_pj_total", 0) for space in level.values() if isinstance(space, dict))
            for level in found["levels"].values()
        )
        assert found["energy_pj"] == pytest.approx(parts, rel=1e-12)


def test_refused_cases_are_refused_at_the_same_level(cases: list[dict]) -> None:
    refused = [case for case in cases if not case["accepted"]]
    assert len(refused) == 60
    for case in refused:
        yaml = case["yaml"]
        architecture = timeloop.read_architecture(yaml["arch"])
        problem = timeloop.read_problem(yaml["problem"])
        mapping = timeloop.read_mapping(yaml["mapping"], problem, architecture)
        for refuse in (lambda: check_mapping(problem, architecture, mapping), lambda: model(case)):  # noqa: B023
            with pytest.raises(InvalidMapping) as error:
                refuse()
            assert f"couldn't map level {error.value.level}:" in case["reason"]


@pytest.mark.parametrize("version", ["0.3", "0.4"])
def test_what_is_written_reads_back_the_same(cases: list[dict], cases_without_links: list[dict], version: str) -> None:
    assert len(cases) + len(cases_without_links) == 660
    for case in [*cases, *cases_without_links]:
        yaml = case["yaml"]
        architecture = timeloop.read_architecture(yaml["arch"])
        problem = timeloop.read_problem(yaml["problem"])
        mapping = timeloop.read_mapping(yaml["mapping"], problem, architecture)
        assert timeloop.read_architecture(timeloop.write_architecture(architecture, version)) == architecture
        assert timeloop.read_problem(timeloop.write_problem(problem, version)) == problem
        text = timeloop.write_mapping(mapping, problem, architecture, version)
        assert timeloop.read_mapping(text, problem, architecture) == mapping
        if version == "0.3":
            assert text == yaml["mapping"]


def test_recorded_form_of_the_architecture_is_kept(cases: list[dict]) -> None:
    for case in cases[:40]:
        recorded = case["yaml"]["arch"]
        written = timeloop.write_architecture(timeloop.read_architecture(recorded))
        assert written.partition("ERT:")[0] == recorded.partition("ERT:")[0]


def test_hardware_files_are_read(data) -> None:
    unified = timeloop.read_architecture(data / "hardware" / "unified_256.yaml")
    assert (unified.macs, unified.level("GlobalBuffer").fanout_x) == (256, 16)
    eyeriss = timeloop.read_architecture(str(data / "hardware" / "eyeriss_like_168.yaml"))
    assert eyeriss.levels[0].name == "psum_spad"
    assert (eyeriss.level("shared_glb").fanout_x, eyeriss.level("shared_glb").fanout_y) == (14, 12)
