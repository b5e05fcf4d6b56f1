import json

import pytest


def files(case):
    return [case / f"{part}.yaml" for part in ("arch", "problem", "mapping")]


def test_a_mapping_is_shown_with_its_accesses(dlco, case):
    ran = dlco("evaluate", *files(case))
    assert (ran.code, ran.err) == (0, "")
    assert "for M in [0:8) (Spatial-Y)" in ran.out
    assert "rules        refetch" in ran.out


def test_json_has_the_figures_of_the_solution(dlco, case, solution):
    ran = dlco("evaluate", *files(case), "--json")
    figures = json.loads(ran.out)
    assert figures["cycles"] == solution.cost.cycles
    assert figures["energy_pj"] == pytest.approx(solution.cost.energy_pj, rel=1e-6)
    assert figures["power_w"] == pytest.approx(solution.cost.power_w, rel=1e-6)
    assert figures["rules"] == "refetch"


def test_rules_differ_as_they_should(dlco, case):
    reads = {}
    for rules in ("refetch", "overlap", "timeloop"):
        figures = json.loads(dlco("evaluate", *files(case), "--rules", rules, "--json").out)
        reads[rules] = figures["levels"]["DRAM"]["Inputs"]["reads"]
    assert reads["refetch"] >= reads["overlap"]
    assert reads["refetch"] >= reads["timeloop"]


BROKEN = {
    "a missing file": ("problem", None, None, ["'missing.yaml'", "No such file"]),
    "no YAML": ("problem", "problem:", "problem: [", ["problem.yaml", "not valid YAML"]),
    "a missing key": ("problem", "  instance:", "  other:", ["problem.yaml, line"]),
    "a misspelt key": ("arch", "architecture:", "architecure: red\narchitecture:", ["arch.yaml", "'architecure'"]),
    "a factor that does not divide": ("mapping", "M=8", "M=7", ["factors of M multiply to 7", "bound 8"]),
    "an imperfect factor": ("mapping", "M=8", "M<=8", ["M<=8"]),
    "a factor that is no number": ("mapping", "M=8", "M=eight", ["eight"]),
    "a negative size": ("problem", "M: 8", "M: -8", ["-8"]),
    "a size that is not a number": ("problem", "M: 8", "M: .nan", [".nan"]),
    "an unknown level": ("mapping", "target: DRAM", "target: Dram", ["Dram", "DRAM"]),
    "an unknown dimension": ("mapping", "M=8", "Z=8", ["Z"]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_bad_files_are_one_sentence(dlco, case, what):
    part, old, new, said = BROKEN[what]
    paths = {name: case / f"{name}.yaml" for name in ("arch", "problem", "mapping")}
    if old is None:
        paths[part] = "missing.yaml"
    else:
        text = paths[part].read_text()
        assert old in text
        paths[part].write_text(text.replace(old, new))
    ran = dlco("evaluate", *paths.values())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("dlco: error: ")
    assert ran.err.count("\n") == 1
    assert all(word in ran.err for word in said), ran.err


def test_a_tile_that_does_not_fit_names_level_need_and_room(dlco, case):
    text = (case / "mapping.yaml").read_text()
    outer, inner = text.split("- {target: RegisterFile", 1)
    outer = outer.replace("M=8", "M=1").replace("P=6 Q=6", "P=1 Q=1")
    inner = inner.replace("M=1", "M=8").replace("P=1 Q=1", "P=6 Q=6")
    (case / "mapping.yaml").write_text(f"{outer}- {{target: RegisterFile{inner}")
    ran = dlco("evaluate", *files(case))
    assert ran.code == 2
    assert "tile at RegisterFile needs 424 words (Weights 72, Inputs 64, Outputs 288)" in ran.err
    assert "room for 256" in ran.err
