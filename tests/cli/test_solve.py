import json
import subprocess
import sys
from dataclasses import replace

import pytest

import dlco.cli.solve as command
from dlco.design.sensitivity import Sensitivity
from dlco.design.solution import Solution
from dlco.design.solution_table import solution_text
from dlco.hardware import Architecture, HardwareSpace, generic, get_technology, with_dram
from dlco.optimize.effort import EFFORTS, SolveEffort
from dlco.timeloop import write_architecture


@pytest.fixture
def stub(monkeypatch, solution):
    """`solve` that answers at once, and remembers what it was asked."""
    asked = {}

    def answer(layers, **arguments):
        asked.update(arguments, layers=layers)
        return asked.get("answer", solution)

    monkeypatch.setattr(command, "solve", answer)
    return asked


def test_a_network_is_solved_on_free_hardware(dlco, stub, solution):
    ran = dlco("solve", "ResNet-18", "--hardware", "eyeriss", "--area", "4")
    assert ran == type(ran)(0, solution_text(solution) + "\n", "")
    assert [layer.name for layer in stub["layers"]][:2] == ["conv1", "layer1"]
    assert isinstance(stub["hardware"], HardwareSpace)
    assert stub["objective"] == "edp"
    assert stub["budget"].limits == {"area_mm2": 4.0}
    assert stub["seed"] == 0


def test_sensitivities_are_shown_and_saved(dlco, stub, solution, tmp_path, monkeypatch):
    stub["answer"] = replace(solution)  # what becomes known of it stays there
    found = (Sensitivity("area_mm2", 4.0, -0.25, -0.5, 0.0, True),)
    monkeypatch.setattr("dlco.optimize.sensitivity.sensitivities", lambda solution: found)
    assert "area_mm2 " not in dlco("solve", "alexnet", "--hardware", "eyeriss").out
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "--sensitivities", "-o", "saved.json")
    assert "area_mm2 " in ran.out
    assert Solution.load(tmp_path / "saved.json").known_sensitivities == found


def test_sensitivities_that_there_are_not_are_left_out(dlco, stub, solution):
    stub["answer"] = replace(solution, status="infeasible")
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "--sensitivities")
    assert "sensitivities are left out: status of the solution is 'infeasible'" in ran.err
    assert "What one per cent more" not in ran.out


def test_limits_between_sizes_reach_the_hardware(dlco, stub):
    limits = ("--limit", "shared_glb.capacity <= 256 * weights_spad.capacity", "--limit", "psum_spad.capacity >= 8")
    assert dlco("solve", "alexnet", "--hardware", "eyeriss", *limits).code == 0
    texts = ["shared_glb.capacity <= 256 * weights_spad.capacity", "8 <= psum_spad.capacity"]
    assert [str(limit) for limit in stub["hardware"].limits] == texts
    for arguments, why in (
        (("eyeriss", "--limit", "glb.capacity <= 4"), "free sizes of 'eyeriss' are: shared_glb.fanout_x"),
        (("eyeriss", "--limit", "shared_glb.capacity"), "has no <= or >="),
        (("eyeriss", "--fixed", "--limit", limits[1]), "all sizes of the hardware 'eyeriss' are fixed"),
    ):
        ran = dlco("solve", "alexnet", "--hardware", *arguments)
        assert ran.code == 2
        assert why in ran.err


def test_technology_and_dram_of_named_hardware(dlco, stub, tmp_path):
    chosen = ("--technology", "16nm", "--vdd", 0.7, "--clock", 500, "--dram", "LPDDR5=2")
    assert dlco("solve", "alexnet", "--hardware", "generic", "--fixed", *chosen).code == 0
    technology = get_technology("16nm", vdd=0.7, cycle_s=2e-9)
    assert stub["hardware"] == with_dram(generic(technology), "LPDDR5", 2)
    assert dlco("solve", "alexnet", "--hardware", "generic", "--dram", "HBM2").code == 0
    assert stub["hardware"].base.level("DRAM").shared_bandwidth == 128
    assert dlco("solve", "alexnet", "--hardware", "generic", "--fixed", "--no-wires").code == 0
    assert stub["hardware"] == generic(wires=False) != generic()
    (tmp_path / "machine.yaml").write_text(write_architecture(generic()))
    for arguments, why in (
        (("generic", "--technology", "3nm"), "technology is '3nm'; allowed: 65nm"),
        (("generic", "--clock", 0), "clock is 0.0; it must be a number above 0"),
        (("generic", "--dram", "HBM2=x"), "channels of --dram is 'x'"),
        (("generic", "--dram", "DDR9"), "kind of DRAM is 'DDR9'"),
        (("machine.yaml", "--no-wires"), "--no-wires is given, but the file 'machine.yaml' states"),
        (("machine.yaml", "--technology", "7nm"), "--technology is given, but the file 'machine.yaml' states"),
    ):
        ran = dlco("solve", "alexnet", "--hardware", *arguments)
        assert ran.code == 2
        assert why in ran.err


def test_every_argument_reaches_solve(dlco, stub):
    limits = ("--area", 4, "--power", 0.5, "--latency", 1e-3, "--energy", 2e-3)
    ran = dlco("solve", "alexnet", "--hardware", "simba", "--fixed", "--objective", "energy", *limits, "--seed", 3)
    assert ran.code == 0
    assert isinstance(stub["hardware"], Architecture)
    assert stub["hardware"].name == "simba"
    assert stub["objective"] == "energy"
    assert stub["budget"].limits == {"area_mm2": 4, "power_w": 0.5, "latency_s": 1e-3, "energy_j": 2e-3}
    assert stub["seed"] == 3


def test_limits_on_parts_and_files_reach_solve(dlco, stub, tmp_path):
    limits = ("--layer-latency", 1e-3, "--pe-count", 64, "--capacity", "GlobalBuffer=4096")
    more = ("--capacity", "RegisterFile=64", "--bandwidth", "DRAM=8", "--imperfect", "--checkpoint", "run.ckpt")
    (tmp_path / "fixed.yaml").write_text(
        "mapspace_constraints:\n- {target: GlobalBuffer, type: temporal, factors: C=1 M<=4, permutation: PQ}\n"
    )
    ran = dlco("solve", "alexnet", "--hardware", "generic", *limits, *more, "--constraints", "fixed.yaml")
    assert (ran.code, ran.err) == (0, "")
    budget = stub["budget"]
    assert (budget.pe_count, budget.layer_latency_s) == (64, 1e-3)
    assert budget.capacity == {"GlobalBuffer": 4096, "RegisterFile": 64}
    assert budget.bandwidth == {"DRAM": 8}
    assert stub["imperfect"] is True
    assert (stub["checkpoint"], stub["resume"]) == ("run.ckpt", None)
    (slot,) = stub["constraints"].slots
    assert (slot.level, slot.exact, slot.at_most) == ("GlobalBuffer", (("C", 1),), (("M", 4),))
    assert slot.innermost == ("P", "Q")
    assert dlco("solve", "alexnet", "--hardware", "generic", "--capacity", "64").code == 2


def test_batch_changes_the_layers(dlco, stub):
    assert dlco("solve", "alexnet", "--hardware", "simba", "--batch", 4).code == 0
    assert stub["layers"][0].problem.sizes["N"] == 4


def test_networks_and_hardware_come_from_files_too(dlco, stub, case, tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    for name in ("layer10", "layer9"):
        (folder / f"{name}.yaml").write_text((case / "problem.yaml").read_text())
    assert dlco("solve", folder, "--hardware", case / "arch.yaml").code == 0
    assert [layer.name for layer in stub["layers"]] == ["layer9", "layer10"]
    assert isinstance(stub["hardware"], Architecture)
    assert dlco("solve", folder / "layer9.yaml", "--hardware", case / "arch.yaml").code == 0
    assert [layer.name for layer in stub["layers"]] == ["layer9"]


def test_a_folder_named_like_a_network_is_not_taken_for_it(dlco, stub, tmp_path):
    (tmp_path / "alexnet").mkdir()
    assert dlco("solve", "alexnet", "--hardware", "eyeriss").code == 0
    assert len(stub["layers"]) == 8
    assert dlco("solve", "./alexnet", "--hardware", "eyeriss").code == 2


def test_all_results_are_written(dlco, stub, solution, tmp_path):
    (tmp_path / "tl").mkdir()
    (tmp_path / "tl" / "mine.txt").write_text("kept")
    results = ("-o", "out.json", "--plot", "out.png", "--timeloop", "tl")
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", *results, "--quiet")
    assert ran == type(ran)(0, "", "")
    assert Solution.load(tmp_path / "out.json") == solution
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    layer = [f"tl/conv1/{part}.yaml" for part in ("arch", "mapping", "problem")]
    assert files == ["out.json", "out.png", *layer, "tl/mine.txt"]
    assert dlco("solve", "alexnet", "--hardware", "eyeriss", *results, "--quiet").code == 0  # and again


def test_json_is_one_document_that_loads_again(dlco, stub, solution):
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert Solution.from_dict(json.loads(ran.out)) == solution


def test_infeasible_is_said_and_nothing_is_written(dlco, stub, solution, tmp_path):
    stub["answer"] = replace(solution, status="infeasible", message="no design within the budget was found")
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "-o", "out.json")
    message = "dlco: error: infeasible: no design within the budget was found\n"
    assert ran == type(ran)(2, "", message)
    assert not list(tmp_path.iterdir())
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "--json")
    assert (ran.code, ran.err) == (2, message)
    assert json.loads(ran.out)["status"] == "infeasible"


def test_an_interrupted_search_keeps_its_best(dlco, stub, solution, tmp_path):
    stub["answer"] = replace(solution, status="interrupted", message="stopped early")
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "-o", "out.json")
    assert ran.code == 130
    assert ran.out.startswith("interrupted: stopped early")
    assert Solution.load(tmp_path / "out.json").status == "interrupted"


def test_ctrl_c_outside_the_search_writes_nothing(dlco, monkeypatch, tmp_path):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "solve", stop)
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "-o", "out.json")
    assert ran == type(ran)(130, "", "dlco: interrupted; nothing was written\n")
    assert not list(tmp_path.iterdir())


def test_outputs_appear_together_or_not_at_all(dlco, stub, monkeypatch, tmp_path):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "plot_solution", fail)
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "-o", "out.json", "--plot", "out.png")
    assert ran == type(ran)(2, "", "dlco: error: 'out.png' cannot be written: No space left on device\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (("-o", "missing/out.json"), "there is no folder"),
        (("--plot", "missing/out.png"), "there is no folder"),
        (("--timeloop", "missing/deep"), "there is no folder"),
        (("--plot", "out.txt"), "its suffix must be one of .png, .svg, .pdf"),
        (("-o", "."), "it must be a regular file"),
        (("-o", "/dev/null"), "it must be a regular file"),
        (("--timeloop", "file"), "it must be a folder"),
        (("-o", "out.png", "--plot", "./out.png"), "each output needs a place of its own"),
    ],
)
def test_outputs_are_checked_before_any_work(dlco, stub, tmp_path, results, said):
    (tmp_path / "file").write_text("kept")
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", *results)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "layers" not in stub
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_written_to_is_said_so(dlco, stub, monkeypatch):
    monkeypatch.setattr("dlco.cli.outputs.os.access", lambda *arguments: False)
    ran = dlco("solve", "alexnet", "--hardware", "eyeriss", "-o", "out.json")
    assert ran.code == 2
    assert "cannot be written to" in ran.err


def test_a_link_stays_a_link(dlco, stub, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "out.json").symlink_to(tmp_path / "kept" / "real.json")
    assert dlco("solve", "alexnet", "--hardware", "eyeriss", "-o", "out.json", "--quiet").code == 0
    assert (tmp_path / "out.json").is_symlink()
    assert (tmp_path / "kept" / "real.json").is_file()


def test_a_small_network_for_real(dlco, case, tmp_path):
    arguments = ("--hardware", "generic", "--fixed", "--no-wires", "--area", 4)
    ran = dlco("solve", case / "problem.yaml", *arguments, "-o", "out.json", "--plot", "out.svg", "--timeloop", "tl")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("solved: ")
    solution = Solution.load(tmp_path / "out.json")
    files = [tmp_path / "tl" / "problem" / f"{part}.yaml" for part in ("arch", "problem", "mapping")]
    figures = json.loads(dlco("evaluate", *files, "--json").out)
    assert figures["cycles"] == solution.cost.cycles
    assert figures["energy_pj"] == pytest.approx(solution.cost.energy_pj, rel=1e-6)


@pytest.mark.parametrize("name", EFFORTS)
def test_efforts_have_names(dlco, stub, name):
    assert dlco("solve", "alexnet", "--hardware", "eyeriss", "--effort", name).code == 0
    assert stub["effort"] == EFFORTS[name]
    assert dlco("solve", "alexnet", "--hardware", "eyeriss").code == 0
    assert stub["effort"] is None
    assert EFFORTS["normal"] == SolveEffort()


PRESSED = """
import os, signal, sys
from threading import Thread
from time import sleep

import dlco.cli.solve as command
from dlco.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell has it ignored
deliver, solve = command.deliver, command.solve

def press(seconds):
    sleep(seconds)
    os.kill(os.getpid(), signal.SIGINT)

def press_at_search(progress):
    if progress.phase == "search":
        for seconds in (0.0, 0.01, 0.1):
            Thread(target=press, args=(seconds,)).start()

def pressed(*arguments, **named):
    os.kill(os.getpid(), signal.SIGINT)
    return deliver(*arguments, **named)

command.deliver = pressed
command.solve = lambda layers, **named: solve(layers, **named | {"progress": press_at_search})
raise SystemExit(main(["solve", "alexnet", "--hardware", "generic", "-o", "out.json"]))
"""


def test_ctrl_c_four_times_prints_and_writes_the_best_so_far(tmp_path):
    """During the search, right after, and while the answer is written."""
    done = subprocess.run([sys.executable, "-c", PRESSED], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "interrupted; returning the best design so far\n")
    assert done.stdout.startswith("interrupted: stopped early")
    assert Solution.load(tmp_path / "out.json").status == "interrupted"


def test_results_may_stay_on_the_chip_of_a_network_that_says_who_reads_them(dlco, stub):
    assert dlco("solve", "resnet18", "--hardware", "generic", "--fixed", "--fuse").code == 0
    assert stub["fuse"] is True
    assert [step.layer for step in stub["layers"].graph.steps[:3]] == ["conv1", "pool", "layer1"]
    ran = dlco("solve", "resnet18", "--hardware", "generic", "--fixed", "--fuse", "--timeloop", "out")
    assert (ran.code, ran.err) == (2, "dlco: error: --fuse and --timeloop are given; Timeloop runs layers one by one\n")
