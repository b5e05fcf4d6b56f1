import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dlco import __version__
from dlco.cli import main
from dlco.cli.arguments import _EXAMPLES, make_parser

COMMANDS = ("solve", "pareto", "nas", "evaluate", "validate", "simulate", "report", "export", "doctor")


def run_module(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "dlco", *arguments], capture_output=True, text=True, **options)


def test_help_shows_an_example_of_each_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"\n  dlco {command}\b", shown)


@pytest.mark.parametrize(
    "command", ["solve", "pareto", "nas", "evaluate", "validate", "simulate", "report", "export", "doctor"]
)
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


@pytest.mark.skipif(os.name == "nt", reason="the shell is POSIX's")
@pytest.mark.parametrize(
    ("tail", "code", "out", "err"),
    [
        ("completion bash >&-", 0, "", ""),
        ("completion bash 2>&-", 0, "shtab", ""),
        ("completion bash >/dev/full", 2, "", "dlco: error: No space left on device\n"),
        ("report {saved} <&- >&- 2>&-", 0, "", ""),
        ("--nonsense 2>&-", 2, "", ""),
        ("doctor --nonsense >&-", 2, "", "dlco: error: unrecognized arguments: --nonsense (see dlco --help)\n"),
        ("--help >/dev/full", 2, "", "dlco: error: No space left on device\n"),
        ("--help | true; exit ${PIPESTATUS[0]}", 141, "", ""),
        ("--nonsense 2>&1 | true; exit ${PIPESTATUS[0]}", 2, "", ""),
    ],
)
def test_streams_that_are_closed_or_full_are_no_reason_to_fail(saved, tail, code, out, err):
    """Nor is what reads them; and a file that is written takes the place of none of them."""
    if "/dev/full" in tail and not os.path.exists("/dev/full"):
        pytest.skip("a device of Linux")
    command = f"{sys.executable} -m dlco {tail.format(saved=saved) if 'saved' in tail else tail}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert done.returncode == code
    assert out in done.stdout
    assert bool(out) == bool(done.stdout)
    assert done.stderr == err


def test_what_the_terminal_cannot_show_is_escaped():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run_module("evaluate", "arch.yaml", "größe.yaml", "mapping.yaml", env=environment)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "gr\\xf6\\xdfe.yaml" in done.stderr


LIGHT = """
import sys
from dlco.cli import main
code = main(sys.argv[1:])
slow = {"torch", "numpy", "scipy", "matplotlib", "yaml"} & set(sys.modules)
sys.exit(f"imported {slow}" if slow else code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["solve", "--help"], 0), (["completion", "bash"], 0), (["nas", "ofa", "--nonsense"], 2)],
)
def test_what_needs_no_torch_does_not_wait_for_it(arguments, code):
    done = subprocess.run([sys.executable, "-c", LIGHT, *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device", "out.json")])
def test_what_stops_a_command_while_it_loads_is_one_sentence(monkeypatch, capsys, error):
    def stop(name):
        raise error

    monkeypatch.setattr("dlco.cli.import_module", stop)
    code = main(["doctor"])
    said = capsys.readouterr().err
    assert code == (130 if error is KeyboardInterrupt else 2)
    assert said.count("\n") == 1
    assert "interrupted" in said or "'out.json': No space left on device" in said


def examples() -> list[str]:
    """The command lines in README's console blocks and in the help."""
    readme = Path(__file__).parents[2] / "README.md"
    lines = re.findall(r"^\$ (dlco .*)$", readme.read_text(), re.MULTILINE)
    return sorted({*lines, *re.findall(r"^  (dlco .*)$", _EXAMPLES, re.MULTILINE)})


@pytest.mark.parametrize("line", examples())
def test_every_example_is_understood(line):
    assert make_parser().parse_args(shlex.split(line)[1:]).command


def test_there_are_examples():
    assert len(examples()) >= 9


INTERRUPTED = """
import os, signal
import dlco.cli

signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell has it ignored

def load(name):  # as torch does where its import is interrupted
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("cannot load module more than once per process")

dlco.cli.import_module = load
raise SystemExit(dlco.cli.main(["doctor"]))
"""


def test_ctrl_c_inside_an_import_that_swallows_it():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "dlco: interrupted; nothing was written\n")
