import json

import pytest


def test_a_table_is_printed(dlco, saved, solution):
    ran = dlco("simulate", saved)
    assert ran == type(ran)(0, f"{solution.simulate()}\n", "")


def test_json_and_options(dlco, saved):
    plain = json.loads(dlco("simulate", saved, "--json").out)
    one = json.loads(dlco("simulate", saved, "--json", "--copies", "1", "--dram-latency", "500").out)
    assert one["cycles"] > plain["cycles"] > 0
    options = ("--weight-density", "0.5", "--activation-density", "0.5", "--layer", "conv1")
    sparse = json.loads(dlco("simulate", saved, "--json", *options).out)
    assert sparse["layers"][0]["compute_cycles"] == plain["layers"][0]["compute_cycles"] / 4


def test_trace_and_picture_are_written(dlco, saved, tmp_path):
    ran = dlco("simulate", saved, "--layer", "conv1", "--trace", "t.json", "--plot", "t.png")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json", "t.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--layer", "fc"), "layer is 'fc'; the solution has conv1"),
        (("--trace", "t.json"), "--trace is 't.json' without --layer"),
        (("--layer", "conv1", "--plot", "t.txt"), "its suffix must be one of .png, .svg, .pdf"),
        (("--layer", "conv1", "--trace", "missing/t.json"), "there is no folder"),
        (("--dram-latency", "-1"), "dram_latency is -1.0"),
        (("--weight-density", "2"), "weights of the density is 2.0"),
        (("--copies", "3"), "invalid choice"),
    ],
)
def test_what_cannot_be_simulated(dlco, saved, tmp_path, arguments, said):
    ran = dlco("simulate", saved, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not list(tmp_path.iterdir())
