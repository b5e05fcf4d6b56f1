"""What a user can get wrong on `dlco solve`: one sentence with the field, the value and what is allowed."""

import pytest

GOOD = {"network": "alexnet", "--hardware": "eyeriss"}

BAD = {
    "unknown network": ({"network": "resnet19"}, ["network is 'resnet19'", "resnet18", "closest"]),
    "unknown hardware": ({"--hardware": "eyris"}, ["hardware is 'eyris'", "eyeriss, simba"]),
    "missing hardware file": ({"--hardware": "arch.yaml"}, ["'arch.yaml'", "No such file"]),
    "missing network file": ({"network": "net/conv1.yaml"}, ["'net/conv1.yaml'", "No such file"]),
    "empty network folder": ({"network": "."}, ["holds no file that ends in .yaml"]),
    "unknown objective": ({"--objective": "speed"}, ["objective is 'speed'", "latency, energy, edp"]),
    "negative area": ({"--area": "-4"}, ["budget area_mm2 is -4.0", "above 0"]),
    "area of zero": ({"--area": "0"}, ["budget area_mm2 is 0.0"]),
    "area that is not a number": ({"--area": "nan"}, ["budget area_mm2 is nan"]),
    "infinite power": ({"--power": "inf"}, ["budget power_w is inf"]),
    "area in words": ({"--area": "small"}, ["--area", "'small'"]),
    "negative latency": ({"--latency": "-1"}, ["budget latency_s is -1.0"]),
    "negative energy": ({"--energy": "-0.5"}, ["budget energy_j is -0.5"]),
    "batch of zero": ({"--batch": "0"}, ["0", "at least 1"]),
    "negative seed": ({"--seed": "-1"}, ["seed is -1"]),
    "an area that nothing meets": ({"--area": "1e-6"}, ["area"]),
    "a latency that nothing meets": ({"--latency": "1e-12"}, ["latency"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_arguments_are_one_sentence(dlco, tmp_path, what):
    changed, said = BAD[what]
    arguments = GOOD | changed
    network = arguments.pop("network")
    ran = dlco("solve", network, *(word for pair in arguments.items() for word in pair), "-o", "out.json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("dlco: error: ")
    assert ran.err.count("\n") == 1
    assert all(word in ran.err for word in said), ran.err
    assert not list(tmp_path.iterdir())


def test_batch_goes_with_built_in_networks_only(dlco, case):
    ran = dlco("solve", case / "problem.yaml", "--hardware", "eyeriss", "--batch", "2")
    assert ran.code == 2
    assert "batch is 2" in ran.err


def test_a_network_folder_with_another_file_is_one_sentence(dlco, case):
    ran = dlco("solve", case, "--hardware", "eyeriss")
    assert ran.code == 2
    assert "arch.yaml" in ran.err
    assert "'problem'" in ran.err
