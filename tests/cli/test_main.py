import os
import subprocess
import sys

import pytest

from dlco import __version__
from dlco.cli import main


def run_module(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "dlco", *arguments], capture_output=True, text=True, **options)


def test_help_shows_an_example_of_each_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in ("solve", "pareto", "nas", "evaluate", "validate", "report"):
        assert f"\n  dlco {command} " in shown


@pytest.mark.parametrize("command", ["solve", "pareto", "nas", "evaluate", "validate", "report"])
def test_each_command_has_help_with_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"example: dlco {command} " in shown


def test_units_stand_in_the_help(capsys):
    main(["solve", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for line in ("area of the machine, mm2", "mean power, W", "latency, s", "energy, J"):
        assert line in shown


def test_the_module_runs_and_knows_its_version():
    done = run_module("--version")
    assert done.returncode == 0
    assert done.stdout == f"dlco {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["solve"], ["solve", "resnet18"], ["solve", "resnet18", "--hardware", "eyeriss", "--nonsense"]],
)
def test_wrong_arguments_are_one_sentence(arguments, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("dlco: error: ")
    assert shown.err.count("\n") == 1


def test_a_reader_that_leaves_early_is_no_error(case):
    command = f"{sys.executable} -m dlco evaluate {case}/arch.yaml {case}/problem.yaml {case}/mapping.yaml | head -0"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


def test_what_the_terminal_cannot_show_is_escaped():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run_module("evaluate", "arch.yaml", "größe.yaml", "mapping.yaml", env=environment)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "gr\\xf6\\xdfe.yaml" in done.stderr
